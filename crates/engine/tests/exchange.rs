//! From a request to its response: every protocol over both families, and all that can come between.

mod common;

use std::sync::Arc;

use common::{
    Done, Ends, FAMILIES, Responder, SECOND, TIMEOUT, about, echo_reply_packet, ends, engine,
    error_packet, for_each, framed, icmp_packet, packet_of, port_mac, read, request,
    request_packet, response, routed, router_mac, tcp_answer_packet, time_exceeded,
};
use otherhalf_engine::{Outcome, PortId, RoundTrips, Verdict};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::quote::LEAST;
use otherhalf_wire::tcp::flag::{ACK, RST, SYN};
use otherhalf_wire::trace::{self, Request, Rtt};
use otherhalf_wire::{ipv4, tcp};
use zerocopy::FromBytes;

/// `done` tells the client of `ends` that `hop` answered its query `identifier` after `rtt`.
fn assert_tells(done: &Done, ends: Ends, hop: std::net::IpAddr, identifier: u16, rtt: u32) {
    let (port, link, packet) = done.sent();
    assert_eq!(port, PortId(0));
    let expected = (router_mac(1), port_mac(0), None);
    assert_eq!((link.dst, link.src, link.vlan), expected, "the way that the routes say");
    assert_eq!((packet.src, packet.dst, packet.ttl), (ends.own, ends.client, 64));
    let response = done.response();
    assert_eq!(response.identifier, identifier);
    let trace::Verdict::Hop { address, rtt: measured } = response.verdict else {
        panic!("refused: {done:?}");
    };
    assert_eq!((address, measured.ns()), (hop, Some(rtt)));
}

#[test]
fn a_probe_is_what_was_asked_for() {
    for_each(|ours, family, protocol| {
        let Ends { own, client, .. } = ends(family);
        let frame = ours.probe(family, request(family, protocol, 0x1234, 0xabcd));
        let (link, packet) = read(&frame);
        assert_eq!((link.dst, link.src), (router_mac(1), port_mac(0)));
        assert_eq!((packet.src, packet.dst, packet.ttl), (own, client, 5));
        assert_eq!(packet.protocol, protocol.number(family));
        let at = |at: usize| u16::from_be_bytes([packet.payload[at], packet.payload[at + 1]]);
        let identifier = if protocol == Protocol::Icmp { at(4) } else { at(6) };
        assert_eq!((at(2), identifier), (0xabcd, 0x1234), "{protocol} over {family}");
        if protocol != Protocol::Icmp {
            assert_eq!(at(0), 1021);
        }
    });
}

#[test]
fn eight_octets_of_quote_are_enough() {
    for_each(|ours, family, protocol| {
        // Those of the short quotes stay pending.
        for (identifier, quoted) in (9..).zip(0..=protocol.probe_len()) {
            let probe = ours.probe(family, request(family, protocol, identifier, 4321));
            ours.now += 5_000_000;
            if quoted < LEAST {
                let short = time_exceeded(family, &probe, quoted);
                assert_eq!(ours.dropped(&short), Outcome::DropBadQuote, "{quoted}");
                continue;
            }
            let done = ours.play(&time_exceeded(family, &probe, quoted));
            assert_eq!(done.fate.outcome, Outcome::ResponseTimeExceeded);
            assert_tells(&done, ends(family), ends(family).hop, identifier, 5_000_000);
            let again = ours.dropped(&time_exceeded(family, &probe, quoted));
            assert_eq!(again, Outcome::DropUnmatched, "answered once");
        }
    });
}

#[test]
fn extensions_behind_the_quote_do_no_harm() {
    for_each(|ours, family, protocol| {
        let probe = ours.probe(family, request(family, protocol, 9, 4321));
        // RFC 4884 §5: padded to 128 octets, whose number stands in the second word in units of 4 or 8.
        let mut quote = packet_of(&probe).to_vec();
        quote.resize(128, 0);
        let mpls = [0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 0x41, 1];
        let length = match family {
            Family::V4 => 32,
            Family::V6 => 16 << 8,
        };
        let message = (Kind::TimeExceeded, 0, [length, 0]);
        let Ends { own, hop, .. } = ends(family);
        let done =
            ours.play(&routed(&icmp_packet(hop, own, message, &[&quote, &mpls[..]].concat())));
        assert_eq!(done.fate.outcome, Outcome::ResponseTimeExceeded);
    });
}

#[test]
fn options_in_the_quoted_header_are_skipped() {
    for protocol in Protocol::ALL {
        let mut ours = Responder::new();
        for words in 1..=10u8 {
            let probe = ours.probe(Family::V4, request(Family::V4, protocol, 9, 4321));
            let (header, transport) = packet_of(&probe).split_at(ipv4::HEADER_LEN);
            let options = vec![1; usize::from(words) * 4];
            let mut quote = [header, &options, &transport[..LEAST]].concat();
            quote[0] += words;
            quote[3] += words * 4;
            let outcome = ours.play(&about(Family::V4, &quote)).fate.outcome;
            assert_eq!(outcome, Outcome::ResponseTimeExceeded, "{protocol}, {words} words");
        }
    }
}

#[test]
fn extension_headers_in_the_quote_are_skipped() {
    for protocol in Protocol::ALL {
        let mut ours = Responder::new();
        let probe = ours.probe(Family::V6, request(Family::V6, protocol, 9, 4321));
        let (header, transport) = packet_of(&probe).split_at(40);
        let options = [protocol.number(Family::V6), 0, 1, 4, 0, 0, 0, 0];
        let mut quote = [header, &options, &transport[..LEAST]].concat();
        (quote[5], quote[6]) = (quote[5] + 8, 60);
        let outcome = ours.play(&about(Family::V6, &quote)).fate.outcome;
        assert_eq!(outcome, Outcome::ResponseTimeExceeded, "{protocol}");
    }
}

#[test]
fn every_unreachable_code_is_an_answer() {
    for_each(|ours, family, protocol| {
        for code in 0..=255 {
            let probe = ours.probe(family, request(family, protocol, 7, 4321));
            ours.now += 1_000;
            // From the target itself (as for a closed port) as well as from a router.
            let Ends { client, hop, .. } = ends(family);
            let hop = if code == 3 { client } else { hop };
            let error = error_packet(hop, Kind::DestinationUnreachable, code, packet_of(&probe));
            let done = ours.play(&routed(&error));
            assert_eq!(done.fate.outcome, Outcome::ResponseUnreachable, "code {code}");
            assert_tells(&done, ends(family), hop, 7, 1_000);
        }
    });
}

#[test]
fn the_targets_own_answers() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let Ends { client, .. } = ends(family);
        let probe = ours.probe(family, request(family, Protocol::Icmp, 3, 4321));
        ours.now += 42;
        let done = ours.play(&routed(&echo_reply_packet(&probe)));
        assert_eq!(done.fate.outcome, Outcome::ResponseEchoReply);
        assert_tells(&done, ends(family), client, 3, 42);
        assert_eq!(ours.dropped(&routed(&echo_reply_packet(&probe))), Outcome::DropUnmatched);

        let probe = ours.probe(family, request(family, Protocol::Tcp, 3, 4321));
        ours.now += 43;
        let done = ours.play(&routed(&tcp_answer_packet(&probe, RST | ACK)));
        assert_eq!(done.fate.outcome, Outcome::ResponseReset);
        assert_eq!(done.fate.verdict, Verdict::Send(PortId(0)));
        assert_tells(&done, ends(family), client, 3, 43);
    }
}

/// `frame` is a RST from us to the client, with the sequence number that the SYN+ACK acknowledged.
fn assert_resets(family: Family, frame: &[u8], probe: &[u8]) {
    let Ends { own, client, .. } = ends(family);
    let (link, packet) = read(frame);
    assert_eq!((link.dst, packet.src, packet.dst), (router_mac(1), own, client));
    let (header, _) = tcp::Header::ref_from_prefix(packet.payload).unwrap();
    let (syn, _) = tcp::Header::ref_from_prefix(read(probe).1.payload).unwrap();
    assert_eq!(header.flags, RST);
    assert_eq!(header.sequence.get(), syn.sequence.get().wrapping_add(1));
    assert_eq!((header.src_port, header.dst_port), (syn.src_port, syn.dst_port));
}

#[test]
fn a_syn_ack_is_answered_and_reset() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let probe = ours.probe(family, request(family, Protocol::Tcp, 3, 4321));
        let answer = routed(&tcp_answer_packet(&probe, SYN | ACK));
        let done = ours.play(&answer);
        assert_eq!(done.fate.outcome, Outcome::ResponseSynAck);
        assert_tells(&done, ends(family), ends(family).client, 3, 0);
        assert_resets(family, &done.reset(), &probe);
        // The RST may get lost: the target repeats itself, and is told again.
        let done = ours.play(&answer);
        assert_eq!(done.fate.outcome, Outcome::StraySynAckReset);
        assert_eq!(done.fate.verdict, Verdict::Send(PortId(0)));
        assert_resets(family, &done.frame, &probe);
    }
}

#[test]
fn answers_to_nothing_we_sent() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let Ends { own, client, .. } = ends(family);
        let message = |kind, code, sequence| {
            routed(&icmp_packet(client, own, (kind, code, [5, sequence]), &[7; 28]))
        };
        let cases = [
            (message(Kind::EchoReply, 0, 1), Outcome::DropNotOurProbe),
            (message(Kind::EchoReply, 0, 0xffff), Outcome::DropUnmatched),
            (message(Kind::EchoReply, trace::CODE, 0), Outcome::DropOtherIcmp),
            (message(Kind::EchoRequest, 2, 0), Outcome::DropOtherIcmp),
            (message(Kind::TimeExceeded, 1, 0), Outcome::DropOtherIcmp),
            (message(Kind::TimeExceeded, 0, 0), Outcome::DropBadQuote),
            (message(Kind::Other(13), 0, 0), Outcome::DropOtherIcmp),
        ];
        for (frame, expected) in cases {
            assert_eq!(ours.dropped(&frame), expected);
        }
        let probe = ours.probe(family, request(family, Protocol::Tcp, 3, 4321));
        // Without the acknowledgement there is nothing to know a RST by.
        assert_eq!(ours.dropped(&routed(&tcp_answer_packet(&probe, RST))), Outcome::DropOtherTcp);
        assert_eq!(
            ours.play(&routed(&tcp_answer_packet(&probe, SYN))).fate.outcome,
            Outcome::ClosedTcpReset
        );
    }
}

#[test]
fn a_probe_waits_for_its_timeout_and_no_longer() {
    for_each(|ours, family, protocol| {
        for (age, expected) in
            [(TIMEOUT - 1, Outcome::ResponseTimeExceeded), (TIMEOUT, Outcome::DropUnmatched)]
        {
            let probe = ours.probe(family, request(family, protocol, 9, 4321));
            ours.now += age;
            let done = ours.play(&time_exceeded(family, &probe, LEAST));
            assert_eq!(done.fate.outcome, expected);
        }
    });
}

#[test]
fn long_round_trips_saturate() {
    let longest = Rtt::LONGEST.ns().unwrap();
    for_each(|ours, family, protocol| {
        for (age, told) in [
            (u64::from(longest) - 1, longest - 1),
            (u64::from(longest), longest),
            (u64::from(longest) + 1, longest),
            (9 * SECOND, longest),
        ] {
            let probe = ours.probe(family, request(family, protocol, 9, 4321));
            ours.now += age;
            let done = ours.play(&time_exceeded(family, &probe, LEAST));
            assert_tells(&done, ends(family), ends(family).hop, 9, told);
        }
    });
}

#[test]
fn round_trips_are_counted_where_others_read_them() {
    for_each(|ours, family, protocol| {
        let counted = Arc::new(RoundTrips::default());
        ours.engine = engine(64).counting_in(Arc::clone(&counted));
        let probe = ours.probe(family, request(family, protocol, 9, 4321));
        ours.now += 3_000_000;
        let answer = time_exceeded(family, &probe, LEAST);
        ours.play(&answer);
        // What nothing waits for has no round trip.
        ours.play(&answer);
        let buckets: Vec<_> = counted.buckets().collect();
        assert_eq!(buckets.len(), 1, "{buckets:?}");
        assert!((buckets[0].from..=buckets[0].to).contains(&3_000_000), "{buckets:?}");
        assert_eq!(buckets[0].count, 1);
    });
}

#[test]
fn a_request_that_comes_again_makes_the_round_trip_unknown() {
    for_each(|ours, family, protocol| {
        let first = ours.probe(family, request(family, protocol, 9, 4321));
        ours.now += 300;
        // The network duplicated it, or its client did not wait long enough.
        let second = ours.probe(family, request(family, protocol, 9, 4321));
        assert_eq!(first, second, "the same probe");
        ours.now += 50;
        // To the first probe or to the second: 350 ticks or 50.
        let done = ours.play(&time_exceeded(family, &first, LEAST));
        assert_eq!(done.fate.outcome, Outcome::ResponseTimeExceeded);
        let response = done.response();
        let trace::Verdict::Hop { address, rtt } = response.verdict else { panic!("{done:?}") };
        assert_eq!((response.identifier, address), (9, ends(family).hop));
        assert_eq!(rtt.ns(), None);
        let frame = time_exceeded(family, &second, LEAST);
        assert_eq!(ours.dropped(&frame), Outcome::DropUnmatched, "one entry, one response");
        // The next has a time again.
        let third = ours.probe(family, request(family, protocol, 9, 4321));
        assert_eq!(first, third);
        ours.now += 20;
        let done = ours.play(&time_exceeded(family, &third, LEAST));
        assert_tells(&done, ends(family), ends(family).hop, 9, 20);
    });
}

/// The identifier that `probe`, over UDP, has on its way.
fn udp_identifier(probe: &[u8]) -> u16 {
    let (_, packet) = read(probe);
    u16::from_be_bytes([packet.payload[6], packet.payload[7]])
}

#[test]
fn the_identifiers_0_and_all_ones_work() {
    for_each(|ours, family, protocol| {
        for identifier in [0, 0xffff] {
            let probe = ours.probe(family, request(family, protocol, identifier, 4321));
            if protocol == Protocol::Udp {
                let on_its_way = udp_identifier(&probe);
                assert_ne!(on_its_way, 0, "the checksum that means none");
                assert_eq!(on_its_way == identifier, identifier != 0);
            }
            let done = ours.play(&time_exceeded(family, &probe, LEAST));
            assert_tells(&done, ends(family), ends(family).hop, identifier, 0);
        }
    });
}

#[test]
fn an_identifier_that_is_taken_is_translated() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let udp = |identifier| request(family, Protocol::Udp, identifier, 4321);
        let zero = ours.probe(family, udp(0));
        let taken = udp_identifier(&zero);
        ours.now += 10;
        // The requester asks under the very name that its other probe has on the way.
        let other = ours.probe(family, udp(taken));
        assert_ne!(udp_identifier(&other), taken);
        ours.now += 10;
        let done = ours.play(&time_exceeded(family, &other, LEAST));
        assert_tells(&done, ends(family), ends(family).hop, taken, 10);
        let done = ours.play(&time_exceeded(family, &zero, LEAST));
        assert_tells(&done, ends(family), ends(family).hop, 0, 20);
        // Once the name is free, it is its own again.
        assert_eq!(udp_identifier(&ours.probe(family, udp(taken))), taken);
    }
}

#[test]
fn when_all_identifiers_tried_are_taken() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let udp = |identifier| request(family, Protocol::Udp, identifier, 4321);
        let asked = udp_identifier(&ours.probe(family, udp(0)));
        let mut tried = 0;
        let refused = loop {
            let done = ours.play(&routed(&request_packet(ends(family), udp(asked))));
            if done.fate.outcome != Outcome::ProbeUdp {
                break done.fate.outcome;
            }
            // What it got instead is answered, and then taken by a request of that very name.
            let other = udp_identifier(&done.frame);
            ours.play(&time_exceeded(family, &done.frame, LEAST));
            ours.probe(family, udp(other));
            tried += 1;
            assert!(tried < 100, "there is no end of identifiers");
        };
        assert_eq!((refused, tried), (Outcome::DropNoIdentifier, 7));
    }
}

#[test]
fn a_full_table_refuses_and_recovers() {
    for_each(|ours, family, protocol| {
        ours.engine = engine(1);
        let play = |ours: &mut Responder| {
            (0..100u16)
                .map(|n| request_packet(ends(family), request(family, protocol, n + 1, 4321)))
                .map(|packet| ours.play(&routed(&packet)).fate.outcome)
                .filter(|outcome| *outcome == Outcome::DropTableFull)
                .count()
        };
        // The least table has 2 buckets of 4: 8 entries are pending, whoever asks.
        assert_eq!(play(ours), 92);
        ours.now += TIMEOUT;
        assert_eq!(play(ours), 92, "expired entries make room");
    });
}

#[test]
fn defaults_are_the_responders_choice() {
    for_each(|ours, family, protocol| {
        let probe = ours.probe(family, request(family, protocol, 9, 0));
        let (_, packet) = read(&probe);
        let flow = u16::from_be_bytes([packet.payload[2], packet.payload[3]]);
        let expected = match protocol {
            Protocol::Icmp => 0xbeaf,
            Protocol::Tcp => 80,
            Protocol::Udp => 53,
        };
        assert_eq!(flow, expected, "{protocol} over {family}");
        let any = Request { protocol: 0, ..request(family, protocol, 10, 0) };
        assert_eq!(read(&ours.probe(family, any)).1.protocol, family.icmp());
    });
}

#[test]
fn every_flow_of_icmp_comes_back() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        for flow in [1, 0x07ff, 0x0800, 0xf7ff, 0xfeff, 0xff00, 0xfffe, 0xffff] {
            for by_router in [true, false] {
                let probe = ours.probe(family, request(family, Protocol::Icmp, 9, flow));
                let (_, packet) = read(&probe);
                assert_eq!(packet.payload[2..4], flow.to_be_bytes());
                let answer = if by_router {
                    time_exceeded(family, &probe, LEAST)
                } else {
                    routed(&echo_reply_packet(&probe))
                };
                let outcome = ours.play(&answer).fate.outcome;
                let expected = if by_router {
                    Outcome::ResponseTimeExceeded
                } else {
                    Outcome::ResponseEchoReply
                };
                assert_eq!(outcome, expected, "flow {flow:#06x} over {family}");
            }
        }
    }
}

#[test]
fn answers_with_wrong_checksums_are_dropped() {
    for_each(|ours, family, protocol| {
        let probe = ours.probe(family, request(family, protocol, 9, 4321));
        let mut answer = time_exceeded(family, &probe, LEAST);
        *answer.last_mut().unwrap() ^= 1;
        assert_eq!(ours.dropped(&answer), Outcome::DropBadChecksum);
        let direct = match protocol {
            Protocol::Icmp => echo_reply_packet(&probe),
            Protocol::Tcp => tcp_answer_packet(&probe, RST | ACK),
            Protocol::Udp => return,
        };
        let mut direct = routed(&direct);
        *direct.last_mut().unwrap() ^= 1;
        assert_eq!(ours.dropped(&direct), Outcome::DropBadChecksum);
    });
}

#[test]
fn request_and_answer_in_one_burst() {
    for_each(|ours, family, protocol| {
        let asked = routed(&request_packet(ends(family), request(family, protocol, 9, 4321)));
        // The probe that it will be: repeated requests have the same one.
        let probe = ours.play(&asked).frame;
        ours.play(&time_exceeded(family, &probe, LEAST));
        let answer = time_exceeded(family, &probe, LEAST);
        let done = ours.burst(0, &[asked.clone(), answer.clone(), answer.clone(), asked, answer]);
        let outcomes: Vec<_> = done.iter().map(|done| done.fate.outcome).collect();
        assert_eq!(outcomes[0], outcomes[3]);
        assert_eq!(done[0].frame, probe);
        // Requests of a burst come first: the second one replaces the first, and one answer is right.
        assert_eq!(outcomes[1], Outcome::ResponseTimeExceeded);
        assert_eq!([outcomes[2], outcomes[4]], [Outcome::DropUnmatched; 2], "in their order");
    });
}

#[test]
fn more_frames_than_a_burst() {
    let mut ours = Responder::new();
    let frames: Vec<_> = (0..1000u16)
        .map(|n| {
            let family = FAMILIES[usize::from(n % 2)];
            let protocol = Protocol::ALL[usize::from(n % 3)];
            routed(&request_packet(ends(family), request(family, protocol, n + 1, 4321)))
        })
        .collect();
    let probes: Vec<_> = ours.burst(0, &frames).into_iter().map(|done| done.frame).collect();
    ours.now += 11;
    let answers: Vec<_> =
        probes.iter().map(|probe| time_exceeded(read(probe).1.family(), probe, LEAST)).collect();
    for (n, done) in (1..).zip(ours.burst(0, &answers)) {
        assert_eq!(response(&done.frame).identifier, n);
    }
    assert_eq!(ours.counters.get(Outcome::ResponseTimeExceeded), 1000);
    assert_eq!(ours.counters.total(), 2000);
}

#[test]
fn answers_come_by_whatever_neighbour() {
    // An error reaches us by another router, port and VLAN than the request did: the response still takes its own way.
    for_each(|ours, family, protocol| {
        let probe = ours.probe(family, request(family, protocol, 9, 4321));
        let error = error_packet(ends(family).hop, Kind::TimeExceeded, 0, packet_of(&probe));
        let done = ours.play_on(1, &framed(router_mac(3), port_mac(1), None, &error));
        assert_tells(&done, ends(family), ends(family).hop, 9, 0);
    });
}
