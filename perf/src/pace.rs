//! When requests are to be sent.

/// How requests are offered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// As many under way at once, a new one when one ends: never more than the responder serves.
    Closed {
        /// How many.
        window: usize,
    },
    /// At a steady rate, whatever comes back.
    Open {
        /// Requests a second.
        rate: f64,
    },
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed { window } => write!(f, "window {window}"),
            Self::Open { rate } if *rate >= 1e6 => write!(f, "{:.2} M/s", rate / 1e6),
            Self::Open { rate } if *rate >= 1e4 => write!(f, "{:.0} k/s", rate / 1e3),
            Self::Open { rate } => write!(f, "{rate:.0}/s"),
        }
    }
}

/// The times at which an open loop's requests are to be sent, in ticks.
///
/// They do not depend on when anything was really sent: who was held up sends late what was due,
/// and its latency counts from when it was due. So a stall is seen by all requests that it hit, and
/// not by the one alone that was under way ("coordinated omission").
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// In units of 2^-32 ticks.
    next: u128,
    interval: u128,
}

impl Pace {
    /// `rate` requests a second from `start` on, at `hz` ticks a second.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate is no more exact than that"
    )]
    pub fn new(start: u64, rate: f64, hz: u64) -> Self {
        let interval = (hz as f64 / rate.max(1e-3) * 2f64.powi(32)).max(1.0) as u128;
        Self { next: u128::from(start) << 32, interval }
    }

    /// When the next request is to be sent, if that is not after `now`.
    #[inline]
    #[must_use]
    pub fn due(&self, now: u64) -> Option<u64> {
        let next = u64::try_from(self.next >> 32).unwrap_or(u64::MAX);
        (next <= now).then_some(next)
    }

    /// It was sent.
    #[inline]
    pub fn advance(&mut self) {
        self.next += self.interval;
    }

    /// How many requests are to be sent that have not been, at `now`.
    #[inline]
    #[must_use]
    pub fn due_count(&self, now: u64) -> u64 {
        let now = (u128::from(now) << 32) + u128::from(u32::MAX);
        match now.checked_sub(self.next) {
            Some(late) => u64::try_from(late / self.interval + 1).unwrap_or(u64::MAX),
            None => 0,
        }
    }

    /// `count` of them are not.
    pub fn skip(&mut self, count: u64) {
        self.next += self.interval * u128::from(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;

    #[test]
    fn loads_have_names() {
        let open = |rate| Load::Open { rate }.to_string();
        assert_eq!([open(500.0), open(12_345.0), open(2.5e6)], ["500/s", "12 k/s", "2.50 M/s"]);
        assert_eq!(Load::Closed { window: 8 }.to_string(), "window 8");
    }

    #[test]
    fn the_rate_is_kept_exactly() {
        for rate in [1.0, 1000.0, 123_456.7, 9_999_999.0] {
            let mut pace = Pace::new(1_000, rate, 2_600_000_000);
            let mut count = 0u64;
            while pace.due(1_000 + 2_600_000_000).is_some() {
                pace.advance();
                count += 1;
            }
            let expected = rate + 1.0;
            assert!((count as f64 - expected).abs() <= 1.0 + rate * 1e-6, "{rate}: {count}");
        }
    }

    #[test]
    fn what_is_due_is_counted_and_can_be_skipped() {
        let mut pace = Pace::new(1_000, 3.0e6, 2_600_000_000);
        assert_eq!((pace.due_count(999), pace.due_count(1_000)), (0, 1));
        let due = pace.due_count(1_000_000);
        pace.skip(due - 1);
        assert!(pace.due(1_000_000).is_some());
        pace.advance();
        assert_eq!((pace.due(1_000_000), pace.due_count(1_000_000)), (None, 0));
    }

    /// A server that takes 10 us a request and stands still for 100 ms of a second, asked 1,000 times a second.
    #[test]
    fn a_stall_is_seen_by_all_requests_that_it_hit() {
        let us = |us: u64| us * 1000;
        let (stall, end) = (us(400_000)..us(500_000), us(1_000_000));
        let mut pace = Pace::new(0, 1000.0, 1_000_000_000);
        let mut corrected = Histogram::<u64>::new(3).unwrap();
        let mut naive = Histogram::<u64>::new(3).unwrap();
        let mut now = 0;
        while now < end {
            let Some(intended) = pace.due(now) else {
                now += us(1);
                continue;
            };
            pace.advance();
            // One at a time: the client sends nothing while it waits, as a blocked generator does.
            let sent = now;
            now += us(10);
            if stall.contains(&now) {
                now = stall.end;
            }
            corrected.record(now - intended).unwrap();
            naive.record(now - sent).unwrap();
        }
        // A tenth of the time stood still, so a tenth of the requests waited.
        assert!(naive.value_at_quantile(0.99) < us(20), "one alone waited: {naive:?}");
        assert!(corrected.value_at_quantile(0.91) > us(5_000));
        assert!(corrected.value_at_quantile(0.95) > us(40_000));
        assert!(corrected.value_at_quantile(0.85) < us(20));
        assert_eq!(corrected.len(), naive.len());
    }
}
