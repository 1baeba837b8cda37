//! scamper's type `tracelb`: the graph of all paths.
//!
//! A node has its links to the next nodes. The only link of a node is a list of hops, the silent ones between two nodes among
//! them; several links are one hop with several addresses.

use std::net::IpAddr;

use serde::Serialize;

use super::scamper::{Flow, Start, VERSION, flow, start};
use crate::document::{Document, Multipath, Path, Protocol};

/// What does not answer.
const SILENT: &str = "*";

#[derive(Serialize)]
pub(super) struct Tracelb<'a> {
    r#type: &'static str,
    version: &'static str,
    userid: u32,
    method: &'static str,
    src: IpAddr,
    dst: IpAddr,
    #[serde(flatten)]
    flow: Flow,
    start: Start,
    firsthop: u8,
    /// In percent.
    confidence: u8,
    probec: u64,
    nodec: usize,
    linkc: usize,
    nodes: Vec<Node<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    addr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    linkc: usize,
    links: Vec<Vec<Hop>>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Hop {
    addr: String,
}

pub(super) fn of<'a>(document: &'a Document, path: &Path, found: &Multipath) -> Tracelb<'a> {
    let shown = |index: &usize| is_node(found, *index) && !found.next(*index).is_empty();
    let nodes: Vec<_> = (0..found.nodes.len())
        .filter(shown)
        .map(|index| node(document, path, found, index))
        .collect();
    Tracelb {
        r#type: "tracelb",
        version: VERSION,
        userid: 0,
        // Our flows differ in the destination port, or in ICMP's checksum.
        method: match path.protocol {
            Protocol::Udp => "udp-dport",
            Protocol::Tcp => "tcp-dport",
            Protocol::Icmp => "icmp-echo",
        },
        src: path.from,
        dst: path.to,
        flow: flow(path),
        start: start(document),
        firsthop: path.first_ttl,
        confidence: percent(found.confidence),
        probec: path.sent,
        nodec: nodes.len(),
        linkc: nodes.iter().map(|node| node.linkc).sum(),
        nodes,
    }
}

/// Whether the node at `index` is one there: it answers, and it is not the start, unless only that shows where the first hops hang.
fn is_node(found: &Multipath, index: usize) -> bool {
    let Some(node) = found.nodes.get(index) else { return false };
    if node.ttl > 0 {
        return node.address.is_some();
    }
    let next = found.next(index);
    let silent = |to: &usize| found.nodes.get(*to).is_none_or(|node| node.address.is_none());
    next.len() > 1 || next.iter().any(silent)
}

fn node<'a>(document: &'a Document, path: &Path, found: &Multipath, index: usize) -> Node<'a> {
    let own = found.nodes.get(index);
    let address = own.and_then(|node| if node.ttl == 0 { Some(path.from) } else { node.address });
    let next = found.next(index);
    let links = match next.as_slice() {
        [only] => chain(found, *only),
        several => vec![several.iter().map(|to| hop(found, *to)).collect()],
    };
    Node {
        addr: address.map_or_else(|| SILENT.to_owned(), |address| address.to_string()),
        name: address.and_then(|address| document.name(address)),
        linkc: next.len(),
        links,
    }
}

/// From `first` on, the silent hops and the node behind them; without that where the silence does not end, or branches.
fn chain(found: &Multipath, first: usize) -> Vec<Vec<Hop>> {
    let mut hops = vec![vec![hop(found, first)]];
    let mut at = first;
    while found.nodes.get(at).is_some_and(|node| node.address.is_none())
        && let [next] = found.next(at).as_slice()
    {
        at = *next;
        hops.push(vec![hop(found, at)]);
    }
    hops
}

fn hop(found: &Multipath, index: usize) -> Hop {
    let address = found.nodes.get(index).and_then(|node| node.address);
    Hop { addr: address.map_or_else(|| SILENT.to_owned(), |address| address.to_string()) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100 fits")]
fn percent(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * 100.0).round() as u8
}
