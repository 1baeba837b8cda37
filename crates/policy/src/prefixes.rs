//! Sets of prefixes with a small value each; of those that hold an address, the longest decides.
//!
//! Prefixes of a family are flattened into ranges, of which each has one value, and the range of an address is found in a
//! tree of their first addresses (`tree.rs`). So the memory is bounded by the number of prefixes, whatever their lengths, and a
//! look-up takes the same steps for every address: nobody can choose one that is slow. Where no prefix is near, a filter of
//! a few bits says so before (`filter.rs`). Why not a trie:
//! [ADR 0031](../../../docs/adr/0031-prefixes-are-ranges-in-a-tree.md).

mod filter;
mod ranges;
mod tree;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use filter::{Filter, Noted};
use ranges::{Ranges, Span};
use tree::Tree;

/// Keys of a node for IPv4: a cache line.
const V4: usize = 16;
/// The same for IPv6.
const V6: usize = 4;

/// The ranges of both families.
struct Both {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl Both {
    fn new(default: u8, entries: impl IntoIterator<Item = (IpNet, u8)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (prefix, value) in entries {
            match prefix {
                IpNet::V4(net) => {
                    let (start, end) = (net.network().to_bits(), net.broadcast().to_bits());
                    v4.push(Span { start, end, value });
                }
                IpNet::V6(net) => {
                    let (start, end) = (net.network().to_bits(), net.broadcast().to_bits());
                    v6.push(Span { start, end, value });
                }
            }
        }
        Self { v4: Ranges::new(default, v4), v6: Ranges::new(default, v6) }
    }
}

/// What is known of addresses by their prefixes. Never changed, only made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefixes {
    v4: Tree<u32, V4>,
    v6: Tree<u128, V6>,
    filter_v4: Filter,
    filter_v6: Filter,
    count: usize,
}

impl Default for Prefixes {
    /// No prefix, and 0 for every address.
    fn default() -> Self {
        Self::new(0, [])
    }
}

impl Prefixes {
    /// The value of each of `entries` for its prefix, and `default` for all other addresses. Bits behind a prefix's length do not
    /// matter. Of equal prefixes, the greatest value is taken.
    #[must_use]
    pub fn new(default: u8, entries: impl IntoIterator<Item = (IpNet, u8)>) -> Self {
        let Both { v4, v6 } = Both::new(default, entries);
        Self::of(default, v4, v6)
    }

    /// What two sets say together, for the price of one look-up: `join` of the values that an address has by each, all others having 0.
    #[must_use]
    pub fn joined(
        one: impl IntoIterator<Item = (IpNet, u8)>,
        other: impl IntoIterator<Item = (IpNet, u8)>,
        join: impl Fn(u8, u8) -> u8,
    ) -> Self {
        let (one, other) = (Both::new(0, one), Both::new(0, other));
        let (v4, v6) = (one.v4.joined(&other.v4, &join), one.v6.joined(&other.v6, &join));
        Self::of(join(0, 0), v4, v6)
    }

    fn of(default: u8, v4: Ranges<u32>, v6: Ranges<u128>) -> Self {
        let count = v4.prefixes.saturating_add(v6.prefixes);
        let (filter_v4, filter_v6) = (Filter::new(default, &v4), Filter::new(default, &v6));
        Self { v4: Tree::new(v4), v6: Tree::new(v6), filter_v4, filter_v6, count }
    }

    /// What is known of `address`.
    #[must_use]
    #[inline]
    pub fn get(&self, address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(v4) => self.v4(v4),
            IpAddr::V6(v6) => self.v6(v6),
        }
    }

    /// What is known of `address`.
    #[must_use]
    #[inline]
    pub fn v4(&self, address: Ipv4Addr) -> u8 {
        let address = address.to_bits();
        self.filter_v4.far(address).unwrap_or_else(|noted| self.near_v4(address, noted))
    }

    /// What is known of `address`.
    #[must_use]
    #[inline]
    pub fn v6(&self, address: Ipv6Addr) -> u8 {
        let address = address.to_bits();
        self.filter_v6.far(address).unwrap_or_else(|noted| self.near_v6(address, noted))
    }

    /// The same where a prefix may be near. Called, not inlined: most addresses need none of its registers.
    #[inline(never)]
    fn near_v4(&self, address: u32, noted: Noted) -> u8 {
        self.filter_v4.unmarked(address, noted).unwrap_or_else(|| self.v4.get(address))
    }

    /// The same.
    #[inline(never)]
    fn near_v6(&self, address: u128, noted: Noted) -> u8 {
        self.filter_v6.unmarked(address, noted).unwrap_or_else(|| self.v6.get(address))
    }

    /// How many prefixes there are, equal ones of a set counted once.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes that it takes besides itself.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let filters = self.filter_v4.bytes().saturating_add(self.filter_v6.bytes());
        self.v4.bytes().saturating_add(self.v6.bytes()).saturating_add(filters)
    }
}
