//! Dice thrown by the fuzzer: its octets in place of a seed.

/// Choices made by octets from outside, by the same methods as the dice of the hostile test. When the octets are used up, all dice
/// show 0.
pub(crate) struct Random {
    octets: Vec<u8>,
    at: usize,
}

impl Random {
    pub(crate) fn new(octets: &[u8]) -> Self {
        Self { octets: octets.to_vec(), at: 0 }
    }

    /// Whether all octets are used up.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.at >= self.octets.len()
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for octet in &mut out {
            *octet = self.octets.get(self.at).copied().unwrap_or(0);
            self.at += 1;
        }
        out
    }

    pub(crate) fn word(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    /// A number below `limit`, which is not 0. One octet decides where one can, so that a fuzzer's change is a change of mind.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        if limit <= 256 {
            usize::from(self.octet()) % limit
        } else {
            usize::from(self.short()) % limit
        }
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(crate) fn octet(&mut self) -> u8 {
        u8::from_be_bytes(self.take())
    }

    pub(crate) fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    pub(crate) fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.octet()).collect()
    }
}
