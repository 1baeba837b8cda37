//! Tells an improvement from noise.
//!
//! The unit is the block, a tenth of a second: windows next to each other are not independent, blocks nearly
//! are. The figure is the ratio of the medians of the blocks, with an interval that covers 95 % by the
//! percentile bootstrap (Efron): both runs' blocks are drawn anew, with replacement, many times.
//!
//! Two runs are two times: the host's mood may have changed between them, and no resampling of a run's own
//! blocks can know that. So a difference counts only if it is larger than the moods' too.

use std::fmt;

use crate::figures::Block;
use crate::mood::Mood;
use crate::report::Report;

/// How often is drawn anew.
const DRAWS: usize = 10_000;
/// The fewest blocks of a step that say anything.
pub const LEAST_BLOCKS: usize = 5;
/// What ratios on a shared machine can be trusted to, whatever the interval says: 5 %.
const FLOOR: f64 = 0.05;

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The second is better.
    Better,
    /// It is worse.
    Worse,
    /// No difference that could not be chance, or the host's mood.
    Noise,
    /// Too few blocks to tell.
    TooFew,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Noise => "noise",
            Self::TooFew => "too few blocks",
        })
    }
}

/// A ratio of two runs, the second to the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Of the medians.
    pub ratio: f64,
    /// 95 % of the draws lie between these.
    pub interval: [f64; 2],
}

/// The ratio of the medians of `b` and `a`. `None` without values.
#[must_use]
pub fn ratio(a: &[f64], b: &[f64]) -> Option<Ratio> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut draws: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let mut drawn = |values: &[f64]| {
                median(values.iter().map(|_| values[random.below(values.len())]).collect())
            };
            let base = drawn(a);
            drawn(b) / base
        })
        .collect();
    draws.sort_unstable_by(f64::total_cmp);
    let interval = [draws[DRAWS / 40], draws[DRAWS - 1 - DRAWS / 40]];
    Some(Ratio { ratio: median(b.to_vec()) / median(a.to_vec()), interval })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values[values.len() / 2];
    if values.len() % 2 == 1 { upper } else { f64::midpoint(values[values.len() / 2 - 1], upper) }
}

/// Xorshift (Marsaglia): the same draws for the same blocks, always.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap_or(0)
    }
}

/// What can be compared: its name, its value in a block, whether more is better.
type Measure = (&'static str, fn(&Block) -> Option<f64>, bool);

const MEASURES: [Measure; 2] = [
    ("transactions a second", |block| Some(block.rates.served_per_s), true),
    ("ticks a frame", |block| block.rates.ticks_per_frame, false),
];

/// One measure of one step of both runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The step.
    pub step: String,
    /// The measure.
    pub measure: &'static str,
    /// The ratio, if both have blocks.
    pub ratio: Option<Ratio>,
    /// What it says.
    pub finding: Finding,
}

/// How much worse the second run's mood was: above 1, the host computed more slowly, or its cores were
/// farther apart.
#[must_use]
pub fn mood_ratio(a: &Report, b: &Report) -> f64 {
    let mean = |report: &Report, of: fn(&Mood) -> f64| {
        f64::midpoint(of(&report.run.mood_before), of(&report.run.mood_after))
    };
    let compute = |mood: &Mood| mood.multiplication_ticks;
    let far = |mood: &Mood| mood.round_trip_ticks.unwrap_or(1.0);
    let ratios = [mean(b, compute) / mean(a, compute), mean(b, far) / mean(a, far)];
    // The one that is farther from 1.
    let distance = |ratio: &f64| ratio.ln().abs();
    ratios.into_iter().max_by(|x, y| distance(x).total_cmp(&distance(y))).unwrap_or(1.0)
}

/// Compares the steps that both have, in their order.
#[must_use]
pub fn compare(a: &Report, b: &Report) -> Vec<Row> {
    let mood = mood_ratio(a, b).ln().abs();
    let mut rows = Vec::new();
    for ((step_a, blocks_a), (step_b, blocks_b)) in a.steps.iter().zip(&b.steps) {
        for (measure, value, more_is_better) in MEASURES {
            let values = |blocks: &[Block]| blocks.iter().filter_map(value).collect::<Vec<_>>();
            let (values_a, values_b) = (values(blocks_a), values(blocks_b));
            let ratio = ratio(&values_a, &values_b);
            let finding = match ratio {
                Some(_) if values_a.len().min(values_b.len()) < LEAST_BLOCKS => Finding::TooFew,
                Some(ratio) => judge(&ratio, mood, more_is_better),
                None => Finding::TooFew,
            };
            let name = match (step_a.name(), step_b.name()) {
                (a, b) if a == b => a,
                (a, b) => format!("{a} and {b}"),
            };
            rows.push(Row { step: name, measure, ratio, finding });
        }
    }
    rows
}

/// `mood`: the logarithm by which the moods differ.
fn judge(ratio: &Ratio, mood: f64, more_is_better: bool) -> Finding {
    let [low, high] = ratio.interval;
    let apart = low > 1.0 || high < 1.0;
    let size = ratio.ratio.ln().abs();
    if !apart || size <= (1.0 + FLOOR).ln() || size <= mood {
        Finding::Noise
    } else if (ratio.ratio > 1.0) == more_is_better {
        Finding::Better
    } else {
        Finding::Worse
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    /// Rates around `mean`, spread by `spread` of it, `seed` apart.
    fn rates(mean: f64, spread: f64, seed: u64) -> Vec<f64> {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..60)
            .map(|_| mean * (1.0 + spread * (random.below(2001) as f64 / 1000.0 - 1.0)))
            .collect()
    }

    fn finding(a: &[f64], b: &[f64], moods: [f64; 2]) -> [Finding; 2] {
        let rows = compare(&report(a, moods[0]), &report(b, moods[1]));
        [rows[0].finding, rows[1].finding]
    }

    #[test]
    fn a_run_against_its_like_is_noise() {
        for seed in 1..30 {
            let (a, b) = (rates(1e6, 0.3, seed), rates(1e6, 0.3, seed + 1000));
            assert_eq!(finding(&a, &b, [3.0, 3.0]), [Finding::Noise; 2], "{seed}");
        }
    }

    #[test]
    fn a_difference_is_found_in_both_directions() {
        let (slow, fast) = (rates(1.0e6, 0.2, 1), rates(1.3e6, 0.2, 2));
        assert_eq!(finding(&slow, &fast, [3.0, 3.0]), [Finding::Better; 2]);
        assert_eq!(finding(&fast, &slow, [3.0, 3.0]), [Finding::Worse; 2]);
    }

    #[test]
    fn what_the_mood_explains_is_noise() {
        let (slow, fast) = (rates(1.0e6, 0.1, 1), rates(1.3e6, 0.1, 2));
        assert_eq!(finding(&slow, &fast, [4.5, 3.0]), [Finding::Noise; 2]);
    }

    #[test]
    fn small_and_few_are_not_enough() {
        let (a, b) = (rates(1.0e6, 0.001, 1), rates(1.04e6, 0.001, 2));
        assert_eq!(finding(&a, &b, [3.0, 3.0]), [Finding::Noise; 2]);
        assert_eq!(finding(&a[..4], &b, [3.0, 3.0]), [Finding::TooFew; 2]);
        assert_eq!(ratio(&[], &a), None);
    }

    #[test]
    fn the_interval_covers_the_ratio() {
        let found = ratio(&rates(1e6, 0.3, 5), &rates(2e6, 0.3, 6)).unwrap();
        assert!(found.interval[0] <= found.ratio && found.ratio <= found.interval[1]);
        assert!(found.interval[0] < 2.0 && found.interval[1] > 1.9, "{found:?}");
    }
}
