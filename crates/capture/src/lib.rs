//! Frames of some outcomes, as they were received, out of running workers: a sample, never a burden.
//!
//! Nothing is copied unless somebody asks, and what is copied is bounded:
//!
//! - a worker looks once a burst whether a capture is armed: a load of one word, [`Capture::wanted`], which is also the filter;
//! - while it is, each frame of a burst is copied before the engine writes over it ([`Sampler`]); when it is known what became of each, the
//!   copies of those that are wanted go into a bounded queue, and the others are written over by the next burst;
//! - the copies lie in buffers that are made when the first capture is armed and kept ever after: a worker allocates nothing, waits for
//!   nobody and makes no system call. If it finds no buffer, the frame is counted as lost to the capture and goes its way;
//! - whoever armed it takes the copies out ([`Session::next`]) on a thread of its own. One capture runs at a time.
//!
//! What was sent is not copied: `otherhalfd replay` makes it again of what was received.

#![forbid(unsafe_code)]

mod sync;
mod lane;
mod sampler;
mod session;

use std::sync::{OnceLock, PoisonError, TryLockError};

use otherhalf_engine::Outcome;

use lane::Lane;
pub use lane::{ROOM, Received, SNAP_LEN};
pub use sampler::Sampler;
pub use session::{Captured, Session};
use sync::{AtomicU32, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};

/// The outcomes that a capture is of: a bit each, by their place in [`Outcome::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted(u64);

const _: () = assert!(Outcome::ALL.len() <= 64, "a bit each");

impl Wanted {
    /// Whether there are none.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `outcome` is among them.
    #[inline]
    #[must_use]
    pub const fn has(self, outcome: Outcome) -> bool {
        self.0 & 1 << outcome as u8 != 0
    }
}

impl FromIterator<Outcome> for Wanted {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        Self(outcomes.into_iter().fold(0, |bits, outcome| bits | 1 << outcome as u8))
    }
}

/// Why no capture was armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// One is running.
    #[error("another capture is running: wait for its end, or end it")]
    Busy,
    /// Nothing is wanted.
    #[error("no outcome was named: nothing would be captured")]
    Nothing,
    /// Not a length that can be kept.
    #[error("can't keep {0} octets of a frame: 1 to {SNAP_LEN} can be kept")]
    SnapLen(usize),
}

/// Where a capture is armed, and what its workers and it share.
///
/// A cache line of its own, which nobody writes but who arms: workers read it at each burst.
#[derive(Debug)]
#[repr(align(128))]
pub struct Capture {
    /// See [`Wanted`]. Written by a session, with release: a worker that sees it by acquire sees the lanes and what else the session set.
    /// Its end sets it to 0.
    wanted: AtomicU64,
    /// Octets that are kept of a frame. Written before `wanted`, read after it.
    snap_len: AtomicUsize,
    /// Numbers sessions, so that a worker's late copy is not taken for one of the next session. Written before `wanted`, with release: who
    /// reads the number by acquire sees that the session before is over.
    session: AtomicU32,
    /// A lane for each worker, made for the first session.
    lanes: OnceLock<Box<[Lane]>>,
    workers: usize,
    /// Held by the session that runs.
    running: Mutex<()>,
}

impl Capture {
    /// Nothing is captured of `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            wanted: AtomicU64::new(0),
            snap_len: AtomicUsize::new(SNAP_LEN),
            session: AtomicU32::new(0),
            lanes: OnceLock::new(),
            workers,
            running: Mutex::new(()),
        }
    }

    /// What is captured; nothing, unless somebody armed a capture.
    #[inline]
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted(self.wanted.load(Ordering::Acquire))
    }

    /// Begins to capture frames of `outcomes`, the first `snap_len` octets of each, until the session is dropped.
    pub fn arm(&self, outcomes: Wanted, snap_len: usize) -> Result<Session<'_>, Error> {
        if outcomes.is_empty() {
            return Err(Error::Nothing);
        }
        if !(1..=SNAP_LEN).contains(&snap_len) {
            return Err(Error::SnapLen(snap_len));
        }
        let running: MutexGuard<'_, ()> = match self.running.try_lock() {
            Ok(running) => running,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return Err(Error::Busy),
        };
        let lanes = self
            .lanes
            .get_or_init(|| std::iter::repeat_with(Lane::new).take(self.workers).collect());
        let number = self.session.load(Ordering::Relaxed).wrapping_add(1);
        self.session.store(number, Ordering::Release);
        self.snap_len.store(snap_len, Ordering::Relaxed);
        let session = Session::new(self, lanes, number, running);
        self.wanted.store(outcomes.0, Ordering::Release);
        Ok(session)
    }

    /// The lane of the worker `index`, if a capture was ever armed.
    fn lane(&self, index: usize) -> Option<&Lane> {
        self.lanes.get()?.get(index)
    }

    fn disarm(&self) {
        self.wanted.store(0, Ordering::Release);
    }
}
