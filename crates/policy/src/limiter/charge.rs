//! Which buckets a probe is charged to.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whose buckets a probe takes a token of: those of an address, and of the `NARROW` - 1 prefixes that lie in its line. A type for each
/// family, so that a processor finds a straight way for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge<const NARROW: usize> {
    /// Chooses the line.
    pub(super) line: u64,
    /// The two cells in it of the address, then of each prefix, longest first.
    pub(super) narrow: [[u8; 2]; NARROW],
    /// Those of the prefix for TCP probes, if it is one.
    pub(super) syn: Option<[u8; 2]>,
    /// The cell of the prefix that is wider than a line's.
    pub(super) wide: u16,
}

/// Kinds of buckets in a line of IPv4: /32 and /24.
const V4: usize = 2;
/// The same of IPv6: /128, /64 and /48.
const V6: usize = 3;

impl<const NARROW: usize> Charge<NARROW> {
    /// Whether the family is IPv6.
    pub(super) const V6: bool = NARROW == V6;
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
            narrow: [two_of::<0, 8>(own), two_of::<8, 4>(hash >> 32)],
            syn: syn.then(|| two_of::<12, 4>(mix(hash, 1 << 32))),
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
            narrow: [two_of::<0, 6>(own), two_of::<6, 5>(subnet), two_of::<11, 2>(hash >> 32)],
            syn: syn.then(|| two_of::<13, 3>(mix(hash, 1 << 32))),
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
    let other = one.wrapping_add(1).wrapping_add(scale(bits >> 16, N.wrapping_sub(1)));
    let other = if other >= N { other.wrapping_sub(N) } else { other };
    [START.wrapping_add(one), START.wrapping_add(other)]
}

/// Bits of `a`, which are keyed, and of `b`: a multiplication folded, whose result tells neither.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
pub(super) const fn mix(a: u64, b: u64) -> u64 {
    let (a, b) = (a ^ 0x9e37_79b9_7f4a_7c15, b ^ a.rotate_left(32));
    let product = (a as u128).wrapping_mul(b as u128);
    (product >> 64) as u64 ^ product as u64
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
        check::<6, 5>();
        check::<11, 2>();
        check::<13, 3>();
    }

    #[test]
    fn tcp_alone_is_charged_as_tcp() {
        let address = Ipv4Addr::new(203, 0, 113, 7);
        assert_eq!(Charge::v4(address, 5, false).syn, None);
        let syn = Charge::v4(address, 5, true).syn.unwrap();
        assert!(syn.iter().all(|cell| (12..16).contains(cell)), "{syn:?}");
    }
}
