//! A burst's way through the engine, in passes.
//!
//! Look at all, sort, and ask memory for the lines of the table that they need; answer all, kind by kind, when the lines
//! have arrived. A look-up misses the cache; in passes the misses of a burst overlap.

use std::net::IpAddr;
use std::sync::Arc;

use otherhalf_pending::{Hash, Insert, Loads, Prefetch, Table, Whose};
use otherhalf_policy::Limiter;
use otherhalf_wire::probe::{Cookie, Protocol};
use otherhalf_wire::trace::Rtt;

use crate::answer::Match;
use crate::budget::Budgets;
use crate::classify::{Task, classify, enter};
use crate::closed::Closed;
use crate::emit::{self, Action, ResetFrame, write};
use crate::frame::Frame;
use crate::histogram::RoundTrips;
use crate::indirect::AnyDetour;
use crate::kernel;
use crate::neighbour::{Neighbours, Notice};
use crate::network::{InterfaceId, Network, PortId};
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::rate::{Counted, Limits, Rate};
use crate::request::{Ask, first_identifier, other_identifier};
use crate::time::Clock;
use crate::way::{Blocked, Way, Ways};
use crate::work::{Address, Job, Look, Traces, Work};

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
    /// It was left as it is: hand it to the kernel, as what came in by the frame's own port.
    Kernel,
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
pub struct Engine<P = Loads> {
    pub(crate) table: Arc<Table<P>>,
    clock: Clock,
    budgets: Budgets,
    rate: Rate,
    kernel: kernel::Budgets,
    round_trips: Arc<RoundTrips>,
}

impl<P: Prefetch> Engine<P> {
    /// An engine over the `table` that it shares with the other workers, told the time of `clock`.
    #[must_use]
    pub fn new(table: Arc<Table<P>>, clock: Clock) -> Self {
        let (budgets, kernel) = (Budgets::new(&clock), kernel::Budgets::new(&clock));
        let rate = Rate::unlimited();
        Self { table, clock, budgets, rate, kernel, round_trips: Arc::default() }
    }

    /// The same, but round-trip times are counted where others read them: from a probe's look at the clock to its answer's.
    #[must_use]
    pub fn counting_in(self, round_trips: Arc<RoundTrips>) -> Self {
        Self { round_trips, ..self }
    }

    /// The same, but requesters are limited to the [rates](Policy::rate) of the policy, counted in `limiter`, which all workers share.
    #[must_use]
    pub fn limited_by(self, limiter: Arc<Limiter>) -> Self {
        Self { rate: Rate::by(limiter, &self.table), ..self }
    }

    /// Does all there is to do for `frames` at the time `now`, in ticks of the clock.
    ///
    /// Calls `fate` once for each frame, with its place among `frames`. Works in groups of [`BURST`]; within one and of one
    /// family, requests come before answers and both before all else, each in their order.
    #[inline]
    pub fn process(
        &self,
        view: &View<'_>,
        now: u64,
        frames: &mut [Frame<'_>],
        mut fate: impl FnMut(usize, Fate),
    ) {
        for (group, first) in frames.chunks_mut(BURST).zip((0..).step_by(BURST)) {
            let mut work = Work::default();
            look(
                view,
                &self.table,
                self.rate.counted(view.policy),
                group,
                &mut work,
                |place, frame, outcome| {
                    let done = if view.network.has_exceptions() {
                        self.kernel.pass(view.network, now, frame, outcome)
                    } else {
                        Fate::dropped(outcome)
                    };
                    fate(place.wrapping_add(first), done);
                },
            );
            self.answer(view, now, group, &work, |place, done| {
                fate(place.wrapping_add(first), done);
            });
        }
    }

    /// The last pass: does what was found to be done, kind by kind.
    #[inline]
    fn answer(
        &self,
        view: &View<'_>,
        now: u64,
        group: &mut [Frame<'_>],
        work: &Work,
        mut fate: impl FnMut(usize, Fate),
    ) {
        self.trace(view, now, group, &work.v4, &mut fate);
        self.trace(view, now, group, &work.v6, &mut fate);
        let mut ways = Ways::new(view);
        for job in &work.rest {
            if let Some(frame) = group.get_mut(job.place) {
                fate(job.place, self.serve(&mut ways, view.policy, now, frame, job));
            }
        }
    }

    /// Reverse traceroute over one family.
    #[inline(never)]
    fn trace<A: Address>(
        &self,
        view: &View<'_>,
        now: u64,
        group: &mut [Frame<'_>],
        traces: &Traces<A>,
        mut fate: impl FnMut(usize, Fate),
    ) {
        let mut ways = Ways::new(view);
        let limits = self.rate.limits(view.policy, &self.clock, now);
        for Job { place, ingress, task: ask, hash } in &traces.asks {
            let Some(frame) = group.get_mut(*place) else { continue };
            let done = match ways.to(ask.target, frame, *ingress) {
                Ok(way) => match afford(limits.as_ref(), ask) {
                    Ok(()) => self.probe(ask, *hash, way, frame, |hash| {
                        self.table.insert(hash, ask.identifier, now)
                    }),
                    Err(outcome) => Fate::dropped(outcome),
                },
                Err(blocked) => held(blocked),
            };
            fate(*place, done);
        }
        for job in &traces.matches {
            self.table.prefetch_second(job.hash);
        }
        for Job { place, ingress, task: found, hash } in &traces.matches {
            let Some(frame) = group.get_mut(*place) else { continue };
            let done = match ways.to(found.target, frame, *ingress) {
                Ok(way) => self.respond(view, (found, *ingress), *hash, now, way, frame),
                Err(Blocked::NoRoute) => held(Blocked::NoRoute),
                // Whoever makes up answers must not fill the waiting room, or have us ask for neighbours.
                Err(unresolved) => match self.expect(*hash, frame.received(now)) {
                    Ok(()) => held(unresolved),
                    Err(outcome) => Fate::dropped(outcome),
                },
            };
            fate(*place, done);
        }
    }

    /// As [`afford`] of all who pay for one packet, of either family, each with whether it gets a TCP probe; off the way of probes.
    pub(crate) fn afford_all<const PAYERS: usize>(
        &self,
        policy: &Policy,
        payers: [(IpAddr, bool); PAYERS],
        now: u64,
    ) -> Result<(), Outcome> {
        let limits = self.rate.limits(policy, &self.clock, now);
        limits.map_or(Ok(()), |limits| limits.take_of_all(payers))
    }

    /// Does what is not a trace.
    fn serve(
        &self,
        ways: &mut Ways<'_>,
        policy: &Policy,
        now: u64,
        frame: &mut Frame<'_>,
        job: &Job<Task>,
    ) -> Fate {
        let Job { ingress, task, .. } = job;
        let allowances = &policy.allowances;
        let way_to = |ways: &mut Ways<'_>, frame: &Frame<'_>, receiver| {
            let way = match receiver {
                IpAddr::V4(v4) => ways.to(v4, frame, *ingress),
                IpAddr::V6(v6) => ways.to(v6, frame, *ingress),
            };
            way.copied()
        };
        match task {
            Task::Refuse(refuse) => match way_to(ways, frame, refuse.requester) {
                Ok(way) => match self.afford_all(policy, [(refuse.requester, false)], now) {
                    Ok(()) => {
                        sent(refuse.outcome, &way, write(&Action::Refusal(refuse), &way, frame))
                    }
                    Err(outcome) => Fate::dropped(outcome),
                },
                Err(blocked) => held(blocked),
            },
            Task::Detour(AnyDetour::V4(detour)) => {
                self.detour(ways, policy, now, frame, (*ingress, detour))
            }
            Task::Detour(AnyDetour::V6(detour)) => {
                self.detour(ways, policy, now, frame, (*ingress, detour))
            }
            Task::Ping(ping) => match way_to(ways, frame, ping.pinger) {
                Ok(_) if !self.budgets.take_ping(allowances, now) => {
                    Fate::dropped(Outcome::DropPingBudget)
                }
                Ok(way) => sent(Outcome::PingReply, &way, write(&Action::Echo(*ping), &way, frame)),
                Err(blocked) => held(blocked),
            },
            Task::Closed(closed) => match way_to(ways, frame, closed.sender()) {
                Ok(_) if !self.budgets.take_closed(allowances, now) => {
                    Fate::dropped(Outcome::DropClosedBudget)
                }
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
            Task::Neighbour(answer, notice) => match ways.to_neighbour(answer, frame, *ingress) {
                Some(_) if !self.budgets.take_neighbour(allowances, now) => {
                    Fate::dropped(Outcome::DropNeighbourBudget)
                }
                Some(way) => {
                    let action = Action::Neighbour(*answer);
                    let fate = sent(Outcome::NeighbourReply, &way, write(&action, &way, frame));
                    Fate { notice: *notice, ..fate }
                }
                None => Fate::dropped(Outcome::DropNoRoute),
            },
            Task::Learned(notice) => {
                let verdict = self.kernel.tell(ways.network(), now, frame);
                Fate { verdict, outcome: Outcome::NeighbourLearned, notice: Some(*notice) }
            }
        }
    }

    /// Finds a name for the probe that `ask` deserves, by which `insert` has a place for it, and writes it.
    #[inline(always)]
    pub(crate) fn probe<A: Address>(
        &self,
        ask: &Ask<A>,
        hash: Hash,
        way: &Way,
        frame: &mut Frame<'_>,
        insert: impl Fn(Hash) -> Insert,
    ) -> Fate {
        let (mut identifier, mut hash) = (first_identifier(&self.table, ask), hash);
        for attempt in 1..=OTHER_IDENTIFIERS {
            match insert(hash) {
                Insert::New | Insert::Replaced => {
                    let outcome = match ask.protocol {
                        Protocol::Icmp => Outcome::ProbeIcmp,
                        Protocol::Tcp => Outcome::ProbeTcp,
                        Protocol::Udp => Outcome::ProbeUdp,
                    };
                    let cookie = Cookie(hash.cookie());
                    return sent(outcome, way, emit::probe(ask, identifier, cookie, way, frame));
                }
                Insert::Full => return Fate::dropped(Outcome::DropTableFull),
                Insert::Conflict => {
                    identifier = other_identifier(&self.table, ask, attempt);
                    hash = ask.hash(&self.table, identifier);
                }
            }
        }
        Fate::dropped(Outcome::DropNoIdentifier)
    }

    /// Finds the probe that an answer is about, and writes the response.
    #[inline(always)]
    fn respond<A: Address>(
        &self,
        view: &View<'_>,
        (found, ingress): (&Match<A>, InterfaceId),
        hash: Hash,
        now: u64,
        way: &Way,
        frame: &mut Frame<'_>,
    ) -> Fate {
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
        // Of two probes alike, nothing tells which is answered: to guess would tell round trips that are too short.
        let rtt = if entry.again {
            Rtt::UNKNOWN
        } else {
            let ns = self.clock.ns(entry.age_ticks);
            self.round_trips.record(ns, 1);
            Rtt::from_ns(ns)
        };
        let identifier = match entry.whose {
            Whose::Target(identifier) => identifier,
            Whose::Seat(seat) => {
                let ways = (&mut Ways::new(view), ingress);
                return self.respond_to_another(found, (seat, rtt), way, ways, frame);
            }
        };
        let written = emit::response(found, found.target, (identifier, rtt), way, frame);
        let mut fate = sent(found.outcome, way, written);
        if let (Some(reset), Verdict::Send(port)) = (found.reset(), fate.verdict) {
            fate.verdict = Verdict::SendAndReset(port, ResetFrame { reset, way: *way });
        }
        fate
    }

    /// Whether a probe waits for this answer, which stays untouched; if not, what the answer is.
    fn expect(&self, hash: Hash, now: u64) -> Result<(), Outcome> {
        if self.table.is_pending(hash, now) { Ok(()) } else { Err(Outcome::DropUnmatched) }
    }
}

/// Whether the requester may have one more probe. Without limits, nothing is paid for them but the question.
#[inline(always)]
fn afford<A: Address>(limits: Option<&Limits<'_>>, ask: &Ask<A>) -> Result<(), Outcome> {
    let Some(limits) = limits else { return Ok(()) };
    limits.take(ask.target, ask.bits, ask.protocol == Protocol::Tcp)
}

/// The first pass: looks at all, notes what there is to do, and asks memory for what that will need.
#[inline(never)]
fn look<P: Prefetch>(
    view: &View<'_>,
    table: &Table<P>,
    counted: Option<&Counted>,
    group: &[Frame<'_>],
    work: &mut Work,
    mut drop: impl FnMut(usize, &Frame<'_>, Outcome),
) {
    let asks_who = view.policy.asks_who();
    for (place, frame) in group.iter().enumerate() {
        let found = enter(view, frame).and_then(|entered| {
            let ingress = entered.ingress;
            classify(&mut Look { view, table, asks_who, counted, work, place, ingress }, &entered)
        });
        if let Err(outcome) = found {
            drop(place, frame, outcome);
        }
    }
    work.ask_memory(table, counted);
}

/// The fate of a frame that was `written` over, if its buffer had the room.
#[inline]
pub(crate) fn sent(outcome: Outcome, way: &Way, written: Option<()>) -> Fate {
    match written {
        Some(()) => Fate { verdict: Verdict::Send(way.port), outcome, notice: None },
        None => Fate::dropped(Outcome::DropBuffer),
    }
}

/// The fate of a frame whose answer has no way, not yet or not at all. It is as it was: when it is taken up again, it
/// starts anew.
#[inline]
pub(crate) fn held(blocked: Blocked) -> Fate {
    match blocked {
        Blocked::NoRoute => Fate::dropped(Outcome::DropNoRoute),
        Blocked::Unresolved(hop) => Fate {
            verdict: Verdict::Hold,
            outcome: Outcome::DropNeighbourUnresolved,
            notice: Some(Notice::Wanted(hop)),
        },
    }
}
