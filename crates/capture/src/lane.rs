//! The buffers of one worker's captures, and the two queues that they go round in.

use arrayvec::ArrayVec;
use otherhalf_engine::{Outcome, PortId};

use crate::sync::{ArrayQueue, AtomicU64, Ordering};

/// Copies of one worker that may wait to be taken out. Loom could not go through so many.
pub const ROOM: usize = if cfg!(loom) { 2 } else { 512 };

/// Frames of a burst.
pub(super) const BURST: usize = if cfg!(loom) { 1 } else { otherhalf_engine::BURST };

/// Octets that a copy has room for: a whole frame, unless it is a jumbo.
pub const SNAP_LEN: usize = 2048;

/// A frame as it was received.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Its octets, as far as they are in its first buffer.
    pub octets: &'a [u8],
    /// How many there are in all.
    pub whole_len: usize,
    /// The port that it came in by.
    pub port: PortId,
    /// When, in ticks of the time stamp counter.
    pub ticks: u64,
}

/// A buffer, and the copy of a frame in it.
#[derive(Debug)]
pub(super) struct Slot {
    /// What was received, the first part of it.
    pub(super) octets: ArrayVec<u8, SNAP_LEN>,
    /// Octets that were received.
    pub(super) whole_len: u32,
    /// By which port.
    pub(super) port: PortId,
    /// When, in ticks of the time stamp counter.
    pub(super) ticks: u64,
    /// What became of it.
    pub(super) outcome: Outcome,
    /// The session that it is for.
    pub(super) session: u32,
}

impl Slot {
    const EMPTY: Self = Self {
        octets: ArrayVec::new_const(),
        whole_len: 0,
        port: PortId(0),
        ticks: 0,
        outcome: Outcome::DropBuffer,
        session: 0,
    };

    /// Copies `frame`, as much of it as `snap_len` allows.
    #[inline]
    pub(super) fn fill(&mut self, frame: Received<'_>, snap_len: usize) {
        let Received { octets, whole_len, port, ticks } = frame;
        let kept = octets.get(..snap_len.min(SNAP_LEN)).unwrap_or(octets);
        self.octets.clear();
        // There is room, for it was cut to it.
        let _ = self.octets.try_extend_from_slice(kept);
        self.whole_len = u32::try_from(whole_len).unwrap_or(u32::MAX);
        (self.port, self.ticks) = (port, ticks);
    }
}

/// What a worker and a session share. Boxes go round: free, filled by the worker, taken out by the session, free.
#[derive(Debug)]
pub(super) struct Lane {
    /// Buffers for the worker to take.
    pub(super) free: ArrayQueue<Box<Slot>>,
    /// Copies for the session to take.
    pub(super) full: ArrayQueue<Box<Slot>>,
    /// Frames that were wanted while no buffer was free. Written by the worker alone, relaxed: a statistic.
    lost: AtomicU64,
}

impl Lane {
    /// With all its buffers: those that wait, and those of a burst that is under way.
    pub(super) fn new() -> Self {
        let lane = Self {
            free: ArrayQueue::new(ROOM + BURST),
            full: ArrayQueue::new(ROOM + BURST),
            lost: AtomicU64::new(0),
        };
        for _ in 0..ROOM + BURST {
            let _ = lane.free.push(Box::new(Slot::EMPTY));
        }
        lane
    }

    /// Counts a frame that no buffer was free for.
    pub(super) fn lose(&self) {
        self.lost.store(self.lost().wrapping_add(1), Ordering::Relaxed);
    }

    /// Frames that no buffer was free for, ever.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Has the worker find the buffer again.
    pub(super) fn give_back(&self, slot: Box<Slot>) {
        // There are no more buffers than places for them.
        let _ = self.free.push(slot);
    }
}
