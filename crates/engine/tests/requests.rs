//! Requests that get no probe: refused with a status, or dropped under a name.

mod common;

use common::{
    Ends, FAMILIES, Responder, address, ends, extensions, framed, icmp_packet, ip, port_mac, read,
    request, request_packet, request_with, routed, router_mac, sealed, vlan,
};
use otherhalf_engine::policy::Flows;
use otherhalf_engine::{Network, Outcome, PortId, Verdict};
use otherhalf_wire::checksum::Sum;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::extension::{Class, Object};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{self, Refusal, Request};
use otherhalf_wire::{ip, ipv4};

fn udp(family: Family) -> Request {
    request(family, Protocol::Udp, 9, 4321)
}

/// `frame` is refused, with `refusal` and nothing else.
fn assert_refused(
    ours: &mut Responder,
    family: Family,
    frame: &[u8],
    expected: (Outcome, Refusal),
) {
    let done = ours.play(frame);
    assert_eq!((done.fate.outcome, done.fate.verdict), (expected.0, Verdict::Send(PortId(0))));
    let Ends { own, client, .. } = ends(family);
    let (link, packet) = read(&done.frame);
    assert_eq!((link.dst, packet.src, packet.dst), (router_mac(1), own, client));
    assert_eq!(packet.payload.len(), 12);
    let verdict = trace::Verdict::Refused { refusal: expected.1, text: &[] };
    assert_eq!(done.response(), trace::Response { identifier: 9, verdict });
}

#[test]
fn what_no_probe_can_be() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let other_icmp = match family {
            Family::V4 => Family::V6.icmp(),
            Family::V6 => Family::V4.icmp(),
        };
        let cases = [
            (Request { ttl: 0, ..udp(family) }, (Outcome::RefusedTtl, Refusal::Ttl)),
            (Request { ttl: 0, protocol: 99, ..udp(family) }, (Outcome::RefusedTtl, Refusal::Ttl)),
            (
                Request { protocol: 99, ..udp(family) },
                (Outcome::RefusedProtocol, Refusal::Protocol),
            ),
            (
                Request { protocol: other_icmp, ..udp(family) },
                (Outcome::RefusedProtocol, Refusal::Protocol),
            ),
        ];
        for (request, expected) in cases {
            let frame = routed(&request_packet(ends(family), request));
            assert_refused(&mut ours, family, &frame, expected);
        }
    }
}

#[test]
fn what_the_policy_forbids() {
    for family in FAMILIES {
        for protocol in Protocol::ALL {
            let mut ours = Responder::new();
            let flows = Flows { allowed: vec![53..=53, 33434..=33534], default: 33434 };
            let mut set = |flows: Option<Flows>| match protocol {
                Protocol::Icmp => ours.policy.icmp = flows,
                Protocol::Tcp => ours.policy.tcp = flows,
                Protocol::Udp => ours.policy.udp = flows,
            };
            set(Some(flows));
            let frame =
                |flow| routed(&request_packet(ends(family), request(family, protocol, 9, flow)));
            for flow in [1, 52, 54, 33433, 33535, 0xffff] {
                let expected = (Outcome::RefusedFlow, Refusal::Flow);
                assert_refused(&mut ours, family, &frame(flow), expected);
            }
            for (flow, sent) in [(53, 53), (33434, 33434), (33534, 33534), (0, 33434)] {
                let probe = ours.probe(family, request(family, protocol, 9, flow));
                assert_eq!(read(&probe).1.payload[2..4], u16::to_be_bytes(sent));
            }
            match protocol {
                Protocol::Icmp => ours.policy.icmp = None,
                Protocol::Tcp => ours.policy.tcp = None,
                Protocol::Udp => ours.policy.udp = None,
            }
            let expected = (Outcome::RefusedProtocol, Refusal::Protocol);
            assert_refused(&mut ours, family, &frame(53), expected);
        }
    }
}

#[test]
fn extensions_other_than_padding_are_refused() {
    let target = ip::to_mapped(address("198.51.100.77")).octets();
    let indirect = Object { class: Class::INDIRECT_TARGET, payload: &target };
    let padding = Object { class: Class::PADDING, payload: &[7; 24] };
    let unknown = Object { class: Class { class: 9, kind: 4 }, payload: &[1, 2, 3, 4] };
    // The length that RFC 4884 asks for counts the object's header.
    let by_rfc = [&[0x20, 0, 0, 0, 0, 20, 5, 0], &target[..]].concat();
    let cases = [
        (extensions(&[indirect]), Some(0x0500)),
        (by_rfc, Some(0x0500)),
        (extensions(&[unknown]), Some(0x0904)),
        (extensions(&[padding, unknown]), Some(0x0904)),
        (extensions(&[indirect, unknown]), Some(0x0500)),
        (vec![0x20, 0, 0, 0, 0, 99, 9, 4], Some(0x0904)),
        (vec![0x20, 0, 0, 0, 0, 99, 6, 0], Some(0x0600)),
        (extensions(&[padding]), None),
        (extensions(&[padding, padding]), None),
        (extensions(&[]), None),
        (vec![0x10, 0, 0, 0, 0, 20, 5, 0], None),
        (vec![0; 1400], None),
        (b"padding of any kind".to_vec(), None),
    ];
    for family in FAMILIES {
        let mut ours = Responder::new();
        for (trailer, refused) in &cases {
            let frame = routed(&request_with(ends(family), udp(family), trailer));
            if let Some(value) = refused {
                let expected = (Outcome::RefusedExtension, Refusal::Extension(*value));
                assert_refused(&mut ours, family, &frame, expected);
            } else {
                let outcome = ours.play(&frame).fate.outcome;
                assert_eq!(outcome, Outcome::ProbeUdp, "{trailer:x?}");
            }
        }
    }
}

#[test]
fn requests_truncated_at_every_length() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let whole = routed(&request_packet(ends(family), udp(family)));
        for len in 0..whole.len() {
            assert_eq!(ours.dropped(&whole[..len]), Outcome::DropTruncated, "{len} octets");
        }
        assert_eq!(ours.play(&whole).fate.outcome, Outcome::ProbeUdp);
    }
}

#[test]
fn short_requests_are_no_requests_for_ttl_0() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let Ends { own, client, .. } = ends(family);
        for body in 0..=3 {
            let message = (Kind::EchoRequest, trace::CODE, [9, 0]);
            let mut frame = routed(&icmp_packet(client, own, message, &[5, 17, 1][..body]));
            assert_eq!(ours.dropped(&frame), Outcome::DropShortRequest);
            // Ethernet pads what is shorter than 60 octets; the zeros are no TTL.
            frame.resize(frame.len().max(60) + 20, 0);
            assert_eq!(ours.dropped(&frame), Outcome::DropShortRequest, "{body} octets, padded");
        }
        // Shorter than the header of ICMP itself.
        for len in 0..8 {
            let frame = routed(&ip(client, own, family.icmp(), &[8; 8][..len]));
            assert_eq!(ours.dropped(&frame), Outcome::DropTruncated);
        }
    }
}

#[test]
fn wrong_checksums() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let good = routed(&request_packet(ends(family), udp(family)));
        for at in family.header_len() + 14 + 2..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_eq!(ours.dropped(&bad), Outcome::DropBadChecksum, "octet {at}");
        }
    }
    let mut ours = Responder::new();
    let mut bad = routed(&request_packet(ends(Family::V4), udp(Family::V4)));
    bad[14 + 8] ^= 1;
    assert_eq!(ours.dropped(&bad), Outcome::DropBadIpChecksum);
}

/// `packet` of IPv4 with `change` made to its header, whose checksum is made right again.
fn with_header(packet: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut packet = packet.to_vec();
    change(&mut packet);
    let len = (usize::from(packet[0] & 0x0f) * 4).clamp(ipv4::HEADER_LEN, packet.len());
    packet[10..12].fill(0);
    let checksum = Sum::ZERO.bytes(&packet[..len]).checksum();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet
}

#[test]
fn ipv4_options_are_not_copied() {
    let mut ours = Responder::new();
    let packet = request_packet(ends(Family::V4), udp(Family::V4));
    let plain = ours.probe(Family::V4, udp(Family::V4));
    for words in 1..=10u8 {
        let (header, message) = packet.split_at(ipv4::HEADER_LEN);
        // Record route and no-operations; a router's alert would be copied by who copies.
        let mut options = vec![1; usize::from(words) * 4];
        options[..3].copy_from_slice(&[7, 3, 4]);
        let packet = with_header(&[header, &options, message].concat(), |header| {
            header[0] += words;
            header[3] += words * 4;
        });
        let done = ours.play(&routed(&packet));
        assert_eq!((done.fate.outcome, &done.frame), (Outcome::ProbeUdp, &plain));
    }
}

/// `packet` of IPv6 with `headers`, the first of kind `first`, before its upper layer.
fn with_extensions(packet: &[u8], first: u8, headers: &[u8]) -> Vec<u8> {
    let (header, upper) = packet.split_at(40);
    let mut packet = [header, headers, upper].concat();
    let length = u16::try_from(packet.len() - 40).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    packet[6] = first;
    packet
}

#[test]
fn requests_behind_extension_headers() {
    let mut ours = Responder::new();
    let packet = request_packet(ends(Family::V6), udp(Family::V6));
    let plain = ours.probe(Family::V6, udp(Family::V6));
    let options = |next| [next, 0, 1, 4, 0, 0, 0, 0];
    let eight = [[options(60); 7].concat(), options(58).to_vec()].concat();
    let nine = [[options(60); 8].concat(), options(58).to_vec()].concat();
    let cases: [(&str, u8, &[u8], Outcome); 11] = [
        ("hop by hop", 0, &options(58), Outcome::ProbeUdp),
        ("destination options", 60, &options(58), Outcome::ProbeUdp),
        ("eight of them", 60, &eight, Outcome::ProbeUdp),
        ("nine of them", 60, &nine, Outcome::DropExtensionHeaders),
        ("routing, done", 43, &[58, 0, 4, 0, 0, 0, 0, 0], Outcome::ProbeUdp),
        ("routing, not done", 43, &[58, 0, 4, 1, 0, 0, 0, 0], Outcome::DropExtensionHeaders),
        ("atomic fragment", 44, &[58, 0, 0, 0, 1, 2, 3, 4], Outcome::ProbeUdp),
        ("first fragment", 44, &[58, 0, 0, 1, 1, 2, 3, 4], Outcome::DropFragment),
        ("last fragment", 44, &[58, 0, 0, 8, 1, 2, 3, 4], Outcome::DropFragment),
        ("encrypted", 50, &options(58), Outcome::DropExtensionHeaders),
        ("no next header", 60, &options(59), Outcome::DropOtherProtocol),
    ];
    for (what, first, headers, expected) in cases {
        let done = ours.play(&routed(&with_extensions(&packet, first, headers)));
        assert_eq!(done.fate.outcome, expected, "{what}");
        assert!(expected != Outcome::ProbeUdp || done.frame == plain, "{what}");
    }
}

#[test]
fn ipv4_headers_that_make_no_sense() {
    let mut ours = Responder::new();
    let packet = request_packet(ends(Family::V4), udp(Family::V4));
    let cases: [(&str, usize, u8, Outcome); 7] = [
        ("version 6", 0, 0x65, Outcome::DropBadIpHeader),
        ("16 octets of header", 0, 0x44, Outcome::DropBadIpHeader),
        ("19 octets in all", 3, 19, Outcome::DropBadIpHeader),
        ("one octet too many", 3, 33, Outcome::DropTruncated),
        ("more fragments", 6, 0x20, Outcome::DropFragment),
        ("second fragment", 7, 1, Outcome::DropFragment),
        ("another protocol", 9, 132, Outcome::DropOtherProtocol),
    ];
    let link =
        Link { dst: port_mac(0), src: router_mac(1), vlan: None, ethertype: ethertype::IPV4 };
    for (what, at, value, expected) in cases {
        let packet = with_header(&packet, |header| header[at] = value);
        assert_eq!(ours.dropped(&common::link_frame(link, &packet)), expected, "{what}");
    }
    let link = Link { ethertype: ethertype::IPV6, ..link };
    let mut packet = request_packet(ends(Family::V6), udp(Family::V6));
    packet[0] = 0x45;
    let frame = common::link_frame(link, &packet);
    assert_eq!(ours.dropped(&frame), Outcome::DropBadIpHeader, "version 4 in IPv6");
}

#[test]
fn who_and_where_it_may_come_from() {
    let mut ours = Responder::new();
    let from = |src: &str, dst: &str| {
        let ends = Ends { own: address(dst), client: address(src), hop: address(src) };
        routed(&request_packet(ends, udp(Family::of(ends.own))))
    };
    let never = [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.255",
        "192.0.2.0",
        "203.0.113.255",
        "192.0.2.2",
        "198.51.100.2",
    ];
    for src in never {
        assert_eq!(ours.dropped(&from(src, "192.0.2.2")), Outcome::DropBadSource, "{src}");
    }
    let never = ["::", "::1", "ff02::1", "::ffff:192.0.2.9", "2001:db8::2", "2001:db8:1::2"];
    for src in never {
        assert_eq!(ours.dropped(&from(src, "2001:db8::2")), Outcome::DropBadSource, "{src}");
    }
    for (src, dst) in [
        ("10.1.0.9", "192.0.2.3"),
        ("10.1.0.9", "192.0.2.255"),
        ("10.1.0.9", "224.0.0.1"),
        ("2001:db8:f1::9", "2001:db8::3"),
        ("2001:db8:f1::9", "ff02::1"),
    ] {
        assert_eq!(ours.dropped(&from(src, dst)), Outcome::DropNotOurAddress, "{dst}");
    }
    // An address of another interface is ours as well, and is who answers.
    let done = ours.play(&from("10.1.0.9", "198.51.100.2"));
    assert_eq!(done.sent().2.src, address("198.51.100.2"));
}

#[test]
fn frames_for_others() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        let packet = request_packet(ends(family), udp(family));
        let frame = |dst, src, vlan| framed(src, dst, vlan, &packet);
        let (own, peer) = (port_mac(0), router_mac(1));
        let cases = [
            ("another station", frame(router_mac(2), peer, None), Outcome::DropNotOurMac),
            ("another port's", frame(port_mac(1), peer, None), Outcome::DropNotOurMac),
            ("from a group", frame(own, Mac::BROADCAST, None), Outcome::DropNotOurMac),
            ("from nobody", frame(own, Mac([0; 6]), None), Outcome::DropNotOurMac),
            ("to all", frame(Mac::BROADCAST, peer, None), Outcome::DropNotOurAddress),
            (
                "to a group",
                frame(Mac([1, 0, 0x5e, 0, 0, 1]), peer, None),
                Outcome::DropNotOurAddress,
            ),
            ("unknown VLAN", frame(own, peer, vlan(101)), Outcome::DropUnknownVlan),
        ];
        for (what, frame, expected) in cases {
            assert_eq!(ours.dropped(&frame), expected, "{what}");
        }
        let mut tagged = frame(own, peer, vlan(100));
        tagged[14..16].copy_from_slice(&[0x0f, 0xff]);
        assert_eq!(ours.dropped(&tagged), Outcome::DropUnknownVlan, "VLAN 4095");
        tagged[14..18].copy_from_slice(&[0, 100, 0x81, 0x00]);
        assert_eq!(ours.dropped(&tagged), Outcome::DropUnknownEthertype, "two tags");
        let mut priority = frame(own, peer, vlan(100));
        priority[14..16].copy_from_slice(&[0xe0, 0]);
        let done = ours.play(&priority);
        assert_eq!(done.fate.outcome, Outcome::ProbeUdp, "a priority tag names no VLAN");
        assert_eq!(Link::parse(&done.frame).unwrap().0.vlan, None);
    }
}

#[test]
fn what_is_no_request_at_all() {
    let mut ours = Responder::new();
    ours.policy.closed_ports = false;
    let Ends { own, client, .. } = ends(Family::V4);
    let cases = [
        (ip(client, own, 17, &[0; 20]), Outcome::DropOtherUdp),
        (ip(client, own, 132, &[0; 20]), Outcome::DropOtherProtocol),
        (ip(client, own, 58, &sealed(client, own, 58, vec![128; 16])), Outcome::DropOtherProtocol),
        (ip(client, own, 6, &[0; 19]), Outcome::DropTruncated),
        (ip(client, own, 6, &[0; 20]), Outcome::DropBadChecksum),
    ];
    for (packet, expected) in cases {
        assert_eq!(ours.dropped(&routed(&packet)), expected);
    }
    let mut unknown = routed(&ip(client, own, 17, &[0; 20]));
    unknown[12..14].copy_from_slice(&[0x88, 0xcc]);
    assert_eq!(ours.dropped(&unknown), Outcome::DropUnknownEthertype);
}

#[test]
fn nobody_is_answered_without_a_route() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        ours.network = Network::new(common::interfaces(), &[]).unwrap();
        let frame = routed(&request_packet(ends(family), udp(family)));
        assert_eq!(ours.dropped(&frame), Outcome::DropNoRoute);
    }
}
