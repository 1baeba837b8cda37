//! Indirect tracing (PROTOCOL §5): the probe goes to a target that has not asked, the response to who has.

mod common;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::{
    Done, Ends, FAMILIES, Responder, address, echo_reply_packet, ends, error_packet, extensions,
    packet_of, read, request, request_with, routed, tcp_answer_packet,
};
use ipnet::IpNet;
use otherhalf_engine::access::{ALLOW, Access, DENY};
use otherhalf_engine::policy::RateLimit;
use otherhalf_engine::{Indirect, LeastRequest, Neighbours, Notice, Outcome, PortId, Verdict};
use otherhalf_policy::{Limits, Rates};
use otherhalf_wire::extension::{Class, Object};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::{Family, to_mapped};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::tcp::flag::{ACK, RST, SYN};
use otherhalf_wire::trace::{self, Refusal};

/// How many seats there are.
const SEATS: u16 = 4096;

/// A host behind router 3, which nobody else here is behind: port 1.
fn far(family: Family) -> IpAddr {
    address(match family {
        Family::V4 => "10.3.0.9",
        Family::V6 => "2001:db8:f3::9",
    })
}

fn host(address: IpAddr) -> IpNet {
    address.into()
}

/// A responder where the client may have others traced.
fn ours(family: Family) -> Responder {
    let mut ours = Responder::new();
    let client = ends(family).client;
    ours.policy.indirect = Some(Arc::new(Indirect::new([(host(client), ALLOW)], true)));
    ours
}

/// Objects that name `targets`.
fn towards(targets: &[IpAddr]) -> Vec<u8> {
    let payloads: Vec<_> = targets.iter().map(|target| to_mapped(*target).octets()).collect();
    let object = |payload| Object { class: Class::INDIRECT_TARGET, payload };
    extensions(&payloads.iter().map(|payload| object(&payload[..])).collect::<Vec<_>>())
}

/// A frame of the client that asks for a probe to `target`.
fn asking(family: Family, protocol: Protocol, identifier: u16, target: IpAddr) -> Vec<u8> {
    let wanted = request(family, protocol, identifier, 4321);
    routed(&request_with(ends(family), wanted, &towards(&[target])))
}

fn probed(protocol: Protocol) -> Outcome {
    match protocol {
        Protocol::Icmp => Outcome::ProbeIcmp,
        Protocol::Tcp => Outcome::ProbeTcp,
        Protocol::Udp => Outcome::ProbeUdp,
    }
}

fn for_each(mut check: impl FnMut(Responder, Family, Protocol)) {
    for family in FAMILIES {
        for protocol in Protocol::ALL {
            check(ours(family), family, protocol);
        }
    }
}

/// The response in `done` goes to the client, as `expected` says, with the identifier of its request.
fn assert_told(done: &Done, family: Family, expected: (Outcome, u16, IpAddr)) {
    let Ends { own, client, .. } = ends(family);
    let (outcome, identifier, hop) = expected;
    assert_eq!(done.fate.outcome, outcome, "{done:?}");
    let (port, link, packet) = done.sent();
    assert_eq!((port, link.dst), (PortId(0), common::router_mac(1)));
    assert_eq!((packet.src, packet.dst), (own, client));
    let response = done.response();
    assert_eq!(response.identifier, identifier);
    let trace::Verdict::Hop { address, .. } = response.verdict else { panic!("{response:?}") };
    assert_eq!(address, hop);
}

#[test]
fn the_probe_goes_to_the_target_and_the_response_to_who_asked() {
    for_each(|mut ours, family, protocol| {
        let done = ours.play(&asking(family, protocol, 9, far(family)));
        assert_eq!(done.fate.outcome, probed(protocol));
        let (port, link, probe) = done.sent();
        assert_eq!((port, link.dst), (PortId(1), common::router_mac(3)));
        let Ends { own, hop, .. } = ends(family);
        assert_eq!((probe.src, probe.dst, probe.ttl), (own, far(family), 5));
        let quote = &packet_of(&done.frame)[..family.header_len() + 8];
        let error = routed(&error_packet(hop, Kind::TimeExceeded, 0, quote));
        ours.now += 1_000_000;
        let told = ours.play(&error);
        assert_told(&told, family, (Outcome::ResponseTimeExceeded, 9, hop));
        assert_eq!(ours.dropped(&error), Outcome::DropUnmatched, "it was answered once");
    });
}

#[test]
fn the_targets_own_answer_goes_to_who_asked() {
    for family in FAMILIES {
        let mut ours = ours(family);
        let probe = ours.play(&asking(family, Protocol::Icmp, 9, far(family))).frame;
        let told = ours.play(&routed(&echo_reply_packet(&probe)));
        assert_told(&told, family, (Outcome::ResponseEchoReply, 9, far(family)));
        let probe = ours.play(&asking(family, Protocol::Tcp, 10, far(family))).frame;
        let told = ours.play(&routed(&tcp_answer_packet(&probe, RST | ACK)));
        assert_told(&told, family, (Outcome::ResponseReset, 10, far(family)));
    }
}

/// The target's connection must not stay half open: its RST leaves by the target's port, the response by the client's.
#[test]
fn an_open_ports_target_gets_its_reset() {
    for family in FAMILIES {
        let mut ours = ours(family);
        let probe = ours.play(&asking(family, Protocol::Tcp, 9, far(family))).frame;
        let answer = routed(&tcp_answer_packet(&probe, SYN | ACK));
        let told = ours.play(&answer);
        assert_told(&told, family, (Outcome::ResponseSynAck, 9, far(family)));
        let Verdict::SendAndReset(_, reset) = told.fate.verdict else { panic!("{told:?}") };
        assert_eq!(reset.port(), PortId(1));
        let reset = told.reset();
        let (link, packet) = read(&reset);
        assert_eq!((link.dst, packet.dst), (common::router_mac(3), far(family)));
        // Once more: nothing waits any more, and the target is reset all the same.
        let stray = ours.play(&answer);
        assert_eq!(stray.fate.outcome, Outcome::StraySynAckReset);
        assert_eq!(stray.sent().2.dst, far(family));
    }
}

fn assert_refused(ours: &mut Responder, family: Family, frame: &[u8], outcome: Outcome) {
    let done = ours.play(frame);
    assert_eq!(done.fate.outcome, outcome, "{done:?}");
    let refusal = Refusal::Extension(0x0500);
    let verdict = trace::Verdict::Refused { refusal, text: &[] };
    assert_eq!(done.response(), trace::Response { identifier: 9, verdict });
    assert_eq!(done.sent().2.dst, ends(family).client);
    assert!(packet_of(&done.frame).len() <= packet_of(frame).len());
}

#[test]
fn nobody_may_unless_he_is_named() {
    for family in FAMILIES {
        let frame = asking(family, Protocol::Udp, 9, far(family));
        let mut ours = Responder::new();
        assert_refused(&mut ours, family, &frame, Outcome::RefusedExtension);
        let client = ends(family).client;
        let net = |length| IpNet::new(client, length).unwrap();
        for (requesters, expected) in [
            (&[][..], Outcome::RefusedIndirect),
            (&[(host(far(family)), ALLOW)], Outcome::RefusedIndirect),
            (&[(net(8), ALLOW), (net(24), DENY)], Outcome::RefusedIndirect),
            (&[(net(24), ALLOW), (net(24), DENY)], Outcome::RefusedIndirect),
            (&[(net(8), DENY), (net(24), ALLOW)], Outcome::ProbeUdp),
        ] {
            let indirect = Indirect::new(requesters.iter().copied(), true);
            assert_eq!(indirect.allows(client), expected == Outcome::ProbeUdp);
            ours.policy.indirect = Some(Arc::new(indirect));
            if expected == Outcome::ProbeUdp {
                assert_eq!(ours.play(&frame).fate.outcome, expected);
            } else {
                assert_refused(&mut ours, family, &frame, expected);
            }
        }
    }
}

/// Whoever may ask: what is no one host's, what is ours, and what has a meaning on its link alone.
#[test]
fn some_are_never_a_target() {
    let targets: [&[&str]; 2] = [
        &[
            "224.0.0.5",
            "255.255.255.255",
            "192.0.2.255",
            "192.0.2.0",
            "127.0.0.1",
            "0.0.0.0",
            "240.0.0.1",
            "169.254.1.1",
            "192.0.2.2",
            "203.0.113.2",
        ],
        &["ff02::1", "ff0e::1", "::1", "::", "fe80::9", "2001:db8::2", "2001:db8:2::2"],
    ];
    for (family, targets) in FAMILIES.into_iter().zip(targets) {
        let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
        let targets = targets.iter().map(|text| address(text)).chain([far(other)]);
        for target in targets {
            let mut ours = ours(family);
            let frame = asking(family, Protocol::Udp, 9, target);
            assert_refused(&mut ours, family, &frame, Outcome::RefusedIndirect);
        }
    }
}

#[test]
fn private_targets_only_where_they_are_allowed() {
    let cases = [
        (Family::V4, "10.3.0.9", "9.9.9.9"),
        (Family::V4, "192.168.7.7", "203.0.112.9"),
        (Family::V6, "fd00::9", "2620:fe::9"),
        (Family::V6, "2001:db8:f3::9", "2001:db7::9"),
        // What a translator, or a 6to4 relay, would make of it.
        (Family::V6, "64:ff9b::10.3.0.9", "64:ff9b::9.9.9.9"),
        (Family::V6, "2002:a03:9::9", "2002:909:909::9"),
    ];
    for (family, private, public) in cases {
        let mut ours = ours(family);
        let [private, public] =
            [private, public].map(|text| asking(family, Protocol::Udp, 9, address(text)));
        assert_eq!(ours.play(&private).fate.outcome, Outcome::ProbeUdp);
        let allow = [(host(ends(family).client), ALLOW)];
        ours.policy.indirect = Some(Arc::new(Indirect::new(allow, false)));
        assert_refused(&mut ours, family, &private, Outcome::RefusedIndirect);
        assert_eq!(ours.play(&public).fate.outcome, Outcome::ProbeUdp);
    }
}

#[test]
fn who_opted_out_is_no_target() {
    for family in FAMILIES {
        let mut ours = ours(family);
        let opt_out = [(host(far(family)), DENY)];
        ours.policy.access = Some(Arc::new(Access::new([], opt_out)));
        let frame = asking(family, Protocol::Udp, 9, far(family));
        assert_refused(&mut ours, family, &frame, Outcome::RefusedIndirect);
        // What may not ask may be a target: that list is about who asks.
        ours.policy.access = Some(Arc::new(Access::new(opt_out, [])));
        assert_eq!(ours.play(&frame).fate.outcome, Outcome::ProbeUdp);
        // And who may not ask at all gets no refusal either.
        let denied = [(host(ends(family).client), DENY)];
        ours.policy.access = Some(Arc::new(Access::new(denied, [])));
        assert_eq!(ours.dropped(&frame), Outcome::DropDenied);
    }
}

/// Nor is an IPv6 address by which a translator or a relay would reach an IPv4 address that opted out.
#[test]
fn who_opted_out_is_no_target_by_another_name() {
    for target in ["64:ff9b::9.9.9.9", "2002:909:909::9"] {
        let mut ours = ours(Family::V6);
        let frame = asking(Family::V6, Protocol::Udp, 9, address(target));
        assert_eq!(ours.play(&frame).fate.outcome, Outcome::ProbeUdp);
        let opt_out = [(host(address("9.9.9.9")), DENY)];
        ours.policy.access = Some(Arc::new(Access::new([], opt_out)));
        assert_refused(&mut ours, Family::V6, &frame, Outcome::RefusedIndirect);
    }
}

#[test]
fn one_target_and_padding_but_nothing_else() {
    for family in FAMILIES {
        let mut ours = ours(family);
        let asked = request(family, Protocol::Udp, 9, 4321);
        let two = request_with(ends(family), asked, &towards(&[far(family), far(family)]));
        assert_refused(&mut ours, family, &routed(&two), Outcome::RefusedExtension);
        let payload = to_mapped(far(family)).octets();
        let target = Object { class: Class::INDIRECT_TARGET, payload: &payload };
        let padding = Object { class: Class::PADDING, payload: &[7; 60] };
        ours.policy.least_request = LeastRequest::at_most(100);
        for objects in [[target, padding], [padding, target]] {
            let packet = request_with(ends(family), asked, &extensions(&objects));
            assert_eq!(ours.play(&routed(&packet)).fate.outcome, Outcome::ProbeUdp);
        }
        let bare = asking(family, Protocol::Udp, 9, far(family));
        assert_eq!(ours.play(&bare).fate.outcome, Outcome::RefusedPadding);
    }
}

/// Two probes to one target that differ in nothing but who asked: each response goes to its own requester.
#[test]
fn a_probe_of_the_targets_own_is_another() {
    for_each(|mut ours, family, protocol| {
        let Ends { own, hop, .. } = ends(family);
        let target = Ends { own, client: far(family), hop };
        let wanted = request(family, protocol, 9, 4321);
        let its_own = routed(&request_with(target, wanted, &[]));
        for detour_first in [true, false] {
            let indirect = asking(family, protocol, 9, far(family));
            let frames = if detour_first {
                [indirect, its_own.clone()]
            } else {
                [its_own.clone(), indirect]
            };
            let probes = frames.map(|frame| {
                let done = ours.play(&frame);
                assert_eq!(done.fate.outcome, probed(protocol));
                done.frame
            });
            assert_ne!(packet_of(&probes[0]), packet_of(&probes[1]));
            for (place, probe) in probes.iter().enumerate() {
                let quote = &packet_of(probe)[..family.header_len() + 8];
                let done = ours.play(&routed(&error_packet(hop, Kind::TimeExceeded, 0, quote)));
                let by_detour = (place == 0) == detour_first;
                let asker = if by_detour { ends(family).client } else { far(family) };
                assert_eq!(done.sent().2.dst, asker);
                assert_eq!(done.response().identifier, 9);
            }
        }
    });
}

#[test]
fn no_more_wait_than_there_are_seats() {
    for family in FAMILIES {
        let mut ours = ours(family);
        ours.engine = common::engine(usize::from(SEATS) * 4);
        let asked = |identifier| asking(family, Protocol::Udp, identifier, far(family));
        for identifier in 1..=SEATS {
            assert_eq!(ours.play(&asked(identifier)).fate.outcome, Outcome::ProbeUdp);
        }
        assert_eq!(ours.dropped(&asked(SEATS + 1)), Outcome::DropTableFull);
        // Direct requests need none.
        ours.probe(family, request(family, Protocol::Udp, 7, 4321));
        ours.now += common::TIMEOUT;
        assert_eq!(ours.play(&asked(SEATS + 1)).fate.outcome, Outcome::ProbeUdp);
    }
}

/// A target that many ask about is as safe as one that asks for itself, and who asks about many gets no more than for himself.
#[test]
fn the_rates_of_both_ends_are_charged() {
    const LIMITS: Limits = Limits { address: 20, narrow: [100, 200], wide: 1000, syn: 5 };
    // The `n`th host of the /24 or /64 that `host` is in; so many are within its rate.
    let neighbour = |host: IpAddr, n: u8| match host {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, n])
        }
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() & !0xff | u128::from(n)).to_be_bytes()),
    };
    for family in FAMILIES {
        let (client, far) = (ends(family).client, far(family));
        let sent = |protocol, ends_of: &dyn Fn(u8) -> [IpAddr; 2]| {
            let mut ours = ours(family);
            let allow = [(IpNet::new(client, 8).unwrap(), ALLOW)];
            ours.policy.indirect = Some(Arc::new(Indirect::new(allow, true)));
            ours.engine = common::engine(8192).limited_by(common::limiter());
            let rates = Rates::new(Duration::from_secs(1), &LIMITS, &LIMITS).unwrap();
            let limit = RateLimit { rates, leak: 0, leak_per_second: 0, dry_run: false };
            ours.policy.rate = Some(limit);
            let probes = (1..=60).filter(|n| {
                let [client, target] = ends_of(*n);
                let wanted = request(family, protocol, u16::from(*n), 4321);
                let ends = Ends { client, ..ends(family) };
                let frame = routed(&request_with(ends, wanted, &towards(&[target])));
                ours.play(&frame).fate.outcome == probed(protocol)
            });
            probes.count()
        };
        let one_target = |n| [neighbour(client, n), far];
        let one_requester = |n| [client, neighbour(far, n)];
        let each_once = |n| [neighbour(client, n), neighbour(far, n)];
        // The last one may be rounded away.
        assert!((19..=20).contains(&sent(Protocol::Udp, &one_target)), "{family:?}");
        assert!((19..=20).contains(&sent(Protocol::Udp, &one_requester)), "{family:?}");
        assert!((4..=5).contains(&sent(Protocol::Tcp, &each_once)), "{family:?}");
        assert_eq!(sent(Protocol::Udp, &each_once), 60, "{family:?}: nobody is beyond a rate");
    }
}

/// Of a request beyond the rates of both ends, one is spared; of one that is dropped in the end, none leaks.
#[test]
fn a_request_beyond_two_rates_counts_once() {
    const LIMITS: Limits = Limits { address: 20, narrow: [100, 200], wide: 1000, syn: 5 };
    const REQUESTS: u16 = 100;
    for family in FAMILIES {
        let tally = |protocol, leak, dry_run| {
            let mut ours = ours(family);
            let limiter = common::limiter();
            ours.engine = common::engine(8192).limited_by(Arc::clone(&limiter));
            let rates = Rates::new(Duration::from_secs(1), &LIMITS, &LIMITS).unwrap();
            ours.policy.rate = Some(RateLimit { rates, leak, leak_per_second: 10_000, dry_run });
            let sent = (1..=REQUESTS)
                .map(|n| asking(family, protocol, n, far(family)))
                .filter(|frame| ours.play(frame).fate.outcome == probed(protocol))
                .count();
            (sent, limiter.tally().read())
        };
        let all = usize::from(REQUESTS);
        let (sent, [leaked, spared]) = tally(Protocol::Udp, 0, true);
        assert_eq!((sent, leaked), (all, 0));
        assert!((80..=81).contains(&spared), "{family:?}: {spared}");
        let (sent, [leaked, spared]) = tally(Protocol::Udp, 1, false);
        assert_eq!((sent, spared), (all, 0));
        assert!((80..=81).contains(&leaked), "{family:?}: {leaked}");
        // Who asks may leak, and a TCP probe to the target does not.
        let (sent, [leaked, spared]) = tally(Protocol::Tcp, 1, false);
        assert!((4..=5).contains(&sent), "{family:?}: {sent}");
        assert_eq!((leaked, spared), (0, 0), "{family:?}: what is dropped does not leak");
    }
}

/// A response can't wait for its neighbour, whose entry is taken; so the request does.
#[test]
fn a_request_waits_until_both_ways_are_known() {
    for family in FAMILIES {
        let mut ours = ours(family);
        let frame = asking(family, Protocol::Udp, 9, far(family));
        let routers = match family {
            Family::V4 => ["192.0.2.1", "203.0.113.1"],
            Family::V6 => ["2001:db8::1", "2001:db8:2::1"],
        };
        let known = |routers: &[(u16, &str, u8)]| {
            Neighbours::new(routers.iter().map(|(interface, text, mac)| {
                (common::neighbour(*interface, text), common::router_mac(*mac))
            }))
        };
        let both = [(0, routers[0], 1), (2, routers[1], 3)];
        for (there, wanted) in [(&[][..], both[0]), (&both[..1], both[1]), (&both[1..], both[0])] {
            ours.neighbours = known(there);
            let done = ours.play(&frame);
            assert_eq!(done.fate.verdict, Verdict::Hold);
            let hop = common::neighbour(wanted.0, wanted.1);
            assert_eq!(done.fate.notice, Some(Notice::Wanted(hop)));
            assert_eq!(done.frame, frame);
        }
        ours.neighbours = known(&both);
        let probe = ours.play(&frame).frame;
        // The requester's router falls silent: its response is lost, and the target is told to end a connection all the same.
        ours.neighbours = known(&both[1..]);
        let hop = ends(family).hop;
        let quote = &packet_of(&probe)[..family.header_len() + 8];
        let error = routed(&error_packet(hop, Kind::TimeExceeded, 0, quote));
        assert_eq!(ours.dropped(&error), Outcome::DropNeighbourUnresolved);
        ours.neighbours = known(&both);
        let probe = ours.play(&asking(family, Protocol::Tcp, 9, far(family))).frame;
        ours.neighbours = known(&both[1..]);
        let done = ours.play(&routed(&tcp_answer_packet(&probe, SYN | ACK)));
        assert_eq!(done.fate.outcome, Outcome::StraySynAckReset);
        assert_eq!(done.sent().2.dst, far(family));
    }
}
