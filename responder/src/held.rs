//! Frames that wait for the hardware address of their next hop.

use std::collections::VecDeque;

use otherhalf_engine::PortId;

/// Frames that may wait in one worker. As many as Linux lets wait for one neighbour at most
/// sizes; here they are for all neighbours, for nobody is to fill our memory by asking for many.
pub const ROOM: usize = 128;

/// A frame that waits: `F` is what it lies in.
pub struct Waiting<F> {
    /// The frame as it was received.
    pub frame: F,
    /// The port that it came in by.
    pub port: PortId,
    /// When it was received, in ticks.
    pub since: u64,
}

/// The frames that wait, the oldest first.
pub struct Held<F> {
    frames: VecDeque<Waiting<F>>,
    timeout_ticks: u64,
}

impl<F> Held<F> {
    /// Nothing waits; what will waits for `timeout_ticks` at most.
    #[must_use]
    pub fn new(timeout_ticks: u64) -> Self {
        Self { frames: VecDeque::with_capacity(ROOM), timeout_ticks }
    }

    /// Whether nothing waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Lets `frame` wait, from `since` on; gives it back if too many do.
    pub fn push(&mut self, frame: F, port: PortId, since: u64) -> Result<(), F> {
        if self.frames.len() >= ROOM {
            return Err(frame);
        }
        self.frames.push_back(Waiting { frame, port, since });
        Ok(())
    }

    /// The oldest frame, if it has waited too long.
    pub fn pop_overdue(&mut self, now: u64) -> Option<Waiting<F>> {
        let overdue = self
            .frames
            .front()
            .is_some_and(|oldest| now.wrapping_sub(oldest.since) > self.timeout_ticks);
        if overdue { self.frames.pop_front() } else { None }
    }

    /// The oldest frame.
    pub fn pop(&mut self) -> Option<Waiting<F>> {
        self.frames.pop_front()
    }
}
