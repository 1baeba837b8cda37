//! The exception path: what the kernel gets, what it does not, and that it has a budget.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::{
    Done, FAMILIES, KERNEL, Responder, SECOND, address, arp_frame, discovery_frame, ends,
    error_packet, framed, icmp_packet, interfaces, ip, link_frame, network, port_mac, request,
    request_packet, routed, router_mac, tcp_packet, vlan,
};
use otherhalf_engine::kernel::Exceptions;
use otherhalf_engine::network::Error;
use otherhalf_engine::{Claim, Network, Notice, Outcome, PortId, Verdict};
use otherhalf_wire::arp::Operation;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::{Family, protocol};
use otherhalf_wire::ndp::{Message, solicited_node};
use otherhalf_wire::probe::{Protocol, SOURCE_PORT};
use otherhalf_wire::tcp;
use otherhalf_wire::tcp::flag::{ACK, RST, SYN};

const OSPF: u8 = 89;
const LLDP: u16 = 0x88cc;
const BGP: u16 = 179;
const BFD: u16 = 3784;
/// A neighbour of port 0 that is no router of ours.
const PEERS: [&str; 2] = ["192.0.2.9", "2001:db8::9"];
const MAC: Mac = Mac([2, 0, 0, 0, 9, 9]);

fn exceptions() -> Exceptions {
    Exceptions {
        addresses: KERNEL.map(address).to_vec(),
        tcp: vec![BGP],
        udp: vec![BFD],
        multicast: true,
        frames_per_second: 1000,
    }
}

fn responder(exceptions: Exceptions) -> Responder {
    let network = network().with_kernel(vec![(PortId(0), exceptions)]).unwrap();
    Responder { network, ..Responder::new() }
}

fn of<T: Copy>(family: Family, [v4, v6]: [T; 2]) -> T {
    if family == Family::V4 { v4 } else { v6 }
}

fn v4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn segment(src: IpAddr, dst: IpAddr, ports: [u16; 2], flags: u8) -> Vec<u8> {
    let header = tcp::Header {
        src_port: ports[0].into(),
        dst_port: ports[1].into(),
        sequence: 1_000.into(),
        acknowledgement: 2_000.into(),
        data_offset: tcp::NO_OPTIONS,
        flags,
        window: 9.into(),
        checksum: 0.into(),
        urgent: 0.into(),
    };
    tcp_packet(src, dst, header)
}

/// A datagram without checksum in IPv4; its checksum is not looked at in IPv6 before the kernel does.
fn datagram(src: IpAddr, dst: IpAddr, [from, to]: [u16; 2]) -> Vec<u8> {
    let mut payload = [from.to_be_bytes(), to.to_be_bytes(), [0, 8], [0, 0]].concat();
    if src.is_ipv6() {
        let sum = otherhalf_wire::ip::pseudo_header(src, dst, protocol::UDP, 8).bytes(&payload);
        payload[6..].copy_from_slice(&sum.checksum().to_be_bytes());
    }
    ip(src, dst, protocol::UDP, &payload)
}

#[track_caller]
fn passed(what: &str, before: &[u8], done: &Done) {
    assert_eq!(done.fate.outcome, Outcome::KernelPassed, "{what}");
    assert_eq!(done.fate.verdict, Verdict::Kernel, "{what}");
    assert_eq!(done.frame, before, "{what}: it goes as it came");
}

/// Frames that the kernel gets with all of [`exceptions`], and what they end as without.
fn for_the_kernel(family: Family) -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let ends = ends(family);
    let (own, client) = (ends.own, ends.client);
    let kernel = address(of(family, KERNEL));
    let not_ours = Outcome::DropNotOurAddress;
    let mut fragment = ip(client, kernel, protocol::UDP, &[0; 16]);
    if family == Family::V4 {
        fragment[6] |= 0x20;
        fragment[10..12].fill(0);
        let sum = otherhalf_wire::checksum::Sum::default().bytes(&fragment[..20]);
        fragment[10..12].copy_from_slice(&sum.checksum().to_be_bytes());
    } else {
        fragment[6] = 44;
        fragment[40..48].copy_from_slice(&[17, 0, 0, 1, 0, 0, 0, 7]);
    }
    let group = address(of(family, ["224.0.0.5", "ff02::5"]));
    let hello = ip(address(of(family, PEERS)), group, OSPF, &[2; 24]);
    let to_group = framed(MAC, Mac([0x33, 0x33, 0, 0, 0, 5]), None, &hello);
    let of_kernels_own = segment(client, own, [4000, 22], SYN);
    let echo = |dst| icmp_packet(client, dst, (Kind::EchoRequest, 0, [1, 2]), &[0; 8]);
    vec![
        (
            "a new BGP session",
            routed(&segment(client, own, [4000, BGP], SYN)),
            Outcome::ClosedTcpReset,
        ),
        (
            "the answer to ours",
            routed(&segment(client, own, [BGP, 4000], SYN | ACK)),
            Outcome::ClosedTcpReset,
        ),
        ("the end of one", routed(&segment(client, own, [BGP, 4000], RST)), Outcome::DropOtherTcp),
        ("BFD", routed(&datagram(client, own, [50000, BFD])), Outcome::ClosedUdpUnreachable),
        (
            "BFD's answer",
            routed(&datagram(client, own, [BFD, 50000])),
            Outcome::ClosedUdpUnreachable,
        ),
        ("another protocol", routed(&ip(client, own, OSPF, &[2; 24])), Outcome::DropOtherProtocol),
        (
            "a parameter problem",
            routed(&icmp_packet(
                client,
                own,
                (Kind::from_number(family, of(family, [12, 4])), 0, [0, 0]),
                &[0; 28],
            )),
            Outcome::DropOtherIcmp,
        ),
        (
            "an error about a connection of the kernel",
            routed(&error_packet(
                ends.hop,
                Kind::DestinationUnreachable,
                1,
                &of_kernels_own_as_sent(&of_kernels_own),
            )),
            Outcome::DropNotOurProbe,
        ),
        ("a ping of the kernel", routed(&echo(kernel)), not_ours),
        ("SSH to the kernel", routed(&segment(client, kernel, [4000, 22], SYN)), not_ours),
        (
            "a request to the kernel",
            routed(&request_packet(
                common::Ends { own: kernel, ..ends },
                request(family, Protocol::Udp, 7, 0),
            )),
            not_ours,
        ),
        ("a fragment to the kernel", routed(&fragment), Outcome::DropFragment),
        ("an OSPF hello", to_group, not_ours),
    ]
}

/// `segment` with its ends exchanged: what we would have sent.
fn of_kernels_own_as_sent(segment: &[u8]) -> Vec<u8> {
    let mut sent = segment.to_vec();
    let (at, len) = if segment[0] >> 4 == 4 { (12, 4) } else { (8, 16) };
    for place in at..at + len {
        sent.swap(place, place + len);
    }
    sent
}

#[test]
fn what_the_engine_has_no_use_for_goes_to_the_kernel_as_it_came() {
    for family in FAMILIES {
        for (what, frame, otherwise) in for_the_kernel(family) {
            let mut without = Responder::new();
            assert_eq!(without.play(&frame).fate.outcome, otherwise, "{what} over {family}");
            let mut ours = responder(exceptions());
            passed(&format!("{what} over {family}"), &frame, &ours.play(&frame));
            assert_eq!((ours.counters.total(), ours.counters.get(Outcome::KernelPassed)), (1, 1));
            // The path is that of one port.
            let mut other = frame.clone();
            if other[0] == 2 {
                other[..6].copy_from_slice(&port_mac(1).0);
            }
            let fate = ours.play_on(1, &other).fate;
            assert_eq!(fate.outcome, otherwise, "{what} over {family} by another port");
        }
    }
}

#[test]
fn whoever_opens_a_connection_does_not_choose_the_kernels_services_by_his_own_port() {
    for family in FAMILIES {
        let ends = ends(family);
        for (flags, outcome) in [
            (SYN, Outcome::ClosedTcpReset),
            (SYN | ACK, Outcome::KernelPassed),
            (ACK, Outcome::KernelPassed),
        ] {
            let frame = routed(&segment(ends.client, ends.own, [BGP, 8080], flags));
            let mut ours = responder(exceptions());
            assert_eq!(ours.play(&frame).fate.outcome, outcome, "{flags:#x} over {family}");
            // Nor where closed ports are not answered for.
            let mut silent = responder(exceptions());
            silent.policy.closed_ports = false;
            let outcome = if flags == SYN { Outcome::DropOtherTcp } else { outcome };
            assert_eq!(silent.play(&frame).fate.outcome, outcome, "{flags:#x} over {family}");
        }
    }
}

#[test]
fn what_is_not_listed_stays_as_it_was() {
    for family in FAMILIES {
        for (what, frame, otherwise) in for_the_kernel(family) {
            let listed = ["BGP", "answer", "end", "BFD", "kernel", "hello", "SSH"];
            if !listed.iter().any(|word| what.contains(word)) || what.contains("connection") {
                continue;
            }
            let mut ours =
                responder(Exceptions { frames_per_second: 1000, ..Exceptions::default() });
            assert_eq!(ours.play(&frame).fate.outcome, otherwise, "{what} over {family}");
        }
    }
}

#[test]
fn the_engine_keeps_what_it_serves() {
    for family in FAMILIES {
        let ends = ends(family);
        let mut ours = responder(Exceptions { tcp: vec![BGP, SOURCE_PORT], ..exceptions() });
        let probe = ours.probe(family, request(family, Protocol::Tcp, 9, BGP));
        let answer = common::tcp_answer_packet(&probe, RST | ACK);
        let done = ours.play(&routed(&answer));
        assert_eq!(done.fate.outcome, Outcome::ResponseReset, "a probe to BGP's own port");
        // The same once more: nothing waits for it, and it is still none of the kernel's.
        assert_eq!(ours.dropped(&routed(&answer)), Outcome::DropUnmatched);
        // To our port from where no probe of ours went: the kernel's own connection from that very port.
        for flags in [RST | ACK, SYN | ACK] {
            let frame = routed(&segment(ends.client, ends.own, [BGP, SOURCE_PORT], flags));
            assert_eq!(ours.play(&frame).fate.outcome, Outcome::KernelPassed, "{flags:x}");
        }
        let ping = icmp_packet(ends.client, ends.own, (Kind::EchoRequest, 0, [1, 2]), &[0; 8]);
        assert_eq!(ours.play(&routed(&ping)).fate.outcome, Outcome::PingReply);
        let closed = segment(ends.client, ends.own, [4000, 23], SYN);
        assert_eq!(ours.play(&routed(&closed)).fate.outcome, Outcome::ClosedTcpReset);
        // Nobody outside is the kernel.
        let spoofed = common::Ends { client: address(of(family, KERNEL)), ..ends };
        let spoofed = request_packet(spoofed, request(family, Protocol::Udp, 9, 0));
        assert_eq!(ours.dropped(&routed(&spoofed)), Outcome::DropBadSource);
    }
}

#[test]
fn what_is_wrong_or_for_others_reaches_nobody() {
    for family in FAMILIES {
        let ends = ends(family);
        let mut ours = responder(exceptions());
        let mut session = segment(ends.client, ends.own, [4000, BGP], SYN);
        let last = session.len() - 1;
        session[last] ^= 1;
        assert_eq!(ours.dropped(&routed(&session)), Outcome::DropBadChecksum);
        let kernel = address(of(family, KERNEL));
        let ping = icmp_packet(ends.client, kernel, (Kind::EchoRequest, 0, [1, 2]), &[0; 8]);
        let elsewhere = framed(router_mac(1), router_mac(2), None, &ping);
        assert_eq!(ours.dropped(&elsewhere), Outcome::DropNotOurMac);
        let unknown = framed(router_mac(1), port_mac(0), vlan(7), &ping);
        assert_eq!(ours.dropped(&unknown), Outcome::DropUnknownVlan);
        let routed_by = address(of(family, ["192.0.2.4", "2001:db8::4"]));
        let routed_by = segment(ends.client, routed_by, [4000, BGP], SYN);
        assert_eq!(
            ours.dropped(&routed(&routed_by)),
            Outcome::DropNotOurAddress,
            "the kernel must not forward it"
        );
        // A group's packet that was sent to us alone.
        let hello = ip(ends.client, address(of(family, ["224.0.0.5", "ff02::5"])), OSPF, &[2; 24]);
        assert_eq!(ours.dropped(&routed(&hello)), Outcome::DropNotOurAddress);
    }
}

#[test]
fn both_hear_of_neighbours() {
    let mut ours = responder(exceptions());
    let (peer4, peer6) = (v4(PEERS[0]), v6(PEERS[1]));
    let advertisement = Message::Advertisement {
        target: peer6,
        target_mac: Some(MAC),
        solicited: true,
        overrides: true,
    };
    let frames = [
        arp_frame(Operation::Reply, (MAC, peer4), v4("192.0.2.2")),
        arp_frame(Operation::Reply, (MAC, peer4), peer4),
        discovery_frame(MAC, 255, (peer6, v6("2001:db8::2")), advertisement),
        discovery_frame(MAC, 255, (peer6, v6(KERNEL[1])), advertisement),
    ];
    for frame in frames {
        let done = ours.play(&frame);
        assert_eq!(
            (done.fate.verdict, done.fate.outcome),
            (Verdict::Kernel, Outcome::NeighbourLearned)
        );
        assert!(matches!(done.fate.notice, Some(Notice::Heard { mac: Some(MAC), .. })));
        assert_eq!(done.frame, frame);
    }
}

#[test]
fn the_kernel_answers_for_its_own_addresses() {
    let mut ours = responder(exceptions());
    let (peer4, peer6) = (v4(PEERS[0]), v6(PEERS[1]));
    let (kernel4, kernel6) = (v4(KERNEL[0]), v6(KERNEL[1]));
    let solicitation = |target| Message::Solicitation { target, source_mac: Some(MAC) };
    let frames = [
        arp_frame(Operation::Request, (MAC, peer4), kernel4),
        arp_frame(Operation::Request, (MAC, Ipv4Addr::UNSPECIFIED), kernel4),
        arp_frame(Operation::Reply, (MAC, peer4), kernel4),
        arp_frame(Operation::Request, (MAC, v4("172.16.0.1")), kernel4),
        discovery_frame(MAC, 255, (peer6, solicited_node(kernel6)), solicitation(kernel6)),
        discovery_frame(MAC, 255, (peer6, kernel6), solicitation(kernel6)),
    ];
    for frame in frames {
        passed("a question for the kernel", &frame, &ours.play(&frame));
    }
    // Ours are answered by us, and those of others are nobody's.
    let question = arp_frame(Operation::Request, (MAC, peer4), v4("192.0.2.2"));
    let fate = ours.play(&question).fate;
    assert_eq!(fate.outcome, Outcome::NeighbourReply);
    assert!(matches!(fate.notice, Some(Notice::Heard { claim: Claim::Asked, .. })));
    let other = arp_frame(Operation::Request, (MAC, peer4), v4("192.0.2.10"));
    assert_eq!(ours.dropped(&other), Outcome::DropOtherNeighbour);
    let other = v6("2001:db8::10");
    let other = discovery_frame(MAC, 255, (peer6, solicited_node(other)), solicitation(other));
    assert_eq!(ours.dropped(&other), Outcome::DropOtherNeighbour);
}

#[test]
fn what_is_not_ip_goes_to_the_kernel_if_it_is_for_all() {
    let frame = |dst| {
        let link = Link { dst, src: router_mac(1), vlan: None, ethertype: LLDP };
        link_frame(link, &[0; 46])
    };
    let group = frame(Mac([1, 0x80, 0xc2, 0, 0, 0xe]));
    passed("LLDP", &group, &responder(exceptions()).play(&group));
    let quiet = Exceptions { multicast: false, ..exceptions() };
    assert_eq!(responder(quiet).dropped(&group), Outcome::DropUnknownEthertype);
    let unicast = frame(port_mac(0));
    assert_eq!(responder(exceptions()).dropped(&unicast), Outcome::DropUnknownEthertype);
    assert_ne!(LLDP, ethertype::ARP);
}

#[test]
fn a_flood_from_afar_leaves_the_neighbours_budget_alone() {
    let mut ours = responder(exceptions());
    let (own, client) = (ends(Family::V4).own, ends(Family::V4).client);
    let flood = vec![routed(&segment(client, own, [4000, BGP], SYN)); 500];
    let session = vec![routed(&segment(address(PEERS[0]), own, [BGP, 4000], ACK)); 500];
    let mut count = |frames: &[Vec<u8>]| {
        let done = ours.burst(0, frames);
        let passed = done.iter().filter(|done| done.fate.verdict == Verdict::Kernel).count();
        let over = |done: &&Done| done.fate.outcome == Outcome::DropKernelBudget;
        assert_eq!(done.iter().filter(over).count(), frames.len() - passed);
        passed
    };
    // A tenth of a second's at once, and then as many as the time allows.
    assert_eq!([count(&flood), count(&flood), count(&session), count(&session)], [100, 0, 100, 0]);
    ours.now += SECOND / 100;
    let mut count = |frames: &[Vec<u8>]| {
        ours.burst(0, frames).iter().filter(|done| done.fate.verdict == Verdict::Kernel).count()
    };
    assert_eq!([count(&flood), count(&session)], [10, 10]);
    // Whoever asks for probes does not notice.
    let request = request_packet(ends(Family::V4), request(Family::V4, Protocol::Udp, 1, 0));
    assert_eq!(ours.play(&routed(&request)).fate.outcome, Outcome::ProbeUdp);
    // Neither do neighbours, of whom we learn without the kernel.
    let reply = arp_frame(Operation::Reply, (MAC, v4(PEERS[0])), v4("192.0.2.2"));
    let fates: Vec<_> = ours.burst(0, &vec![reply; 20]).into_iter().map(|done| done.fate).collect();
    assert!(
        fates.iter().all(|fate| fate.outcome == Outcome::NeighbourLearned && fate.notice.is_some())
    );
    assert_eq!(fates.last().unwrap().verdict, Verdict::Drop);
}

#[test]
fn addresses_that_cannot_be_the_kernels_alone() {
    let with = |texts: &[&str], port| -> Result<Network, Error> {
        let addresses = texts.iter().map(|text| address(text)).collect();
        let network = Network::new(interfaces(), &[]).unwrap();
        network.with_kernel(vec![(PortId(port), Exceptions { addresses, ..exceptions() })])
    };
    for own in ["192.0.2.2", "203.0.113.2", "2001:db8::2"] {
        assert_eq!(with(&[own], 0), Err(Error::KernelAddress(address(own))));
    }
    for nobody in ["192.0.2.255", "224.0.0.1", "::1"] {
        assert_eq!(with(&[nobody], 0), Err(Error::NotUnicast(address(nobody))));
    }
    let twice = ["192.0.2.3", "192.0.2.3"];
    assert_eq!(with(&twice, 0), Err(Error::SameAddress(address(twice[0]))));
    assert!(with(&KERNEL, 1).is_ok());
}
