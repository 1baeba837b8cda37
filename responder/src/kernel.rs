//! The exception path between workers and the kernel's own network stack: for each port that has one, an interface of the
//! kernel with the port's hardware address.
//!
//! ```text
//! port ─> worker ─> to_kernel ─> ferry ─> interface ─> kernel
//! port <─ worker <─ from_kernel <─ ferry <─ interface <─ kernel
//! ```
//!
//! A device of the kernel costs system calls, and a worker makes none: so a thread of its own, the [`ferry`], sits between.
//! The queues are bounded, and what does not fit is dropped and counted, so that neither side waits for the other.

pub mod ferry;
mod checksum;

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;
use dpdk::Mbuf;
use otherhalf_engine::PortId;

use crate::stats::Counter;

/// Frames that may wait for the kernel, or for a worker: what a routing daemon has on its way at once, and little enough of
/// the mempool.
pub const ROOM: usize = 512;

/// One port's path.
#[derive(Debug)]
pub struct Path {
    /// Frames for the kernel, from all workers, as they came in by the port.
    pub to_kernel: ArrayQueue<Mbuf>,
    /// Frames of the kernel, for one worker, to be sent as they are.
    pub from_kernel: ArrayQueue<Mbuf>,
    /// What the ferry counted.
    pub stats: PathStats,
}

/// What the [`ferry`], the one writer while it runs, counts of a path. What was handed to it is in time either delivered or refused.
#[derive(Debug, Default)]
pub struct PathStats {
    /// Frames that the kernel's interface took.
    pub delivered: Counter,
    /// Frames that it did not take.
    pub refused: Counter,
    /// Frames that the kernel sent.
    pub received: Counter,
    /// Of these, those that the worker had no room for.
    pub dropped: Counter,
}

impl Default for Path {
    fn default() -> Self {
        Self {
            to_kernel: ArrayQueue::new(ROOM),
            from_kernel: ArrayQueue::new(ROOM),
            stats: PathStats::default(),
        }
    }
}

/// The paths of all ports.
#[derive(Debug, Default)]
pub struct Paths {
    /// In the order of the ports.
    by_port: Vec<Option<Path>>,
    /// Set once by the main thread, relaxed: the ferry needs no more than to see it soon.
    stop: AtomicBool,
    /// Turns of the ferry's loop, its alone to count: it stands still when that hangs or has panicked.
    turns: Counter,
}

impl Paths {
    /// For ports in their order, each told whether it has one.
    pub fn new(ports: impl IntoIterator<Item = bool>) -> Self {
        let by_port = ports.into_iter().map(|has| has.then(Path::default)).collect();
        Self { by_port, ..Self::default() }
    }

    /// The path of `port`, if it has one.
    #[must_use]
    pub fn path(&self, port: PortId) -> Option<&Path> {
        self.by_port.get(usize::from(port.0))?.as_ref()
    }

    /// All paths.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.by_port.iter().flatten()
    }

    /// The paths whose frames worker `index` of `workers` sends: a port's are all sent by one worker, so that they stay in order.
    #[must_use]
    pub fn of_worker(&self, index: usize, workers: usize) -> Vec<(PortId, &Path)> {
        let ports = (0u16..).map(PortId).zip(&self.by_port);
        let own = ports.filter(|(port, _)| usize::from(port.0).checked_rem(workers) == Some(index));
        own.filter_map(|(port, path)| Some((port, path.as_ref()?))).collect()
    }

    /// Frees what is left in the queues when all threads have ended, and counts it as not taken.
    pub fn clear(&self) {
        for path in self.iter() {
            while path.to_kernel.pop().is_some() {
                path.stats.refused.add(1);
            }
            while path.from_kernel.pop().is_some() {
                path.stats.dropped.add(1);
            }
        }
    }

    /// Tells the ferry to come to an end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Turns that the ferry has made; none: there is no path, so no ferry.
    #[must_use]
    pub fn ferry_turns(&self) -> Option<u64> {
        self.iter().next().map(|_| self.turns.get())
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_one_worker() {
        let paths = Paths::new([true, false, true, true]);
        let of = |worker| -> Vec<u16> {
            paths.of_worker(worker, 2).into_iter().map(|(port, _)| port.0).collect()
        };
        assert_eq!((of(0), of(1)), (vec![0, 2], vec![3]));
        assert!(paths.path(PortId(1)).is_none() && paths.path(PortId(4)).is_none());
        assert_eq!(paths.iter().count(), 3);
    }
}
