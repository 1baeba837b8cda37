//! A burst's way through the engine, in passes.
//!
//! Look at all, asking memory for the table's lines; decide all, when the lines have arrived;
//! write all. A look-up misses the cache; in passes the misses of a burst overlap.

use std::net::IpAddr;
use std::sync::Arc;

use otherhalf_pending::{Hash, Insert, Table};
use otherhalf_wire::ethernet::Mac;
use otherhalf_wire::ndp;
use otherhalf_wire::probe::{Cookie, Identity, Protocol};
use otherhalf_wire::trace::Rtt;

use crate::answer::Match;
use crate::classify::{Ingress, Stage, Task, classify};
use crate::closed::{Budget, Closed};
use crate::emit::{Action, ResetFrame, Way, write};
use crate::frame::Frame;
use crate::neighbour::{Answer, Neighbours, Notice};
use crate::network::{Network, NextHop, PortId};
use crate::outcome::Outcome;
use crate::policy::{Policy, Reply};
use crate::request::Ask;
use crate::time::Clock;

/// Frames that pass together. More hide nothing more and leave the nearest cache (LAB: 64 gains little over 32).
pub const BURST: usize = 32;

/// Other identifiers tried for a probe whose requester's own is taken or impossible.
const OTHER_IDENTIFIERS: u64 = 8;

/// What a worker knows while it works on a burst.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Interfaces, addresses, routes.
    pub network: &'a Network,
    /// Known hardware addresses.
    pub neighbours: &'a Neighbours,
    /// What is allowed.
    pub policy: &'a Policy,
}

/// What to do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: free it.
    Drop,
    /// It was rewritten: send it.
    Send(PortId),
    /// It was rewritten: send it, and a RST in a frame of its own.
    SendAndReset(PortId, ResetFrame),
    /// It was left as it is, for the hardware address of its next hop is not known. Offer it again
    /// when neighbours have changed, or drop it.
    Hold,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// What to do with it.
    pub verdict: Verdict,
    /// Under which name it counts, once the verdict is carried out. For [`Verdict::Hold`]: if it is
    /// dropped for waiting too long.
    pub outcome: Outcome,
    /// What it told about a neighbour, or needs to know of one.
    pub notice: Option<Notice>,
}

impl Fate {
    /// The fate of a frame that nothing was done for.
    #[must_use]
    pub const fn dropped(outcome: Outcome) -> Self {
        Self { verdict: Verdict::Drop, outcome, notice: None }
    }
}

/// Why there is no way to a destination.
enum Blocked {
    NoRoute,
    Unresolved(NextHop),
}

/// The packet's way of one worker.
#[derive(Debug)]
pub struct Engine {
    table: Arc<Table>,
    clock: Clock,
    budget: Budget,
}

/// What the first pass leaves for the second.
type Seen = (Stage, Hash);
/// What the second pass leaves for the third: what to write, and which way it goes.
type Decided = (Fate, Option<(Way, Action)>);

impl Engine {
    /// An engine over the `table` that it shares with the other workers, told the time of `clock`.
    #[must_use]
    pub const fn new(table: Arc<Table>, clock: Clock) -> Self {
        Self { table, clock, budget: Budget::new(&clock) }
    }

    /// Does all there is to do for `frames` at the time `now`, in ticks of the clock.
    ///
    /// Calls `fate` for each frame, in their order. Works in groups of [`BURST`].
    #[inline]
    pub fn process(
        &self,
        view: &View<'_>,
        now: u64,
        frames: &mut [Frame<'_>],
        mut fate: impl FnMut(Fate),
    ) {
        for group in frames.chunks_mut(BURST) {
            let mut seen: [Option<Seen>; BURST] = [None; BURST];
            for (frame, slot) in group.iter().zip(&mut seen) {
                let stage = classify(view, frame);
                let hash = self.place(&stage);
                *slot = Some((stage, hash));
            }
            let mut decided: [Option<Decided>; BURST] = [None; BURST];
            for ((frame, slot), seen) in group.iter().zip(&mut decided).zip(&seen) {
                if let Some((stage, hash)) = seen {
                    *slot = Some(self.decide(view, now, frame.port(), stage, *hash));
                }
            }
            for (frame, slot) in group.iter_mut().zip(&decided) {
                let Some((what, work)) = slot else { continue };
                let written = match work {
                    Some((way, action)) => write(action, way, frame).is_some(),
                    None => true,
                };
                fate(if written { *what } else { Fate::dropped(Outcome::DropBuffer) });
            }
        }
    }

    /// The place in the table that a frame needs, asked for from memory; any place if it needs none.
    #[inline]
    fn place(&self, stage: &Stage) -> Hash {
        match stage {
            Stage::Task(_, Task::Ask(ask)) => {
                let hash = self.probe_hash(ask, self.first_identifier(ask));
                self.table.prefetch_pair(hash);
                hash
            }
            Stage::Task(_, Task::Match(found)) => {
                let hash = self.hash(found.own, found.target, &found.identity);
                self.table.prefetch(hash);
                hash
            }
            _ => Hash::default(),
        }
    }

    #[inline]
    fn decide(
        &self,
        view: &View<'_>,
        now: u64,
        port: PortId,
        stage: &Stage,
        hash: Hash,
    ) -> Decided {
        let (ingress, task) = match *stage {
            Stage::Done(outcome, notice) => {
                return (Fate { verdict: Verdict::Drop, outcome, notice }, None);
            }
            Stage::Neighbour(ingress, answer, notice) => {
                let Some(way) = neighbour_way(view, port, ingress, &answer) else {
                    return (Fate::dropped(Outcome::DropNoRoute), None);
                };
                let fate =
                    Fate { verdict: Verdict::Send(port), outcome: Outcome::NeighbourReply, notice };
                return (fate, Some((way, Action::Neighbour(answer))));
            }
            Stage::Task(ingress, ref task) => (ingress, task),
        };
        // Before the table is touched: a frame that has to wait is taken up again from its start.
        let way = match way_to(view, port, ingress, task.receiver()) {
            Ok(way) => way,
            Err(Blocked::NoRoute) => return (Fate::dropped(Outcome::DropNoRoute), None),
            Err(Blocked::Unresolved(hop)) => {
                // Whoever makes up answers must not fill the waiting room, or have us ask for neighbours.
                if let Task::Match(found) = task
                    && let Err(outcome) = self.expect(found, hash, now)
                {
                    return (Fate::dropped(outcome), None);
                }
                let outcome = Outcome::DropNeighbourUnresolved;
                return (
                    Fate { verdict: Verdict::Hold, outcome, notice: Some(Notice::Wanted(hop)) },
                    None,
                );
            }
        };
        match self.carry_out(task, hash, now) {
            Err(outcome) => (Fate::dropped(outcome), None),
            Ok((outcome, action)) => {
                let reset = match task {
                    Task::Match(found) if outcome == Outcome::ResponseSynAck => found.reset(),
                    _ => None,
                };
                let verdict = match reset {
                    Some(reset) => Verdict::SendAndReset(way.port, ResetFrame { reset, way }),
                    None => Verdict::Send(way.port),
                };
                (Fate { verdict, outcome, notice: None }, Some((way, action)))
            }
        }
    }

    /// Does what `task` needs of the table; `hash` is its place there.
    #[inline]
    fn carry_out(&self, task: &Task, hash: Hash, now: u64) -> Result<(Outcome, Action), Outcome> {
        match task {
            Task::Ask(ask) => self.ask(ask, hash, now),
            Task::Match(found) => self.answer(found, hash, now),
            Task::Refuse(refuse) => Ok((
                refuse.outcome,
                Action::Refusal {
                    own: refuse.own,
                    requester: refuse.requester,
                    identifier: refuse.identifier,
                    refusal: refuse.refusal,
                },
            )),
            Task::Ping(ping) => Ok((Outcome::PingReply, Action::Echo(*ping))),
            Task::Closed(_) if !self.budget.take(now) => Err(Outcome::DropClosedBudget),
            Task::Closed(Closed::Udp(datagram)) => {
                Ok((Outcome::ClosedUdpUnreachable, Action::Unreachable(*datagram)))
            }
            Task::Closed(Closed::Tcp(reset)) => {
                Ok((Outcome::ClosedTcpReset, Action::Reset(*reset)))
            }
        }
    }

    /// Finds a place and a name for the probe that `ask` deserves.
    #[inline]
    fn ask(&self, ask: &Ask, hash: Hash, now: u64) -> Result<(Outcome, Action), Outcome> {
        let outcome = match ask.protocol {
            Protocol::Icmp => Outcome::ProbeIcmp,
            Protocol::Tcp => Outcome::ProbeTcp,
            Protocol::Udp => Outcome::ProbeUdp,
        };
        let mut identifier = self.first_identifier(ask);
        let mut hash = hash;
        for attempt in 1..=OTHER_IDENTIFIERS {
            match self.table.insert(hash, ask.identifier, now) {
                Insert::New | Insert::Replaced => {
                    let cookie = Cookie(hash.cookie());
                    return Ok((outcome, Action::Probe { ask: *ask, identifier, cookie }));
                }
                Insert::Full => return Err(Outcome::DropTableFull),
                Insert::Conflict => {
                    identifier = self.other_identifier(ask, attempt);
                    hash = self.probe_hash(ask, identifier);
                }
            }
        }
        Err(Outcome::DropNoIdentifier)
    }

    /// Finds the probe that an answer is about.
    #[inline]
    fn answer(&self, found: &Match, hash: Hash, now: u64) -> Result<(Outcome, Action), Outcome> {
        // Checked before the entry is taken: whoever guesses wrong does not end the wait of the right answer.
        let forged = is_forged(found, hash);
        let entry = if forged { None } else { self.table.take(hash, now) };
        match (entry, found.reset()) {
            (Some(entry), _) => Ok((
                found.outcome,
                Action::Hop {
                    own: found.own,
                    requester: found.target,
                    identifier: entry.request_id,
                    hop: found.hop,
                    rtt: Rtt::from_ns(self.clock.ns(entry.age_ticks)),
                },
            )),
            (None, Some(reset)) => Ok((Outcome::StraySynAckReset, Action::Reset(reset))),
            (None, None) if forged => Err(Outcome::DropForged),
            (None, None) => Err(Outcome::DropUnmatched),
        }
    }

    /// Whether a probe waits for this answer, which stays untouched; if not, what the answer is.
    fn expect(&self, found: &Match, hash: Hash, now: u64) -> Result<(), Outcome> {
        if is_forged(found, hash) {
            Err(Outcome::DropForged)
        } else if self.table.is_pending(hash, now) {
            Ok(())
        } else {
            Err(Outcome::DropUnmatched)
        }
    }

    /// The identifier that a probe gets if it is free: the requester's own, which NATs on the way may know.
    #[inline]
    fn first_identifier(&self, ask: &Ask) -> u16 {
        if ask.protocol == Protocol::Udp && ask.identifier == 0 {
            // As a checksum, 0 means "none" in IPv4 and is forbidden in IPv6.
            self.other_identifier(ask, 0)
        } else {
            ask.identifier
        }
    }

    /// The `attempt`th other identifier for `ask`: always the same for the same request, never 0.
    fn other_identifier(&self, ask: &Ask, attempt: u64) -> u16 {
        let seed = u64::from(ask.identifier) << 32 | u64::from(ask.flow) << 16 | attempt;
        let [high, low, ..] = self.table.hash(&[seed]).cookie().to_be_bytes();
        u16::from_be_bytes([high, low]).max(1)
    }

    #[inline]
    fn probe_hash(&self, ask: &Ask, identifier: u16) -> Hash {
        self.hash_words(ask.own, ask.requester, ask.protocol, folded_flow(ask), identifier)
    }

    #[inline]
    fn hash(&self, own: IpAddr, target: IpAddr, identity: &Identity) -> Hash {
        self.hash_words(own, target, identity.protocol, identity.flow, identity.identifier)
    }

    /// The key of a probe: all that an answer must agree in.
    #[inline]
    fn hash_words(
        &self,
        own: IpAddr,
        target: IpAddr,
        protocol: Protocol,
        flow: u16,
        identifier: u16,
    ) -> Hash {
        let name = (protocol as u64) << 32 | u64::from(flow) << 16 | u64::from(identifier);
        match (own, target) {
            (IpAddr::V4(own), IpAddr::V4(target)) => self
                .table
                .hash(&[u64::from(own.to_bits()) << 32 | u64::from(target.to_bits()), name]),
            (own, target) => {
                let [a, b] = halves(own);
                let [c, d] = halves(target);
                self.table.hash(&[a, b, c, d, name])
            }
        }
    }
}

/// Whether an answer lacks the keyed bits of the probe that it names.
#[inline]
fn is_forged(found: &Match, hash: Hash) -> bool {
    found.identity.sequence.is_some_and(|sequence| sequence != Cookie(hash.cookie()).sequence())
}

/// The flow as [`Identity`] will show it.
#[inline]
const fn folded_flow(ask: &Ask) -> u16 {
    if matches!(ask.protocol, Protocol::Icmp) && ask.flow == 0xffff { 0 } else { ask.flow }
}

#[inline]
fn halves(address: IpAddr) -> [u64; 2] {
    let octets = otherhalf_wire::ip::to_mapped(address).octets();
    let (words, _) = octets.as_chunks::<8>();
    match words {
        [high, low] => [u64::from_be_bytes(*high), u64::from_be_bytes(*low)],
        _ => [0, 0],
    }
}

/// The way to `receiver`: as the routes say, or back to where the frame came from.
#[inline]
fn way_to(
    view: &View<'_>,
    port: PortId,
    ingress: Ingress,
    receiver: IpAddr,
) -> Result<Way, Blocked> {
    if view.policy.reply == Reply::Hairpin {
        return back(view, port, ingress, ingress.mac).ok_or(Blocked::NoRoute);
    }
    let hop = view.network.next_hop(receiver, ingress.interface).ok_or(Blocked::NoRoute)?;
    let interface = view.network.interface(hop.interface).ok_or(Blocked::NoRoute)?;
    let dst = view.neighbours.get(hop).ok_or(Blocked::Unresolved(hop))?;
    Ok(Way { port: interface.port, src: interface.mac, dst, vlan: interface.vlan })
}

/// The way of an answer to a neighbour: back to it, or to all when it has no address yet.
fn neighbour_way(view: &View<'_>, port: PortId, ingress: Ingress, answer: &Answer) -> Option<Way> {
    let dst = match answer {
        Answer::Advertisement { to, .. } if to.is_multicast() => ndp::multicast_mac(*to),
        _ => ingress.mac,
    };
    back(view, port, ingress, dst)
}

fn back(view: &View<'_>, port: PortId, ingress: Ingress, dst: Mac) -> Option<Way> {
    let interface = view.network.interface(ingress.interface)?;
    Some(Way { port, src: interface.mac, dst, vlan: interface.vlan })
}
