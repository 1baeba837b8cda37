//! A variant at work on a port: whole turns of a worker, from receive to transmit, by the real clock.
//!
//! Both sides have a queue of one port, whose other end is the harness's, on the same thread: it puts a burst on the
//! queue's ring, the turn is timed, and what came out is taken from the ring and counted.

use std::sync::Arc;

use anyhow::{Context, ensure};
use dpdk::yardstick::{Counter, Floor, FloorVariant, Yardstick};
use dpdk::{Burst, Eal, Mempool, MempoolConfig, Port, PortConfig, RxQueue, TxQueue, tsc};
use otherhalf_engine::{Clock, Engine, Policy};
use otherhalf_policy::limiter::{Limiter, Moment};
use otherhalf_responder::shared::{Shared, Snapshot};
use otherhalf_responder::worker::{Turns, Worker};

use crate::case::{ENTRIES, LIVE, Load, Side};
use crate::pages::Pages;
use crate::path::{Settings, answered, limited, surroundings, table, yardstick};
use crate::policed::{self, Lists};
use crate::traffic::{BURST, SECRET, Traffic};
use crate::windows::Timed;

/// Frames that a ring holds, and one.
const RING: u32 = 64;
/// Buffers: what both sides have on their way, and what the thread's cache keeps.
const BUFFERS: u32 = 511;
const CACHE: u32 = 128;
/// No probe is to expire while a case runs.
const TIMEOUT_S: u64 = 600;

/// Which variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The responder's worker: its queues, its engine, its counters.
    Worker,
    /// The same, with all policy of a public responder.
    Policed(Lists),
    /// The very same work in C.
    Yardstick,
    /// Far less work in C.
    Floor(FloorVariant),
}

/// The two ends of a queue of a port.
#[derive(Debug)]
pub struct Ends {
    /// What the harness puts frames on, and takes them from.
    harness: (RxQueue, TxQueue),
    /// The variant's.
    variant: (RxQueue, TxQueue),
}

/// The port, with a queue for each side.
#[derive(Debug)]
pub struct Ports {
    /// The queues, to be handed out.
    pub ends: [Ends; 2],
    pool: Mempool,
    _both: [Port; 2],
}

impl Ports {
    /// Makes and starts them.
    ///
    /// # Errors
    /// Memory that is refused.
    pub fn new(eal: &Eal) -> anyhow::Result<Self> {
        let config =
            MempoolConfig { name: "ab", buffers: BUFFERS, cache: CACHE, ..Default::default() };
        let pool = Mempool::new(eal, &config)?;
        let config = PortConfig {
            rx_queues: 2,
            tx_queues: 2,
            promiscuous: true,
            all_multicast: true,
            ..Default::default()
        };
        let open = |id| -> anyhow::Result<_> {
            let mut port = Port::configure(eal, id, &config, std::slice::from_ref(&pool))?;
            let (rx, tx) = port.start()?;
            Ok((port, rx.into_iter().zip(tx)))
        };
        let [a, b] = eal.ring_pair("ab", 2, RING)?;
        let ((a, harness), (b, variant)) = (open(a)?, open(b)?);
        let ends = harness.zip(variant).map(|(harness, variant)| Ends { harness, variant });
        let ends: Vec<Ends> = ends.collect();
        let ends = ends.try_into().ok().context("a port without two queues")?;
        Ok(Self { ends, pool, _both: [a, b] })
    }

    /// Where frames come from.
    #[must_use]
    pub fn pool(&self) -> Mempool {
        self.pool.clone()
    }
}

/// A variant, ready to work.
enum Subject {
    Worker(Box<Turns<'static>>, &'static Shared),
    Yardstick(Yardstick, (RxQueue, TxQueue)),
    Floor(Floor, FloorVariant, (RxQueue, TxQueue)),
}

impl Subject {
    fn new(
        kind: Kind,
        hz: u64,
        eal: &Eal,
        pool: Mempool,
        queues: (RxQueue, TxQueue),
    ) -> anyhow::Result<Self> {
        let pages = Pages::Huge(eal);
        let settings =
            Settings { entries: ENTRIES, timeout_ticks: TIMEOUT_S * hz, secret: SECRET, hz };
        Ok(match kind {
            Kind::Worker | Kind::Policed(_) => {
                let policy = if let Kind::Policed(lists) = kind {
                    let clock = Clock::new(hz).context("a clock of less than 1 kHz")?;
                    let (policy, limiter) =
                        policed::policy(lists, pages, Moment::at_ns(clock.ns(tsc())))?;
                    (policy, Some(limiter))
                } else {
                    (policed::off(), None)
                };
                let (worker, shared) = worker(&settings, pages, pool, queues, policy)?;
                Self::Worker(Box::new(worker.turns(shared)), shared)
            }
            Kind::Yardstick => Self::Yardstick(yardstick(&settings, pages)?, queues),
            Kind::Floor(variant) => {
                let memory = pages.zeroed(Floor::lines())?;
                let floor = Floor::new(memory).context("no memory for the floor")?;
                Self::Floor(floor, variant, queues)
            }
        })
    }

    /// A turn; returns how many frames were received.
    #[inline]
    fn turn(&mut self, load: Load) -> usize {
        match self {
            Self::Worker(turns, _) => turns.one(),
            Self::Yardstick(yardstick, (rx, tx)) => yardstick.turn(rx, tx),
            Self::Floor(floor, variant, (rx, tx)) => {
                // Its table is filled by inserts, whatever is timed.
                let variant = if load == Load::Requests { FloorVariant::Insert } else { *variant };
                floor.turn(rx, tx, variant)
            }
        }
    }
}

/// The responder's worker on `queues`, with what it shares, which lives as long as the process.
pub(crate) fn worker(
    settings: &Settings,
    pages: Pages<'_>,
    mempool: Mempool,
    (rx, tx): (RxQueue, TxQueue),
    (policy, limiter): (Policy, Option<Arc<Limiter>>),
) -> anyhow::Result<(Worker, &'static Shared)> {
    let clock = Clock::new(settings.hz).context("a clock of less than 1 kHz")?;
    let (network, neighbours) = surroundings()?;
    let snapshot = Snapshot { network, neighbours, policy };
    let shared: &'static Arc<Shared> = Box::leak(Box::new(Arc::new(Shared::new(snapshot, 1))));
    let worker = Worker {
        index: 0,
        engine: limited(Engine::new(Arc::new(table(settings, pages)?), clock), limiter),
        shared: Arc::clone(shared),
        clock,
        rx: vec![(otherhalf_engine::PortId(0), rx)],
        tx: vec![Some(tx)],
        mempool,
        idle_sleep: None,
        hold_ticks: clock.ticks_in_ms(2000),
        drain_ticks: clock.ticks_in_ms(100),
    };
    Ok((worker, shared))
}

/// A variant at work on its queue.
pub struct OnPort {
    subject: Subject,
    traffic: Traffic,
    load: Load,
    rx: RxQueue,
    tx: TxQueue,
    pool: Mempool,
    burst: Burst<BURST>,
    /// The next client that asks.
    next: u64,
    /// The oldest client whose probe is pending.
    oldest: u64,
    /// Of what the burst is that is on the ring, or was moved and not yet collected.
    under_way: Option<Load>,
    /// Frames that the last turn received.
    received: usize,
    offered: u64,
    answered: u64,
}

impl OnPort {
    /// Makes the side's variant on the queue of `ends`, and fills its table.
    ///
    /// # Errors
    /// Memory that is refused; frames that get lost.
    pub fn new(
        side: Side<Kind>,
        hz: u64,
        eal: &Eal,
        pool: Mempool,
        ends: Ends,
    ) -> anyhow::Result<Self> {
        let (rx, tx) = ends.harness;
        // What tells cookies is made at its first use, which is not to be timed.
        let _ = side.traffic.cookie(0);
        let mut on_port = Self {
            subject: Subject::new(side.kind, hz, eal, pool.clone(), ends.variant)?,
            traffic: side.traffic,
            load: side.load,
            rx,
            tx,
            pool,
            burst: Burst::new(),
            next: 0,
            oldest: 0,
            under_way: None,
            received: 0,
            offered: 0,
            answered: 0,
        };
        on_port.settle()?;
        Ok(on_port)
    }

    /// The share of all frames that were answered; the rest met a full table.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn answered(&self) -> f64 {
        self.answered as f64 / self.offered.max(1) as f64
    }

    /// Compares what came out with what the variant counted.
    ///
    /// # Errors
    /// They differ.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.collect()?;
        let counted = match &self.subject {
            Subject::Worker(_, shared) => {
                shared.workers.iter().map(|own| answered(&own.stats.outcomes())).sum()
            }
            Subject::Yardstick(yardstick, _) => {
                yardstick.count(Counter::Probes) + yardstick.count(Counter::Responses)
            }
            // It counts nothing, and sends back what it does not know, too.
            Subject::Floor(..) => self.answered,
        };
        let answered = self.answered;
        ensure!(counted == answered, "{answered} frames came out, {counted} were counted");
        Ok(())
    }

    /// Puts a burst of `load` on the ring.
    fn offer(&mut self, load: Load) -> anyhow::Result<()> {
        let first = match load {
            Load::Requests => &mut self.next,
            Load::Answers => &mut self.oldest,
            // More wait than there were: it is the answers' turn.
            Load::Traces if self.next - self.oldest > LIVE => return self.offer(Load::Answers),
            Load::Traces => return self.offer(Load::Requests),
        };
        let clients = *first..;
        *first += BURST as u64;
        ensure!(self.pool.alloc_bulk(&mut self.burst, BURST) == BURST, "buffers were lost");
        let floor = matches!(self.subject, Subject::Floor(..));
        for (client, mbuf) in clients.zip(self.burst.iter_mut()) {
            let room = mbuf.room_mut();
            let len = match load {
                Load::Answers if !floor => self.traffic.answer(client, room),
                _ => self.traffic.request(client, room),
            };
            mbuf.set_len(len.context("a frame does not fit its buffer")?)?;
        }
        ensure!(self.tx.send(&mut self.burst) == BURST, "the ring is full");
        self.offered += BURST as u64;
        self.under_way = Some(load);
        Ok(())
    }

    /// Takes what came out from the ring.
    fn collect(&mut self) -> anyhow::Result<()> {
        if self.under_way.take().is_some() {
            ensure!(self.received == BURST, "a turn received {} frames", self.received);
            self.answered += self.rx.receive(&mut self.burst) as u64;
            self.burst.clear();
        }
        Ok(())
    }
}

impl Timed for OnPort {
    /// Has a million probes pending again: as many as were answered are asked for, or the other way round.
    fn settle(&mut self) -> anyhow::Result<()> {
        self.collect()?;
        if let (Subject::Floor(..), Load::Requests) = (&self.subject, self.load) {
            // Nothing is ever taken from its table; a bucket's oldest entry makes room.
            self.oldest = self.oldest.max(self.next.saturating_sub(LIVE));
        }
        loop {
            let load = match (self.next - self.oldest).cmp(&LIVE) {
                std::cmp::Ordering::Less => Load::Requests,
                std::cmp::Ordering::Greater => Load::Answers,
                std::cmp::Ordering::Equal => return Ok(()),
            };
            self.offer(load)?;
            self.received = self.subject.turn(load);
            self.collect()?;
        }
    }

    fn refill(&mut self) -> anyhow::Result<()> {
        self.collect()?;
        self.offer(self.load)
    }

    #[inline]
    fn run(&mut self) {
        self.received = self.subject.turn(self.load);
    }
}
