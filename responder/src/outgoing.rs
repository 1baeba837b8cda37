//! Frames on their way out of one port.

use arrayvec::ArrayVec;
use dpdk::{Burst, Mbuf, TxQueue};
use otherhalf_engine::Outcome;

use crate::relay::{Name, Relay, Relayed};
use crate::stats::WorkerStats;

/// Frames collected before they are sent: a received burst, and a RST for each of its frames.
const ROOM: usize = 64;

/// How often a full transmit queue is tried again before frames are given up. The device empties
/// its queue by itself; waiting longer would only let the receive queue overflow.
const TRIES: u32 = 8;

/// In the place of a frame's place in its burst, where it has none.
const NO_PLACE: u8 = u8::MAX;

/// Where frames leave.
pub enum Exit<'a> {
    /// The port's transmit queue.
    Queue(TxQueue),
    /// There is none for this worker: another one sends them.
    Relay(&'a Relay),
    /// There is none at all.
    Closed,
}

/// A port's exit and what is collected for it.
pub struct Outgoing<'a> {
    exit: Exit<'a>,
    frames: Burst<ROOM>,
    /// As long as `frames`, in the same order; answers with their places in their burst.
    names: ArrayVec<(Name, u8), ROOM>,
    /// Places of answers that were refused, for whoever captures frames. Nobody else looks or empties it, so it may be full.
    refused: ArrayVec<u8, ROOM>,
}

impl<'a> Outgoing<'a> {
    /// Nothing yet for `exit`.
    #[must_use]
    pub fn new(exit: Exit<'a>) -> Self {
        Self { exit, frames: Burst::new(), names: ArrayVec::new(), refused: ArrayVec::new() }
    }

    /// Whether nothing is collected.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Sends the answers in `burst`, which are named in their order, without collecting them, and counts them: each by
    /// its name, or as dropped. What was collected stays.
    #[inline]
    pub fn send<const N: usize>(
        &mut self,
        burst: &mut Burst<N>,
        names: &[Outcome],
        stats: &WorkerStats,
    ) {
        let names = names.get(..burst.len()).unwrap_or(names);
        let Exit::Queue(queue) = &mut self.exit else {
            for (frame, outcome) in burst.drain().zip(names) {
                hand_over(&self.exit, frame, Name::Answer(*outcome), stats);
            }
            return;
        };
        let mut sent = 0;
        for _ in 0..TRIES {
            sent += queue.send(burst);
            if burst.is_empty() {
                break;
            }
        }
        let (sent, refused) = names.split_at(sent.min(names.len()));
        stats.count_all(sent);
        for _ in refused {
            stats.count(Outcome::DropTransmitFull);
        }
        burst.clear();
    }

    /// Collects the answer to a received frame, that at `place` in its burst.
    #[inline]
    pub fn answer(&mut self, frame: Mbuf, outcome: Outcome, place: usize, stats: &WorkerStats) {
        let place = u8::try_from(place).unwrap_or(NO_PLACE);
        self.push(frame, (Name::Answer(outcome), place), stats);
    }

    /// The places of collected answers that found no room since [`forget_refused`](Self::forget_refused). An answer that another worker
    /// sends may find none there, and is not among them.
    pub fn refused(&self) -> impl Iterator<Item = usize> {
        self.refused.iter().map(|place| usize::from(*place))
    }

    /// Forgets them.
    pub fn forget_refused(&mut self) {
        self.refused.clear();
    }

    /// Collects a RST.
    pub fn reset(&mut self, frame: Mbuf, stats: &WorkerStats) {
        self.push(frame, (Name::Reset, NO_PLACE), stats);
    }

    /// Collects a frame of the control thread.
    pub fn order(&mut self, frame: Mbuf, stats: &WorkerStats) {
        self.push(frame, (Name::Order, NO_PLACE), stats);
    }

    /// Collects a frame of the kernel.
    pub fn kernel(&mut self, frame: Mbuf, stats: &WorkerStats) {
        self.push(frame, (Name::Kernel, NO_PLACE), stats);
    }

    /// Collects what another worker handed over.
    pub fn relayed(&mut self, Relayed { frame, name }: Relayed, stats: &WorkerStats) {
        self.push(frame, (name, NO_PLACE), stats);
    }

    #[inline]
    fn push(&mut self, mut frame: Mbuf, name: (Name, u8), stats: &WorkerStats) {
        if self.names.is_full() {
            self.flush(stats);
        }
        // What the receiving device said about the frame is no wish to the sending one.
        frame.reset_offloads();
        // A flush leaves nothing, so there is room; and a frame without name would be dropped, not lost.
        if self.names.try_push(name).is_ok() {
            drop(self.frames.push(frame));
        }
    }

    /// Sends what was collected and counts it: as what it is, or as dropped.
    #[inline]
    pub fn flush(&mut self, stats: &WorkerStats) {
        let Exit::Queue(queue) = &mut self.exit else {
            for (frame, (name, place)) in self.frames.drain().zip(self.names.drain(..)) {
                if !hand_over(&self.exit, frame, name, stats) {
                    let _ = self.refused.try_push(place);
                }
            }
            return;
        };
        let mut tries = 0;
        while !self.names.is_empty() && tries < TRIES {
            let sent = queue.send(&mut self.frames);
            for (name, _) in self.names.drain(..sent) {
                match name {
                    Name::Answer(outcome) => stats.count(outcome),
                    Name::Reset => stats.resets_sent.add(1),
                    Name::Order => stats.orders_sent.add(1),
                    Name::Kernel => stats.kernel_sent.add(1),
                }
            }
            tries += 1;
        }
        for (name, place) in self.names.drain(..) {
            count_unsent(name, stats);
            let _ = self.refused.try_push(place);
        }
        self.frames.clear();
    }
}

/// Has another worker send `frame`, which counts it then; says whether there was room.
#[cold]
fn hand_over(exit: &Exit<'_>, mut frame: Mbuf, name: Name, stats: &WorkerStats) -> bool {
    frame.reset_offloads();
    let taken = match exit {
        Exit::Relay(relay) => relay.frames.push(Relayed { frame, name }).is_ok(),
        Exit::Queue(_) | Exit::Closed => false,
    };
    if taken {
        stats.relayed.add(1);
    } else {
        count_unsent(name, stats);
    }
    taken
}

fn count_unsent(name: Name, stats: &WorkerStats) {
    match name {
        Name::Answer(_) => stats.count(Outcome::DropTransmitFull),
        Name::Reset | Name::Order => stats.own_dropped.add(1),
        Name::Kernel => stats.kernel_unsent.add(1),
    }
}
