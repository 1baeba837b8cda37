//! The end of a capture where its frames come out.

use otherhalf_engine::{Outcome, PortId};

use super::Capture;
use super::lane::{Lane, ROOM, Slot};
use super::sync::MutexGuard;

/// A frame that was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured<'a> {
    /// The worker that received it.
    pub worker: usize,
    /// The port that it came in by.
    pub port: PortId,
    /// When, in ticks of the time stamp counter. All frames of a burst have the same.
    pub ticks: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Octets that were received.
    pub whole_len: u32,
    /// The first of them.
    pub octets: &'a [u8],
}

/// A capture that runs. Dropped, it is over.
pub struct Session<'a> {
    capture: &'a Capture,
    lanes: &'a [Lane],
    number: u32,
    /// Frames that were lost to earlier sessions.
    lost_before: u64,
    /// The worker whose turn it is: none is to keep us from the others.
    turn: usize,
    _running: MutexGuard<'a, ()>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        capture: &'a Capture,
        lanes: &'a [Lane],
        number: u32,
        running: MutexGuard<'a, ()>,
    ) -> Self {
        let mut session =
            Self { capture, lanes, number, lost_before: 0, turn: 0, _running: running };
        // What the session before left: the room is ours.
        for lane in lanes {
            for slot in std::iter::from_fn(|| lane.full.pop()).take(ROOM) {
                lane.give_back(slot);
            }
        }
        session.lost_before = session.lost();
        session
    }

    /// Takes out the next frame and shows it to `see`; none is there at the moment: `None`. Bounded, if it is called a bounded number of times.
    pub fn next<T>(&mut self, see: impl FnOnce(Captured<'_>) -> T) -> Option<T> {
        for _ in 0..self.lanes.len() {
            let worker = self.turn;
            self.turn = (worker + 1) % self.lanes.len();
            let Some(lane) = self.lanes.get(worker) else { continue };
            while let Some(slot) = lane.full.pop() {
                if slot.session != self.number {
                    // A worker's late word to the session before.
                    lane.give_back(slot);
                    continue;
                }
                let Slot { octets, whole_len, port, ticks, outcome, .. } = slot.as_ref();
                let captured = Captured {
                    worker,
                    port: *port,
                    ticks: *ticks,
                    outcome: *outcome,
                    whole_len: *whole_len,
                    octets,
                };
                let answer = see(captured);
                lane.give_back(slot);
                return Some(answer);
            }
        }
        None
    }

    /// Frames that were wanted, and for which no buffer was free.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let lost = self.lanes.iter().fold(0_u64, |sum, lane| sum.wrapping_add(lane.lost()));
        lost.wrapping_sub(self.lost_before)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.capture.disarm();
    }
}
