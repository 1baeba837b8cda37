//! Steps: one load for a bounded time, and what was seen meanwhile.

use std::time::Duration;

use crate::generator::{Generator, clock_ticks};
use crate::latency::{Kind, Latencies, Sorted};
use crate::pace::{Load, Pace};
use crate::tally::Tally;
use crate::window::Window;

/// The most transactions of a window that are kept apart: 30 million a second in windows of 500 us.
const WINDOW_ROOM: usize = 1 << 14;
/// Requests under way while the network warms up.
const WARM_UP_WINDOW: usize = 32;

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
        self.makes_up = step.makes_up;
        let start = self.turn(step.load, &mut pace, 0);
        self.watch.next_step();
        self.window(0, 0, &Tally::default(), self.sample());
        let (mut begun, mut before, mut sample) = (start, self.tally, self.sample());
        while self.tally.asked < step.requests {
            let now = self.turn(step.load, &mut pace, step.requests - self.tally.asked);
            if now - begun < length {
                continue;
            }
            let window = self.window(begun - start, now - begun, &before, sample);
            self.latencies.close_window(Kind::from(&window));
            if windows.len() < room {
                windows.push(window);
            }
            self.watch.next_window();
            (begun, before, sample) = (now, self.tally, self.sample());
            if now - start >= time {
                break;
            }
        }
        self.come_to_rest(step.load);
        for sent in &self.losses {
            note_loss(&mut windows, sent.wrapping_sub(start));
        }
        let latencies = std::mem::replace(&mut self.latencies, Latencies::new(0));
        Seen { step, tally: self.tally, windows, latencies: latencies.finish() }
    }

    /// Asks no more, and sees what is under way to its end.
    fn come_to_rest(&mut self, load: Load) {
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
}
