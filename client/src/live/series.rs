//! Round-trip times, one after the other, and what they amount to.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Digits of a round-trip time that the histogram keeps: percentiles are exact to 0.1 %.
const DIGITS: u8 = 3;

/// The smoothed jitter moves by this part of each difference (RFC 3550, section 6.4.1).
const SMOOTHING: f64 = 16.0;

/// Round-trip times in their order. Takes as much memory after a year as after a minute.
#[derive(Debug, Clone)]
pub struct Series {
    count: u64,
    last: Duration,
    best: Duration,
    worst: Duration,
    /// Mean and sum of squared differences from it, in seconds: Welford's method, which does not lose digits.
    mean: f64,
    squares: f64,
    jitter: Jitter,
    /// In microseconds.
    histogram: Histogram<u32>,
}

/// The differences between successive round-trip times.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Jitter {
    last: Duration,
    worst: Duration,
    /// In seconds.
    sum: f64,
    smooth: f64,
}

impl Default for Series {
    fn default() -> Self {
        Self::new()
    }
}

impl Series {
    /// No times yet.
    ///
    /// # Panics
    ///
    /// Never: so many digits are allowed.
    #[must_use]
    pub fn new() -> Self {
        Self {
            count: 0,
            last: Duration::ZERO,
            best: Duration::MAX,
            worst: Duration::ZERO,
            mean: 0.0,
            squares: 0.0,
            jitter: Jitter::default(),
            histogram: Histogram::new(DIGITS).expect("0 to 5 digits are allowed"),
        }
    }

    /// Adds `time`.
    pub fn add(&mut self, time: Duration) {
        if self.count > 0 {
            self.jitter.add(self.last.abs_diff(time));
        }
        self.count += 1;
        self.last = time;
        self.best = self.best.min(time);
        self.worst = self.worst.max(time);
        let seconds = time.as_secs_f64();
        let before = seconds - self.mean;
        self.mean += before / self.counted();
        self.squares += before * (seconds - self.mean);
        // It grows with the values: the only error left is a count beyond 32 bits, and then one more makes no difference.
        let _ = self.histogram.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        self.if_any(self.last)
    }

    /// The shortest.
    #[must_use]
    pub fn best(&self) -> Option<Duration> {
        self.if_any(self.best)
    }

    /// The longest.
    #[must_use]
    pub fn worst(&self) -> Option<Duration> {
        self.if_any(self.worst)
    }

    /// The mean.
    #[must_use]
    pub fn average(&self) -> Option<Duration> {
        self.if_any(duration(self.mean))
    }

    /// The standard deviation of the sample; of one time it is 0.
    #[must_use]
    pub fn deviation(&self) -> Option<Duration> {
        let variance = if self.count > 1 { self.squares / (self.counted() - 1.0) } else { 0.0 };
        self.if_any(duration(variance.max(0.0).sqrt()))
    }

    /// The difference between the last two.
    #[must_use]
    pub fn jitter(&self) -> Option<Duration> {
        self.if_two(self.jitter.last)
    }

    /// The mean of such differences.
    #[must_use]
    pub fn average_jitter(&self) -> Option<Duration> {
        self.if_two(duration(self.jitter.sum / (self.counted() - 1.0).max(1.0)))
    }

    /// The greatest of them.
    #[must_use]
    pub fn worst_jitter(&self) -> Option<Duration> {
        self.if_two(self.jitter.worst)
    }

    /// Their moving average as RTP has it (RFC 3550, section 6.4.1).
    #[must_use]
    pub fn smooth_jitter(&self) -> Option<Duration> {
        self.if_two(duration(self.jitter.smooth))
    }

    /// The time that `percent` of 100 do not exceed, exact to 0.1 %.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let time = Duration::from_micros(self.histogram.value_at_percentile(percent));
        // A class of the histogram may reach beyond what was seen.
        self.if_any(time.clamp(self.best.min(self.worst), self.worst))
    }

    /// How many are in each of `classes` classes of equal width from the shortest time to the longest; each with its upper
    /// end. Empty if there are no times.
    #[must_use]
    pub fn classes(&self, classes: u32) -> Vec<(Duration, u64)> {
        let (Some(best), Some(worst)) = (self.best(), self.worst()) else { return Vec::new() };
        let width = worst.saturating_sub(best) / classes.max(1);
        let mut found: Vec<_> = (1..=classes).map(|number| (best + width * number, 0)).collect();
        for step in self.histogram.iter_recorded() {
            let time = Duration::from_micros(step.value_iterated_to()).clamp(best, worst);
            let place = found.iter().position(|(end, _)| time <= *end);
            let last = found.len().saturating_sub(1);
            if let Some((_, count)) = found.get_mut(place.unwrap_or(last)) {
                *count += u64::from(step.count_at_value());
            }
        }
        found
    }

    fn if_any<T>(&self, value: T) -> Option<T> {
        (self.count > 0).then_some(value)
    }

    fn if_two<T>(&self, value: T) -> Option<T> {
        (self.count > 1).then_some(value)
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 answers")]
    const fn counted(&self) -> f64 {
        self.count as f64
    }
}

impl Jitter {
    fn add(&mut self, difference: Duration) {
        let seconds = difference.as_secs_f64();
        self.last = difference;
        self.worst = self.worst.max(difference);
        self.sum += seconds;
        self.smooth += (seconds - self.smooth) / SMOOTHING;
    }
}

/// To the nanosecond.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(ms: &[u64]) -> Series {
        let mut series = Series::new();
        for ms in ms {
            series.add(Duration::from_millis(*ms));
        }
        series
    }

    fn near(found: Option<Duration>, ms: f64) {
        let found = found.unwrap().as_secs_f64() * 1000.0;
        assert!((found - ms).abs() < 1e-3, "{found} is not {ms}");
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        let none = Series::new();
        assert_eq!((none.count(), none.last(), none.best(), none.worst()), (0, None, None, None));
        assert_eq!((none.average(), none.deviation(), none.percentile(50.0)), (None, None, None));
        assert!(none.classes(5).is_empty());
    }

    #[test]
    fn of_one_there_is_no_jitter() {
        let one = series(&[7]);
        near(one.average(), 7.0);
        near(one.deviation(), 0.0);
        near(one.percentile(99.0), 7.0);
        assert_eq!((one.jitter(), one.average_jitter(), one.smooth_jitter()), (None, None, None));
        assert_eq!(one.classes(3).iter().map(|(_, count)| count).sum::<u64>(), 1);
    }

    #[test]
    fn by_hand() {
        let series = series(&[2, 4, 4, 4, 5, 5, 7, 9]);
        near(series.average(), 5.0);
        // The squares of the differences add up to 32, over 7.
        near(series.deviation(), (32.0f64 / 7.0).sqrt());
        near(series.last(), 9.0);
        near(series.best(), 2.0);
        near(series.worst(), 9.0);
        near(series.jitter(), 2.0);
        near(series.average_jitter(), 1.0);
        near(series.worst_jitter(), 2.0);
        // 2 0 0 1 0 2 2, each a sixteenth of the way.
        let smooth =
            [2.0, 0.0, 0.0, 1.0, 0.0, 2.0, 2.0].iter().fold(0.0, |j, d| j + (d - j) / 16.0);
        near(series.smooth_jitter(), smooth);
    }

    #[test]
    fn classes_hold_every_time_once() {
        let counts: Vec<_> = series(&[10, 11, 19, 20]).classes(2).iter().map(|(_, n)| *n).collect();
        assert_eq!(counts, [2, 2]);
        let equal: Vec<_> = series(&[5, 5, 5]).classes(4).iter().map(|(_, n)| *n).collect();
        assert_eq!(equal.iter().sum::<u64>(), 3);
    }

    #[test]
    fn a_great_offset_loses_no_digits() {
        // An hour and a millisecond or two: the naive sum of squares would be off.
        let series = series(&[3_600_001, 3_600_002, 3_600_003]);
        near(series.deviation(), 1.0);
    }

    proptest! {
        #[test]
        fn as_the_textbook_says(us in proptest::collection::vec(0u64..10_000_000, 2..200)) {
            let mut series = Series::new();
            for us in &us {
                series.add(Duration::from_micros(*us));
            }
            let of: Vec<f64> = us.iter().map(|us| Duration::from_micros(*us).as_secs_f64()).collect();
            let count = f64::from(u32::try_from(of.len()).unwrap());
            let mean = of.iter().sum::<f64>() / count;
            let variance = of.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
            prop_assert!((series.average().unwrap().as_secs_f64() - mean).abs() < 1e-6);
            prop_assert!((series.deviation().unwrap().as_secs_f64() - variance.sqrt()).abs() < 1e-6);
            let mut sorted = us.clone();
            sorted.sort_unstable();
            for percent in [50.0, 90.0, 99.0, 100.0] {
                let rank = ((percent / 100.0 * count).ceil() - 1.0).max(0.0);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small index")]
                let exact = sorted[rank as usize];
                let found = u64::try_from(series.percentile(percent).unwrap().as_micros()).unwrap();
                prop_assert!(found.abs_diff(exact) <= exact / 1000 + 1, "{percent}: {found}, not {exact}");
            }
            let counted: u64 = series.classes(12).iter().map(|(_, count)| count).sum();
            prop_assert_eq!(counted, series.count());
        }
    }
}
