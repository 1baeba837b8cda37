//! From workers without a transmit queue of a port to one that has one.
//!
//! A device may offer fewer queues than there are workers. DPDK lets one thread use a queue, so those who have none of a port
//! hand what leaves by it to one worker that has. The frame gets its counter there, when it is sent or dropped. What does not
//! fit is dropped and counted by who wanted to hand it over, so that no worker waits for another.

use crossbeam_queue::ArrayQueue;
use dpdk::Mbuf;
use otherhalf_engine::{Outcome, PortId};

use crate::stats::WorkerStats;

/// Frames that may wait for the worker that sends them: several bursts of each of a few workers.
pub const ROOM: usize = 512;

/// What a frame counts as once it is sent.
#[derive(Debug, Clone, Copy)]
pub enum Name {
    /// A received frame, answered.
    Answer(Outcome),
    /// A RST besides.
    Reset,
    /// A frame of the control thread.
    Order,
    /// A frame of the kernel.
    Kernel,
}

/// A frame on its way to the worker that sends it.
#[derive(Debug)]
pub struct Relayed {
    /// The frame.
    pub frame: Mbuf,
    /// What it counts as.
    pub name: Name,
}

/// The way to one port's sender.
#[derive(Debug)]
pub struct Relay {
    /// The worker that sends.
    sender: usize,
    /// What waits for it.
    pub frames: ArrayQueue<Relayed>,
}

/// The relays of all ports.
#[derive(Debug, Default)]
pub struct Relays {
    /// In the order of the ports; none where each worker has a queue of its own.
    by_port: Vec<Option<Relay>>,
}

impl Relays {
    /// For ports in their order, each with the worker that sends for the others, if there are others.
    pub fn new(senders: impl IntoIterator<Item = Option<usize>>) -> Self {
        let relay = |sender| Relay { sender, frames: ArrayQueue::new(ROOM) };
        Self { by_port: senders.into_iter().map(|sender| sender.map(relay)).collect() }
    }

    /// The relay of `port`, if it has one.
    #[must_use]
    pub fn of(&self, port: PortId) -> Option<&Relay> {
        self.by_port.get(usize::from(port.0))?.as_ref()
    }

    /// The relays that `worker` sends for.
    #[must_use]
    pub fn sent_by(&self, worker: usize) -> Vec<(PortId, &Relay)> {
        let ports = (0u16..).map(PortId).zip(&self.by_port);
        ports
            .filter_map(|(port, relay)| Some((port, relay.as_ref()?)))
            .filter(|(_, relay)| relay.sender == worker)
            .collect()
    }

    /// Drops what was handed over after the sender's end, and counts it in `stats`, whose worker has ended.
    pub fn clear(&self, stats: &WorkerStats) {
        for relay in self.by_port.iter().flatten() {
            while let Some(Relayed { frame, name }) = relay.frames.pop() {
                drop(frame);
                match name {
                    Name::Answer(_) => stats.count(Outcome::DropStopped),
                    Name::Reset | Name::Order => stats.own_dropped.add(1),
                    Name::Kernel => stats.kernel_unsent.add(1),
                }
            }
        }
    }
}

/// Which worker gets which queue of a port that offers `queues`, `first` being the one to begin with; so that several such ports
/// fall to different workers. In the order of the workers: the queue of each, if it gets one.
#[must_use]
pub fn share_out(workers: usize, queues: usize, first: usize) -> Vec<Option<usize>> {
    let first = first.checked_rem(workers).unwrap_or(0);
    let queue = |worker| (worker + workers - first) % workers;
    (0..workers).map(|worker| Some(queue(worker)).filter(|queue| *queue < queues)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_shared_out_in_turns() {
        assert_eq!(share_out(3, 3, 0), [Some(0), Some(1), Some(2)]);
        assert_eq!(share_out(3, 1, 0), [Some(0), None, None]);
        assert_eq!(share_out(3, 1, 1), [None, Some(0), None]);
        assert_eq!(share_out(3, 2, 2), [Some(1), None, Some(0)]);
        assert_eq!(share_out(3, 1, 5), [None, None, Some(0)]);
        assert_eq!(share_out(1, 1, 7), [Some(0)]);
    }

    #[test]
    fn each_relay_has_one_sender() {
        let relays = Relays::new([None, Some(1), Some(0), Some(1)]);
        let of = |worker| -> Vec<u16> {
            relays.sent_by(worker).into_iter().map(|(port, _)| port.0).collect()
        };
        assert_eq!((of(0), of(1), of(2)), (vec![2], vec![1, 3], vec![]));
        assert!(relays.of(PortId(0)).is_none() && relays.of(PortId(4)).is_none());
    }
}
