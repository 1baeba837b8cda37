//! What a trace ought to find.

use std::collections::{BTreeMap, BTreeSet};

use otherhalf_client::Direction;

use crate::topology::Topology;

/// All paths of a direction: who may be met at each TTL, and after whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// The names of the nodes by TTL, from the start at 0.
    pub nodes: BTreeMap<u8, BTreeSet<String>>,
    /// TTL and name of a node, and the name of one that is next after it.
    pub links: BTreeSet<(u8, String, String)>,
}

impl Topology {
    /// The truth about `direction`, as far as `last` hops; nothing is beyond the end, nor beyond a filter.
    #[must_use]
    pub fn truth(&self, direction: Direction, last: u8) -> Truth {
        let (start, end) = self.ends(direction);
        let mut truth = Truth::default();
        truth.nodes.insert(0, BTreeSet::from([start.to_owned()]));
        for ttl in 0..last {
            let here = truth.nodes.get(&ttl).cloned().unwrap_or_default();
            for name in here.iter().filter(|name| *name != end && !self.filters(name)) {
                for next in self.ways(name, direction) {
                    truth.nodes.entry(ttl + 1).or_default().insert(next.to.clone());
                    truth.links.insert((ttl, name.clone(), next.to.clone()));
                }
            }
        }
        truth
    }

    fn filters(&self, name: &str) -> bool {
        self.nodes.get(name).is_some_and(|node| node.filters)
    }
}
