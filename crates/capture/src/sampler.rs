//! A worker's end of captures: copies before the engine, chooses after it.

use arrayvec::ArrayVec;
use otherhalf_engine::Outcome;

use super::lane::{BURST, Lane, Received, Slot};
use super::sync::Ordering;
use super::{Capture, Wanted};

/// What a worker keeps of a burst while a capture is armed.
pub struct Sampler<'a> {
    capture: &'a Capture,
    worker: usize,
    /// What is wanted of this burst; nothing: nothing was copied.
    wanted: Wanted,
    snap_len: usize,
    session: u32,
    /// The copies of this burst, by their place. The buffers stay here between bursts.
    copies: ArrayVec<Box<Slot>, BURST>,
    /// How many of them are of this burst.
    len: usize,
    /// What became of each frame that is known of.
    ends: [Option<Outcome>; BURST],
}

impl<'a> Sampler<'a> {
    /// That of the worker `worker`.
    #[must_use]
    pub const fn new(capture: &'a Capture, worker: usize) -> Self {
        Self {
            capture,
            worker,
            wanted: Wanted(0),
            snap_len: 0,
            session: 0,
            copies: ArrayVec::new_const(),
            len: 0,
            ends: [None; BURST],
        }
    }

    /// Whether this burst is copied; asks whether a capture is armed.
    #[inline]
    pub fn begin(&mut self) -> bool {
        !self.capture.wanted().is_empty() && self.ready()
    }

    /// Whether this burst is copied.
    #[inline]
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Makes ready for a burst; whether it is still wanted.
    #[cold]
    fn ready(&mut self) -> bool {
        // In this order: what is wanted by an older session than the one whose number was read can't be seen any more, and if it is by a
        // newer one, the copies bear the older number, and it takes them for late.
        self.session = self.capture.session.load(Ordering::Acquire);
        self.wanted = self.capture.wanted();
        self.snap_len = self.capture.snap_len.load(Ordering::Relaxed);
        if self.wanted.is_empty() {
            return false;
        }
        (self.len, self.ends) = (0, [None; BURST]);
        if let Some(lane) = self.lane() {
            while !self.copies.is_full()
                && let Some(slot) = lane.free.pop()
            {
                self.copies.push(slot);
            }
        }
        true
    }

    /// Copies the next `frame` of the burst.
    pub fn copy(&mut self, frame: Received<'_>) {
        if let Some(slot) = self.copies.get_mut(self.len) {
            slot.fill(frame, self.snap_len);
        }
        self.len += 1;
    }

    /// Notes what became of the frame at `place`, as far as it is known. The last word counts.
    #[inline]
    pub fn note(&mut self, place: usize, outcome: Outcome) {
        if self.is_on()
            && let Some(end) = self.ends.get_mut(place)
        {
            *end = Some(outcome);
        }
    }

    /// Hands on the copies of frames that are wanted. The burst is over.
    #[cold]
    pub fn finish(&mut self) {
        let Some(lane) = self.lane() else { return };
        for (place, end) in self.ends.into_iter().enumerate().take(self.len) {
            if let Some(outcome) = end.filter(|outcome| self.wanted.has(*outcome)) {
                hand_on(lane, self.session, outcome, self.copies.get_mut(place));
            }
        }
        self.wanted = Wanted(0);
    }

    /// Hands on a copy of a single frame, if it is wanted: one that ends outside its burst, untouched since it was received.
    #[inline]
    pub fn single(&mut self, outcome: Outcome, frame: Received<'_>) {
        if self.capture.wanted().has(outcome) && self.ready() {
            self.copy(frame);
            self.note(0, outcome);
            self.finish();
        }
    }

    fn lane(&self) -> Option<&'a Lane> {
        self.capture.lane(self.worker)
    }
}

/// Puts the copy into the queue, and a free buffer into its place; without one, it is lost.
fn hand_on(lane: &Lane, session: u32, outcome: Outcome, copy: Option<&mut Box<Slot>>) {
    match (copy, lane.free.pop()) {
        (Some(copy), Some(free)) => {
            let mut slot = std::mem::replace(copy, free);
            (slot.outcome, slot.session) = (outcome, session);
            if let Err(slot) = lane.full.push(slot) {
                lane.give_back(slot);
                lane.lose();
            }
        }
        (_, free) => {
            if let Some(free) = free {
                lane.give_back(free);
            }
            lane.lose();
        }
    }
}
