//! Numbers that look random and are the same in every run.

/// splitmix64 (Steele, Lea, Flood 2014): one word of state, good enough to throw dice.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let wide = u128::from(self.word()) * limit as u128;
        usize::try_from(wide >> 64).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(crate) fn octet(&mut self) -> u8 {
        self.word().to_be_bytes()[0]
    }

    pub(crate) fn short(&mut self) -> u16 {
        let [high, low, ..] = self.word().to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    pub(crate) fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len.div_ceil(8)).flat_map(|_| self.word().to_be_bytes()).take(len).collect()
    }
}
