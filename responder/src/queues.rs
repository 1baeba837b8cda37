//! Which worker has which queue of which port.

use dpdk::{RxQueue, TxQueue};
use otherhalf_engine::PortId;
use tracing::warn;

use crate::relay::{Relays, share_out};

/// A port's queues, receiving and transmitting.
pub(crate) type Queues = (Vec<RxQueue>, Vec<TxQueue>);

/// Shares the queues of all ports out.
pub(crate) struct Sharing {
    /// Of each worker.
    rx: Vec<Vec<(PortId, RxQueue)>>,
    /// Of each worker, in the order of the ports.
    tx: Vec<Vec<Option<TxQueue>>>,
    /// Of each port, the worker that sends for those without a queue.
    senders: Vec<Option<usize>>,
    /// Who gets the first queue of the next port that has too few.
    next: usize,
}

impl Sharing {
    /// Among `workers`.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            rx: std::iter::repeat_with(Vec::new).take(workers).collect(),
            tx: std::iter::repeat_with(Vec::new).take(workers).collect(),
            senders: Vec::new(),
            next: 0,
        }
    }

    /// Shares out the queues of the next port, as many in one direction as in the other.
    pub(crate) fn add(&mut self, port: PortId, name: &str, (rx, tx): Queues) {
        let (workers, queues) = (self.rx.len(), rx.len());
        let first = if queues < workers { self.next } else { 0 };
        let shares = share_out(workers, queues, first);
        let sender = shares.iter().position(|queue| *queue == Some(0));
        self.senders.push(sender.filter(|_| queues < workers));
        if queues < workers {
            self.next += queues;
            warn!(
                port = name,
                queues,
                workers,
                "the device offers fewer queues than there are workers: those without one do not receive by it, and hand what they send by it to another"
            );
        }
        let mut rx: Vec<_> = rx.into_iter().map(Some).collect();
        let mut tx: Vec<_> = tx.into_iter().map(Some).collect();
        for (worker, share) in shares.into_iter().enumerate() {
            let receives = share.and_then(|queue| rx.get_mut(queue)?.take());
            let sends = share.and_then(|queue| tx.get_mut(queue)?.take());
            self.rx[worker].extend(receives.map(|queue| (port, queue)));
            self.tx[worker].push(sends);
        }
    }

    /// The ways from workers without queues to those who have them.
    pub(crate) fn relays(&self) -> Relays {
        Relays::new(self.senders.iter().copied())
    }

    /// The queues of each worker.
    pub(crate) fn into_queues(
        self,
    ) -> impl Iterator<Item = (Vec<(PortId, RxQueue)>, Vec<Option<TxQueue>>)> {
        self.rx.into_iter().zip(self.tx)
    }
}
