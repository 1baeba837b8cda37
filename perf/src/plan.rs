//! The transactions of a scenario, each known by its number alone.
//!
//! Number `n` is asked by client `n mod clients` under the identifier `n / clients mod 65536`; protocol,
//! TTL, flow and the router that answers follow from a hash of `n`. So nothing about a transaction has
//! to be kept to verify it, and two that are mixed up anywhere differ in what is verified.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

use crate::addresses;
use crate::scenario::{Families, Scenario};

/// 2^64 divided by the golden ratio: its multiples are spread evenly, so shares are exact soon.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// An odd number (the second constant of `SplitMix64`'s finalizer), for other bits.
const OTHER: u64 = 0x94d0_49bb_1331_11eb;

/// One transaction: what is asked, and who will answer the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// The client's family.
    pub family: Family,
    /// The client's index.
    pub client: u32,
    /// The request's identifier, which is the probe's too.
    pub identifier: u16,
    /// The probe's protocol.
    pub protocol: Protocol,
    /// The probe's TTL.
    pub ttl: u8,
    /// The probe's flow.
    pub flow: u16,
    /// Whether the probe reaches the client, which answers itself.
    pub reached: bool,
    /// Who answers.
    pub hop: IpAddr,
}

/// All transactions of a scenario.
#[derive(Debug, Clone)]
pub struct Plan {
    family: Families,
    clients_log2: u32,
    protocols: ArrayVec<Protocol, 3>,
    ttl: Evenly,
    flows: Evenly,
    target_at: Option<u8>,
}

/// Numbers from `first` on.
#[derive(Debug, Clone, Copy)]
struct Evenly {
    first: u16,
    count: u64,
}

impl Evenly {
    fn over(first: u16, last: u16) -> Self {
        Self { first, count: u64::from(last - first) + 1 }
    }

    /// One of the numbers, chosen by 16 bits.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below the count, which is at most 2^16")]
    const fn pick(self, bits: u64) -> u16 {
        self.first + (((bits & 0xffff) * self.count) >> 16) as u16
    }
}

impl Plan {
    /// The transactions of `scenario`.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            family: scenario.family,
            clients_log2: scenario.clients.trailing_zeros(),
            protocols: scenario.protocols.iter().map(|name| Protocol::from(*name)).collect(),
            ttl: Evenly::over(scenario.ttl[0].into(), scenario.ttl[1].into()),
            flows: Evenly::over(scenario.flows[0], scenario.flows[1]),
            target_at: scenario.target_at,
        }
    }

    /// How many transactions can be told apart by client and identifier: a power of two.
    #[must_use]
    pub const fn span(&self) -> u64 {
        1 << (self.clients_log2 + 16)
    }

    /// What of its number, modulo [`span`](Self::span), client and identifier tell.
    #[must_use]
    #[inline]
    pub fn position(&self, client: u32, identifier: u16) -> u64 {
        u64::from(identifier) << self.clients_log2 | u64::from(client)
    }

    /// Transaction `number`. `None` for the few that can't be: a UDP probe can't have the identifier 0.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "bits are picked")]
    pub fn transaction(&self, number: u64) -> Option<Transaction> {
        let client = (number & ((1 << self.clients_log2) - 1)) as u32;
        let identifier = (number >> self.clients_log2) as u16;
        let bits = number.wrapping_mul(GOLDEN);
        let place = Evenly { first: 0, count: self.protocols.len() as u64 }.pick(bits >> 48);
        let protocol = *self.protocols.get(usize::from(place))?;
        if protocol == Protocol::Udp && identifier == 0 {
            return None;
        }
        let family = match self.family {
            Families::V4 => Family::V4,
            Families::Mixed if client & 1 == 0 => Family::V4,
            Families::V6 | Families::Mixed => Family::V6,
        };
        let ttl = self.ttl.pick(bits >> 32) as u8;
        let reached = self.target_at.is_some_and(|target| ttl >= target);
        let hop = if reached {
            addresses::client(family, client)
        } else {
            addresses::hop(family, (number.wrapping_mul(OTHER) >> 32) as u32)
        };
        let flow = self.flows.pick(bits >> 16);
        Some(Transaction { family, client, identifier, protocol, ttl, flow, reached, hop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::path::Path;

    fn plan(keys: &str) -> Plan {
        let text = format!("about = \"test\"\n{keys}");
        Plan::new(&Scenario::parse(Path::new("test"), &text).unwrap())
    }

    #[test]
    fn client_and_identifier_tell_the_position() {
        let plan = plan("clients = 8\nprotocols = [\"icmp\"]");
        assert_eq!(plan.span(), 8 * 65536);
        for number in (0..5_000_000u64).step_by(997) {
            let one = plan.transaction(number).unwrap();
            assert_eq!(plan.position(one.client, one.identifier), number % plan.span());
        }
    }

    #[test]
    fn shares_are_even_and_within_their_ranges() {
        let plan = plan(
            "clients = 64\nfamily = \"mixed\"\nttl = [1, 8]\ntarget_at = 8\nflows = [100, 103]",
        );
        let mut counts: HashMap<(Family, Protocol, u8, u16), u32> = HashMap::new();
        let mut total = 0u32;
        for number in 64..1_000_064 {
            let Some(one) = plan.transaction(number) else { continue };
            assert_eq!(one.reached, one.ttl == 8);
            assert_eq!(one.reached, one.hop == addresses::client(one.family, one.client));
            *counts.entry((one.family, one.protocol, one.ttl, one.flow)).or_default() += 1;
            total += 1;
        }
        assert_eq!(counts.len(), 2 * 3 * 8 * 4);
        let even = f64::from(total) / f64::from(2 * 3 * 8 * 4);
        for (what, count) in counts {
            assert!((f64::from(count) / even - 1.0).abs() < 0.1, "{what:?} {count}");
        }
    }

    #[test]
    fn no_udp_probe_is_asked_for_under_the_identifier_0() {
        let plan = plan("clients = 4\nprotocols = [\"udp\"]");
        assert!((0..4).all(|number| plan.transaction(number).is_none()));
        assert!((4..plan.span()).step_by(13).all(|number| plan.transaction(number).is_some()));
    }
}
