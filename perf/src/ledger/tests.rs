//! A ledger that notices whatever is wrong.

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
    let fields =
        Fields { src, dst, ttl, traffic_class: 0, flow_label: 0, identification: None, protocol };
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
    /// `u64::MAX`: not known.
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
        let known = (self.rtt_ns != u64::MAX).then(|| Rtt::from_ns(self.rtt_ns));
        let rtt = known.unwrap_or(Rtt::UNKNOWN);
        let verdict = Verdict::Hop { address: self.hop, rtt };
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
fn what_a_stall_made_long_may_differ_by_as_much_as_the_clocks_do() {
    // 10 s from request to response: two measurements of the counter's frequency that differ by a part in 1024.
    let now = 10_000_000_000;
    for (rtt, right) in [(9_000_000u64, false), (u64::from(u32::MAX), true), (u64::MAX, false)] {
        let (mut ledger, wanted) = under_way("v4");
        ledger.answer_sent(&wanted, 40_000_000);
        let reply = Reply { rtt_ns: rtt, ..Reply::to(&wanted) };
        assert_eq!(reply.offer(&mut ledger, now).is_ok(), right, "{rtt}");
    }
    let (mut ledger, wanted) = under_way("v4");
    ledger.answer_sent(&wanted, 2_000_000_000);
    let reply = Reply { rtt_ns: 2_001_000_000, ..Reply::to(&wanted) };
    assert!(reply.offer(&mut ledger, 2_000_100_000).is_ok());
    let (mut ledger, wanted) = under_way("v4");
    // What took longer than 32 bits can tell.
    ledger.answer_sent(&wanted, 9_000_000_000);
    let reply = Reply { rtt_ns: 9_500_000_000, ..Reply::to(&wanted) };
    assert!(reply.offer(&mut ledger, now).is_ok());
    let (mut ledger, wanted) = under_way("v4");
    let reply = Reply { rtt_ns: 9_500_000_000, ..Reply::to(&wanted) };
    assert_eq!(reply.offer(&mut ledger, 70_000), Err(Fault::WrongRtt), "the longest, but short");
    assert_eq!(ledger.wrong_rtt, Some([u64::from(u32::MAX) - 1, 40_000, 69_900]));
}

#[test]
fn only_of_a_request_that_came_twice_the_round_trip_need_not_be_known() {
    let offer = |rtt_ns: u64, twice: bool| {
        let (mut ledger, wanted) = under_way("v4");
        if twice {
            ledger.comes_twice(&wanted);
        }
        assert_eq!(ledger.is_twice(&wanted), twice);
        Reply { rtt_ns, ..Reply::to(&wanted) }.offer(&mut ledger, 70_000).is_ok()
    };
    assert!(offer(u64::MAX, true) && !offer(u64::MAX, false));
    // What is told must be right.
    assert!(offer(50_000, true) && !offer(20_000, true) && !offer(90_000, true));
}

#[test]
fn a_second_probe_that_waits_alone_has_a_time_of_its_own() {
    let short = |twice: bool, pending: u64| {
        let (ledger, wanted) = under_way("v4");
        let mut ledger = ledger.with_pending(pending);
        if twice {
            ledger.comes_twice(&wanted);
        }
        Reply { rtt_ns: 20_000, ..Reply::to(&wanted) }.offer(&mut ledger, 70_000).is_ok()
    };
    // The whole took 69,900 ticks.
    assert!(short(true, 69_900) && !short(true, 69_901) && !short(false, 69_900));
}

#[test]
fn what_was_not_sent_after_all_is_not_under_way() {
    let (mut ledger, wanted) = under_way("v4");
    assert!(!ledger.withdraw(1001) && ledger.withdraw(1000));
    assert_eq!((ledger.outstanding(), ledger.withdraw(1000)), (0, false));
    assert_eq!(Reply::to(&wanted).offer(&mut ledger, 70_000), Err(Fault::UnaskedResponse));
    // A refused request may be offered again, and is the same.
    assert_eq!(ledger.begin(1000, 80_000, 80_000), Some(wanted));
    let client = addresses::client(wanted.family, wanted.client);
    assert_eq!(ledger.mirrored(client, wanted.identifier, 80_500), Ok(Some(500)));
    assert_eq!(ledger.mirrored(client, wanted.identifier, 80_500), Err(Fault::UnaskedProbe));
    assert_eq!(ledger.outstanding(), 0);
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
            ("short", Fault::WrongRtt, |reply| reply.rtt_ns = 29_931),
            ("long", Fault::WrongRtt, |reply| reply.rtt_ns = 79_969),
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
            assert_eq!(ledger.response(&packet, &response, 70_000), Err(Fault::Checksum), "{at}");
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
    assert_eq!(ledger.sweep(64, 1_000_001, |_| {}), [1, 0], "an answer not yet sent is not lost");
    ledger.answer_sent(&second, 1_000_001);
    assert_eq!(ledger.sweep(64, 2_000_001, |_| {}), [0, 0]);
    assert_eq!(ledger.sweep(64, 2_000_002, |_| {}), [0, 1]);
    assert_eq!(ledger.outstanding(), 0);
    assert_eq!(ledger.probe(&parse(&probe_of(&first)), false, 3_000_000).unwrap().0, Probed::Late);
    assert_eq!(Reply::to(&second).offer(&mut ledger, 3_000_000), Ok(Answered::Late));
    assert_eq!(Reply::to(&third).offer(&mut ledger, 3_000_000), Err(Fault::UnaskedResponse));
}

#[test]
fn what_comes_late_is_known_even_when_its_place_is_taken_and_once_only() {
    let mut ledger = ledger("v4");
    let old = ledger.begin(1000, 0, 0).unwrap();
    assert_eq!(ledger.sweep(64, 2_000_000, |_| {}), [1, 0]);
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
    assert_eq!(ledger.sweep(64, 2_000_000, |_| {}), [1, 0]);
    assert!(ledger.begin(1064, 0, 0).is_some());
}

#[test]
fn what_a_mirror_throws_back_late_is_no_fault_and_that_once_only() {
    let mut ledger = ledger("v4");
    let (first, second) = (ledger.begin(4000, 0, 0).unwrap(), ledger.begin(4001, 0, 0).unwrap());
    assert_eq!(ledger.sweep(64, 1_000_001, |_| ()), [2, 0]);
    let mirrored = |ledger: &mut Ledger, wanted: &Transaction, now| {
        ledger.mirrored(addresses::client(Family::V4, wanted.client), wanted.identifier, now)
    };
    // In its place, and after another has taken it.
    assert_eq!(mirrored(&mut ledger, &first, 1_000_002), Ok(None));
    assert_eq!(mirrored(&mut ledger, &first, 1_000_003), Err(Fault::UnaskedProbe));
    let third = ledger.begin(4001 + 64, 2_000_000, 2_000_000).unwrap();
    assert_eq!(mirrored(&mut ledger, &second, 2_000_001), Ok(None));
    assert_eq!(mirrored(&mut ledger, &second, 2_000_002), Err(Fault::UnaskedProbe));
    assert_eq!(mirrored(&mut ledger, &third, 2_000_007), Ok(Some(7)));
    assert_eq!(ledger.outstanding(), 0);
}
