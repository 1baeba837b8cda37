//! What could answer for prefixes, measured side by side: the figures of docs/adr/0031 come from here.
//!
//! `cargo run --release -p otherhalf-policy --example candidates [PREFIXES]`

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "random bits are cut on purpose, and figures are shown with three digits"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use ip_network_table_deps_treebitmap::IpLookupTable;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use otherhalf_policy::Prefixes;
use otherhalf_policy::list::List;
use prefix_trie::PrefixMap;

/// Addresses asked for, over and over: more than a cache holds.
const ASKED: usize = 1 << 20;

/// `SplitMix64` (Steele, Lea, Flood 2014): the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, range: usize) -> usize {
        (self.next() >> 16) as usize % range
    }

    fn value(&mut self) -> u8 {
        (self.next() % 3) as u8
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

/// Where prefixes lie and how long they are.
#[derive(Clone, Copy)]
enum Shape {
    /// Anywhere; 8 to 32 bits, 16 to 64 bits.
    Anywhere,
    /// Hosts: /32 and /128, in a few thousand networks as who floods has them.
    Hosts,
}

fn v4(count: usize, shape: Shape) -> Vec<(Ipv4Net, u8)> {
    let mut random = Random(4);
    let mut one = || {
        let bits = random.next() as u32;
        let (bits, len) = match shape {
            Shape::Anywhere => (bits, [8, 16, 20, 24, 24, 24, 28, 32][random.below(8)]),
            Shape::Hosts => (bits & 0x0fff_ffff, 32),
        };
        (Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), len).trunc(), random.value())
    };
    (0..count).map(|_| one()).collect()
}

fn v6(count: usize, shape: Shape) -> Vec<(Ipv6Net, u8)> {
    let mut random = Random(6);
    let mut one = || {
        let bits = 1 << 125 | random.wide() >> 3;
        let (bits, len) = match shape {
            Shape::Anywhere => (bits, [16, 29, 32, 40, 48, 48, 56, 64][random.below(8)]),
            Shape::Hosts => (bits & !(0xffff << 64) | 0xdb8 << 96, 128),
        };
        (Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), len).trunc(), random.value())
    };
    (0..count).map(|_| one()).collect()
}

/// Half anywhere, half within the prefixes.
fn asked<A>(
    within: impl Fn(usize) -> A,
    anywhere: impl Fn(&mut Random) -> A,
    count: usize,
) -> Vec<A> {
    let mut random = Random(99);
    let mut one = || {
        if random.next() & 1 == 0 { anywhere(&mut random) } else { within(random.below(count)) }
    };
    (0..ASKED).map(|_| one()).collect()
}

/// Resident memory of this process, in bytes (Linux).
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Makes a set by `make`, asks it by `ask`, and prints a line. Returns the sum of what it said.
fn measure<S, A: Copy>(
    name: &str,
    make: impl FnOnce() -> S,
    addresses: &[A],
    ask: impl Fn(&S, A) -> u8,
) -> u64 {
    let before = resident();
    let start = Instant::now();
    let set = make();
    let took = start.elapsed();
    let memory = resident().saturating_sub(before);
    let sum = addresses.iter().map(|address| u64::from(ask(&set, *address))).sum();
    // The best of some rounds: the machine may have others.
    let rounds = (0..7).map(|_| {
        let start = Instant::now();
        for address in addresses {
            black_box(ask(&set, black_box(*address)));
        }
        start.elapsed()
    });
    let best = rounds.min().unwrap_or_default().as_secs_f64() / addresses.len() as f64;
    println!(
        "{name:<28} made {:>6.0} ms   {:>6.1} MiB   {:>6.1} ns a look-up   {:>6.1} million/s",
        took.as_secs_f64() * 1e3,
        memory as f64 / f64::from(1 << 20),
        best * 1e9,
        1e-6 / best
    );
    sum
}

/// DIR-24-8 (Gupta, Lin and `McKeown` 1998), as in DPDK's `rte_fib`: a table of all /24, and one of 256 hosts for each that needs it.
struct Direct {
    networks: Vec<u32>,
    hosts: Vec<[u8; 256]>,
}

impl Direct {
    /// Says that what follows is the place of a table of hosts.
    const LONGER: u32 = 1 << 31;

    fn new(distinct: &HashMap<Ipv4Net, u8>) -> Self {
        let mut nets: Vec<_> = distinct.iter().collect();
        nets.sort_unstable_by_key(|(net, _)| net.prefix_len());
        let mut made = Self { networks: vec![0; 1 << 24], hosts: Vec::new() };
        for (net, value) in nets {
            let (low, high) = (net.network().to_bits(), net.broadcast().to_bits());
            let (first, last) = ((low >> 8) as usize, (high >> 8) as usize);
            if net.prefix_len() <= 24 {
                made.networks[first..=last].fill((*value).into());
                continue;
            }
            let network = &mut made.networks[first];
            if *network & Self::LONGER == 0 {
                made.hosts.push([*network as u8; 256]);
                *network = Self::LONGER | (made.hosts.len() - 1) as u32;
            }
            let hosts = &mut made.hosts[(*network & !Self::LONGER) as usize];
            hosts[(low & 255) as usize..=(high & 255) as usize].fill(*value);
        }
        made
    }

    fn get(&self, address: Ipv4Addr) -> u8 {
        let network = self.networks[(address.to_bits() >> 8) as usize];
        if network & Self::LONGER == 0 {
            return network as u8;
        }
        self.hosts[(network & !Self::LONGER) as usize][(address.to_bits() & 255) as usize]
    }
}

fn main() {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    read_a_list(count);
    for (name, shape) in [("anywhere", Shape::Anywhere), ("hosts", Shape::Hosts)] {
        println!("IPv4, {count} prefixes, {name}");
        let nets = v4(count, shape);
        let distinct: HashMap<Ipv4Net, u8> = greatest(&nets);
        let addresses = asked(
            |place| nets[place].0.broadcast(),
            |random| Ipv4Addr::from_bits(random.next() as u32),
            count,
        );
        let ours = measure(
            "ranges in a tree (ours)",
            || Prefixes::new(0, nets.iter().map(|(net, value)| (IpNet::V4(*net), *value))),
            &addresses,
            |set: &Prefixes, address| Prefixes::v4(set, address),
        );
        let trie = measure(
            "prefix-trie",
            || distinct.iter().map(|(net, value)| (*net, *value)).collect::<PrefixMap<_, _>>(),
            &addresses,
            |map, address| map.get_lpm(&Ipv4Net::from(address)).map_or(0, |(_, value)| *value),
        );
        let bitmap = measure(
            "treebitmap",
            || {
                let mut table = IpLookupTable::new();
                for (net, value) in &distinct {
                    table.insert(net.network(), net.prefix_len().into(), *value);
                }
                table
            },
            &addresses,
            |table, address| table.longest_match(address).map_or(0, |(_, _, value)| *value),
        );
        let direct = measure(
            "DIR-24-8",
            || Direct::new(&distinct),
            &addresses,
            |set: &Direct, address| Direct::get(set, address),
        );
        let all = [ours, trie, bitmap, direct];
        assert!(all.iter().all(|sum| *sum == ours), "they disagree: {all:?}");
        println!("IPv6, {count} prefixes, {name}");
        let nets = v6(count, shape);
        let distinct: HashMap<Ipv6Net, u8> = greatest(&nets);
        let addresses = asked(
            |place| nets[place].0.broadcast(),
            |random| Ipv6Addr::from_bits(1 << 125 | random.wide() >> 3),
            count,
        );
        let ours = measure(
            "ranges in a tree (ours)",
            || Prefixes::new(0, nets.iter().map(|(net, value)| (IpNet::V6(*net), *value))),
            &addresses,
            |set: &Prefixes, address| Prefixes::v6(set, address),
        );
        let trie = measure(
            "prefix-trie",
            || distinct.iter().map(|(net, value)| (*net, *value)).collect::<PrefixMap<_, _>>(),
            &addresses,
            |map, address| map.get_lpm(&Ipv6Net::from(address)).map_or(0, |(_, value)| *value),
        );
        let bitmap = measure(
            "treebitmap",
            || {
                let mut table = IpLookupTable::new();
                for (net, value) in &distinct {
                    table.insert(net.network(), net.prefix_len().into(), *value);
                }
                table
            },
            &addresses,
            |table, address| table.longest_match(address).map_or(0, |(_, _, value)| *value),
        );
        let all = [ours, trie, bitmap];
        assert!(all.iter().all(|sum| *sum == ours), "they disagree: {all:?}");
    }
}

/// How long a list of `count` prefixes, half of each family, takes from its text to the set.
fn read_a_list(count: usize) {
    let half = count / 2;
    let v4 = v4(half, Shape::Anywhere).into_iter().map(|(net, _)| format!("{net}\n"));
    let v6 = v6(half, Shape::Anywhere).into_iter().map(|(net, _)| format!("{net}\n"));
    let text: String = v4.chain(v6).collect();
    let start = Instant::now();
    let list = List::read(&text, 1);
    let read = start.elapsed();
    assert!(list.wrong == 0, "{:?}", list.mistakes);
    let set = Prefixes::new(0, list.entries.iter().map(|entry| (entry.prefix, 1)));
    println!(
        "a list of {count} lines, {} MiB: read in {:.0} ms, a set of {} prefixes after {:.0} ms",
        text.len() >> 20,
        read.as_secs_f64() * 1e3,
        set.len(),
        start.elapsed().as_secs_f64() * 1e3
    );
}

/// Each prefix once, with the greatest of its values.
fn greatest<P: std::hash::Hash + Eq + Copy>(nets: &[(P, u8)]) -> HashMap<P, u8> {
    let mut distinct = HashMap::new();
    for (net, value) in nets {
        let known = distinct.entry(*net).or_insert(0);
        *known = (*value).max(*known);
    }
    distinct
}
