//! Neighbours and pings: ARP, neighbour discovery, echo.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::{
    Done, Ends, FAMILIES, Responder, arp_frame, discovery_frame, ends, framed, icmp_packet,
    neighbour, packet_of, port_mac, read, routed, router_mac, vlan,
};
use otherhalf_engine::frame::LEAST_ROOM;
use otherhalf_engine::{Claim, Fate, Frame, Notice, Outcome, PortId, Verdict, View};
use otherhalf_wire::arp::{self, Arp, Operation};
use otherhalf_wire::checksum::Sum;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::Family;
use otherhalf_wire::ndp::{self, Message};

const MAC: Mac = Mac([2, 0, 0, 0, 9, 9]);
const OWN4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PEER4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const OWN6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const PEER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn heard(address: impl Into<IpAddr>, mac: Mac, claim: Claim, overrides: bool) -> Notice {
    let address: IpAddr = address.into();
    Notice::Heard {
        neighbour: neighbour(0, &address.to_string()),
        mac: Some(mac),
        claim,
        overrides,
    }
}

/// What is learned from a frame that is not answered.
fn learned(ours: &mut Responder, frame: &[u8]) -> Option<Notice> {
    let Fate { verdict, outcome, notice } = ours.play(frame).fate;
    assert_eq!((verdict, outcome), (Verdict::Drop, Outcome::NeighbourLearned));
    notice
}

/// The ARP packet that is sent, and to whom.
fn arp_reply(done: &Done) -> (Mac, Arp) {
    assert_eq!(done.fate.verdict, Verdict::Send(PortId(0)));
    assert_eq!(done.fate.outcome, Outcome::NeighbourReply);
    let (link, payload) = Link::parse(&done.frame).unwrap();
    assert_eq!((link.ethertype, link.src), (ethertype::ARP, port_mac(0)));
    assert_eq!(payload.len(), arp::LEN);
    (link.dst, Arp::parse(payload).unwrap())
}

#[test]
fn arp_requests_are_answered() {
    let mut ours = Responder::new();
    let off_link = Ipv4Addr::new(172, 16, 0, 1);
    let cases = [
        ("a neighbour", PEER4, Some(heard(PEER4, MAC, Claim::Asked, true))),
        ("from another network", off_link, None),
        ("a probe for duplicates", Ipv4Addr::UNSPECIFIED, None),
    ];
    for (what, asker, notice) in cases {
        let done = ours.play(&arp_frame(Operation::Request, (MAC, asker), OWN4));
        let reply = Arp {
            operation: Operation::Reply,
            sender_mac: port_mac(0),
            sender: OWN4,
            target_mac: MAC,
            target: asker,
        };
        assert_eq!(arp_reply(&done), (MAC, reply), "{what}");
        assert_eq!(done.fate.notice, notice, "{what}");
    }
    // To our own address alone, as a check whether we are still there.
    let mut unicast = arp_frame(Operation::Request, (MAC, PEER4), OWN4);
    unicast[..6].copy_from_slice(&port_mac(0).0);
    assert_eq!(arp_reply(&ours.play(&unicast)).0, MAC);
    // In a VLAN, within that VLAN.
    let mut tagged = arp_frame(Operation::Request, (MAC, PEER4), OWN4);
    tagged.splice(12..12, [0x81, 0, 0, 100]);
    let done = ours.play(&tagged);
    assert_eq!(Link::parse(&done.frame).unwrap().0.vlan, vlan(100));
    assert_eq!(done.fate.notice, None, "the asker is no neighbour there");
}

#[test]
fn arp_tells_of_neighbours() {
    let mut ours = Responder::new();
    let reply = arp_frame(Operation::Reply, (MAC, PEER4), OWN4);
    assert_eq!(learned(&mut ours, &reply), Some(heard(PEER4, MAC, Claim::Answered, true)));
    for operation in [Operation::Request, Operation::Reply] {
        let announcement = arp_frame(operation, (MAC, PEER4), PEER4);
        assert_eq!(
            learned(&mut ours, &announcement),
            Some(heard(PEER4, MAC, Claim::Announced, true))
        );
    }
}

#[test]
fn arp_that_tells_nothing() {
    let mut ours = Responder::new();
    let off_link = Ipv4Addr::new(172, 16, 0, 1);
    let other = Ipv4Addr::new(192, 0, 2, 10);
    let unspecified = Ipv4Addr::UNSPECIFIED;
    let broadcast = Ipv4Addr::new(192, 0, 2, 255);
    let cases = [
        ("to others", Operation::Request, (MAC, PEER4), other, Outcome::DropOtherNeighbour),
        ("among others", Operation::Reply, (MAC, PEER4), other, Outcome::DropOtherNeighbour),
        ("their probe", Operation::Request, (MAC, unspecified), other, Outcome::DropOtherNeighbour),
        ("from nobody", Operation::Reply, (MAC, unspecified), OWN4, Outcome::DropOtherNeighbour),
        ("off the link", Operation::Reply, (MAC, off_link), OWN4, Outcome::DropBadNeighbour),
        ("from all", Operation::Reply, (MAC, broadcast), OWN4, Outcome::DropBadNeighbour),
        ("our address", Operation::Request, (MAC, OWN4), OWN4, Outcome::DropBadNeighbour),
        ("our address", Operation::Reply, (MAC, OWN4), PEER4, Outcome::DropBadNeighbour),
    ];
    for (what, operation, sender, target, expected) in cases {
        let frame = arp_frame(operation, sender, target);
        assert_eq!(ours.dropped(&frame), expected, "{what}");
        assert_eq!(ours.play(&frame).fate.notice, None, "{what}");
    }
    let good = arp_frame(Operation::Request, (MAC, PEER4), OWN4);
    let mut group = good.clone();
    group[22..28].copy_from_slice(&Mac::BROADCAST.0);
    assert_eq!(ours.dropped(&group), Outcome::DropBadNeighbour, "all stations' address");
    for len in 14..good.len() {
        assert_eq!(ours.dropped(&good[..len]), Outcome::DropBadNeighbour, "{len} octets");
    }
}

fn solicitation(source_mac: Option<Mac>) -> Message {
    Message::Solicitation { target: OWN6, source_mac }
}

/// The advertisement that is sent: link, from, to, message.
fn advertisement(done: &Done) -> (Mac, Ipv6Addr, Ipv6Addr, Message) {
    assert_eq!(done.fate.outcome, Outcome::NeighbourReply);
    let (port, link, packet) = done.sent();
    let (IpAddr::V6(src), IpAddr::V6(dst)) = (packet.src, packet.dst) else { panic!() };
    assert_eq!((port, link.src, packet.ttl), (PortId(0), port_mac(0), 255));
    (link.dst, src, dst, Message::parse(packet.payload).unwrap())
}

fn advertised(solicited: bool) -> Message {
    let target_mac = Some(port_mac(0));
    Message::Advertisement { target: OWN6, target_mac, solicited, overrides: true }
}

#[test]
fn solicitations_are_answered() {
    let mut ours = Responder::new();
    let off_link: Ipv6Addr = "2001:db8:77::1".parse().unwrap();
    let link_local: Ipv6Addr = "fe80::9".parse().unwrap();
    let group = ndp::solicited_node(OWN6);
    let cases = [
        ("by multicast", PEER6, group, Some(MAC), Some(heard(PEER6, MAC, Claim::Asked, true))),
        ("by unicast", PEER6, OWN6, Some(MAC), Some(heard(PEER6, MAC, Claim::Asked, true))),
        ("without its address", PEER6, OWN6, None, None),
        (
            "link-local",
            link_local,
            group,
            Some(MAC),
            Some(heard(link_local, MAC, Claim::Asked, true)),
        ),
        ("from another network", off_link, group, Some(MAC), None),
        ("with a group's address", PEER6, group, Some(Mac::BROADCAST), None),
    ];
    for (what, src, dst, mac, notice) in cases {
        let done = ours.play(&discovery_frame(MAC, 255, (src, dst), solicitation(mac)));
        assert_eq!(advertisement(&done), (MAC, OWN6, src, advertised(true)), "{what}");
        assert_eq!(done.fate.notice, notice, "{what}");
    }
    // Our own link-local address, which nobody configured.
    let target = ndp::link_local(port_mac(0));
    let asked = Message::Solicitation { target, source_mac: Some(MAC) };
    let done = ours.play(&discovery_frame(MAC, 255, (link_local, target), asked));
    assert_eq!(advertisement(&done).1, target);
}

#[test]
fn checks_for_duplicates_are_answered_to_all() {
    let mut ours = Responder::new();
    let group = ndp::solicited_node(OWN6);
    let frame = discovery_frame(MAC, 255, (Ipv6Addr::UNSPECIFIED, group), solicitation(None));
    let done = ours.play(&frame);
    let all = ndp::multicast_mac(ALL_NODES);
    assert_eq!(advertisement(&done), (all, OWN6, ALL_NODES, advertised(false)));
    assert_eq!(done.fate.notice, None);
    // RFC 4861 §7.1.1: with an address of its own it would not check, and it asks the group only.
    for (dst, mac) in [(group, Some(MAC)), (OWN6, None), (OWN6, Some(MAC))] {
        let frame = discovery_frame(MAC, 255, (Ipv6Addr::UNSPECIFIED, dst), solicitation(mac));
        assert_eq!(ours.dropped(&frame), Outcome::DropBadNeighbour, "{dst} {mac:?}");
    }
}

#[test]
fn advertisements_tell_of_neighbours() {
    let mut ours = Responder::new();
    let told = |solicited, overrides, target_mac| Message::Advertisement {
        target: PEER6,
        target_mac,
        solicited,
        overrides,
    };
    for overrides in [false, true] {
        let frame = discovery_frame(MAC, 255, (PEER6, OWN6), told(true, overrides, Some(MAC)));
        assert_eq!(learned(&mut ours, &frame), Some(heard(PEER6, MAC, Claim::Answered, overrides)));
        let all = (PEER6, ALL_NODES);
        let frame = discovery_frame(MAC, 255, all, told(false, overrides, Some(MAC)));
        assert_eq!(
            learned(&mut ours, &frame),
            Some(heard(PEER6, MAC, Claim::Announced, overrides))
        );
    }
    let frame = discovery_frame(MAC, 255, (PEER6, ALL_NODES), told(true, true, Some(MAC)));
    assert_eq!(ours.dropped(&frame), Outcome::DropBadNeighbour, "solicited by all?");
    // To a question by unicast a neighbour need not repeat its address: that it answers is what was asked.
    let frame = discovery_frame(MAC, 255, (PEER6, OWN6), told(true, false, None));
    let confirmed = Notice::Heard {
        neighbour: neighbour(0, &PEER6.to_string()),
        mac: None,
        claim: Claim::Answered,
        overrides: false,
    };
    assert_eq!(learned(&mut ours, &frame), Some(confirmed));
    for (solicited, mac) in
        [(false, None), (true, Some(Mac::BROADCAST)), (false, Some(Mac::BROADCAST))]
    {
        let frame = discovery_frame(MAC, 255, (PEER6, OWN6), told(solicited, true, mac));
        assert_eq!(ours.dropped(&frame), Outcome::DropBadNeighbour, "{solicited} {mac:?}");
    }
    for target in [OWN6, "2001:db8:77::1".parse().unwrap()] {
        let told = Message::Advertisement {
            target,
            target_mac: Some(MAC),
            solicited: false,
            overrides: true,
        };
        let frame = discovery_frame(MAC, 255, (PEER6, ALL_NODES), told);
        assert_eq!(ours.dropped(&frame), Outcome::DropBadNeighbour, "{target}");
    }
}

#[test]
fn discovery_that_breaks_its_rules() {
    let mut ours = Responder::new();
    let group = ndp::solicited_node(OWN6);
    let good =
        |hop_limit, dst| discovery_frame(MAC, hop_limit, (PEER6, dst), solicitation(Some(MAC)));
    for hop_limit in [0, 1, 64, 254] {
        let frame = good(hop_limit, group);
        assert_eq!(ours.dropped(&frame), Outcome::DropBadNeighbour, "hop limit {hop_limit}");
    }
    let mut bad = good(255, group);
    *bad.last_mut().unwrap() ^= 1;
    assert_eq!(ours.dropped(&bad), Outcome::DropBadChecksum);
    assert_eq!(ours.dropped(&good(255, ALL_NODES)), Outcome::DropBadNeighbour);
    let other = Message::Solicitation { target: PEER6, source_mac: Some(MAC) };
    let frame = discovery_frame(MAC, 255, (PEER6, ndp::solicited_node(PEER6)), other);
    assert_eq!(ours.dropped(&frame), Outcome::DropOtherNeighbour);
    let frame = discovery_frame(MAC, 255, (OWN6, group), solicitation(Some(MAC)));
    assert_eq!(ours.dropped(&frame), Outcome::DropBadNeighbour, "from ourselves");
    let whole = good(255, group);
    for len in 0..whole.len() {
        assert_eq!(ours.dropped(&whole[..len]), Outcome::DropTruncated, "{len} octets");
    }
}

/// A ping of `len` octets of data, as a packet.
fn ping(Ends { own, client, .. }: Ends, len: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..=255u8).cycle().take(len).collect();
    icmp_packet(client, own, (Kind::EchoRequest, 0, [0x77, 5]), &data)
}

/// `done` echoes the message of the ping in the last `len` + 8 octets of `packet`.
fn assert_echoes(done: &Done, Ends { own, client, .. }: Ends, packet: &[u8], len: usize) {
    assert_eq!(done.fate.outcome, Outcome::PingReply);
    let (_, link, reply) = done.sent();
    assert_eq!((link.dst, reply.src, reply.dst), (router_mac(1), own, client));
    assert_eq!((reply.ttl, reply.traffic_class), (64, 0x48));
    let message = &packet[packet.len() - len - 8..];
    assert_eq!(reply.payload[4..], message[4..], "identifier, sequence and data");
    assert_eq!(reply.payload[..2], [Kind::EchoReply.number(reply.family()), 0]);
}

#[test]
fn pings_of_every_size() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        ours.policy.allowances.pings = u32::MAX;
        for len in 0..=1400 {
            let packet = ping(ends(family), len);
            let mut frame = routed(&packet);
            assert_echoes(&ours.play(&frame), ends(family), &packet, len);
            // Padding is not echoed.
            frame.resize(frame.len().max(60), 0xee);
            assert_echoes(&ours.play(&frame), ends(family), &packet, len);
        }
    }
}

#[test]
fn pings_whose_reply_has_other_headers() {
    for len in [0, 1, 56, 1400] {
        let mut ours = Responder::new();
        let packet = ping(ends(Family::V4), len);
        for words in 1..=10u8 {
            let (header, message) = packet.split_at(20);
            let mut with = [header, &vec![1; usize::from(words) * 4], message].concat();
            with[0] += words;
            let total = u16::try_from(with.len()).unwrap();
            with[2..4].copy_from_slice(&total.to_be_bytes());
            with[10..12].fill(0);
            let checksum = Sum::ZERO.bytes(&with[..20 + usize::from(words) * 4]).checksum();
            with[10..12].copy_from_slice(&checksum.to_be_bytes());
            assert_echoes(&ours.play(&routed(&with)), ends(Family::V4), &packet, len);
        }
        let packet = ping(ends(Family::V6), len);
        let (header, message) = packet.split_at(40);
        let mut with =
            [header, &[60, 0, 1, 4, 0, 0, 0, 0, 58, 0, 1, 4, 0, 0, 0, 0], message].concat();
        let length = u16::try_from(with.len() - 40).unwrap();
        with[4..6].copy_from_slice(&length.to_be_bytes());
        with[6] = 0;
        assert_echoes(&ours.play(&routed(&with)), ends(Family::V6), &packet, len);
        // From a VLAN, answered without one: the link layer gets shorter. And the other way about.
        for family in FAMILIES {
            let packet = ping(ends(family), len);
            let tagged = framed(router_mac(2), port_mac(0), vlan(100), &packet);
            assert_echoes(&ours.play(&tagged), ends(family), &packet, len);
            let client = if family == Family::V4 { "10.2.0.9" } else { "2001:db8:f2::9" };
            let ends = Ends { client: common::address(client), ..ends(family) };
            let packet = ping(ends, len);
            let done = ours.play(&routed(&packet));
            let (link, reply) = read(&done.frame);
            assert_eq!((link.vlan, link.dst), (vlan(100), router_mac(2)));
            assert_eq!(reply.payload[4..], packet[packet.len() - len - 4..]);
        }
    }
}

#[test]
fn a_ping_of_nothing_but_zeros() {
    for family in FAMILIES {
        let Ends { own, client, .. } = ends(family);
        for len in [0, 2, 56] {
            let message = (Kind::EchoRequest, 0, [0, 0]);
            let packet = icmp_packet(client, own, message, &vec![0; len]);
            let done = Responder::new().play(&routed(&packet));
            assert_echoes(&done, ends(family), &packet, len);
        }
    }
}

#[test]
fn a_ping_with_a_wrong_checksum_is_dropped() {
    for family in FAMILIES {
        let mut frame = routed(&ping(ends(family), 56));
        *frame.last_mut().unwrap() ^= 1;
        assert_eq!(Responder::new().dropped(&frame), Outcome::DropBadChecksum);
    }
}

#[test]
fn a_buffer_too_small_for_the_echo() {
    let ours = Responder::new();
    // The reply leaves by a VLAN: it is four octets longer than what came in.
    let client = common::address("10.2.0.9");
    let packet = ping(Ends { client, ..ends(Family::V4) }, 200);
    let frame = routed(&packet);
    for (spare, expected) in [(3, Outcome::DropBuffer), (4, Outcome::PingReply)] {
        let mut room = frame.clone();
        room.resize(frame.len() + spare, 0);
        assert!(room.len() >= LEAST_ROOM);
        let mut frames = [Frame::new(&mut room, frame.len(), PortId(0)).unwrap()];
        let view =
            View { network: &ours.network, neighbours: &ours.neighbours, policy: &ours.policy };
        let mut fates = Vec::new();
        ours.engine.process(&view, ours.now, &mut frames, |_, fate| fates.push(fate));
        assert_eq!(fates.len(), 1);
        assert_eq!(fates[0].outcome, expected);
        assert_eq!(fates[0].verdict == Verdict::Drop, expected == Outcome::DropBuffer);
    }
    assert_eq!(packet_of(&frame), packet);
}
