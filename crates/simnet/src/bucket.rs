//! The token bucket of a router that limits its errors.

use std::time::Instant;

use crate::topology::Rate;

/// Tokens, as of a time.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) const fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: rate.burst, at: now }
    }

    /// Takes a token at `now` if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = since.mul_add(self.rate.per_second, self.tokens).min(self.rate.burst);
        self.at = self.at.max(now);
        let left = self.tokens >= 1.0;
        if left {
            self.tokens -= 1.0;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_its_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate { per_second: 2.0, burst: 3.0 }, now);
        assert_eq!((0..10).filter(|_| bucket.take(now)).count(), 3);
        let mut granted = 0;
        for ms in 1..=2000 {
            granted += u32::from(bucket.take(now + Duration::from_millis(ms)));
        }
        assert_eq!(granted, 4);
    }
}
