//! The steps of a run, one after the other: each may depend on what was seen in those before.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::figures::Figures;
use crate::gauges::Gauges;
use crate::pace::Load;
use crate::step::{Seen, Step};

/// Transactions under way that an open loop has room for. Above what is served, requests pile up until their time-outs.
const OPEN_LOOP: usize = 1 << 14;

/// Longer than any answer takes over rings, threads' absences included, and short beside a step.
pub const PENDING_TIMEOUT_MS: u32 = 200;

/// Says what to do next.
pub trait Course: Send {
    /// The most transactions under way at once.
    fn outstanding(&self) -> usize;

    /// The step after those that were `seen`, at `hz` ticks a second; none: it is over.
    fn next(&mut self, seen: &[Seen], hz: u64) -> Result<Option<Step>>;

    /// How long the responder is to keep a probe pending, in milliseconds, where the scenario does not say.
    ///
    /// Of an overload, answers find a full queue, and the probes that they answer stay pending: a million and more in
    /// the 5 s of the responder's own default, so that its table would be full in the steps that follow.
    fn pending_timeout_ms(&self) -> Option<u32> {
        None
    }

    /// What reads the responder off meanwhile, if anything does.
    fn gauges(&self) -> Option<Arc<Gauges>> {
        None
    }

    /// Whether some of its steps are against the null server.
    fn needs_null(&self) -> bool {
        false
    }
}

/// A step, or one that depends on those before.
#[derive(Debug, Clone, Copy)]
pub enum Planned {
    /// A step.
    Step(Step),
    /// An open loop at a part or a multiple of the most that closed loops before it reached; the
    /// load of the step does not count.
    OfPeak(f64, Step),
}

/// Steps that were named beforehand.
#[derive(Debug, Clone)]
pub struct Listed(pub Vec<Planned>);

impl Course for Listed {
    fn outstanding(&self) -> usize {
        let of = |planned: &Planned| match planned {
            Planned::Step(step) => step.load.outstanding(),
            Planned::OfPeak(..) => OPEN_LOOP,
        };
        self.0.iter().map(of).max().unwrap_or(1)
    }

    fn next(&mut self, seen: &[Seen], hz: u64) -> Result<Option<Step>> {
        Ok(match self.0.get(seen.len()) {
            None => None,
            Some(Planned::Step(step)) => Some(*step),
            Some(Planned::OfPeak(factor, step)) => {
                let rate = factor * peak(seen, hz)?;
                Some(Step { load: Load::Open { rate }, ..*step })
            }
        })
    }
}

impl Load {
    /// Transactions under way that it may need room for.
    #[must_use]
    pub const fn outstanding(&self) -> usize {
        match self {
            Self::Closed { window } => *window,
            Self::Open { .. } => OPEN_LOOP,
        }
    }
}

/// Transactions a second, the most that a closed loop reached.
pub fn peak(seen: &[Seen], hz: u64) -> Result<f64> {
    let peak = seen
        .iter()
        .filter(|seen| matches!(seen.step.load, Load::Closed { .. }))
        .map(|seen| Figures::of(seen, hz).served_per_s())
        .fold(0.0, f64::max);
    ensure!(peak > 0.0, "no closed loop was served before: there is no peak");
    Ok(peak)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::latency::Sorted;
    use crate::step::Against;
    use crate::tally::Tally;
    use crate::window::Window;
    use std::time::Duration;

    /// What a step with `load` brings that serves `served` in each of ten windows of a tenth of a second.
    pub(crate) fn seen(load: Load, served: u64, change: impl Fn(usize, &mut Window)) -> Seen {
        let windows = (0..10usize).map(|place| {
            let mut window = Window { ticks: 100, offered: served, served, ..Window::default() };
            change(place, &mut window);
            window
        });
        Seen {
            step: step(load),
            tally: Tally::default(),
            windows: windows.collect(),
            latencies: Sorted::default(),
            longest_away: 0,
        }
    }

    pub(crate) fn step(load: Load) -> Step {
        let (time, window) = (Duration::from_secs(1), Duration::from_micros(500));
        Step {
            load,
            time,
            requests: u64::MAX,
            window,
            makes_up: true,
            against: Against::Responder,
            flood: None,
        }
    }

    #[test]
    fn open_loops_go_by_the_most_that_closed_ones_reached() {
        let window = Load::Closed { window: 8 };
        let mut course = Listed(vec![
            Planned::Step(step(window)),
            Planned::OfPeak(2.0, step(Load::Open { rate: 0.0 })),
        ]);
        assert_eq!(course.next(&[], 1000).unwrap().unwrap().load, window);
        assert!(course.next(&[seen(window, 0, |_, _| {})], 1000).is_err(), "nothing was served");
        let mut done = vec![seen(window, 5, |_, _| {})];
        // 5 in a tenth of a second, twice.
        assert_eq!(course.next(&done, 1000).unwrap().unwrap().load, Load::Open { rate: 100.0 });
        done.push(seen(Load::Open { rate: 100.0 }, 5, |_, _| {}));
        assert!(course.next(&done, 1000).unwrap().is_none());
    }
}
