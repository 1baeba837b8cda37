//! What the generator does one after the other: it searches for the no-drop rate, then offers all multiples of it in turns.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use dpdk::RxQueue;

use super::curve::FACTORS;
use super::lane::{self, Alone, Counts, Lane, Seen};
use super::{Measured, Options, Slice, Trial};
use crate::beside::frames::{Faults, Load};
use crate::gauges::Gauges;
use crate::generator::Parts;
use crate::null::Master;
use crate::session::{Loader, NullLoad, resolve};
use crate::window::Window;

/// Buffers that are under way besides those in queues: requests that lie ready, and what each side has in hand.
const OUTSTANDING: usize = 8192;
/// Before a slice counts: caches warm up, queues fill.
const WARM_UP: Duration = Duration::from_millis(5);
/// How long the generator offers to who only frees.
const ALONE: Duration = Duration::from_millis(200);
/// More requests a second than any responder takes.
const ALL: f64 = 60e6;
/// Slices in which the peak is looked for, before all others.
const FIRST: usize = 3;
/// Rates that are tried at most, and how near the lowest that fails must be to the highest that passes.
const TRIALS: usize = 10;
const RESOLUTION: f64 = 0.02;
/// The first of them, of what is served when more is offered.
const FIRST_RATE: f64 = 0.95;
/// A rate passes if nothing was lost in one of so many tries. A host that takes a core away behind the kernel's back would else decide,
/// and a no-drop rate that is too high makes the overload heavier, not lighter.
const TRIES: usize = 3;
/// Slices that are done at most for these, and for [`FIRST`], where of some too little counts.
const ATTEMPTS: usize = 12;
/// A no-drop rate is at least so much of the peak, or it is none of the responder's.
const LEAST_OF_PEAK: f64 = 0.5;
/// Windows that must count for a slice to say anything.
const LEAST_WINDOWS: usize = 20;

/// The course of a run.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) options: Options,
    /// Whether the generator alone is measured besides.
    pub(super) null: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) measured: Vec<Measured>,
    pub(super) alone: Option<Alone>,
    pub(super) counts: Counts,
    pub(super) faults: String,
}

impl Loader for Course {
    type Done = Done;

    fn outstanding(&self) -> usize {
        OUTSTANDING
    }

    fn needs_null(&self) -> bool {
        self.null
    }

    fn gauges(&self) -> Option<Arc<Gauges>> {
        None
    }

    fn load(self, mut parts: Parts, null: Option<NullLoad>) -> (Result<Done>, Vec<RxQueue>) {
        if let Err(error) = resolve(&mut parts) {
            return (Err(error), parts.rx);
        }
        let mut alone =
            null.and_then(NullLoad::prefer).map(|(parts, master)| (Lane::new(parts), master));
        let offered = alone.as_mut().map(offer_alone);
        let mut all =
            All { lane: Lane::new(parts), counts: Counts::default(), faults: Faults::default() };
        let measured: Result<Vec<Measured>> =
            self.options.loads.iter().map(|load| all.measure(&self.options, *load)).collect();
        let done = measured.map(|measured| Done {
            measured,
            alone: offered,
            counts: all.counts,
            faults: all.faults.to_string(),
        });
        let mut rest = all.lane.into_receive_queues();
        rest.extend(alone.into_iter().flat_map(|(lane, _)| lane.into_receive_queues()));
        (done, rest)
    }
}

/// What the generator offers to who only frees it.
fn offer_alone((lane, master): &mut (Lane, Master)) -> Alone {
    let _swallowing = master.swallow();
    lane.alone(ALONE)
}

/// The generator, with all that it counted.
struct All {
    lane: Lane,
    counts: Counts,
    faults: Faults,
}

impl All {
    fn run(&mut self, options: &Options, load: Load, rate: f64, last: bool) -> Seen {
        let slice = lane::Slice { load, rate, warm_up: WARM_UP, time: options.slice, last };
        let seen = self.lane.run(&slice);
        self.counts.add(&seen.counts);
        self.faults.add(&seen.faults);
        seen
    }

    fn measure(&mut self, options: &Options, load: Load) -> Result<Measured> {
        let hz = self.lane.hz;
        let (mut peak, mut counted) = (0_f64, 0);
        for _ in 0..ATTEMPTS {
            if let Some(slice) = slice_of(&self.run(options, load, ALL, false), ALL, hz) {
                peak = peak.max(slice.served_per_s);
                counted += 1;
            }
            if counted == FIRST {
                break;
            }
        }
        ensure!(
            peak > 0.0 || options.known.is_some(),
            "nothing counted of what was served: the threads are away from their cores all the time, so try a quieter machine"
        );
        let (passed, trials) = match options.known {
            Some(rate) => (Some(rate), Vec::new()),
            None => self.search(options, load, peak),
        };
        // Multiples of the peak are the heavier load: no rate above it passes.
        let no_drop = passed.unwrap_or(peak);
        let mut rounds = Vec::with_capacity(options.rounds);
        for round in 0..options.rounds {
            let mut slices = vec![None; FACTORS.len()];
            for step in 0..FACTORS.len() {
                // Up and down in turns: what drifts with time falls on both ends.
                let place = if round % 2 == 0 { step } else { FACTORS.len() - 1 - step };
                let last = round + 1 == options.rounds && step + 1 == FACTORS.len();
                if let (Some(factor), Some(slice)) = (FACTORS.get(place), slices.get_mut(place)) {
                    let rate = factor * no_drop;
                    *slice = slice_of(&self.run(options, load, rate, last), rate, hz);
                }
            }
            rounds.push(slices);
        }
        let found = passed.is_some();
        Ok(Measured { load: load.name().to_owned(), trials, peak, no_drop, found, rounds })
    }

    /// The no-drop rate, by halving the interval between a rate that passed and one that did not. None: too little of the time counted
    /// for a rate to be tried, or the host's absences are what decided, for the highest that passed is less than half of the peak.
    fn search(&mut self, options: &Options, load: Load, peak: f64) -> (Option<f64>, Vec<Trial>) {
        let (mut low, mut high) = (0_f64, 1.1 * peak);
        let mut trials: Vec<Trial> = Vec::new();
        while trials.len() < TRIALS && high - low > RESOLUTION * high {
            let rate = if trials.is_empty() { FIRST_RATE * peak } else { f64::midpoint(low, high) };
            let trial = self.try_rate(options, load, rate);
            trials.push(trial);
            if trial.passed {
                low = rate;
            } else if trial.tries < TRIES {
                return (None, trials);
            } else {
                high = rate;
            }
        }
        ((low >= LEAST_OF_PEAK * peak).then_some(low), trials)
    }

    fn try_rate(&mut self, options: &Options, load: Load, rate: f64) -> Trial {
        let mut trial = Trial { rate, ..Trial::default() };
        // Of a try of which too little counts nothing can be told.
        for _ in 0..ATTEMPTS {
            if trial.passed || trial.tries == TRIES {
                break;
            }
            let seen = self.run(options, load, rate, false);
            let settled: Vec<&Window> =
                seen.windows.iter().filter(|window| window.settled()).collect();
            if settled.len() < LEAST_WINDOWS {
                continue;
            }
            trial.tries += 1;
            trial.settled = settled.len();
            trial.lost = settled.iter().map(|window| window.lost).sum();
            trial.missing = missing(&seen, load);
            // Who was away did not listen, and may have caused what is missing.
            trial.passed =
                trial.lost + seen.counts.no_mbuf == 0 && (trial.missing == 0 || seen.away);
            let slice = slice_of(&seen, rate, self.lane.hz);
            trial.served_per_s = slice.map_or(0.0, |slice| slice.served_per_s);
        }
        trial
    }
}

/// Frames that were taken and of which nothing came.
fn missing(seen: &Seen, load: Load) -> u64 {
    let Counts { requests, wholes, halves, answers, .. } = seen.counts;
    match load {
        Load::Traces => requests.abs_diff(halves) + answers.abs_diff(wholes),
        _ => requests.abs_diff(wholes),
    }
}

/// The figures of a slice: those of settled windows, or of clean ones if there are too few; none, if these are too few as well.
fn slice_of(seen: &Seen, wanted_per_s: f64, hz: u64) -> Option<Slice> {
    let enough = |fits: fn(&Window) -> bool| {
        let windows: Vec<&Window> = seen.windows.iter().filter(|window| fits(window)).collect();
        (windows.len() >= LEAST_WINDOWS).then_some(windows)
    };
    let windows = enough(Window::settled).or_else(|| enough(Window::clean))?;
    let counted = windows.len() as f64 / seen.windows.len() as f64;
    let sum = Window::sum(windows);
    let (ticks, received) = (sum.ticks.max(1) as f64, sum.responder.received as f64);
    let per_s = |count: u64| count as f64 * hz as f64 / ticks;
    let known = |value: f64| (received > 0.0).then_some(value);
    Some(Slice {
        wanted_per_s,
        offered_per_s: per_s(sum.offered),
        served_per_s: per_s(sum.served),
        counted,
        frames_per_turn: seen.frames_per_turn,
        generator_busy: sum.generator_busy as f64 / ticks,
        responder_busy: known(sum.responder.busy_ticks as f64 / ticks),
        responder_frames_per_turn: known(received / sum.responder.busy_turns as f64),
        ticks_per_frame: known(sum.responder.busy_ticks as f64 / received),
    })
}
