//! A burst's way through the engine, in passes.
//!
//! Look at all; ask memory for all lines of the table that they need; answer all, when the lines have
//! arrived. A look-up misses the cache; in passes the misses of a burst overlap.

use std::net::IpAddr;
use std::sync::Arc;

use otherhalf_pending::{Hash, Insert, Lines, Table};
use otherhalf_wire::probe::{Cookie, Identity, Protocol};
use otherhalf_wire::trace::Rtt;

use crate::answer::Match;
use crate::classify::{Found, Ingress, Task, classify, enter};
use crate::closed::{Budget, Closed};
use crate::emit::{self, Action, ResetFrame, write};
use crate::frame::Frame;
use crate::neighbour::{Neighbours, Notice};
use crate::network::{Network, PortId};
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::request::Ask;
use crate::time::Clock;
use crate::way::{Blocked, Way, Ways};

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

/// The packet's way of one worker.
#[derive(Debug)]
pub struct Engine {
    table: Arc<Table>,
    clock: Clock,
    budget: Budget,
}

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
            let mut ingress = [Ingress::UNKNOWN; BURST];
            let mut found: [Found; BURST] = [Err(Outcome::DropBuffer); BURST];
            let mut places = [(Hash::default(), Lines::None); BURST];
            let looks = ingress.iter_mut().zip(&mut found).zip(&mut places);
            for (frame, ((ingress, found), place)) in group.iter().zip(looks) {
                *found = match enter(view, frame) {
                    Ok(entered) => {
                        *ingress = entered.ingress;
                        classify(view, &entered)
                    }
                    Err(outcome) => Err(outcome),
                };
                *place = self.place(found);
                self.table.prefetch(place.0, place.1);
            }
            self.table.fetch(&places);
            let mut ways = Ways::new(view);
            let looks = ingress.iter().zip(&found).zip(&places);
            for (frame, ((ingress, found), (hash, _))) in group.iter_mut().zip(looks) {
                fate(match found {
                    Ok(task) => self.answer(&mut ways, now, frame, *ingress, task, *hash),
                    Err(outcome) => Fate::dropped(*outcome),
                });
            }
        }
    }

    /// The place in the table that a frame needs; any place if it needs none.
    #[inline]
    fn place(&self, found: &Found) -> (Hash, Lines) {
        match found {
            Ok(Task::Ask(ask)) => (self.probe_hash(ask, self.first_identifier(ask)), Lines::Both),
            Ok(Task::Match(found)) => (self.match_hash(found), Lines::First),
            _ => (Hash::default(), Lines::None),
        }
    }

    /// Does what was found to be done for `frame`; `hash` is its place in the table.
    #[inline(always)]
    fn answer(
        &self,
        ways: &mut Ways<'_>,
        now: u64,
        frame: &mut Frame<'_>,
        ingress: Ingress,
        task: &Task,
        hash: Hash,
    ) -> Fate {
        let port = frame.port();
        let mut way_to = |receiver| ways.to(receiver, port, ingress);
        match task {
            Task::Ask(ask) => match way_to(ask.requester) {
                Ok(way) => self.probe(ask, hash, now, &way, frame),
                Err(blocked) => held(blocked),
            },
            Task::Match(found) => match way_to(found.target) {
                Ok(way) => self.respond(found, hash, now, &way, frame),
                Err(Blocked::NoRoute) => held(Blocked::NoRoute),
                // Whoever makes up answers must not fill the waiting room, or have us ask for neighbours.
                Err(unresolved) => match self.expect(found, hash, frame.received(now)) {
                    Ok(()) => held(unresolved),
                    Err(outcome) => Fate::dropped(outcome),
                },
            },
            Task::Refuse(refuse) => match way_to(refuse.requester) {
                Ok(way) => sent(refuse.outcome, &way, write(&Action::Refusal(refuse), &way, frame)),
                Err(blocked) => held(blocked),
            },
            Task::Ping(ping) => match way_to(ping.pinger) {
                Ok(way) => sent(Outcome::PingReply, &way, write(&Action::Echo(*ping), &way, frame)),
                Err(blocked) => held(blocked),
            },
            Task::Closed(closed) => match way_to(closed.sender()) {
                Ok(_) if !self.budget.take(now) => Fate::dropped(Outcome::DropClosedBudget),
                Ok(way) => match closed {
                    Closed::Udp(datagram) => {
                        let action = Action::Unreachable(*datagram);
                        sent(Outcome::ClosedUdpUnreachable, &way, write(&action, &way, frame))
                    }
                    Closed::Tcp(reset) => sent(
                        Outcome::ClosedTcpReset,
                        &way,
                        write(&Action::Reset(*reset), &way, frame),
                    ),
                },
                Err(blocked) => held(blocked),
            },
            Task::Neighbour(answer, notice) => match ways.to_neighbour(answer, port, ingress) {
                Some(way) => {
                    let action = Action::Neighbour(*answer);
                    let fate = sent(Outcome::NeighbourReply, &way, write(&action, &way, frame));
                    Fate { notice: *notice, ..fate }
                }
                None => Fate::dropped(Outcome::DropNoRoute),
            },
            Task::Learned(notice) => {
                Fate { notice: Some(*notice), ..Fate::dropped(Outcome::NeighbourLearned) }
            }
        }
    }

    /// Finds a place and a name for the probe that `ask` deserves, and writes it.
    #[inline(always)]
    fn probe(&self, ask: &Ask, hash: Hash, now: u64, way: &Way, frame: &mut Frame<'_>) -> Fate {
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
                    return sent(outcome, way, emit::probe(ask, identifier, cookie, way, frame));
                }
                Insert::Full => return Fate::dropped(Outcome::DropTableFull),
                Insert::Conflict => {
                    identifier = self.other_identifier(ask, attempt);
                    hash = self.probe_hash(ask, identifier);
                }
            }
        }
        Fate::dropped(Outcome::DropNoIdentifier)
    }

    /// Finds the probe that an answer is about, and writes the response.
    #[inline(always)]
    fn respond(
        &self,
        found: &Match,
        hash: Hash,
        now: u64,
        way: &Way,
        frame: &mut Frame<'_>,
    ) -> Fate {
        // Checked before the entry is taken: whoever guesses wrong does not end the wait of the right answer.
        if is_forged(found, hash) {
            return Fate::dropped(Outcome::DropForged);
        }
        // The round trip ends when the answer is received, not when its response has a way.
        let Some(entry) = self.table.take(hash, frame.received(now)) else {
            return match found.reset() {
                // It knows our keyed bits, so a probe of ours caused it: nobody can be hit by asking for this.
                Some(reset) => {
                    sent(Outcome::StraySynAckReset, way, write(&Action::Reset(reset), way, frame))
                }
                None => Fate::dropped(Outcome::DropUnmatched),
            };
        };
        let rtt = Rtt::from_ns(self.clock.ns(entry.age_ticks));
        let written = emit::response(found, entry.request_id, rtt, way, frame);
        let mut fate = sent(found.outcome, way, written);
        if let (Some(reset), Verdict::Send(port)) = (found.reset(), fate.verdict) {
            fate.verdict = Verdict::SendAndReset(port, ResetFrame { reset, way: *way });
        }
        fate
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
    fn match_hash(&self, found: &Match) -> Hash {
        let Identity { protocol, flow, identifier, .. } = found.identity;
        self.hash_words(found.own, found.target, protocol, flow, identifier)
    }

    /// The key of a probe: all that an answer must agree in.
    #[inline(always)]
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

/// The fate of a frame that was `written` over, if its buffer had the room.
#[inline]
fn sent(outcome: Outcome, way: &Way, written: Option<()>) -> Fate {
    match written {
        Some(()) => Fate { verdict: Verdict::Send(way.port), outcome, notice: None },
        None => Fate::dropped(Outcome::DropBuffer),
    }
}

/// The fate of a frame whose answer has no way, not yet or not at all. It is as it was: when it is taken up again, it
/// starts anew.
#[inline]
fn held(blocked: Blocked) -> Fate {
    match blocked {
        Blocked::NoRoute => Fate::dropped(Outcome::DropNoRoute),
        Blocked::Unresolved(hop) => Fate {
            verdict: Verdict::Hold,
            outcome: Outcome::DropNeighbourUnresolved,
            notice: Some(Notice::Wanted(hop)),
        },
    }
}
