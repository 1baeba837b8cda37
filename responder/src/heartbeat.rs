//! Whether the workers still turn. One that hangs receives nothing and answers nothing, and no counter says so.

use std::time::{Duration, Instant};

use crate::thread::Ran;

/// More time than this between two looks is not a worker's fault: the whole process stood still.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// After this much silence it is asked whether the worker had its CPU.
const SUSPECT: Duration = Duration::from_millis(100);

/// The turns of the workers, and for how long each has made none.
#[derive(Debug)]
pub struct Heartbeats {
    looked: Instant,
    workers: Vec<Worker>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Worker {
    turns: u64,
    /// For how long it has made no turn.
    silent: Duration,
    /// For how long of that it could have: it had its CPU, or did not want it.
    idle: Duration,
    /// The time that it had a CPU, as of the last look at a silent one.
    used: Option<Duration>,
    /// It was told that it is kept from its CPU.
    told: bool,
}

impl Heartbeats {
    /// Of `workers` workers, from `now` on.
    #[must_use]
    pub fn new(workers: usize, now: Instant) -> Self {
        Self { looked: now, workers: vec![Worker::default(); workers] }
    }

    /// Takes down each worker's `turns`. `ran` says what a worker's thread did, by its place; it is asked only of those that have been
    /// silent for a while. One that is ready to run and does not is not let, and is no worse for it; of it, only the time counts that it
    /// had a CPU.
    pub fn look(
        &mut self,
        now: Instant,
        turns: impl IntoIterator<Item = u64>,
        ran: impl Fn(usize) -> Option<Ran>,
    ) {
        let since = now.duration_since(self.looked).min(LONGEST_LOOK);
        self.looked = now;
        for ((place, worker), turns) in self.workers.iter_mut().enumerate().zip(turns) {
            if worker.turns != turns {
                *worker = Worker { turns, ..Worker::default() };
                continue;
            }
            worker.silent += since;
            let ran = if worker.silent < SUSPECT { None } else { ran(place) };
            let before = std::mem::replace(&mut worker.used, ran.map(|ran| ran.used));
            worker.idle += match ran {
                Some(Ran { used, ready: true }) => {
                    before.map_or(Duration::ZERO, |before| used.saturating_sub(before)).min(since)
                }
                _ => since,
            };
        }
    }

    /// For how long each worker has made no turn.
    pub fn silent(&self) -> impl Iterator<Item = Duration> {
        self.workers.iter().map(|worker| worker.silent)
    }

    /// The first worker that has made no turn for `limit`, in which it could have.
    #[must_use]
    pub fn hanging(&self, limit: Duration) -> Option<usize> {
        self.workers.iter().position(|worker| worker.idle >= limit)
    }

    /// A worker that has made no turn for `limit` because it was kept from its CPU; once for each time that it is.
    pub fn starving(&mut self, limit: Duration) -> Option<usize> {
        let place = self
            .workers
            .iter()
            .position(|worker| !worker.told && worker.silent >= limit && worker.idle < limit)?;
        self.workers.get_mut(place)?.told = true;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(800);

    #[test]
    fn a_worker_that_makes_no_turns_is_named() {
        let start = Instant::now();
        let mut beats = Heartbeats::new(2, start);
        for look in 1..=80 {
            assert_eq!(beats.hanging(LIMIT), None, "look {look}");
            beats.look(start + Duration::from_millis(10) * look, [u64::from(look), 0], |_| None);
        }
        assert_eq!(beats.hanging(LIMIT), Some(1));
        beats.look(start + Duration::from_millis(810), [81, 1], |_| None);
        assert_eq!(beats.hanging(LIMIT), None, "it turns again");
    }

    #[test]
    fn a_process_that_was_stopped_has_no_hanging_worker() {
        let start = Instant::now();
        let mut beats = Heartbeats::new(1, start);
        beats.look(start, [1], |_| None);
        beats.look(start + Duration::from_mins(1), [1], |_| None);
        assert_eq!(beats.hanging(LIMIT), None);
    }

    /// When a silent worker is said to hang, and when to starve, in looks of 10 ms, if its thread is `ready` and has a CPU for a
    /// `part` of the time.
    fn told(ready: bool, part: f64) -> [Option<u32>; 2] {
        let start = Instant::now();
        let mut beats = Heartbeats::new(1, start);
        beats.look(start, [1], |_| None);
        let (mut hangs, mut starves) = (None, None);
        for look in 1..=1000 {
            let lasted = Duration::from_millis(10) * look;
            beats.look(start + lasted, [1], |_| Some(Ran { used: lasted.mul_f64(part), ready }));
            if beats.starving(LIMIT).is_some() {
                assert_eq!(starves.replace(look), None, "told once");
            }
            if hangs.is_none() && beats.hanging(LIMIT).is_some() {
                hangs = Some(look);
            }
        }
        [hangs, starves]
    }

    #[test]
    fn who_has_the_cpu_hangs_and_who_does_not_get_it_starves() {
        assert_eq!(told(true, 1.0), [Some(81), Some(80)]);
        assert_eq!(told(true, 0.0), [None, Some(80)]);
        // It shares its CPU: after as much time on it.
        let [hangs, starves] = told(true, 0.25);
        assert!((280..330).contains(&hangs.unwrap()) && starves == Some(80), "{hangs:?}");
        // It waits for something that does not come.
        assert_eq!(told(false, 0.0), [Some(80), None]);
    }

    #[test]
    fn a_turn_ends_all_suspicion() {
        let start = Instant::now();
        let mut beats = Heartbeats::new(1, start);
        for look in 1..=200 {
            let lasted = Duration::from_millis(10) * look;
            // A turn every half second.
            let ran = Ran { used: lasted, ready: true };
            beats.look(start + lasted, [u64::from(look / 50)], |_| Some(ran));
            assert_eq!((beats.hanging(LIMIT), beats.starving(LIMIT)), (None, None), "{look}");
        }
    }
}
