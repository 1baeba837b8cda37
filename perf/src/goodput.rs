//! Goodput under overload, as a curve: the no-drop rate is searched for, then open loops at that and at multiples of it, in
//! turns, in one run; each relative to the most of its round.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::course::Course;
use crate::figures::Figures;
use crate::pace::Load;
use crate::proof::{GENERATOR_BUSY, LEAST_GOODPUT, LEAST_OFFERED, Ratio, median};
use crate::search::{NoDrop, Search, found};
use crate::step::{Seen, Step};

/// The loads of the curve, as multiples of the no-drop rate.
const FACTORS: [f64; 6] = [1.0, 1.25, 1.5, 2.0, 3.0, 4.0];

/// The course of a curve.
#[derive(Debug, Clone)]
pub struct Goodput {
    /// How the no-drop rate is searched for.
    pub search: Search,
    /// How often each load is done.
    pub rounds: usize,
    /// Whether answers have a port of their own.
    pub apart: bool,
    /// The no-drop rate, if it is known: then it is not searched for.
    pub known: Option<f64>,
    /// The steps that the search took, once it is over.
    pub searched: Option<usize>,
}

impl Goodput {
    /// How many of the steps were the search's: the rest are whole rounds, in the order in which they were done.
    fn searched_of(&self, seen: &[Seen]) -> usize {
        seen.len().saturating_sub(self.rounds * FACTORS.len())
    }

    /// The no-drop rate, by the steps of the search.
    fn no_drop(&self, search: &[Seen], hz: u64) -> NoDrop {
        let found = found(self.search.mode, search, hz);
        NoDrop { rate: self.known.unwrap_or(found.rate), ..found }
    }
}

impl Course for Goodput {
    fn outstanding(&self) -> usize {
        self.search.outstanding()
    }

    fn pending_timeout_ms(&self) -> Option<u32> {
        self.search.pending_timeout_ms()
    }

    fn next(&mut self, seen: &[Seen], hz: u64) -> Result<Option<Step>> {
        let searched = match self.searched {
            Some(searched) => searched,
            None if self.known.is_some() => 0,
            None => match self.search.next(seen, hz)? {
                Some(step) => return Ok(Some(step)),
                None => *self.searched.insert(seen.len()),
            },
        };
        let no_drop = self.no_drop(&seen[..searched], hz).rate;
        ensure!(
            no_drop > 0.0,
            "no rate passed without loss, so there is none to be a multiple of: try longer --seconds, a quieter machine, or --no-drop"
        );
        let done = seen.len() - searched;
        Ok((done < self.rounds * FACTORS.len()).then(|| {
            let rate = FACTORS[done % FACTORS.len()] * no_drop;
            Step { load: Load::Open { rate }, ..self.search.trial }
        }))
    }
}

/// A load of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// As a multiple of the no-drop rate.
    pub factor: f64,
    /// Transactions served a second, the median of the rounds.
    pub served_per_s: f64,
    /// To the most of the same round, the median of the rounds.
    pub of_peak: f64,
    /// How much of what was wanted was offered.
    pub offered: f64,
    /// The share of the time in which the generator was busy.
    pub generator: f64,
}

/// What a course of goodput found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The search for the no-drop rate.
    pub no_drop: NoDrop,
    /// The loads.
    pub points: Vec<Point>,
    /// Their ratios, with the target.
    pub ratios: Vec<Ratio>,
}

/// The curve in what was `seen`, by a course like `goodput`.
#[must_use]
pub fn curve(goodput: &Goodput, seen: &[Seen], hz: u64) -> Curve {
    let (search, steps) = seen.split_at(goodput.searched_of(seen));
    let no_drop = goodput.no_drop(search, hz);
    let rounds: Vec<Vec<Figures>> = steps
        .chunks_exact(FACTORS.len())
        .map(|round| round.iter().map(|seen| Figures::of(seen, hz)).collect())
        .collect();
    let peak = |round: &[Figures]| round.iter().map(Figures::served_per_s).fold(0.0, f64::max);
    let points: Vec<Point> = FACTORS
        .into_iter()
        .enumerate()
        .filter_map(|(place, factor)| {
            let of = |figure: &dyn Fn(&[Figures], &Figures) -> f64| {
                median(rounds.iter().map(|round| figure(round, &round[place])).collect())
            };
            let wanted = factor * no_drop.rate;
            Some(Point {
                factor,
                served_per_s: of(&|_, one| one.served_per_s())?,
                of_peak: of(&|round, one| one.served_per_s() / peak(round).max(1.0))?,
                offered: of(&|_, one| one.rates().offered_per_s / wanted.max(1.0))?,
                generator: of(&|_, one| one.rates().generator_busy)?,
            })
        })
        .collect();
    let ratios = points.iter().map(|point| ratio(point, goodput.apart)).collect();
    Curve { no_drop, points, ratios }
}

fn ratio(point: &Point, apart: bool) -> Ratio {
    let name = if apart { "goodput-two-ports" } else { "goodput" };
    let mut ratio = Ratio {
        name: format!("{name}/{}", point.factor),
        value: Some(point.of_peak),
        target: Some(LEAST_GOODPUT),
        at_least: true,
        undecided: point.offered < LEAST_OFFERED,
    };
    // Who is busy to the last did not listen to all that was served: it is the least that it may be.
    ratio.undecided |= !ratio.passes() && point.generator >= GENERATOR_BUSY;
    ratio
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::tests::{seen, step};
    use crate::search::Mode;

    const HZ: u64 = 1000;

    /// A responder that loses nothing up to 1000 a second, and serves this share of that at four times as much.
    fn run(left: f64, known: Option<f64>) -> Curve {
        let mut goodput = Goodput {
            search: Search {
                mode: Mode::Strict,
                trial: step(Load::Open { rate: 0.0 }),
                trials: 12,
                resolution: 0.02,
            },
            rounds: 3,
            apart: false,
            known,
            searched: None,
        };
        let mut all: Vec<Seen> = Vec::new();
        while let Some(next) = goodput.next(&all, HZ).unwrap() {
            let rate = match next.load {
                Load::Open { rate } => rate,
                Load::Closed { .. } => 1000.0,
            };
            let served = if rate > 3500.0 { 1000.0 * left } else { rate.min(1000.0) };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let [served, asked] = [served / 10.0, rate / 10.0].map(|rate| rate as u64);
            let mut one = seen(next.load, served, |_, window| window.offered = asked);
            one.step = next;
            (one.tally.asked, one.tally.lost_requests) =
                (10 * asked, 10 * asked.saturating_sub(served));
            one.tally.responses = 10 * served;
            all.push(one);
        }
        curve(&goodput, &all, HZ)
    }

    #[test]
    fn a_curve_is_relative_to_its_peak_and_begins_at_the_no_drop_rate() {
        let kept = run(0.95, None);
        assert!(kept.no_drop.rate > 900.0 && kept.no_drop.rate <= 1010.0, "{:?}", kept.no_drop);
        let factors: Vec<f64> = kept.points.iter().map(|point| point.factor).collect();
        assert_eq!(factors, FACTORS);
        let last = kept.ratios.last().unwrap();
        assert_eq!((last.name.as_str(), last.verdict()), ("goodput/4", "pass"));
        assert!((last.value.unwrap() - 0.95).abs() < 0.02, "{last:?}");
        let fallen = run(0.5, None);
        assert_eq!(fallen.ratios.last().unwrap().verdict(), "short");
        let known = run(0.95, Some(1000.0));
        assert!(known.no_drop.trials.is_empty(), "{known:?}");
        assert_eq!(known.ratios.last().unwrap().verdict(), "pass");
    }

    #[test]
    fn what_was_not_offered_or_not_heard_decides_nothing() {
        let point =
            Point { factor: 4.0, served_per_s: 1.0, of_peak: 0.5, offered: 1.0, generator: 0.5 };
        assert_eq!(ratio(&point, true).verdict(), "short");
        assert_eq!(ratio(&Point { offered: 0.9, ..point }, true).verdict(), "-");
        assert_eq!(ratio(&Point { generator: 0.99, ..point }, true).verdict(), "-");
        let kept = Point { of_peak: 0.95, generator: 0.99, ..point };
        assert_eq!(ratio(&kept, true).verdict(), "pass");
    }
}
