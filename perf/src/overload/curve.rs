//! What goodput is at each load, and its ratios.
//!
//! Goodput is what is served: requests whose probe came and was right, or whole transactions whose response did. At a load it is
//! divided by what could have been served: by what was offered, as long as that is less than the peak, else by the peak, which is the
//! goodput of the load at which most is served. So 1 is a responder that serves all up to its peak and goes on serving that much,
//! whatever more is offered; a ratio to the peak alone would blame a load below it for asking for less.

use serde::{Deserialize, Serialize};

use super::lane::{Alone, RECEIVE};
use super::{Measured, Slice};
use crate::proof::{GENERATOR_BUSY, LEAST_GOODPUT, LEAST_OFFERED, Ratio, median};

/// The loads, as multiples of the no-drop rate.
pub const FACTORS: [f64; 6] = [1.0, 1.25, 1.5, 2.0, 3.0, 4.0];
/// A generator that finds so much of what it takes at once, whenever it looks, does not keep up.
const FULL: f64 = 0.9 * RECEIVE as f64;
/// A responder that has nothing to do for more of the time than this leaves is not what limits.
const BUSY: f64 = 0.95;

/// Lower quartile, median and upper quartile of the rounds.
pub type Spread = [f64; 3];

/// A load of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// As a multiple of the no-drop rate.
    pub factor: f64,
    /// Rounds in which enough of it counted.
    pub rounds: usize,
    /// Requests served a second.
    pub served_per_s: Spread,
    /// To what could have been, in the same round.
    pub ratio: Spread,
    /// How much of what was wanted was offered.
    pub offered: f64,
    /// The share of windows that counted.
    pub counted: f64,
    /// Frames received in a turn of the generator in which there were any.
    pub frames_per_turn: f64,
    /// The share of time of its turns in which frames came, or were taken.
    pub generator_busy: f64,
    /// The share of time of the responder's turns that brought frames, where it can be known.
    pub responder_busy: Option<f64>,
    /// Frames that it received in such a turn, likewise.
    pub responder_frames_per_turn: Option<f64>,
    /// Its ticks for a frame received, likewise.
    pub ticks_per_frame: Option<f64>,
    /// Whether the generator, not the responder, may have been what limited it.
    pub limited: bool,
}

impl Point {
    /// Its ratio with the target. What was not offered decides nothing, and what the generator limited is the least that it may be.
    fn judged(&self, name: &str) -> Ratio {
        let mut ratio = Ratio {
            name: format!("{name}/{}", self.factor),
            value: Some(self.ratio[1]),
            target: Some(LEAST_GOODPUT),
            at_least: true,
            undecided: self.offered < LEAST_OFFERED,
        };
        ratio.undecided |= !ratio.passes() && self.limited;
        ratio
    }
}

/// The curve of what was `measured`. A load that never counted is left out.
#[must_use]
pub fn curve(measured: &Measured) -> Vec<Point> {
    let of = |place: usize, figure: fn(&Slice) -> Option<f64>| -> Vec<f64> {
        let slices = measured.rounds.iter().filter_map(|round| round.get(place)?.as_ref());
        slices.filter_map(figure).collect()
    };
    let medians: Vec<f64> = (0..FACTORS.len())
        .map(|place| median(of(place, |slice| Some(slice.served_per_s))).unwrap_or(0.0))
        .collect();
    // One load for all rounds: the most of each round would be the most of the noise.
    let peak = medians.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    let (peak, peak_per_s) = peak.map_or((0, 0.0), |(place, rate)| (place, *rate));
    let points = FACTORS.into_iter().enumerate().filter_map(|(place, factor)| {
        let ratios: Vec<f64> = measured
            .rounds
            .iter()
            .filter_map(|round| {
                let (slice, peak) = (round.get(place)?.as_ref()?, round.get(peak)?.as_ref()?);
                let possible = slice.offered_per_s.min(peak.served_per_s);
                Some(slice.served_per_s / possible.max(1.0))
            })
            .collect();
        let one = |figure| median(of(place, figure));
        let served = of(place, |slice| Some(slice.served_per_s));
        let frames_per_turn = one(|slice| Some(slice.frames_per_turn))?;
        let responder_busy = one(|slice| slice.responder_busy);
        let generator_busy = one(|slice| Some(slice.generator_busy))?;
        let deaf = frames_per_turn >= FULL || generator_busy >= GENERATOR_BUSY;
        let idle = responder_busy.is_some_and(|busy| busy < BUSY);
        Some(Point {
            factor,
            rounds: ratios.len(),
            served_per_s: spread(served)?,
            ratio: spread(ratios)?,
            offered: one(|slice| Some(slice.offered_per_s / slice.wanted_per_s))?,
            counted: one(|slice| Some(slice.counted))?,
            frames_per_turn,
            generator_busy,
            responder_busy,
            responder_frames_per_turn: one(|slice| slice.responder_frames_per_turn),
            ticks_per_frame: one(|slice| slice.ticks_per_frame),
            limited: deaf || (idle && factor * measured.no_drop > peak_per_s),
        })
    });
    points.collect()
}

/// The ratios of a curve: one for each load, and for information what the generator offers to who only frees it, to the no-drop rate.
#[must_use]
pub fn ratios(
    name: &str,
    measured: &Measured,
    points: &[Point],
    alone: Option<Alone>,
) -> Vec<Ratio> {
    let name = format!("overload/{name}/{}", measured.load);
    let mut ratios: Vec<Ratio> = points.iter().map(|point| point.judged(&name)).collect();
    if let Some(alone) = alone {
        ratios.push(Ratio {
            name: format!("{name}/generator"),
            value: Some(alone.offered_per_s / measured.no_drop.max(1.0)),
            target: None,
            at_least: true,
            undecided: false,
        });
    }
    ratios
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_unstable_by(f64::total_cmp);
    let quarter = values.len() / 4;
    let ends = [values.get(quarter).copied(), values.iter().rev().nth(quarter).copied()];
    let middle = median(values)?;
    Some([ends[0]?, middle, ends[1]?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A responder that serves 1100 a second at most, and `left` of that at four times the no-drop rate of 1000.
    fn run(left: f64, change: impl Fn(&mut Slice)) -> Measured {
        let slice = |factor: f64, mood: f64| {
            let wanted = 1000.0 * factor;
            let most = if factor > 3.5 { 1100.0 * left } else { 1100.0 };
            let mut slice = Slice {
                wanted_per_s: wanted,
                offered_per_s: wanted,
                served_per_s: wanted.min(mood * most),
                counted: 0.8,
                frames_per_turn: 20.0,
                generator_busy: 0.6,
                responder_busy: Some(0.99),
                responder_frames_per_turn: Some(31.9),
                ticks_per_frame: Some(150.0),
            };
            change(&mut slice);
            Some(slice)
        };
        let round = |mood| FACTORS.iter().map(|factor| slice(*factor, mood)).collect();
        let mut rounds: Vec<Vec<_>> = [1.0, 1.2, 0.97, 1.1].map(round).into();
        rounds[3][5] = None;
        Measured {
            load: "traces".to_owned(),
            trials: Vec::new(),
            peak: 1100.0,
            no_drop: 1000.0,
            found: true,
            rounds,
        }
    }

    fn verdicts(measured: &Measured) -> Vec<&'static str> {
        let ratios = ratios("x", measured, &curve(measured), None);
        ratios.iter().map(Ratio::verdict).collect()
    }

    #[test]
    fn a_load_is_judged_by_what_could_have_been_served() {
        let kept = run(0.95, |_| {});
        let points = curve(&kept);
        let factors: Vec<f64> = points.iter().map(|point| point.factor).collect();
        assert_eq!(factors, FACTORS);
        // Less was asked for than the peak, and all of it was served.
        assert!((points[0].ratio[1] - 1.0).abs() < 1e-9, "{points:?}");
        assert!((points[5].ratio[1] - 0.95).abs() < 0.02, "{points:?}");
        assert_eq!((points[4].rounds, points[5].rounds), (4, 3));
        assert_eq!(verdicts(&kept), ["pass"; 6]);
        let alone = Alone { offered_per_s: 5500.0, taken_per_s: 2000.0 };
        let names: Vec<String> =
            ratios("x", &kept, &points, Some(alone)).into_iter().map(|ratio| ratio.name).collect();
        assert_eq!(names[5..], ["overload/x/traces/4", "overload/x/traces/generator"]);
        assert_eq!(verdicts(&run(0.5, |_| {}))[5], "short");
    }

    #[test]
    fn what_was_not_offered_or_not_heard_decides_nothing() {
        let less = run(0.95, |slice| slice.offered_per_s *= 0.9);
        assert_eq!(verdicts(&less)[5], "-");
        let deaf = run(0.5, |slice| slice.frames_per_turn = RECEIVE as f64);
        assert_eq!(verdicts(&deaf)[5], "-");
        let busy = run(0.5, |slice| slice.generator_busy = 0.97);
        assert_eq!(verdicts(&busy)[5], "-");
        let idle = run(0.5, |slice| slice.responder_busy = Some(0.6));
        assert_eq!(verdicts(&idle)[5], "-");
        // Limited or not, it is at least that much.
        let kept = run(0.95, |slice| slice.frames_per_turn = RECEIVE as f64);
        assert_eq!(verdicts(&kept)[5], "pass");
    }

    #[test]
    fn a_run_of_which_nothing_counted_has_no_curve() {
        let mut none = run(0.95, |_| {});
        for slice in none.rounds.iter_mut().flatten() {
            *slice = None;
        }
        assert!(curve(&none).is_empty());
        assert_eq!(spread(vec![4.0, 1.0, 2.0, 3.0, 5.0]), Some([2.0, 3.0, 4.0]));
        assert_eq!(spread(Vec::new()), None);
    }
}
