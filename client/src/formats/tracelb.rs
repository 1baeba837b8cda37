//! scamper's type `tracelb`: the graph of all paths.
//!
//! A node has its links to the next nodes. The only link of a node is a list of hops, the silent ones between two nodes among
//! them; several links are one hop with several addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use super::scamper::{Flow, Icmp, Start, Time, VERSION, flow, icmp, start, time};
use super::statistics::thousandths;
use crate::document::{self, Document, Multipath, Path, Protocol};

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
    /// Those that were answered there, of the flows that are known to have come by the node before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    probes: Vec<Probe>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Probe {
    tx: Time,
    replyc: u8,
    ttl: u8,
    attempt: u8,
    /// From 1 on, in the order of the flows.
    flowid: usize,
    replies: [Reply; 1],
}

#[derive(Debug, PartialEq, Serialize)]
struct Reply {
    rx: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<f64>,
    #[serde(flatten)]
    icmp: Option<Icmp>,
}

/// The answers that tell by which flows nodes hang together.
struct Answers<'a> {
    document: &'a Document,
    path: &'a Path,
    found: &'a Multipath,
    /// All that were probed.
    flows: BTreeSet<u16>,
}

impl<'a> Answers<'a> {
    fn new(document: &'a Document, path: &'a Path, found: &'a Multipath) -> Self {
        let flows = path.hops.iter().flat_map(|hop| hop.probes.iter().flatten());
        Self { document, path, found, flows: flows.filter_map(|probe| probe.flow).collect() }
    }

    fn at(&self, ttl: u8) -> impl Iterator<Item = &'a document::Probe> {
        let hops = self.path.hops.iter().filter(move |hop| hop.ttl == ttl);
        hops.flat_map(|hop| hop.probes.iter().flatten())
    }

    /// The node at index `to`, with what was answered there of the flows that passed the one at `from`, as far as that answers.
    fn hop(&self, from: usize, to: usize) -> Hop {
        let node = |index| self.found.nodes.get(index);
        let Some((address, ttl)) = node(to).and_then(|node| Some((node.address?, node.ttl))) else {
            return Hop { addr: SILENT.to_owned(), probes: Vec::new() };
        };
        let before = node(from).and_then(|node| Some((node.ttl, node.address?)));
        let passes = |flow: u16| {
            before.is_none_or(|(ttl, address)| {
                ttl == 0
                    || self
                        .at(ttl)
                        .any(|probe| probe.flow == Some(flow) && probe.address == address)
            })
        };
        let probes = self.at(ttl).filter(|probe| probe.address == address).filter_map(|probe| {
            let flow = probe.flow.filter(|flow| passes(*flow))?;
            Some(Probe {
                tx: time(self.document, probe.sent_ms),
                replyc: 1,
                ttl,
                attempt: 0,
                flowid: self.flows.range(..=flow).count(),
                replies: [Reply {
                    rx: time(self.document, probe.sent_ms + probe.query_ms),
                    ttl: probe.details.reply_ttl,
                    rtt: probe.rtt_ms.map(thousandths),
                    icmp: icmp(self.path.protocol, probe),
                }],
            })
        });
        Hop { addr: address.to_string(), probes: probes.collect() }
    }
}

pub(super) fn of<'a>(document: &'a Document, path: &'a Path, found: &'a Multipath) -> Tracelb<'a> {
    let shown = |index: &usize| is_node(found, *index) && !found.next(*index).is_empty();
    let answers = Answers::new(document, path, found);
    let nodes: Vec<_> =
        (0..found.nodes.len()).filter(shown).map(|index| node(&answers, index)).collect();
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

fn node<'a>(answers: &Answers<'a>, index: usize) -> Node<'a> {
    let Answers { document, path, found, .. } = *answers;
    let own = found.nodes.get(index);
    let address = own.and_then(|node| if node.ttl == 0 { Some(path.from) } else { node.address });
    let next = found.next(index);
    let links = match next.as_slice() {
        [only] => chain(answers, index, *only),
        several => vec![several.iter().map(|to| answers.hop(index, *to)).collect()],
    };
    Node {
        addr: address.map_or_else(|| SILENT.to_owned(), |address| address.to_string()),
        name: address.and_then(|address| document.name(address)),
        linkc: next.len(),
        links,
    }
}

/// From `first`, behind `start`, on, the silent hops and the node behind them; without that where the silence does not end, or branches.
fn chain(answers: &Answers<'_>, start: usize, first: usize) -> Vec<Vec<Hop>> {
    let found = answers.found;
    let mut hops = vec![vec![answers.hop(start, first)]];
    let mut at = first;
    while found.nodes.get(at).is_some_and(|node| node.address.is_none())
        && let [next] = found.next(at).as_slice()
    {
        hops.push(vec![answers.hop(start, *next)]);
        at = *next;
    }
    hops
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100 fits")]
fn percent(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * 100.0).round() as u8
}
