//! The engine over the frames of a capture file, as a worker would lead them through it: for debugging and for tests.
//!
//! What is the worker's is the worker's here: the engine, the network and the policy of a configuration, the neighbours that the
//! control thread remembers, the frames that wait for one, the counters. What differs is what a file differs in:
//!
//! - the clock is the file's: times between frames, and so round-trip times and time-outs, are those of the capture;
//! - frames with the same time, of one interface, are a receive burst;
//! - nobody is asked for a hardware address, for nobody would answer: neighbours are learned when the file's frames tell, or told
//!   before, and known from the next burst on, for as long as nothing else is told; so no router is found to be silent either;
//! - a transmit queue has room for all, and there is no kernel to pass frames to: they are counted as if it took them.
//!
//! The loop around the engine is not shared with [`worker`](crate::worker): that one is made of receive queues, mbufs and what it takes to
//! send a burst as it lies, none of which is here.

pub mod input;
mod output;
mod find;
mod command;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use otherhalf_engine::frame::LEAST_ROOM;
use otherhalf_engine::neighbour::Neighbours;
use otherhalf_engine::{
    BURST, Claim, Clock, Engine, Fate, Frame, NextHop, Notice, Outcome, PortId, Verdict,
};
use otherhalf_pending::{Settings, Sweep, Table};
use otherhalf_policy::limiter::{self, Limiter, Moment};
use otherhalf_wire::ethernet::Mac;

use crate::config::{self, Config};
use crate::held::{Held, Waiting};
use crate::lists::{self, Lists};
use crate::neighbours::Cache;
use crate::setup::{HOLD_MS, frame_room};
use crate::shared::Snapshot;
use crate::stats::{Totals, WorkerStats};

pub use command::{Arguments, Error as ReplayError, Replayed};

/// A tick is a nanosecond, as in the files.
const TICKS_PER_SECOND: u64 = 1_000_000_000;
/// When the first frame comes, in ticks: the engine's budgets are full after some time, as they are in a process that runs.
const BEGINNING: u64 = 1 << 40;
/// The pending table is swept as often as its 48-bit times need it (see `otherhalf_pending`), and more.
const SWEEP_TICKS: u64 = 1 << 46;
/// The limits of requesters are swept as often.
const RATE_SWEEP_TICKS: u64 = 30 * TICKS_PER_SECOND;

/// The secret where the configuration has none: any will do, as long as it is always the same.
pub const SECRET: [u64; 2] = [0x6f74_6865_7268_616c, 0x6664_2072_6570_6c61];

/// A frame that would have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent<'a> {
    /// By which port.
    pub port: PortId,
    /// Its octets.
    pub octets: &'a [u8],
    /// What the frame that caused it counts as; none of a RST, which is sent besides.
    pub outcome: Option<Outcome>,
}

/// Why there is nothing to replay with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ports' hardware addresses are no stations', or the configuration does not fit them.
    #[error(transparent)]
    Config(#[from] config::Invalid),
    /// A list of prefixes is wrong.
    #[error(transparent)]
    Lists(#[from] lists::Error),
    /// The pending table can't be made.
    #[error("the pending table: {0}")]
    Table(#[from] otherhalf_pending::Error),
    /// A clock that the engine does not take.
    #[error("the engine takes no clock of nanoseconds")]
    Clock,
}

/// A responder without ports.
pub struct Replay {
    engine: Engine,
    clock: Clock,
    table: Arc<Table>,
    limiter: Arc<Limiter>,
    snapshot: Snapshot,
    /// As the control thread has them.
    neighbours: Cache,
    held: Held<Vec<u8>>,
    stats: WorkerStats,
    notices: Vec<Notice>,
    /// Buffers, as the mempool has them.
    rooms: Vec<Vec<u8>>,
    room: usize,
    /// The time of the first frame, and of the last, in nanoseconds since 1970.
    first_ns: Option<u64>,
    last_ns: u64,
    /// Frames that are older than one before them.
    turned_back: u64,
    /// When the table was last swept, in ticks.
    swept: u64,
    /// When the limits of requesters were, in ticks.
    rates_swept: u64,
    rate_sweep: limiter::Sweep,
    /// What the neighbours' clock showed at the beginning.
    began: Instant,
}

impl Replay {
    /// Made of `config`, for ports with the hardware addresses `macs`.
    pub fn new(config: &Config, macs: &[Mac]) -> Result<Self, Error> {
        let network = config.network(macs)?;
        let clock = Clock::new(TICKS_PER_SECOND).ok_or(Error::Clock)?;
        let table = Arc::new(Table::new(Settings {
            entries: config.pending.entries,
            timeout_ticks: clock.ticks_in_ms(config.pending.timeout_ms),
            secret: config.pending.secret.map_or(SECRET, |secret| secret.0),
        })?);
        let limiter = Arc::new(Limiter::new(config.rate.lines, Moment::at_ns(clock.ns(BEGINNING))));
        let began = Instant::now();
        let room = frame_room(config).max(LEAST_ROOM);
        Ok(Self {
            engine: Engine::new(Arc::clone(&table), clock).limited_by(Arc::clone(&limiter)),
            clock,
            table,
            limiter,
            neighbours: Cache::new(
                config.neighbours.entries,
                config.neighbours.reachable(),
                network.routers(),
                began,
            ),
            snapshot: Snapshot {
                network,
                neighbours: Neighbours::default(),
                policy: Lists::load(config)?.policy(config)?,
            },
            held: Held::new(clock.ticks_in_ms(HOLD_MS)),
            stats: WorkerStats::default(),
            notices: Vec::new(),
            rooms: vec![vec![0; room]; BURST],
            room,
            first_ns: None,
            last_ns: 0,
            turned_back: 0,
            swept: BEGINNING,
            rates_swept: BEGINNING,
            rate_sweep: limiter::Sweep::since(clock.ns(BEGINNING)),
            began,
        })
    }

    /// Lets `neighbour` be known from the beginning.
    pub fn know(&mut self, neighbour: NextHop, mac: Mac) {
        let heard =
            Notice::Heard { neighbour, mac: Some(mac), claim: Claim::Asked, overrides: true };
        self.neighbours.note(heard, self.began);
        self.take_up_neighbours();
    }

    /// Frames that were older than one before them: they were taken for as old as that.
    #[must_use]
    pub const fn turned_back(&self) -> u64 {
        self.turned_back
    }

    /// Leads `frames`, a burst at most, through the engine, which came in by `port` so many nanoseconds after 1970; `send` is handed what
    /// goes out. Its error ends it.
    pub fn pass<E>(
        &mut self,
        at_ns: u64,
        port: PortId,
        frames: &[&[u8]],
        send: &mut impl FnMut(Sent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let now = self.advance(at_ns, frames.len());
        while self.held.pop_overdue(now).is_some() {
            self.stats.count(Outcome::DropNeighbourUnresolved);
        }
        for burst in frames.chunks(BURST) {
            self.stats.received.add(burst.len() as u64);
            for (room, frame) in self.rooms.iter_mut().zip(burst) {
                // The engine sees by its length that one does not fit.
                let len = frame.len().min(room.len());
                room[..len].copy_from_slice(&frame[..len]);
            }
            let lens: ArrayVec<usize, BURST> = burst.iter().map(|frame| frame.len()).collect();
            self.lead(now, now, port, &lens, send)?;
        }
        if self.take_up_neighbours() {
            self.offer_again(now, send)?;
        }
        Ok(())
    }

    /// The end of the file: what waits, waits in vain. The counters.
    #[must_use]
    pub fn end(mut self) -> Totals {
        while self.held.pop().is_some() {
            self.stats.count(Outcome::DropStopped);
        }
        let swept = self.table.sweep(&mut Sweep::new(), usize::MAX, self.ticks(self.last_ns));
        Totals {
            neighbours_refused: self.neighbours.refused(),
            pending: swept.map_or(0, |seen| seen.live),
            ..Totals::of([&self.stats])
        }
    }

    /// The frames in the buffers, which are `lens` octets long, received at `since`.
    fn lead<E>(
        &mut self,
        now: u64,
        since: u64,
        port: PortId,
        lens: &[usize],
        send: &mut impl FnMut(Sent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut fates: ArrayVec<Option<Fate>, BURST> = lens.iter().map(|_| None).collect();
        let waited = now.wrapping_sub(since);
        let mut frames: ArrayVec<Frame<'_>, BURST> = ArrayVec::new();
        frames.extend(self.rooms.iter_mut().zip(lens).map(|(room, len)| {
            Frame::new(room, *len, port).unwrap_or_else(|| Frame::unfit(port)).having_waited(waited)
        }));
        self.engine.process(&self.snapshot.view(), now, &mut frames, |place, fate| {
            if let Some(known) = fates.get_mut(place) {
                *known = Some(fate);
            }
        });
        let lens: ArrayVec<usize, BURST> = frames.iter().map(Frame::len).collect();
        drop(frames);
        for (place, (fate, len)) in fates.into_iter().zip(lens).enumerate() {
            if let Some(fate) = fate {
                self.act(place, len, fate, port, since, send)?;
            }
        }
        Ok(())
    }

    /// Does what the engine said of the frame at `place`, as the worker does.
    fn act<E>(
        &mut self,
        place: usize,
        len: usize,
        fate: Fate,
        port: PortId,
        since: u64,
        send: &mut impl FnMut(Sent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Fate { verdict, outcome, notice } = fate;
        let (to, reset) = match verdict {
            Verdict::Send(to) => (to, None),
            Verdict::SendAndReset(to, reset) => (to, Some(reset)),
            Verdict::Drop => {
                self.notices.extend(notice);
                self.stats.count(outcome);
                return Ok(());
            }
            Verdict::Kernel => {
                self.notices.extend(notice);
                self.stats.kernel_told.add((outcome != Outcome::KernelPassed).into());
                self.stats.count(outcome);
                return Ok(());
            }
            Verdict::Hold => {
                let mut frame = std::mem::replace(&mut self.rooms[place], vec![0; self.room]);
                frame.truncate(len);
                match self.held.push(frame, port, since) {
                    // Nobody is wanted for the sake of a frame that does not wait.
                    Ok(()) => self.notices.extend(notice),
                    Err(_) => self.stats.count(Outcome::DropHoldFull),
                }
                return Ok(());
            }
        };
        self.notices.extend(notice);
        let octets = self.rooms[place].get(..len).unwrap_or_default();
        send(Sent { port: to, octets, outcome: Some(outcome) })?;
        self.stats.count(outcome);
        if let Some(reset) = reset {
            let mut room = [0; LEAST_ROOM];
            match reset.emit(&mut room).and_then(|len| room.get(..len)) {
                Some(octets) => {
                    send(Sent { port: reset.port(), octets, outcome: None })?;
                    self.stats.resets_sent.add(1);
                }
                None => self.stats.own_dropped.add(1),
            }
        }
        Ok(())
    }

    /// Offers what waits to the engine again, the oldest first: neighbours have changed.
    fn offer_again<E>(
        &mut self,
        now: u64,
        send: &mut impl FnMut(Sent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for _ in 0..self.held.len() {
            let Some(Waiting { mut frame, port, since }) = self.held.pop() else { break };
            let len = frame.len();
            frame.resize(self.room, 0);
            self.rooms[0] = frame;
            self.lead(now, since, port, &[len], send)?;
        }
        Ok(())
    }

    /// Has the neighbours that were heard of known; says whether any changed.
    fn take_up_neighbours(&mut self) -> bool {
        // As old as they ever get: they are not asked for again.
        for notice in std::mem::take(&mut self.notices) {
            self.neighbours.note(notice, self.began);
        }
        let changed = self.neighbours.changes();
        if let Some(neighbours) = changed {
            self.snapshot.neighbours = neighbours;
            return true;
        }
        false
    }

    /// The time in ticks when `frames` come; the clock never goes back.
    fn advance(&mut self, at_ns: u64, frames: usize) -> u64 {
        let last = self.ticks(self.last_ns);
        if self.first_ns.is_none() {
            (self.first_ns, self.last_ns) = (Some(at_ns), at_ns);
        }
        if at_ns < self.last_ns {
            self.turned_back += frames as u64;
        }
        self.last_ns = self.last_ns.max(at_ns);
        let now = self.ticks(self.last_ns);
        self.sweep_rates(now);
        if now.wrapping_sub(self.swept) >= SWEEP_TICKS {
            // After years of silence all is as old as after days, and 48 bits know days.
            self.table.sweep(&mut Sweep::new(), usize::MAX, now.min(last + 2 * SWEEP_TICKS));
            self.swept = now;
        }
        now
    }

    /// Keeps limits that nobody reaches from looking spent, as the control thread does.
    fn sweep_rates(&mut self, now: u64) {
        if now.wrapping_sub(self.rates_swept) >= RATE_SWEEP_TICKS {
            let rates = self.snapshot.policy.rate.as_ref().map(|limit| &limit.rates);
            let now_ns = self.clock.ns(now);
            let _ = self.limiter.tend(&mut self.rate_sweep, usize::MAX, rates, now_ns);
            self.rates_swept = now;
        }
    }

    /// The clock at `at_ns`, in ticks.
    fn ticks(&self, at_ns: u64) -> u64 {
        let since = Duration::from_nanos(at_ns.saturating_sub(self.first_ns.unwrap_or(at_ns)));
        BEGINNING.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}
