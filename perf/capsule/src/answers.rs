//! One of capsule's batches: what the engine makes of each burst.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use capsule::Mbuf;
use capsule::batch::{Batch, Disposition, PacketRx};
use capsule::net::MacAddr;
use otherhalf_engine::frame::LEAST_ROOM;
use otherhalf_engine::policy::{Allowances, Reply};
use otherhalf_engine::{
    BURST, Clock, Engine, Fate, Frame, Neighbours, Network, Outcome, Policy, PortId, ResetFrame,
    Verdict, View,
};
use otherhalf_pending::Table;
use otherhalf_wire::ethernet::Mac;

use crate::config::Config;
use crate::octets::octets_mut;
use crate::tally::Tally;

/// Nanoseconds in a millisecond.
pub(crate) const NS_A_MS: u64 = 1_000_000;

/// The engine is told nanoseconds, for capsule has no clock to offer.
const TICKS_A_SECOND: u64 = 1_000 * NS_A_MS;

/// The one port.
const PORT: PortId = PortId(0);

/// What all cores share.
#[derive(Debug)]
pub struct Shared {
    config: Config,
    table: Arc<Table>,
    start: Instant,
    /// What they count.
    pub tally: Tally,
}

impl Shared {
    /// For the responder of `config`.
    pub fn new(config: Config) -> Result<Self> {
        let table = Arc::new(config.table()?);
        Ok(Self { config, table, start: Instant::now(), tally: Tally::default() })
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The frames that `Rx` receives, as the engine answers them. Yields one by one what capsule is to
/// send (`Act`) and to free (`Drop`).
#[expect(missing_debug_implementations, reason = "as all of capsule's batches")]
pub struct Answers<Rx> {
    rx: Rx,
    shared: Arc<Shared>,
    engine: Engine,
    network: Network,
    neighbours: Neighbours,
    policy: Policy,
    done: VecDeque<Disposition<Mbuf>>,
}

impl<Rx: PacketRx> Answers<Rx> {
    /// The answers to what `rx`, a queue of the port with the hardware address `mac`, receives.
    pub fn new(rx: Rx, mac: MacAddr, shared: Arc<Shared>) -> Result<Self> {
        let clock = Clock::new(TICKS_A_SECOND).context("a second has too few nanoseconds")?;
        Ok(Self {
            rx,
            engine: Engine::new(Arc::clone(&shared.table), clock),
            network: shared.config.network(Mac(mac.octets()))?,
            neighbours: Neighbours::default(),
            // Tests ask more often than anybody may.
            policy: Policy {
                reply: Reply::Hairpin,
                allowances: Allowances { pings: u32::MAX, ..Allowances::default() },
                ..Policy::default()
            },
            shared,
            // Each frame may become two.
            done: VecDeque::with_capacity(2 * BURST),
        })
    }

    /// Calls the engine for `mbufs`; gives the fate of each, with the length that it has now.
    fn process(&self, mbufs: &mut [Mbuf]) -> Vec<(Fate, usize)> {
        let mut told = vec![(Fate::dropped(Outcome::DropBuffer), 0); mbufs.len()];
        let mut frames = Vec::with_capacity(mbufs.len());
        let mut places = Vec::with_capacity(mbufs.len());
        for (place, mbuf) in mbufs.iter_mut().enumerate() {
            let len = mbuf.data_len();
            // capsule lends what is in a buffer, not the room behind it: so it has to be in.
            if len < LEAST_ROOM && mbuf.extend(len, LEAST_ROOM - len).is_err() {
                continue;
            }
            if let Some(frame) = Frame::new(octets_mut(mbuf), len, PORT) {
                frames.push(frame);
                places.push(place);
            }
        }
        let view =
            View { network: &self.network, neighbours: &self.neighbours, policy: &self.policy };
        self.engine.process(&view, self.shared.now(), &mut frames, |seen, fate| {
            told[places[seen]].0 = fate;
        });
        for (frame, place) in frames.iter().zip(&places) {
            told[*place].1 = frame.len();
        }
        told
    }

    /// Does with one frame, now of `len` octets, what the engine said.
    fn act(&mut self, mut mbuf: Mbuf, fate: &Fate, len: usize) {
        let tally = &self.shared.tally;
        let reset = match fate.verdict {
            Verdict::Send(_) => None,
            Verdict::SendAndReset(_, reset) => Some(reset),
            // There is no waiting for neighbours: replies go to whom the frame came from. And the kernel gets nothing.
            Verdict::Drop | Verdict::Hold | Verdict::Kernel => {
                tally.count(fate.outcome);
                return self.done.push_back(Disposition::Drop(mbuf));
            }
        };
        // It refuses what changes nothing.
        if len < mbuf.data_len() && mbuf.truncate(len).is_err() {
            tally.count(Outcome::DropBuffer);
            return self.done.push_back(Disposition::Drop(mbuf));
        }
        tally.count(fate.outcome);
        self.done.push_back(Disposition::Act(mbuf));
        if let Some(mbuf) = reset.and_then(|reset| emit(&reset)) {
            tally.reset();
            self.done.push_back(Disposition::Act(mbuf));
        }
    }
}

/// The RST in an mbuf of its own; `None` if the mempool has none.
fn emit(reset: &ResetFrame) -> Option<Mbuf> {
    let mut mbuf = Mbuf::new().ok()?;
    mbuf.extend(0, LEAST_ROOM).ok()?;
    let len = reset.emit(octets_mut(&mut mbuf))?;
    mbuf.truncate(len).ok()?;
    Some(mbuf)
}

impl<Rx: PacketRx> Batch for Answers<Rx> {
    type Item = Mbuf;

    fn replenish(&mut self) {
        let mut mbufs = self.rx.receive();
        if mbufs.is_empty() {
            return;
        }
        self.shared.tally.receive(mbufs.len());
        let told = self.process(&mut mbufs);
        for (mbuf, (fate, len)) in mbufs.into_iter().zip(told) {
            self.act(mbuf, &fate, len);
        }
    }

    fn next(&mut self) -> Option<Disposition<Mbuf>> {
        self.done.pop_front()
    }
}
