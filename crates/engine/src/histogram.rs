//! Histograms that one worker writes and others read: no allocation, lock or system call.
//!
//! The buckets are those of [HdrHistogram](https://hdrhistogram.github.io/HdrHistogram/) with two significant digits: 128 in each
//! octave, so a value is known to a part in 128. What is shorter than 256 units is in steps of one.

use core::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. For the one writer alone: two would lose some.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Its value, a little late.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Buckets of an octave, as a power of two.
const HALF_BITS: u32 = 7;
/// Octaves, the first of which counts twice: from 0 on.
const OCTAVES: u32 = 20;
/// Buckets in all.
const BUCKETS: usize = (OCTAVES as usize + 1) << HALF_BITS;

/// Counts times in nanoseconds, in units of 2^`UNIT_BITS` of them.
#[derive(Debug)]
pub struct Histogram<const UNIT_BITS: u32>([Counter; BUCKETS]);

/// Of round trips: from a microsecond to two minutes.
pub type RoundTrips = Histogram<10>;
/// Of the time that a packet spends with us: from 32 nanoseconds to four seconds.
pub type ServiceTimes = Histogram<5>;

/// What a bucket counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The shortest time that it counts, in nanoseconds.
    pub from: u64,
    /// The longest.
    pub to: u64,
    /// How many there were.
    pub count: u64,
}

impl<const UNIT_BITS: u32> Default for Histogram<UNIT_BITS> {
    fn default() -> Self {
        Self(core::array::from_fn(|_| Counter::default()))
    }
}

impl<const UNIT_BITS: u32> Histogram<UNIT_BITS> {
    /// The shortest time that is told from 0, in nanoseconds.
    pub const SHORTEST: u64 = 1 << UNIT_BITS;
    /// The longest that is told from longer ones.
    pub const LONGEST: u64 = (1 << (UNIT_BITS + HALF_BITS + OCTAVES)) - 1;

    /// The longest time of the first octave: all below share its steps.
    const WITHIN_FIRST: u64 = (1 << (UNIT_BITS + HALF_BITS + 1)) - 1;

    /// Counts `n` times of `ns`. For the one writer alone.
    #[inline]
    pub fn record(&self, ns: u64, n: u64) {
        let ns = ns.min(Self::LONGEST);
        let octave = octave(ns | Self::WITHIN_FIRST, UNIT_BITS);
        let step = ns.unbounded_shr(octave.wrapping_add(UNIT_BITS));
        let place = u64::from(octave << HALF_BITS).wrapping_add(step);
        if let Some(counter) = usize::try_from(place).ok().and_then(|place| self.0.get(place)) {
            counter.add(n);
        }
    }

    /// The buckets that counted anything, shortest first; a little late.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let counted = (0_u64..).zip(&self.0).map(|(place, counter)| (place, counter.get()));
        counted.filter(|(_, count)| *count > 0).map(|(place, count)| {
            // The first two halves are of one width, each that follows is twice as wide.
            let octave = (place >> HALF_BITS).saturating_sub(1);
            let step = place.wrapping_sub(octave << HALF_BITS);
            let width = octave.wrapping_add(u64::from(UNIT_BITS));
            let from = step << width;
            Bucket { from, to: from | !(u64::MAX << width), count }
        })
    }
}

/// How many octaves `ns`, which is not 0, is above the first.
#[inline]
const fn octave(ns: u64, unit_bits: u32) -> u32 {
    ns.ilog2().wrapping_sub(unit_bits).wrapping_sub(HALF_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times at and around every power of two, and between.
    fn times() -> impl Iterator<Item = u64> {
        (0..40).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + 1, power + power / 3, power + power / 2]
        })
    }

    #[test]
    fn each_time_is_in_its_bucket() {
        for ns in times() {
            let histogram = RoundTrips::default();
            histogram.record(ns, 3);
            let buckets: Vec<Bucket> = histogram.buckets().collect();
            let [Bucket { from, to, count: 3 }] = buckets[..] else { panic!("{ns}: {buckets:?}") };
            let ns = ns.min(RoundTrips::LONGEST);
            assert!((from..=to).contains(&ns), "{ns}: {from} to {to}");
            assert!(to - from < RoundTrips::SHORTEST.max(ns >> HALF_BITS), "{ns}: {from} to {to}");
        }
    }

    #[test]
    fn buckets_are_those_of_hdr_histogram() {
        let histogram = ServiceTimes::default();
        let (low, high) = (ServiceTimes::SHORTEST, ServiceTimes::LONGEST);
        let mut theirs = hdrhistogram::Histogram::<u64>::new_with_bounds(low, high, 2).unwrap();
        assert_eq!(theirs.distinct_values(), BUCKETS);
        for ns in times().filter(|ns| *ns <= high) {
            histogram.record(ns, 1);
            theirs.record(ns).unwrap();
        }
        for Bucket { from, to, count } in histogram.buckets() {
            assert_eq!(theirs.lowest_equivalent(to), from);
            assert_eq!(theirs.highest_equivalent(from), to);
            assert_eq!(theirs.count_at(from), count);
        }
        assert_eq!(histogram.buckets().map(|bucket| bucket.count).sum::<u64>(), theirs.len());
    }
}
