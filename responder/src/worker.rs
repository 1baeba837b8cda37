//! A worker: one lcore, one receive and one transmit queue of each port, and the loop between them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use arrayvec::ArrayVec;
use dpdk::{Burst, Mbuf, Mempool, RxQueue, TxQueue, tsc};
use otherhalf_engine::{
    BURST, Engine, Fate, Frame, Notice, Outcome, PortId, ResetFrame, Verdict, Vouched,
};
use otherhalf_pending::{Bucket, Prefetch};

use crate::held::{Held, Waiting};
use crate::outgoing::Outgoing;
use crate::shared::{Shared, Snapshot, WorkerShared};
use crate::stage::{Stage, Watch};

/// Empty turns of the loop before a worker that may sleep does.
const IDLE_TURNS: u32 = 64;

/// Empty turns in a row after which a stopping worker believes that nothing more comes.
const LAST_TURNS: u32 = 1000;

/// DPDK's prefetch, for the pending table.
#[derive(Debug)]
pub enum Prefetching {}

impl Prefetch for Prefetching {
    #[inline]
    fn prefetch(bucket: &Bucket) {
        dpdk::prefetch(bucket);
    }
}

/// All that a worker is made of; it owns what it touches, but for `shared` and the engine's table.
pub struct Worker {
    /// Its place among the workers.
    pub index: usize,
    /// The packet's way.
    pub engine: Engine<Prefetching>,
    /// What it shares.
    pub shared: Arc<Shared>,
    /// Its receive queue of each port.
    pub rx: Vec<RxQueue>,
    /// Its transmit queue of each port.
    pub tx: Vec<TxQueue>,
    /// Where its own frames come from.
    pub mempool: Mempool,
    /// How long to sleep when there is nothing to do.
    pub idle_sleep: Option<Duration>,
    /// How long a frame may wait for a neighbour, in ticks.
    pub hold_ticks: u64,
    /// How long frames are still taken in after the order to stop, in ticks.
    pub drain_ticks: u64,
}

impl Worker {
    /// Moves packets until control says stop; then what is still in the queues, and ends.
    ///
    /// # Panics
    ///
    /// If there is no worker `index` in `shared`: a mistake of whoever made the worker.
    pub fn run(self) {
        let shared = Arc::clone(&self.shared);
        let (idle_sleep, drain_ticks) = (self.idle_sleep, self.drain_ticks);
        let mut turns = self.turns(&shared);
        let mut idle_turns = 0u32;
        let mut stop_asked = None;
        loop {
            idle_turns = if turns.one() > 0 { 0 } else { idle_turns.saturating_add(1) };
            if shared.stopping() {
                // A flood must not keep us from ending.
                let asked = *stop_asked.get_or_insert(turns.began);
                if idle_turns > LAST_TURNS || turns.began.wrapping_sub(asked) > drain_ticks {
                    break;
                }
            } else if idle_turns > IDLE_TURNS
                && let Some(time) = idle_sleep
            {
                std::thread::sleep(time);
                turns.began = tsc();
            }
        }
        turns.turn.end();
    }

    /// The worker's loop without its waiting and its end, for whoever times or tests single turns. `shared` is the
    /// worker's own.
    ///
    /// # Panics
    ///
    /// If there is no worker `index` in `shared`.
    #[must_use]
    pub fn turns(self, shared: &Shared) -> Turns<'_> {
        let mut snapshot = Cache::new(&shared.snapshot);
        Turns {
            turn: Turn {
                own: &shared.workers[self.index],
                shared,
                engine: self.engine,
                mempool: self.mempool,
                outgoing: self.tx.into_iter().map(Outgoing::new).collect(),
                held: Held::new(self.hold_ticks),
                watch: Watch::new(tsc()),
            },
            queues: (0..).map(PortId).zip(self.rx).collect(),
            burst: Burst::new(),
            seen: Arc::as_ptr(snapshot.load()),
            snapshot,
            began: tsc(),
        }
    }
}

/// A worker's loop, turn by turn.
pub struct Turns<'a> {
    turn: Turn<'a>,
    queues: Vec<(PortId, RxQueue)>,
    burst: Burst<BURST>,
    snapshot: Cache<&'a ArcSwap<Snapshot>, Arc<Snapshot>>,
    /// The snapshot of the last turn.
    seen: *const Snapshot,
    /// A busy turn begins where the last turn, busy or not, ended.
    began: u64,
}

impl Turns<'_> {
    /// Receives from each queue, moves what came, looks after the rest. Returns how many frames came.
    #[inline]
    pub fn one(&mut self) -> usize {
        let Self { turn, queues, burst, snapshot, seen, began } = self;
        let current: &Snapshot = snapshot.load();
        let mut received = 0;
        turn.watch.set(*began);
        for (port, queue) in queues {
            received += queue.receive(burst);
            if !burst.is_empty() {
                turn.take_in(current, *port, burst);
            }
        }
        let changed = !std::ptr::eq(*seen, current);
        *seen = current;
        turn.look_after(current, changed);
        let ended = tsc();
        if received > 0 {
            turn.own.stats.busy_turns.add(1);
            turn.own.stats.busy_ticks.add(ended.wrapping_sub(*began));
        }
        *began = ended;
        received
    }
}

/// What a turn of the loop works with.
struct Turn<'a> {
    shared: &'a Shared,
    own: &'a WorkerShared,
    engine: Engine<Prefetching>,
    mempool: Mempool,
    outgoing: Vec<Outgoing>,
    held: Held,
    watch: Watch,
}

/// What the engine said of a frame, without what it says of few: that is in `Besides`.
#[derive(Clone, Copy)]
struct Told {
    order: Order,
    outcome: Outcome,
    /// Whether there is something `Besides`.
    besides: bool,
    /// How long the frame is now.
    len: usize,
}

/// What to do with a frame.
#[derive(Clone, Copy)]
enum Order {
    Drop,
    Send(PortId),
    Hold,
}

/// What a few frames of a burst call for besides, by their place.
type Besides = ArrayVec<(usize, Extra), BURST>;

/// One of them.
enum Extra {
    /// To be told to the control thread.
    Notice(Notice),
    /// To be sent.
    Reset(ResetFrame),
}

impl Told {
    /// Of a frame that the engine was not shown.
    const UNSEEN: Self =
        Self { order: Order::Drop, outcome: Outcome::DropBuffer, besides: false, len: 0 };

    /// Takes `fate` apart, that of the frame at `place`.
    #[inline]
    fn new(place: usize, fate: Fate, besides: &mut Besides) -> Self {
        let (order, reset) = match fate.verdict {
            Verdict::Drop => (Order::Drop, None),
            Verdict::Hold => (Order::Hold, None),
            Verdict::Send(to) => (Order::Send(to), None),
            Verdict::SendAndReset(to, reset) => (Order::Send(to), Some(reset)),
        };
        // A frame calls for one of the two at most, so there is room for all.
        let extra = fate.notice.map(Extra::Notice).or(reset.map(Extra::Reset));
        let told = Self { order, outcome: fate.outcome, besides: extra.is_some(), len: 0 };
        if let Some(extra) = extra {
            let _ = besides.try_push((place, extra));
        }
        told
    }
}

impl Turn<'_> {
    /// Counts a received burst and moves it.
    #[inline]
    fn take_in(&mut self, snapshot: &Snapshot, port: PortId, burst: &mut Burst<BURST>) {
        self.own.stats.received.add(burst.len() as u64);
        let now = self.watch.lap(Stage::Receive, &self.own.stats);
        self.pass(snapshot, port, burst, now, now);
    }

    /// Leads `burst`, received at `since`, through the engine and does what it says.
    #[inline]
    fn pass(
        &mut self,
        snapshot: &Snapshot,
        port: PortId,
        burst: &mut Burst<BURST>,
        now: u64,
        since: u64,
    ) {
        let mut told = [Told::UNSEEN; BURST];
        let mut besides = Besides::new();
        {
            let mut frames: ArrayVec<Frame<'_>, BURST> = ArrayVec::new();
            let mut places: ArrayVec<usize, BURST> = ArrayVec::new();
            for (place, mbuf) in burst.iter_mut().enumerate() {
                let (len, vouched) = (mbuf.len(), vouched(mbuf));
                // The engine sees one piece of memory; a frame in several is none of ours.
                if !mbuf.is_contiguous() {
                    continue;
                }
                if let Some(frame) = Frame::new(mbuf.room_mut(), len, port) {
                    frames.push(frame.received_at(since).vouched(vouched));
                    places.push(place);
                }
            }
            self.engine.process(&snapshot.view(), now, &mut frames, |seen, fate| {
                if let Some(place) = places.get(seen)
                    && let Some(told) = told.get_mut(*place)
                {
                    *told = Told::new(*place, fate, &mut besides);
                }
            });
            for (frame, place) in frames.iter().zip(&places) {
                if let Some(told) = told.get_mut(*place) {
                    told.len = frame.len();
                }
            }
        }
        self.watch.lap(Stage::Engine, &self.own.stats);
        for (place, (mbuf, told)) in burst.drain().zip(&told).enumerate() {
            let extra = if told.besides {
                besides.iter().find(|(whose, _)| *whose == place).map(|(_, extra)| extra)
            } else {
                None
            };
            self.act(mbuf, port, told, extra, since);
        }
        for outgoing in &mut self.outgoing {
            outgoing.flush(&self.own.stats);
        }
        self.watch.lap(Stage::Act, &self.own.stats);
    }

    /// Does what the engine said of one frame.
    #[inline]
    fn act(
        &mut self,
        mut mbuf: Mbuf,
        port: PortId,
        told: &Told,
        extra: Option<&Extra>,
        since: u64,
    ) {
        let to = match told.order {
            Order::Send(to) => to,
            Order::Drop => {
                if let Some(Extra::Notice(notice)) = extra {
                    self.shared.notify(*notice);
                }
                return self.own.stats.count(told.outcome);
            }
            Order::Hold => {
                // Nobody is asked for the sake of a frame that does not wait.
                match (self.held.push(mbuf, port, since), extra) {
                    (Ok(()), Some(Extra::Notice(wanted))) => self.shared.notify(*wanted),
                    (Ok(()), _) => {}
                    (Err(_), _) => self.own.stats.count(Outcome::DropHoldFull),
                }
                return;
            }
        };
        if let Some(Extra::Notice(notice)) = extra {
            self.shared.notify(*notice);
        }
        let Some(outgoing) = self.outgoing.get_mut(usize::from(to.0)) else {
            return self.own.stats.count(Outcome::DropNoRoute);
        };
        if mbuf.set_len(told.len).is_err() {
            return self.own.stats.count(Outcome::DropBuffer);
        }
        outgoing.answer(mbuf, told.outcome, &self.own.stats);
        if let Some(Extra::Reset(reset)) = extra {
            match own_frame(&self.mempool, |room| reset.emit(room)) {
                Some(frame) => outgoing.reset(frame, &self.own.stats),
                None => self.own.stats.own_dropped.add(1),
            }
        }
    }

    /// What a turn does besides: a bounded piece of each.
    #[inline]
    fn look_after(&mut self, snapshot: &Snapshot, changed: bool) {
        if changed && !self.held.is_empty() {
            self.offer_again(snapshot);
        }
        if !self.held.is_empty() {
            let now = tsc();
            while let Some(waiting) = self.held.pop_overdue(now) {
                drop(waiting.frame);
                self.own.stats.count(Outcome::DropNeighbourUnresolved);
            }
        }
        if let Some(order) = self.own.orders.pop() {
            let sent = own_frame(&self.mempool, |room| {
                room.get_mut(..order.octets.len())?.copy_from_slice(&order.octets);
                Some(order.octets.len())
            });
            match (sent, self.outgoing.get_mut(usize::from(order.port.0))) {
                (Some(frame), Some(outgoing)) => {
                    outgoing.order(frame, &self.own.stats);
                    outgoing.flush(&self.own.stats);
                }
                _ => self.own.stats.own_dropped.add(1),
            }
        }
    }

    /// Offers what waits to the engine again: neighbours have changed.
    fn offer_again(&mut self, snapshot: &Snapshot) {
        let now = tsc();
        self.watch.pause();
        // One by one: few wait, and each came in by a port and at a time of its own.
        for _ in 0..self.held.len() {
            let Some(Waiting { frame, port, since }) = self.held.pop() else { break };
            let mut one = Burst::<BURST>::new();
            drop(one.push(frame));
            self.pass(snapshot, port, &mut one, now, since);
        }
    }

    /// The end: what waits, waits in vain.
    fn end(&mut self) {
        while let Some(waiting) = self.held.pop() {
            drop(waiting.frame);
            self.own.stats.count(Outcome::DropStopped);
        }
        for outgoing in &mut self.outgoing {
            outgoing.flush(&self.own.stats);
        }
    }
}

/// What the engine need not verify.
#[inline]
fn vouched(mbuf: &Mbuf) -> Vouched {
    let found = mbuf.checksums();
    Vouched { ipv4: found.ipv4.is_vouched(), transport: found.transport.is_vouched() }
}

/// A frame of our own, written by `emit`; `None` if there is no mbuf.
fn own_frame(mempool: &Mempool, emit: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<Mbuf> {
    let mut frame = mempool.alloc()?;
    let len = emit(frame.room_mut())?;
    frame.set_len(len).ok()?;
    Some(frame)
}
