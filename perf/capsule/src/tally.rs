//! What a responder counts.
//!
//! Each counter may have several writers, one a core; nothing is ordered by one, so all is relaxed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use otherhalf_engine::Outcome;

/// Counters, shared by all cores.
#[derive(Debug)]
pub struct Tally {
    received: AtomicU64,
    resets: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            received: AtomicU64::new(0),
            resets: AtomicU64::new(0),
            outcomes: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Tally {
    pub(crate) fn receive(&self, frames: usize) {
        self.received.fetch_add(frames as u64, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames that capsule received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Frames with this outcome. One that was answered counts when it is handed to capsule: whether the
    /// port takes it, capsule's `PacketTx` does not say.
    #[must_use]
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Ordering::Relaxed)
    }
}

impl fmt::Display for Tally {
    /// One counter a line, as `otherhalfd` prints them: the outcomes, indented, add up to `received`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: u64| writeln!(f, "{name:<30} {value}");
        line("received", self.received())?;
        for outcome in Outcome::ALL {
            line(&format!("  {}", outcome.name()), self.get(*outcome))?;
        }
        line("resets_sent", self.resets.load(Ordering::Relaxed))
    }
}
