//! Which addresses belong to one router.
//!
//! The two directions of a trace show a router by different addresses: each by that of the interface which the probe came in by,
//! mostly. To see that a router is on both ways, three things help: its interfaces' names; whether it answers for one address from
//! another; whether the packets of two addresses are numbered by one counter. The first costs nothing. For the others
//! a few datagrams are sent to each address of the trace, and to no others.

mod names;
mod sample;
pub mod counters;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub use names::router;
pub use sample::{Options, Told, sample};

use crate::document::{Evidence, Router, Technique};

/// Addresses asked at most: the rest of a longer list is judged by names alone.
pub const MOST: usize = 64;

/// What is known about which addresses belong together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aliases {
    evidence: Vec<Evidence>,
}

impl Aliases {
    /// By names: `name` gives that of an address, if it has one.
    #[must_use]
    pub fn by_name<'a>(addresses: &[IpAddr], name: impl Fn(IpAddr) -> Option<&'a str>) -> Self {
        let mut routers: BTreeMap<String, IpAddr> = BTreeMap::new();
        let mut aliases = Self::default();
        for address in addresses {
            let Some(name) = name(*address) else { continue };
            let router = router(name).unwrap_or_else(|| name.to_ascii_lowercase());
            let first = *routers.entry(router).or_insert(*address);
            aliases.add(first, *address, Technique::Name, None);
        }
        aliases
    }

    /// Adds what the answers of `addresses` tell, each in the same place of `told`.
    pub fn learn(&mut self, addresses: &[IpAddr], told: &[Told]) {
        let all: Vec<_> = addresses.iter().zip(told).collect();
        for (address, told) in &all {
            for by in &told.answered_by {
                // The quote shows that it was asked. A firewall that answers for hosts behind it looks the same.
                self.add(**address, *by, Technique::CommonSource, None);
            }
        }
        for (number, (a, of_a)) in all.iter().enumerate() {
            for (b, of_b) in all.iter().skip(number + 1) {
                let chance = counters::shared(&of_a.identifications, &of_b.identifications);
                if let Some(chance) = chance {
                    self.add(**a, **b, Technique::SharedCounter, Some(1.0 - chance));
                }
            }
        }
    }

    /// Whether both are addresses of one router, directly or by way of others.
    #[must_use]
    pub fn same(&self, a: IpAddr, b: IpAddr) -> bool {
        let mut group = vec![a];
        let mut next = 0;
        while let Some(of) = group.get(next).copied() {
            if of == b {
                return true;
            }
            next += 1;
            for [one, other] in self.evidence.iter().map(|evidence| evidence.between) {
                for (here, there) in [(one, other), (other, one)] {
                    if here == of && !group.contains(&there) {
                        group.push(there);
                    }
                }
            }
        }
        false
    }

    /// The routers with the evidence, by their first address.
    #[must_use]
    pub fn routers(&self) -> Vec<Router> {
        let mut routers: Vec<Router> = Vec::new();
        for evidence in &self.evidence {
            let [one, _] = evidence.between;
            let known = routers.iter_mut().find(|router| {
                router.addresses.first().is_some_and(|first| self.same(*first, one))
            });
            match known {
                Some(router) => {
                    router.addresses.extend(evidence.between);
                    router.evidence.push(evidence.clone());
                }
                None => routers.push(Router {
                    addresses: evidence.between.to_vec(),
                    evidence: vec![evidence.clone()],
                }),
            }
        }
        for router in &mut routers {
            router.addresses.sort_unstable();
            router.addresses.dedup();
        }
        routers.sort_by(|a, b| a.addresses.cmp(&b.addresses));
        routers
    }

    fn add(&mut self, a: IpAddr, b: IpAddr, technique: Technique, confidence: Option<f64>) {
        if a != b {
            self.evidence.push(Evidence { between: [a, b], technique, confidence });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn names_tie_together_what_differs_in_the_interface_alone() {
        let addresses: Vec<IpAddr> = (1..=6).map(address).collect();
        let names = [
            "ae1.cr2.ams.example.net",
            "xe-0-0-1.CR2.ams.example.net",
            "ae1.cr3.ams.example.net",
            "R1",
            "r1",
        ];
        let name = |of: IpAddr| {
            let place = addresses.iter().position(|known| *known == of)?;
            names.get(place).copied()
        };
        let aliases = Aliases::by_name(&addresses, name);
        assert!(aliases.same(address(1), address(2)) && aliases.same(address(5), address(4)));
        assert!(!aliases.same(address(1), address(3)) && !aliases.same(address(3), address(6)));
        let routers = aliases.routers();
        assert_eq!(routers.len(), 2);
        assert_eq!(routers[0].addresses, [address(1), address(2)]);
        assert_eq!(routers[0].evidence[0].technique, Technique::Name);
        assert_eq!(routers[0].evidence[0].confidence, None);
    }

    #[test]
    fn whoever_answers_for_two_is_the_router_of_both() {
        let mut aliases = Aliases::default();
        let told = |by: &[u8]| Told {
            answered_by: by.iter().map(|last| address(*last)).collect(),
            ..Told::default()
        };
        // 9 is in no trace; 3 answers for itself.
        aliases.learn(&[address(1), address(2), address(3)], &[told(&[9]), told(&[9]), told(&[3])]);
        assert!(aliases.same(address(1), address(2)) && aliases.same(address(9), address(1)));
        assert!(!aliases.same(address(1), address(3)));
        let routers = aliases.routers();
        assert_eq!(routers.len(), 1);
        assert_eq!(routers[0].addresses, [address(1), address(2), address(9)]);
        assert_eq!(routers[0].evidence.len(), 2);
    }

    #[test]
    fn one_counter_makes_one_router() {
        let told = |start: u16, offset: u64| Told {
            answered_by: Vec::new(),
            identifications: (0u16..8)
                .map(|turn| counters::Sample {
                    sent: Duration::from_millis(100 * u64::from(turn) + offset),
                    identification: start + 10 * turn,
                })
                .collect(),
        };
        let mut aliases = Aliases::default();
        let addresses = [address(1), address(2), address(3)];
        aliases.learn(&addresses, &[told(100, 0), told(104, 40), told(30_000, 60)]);
        assert!(aliases.same(address(1), address(2)));
        assert!(!aliases.same(address(1), address(3)) && !aliases.same(address(2), address(3)));
        let [evidence] = &aliases.routers()[0].evidence[..] else { panic!("one tie") };
        assert_eq!(evidence.technique, Technique::SharedCounter);
        assert_eq!(evidence.confidence, Some(1.0 - 10.0 / 65536.0));
    }
}
