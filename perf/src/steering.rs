//! By which queue a frame goes. Rings, virtio and memif spread nothing by themselves: the sender chooses.

use std::net::IpAddr;

use serde::Deserialize;

use crate::addresses;
use crate::plan::Transaction;

/// Queues that a port of the generator can have.
pub const MAX_QUEUES: usize = 16;

/// On which queue a probe's answer comes, where its request had one of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Steering {
    /// On the request's: the worker that sent the probe gets the answer.
    Same,
    /// On the next one: never the worker that sent the probe, if there are two.
    Other,
    /// On the last one, by which no request comes: a device steers echo requests of code 1 apart, or answers have a port of
    /// their own.
    Apart,
    /// As the sender's address has it: a client's for requests, a router's for answers. That is what a NIC does that
    /// spreads by addresses (RSS), though by another function.
    #[default]
    Hash,
}

/// Chooses queues.
#[derive(Debug, Clone, Copy)]
pub struct Steer {
    how: Steering,
    queues: usize,
}

impl Steer {
    /// Among `queues`, at least one.
    #[must_use]
    pub const fn new(how: Steering, queues: usize) -> Self {
        Self { how, queues: if queues == 0 { 1 } else { queues } }
    }

    /// The queue of a request.
    #[must_use]
    #[inline]
    pub fn request(&self, wanted: &Transaction) -> usize {
        if self.queues == 1 {
            return 0;
        }
        Self::by_address(addresses::client(wanted.family, wanted.client), self.asking())
    }

    /// How many queues requests go by, the first ones.
    #[must_use]
    pub const fn asking(&self) -> usize {
        match self.how {
            Steering::Apart if self.queues > 1 => self.queues - 1,
            _ => self.queues,
        }
    }

    /// The queue of the answer to its probe.
    #[must_use]
    #[inline]
    pub fn answer(&self, wanted: &Transaction) -> usize {
        if self.queues == 1 {
            return 0;
        }
        match self.how {
            Steering::Same => self.request(wanted),
            Steering::Other => (self.request(wanted) + 1) % self.queues,
            Steering::Apart => self.queues - 1,
            Steering::Hash => Self::by_address(wanted.hop, self.queues),
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below the number of queues")]
    fn by_address(address: IpAddr, queues: usize) -> usize {
        let bits = match address {
            IpAddr::V4(address) => address.to_bits(),
            // Clients and routers differ in their last 32 bits.
            IpAddr::V6(address) => address.to_bits() as u32,
        };
        // 2^32 divided by the golden ratio: neighbours lie far apart.
        let hash = bits.wrapping_mul(0x9e37_79b9);
        ((u64::from(hash) * queues as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::scenario::Scenario;
    use std::path::Path;

    /// How often a pair of queues was chosen, of 100,000.
    fn pairs(how: Steering, queues: usize) -> Vec<Vec<u32>> {
        let text = "about = \"x\"\nfamily = \"mixed\"";
        let plan = Plan::new(&Scenario::parse(Path::new("x"), text).unwrap());
        let steer = Steer::new(how, queues);
        let mut pairs = vec![vec![0; queues]; queues];
        for wanted in (100_000..200_000).filter_map(|number| plan.transaction(number)) {
            pairs[steer.request(&wanted)][steer.answer(&wanted)] += 1;
        }
        pairs
    }

    #[test]
    fn same_and_other_are_what_they_say() {
        for queues in [2, 3, 16] {
            let (same, other) = (pairs(Steering::Same, queues), pairs(Steering::Other, queues));
            for request in 0..queues {
                for answer in 0..queues {
                    assert_eq!(same[request][answer] > 0, request == answer);
                    assert_eq!(other[request][answer] > 0, (request + 1) % queues == answer);
                }
            }
        }
    }

    #[test]
    fn no_request_goes_by_the_queue_of_answers_apart() {
        for queues in [2, 3, 16] {
            let apart = pairs(Steering::Apart, queues);
            for (request, answers) in apart.iter().enumerate() {
                let all: u32 = answers.iter().sum();
                assert_eq!((all > 0, answers[queues - 1]), (request < queues - 1, all));
            }
        }
        assert_eq!(Steer::new(Steering::Apart, 1).asking(), 1);
    }

    #[test]
    fn hashes_fill_all_pairs_evenly_and_one_queue_is_no_choice() {
        for count in pairs(Steering::Hash, 4).concat() {
            assert!((4_000..9_000).contains(&count), "{count}");
        }
        assert!(pairs(Steering::Other, 1)[0][0] > 99_000);
    }
}
