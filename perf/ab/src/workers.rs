//! Two workers' engines on one pending table, without I/O.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use arrayvec::ArrayVec;
use otherhalf_engine::frame::LEAST_ROOM;
use otherhalf_engine::{Clock, Counters, Engine, Frame, Neighbours, Network, Policy, PortId, View};
use otherhalf_pending::Table;
use otherhalf_responder::worker::Prefetching;

use crate::lockstep::Work;
use crate::path::{answered, surroundings};
use crate::traffic::{BURST, Traffic};

/// Bursts that are made ready for a slot: of requests, and of answers.
const READY: usize = 24;
/// Bursts that each crowd has pending.
const PENDING: u64 = (1 << 18) / BURST as u64;
/// A worker's crowd of clients begins at such a multiple.
const CROWD: u64 = 1 << 24;

/// Bursts of answers that were made to each crowd. Written by the worker that they reach, which is the one or the
/// other, by slot; a burst is claimed by the addition, and nothing is ordered by it: what is answered was asked
/// many slots ago.
pub type Answered = [AtomicU64; 2];

#[derive(Debug, Clone)]
#[repr(align(64))]
struct Room([u8; 2 * LEAST_ROOM]);

/// Frames of a burst, with their lengths.
type Rooms = Vec<(Room, usize)>;

/// One worker's engine, and its frames.
#[derive(Debug)]
pub struct OneWorker {
    engine: Engine<Prefetching>,
    network: Network,
    neighbours: Neighbours,
    policy: Policy,
    counters: Counters,
    traffic: Traffic,
    answered: Arc<Answered>,
    /// The worker's place: the requests of the crowd of that number reach it.
    index: usize,
    /// Bursts of requests that were made.
    asked: u64,
    /// Whether answers reach the other worker.
    crossed: bool,
    ready: Vec<Rooms>,
    done: usize,
    offered: u64,
}

impl OneWorker {
    /// The worker `index` of two on `table`, its crowd's probes pending.
    ///
    /// # Errors
    /// Frames that cannot be made.
    pub fn new(
        table: Arc<Table<Prefetching>>,
        clock: Clock,
        traffic: Traffic,
        answered: Arc<Answered>,
        index: usize,
        crossed: bool,
    ) -> anyhow::Result<Self> {
        let (network, neighbours) = surroundings()?;
        let room = (Room([0; 2 * LEAST_ROOM]), 0);
        let mut worker = Self {
            engine: Engine::new(table, clock),
            network,
            neighbours,
            policy: Policy::default(),
            counters: Counters::default(),
            traffic,
            answered,
            index,
            asked: 0,
            crossed,
            ready: vec![vec![room; BURST]; 2 * READY],
            done: 2 * READY,
            offered: 0,
        };
        for _ in 0..PENDING {
            worker.request(0).context("a request does not fit")?;
            worker.process(0);
        }
        Ok(worker)
    }

    /// Whether what is right was done with the frames.
    ///
    /// # Errors
    /// More than a hundredth were not answered.
    pub fn check(&self) -> anyhow::Result<()> {
        let answered = answered(&self.counters);
        if answered * 100 < self.offered * 99 {
            let counted: Vec<_> = self.counters.iter().filter(|(_, count)| *count > 0).collect();
            anyhow::bail!("{answered} of {} frames were answered: {counted:?}", self.offered);
        }
        Ok(())
    }

    /// Makes the next burst of requests ready.
    fn request(&mut self, place: usize) -> Option<()> {
        let first = first_client(self.index, self.asked);
        self.asked += 1;
        for (client, (room, len)) in (first..).zip(self.ready.get_mut(place)?) {
            *len = self.traffic.request(client, &mut room.0)?;
        }
        Some(())
    }

    /// Makes the next burst of answers to a crowd ready.
    fn answer(&mut self, place: usize, crowd: usize) -> Option<()> {
        let burst = self.answered.get(crowd)?.fetch_add(1, Ordering::Relaxed);
        let first = first_client(crowd, burst);
        for (client, (room, len)) in (first..).zip(self.ready.get_mut(place)?) {
            *len = self.traffic.answer(client, &mut room.0)?;
        }
        Some(())
    }

    #[inline]
    fn process(&mut self, place: usize) {
        let view =
            View { network: &self.network, neighbours: &self.neighbours, policy: &self.policy };
        let Some(rooms) = self.ready.get_mut(place) else { return };
        let mut frames: ArrayVec<Frame<'_>, BURST> = rooms
            .iter_mut()
            .filter_map(|(room, len)| Frame::new(&mut room.0, *len, PortId(0)))
            .collect();
        let now = dpdk::tsc();
        let counters = &mut self.counters;
        self.engine.process(&view, now, &mut frames, |_, fate| counters.count(fate.outcome));
        self.offered += BURST as u64;
    }
}

impl Work for OneWorker {
    fn prepare(&mut self, alone: bool) {
        // What the last slot was too short for.
        while self.burst() > 0 {}
        let crowd = if self.crossed && !alone { 1 - self.index } else { self.index };
        for place in (0..2 * READY).step_by(2) {
            // Whatever does not fit its room is not answered, which shows.
            let _ = self.request(place);
            let _ = self.answer(place + 1, crowd);
        }
        self.done = 0;
    }

    #[inline]
    fn burst(&mut self) -> u64 {
        if self.done == self.ready.len() {
            return 0;
        }
        self.process(self.done);
        self.done += 1;
        BURST as u64
    }
}

/// The first client of a burst: crowds have none in common.
const fn first_client(crowd: usize, burst: u64) -> u64 {
    crowd as u64 * CROWD + burst % (CROWD / BURST as u64) * BURST as u64
}
