//! Routing loops: routers that send packets round and round.

use std::net::IpAddr;

use otherhalf_client::Hop;

use crate::words::count;

/// A loop that `hops` end in, as words that follow a sentence on how they end; empty if there is none.
///
/// The last answers must go twice round through the same two routers or more. One router alone at every hop is a filter rather
/// than a loop.
pub(crate) fn words(hops: &[Hop]) -> String {
    let last = hops.iter().rposition(Hop::is_answered).map_or(0, |last| last + 1);
    let hops = hops.get(..last).unwrap_or_default();
    let is_same = |one: &Hop, other: &Hop| {
        let others = other.addresses();
        one.addresses().iter().any(|address| others.contains(address))
    };
    let back = |round: usize| {
        // How many hops in a row, from the last one back, are the same as those a round before.
        let pairs = hops.iter().rev().zip(hops.iter().rev().skip(round));
        pairs.take_while(|(late, early)| is_same(late, early)).count()
    };
    let is_loop = |round: &usize| {
        let ring = hops.iter().rev().take(*round);
        let distinct = ring.clone().zip(ring.skip(1)).any(|(one, other)| !is_same(one, other));
        distinct && back(*round) >= *round
    };
    let Some(round) = (2..=hops.len() / 2).find(is_loop) else { return String::new() };
    let first = hops.len() - back(round) - round;
    let ring = hops.get(first..first + round).unwrap_or_default();
    let routers: Vec<IpAddr> =
        ring.iter().filter_map(|hop| hop.addresses().first().copied()).collect();
    let names: Vec<_> = routers.iter().map(ToString::to_string).collect();
    let ttl = ring.first().map_or(0, |hop| hop.ttl().get());
    format!(
        "; it is a routing loop: from hop {ttl} on, packets go round through {} ({})",
        count(u64::try_from(round).unwrap_or(u64::MAX), "router"),
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::words;
    use crate::lines::tests::{answered, hop_of};

    fn of(last: &[u8]) -> String {
        let hop = |(ttl, last): (u8, &u8)| match last {
            0 => hop_of(ttl, Vec::new()),
            last => hop_of(ttl, vec![answered(*last, 1000, None)]),
        };
        words(&(1u8..).zip(last).map(hop).collect::<Vec<_>>())
    }

    #[test]
    fn a_loop_is_twice_round() {
        let two = "; it is a routing loop: from hop 2 on, packets go round through 2 routers (192.0.2.2, 192.0.2.3)";
        for hops in [&[1, 2, 3, 2, 3][..], &[1, 2, 3, 2, 3, 2], &[1, 2, 3, 2, 3, 2, 3, 0, 0]] {
            assert_eq!(of(hops), two, "{hops:?}");
        }
        assert!(of(&[1, 2, 3, 4, 2, 3, 4]).contains("from hop 2 on, packets go round through 3"));
        for hops in [
            &[][..],
            &[0, 0],
            &[1, 2, 3],
            &[1, 2, 3, 2],
            &[1, 2, 2, 2, 2, 2],
            &[2, 3, 2, 3, 4],
            &[2, 3, 0, 2, 3],
        ] {
            assert_eq!(of(hops), "", "{hops:?}");
        }
    }
}
