//! What changed between two traces.
//!
//! Hops are compared by the addresses that answered at their TTL. Two hops are one if they have an address in common:
//! behind a load balancer one trace meets the one branch, the next another and the first again. A hop that did not answer
//! may be any. Which hop of the one corresponds to which of the other is the alignment with the fewest changes, so that
//! a hop that is new does not make those behind it new. Where a path was not reached, nothing is known about what comes
//! behind its last answer, and nothing is said of it.
//!
//! Round-trip times are compared hop by hop. A time changed if it differs by at least 10 ms and by at least a quarter of
//! the longer one, if the times measured in the two traces do not overlap, and if the next hop that answers bears it out.

mod align;
mod text;
mod times;

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use crate::Direction;
use crate::document::{Document, Path};
use align::Pair;

pub use times::{LEAST_CHANGE_MS, LEAST_PART};

/// What changed between two documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// What makes the two hard to compare, in sentences; no change by itself.
    pub notes: Vec<String>,
    /// Of the paths to the target, if both have one.
    pub forward: Option<PathDifference>,
    /// Of the paths back.
    pub reverse: Option<PathDifference>,
}

/// What changed between two paths of one direction.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PathDifference {
    /// Hops that were added, removed or replaced, in the order of the path.
    pub hops: Vec<HopChange>,
    /// Branches of load balancers that came or went where the hop is the same otherwise; told of multipath traces alone,
    /// which can miss one (see the confidence of each).
    pub branches: Vec<BranchChange>,
    /// Where the round-trip time changed, each change where it begins.
    pub times: Vec<TimeChange>,
    /// Whether the one and the other reached their end, if that differs.
    pub reached: Option<ReachedChange>,
}

/// A hop that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HopChange {
    /// What was there; null if the hop was added.
    pub before: Option<Spot>,
    /// What is there; null if it was removed.
    pub after: Option<Spot>,
}

/// Who answered at a TTL; nobody if it is silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// The TTL.
    pub ttl: u8,
    /// In ascending order.
    pub addresses: Vec<IpAddr>,
}

/// Branches at one hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BranchChange {
    /// The hop's TTL in the later trace.
    pub ttl: u8,
    /// Those that came.
    pub added: Vec<IpAddr>,
    /// Those that went.
    pub removed: Vec<IpAddr>,
}

/// A round-trip time that changed from this hop on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeChange {
    /// The hop in the later trace.
    pub at: Spot,
    /// The least time in the earlier trace, of this hop and those behind it.
    pub before_ms: f64,
    /// The same in the later one.
    pub after_ms: f64,
}

/// Whether paths reached their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReachedChange {
    /// The earlier one.
    pub before: bool,
    /// The later one.
    pub after: bool,
}

/// Two documents that share no direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the two have no direction in common: trace both with the same command")]
pub struct NothingInCommon;

impl Difference {
    /// What changed from `before` to `after`.
    pub fn new(before: &Document, after: &Document) -> Result<Self, NothingInCommon> {
        let pair = |a: Option<&Path>, b: Option<&Path>| Some(PathDifference::new(a?, b?));
        let forward = pair(before.forward.as_ref(), after.forward.as_ref());
        let reverse = pair(before.reverse.as_ref(), after.reverse.as_ref());
        if forward.is_none() && reverse.is_none() {
            return Err(NothingInCommon);
        }
        Ok(Self { notes: text::notes(before, after), forward, reverse })
    }

    /// What changed in each direction that both have.
    pub fn paths(&self) -> impl Iterator<Item = (Direction, &PathDifference)> {
        let forward = self.forward.as_ref().map(|path| (Direction::Forward, path));
        let reverse = self.reverse.as_ref().map(|path| (Direction::Reverse, path));
        forward.into_iter().chain(reverse)
    }

    /// Whether anything did.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.paths().any(|(_, path)| *path != PathDifference::default())
    }

    /// Whether a path leads elsewhere or no longer to its end; times and branches aside.
    #[must_use]
    pub fn is_path_changed(&self) -> bool {
        self.paths().any(|(_, path)| !path.hops.is_empty() || path.reached.is_some())
    }
}

/// What a path shows at one TTL.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    ttl: u8,
    addresses: BTreeSet<IpAddr>,
    /// The least and the highest time of this hop, in milliseconds.
    range_ms: Option<(f64, f64)>,
    /// The least of this hop and those behind it.
    least_ms: Option<f64>,
}

/// A path as it is compared.
struct Course {
    hops: Vec<Seen>,
    /// Nothing is known of what comes before the first.
    from_middle: bool,
    /// Nothing is known of what comes after the last.
    open_ended: bool,
    is_multipath: bool,
}

impl Course {
    fn new(path: &Path) -> Self {
        let mut hops: Vec<Seen> = path.hops.iter().map(Seen::new).collect();
        for node in path.multipath.iter().flat_map(|multipath| &multipath.nodes) {
            if node.ttl == 0 {
                continue;
            }
            let at = hops.binary_search_by_key(&node.ttl, |hop| hop.ttl).unwrap_or_else(|at| {
                hops.insert(
                    at,
                    Seen {
                        ttl: node.ttl,
                        addresses: BTreeSet::new(),
                        range_ms: None,
                        least_ms: None,
                    },
                );
                at
            });
            hops[at].addresses.extend(node.address);
        }
        if !path.reached {
            while hops.pop_if(|hop| hop.addresses.is_empty()).is_some() {}
        }
        let mut least: Option<f64> = None;
        for hop in hops.iter_mut().rev() {
            least = match (least, hop.range_ms) {
                (Some(least), Some((here, _))) => Some(least.min(here)),
                (least, here) => least.or(here.map(|(here, _)| here)),
            };
            hop.least_ms = least;
        }
        Self {
            hops,
            from_middle: path.first_ttl > 1,
            open_ended: !path.reached,
            is_multipath: path.multipath.is_some(),
        }
    }
}

impl Seen {
    fn new(hop: &crate::document::Hop) -> Self {
        let times = hop.probes.iter().flatten().filter_map(|probe| probe.rtt_ms);
        let range_ms = times.fold(None, |range: Option<(f64, f64)>, ms| {
            Some(range.map_or((ms, ms), |(low, high)| (low.min(ms), high.max(ms))))
        });
        Self {
            ttl: hop.ttl,
            addresses: hop.addresses().into_iter().collect(),
            range_ms,
            least_ms: None,
        }
    }

    fn spot(&self) -> Spot {
        Spot { ttl: self.ttl, addresses: self.addresses.iter().copied().collect() }
    }

    /// Whether both may be one hop.
    fn is_same(&self, other: &Self) -> bool {
        self.addresses.is_empty()
            || other.addresses.is_empty()
            || !self.addresses.is_disjoint(&other.addresses)
    }
}

impl PathDifference {
    fn new(before: &Path, after: &Path) -> Self {
        let reached = (before.reached != after.reached)
            .then_some(ReachedChange { before: before.reached, after: after.reached });
        let (before, after) = (Course::new(before), Course::new(after));
        let pairs = align::align(&before, &after);
        let mut difference = Self { reached, times: times::changes(&pairs), ..Self::default() };
        for pair in &pairs {
            match pair {
                Pair::Both(a, b) if !a.is_same(b) => difference
                    .hops
                    .push(HopChange { before: Some(a.spot()), after: Some(b.spot()) }),
                Pair::Both(a, b) if before.is_multipath && after.is_multipath => {
                    difference.branches.extend(branches(a, b, &before, &after));
                }
                Pair::Both(..) => {}
                Pair::Before(a) => {
                    difference.hops.push(HopChange { before: Some(a.spot()), after: None });
                }
                Pair::After(b) => {
                    difference.hops.push(HopChange { before: None, after: Some(b.spot()) });
                }
            }
        }
        difference
    }
}

/// The branches that only one of the two has, at any TTL.
fn branches(a: &Seen, b: &Seen, before: &Course, after: &Course) -> Option<BranchChange> {
    // Silence on one side may be any of the other's.
    if a.addresses.is_empty() || b.addresses.is_empty() {
        return None;
    }
    let lacks = |course: &Course, address: &IpAddr| {
        !course.hops.iter().any(|hop| hop.addresses.contains(address))
    };
    let only = |here: &Seen, there: &Course| -> Vec<IpAddr> {
        here.addresses.iter().copied().filter(|address| lacks(there, address)).collect()
    };
    let change = BranchChange { ttl: b.ttl, added: only(b, before), removed: only(a, after) };
    (!change.added.is_empty() || !change.removed.is_empty()).then_some(change)
}

#[cfg(test)]
mod tests;
