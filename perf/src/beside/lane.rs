//! A lane: one port of the generator with one peer behind it, and the lean closed loop over it.
//!
//! The frames that are under way go round: what comes back is checked and becomes, in its place, what is
//! sent next. Nothing is kept of what was asked, so the loop costs little beside the port.

use std::time::Duration;

use dpdk::{Burst, Mbuf, Mempool, RxQueue, TxQueue, tsc};
use otherhalf_wire::ethernet::Mac;
use serde::Serialize;

use crate::beside::frames::{Fault, Faults, Frames, Load, ROOM, Turned};
use crate::generator::clock_ticks;
use crate::neighbour::{self, Neighbour};
use crate::window::{AWAY_NS, Watch};

/// Frames received in a turn.
pub(crate) const RECEIVE: usize = 64;
/// So many frames before its turn a frame is fetched into the cache.
const AHEAD: usize = 8;
/// The length of a window in which is looked whether a thread was away.
const WINDOW_NS: u64 = 500_000;
/// After such a silence what was under way is lost. A thread may be away from its core for milliseconds.
const SILENCE_NS: u64 = 100_000_000;
/// A port that takes nothing for so long has no reader; what it was to take is freed.
const STUCK_NS: u64 = 20_000_000;
/// How often a peer is asked before it answers.
const ASK_NS: u64 = 50_000_000;

/// A port with a peer behind it.
#[derive(Debug)]
pub(crate) struct Lane {
    rx: RxQueue,
    tx: TxQueue,
    pool: Mempool,
    own: Mac,
    hz: u64,
    frames: Frames,
    /// Questions that were given up, of which a late frame may still come.
    missing: u64,
}

/// What a slice of time is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    /// What is asked.
    pub(crate) load: Load,
    /// Questions under way.
    pub(crate) window: usize,
    /// Before it counts: the peer's caches warm up.
    pub(crate) warm_up: Duration,
    /// While it counts.
    pub(crate) time: Duration,
    /// Whether the kernel is on the way: then no window is unclean, for its own work is longer than a window may be interrupted.
    pub(crate) kernel: bool,
}

/// What was seen in a slice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Seen {
    /// Frames a second that the peer received, answered, and that came back right.
    pub(crate) packets_per_s: f64,
    /// Whole exchanges a second.
    pub(crate) answered_per_s: f64,
    /// The share of the time in which the generator had something to do.
    pub(crate) generator_busy: f64,
    /// Frames received in a turn in which there were any.
    pub(crate) frames_per_turn: f64,
    /// The share of windows in which no thread was away.
    pub(crate) clean: f64,
    /// Whole exchanges of all the slice.
    pub(crate) answered: u64,
    /// Frames of the peer that were not what they had to be.
    pub(crate) wrong: u64,
    /// Which check they failed.
    pub(crate) faults: Faults,
    /// Frames for questions that had been given up, in this slice or one before: lost there, and no fault.
    pub(crate) late: u64,
    /// Frames verified to the last checksum.
    pub(crate) thorough: u64,
    /// Frames that did not come back in time.
    pub(crate) lost: u64,
}

/// Counts of a window, or of several.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    windows: u32,
    ticks: u64,
    busy: u64,
    turns: u64,
    packets: u64,
    answered: u64,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.windows += other.windows;
        self.ticks += other.ticks;
        self.busy += other.busy;
        self.turns += other.turns;
        self.packets += other.packets;
        self.answered += other.answered;
    }
}

/// The state of the loop.
struct Loop {
    burst: Burst<RECEIVE>,
    under_way: usize,
    last_heard: u64,
    window: Sum,
    faults: Faults,
    late: u64,
    lost: u64,
}

impl Lane {
    pub(crate) fn new(rx: RxQueue, tx: TxQueue, pool: Mempool, own: Mac, hz: u64) -> Self {
        // Who does not ask takes what is for any station.
        let frames = Frames::new(own, Mac([2, 0, 0, 0, 0, 0x0c]));
        Self { rx, tx, pool, own, hz, frames, missing: 0 }
    }

    /// Frees what may still come, and the queues.
    pub(crate) fn discard(mut self) {
        let mut burst = Burst::<RECEIVE>::new();
        while self.rx.receive(&mut burst) > 0 {
            burst.clear();
        }
    }

    fn ticks(&self, ns: u64) -> u64 {
        clock_ticks(self.hz, ns)
    }

    /// Asks the peer until it answers, and hears out what it was asked besides; `resolve`: for its hardware address
    /// first. False if it did not within `time`.
    pub(crate) fn greet(&mut self, load: Load, resolve: bool, time: Duration) -> bool {
        let (start, every) = (tsc(), self.ticks(ASK_NS));
        let limit = self.ticks(nanos(time));
        let mut resolved = !resolve;
        self.frames.begin(load);
        let mut asked = None;
        // When it last sent something, since it answered: one that was slow to start was asked more than once.
        let mut heard = None;
        while tsc().wrapping_sub(start) < limit {
            if heard.is_some_and(|heard| tsc().wrapping_sub(heard) > every) {
                return true;
            }
            if heard.is_none() && asked.is_none_or(|asked| tsc().wrapping_sub(asked) > every) {
                asked = Some(tsc());
                if let Some(mut mbuf) = self.pool.alloc() {
                    let own = self.own;
                    let len = if resolved {
                        self.missing += 1;
                        mbuf.room_mut().first_chunk_mut().map(|room| self.frames.ask(room))
                    } else {
                        neighbour::question(own, mbuf.room_mut())
                    };
                    if len.is_some_and(|len| mbuf.set_len(len).is_ok()) {
                        self.send(mbuf);
                    }
                }
            }
            let mut burst = Burst::<RECEIVE>::new();
            if self.rx.receive(&mut burst) > 0 && heard.is_some() {
                heard = Some(tsc());
            }
            for mut mbuf in burst.drain() {
                match neighbour::read(mbuf.data()) {
                    Some(Neighbour::Responder(mac)) if !resolved => {
                        self.frames = Frames::new(self.own, mac);
                        self.frames.begin(load);
                        (resolved, asked) = (true, None);
                    }
                    Some(Neighbour::Asked(question)) => {
                        let len = neighbour::answer(self.own, question, mbuf.room_mut());
                        if len.is_some_and(|len| mbuf.set_len(len).is_ok()) {
                            self.send(mbuf);
                        }
                    }
                    _ if resolved => {
                        let len = mbuf.data().len();
                        let room = mbuf.room_mut().first_chunk_mut();
                        let turned = room.map(|room| self.frames.turn(room, len));
                        if matches!(turned, Some(Turned::Whole(_) | Turned::Half(_))) {
                            self.missing = self.missing.saturating_sub(1);
                            heard = Some(tsc());
                        }
                    }
                    _ => {}
                }
            }
        }
        heard.is_some()
    }

    fn send(&mut self, mut mbuf: Mbuf) {
        mbuf.reset_offloads();
        let mut burst = Burst::<1>::new();
        drop(burst.push(mbuf));
        self.tx.send(&mut burst);
    }

    /// Does `slice`.
    pub(crate) fn run(&mut self, slice: &Slice) -> Seen {
        let thorough = self.frames.thorough;
        self.frames.begin(slice.load);
        let (window, away) = (self.ticks(WINDOW_NS), self.ticks(AWAY_NS));
        let start = tsc();
        let counts = start + self.ticks(nanos(slice.warm_up));
        let end = counts + self.ticks(nanos(slice.time));
        let mut watch = Watch::new(away, start);
        let mut state = Loop {
            burst: Burst::new(),
            under_way: 0,
            last_heard: start,
            window: Sum::default(),
            faults: Faults::default(),
            late: 0,
            lost: 0,
        };
        let (mut all, mut clean) = (Sum::default(), Sum::default());
        let mut begun = start;
        loop {
            let now = self.turn(&mut state, &mut watch, slice);
            if now - begun < window {
                continue;
            }
            let seen = std::mem::take(&mut state.window);
            let seen = Sum { windows: 1, ticks: now - begun, ..seen };
            if begun >= counts {
                all.add(&seen);
                if slice.kernel || !(watch.generator_away || watch.silent) {
                    clean.add(&seen);
                }
            }
            watch.next_window(now);
            begun = now;
            if now >= end {
                break;
            }
        }
        self.come_to_rest(&mut state);
        let per_s = |count: u64, of: &Sum| count as f64 * self.hz as f64 / of.ticks.max(1) as f64;
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let of = if clean.windows > 0 { clean } else { all };
        Seen {
            packets_per_s: per_s(of.packets, &of),
            answered_per_s: per_s(of.answered, &of),
            generator_busy: share(of.busy as f64, of.ticks as f64),
            frames_per_turn: share(of.packets as f64, of.turns as f64),
            clean: share(clean.windows.into(), all.windows.into()),
            answered: all.answered,
            wrong: state.faults.total(),
            faults: state.faults,
            late: state.late,
            thorough: self.frames.thorough - thorough,
            lost: state.lost,
        }
    }

    /// One turn: receives, checks, sends on. Returns the time at which it began.
    #[inline]
    fn turn(&mut self, state: &mut Loop, watch: &mut Watch, slice: &Slice) -> u64 {
        let begun = tsc();
        let received = self.rx.receive(&mut state.burst);
        let now = tsc();
        watch.turn(received > 0 || state.under_way == 0, now);
        if received > 0 {
            state.last_heard = now;
            state.window.turns += 1;
            self.turn_round(state);
        } else if state.under_way > 0 && now - state.last_heard > self.ticks(SILENCE_NS) {
            self.give_up(state);
            self.frames.begin(slice.load);
        }
        while state.under_way < slice.window
            && !state.burst.is_full()
            && let Some(mbuf) = self.question()
        {
            drop(state.burst.push(mbuf));
            state.under_way += 1;
        }
        if !state.burst.is_empty() {
            self.flush(state, now);
        }
        if received > 0 {
            state.window.busy += tsc().wrapping_sub(begun);
        }
        now
    }

    fn question(&mut self) -> Option<Mbuf> {
        let mut mbuf = self.pool.alloc()?;
        let len = self.frames.ask(mbuf.room_mut().first_chunk_mut()?);
        mbuf.set_len(len).ok()?;
        Some(mbuf)
    }

    /// Makes of each frame what is sent next; frees those of which nothing is.
    #[inline]
    fn turn_round(&mut self, state: &mut Loop) {
        // Another core wrote them: each is asked for some frames before it is needed.
        for mbuf in state.burst.as_slice().iter().take(AHEAD) {
            fetch(mbuf);
        }
        let mut at = 0;
        loop {
            if let Some(later) = state.burst.as_slice().get(at + AHEAD) {
                fetch(later);
            }
            let Some(mbuf) = state.burst.as_mut_slice().get_mut(at) else { return };
            let len = mbuf.data().len();
            let turned = match mbuf.room_mut().first_chunk_mut::<ROOM>() {
                Some(room) => self.frames.turn(room, len),
                None => Turned::Wrong(Fault::Length),
            };
            let next = match turned {
                Turned::Whole(len) => {
                    state.window.packets += 1;
                    state.window.answered += 1;
                    Some(len)
                }
                Turned::Half(len) => {
                    state.window.packets += 1;
                    Some(len)
                }
                Turned::Other => match neighbour::read(mbuf.data()) {
                    Some(Neighbour::Asked(question)) => {
                        neighbour::answer(self.own, question, mbuf.room_mut())
                    }
                    _ => None,
                },
                Turned::Late => {
                    note_late(&mut self.missing, &mut state.late, &mut state.faults);
                    None
                }
                Turned::Wrong(fault) => {
                    state.faults.note(fault);
                    state.under_way = state.under_way.saturating_sub(1);
                    None
                }
            };
            if next.is_some_and(|len| mbuf.set_len(len).is_ok()) {
                mbuf.reset_offloads();
                at += 1;
            } else {
                drop(state.burst.swap_remove(at));
            }
        }
    }

    /// Sends all, however often that takes.
    #[inline]
    fn flush(&mut self, state: &mut Loop, now: u64) {
        let limit = self.ticks(STUCK_NS);
        while !state.burst.is_empty() {
            if self.tx.send(&mut state.burst) == 0 && tsc().wrapping_sub(now) > limit {
                state.lost += state.burst.len() as u64;
                state.under_way = state.under_way.saturating_sub(state.burst.len());
                state.burst.clear();
            }
        }
    }

    /// Asks no more, and hears out what is under way.
    fn come_to_rest(&mut self, state: &mut Loop) {
        let mut last = tsc();
        while state.under_way > 0 && tsc().wrapping_sub(last) < self.ticks(SILENCE_NS) {
            if self.rx.receive(&mut state.burst) > 0 {
                last = tsc();
                self.hear(state);
            }
        }
        self.give_up(state);
    }

    /// Checks each frame, and frees it.
    fn hear(&mut self, state: &mut Loop) {
        for mut mbuf in state.burst.drain() {
            let len = mbuf.data().len();
            let turned = mbuf.room_mut().first_chunk_mut().map(|room| self.frames.turn(room, len));
            match turned.unwrap_or(Turned::Wrong(Fault::Length)) {
                Turned::Whole(_) | Turned::Half(_) => {}
                Turned::Other => continue,
                Turned::Late => {
                    note_late(&mut self.missing, &mut state.late, &mut state.faults);
                    continue;
                }
                Turned::Wrong(fault) => state.faults.note(fault),
            }
            state.under_way = state.under_way.saturating_sub(1);
        }
    }

    /// What is under way is lost; should it come all the same, it is late.
    fn give_up(&mut self, state: &mut Loop) {
        state.lost += state.under_way as u64;
        self.missing += state.under_way as u64;
        state.under_way = 0;
    }
}

/// A frame for a question of an earlier round came: late, if one is missing.
fn note_late(missing: &mut u64, late: &mut u64, faults: &mut Faults) {
    match missing.checked_sub(1) {
        Some(left) => {
            *missing = left;
            *late += 1;
        }
        None => faults.note(Fault::Unasked),
    }
}

/// Asks for the first octets of a frame, without waiting for them.
#[inline]
fn fetch(mbuf: &Mbuf) {
    if let Some(first) = mbuf.data().first() {
        dpdk::prefetch(first);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
