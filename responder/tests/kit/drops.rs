//! What the responder is to drop, each for its own reason.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use otherhalf_engine::Outcome;
use otherhalf_lab::Family;
use otherhalf_wire::ethernet::{Mac, ethertype};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::{ip, tcp};

use super::bench::{Bench, ICMP_TO_R2};
use super::injector::Injector;
use super::packet::{
    DESTINATION_OPTIONS, FIRST_FRAGMENT, RESPONDER_MAC, frame, frame_of, icmp, packet, request,
    reseal, sealed, with_extensions,
};

/// Packets that routers pass on: truncated, with a wrong bit, in fragments, or of no use to a responder.
#[track_caller]
pub(crate) fn what_routers_pass_on(bench: &mut Bench) {
    for family in Family::ALL {
        let good = bench.request(family, ICMP_TO_R2);
        let (src, dst) = (bench.address("client", family), bench.address("www", family));
        let message = request(good, src, dst);
        let mut drops: Vec<(Vec<u8>, Outcome)> = Vec::new();
        // Truncated at every length, with a checksum that is right.
        for len in 0..message.len() {
            let short = sealed(message[..len].to_vec(), src, dst);
            let outcome = if len < 8 { Outcome::DropTruncated } else { Outcome::DropShortRequest };
            drops.push((icmp(src, dst, &short), outcome));
        }
        // A bit wrong in any place of the message.
        for at in 0..message.len() {
            let mut wrong = message.clone();
            wrong[at] ^= 0x10;
            drops.push((icmp(src, dst, &wrong), Outcome::DropBadChecksum));
        }
        drops.extend(other_packets(family, src, dst));
        match family {
            Family::V4 => {
                let mut fragment = icmp(src, dst, &message);
                fragment[6] = 0x20;
                drops.push((fragment, Outcome::DropFragment));
            }
            Family::V6 => {
                let whole = icmp(src, dst, &message);
                let fragment = with_extensions(&whole, &[FIRST_FRAGMENT]);
                drops.push((fragment, Outcome::DropFragment));
                let many = with_extensions(&whole, &[DESTINATION_OPTIONS; 9]);
                drops.push((many, Outcome::DropExtensionHeaders));
            }
        }
        for (packet, outcome) in drops {
            bench.client(family).send_packet(&packet);
            bench.expect(outcome, 1);
        }
        bench.barrier(family);
    }
}

/// Whole and right, and of no use to a responder.
fn other_packets(family: Family, src: IpAddr, dst: IpAddr) -> Vec<(Vec<u8>, Outcome)> {
    let wire_family = ip::Family::of(src);
    let reply = Kind::EchoReply.number(wire_family);
    let message = |kind: u8, code: u8, rest: [u8; 4]| {
        let message = [[kind, code, 0, 0], rest].concat();
        icmp(src, dst, &sealed(message, src, dst))
    };
    // A RST, which is never answered.
    let mut reset = [0; tcp::HEADER_LEN];
    (reset[12], reset[13]) = (tcp::NO_OPTIONS, tcp::flag::RST);
    let length = u16::try_from(reset.len()).unwrap();
    let sum = ip::pseudo_header(src, dst, ip::protocol::TCP, length).bytes(&reset);
    reset[16..18].copy_from_slice(&sum.checksum().to_be_bytes());
    let wrong_datagram = [0, 1, 0, 1, 0, 8, 0, 1];
    // An error without a quote.
    let unreachable = Kind::DestinationUnreachable.number(wire_family);
    // Timestamp (RFC 792), and multicast listener done (RFC 2710): other kinds of ICMP.
    let other = if family == Family::V4 { 13 } else { 132 };
    vec![
        (packet(ip::protocol::TCP, src, dst, &reset), Outcome::DropOtherTcp),
        (packet(ip::protocol::TCP, src, dst, &[0; tcp::HEADER_LEN]), Outcome::DropBadChecksum),
        (packet(ip::protocol::UDP, src, dst, &wrong_datagram), Outcome::DropBadChecksum),
        // RFC 3692's protocol for experiments.
        (packet(253, src, dst, b"?"), Outcome::DropOtherProtocol),
        (message(other, 0, [0; 4]), Outcome::DropOtherIcmp),
        (message(reply, 0, [0, 1, 0, 1]), Outcome::DropNotOurProbe),
        (message(reply, 0, [0, 1, 0xff, 0xff]), Outcome::DropUnmatched),
        (message(unreachable, 0, [0; 4]), Outcome::DropBadQuote),
    ]
}

/// Frames that only a station beside the responder can send.
#[track_caller]
pub(crate) fn frames_that_no_router_passes_on(bench: &mut Bench) {
    let injector = Injector::new(&bench.lab);
    for family in Family::ALL {
        let good = bench.request(family, ICMP_TO_R2);
        let (src, dst) = (bench.address("client", family), bench.address("www", family));
        let whole = icmp(src, dst, &request(good, src, dst));
        let from = |source: IpAddr| icmp(source, dst, &request(good, source, dst));
        let kind = if family == Family::V4 { ethertype::IPV4 } else { ethertype::IPV6 };
        let mut drops = vec![
            (frame_of(Mac([2, 0, 0, 0, 0, 0x81]), None, kind, &whole), Outcome::DropNotOurMac),
            (frame_of(RESPONDER_MAC, Some(7), kind, &whole), Outcome::DropUnknownVlan),
            // LLDP's.
            (frame_of(RESPONDER_MAC, None, 0x88cc, &whole), Outcome::DropUnknownEthertype),
            (frame(&from(bad_source(family))), Outcome::DropBadSource),
            (frame(&from(dst)), Outcome::DropBadSource),
            // For the router, by way of the responder.
            (frame(&icmp(src, bench.address("R2", family), b"")), Outcome::DropNotOurAddress),
        ];
        for len in 14..14 + whole.len() {
            drops.push((frame(&whole)[..len].to_vec(), Outcome::DropTruncated));
        }
        let mut wrong = whole.clone();
        wrong[0] ^= 0x10;
        drops.push((frame_of(RESPONDER_MAC, None, kind, &wrong), Outcome::DropBadIpHeader));
        if family == Family::V4 {
            let mut wrong = whole.clone();
            wrong[8] ^= 1;
            drops.push((frame(&wrong), Outcome::DropBadIpChecksum));
            // A total length of less than the header.
            let mut wrong = whole.clone();
            wrong[3] = 19;
            reseal(&mut wrong);
            drops.push((frame(&wrong), Outcome::DropBadIpHeader));
        }
        for (frame, outcome) in drops {
            injector.send(&frame);
            bench.expect(outcome, 1);
        }
        // Right, by the same way: it is what was wrong with the others that had them dropped.
        let answer = Outcome::ResponseTimeExceeded;
        bench.hop_by(family, ICMP_TO_R2, "R2", answer, good, |_, _| {
            injector.send(&frame(&whole));
        });
    }
}

/// A source that nothing may be sent to.
fn bad_source(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(224, 0, 0, 1).into(),
        Family::V6 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
    }
}
