//! The no-drop rate, searched for: the highest rate of an open loop at which nothing is lost (RFC 2544 §26.1).
//!
//! A trial is a step of an open loop. Strictly, it passes if of all that was offered nothing was lost: that is for
//! hardware of one's own. On a shared machine threads lose their core for milliseconds, and no rate passes that; there
//! a trial counts its settled windows alone, those with no thread away and nothing of an earlier absence left, if the next
//! is settled too: a frame may be sent in one and lost by what happens in the next. A trial with too few of them says
//! nothing, and is done again.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::course::{Course, PENDING_TIMEOUT_MS, peak};
use crate::pace::Load;
use crate::step::{Seen, Step};
use crate::window::Window;

/// The closed loop by which the search begins; it bounds the rates.
const BOUND_WINDOW: usize = 256;
/// The highest rate tried, as a multiple of what that loop reached.
const HIGHEST: f64 = 1.2;
/// How much less than its rate a trial may have offered.
const OFFERED: f64 = 0.98;
/// Settled windows that a trial must have to say anything.
const LEAST_WINDOWS: usize = 20;

/// What of a trial counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All of it.
    Strict,
    /// Windows in which no thread was known to be away, and that follow no such.
    Clean,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict: all of each trial counts, as RFC 2544 has it",
            Self::Clean => {
                "clean windows: a trial counts only where no thread had lost its core (for shared machines)"
            }
        })
    }
}

/// What a trial said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All that was offered was served.
    Passed,
    /// Something was lost.
    Lost,
    /// The generator did not reach the rate: it, not the responder, is the limit.
    NotOffered,
    /// Too few windows were settled to tell.
    Disturbed,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Passed => "no loss",
            Self::Lost => "loss",
            Self::NotOffered => "the generator did not reach the rate",
            Self::Disturbed => "too few settled windows to tell",
        })
    }
}

/// A trial.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Requests a second.
    pub rate: f64,
    /// What of it counts, and of trials of the same rate before it that said too little.
    #[serde(flatten)]
    pub counts: Counts,
    /// What follows.
    pub verdict: Verdict,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoDrop {
    /// What of a trial counted.
    pub mode: Mode,
    /// The highest rate that passed below all that did not, in transactions a second; 0: none did.
    pub rate: f64,
    /// The lowest that did not pass; none: all did.
    pub above: Option<f64>,
    /// What the closed loop reached by which the search began.
    #[serde(default)]
    pub peak: Option<f64>,
    /// The trials in their order.
    pub trials: Vec<Trial>,
}

/// A search under way.
#[derive(Debug, Clone)]
pub struct Search {
    /// What of a trial counts.
    pub mode: Mode,
    /// A trial; its load does not count.
    pub trial: Step,
    /// Trials at most.
    pub trials: usize,
    /// How close the lowest rate that fails must be to the highest that passes, as a part of it.
    pub resolution: f64,
}

impl Course for Search {
    fn outstanding(&self) -> usize {
        Load::Open { rate: 0.0 }.outstanding()
    }

    fn pending_timeout_ms(&self) -> Option<u32> {
        Some(PENDING_TIMEOUT_MS)
    }

    fn next(&mut self, seen: &[Seen], hz: u64) -> Result<Option<Step>> {
        if seen.is_empty() {
            return Ok(Some(Step { load: Load::Closed { window: BOUND_WINDOW }, ..self.trial }));
        }
        ensure!(
            self.mode == Mode::Strict
                || seen.iter().any(|seen| seen.windows.iter().any(Window::clean)),
            "no window was clean: is one of the CPUs busy with something else?"
        );
        let found = found(self.mode, seen, hz);
        Ok((found.trials.len() < self.trials)
            .then(|| self.rate(&found, HIGHEST * peak(seen, hz).unwrap_or(0.0)))
            .flatten()
            .map(|rate| Step { load: Load::Open { rate }, ..self.trial }))
    }
}

impl Search {
    /// The next rate, where none above `highest` is tried; none: the rate is found, and a second trial confirmed it.
    fn rate(&self, found: &NoDrop, highest: f64) -> Option<f64> {
        if let Some(Trial { rate, verdict: Verdict::Disturbed, .. }) = found.trials.last() {
            return Some(*rate);
        }
        let above = found.above.unwrap_or(highest);
        if above - found.rate > self.resolution * above {
            return Some(f64::midpoint(found.rate, above));
        }
        let confirms =
            |trial: &&Trial| same(trial.rate, found.rate) && trial.verdict == Verdict::Passed;
        let passes = found.trials.iter().filter(confirms).count();
        (found.rate > 0.0 && passes < 2).then_some(found.rate)
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6 * a.max(b)
}

/// What the open loops of `seen` say. Trials of one rate that say too little by themselves are put together, in the order
/// in which they were done, until they say something: on a busy machine each has a few windows that count.
#[must_use]
pub fn found(mode: Mode, seen: &[Seen], hz: u64) -> NoDrop {
    let mut trials: Vec<Trial> = Vec::new();
    for seen in seen {
        let Load::Open { rate } = seen.step.load else { continue };
        let counts = Counts::of(mode, seen, hz);
        let before = trials.last().filter(|last| {
            last.verdict == Verdict::Disturbed && same(last.rate, rate) && mode == Mode::Clean
        });
        let counts = before.map_or(counts, |before| counts.and(&before.counts));
        trials.push(counts.judge(mode, rate));
    }
    let rates = |passed: bool| {
        let told = trials.iter().filter(|trial| trial.verdict != Verdict::Disturbed);
        let of = told.filter(move |trial| (trial.verdict == Verdict::Passed) == passed);
        of.map(|trial| trial.rate)
    };
    let above = rates(false).reduce(f64::min);
    let below = |rate: &f64| above.is_none_or(|above| *rate < above && !same(*rate, above));
    let rate = rates(true).filter(below).fold(0.0, f64::max);
    let peak = peak(seen, hz).ok();
    NoDrop { mode, rate, above, peak, trials }
}

/// What of a trial counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Windows that count, or all.
    pub windows: usize,
    /// Requests in them.
    pub offered: u64,
    /// Of them lost.
    pub lost: u64,
    /// Seconds of them.
    pub seconds: f64,
    /// Whether the generator was late most of the time.
    pub behind: bool,
}

impl Counts {
    fn of(mode: Mode, seen: &Seen, hz: u64) -> Self {
        let settled = |place: usize| {
            seen.windows[place..(place + 2).min(seen.windows.len())].iter().all(Window::settled)
        };
        let counted = seen.windows.iter().enumerate();
        let windows: Vec<&Window> = counted
            .filter(|(place, _)| mode == Mode::Strict || settled(*place))
            .map(|(_, window)| window)
            .collect();
        let sum = Window::sum(windows.iter().copied());
        let (offered, lost) = match mode {
            // The last ones may end, or get lost, after the last window.
            Mode::Strict => (seen.tally.asked, seen.tally.lost()),
            Mode::Clean => (sum.offered, sum.lost),
        };
        let behind = seen.windows.iter().filter(|window| window.behind).count();
        let behind = 2 * behind > seen.windows.len();
        let seconds = sum.ticks as f64 / hz as f64;
        Self { windows: windows.len(), offered, lost, seconds, behind }
    }

    /// Both together.
    fn and(&self, other: &Self) -> Self {
        Self {
            windows: self.windows + other.windows,
            offered: self.offered + other.offered,
            lost: self.lost + other.lost,
            seconds: self.seconds + other.seconds,
            behind: self.behind && other.behind,
        }
    }

    fn judge(self, mode: Mode, rate: f64) -> Trial {
        let verdict = if mode == Mode::Clean && self.windows < LEAST_WINDOWS {
            // Where the generator is late all the time, that is why.
            if self.behind { Verdict::NotOffered } else { Verdict::Disturbed }
        } else if self.lost > 0 {
            Verdict::Lost
        } else if (self.offered as f64) < OFFERED * rate * self.seconds {
            Verdict::NotOffered
        } else {
            Verdict::Passed
        };
        Trial { rate, counts: self, verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::tests::{seen, step};

    const HZ: u64 = 1000;

    /// A trial of a responder that loses all above `capacity` requests a second.
    fn trial(rate: f64, capacity: f64) -> Seen {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few thousands"
        )]
        let offered = (rate / 10.0) as u64;
        let lost = u64::from(rate > capacity);
        let mut seen = seen(Load::Open { rate }, offered, |_, window| window.lost = lost);
        let windows = seen.windows.clone();
        seen.windows = windows.iter().cycle().take(100).copied().collect();
        seen.tally.asked = offered * 100;
        seen.tally.lost_requests = lost * 100;
        seen
    }

    fn search(mode: Mode, capacity: f64) -> (NoDrop, usize) {
        let load = Load::Open { rate: 0.0 };
        let mut search = Search { mode, trial: step(load), trials: 30, resolution: 0.01 };
        let mut done = Vec::new();
        while let Some(step) = search.next(&done, HZ).unwrap() {
            done.push(match step.load {
                Load::Closed { .. } => seen(step.load, 5000, |_, _| {}),
                Load::Open { rate } => trial(rate, capacity),
            });
            assert!(done.len() < 40);
        }
        (found(mode, &done, HZ), done.len())
    }

    #[test]
    fn the_rate_is_found_in_both_modes_and_confirmed() {
        for mode in [Mode::Strict, Mode::Clean] {
            for capacity in [700.0, 20_000.0, 59_000.0] {
                let (found, steps) = search(mode, capacity);
                assert!(found.rate <= capacity, "{found:?}");
                assert!(capacity - found.rate <= 0.011 * 60_000.0, "{found:?}");
                assert!(steps <= 20, "{steps}");
                let [.., last] = found.trials.as_slice() else { panic!("{found:?}") };
                assert!(found.trials.iter().filter(|t| same(t.rate, found.rate)).count() == 2);
                assert_eq!((last.verdict, last.rate), (Verdict::Passed, found.rate));
            }
        }
    }

    #[test]
    fn one_loss_fails_strictly_and_counts_only_if_nobody_was_away_otherwise() {
        let mut disturbed = trial(1000.0, 2000.0);
        disturbed.windows[50].lost = 1;
        disturbed.windows[51].responder_away = true;
        disturbed.tally.lost_requests = 1;
        let verdicts = |seen: &Seen| {
            [Mode::Strict, Mode::Clean]
                .map(|mode| Counts::of(mode, seen, HZ).judge(mode, 1000.0).verdict)
        };
        assert_eq!(verdicts(&disturbed), [Verdict::Lost, Verdict::Passed]);
        disturbed.windows[51].responder_away = false;
        assert_eq!(verdicts(&disturbed), [Verdict::Lost, Verdict::Lost]);
        for window in &mut disturbed.windows {
            window.recovering = true;
        }
        assert_eq!(verdicts(&disturbed), [Verdict::Lost, Verdict::Disturbed]);
        // Such a trial says nothing, and is done again.
        let load = Load::Open { rate: 0.0 };
        let search = Search { mode: Mode::Clean, trial: step(load), trials: 30, resolution: 0.01 };
        let found = found(Mode::Clean, &[disturbed], HZ);
        assert_eq!((found.rate, found.above), (0.0, None));
        assert_eq!(search.rate(&found, 5000.0), Some(1000.0));
    }

    #[test]
    fn trials_with_few_windows_that_count_are_put_together() {
        // Eleven windows of a hundred count; the last of them is followed by one that does not.
        let mut few = trial(1000.0, 2000.0);
        for window in few.windows.iter_mut().skip(12) {
            window.recovering = true;
        }
        let found = |seen: &[Seen]| found(Mode::Clean, seen, HZ);
        let one = found(&[few.clone()]);
        assert_eq!((one.trials[0].counts.windows, one.trials[0].verdict), (11, Verdict::Disturbed));
        let two = found(&[few.clone(), few.clone()]);
        assert_eq!((two.trials[1].counts.windows, two.trials[1].verdict), (22, Verdict::Passed));
        // Another rate begins anew, and so does what said something.
        let mut other = few.clone();
        other.step.load = Load::Open { rate: 900.0 };
        let three = found(&[few.clone(), few.clone(), few.clone(), other]);
        let windows: Vec<usize> = three.trials.iter().map(|trial| trial.counts.windows).collect();
        assert_eq!(windows, [11, 22, 11, 11]);
        few.windows[3].lost = 1;
        let lost = found(&[few.clone(), few]);
        assert_eq!((lost.trials[1].verdict, lost.rate), (Verdict::Lost, 0.0));
    }

    #[test]
    fn a_rate_that_was_not_offered_did_not_pass() {
        let slow = trial(1000.0, 2000.0);
        for mode in [Mode::Strict, Mode::Clean] {
            assert_eq!(
                Counts::of(mode, &slow, HZ).judge(mode, 1100.0).verdict,
                Verdict::NotOffered
            );
        }
        let found = found(Mode::Clean, &[slow], HZ);
        assert!(same(found.rate, 1000.0) && found.above.is_none());
    }

    #[test]
    fn a_rate_that_failed_once_does_not_count() {
        let failed = trial(1000.0, 900.0);
        let passed = trial(1000.0, 2000.0);
        let lower = trial(800.0, 2000.0);
        let found = found(Mode::Strict, &[passed, failed, lower], HZ);
        assert!(same(found.rate, 800.0), "{found:?}");
    }
}
