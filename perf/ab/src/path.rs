//! The variants without a port: what a burst of frames is led through.

use std::sync::Arc;

use anyhow::Context;
use arrayvec::ArrayVec;
use dpdk::yardstick::{self, Counter, Piece, Yardstick};
use otherhalf_engine::{
    Clock, Counters, Engine, Frame, Interface, InterfaceId, Neighbours, Network, NextHop, Outcome,
    Policy, PortId, StaticRoute, View,
};
use otherhalf_pending::Table;
use otherhalf_policy::limiter::{Limiter, Moment};
use otherhalf_responder::worker::Prefetching;

use crate::pages::Pages;
use crate::policed::{self, Lists};
use crate::traffic::{BURST, OWN_MAC, OWN_V4, OWN_V6, ROUTER_MAC, Rooms};

/// Lengths of the on-link prefixes.
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;

/// What the table of a variant is to be.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Entries of the table.
    pub entries: u32,
    /// How long they live.
    pub timeout_ticks: u64,
    /// The key of its hash.
    pub secret: [u64; 2],
    /// Ticks a second.
    pub hz: u64,
}

/// Which variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `crates/engine`, without policy.
    Engine,
    /// The same, with all policy of a public responder.
    Policed(Lists),
    /// The very same work in C.
    Yardstick,
}

/// A variant, ready to work.
#[derive(Debug)]
pub struct Path(Which);

#[derive(Debug)]
enum Which {
    Engine(Box<Responder>),
    Yardstick(Yardstick),
}

impl Path {
    /// Makes a variant with a table of its own.
    ///
    /// # Errors
    /// Memory that is refused.
    pub fn new(kind: Kind, settings: &Settings, pages: Pages<'_>) -> anyhow::Result<Self> {
        Ok(Self(match kind {
            Kind::Engine => {
                Which::Engine(Box::new(Responder::new(settings, pages, policed::off(), None)?))
            }
            Kind::Policed(lists) => {
                let (policy, limiter) = policed::policy(lists, pages, Moment::at_ns(0))?;
                Which::Engine(Box::new(Responder::new(settings, pages, policy, Some(limiter))?))
            }
            Kind::Yardstick => Which::Yardstick(yardstick(settings, pages)?),
        }))
    }

    /// Leads the burst in `rooms` through, at the time `now`.
    #[inline]
    pub fn process(&mut self, now: u64, rooms: &mut Rooms) {
        match &mut self.0 {
            Which::Engine(responder) => responder.process(now, rooms),
            Which::Yardstick(yardstick) => {
                let mut frames: ArrayVec<Piece<'_>, BURST> =
                    rooms.iter_mut().filter_map(|(room, len)| Piece::new(room, *len)).collect();
                yardstick.process(now, &mut frames);
                let mut lens = [0; BURST];
                for (len, frame) in lens.iter_mut().zip(&frames) {
                    *len = frame.len();
                }
                drop(frames);
                rooms.lens = lens;
            }
        }
    }

    /// Probes and responses that were written.
    #[must_use]
    pub fn answered(&self) -> u64 {
        match &self.0 {
            Which::Engine(responder) => responder.answered(),
            Which::Yardstick(yardstick) => {
                yardstick.count(Counter::Probes) + yardstick.count(Counter::Responses)
            }
        }
    }
}

/// A yardstick with the addresses of [`traffic`](crate::traffic).
pub(crate) fn yardstick(settings: &Settings, pages: Pages<'_>) -> anyhow::Result<Yardstick> {
    let memory = pages.zeroed(Yardstick::lines_for(settings.entries))?;
    let settings = yardstick::Settings {
        entries: settings.entries,
        timeout_ticks: settings.timeout_ticks,
        secret: settings.secret,
        hz: settings.hz,
        own_mac: OWN_MAC.0,
        router_mac: ROUTER_MAC.0,
        own_v4: (OWN_V4.octets(), PREFIX_V4),
        own_v6: (OWN_V6.octets(), PREFIX_V6),
    };
    Yardstick::new(&settings, memory).context("no memory for the yardstick")
}

/// A pending table of the engine.
///
/// # Errors
/// Memory that is refused.
pub fn table(settings: &Settings, pages: Pages<'_>) -> anyhow::Result<Table<Prefetching>> {
    let Settings { entries, timeout_ticks, secret, .. } = *settings;
    let entries = usize::try_from(entries)?;
    let memory = pages.zeroed(Table::buckets_for(entries)?)?;
    let settings = otherhalf_pending::Settings { entries, timeout_ticks, secret };
    Ok(Table::new_in(memory, settings)?)
}

/// What a worker of the engine goes by, with the addresses of [`traffic`](crate::traffic).
pub(crate) fn surroundings() -> anyhow::Result<(Network, Neighbours)> {
    let interface = Interface {
        port: PortId(0),
        vlan: None,
        mac: OWN_MAC,
        addresses: vec![
            format!("{OWN_V4}/{PREFIX_V4}").parse()?,
            format!("{OWN_V6}/{PREFIX_V6}").parse()?,
        ],
    };
    let gateways = ["192.0.2.1".parse()?, "2001:db8::1".parse()?];
    let routes = [("0.0.0.0/0", gateways[0]), ("::/0", gateways[1])];
    let mut all = Vec::new();
    for (to, via) in routes {
        all.push(StaticRoute { to: to.parse()?, via, interface: None });
    }
    let hop = |address| NextHop { interface: InterfaceId(0), address };
    let network = Network::new(vec![interface], &all)?;
    Ok((network, Neighbours::new(gateways.map(|router| (hop(router), ROUTER_MAC)))))
}

/// `engine`, limited by `limiter` if there is one.
pub(crate) fn limited(
    engine: Engine<Prefetching>,
    limiter: Option<Arc<Limiter>>,
) -> Engine<Prefetching> {
    match limiter {
        Some(limiter) => engine.limited_by(limiter),
        None => engine,
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
    fn new(
        settings: &Settings,
        pages: Pages<'_>,
        policy: Policy,
        limiter: Option<Arc<Limiter>>,
    ) -> anyhow::Result<Self> {
        let table = table(settings, pages)?;
        let clock = Clock::new(settings.hz).context("a clock of less than 1 kHz")?;
        let (network, neighbours) = surroundings()?;
        Ok(Self {
            engine: limited(Engine::new(Arc::new(table), clock), limiter),
            network,
            neighbours,
            policy,
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
        answered(&self.counters)
    }
}

/// Probes and responses of all kinds.
pub(crate) fn answered(counters: &Counters) -> u64 {
    [
        Outcome::ProbeIcmp,
        Outcome::ProbeTcp,
        Outcome::ProbeUdp,
        Outcome::ResponseTimeExceeded,
        Outcome::ResponseUnreachable,
    ]
    .map(|outcome| counters.get(outcome))
    .iter()
    .sum()
}
