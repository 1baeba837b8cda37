//! Packets of the reference implementation: what it sent, our code reads, and writes alike.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::Path;

use otherhalf_wire::ethernet::{Link, ethertype};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Family, Packet, protocol};
use otherhalf_wire::probe::{Cookie, Identity, MAX_LEN, Probe, Protocol, SOURCE_PORT};
use otherhalf_wire::quote::Quote;
use otherhalf_wire::tcp;
use otherhalf_wire::trace::{self, ANY_FLOW, REQUEST_LEN, RESPONSE_TTL, Request, Response};
use pcap_file::pcap::PcapReader;
use zerocopy::FromBytes;

/// What one captured packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Ping,
    Request,
    Probe(&'static str),
    Error,
    EchoReply,
    TcpAnswer,
    Pong,
    Response,
}

/// The frames of every file, by file name.
fn files() -> BTreeMap<String, Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap"))
        .map(|path| {
            let mut reader = PcapReader::new(File::open(&path).unwrap()).unwrap();
            let mut frames = Vec::new();
            while let Some(packet) = reader.next_packet() {
                frames.push(packet.unwrap().data.into_owned());
            }
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), frames)
        })
        .collect()
}

fn packet<'a>(name: &str, frame: &'a [u8]) -> Packet<'a> {
    let (link, payload) = Link::parse(frame).unwrap();
    match link.ethertype {
        ethertype::IPV4 => Packet::parse_v4(payload),
        ethertype::IPV6 => Packet::parse_v6(payload),
        other => panic!("{name}: ethertype {other:#06x}"),
    }
    .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn message<'a>(packet: &Packet<'a>) -> icmp::Message<'a> {
    icmp::Message::parse(packet.family(), packet.payload).unwrap()
}

/// What `packet` is, where `server` is the responder's address.
fn role(packet: &Packet<'_>, server: IpAddr) -> Role {
    let sent = packet.src == server;
    match packet.protocol {
        protocol::UDP if sent => Role::Probe("udp"),
        protocol::TCP if sent => Role::Probe("tcp"),
        protocol::TCP => Role::TcpAnswer,
        number if number == packet.family().icmp() => {
            let message = message(packet);
            match (message.kind, message.header.code, sent) {
                (Kind::EchoRequest, 0, false) => Role::Ping,
                (Kind::EchoRequest, trace::CODE, false) => Role::Request,
                (Kind::EchoRequest, 0, true) => Role::Probe("icmp"),
                (Kind::EchoReply, trace::CODE, true) => Role::Response,
                (Kind::EchoReply, 0, true) => Role::Pong,
                (Kind::EchoReply, 0, false) => Role::EchoReply,
                (Kind::TimeExceeded | Kind::DestinationUnreachable, _, false) => Role::Error,
                _ => panic!("an ICMP message that no vector should have: {:?}", message.header),
            }
        }
        other => panic!("a protocol that no vector should have: {other}"),
    }
}

/// Calls `check` for each packet of every file, with the packets of that file by role.
fn for_each_file(mut check: impl FnMut(&str, &[(Role, Packet<'_>)])) {
    let files = files();
    assert_eq!(files.len(), 54, "a vector came or went");
    for (name, frames) in &files {
        let packets: Vec<_> = frames.iter().map(|frame| packet(name, frame)).collect();
        let server = packets.first().unwrap().dst;
        let roles: Vec<_> = packets.iter().map(|packet| (role(packet, server), *packet)).collect();
        check(name, &roles);
    }
}

fn first<'a>(packets: &[(Role, Packet<'a>)], wanted: impl Fn(Role) -> bool) -> Option<Packet<'a>> {
    packets.iter().find(|(role, _)| wanted(*role)).map(|(_, packet)| *packet)
}

fn request_of<'a>(packets: &[(Role, Packet<'a>)]) -> Option<(Packet<'a>, Request, &'a [u8])> {
    let packet = first(packets, |role| role == Role::Request)?;
    let (request, trailer) = Request::parse(&message(&packet)).unwrap();
    Some((packet, request, trailer))
}

/// The probe that `packet` is, read field by field: no reader of probes is needed elsewhere.
fn probe_of(packet: &Packet<'_>) -> Probe {
    let bytes = packet.payload;
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let payload = |random: &[u8]| {
        let mut octets = [0; 8];
        octets[2..].copy_from_slice(random);
        Cookie(u64::from_be_bytes(octets))
    };
    let protocol = Protocol::from_number(packet.family(), packet.protocol).unwrap();
    let (source_port, flow, identifier, cookie) = match protocol {
        Protocol::Icmp => (SOURCE_PORT, word(2), word(4), payload(&bytes[8..14])),
        Protocol::Udp => (word(0), word(2), word(6), payload(&bytes[8..14])),
        Protocol::Tcp => (word(0), word(2), word(6), Cookie(u64::from(word(4)) << 32)),
    };
    Probe { protocol, source_port, flow, identifier, cookie }
}

#[test]
fn every_packet_parses_and_every_checksum_verifies() {
    let mut seen = BTreeMap::new();
    for_each_file(|name, packets| {
        for (role, packet) in packets {
            assert!(packet.upper_layer_sum().verifies(), "{name}: {role:?}");
            *seen.entry(*role).or_insert(0) += 1;
        }
    });
    // No exception: the host that captured them did not leave checksums to its interface.
    let expected = [
        (Role::Ping, 2),
        (Role::Request, 52),
        (Role::Probe("icmp"), 10),
        (Role::Probe("tcp"), 13),
        (Role::Probe("udp"), 23),
        (Role::Error, 37),
        (Role::EchoReply, 4),
        (Role::TcpAnswer, 17),
        (Role::Pong, 2),
        (Role::Response, 52),
    ];
    assert_eq!(seen, BTreeMap::from(expected));
}

#[test]
fn every_request_is_written_alike() {
    for_each_file(|name, packets| {
        let Some((packet, request, trailer)) = request_of(packets) else {
            assert!(name.contains("ping"), "{name} has no request");
            return;
        };
        assert_eq!(request.sequence, if name.contains("seq7") { 7 } else { 0 }, "{name}");
        assert_eq!(trailer.is_empty(), !name.contains("long"), "{name}");
        assert!(trace::extensions(trailer).is_none(), "{name}: padding is no extension");
        let mut out = [0; REQUEST_LEN];
        assert_eq!(request.emit(packet.src, packet.dst, &[], &mut out), Some(REQUEST_LEN));
        if trailer.is_empty() {
            assert_eq!(out, packet.payload, "{name}");
        } else {
            assert_eq!((&out[..2], &out[4..]), (&packet.payload[..2], &packet.payload[4..12]));
        }
    });
}

#[test]
fn every_response_is_written_alike() {
    for_each_file(|name, packets| {
        let Some(packet) = first(packets, |role| role == Role::Response) else {
            assert!(name.contains("ping"), "{name} has no response");
            return;
        };
        let response = Response::parse(&message(&packet)).unwrap();
        let mut out = [0; trace::RESPONSE_LEN];
        let len = response.emit(packet.src, packet.dst, &mut out).unwrap();
        assert_eq!(out[..len], *packet.payload, "{name}");
        assert_eq!(packet.ttl, RESPONSE_TTL, "{name}");
        let (asked, request, _) = request_of(packets).unwrap();
        assert_eq!((packet.src, packet.dst), (asked.dst, asked.src), "{name}");
        assert_eq!(response.identifier, request.identifier, "{name}");
    });
}

#[test]
fn every_probe_is_written_alike() {
    for_each_file(|name, packets| {
        let Some(packet) = first(packets, |role| matches!(role, Role::Probe(_))) else {
            assert!(name.contains("err") || name.contains("ping"), "{name} has no probe");
            return;
        };
        let (asked, request, _) = request_of(packets).unwrap();
        let probe = probe_of(&packet);
        // With its own free bits put in, not only the fixed ones but all of them agree.
        let mut out = [0; MAX_LEN];
        let len = probe.emit(packet.src, packet.dst, &mut out).unwrap();
        assert_eq!(out[..len], *packet.payload, "{name}");

        let wanted = request.probe_protocol(packet.family()).unwrap();
        let flow = if request.flow == ANY_FLOW { wanted.default_flow() } else { request.flow };
        // The reference puts the identifier into a TCP sequence number in its own byte order.
        let identifier = match wanted {
            Protocol::Tcp => request.identifier.swap_bytes(),
            Protocol::Icmp | Protocol::Udp => request.identifier,
        };
        let expected =
            Probe { protocol: wanted, source_port: SOURCE_PORT, flow, identifier, ..probe };
        assert_eq!(probe, expected, "{name}");
        assert_eq!(
            (packet.src, packet.dst, packet.ttl, packet.traffic_class, packet.flow_label),
            (asked.dst, asked.src, request.ttl, asked.traffic_class, asked.flow_label),
            "{name}"
        );
        assert_eq!(packet.header_len, packet.family().header_len(), "{name}: options are dropped");
    });
}

/// The probe that an answer is about.
fn answered(role: Role, packet: &Packet<'_>) -> Option<Identity> {
    match role {
        Role::Error => {
            let quote = Quote::parse(packet.family(), message(packet).body).unwrap();
            assert_eq!(quote.src, packet.dst);
            Identity::from_quote(packet.family(), quote.protocol, quote.transport)
        }
        Role::EchoReply => Identity::from_echo_reply(packet.family(), message(packet).header),
        Role::TcpAnswer => {
            Identity::from_tcp_answer(tcp::Header::ref_from_prefix(packet.payload).unwrap().0)
        }
        _ => panic!("{role:?} is no answer"),
    }
}

#[test]
fn every_answer_names_its_probe() {
    let mut answers = 0;
    for_each_file(|name, packets| {
        let is_answer = |role| matches!(role, Role::Error | Role::EchoReply | Role::TcpAnswer);
        for (role, packet) in packets.iter().filter(|(role, _)| is_answer(*role)) {
            let sent = first(packets, |role| matches!(role, Role::Probe(_))).unwrap();
            let sent = Identity::of(&probe_of(&sent));
            let mut named = answered(*role, packet).unwrap();
            if name.ends_with("ans-echoreply") {
                // This target was a script that did not echo the payload, as RFC 792 demands:
                // the checksum, by which the flow is known, is that of another message.
                assert_ne!(named.flow, sent.flow);
                named.flow = sent.flow;
            }
            assert_eq!(named, sent, "{name}");
            let response = first(packets, |role| role == Role::Response).unwrap();
            let trace::Verdict::Hop { address, rtt } =
                Response::parse(&message(&response)).unwrap().verdict
            else {
                panic!("{name}: answered, yet refused");
            };
            assert_eq!((address, rtt.ns().is_some()), (packet.src, true), "{name}");
            answers += 1;
        }
    });
    assert_eq!(answers, 37 + 4 + 17);
}

#[test]
fn every_refusal_says_why() {
    for_each_file(|name, packets| {
        let status = match name.get(3..) {
            Some("err-ttl0" | "err-ttl0-proto99") => trace::Refusal::Ttl,
            Some("err-proto99") => trace::Refusal::Protocol,
            _ => return,
        };
        let packet = first(packets, |role| role == Role::Response).unwrap();
        let refused = trace::Verdict::Refused { refusal: status, text: &[] };
        assert_eq!(Response::parse(&message(&packet)).unwrap().verdict, refused, "{name}");
        assert_eq!(Family::of(packet.src), Family::of(packet.dst));
    });
}
