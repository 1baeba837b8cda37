//! Keyed bits of prefixes, which choose lines and cells.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::charge::Keyed;

/// What decides which line a prefix has: bits that nobody else knows.
///
/// Two folded multiplications, each with key bits of its own; one is enough for the few wide prefixes. Nobody ever sees a result, nor what lines two prefixes have: only whether a
/// request is served, after hundreds of others. A cryptographic hash, which would be safe even if results were published, takes some ten
/// times as many instructions (ADR 0033).
#[derive(Clone, Copy)]
pub struct Key([Keyed; 2]);

impl Key {
    /// Of secret `bits`.
    #[must_use]
    pub const fn new([one, other]: [u64; 2]) -> Self {
        Self([Keyed::by(one), Keyed::by(other)])
    }

    /// Bits of the /24 of `address`.
    #[must_use]
    #[inline(always)]
    pub fn v4(&self, address: Ipv4Addr) -> u64 {
        self.of(u64::from(address.to_bits() >> 8))
    }

    /// Bits of the /48 of `address`.
    #[must_use]
    #[inline(always)]
    pub fn v6_line(&self, address: Ipv6Addr) -> u64 {
        self.of((address.to_bits() >> 80) as u64)
    }

    /// Bits of the /32 of `address`.
    #[must_use]
    #[inline(always)]
    pub fn v6_wide(&self, address: Ipv6Addr) -> u64 {
        let Self([_, other]) = *self;
        // A number that no /48 is.
        other.mix((address.to_bits() >> 96) as u64 | 1 << 63)
    }

    #[inline(always)]
    const fn of(&self, prefix: u64) -> u64 {
        let Self([one, other]) = *self;
        other.mix(one.mix(prefix))
    }
}

impl std::fmt::Debug for Key {
    /// Without its bits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prefixes side by side are spread over lines as random numbers are, whatever the key is.
    #[test]
    fn neighbours_are_spread() {
        for seed in 0..8_u64 {
            let key = Key::new([seed, seed << 40]);
            let mut lines = vec![0_u32; 1 << 12];
            for prefix in 0..1_u32 << 16 {
                let line = key.v4(Ipv4Addr::from_bits(0xc600_0000 | prefix << 8)) & 0xfff;
                lines[usize::try_from(line).unwrap()] += 1;
            }
            // 16 a line; of a Poisson distribution, one above 45 comes once in 10^9 lines.
            assert!(lines.iter().all(|n| *n < 45), "{seed}: {:?}", lines.iter().max());
            let squares: u64 = lines.iter().map(|n| u64::from(n.abs_diff(16)).pow(2)).sum();
            assert!((12 << 12..20 << 12).contains(&squares), "{seed}: {squares}");
        }
    }

    #[test]
    fn a_prefix_has_its_bits_and_another_key_others() {
        let key = Key::new([1, 2]);
        let of = |text: &str| {
            let address = text.parse().unwrap();
            [key.v6_line(address), key.v6_wide(address)]
        };
        assert_eq!(of("2001:db8:7::1"), of("2001:db8:7:ffff::2"));
        let (one, other) = (of("2001:db8:7::1"), of("2001:db8:8::1"));
        assert_ne!(one[0], other[0]);
        assert_eq!(one[1], other[1], "one /32");
        assert_ne!(of("::1")[0], of("::1")[1]);
        let address = Ipv4Addr::new(203, 0, 113, 7);
        assert_eq!(key.v4(address), key.v4(Ipv4Addr::new(203, 0, 113, 200)));
        assert_ne!(key.v4(address), Key::new([1, 3]).v4(address));
        assert_ne!(key.v4(address), Key::new([2, 2]).v4(address));
    }
}
