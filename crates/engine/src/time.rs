//! Ticks of the clock that the engine is told, and nanoseconds.

/// Converts ticks to nanoseconds without a division.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Nanoseconds a tick, in units of 2^-32.
    scale: u64,
    hz: u64,
}

impl Clock {
    /// A clock of `hz` ticks a second; `None` below 1 kHz, of no use for round-trip times.
    #[must_use]
    pub fn new(hz: u64) -> Option<Self> {
        if hz < 1000 {
            return None;
        }
        let scale = (1_000_000_000u128 << 32).checked_div(u128::from(hz))?;
        Some(Self { scale: u64::try_from(scale).ok()?, hz })
    }

    /// Ticks a second.
    #[must_use]
    pub const fn hz(&self) -> u64 {
        self.hz
    }

    /// `ticks` as nanoseconds, to within a part in 2^32 or so.
    #[must_use]
    #[inline]
    pub fn ns(&self, ticks: u64) -> u64 {
        let product = u128::from(ticks).wrapping_mul(u128::from(self.scale)) >> 32;
        u64::try_from(product).unwrap_or(u64::MAX)
    }

    /// Ticks in `ms` milliseconds.
    #[must_use]
    pub fn ticks_in_ms(&self, ms: u64) -> u64 {
        let ticks = u128::from(ms).saturating_mul(u128::from(self.hz)) / 1000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds() {
        for hz in [1000, 1_000_000_000, 2_596_992_000, 4_000_000_000] {
            let clock = Clock::new(hz).unwrap();
            assert_eq!(clock.ns(0), 0);
            let second = clock.ns(hz);
            assert!((999_999_990..=1_000_000_000).contains(&second), "{hz}: {second}");
            assert_eq!(clock.ticks_in_ms(5000), hz * 5);
        }
        assert!(Clock::new(999).is_none());
        assert_eq!(Clock::new(1000).unwrap().ns(u64::MAX), u64::MAX);
    }
}
