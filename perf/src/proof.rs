//! Overload and latency, as ratios: what of the peak is left far above it, and how far the longest latencies are from
//! the median well below it.
//!
//! Neighbouring steps are compared, peak and overload in turns, for the host's mood changes from one minute to the next.

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::course::{Course, PENDING_TIMEOUT_MS};
use crate::figures::{Figures, Percentiles};
use crate::null::Takes;
use crate::pace::Load;
use crate::step::{Against, Seen, Step};

/// Closed loops among which the peak is looked for. More under way serve no more, and less: their buffers do not stay
/// in the caches.
const WINDOWS: [usize; 5] = [16, 32, 64, 128, 256];
/// What is overload, as a multiple of the peak's load.
const OVERLOAD: usize = 4;
/// The load at which latency is measured, as a part of the peak.
const BUSY: f64 = 0.8;
/// Transactions that are under way at most: full queues of 2048 in both directions, and those whose time-out is
/// awaited. Were there fewer, it would be their lack that limits an open overload.
const OUTSTANDING: usize = 1 << 13;
/// Frames in and frames out of a transaction, on either side.
const FRAMES: f64 = 2.0;
/// How much of the open overload must have been offered for the ratio to be of it.
pub(crate) const LEAST_OFFERED: f64 = 0.95;
/// A generator that is busy for so much of the time did not listen to all that the responder served: what it saw is the
/// least that it may be.
pub(crate) const GENERATOR_BUSY: f64 = 0.95;
/// What must be left of the peak.
pub(crate) const LEAST_GOODPUT: f64 = 0.9;
/// How much longer than the median the longest of a thousand may take.
const MOST_SPREAD: f64 = 10.0;

/// The course of a proof.
#[derive(Debug, Clone, Copy)]
pub struct Proof {
    /// A step; its load does not count.
    pub step: Step,
    /// How often each pair of steps is done.
    pub rounds: usize,
    /// Whether answers have a port of their own: then the open overload alone is done.
    pub apart: bool,
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
    /// The same against a null server that takes as long for a frame.
    Null,
    /// The same against one that takes no time.
    Harness,
}

/// What is done in turns, and as often as there are rounds.
const TURNS: [&[Part]; 3] =
    [&[Part::Peak, Part::Closed], &[Part::Peak, Part::Open], &[Part::Peak, Part::Busy, Part::Null]];
/// The same where answers have a port of their own.
const TURNS_APART: [&[Part]; 1] = [&[Part::Peak, Part::Open]];
/// What is done once at the end.
const LAST: Part = Part::Harness;

impl Proof {
    /// What the step at `place` is for; none: all is done.
    fn part(&self, place: usize) -> Option<Part> {
        if let Some(window) = WINDOWS.get(place) {
            return Some(Part::Find(*window));
        }
        let mut place = place - WINDOWS.len();
        let turns: &[&[Part]] = if self.apart { &TURNS_APART } else { &TURNS };
        for turn in turns {
            let steps = turn.len() * self.rounds;
            if place < steps {
                return turn.get(place % turn.len()).copied();
            }
            place -= steps;
        }
        (place == 0 && !self.apart).then_some(LAST)
    }

    /// The steps that are `part`.
    fn steps<'a>(&'a self, seen: &'a [Seen], part: Part) -> impl Iterator<Item = &'a Seen> {
        let places = seen.iter().enumerate();
        places.filter(move |(place, _)| self.part(*place) == Some(part)).map(|(_, seen)| seen)
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
        OUTSTANDING
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
            Part::Null | Part::Harness => Load::Open { rate: FRAMES * self.busy_rate(seen)? },
        };
        let against = match part {
            Part::Null => Against::Null(as_busy(seen, hz)?),
            Part::Harness => Against::Null(Takes::default()),
            _ => Against::Responder,
        };
        let time = match part {
            // Nothing is told by how the peak was found.
            Part::Find(_) => self.step.time / 2,
            Part::Harness => 2 * self.step.time,
            _ => self.step.time,
        };
        Ok(Some(Step { load, time, against, ..self.step }))
    }

    fn needs_null(&self) -> bool {
        !self.apart
    }

    fn pending_timeout_ms(&self) -> Option<u32> {
        Some(PENDING_TIMEOUT_MS)
    }
}

impl Proof {
    /// Transactions a second, of the last step below the peak.
    fn busy_rate(&self, seen: &[Seen]) -> Result<f64> {
        let rates = self.steps(seen, Part::Busy).filter_map(|busy| match busy.step.load {
            Load::Open { rate } => Some(rate),
            Load::Closed { .. } => None,
        });
        rates.last().context("nothing was done below the peak")
    }
}

/// What the null server is to take to be as busy as the responder was in the last step that served anything: so much a
/// turn, and so much a frame, which follows from that step, with its short bursts, and the peak before, with full ones.
fn as_busy(seen: &[Seen], hz: u64) -> Result<Takes> {
    let mut points = seen.iter().rev().filter_map(|seen| {
        let figures = Figures::of(seen, hz);
        let rates = [figures.rates(), &figures.all];
        rates.iter().find_map(|rates| rates.ticks_per_frame.zip(rates.frames_per_turn))
    });
    let (busy, short) =
        points.next().context("the responder's counters can't be seen: on rings only")?;
    let per_turn = match points.next() {
        Some((peak, full)) if full > short => (busy - peak) * short * full / (full - short),
        _ => 0.0,
    };
    let per_turn = per_turn.clamp(0.0, busy * short);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some thousands of ticks, and none below 0"
    )]
    let [turn, frame] = [per_turn, busy - per_turn / short].map(|ticks| ticks as u64);
    Ok(Takes { turn, frame })
}

/// A line of the result: `ratio NAME VALUE TARGET pass|short`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Its name.
    pub name: String,
    /// Its value; none: too little was seen to tell.
    pub value: Option<f64>,
    /// What it is to be: at least this, or at most; none: it is told for information.
    pub target: Option<f64>,
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
        self.value.zip(self.target).is_some_and(|(value, target)| {
            if self.at_least { value >= target } else { value <= target }
        })
    }

    /// `pass`, `short`, or `-` where it says nothing.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match (self.undecided || self.target.is_none(), self.passes()) {
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
        let target = target.map_or_else(|| "-".to_owned(), |target| format!("{target:.2}"));
        write!(f, "ratio {name} {value} {target} {}", self.verdict())
    }
}

/// What a proof found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proven {
    /// Its ratios.
    pub ratios: Vec<Ratio>,
    /// From a frame that goes in until the one that comes out for it, at the load below the peak, in settled windows.
    pub service: Percentiles,
    /// The same against a null server that takes as long for a frame, on the same core, in turns with the responder:
    /// what the host and the harness make of any server that busy.
    #[serde(default)]
    pub null: Percentiles,
    /// The same against a server that throws frames back at once: what the generator adds.
    pub harness: Percentiles,
    /// The window of the peak.
    pub peak_window: Option<usize>,
    /// How much of what was wanted of the open overload was really offered.
    pub offered: Option<f64>,
    /// The share of the time in which the generator was busy with it, where that limits what is seen to be served.
    #[serde(default)]
    pub generator: Option<f64>,
}

impl Proven {
    /// Latencies of a frame, each with whose they are.
    #[must_use]
    pub fn latencies(&self) -> [(&'static str, &Percentiles); 3] {
        [
            ("service", &self.service),
            ("null server as busy", &self.null),
            ("harness alone", &self.harness),
        ]
    }
}

/// What the steps of `proof` brought.
#[must_use]
pub fn proven(proof: &Proof, seen: &[Seen], hz: u64) -> Proven {
    let served = |seen: &Seen| Figures::of(seen, hz).served_per_s();
    let goodput = |part| {
        median(proof.pairs(seen, part).map(|[peak, over]| served(over) / served(peak)).collect())
    };
    let offered = proof.pairs(seen, Part::Open).filter_map(|[_, over]| match over.step.load {
        Load::Open { rate } => Some(Figures::of(over, hz).rates().offered_per_s / rate),
        Load::Closed { .. } => None,
    });
    let offered = median(offered.collect());
    let busy =
        proof.steps(seen, Part::Open).map(|seen| Figures::of(seen, hz).rates().generator_busy);
    let generator = median(busy.collect());
    let [service, null, harness] = [Part::Busy, Part::Null, Part::Harness]
        .map(|part| Percentiles::of(&frames_of(proof.steps(seen, part))));
    let spread = |p: &Percentiles| (p.count > 0).then(|| p.p999 as f64 / p.p50.max(1) as f64);
    let to_null =
        (service.count.min(null.count) > 0).then(|| service.p999 as f64 / null.p999.max(1) as f64);
    let ratio = |name: &str, value: Option<f64>, target: Option<f64>, at_least| Ratio {
        name: name.to_owned(),
        value: value.filter(|value| value.is_finite()),
        target,
        at_least,
        undecided: false,
    };
    let [goodput_target, spread_target] = [LEAST_GOODPUT, MOST_SPREAD].map(Some);
    // What was not offered is no overload.
    let undecided = offered.is_some_and(|offered| offered < LEAST_OFFERED);
    let open = if proof.apart { "overload-open-two-ports" } else { "overload-open" };
    let mut open = Ratio { undecided, ..ratio(open, goodput(Part::Open), goodput_target, true) };
    // By one port, arithmetic limits what is served far below what the generator does.
    let generator = generator.filter(|_| proof.apart);
    open.undecided |= !open.passes() && generator.is_some_and(|busy| busy >= GENERATOR_BUSY);
    let ratios = if proof.apart {
        vec![open]
    } else {
        vec![
            ratio("overload-closed", goodput(Part::Closed), goodput_target, true),
            open,
            ratio("latency-p999", spread(&service), spread_target, false),
            ratio("latency-p999-null", spread(&null), None, false),
            ratio("latency-p999/null", to_null, None, false),
        ]
    };
    let peak_window = peak_window(seen, hz);
    Proven { ratios, service, null, harness, peak_window, offered, generator }
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

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
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
    use crate::window::Sample;

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
        let mut proof = Proof { step: step(Load::Closed { window: 1 }), rounds: 3, apart: false };
        let mut done: Vec<Seen> = Vec::new();
        while let Some(step) = proof.next(&done, HZ).unwrap() {
            let mut seen = responder(step.load);
            seen.step.against = step.against;
            for window in &mut seen.windows {
                // 200 a turn and 300 a frame, in full bursts or in short ones.
                let received = if matches!(step.load, Load::Closed { .. }) { 32 } else { 10 };
                let busy_ticks = 200 + 300 * received;
                window.responder =
                    Sample { received, busy_ticks, busy_turns: 1, ..Sample::default() };
            }
            done.push(seen);
        }
        assert_eq!(done.len(), WINDOWS.len() + 3 * (2 + 2 + 3) + 1);
        let loads: Vec<Load> = done.iter().map(|seen| seen.step.load).collect();
        let window = 256;
        let peak = Load::Closed { window };
        assert_eq!(loads[5..7], [peak, Load::Closed { window: 1024 }]);
        assert_eq!(loads[11..13], [peak, Load::Open { rate: 4000.0 }]);
        let null = Load::Open { rate: 1600.0 };
        assert_eq!(loads[17..20], [peak, Load::Open { rate: 800.0 }, null]);
        let against = |place: usize| done[place].step.against;
        // As long as the responder was seen to take.
        assert_eq!(against(18), Against::Responder);
        assert_eq!(against(19), Against::Null(Takes { turn: 200, frame: 300 }));
        assert_eq!((loads[26], against(26)), (null, Against::Null(Takes::default())));

        let proven = proven(&proof, &done, HZ);
        let lines: Vec<String> = proven.ratios.iter().map(ToString::to_string).collect();
        // This generator asks for no more than is served, so what it has at an open loop is no overload.
        assert_eq!(
            lines[..2],
            ["ratio overload-closed 1.00 0.90 pass", "ratio overload-open 0.50 0.90 -"]
        );
        // One in a thousand frames took 30 times as long; what was disturbed does not count.
        assert_eq!(proven.service.count, 3 * 2000);
        assert!(proven.ratios[2].value.is_some_and(|value| value < 2.0), "{lines:?}");
        assert_eq!((proven.null.count, proven.harness.count), (3 * 2000, 2000));
        assert_eq!(proven.peak_window, Some(window));
        let none = |line: &String| line.ends_with(" - -");
        assert!(none(&lines[3]) && none(&lines[4]) && lines[4].contains("/null 1.00"), "{lines:?}");
    }

    #[test]
    fn with_answers_apart_the_open_overload_alone_is_done() {
        let mut proof = Proof { step: step(Load::Closed { window: 1 }), rounds: 3, apart: true };
        let mut done: Vec<Seen> = Vec::new();
        while let Some(step) = proof.next(&done, HZ).unwrap() {
            done.push(responder(step.load));
        }
        assert_eq!(done.len(), WINDOWS.len() + 3 * 2);
        let lines: Vec<String> =
            proven(&proof, &done, HZ).ratios.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["ratio overload-open-two-ports 0.50 0.90 -"]);
        assert!(!proof.needs_null());
    }

    #[test]
    fn what_was_not_seen_does_not_pass() {
        let proof = Proof { step: step(Load::Closed { window: 1 }), rounds: 1, apart: false };
        let proven = proven(&proof, &[], HZ);
        assert_eq!(proven.ratios[1].to_string(), "ratio overload-open none 0.90 short");
        assert_eq!(proven.ratios[2].to_string(), "ratio latency-p999 none 10.00 short");
    }

    #[test]
    fn what_was_not_offered_is_not_judged() {
        let ratio = |value, undecided| Ratio {
            name: "a".to_owned(),
            value: Some(value),
            target: Some(0.9),
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
