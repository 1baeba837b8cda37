//! What to ask next: the rounds of the search.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::graph::{Branches, Graph, Node};
use super::layer::{Layer, Number};
use super::search::Search;
use crate::trace::End;

/// New flows that are asked for at a TTL in one round, at most: what they show may make the rest needless.
const ROUND: usize = 64;

impl Search {
    /// Asks for all that is missing, by what is known now. Nothing is asked for if nothing is missing.
    pub(super) fn plan(&mut self) {
        let graph = self.graph();
        let balancers = graph.balancers();
        self.lead();
        self.follow(balancers);
        let first = self.options.trace.first.get();
        for (ttl, place) in graph.nodes.keys().copied() {
            if let Some(branches) = graph.nodes.get(&(ttl, place)) {
                self.search_behind((ttl, place), branches, &graph, balancers);
                self.try_again((ttl, place), branches, balancers);
                if ttl >= first && branches.before.is_empty() {
                    self.look_before(ttl, branches);
                }
            }
        }
    }

    /// The first flow goes ahead, as a single path does, to find how far it is.
    fn lead(&mut self) {
        let options = &self.options.trace;
        let (first, gap) = (options.first.get(), options.gap.get());
        let far =
            self.farthest().map_or(first.saturating_add(gap - 1), |far| far.saturating_add(gap));
        let far = far.min(options.last.get());
        let far = self.ended.get(&0).map_or(far, |end| far.min(*end));
        for ttl in first..=far {
            self.ask(ttl, 0);
        }
    }

    /// The flows that every node needs follow it where it has been: nodes in a row need no rounds one after another.
    fn follow(&mut self, balancers: u32) {
        let least = self.shared.after(1, balancers);
        let first = self.options.trace.first.get();
        let Some(farthest) = self.farthest() else { return };
        for ttl in first..=farthest {
            if self.ended.get(&0).is_some_and(|end| ttl > *end) {
                break;
            }
            // Behind it, the first flow has passed.
            if !self.layers.get(&ttl).is_some_and(|layer| layer.is_asked(0) && !layer.is_open(0)) {
                continue;
            }
            for flow in 1..least {
                self.ask(ttl, flow);
            }
        }
    }

    /// Asks for `flow` at `ttl`, unless it ends before or too many were asked for. Whether that is new.
    fn ask(&mut self, ttl: u8, flow: Number) -> bool {
        let most = usize::from(self.options.max_flows.get());
        let ended = self.ended.get(&flow).is_some_and(|end| ttl > *end);
        let layer = self.layers.entry(ttl).or_default();
        !ended && layer.asked() < most && layer.ask(flow)
    }

    /// Lets enough flows show what is behind `node`.
    fn search_behind(&mut self, node: Node, branches: &Branches, graph: &Graph, balancers: u32) {
        let (ttl, place) = node;
        let next = ttl.saturating_add(1);
        let farthest = self.farthest().unwrap_or(ttl);
        let beyond = farthest.saturating_add(self.options.trace.gap.get());
        let is_end = match self.ends.get(&node) {
            // Some flows may get past one that refuses others.
            Some(End::Unreachable { .. }) => branches.next.is_empty(),
            end => end.is_some(),
        };
        if is_end
            || next > self.options.trace.last.get()
            || next > beyond
            || branches.through.is_empty()
        {
            return;
        }
        // In silence that nobody has been seen behind, one flow is enough to look for somebody.
        let silence = place.is_none() && ttl > farthest;
        let needed =
            if silence { 1 } else { self.shared.after(branches.count().max(1), balancers) };
        let start = ttl < self.options.trace.first.get();
        let pending = self.layers.get(&next).map_or(0, |layer| {
            // All flows pass the start.
            let through = branches.through.iter().filter(|flow| layer.is_open(**flow)).count();
            if start { layer.open_count() } else { through }
        });
        let mut missing = usize::try_from(needed.saturating_sub(branches.known()))
            .unwrap_or(usize::MAX)
            .saturating_sub(pending);
        for flow in &branches.through {
            if missing == 0 {
                return;
            }
            missing -= usize::from(self.ask(next, *flow));
        }
        if start {
            self.ask_new(next, missing, &BTreeSet::new());
        } else if missing > 0 && !self.layers.get(&ttl).is_some_and(Layer::has_open) {
            self.steer(node, branches, graph, missing);
        }
    }

    /// Finds more flows through `node`: such as are known to come to a node before it, then new ones.
    fn steer(&mut self, (ttl, _): Node, branches: &Branches, graph: &Graph, missing: usize) {
        let seen: usize = graph.at(ttl).map(|(_, at)| at.through.len()).sum();
        // So many will have to be asked for that `missing` of them pass.
        let mut wanted = (missing * seen).div_ceil(branches.through.len()).min(ROUND);
        let before = |place: &Option<IpAddr>| graph.nodes.get(&(ttl.saturating_sub(1), *place));
        let near: BTreeSet<Number> = branches
            .before
            .iter()
            .filter_map(before)
            .flat_map(|node| node.through.iter().copied())
            .collect();
        for flow in near {
            if wanted == 0 {
                return;
            }
            wanted -= usize::from(self.ask(ttl, flow));
        }
        // Flows that come to another node before are on another way.
        let elsewhere: BTreeSet<Number> = graph
            .at(ttl.saturating_sub(1))
            .filter(|(place, _)| !branches.before.contains(place))
            .flat_map(|(_, node)| node.through.iter().copied())
            .collect();
        self.ask_new(ttl, wanted, &elsewhere);
    }

    /// Asks for `count` flows at `ttl` that were not asked for there, those of the lowest numbers, but none of `not`.
    fn ask_new(&mut self, ttl: u8, count: usize, not: &BTreeSet<Number>) {
        let asked = self.layers.get(&ttl).map_or(0, Layer::asked);
        let mut left = count.min(usize::from(self.options.max_flows.get()).saturating_sub(asked));
        for flow in (0..u32::from(u16::MAX)).filter(|flow| !not.contains(flow)) {
            if left == 0 {
                return;
            }
            left -= usize::from(self.ask(ttl, flow));
        }
    }

    /// A node that no flow is known to come to: where does one come from?
    fn look_before(&mut self, ttl: u8, branches: &Branches) {
        let asked = self
            .layers
            .get(&(ttl - 1))
            .is_some_and(|layer| branches.through.iter().any(|flow| layer.is_open(*flow)));
        if !asked {
            for flow in &branches.through {
                if self.ask(ttl - 1, *flow) {
                    return;
                }
            }
        }
    }

    /// Sends one flow of a balancer again: does it keep to its way?
    fn try_again(&mut self, node: Node, branches: &Branches, balancers: u32) {
        let next = node.0.saturating_add(1);
        if branches.count() < 2 {
            return;
        }
        let answered = branches.next.iter().find_map(|(place, flows)| place.and(flows.first()));
        let Some(flow) = self.tried.get(&node).or(answered).copied() else { return };
        self.tried.insert(node, flow);
        let repeats = self.shared.repeats(branches.count(), balancers);
        self.repeat(next, flow, repeats);
        // If not: is it this balancer's doing, or that of one before it?
        let first = self.options.trace.first.get();
        if node.0 >= first && self.layers.get(&next).is_some_and(|layer| layer.repeated(flow).1) {
            self.repeat(node.0, flow, repeats);
        }
    }

    fn repeat(&mut self, ttl: u8, flow: Number, times: u32) {
        let layer = self.layers.entry(ttl).or_default();
        let asked = layer.asked_again.get(&flow).copied().unwrap_or(0);
        if layer.answers.contains_key(&flow) && times > asked {
            layer.ask_again(flow, times - asked);
        }
    }
}
