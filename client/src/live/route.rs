//! Where a path goes, and when it changes.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use jiff::Timestamp;

use super::monitor::Round;
use crate::document::Change;
use crate::trace::End;

/// Changes that are remembered; the oldest are forgotten.
const CHANGES: usize = 100;
/// Whoever answered at a TTL within so many rounds is no news there: a balancer that goes by packet is no change.
const MEMORY: u64 = 10;

/// The path of one flow.
#[derive(Debug, Clone, Default)]
pub(super) struct Route {
    /// By TTL: who answers there, and when each answered last.
    places: BTreeMap<u8, Place>,
    /// The TTL of the other end, once it was reached.
    end: Option<u8>,
}

#[derive(Debug, Clone)]
struct Place {
    now: IpAddr,
    seen: Vec<(IpAddr, u64)>,
}

impl Route {
    /// Takes in round `number`, over at `at`; what changed. A hop that is silent says nothing.
    pub(super) fn learn(&mut self, round: &Round, number: u64, at: Timestamp) -> Vec<Change> {
        let change = |ttl, before, after| Change { at, flow: round.flow.get(), ttl, before, after };
        let mut changes = Vec::new();
        let reached = (round.end == Some(End::Reached))
            .then(|| round.hops.last().map(|hop| hop.ttl().get()))
            .flatten();
        for hop in &round.hops {
            let ttl = hop.ttl().get();
            let Some(sample) = hop.samples().next() else { continue };
            let address = sample.from;
            let longer = self.end.is_some_and(|end| ttl > end);
            if let Some(place) = self.places.get_mut(&ttl) {
                if place.learn(address, number) {
                    changes.push(change(ttl, Some(place.now), Some(address)));
                }
                place.now = address;
            } else {
                if longer {
                    changes.push(change(ttl, None, Some(address)));
                }
                let seen = vec![(address, number)];
                self.places.insert(ttl, Place { now: address, seen });
            }
        }
        if let Some(end) = reached {
            let beyond = self.places.split_off(&end.saturating_add(1));
            // All the way to 255 is all there is.
            let beyond = if end == u8::MAX { BTreeMap::new() } else { beyond };
            changes.extend(beyond.iter().map(|(ttl, place)| change(*ttl, Some(place.now), None)));
            self.end = Some(end);
        }
        changes
    }
}

impl Place {
    /// Whether it is news that `address` answers here.
    fn learn(&mut self, address: IpAddr, number: u64) -> bool {
        self.seen.retain(|(_, last)| number.saturating_sub(*last) <= MEMORY);
        if let Some((_, last)) = self.seen.iter_mut().find(|(known, _)| *known == address) {
            *last = number;
            return false;
        }
        self.seen.push((address, number));
        // After a long silence the same one is none either.
        self.now != address
    }
}

/// Adds `new` to what is remembered.
pub(super) fn remember(changes: &mut VecDeque<Change>, new: Vec<Change>) {
    changes.extend(new);
    let surplus = changes.len().saturating_sub(CHANGES);
    changes.drain(..surplus);
}
