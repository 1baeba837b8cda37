//! What control and workers share besides the pending table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arrayvec::ArrayVec;
use crossbeam_queue::ArrayQueue;
use otherhalf_control::Status;
use otherhalf_engine::neighbour::Neighbours;
use otherhalf_engine::{Network, Notice, Policy, PortId, SOLICITATION_LEN, View};
use otherhalf_policy::limiter::{Limiter, Moment};

use crate::capture::Capture;
use crate::kernel::Paths;
use crate::relay::Relays;
use crate::stats::WorkerStats;
use crate::thread::Thread;

/// Notices that may wait for the control thread, which looks every millisecond or two.
const NOTICES: usize = 1024;
/// Frames of the control thread that may wait for a worker.
const ORDERS: usize = 256;

/// What a worker goes by: never changed, only replaced as a whole.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Interfaces, addresses, routes.
    pub network: Network,
    /// Known hardware addresses.
    pub neighbours: Neighbours,
    /// What is allowed.
    pub policy: Policy,
}

impl Snapshot {
    /// The snapshot as the engine wants it.
    #[must_use]
    pub const fn view(&self) -> View<'_> {
        View { network: &self.network, neighbours: &self.neighbours, policy: &self.policy }
    }
}

/// A frame that the control thread wants sent.
#[derive(Debug, Clone)]
pub struct Order {
    /// By which port.
    pub port: PortId,
    /// The frame.
    pub octets: ArrayVec<u8, SOLICITATION_LEN>,
}

/// What control and one worker, or all of them, share.
#[derive(Debug)]
pub struct Shared {
    /// What workers go by. Workers load it at each turn of their loop; control alone stores.
    pub snapshot: ArcSwap<Snapshot>,
    /// What workers heard of neighbours. Bounded; what does not fit is dropped and counted.
    heard: ArrayQueue<Notice>,
    /// The neighbours that workers' frames wait for: apart, for anybody can cause many of these.
    wanted: ArrayQueue<Notice>,
    /// Notices dropped. Written by workers, relaxed: a statistic.
    pub notices_dropped: AtomicU64,
    /// Probes that wait for an answer, as of the last sweep. Written by control, relaxed: a statistic.
    pub pending: AtomicU64,
    /// Set once by control, relaxed: workers need no more than to see it soon.
    stop: AtomicBool,
    /// When the process started.
    pub started: Instant,
    /// The state that everybody is shown, a fraction of a second old. Stored by control alone.
    pub status: ArcSwap<Status>,
    /// What goes to and fro between workers and the kernel.
    pub kernel: Paths,
    /// What goes from workers without a queue to one that has one.
    pub relays: Relays,
    /// Where frames of some outcomes are asked for.
    pub capture: Capture,
    /// What requesters have caused to be sent, over all workers.
    pub limiter: Arc<Limiter>,
    /// Its cells that are spent, in part or wholly, as of the last sweep. Written by control, relaxed: a statistic.
    pub rate_spent: AtomicU64,
    /// One for each worker.
    pub workers: Vec<WorkerShared>,
}

/// What control and one worker share.
#[derive(Debug)]
pub struct WorkerShared {
    /// Frames to send for control.
    pub orders: ArrayQueue<Order>,
    /// What the worker counted.
    pub stats: WorkerStats,
    /// What it runs on.
    pub thread: Thread,
}

impl Shared {
    /// For `workers` workers, which begin with `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot, workers: usize) -> Self {
        let worker = || WorkerShared {
            orders: ArrayQueue::new(ORDERS),
            stats: WorkerStats::default(),
            thread: Thread::default(),
        };
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            heard: ArrayQueue::new(NOTICES),
            wanted: ArrayQueue::new(NOTICES),
            notices_dropped: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            started: Instant::now(),
            status: ArcSwap::default(),
            kernel: Paths::default(),
            relays: Relays::default(),
            capture: Capture::new(workers),
            limiter: Arc::new(Limiter::new_in(&[], Moment::at_ns(0))),
            rate_spent: AtomicU64::new(0),
            workers: std::iter::repeat_with(worker).take(workers).collect(),
        }
    }

    /// The same, of a process that started then.
    #[must_use]
    pub fn started_at(self, started: Instant) -> Self {
        Self { started, ..self }
    }

    /// The state that everybody is shown, to be handed out now.
    #[must_use]
    pub fn status_now(&self) -> Status {
        let status = self.status.load();
        let taken = Duration::from_millis(status.uptime_ms);
        let age = self.started.elapsed().saturating_sub(taken);
        Status {
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            ..Status::clone(&status)
        }
    }

    /// The same with `kernel` as paths to the kernel.
    #[must_use]
    pub fn with_kernel(self, kernel: Paths) -> Self {
        Self { kernel, ..self }
    }

    /// The same with `limiter` for all workers.
    #[must_use]
    pub fn with_limiter(self, limiter: Limiter) -> Self {
        Self { limiter: Arc::new(limiter), ..self }
    }

    /// The same with `relays` between workers.
    #[must_use]
    pub fn with_relays(self, relays: Relays) -> Self {
        Self { relays, ..self }
    }

    /// Tells control, or drops and counts what it has no room for.
    #[inline]
    pub fn notify(&self, notice: Notice) {
        let queue = match notice {
            Notice::Heard { .. } => &self.heard,
            Notice::Wanted(_) => &self.wanted,
        };
        if queue.push(notice).is_err() {
            self.notices_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What workers told, heard before wanted, and no more than the queues hold: workers may tell faster than
    /// control listens.
    pub fn notices(&self) -> impl Iterator<Item = Notice> {
        let bounded = |queue| std::iter::from_fn(move || ArrayQueue::pop(queue)).take(NOTICES);
        bounded(&self.heard).chain(bounded(&self.wanted))
    }

    /// Whether workers are to come to an end.
    #[inline]
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tells workers to come to an end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
