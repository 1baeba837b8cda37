//! The Internet checksum (RFC 1071), whole and incremental (RFC 1624).

/// A running one's complement sum of 16-bit words, kept in the machine's byte order: the sum of swapped words
/// is the swapped sum (RFC 1071 §2 B), so octets are swapped once, at the end.
///
/// Sums of parts add up to the sum of the whole as long as each part starts at an even offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// Adds `bytes`; an odd last byte counts as the upper half of a word (RFC 1071 §4.1).
    #[must_use]
    #[inline(always)]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        // Eight bytes at once into 128 bits: an addition and one for its carry. 2^64 and 2^32 are both 1 (mod 0xffff).
        let (words, tail) = bytes.as_chunks::<8>();
        let wide = words.iter().fold(u128::from(self.0), |sum, word| {
            sum.wrapping_add(u128::from(u64::from_ne_bytes(*word)))
        });
        let (low, carries) = (low_half(wide), low_half(wide >> 64));
        let sum = (low >> 32).wrapping_add(low & 0xffff_ffff).wrapping_add(carries);
        let (words, tail) = tail.as_chunks::<4>();
        let sum = words
            .iter()
            .fold(sum, |sum, word| sum.wrapping_add(u64::from(u32::from_ne_bytes(*word))));
        Self(if tail.is_empty() { sum } else { sum.wrapping_add(odd(tail)) })
    }

    /// Adds `bytes`, which are mostly `N`: then nothing is asked for each word whether there is another.
    #[must_use]
    #[inline(always)]
    pub fn mostly<const N: usize>(self, bytes: &[u8]) -> Self {
        match bytes.first_chunk::<N>() {
            Some(fixed) if bytes.len() == N => self.bytes(fixed),
            _ => self.bytes(bytes),
        }
    }

    /// Adds another sum.
    #[must_use]
    #[inline(always)]
    pub const fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// Adds one 16-bit word.
    #[must_use]
    #[inline(always)]
    pub const fn word(self, word: u16) -> Self {
        Self(self.0.wrapping_add(word.to_be() as u64))
    }

    /// Adds the rest of a pseudo header: protocol and upper-layer length.
    #[must_use]
    #[inline(always)]
    pub const fn upper_layer(self, protocol: u8, length: u16) -> Self {
        self.word(protocol as u16).word(length)
    }

    /// The sum with its carries brought in: 0 only for a sum of zeros.
    #[must_use]
    #[inline(always)]
    pub const fn fold(self) -> u16 {
        // Added to itself with its halves swapped, a number has in its upper half the sum of both and their carry.
        let [high, ..] = halves(self.0.wrapping_add(self.0.rotate_left(32)));
        let [a, b, ..] = high.wrapping_add(high.rotate_left(16)).to_be_bytes();
        u16::from_be(u16::from_be_bytes([a, b]))
    }

    /// The checksum field for what was summed up (with the field itself as zero).
    #[must_use]
    #[inline(always)]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }

    /// Whether what was summed up, its checksum field included, verifies.
    #[must_use]
    #[inline(always)]
    pub const fn verifies(self) -> bool {
        self.fold() == 0xffff
    }
}

/// The lower 64 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is meant")]
const fn low_half(wide: u128) -> u64 {
    wide as u64
}

/// Upper and lower half.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "each half is what is meant")]
const fn halves(word: u64) -> [u32; 2] {
    [(word >> 32) as u32, word as u32]
}

/// The last bytes, fewer than four, with zeros behind them.
#[inline]
fn odd(tail: &[u8]) -> u64 {
    let mut last = [0u8; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    u32::from_ne_bytes(last).into()
}

/// The checksum after one 16-bit word under it changed (RFC 1624 §3, equation 3).
#[must_use]
#[inline]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    Sum::ZERO.word(!checksum).word(!old).word(new).checksum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn example_of_rfc_1071() {
        let sum = Sum::ZERO.bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.fold(), 0xddf2);
        assert_eq!(sum.checksum(), !0xddf2);
    }

    #[test]
    fn example_of_rfc_1624() {
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    /// RFC 1071 word by word, as slow as it reads.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Sum::ZERO.bytes(&bytes).fold(), reference(&bytes));
        }

        #[test]
        fn a_length_that_is_expected_changes_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            prop_assert_eq!(Sum::ZERO.mostly::<12>(&bytes).fold(), reference(&bytes));
        }

        #[test]
        fn what_carries_its_checksum_verifies(mut bytes in proptest::collection::vec(any::<u8>(), 2..60), bit in 0..16_u32) {
            bytes[..2].fill(0);
            let checksum = Sum::ZERO.bytes(&bytes).checksum();
            bytes[..2].copy_from_slice(&checksum.to_be_bytes());
            prop_assert!(Sum::ZERO.bytes(&bytes).verifies());
            bytes[..2].copy_from_slice(&(checksum ^ 1_u16 << bit).to_be_bytes());
            prop_assert!(!Sum::ZERO.bytes(&bytes).verifies());
        }

        #[test]
        fn incremental_equals_full(mut bytes in proptest::collection::vec(any::<u8>(), 4..100), at in any::<usize>(), new: u16) {
            let at = at % (bytes.len() / 2) * 2;
            let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            let before = Sum::ZERO.bytes(&bytes).checksum();
            bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
            let full = Sum::ZERO.bytes(&bytes).checksum();
            let updated = update(before, old, new);
            // +0 and -0 are the same number in one's complement.
            prop_assert!(updated == full || (updated ^ full) == 0xffff && full.wrapping_add(1) < 2);
        }

        #[test]
        fn parts_add_up(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in 0usize..50) {
            let cut = (cut * 2).min(bytes.len() & !1);
            let parts = Sum::ZERO.bytes(&bytes[..cut]).bytes(&bytes[cut..]);
            prop_assert_eq!(parts.fold(), Sum::ZERO.bytes(&bytes).fold());
        }
    }
}
