//! Which buckets a probe is charged to.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whose buckets a probe takes a token of: those of an address, and of the prefixes that lie in its line; `LONE` of these have one cell
/// alone. A type for each family, so that a processor finds a straight way for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge<const LONE: usize> {
    /// Chooses the line.
    pub(super) line: u64,
    /// The two cells in it of the address, and of its longest prefix.
    pub(super) pairs: [[u8; 2]; 2],
    /// Whether it is a TCP probe.
    pub(super) is_syn: bool,
    /// The cell of the prefix that is wider than a line's.
    pub(super) wide: u16,
}

/// Lone cells in a line of IPv4: none, the /24 that the line is of has two.
const V4: usize = 0;
/// The same of IPv6: that of the /48.
const V6: usize = 1;

impl<const LONE: usize> Charge<LONE> {
    /// Whether the family is IPv6.
    pub(super) const V6: bool = LONE == V6;
    /// The lone cells: there is nothing to choose.
    pub(super) const ALONE: [u8; LONE] = [12; LONE];

    /// The two cells of the prefix for TCP probes.
    #[inline]
    pub(super) const fn syn(&self) -> [u8; 2] {
        let bits = mix(self.line, 1 << 32);
        if Self::V6 { two_of::<13, 3>(bits) } else { two_of::<12, 4>(bits) }
    }
}

impl Charge<V4> {
    /// For a probe to `address`; `hash` are 64 keyed bits of its /24.
    #[must_use]
    #[inline]
    pub fn v4(address: Ipv4Addr, hash: u64, syn: bool) -> Self {
        let [high, low, ..] = address.octets();
        let own = mix(hash, u64::from(address.to_bits()));
        Self {
            line: hash,
            // A line is told by the lower bits of a hash.
            pairs: [two_of::<0, 8>(own), two_of::<8, 4>(hash >> 32)],
            is_syn: syn,
            wide: u16::from_be_bytes([high, low]),
        }
    }
}

impl Charge<V6> {
    /// For a probe to `address`; `hashes` are 64 keyed bits of its /48, and of its /32.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "any 16 bits of a hash do")]
    pub fn v6(address: Ipv6Addr, hashes: [u64; 2], syn: bool) -> Self {
        let [hash, wide] = hashes;
        let bits = address.to_bits();
        let (net, host) = ((bits >> 64) as u64, bits as u64);
        let subnet = mix(hash, net);
        let own = mix(subnet, host);
        Self {
            line: hash,
            pairs: [two_of::<0, 7>(own), two_of::<7, 5>(subnet)],
            is_syn: syn,
            wide: wide as u16,
        }
    }
}

/// Two of the `N` cells from `START` on, chosen by 32 bits: each of 16, scaled to how many there are to choose from.
#[inline(always)]
const fn two_of<const START: u8, const N: u8>(bits: u64) -> [u8; 2] {
    const fn scale(bits: u64, n: u8) -> u8 {
        ((bits & 0xffff).wrapping_mul(n as u64) >> 16) as u8
    }
    let one = scale(bits, N);
    let apart = scale(bits >> 16, N.wrapping_sub(1)).wrapping_add(1);
    let other = if N.is_power_of_two() {
        one ^ apart
    } else {
        let other = one.wrapping_add(apart);
        if other >= N { other.wrapping_sub(N) } else { other }
    };
    [START.wrapping_add(one), START.wrapping_add(other)]
}

/// Bits of `a`, which are keyed, and of `b`: a multiplication folded, whose result tells neither.
#[inline(always)]
pub(super) const fn mix(a: u64, b: u64) -> u64 {
    Keyed::by(a).mix(b)
}

/// Keyed bits as [`mix`] takes them, for those that many are mixed with.
#[derive(Clone, Copy)]
pub(super) struct Keyed {
    factor: u64,
    mask: u64,
}

impl Keyed {
    #[inline(always)]
    pub(super) const fn by(bits: u64) -> Self {
        Self { factor: bits ^ 0x9e37_79b9_7f4a_7c15, mask: bits.rotate_left(32) }
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
    pub(super) const fn mix(self, bits: u64) -> u64 {
        let product = (self.factor as u128).wrapping_mul((bits ^ self.mask) as u128);
        (product >> 64) as u64 ^ product as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pair of cells as often as any other, and never one cell twice.
    #[test]
    fn pairs_are_chosen_evenly() {
        fn check<const START: u8, const N: u8>() {
            let mut chosen = std::collections::HashMap::new();
            for one in 0..64_u64 {
                for other in 0..64_u64 {
                    let [a, b] = two_of::<START, N>(one << 10 | other << 26);
                    let all = START..START + N;
                    assert!(a != b && all.contains(&a) && all.contains(&b), "{a} {b} of {all:?}");
                    *chosen.entry([a, b]).or_insert(0_u32) += 1;
                }
            }
            let even = 4096 / (u32::from(N) * u32::from(N - 1));
            assert_eq!(chosen.len(), usize::from(N) * usize::from(N - 1));
            assert!(chosen.values().all(|n| n.abs_diff(even) * 5 <= even), "{even} {chosen:?}");
        }
        check::<0, 8>();
        check::<8, 4>();
        check::<0, 7>();
        check::<7, 5>();
        check::<13, 3>();
    }

    /// Each kind of bucket has cells that no other has.
    #[test]
    fn kinds_of_buckets_lie_apart() {
        for hash in (0..u64::MAX).step_by(usize::MAX / 1000) {
            let v4 = Charge::v4(Ipv4Addr::new(203, 0, 113, 7), hash, true);
            let v6 = Charge::v6(Ipv6Addr::LOCALHOST, [hash, 0], true);
            let [v4_own, v4_net] = v4.pairs;
            let [v6_own, v6_net] = v6.pairs;
            let lone = Charge::<V6>::ALONE;
            for (cells, all) in [
                (&v4_own[..], 0..8),
                (&v4_net, 8..12),
                (&v4.syn(), 12..16),
                (&v6_own, 0..7),
                (&v6_net, 7..12),
                (&lone, 12..13),
                (&v6.syn(), 13..16),
            ] {
                assert!(cells.iter().all(|cell| all.contains(cell)), "{cells:?} of {all:?}");
            }
        }
    }
}
