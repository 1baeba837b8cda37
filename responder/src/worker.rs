//! A worker: one lcore, one receive and one transmit queue of each port, and the loop between them.

mod told;
mod act;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use arrayvec::ArrayVec;
use crossbeam_queue::ArrayQueue;
use dpdk::{Burst, Checksums, Mbuf, Mempool, RxQueue, TxQueue, tsc};
use otherhalf_engine::{BURST, Clock, Engine, Frame, Outcome, PortId, Vouched};
use otherhalf_pending::Prefetch;

use crate::capture::{Received, Sampler};
use crate::held::{Held, Waiting};
use crate::kernel::Path;
use crate::outgoing::{Exit, Outgoing};
use crate::relay::Relay;
use crate::shared::{Shared, Snapshot, WorkerShared};
use crate::stage::{Stage, Watch};
use crate::stats::WorkerStats;
use told::{Besides, Told};

/// Empty turns of the loop before a worker that may sleep does.
const IDLE_TURNS: u32 = 64;

/// Empty turns in a row after which a stopping worker believes that nothing more comes.
const LAST_TURNS: u32 = 1000;

/// DPDK's prefetch, for the pending table.
#[derive(Debug)]
pub enum Prefetching {}

impl Prefetch for Prefetching {
    #[inline]
    fn prefetch<T>(place: &T) {
        dpdk::prefetch(place);
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
    /// Its receive queues, with their ports.
    pub rx: Vec<(PortId, RxQueue)>,
    /// Its transmit queue of each port; none where other workers have them all.
    pub tx: Vec<Option<TxQueue>>,
    /// The time.
    pub clock: Clock,
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
        if let Some(own) = shared.workers.get(self.index) {
            own.thread.is_this();
        }
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
                clock: self.clock,
                mempool: self.mempool,
                outgoing: (0..)
                    .map(PortId)
                    .zip(self.tx)
                    .map(|(port, queue)| Outgoing::new(exit(shared, port, queue)))
                    .collect(),
                held: Held::new(self.hold_ticks),
                watch: Watch::new(tsc()),
                kernel: shared.kernel.of_worker(self.index, shared.workers.len()),
                relays: shared.relays.sent_by(self.index),
                sampler: Sampler::new(&shared.capture, self.index),
            },
            queues: self.rx,
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
    /// A turn begins where the last one, busy or not, ended.
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
        let ended = if received > 0 {
            // With its last stage, which saves a reading of the counter.
            let ended = turn.watch.began();
            turn.own.stats.busy_turns.add(1);
            turn.own.stats.busy_ticks.add(ended.wrapping_sub(*began));
            ended
        } else {
            tsc()
        };
        let changed = !std::ptr::eq(*seen, current);
        *seen = current;
        turn.look_after(current, changed);
        *began = ended;
        turn.own.stats.turns.add(1);
        received
    }
}

/// What a turn of the loop works with.
struct Turn<'a> {
    shared: &'a Shared,
    own: &'a WorkerShared,
    engine: Engine<Prefetching>,
    clock: Clock,
    mempool: Mempool,
    outgoing: Vec<Outgoing<'a>>,
    held: Held<Mbuf>,
    watch: Watch,
    /// The paths whose frames of the kernel this worker sends.
    kernel: Vec<(PortId, &'a Path)>,
    /// What this worker sends for others.
    relays: Vec<(PortId, &'a Relay)>,
    /// Copies frames while somebody captures.
    sampler: Sampler<'a>,
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
        let served = self.own.stats.served();
        let mut told = [Told::NOTHING; BURST];
        let mut besides = Besides::new();
        if self.sampler.begin() {
            self.sample(burst, port, since);
        }
        {
            let waited = now.wrapping_sub(since);
            let mut frames: ArrayVec<Frame<'_>, BURST> = ArrayVec::new();
            frames.extend(burst.iter_mut().map(|mbuf| frame(mbuf, port).having_waited(waited)));
            self.engine.process(&snapshot.view(), now, &mut frames, |place, fate| {
                if let Some(told) = told.get_mut(place) {
                    *told = Told::new(place, fate, &mut besides);
                }
            });
            for (told, frame) in told.iter_mut().zip(&frames) {
                told.len = u16::try_from(frame.len()).unwrap_or(u16::MAX);
            }
        }
        self.watch.lap(Stage::Engine, &self.own.stats);
        self.carry_out(burst, port, &mut told, &besides, since);
        if self.sampler.is_on() {
            self.finish_sample();
        }
        let ended = self.watch.lap(Stage::Act, &self.own.stats);
        self.own.stats.count_service(served, self.clock.ns(ended.wrapping_sub(since)));
    }

    /// Copies `burst` before the engine writes over it.
    #[cold]
    fn sample(&mut self, burst: &Burst<BURST>, port: PortId, since: u64) {
        for mbuf in burst {
            self.sampler.copy(received(mbuf, port, since));
        }
        for outgoing in &mut self.outgoing {
            outgoing.forget_refused();
        }
    }

    /// The burst is carried out: what became of each frame is known, but of those that wait.
    #[cold]
    fn finish_sample(&mut self) {
        for place in self.outgoing.iter().flat_map(Outgoing::refused) {
            self.sampler.note(place, Outcome::DropTransmitFull);
        }
        self.sampler.finish();
    }

    /// Sends what the kernel has sent, a burst of each port at most.
    fn send_for_kernel(&mut self) {
        for (port, path) in &self.kernel {
            let outgoing = self.outgoing.get_mut(usize::from(port.0));
            send_waiting(outgoing, &path.from_kernel, &self.own.stats, Outgoing::kernel);
        }
    }

    /// Sends what other workers handed over, a burst of each port at most.
    fn send_for_others(&mut self) {
        for (port, relay) in &self.relays {
            let outgoing = self.outgoing.get_mut(usize::from(port.0));
            send_waiting(outgoing, &relay.frames, &self.own.stats, Outgoing::relayed);
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
                self.give_up(&waiting, Outcome::DropNeighbourUnresolved);
            }
        }
        if !self.kernel.is_empty() {
            self.send_for_kernel();
        }
        if !self.relays.is_empty() {
            self.send_for_others();
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

    /// Counts a frame that waited in vain; it is as it was received.
    fn give_up(&mut self, waiting: &Waiting<Mbuf>, outcome: Outcome) {
        let Waiting { frame, port, since } = waiting;
        self.sampler.single(outcome, received(frame, *port, *since));
        self.own.stats.count(outcome);
    }

    /// The end: what waits, waits in vain.
    fn end(&mut self) {
        while let Some(waiting) = self.held.pop() {
            self.give_up(&waiting, Outcome::DropStopped);
        }
        for outgoing in &mut self.outgoing {
            outgoing.flush(&self.own.stats);
        }
    }
}

/// How a worker whose queue of `port` is `queue` sends.
fn exit(shared: &Shared, port: PortId, queue: Option<TxQueue>) -> Exit<'_> {
    match (queue, shared.relays.of(port)) {
        (Some(queue), _) => Exit::Queue(queue),
        (None, Some(relay)) => Exit::Relay(relay),
        (None, None) => Exit::Closed,
    }
}

/// The frame in `mbuf`, for a copy of it.
fn received(mbuf: &Mbuf, port: PortId, ticks: u64) -> Received<'_> {
    Received { octets: mbuf.data(), whole_len: mbuf.len(), port, ticks }
}

/// The frame in `mbuf`, which came in by `port`, as the engine sees it.
#[inline]
fn frame(mbuf: &mut Mbuf, port: PortId) -> Frame<'_> {
    let (len, vouched) = (mbuf.len(), vouched(mbuf.checksums()));
    // The engine sees one piece of memory; a frame in several is none of ours.
    if !mbuf.is_contiguous() {
        return Frame::unfit(port);
    }
    match Frame::new(mbuf.room_mut(), len, port) {
        Some(frame) => frame.vouched(vouched),
        None => Frame::unfit(port),
    }
}

/// What the engine need not verify, of what the device `found`.
#[inline]
fn vouched(found: Checksums) -> Vouched {
    // Most of what comes is ICMP, of which a device says nothing.
    if found.are_unknown() {
        return Vouched::default();
    }
    Vouched { ipv4: found.ipv4().is_vouched(), transport: found.transport().is_vouched() }
}

/// Sends what waits for a port, a burst at most; `collect` is how a frame of this kind is collected.
fn send_waiting<'a, T>(
    outgoing: Option<&mut Outgoing<'a>>,
    waiting: &ArrayQueue<T>,
    stats: &WorkerStats,
    collect: impl Fn(&mut Outgoing<'a>, T, &WorkerStats),
) {
    if let Some(outgoing) = outgoing.filter(|_| !waiting.is_empty()) {
        for frame in std::iter::from_fn(|| waiting.pop()).take(BURST) {
            collect(outgoing, frame, stats);
        }
        outgoing.flush(stats);
    }
}

/// A frame of our own, written by `emit`; `None` if there is no mbuf.
fn own_frame(mempool: &Mempool, emit: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<Mbuf> {
    let mut frame = mempool.alloc()?;
    let len = emit(frame.room_mut())?;
    frame.set_len(len).ok()?;
    Some(frame)
}

#[cfg(test)]
mod tests {
    use dpdk::Checksum::{Absent, Bad, Good, Unknown};

    use super::*;

    #[test]
    fn each_checksum_is_vouched_for_by_itself() {
        let of = |ipv4, transport| vouched(Checksums::new(ipv4, transport));
        let expected = [(Unknown, false), (Good, true), (Bad, false), (Absent, true)];
        for (ipv4, header) in expected {
            for (other, transport) in expected {
                let wanted = Vouched { ipv4: header, transport };
                assert_eq!(of(ipv4, other), wanted, "{ipv4:?} {other:?}");
            }
        }
    }
}
