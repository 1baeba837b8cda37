//! Who may ask, and who is never probed.

mod common;

use std::sync::Arc;

use common::{Ends, FAMILIES, Responder, ends, request, request_packet, routed};
use ipnet::IpNet;
use otherhalf_engine::access::{ALLOW, Access, DENY};
use otherhalf_engine::{Outcome, Verdict};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::Request;

/// What becomes of a client's request where prefixes of these lengths that hold it are allowed or denied, and opted out.
fn outcome(access: &[(u8, u8)], opt_out: &[u8], family: Family) -> Outcome {
    let Ends { client, .. } = ends(family);
    let prefix = |len: u8| IpNet::new(client, len).unwrap();
    let mut ours = Responder::new();
    ours.policy.access = Some(Arc::new(Access::new(
        access.iter().map(|(len, what)| (prefix(*len), *what)),
        opt_out.iter().map(|len| (prefix(*len), DENY)),
    )));
    let frame = routed(&request_packet(ends(family), request(family, Protocol::Udp, 9, 4321)));
    let done = ours.play(&frame);
    let dropped = matches!(done.fate.outcome, Outcome::DropDenied | Outcome::DropOptedOut);
    assert_eq!(done.fate.verdict == Verdict::Drop, dropped, "{:?}", done.fate);
    done.fate.outcome
}

#[test]
fn the_longest_prefix_says_who_may_ask() {
    for family in FAMILIES {
        let host = if ends(family).client.is_ipv4() { 32 } else { 128 };
        for (access, expected) in [
            (&[][..], Outcome::ProbeUdp),
            (&[(0, DENY)], Outcome::DropDenied),
            (&[(0, DENY), (20, ALLOW)], Outcome::ProbeUdp),
            (&[(0, ALLOW), (20, DENY), (host, ALLOW)], Outcome::ProbeUdp),
            (&[(0, DENY), (20, ALLOW), (host, DENY)], Outcome::DropDenied),
            (&[(20, DENY), (20, ALLOW)], Outcome::DropDenied),
        ] {
            assert_eq!(outcome(access, &[], family), expected, "{family:?} {access:?}");
        }
    }
}

#[test]
fn who_opted_out_is_not_probed_whoever_may_ask() {
    for family in FAMILIES {
        assert_eq!(outcome(&[], &[8], family), Outcome::DropOptedOut);
        assert_eq!(outcome(&[(24, ALLOW)], &[8], family), Outcome::DropOptedOut);
        assert_eq!(outcome(&[(8, DENY)], &[24], family), Outcome::DropDenied, "the first reason");
    }
}

#[test]
fn a_family_says_nothing_of_the_other() {
    for family in FAMILIES {
        let other = if ends(family).client.is_ipv4() { "::/0" } else { "0.0.0.0/0" };
        let mut ours = Responder::new();
        let all = [(other.parse().unwrap(), DENY)];
        ours.policy.access = Some(Arc::new(Access::new(all, all)));
        ours.probe(family, request(family, Protocol::Udp, 9, 4321));
    }
}

/// Who opted out by his IPv4 address is not probed by a translator's or a relay's name for it (RFC 6052, RFC 3056) either.
#[test]
fn who_opted_out_is_not_probed_by_another_name() {
    for (client, opted_out) in [
        ("64:ff9b::9.9.9.9", Outcome::DropOptedOut),
        ("2002:909:909::7", Outcome::DropOptedOut),
        ("64:ff9b::9.9.9.8", Outcome::ProbeUdp),
        ("2002:909:908::7", Outcome::ProbeUdp),
        ("2620:fe::9", Outcome::ProbeUdp),
    ] {
        let ends = Ends { client: common::address(client), ..ends(Family::V6) };
        let frame = routed(&request_packet(ends, request(Family::V6, Protocol::Udp, 9, 4321)));
        let list = [("9.9.9.9/32".parse().unwrap(), DENY)];
        let mut ours = Responder::new();
        ours.policy.access = Some(Arc::new(Access::new([], list)));
        assert_eq!(ours.play(&frame).fate.outcome, opted_out, "{client}");
        // The other list goes by the address that asks.
        ours.policy.access = Some(Arc::new(Access::new(list, [])));
        assert_eq!(ours.play(&frame).fate.outcome, Outcome::ProbeUdp, "{client}");
    }
}

/// A refusal is a packet too: who may not ask gets none.
#[test]
fn who_may_not_ask_is_not_refused_either() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let all = ["0.0.0.0/0", "::/0"].map(|text| (text.parse().unwrap(), DENY));
        ours.policy.access = Some(Arc::new(Access::new(all, [])));
        let refused = Request { ttl: 0, ..request(family, Protocol::Udp, 9, 4321) };
        let done = ours.play(&routed(&request_packet(ends(family), refused)));
        assert_eq!((done.fate.outcome, done.fate.verdict), (Outcome::DropDenied, Verdict::Drop));
    }
}

/// Answers to probes on their way are still taken: the requester may have been denied meanwhile, the router never was asked.
#[test]
fn an_answer_is_taken_from_whoever_may_not_ask() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let probe = ours.probe(family, request(family, Protocol::Udp, 9, 4321));
        let all = ["0.0.0.0/0", "::/0"].map(|text| (text.parse().unwrap(), DENY));
        ours.policy.access = Some(Arc::new(Access::new(all, all)));
        let exceeded = common::time_exceeded(family, &probe, 28);
        assert_eq!(ours.play(&exceeded).fate.outcome, Outcome::ResponseTimeExceeded);
    }
}
