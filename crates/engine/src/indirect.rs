//! Indirect tracing (PROTOCOL §5): a probe to somebody else than who asks for it.
//!
//! The probe hits a host that has not asked for anything, so nobody may have that unless the operator names him, and what is
//! probed is a host of the Internet that has not opted out. The rates of both are charged: the target's, for it is the one that is hit, and the requester's,
//! who may be spoofed. The response goes to the requester by the [seat](otherhalf_pending::Seat) that its entry names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use otherhalf_pending::{Prefetch, Receiver, Seat};
use otherhalf_policy::Prefixes;
use otherhalf_wire::extension::Class;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{Refusal, Rtt};

use crate::access::{ALLOW, DENY};
use crate::answer::Match;
use crate::burst::{Engine, Fate, Verdict, held, sent};
use crate::emit::{self, Action, ResetFrame, write};
use crate::frame::Frame;
use crate::network::InterfaceId;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::request::{self, Ask};
use crate::way::{Way, Ways};
use crate::work::{Address, Look};

/// Who may have others traced, and whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indirect {
    requesters: Prefixes,
    private_targets: bool,
}

impl Indirect {
    /// Of `requesters`, those with [`ALLOW`] may have others traced; those with [`DENY`] may not, nor may whoever is in no prefix.
    /// `private_targets`: also addresses that are not globally reachable (RFC 6890), such as the private ones of a laboratory.
    #[must_use]
    pub fn new(requesters: impl IntoIterator<Item = (IpNet, u8)>, private_targets: bool) -> Self {
        Self { requesters: Prefixes::new(DENY, requesters), private_targets }
    }

    /// Whether `address` may have others traced.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.requesters.get(address) == ALLOW
    }

    /// Bytes that it takes besides itself.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.requesters.bytes()
    }
}

/// A request that deserves a probe to somebody else, and who gets the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detour<A> {
    /// The probe.
    pub(crate) ask: Ask<A>,
    /// Who asked.
    pub(crate) requester: A,
}

/// A [`Detour`] of either family.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AnyDetour {
    V4(Detour<Ipv4Addr>),
    V6(Detour<Ipv6Addr>),
}

/// What the object of an indirect target is refused with.
const REFUSAL: Refusal = Refusal::Extension(Class::INDIRECT_TARGET.value());

/// Whether `requester` may have `target` traced: an address of the same family that may be probed.
#[cold]
pub(crate) fn target<A: Address, P: Prefetch>(
    look: &Look<'_, P>,
    requester: A,
    target: IpAddr,
) -> Result<A, (Refusal, Outcome)> {
    let Policy { indirect, access, .. } = look.view.policy;
    let Some(indirect) = indirect else {
        return Err((REFUSAL, Outcome::RefusedExtension));
    };
    let opted_out = || access.as_ref().is_some_and(|access| access.spares(target));
    A::of(target)
        .filter(|_| indirect.allows(requester.into()))
        .filter(|target| target.may_be_sent_to(look.view.network) && !target.is_link_local())
        .filter(|target| indirect.private_targets || !target.is_special())
        .filter(|_| !opted_out())
        .ok_or((REFUSAL, Outcome::RefusedIndirect))
}

impl<P: Prefetch> Engine<P> {
    /// Sends the probe of a detour.
    #[cold]
    pub(crate) fn detour<A: Address>(
        &self,
        ways: &mut Ways<'_>,
        policy: &Policy,
        now: u64,
        frame: &mut Frame<'_>,
        (ingress, detour): (InterfaceId, &Detour<A>),
    ) -> Fate {
        let Detour { ask, requester } = detour;
        // The response's way is asked for as well: when the answer comes, its entry is taken, and can't wait for a neighbour.
        let back = ways.to(*requester, frame, ingress).map(|_| ());
        let way = match back.and_then(|()| ways.to(ask.target, frame, ingress)) {
            Ok(way) => *way,
            Err(blocked) => return held(blocked),
        };
        let syn = ask.protocol == Protocol::Tcp;
        let both = [((*requester).into(), false), (ask.target.into(), syn)];
        if let Err(outcome) = self.afford_all(policy, both, now) {
            return Fate::dropped(outcome);
        }
        let receiver = Receiver { words: requester.words(), request_id: ask.identifier };
        let Some(seat) = self.table.seat(receiver, now) else {
            return Fate::dropped(Outcome::DropTableFull);
        };
        let hash = ask.hash(&self.table, request::first_identifier(&self.table, ask));
        let fate =
            self.probe(ask, hash, &way, frame, |hash| self.table.insert_seated(hash, seat, now));
        if fate.verdict == Verdict::Drop {
            // Of a probe that was not sent. Its entry, if it has one, nobody will answer.
            let _ = self.table.leave(seat);
        }
        fate
    }

    /// Writes the response of a detour to whoever has the `seat` of the probe that `found` answers.
    #[cold]
    pub(crate) fn respond_to_another<A: Address>(
        &self,
        found: &Match<A>,
        (seat, rtt): (Seat, Rtt),
        target_way: &Way,
        (ways, ingress): (&mut Ways<'_>, InterfaceId),
        frame: &mut Frame<'_>,
    ) -> Fate {
        let reset = found.reset();
        let fate = match self.table.leave(seat) {
            None => Fate::dropped(Outcome::DropUnmatched),
            Some(Receiver { words, request_id }) => {
                let requester = A::from_words(words);
                match ways.to(requester, frame, ingress) {
                    Ok(way) => {
                        let written =
                            emit::response(found, requester, (request_id, rtt), way, frame);
                        sent(found.outcome, way, written)
                    }
                    // It had a way when it asked. The entry is gone, so there is nothing to come back to.
                    Err(blocked) => Fate::dropped(held(blocked).outcome),
                }
            }
        };
        match (reset, fate.verdict) {
            (Some(reset), Verdict::Send(port)) => {
                let reset = ResetFrame { reset, way: *target_way };
                Fate { verdict: Verdict::SendAndReset(port, reset), ..fate }
            }
            // The target's connection ends, response or not.
            (Some(reset), _) => sent(
                Outcome::StraySynAckReset,
                target_way,
                write(&Action::Reset(reset), target_way, frame),
            ),
            (None, _) => fate,
        }
    }
}
