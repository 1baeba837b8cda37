//! The control thread: all that is not packets. It never stops a worker.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use dpdk::{LcoreHandle, tsc};
use otherhalf_engine::{Network, NextHop, SOLICITATION_LEN, solicit};
use otherhalf_pending::{Occupancy, Sweep, Table};
use tracing::{info, warn};

use crate::neighbours::{Cache, Question};
use crate::shared::{Order, Shared, Snapshot};
use crate::stats::{Totals, WorkerTotals};
use crate::worker::Prefetching;

/// How often the control thread looks. A frame that waits for a neighbour waits this much longer.
const TURN: Duration = Duration::from_millis(2);
/// Buckets of the pending table looked at in a turn: a million entries in a second.
const SWEEP_BUCKETS: usize = 1024;
/// How long a router may be silent before it is worth a line, and between two such lines.
const SILENCE: Duration = Duration::from_secs(30);

/// What the outside wants of a running responder.
pub trait Wishes {
    /// To come to an end.
    fn stop(&self) -> bool;
    /// To print the counters; a wish is granted once.
    fn print(&self) -> bool;
}

/// How a responder ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// Workers ended by themselves, which they never should.
    WorkerLost,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stopped => "told to",
            Self::WorkerLost => "a worker ended by itself",
        })
    }
}

/// The control thread's own.
pub struct Control {
    /// What it shares with the workers.
    pub shared: Arc<Shared>,
    /// The pending table, for the statistics.
    pub table: Arc<Table<Prefetching>>,
    /// The neighbours.
    pub neighbours: Cache,
    /// Names of the interfaces, for the log.
    pub interfaces: Vec<String>,
    /// Questions that the worker had no room for.
    pub questions_dropped: u64,
}

impl Control {
    /// Looks after the workers until `wishes` says stop or one of `workers` ends.
    pub fn run(&mut self, workers: &[LcoreHandle<()>], wishes: &impl Wishes) -> End {
        // A worker's snapshot must not be freed by the worker: that would be a call of the
        // allocator on the packet path. So replaced snapshots live here until no worker has one.
        let mut replaced: Vec<Arc<Snapshot>> = Vec::new();
        let mut sweep = Sweep::new();
        let mut complained = Instant::now();
        loop {
            let now = Instant::now();
            for notice in self.shared.notices() {
                self.neighbours.note(notice, now);
            }
            let questions = self.neighbours.questions(now);
            if let Some(neighbours) = self.neighbours.changes() {
                let old = self.shared.snapshot.load_full();
                let Snapshot { network, policy, .. } = &*old;
                let snapshot =
                    Snapshot { network: network.clone(), neighbours, policy: policy.clone() };
                self.shared.snapshot.store(Arc::new(snapshot));
                replaced.push(old);
            }
            replaced.retain(|old| Arc::strong_count(old) > 1);
            self.ask(&questions);
            if let Some(Occupancy { live, .. }) = self.table.sweep(&mut sweep, SWEEP_BUCKETS, tsc())
            {
                self.shared.pending.store(live, Ordering::Relaxed);
            }
            if now.duration_since(complained) > SILENCE {
                complained = now;
                for NextHop { address, interface } in self.neighbours.silent_routers() {
                    let interface =
                        self.interfaces.get(usize::from(interface.0)).map_or("", String::as_str);
                    warn!(router = %address, interface, "the router does not answer: nothing can be sent by its routes");
                }
            }
            if wishes.print() {
                let workers: Vec<String> =
                    self.workers().map(|worker| worker.to_string()).collect();
                info!("counters by request\n{}{}", self.totals(), workers.join("\n"));
            }
            if wishes.stop() {
                return End::Stopped;
            }
            if workers.iter().any(LcoreHandle::is_finished) {
                return End::WorkerLost;
            }
            std::thread::sleep(TURN);
        }
    }

    /// Has the first worker send `questions`.
    fn ask(&mut self, questions: &[Question]) {
        if questions.is_empty() {
            return;
        }
        let snapshot = self.shared.snapshot.load();
        for question in questions {
            if let (Some(order), Some(worker)) =
                (order(&snapshot.network, question), self.shared.workers.first())
            {
                // Lost, counted, and asked again like any that gets no answer.
                self.questions_dropped += u64::from(worker.orders.push(order).is_err());
            }
        }
    }

    /// What each worker did.
    pub fn workers(&self) -> impl Iterator<Item = WorkerTotals> {
        let workers = self.shared.workers.iter().enumerate();
        workers.map(|(index, worker)| WorkerTotals::of(index, &worker.stats))
    }

    /// The sum of what was counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            notices_dropped: self.shared.notices_dropped.load(Ordering::Relaxed),
            neighbours_refused: self.neighbours.refused(),
            questions_dropped: self.questions_dropped,
            pending: self.shared.pending.load(Ordering::Relaxed),
            ..Totals::of(self.shared.workers.iter().map(|worker| &worker.stats))
        }
    }
}

/// The frame that asks `question`; `None` if there is no address to ask from.
fn order(network: &Network, question: &Question) -> Option<Order> {
    let NextHop { interface: id, address: target } = question.neighbour;
    let interface = network.interface(id)?;
    let near =
        interface.addresses.iter().find(|prefix| prefix.contains(&target)).map(ipnet::IpNet::addr);
    let source = match target {
        IpAddr::V4(_) => near
            .or_else(|| interface.addresses.iter().map(ipnet::IpNet::addr).find(IpAddr::is_ipv4))?,
        IpAddr::V6(_) => near.or_else(|| network.link_local(id).map(IpAddr::V6))?,
    };
    let mut room = [0; SOLICITATION_LEN];
    let len = solicit(interface.mac, interface.vlan, source, target, question.known, &mut room)?;
    let octets: ArrayVec<u8, SOLICITATION_LEN> = room.get(..len)?.try_into().ok()?;
    Some(Order { port: interface.port, octets })
}
