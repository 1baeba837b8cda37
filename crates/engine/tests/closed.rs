//! Ports that nothing listens on: answered as a host answers, within a budget, or not at all.

mod common;

use std::net::IpAddr;

use common::{FAMILIES, Responder, SECOND, ends, ip, port_mac, request, routed, router_mac};
use otherhalf_engine::{Outcome, PortId, Verdict};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Family, protocol, pseudo_header};
use otherhalf_wire::probe::{Cookie, Identity, MAX_LEN, Probe, Protocol};
use otherhalf_wire::quote::Quote;
use otherhalf_wire::tcp;
use otherhalf_wire::tcp::flag::{ACK, FIN, RST, SYN};
use zerocopy::{FromBytes, IntoBytes};

/// A forward trace's datagram from `src` to `dst`, as an IP packet.
fn datagram(src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let probe = Probe {
        protocol: Protocol::Udp,
        source_port: 1021,
        flow: 33434,
        identifier: 77,
        cookie: Cookie(5),
    };
    let mut room = [0; MAX_LEN];
    let len = probe.emit(src, dst, &mut room).unwrap();
    ip(src, dst, protocol::UDP, &room[..len])
}

fn segment(src: IpAddr, dst: IpAddr, flags: u8, data: &[u8]) -> Vec<u8> {
    let header = tcp::Header {
        src_port: 4000.into(),
        dst_port: 80.into(),
        sequence: 1_000.into(),
        acknowledgement: 2_000.into(),
        data_offset: tcp::NO_OPTIONS,
        flags,
        window: 9.into(),
        checksum: 0.into(),
        urgent: 0.into(),
    };
    let mut payload = header.as_bytes().to_vec();
    payload.extend_from_slice(data);
    let length = u16::try_from(payload.len()).unwrap();
    let sum = pseudo_header(src, dst, protocol::TCP, length).bytes(&payload);
    payload[16..18].copy_from_slice(&sum.checksum().to_be_bytes());
    ip(src, dst, protocol::TCP, &payload)
}

#[test]
fn a_forward_trace_over_udp_ends_here() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let ends = ends(family);
        let packet = datagram(ends.client, ends.own);
        let done = ours.play(&routed(&packet));
        assert_eq!(done.fate.outcome, Outcome::ClosedUdpUnreachable);
        let (port, link, answer) = done.sent();
        assert_eq!((port, link.dst, link.src), (PortId(0), router_mac(1), port_mac(0)));
        assert_eq!((answer.src, answer.dst), (ends.own, ends.client));
        let message = icmp::Message::parse(family, answer.payload).unwrap();
        assert_eq!(
            (message.kind, message.header.code),
            (Kind::DestinationUnreachable, icmp::port_unreachable(family))
        );
        let quote = Quote::parse(family, message.body).unwrap();
        assert_eq!((quote.src, quote.dst, quote.protocol), (ends.client, ends.own, protocol::UDP));
        assert_eq!(quote.transport.len(), 8, "no more than it must");
        let identity = Identity::from_quote(family, quote.protocol, quote.transport).unwrap();
        assert_eq!((identity.flow, identity.identifier), (33434, 77));
        assert_eq!(message.body, &packet[..packet.len() - 8], "the datagram as it came");
    }
}

#[test]
fn a_wrong_checksum_is_not_answered() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let ends = ends(family);
        let mut packet = datagram(ends.client, ends.own);
        *packet.last_mut().unwrap() ^= 1;
        assert_eq!(ours.dropped(&routed(&packet)), Outcome::DropBadChecksum);
        // "No checksum" is a word of IPv4 alone.
        let at = family.header_len() + 6;
        packet[at..at + 2].fill(0);
        let outcome = ours.play(&routed(&packet)).fate.outcome;
        let expected = if family == Family::V4 {
            Outcome::ClosedUdpUnreachable
        } else {
            Outcome::DropBadChecksum
        };
        assert_eq!(outcome, expected);
    }
}

#[test]
fn a_datagram_that_the_device_vouches_for_needs_no_checksum_of_ours() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        ours.vouched.transport = true;
        let ends = ends(family);
        let mut packet = datagram(ends.client, ends.own);
        *packet.last_mut().unwrap() ^= 1;
        let outcome = ours.play(&routed(&packet)).fate.outcome;
        assert_eq!(outcome, Outcome::ClosedUdpUnreachable, "{family}");
        if family == Family::V6 {
            // Nobody can vouch for what is not there (RFC 8200 §8.1).
            let at = family.header_len() + 6;
            packet[at..at + 2].fill(0);
            assert_eq!(ours.dropped(&routed(&packet)), Outcome::DropBadChecksum);
        }
    }
}

#[test]
fn a_quote_is_no_longer_than_every_link_takes() {
    let mut ours = Responder::new();
    let ends = ends(Family::V6);
    let packet = datagram(ends.client, ends.own);
    for units in [0u8, 100, 145, 146, 147, 148, 179] {
        // One header of options, as long as a frame may be.
        let mut options = vec![0; (usize::from(units) + 1) * 8];
        options[..2].copy_from_slice(&[protocol::UDP, units]);
        let (header, upper) = packet.split_at(40);
        let mut packet = [header, &options, upper].concat();
        let length = u16::try_from(packet.len() - 40).unwrap();
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        packet[6] = 60;
        let done = ours.play(&routed(&packet));
        assert_eq!(done.fate.outcome, Outcome::ClosedUdpUnreachable);
        let (_, _, answer) = done.sent();
        // RFC 4443 §2.4 (c): the minimum MTU of IPv6, whatever came.
        let quoted = (40 + options.len() + 8).min(1280 - 40 - 8);
        assert_eq!(answer.payload.len(), 8 + quoted, "{units}");
        assert_eq!(answer.payload[8..], packet[..quoted], "{units}");
    }
}

#[test]
fn every_segment_gets_the_rst_of_rfc_9293() {
    // Flags, data, the RST's sequence number and what it acknowledges.
    let cases: [(u8, &[u8], u32, Option<u32>); 5] = [
        (SYN, b"", 0, Some(1_001)),
        (SYN | FIN, b"ab", 0, Some(1_004)),
        (ACK, b"", 2_000, None),
        (ACK | FIN, b"abc", 2_000, None),
        (0, b"abc", 0, Some(1_003)),
    ];
    for family in FAMILIES {
        let mut ours = Responder::new();
        let ends = ends(family);
        for (flags, data, sequence, acknowledged) in cases {
            let done = ours.play(&routed(&segment(ends.client, ends.own, flags, data)));
            assert_eq!(done.fate.outcome, Outcome::ClosedTcpReset, "flags {flags:#04x}");
            let (_, _, answer) = done.sent();
            let (header, rest) = tcp::Header::ref_from_prefix(answer.payload).unwrap();
            assert!(rest.is_empty());
            assert_eq!((header.src_port.get(), header.dst_port.get()), (80, 4000));
            assert_eq!(header.sequence.get(), sequence, "flags {flags:#04x}");
            assert_eq!(header.flags, RST | acknowledged.map_or(0, |_| ACK));
            assert_eq!(header.acknowledgement.get(), acknowledged.unwrap_or(0));
        }
        assert_eq!(
            ours.dropped(&routed(&segment(ends.client, ends.own, RST | ACK, b""))),
            Outcome::DropOtherTcp
        );
    }
}

#[test]
fn a_policy_can_forbid_it() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        ours.policy.closed_ports = false;
        let ends = ends(family);
        assert_eq!(ours.dropped(&routed(&datagram(ends.client, ends.own))), Outcome::DropOtherUdp);
        assert_eq!(
            ours.dropped(&routed(&segment(ends.client, ends.own, SYN, b""))),
            Outcome::DropOtherTcp
        );
    }
}

#[test]
fn the_budget_bounds_a_flood_and_spares_requests() {
    let mut ours = Responder::new();
    let ends = ends(Family::V4);
    let frame = routed(&datagram(ends.client, ends.own));
    let answered = |ours: &mut Responder| {
        let done = ours.burst(0, &vec![frame.clone(); 1000]);
        done.iter().filter(|done| matches!(done.fate.verdict, Verdict::Send(_))).count()
    };
    assert_eq!(answered(&mut ours), 100);
    assert_eq!(answered(&mut ours), 0);
    assert_eq!(ours.dropped(&frame), Outcome::DropClosedBudget);
    ours.probe(Family::V4, request(Family::V4, Protocol::Udp, 3, 4321));
    ours.now += SECOND / 1000 * 7;
    assert_eq!(answered(&mut ours), 7);
}
