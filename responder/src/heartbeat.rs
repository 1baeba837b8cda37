//! Whether the workers still turn. One that hangs receives nothing and answers nothing, and no counter says so.

use std::time::{Duration, Instant};

/// More time than this between two looks is not a worker's fault: the whole process stood still.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// The turns of the workers, and for how long each has made none.
#[derive(Debug)]
pub struct Heartbeats {
    looked: Instant,
    workers: Vec<Worker>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Worker {
    turns: u64,
    silent: Duration,
}

impl Heartbeats {
    /// Of `workers` workers, from `now` on.
    #[must_use]
    pub fn new(workers: usize, now: Instant) -> Self {
        Self { looked: now, workers: vec![Worker::default(); workers] }
    }

    /// Takes down each worker's `turns`.
    pub fn look(&mut self, now: Instant, turns: impl IntoIterator<Item = u64>) {
        let since = now.duration_since(self.looked).min(LONGEST_LOOK);
        self.looked = now;
        for (worker, turns) in self.workers.iter_mut().zip(turns) {
            let silent = if worker.turns == turns { worker.silent + since } else { Duration::ZERO };
            *worker = Worker { turns, silent };
        }
    }

    /// For how long each worker has made no turn.
    pub fn silent(&self) -> impl Iterator<Item = Duration> {
        self.workers.iter().map(|worker| worker.silent)
    }

    /// The first worker that has made no turn for `limit`.
    #[must_use]
    pub fn hanging(&self, limit: Duration) -> Option<usize> {
        self.silent().position(|silent| silent >= limit)
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
            beats.look(start + Duration::from_millis(10) * look, [u64::from(look), 0]);
        }
        assert_eq!(beats.hanging(LIMIT), Some(1));
        beats.look(start + Duration::from_millis(810), [81, 1]);
        assert_eq!(beats.hanging(LIMIT), None, "it turns again");
    }

    #[test]
    fn a_process_that_was_stopped_has_no_hanging_worker() {
        let start = Instant::now();
        let mut beats = Heartbeats::new(1, start);
        beats.look(start, [1]);
        beats.look(start + Duration::from_mins(1), [1]);
        assert_eq!(beats.hanging(LIMIT), None);
    }
}
