//! What the load and those who watch it tell each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::tally::Tally;

/// What the load saw so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sight {
    /// What was counted.
    pub(crate) tally: Tally,
    /// Requests and answers that were sent twice.
    pub(crate) repeated: [u64; 2],
    /// Probes for requests that came twice.
    pub(crate) second_probes: u64,
    /// The last wrong round-trip time, and the least and the most that it might have been, in nanoseconds.
    pub(crate) wrong_rtt: Option<[u64; 3]>,
    /// Nothing is under way.
    pub(crate) at_rest: bool,
}

/// Both sides hold it.
#[derive(Debug, Default)]
pub(crate) struct Board {
    sight: Mutex<Sight>,
    pause: AtomicBool,
    stop: AtomicBool,
    /// The router answers no question for its hardware address.
    pub(crate) mute: Arc<AtomicBool>,
}

impl Board {
    pub(crate) fn show(&self, sight: &Sight) {
        *self.sight.lock().unwrap_or_else(PoisonError::into_inner) = *sight;
    }

    pub(crate) fn sight(&self) -> Sight {
        *self.sight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing new is to be asked.
    pub(crate) fn paused(&self) -> bool {
        self.pause.load(Ordering::Relaxed)
    }

    pub(crate) fn pause(&self, pause: bool) {
        self.pause.store(pause, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_mute(&self, mute: bool) {
        self.mute.store(mute, Ordering::Relaxed);
    }
}
