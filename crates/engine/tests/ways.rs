//! Which way a frame leaves: by the routes, back where it came from, or not yet.

mod common;

use std::net::IpAddr;

use common::{
    Ends, FAMILIES, Responder, TIMEOUT, address, ends, error_packet, framed, neighbour, neighbours,
    packet_of, port_mac, request, request_packet, routed, router_mac, tcp_answer_packet, vlan,
};
use otherhalf_engine::policy::Reply;
use otherhalf_engine::{Neighbours, Notice, Outcome, PortId, Verdict};
use otherhalf_wire::ethernet::{Link, Mac};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::tcp::flag::{ACK, SYN};

/// Clients behind each of the routers 1 to 3, over `family`.
fn clients(family: Family) -> [IpAddr; 3] {
    match family {
        Family::V4 => ["10.1.0.9", "10.2.0.9", "10.3.0.9"],
        Family::V6 => ["2001:db8:f1::9", "2001:db8:f2::9", "2001:db8:f3::9"],
    }
    .map(address)
}

fn from(client: IpAddr) -> Ends {
    Ends { client, ..ends(Family::of(client)) }
}

/// The ways to the routers 1 to 3: port, our hardware address, the router's, VLAN.
const WAYS: [(u16, Mac, Mac, Option<u16>); 3] = [
    (0, port_mac(0), router_mac(1), None),
    (0, port_mac(0), router_mac(2), Some(100)),
    (1, port_mac(1), router_mac(3), None),
];

/// Each interface: the port and the frame by which `packet` comes in there.
fn arrivals(packet: &[u8]) -> [(u16, Vec<u8>); 3] {
    WAYS.map(|(port, own, router, id)| (port, framed(router, own, id.and_then(vlan), packet)))
}

fn assert_way(done: &common::Done, way: (u16, Mac, Mac, Option<u16>)) {
    let (port, link, _) = done.sent();
    let id = link.vlan.map(otherhalf_wire::ethernet::VlanId::get);
    assert_eq!((port.0, link.src, link.dst, id), way);
}

#[test]
fn routes_choose_the_way_whatever_way_the_frame_came() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        for (client, way) in clients(family).into_iter().zip(WAYS) {
            let asked = request_packet(from(client), request(family, Protocol::Tcp, 9, 4321));
            for (port, frame) in arrivals(&asked) {
                assert_way(&ours.play_on(port, &frame), way);
            }
            // So does the response, and the RST that goes with it.
            let probe = ours.play(&routed(&asked)).frame;
            let answer = tcp_answer_packet(&probe, SYN | ACK);
            let done = ours.play(&routed(&answer));
            assert_way(&done, way);
            let (link, _) = Link::parse(&done.frame).unwrap();
            assert_eq!(Link::parse(&done.reset()).unwrap().0, link);
            assert_eq!(done.fate.outcome, Outcome::ResponseSynAck);
        }
    }
}

#[test]
fn hairpin_goes_back_to_where_the_frame_came_from() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        ours.policy.reply = Reply::Hairpin;
        ours.neighbours = Neighbours::default();
        for client in clients(family) {
            let asked = request_packet(from(client), request(family, Protocol::Udp, 9, 4321));
            for ((port, frame), way) in arrivals(&asked).into_iter().zip(WAYS) {
                let done = ours.play_on(port, &frame);
                assert_eq!(done.fate.outcome, Outcome::ProbeUdp);
                assert_way(&done, way);
                let hop = ends(family).hop;
                let error = error_packet(hop, Kind::TimeExceeded, 0, packet_of(&done.frame));
                for ((port, frame), way) in arrivals(&error).into_iter().zip(WAYS) {
                    let done = ours.play_on(port, &frame);
                    if done.fate.outcome == Outcome::ResponseTimeExceeded {
                        assert_way(&done, way);
                    } else {
                        assert_eq!(done.fate.outcome, Outcome::DropUnmatched);
                    }
                }
            }
        }
        assert_eq!(ours.counters.get(Outcome::ResponseTimeExceeded), 9);
    }
}

#[test]
fn a_neighbour_is_its_own_next_hop() {
    for (client, interface) in [("192.0.2.77", 0), ("198.51.100.77", 1), ("2001:db8:2::77", 2)] {
        let mut ours = Responder::new();
        let client = address(client);
        let family = Family::of(client);
        let mac = Mac([2, 0, 0, 0, 3, 77]);
        ours.neighbours = Neighbours::new([(neighbour(interface, &client.to_string()), mac)]);
        let asked = request_packet(from(client), request(family, Protocol::Udp, 9, 4321));
        let (_, link, _) = ours.play(&routed(&asked)).sent();
        assert_eq!(link.dst, mac);
    }
    // A link-local requester is a neighbour on the interface that the request came in by.
    let mut ours = Responder::new();
    let mac = Mac([2, 0, 0, 0, 3, 78]);
    ours.neighbours = Neighbours::new([(neighbour(1, "fe80::78"), mac)]);
    let asked = request_packet(from(address("fe80::78")), request(Family::V6, Protocol::Udp, 9, 1));
    let done = ours.play(&framed(mac, port_mac(0), vlan(100), &asked));
    assert_way(&done, (0, port_mac(0), mac, Some(100)));
    let done = ours.play(&routed(&asked));
    let wanted = Some(Notice::Wanted(neighbour(0, "fe80::78")));
    assert_eq!((done.fate.verdict, done.fate.notice), (Verdict::Hold, wanted));
}

#[test]
fn what_waits_for_a_neighbour_is_left_as_it_was() {
    for family in FAMILIES {
        for protocol in Protocol::ALL {
            let mut ours = Responder::new();
            ours.neighbours = Neighbours::default();
            let router = if family == Family::V4 { "192.0.2.1" } else { "2001:db8::1" };
            let frame = routed(&request_packet(ends(family), request(family, protocol, 9, 4321)));
            let done = ours.play(&frame);
            assert_eq!(done.fate.verdict, Verdict::Hold);
            assert_eq!(done.fate.outcome, Outcome::DropNeighbourUnresolved);
            assert_eq!(done.fate.notice, Some(Notice::Wanted(neighbour(0, router))));
            assert_eq!(done.frame, frame, "to the octet");
            // Nothing pends for a frame that waits: its time starts when it leaves.
            ours.received = Some(ours.now);
            ours.now += 1_000_000;
            ours.neighbours = neighbours();
            let probe = ours.play(&done.frame).frame;
            ours.received = None;
            ours.now += 500;
            let error = error_packet(ends(family).hop, Kind::TimeExceeded, 0, packet_of(&probe));
            ours.neighbours = Neighbours::default();
            let held = ours.play(&routed(&error));
            assert_eq!((held.fate.verdict, &held.frame), (Verdict::Hold, &routed(&error)));
            // The round trip ended when the answer came, however long its response waits for a way.
            ours.received = Some(ours.now);
            ours.now += 2 * TIMEOUT;
            ours.neighbours = neighbours();
            let done = ours.play(&held.frame);
            assert_eq!(done.fate.outcome, Outcome::ResponseTimeExceeded, "it still pended");
            let verdict = done.response().verdict;
            let otherhalf_wire::trace::Verdict::Hop { rtt, .. } = verdict else { panic!() };
            assert_eq!(rtt.ns(), Some(500));
        }
    }
}

#[test]
fn a_burst_is_held_frame_by_frame() {
    let mut ours = Responder::new();
    ours.neighbours = Neighbours::new([(neighbour(1, "198.51.100.1"), router_mac(2))]);
    let frames: Vec<_> = (0..90u16)
        .map(|n| {
            let client = clients(Family::V4)[usize::from(n % 3)];
            routed(&request_packet(from(client), request(Family::V4, Protocol::Icmp, n, 4321)))
        })
        .collect();
    for (n, done) in ours.burst(0, &frames).iter().enumerate() {
        let expected = if n % 3 == 1 { Verdict::Send(PortId(0)) } else { Verdict::Hold };
        assert_eq!(done.fate.verdict, expected, "frame {n}");
    }
}
