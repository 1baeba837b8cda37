//! The control thread: all that is not packets. It never stops a worker.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use dpdk::{LcoreHandle, Members, Mempool, Port, tsc};
use otherhalf_control::{Command, Reply, State};
use otherhalf_engine::{Clock, Network, NextHop, Policy, SOLICITATION_LEN, solicit};
use otherhalf_pending::{Occupancy, Sweep, Table};
use otherhalf_policy::limiter;
use otherhalf_wire::ethernet::Mac;
use tracing::{info, warn};

use crate::config::{self, Config};
use crate::drain::{Drain, Step, Then};
use crate::heartbeat::Heartbeats;
use crate::links::Link;
use crate::lists::Lists;
use crate::logs::Logs;
use crate::neighbours::{Cache, Question};
use crate::publish;
use crate::service;
use crate::shared::{Order, Shared, Snapshot};
use crate::socket::Ask;
use crate::stats::{Totals, WorkerTotals};
use crate::takeup::Reading;
use crate::worker::Prefetching;

/// How often the control thread looks. A frame that waits for a neighbour waits this much longer.
const TURN: Duration = Duration::from_millis(2);
/// Buckets of the pending table looked at in a turn: a million entries in a second.
const SWEEP_BUCKETS: usize = 1024;
/// Lines of the limits of requesters that are swept a turn, at least, and in how many turns all are.
const RATE_SWEEP_LINES: usize = 64;
const RATE_SWEEP_PARTS: usize = 16_384;
/// The same while the end of draining waits for it.
const HASTY_SWEEP_BUCKETS: usize = 32 * SWEEP_BUCKETS;
/// How long a worker may make no turn though it has its CPU. What noticed it is to have been within a second.
const HANGING: Duration = Duration::from_millis(800);
/// How long a router may be silent before it is worth a line, and between two such lines.
const SILENCE: Duration = Duration::from_secs(30);

/// What the outside wants of a running responder.
pub trait Wishes {
    /// To come to an end, at once.
    fn stop(&self) -> bool;
    /// To come to an end without a loss; a wish is granted once, and a second one while draining is one to stop.
    fn end(&self) -> bool {
        false
    }
    /// To print the counters; a wish is granted once.
    fn print(&self) -> bool;
    /// To read the configuration file again; a wish is granted once.
    fn reload(&self) -> bool {
        false
    }
}

/// How a responder ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// It was told to, and had drained.
    Drained,
    /// Workers ended by themselves, which they never should.
    WorkerLost,
    /// This worker makes no turns any more. It can't be waited for.
    WorkerHangs(usize),
    /// The thread between workers and kernel makes no turns any more. It can't be waited for, either.
    FerryHangs,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => f.write_str("told to"),
            Self::Drained => f.write_str("told to, and drained"),
            Self::WorkerLost => f.write_str("a worker ended by itself"),
            Self::WorkerHangs(worker) => write!(f, "worker {worker} hangs"),
            Self::FerryHangs => {
                f.write_str("the thread of the kernel's interfaces hangs or has panicked")
            }
        }
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
    /// Times that a configuration was taken up since the start.
    pub reloads: u64,
    /// The ports, in the order of the configuration; they close when dropped.
    pub ports: Vec<Port>,
    /// Their links.
    pub links: Vec<Link>,
    /// The ports that serve a bonding port.
    pub members: Members,
    /// Where frames live.
    pub mempool: Mempool,
    /// DPDK's version.
    pub dpdk: String,
    /// Ticks of the time stamp counter in a second.
    pub ticks_per_second: u64,
    /// The workers' signs of life.
    pub heartbeats: Heartbeats,
    /// On its way out of service, or there.
    pub drain: Option<Drain>,
    /// Probes that sweeps found to have waited in vain.
    pub expired: u64,
    /// Ticks that the oldest probe had waited when the last sweep came by.
    pub oldest_pending: u64,
    /// What runs.
    pub config: Config,
    /// The lists of prefixes that it names, as they were read.
    pub lists: Lists,
    /// A new one, while it is read.
    pub reading: Option<Reading>,
    /// What the control socket wants, if there is one.
    pub asks: Option<Receiver<Ask>>,
    /// The file that it is from, if there is one to be read again.
    pub file: Option<PathBuf>,
    /// The log, whose level is a key of it.
    pub logs: Option<Logs>,
    /// The ports' hardware addresses.
    pub macs: Vec<Mac>,
    /// A worker's snapshot must not be freed by the worker: that would be a call of the allocator on the packet path. So
    /// replaced snapshots live here until no worker has one.
    pub replaced: Vec<Arc<Snapshot>>,
}

/// The passes over the pending table.
#[derive(Default)]
struct Sweeps {
    /// The one under way.
    pass: Sweep,
    /// The same over the limits of requesters.
    rates: limiter::Sweep,
    /// It began when no requests were taken any more.
    closed: bool,
    /// What the last such pass found.
    last: Option<u64>,
}

impl Control {
    /// Looks after the workers until `wishes` says stop, draining has ended, or one of `workers` ends or hangs.
    pub fn run(&mut self, workers: &[LcoreHandle<()>], wishes: &impl Wishes) -> End {
        let mut sweeps = Sweeps::default();
        let (mut complained, mut published) = (Instant::now(), None::<Instant>);
        let ferries = usize::from(self.shared.kernel.ferry_turns().is_some());
        let threads = self.shared.workers.len() + ferries;
        self.heartbeats = Heartbeats::new(threads, Instant::now());
        loop {
            let now = Instant::now();
            self.look_after_neighbours(now);
            self.replaced.retain(|old| Arc::strong_count(old) > 1);
            self.sweep_rates(&mut sweeps.rates);
            let pending = self.sweep(&mut sweeps);
            if now.duration_since(complained) > SILENCE {
                complained = now;
                self.complain();
            }
            self.go_on_reloading();
            // A wish that comes while the file is read is granted after that: the file may be another by then.
            if self.reading.is_none() && wishes.reload() {
                self.begin_reload("SIGHUP".into(), None);
            }
            if wishes.print() {
                let workers: Vec<String> =
                    self.workers().map(|worker| worker.to_string()).collect();
                info!("counters by request\n{}{}", self.totals(), workers.join("\n"));
            }
            if wishes.stop() {
                return End::Stopped;
            }
            if wishes.end() {
                // Told twice: in a hurry.
                if self.drain.is_some_and(|drain| drain.then() == Then::Exit) {
                    return End::Stopped;
                }
                self.drain(Then::Exit, now);
            }
            self.answer_asks(now);
            if self.go_on_draining(now, pending) {
                return End::Drained;
            }
            if workers.iter().any(LcoreHandle::is_finished) {
                return End::WorkerLost;
            }
            if let Some(end) = self.look_at_heartbeats(now) {
                return end;
            }
            if published.is_none_or(|last| now.duration_since(last) >= publish::INTERVAL) {
                published = Some(now);
                self.look_at_links(now);
                self.publish(self.state());
                if let Some(logs) = &self.logs {
                    logs.tell_left_out(now);
                }
                service::alive();
            }
            std::thread::sleep(TURN);
        }
    }

    /// Says who makes no turns any more, if there is one: a worker, or behind them the ferry.
    fn look_at_heartbeats(&mut self, now: Instant) -> Option<End> {
        let Shared { workers, kernel, .. } = &*self.shared;
        let turns = workers.iter().map(|worker| worker.stats.turns.get());
        let ran = |place: usize| workers.get(place).and_then(|worker| worker.thread.ran());
        self.heartbeats.look(now, turns.chain(kernel.ferry_turns()), ran);
        if let Some(worker) = self.heartbeats.starving(HANGING) {
            warn!(
                worker,
                "the worker is kept from its CPU, for {} ms by now: something else runs there, or its host is busy; give it a CPU of its own (workers.cpus)",
                HANGING.as_millis()
            );
        }
        let hanging = self.heartbeats.hanging(HANGING)?;
        Some(if hanging < workers.len() { End::WorkerHangs(hanging) } else { End::FerryHangs })
    }

    /// Does what the control socket wants.
    fn answer_asks(&mut self, now: Instant) {
        // One a turn: however fast clients ask, all else has its time.
        if let Some(Ask { command, answer, by }) =
            self.asks.as_ref().and_then(|asks| asks.try_recv().ok())
        {
            let reply = match command {
                Command::Reload => return self.begin_reload(by, Some(answer)),
                Command::Drain { exit } => {
                    self.drain(if exit { Then::Exit } else { Then::Wait }, now);
                    Reply::Done("draining".into())
                }
                Command::Undrain if self.undrain() => Reply::Done("ready for requests".into()),
                Command::Undrain => Reply::Done("it was not draining".into()),
                // The socket's own thread answers these.
                Command::Status
                | Command::Pending { .. }
                | Command::Routes { .. }
                | Command::LogLevel { .. }
                | Command::Capture(_) => Reply::Error("not the control thread's".into()),
            };
            // Who asked sees what came of it.
            self.publish(self.state());
            // Whoever asked may be gone.
            let _ = answer.try_send(reply);
        }
    }

    /// Takes in what workers heard of neighbours, tells them what changed, and has those asked that are to be asked.
    fn look_after_neighbours(&mut self, now: Instant) {
        for notice in self.shared.notices() {
            self.neighbours.note(notice, now);
        }
        let questions = self.neighbours.questions(now);
        if let Some(neighbours) = self.neighbours.changes() {
            self.replace(|old| Snapshot {
                network: old.network.clone(),
                neighbours,
                policy: old.policy.clone(),
            });
        }
        if self.neighbours.routers_changed() {
            self.choose_routes();
        }
        self.ask(&questions);
    }

    /// Sweeps a part of the pending table. While draining, returns how many probes wait, as of a pass that saw none come.
    fn sweep(&mut self, sweeps: &mut Sweeps) -> Option<u64> {
        let closed = self.drain.is_some_and(|drain| drain.closed().is_some());
        if closed && !sweeps.closed {
            // This pass began while requests were taken.
            *sweeps =
                Sweeps { closed, rates: std::mem::take(&mut sweeps.rates), ..Sweeps::default() };
        }
        sweeps.closed = closed;
        let buckets = if closed { HASTY_SWEEP_BUCKETS } else { SWEEP_BUCKETS };
        if let Some(Occupancy { live, expired, oldest }) =
            self.table.sweep(&mut sweeps.pass, buckets, tsc())
        {
            self.expired += expired;
            self.oldest_pending = oldest;
            self.shared.pending.store(live, Ordering::Relaxed);
            sweeps.last = closed.then_some(live);
        }
        sweeps.last
    }

    /// Sweeps a part of the limits of requesters, so that old ones do not come round: a pass takes half a minute at most.
    fn sweep_rates(&self, pass: &mut limiter::Sweep) {
        let snapshot = self.shared.snapshot.load();
        let rates = snapshot.policy.rate.as_ref().map(|limit| &limit.rates);
        let Some(clock) = Clock::new(self.ticks_per_second) else { return };
        let limiter = &self.shared.limiter;
        let lines = limiter.lines().div_ceil(RATE_SWEEP_PARTS).max(RATE_SWEEP_LINES);
        if let Some(spent) = limiter.tend(pass, lines, rates, clock.ns(tsc())) {
            self.shared.rate_spent.store(spent, Ordering::Relaxed);
        }
    }

    /// A line for each router that has been silent for long.
    fn complain(&self) {
        for NextHop { address, interface } in self.neighbours.silent_routers() {
            let interface =
                self.interfaces.get(usize::from(interface.0)).map_or("", String::as_str);
            warn!(router = %address, interface, "the router does not answer: nothing can be sent by its routes");
        }
    }

    /// Where the responder is in its life, while it runs.
    #[must_use]
    pub fn state(&self) -> State {
        self.drain.map_or(State::Running, |drain| drain.state())
    }

    /// Begins to go out of service; one that does already goes on, to that end.
    pub fn drain(&mut self, then: Then, now: Instant) {
        if let Some(drain) = &mut self.drain {
            // A responder that is told to end does so, whoever drains it besides.
            if then == Then::Exit {
                drain.then_exit();
                service::takes(drain.longest(now));
            }
            return;
        }
        let config::Drain { grace_ms, deadline_ms } = self.config.drain;
        info!(grace_ms, deadline_ms, "draining: not ready for requests");
        let drain = Drain::new(then, self.config.drain.times(), now);
        if then == Then::Exit {
            service::takes(drain.longest(now));
        }
        self.drain = Some(drain);
    }

    /// Back into service. Says whether it was on its way out.
    pub fn undrain(&mut self) -> bool {
        let draining = self.drain.take().is_some();
        if draining {
            self.replace(|old| Snapshot {
                network: old.network.clone(),
                neighbours: old.neighbours.clone(),
                policy: Policy { draining: false, ..old.policy.clone() },
            });
            info!("no longer draining: ready for requests");
        }
        draining
    }

    /// The next step of draining, if it is its time; says whether the responder is to end.
    fn go_on_draining(&mut self, now: Instant, pending: Option<u64>) -> bool {
        let Some(drain) = &mut self.drain else { return false };
        match drain.step(now, pending) {
            Step::Stay => {}
            Step::Close => {
                self.replace(|old| Snapshot {
                    network: old.network.clone(),
                    neighbours: old.neighbours.clone(),
                    policy: Policy { draining: true, ..old.policy.clone() },
                });
                info!("requests are dropped from now on");
            }
            Step::Done { given_up: None } => {
                warn!("drained: the deadline came before it was known how many probes wait");
            }
            Step::Done { given_up: Some(0) } => info!("drained: no probe waits for an answer"),
            Step::Done { given_up: Some(given_up) } => {
                warn!(given_up, "drained: probes still waited at the deadline");
            }
        }
        self.drain.is_some_and(|drain| drain.is_done() && drain.then() == Then::Exit)
    }

    /// Hands workers another snapshot, whole; each goes by it from its next burst on.
    pub(crate) fn replace(&mut self, make: impl FnOnce(&Snapshot) -> Snapshot) {
        let old = self.shared.snapshot.load_full();
        self.shared.snapshot.store(Arc::new(make(&old)));
        self.replaced.push(old);
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
            reloads: self.reloads,
            pending: self.shared.pending.load(Ordering::Relaxed),
            ..Totals::of(self.shared.workers.iter().map(|worker| &worker.stats))
                .with_kernel(&self.shared.kernel)
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
