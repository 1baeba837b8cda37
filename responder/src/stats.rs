//! What workers count, and how it is read and printed.
//!
//! Each counter has one writer, its worker, which adds by a plain load and store; others read it
//! at any time and see it a little late. Nothing is ordered by a counter, so all is relaxed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use otherhalf_engine::{Counters, Outcome};

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. For the one writer alone: two would lose some.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Its value, a little late.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts. A cache line of its own at both ends, so that workers do not slow each other.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerStats {
    outcomes: [Counter; Outcome::ALL.len()],
    /// Frames received.
    pub received: Counter,
    /// Turns of the worker's loop in which frames came.
    pub busy_turns: Counter,
    /// Ticks that those turns took, from the look at the queues on.
    pub busy_ticks: Counter,
    /// RSTs sent besides a response.
    pub resets_sent: Counter,
    /// Frames of the control thread sent.
    pub orders_sent: Counter,
    /// Frames of our own that could not be sent: no mbuf, or no room in the transmit queue.
    pub own_dropped: Counter,
}

impl Default for WorkerStats {
    fn default() -> Self {
        Self {
            outcomes: std::array::from_fn(|_| Counter::default()),
            received: Counter::default(),
            busy_turns: Counter::default(),
            busy_ticks: Counter::default(),
            resets_sent: Counter::default(),
            orders_sent: Counter::default(),
            own_dropped: Counter::default(),
        }
    }
}

impl WorkerStats {
    /// Counts one frame.
    #[inline]
    pub fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].add(1);
    }

    /// The outcomes as they stand.
    #[must_use]
    pub fn outcomes(&self) -> Counters {
        let mut counters = Counters::default();
        for (outcome, counter) in Outcome::ALL.iter().zip(&self.outcomes) {
            counters.set(*outcome, counter.get());
        }
        counters
    }
}

/// The sum of all workers' counters.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Frames received.
    pub received: u64,
    /// What became of them.
    pub outcomes: Counters,
    /// See [`WorkerStats::resets_sent`].
    pub resets_sent: u64,
    /// See [`WorkerStats::orders_sent`].
    pub orders_sent: u64,
    /// See [`WorkerStats::own_dropped`].
    pub own_dropped: u64,
    /// Notices that the control thread had no room for.
    pub notices_dropped: u64,
    /// Neighbours that were not learned for lack of room.
    pub neighbours_refused: u64,
    /// Questions for neighbours that no worker had room for.
    pub questions_dropped: u64,
    /// Probes that wait for an answer.
    pub pending: u64,
}

impl Totals {
    /// Adds up the counters of `workers`.
    #[must_use]
    pub fn of<'a>(workers: impl IntoIterator<Item = &'a WorkerStats>) -> Self {
        let mut totals = Self::default();
        for worker in workers {
            // Read while the worker counts on, so the sums of a running worker may differ by a burst or two.
            totals.outcomes.add(&worker.outcomes());
            totals.received += worker.received.get();
            totals.resets_sent += worker.resets_sent.get();
            totals.orders_sent += worker.orders_sent.get();
            totals.own_dropped += worker.own_dropped.get();
        }
        totals
    }
}

impl fmt::Display for Totals {
    /// One counter a line: its name and its value. The outcomes, indented, add up to `received`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: u64| writeln!(f, "{name:<30} {value}");
        line("received", self.received)?;
        for (outcome, count) in self.outcomes.iter() {
            line(&format!("  {}", outcome.name()), count)?;
        }
        line("resets_sent", self.resets_sent)?;
        line("solicitations_sent", self.orders_sent)?;
        line("own_frames_dropped", self.own_dropped)?;
        line("notices_dropped", self.notices_dropped)?;
        line("neighbours_refused", self.neighbours_refused)?;
        line("solicitations_dropped", self.questions_dropped)?;
        line("pending", self.pending)
    }
}
