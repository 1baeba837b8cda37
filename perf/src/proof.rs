//! Overload and latency, as ratios: what of the peak is left far above it, and how far the longest latencies are from
//! the median well below it.
//!
//! Neighbouring steps are compared, peak and overload in turns, for the host's mood changes from one minute to the next.

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::course::Course;
use crate::figures::{Figures, Percentiles};
use crate::pace::Load;
use crate::step::{Seen, Step};

/// Closed loops among which the peak is looked for. More under way serve no more, and less: their buffers do not stay
/// in the caches.
const WINDOWS: [usize; 5] = [16, 32, 64, 128, 256];
/// What is overload, as a multiple of the peak's load.
const OVERLOAD: usize = 4;
/// The load at which latency is measured, as a part of the peak.
const BUSY: f64 = 0.8;
/// Frames in and frames out of a transaction, on either side.
const FRAMES: f64 = 2.0;
/// How much of the open overload must have been offered for the ratio to be of it.
const LEAST_OFFERED: f64 = 0.95;
/// What must be left of the peak.
const LEAST_GOODPUT: f64 = 0.9;
/// How much longer than the median the longest of a thousand may take.
const MOST_SPREAD: f64 = 10.0;

/// The course of a proof.
#[derive(Debug, Clone, Copy)]
pub struct Proof {
    /// A step; its load does not count.
    pub step: Step,
    /// How often each pair of steps is done.
    pub rounds: usize,
}

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// To find the window of the peak.
    Find(usize),
    /// The peak, before each of the following.
    Peak,
    /// A closed loop of a multiple of the peak's window.
    Closed,
    /// An open loop at a multiple of the peak.
    Open,
    /// An open loop below the peak.
    Busy,
}

impl Proof {
    /// What the step at `place` is for; none: all is done.
    fn part(&self, place: usize) -> Option<Part> {
        if let Some(window) = WINDOWS.get(place) {
            return Some(Part::Find(*window));
        }
        let place = place - WINDOWS.len();
        let second = *[Part::Closed, Part::Open, Part::Busy].get(place / (2 * self.rounds))?;
        Some(if place.is_multiple_of(2) { Part::Peak } else { second })
    }

    /// The pairs of peak and `part`.
    fn pairs<'a>(&'a self, seen: &'a [Seen], part: Part) -> impl Iterator<Item = [&'a Seen; 2]> {
        let pairs = seen.windows(2).enumerate();
        pairs.filter(move |(place, _)| self.part(place + 1) == Some(part)).filter_map(
            |(_, pair)| {
                let [peak, other] = pair else { return None };
                Some([peak, other])
            },
        )
    }
}

/// The load of the peak: the window of the closed loops at the beginning that served most.
fn peak_window(seen: &[Seen], hz: u64) -> Option<usize> {
    let loops = seen.iter().take(WINDOWS.len()).filter_map(|seen| match seen.step.load {
        Load::Closed { window } => Some((window, Figures::of(seen, hz).served_per_s())),
        Load::Open { .. } => None,
    });
    loops.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(window, _)| window)
}

impl Course for Proof {
    fn outstanding(&self) -> usize {
        WINDOWS.iter().max().map_or(1, |most| OVERLOAD * most)
    }

    fn next(&mut self, seen: &[Seen], hz: u64) -> Result<Option<Step>> {
        let Some(part) = self.part(seen.len()) else { return Ok(None) };
        let window = || peak_window(seen, hz).context("no closed loop was done");
        let last = seen.last().map_or(0.0, |seen| Figures::of(seen, hz).served_per_s());
        let load = match part {
            Part::Find(window) => Load::Closed { window },
            Part::Peak => Load::Closed { window: window()? },
            Part::Closed => Load::Closed { window: OVERLOAD * window()? },
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            Part::Open => Load::Open { rate: OVERLOAD as f64 * last },
            Part::Busy => Load::Open { rate: BUSY * last },
        };
        // Nothing is told by how the peak was found.
        let time = if matches!(part, Part::Find(_)) { self.step.time / 2 } else { self.step.time };
        Ok(Some(Step { load, time, ..self.step }))
    }

    fn mirrored(&self, seen: &[Seen], _: u64) -> Option<Step> {
        let rates = self.pairs(seen, Part::Busy).filter_map(|[_, busy]| match busy.step.load {
            Load::Open { rate } => Some(FRAMES * rate),
            Load::Closed { .. } => None,
        });
        let rate = median(rates.collect())?;
        Some(Step { load: Load::Open { rate }, time: 2 * self.step.time, ..self.step })
    }
}

/// A line of the result: `ratio NAME VALUE TARGET pass|short`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Its name.
    pub name: String,
    /// Its value; none: too little was seen to tell.
    pub value: Option<f64>,
    /// What it is to be: at least this, or at most.
    pub target: f64,
    /// Whether the target is the least.
    pub at_least: bool,
    /// Whether the harness did not do what the ratio is of, so that it says nothing of the target.
    #[serde(default)]
    pub undecided: bool,
}

impl Ratio {
    /// Whether the target is met.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.value.is_some_and(|value| {
            if self.at_least { value >= self.target } else { value <= self.target }
        })
    }

    /// `pass`, `short`, or `-` where it says nothing.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match (self.undecided, self.passes()) {
            (true, _) => "-",
            (false, true) => "pass",
            (false, false) => "short",
        }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, value, target, .. } = self;
        let value = value.map_or_else(|| "none".to_owned(), |value| format!("{value:.2}"));
        write!(f, "ratio {name} {value} {target:.2} {}", self.verdict())
    }
}

/// What a proof found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proven {
    /// Its ratios.
    pub ratios: Vec<Ratio>,
    /// From a frame that goes in until the one that comes out for it, at the load below the peak, in settled windows.
    pub service: Percentiles,
    /// The same against a mirror that throws frames back, at as many frames a second: what the generator adds.
    pub harness: Percentiles,
    /// The window of the peak.
    pub peak_window: Option<usize>,
    /// How much of what was wanted of the open overload was really offered.
    pub offered: Option<f64>,
}

/// What the steps of `proof` brought.
#[must_use]
pub fn proven(proof: &Proof, seen: &[Seen], mirror: Option<&Seen>, hz: u64) -> Proven {
    let served = |seen: &Seen| Figures::of(seen, hz).served_per_s();
    let goodput = |part| {
        median(proof.pairs(seen, part).map(|[peak, over]| served(over) / served(peak)).collect())
    };
    let offered = proof.pairs(seen, Part::Open).filter_map(|[_, over]| match over.step.load {
        Load::Open { rate } => Some(Figures::of(over, hz).rates().offered_per_s / rate),
        Load::Closed { .. } => None,
    });
    let offered = median(offered.collect());
    let service = Percentiles::of(&frames_of(proof.pairs(seen, Part::Busy).map(|[_, busy]| busy)));
    let spread = (service.count > 0).then(|| service.p999 as f64 / service.p50.max(1) as f64);
    let ratio = |name: &str, value: Option<f64>, target, at_least| Ratio {
        name: name.to_owned(),
        value: value.filter(|value| value.is_finite()),
        target,
        at_least,
        undecided: false,
    };
    // What was not offered is no overload.
    let undecided = offered.is_some_and(|offered| offered < LEAST_OFFERED);
    Proven {
        ratios: vec![
            ratio("overload-closed", goodput(Part::Closed), LEAST_GOODPUT, true),
            Ratio { undecided, ..ratio("overload-open", goodput(Part::Open), LEAST_GOODPUT, true) },
            ratio("latency-p999", spread, MOST_SPREAD, false),
        ],
        service,
        harness: Percentiles::of(&frames_of(mirror)),
        peak_window: peak_window(seen, hz),
        offered,
    }
}

/// Latencies of single frames, probes and responses alike, in settled windows.
fn frames_of<'a>(steps: impl IntoIterator<Item = &'a Seen>) -> Histogram<u64> {
    let mut frames = crate::latency::Histograms::default();
    for seen in steps {
        frames.add(&seen.latencies.settled);
    }
    let crate::latency::Histograms { mut probe, response, .. } = frames;
    probe.add(&response).expect("all have the same bounds");
    probe
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = [values.len().checked_sub(1)? / 2, values.len() / 2];
    let [lower, upper] = middle.map(|at| values.get(at).copied());
    Some(f64::midpoint(lower?, upper?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::tests::{seen, step};
    use crate::latency::{Kind, Latencies};
    use crate::ledger::Latency;

    const HZ: u64 = 1000;

    /// What a responder brings that serves at most 100 a window of a tenth of a second, fewer in small windows, and
    /// half of it when it is asked for more than 2000 a second.
    fn responder(load: Load) -> Seen {
        let served = match load {
            Load::Closed { window } => (window as u64 * 100 / 256).min(100),
            Load::Open { rate } if rate > 2000.0 => 50,
            Load::Open { .. } => 80,
        };
        let mut seen = seen(load, served, |_, _| {});
        let mut latencies = Latencies::new(2000);
        for ns in 0..1000 {
            let long = if ns % 500 == 0 { 30_000 } else { 1000 };
            latencies.note(Latency { probe: long, response: 1000, whole: 1000 + long });
        }
        latencies.close_window(Kind::Settled);
        latencies.note(Latency { probe: 1 << 30, response: 1, whole: 1 << 30 });
        seen.latencies = latencies.finish();
        seen
    }

    #[test]
    fn peak_and_overload_are_done_in_turns_and_compared() {
        let mut proof = Proof { step: step(Load::Closed { window: 1 }), rounds: 3 };
        let mut done: Vec<Seen> = Vec::new();
        while let Some(step) = proof.next(&done, HZ).unwrap() {
            done.push(responder(step.load));
        }
        assert_eq!(done.len(), WINDOWS.len() + 3 * 2 * 3);
        let loads: Vec<Load> = done.iter().map(|seen| seen.step.load).collect();
        let window = 256;
        let peak = Load::Closed { window };
        assert_eq!(loads[5..7], [peak, Load::Closed { window: 1024 }]);
        assert_eq!(loads[11..13], [peak, Load::Open { rate: 4000.0 }]);
        assert_eq!(loads[17..19], [peak, Load::Open { rate: 800.0 }]);
        let mirror = proof.mirrored(&done, HZ).unwrap();
        assert_eq!(mirror.load, Load::Open { rate: 1600.0 });

        let proven = proven(&proof, &done, Some(&responder(mirror.load)), HZ);
        let lines: Vec<String> = proven.ratios.iter().map(ToString::to_string).collect();
        // This generator asks for no more than is served, so what it has at an open loop is no overload.
        assert_eq!(
            lines[..2],
            ["ratio overload-closed 1.00 0.90 pass", "ratio overload-open 0.50 0.90 -"]
        );
        // One in a thousand frames took 30 times as long; what was disturbed does not count.
        assert_eq!(proven.service.count, 3 * 2000);
        assert!(proven.ratios[2].value.is_some_and(|value| value < 2.0), "{lines:?}");
        assert_eq!((proven.harness.count, proven.peak_window), (2000, Some(window)));
    }

    #[test]
    fn what_was_not_seen_does_not_pass() {
        let proof = Proof { step: step(Load::Closed { window: 1 }), rounds: 1 };
        let proven = proven(&proof, &[], None, HZ);
        assert_eq!(proven.ratios[1].to_string(), "ratio overload-open none 0.90 short");
        assert_eq!(proven.ratios[2].to_string(), "ratio latency-p999 none 10.00 short");
    }

    #[test]
    fn what_was_not_offered_is_not_judged() {
        let ratio = |value, undecided| Ratio {
            name: "a".to_owned(),
            value: Some(value),
            target: 0.9,
            at_least: true,
            undecided,
        };
        assert_eq!(ratio(0.95, false).to_string(), "ratio a 0.95 0.90 pass");
        assert_eq!(ratio(0.7, false).to_string(), "ratio a 0.70 0.90 short");
        assert_eq!(ratio(0.95, true).to_string(), "ratio a 0.95 0.90 -");
    }

    #[test]
    fn a_median_lies_between_the_two_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
