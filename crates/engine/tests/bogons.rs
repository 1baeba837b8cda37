//! Who may not ask: addresses that nobody on the Internet has, and sources that came in by the wrong port.

mod common;

use std::net::IpAddr;

use common::{
    Ends, FAMILIES, Responder, address, ends, error_packet, interfaces, link_frame, packet_of,
    port_mac, request, request_packet, routed, router_mac,
};
use ipnet::IpNet;
use otherhalf_engine::{Bogons, Interface, Network, NextHop, Outcome, Policy, StaticRoute};
use otherhalf_wire::ethernet::{Link, ethertype};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

/// A responder with a public address besides its others, at which everybody is a known neighbour's way away.
fn public() -> Responder {
    let mut interfaces: Vec<Interface> = interfaces();
    let own: [IpNet; 2] = ["8.8.4.2/24", "2a00:1::2/64"].map(|text| text.parse().unwrap());
    interfaces[0].addresses.extend(own);
    let route = |to: &str, via: &str| StaticRoute {
        to: to.parse().unwrap(),
        via: address(via),
        interface: None,
    };
    let routes = [
        route("0.0.0.0/0", "192.0.2.1"),
        route("::/0", "2001:db8::1"),
        route("9.3.0.0/16", "203.0.113.1"),
        route("2a00:3::/32", "2001:db8:2::1"),
    ];
    let network = Network::new(interfaces, &routes).unwrap();
    Responder { network, ..Responder::new() }
}

/// What becomes of a request of `from` to `to`.
fn asked(ours: &mut Responder, [from, to]: [&str; 2]) -> Outcome {
    let [client, own] = [from, to].map(address);
    let family = Family::of(own);
    let ends = Ends { own, client, ..ends(family) };
    let packet = request_packet(ends, request(family, Protocol::Udp, 9, 4321));
    ours.play(&routed(&packet)).fate.outcome
}

#[test]
fn special_sources_are_refused_at_public_addresses() {
    let special = [
        ("8.8.4.2", "192.0.2.2", "10.1.2.3"),
        ("8.8.4.2", "192.0.2.2", "100.64.0.1"),
        ("8.8.4.2", "192.0.2.2", "169.254.7.7"),
        ("8.8.4.2", "192.0.2.2", "172.31.255.254"),
        ("8.8.4.2", "192.0.2.2", "192.168.1.1"),
        ("8.8.4.2", "192.0.2.2", "192.0.2.77"),
        ("8.8.4.2", "192.0.2.2", "198.18.0.1"),
        ("8.8.4.2", "192.0.2.2", "203.0.114.1"),
        ("2a00:1::2", "2001:db8::2", "2001:db8:9::1"),
        ("2a00:1::2", "2001:db8::2", "fc00::1"),
        ("2a00:1::2", "2001:db8::2", "fd12::1"),
        ("2a00:1::2", "2001:db8::2", "5f00::1"),
    ];
    for (public_own, private_own, source) in special {
        let mut ours = public();
        let is_special = source != "203.0.114.1";
        let dropped = if is_special { Outcome::DropBogon } else { Outcome::ProbeUdp };
        let mut expect = |bogons, expected: [Outcome; 2]| {
            ours.policy.bogons = bogons;
            for (own, expected) in [public_own, private_own].into_iter().zip(expected) {
                let outcome = asked(&mut ours, [source, own]);
                // A neighbour whose hardware address is asked for is as good as a probe here.
                let served = outcome == Outcome::DropNeighbourUnresolved;
                let outcome = if served { Outcome::ProbeUdp } else { outcome };
                assert_eq!(outcome, expected, "{source} at {own}, {bogons:?}");
            }
        };
        expect(Bogons::Public, [dropped, Outcome::ProbeUdp]);
        expect(Bogons::Drop, [dropped, dropped]);
        expect(Bogons::Allow, [Outcome::ProbeUdp, Outcome::ProbeUdp]);
    }
}

#[test]
fn public_sources_are_answered_whatever_the_policy() {
    for bogons in [Bogons::Public, Bogons::Drop, Bogons::Allow] {
        let mut ours = public();
        ours.policy.bogons = bogons;
        for [from, to] in [
            ["9.9.9.9", "8.8.4.2"],
            ["9.9.9.9", "192.0.2.2"],
            ["2a02::1", "2a00:1::2"],
            ["2a02::1", "2001:db8::2"],
        ] {
            assert_eq!(asked(&mut ours, [from, to]), Outcome::ProbeUdp, "{from} {bogons:?}");
        }
    }
}

#[test]
fn who_is_nobody_is_dropped_even_where_bogons_are_allowed() {
    let mut ours = public();
    ours.policy.bogons = Bogons::Allow;
    let nobody = [
        ("8.8.4.2", ["0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255", "8.8.4.2"]),
        ("8.8.4.2", ["0.1.2.3", "240.0.0.1", "192.0.2.255", "192.0.2.0", "192.0.2.2"]),
        ("2a00:1::2", ["::", "::1", "ff02::1", "2a00:1::2", "::ffff:9.9.9.9"]),
    ];
    for (own, sources) in nobody {
        for source in sources {
            assert_eq!(asked(&mut ours, [source, own]), Outcome::DropBadSource, "{source}");
        }
    }
}

/// Routers on the way may have private addresses: answers are not requests.
#[test]
fn answers_come_from_anywhere() {
    for (own, client, hop) in
        [("8.8.4.2", "9.9.9.9", "10.0.0.1"), ("2a00:1::2", "2a02::1", "fd00::1")]
    {
        let mut ours = public();
        ours.policy = Policy { bogons: Bogons::Drop, ..Policy::default() };
        let [own, client, hop] = [own, client, hop].map(address);
        let family = Family::of(own);
        let ends = Ends { own, client, hop };
        let packet = request_packet(ends, request(family, Protocol::Udp, 9, 4321));
        let probe = ours.play(&routed(&packet));
        assert_eq!(probe.fate.outcome, Outcome::ProbeUdp);
        let quoted = &packet_of(&probe.frame)[..family.header_len() + 8];
        let error = routed(&error_packet(hop, Kind::TimeExceeded, 0, quoted));
        assert_eq!(ours.play(&error).fate.outcome, Outcome::ResponseTimeExceeded);
    }
}

#[test]
fn a_strict_source_comes_in_by_the_port_that_it_is_routed_to() {
    // In by port 0, and routed by port 0 or by port 1.
    let cases: [(IpAddr, IpAddr, bool); 4] = [
        (address("9.9.9.9"), address("8.8.4.2"), true),
        (address("9.3.9.9"), address("8.8.4.2"), false),
        (address("2a02::1"), address("2a00:1::2"), true),
        (address("2a00:3::1"), address("2a00:1::2"), false),
    ];
    for (client, own, right) in cases {
        let family = Family::of(own);
        let ends = Ends { own, client, ..ends(family) };
        let packet = request_packet(ends, request(family, Protocol::Udp, 9, 4321));
        let mut ours = public();
        assert_eq!(ours.play(&routed(&packet)).fate.outcome, Outcome::ProbeUdp);
        ours.policy.strict_source = true;
        let expected = if right { Outcome::ProbeUdp } else { Outcome::DropWrongPort };
        assert_eq!(ours.play(&routed(&packet)).fate.outcome, expected, "{client}");
        // And the other way round by port 1, whose own hardware address it must have.
        let ethertype = if own.is_ipv4() { ethertype::IPV4 } else { ethertype::IPV6 };
        let link = Link { src: router_mac(3), dst: port_mac(1), vlan: None, ethertype };
        let outcome = ours.play_on(1, &link_frame(link, &packet)).fate.outcome;
        let expected = if right { Outcome::DropWrongPort } else { Outcome::ProbeUdp };
        assert_eq!(outcome, expected, "{client} by port 1");
    }
}

/// Without a route to it, a source came in by no right port.
#[test]
fn a_strict_source_without_route() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        ours.network = Network::new(interfaces(), &[]).unwrap();
        ours.policy.strict_source = true;
        let packet = request_packet(ends(family), request(family, Protocol::Icmp, 9, 0));
        assert_eq!(ours.dropped(&routed(&packet)), Outcome::DropWrongPort);
        ours.policy.strict_source = false;
        assert_eq!(ours.dropped(&routed(&packet)), Outcome::DropNoRoute);
        let next: Option<NextHop> =
            ours.network.next_hop(ends(family).client, otherhalf_engine::InterfaceId(0));
        assert_eq!(next, None);
    }
}
