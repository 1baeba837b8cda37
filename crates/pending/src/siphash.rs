//! SipHash-1-3 with a 128-bit result, over whole words and 7 bytes more.
//!
//! The keyed hash of the table (Aumasson and Bernstein, "`SipHash`: a fast short-input PRF", 2012, with
//! one compression and three finalisation rounds, as hash tables use it). Keys are arrays of 64-bit words and a tail of
//! always the same length, so there is no buffering: the loop unrolls and the whole hash is straight-line code.

/// Bytes of a key behind its whole words.
const TAIL_BYTES: u64 = 7;
/// Bits of them.
const TAIL_BITS: u32 = 56;
const TAIL_MASK: u64 = (1 << TAIL_BITS) - 1;

/// The state of the hash: four words.
#[derive(Clone, Copy)]
struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    /// "somepseudorandomlygeneratedbytes", mixed with the secret; 0xee marks the 128-bit variant.
    #[inline(always)]
    fn new([k0, k1]: [u64; 2]) -> Self {
        Self {
            v0: k0 ^ 0x736f_6d65_7073_6575,
            v1: k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            v2: k0 ^ 0x6c79_6765_6e65_7261,
            v3: k1 ^ 0x7465_6462_7974_6573,
        }
    }

    #[inline(always)]
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }

    #[inline(always)]
    fn compress(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    #[inline(always)]
    fn squeeze(&mut self) -> u64 {
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }
}

/// The hash of the words' bytes, each word little-endian, and of the 7 low bytes of `tail`.
///
/// `SipHash`'s last word has room for 7 bytes besides the length: a key that fits into it costs a round less.
#[inline(always)]
pub(crate) fn sip13_128<const N: usize>(
    secret: [u64; 2],
    words: &[u64; N],
    tail: u64,
) -> (u64, u64) {
    let mut state = State::new(secret);
    for &word in words {
        state.compress(word);
    }
    // The last word holds the length in bytes, modulo 256, in its top byte.
    state.compress(((N as u64) << 3 | TAIL_BYTES) << TAIL_BITS | tail & TAIL_MASK);
    state.v2 ^= 0xee;
    let first = state.squeeze();
    state.v1 ^= 0xdd;
    (first, state.squeeze())
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;

    use proptest::prelude::*;
    use siphasher::sip128::{Hasher128 as _, SipHasher13};

    use super::*;

    fn reference(secret: [u64; 2], words: &[u64], tail: u64) -> (u64, u64) {
        let mut hasher = SipHasher13::new_with_keys(secret[0], secret[1]);
        for word in words {
            hasher.write(&word.to_le_bytes());
        }
        hasher.write(&tail.to_le_bytes()[..7]);
        let hash = hasher.finish128();
        (hash.h1, hash.h2)
    }

    proptest! {
        #[test]
        fn agrees_with_the_siphasher_crate(secret: [u64; 2], words: [u64; 40], tail: u64) {
            fn first<const N: usize>(words: &[u64; 40]) -> [u64; N] {
                words[..N].try_into().unwrap()
            }
            prop_assert_eq!(sip13_128(secret, &first::<0>(&words), tail), reference(secret, &words[..0], tail));
            prop_assert_eq!(sip13_128(secret, &first::<1>(&words), tail), reference(secret, &words[..1], tail));
            prop_assert_eq!(sip13_128(secret, &first::<2>(&words), tail), reference(secret, &words[..2], tail));
            prop_assert_eq!(sip13_128(secret, &first::<5>(&words), tail), reference(secret, &words[..5], tail));
            // Above 31 words the length byte wraps.
            prop_assert_eq!(sip13_128(secret, &first::<40>(&words), tail), reference(secret, &words, tail));
        }
    }
}
