//! Balancers that go by destination: what probes towards other addresses of the target's network show.
//!
//! They are sent when all else is known, with TTLs that end before the target: where its neighbours are about as far away as it is, none
//! of them hears of it. Forward only: a responder is asked for probes towards one target.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::graph::{Graph, Node};
use super::search::Search;
use crate::options::Direction;
use crate::ttl::Ttl;

/// A destination by number: 0 is the target, the others are beside it.
pub(super) type Number = u8;

/// What is asked, and known, of the destinations beside the target.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Whether they were asked for.
    begun: bool,
    /// TTL, destination, attempt.
    pub(super) queue: VecDeque<(Ttl, Number, u8)>,
    /// Who answered at which TTL.
    answers: BTreeMap<(u8, Number), IpAddr>,
}

/// A node at which destinations part that flows do not.
#[derive(Debug)]
pub(super) struct Parting {
    /// Next nodes seen, that of the target's flows among them.
    pub(super) branches: u32,
    /// Destinations that were seen to pass it to a next node, the target among them.
    pub(super) destinations: u32,
    /// The target's flows that took one next node.
    pub(super) flows: u32,
}

/// The address with this `number` beside `target`: of the same /24, or /64, and neither its first nor its last.
pub(super) fn address(target: IpAddr, number: Number) -> IpAddr {
    match target {
        IpAddr::V4(target) => {
            let [a, b, c, d] = target.octets();
            // Round and round from 1 to 254, so that none is the network's or a broadcast address.
            let place = u16::from(d.clamp(1, 254)) - 1 + u16::from(number);
            let host = u8::try_from(place % 254).unwrap_or(0) + 1;
            Ipv4Addr::new(a, b, c, host).into()
        }
        IpAddr::V6(target) => Ipv6Addr::from_bits(target.to_bits() ^ u128::from(number)).into(),
    }
}

impl Search {
    /// Asks for them, once: as many as would show that a node has two next ones. Whether there is anything to ask.
    pub(super) fn look_beside(&mut self) -> bool {
        let options = &self.options;
        if !options.by_destination
            || options.trace.direction != Direction::Forward
            || std::mem::replace(&mut self.beside.begun, true)
        {
            return false;
        }
        let balancers = self.graph().balancers();
        let destinations = self.shared.after(1, balancers).clamp(2, 32);
        let first = self.options.trace.first.get();
        let end = self.ended.get(&0).copied().or_else(|| self.farthest()).unwrap_or(first);
        for ttl in (first..end).filter_map(Ttl::new) {
            for number in 1..Number::try_from(destinations).unwrap_or(Number::MAX) {
                self.beside.queue.push_back((ttl, number, 0));
            }
        }
        !self.beside.queue.is_empty()
    }

    /// No answer came.
    pub(super) fn lost_beside(&mut self, ttl: Ttl, number: Number, attempt: u8) {
        if attempt < self.options.retry {
            self.beside.queue.push_back((ttl, number, attempt + 1));
        }
    }

    /// `from` answered.
    pub(super) fn answered_beside(&mut self, ttl: u8, number: Number, from: IpAddr) {
        self.beside.answers.insert((ttl, number), from);
    }

    /// The nodes at which destinations part, though all flows to the target take one next node.
    pub(super) fn partings(&self, graph: &Graph) -> BTreeMap<Node, Parting> {
        let mut partings = BTreeMap::new();
        for (node, branches) in &graph.nodes {
            let next: Vec<_> = branches.next.keys().copied().collect();
            let ((ttl, Some(address)), [Some(only)]) = (*node, next.as_slice()) else { continue };
            let passing = self.beside.answers.range((ttl, 0)..=(ttl, Number::MAX));
            let passing = passing.filter(|(_, from)| **from == address);
            let others: Vec<IpAddr> = passing
                .filter_map(|((_, number), _)| {
                    self.beside.answers.get(&(ttl.saturating_add(1), *number)).copied()
                })
                .collect();
            let all: BTreeSet<IpAddr> = others.iter().copied().chain([*only]).collect();
            if all.len() > 1 {
                let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
                let parting = Parting {
                    branches: count(all.len()),
                    destinations: count(others.len() + 1),
                    flows: branches.known(),
                };
                partings.insert(*node, parting);
            }
        }
        partings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_of_the_same_network() {
        for target in ["192.0.2.1", "192.0.2.80", "192.0.2.253", "192.0.2.254", "2001:db8::80"] {
            let target: IpAddr = target.parse().unwrap();
            let others: BTreeSet<IpAddr> = (1..32).map(|number| address(target, number)).collect();
            assert_eq!(others.len(), 31, "{target}");
            assert!(!others.contains(&target));
            for other in others {
                match (target, other) {
                    (IpAddr::V4(target), IpAddr::V4(other)) => {
                        assert_eq!(target.octets()[..3], other.octets()[..3]);
                        assert!(![0, 255].contains(&other.octets()[3]), "{other}");
                    }
                    (IpAddr::V6(target), IpAddr::V6(other)) => {
                        assert_eq!(target.segments()[..7], other.segments()[..7]);
                    }
                    _ => panic!("{target} {other}"),
                }
            }
        }
    }
}
