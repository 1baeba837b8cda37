//! What the generator is about to send: a burst for each queue, and what each of its frames is.

use arrayvec::ArrayVec;
use dpdk::{Burst, Mbuf, TxQueue};

/// Room for what a turn sends by a queue: answers, answers whose time has come, requests, each with a ping and junk.
pub const ROOM: usize = 256;

/// What a frame is, for its counter if it can't be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// The request of the transaction of this number.
    Request(u64),
    /// The answer to its probe; whether the responder owes a RST for it.
    Answer(u64, bool),
    /// A ping.
    Ping,
    /// Junk.
    Junk,
    /// A request that is aimed at two buckets.
    Aimed,
    /// A frame of a flood.
    Flood,
    /// What a neighbour asked for.
    Neighbour,
    /// A frame that the network duplicates.
    Second,
}

/// Frames that wait to be sent, by queue, in order.
pub struct Outbox {
    queues: Vec<Queue>,
    /// So many of them, the first, are those by which is asked.
    asking: usize,
}

struct Queue {
    port: TxQueue,
    frames: Burst<ROOM>,
    /// As long as `frames`, in the same order.
    items: ArrayVec<Item, ROOM>,
}

impl Outbox {
    /// For these queues; requests go by the first `asking` of them.
    #[must_use]
    pub fn new(queues: Vec<TxQueue>, asking: usize) -> Self {
        let queue = |port| Queue { port, frames: Burst::new(), items: ArrayVec::new() };
        Self { queues: queues.into_iter().map(queue).collect(), asking }
    }

    /// How many queues there are.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.queues.len()
    }

    /// Frames that fit, whatever their queue.
    #[must_use]
    #[inline]
    pub fn room(&self) -> usize {
        ROOM - self.queues.iter().map(|queue| queue.items.len()).max().unwrap_or(ROOM)
    }

    /// Whether nothing waits.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(|queue| queue.items.is_empty())
    }

    /// Has `frame` sent by `queue`. What there is no room for is dropped: to be asked before.
    #[inline]
    pub fn push(&mut self, queue: usize, mut frame: Mbuf, item: Item) {
        frame.reset_offloads();
        if let Some(queue) = self.queues.get_mut(queue)
            && queue.items.try_push(item).is_ok()
        {
            drop(queue.frames.push(frame));
        }
    }

    /// Hands to the ports what they take; the rest stays. Returns how many were sent.
    #[inline]
    pub fn flush(&mut self) -> usize {
        let mut sum = 0;
        for Queue { port, frames, items } in &mut self.queues {
            if !items.is_empty() {
                let sent = port.send(frames);
                drop(items.drain(..sent));
                sum += sent;
            }
        }
        sum
    }

    /// Gives `unsent` what the last flush left, as a full queue does with what comes; whether all by which is asked were full.
    #[inline]
    pub fn give_up(&mut self, mut unsent: impl FnMut(Mbuf, Item)) -> bool {
        let mut full = true;
        for (place, Queue { frames, items, .. }) in self.queues.iter_mut().enumerate() {
            full &= place >= self.asking || !items.is_empty();
            for (frame, item) in frames.drain().zip(items.drain(..)) {
                unsent(frame, item);
            }
        }
        full
    }
}
