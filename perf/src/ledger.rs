//! The transactions under way, and the verification of what comes back for them.

use otherhalf_engine::Clock;
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::{Identity, SOURCE_PORT};
use otherhalf_wire::trace::{Response, Verdict};

use crate::addresses;
use crate::plan::{Plan, Transaction};

/// By how much two cores' counters may disagree. A host may move a core to another socket between the
/// two times that make a round trip: jumps of 2 us were seen on a shared machine.
const SLACK_NS: u64 = 10_000;

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
    number: u64,
    /// When the request was to be sent: latency counts from here.
    intended: u64,
    /// When it was.
    sent: u64,
    probed: u64,
    answered: u64,
}

const EMPTY: Slot =
    Slot { state: State::Free, number: 0, intended: 0, sent: 0, probed: 0, answered: 0 };

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
        Self { plan, clock, slots, timeout, asked: 0, probed: 0, swept: 0, late: 0 }
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
        *slot = Slot { state: State::Asked, number, intended, sent: now, probed: 0, answered: 0 };
        self.asked += 1;
        Some(wanted)
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
        let position = self.plan.position(wanted.client, wanted.identifier);
        let place = self.place(position);
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
        let least = self.clock.ns(slot.answered.saturating_sub(slot.probed));
        let most = self.clock.ns(now.saturating_sub(slot.sent));
        let rtt = u64::from(rtt.ns().ok_or(Fault::WrongRtt)?);
        if rtt + SLACK_NS < least || rtt > most + SLACK_NS {
            return Err(Fault::WrongRtt);
        }
        slot.state = State::Free;
        self.probed -= 1;
        let probe = slot.probed.saturating_sub(slot.intended);
        let response = now.saturating_sub(slot.answered);
        Ok(Answered::Right(Latency { probe, response, whole: probe + response }))
    }

    /// Looks at the next `count` places and gives up what has waited too long; returns how many: of
    /// requests without probe, and of answers without response.
    #[inline]
    pub fn sweep(&mut self, count: usize, now: u64) -> [u64; 2] {
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
                }
                // Until it is sent, an answer is still on its way by our own doing.
                State::Probed if slot.answered != u64::MAX => {
                    if now.saturating_sub(slot.answered) <= self.timeout {
                        continue;
                    }
                    self.probed -= 1;
                    lost[1] += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use otherhalf_wire::icmp;
    use otherhalf_wire::ip::{Family, Fields};
    use otherhalf_wire::probe::{Cookie, Probe};
    use otherhalf_wire::trace::{Refusal, Rtt};
    use std::net::IpAddr;
    use std::path::Path;

    /// What is changed, what it is noticed as, how it is changed.
    type Mutation<T> = (&'static str, Fault, fn(&mut T));

    /// A tick is a nanosecond.
    fn ledger(family: &str) -> Ledger {
        let text = format!("about = \"x\"\nclients = 16\nfamily = \"{family}\"");
        let plan = Plan::new(&Scenario::parse(Path::new("x"), &text).unwrap());
        Ledger::new(plan, Clock::new(1_000_000_000).unwrap(), 64, 1_000_000)
    }

    fn packet(src: IpAddr, dst: IpAddr, ttl: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let fields = Fields {
            src,
            dst,
            ttl,
            traffic_class: 0,
            flow_label: 0,
            identification: None,
            protocol,
        };
        let mut out = vec![0; 40 + payload.len()];
        let rest = fields.emit(payload.len(), &mut out).unwrap();
        rest[..payload.len()].copy_from_slice(payload);
        let left = rest.len() - payload.len();
        out.truncate(out.len() - left);
        out
    }

    fn parse(bytes: &[u8]) -> Packet<'_> {
        if bytes[0] >> 4 == 4 { Packet::parse_v4(bytes) } else { Packet::parse_v6(bytes) }.unwrap()
    }

    fn probe_of(wanted: &Transaction) -> Vec<u8> {
        let src = addresses::responder(wanted.family);
        let dst = addresses::client(wanted.family, wanted.client);
        let probe = Probe {
            protocol: wanted.protocol,
            source_port: SOURCE_PORT,
            flow: wanted.flow,
            identifier: wanted.identifier,
            cookie: Cookie(99),
        };
        let mut payload = [0; 64];
        let len = probe.emit(src, dst, &mut payload).unwrap();
        packet(src, dst, wanted.ttl, wanted.protocol.number(wanted.family), &payload[..len])
    }

    struct Reply {
        src: IpAddr,
        dst: IpAddr,
        identifier: u16,
        hop: IpAddr,
        rtt_ns: u64,
    }

    impl Reply {
        fn to(wanted: &Transaction) -> Self {
            Self {
                src: addresses::responder(wanted.family),
                dst: addresses::client(wanted.family, wanted.client),
                identifier: wanted.identifier,
                hop: wanted.hop,
                rtt_ns: 50_000,
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let verdict = Verdict::Hop { address: self.hop, rtt: Rtt::from_ns(self.rtt_ns) };
            let mut payload = [0; 64];
            let response = Response { identifier: self.identifier, verdict };
            let len = response.emit(self.src, self.dst, &mut payload).unwrap();
            packet(self.src, self.dst, 64, Family::of(self.src).icmp(), &payload[..len])
        }

        fn offer(&self, ledger: &mut Ledger, now: u64) -> Result<Answered, Fault> {
            offer(ledger, &self.bytes(), now)
        }
    }

    fn offer(ledger: &mut Ledger, bytes: &[u8], now: u64) -> Result<Answered, Fault> {
        let packet = parse(bytes);
        let message = icmp::Message::parse(packet.family(), packet.payload).unwrap();
        let response = Response::parse(&message).unwrap();
        ledger.response(&packet, &response, now)
    }

    /// Transaction 1000 under way: asked at 0, probed at 20,000, answered at 60,000.
    fn under_way(family: &str) -> (Ledger, Transaction) {
        let mut ledger = ledger(family);
        let wanted = ledger.begin(1000, 0, 100).unwrap();
        let probed = ledger.probe(&parse(&probe_of(&wanted)), false, 20_000).unwrap();
        assert_eq!(probed, (Probed::Right(wanted), 20_000));
        ledger.answer_sent(&wanted, 60_000);
        (ledger, wanted)
    }

    #[test]
    fn a_right_response_ends_its_transaction_once() {
        for family in ["v4", "v6"] {
            let (mut ledger, wanted) = under_way(family);
            assert_eq!(ledger.outstanding(), 1);
            let latency = Latency { probe: 20_000, response: 10_000, whole: 30_000 };
            assert_eq!(Reply::to(&wanted).offer(&mut ledger, 70_000), Ok(Answered::Right(latency)));
            assert_eq!(ledger.outstanding(), 0);
            assert_eq!(Reply::to(&wanted).offer(&mut ledger, 70_000), Err(Fault::UnaskedResponse));
        }
    }

    #[test]
    fn every_mutation_of_a_response_is_noticed() {
        for family in ["v4", "v6"] {
            let other = if family == "v4" { Family::V6 } else { Family::V4 };
            let (_, wanted) = under_way(family);
            let client = |index| addresses::client(wanted.family, index);
            let cases: [Mutation<Reply>; 5] = [
                ("identifier", Fault::UnaskedResponse, |reply| reply.identifier ^= 1),
                ("hop", Fault::WrongHop, |reply| {
                    reply.hop = addresses::hop(Family::of(reply.src), 0x1234_5600);
                }),
                ("short", Fault::WrongRtt, |reply| reply.rtt_ns = 29_999),
                ("long", Fault::WrongRtt, |reply| reply.rtt_ns = 79_901),
                ("source", Fault::WrongSource, |reply| {
                    reply.src = addresses::hop(Family::of(reply.src), 5);
                }),
            ];
            for (name, fault, change) in cases {
                let (mut ledger, wanted) = under_way(family);
                let mut reply = Reply::to(&wanted);
                change(&mut reply);
                assert_eq!(reply.offer(&mut ledger, 70_000), Err(fault), "{name}");
                assert_eq!(ledger.outstanding(), 1, "{name}: the right one may still come");
            }
            let (mut ledger, wanted) = under_way(family);
            let reply = Reply { dst: client(wanted.client ^ 1), ..Reply::to(&wanted) };
            assert_eq!(reply.offer(&mut ledger, 70_000), Err(Fault::UnaskedResponse), "client");
            let reply = Reply { dst: addresses::hop(wanted.family, 1), ..Reply::to(&wanted) };
            assert_eq!(reply.offer(&mut ledger, 70_000), Err(Fault::UnaskedResponse), "no client");
            let reply = Reply {
                src: addresses::responder(other),
                dst: addresses::client(other, wanted.client),
                ..Reply::to(&wanted)
            };
            assert_eq!(reply.offer(&mut ledger, 70_000), Err(Fault::UnaskedResponse), "family");
        }
    }

    #[test]
    fn every_octet_of_a_response_message_counts() {
        for family in ["v4", "v6"] {
            let (mut ledger, wanted) = under_way(family);
            let good = Reply::to(&wanted).bytes();
            let start = Family::of(wanted.hop).header_len();
            // Type and code decide what it is read as; the rest is covered by the checksum.
            for at in start + 2..good.len() {
                let mut bytes = good.clone();
                bytes[at] ^= 0x10;
                let packet = parse(&bytes);
                let message = icmp::Message::parse(packet.family(), packet.payload).unwrap();
                let Ok(response) = Response::parse(&message) else { continue };
                assert_eq!(
                    ledger.response(&packet, &response, 70_000),
                    Err(Fault::Checksum),
                    "{at}"
                );
            }
        }
    }

    #[test]
    fn a_refusal_is_a_fault() {
        let (mut ledger, wanted) = under_way("v4");
        let reply = Reply::to(&wanted);
        let verdict = Verdict::Refused { refusal: Refusal::Ttl, text: &[] };
        let mut payload = [0; 64];
        let response = Response { identifier: wanted.identifier, verdict };
        let len = response.emit(reply.src, reply.dst, &mut payload).unwrap();
        let bytes = packet(reply.src, reply.dst, 64, 1, &payload[..len]);
        assert_eq!(offer(&mut ledger, &bytes, 70_000), Err(Fault::Refused));
    }

    #[test]
    fn a_response_before_its_probe_was_answered_is_a_fault() {
        let mut ledger = ledger("v4");
        let wanted = ledger.begin(1000, 0, 0).unwrap();
        let reply = Reply::to(&wanted);
        assert_eq!(reply.offer(&mut ledger, 70_000), Err(Fault::UnansweredResponse));
        ledger.probe(&parse(&probe_of(&wanted)), false, 2000).unwrap();
        assert_eq!(reply.offer(&mut ledger, 70_000), Err(Fault::UnansweredResponse));
    }

    #[test]
    fn every_mutation_of_a_probe_is_noticed() {
        let mutations: [Mutation<Transaction>; 5] = [
            ("ttl", Fault::WrongProbe, |wanted| wanted.ttl ^= 1),
            ("flow", Fault::WrongProbe, |wanted| wanted.flow ^= 1),
            ("protocol", Fault::WrongProbe, |wanted| {
                wanted.protocol = match wanted.protocol {
                    otherhalf_wire::probe::Protocol::Udp => otherhalf_wire::probe::Protocol::Tcp,
                    _ => otherhalf_wire::probe::Protocol::Udp,
                }
            }),
            ("identifier", Fault::UnaskedProbe, |wanted| wanted.identifier ^= 1),
            ("client", Fault::UnaskedProbe, |wanted| wanted.client ^= 1),
        ];
        for (name, fault, change) in mutations {
            let mut ledger = ledger("v6");
            let wanted = ledger.begin(1000, 0, 0).unwrap();
            let mut changed = wanted;
            change(&mut changed);
            let result = ledger.probe(&parse(&probe_of(&changed)), false, 50);
            assert_eq!(result, Err(fault), "{name}");
            assert!(ledger.probe(&parse(&probe_of(&wanted)), false, 50).is_ok(), "{name}");
            let again = ledger.probe(&parse(&probe_of(&wanted)), false, 50);
            assert_eq!(again, Err(Fault::UnaskedProbe), "{name}: twice");
        }
    }

    #[test]
    fn what_is_lost_is_counted_by_its_place_and_what_comes_late_is_no_fault() {
        let mut ledger = ledger("v4");
        let first = ledger.begin(1000, 0, 0).unwrap();
        let second = ledger.begin(1001, 0, 0).unwrap();
        let third = ledger.begin(1002, 0, 0).unwrap();
        for wanted in [second, third] {
            ledger.probe(&parse(&probe_of(&wanted)), wanted == third, 100).unwrap();
        }
        assert_eq!(ledger.outstanding(), 2, "a probe that is to be lost ends its transaction");
        assert_eq!(ledger.sweep(64, 1_000_001), [1, 0], "an answer not yet sent is not lost");
        ledger.answer_sent(&second, 1_000_001);
        assert_eq!(ledger.sweep(64, 2_000_001), [0, 0]);
        assert_eq!(ledger.sweep(64, 2_000_002), [0, 1]);
        assert_eq!(ledger.outstanding(), 0);
        assert_eq!(
            ledger.probe(&parse(&probe_of(&first)), false, 3_000_000).unwrap().0,
            Probed::Late
        );
        assert_eq!(Reply::to(&second).offer(&mut ledger, 3_000_000), Ok(Answered::Late));
        assert_eq!(Reply::to(&third).offer(&mut ledger, 3_000_000), Err(Fault::UnaskedResponse));
    }

    #[test]
    fn what_comes_late_is_known_even_when_its_place_is_taken_and_once_only() {
        let mut ledger = ledger("v4");
        let old = ledger.begin(1000, 0, 0).unwrap();
        assert_eq!(ledger.sweep(64, 2_000_000), [1, 0]);
        let new = ledger.begin(1064, 2_000_000, 2_000_000).unwrap();
        let late = ledger.probe(&parse(&probe_of(&old)), false, 2_000_100);
        assert_eq!(late, Ok((Probed::Late, 0)));
        let twice = ledger.probe(&parse(&probe_of(&old)), false, 2_000_100);
        assert_eq!(twice, Err(Fault::UnaskedProbe));
        assert!(ledger.probe(&parse(&probe_of(&new)), false, 2_000_100).is_ok());
    }

    #[test]
    fn a_place_is_for_one_transaction_at_a_time() {
        let mut ledger = ledger("v4");
        assert!(ledger.begin(1000, 0, 0).is_some());
        assert!(ledger.begin(1064, 0, 0).is_none());
        assert_eq!(ledger.sweep(64, 2_000_000), [1, 0]);
        assert!(ledger.begin(1064, 0, 0).is_some());
    }
}
