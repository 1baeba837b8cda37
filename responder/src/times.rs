//! Histograms as everybody is shown them.

use hdrhistogram::Histogram as Hdr;
use otherhalf_control::status::{Step, Times};
use otherhalf_engine::Histogram;
use otherhalf_engine::histogram::Bucket;

/// What `histogram` has counted so far.
pub(crate) fn times<const UNIT_BITS: u32>(histogram: &Histogram<UNIT_BITS>) -> Times {
    let (shortest, longest) = (Histogram::<UNIT_BITS>::SHORTEST, Histogram::<UNIT_BITS>::LONGEST);
    // Each octave but the first few, which nothing is as short as.
    let bounds = std::iter::successors(Some(shortest << 4), |bound| Some(bound << 1));
    let mut steps: Vec<Step> = bounds
        .map(|bound| Step { up_to_ns: bound - 1, count: 0 })
        .take_while(|step| step.up_to_ns < longest)
        .collect();
    // Its bounds are constants that it takes; without them there is nothing to show.
    let Ok(mut hdr) = Hdr::<u64>::new_with_bounds(shortest, longest, 2) else {
        return Times::default();
    };
    // A busy responder's nanoseconds are more than 64 bits hold, within days.
    let mut sum_ns = 0_u128;
    for Bucket { from, to, count } in histogram.buckets() {
        hdr.saturating_record_n(from, count);
        sum_ns += u128::from(count) * u128::from(from.midpoint(to));
        for step in steps.iter_mut().filter(|step| to <= step.up_to_ns) {
            step.count += count;
        }
    }
    let part = |part| if hdr.is_empty() { 0 } else { hdr.value_at_quantile(part) };
    Times {
        count: hdr.len(),
        sum_us: u64::try_from(sum_ns / 1000).unwrap_or(u64::MAX),
        p50_ns: part(0.5),
        p90_ns: part(0.9),
        p99_ns: part(0.99),
        p999_ns: part(0.999),
        max_ns: part(1.0),
        steps,
    }
}

#[cfg(test)]
mod tests {
    use otherhalf_engine::RoundTrips;

    use super::*;

    #[test]
    fn times_are_told_to_a_part_in_128() {
        let histogram = RoundTrips::default();
        let nothing = times(&histogram);
        assert_eq!((nothing.count, nothing.p50_ns, nothing.max_ns), (0, 0, 0));
        // 1 to 1000 ms.
        for ms in 1..=1000 {
            histogram.record(ms * 1_000_000, 1);
        }
        let times = times(&histogram);
        let near = |told: u64, ms: u64| told.abs_diff(ms * 1_000_000) <= ms * 1_000_000 / 128;
        assert_eq!(times.count, 1000);
        assert!(near(times.sum_us * 1000, 500_500), "{times:?}");
        assert!(near(times.p50_ns, 500) && near(times.p90_ns, 900), "{times:?}");
        assert!(near(times.p99_ns, 990) && near(times.p999_ns, 999), "{times:?}");
        assert!(near(times.max_ns, 1000), "{times:?}");
    }

    #[test]
    fn all_times_together_are_told_after_years() {
        let histogram = RoundTrips::default();
        // A hundred thousand a second of 50 ms each, for a year.
        histogram.record(50_000_000, 3_153_600_000_000);
        let us = times(&histogram).sum_us;
        assert!(us.abs_diff(157_680_000_000_000_000) <= us / 128, "{us}");
    }

    #[test]
    fn steps_count_what_took_no_longer() {
        let histogram = RoundTrips::default();
        let ns = [0, 16_383, 16_384, 1 << 20, 1 << 30, u64::MAX];
        for ns in ns {
            histogram.record(ns, 2);
        }
        let shown = times(&histogram);
        assert_eq!(shown.steps.len(), times(&RoundTrips::default()).steps.len());
        for Step { up_to_ns, count } in shown.steps {
            let expected = ns.iter().filter(|ns| **ns <= up_to_ns).count() as u64 * 2;
            assert_eq!(count, expected, "{up_to_ns}");
        }
    }
}
