//! The captured packets played through the engine: what we send agrees with what the reference
//! sent in every bit that the protocol fixes. The README beside the captures says which are free.

mod common;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use common::{SECOND, engine, packet_of, read, sealed, vectors};
use otherhalf_engine::policy::Reply;
use otherhalf_engine::{
    Counters, Interface, Neighbours, Network, Outcome, Policy, PortId, Verdict,
};
use otherhalf_wire::ethernet::Link;
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Family, Packet, protocol};
use otherhalf_wire::{tcp, trace};
use zerocopy::FromBytes;

/// From a probe's way out to its answer's way in, in every exchange played.
const RTT: u32 = 1_234_567;

/// A field in which ours may differ, or that follows from one: its octets, counted from the IP header.
struct Free {
    field: &'static str,
    octets: Range<usize>,
    /// The bits of each octet that are free.
    bits: u8,
}

const fn free(field: &'static str, octets: Range<usize>) -> Free {
    Free { field, octets, bits: 0xff }
}

/// What of the IP header is free in every packet. Its checksum follows, and is verified by itself.
fn free_in_header(family: Family) -> Vec<Free> {
    match family {
        Family::V4 => vec![
            free("identification", 4..6),
            Free { field: "don't fragment", octets: 6..7, bits: 0x40 },
            free("header checksum", 10..12),
        ],
        Family::V6 => Vec::new(),
    }
}

fn free_in_probe(family: Family, number: u8) -> Vec<Free> {
    let at = family.header_len();
    let mut fields = free_in_header(family);
    match number {
        protocol::TCP => fields.extend([
            free("sequence number", at + 4..at + 8),
            free("TCP checksum", at + 16..at + 18),
        ]),
        _ => fields.push(free("random and balancing payload", at + 8..at + 16)),
    }
    fields
}

/// What is free in an answer of ours: also what a host marks its own packets with.
fn free_in_answer(family: Family) -> Vec<Free> {
    let mut fields = free_in_header(family);
    match family {
        Family::V4 => fields.push(free("type of service", 1..2)),
        Family::V6 => fields.extend([
            Free { field: "traffic class", octets: 0..1, bits: 0x0f },
            free("traffic class and flow label", 1..4),
        ]),
    }
    fields
}

fn free_in_response(family: Family) -> Vec<Free> {
    let at = family.header_len();
    let mut fields = free_in_answer(family);
    fields
        .extend([free("ICMP checksum", at + 2..at + 4), free("round-trip time", at + 28..at + 32)]);
    fields
}

/// Both packets agree in all that is not free.
fn assert_agree(name: &str, ours: &[u8], theirs: &[u8], free: &[Free]) {
    let masked = |packet: &[u8]| {
        let mut packet = packet.to_vec();
        for Free { octets, bits, .. } in free {
            // The round-trip time of a refusal is not there.
            packet.get_mut(octets.clone()).into_iter().flatten().for_each(|octet| *octet &= !bits);
        }
        packet
    };
    let fields: Vec<_> = free.iter().map(|free| free.field).collect();
    assert_eq!(masked(ours), masked(theirs), "{name}, without {}", fields.join(", "));
}

/// What a captured packet is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Request or ping: what comes in as it was.
    Question,
    /// Comes in with our own probe put in place.
    Answer(Outcome),
    /// What the reference sent.
    Probe,
    Response,
    Pong,
}

fn role(packet: &Packet<'_>, server: IpAddr) -> Role {
    let sent = packet.src == server;
    match packet.protocol {
        protocol::TCP if !sent => {
            let (header, _) = tcp::Header::ref_from_prefix(packet.payload).unwrap();
            let is_reset = header.flags & tcp::flag::RST != 0;
            Role::Answer(if is_reset { Outcome::ResponseReset } else { Outcome::ResponseSynAck })
        }
        protocol::TCP | protocol::UDP => Role::Probe,
        _ => {
            let message = icmp::Message::parse(packet.family(), packet.payload).unwrap();
            match (message.kind, message.header.code, sent) {
                (Kind::EchoRequest, _, false) => Role::Question,
                (Kind::EchoRequest, _, true) => Role::Probe,
                (Kind::TimeExceeded, ..) => Role::Answer(Outcome::ResponseTimeExceeded),
                (Kind::DestinationUnreachable, ..) => Role::Answer(Outcome::ResponseUnreachable),
                (Kind::EchoReply, _, false) => Role::Answer(Outcome::ResponseEchoReply),
                (_, trace::CODE, true) => Role::Response,
                _ => Role::Pong,
            }
        }
    }
}

/// The captured answer `frame`, about our probe instead of the reference's.
fn about_ours(frame: &[u8], probe: &[u8]) -> Vec<u8> {
    let (_, answer) = read(frame);
    let mut upper = answer.payload.to_vec();
    let probe_packet = packet_of(probe);
    let (_, sent) = read(probe);
    if answer.protocol == protocol::TCP {
        let (syn, _) = tcp::Header::ref_from_prefix(sent.payload).unwrap();
        let (header, _) = tcp::Header::mut_from_prefix(&mut upper).unwrap();
        header.acknowledgement.set(syn.sequence.get().wrapping_add(1));
    } else if icmp::Message::parse(answer.family(), answer.payload).unwrap().kind == Kind::EchoReply
    {
        upper[icmp::HEADER_LEN..].copy_from_slice(&sent.payload[icmp::HEADER_LEN..]);
    } else {
        // The router's own header, and as much of ours as it quoted of the reference's.
        let quoted = upper.len() - icmp::HEADER_LEN;
        upper[icmp::HEADER_LEN..].copy_from_slice(&probe_packet[..quoted]);
    }
    let upper = sealed(answer.src, answer.dst, answer.protocol, upper);
    let mut whole = frame.to_vec();
    let at = whole.len() - upper.len();
    whole[at..].copy_from_slice(&upper);
    whole
}

/// The responder that a file was captured at, with the one neighbour that it has.
fn responder(request: &[u8], reply: Reply) -> common::Responder {
    let (link, _) = Link::parse(request).unwrap();
    let interface = Interface {
        port: PortId(0),
        vlan: None,
        mac: link.dst,
        addresses: ["10.0.3.2/24", "fd00:3::2/64"].map(|text| text.parse().unwrap()).to_vec(),
    };
    let gateways = ["10.0.3.1", "fd00:3::1"];
    let [v4, v6] = gateways;
    let routes = [common::route("0.0.0.0/0", v4), common::route("::/0", v6)];
    let neighbours = match reply {
        Reply::Route => {
            Neighbours::new(gateways.map(|address| (common::neighbour(0, address), link.src)))
        }
        // Goes back to where it came from, whoever is known.
        Reply::Hairpin => Neighbours::default(),
    };
    common::Responder {
        engine: engine(16),
        network: Network::new(vec![interface], &routes).unwrap(),
        neighbours,
        policy: Policy { reply, ..Policy::default() },
        received: None,
        vouched: otherhalf_engine::Vouched::default(),
        now: SECOND,
        counters: Counters::default(),
    }
}

/// What the answer's repetition must come to: nothing waits any more.
const fn repeated(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::ResponseSynAck => Outcome::StraySynAckReset,
        _ => Outcome::DropUnmatched,
    }
}

/// `frame` is a RST of ours that ends what `probe` half opened.
fn assert_resets(name: &str, frame: &[u8], probe: &[u8]) {
    let ((link, reset), (way, sent)) = (read(frame), read(probe));
    let (header, _) = tcp::Header::ref_from_prefix(reset.payload).unwrap();
    let (syn, _) = tcp::Header::ref_from_prefix(sent.payload).unwrap();
    assert_eq!((link, reset.src, reset.dst), (way, sent.src, sent.dst), "{name}");
    assert_eq!((header.src_port, header.dst_port), (syn.src_port, syn.dst_port), "{name}");
    assert_eq!(header.sequence.get(), syn.sequence.get().wrapping_add(1), "{name}");
    assert_eq!((header.flags, reset.payload.len()), (tcp::flag::RST, tcp::HEADER_LEN), "{name}");
}

/// Plays one file; returns how often each outcome came.
fn play(name: &str, frames: &[Vec<u8>], reply: Reply) -> Counters {
    let mut ours = responder(&frames[0], reply);
    let server = read_captured(&frames[0]).dst;
    let (mut probe, mut answered, mut last) = (Vec::new(), false, Vec::new());
    for frame in frames {
        let captured = read_captured(frame);
        let family = captured.family();
        let kind = role(&captured, server);
        match kind {
            Role::Question => last = ours.play(frame).frame,
            Role::Answer(outcome) => {
                ours.now += u64::from(RTT);
                let done = ours.play(&about_ours(frame, &probe));
                let expected = if answered { repeated(outcome) } else { outcome };
                assert_eq!(done.fate.outcome, expected, "{name}");
                match done.fate.outcome {
                    Outcome::ResponseSynAck => assert_resets(name, &done.reset(), &probe),
                    Outcome::StraySynAckReset => assert_resets(name, &done.frame, &probe),
                    Outcome::DropUnmatched => assert_eq!(done.fate.verdict, Verdict::Drop),
                    _ => assert_eq!(done.fate.verdict, Verdict::Send(PortId(0))),
                }
                (answered, last) = (true, done.frame);
            }
            Role::Probe | Role::Response | Role::Pong => {
                let free = match kind {
                    Role::Probe => free_in_probe(family, captured.protocol),
                    Role::Response => free_in_response(family),
                    _ => free_in_answer(family),
                };
                let (link, _) = read(&last);
                let (theirs, packet) = Link::parse(frame).unwrap();
                assert_eq!(link, theirs, "{name}: {kind:?}");
                assert_agree(name, packet_of(&last), packet, &free);
                check_what_is_ours(name, kind, &frames[0], &last);
                if kind == Role::Probe {
                    probe.clone_from(&last);
                }
            }
        }
    }
    ours.counters
}

/// The request may have options, which [`read`] does not let ours have.
fn read_captured(frame: &[u8]) -> Packet<'_> {
    let payload = packet_of(frame);
    if payload[0] >> 4 == 4 { Packet::parse_v4(payload) } else { Packet::parse_v6(payload) }
        .unwrap()
}

/// In the free fields: what is not fixed by the reference's bytes, yet by our own rules.
fn check_what_is_ours(name: &str, kind: Role, request: &[u8], sent: &[u8]) {
    let asked = read_captured(request);
    let identifier = &asked.payload[4..6];
    let (_, packet) = read(sent);
    match (kind, packet.protocol) {
        // The lower half of the sequence number, in network byte order.
        (Role::Probe, protocol::TCP) => assert_eq!(packet.payload[6..8], *identifier, "{name}"),
        (Role::Response, _) if !name.contains("-err-") => {
            let trace::Verdict::Hop { rtt, .. } = common::response(sent).verdict else {
                panic!("{name}: refused");
            };
            assert_eq!(rtt.ns(), Some(RTT), "{name}");
        }
        // Refusals have no round-trip time, so that the checksum is not free either.
        (Role::Response, _) => assert_eq!(packet.payload.len(), trace::REFUSAL_LEN, "{name}"),
        _ => {}
    }
}

#[test]
fn every_captured_exchange_is_ours_too() {
    let files = vectors();
    assert_eq!(files.len(), 54, "a vector came or went");
    for reply in [Reply::Hairpin, Reply::Route] {
        let mut sum = Counters::default();
        for (name, frames) in &files {
            sum.add(&play(name, frames, reply));
        }
        let seen: BTreeMap<_, _> = sum.iter().filter(|(_, count)| *count > 0).collect();
        let expected = [
            (Outcome::ProbeIcmp, 10),
            (Outcome::ProbeTcp, 13),
            (Outcome::ProbeUdp, 23),
            (Outcome::RefusedTtl, 4),
            (Outcome::RefusedProtocol, 2),
            (Outcome::ResponseTimeExceeded, 29),
            (Outcome::ResponseUnreachable, 6),
            (Outcome::ResponseEchoReply, 4),
            (Outcome::ResponseReset, 4),
            (Outcome::ResponseSynAck, 3),
            (Outcome::StraySynAckReset, 6),
            (Outcome::PingReply, 2),
            // Two errors that came twice, and the four RST that did.
            (Outcome::DropUnmatched, 6),
        ];
        assert_eq!(seen, BTreeMap::from(expected), "{reply:?}");
    }
}

#[test]
fn refusals_agree_to_the_last_octet() {
    let is_refusal = |name: &str| name.contains("-err-");
    let files: Vec<_> = vectors().into_iter().filter(|(name, _)| is_refusal(name)).collect();
    assert_eq!(files.len(), 6);
    for (name, frames) in files {
        let [request, refusal] = &frames[..] else { panic!("{name}: two packets") };
        let sent = responder(request, Reply::Route).play(request).frame;
        assert_eq!(read(&sent).1.payload, read_captured(refusal).payload, "{name}");
    }
}

#[test]
fn an_agreement_can_fail() {
    let (name, frames) = vectors().swap_remove(0);
    let packet = packet_of(&frames[1]);
    let family = read_captured(&frames[1]).family();
    let free = free_in_response(family);
    for at in 0..packet.len() {
        let mut other = packet.to_vec();
        other[at] ^= 0x80;
        let is_free = free.iter().any(|free| free.octets.contains(&at) && free.bits & 0x80 != 0);
        let agree = std::panic::catch_unwind(|| assert_agree(&name, &other, packet, &free));
        assert_eq!(agree.is_ok(), is_free, "octet {at}");
    }
}
