//! Routers by a counter that their interfaces share: the identification of the IPv4 packets that they send (Ally: Spring et al.
//! 2002; RadarGun: Bender et al. 2008; the monotonic bounds of MIDAR: Keys et al. 2013).
//!
//! Samples of two addresses, taken by turns, are put in one order. If both come from one counter, the whole is a series that only
//! grows, modulo 2^16, and by little from one sample to the next. Two counters of their own would have to
//! stand by chance so close together that each sample falls between two of the other: the chance of that is the largest distance
//! between two such that was seen, as a part of all 2^16 numbers.

use std::time::Duration;

/// A packet's identification, and when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// From the begin of the sampling.
    pub sent: Duration,
    /// The identification of the answer.
    pub identification: u16,
}

/// Samples of each address that it takes.
pub const LEAST: usize = 5;

/// A larger step may have gone round once or more: such a counter is too fast to follow.
const LARGEST_STEP: u16 = 1 << 13;

/// The chance above which a match says nothing: 1 in 20.
const LARGEST_CHANCE: f64 = 0.05;

/// The chance that two counters which have nothing to do with each other look so much like one; `None` if they do not
/// look like one, or if nothing can be said: too few samples, a constant, a number at random, or a counter that is too fast.
#[must_use]
pub fn shared(a: &[Sample], b: &[Sample]) -> Option<f64> {
    if a.len() < LEAST || b.len() < LEAST {
        return None;
    }
    let mut all: Vec<(Sample, bool)> = a
        .iter()
        .map(|sample| (*sample, true))
        .chain(b.iter().map(|sample| (*sample, false)))
        .collect();
    all.sort_by_key(|(sample, _)| sample.sent);
    // Each must fall between those of the other: a series that follows upon the other says nothing.
    let turns = all.array_windows().filter(|[(_, first), (_, second)]| first != second).count();
    if turns < 2 * LEAST - 1 {
        return None;
    }
    let steps = all
        .array_windows()
        .map(|[(first, _), (second, _)]| second.identification.wrapping_sub(first.identification))
        // 0 is no step: a constant, or a copy of what was sent.
        .map(|step| (1..=LARGEST_STEP).contains(&step).then_some(step))
        .collect::<Option<Vec<u16>>>()?;
    let largest = steps.array_windows().map(|[before, after]| before + after).max()?;
    let chance = f64::from(largest) / 65536.0;
    (chance <= LARGEST_CHANCE).then_some(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(start: u16, offset_ms: u64, values: impl Fn(u64) -> u16) -> Vec<Sample> {
        (0..8)
            .map(|turn| {
                let at = offset_ms + 100 * turn;
                let identification = start.wrapping_add(values(at));
                Sample { sent: Duration::from_millis(at), identification }
            })
            .collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "counters wrap around")]
    fn rate(per_ms: u64) -> impl Fn(u64) -> u16 {
        move |at| (at * per_ms) as u16
    }

    #[test]
    fn one_counter_is_seen_also_where_it_wraps_around() {
        for start in [0, 40_000, 65_500] {
            let chance = shared(&series(start, 0, rate(1)), &series(start, 40, rate(1))).unwrap();
            // 100 from one sample to the next but one.
            assert!((chance - 100.0 / 65536.0).abs() < 1e-9, "{chance}");
        }
    }

    #[test]
    fn what_is_not_one_counter_or_cannot_be_told() {
        let one = series(1000, 0, rate(1));
        for (other, what) in [
            (series(30_000, 40, rate(1)), "elsewhere"),
            (series(1100, 40, rate(1)), "ahead by more than a turn"),
            (series(1000, 40, rate(3)), "faster"),
            (series(1000, 40, |_| 0), "constant"),
            (series(1000, 40, rate(40_503)), "at random"),
            (series(2000, 2000, rate(1)), "not by turns"),
            (one[..3].to_vec(), "too few"),
        ] {
            assert_eq!(shared(&one, &other), None, "{what}");
            assert_eq!(shared(&other, &one), None, "{what}");
        }
        let zero = series(0, 0, |_| 0);
        assert_eq!(shared(&zero, &series(0, 40, |_| 0)), None, "two that never count");
        let fast = |offset| series(0, offset, rate(300));
        assert_eq!(shared(&fast(0), &fast(40)), None, "too fast to follow");
    }

    #[test]
    fn the_stated_chance_is_not_too_small() {
        let one = series(0, 0, rate(1));
        let chances: Vec<f64> =
            (0..=u16::MAX).filter_map(|start| shared(&one, &series(start, 40, rate(1)))).collect();
        let taken_for_one = u32::try_from(chances.len()).unwrap();
        let least = chances.iter().copied().fold(1.0, f64::min);
        assert!(
            taken_for_one > 0 && f64::from(taken_for_one) / 65536.0 <= least,
            "{taken_for_one}"
        );
    }
}
