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
    #[inline]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        // Four bytes at once: the carries of 2^32 ≡ 1 (mod 0xffff) come back in `fold`.
        // A u64 holds the sum of 2^32 such words: more than any packet.
        let (words, tail) = bytes.as_chunks::<4>();
        let sum = words
            .iter()
            .fold(self.0, |sum, word| sum.wrapping_add(u64::from(u32::from_ne_bytes(*word))));
        let mut last = [0u8; 4];
        for (to, from) in last.iter_mut().zip(tail) {
            *to = *from;
        }
        Self(sum.wrapping_add(u64::from(u32::from_ne_bytes(last))))
    }

    /// Adds another sum.
    #[must_use]
    #[inline]
    pub const fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// Adds one 16-bit word.
    #[must_use]
    #[inline]
    pub const fn word(self, word: u16) -> Self {
        Self(self.0.wrapping_add(word.to_be() as u64))
    }

    /// Adds the rest of a pseudo header: protocol and upper-layer length.
    #[must_use]
    #[inline]
    pub const fn upper_layer(self, protocol: u8, length: u16) -> Self {
        self.word(protocol as u16).word(length)
    }

    /// The sum with its carries brought in: 0 only for a sum of zeros.
    #[must_use]
    #[inline]
    pub const fn fold(self) -> u16 {
        let sum = (self.0 >> 32).wrapping_add(self.0 & 0xffff_ffff);
        let sum = (sum >> 32).wrapping_add(sum & 0xffff_ffff);
        let sum = (sum >> 16).wrapping_add(sum & 0xffff);
        let sum = (sum >> 16).wrapping_add(sum & 0xffff);
        // Below 2^16 by now.
        let [.., high, low] = sum.to_be_bytes();
        u16::from_be(u16::from_be_bytes([high, low]))
    }

    /// The checksum field for what was summed up (with the field itself as zero).
    #[must_use]
    #[inline]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }

    /// Whether what was summed up, its checksum field included, verifies.
    #[must_use]
    #[inline]
    pub const fn verifies(self) -> bool {
        self.fold() == 0xffff
    }
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
