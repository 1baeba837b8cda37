//! The transactions under way, and the verification of what comes back for them.

use std::net::IpAddr;

use otherhalf_engine::Clock;
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::{Identity, SOURCE_PORT};
use otherhalf_wire::trace::{Response, Verdict};

use crate::addresses;
use crate::plan::{Plan, Transaction};

/// By how much two cores' counters may disagree. A host may move a core to another socket between the
/// two times that make a round trip: jumps of 2 us were seen on a shared machine.
const SLACK_NS: u64 = 10_000;

/// By how much, as a part of 2^10, two measurements of the same counter's frequency may disagree: what took long, took
/// longer by the one than by the other.
const DRIFT_LOG2: u32 = 10;

/// The longest round trip that a response can tell: it stands for all that are longer, too.
const LONGEST_NS: u64 = u32::MAX as u64 - 1;

/// What is wrong with a frame that the responder sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Fault {
    /// No packet at all, or none that a responder would send.
    Malformed,
    /// A checksum that does not verify.
    Checksum,
    /// A probe that nobody asked for, or that was sent already.
    UnaskedProbe,
    /// A probe from a wrong address, of a wrong protocol, TTL or flow.
    WrongProbe,
    /// A response that nobody waits for: wrong client, wrong identifier, or sent twice.
    UnaskedResponse,
    /// A response to a transaction whose probe nobody answered.
    UnansweredResponse,
    /// A response from a wrong address.
    WrongSource,
    /// A response that names another router than the one that answered.
    WrongHop,
    /// A round-trip time that is shorter than the network's, or longer than the whole transaction.
    WrongRtt,
    /// A refusal of what ought to be served.
    Refused,
    /// A reply to a ping that nobody sent, or a RST that nobody is owed.
    Unasked,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Checksum,
        Self::UnaskedProbe,
        Self::WrongProbe,
        Self::UnaskedResponse,
        Self::UnansweredResponse,
        Self::WrongSource,
        Self::WrongHop,
        Self::WrongRtt,
        Self::Refused,
        Self::Unasked,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Checksum => "checksum",
            Self::UnaskedProbe => "unasked_probe",
            Self::WrongProbe => "wrong_probe",
            Self::UnaskedResponse => "unasked_response",
            Self::UnansweredResponse => "unanswered_response",
            Self::WrongSource => "wrong_source",
            Self::WrongHop => "wrong_hop",
            Self::WrongRtt => "wrong_rtt",
            Self::Refused => "refused",
            Self::Unasked => "unasked",
        }
    }
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is none; or what there was is over.
    Free,
    /// The request was sent.
    Asked,
    /// The probe came; its answer waits for its time, or was sent.
    Probed,
    /// It was given up as lost; should it go on all the same, it is late, and no fault.
    Expired,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    state: State,
    /// The window in which it was asked for.
    window: u32,
    number: u64,
    /// When the request was to be sent: latency counts from here.
    intended: u64,
    /// When it was.
    sent: u64,
    probed: u64,
    answered: u64,
    /// The request comes twice.
    twice: bool,
}

const EMPTY: Slot = Slot {
    state: State::Free,
    window: 0,
    number: 0,
    intended: 0,
    sent: 0,
    probed: 0,
    answered: 0,
    twice: false,
};

/// How long the parts of a transaction took, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// From the time when the request was to be sent until the probe came.
    pub probe: u64,
    /// From the answer to the probe until the response.
    pub response: u64,
    /// Both: what the responder, and the way to it, added.
    pub whole: u64,
}

/// What a probe turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// As asked for.
    Right(Transaction),
    /// Right, but its transaction was given up before.
    Late,
}

/// What a response turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// As it has to be.
    Right(Latency),
    /// To a transaction that was given up before.
    Late,
}

/// The transactions under way. Never allocates once made.
#[derive(Debug)]
pub struct Ledger {
    plan: Plan,
    clock: Clock,
    slots: Box<[Slot]>,
    timeout: u64,
    asked: usize,
    probed: usize,
    swept: usize,
    /// Transactions given up that may still go on: so many late frames, each one step further, are no fault.
    late: u64,
    /// The window of a step that is now.
    window: u32,
    /// Transactions that ended as they should, by the window in which they were asked for.
    served: Vec<u64>,
    /// How long a probe waits for its answer, in ticks.
    pending: u64,
    /// The last wrong round-trip time, and the least and the most that it might have been, in nanoseconds.
    pub wrong_rtt: Option<[u64; 3]>,
}

impl Ledger {
    /// Room for `capacity` transactions of `plan` at once, a power of two, given up after `timeout` ticks.
    ///
    /// # Panics
    ///
    /// If `capacity` is no power of two or more than the plan can tell apart.
    #[must_use]
    pub fn new(plan: Plan, clock: Clock, capacity: usize, timeout: u64) -> Self {
        assert!(capacity.is_power_of_two() && capacity as u64 <= plan.span(), "{capacity}");
        let slots = vec![EMPTY; capacity].into_boxed_slice();
        Self {
            plan,
            clock,
            slots,
            timeout,
            asked: 0,
            probed: 0,
            swept: 0,
            late: 0,
            window: 0,
            served: Vec::new(),
            pending: u64::MAX,
            wrong_rtt: None,
        }
    }

    /// The same, with a responder whose probes wait for `ticks`.
    #[must_use]
    pub fn with_pending(self, ticks: u64) -> Self {
        Self { pending: ticks, ..self }
    }

    /// A step of at most `windows` windows begins, in which transactions are given up after `timeout` ticks.
    pub fn begin_step(&mut self, windows: usize, timeout: u64) {
        self.timeout = timeout;
        self.window = 0;
        self.served.clear();
        self.served.resize(windows, 0);
    }

    /// Its next window begins.
    pub fn next_window(&mut self) {
        self.window += 1;
    }

    /// Of the transactions asked for in each window of the step, how many have ended as they should.
    #[must_use]
    pub fn served(&self) -> &[u64] {
        &self.served
    }

    /// Transactions under way.
    #[must_use]
    #[inline]
    pub const fn outstanding(&self) -> usize {
        self.asked + self.probed
    }

    /// The place of the transaction whose number ends in `position`. The capacity divides the span.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked by the number of slots")]
    fn place(&self, position: u64) -> usize {
        position as usize & (self.slots.len() - 1)
    }

    /// Whether a frame of no transaction under way, whose place now holds `number`, is that of an older
    /// one that was given up.
    #[inline]
    fn is_late(&mut self, position: u64, number: u64) -> bool {
        let age = number.wrapping_sub(position) & (self.plan.span() - 1);
        let late = self.late > 0 && age <= number;
        self.late -= u64::from(late);
        late
    }

    /// Begins transaction `number`. `None` if it can't be: there is no such transaction, or its place
    /// is taken by an older one; then the next number may be tried.
    #[inline]
    pub fn begin(&mut self, number: u64, intended: u64, now: u64) -> Option<Transaction> {
        let wanted = self.plan.transaction(number)?;
        let place = self.place(number);
        let slot = &mut self.slots[place];
        if matches!(slot.state, State::Asked | State::Probed) {
            return None;
        }
        let window = self.window;
        *slot = Slot {
            state: State::Asked,
            window,
            number,
            intended,
            sent: now,
            probed: 0,
            answered: 0,
            twice: false,
        };
        self.asked += 1;
        Some(wanted)
    }

    /// The position of a transaction: what of its number its frames tell.
    #[must_use]
    #[inline]
    pub fn position(&self, wanted: &Transaction) -> u64 {
        self.plan.position(wanted.client, wanted.identifier)
    }

    /// Notes that the request of `wanted`, which is under way, comes twice: its round trip may be one that is not known.
    pub fn comes_twice(&mut self, wanted: &Transaction) {
        let place = self.place(self.position(wanted));
        self.slots[place].twice = true;
    }

    /// Whether the request of `wanted`, which is under way, comes twice.
    #[must_use]
    pub fn is_twice(&self, wanted: &Transaction) -> bool {
        self.slots[self.place(self.position(wanted))].twice
    }

    /// Ends the transaction whose number ends in `position`, and whose request or answer was not sent after all; whether it was under way.
    #[inline]
    pub fn withdraw(&mut self, position: u64) -> bool {
        let place = self.place(position);
        let slot = &mut self.slots[place];
        if (slot.number ^ position) & (self.plan.span() - 1) != 0 {
            return false;
        }
        match slot.state {
            State::Asked => self.asked -= 1,
            State::Probed => self.probed -= 1,
            State::Free | State::Expired => return false,
        }
        slot.state = State::Free;
        true
    }

    /// Takes a request that a mirror threw back: ends its transaction, and says how long it took; `None` if that was
    /// given up before.
    #[inline]
    pub fn mirrored(
        &mut self,
        client: IpAddr,
        identifier: u16,
        now: u64,
    ) -> Result<Option<u64>, Fault> {
        let client = addresses::client_index(client).ok_or(Fault::UnaskedProbe)?;
        let position = self.plan.position(client, identifier);
        let place = self.place(position);
        let Slot { state, number, intended, window, .. } = self.slots[place];
        if self.withdraw(position) {
            note(&mut self.served, window);
            return Ok(Some(now.saturating_sub(intended)));
        }
        let late = if number & (self.plan.span() - 1) != position {
            self.is_late(position, number)
        } else if state == State::Expired {
            self.slots[place].state = State::Free;
            self.late = self.late.saturating_sub(1);
            true
        } else {
            false
        };
        if late { Ok(None) } else { Err(Fault::UnaskedProbe) }
    }

    /// Takes a probe, whose IP packet is `packet`, received at `now`. `lose` says that nothing will
    /// answer it, which ends the transaction. Returns the latency of the probe besides.
    #[inline]
    pub fn probe(
        &mut self,
        packet: &Packet<'_>,
        lose: bool,
        now: u64,
    ) -> Result<(Probed, u64), Fault> {
        if !packet.upper_layer_sum().verifies() {
            return Err(Fault::Checksum);
        }
        let family = packet.family();
        let identity = Identity::from_quote(family, packet.protocol, packet.payload)
            .ok_or(Fault::Malformed)?;
        let client = addresses::client_index(packet.dst).ok_or(Fault::UnaskedProbe)?;
        let position = self.plan.position(client, identity.identifier);
        let place = self.place(position);
        let span = self.plan.span();
        let number = self.slots[place].number;
        if number & (span - 1) != position {
            let late = self.is_late(position, number);
            return if late { Ok((Probed::Late, 0)) } else { Err(Fault::UnaskedProbe) };
        }
        let slot = &mut self.slots[place];
        let wanted = self.plan.transaction(slot.number).ok_or(Fault::UnaskedProbe)?;
        let right = wanted.family == family
            && wanted.protocol == identity.protocol
            && wanted.ttl == packet.ttl
            && wanted.flow == identity.flow
            && identity.source_port == SOURCE_PORT
            && packet.src == addresses::responder(family);
        if !right {
            return Err(Fault::WrongProbe);
        }
        let latency = now.saturating_sub(slot.intended);
        match slot.state {
            State::Free | State::Probed => Err(Fault::UnaskedProbe),
            State::Expired => {
                slot.state = State::Free;
                self.late = self.late.saturating_sub(1);
                Ok((Probed::Late, latency))
            }
            State::Asked => {
                self.asked -= 1;
                if lose {
                    slot.state = State::Free;
                    note(&mut self.served, slot.window);
                } else {
                    self.probed += 1;
                    (slot.state, slot.probed, slot.answered) = (State::Probed, now, u64::MAX);
                }
                Ok((Probed::Right(wanted), latency))
            }
        }
    }

    /// Notes that the answer to the probe of `wanted` is sent at `now`.
    #[inline]
    pub fn answer_sent(&mut self, wanted: &Transaction, now: u64) {
        let place = self.place(self.position(wanted));
        let slot = &mut self.slots[place];
        if slot.state == State::Probed {
            slot.answered = now;
        }
    }

    /// Verifies `response`, which came in `packet` at `now`; its checksum too.
    #[inline]
    pub fn response(
        &mut self,
        packet: &Packet<'_>,
        response: &Response<'_>,
        now: u64,
    ) -> Result<Answered, Fault> {
        if !packet.upper_layer_sum().verifies() {
            return Err(Fault::Checksum);
        }
        let client = addresses::client_index(packet.dst).ok_or(Fault::UnaskedResponse)?;
        let position = self.plan.position(client, response.identifier);
        let place = self.place(position);
        let span = self.plan.span();
        let number = self.slots[place].number;
        if number & (span - 1) != position {
            let late = self.is_late(position, number);
            return if late { Ok(Answered::Late) } else { Err(Fault::UnaskedResponse) };
        }
        let slot = &mut self.slots[place];
        match slot.state {
            State::Free => return Err(Fault::UnaskedResponse),
            State::Asked => return Err(Fault::UnansweredResponse),
            State::Expired => {
                slot.state = State::Free;
                self.late = self.late.saturating_sub(1);
                return Ok(Answered::Late);
            }
            State::Probed => {}
        }
        let wanted = self.plan.transaction(slot.number).ok_or(Fault::UnaskedResponse)?;
        if wanted.family != packet.family() {
            return Err(Fault::UnaskedResponse);
        }
        if packet.src != addresses::responder(wanted.family) {
            return Err(Fault::WrongSource);
        }
        let Verdict::Hop { address, rtt } = response.verdict else { return Err(Fault::Refused) };
        if address != wanted.hop {
            return Err(Fault::WrongHop);
        }
        if slot.answered == u64::MAX {
            return Err(Fault::UnansweredResponse);
        }
        // The responder's clock is ours: it took the probe's time after the request was sent and
        // before the probe came, and the answer's time likewise.
        let whole = now.saturating_sub(slot.sent);
        // Where the first probe's entry may have expired before the second request came, the answer to the first is taken for one to
        // the second, which nothing tells apart (ADR 0040).
        let anew = slot.twice && whole >= self.pending;
        let answer = if anew { 0 } else { slot.answered.saturating_sub(slot.probed) };
        let (least, most) = (self.clock.ns(answer), self.clock.ns(whole));
        let slack = SLACK_NS + (most >> DRIFT_LOG2);
        let plausible = match rtt.ns().map(u64::from) {
            // "Or more": 32 bits hold no more.
            Some(rtt) if rtt == LONGEST_NS => most + slack >= rtt,
            Some(rtt) => rtt + slack >= least && rtt <= most + slack,
            None => slot.twice,
        };
        if !plausible {
            self.wrong_rtt = Some([rtt.ns().map_or(u64::MAX, u64::from), least, most]);
            return Err(Fault::WrongRtt);
        }
        slot.state = State::Free;
        note(&mut self.served, slot.window);
        self.probed -= 1;
        let probe = slot.probed.saturating_sub(slot.intended);
        let response = now.saturating_sub(slot.answered);
        Ok(Answered::Right(Latency { probe, response, whole: probe + response }))
    }

    /// Looks at the next `count` places and gives up what has waited too long; returns how many: of
    /// requests without probe, and of answers without response. Tells `on_loss` when each was sent.
    #[inline]
    pub fn sweep(&mut self, count: usize, now: u64, mut on_loss: impl FnMut(u64)) -> [u64; 2] {
        let mut lost = [0, 0];
        for _ in 0..count {
            let place = self.swept;
            self.swept = (place + 1) & (self.slots.len() - 1);
            let slot = &mut self.slots[place];
            if now.saturating_sub(slot.sent) <= self.timeout {
                continue;
            }
            match slot.state {
                State::Asked => {
                    self.asked -= 1;
                    lost[0] += 1;
                    on_loss(slot.sent);
                }
                // Until it is sent, an answer is still on its way by our own doing.
                State::Probed if slot.answered != u64::MAX => {
                    if now.saturating_sub(slot.answered) <= self.timeout {
                        continue;
                    }
                    self.probed -= 1;
                    lost[1] += 1;
                    on_loss(slot.answered);
                }
                State::Probed | State::Free | State::Expired => continue,
            }
            slot.state = State::Expired;
            self.late += 1;
        }
        lost
    }

    /// How many places there are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }
}

/// One more was served of those asked for in `window`.
#[inline]
fn note(served: &mut [u64], window: u32) {
    if let Some(count) = served.get_mut(window as usize) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests;
