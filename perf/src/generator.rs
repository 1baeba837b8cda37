//! The load generator: one core that asks for many clients, plays the routers and verifies every response.
//!
//! A frame that comes back becomes the next one that is sent: a probe its answer, a response the next
//! request. Nothing is allocated in the loop.

mod flood;
pub(crate) mod network;
mod open;
mod read;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dpdk::{Burst, Mbuf, Mempool, RxQueue, TxQueue, tsc};
use otherhalf_engine::Clock;
use otherhalf_wire::ethernet::Mac;
use otherhalf_wire::probe::Protocol;

use crate::extras::{Extras, Share};
use crate::flood::frames::Frames;
use crate::latency::Latencies;
use crate::ledger::Ledger;
use crate::neighbour::{self, Question};
use crate::outbox::{Item, Outbox};
use crate::pace::{Load, Pace};
use crate::plan::{Plan, Transaction};
use crate::request::Requests;
use crate::router::{Probe, Router};
use crate::scenario::{Scenario, TcpPort};
use crate::steering::{MAX_QUEUES, Steer};
use crate::tally::Tally;
use crate::wheel::Wheel;
use crate::window::{GENERATOR_AWAY_NS, Sample, Watch, Window};
use crate::witness::Witness;
use flood::Floods;
use network::Unruly;

/// Frames received in a turn.
const RECEIVE: usize = 64;
/// Requests sent in a turn, below overload. Each makes two frames come: fewer than half of [`RECEIVE`], or a generator
/// that makes up for a stall would ask faster than it listens, and lose what it did not hear.
const ASK: usize = 24;
/// Received frames between two looks at the clock.
const STRIDE: usize = 8;
/// Numbers tried for a request before the turn goes on without.
const TRIES: usize = 16;
/// Places of the ledger looked at in a turn.
const SWEEP: usize = 8;
/// Latencies sorted in a turn; more than a turn brings.
const SORT: usize = 2 * RECEIVE;
/// Frames kept for the next requests.
const SPARE: usize = 4096;
/// Requests kept that found a full queue.
const READY: usize = 256;
/// Losses of a step whose times are kept; those of more are not told apart by window.
const LOSSES: usize = 1 << 18;

/// Reads the responder's counters, if they can be seen from here.
pub type Counters = Box<dyn Fn() -> Sample + Send>;

/// What a generator is made of.
pub struct Parts {
    /// Its queues, at most [`MAX_QUEUES`].
    pub rx: Vec<RxQueue>,
    /// As many; a [`Generator`] takes them out.
    pub tx: Vec<TxQueue>,
    /// Where its frames come from.
    pub mempool: Mempool,
    /// Its hardware address.
    pub own: Mac,
    /// The responder's, once it told it.
    pub responder: Mac,
    /// Ticks of the time stamp counter in a second.
    pub hz: u64,
    /// See [`Counters`].
    pub counters: Option<Counters>,
    /// Who says that the responder's threads were away, if it can be known.
    pub witness: Option<Witness>,
    /// Whether the other side is no responder, but throws back each frame as it is.
    pub mirror: bool,
}

/// A load generator.
pub struct Generator {
    pub(crate) parts: Parts,
    pub(crate) clock: Clock,
    requests: Requests,
    router: Router,
    extras: Extras,
    floods: Floods,
    pub(crate) ledger: Ledger,
    wheel: Wheel<Waiting>,
    out: Outbox,
    steer: Steer,
    /// The queue that is looked at first.
    first: usize,
    /// Whether an open loop makes up for the generator's absences.
    pub(crate) makes_up: bool,
    /// The port did not take all in the last turn of an open loop.
    was_full: bool,
    /// When what was lost in this step had been sent.
    pub(crate) losses: Vec<u64>,
    spare: Vec<Mbuf>,
    /// Requests that found a full queue, with their numbers.
    ready: Vec<(Mbuf, u64)>,
    ping: Share,
    junk: Share,
    aimed: Share,
    /// The requests that are aimed at two buckets, and the place of the next.
    aims: Vec<Transaction>,
    next_aim: usize,
    loss: Share,
    lose_all: bool,
    /// What the network does besides, if it is to.
    pub(crate) unruly: Option<Box<Unruly>>,
    delay: u64,
    jitter: u64,
    /// When a transaction counts as lost, in ticks.
    pub(crate) timeout: u64,
    random: u64,
    number: u64,
    /// What was counted since the step began.
    pub(crate) tally: Tally,
    pub(crate) latencies: Latencies,
    pub(crate) watch: Watch,
    window_busy: u64,
    turn_busy: u64,
    resets_owed: u64,
}

/// An answer that waits for its time.
#[derive(Debug)]
struct Waiting {
    frame: Mbuf,
    wanted: Transaction,
}

/// What a frame turned out to be.
enum Seen {
    /// A probe that is answered.
    Answer(Transaction, Probe),
    /// A question for our hardware address.
    Question(Question),
    /// Nothing that needs an answer: the buffer is free.
    Done,
    /// The same, but over rings the buffer is the responder's own, which it would miss.
    Foreign,
}

impl Generator {
    /// A generator for `scenario`, with up to `outstanding` transactions at once.
    ///
    /// # Panics
    ///
    /// If the clock is slower than 1 kHz.
    #[must_use]
    pub fn new(mut parts: Parts, scenario: &Scenario, outstanding: usize) -> Self {
        let hz = parts.hz;
        let clock = Clock::new(hz).expect("a time stamp counter is faster than 1 kHz");
        let us = |us: u32| u64::from(us) * (hz / 1000) / 1000;
        let plan = Plan::new(scenario);
        let steer = Steer::new(scenario.steering, parts.tx.len());
        // Roomy, so that a number rarely meets a place that is still taken.
        let places = (4 * outstanding).next_power_of_two().max(1024);
        let places = places.min(usize::try_from(plan.span()).unwrap_or(usize::MAX));
        let timeout = clock.ticks_in_ms(scenario.timeout_ms.into());
        let pending = scenario.pending_timeout_ms;
        let pending = pending.map_or(u64::MAX, |ms| clock.ticks_in_ms(ms.into()));
        let (delay, jitter) = (us(scenario.delay_us), us(scenario.jitter_us));
        Self {
            requests: Requests::new(parts.own, parts.responder),
            router: Router {
                own: parts.own,
                responder: parts.responder,
                quote: scenario.quote,
                tcp_port: scenario.tcp_port,
            },
            extras: Extras::new(parts.own, parts.responder),
            floods: Floods::new(
                scenario,
                Frames { own: parts.own, responder: parts.responder },
                &plan,
            ),
            ledger: Ledger::new(plan, clock, places, timeout).with_pending(pending),
            wheel: Wheel::new(if delay + jitter > 0 { places } else { 0 }, delay + jitter, tsc()),
            steer,
            out: Outbox::new(std::mem::take(&mut parts.tx), steer.asking()),
            first: 0,
            makes_up: true,
            was_full: false,
            losses: Vec::with_capacity(LOSSES),
            spare: Vec::with_capacity(SPARE),
            ready: Vec::with_capacity(READY),
            ping: Share::new(scenario.ping),
            junk: Share::new(scenario.junk),
            aimed: Share::new(if scenario.aims.is_empty() { 0.0 } else { scenario.aimed }),
            aims: scenario.aims.clone(),
            next_aim: 0,
            loss: Share::new(scenario.loss),
            lose_all: false,
            unruly: None,
            delay,
            jitter,
            timeout,
            random: 0x5_deec_e66d,
            number: 0,
            tally: Tally::default(),
            latencies: Latencies::new(0),
            watch: Watch::new(clock_ticks(hz, GENERATOR_AWAY_NS), tsc()),
            window_busy: 0,
            turn_busy: 0,
            resets_owed: 0,
            clock,
            parts,
        }
    }

    /// The end: gives back the queues by which something may still come.
    #[must_use]
    pub fn into_receive_queues(self) -> Vec<RxQueue> {
        self.parts.rx
    }

    /// Whether all that was begun has ended, and nothing waits to be sent.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.ledger.outstanding() == 0
            && self.wheel.is_empty()
            && self.out.is_empty()
            && self.unruly.as_ref().is_none_or(|unruly| unruly.is_quiet())
    }

    /// Whether no probe is answered, whatever the scenario says.
    pub(crate) const fn set_lose_all(&mut self, all: bool) {
        self.lose_all = all;
    }

    /// One turn of the loop: receives, answers, and asks as `load` and `pace` say, but for no more than
    /// `requests`. Returns the time at which it began.
    #[inline]
    pub(crate) fn turn(&mut self, load: Load, pace: &mut Pace, requests: u64) -> u64 {
        let mut burst = Burst::<RECEIVE>::new();
        let mut ends = [0; MAX_QUEUES];
        // What could not be sent holds up what would cause more to be sent.
        if self.out.room() >= RECEIVE + 3 * ASK {
            self.receive(&mut burst, &mut ends);
        }
        let received = burst.len();
        let now = tsc();
        let owed = self.ledger.outstanding() - self.wheel.len().min(self.ledger.outstanding());
        let was_away = self.watch.turn(received > 0 || owed == 0, now);
        // The frames were written by another core: ask for all before the first is needed.
        for mbuf in &burst {
            black_box(mbuf.data().first().copied());
        }
        let sent = match load {
            Load::Closed { window } => {
                self.closed_turn(&mut burst, &ends, window, requests.min(ASK as u64), now)
            }
            Load::Open { .. } => {
                if was_away && !self.makes_up {
                    pace.skip(pace.due_count(now));
                }
                let late = now.saturating_sub(self.watch.limit());
                self.watch.behind |= pace.due(late).is_some();
                self.open_turn(&mut burst, &ends, pace, requests, now)
            }
        };
        self.give_up(SWEEP, now);
        self.latencies.sort(SORT);
        // Of the next turn's window: it is then known whether this one's end was an absence.
        self.window_busy += std::mem::take(&mut self.turn_busy);
        if received + sent > 0 {
            self.turn_busy = tsc().wrapping_sub(now);
        }
        now
    }

    /// Gives up what has waited too long at the next `places` of the ledger.
    #[inline]
    pub(crate) fn give_up(&mut self, places: usize, now: u64) {
        let losses = &mut self.losses;
        let lost = self.ledger.sweep(places, now, |when| {
            if losses.len() < losses.capacity() {
                losses.push(when);
            }
        });
        self.tally.lost_requests += lost[0];
        self.tally.lost_answers += lost[1];
    }

    /// Receives from all queues, another one first each time, or the last would starve; `ends` says where in the
    /// burst the frames of each end.
    #[inline]
    fn receive(&mut self, burst: &mut Burst<RECEIVE>, ends: &mut [usize; MAX_QUEUES]) {
        let queues = self.parts.rx.len();
        self.first = if self.first + 1 < queues { self.first + 1 } else { 0 };
        let (before, from) = self.parts.rx.split_at_mut(self.first);
        for (queue, end) in from.iter_mut().chain(before).zip(ends) {
            queue.receive(burst);
            *end = burst.len();
        }
    }

    /// The queue by which the frame at `place` of a burst came.
    #[inline]
    fn queue_of(&self, place: usize, ends: &[usize; MAX_QUEUES]) -> usize {
        let queues = self.parts.rx.len();
        if queues == 1 {
            return 0;
        }
        let order = ends.iter().take(queues).position(|end| place < *end).unwrap_or(0);
        (self.first + order) % queues
    }

    /// Answers, then asks as far as the window has room; what the port does not take waits for the next turn.
    #[inline]
    fn closed_turn(
        &mut self,
        burst: &mut Burst<RECEIVE>,
        ends: &[usize; MAX_QUEUES],
        window: usize,
        requests: u64,
        now: u64,
    ) -> usize {
        for (place, mbuf) in burst.drain().enumerate() {
            let queue = self.queue_of(place, ends);
            self.take(mbuf, queue, now, now);
            if (place + 1).is_multiple_of(STRIDE) {
                self.watch.glance(tsc());
            }
        }
        self.release(now);
        for _ in 0..requests {
            if self.ledger.outstanding() >= window || !self.ask(now, now) {
                break;
            }
        }
        let sent = self.out.flush();
        self.tally.held_up += u64::from(!self.out.is_empty());
        sent
    }

    /// Deals with a frame that was received at `came`; what it causes is sent at `now`.
    #[inline]
    fn take(&mut self, mut mbuf: Mbuf, queue: usize, came: u64, now: u64) {
        let seen = match self.read(mbuf.data(), came) {
            Ok(Seen::Question(_)) if self.is_mute() => Seen::Done,
            Ok(seen) => seen,
            Err(_) if self.is_of_twin(mbuf.data(), came) => Seen::Done,
            Err(fault) => {
                self.tally.faults[fault as usize] += 1;
                Seen::Done
            }
        };
        let written = match &seen {
            Seen::Done => return self.keep(mbuf),
            Seen::Foreign => return drop(mbuf),
            Seen::Answer(wanted, probe) => self.router.answer(wanted, *probe, mbuf.room_mut()),
            Seen::Question(question) => {
                neighbour::answer(self.parts.own, *question, mbuf.room_mut())
            }
        };
        let Some(len) = written else { return self.keep(mbuf) };
        if mbuf.set_len(len).is_err() {
            return self.keep(mbuf);
        }
        if let Seen::Answer(wanted, _) = &seen {
            self.tally.crossed += u64::from(self.steer.answer(wanted) != queue);
        }
        match seen {
            Seen::Answer(wanted, _) if self.delay + self.jitter > 0 => {
                let due = now + self.delay + self.random_below(self.jitter);
                // There is a place for each place of the ledger.
                if let Err(waiting) = self.wheel.put(Waiting { frame: mbuf, wanted }, due) {
                    self.keep(waiting.frame);
                }
            }
            Seen::Answer(wanted, _) => {
                self.send_answer(&wanted, mbuf, now);
            }
            Seen::Question(_) | Seen::Done | Seen::Foreign => {
                self.out.push(queue, mbuf, Item::Neighbour);
            }
        }
    }

    fn send_answer(&mut self, wanted: &Transaction, mbuf: Mbuf, now: u64) {
        self.ledger.answer_sent(wanted, now);
        self.tally.answers += 1;
        let reset = wanted.reached
            && wanted.protocol == Protocol::Tcp
            && self.router.tcp_port == TcpPort::Open;
        self.resets_owed += u64::from(reset);
        let item = Item::Answer(self.ledger.position(wanted), reset);
        let second = self.second_answer(wanted, &mbuf);
        self.out.push(self.steer.answer(wanted), mbuf, item);
        if let Some(second) = second {
            self.out.push(self.steer.answer(wanted), second, Item::Second);
        }
    }

    /// Sends the answers whose time has come.
    #[inline]
    fn release(&mut self, now: u64) {
        self.send_later(now);
        while self.out.room() > 3 * ASK {
            let Some(Waiting { frame, wanted }) = self.wheel.take(now) else { return };
            self.send_answer(&wanted, frame, now);
        }
    }

    /// Has the network send `share` of all requests and answers twice, and its router be silent while `mute` is set.
    pub(crate) fn make_unruly(&mut self, share: f64, mute: Arc<AtomicBool>) {
        let longest = self.delay + self.jitter;
        self.unruly = Some(Box::new(Unruly::new(share, mute, longest, tsc())));
    }

    /// Sends a request that was due at `intended`, with what comes besides; whether it could be.
    #[inline]
    fn ask(&mut self, intended: u64, now: u64) -> bool {
        // A request may be followed by its duplicate, by a ping, by junk, and by one that is aimed.
        if self.out.room() < 5 {
            return false;
        }
        let ready = self.ready.pop();
        if let Some((mbuf, number)) = ready {
            if let Some(wanted) = self.ledger.begin(number, intended, now) {
                self.out.push(self.steer.request(&wanted), mbuf, Item::Request(number));
                self.tally.asked += 1;
                self.besides_request();
                return true;
            }
            self.keep(mbuf);
        }
        let Some(mut mbuf) = self.fresh() else { return false };
        let Some((wanted, number)) = self.begin(intended, now) else {
            self.tally.blocked += 1;
            self.keep(mbuf);
            return false;
        };
        if let Some(len) = self.requests.write(&wanted, mbuf.room_mut())
            && mbuf.set_len(len).is_ok()
        {
            let second = self.second_request(&wanted, &mbuf, now);
            self.out.push(self.steer.request(&wanted), mbuf, Item::Request(number));
            self.tally.asked += 1;
            if let Some(second) = second {
                self.out.push(self.steer.request(&wanted), second, Item::Second);
            }
        }
        self.besides_request();
        true
    }

    /// Sends what comes besides a request.
    #[inline]
    fn besides_request(&mut self) {
        if self.ping.comes() {
            self.besides(|extras| extras.ping(), Item::Ping);
        }
        if self.junk.comes() {
            self.besides(|extras| extras.junk(), Item::Junk);
        }
        if self.aimed.comes() {
            self.ask_aimed();
        }
    }

    /// Begins the next transaction that has a place.
    #[inline]
    fn begin(&mut self, intended: u64, now: u64) -> Option<(Transaction, u64)> {
        for _ in 0..TRIES {
            let number = self.number;
            self.number += 1;
            if let Some(wanted) = self.ledger.begin(number, intended, now) {
                return Some((wanted, number));
            }
        }
        None
    }

    /// Sends a frame that was made beforehand, a ping or junk.
    fn besides(&mut self, frame: impl Fn(&mut Extras) -> &[u8], item: Item) {
        let Some(mut mbuf) = self.fresh() else { return };
        if mbuf.write(frame(&mut self.extras)).is_ok() {
            let counter =
                if item == Item::Ping { &mut self.tally.pings } else { &mut self.tally.junk };
            *counter += 1;
            let queue = usize::try_from(*counter).unwrap_or(0) % self.out.queues();
            self.out.push(queue, mbuf, item);
        }
    }

    /// Sends the next of the requests that are aimed at two buckets. Nobody waits for what becomes of it.
    fn ask_aimed(&mut self) {
        let Some(mut mbuf) = self.fresh() else { return };
        self.next_aim = if self.next_aim + 1 < self.aims.len() { self.next_aim + 1 } else { 0 };
        let Some(wanted) = self.aims.get(self.next_aim) else { return self.keep(mbuf) };
        if let Some(len) = self.requests.write(wanted, mbuf.room_mut())
            && mbuf.set_len(len).is_ok()
        {
            self.tally.aimed += 1;
            self.out.push(self.steer.request(wanted), mbuf, Item::Aimed);
        }
    }

    /// A buffer for a frame.
    #[inline]
    fn fresh(&mut self) -> Option<Mbuf> {
        let mbuf = self.spare.pop().or_else(|| self.parts.mempool.alloc());
        if mbuf.is_none() {
            self.tally.no_mbuf += 1;
        }
        mbuf
    }

    /// Keeps a buffer for the next frame.
    #[inline]
    fn keep(&mut self, mbuf: Mbuf) {
        if self.spare.len() < SPARE {
            self.spare.push(mbuf);
        }
    }

    /// A number below `limit`, or 0: a linear congruential generator, good enough to spread delays.
    #[inline]
    fn random_below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.random >> 32) * limit) >> 32
    }

    /// The responder's counters now.
    pub(crate) fn sample(&self) -> Sample {
        self.parts.counters.as_ref().map_or_else(Sample::default, |read| read())
    }

    /// The window that began when `before` was counted, at `began` ticks from the step's beginning, and lasted
    /// `ticks`. What of it was served and lost is known when the step is over, but for what found a full queue.
    pub(crate) fn window(
        &mut self,
        began: u64,
        ticks: u64,
        before: &Tally,
        sample: Sample,
    ) -> Window {
        let grown = |count: fn(&Tally) -> u64| count(&self.tally) - count(before);
        Window {
            began,
            ticks,
            offered: grown(|tally| tally.asked),
            served: 0,
            lost: grown(Tally::refused),
            generator_busy: std::mem::take(&mut self.window_busy),
            responder: self.sample().since(sample),
            generator_away: self.watch.generator_away,
            responder_away: false,
            recovering: self.watch.recovering,
            behind: self.watch.behind,
        }
    }
}

/// Ticks in `ns` nanoseconds.
#[must_use]
pub fn clock_ticks(hz: u64, ns: u64) -> u64 {
    u64::try_from(u128::from(ns) * u128::from(hz) / 1_000_000_000).unwrap_or(u64::MAX)
}
