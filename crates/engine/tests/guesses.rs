//! Answers that are made up: what they must show, and what becomes of those that guess wrong.

mod common;

use common::{
    Ends, FAMILIES, Responder, about, ends, for_each, packet_of, request, routed,
    tcp_answer_packet, time_exceeded,
};
use otherhalf_engine::{Neighbours, Outcome};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::quote::LEAST;
use otherhalf_wire::tcp;
use otherhalf_wire::tcp::flag::{ACK, RST, SYN};
use zerocopy::FromBytes;

/// A change to one octet of a quote, counted from its IP header or from behind it.
enum At {
    Ip { v4: usize, v6: usize },
    Upper(usize),
}

/// Quotes that agree with our probe in all but one place, and what becomes of each: of ICMP, TCP, UDP.
fn near_misses() -> [(&'static str, At, [Option<Outcome>; 3]); 13] {
    use Outcome::{DropBadQuote, DropForged, DropNotOurProbe};
    let all = |outcome| [Some(outcome); 3];
    // With another key, a probe would have had another payload, or another upper half of its sequence number.
    let other_key = all(DropForged);
    [
        ("version", At::Ip { v4: 0, v6: 0 }, all(DropBadQuote)),
        ("protocol", At::Ip { v4: 9, v6: 6 }, all(DropNotOurProbe)),
        ("source", At::Ip { v4: 15, v6: 23 }, all(DropNotOurProbe)),
        ("destination", At::Ip { v4: 19, v6: 39 }, other_key),
        ("type or source port", At::Upper(0), all(DropNotOurProbe)),
        ("code or source port", At::Upper(1), all(DropNotOurProbe)),
        ("checksum or destination port", At::Upper(2), other_key),
        ("upper half of the sequence number", At::Upper(4), [None, Some(DropForged), None]),
        ("length", At::Upper(5), [None, Some(DropForged), Some(DropNotOurProbe)]),
        ("identifier of ICMP", At::Upper(5), [Some(DropForged), None, None]),
        ("identifier", At::Upper(7), [None, Some(DropForged), Some(DropForged)]),
        ("sequence of ICMP", At::Upper(7), [Some(DropNotOurProbe), None, None]),
        ("payload", At::Upper(13), [Some(DropForged), None, Some(DropForged)]),
    ]
}

#[test]
fn who_guesses_wrong_does_not_end_the_wait() {
    for_each(|ours, family, protocol| {
        for (what, at, outcomes) in near_misses() {
            let Some(expected) = outcomes[protocol as usize] else { continue };
            let probe = ours.probe(family, request(family, protocol, 0x0909, 4321));
            let mut quote = packet_of(&probe).to_vec();
            let at = match (at, family) {
                (At::Ip { v4, .. }, Family::V4) => v4,
                (At::Ip { v6, .. }, Family::V6) => v6,
                (At::Upper(at), family) => family.header_len() + at,
            };
            quote[at] ^= 0x80;
            let outcome = ours.dropped(&about(family, &quote));
            assert_eq!(outcome, expected, "{protocol} over {family}: {what}");
            let done = ours.play(&time_exceeded(family, &probe, LEAST));
            assert_eq!(done.fate.outcome, Outcome::ResponseTimeExceeded, "{what}: still waits");
        }
    });
}

#[test]
fn the_least_of_quotes_shows_the_identification() {
    for_each(|ours, family, protocol| {
        let probe = ours.probe(family, request(family, protocol, 0x0909, 4321));
        let identifier = if protocol == Protocol::Udp { 7 } else { 5 };
        let quote = |change: &[usize]| {
            let mut quote = packet_of(&probe)[..family.header_len() + LEAST].to_vec();
            for at in change {
                quote[*at] ^= 0x80;
            }
            quote
        };
        let other = quote(&[family.header_len() + identifier]);
        // Nothing keyed is in it but TCP's sequence number and, in IPv4, the identification.
        let known = family == Family::V6 && protocol != Protocol::Tcp;
        let expected = if known { Outcome::DropUnmatched } else { Outcome::DropForged };
        assert_eq!(ours.dropped(&about(family, &other)), expected);
        if family == Family::V4 {
            assert_eq!(ours.dropped(&about(family, &quote(&[4]))), Outcome::DropForged);
            // Some hosts quote in their own byte order.
            let mut swapped = quote(&[]);
            swapped.swap(4, 5);
            assert_eq!(
                ours.play(&about(family, &swapped)).fate.outcome,
                Outcome::ResponseTimeExceeded
            );
            let probe = ours.probe(family, request(family, protocol, 0x0909, 4321));
            ours.policy.check_identification = false;
            let mut rewritten = packet_of(&probe)[..28].to_vec();
            rewritten[4] ^= 0x80;
            assert_eq!(
                ours.play(&about(family, &rewritten)).fate.outcome,
                Outcome::ResponseTimeExceeded
            );
        }
    });
}

#[test]
fn a_quote_filled_up_with_zeros_is_a_short_one() {
    for_each(|ours, family, protocol| {
        let probe = ours.probe(family, request(family, protocol, 0x0909, 4321));
        let mut quote = packet_of(&probe).to_vec();
        quote[family.header_len() + LEAST..].fill(0);
        assert_eq!(ours.play(&about(family, &quote)).fate.outcome, Outcome::ResponseTimeExceeded);
    });
}

#[test]
fn quotes_of_what_was_never_sent() {
    // Even with a quote of ours, nobody makes us look for a neighbour that can't be one.
    let never = [
        "192.0.2.2",
        "198.51.100.2",
        "192.0.2.255",
        "255.255.255.255",
        "224.0.0.1",
        "127.0.0.1",
        "2001:db8::2",
        "2001:db8:1::2",
        "ff02::1",
        "::1",
    ];
    for target in never.map(common::address) {
        let family = Family::of(target);
        let mut ours = Responder::new();
        ours.neighbours = Neighbours::default();
        let quote = common::ip(ends(family).own, target, 17, &[3, 0xfd, 0, 53, 0, 16, 1, 2]);
        assert_eq!(ours.dropped(&about(family, &quote)), Outcome::DropNotOurProbe, "{target}");
    }
}

#[test]
fn forged_direct_answers() {
    for family in FAMILIES {
        for flags in [RST | ACK, SYN | ACK] {
            let mut ours = Responder::new();
            let probe = ours.probe(family, request(family, Protocol::Tcp, 3, 4321));
            let Ends { own, client, .. } = ends(family);
            let answer = tcp_answer_packet(&probe, flags);
            let (header, _) = tcp::Header::ref_from_prefix(&answer[family.header_len()..]).unwrap();
            let forged = tcp::Header {
                acknowledgement: (header.acknowledgement.get() ^ 0x0001_0000).into(),
                ..*header
            };
            let forged = routed(&common::tcp_packet(client, own, forged));
            // Of a SYN+ACK nobody knows whether a process before this one asked for it: as any host, we end what we know nothing of.
            let is_reset = flags & RST != 0;
            let expected = if is_reset { Outcome::DropForged } else { Outcome::ClosedTcpReset };
            assert_eq!(ours.play(&forged).fate.outcome, expected);
            let done = ours.play(&routed(&answer));
            assert!(matches!(done.fate.outcome, Outcome::ResponseReset | Outcome::ResponseSynAck));
        }
    }
}
