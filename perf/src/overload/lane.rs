//! The lean open loop: it offers requests at a rate whatever comes back, answers probes, and checks every frame.
//!
//! A frame that came back is checked from what stands in it and becomes, in its place, what is sent next. What the port refuses
//! stays as it is and is offered again, so that the load above what the responder takes in costs next to nothing.

use std::time::Duration;

use dpdk::{Burst, Mbuf, Mempool, RxQueue, TxQueue, tsc};
use otherhalf_wire::ethernet::Mac;
use serde::{Deserialize, Serialize};

use crate::beside::frames::{Fault, Faults, Frames, Load, ROOM, Turned};
use crate::generator::{Counters, Parts, clock_ticks};
use crate::neighbour::{self, Neighbour};
use crate::pace::Pace;
use crate::step::mark_away;
use crate::window::{GENERATOR_AWAY_NS, Sample, Watch, Window};
use crate::witness::Witness;

/// Frames received in a turn: as many as the responder sends in one of its own, and as many again.
pub(crate) const RECEIVE: usize = 128;
/// Frames handed to a port together.
const BURST: usize = 64;
/// Requests that are ready to be offered.
const READY: usize = 1024;
/// Requests that are waited for, unless the oldest has been due for [`PATIENCE_NS`]: each look at a port asks the other core for a line.
const RIPE: u64 = 16;
const PATIENCE_NS: u64 = 10_000;
/// The port for answers brings nothing but neighbours' frames: it is looked at in one turn of so many.
const SELDOM: u32 = 64;
/// The length of a window in which is looked whether a thread was away.
const WINDOW_NS: u64 = 500_000;
/// After such a silence nothing more comes of what was asked.
const SILENCE_NS: u64 = 5_000_000;
/// However long it takes, the next slice begins after this.
const PATIENCE_NS_AT_END: u64 = 500_000_000;
/// Both after the last slice: a core may be away for longer, and all that it still sends is to be counted.
const LAST_SILENCE_NS: u64 = 1_000_000_000;
const LAST_PATIENCE_NS: u64 = 20_000_000_000;

/// What a slice of time is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    /// What is asked.
    pub(crate) load: Load,
    /// Requests offered in a second.
    pub(crate) rate: f64,
    /// Before it counts.
    pub(crate) warm_up: Duration,
    /// While it counts.
    pub(crate) time: Duration,
    /// Whether nothing comes after it: then what is late is waited for.
    pub(crate) last: bool,
}

/// Frames that were counted, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that the port took.
    pub requests: u64,
    /// Requests that were due and found the port full.
    pub refused: u64,
    /// Frames that came, were checked, and are the last of what was asked: probes that nobody answers, else responses.
    pub wholes: u64,
    /// Probes that came, were checked, and are to be answered.
    pub halves: u64,
    /// Answers that the port took.
    pub answers: u64,
    /// Answers that found the port full, and are lost.
    pub refused_answers: u64,
    /// Neighbours' questions, and what was said to them.
    pub neighbours: u64,
    /// Frames that came after their slice, and were right for it.
    pub late: u64,
    /// Frames that were not what they had to be.
    pub wrong: u64,
    /// Frames verified to the last checksum.
    pub thorough: u64,
    /// Buffers that were missing.
    pub no_mbuf: u64,
}

impl Counts {
    /// Adds what `other` counted.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.wholes += other.wholes;
        self.halves += other.halves;
        self.answers += other.answers;
        self.refused_answers += other.refused_answers;
        self.neighbours += other.neighbours;
        self.late += other.late;
        self.wrong += other.wrong;
        self.thorough += other.thorough;
        self.no_mbuf += other.no_mbuf;
    }
}

/// What the generator does by itself, at somebody who only frees what comes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alone {
    /// Requests a second that it offered.
    pub offered_per_s: f64,
    /// That were taken.
    pub taken_per_s: f64,
}

/// What was seen in a slice.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// All of it, its end included.
    pub(crate) counts: Counts,
    /// Which checks wrong frames failed.
    pub(crate) faults: Faults,
    /// The part that counts.
    pub(crate) windows: Vec<Window>,
    /// Frames received in a turn in which there were any.
    pub(crate) frames_per_turn: f64,
    /// Whether the generator was away at any time: then the responder may have found no room for what it sent.
    pub(crate) away: bool,
}

/// The generator's ports, and all that it keeps.
pub(crate) struct Lane {
    rx: Vec<RxQueue>,
    tx: Vec<TxQueue>,
    pool: Mempool,
    own: Mac,
    pub(crate) hz: u64,
    frames: Frames,
    counters: Option<Counters>,
    witness: Option<Witness>,
    ready: Burst<READY>,
    going: Burst<BURST>,
    counts: Counts,
    faults: Faults,
    /// Turns in which frames came, and how many did.
    turns: u64,
    frames_heard: u64,
    seldom: u32,
    busy: u64,
}

impl Lane {
    /// Over the ports of `parts`, whose responder is known. Answers go by the last of them.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { rx, tx, mempool, own, responder, hz, counters, witness, .. } = parts;
        Self {
            rx,
            tx,
            pool: mempool,
            own,
            hz,
            frames: Frames::new(own, responder),
            counters,
            witness,
            ready: Burst::new(),
            going: Burst::new(),
            counts: Counts::default(),
            faults: Faults::default(),
            turns: 0,
            frames_heard: 0,
            seldom: 0,
            busy: 0,
        }
    }

    /// The end: gives back the queues by which something may still come.
    pub(crate) fn into_receive_queues(self) -> Vec<RxQueue> {
        self.rx
    }

    fn ticks(&self, ns: u64) -> u64 {
        clock_ticks(self.hz, ns)
    }

    fn sample(&self) -> Sample {
        self.counters.as_ref().map_or_else(Sample::default, |read| read())
    }

    fn waited(&self) -> u64 {
        self.witness.as_ref().map_or(0, Witness::waited_ns)
    }

    /// Does `slice`, and hears out what it left under way.
    pub(crate) fn run(&mut self, slice: &Slice) -> Seen {
        self.counts = Counts::default();
        self.faults = Faults::default();
        (self.turns, self.frames_heard) = (0, 0);
        let thorough = self.frames.thorough;
        // What was not taken belongs to the round before.
        self.ready.clear();
        self.going.clear();
        self.frames.begin(slice.load);
        let length = self.ticks(WINDOW_NS);
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let [warm_up, time] = [slice.warm_up, slice.time].map(|time| self.ticks(nanos(time)));
        let room = usize::try_from((warm_up + time) / length).unwrap_or(0) + 2;
        let mut windows: Vec<Window> = Vec::with_capacity(room);
        let start = tsc();
        let mut pace = Pace::new(start, slice.rate, self.hz);
        let mut watch = Watch::new(self.ticks(GENERATOR_AWAY_NS), start);
        watch.next_step(true, start);
        let (mut begun, mut before, mut sample) = (start, self.counts, self.sample());
        let mut waited = self.waited();
        let mut away = false;
        self.busy = 0;
        loop {
            let now = self.turn(&mut pace, &mut watch);
            if now - begun < length {
                continue;
            }
            let mut window = self.window(begun - start, now - begun, &before, sample);
            window.generator_away = watch.generator_away;
            window.recovering = watch.recovering;
            let more = self.ticks(self.waited().saturating_sub(waited));
            if more > 0 {
                waited = self.waited();
                watch.was_away(more, now);
                window.responder_away = true;
                mark_away(&mut windows, (begun - start).saturating_sub(more));
            }
            away |= watch.generator_away;
            windows.push(window);
            watch.next_window(now);
            (begun, before, sample) = (now, self.counts, self.sample());
            if now - start >= warm_up + time {
                break;
            }
        }
        let frames_per_turn = self.frames_heard as f64 / self.turns.max(1) as f64;
        away |= self.come_to_rest(slice.last, &mut watch);
        self.counts.wrong = self.faults.total();
        self.counts.thorough = self.frames.thorough - thorough;
        windows.retain(|window| window.began >= warm_up);
        Seen { counts: self.counts, faults: self.faults, windows, frames_per_turn, away }
    }

    /// Offers requests as fast as it can for `time`, and listens to nothing.
    pub(crate) fn alone(&mut self, time: Duration) -> Alone {
        self.counts = Counts::default();
        self.frames.begin(Load::Requests);
        let limit = self.ticks(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let start = tsc();
        let mut now = start;
        while now - start < limit {
            self.offer(BURST as u64);
            now = tsc();
        }
        let per_s = |count: u64| count as f64 * self.hz as f64 / (now - start) as f64;
        let Counts { requests, refused, .. } = self.counts;
        Alone { offered_per_s: per_s(requests + refused), taken_per_s: per_s(requests) }
    }

    fn window(&mut self, began: u64, ticks: u64, before: &Counts, sample: Sample) -> Window {
        let grown = |count: fn(&Counts) -> u64| count(&self.counts) - count(before);
        Window {
            began,
            ticks,
            offered: grown(|counts| counts.requests + counts.refused),
            served: grown(|counts| counts.wholes),
            lost: grown(|counts| counts.refused + counts.refused_answers),
            generator_busy: std::mem::take(&mut self.busy),
            responder: self.sample().since(sample),
            ..Window::default()
        }
    }

    /// One turn: receives, answers, offers what is due. Returns the time at which it began.
    #[inline]
    fn turn(&mut self, pace: &mut Pace, watch: &mut Watch) -> u64 {
        let now = tsc();
        let was_away = watch.turn(true, now);
        let due = pace.due_count(now);
        if was_away {
            // None knows whether the port would have taken it.
            pace.skip(due);
        }
        let ripe = due >= RIPE || pace.due(now.saturating_sub(self.ticks(PATIENCE_NS))).is_some();
        let due = if ripe && !was_away { due } else { 0 };
        let taken = self.counts.requests;
        let received = self.hear();
        if due > 0 {
            pace.skip(self.offer(due));
        }
        // Who finds nothing, and the port full, has nothing to do.
        if received > 0 || self.counts.requests > taken {
            self.busy += tsc().wrapping_sub(now);
        }
        now
    }

    /// Offers `due` requests, and returns how many were offered. As nobody else sends by the port, one that is full is so for all that is due
    /// at that moment.
    #[inline]
    fn offer(&mut self, due: u64) -> u64 {
        let mut sent = 0;
        while sent < due {
            let wanted = usize::try_from(due - sent).unwrap_or(BURST).min(BURST);
            while self.going.len() < wanted
                && let Some(request) = self.request()
            {
                drop(self.going.push(request));
            }
            let tried = self.going.len();
            let took = self.tx.first_mut().map_or(0, |port| port.send(&mut self.going));
            sent += took as u64;
            if tried == 0 {
                // What there is no buffer for is not offered.
                self.counts.no_mbuf += due - sent;
                break;
            }
            if took < tried {
                self.counts.refused += due.saturating_sub(sent);
                break;
            }
        }
        self.counts.requests += sent;
        due.max(sent)
    }

    /// A request that is ready, or a new one.
    #[inline]
    fn request(&mut self) -> Option<Mbuf> {
        if let Some(ready) = self.ready.pop() {
            return Some(ready);
        }
        let mut mbuf = self.pool.alloc()?;
        let len = self.frames.ask(mbuf.room_mut().first_chunk_mut()?);
        mbuf.set_len(len).ok()?;
        Some(mbuf)
    }

    /// Takes what came, and sends what is to be said to it; returns how many frames came.
    #[inline]
    fn hear(&mut self) -> usize {
        let mut came = Burst::<RECEIVE>::new();
        if let Some(port) = self.rx.first_mut() {
            port.receive(&mut came);
        }
        self.seldom = if self.seldom < SELDOM { self.seldom + 1 } else { 0 };
        if self.seldom == 0 {
            for port in self.rx.iter_mut().skip(1) {
                port.receive(&mut came);
            }
        }
        let received = came.len();
        if received == 0 {
            return 0;
        }
        self.turns += 1;
        self.frames_heard += received as u64;
        // Another core wrote them: all are asked for before the first is needed.
        for mbuf in &came {
            if let Some(first) = mbuf.data().first() {
                dpdk::prefetch(first);
            }
        }
        let (mut answers, mut freed) = (Burst::<RECEIVE>::new(), Burst::<RECEIVE>::new());
        for mut mbuf in came.drain() {
            let len = mbuf.data().len();
            let turned = match mbuf.room_mut().first_chunk_mut::<ROOM>() {
                Some(room) => self.frames.turn(room, len),
                None => Turned::Wrong(Fault::Length),
            };
            let rest = match turned {
                Turned::Whole(len) => {
                    self.counts.wholes += 1;
                    if prepare(&mut mbuf, len) { self.ready.push(mbuf).err() } else { Some(mbuf) }
                }
                Turned::Half(len) => {
                    self.counts.halves += 1;
                    if prepare(&mut mbuf, len) { answers.push(mbuf).err() } else { Some(mbuf) }
                }
                Turned::Other => self.say_to_neighbour(mbuf),
                Turned::Late => {
                    self.counts.late += 1;
                    Some(mbuf)
                }
                Turned::Wrong(fault) => {
                    self.faults.note(fault);
                    Some(mbuf)
                }
            };
            drop(rest.map(|mbuf| freed.push(mbuf)));
        }
        freed.clear();
        if let Some(port) = self.tx.last_mut() {
            self.counts.answers += port.send(&mut answers) as u64;
            self.counts.refused_answers += answers.len() as u64;
        }
        answers.clear();
        received
    }

    /// Tells a neighbour what it asks for, by the port for requests; gives back a frame of which nothing is sent.
    #[cold]
    fn say_to_neighbour(&mut self, mut mbuf: Mbuf) -> Option<Mbuf> {
        let Some(Neighbour::Asked(question)) = neighbour::read(mbuf.data()) else {
            return Some(mbuf);
        };
        let len = neighbour::answer(self.own, question, mbuf.room_mut());
        if !len.is_some_and(|len| prepare(&mut mbuf, len)) {
            return Some(mbuf);
        }
        let mut burst = Burst::<1>::new();
        drop(burst.push(mbuf));
        self.counts.neighbours += self.tx.first_mut()?.send(&mut burst) as u64;
        None
    }

    /// Offers nothing more, and hears out what is under way; whether the generator was away meanwhile.
    fn come_to_rest(&mut self, last: bool, watch: &mut Watch) -> bool {
        let [silence, patience] = if last {
            [LAST_SILENCE_NS, LAST_PATIENCE_NS]
        } else {
            [SILENCE_NS, PATIENCE_NS_AT_END]
        };
        let [silence, patience] = [silence, patience].map(|ns| self.ticks(ns));
        let start = tsc();
        watch.next_window(start);
        let (mut heard, mut now) = (start, start);
        while now - heard < silence && now - start < patience {
            now = tsc();
            watch.turn(true, now);
            if self.hear() > 0 {
                heard = now;
            }
        }
        watch.generator_away
    }
}

/// Makes a frame of what was written; whether it could be.
#[inline]
fn prepare(mbuf: &mut Mbuf, len: usize) -> bool {
    mbuf.reset_offloads();
    mbuf.set_len(len).is_ok()
}
