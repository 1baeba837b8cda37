//! The load generator: one core that asks for many clients, plays the routers and verifies every response.
//!
//! A frame that comes back becomes the next one that is sent: a probe its answer, a response the next
//! request. Nothing is allocated in the loop.

use std::hint::black_box;

use dpdk::{Burst, Mbuf, Mempool, RxQueue, TxQueue, tsc};
use otherhalf_engine::Clock;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Packet, protocol};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::tcp;
use otherhalf_wire::trace::{self, Response};
use zerocopy::FromBytes;

use crate::extras::{Extras, PING_IDENTIFIER, Share};
use crate::latency::Latencies;
use crate::ledger::{Answered, Fault, Latency, Ledger, Probed};
use crate::neighbour::{self, Neighbour, Question};
use crate::pace::{Load, Pace};
use crate::plan::{Plan, Transaction};
use crate::request::Requests;
use crate::router::{Probe, Router};
use crate::scenario::{Scenario, TcpPort};
use crate::tally::Tally;
use crate::wheel::Wheel;
use crate::window::{AWAY_NS, Sample, Watch, Window};

/// Frames received in a turn.
const RECEIVE: usize = 64;
/// Requests sent in a turn. Each makes two frames come: fewer than half of [`RECEIVE`], or a generator that
/// makes up for a stall would ask faster than it listens, and lose what it did not hear.
const ASK: usize = 24;
/// Room for what a turn sends: answers, answers whose time has come, requests, each with a ping and junk.
const OUT: usize = 256;
/// Numbers tried for a request before the turn goes on without.
const TRIES: usize = 16;
/// Places of the ledger looked at in a turn.
const SWEEP: usize = 8;
/// Latencies sorted in a turn; more than a turn brings.
const SORT: usize = 2 * RECEIVE;
/// Frames kept for the next requests.
const SPARE: usize = 4096;

/// Reads the responder's counters, if they can be seen from here.
pub type Counters = Box<dyn Fn() -> Sample + Send>;

/// What a generator is made of.
pub struct Parts {
    /// Its queues.
    pub rx: RxQueue,
    /// Its queues.
    pub tx: TxQueue,
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
}

/// A load generator.
pub struct Generator {
    pub(crate) parts: Parts,
    pub(crate) clock: Clock,
    requests: Requests,
    router: Router,
    extras: Extras,
    pub(crate) ledger: Ledger,
    wheel: Wheel<Waiting>,
    out: Burst<OUT>,
    spare: Vec<Mbuf>,
    ping: Share,
    junk: Share,
    loss: Share,
    lose_all: bool,
    delay: u64,
    jitter: u64,
    random: u64,
    number: u64,
    /// What was counted since the step began.
    pub(crate) tally: Tally,
    pub(crate) latencies: Latencies,
    pub(crate) watch: Watch,
    window_busy: u64,
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
    pub fn new(parts: Parts, scenario: &Scenario, outstanding: usize) -> Self {
        let hz = parts.hz;
        let clock = Clock::new(hz).expect("a time stamp counter is faster than 1 kHz");
        let us = |us: u32| u64::from(us) * (hz / 1000) / 1000;
        let plan = Plan::new(scenario);
        // Roomy, so that a number rarely meets a place that is still taken.
        let places = (4 * outstanding).next_power_of_two().max(1024);
        let places = places.min(usize::try_from(plan.span()).unwrap_or(usize::MAX));
        let timeout = clock.ticks_in_ms(scenario.timeout_ms.into());
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
            ledger: Ledger::new(plan, clock, places, timeout),
            wheel: Wheel::new(if delay + jitter > 0 { places } else { 0 }, delay + jitter, tsc()),
            out: Burst::new(),
            spare: Vec::with_capacity(SPARE),
            ping: Share::new(scenario.ping),
            junk: Share::new(scenario.junk),
            loss: Share::new(scenario.loss),
            lose_all: false,
            delay,
            jitter,
            random: 0x5_deec_e66d,
            number: 0,
            tally: Tally::default(),
            latencies: Latencies::new(0),
            watch: Watch::new(clock_ticks(hz, AWAY_NS), tsc()),
            window_busy: 0,
            resets_owed: 0,
            clock,
            parts,
        }
    }

    /// The end: gives back the queue by which something may still come.
    #[must_use]
    pub fn into_receive_queue(self) -> RxQueue {
        self.parts.rx
    }

    /// Whether all that was begun has ended, and nothing waits to be sent.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.ledger.outstanding() == 0 && self.wheel.is_empty() && self.out.is_empty()
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
        // What could not be sent holds up what would cause more to be sent.
        let received = if OUT - self.out.len() >= RECEIVE + 3 * ASK {
            self.parts.rx.receive(&mut burst)
        } else {
            0
        };
        let now = tsc();
        let owes = self.ledger.outstanding() > self.wheel.len();
        self.watch.turn(received > 0 || !owes, now);
        // The frames were written by another core: ask for all before the first is needed.
        for mbuf in &burst {
            black_box(mbuf.data().first().copied());
        }
        for mbuf in burst.drain() {
            self.take(mbuf, now);
        }
        self.release(now);
        self.ask(load, pace, requests.min(ASK as u64), now);
        let sent = self.flush();
        for (counter, lost) in [&mut self.tally.lost_requests, &mut self.tally.lost_answers]
            .into_iter()
            .zip(self.ledger.sweep(SWEEP, now))
        {
            *counter += lost;
        }
        self.latencies.sort(SORT);
        if received + sent > 0 {
            self.window_busy += tsc().wrapping_sub(now);
        }
        now
    }

    /// Deals with a received frame.
    #[inline]
    fn take(&mut self, mut mbuf: Mbuf, now: u64) {
        let seen = match self.read(mbuf.data(), now) {
            Ok(seen) => seen,
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
            Seen::Question(_) | Seen::Done | Seen::Foreign => self.push(mbuf),
        }
    }

    fn send_answer(&mut self, wanted: &Transaction, mbuf: Mbuf, now: u64) {
        self.ledger.answer_sent(wanted, now);
        self.tally.answers += 1;
        if wanted.reached
            && wanted.protocol == Protocol::Tcp
            && self.router.tcp_port == TcpPort::Open
        {
            self.resets_owed += 1;
        }
        self.push(mbuf);
    }

    /// Says what a frame of the responder is, and verifies it.
    #[inline]
    fn read(&mut self, frame: &[u8], now: u64) -> Result<Seen, Fault> {
        let (link, payload) = Link::parse(frame).map_err(|_| Fault::Malformed)?;
        let packet = match link.ethertype {
            ethertype::IPV4 => Packet::parse_v4(payload),
            ethertype::IPV6 => Packet::parse_v6(payload),
            _ => return self.neighbour(frame),
        };
        let packet = packet.map_err(|_| Fault::Malformed)?;
        let family = packet.family();
        if packet.protocol == family.icmp() {
            let message =
                icmp::Message::parse(family, packet.payload).map_err(|_| Fault::Malformed)?;
            match (message.kind, message.header.code) {
                (Kind::EchoReply, trace::CODE) => self.response(&packet, &message, now),
                (Kind::EchoReply, 0) => self.ping_reply(&packet, &message),
                (Kind::EchoRequest, 0) => self.probe(&packet, now),
                (Kind::DestinationUnreachable, _) => self.closed_port(&packet),
                (Kind::NeighbourSolicitation | Kind::NeighbourAdvertisement, _) => {
                    self.neighbour(frame)
                }
                _ => Err(Fault::Malformed),
            }
        } else if packet.protocol == protocol::TCP && is_reset(&packet) {
            self.reset(&packet)
        } else {
            self.probe(&packet, now)
        }
    }

    #[inline]
    fn response(
        &mut self,
        packet: &Packet<'_>,
        message: &icmp::Message<'_>,
        now: u64,
    ) -> Result<Seen, Fault> {
        let response = Response::parse(message).map_err(|_| Fault::Malformed)?;
        match self.ledger.response(packet, &response, now)? {
            Answered::Right(latency) => {
                self.tally.responses += 1;
                self.latencies.note(Latency {
                    probe: self.clock.ns(latency.probe),
                    response: self.clock.ns(latency.response),
                    whole: self.clock.ns(latency.whole),
                });
            }
            Answered::Late => self.tally.late += 1,
        }
        Ok(Seen::Done)
    }

    #[inline]
    fn probe(&mut self, packet: &Packet<'_>, now: u64) -> Result<Seen, Fault> {
        let lose = self.lose_all || self.loss.comes();
        let (probed, latency) = self.ledger.probe(packet, lose, now)?;
        self.tally.probes += 1;
        match probed {
            Probed::Right(wanted) if !lose => {
                let len = packet.header_len + packet.payload.len();
                Ok(Seen::Answer(wanted, Probe { src: packet.src, dst: packet.dst, len }))
            }
            Probed::Right(_) => {
                self.tally.unanswered += 1;
                let probe = self.clock.ns(latency);
                self.latencies.note(Latency { probe, response: 0, whole: 0 });
                Ok(Seen::Done)
            }
            Probed::Late => {
                self.tally.late += 1;
                Ok(Seen::Done)
            }
        }
    }

    fn ping_reply(
        &mut self,
        packet: &Packet<'_>,
        message: &icmp::Message<'_>,
    ) -> Result<Seen, Fault> {
        if !packet.upper_layer_sum().verifies() {
            return Err(Fault::Checksum);
        }
        if self.tally.ping_replies >= self.tally.pings
            || message.header.identifier.get() != PING_IDENTIFIER
        {
            return Err(Fault::Unasked);
        }
        self.tally.ping_replies += 1;
        Ok(Seen::Done)
    }

    fn reset(&mut self, packet: &Packet<'_>) -> Result<Seen, Fault> {
        if !packet.upper_layer_sum().verifies() {
            return Err(Fault::Checksum);
        }
        if self.resets_owed == 0 {
            return Err(Fault::Unasked);
        }
        self.resets_owed -= 1;
        self.tally.resets += 1;
        Ok(Seen::Foreign)
    }

    /// Junk may be a datagram to a closed port, which any host says so of.
    fn closed_port(&mut self, packet: &Packet<'_>) -> Result<Seen, Fault> {
        if !packet.upper_layer_sum().verifies() {
            return Err(Fault::Checksum);
        }
        if self.tally.junk_replies >= self.tally.junk {
            return Err(Fault::Unasked);
        }
        self.tally.junk_replies += 1;
        Ok(Seen::Done)
    }

    fn neighbour(&mut self, frame: &[u8]) -> Result<Seen, Fault> {
        match neighbour::read(frame) {
            Some(Neighbour::Asked(question)) => {
                self.tally.neighbours += 1;
                Ok(Seen::Question(question))
            }
            Some(Neighbour::Responder(_)) => Ok(Seen::Done),
            None => Err(Fault::Malformed),
        }
    }

    /// Sends the answers whose time has come.
    #[inline]
    fn release(&mut self, now: u64) {
        while OUT - self.out.len() > 3 * ASK {
            let Some(Waiting { frame, wanted }) = self.wheel.take(now) else { return };
            self.send_answer(&wanted, frame, now);
        }
    }

    /// Sends up to `count` requests, as far as they are due.
    #[inline]
    fn ask(&mut self, load: Load, pace: &mut Pace, count: u64, now: u64) {
        for _ in 0..count {
            let intended = match load {
                Load::Closed { window } if self.ledger.outstanding() >= window => return,
                Load::Closed { .. } => now,
                Load::Open { .. } => match pace.due(now) {
                    Some(intended) => intended,
                    None => return,
                },
            };
            // A request may be followed by a ping and by junk.
            if OUT - self.out.len() < 3 {
                return;
            }
            let Some(mut mbuf) = self.fresh() else { return };
            let Some(wanted) = self.begin(intended, now) else {
                self.tally.blocked += 1;
                return self.keep(mbuf);
            };
            if let Some(len) = self.requests.write(&wanted, mbuf.room_mut())
                && mbuf.set_len(len).is_ok()
            {
                mbuf.reset_offloads();
                drop(self.out.push(mbuf));
                self.tally.asked += 1;
            }
            pace.advance();
            if self.ping.comes() {
                self.besides(|extras| extras.ping(), |tally| &mut tally.pings);
            }
            if self.junk.comes() {
                self.besides(|extras| extras.junk(), |tally| &mut tally.junk);
            }
        }
    }

    /// Begins the next transaction that has a place.
    #[inline]
    fn begin(&mut self, intended: u64, now: u64) -> Option<Transaction> {
        for _ in 0..TRIES {
            let number = self.number;
            self.number += 1;
            if let Some(wanted) = self.ledger.begin(number, intended, now) {
                return Some(wanted);
            }
        }
        None
    }

    /// Sends a frame that was made beforehand.
    fn besides(
        &mut self,
        frame: impl Fn(&mut Extras) -> &[u8],
        counter: impl Fn(&mut Tally) -> &mut u64,
    ) {
        let Some(mut mbuf) = self.fresh() else { return };
        if mbuf.write(frame(&mut self.extras)).is_ok() {
            mbuf.reset_offloads();
            drop(self.out.push(mbuf));
            *counter(&mut self.tally) += 1;
        }
    }

    #[inline]
    fn push(&mut self, mut mbuf: Mbuf) {
        mbuf.reset_offloads();
        // A turn receives only when there is room for all its answers.
        drop(self.out.push(mbuf));
    }

    /// Hands what was collected to the port; what it does not take waits for the next turn.
    #[inline]
    fn flush(&mut self) -> usize {
        if self.out.is_empty() {
            return 0;
        }
        let sent = self.parts.tx.send(&mut self.out);
        if !self.out.is_empty() {
            self.tally.held_up += 1;
        }
        sent
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

    /// The window that began when `before` was counted, and lasted `ticks`.
    pub(crate) fn window(&mut self, ticks: u64, before: &Tally, sample: Sample) -> Window {
        let grown = |count: fn(&Tally) -> u64| count(&self.tally) - count(before);
        let responder = self.sample().since(sample);
        // It can't be busy for longer than the window, but for the turn at its begin: that was interrupted.
        let interrupted = responder.busy_ticks > ticks + clock_ticks(self.parts.hz, AWAY_NS);
        Window {
            ticks,
            offered: grown(|tally| tally.asked),
            served: grown(Tally::served),
            lost: grown(Tally::lost),
            generator_busy: std::mem::take(&mut self.window_busy),
            responder,
            generator_away: self.watch.generator_away,
            responder_away: self.watch.responder_away || interrupted,
        }
    }
}

/// Ticks in `ns` nanoseconds.
#[must_use]
pub fn clock_ticks(hz: u64, ns: u64) -> u64 {
    u64::try_from(u128::from(ns) * u128::from(hz) / 1_000_000_000).unwrap_or(u64::MAX)
}

fn is_reset(packet: &Packet<'_>) -> bool {
    tcp::Header::ref_from_prefix(packet.payload)
        .is_ok_and(|(header, _)| header.flags & tcp::flag::RST != 0)
}
