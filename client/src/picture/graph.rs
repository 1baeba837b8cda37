//! One direction as a graph.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::Direction;
use crate::document::{Balancer, End, Finding, Multipath, Path, Place};

/// One direction as a graph whose links lead from one TTL to a later one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Graph {
    pub(crate) direction: Direction,
    /// By their TTL, the start first.
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// 0 for the start; of the end the last at which it was met.
    pub(crate) ttl: u8,
    pub(crate) kind: Kind,
    /// The shortest round-trip time, if it is known.
    pub(crate) rtt_ms: Option<f64>,
    /// The part of probes that were not answered, if it is known.
    pub(crate) loss: Option<f64>,
    /// What makes paths part behind it.
    pub(crate) balancer: Option<Balancer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Where probes start.
    Start(IpAddr),
    /// Somebody on the way.
    Router(IpAddr),
    /// Nobody answers, for that many TTLs from the node's on.
    Silent(u8),
    /// Where probes go to, reached.
    End(IpAddr),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Link {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The part of all probes from the start that pass it, 0 to 1, if flows are even.
    pub(crate) share: f64,
    /// The round-trip time rises here for good, by so many milliseconds.
    pub(crate) rise_ms: Option<f64>,
}

impl Kind {
    /// The address, but of silence.
    pub(crate) const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Start(address) | Self::Router(address) | Self::End(address) => Some(address),
            Self::Silent(_) => None,
        }
    }
}

impl Graph {
    /// The graph of `path`, with the rise that `finding` sees in it.
    pub(crate) fn new(direction: Direction, path: &Path, finding: Option<&Finding>) -> Self {
        let graph = match &path.multipath {
            Some(multipath) => Self::of_multipath(direction, path, multipath),
            None => Self::of_hops(direction, path),
        };
        let mut graph = graph.with_one_end(path);
        graph.carry_shares();
        let rise = finding.and_then(|finding| match direction {
            Direction::Forward => finding.forward.as_ref(),
            Direction::Reverse => finding.reverse.as_ref(),
        });
        if let Some(rise) = rise {
            graph.mark(&rise.before, &rise.after, rise.rise_ms);
        }
        graph
    }

    fn of_multipath(direction: Direction, path: &Path, multipath: &Multipath) -> Self {
        let mut nodes: Vec<Node> = multipath
            .nodes
            .iter()
            .map(|node| Node {
                ttl: node.ttl,
                kind: match node.address {
                    _ if node.ttl == 0 => Kind::Start(path.from),
                    Some(address) => Kind::Router(address),
                    None => Kind::Silent(1),
                },
                rtt_ms: node.rtt_ms,
                loss: None,
                balancer: None,
            })
            .collect();
        for balancer in &multipath.balancers {
            if let Some(node) = nodes.get_mut(balancer.node) {
                node.balancer = Some(balancer.clone());
            }
        }
        // A document is read from a file: its indexes may lead nowhere, its links back.
        let is_sound = |from: usize, to: usize| match (nodes.get(from), nodes.get(to)) {
            (Some(from), Some(to)) => from.ttl < to.ttl,
            _ => false,
        };
        let sound: Vec<_> =
            multipath.links.iter().filter(|link| is_sound(link.from, link.to)).collect();
        let mut leaving = BTreeMap::<usize, f64>::new();
        for link in &sound {
            *leaving.entry(link.from).or_default() += f64::from(link.flows);
        }
        let links = sound
            .iter()
            .map(|link| {
                let all = leaving.get(&link.from).copied().unwrap_or_default();
                let share = if all > 0.0 { f64::from(link.flows) / all } else { 1.0 };
                Link { from: link.from, to: link.to, share, rise_ms: None }
            })
            .collect();
        Self { direction, nodes, links }
    }

    /// A chain of hops; where several answered at one TTL, all are joined to all of the next.
    fn of_hops(direction: Direction, path: &Path) -> Self {
        let start = Kind::Start(path.from);
        let mut nodes =
            vec![Node { ttl: 0, kind: start, rtt_ms: None, loss: None, balancer: None }];
        let mut links = Vec::new();
        let mut before = 0..1;
        let answering = path.hops.iter().rposition(|hop| !hop.addresses().is_empty());
        for (at, hop) in path.hops.iter().enumerate() {
            // What follows the last answer is one silence.
            let beyond = answering.is_none_or(|last| at > last);
            if beyond && let Some(Node { kind: Kind::Silent(hops), .. }) = nodes.last_mut() {
                *hops = hops.saturating_add(1);
                continue;
            }
            let first = nodes.len();
            let addresses = hop.addresses();
            for address in &addresses {
                let answers: Vec<_> =
                    hop.probes.iter().flatten().filter(|probe| probe.address == *address).collect();
                let rtt_ms = answers.iter().filter_map(|probe| probe.rtt_ms).min_by(f64::total_cmp);
                let asked = hop.probes.len();
                let unanswered = hop.probes.iter().filter(|probe| probe.is_none()).count();
                #[expect(clippy::cast_precision_loss, reason = "at most 10 probes a hop")]
                let loss = (asked > 0).then(|| unanswered as f64 / asked as f64);
                let kind = Kind::Router(*address);
                nodes.push(Node { ttl: hop.ttl, kind, rtt_ms, loss, balancer: None });
            }
            if addresses.is_empty() {
                let kind = Kind::Silent(1);
                nodes.push(Node { ttl: hop.ttl, kind, rtt_ms: None, loss: None, balancer: None });
            }
            let after = first..nodes.len();
            #[expect(clippy::cast_precision_loss, reason = "at most 10 addresses a hop")]
            let share = 1.0 / after.len() as f64;
            for from in before {
                links.extend(after.clone().map(|to| Link { from, to, share, rise_ms: None }));
            }
            before = after;
        }
        Self { direction, nodes, links }
    }

    /// All nodes that are the other end become one, at the last of their TTLs.
    fn with_one_end(self, path: &Path) -> Self {
        let translator = match path.end {
            Some(End::ReachedTranslator { address }) => Some(address),
            _ => None,
        };
        let is_end = |node: &Node| match node.kind {
            Kind::Router(address) => address == path.to || translator == Some(address),
            Kind::Start(_) | Kind::Silent(_) | Kind::End(_) => false,
        };
        let ends: Vec<_> = self.nodes.iter().filter(|node| is_end(node)).cloned().collect();
        let Some(last) = ends.iter().max_by_key(|node| node.ttl) else { return self };
        let shortest = ends.iter().filter_map(|node| node.rtt_ms).min_by(f64::total_cmp);
        let end =
            Node { kind: Kind::End(path.to), rtt_ms: shortest, balancer: None, ..last.clone() };
        // Where each node has gone.
        let mut now_at = Vec::new();
        let mut nodes = Vec::new();
        for node in &self.nodes {
            now_at.push((!is_end(node)).then(|| {
                nodes.push(node.clone());
                nodes.len() - 1
            }));
        }
        let end_at = nodes.len();
        nodes.push(end);
        let moved = |at: usize| now_at.get(at).copied().flatten();
        let mut links: Vec<Link> = Vec::new();
        // Where the link between two nodes stands.
        let mut known = BTreeMap::new();
        for link in &self.links {
            let (Some(from), to) = (moved(link.from), moved(link.to).unwrap_or(end_at)) else {
                continue;
            };
            let at = *known.entry((from, to)).or_insert(links.len());
            match links.get_mut(at) {
                Some(known) => known.share += link.share,
                None => links.push(Link { from, to, ..*link }),
            }
        }
        Self { direction: self.direction, nodes, links }
    }

    /// Turns the part of what leaves a node into the part of what left the start.
    ///
    /// Flows were probed at each TTL as often as the algorithm needed there, so their numbers compare behind one node only.
    fn carry_shares(&mut self) {
        // All of it begins where no link ends.
        let mut arriving = vec![1.0; self.nodes.len()];
        for link in &self.links {
            arriving[link.to] = 0.0;
        }
        self.links.sort_by_key(|link| self.nodes.get(link.from).map(|node| node.ttl));
        for link in &mut self.links {
            link.share *= arriving[link.from];
            arriving[link.to] += link.share;
        }
    }

    /// Marks the links from `before` to `after`, and those between if silent hops lie there.
    fn mark(&mut self, before: &Place, after: &Place, rise_ms: f64) {
        let is_at = |node: &Node, place: &Place| match (place.ttl, node.kind.address()) {
            (None, _) => node.ttl == 0,
            (Some(ttl), Some(address)) => {
                place.addresses.contains(&address)
                    && (node.ttl == ttl || matches!(node.kind, Kind::End(_)))
            }
            (Some(_), None) => false,
        };
        let low = before.ttl.unwrap_or(0);
        let high = after.ttl.unwrap_or(0);
        let between = |node: &Node| node.ttl > low && node.ttl < high;
        let nodes = &self.nodes;
        for link in &mut self.links {
            let (Some(from), Some(to)) = (nodes.get(link.from), nodes.get(link.to)) else {
                continue;
            };
            if (is_at(from, before) || between(from)) && (is_at(to, after) || between(to)) {
                link.rise_ms = Some(rise_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::samples::{multipath, path};
    use crate::document::{FindingKind, Rise};

    fn node(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    type Shape = (Vec<(u8, Kind)>, Vec<(usize, usize)>);

    fn shape(graph: &Graph) -> Shape {
        (
            graph.nodes.iter().map(|node| (node.ttl, node.kind)).collect(),
            graph.links.iter().map(|link| (link.from, link.to)).collect(),
        )
    }

    #[test]
    fn a_chain_with_a_fork_and_a_silent_hop() {
        let hops: &[&[_]] =
            &[&[(10, 1.0)], &[(11, 2.0), (12, 2.0)], &[(0, 0.0)], &[(2, 3.0), (0, 0.0)]];
        let graph = Graph::new(Direction::Forward, &path(1, 2, hops), None);
        let router = |number| Kind::Router(node(number));
        assert_eq!(
            shape(&graph),
            (
                vec![
                    (0, Kind::Start(node(1))),
                    (1, router(10)),
                    (2, router(11)),
                    (2, router(12)),
                    (3, Kind::Silent(1)),
                    (4, Kind::End(node(2))),
                ],
                vec![(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
            )
        );
        assert_eq!(graph.nodes[5].loss, Some(0.5));
    }

    #[test]
    fn what_follows_the_last_answer_is_one_silence() {
        let hops: &[&[_]] = &[&[(10, 1.0)], &[(0, 0.0)], &[(0, 0.0)], &[(0, 0.0)]];
        let graph = Graph::new(Direction::Forward, &path(1, 2, hops), None);
        assert_eq!(graph.nodes.last().unwrap().kind, Kind::Silent(3));
        assert_eq!(shape(&graph).1, [(0, 1), (1, 2)]);
    }

    #[test]
    fn paths_of_different_lengths_have_one_end() {
        let mut path = path(1, 2, &[]);
        path.multipath = Some(multipath(
            &[(0, 1), (1, 10), (2, 2), (2, 11), (3, 2)],
            &[(0, 1, 4), (1, 2, 1), (1, 3, 3), (3, 4, 3)],
        ));
        let graph = Graph::new(Direction::Forward, &path, None);
        assert_eq!(shape(&graph).1, [(0, 1), (1, 3), (1, 2), (2, 3)]);
        assert_eq!(graph.nodes[3].ttl, 3);
        assert_eq!(graph.nodes[3].kind, Kind::End(node(2)));
        assert!(graph.nodes[1].balancer.is_some());
        let shares: Vec<_> = graph.links.iter().map(|link| link.share).collect();
        assert_eq!(shares, [1.0, 0.25, 0.75, 0.75]);
    }

    #[test]
    fn indexes_from_a_file_are_not_trusted() {
        let mut path = path(1, 2, &[]);
        let links = [(0, 1, 0), (0, 9, 1), (7, 1, 1), (1, 0, 1), (1, 1, 1)];
        path.multipath = Some(multipath(&[(0, 1), (1, 10)], &links));
        let graph = Graph::new(Direction::Forward, &path, None);
        assert_eq!(shape(&graph).1, [(0, 1)]);
    }

    #[test]
    fn the_rise_goes_through_silent_hops() {
        let place = |ttl, number| Place { ttl: Some(ttl), addresses: vec![node(number)] };
        let rise = Rise { before: place(1, 10), after: place(3, 12), rise_ms: 30.0 };
        let finding = Finding {
            kind: FindingKind::ForwardOnly,
            sentence: String::new(),
            forward: Some(rise),
            reverse: None,
        };
        let path = path(1, 2, &[&[(10, 1.0)], &[(0, 0.0)], &[(12, 31.0)], &[(2, 32.0)]]);
        let graph = Graph::new(Direction::Forward, &path, Some(&finding));
        let marked: Vec<_> = graph.links.iter().map(|link| link.rise_ms.is_some()).collect();
        assert_eq!(marked, [false, true, true, false]);
        let graph = Graph::new(Direction::Reverse, &path, Some(&finding));
        assert!(graph.links.iter().all(|link| link.rise_ms.is_none()));
    }
}
