//! What the reference client of reverse traceroute (HSA-Net, Augsburg) saves with `--store-json`: one object with both
//! directions, each a list of vertices with their successors.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::{Error, lines_of};
use crate::Direction;
use crate::document::{self, Document, Multipath, Path, Protocol};

/// How that client writes what does not answer.
const BLACK_HOLE: &str = "***";

#[derive(Serialize)]
struct Measurement<'a> {
    target: &'a str,
    protocol: Protocol,
    min_ttl: u8,
    max_ttl: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    singlepath: Option<Single>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multipath: Option<Multi>,
    traces: Traces,
    /// Of each address all names; we know one.
    hostnames: BTreeMap<IpAddr, [&'a str; 1]>,
}

#[derive(Serialize)]
struct Single {
    flow: u16,
    probes: u8,
}

#[derive(Serialize)]
struct Multi {
    /// The chance to miss a vertex, so the opposite of ours.
    confidence: f64,
}

#[derive(Serialize)]
struct Traces {
    #[serde(skip_serializing_if = "Option::is_none")]
    forward: Option<Vec<Vertex>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reverse: Option<Vec<Vertex>>,
}

#[derive(Debug, Serialize)]
struct Vertex {
    id: usize,
    /// The same for vertices of one address.
    hash: usize,
    address: String,
    /// In milliseconds.
    rtt: Vec<f64>,
    flows: Vec<u16>,
    successors: Vec<usize>,
}

pub(super) fn render(document: &Document) -> Result<String, Error> {
    let paths: Vec<_> = document.paths().collect();
    let Some((_, first)) = paths.first() else { return lines_of(&serde_json::Map::new()) };
    let traced = |wanted| {
        let (_, path) = paths.iter().find(|(direction, _)| *direction == wanted)?;
        Some(vertices(path))
    };
    let multipath = first.multipath.as_ref();
    let hostnames = document
        .hosts
        .iter()
        .filter_map(|(address, host)| Some((*address, [host.name.as_deref()?])));
    lines_of(&Measurement {
        target: &document.head.target.name,
        protocol: first.protocol,
        min_ttl: first.first_ttl,
        max_ttl: first.max_ttl,
        singlepath: multipath
            .is_none()
            .then_some(Single { flow: first.flow, probes: first.queries }),
        multipath: multipath.map(|found| Multi { confidence: chance_to_miss(found) }),
        traces: Traces { forward: traced(Direction::Forward), reverse: traced(Direction::Reverse) },
        hostnames: hostnames.collect(),
    })
}

/// Without the noise of the subtraction.
fn chance_to_miss(found: &Multipath) -> f64 {
    ((1.0 - found.confidence) * 1e9).round() / 1e9
}

/// From the start on, which has no round-trip time.
fn vertices(path: &Path) -> Vec<Vertex> {
    match &path.multipath {
        Some(found) => of_graph(path, found),
        None => of_hops(path),
    }
}

fn of_graph(path: &Path, found: &Multipath) -> Vec<Vertex> {
    let vertex = |(index, node): (usize, &document::Node)| {
        let address = if node.ttl == 0 { Some(path.from) } else { node.address };
        let links = found.links.iter().filter(|link| link.from == index);
        Vertex {
            rtt: node.rtt_ms.into_iter().collect(),
            successors: links.map(|link| link.to + 1).collect(),
            ..bare(index + 1, address)
        }
    };
    with_hashes(found.nodes.iter().enumerate().map(vertex).collect())
}

fn of_hops(path: &Path) -> Vec<Vertex> {
    let mut all = vec![bare(1, Some(path.from))];
    // The vertices of the hop before.
    let mut before = 0..1;
    for hop in &path.hops {
        let from = all.len();
        let addresses = hop.addresses();
        for address in &addresses {
            let here = hop.probes.iter().flatten().filter(|probe| probe.address == *address);
            all.push(Vertex {
                rtt: here.filter_map(|probe| probe.rtt_ms).collect(),
                flows: vec![path.flow],
                ..bare(all.len() + 1, Some(*address))
            });
        }
        if addresses.is_empty() {
            all.push(bare(all.len() + 1, None));
        }
        let here = from..all.len();
        for vertex in all.get_mut(before).unwrap_or_default() {
            vertex.successors = here.clone().map(|index| index + 1).collect();
        }
        before = here;
    }
    with_hashes(all)
}

fn bare(id: usize, address: Option<IpAddr>) -> Vertex {
    let address = address.map_or_else(|| BLACK_HOLE.to_owned(), |address| address.to_string());
    Vertex { id, hash: id, address, rtt: Vec::new(), flows: Vec::new(), successors: Vec::new() }
}

/// Black holes are each one of its own; else the first vertex of an address gives the hash.
fn with_hashes(mut all: Vec<Vertex>) -> Vec<Vertex> {
    let mut first = BTreeMap::new();
    for vertex in &mut all {
        if vertex.address != BLACK_HOLE {
            vertex.hash = *first.entry(vertex.address.clone()).or_insert(vertex.id);
        }
    }
    all
}
