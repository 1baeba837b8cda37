//! What was found, as a document.

use std::collections::{BTreeMap, BTreeSet};

use super::beside::Parting;
use super::flow;
use super::graph::{Graph, Node};
use super::layer::{Layer, Number};
use super::search::Search;
use super::stopping::{alike_by_chance, unseen};
use crate::Direction;
use crate::document::{self, Balancer, Balancing, Link, Multipath, Path, ms};
use crate::hop::Sample;

impl From<&Search> for Path {
    /// The path of one direction: each TTL with the first answer of each flow, and the graph.
    fn from(search: &Search) -> Self {
        let options = &search.options.trace;
        let (from, to) = match options.direction {
            Direction::Forward => (options.source, options.target),
            Direction::Reverse => (options.target, options.end()),
        };
        let queries = search.layers.values().map(Layer::asked).max().unwrap_or(0);
        Self {
            protocol: options.protocol.into(),
            flow: options.flow.get(),
            first_ttl: options.first.get(),
            max_ttl: options.last.get(),
            queries: u8::try_from(queries).unwrap_or(u8::MAX),
            sent: search.sent(),
            size: options.probe_size(),
            tos: options.probe_tos(),
            from,
            to,
            reached: search.is_reached(),
            end: search.end().map(document::End::from),
            hops: hops(search),
            multipath: Some(Multipath::from(search)),
            changes: Vec::new(),
            mtu: None,
        }
    }
}

impl Search {
    /// What is known by now: TTL, number of the flow, and its first answer, or `None` for one that was given up.
    pub(crate) fn settled(&self) -> impl Iterator<Item = (u8, Number, Option<&Sample>)> {
        self.layers
            .iter()
            .flat_map(|(ttl, layer)| layer.settled().map(|(number, sample)| (*ttl, number, sample)))
    }

    /// The flow of that number, as probes have it.
    pub(crate) fn flow(&self, number: Number) -> u16 {
        flow::of_number(self.options.trace.flow, number).get()
    }

    /// An answer to the flow of that number, for documents.
    pub(crate) fn probe(&self, number: Number, sample: &Sample) -> document::Probe {
        let flow = Some(self.flow(number));
        document::Probe { flow, ..document::Probe::new(sample, self.started()) }
    }
}

fn hops(search: &Search) -> Vec<document::Hop> {
    let probe =
        |layer: &Layer, flow| layer.answers.get(&flow).map(|sample| search.probe(flow, sample));
    let last = search.farthest().unwrap_or(0);
    search
        .layers
        .range(..=last)
        .map(|(ttl, layer)| {
            let probes = layer.flows().map(|flow| probe(layer, flow)).collect();
            document::Hop { ttl: *ttl, probes, statistics: None, responders: Vec::new() }
        })
        .collect()
}

impl From<&Search> for Multipath {
    fn from(search: &Search) -> Self {
        let first = search.options.trace.first.get();
        let graph = Graph::filled(&search.layers, first);
        let kinds = kinds(search, &graph);
        let by_packet: Vec<Node> = kinds
            .iter()
            .filter(|(_, (balancing, _))| *balancing == Balancing::PerPacket)
            .map(|(node, _)| *node)
            .collect();
        let scattered = graph.scattered(&by_packet);
        let partings = search.partings(&graph);
        let shown = shown(&graph, search);
        let place: BTreeMap<Node, usize> =
            shown.iter().enumerate().map(|(at, node)| (*node, at)).collect();
        let mut links = Vec::new();
        let mut balancers = Vec::new();
        for node in &shown {
            let Some(branches) = graph.nodes.get(node) else { continue };
            let next = node.0.saturating_add(1);
            // Behind a balancer that goes by packet, a flow's answers at two TTLs are of two ways, unless all ways meet.
            let meets =
                graph.at(next).filter(|(at, _)| place.contains_key(&(next, *at))).count() < 2;
            let scattered = scattered.get(&node.0);
            let is_scattered =
                |flow| !meets && scattered.is_some_and(|scattered| scattered.contains(flow));
            let mut count = 0;
            for (to, flows) in &branches.next {
                let (Some(from), Some(to)) = (place.get(node), place.get(&(next, *to))) else {
                    continue;
                };
                let certain = flows.iter().any(|flow| !is_scattered(flow));
                let flows = u32::try_from(flows.len()).unwrap_or(u32::MAX);
                links.push(Link { from: *from, to: *to, flows, certain });
                count += 1;
            }
            if count > 1 {
                let (balancing, sure) =
                    kinds.get(node).copied().unwrap_or((Balancing::Unknown, None));
                balancers.push(Balancer {
                    node: place.get(node).copied().unwrap_or(0),
                    balancing,
                    branches: count,
                    confidence: 1.0 - unseen(count + 1, branches.known()),
                    balancing_confidence: sure,
                });
            } else if let (Some(parting), Some(at)) = (partings.get(node), place.get(node)) {
                let Parting { branches, destinations, flows } = *parting;
                balancers.push(Balancer {
                    node: *at,
                    balancing: Balancing::PerDestination,
                    branches,
                    confidence: 1.0 - unseen(branches + 1, destinations),
                    // That flows had parted as well, had it gone by them.
                    balancing_confidence: Some(
                        1.0 - alike_by_chance(branches, flows.saturating_sub(1)),
                    ),
                });
            }
        }
        Self {
            confidence: search.options.confidence.get(),
            max_flows: search.options.max_flows.get().into(),
            flows: search
                .layers
                .values()
                .map(|layer| u32::try_from(layer.asked()).unwrap_or(u32::MAX))
                .max()
                .unwrap_or(0),
            nodes: shown.iter().map(|node| describe(search, *node)).collect(),
            links,
            balancers,
        }
    }
}

/// Nodes that lead anywhere: no silence behind which nobody answers, and none beyond the end of a path.
fn shown(graph: &Graph, search: &Search) -> Vec<Node> {
    let mut leads: BTreeSet<Node> = BTreeSet::new();
    for (node, branches) in graph.nodes.iter().rev() {
        let (ttl, place) = *node;
        let start = ttl < search.options.trace.first.get();
        let next = ttl.saturating_add(1);
        if start || place.is_some() || branches.next.keys().any(|to| leads.contains(&(next, *to))) {
            leads.insert(*node);
        }
    }
    leads.into_iter().collect()
}

/// By what each balancer chooses, and how sure that is.
fn kinds(search: &Search, graph: &Graph) -> BTreeMap<Node, (Balancing, Option<f64>)> {
    let first = search.options.trace.first.get();
    let mut kinds = BTreeMap::new();
    for (node, flow) in &search.tried {
        let Some(branches) = graph.nodes.get(node).map(super::graph::Branches::count) else {
            continue;
        };
        let repeated =
            |ttl: u8| search.layers.get(&ttl).map_or((0, false), |at| at.repeated(*flow));
        let (again, varies) = repeated(node.0.saturating_add(1));
        let (again_before, varies_before) = repeated(node.0);
        let kind = match (again, varies) {
            (0, _) => (Balancing::Unknown, None),
            (_, false) => (Balancing::PerFlow, Some(1.0 - alike_by_chance(branches, again))),
            // Its own choice, if all packets came to it.
            (_, true) if node.0 < first => (Balancing::PerPacket, Some(1.0)),
            (_, true) if again_before > 0 && !varies_before => {
                (Balancing::PerPacket, Some(1.0 - alike_by_chance(2, again_before)))
            }
            (_, true) => (Balancing::Unknown, None),
        };
        kinds.insert(*node, kind);
    }
    kinds
}

fn describe(search: &Search, (ttl, address): Node) -> document::Node {
    let samples = || {
        search
            .layers
            .get(&ttl)
            .into_iter()
            .flat_map(|layer| layer.answers.values())
            .filter(|sample| Some(sample.from) == address)
    };
    document::Node {
        ttl,
        address,
        answered: u32::try_from(samples().count()).unwrap_or(u32::MAX),
        rtt_ms: samples().filter_map(|sample| sample.rtt).min().map(ms),
    }
}
