//! capsule's packet types as a second opinion: they write what the engine reads and read what it
//! writes, field by field, for every protocol and family. Nothing here uses our own formats.
//!
//! What capsule cannot see: TCP options (the MSS of a probe is in the length and in the checksum alone), IPv4
//! options (its header length is 20 always), and an RTT's meaning; it keeps UDP's checksum of 0 for
//! "none" to itself, and takes padding behind a packet for a part of it.

mod bench;
mod family;

use bench::{Bench, Ends, our_mac, peer_mac, v4, v6};
use capsule::Mbuf;
use capsule::net::MacAddr;
use capsule::packets::arp::{Arp4, HardwareTypes, OperationCodes, ProtocolTypes};
use capsule::packets::icmp::v6::Icmpv6Packet;
use capsule::packets::icmp::v6::ndp::{
    LinkLayerAddress, NdpPacket, NeighborAdvertisement, NeighborSolicitation,
};
use capsule::packets::ip::v6::Ipv6;
use capsule::packets::ip::{ProtocolNumber, ProtocolNumbers};
use capsule::packets::{EtherTypes, Ethernet, Packet, Tcp, Udp};
use family::{DSCP, Echo, FLOW_LABEL, Family, Ip, Rest, V4, V6};
use otherhalf_capsule::octets::octets_mut;
use otherhalf_engine::Outcome;
use std::net::{IpAddr, Ipv6Addr};

/// The code of requests and responses.
const CODE: u8 = 1;
const IDENTIFIER: u16 = 0x1234;
const FLOW: u16 = 0xabcd;
const TTL: u8 = 5;
/// The responder's source port.
const SOURCE_PORT: u16 = 1021;

/// Frames: a request for a probe of `protocol`.
fn request<F: Family>(ends: Ends, protocol: ProtocolNumber) -> Mbuf {
    let ProtocolNumber(number) = protocol;
    let [high, low] = FLOW.to_be_bytes();
    F::request(ends, CODE, IDENTIFIER, &[TTL, number, high, low])
}

/// What the IP header of a probe says, but for its identification.
#[track_caller]
fn assert_probe(ip: &Ip, ends: Ends, protocol: ProtocolNumber, payload: usize) {
    let found = (ip.src, ip.dst, ip.ttl, ip.protocol, ip.payload);
    assert_eq!(found, (ends.own, ends.client, TTL, protocol, payload));
    assert_eq!((ip.dscp, ip.ecn), (DSCP, 0), "as in the request");
    match ip.rest {
        Rest::V4 { dont_fragment, .. } => assert!(!dont_fragment),
        Rest::V6 { flow_label } => assert_eq!(flow_label, FLOW_LABEL, "as in the request"),
    }
}

/// `mbuf` is a response which says that `hop` answered.
#[track_caller]
fn assert_response<F: Family>(mbuf: Mbuf, ends: Ends, hop: IpAddr) {
    let (ip, packet) = family::open::<F>(mbuf);
    let rest = match ends.own {
        IpAddr::V4(_) => Rest::V4 { dont_fragment: true, identification: 0 },
        IpAddr::V6(_) => Rest::V6 { flow_label: 0 },
    };
    let (src, dst, protocol) = (ends.own, ends.client, F::ICMP);
    assert_eq!(ip, Ip { src, dst, ttl: 64, protocol, dscp: 0, ecn: 0, payload: 36, rest });
    let Echo { code, identifier, sequence, data, .. } = F::echo_reply(packet);
    assert_eq!((code, identifier, sequence), (CODE, IDENTIFIER, 0));
    let mapped = match hop {
        IpAddr::V4(hop) => hop.to_ipv6_mapped(),
        IpAddr::V6(hop) => hop,
    };
    assert_eq!(data.len(), 28);
    assert_eq!(data[..4], [0; 4], "answered, no text");
    assert_eq!(data[4..20], mapped.octets());
    let rtt_ns = u32::from_be_bytes(data[20..24].try_into().unwrap());
    assert!((1..1_000_000_000).contains(&rtt_ns), "{rtt_ns} ns");
    assert_eq!(data[24..], [0; 4], "reserved");
}

/// A router answers `probe`, once with 8 octets behind the IP header and once, too late, with all.
fn hop_answers<F: Family>(bench: &mut Bench, ends: Ends, mut probe: Mbuf) {
    let quote = family::packet_octets(&mut probe);
    let header = match ends.own {
        IpAddr::V4(_) => 20,
        IpAddr::V6(_) => 40,
    };
    let response = bench.play(F::exceeded(ends, &quote[..header + 8]));
    assert_response::<F>(response, ends, ends.hop);
    assert!(bench.burst([F::exceeded(ends, &quote)]).is_empty(), "answered once");
    assert_eq!(bench.shared.tally.get(Outcome::DropUnmatched), 1);
}

fn udp_probe<F: Family>(ends: Ends) {
    let mut bench = Bench::new();
    let probe = bench.play(request::<F>(ends, ProtocolNumbers::Udp));
    let (ip, packet) = family::open::<F>(probe);
    assert_probe(&ip, ends, ProtocolNumbers::Udp, 16);
    let udp = family::udp::<F>(packet);
    assert_eq!((udp.src_port(), udp.dst_port()), (SOURCE_PORT, FLOW));
    assert_eq!((udp.length(), udp.checksum()), (16, IDENTIFIER));
    hop_answers::<F>(&mut bench, ends, udp.reset());
}

fn icmp_probe<F: Family>(ends: Ends) {
    let mut bench = Bench::new();
    for answered_by_the_client in [false, true] {
        let mut probe = bench.play(request::<F>(ends, F::ICMP));
        let copy = Mbuf::from_bytes(octets_mut(&mut probe)).unwrap();
        let (ip, packet) = family::open::<F>(probe);
        assert_probe(&ip, ends, F::ICMP, 16);
        let echo = F::echo_request(packet);
        let found = (echo.code, echo.checksum, echo.identifier, echo.sequence, echo.data.len());
        assert_eq!(found, (0, FLOW, IDENTIFIER, 0xffff, 8));
        if answered_by_the_client {
            let response = bench.play(F::reply(ends, &echo));
            assert_response::<F>(response, ends, ends.client);
        } else {
            hop_answers::<F>(&mut bench, ends, copy);
        }
    }
}

/// Frames: what the client answers to the SYN `probe`: RST, or SYN and ACK.
fn tcp_answer<F: Family>(ends: Ends, probe: &Tcp<F::Packet>, opens: bool) -> Mbuf {
    let mut answer = F::header(ends.client, ends.own).push::<Tcp<F::Packet>>().unwrap();
    answer.set_src_port(probe.dst_port());
    answer.set_dst_port(probe.src_port());
    answer.set_seq_no(0x0f0f_0f0f);
    answer.set_ack_no(probe.seq_no().wrapping_add(1));
    answer.set_ack();
    if opens {
        answer.set_syn();
    } else {
        answer.set_rst();
    }
    family::finish(answer)
}

fn tcp_probe<F: Family>(ends: Ends) {
    let mut bench = Bench::new();
    for answer in ["router", "RST", "SYN+ACK"] {
        let probe = bench.play(request::<F>(ends, ProtocolNumbers::Tcp));
        let (ip, packet) = family::open::<F>(probe);
        // 20 octets and the option for the MSS.
        assert_probe(&ip, ends, ProtocolNumbers::Tcp, 24);
        let tcp = family::tcp::<F>(packet);
        assert_eq!((tcp.src_port(), tcp.dst_port(), tcp.data_offset()), (SOURCE_PORT, FLOW, 6));
        assert_eq!((tcp.seq_no() & 0xffff, tcp.ack_no()), (IDENTIFIER.into(), 0));
        assert_eq!((tcp.window(), tcp.urgent_pointer()), (1024, 0));
        assert_flags(&tcp, "syn");
        match answer {
            "router" => hop_answers::<F>(&mut bench, ends, tcp.reset()),
            "RST" => {
                let response = bench.play(tcp_answer::<F>(ends, &tcp, false));
                assert_response::<F>(response, ends, ends.client);
            }
            _ => {
                let sent = bench.burst([tcp_answer::<F>(ends, &tcp, true)]);
                let [response, reset] = sent.try_into().unwrap();
                assert_response::<F>(response, ends, ends.client);
                assert_reset::<F>(reset, ends, &tcp);
            }
        }
    }
}

/// `mbuf` ends the connection that `probe` opened.
fn assert_reset<F: Family>(mbuf: Mbuf, ends: Ends, probe: &Tcp<F::Packet>) {
    let (ip, packet) = family::open::<F>(mbuf);
    let found = (ip.src, ip.dst, ip.ttl, ip.protocol, ip.payload);
    assert_eq!(found, (ends.own, ends.client, 64, ProtocolNumbers::Tcp, 20));
    let reset = family::tcp::<F>(packet);
    assert_flags(&reset, "rst");
    assert_eq!((reset.src_port(), reset.dst_port()), (probe.src_port(), probe.dst_port()));
    assert_eq!((reset.seq_no(), reset.ack_no()), (probe.seq_no().wrapping_add(1), 0));
    assert_eq!((reset.data_offset(), reset.window(), reset.urgent_pointer()), (5, 0, 0));
}

/// Of all flags, `tcp` has the one named.
#[track_caller]
fn assert_flags<E: capsule::packets::ip::IpPacket>(tcp: &Tcp<E>, only: &str) {
    let flags = [
        ("ns", tcp.ns()),
        ("cwr", tcp.cwr()),
        ("ece", tcp.ece()),
        ("urg", tcp.urg()),
        ("ack", tcp.ack()),
        ("psh", tcp.psh()),
        ("rst", tcp.rst()),
        ("syn", tcp.syn()),
        ("fin", tcp.fin()),
    ];
    for (name, set) in flags {
        assert_eq!(set, name == only, "{name}");
    }
}

fn refusal<F: Family>(ends: Ends) {
    let mut bench = Bench::new();
    for (ttl, protocol, status) in [(0, 17, 1), (5, 99, 2)] {
        let refused = bench.play(F::request(ends, CODE, IDENTIFIER, &[ttl, protocol, 0, 0]));
        let (ip, packet) = family::open::<F>(refused);
        let found = (ip.src, ip.dst, ip.ttl, ip.protocol, ip.payload);
        assert_eq!(found, (ends.own, ends.client, 64, F::ICMP, 12));
        let Echo { code, identifier, data, .. } = F::echo_reply(packet);
        assert_eq!((code, identifier, data.as_slice()), (CODE, IDENTIFIER, &[status, 0, 0, 0][..]));
    }
}

fn ping<F: Family>(ends: Ends) {
    let mut bench = Bench::new();
    // capsule itself panics when it looks at the data of a ping without any.
    for len in [1, 3, 56, 300, 1400] {
        let data: Vec<u8> = (0..=255).cycle().take(len).collect();
        let reply = bench.play(F::request(ends, 0, IDENTIFIER, &data));
        let (ip, packet) = family::open::<F>(reply);
        let found = (ip.src, ip.dst, ip.ttl, ip.protocol, ip.payload, ip.dscp);
        assert_eq!(found, (ends.own, ends.client, 64, F::ICMP, 8 + len, DSCP));
        let echo = F::echo_reply(packet);
        assert_eq!((echo.code, echo.identifier, echo.data), (0, IDENTIFIER, data));
    }
}

fn a_burst<F: Family>(ends: Ends) {
    let mut bench = Bench::new();
    let protocols = [F::ICMP, ProtocolNumbers::Udp, ProtocolNumbers::Tcp];
    // In the middle of them one that is dropped, for it is too short to be a frame.
    let frames: Vec<_> = (0..40)
        .map(|n| match n {
            20 => Mbuf::from_bytes(&[0; 13]).unwrap(),
            n => request::<F>(ends, protocols[n % 3]),
        })
        .collect();
    let sent = bench.burst(frames);
    assert_eq!(sent.len(), 39);
    for (n, mbuf) in (0..40).filter(|n| *n != 20).zip(sent) {
        assert_eq!(family::open::<F>(mbuf).0.protocol, protocols[n % 3], "in their order");
    }
    let tally = &bench.shared.tally;
    assert_eq!((tally.received(), tally.get(Outcome::DropTruncated)), (40, 1));
}

/// The oracle itself: of what it is given with one bit flipped, it computes another checksum.
fn flipped<F: Family>(ends: Ends) {
    for protocol in [ProtocolNumbers::Udp, ProtocolNumbers::Tcp] {
        let mut probe = Bench::new().play(request::<F>(ends, protocol));
        if let Some(last) = octets_mut(&mut probe).last_mut() {
            *last ^= 1;
        }
        let packet = family::open::<F>(probe).1;
        let [ours, theirs] = if protocol == ProtocolNumbers::Udp {
            family::checksums(&mut packet.parse::<Udp<F::Packet>>().unwrap(), Udp::checksum)
        } else {
            family::checksums(&mut packet.parse::<Tcp<F::Packet>>().unwrap(), Tcp::checksum)
        };
        assert_ne!(ours, theirs);
    }
}

#[capsule::test]
fn a_flipped_bit_is_noticed() {
    flipped::<V4>(v4());
    flipped::<V6>(v6());
}

#[capsule::test]
fn udp_probes_and_their_responses() {
    udp_probe::<V4>(v4());
    udp_probe::<V6>(v6());
}

#[capsule::test]
fn icmp_probes_and_their_responses() {
    icmp_probe::<V4>(v4());
    icmp_probe::<V6>(v6());
}

#[capsule::test]
fn tcp_probes_their_responses_and_resets() {
    tcp_probe::<V4>(v4());
    tcp_probe::<V6>(v6());
}

#[capsule::test]
fn refusals() {
    refusal::<V4>(v4());
    refusal::<V6>(v6());
}

#[capsule::test]
fn pings() {
    ping::<V4>(v4());
    ping::<V6>(v6());
}

#[capsule::test(mempool_capacity = 127)]
fn bursts_longer_than_the_engines() {
    a_burst::<V4>(v4());
    a_burst::<V6>(v6());
}

#[capsule::test]
fn arp_replies() {
    let Ends { own: IpAddr::V4(own), .. } = v4() else { panic!() };
    let asker = "192.0.2.1".parse().unwrap();
    let mut ethernet = family::ethernet();
    ethernet.set_dst(MacAddr::new(255, 255, 255, 255, 255, 255));
    let mut question = ethernet.push::<Arp4>().unwrap();
    question.set_operation_code(OperationCodes::Request);
    question.set_sender_hardware_addr(peer_mac());
    question.set_sender_protocol_addr(asker);
    question.set_target_protocol_addr(own);
    let reply = Bench::new().play(family::finish(question));

    let ethernet = reply.parse::<Ethernet>().unwrap();
    let found = (ethernet.src(), ethernet.dst(), ethernet.ether_type());
    assert_eq!(found, (our_mac(), peer_mac(), EtherTypes::Arp));
    let arp = ethernet.parse::<Arp4>().unwrap();
    let types = (arp.hardware_type(), arp.protocol_type(), arp.operation_code());
    assert_eq!(types, (HardwareTypes::Ethernet, ProtocolTypes::Ipv4, OperationCodes::Reply));
    assert_eq!((arp.hardware_addr_len(), arp.protocol_addr_len()), (6, 4));
    assert_eq!((arp.sender_hardware_addr(), arp.sender_protocol_addr()), (our_mac(), own));
    assert_eq!((arp.target_hardware_addr(), arp.target_protocol_addr()), (peer_mac(), asker));
}

#[capsule::test]
fn neighbour_advertisements() {
    let Ends { own: IpAddr::V6(own), .. } = v6() else { panic!() };
    let asker: Ipv6Addr = "2001:db8::1".parse().unwrap();
    let mut packet = V6::header(asker.into(), own.into());
    packet.set_hop_limit(255);
    let mut question = packet.push::<NeighborSolicitation<Ipv6>>().unwrap();
    question.set_target(own);
    {
        let mut options = question.options_mut();
        let mut option = options.append::<LinkLayerAddress<'_>>().unwrap();
        option.set_option_type_source();
        option.set_addr(peer_mac());
    }
    let reply = Bench::new().play(family::finish(question));

    let (ip, packet) = family::open::<V6>(reply);
    let found = (ip.src, ip.dst, ip.ttl, ip.protocol);
    assert_eq!(found, (own.into(), asker.into(), 255, ProtocolNumbers::Icmpv6));
    let mut reply = packet.parse::<NeighborAdvertisement<Ipv6>>().unwrap();
    family::assert_reconciled(&mut reply, Icmpv6Packet::checksum);
    assert_eq!((reply.code(), reply.target()), (0, own));
    assert_eq!((reply.router(), reply.solicited(), reply.r#override()), (false, true, true));
    let mut options = reply.options_iter();
    let mut option = options.next().unwrap().expect("the one option");
    assert_eq!(option.length(), 1);
    assert_eq!(option.downcast::<LinkLayerAddress<'_>>().unwrap().addr(), our_mac());
}
