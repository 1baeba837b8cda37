//! Who floods come from: addresses that are nobody's of the simulated network, made up at random or in a row.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use otherhalf_wire::ethernet::Mac;
use otherhalf_wire::ip::Family;

/// Strangers that can be told by their number.
pub const NUMBERED: u32 = 1 << 16;
/// 32.0.0.0/3 has the numbered ones, spread over it, so that hardly two share a prefix.
const NUMBERED_V4: u32 = 0x2000_0000;
const SPREAD: u32 = 13;

/// Random numbers (`SplitMix64`): good enough for a flood, and the same in each run.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Those of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next.
    #[inline]
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// One below `limit`.
    #[inline]
    pub const fn below(&mut self, limit: u32) -> u32 {
        (((self.next() >> 32) * limit as u64) >> 32) as u32
    }

    /// Sixteen bits.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "bits are picked")]
    pub const fn word(&mut self) -> u16 {
        self.next() as u16
    }

    /// Fills `octets`.
    pub fn fill(&mut self, octets: &mut [u8]) {
        for chunk in octets.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    /// A hardware address of a station, made up locally.
    #[must_use]
    pub fn mac(&mut self) -> Mac {
        let mut octets = [2; 6];
        let (_, random) = octets.split_at_mut(1);
        random.copy_from_slice(self.next().to_le_bytes().split_at(5).0);
        Mac(octets)
    }

    /// An address that a host of the Internet might have.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "bits are picked")]
    pub fn address(&mut self, family: Family) -> IpAddr {
        loop {
            let bits = self.next();
            match family {
                Family::V4 => {
                    let address = Ipv4Addr::from_bits(bits as u32);
                    if plausible(address) {
                        return address.into();
                    }
                }
                // 2a00::/12
                Family::V6 => {
                    let high = 0x2a00 << 48 | bits >> 12;
                    return Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(self.next()))
                        .into();
                }
            }
        }
    }
}

/// Whether an address may be that of a host somewhere, and is none of the simulated network (RFC 6890).
const fn plausible(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// The address of the stranger of that number, below [`NUMBERED`].
#[must_use]
#[inline]
pub const fn numbered(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(NUMBERED_V4 | (number % NUMBERED) << SPREAD | 1)
}

/// The number of the stranger who has `address`; `None` if it is no such stranger's.
#[must_use]
#[inline]
pub const fn number_of(address: IpAddr) -> Option<u32> {
    let IpAddr::V4(address) = address else { return None };
    let number = (address.to_bits() ^ NUMBERED_V4 ^ 1) >> SPREAD;
    if number < NUMBERED && numbered(number).to_bits() == address.to_bits() {
        Some(number)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::{client, client_index};

    #[test]
    fn strangers_are_nobody_that_is_known() {
        let mut random = Random::new(1);
        for _ in 0..100_000 {
            let [v4, v6] = [Family::V4, Family::V6].map(|family| random.address(family));
            assert!(client_index(v4).is_none() && client_index(v6).is_none(), "{v4} {v6}");
            let IpAddr::V4(v4) = v4 else { panic!("{v4}") };
            assert!(!v4.is_private() && !v4.is_documentation() && !v4.is_loopback(), "{v4}");
            assert!(!v4.is_multicast() && !v4.is_broadcast(), "{v4}");
        }
    }

    #[test]
    fn numbered_strangers_are_told_by_their_number() {
        for number in (0..NUMBERED).step_by(7) {
            assert_eq!(number_of(numbered(number).into()), Some(number));
            assert!(plausible(numbered(number)));
        }
        for other in
            [client(Family::V4, 5), client(Family::V6, 5), Ipv4Addr::new(32, 0, 0, 2).into()]
        {
            assert_eq!(number_of(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_below_a_limit_reach_all_of_it() {
        let mut random = Random::new(3);
        let seen: std::collections::HashSet<u32> = (0..1000).map(|_| random.below(7)).collect();
        assert_eq!(seen, (0..7).collect());
    }
}
