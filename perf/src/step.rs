//! Steps: one load for a bounded time, and what was seen meanwhile.

use std::time::Duration;

use crate::generator::{Generator, clock_ticks};
use crate::latency::{Kind, Latencies, Sorted};
use crate::null::Takes;
use crate::pace::{Load, Pace};
use crate::tally::Tally;
use crate::window::Window;
use crate::witness::Witness;

/// The most transactions of a window that are kept apart: 30 million a second in windows of 500 us.
const WINDOW_ROOM: usize = 1 << 14;
/// The longest time-out of an open loop that is looked at in settled windows alone, in nanoseconds. What is under way for
/// longer was hit by an absence. Of an overload much is lost, and what is lost and not yet given up takes the place of
/// what is to be offered.
const IMPATIENT_NS: u64 = 10_000_000;
/// Requests under way while the network warms up.
const WARM_UP_WINDOW: usize = 32;

/// Who is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The responder.
    Responder,
    /// The [null server](crate::null), on the responder's core.
    Null(Takes),
}

/// A load, and how long it lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The load.
    pub load: Load,
    /// Its time.
    pub time: Duration,
    /// Its requests at most.
    pub requests: u64,
    /// The length of a window.
    pub window: Duration,
    /// Whether an open loop makes up for what was due while the generator was away from its core, so that latency tells
    /// of it. If not, that is never sent: for figures of settled windows alone, which there are the more of.
    pub makes_up: bool,
    /// Who is loaded.
    pub against: Against,
    /// What comes besides: the place of a [flood](crate::scenario::Scenario::floods), and its frames a second.
    pub flood: Option<(usize, f64)>,
}

/// What was seen in a step.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The step.
    pub step: Step,
    /// All that was counted, until the last transaction ended.
    pub tally: Tally,
    /// The windows in which was asked.
    pub windows: Vec<Window>,
    /// Latencies.
    pub latencies: Sorted,
    /// The longest that a thread was away from its core at once, in ticks; a window's length at least.
    pub longest_away: u64,
}

impl Seen {
    /// Of a `step` that could not be done.
    #[must_use]
    pub fn nothing(step: Step) -> Self {
        let (tally, latencies) = (Tally::default(), Sorted::default());
        Self { step, tally, windows: Vec::new(), latencies, longest_away: 0 }
    }
}

/// Why there is nothing to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was served while the network warmed up.
    #[error(
        "the responder served none of {asked} requests (probes {probes}, wrong {wrong}): has it the addresses and routes of the profile?"
    )]
    Silent {
        /// Requests sent.
        asked: u64,
        /// Probes that came.
        probes: u64,
        /// Frames that were not as they have to be.
        wrong: u64,
    },
    /// Too few of the probes that were to wait did come.
    #[error("only {came} of {wanted} standing probes came: the pending table may be too small")]
    Standing {
        /// Probes that came.
        came: u64,
        /// How many were to.
        wanted: u64,
    },
}

impl Generator {
    /// Asks a little until the responder answers, so that neighbours are known and caches are warm.
    pub fn warm_up(&mut self, time: Duration) -> Result<Tally, Error> {
        let hz = self.parts.hz;
        let ticks = |time: Duration| clock_ticks(hz, u64::try_from(time.as_nanos()).unwrap_or(0));
        let load = Load::Closed { window: WARM_UP_WINDOW };
        let mut pace = Pace::new(0, 1.0, hz);
        let start = self.turn(load, &mut pace, 0);
        // A lost request comes back to the window after its time-out; several such times may pass.
        let last = start + ticks(time).max(hz) * 3;
        loop {
            let now = self.turn(load, &mut pace, u64::MAX);
            if now > last || (now > start + ticks(time) && self.tally.served() > 100) {
                break;
            }
        }
        self.come_to_rest(load);
        let tally = std::mem::take(&mut self.tally);
        if tally.served() == 0 {
            let Tally { asked, probes, .. } = tally;
            return Err(Error::Silent { asked, probes, wrong: tally.wrong() });
        }
        Ok(tally)
    }

    /// Leaves `count` probes unanswered.
    pub fn stand(&mut self, count: u64) -> Result<Tally, Error> {
        let load = Load::Closed { window: 256 };
        let mut pace = Pace::new(0, 1.0, self.parts.hz);
        self.set_lose_all(true);
        let start = self.turn(load, &mut pace, 0);
        // 50,000 a second is far less than any port and responder carry.
        let last = start + self.parts.hz * (2 + count / 50_000);
        while self.tally.asked < count
            && self.turn(load, &mut pace, count - self.tally.asked) < last
        {}
        self.come_to_rest(load);
        self.set_lose_all(false);
        let tally = std::mem::take(&mut self.tally);
        if tally.unanswered * 100 < count * 99 {
            return Err(Error::Standing { came: tally.unanswered, wanted: count });
        }
        Ok(tally)
    }

    /// Does `step`.
    pub fn step(&mut self, step: Step) -> Seen {
        let hz = self.parts.hz;
        let ticks = |time: Duration| clock_ticks(hz, u64::try_from(time.as_nanos()).unwrap_or(0));
        let (length, time) = (ticks(step.window).max(1), ticks(step.time));
        let room = usize::try_from(time / length).unwrap_or(0) + 2;
        let mut windows = Vec::with_capacity(room);
        self.tally = Tally::default();
        self.latencies = Latencies::new(WINDOW_ROOM);
        let mut pace = match step.load {
            Load::Open { rate } => Pace::new(dpdk::tsc(), rate, hz),
            Load::Closed { .. } => Pace::new(0, 1.0, hz),
        };
        self.losses.clear();
        self.begin_flood(step.flood);
        self.makes_up = step.makes_up;
        let start = self.turn(step.load, &mut pace, 0);
        self.ledger.begin_step(room, self.timeout_of(&step));
        self.watch.next_step(step.makes_up, start);
        let mut waited = self.waited();
        let mut longest_away = 0;
        self.window(0, 0, &Tally::default(), self.sample());
        let (mut begun, mut before, mut sample) = (start, self.tally, self.sample());
        while self.tally.asked < step.requests {
            let now = self.turn(step.load, &mut pace, step.requests - self.tally.asked);
            if now - begun < length {
                continue;
            }
            let mut window = self.window(begun - start, now - begun, &before, sample);
            // Threads that have ended have not waited.
            let more = clock_ticks(hz, self.waited().saturating_sub(waited));
            longest_away = longest_away.max(more).max(now - begun);
            if more > 0 {
                waited = self.waited();
                self.watch.was_away(more, now);
                window.responder_away = true;
                // It is told when it is over. Nothing ended meanwhile, so there are no latencies of these.
                let since = (begun - start).saturating_sub(more);
                mark_away(&mut windows, since);
            }
            self.latencies.close_window(Kind::from(&window));
            if windows.len() < room {
                windows.push(window);
            }
            self.watch.next_window(now);
            self.ledger.next_window();
            (begun, before, sample) = (now, self.tally, self.sample());
            if now - start >= time {
                break;
            }
        }
        self.begin_flood(None);
        self.come_to_rest(step.load);
        for (window, served) in windows.iter_mut().zip(self.ledger.served()) {
            window.served = *served;
        }
        for sent in &self.losses {
            note_loss(&mut windows, sent.wrapping_sub(start));
        }
        let latencies = std::mem::replace(&mut self.latencies, Latencies::new(0));
        Seen { step, tally: self.tally, windows, latencies: latencies.finish(), longest_away }
    }

    /// When a transaction of `step` counts as lost, in ticks.
    fn timeout_of(&self, step: &Step) -> u64 {
        match step.load {
            Load::Open { .. } if !step.makes_up => {
                self.timeout.min(clock_ticks(self.parts.hz, IMPATIENT_NS))
            }
            _ => self.timeout,
        }
    }

    /// How long the responder's threads waited for their CPUs, in nanoseconds.
    fn waited(&self) -> u64 {
        self.parts.witness.as_ref().map_or(0, Witness::waited_ns)
    }

    /// Asks no more, and sees what is under way to its end.
    pub(crate) fn come_to_rest(&mut self, load: Load) {
        let mut pace = Pace::new(0, 1.0, self.parts.hz);
        let start = self.turn(load, &mut pace, 0);
        // All ends by a response or its time-out; what comes besides (RSTs, replies to pings) is
        // given a moment more.
        let mut quiet_since = None;
        loop {
            let now = self.turn(load, &mut pace, 0);
            if !self.is_quiet() {
                quiet_since = None;
            } else if now - *quiet_since.get_or_insert(now) > self.parts.hz / 100 {
                return;
            }
            if now - start > self.parts.hz * 30 {
                return;
            }
        }
    }
}

/// Notes in the windows that lasted after `since`, in ticks from the step's beginning, that the responder was away.
pub(crate) fn mark_away(windows: &mut [Window], since: u64) {
    for window in windows.iter_mut().rev().take_while(|window| window.began + window.ticks > since)
    {
        window.responder_away = true;
    }
}

/// Counts what was lost in the window in which it was sent, `at` ticks from the step's beginning.
fn note_loss(windows: &mut [Window], at: u64) {
    let after = windows.partition_point(|window| window.began <= at);
    if let Some(window) = after.checked_sub(1).and_then(|place| windows.get_mut(place))
        && at < window.began + window.ticks
    {
        window.lost += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_counts_in_the_window_in_which_it_was_sent() {
        let mut windows: Vec<Window> =
            (0..4).map(|n| Window { began: n * 10, ticks: 10, ..Window::default() }).collect();
        for at in [0, 9, 10, 39, 40, u64::MAX] {
            note_loss(&mut windows, at);
        }
        assert_eq!(windows.iter().map(|window| window.lost).collect::<Vec<_>>(), [2, 1, 0, 1]);
        note_loss(&mut [], 3);
    }

    #[test]
    fn who_was_away_was_so_in_all_windows_of_that_time() {
        let mut windows: Vec<Window> =
            (0..4).map(|n| Window { began: n * 10, ticks: 10, ..Window::default() }).collect();
        mark_away(&mut windows, 20);
        let away =
            |windows: &[Window]| windows.iter().map(|w| w.responder_away).collect::<Vec<_>>();
        assert_eq!(away(&windows), [false, false, true, true]);
        mark_away(&mut windows, 19);
        assert_eq!(away(&windows), [false, true, true, true]);
        mark_away(&mut windows, 50);
        mark_away(&mut [], 0);
        assert_eq!(away(&windows), [false, true, true, true]);
    }
}
