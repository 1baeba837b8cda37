//! Sets of prefixes against a search that looks at each.

#![allow(clippy::cast_possible_truncation, reason = "a remainder of 3 is small")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use otherhalf_policy::Prefixes;
use proptest::prelude::*;

/// What `entries` say of `address`: the longest that holds it, of equal ones the greatest value.
fn search(default: u8, entries: &[(IpNet, u8)], address: IpAddr) -> u8 {
    let holding = entries.iter().filter(|(prefix, _)| prefix.contains(&address));
    let best = holding.max_by_key(|(prefix, value)| (prefix.prefix_len(), *value));
    best.map_or(default, |(_, value)| *value)
}

/// All places where something may change: the ends of each prefix, what is beside them, and the ends of the space.
fn edges(entries: &[(IpNet, u8)]) -> Vec<IpAddr> {
    let v4 = |bits: u32| IpAddr::V4(Ipv4Addr::from_bits(bits));
    let v6 = |bits: u128| IpAddr::V6(Ipv6Addr::from_bits(bits));
    let mut edges = vec![v4(0), v4(u32::MAX), v6(0), v6(u128::MAX)];
    for (prefix, _) in entries {
        match prefix {
            IpNet::V4(net) => {
                let (low, high) = (net.network().to_bits(), net.broadcast().to_bits());
                edges.extend([low, high, low.wrapping_sub(1), high.wrapping_add(1)].map(v4));
            }
            IpNet::V6(net) => {
                let (low, high) = (net.network().to_bits(), net.broadcast().to_bits());
                edges.extend([low, high, low.wrapping_sub(1), high.wrapping_add(1)].map(v6));
            }
        }
    }
    edges
}

/// Asks for all [edges], and for `others`.
fn compare(default: u8, entries: &[(IpNet, u8)], others: &[IpAddr]) {
    let set = Prefixes::new(default, entries.iter().copied());
    for address in edges(entries).iter().chain(others).copied() {
        assert_eq!(set.get(address), search(default, entries, address), "{address} of {entries:?}");
    }
    let mut distinct: Vec<IpNet> = entries.iter().map(|(prefix, _)| prefix.trunc()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(set.len(), distinct.len());
    assert_eq!(set.is_empty(), distinct.is_empty());
}

/// Mostly near to each other, so that they hold each other and meet; else anywhere.
fn prefix_v4() -> impl Strategy<Value = IpNet> {
    let near = 0_u32..64;
    let blocks = near.clone().prop_map(|block| block << 12);
    let bits = prop_oneof![any::<u32>(), near.clone(), near.prop_map(|low| !low), blocks];
    (bits, 0_u8..=32)
        .prop_map(|(bits, len)| Ipv4Net::new(Ipv4Addr::from_bits(bits), len).unwrap().into())
}

fn prefix_v6() -> impl Strategy<Value = IpNet> {
    let near = 0_u128..64;
    let blocks = near.clone().prop_map(|block| block << 90);
    let bits = prop_oneof![any::<u128>(), near.clone(), near.prop_map(|low| !low), blocks];
    (bits, 0_u8..=128)
        .prop_map(|(bits, len)| Ipv6Net::new(Ipv6Addr::from_bits(bits), len).unwrap().into())
}

proptest! {
    #[test]
    fn the_longest_prefix_decides(
        default in 0_u8..4,
        entries in prop::collection::vec((prop_oneof![prefix_v4(), prefix_v6()], 0_u8..4), 0..400),
        v4 in any::<[u32; 16]>(),
        v6 in any::<[u128; 16]>(),
    ) {
        let v4 = v4.into_iter().map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
        let v6 = v6.into_iter().map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
        compare(default, &entries, &v4.chain(v6).collect::<Vec<_>>());
    }
}

proptest! {
    #[test]
    fn two_sets_joined_say_what_each_says(
        one in prop::collection::vec((prop_oneof![prefix_v4(), prefix_v6()], 0_u8..4), 0..50),
        other in prop::collection::vec((prop_oneof![prefix_v4(), prefix_v6()], 0_u8..4), 0..50),
        v4 in any::<[u32; 8]>(),
        v6 in any::<[u128; 8]>(),
    ) {
        let join = |one: u8, other: u8| one | other << 4;
        let both = Prefixes::joined(one.iter().copied(), other.iter().copied(), join);
        let v4 = v4.into_iter().map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
        let v6 = v6.into_iter().map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
        for address in v4.chain(v6).chain(edges(&one)).chain(edges(&other)) {
            let [one, other] = [&one, &other].map(|entries| search(0, entries, address));
            assert_eq!(both.get(address), join(one, other), "{address}");
        }
    }
}

fn entries(texts: &[(&str, u8)]) -> Vec<(IpNet, u8)> {
    texts.iter().map(|(text, value)| (text.parse().unwrap(), *value)).collect()
}

#[test]
fn the_edges_of_both_families() {
    compare(7, &[], &[]);
    compare(0, &entries(&[("0.0.0.0/0", 1), ("::/0", 2)]), &[]);
    compare(0, &entries(&[("0.0.0.0/32", 1), ("::/128", 2)]), &[]);
    let highest = [("255.255.255.255/32", 1), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 2)];
    compare(0, &entries(&highest), &[]);
    let twice =
        [("192.0.2.0/24", 1), ("192.0.2.0/24", 3), ("192.0.2.0/24", 2), ("192.0.2.9/24", 1)];
    compare(0, &entries(&twice), &[]);
    // One that says nothing new, one that gives back what the outer took away, and one that fills it.
    let nested = [
        ("192.0.2.0/24", 1),
        ("192.0.2.0/25", 1),
        ("192.0.2.128/25", 0),
        ("192.0.2.128/26", 1),
        ("192.0.2.192/26", 2),
    ];
    compare(0, &entries(&nested), &[]);
}

/// The tree's levels fill up at these numbers of keys, and one more begins another.
#[test]
fn trees_of_all_heights() {
    for count in [1_u32, 4, 5, 16, 17, 20, 21, 100, 101, 272, 273, 5000] {
        let v4 = (0..count).map(|n| (Ipv4Addr::from_bits(n << 12 | 1 << 11), (n % 3) as u8));
        let v6 = (0..count).map(|n| (Ipv6Addr::from_bits(u128::from(n) << 100), (n % 3) as u8));
        let v4 = v4.map(|(address, value)| (IpNet::new(address.into(), 21).unwrap(), value));
        let v6 = v6.map(|(address, value)| (IpNet::new(address.into(), 28).unwrap(), value));
        let entries: Vec<_> = v4.chain(v6).collect();
        if count < 300 {
            compare(9, &entries, &[]);
        } else {
            let set = Prefixes::new(9, entries.iter().copied());
            for (prefix, value) in &entries {
                assert_eq!(set.get(prefix.network()), *value, "{prefix}");
                assert_eq!(set.get(prefix.broadcast()), *value, "{prefix}");
            }
        }
    }
}

#[test]
fn asking_allocates_nothing() {
    let set = Prefixes::new(0, entries(&[("192.0.2.0/24", 1), ("2001:db8::/32", 2)]));
    let addresses: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
    let mut sum = 0;
    let counted = allocation_counter::measure(|| {
        sum = addresses.iter().map(|address| set.get(*address)).sum();
    });
    assert_eq!((sum, counted.count_total), (3, 0));
}
