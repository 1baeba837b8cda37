//! The variants: what a burst of frames is led through.

use std::sync::Arc;

use anyhow::Context;
use arrayvec::ArrayVec;
use otherhalf_engine::{
    Clock, Counters, Engine, Frame, Interface, InterfaceId, Neighbours, Network, NextHop, Outcome,
    Policy, PortId, StaticRoute, View,
};
use otherhalf_pending::Table;

use crate::traffic::{BURST, OWN_MAC, OWN_V4, OWN_V6, ROUTER_MAC, Rooms};
use crate::yardstick::{Floor, Prefetching, Yardstick, buckets};
pub use crate::yardstick::{FloorVariant, Settings};

/// Which variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `crates/engine`.
    Engine,
    /// The very same work in C.
    Yardstick,
    /// Far less work in C.
    Floor(FloorVariant),
}

/// A variant, ready to work.
#[derive(Debug)]
pub struct Path(Which);

#[derive(Debug)]
enum Which {
    Engine(Box<Responder>),
    Yardstick(Yardstick),
    Floor(Floor),
}

impl Path {
    /// Makes a variant with a table of its own.
    ///
    /// # Errors
    /// Memory that is refused.
    pub fn new(kind: Kind, settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self(match kind {
            Kind::Engine => Which::Engine(Box::new(Responder::new(settings)?)),
            Kind::Yardstick => Which::Yardstick(Yardstick::new(settings)?),
            Kind::Floor(variant) => Which::Floor(Floor::new(variant)?),
        }))
    }

    /// Leads the burst in `rooms` through, at the time `now`.
    #[inline]
    pub fn process(&mut self, now: u64, rooms: &mut Rooms) {
        match &mut self.0 {
            Which::Engine(responder) => responder.process(now, rooms),
            Which::Yardstick(yardstick) => yardstick.process(now, rooms),
            Which::Floor(floor) => floor.process(now, rooms),
        }
    }

    /// Makes what the requests in `rooms` ask for pending, whatever the variant is for.
    pub fn fill(&mut self, now: u64, rooms: &mut Rooms) {
        match &mut self.0 {
            Which::Floor(floor) => floor.insert(now, rooms),
            _ => self.process(now, rooms),
        }
    }

    /// Probes and responses that were written; `None` for a variant that writes neither.
    #[must_use]
    pub fn answered(&self) -> Option<u64> {
        match &self.0 {
            Which::Engine(responder) => Some(responder.answered()),
            Which::Yardstick(yardstick) => Some(yardstick.answered()),
            Which::Floor(_) => None,
        }
    }
}

/// The engine, and what a worker keeps for it.
#[derive(Debug)]
struct Responder {
    engine: Engine<Prefetching>,
    network: Network,
    neighbours: Neighbours,
    policy: Policy,
    counters: Counters,
}

impl Responder {
    fn new(settings: &Settings) -> anyhow::Result<Self> {
        let entries = usize::try_from(settings.entries)?;
        let memory = buckets(Table::buckets_for(entries)?)?;
        let table = Table::new_in(
            memory,
            otherhalf_pending::Settings {
                entries,
                timeout_ticks: settings.timeout_ticks,
                secret: settings.secret,
            },
        )?;
        let clock = Clock::new(settings.hz).context("a clock of less than 1 kHz")?;
        let interface = Interface {
            port: PortId(0),
            vlan: None,
            mac: OWN_MAC,
            addresses: vec![format!("{OWN_V4}/24").parse()?, format!("{OWN_V6}/64").parse()?],
        };
        let gateways = ["192.0.2.1".parse()?, "2001:db8::1".parse()?];
        let routes = [("0.0.0.0/0", gateways[0]), ("::/0", gateways[1])];
        let mut all = Vec::new();
        for (to, via) in routes {
            all.push(StaticRoute { to: to.parse()?, via, interface: None });
        }
        let hop = |address| NextHop { interface: InterfaceId(0), address };
        Ok(Self {
            engine: Engine::new(Arc::new(table), clock),
            network: Network::new(vec![interface], &all)?,
            neighbours: Neighbours::new(gateways.map(|router| (hop(router), ROUTER_MAC))),
            policy: Policy::default(),
            counters: Counters::default(),
        })
    }

    #[inline]
    fn process(&mut self, now: u64, rooms: &mut Rooms) {
        let mut lens = [0; BURST];
        let view =
            View { network: &self.network, neighbours: &self.neighbours, policy: &self.policy };
        let mut frames: ArrayVec<Frame<'_>, BURST> =
            rooms.iter_mut().filter_map(|(room, len)| Frame::new(room, *len, PortId(0))).collect();
        self.engine.process(&view, now, &mut frames, |_, fate| self.counters.count(fate.outcome));
        for (len, frame) in lens.iter_mut().zip(&frames) {
            *len = frame.len();
        }
        drop(frames);
        rooms.lens = lens;
    }

    fn answered(&self) -> u64 {
        [
            Outcome::ProbeIcmp,
            Outcome::ProbeTcp,
            Outcome::ProbeUdp,
            Outcome::ResponseTimeExceeded,
            Outcome::ResponseUnreachable,
        ]
        .map(|outcome| self.counters.get(outcome))
        .iter()
        .sum()
    }
}
