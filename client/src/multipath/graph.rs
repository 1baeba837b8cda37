//! Who was seen after whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::layer::{Layer, Number};

/// A node: its TTL and who answers there, `None` for silence and for the start.
pub(super) type Node = (u8, Option<IpAddr>);

/// A node, and what is known about what follows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Branches {
    /// The flows that pass it.
    pub(super) through: Vec<Number>,
    /// The next nodes, with the flows that pass both.
    pub(super) next: BTreeMap<Option<IpAddr>, Vec<Number>>,
    /// The nodes before it.
    pub(super) before: BTreeSet<Option<IpAddr>>,
}

impl Branches {
    /// How many next nodes were seen.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.next.len()).unwrap_or(u32::MAX)
    }

    /// Flows of which the next node is known.
    pub(super) fn known(&self) -> u32 {
        u32::try_from(self.next.values().map(Vec::len).sum::<usize>()).unwrap_or(u32::MAX)
    }
}

/// The graph as it is known at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    /// TTL 0 (or the one before the first) is the start, which all flows pass.
    pub(super) nodes: BTreeMap<Node, Branches>,
}

impl Graph {
    /// Of what is known at each TTL, of which `first` is the first.
    pub(super) fn of(layers: &BTreeMap<u8, Layer>, first: u8) -> Self {
        let mut nodes: BTreeMap<Node, Branches> = BTreeMap::new();
        let mut here: BTreeMap<Number, Option<IpAddr>> = BTreeMap::new();
        let start = (first - 1, None);
        nodes.insert(start, Branches::default());
        for ttl in first..=u8::MAX {
            let Some(layer) = layers.get(&ttl) else { break };
            let next = layer.places();
            if ttl == first {
                here = next.keys().map(|flow| (*flow, None)).collect();
                if let Some(start) = nodes.get_mut(&start) {
                    start.through = here.keys().copied().collect();
                }
            }
            for (flow, place) in &next {
                nodes.entry((ttl, *place)).or_default().through.push(*flow);
                if let Some(before) = here.get(flow) {
                    nodes.entry((ttl, *place)).or_default().before.insert(*before);
                    if let Some(before) = nodes.get_mut(&(ttl - 1, *before)) {
                        before.next.entry(*place).or_default().push(*flow);
                    }
                }
            }
            here = next;
        }
        Self { nodes }
    }

    /// The same, where whoever came before a node that no flow was seen to come to is taken for silent: its answers were lost.
    pub(super) fn filled(layers: &BTreeMap<u8, Layer>, first: u8) -> Self {
        let mut graph = Self::of(layers, first);
        let orphans: Vec<Node> = graph.nodes.keys().rev().copied().collect();
        let mut open: BTreeSet<Node> =
            orphans.into_iter().filter(|(ttl, _)| *ttl > first).collect();
        while let Some((ttl, place)) = open.pop_last() {
            let Some(branches) = graph.nodes.get_mut(&(ttl, place)) else { continue };
            if !branches.before.is_empty() {
                continue;
            }
            branches.before.insert(None);
            let flows = branches.through.clone();
            let before = graph.nodes.entry((ttl - 1, None)).or_default();
            before.next.entry(place).or_default().extend(&flows);
            before.through.extend(&flows);
            if ttl - 1 > first {
                open.insert((ttl - 1, None));
            } else {
                before.before.insert(None);
                let start = graph.nodes.entry((first - 1, None)).or_default();
                start.next.entry(None).or_default().extend(&flows);
            }
        }
        graph
    }

    /// The nodes at `ttl`.
    pub(super) fn at(&self, ttl: u8) -> impl Iterator<Item = (Option<IpAddr>, &Branches)> {
        // None is less than any address.
        self.nodes
            .range((ttl, None)..)
            .take_while(move |((at, _), _)| *at == ttl)
            .map(|((_, place), branches)| (*place, branches))
    }

    /// Nodes with several next nodes.
    pub(super) fn balancers(&self) -> u32 {
        let balancers = self.nodes.values().filter(|node| node.count() > 1).count();
        u32::try_from(balancers).unwrap_or(u32::MAX)
    }

    /// The flows whose packets take different ways at a TTL, behind a balancer that goes by packet (`by_packet`), and have not
    /// come together again: all that are not known to pass another node than it.
    pub(super) fn scattered(&self, by_packet: &[Node]) -> BTreeMap<u8, BTreeSet<Number>> {
        let mut scattered: BTreeMap<u8, BTreeSet<Number>> = BTreeMap::new();
        for node in by_packet {
            let beside: BTreeSet<Number> = self
                .at(node.0)
                .filter(|(place, _)| *place != node.1)
                .flat_map(|(_, other)| other.through.iter().copied())
                .collect();
            for ttl in node.0.saturating_add(1)..=u8::MAX {
                let met: Vec<Vec<Number>> = self
                    .at(ttl)
                    .map(|(_, at)| {
                        at.through.iter().copied().filter(|flow| !beside.contains(flow)).collect()
                    })
                    .filter(|flows: &Vec<Number>| !flows.is_empty())
                    .collect();
                if met.len() < 2 {
                    break;
                }
                scattered.entry(ttl).or_default().extend(met.into_iter().flatten());
            }
        }
        scattered
    }
}
