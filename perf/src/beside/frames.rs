//! The frames of the lean generator: made once, patched where they differ, checked without any record of
//! what was sent. All that a frame must say follows from the client's address in it.

use std::net::Ipv4Addr;

use otherhalf_wire::checksum::Sum;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::icmp;
use otherhalf_wire::ip::{Family, Fields, Packet};
use otherhalf_wire::trace::{REQUEST_LEN, Request};

use crate::addresses::RESPONDER_V4;

/// The part of a buffer that is looked at; every buffer has as much.
pub(crate) const ROOM: usize = 128;
/// The least Ethernet frame without its checksum: what pings and requests are.
const FRAME_LEN: usize = 60;
/// Ethernet, IPv4, ICMP, and a quote of 28 octets, the least that a router quotes.
const ANSWER_LEN: usize = field::QUOTE + QUOTE_LEN;
const QUOTE_LEN: usize = 28;
const RESPONSE_LEN: usize = field::ICMP + 36;
/// Clients are 10.0.0.0/8: as many keys as a table sees in seconds, so none is warm when it comes again.
const CLIENTS: u32 = 10 << 24;
const CLIENT_BITS: u32 = 0x00ff_ffff;
/// Routers that answer are 198.18.0.0/16.
const HOPS: u32 = Ipv4Addr::new(198, 18, 0, 0).to_bits();
const HOP_BITS: u32 = 0xffff;
/// Any odd number makes of counting a permutation.
const SPREAD: u32 = 0x9e_3779;
/// Flips bits, so that an identifier is no address.
const IDENTIFIER_MASK: u16 = 0x5a5a;
/// Of all frames, one in so many is verified to the last checksum.
const THOROUGH: u32 = 256;

const TYPE_ECHO_REPLY: u8 = 0;
const TYPE_ECHO_REQUEST: u8 = 8;
const TYPE_TIME_EXCEEDED: u8 = 11;
const CODE_PING: u8 = 0;
const CODE_TRACE: u8 = 1;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const TTL: u8 = 64;
/// The probe's TTL: the first router on the way answers, and quotes it as it came.
const PROBE_TTL: u8 = 1;
const PROBE_FLOW: u16 = 33_434;

/// Where things are, in frames of IPv4 without options.
mod field {
    pub(super) const ETHERTYPE: usize = 12;
    pub(super) const IP: usize = 14;
    pub(super) const PROTOCOL: usize = IP + 9;
    pub(super) const IP_CHECKSUM: usize = IP + 10;
    pub(super) const SRC: usize = IP + 12;
    pub(super) const DST: usize = IP + 16;
    pub(super) const ICMP: usize = IP + 20;
    pub(super) const CHECKSUM: usize = ICMP + 2;
    pub(super) const IDENTIFIER: usize = ICMP + 4;
    pub(super) const STATUS: usize = ICMP + 8;
    /// The hop of a response: the last four octets of a mapped address.
    pub(super) const HOP: usize = ICMP + 24;
    pub(super) const QUOTE: usize = ICMP + 8;
    pub(super) const UDP_DST: usize = ICMP + 2;
    pub(super) const UDP_CHECKSUM: usize = ICMP + 6;
}

/// What is asked, and so what has to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Pings: replies.
    Pings,
    /// Pings to a peer that only lets addresses change places: pings.
    Mirror,
    /// Requests to a peer that takes them for pings: replies of code 1.
    Echo,
    /// Requests that nobody answers: probes.
    Requests,
    /// Whole traces: probes, each answered by a router, and responses.
    Traces,
}

impl Load {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pings | Self::Mirror => "pings",
            Self::Requests | Self::Echo => "requests",
            Self::Traces => "traces",
        }
    }

    const fn asks_pings(self) -> bool {
        matches!(self, Self::Pings | Self::Mirror)
    }
}

/// What a received frame was, and has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Right, and the last of what was asked: it is the next question now, of that length.
    Whole(usize),
    /// A probe: it is the router's answer now.
    Half(usize),
    /// Not IPv4: perhaps a neighbour's.
    Other,
    /// Not what had to come.
    Wrong,
}

/// Writes and checks frames between one generator's port and one peer.
#[derive(Debug, Clone)]
pub(crate) struct Frames {
    ping: [u8; FRAME_LEN],
    request: [u8; FRAME_LEN],
    /// The answer's headers.
    answer: [u8; field::QUOTE],
    /// The sums of the headers without address and checksum, and of the messages without identifier and checksum.
    ping_sums: [Sum; 2],
    request_sums: [Sum; 2],
    answer_header: Sum,
    number: u32,
    seen: u32,
    /// Frames that were verified to the last checksum.
    pub(crate) thorough: u64,
}

impl Frames {
    pub(crate) fn new(own: Mac, peer: Mac) -> Self {
        let (ping, request) = (ping(own, peer), request(own, peer));
        let mut answer = [0; field::QUOTE];
        let (src, dst) = (Ipv4Addr::from_bits(HOPS), RESPONDER_V4);
        headers(own, peer, src, dst, icmp::HEADER_LEN + QUOTE_LEN, &mut answer);
        answer[field::ICMP] = TYPE_TIME_EXCEEDED;
        let header = |frame: &[u8]| {
            let ip = &frame[field::IP..field::ICMP];
            Sum::ZERO.bytes(&ip[..10]).bytes(&ip[16..])
        };
        let message = |frame: &[u8]| {
            let message = &frame[field::ICMP..];
            Sum::ZERO.bytes(&message[..2]).bytes(&message[6..])
        };
        Self {
            ping_sums: [header(&ping), message(&ping)],
            request_sums: [header(&request), message(&request)],
            answer_header: header(&answer),
            ping,
            request,
            answer,
            number: 0,
            seen: 0,
            thorough: 0,
        }
    }

    /// Writes the next question; returns its length.
    #[inline]
    pub(crate) fn ask(&mut self, load: Load, room: &mut [u8; ROOM]) -> usize {
        self.number = self.number.wrapping_add(1);
        let client = CLIENTS | (self.number.wrapping_mul(SPREAD) & CLIENT_BITS);
        let (template, [header, message]) = if load.asks_pings() {
            (&self.ping, self.ping_sums)
        } else {
            (&self.request, self.request_sums)
        };
        room[..FRAME_LEN].copy_from_slice(template);
        let identifier = identifier(client);
        put4(room, field::SRC, client);
        put2(room, field::IP_CHECKSUM, header.bytes(&client.to_be_bytes()).checksum());
        put2(room, field::IDENTIFIER, identifier);
        put2(room, field::CHECKSUM, message.word(identifier).checksum());
        FRAME_LEN
    }

    /// Checks the frame of `len` octets in `room`, and writes over it what is to be sent next.
    #[inline]
    pub(crate) fn turn(&mut self, load: Load, room: &mut [u8; ROOM], len: usize) -> Turned {
        if get2(room, field::ETHERTYPE) != ethertype::IPV4 {
            return Turned::Other;
        }
        self.seen = self.seen.wrapping_add(1);
        if self.seen.is_multiple_of(THOROUGH) {
            self.thorough += 1;
            if !verifies(&room[..len.min(ROOM)]) {
                return Turned::Wrong;
            }
        }
        let client = get4(room, field::DST);
        let common = get4(room, field::SRC) == RESPONDER_V4.to_bits()
            && client & !CLIENT_BITS == CLIENTS
            && len >= field::QUOTE;
        let right = common
            && match load {
                Load::Pings => is_echo(room, client, [TYPE_ECHO_REPLY, CODE_PING]),
                Load::Mirror => is_echo(room, client, [TYPE_ECHO_REQUEST, CODE_PING]),
                Load::Echo => is_echo(room, client, [TYPE_ECHO_REPLY, CODE_TRACE]),
                Load::Requests => is_probe(room, client),
                Load::Traces if room[field::PROTOCOL] == UDP => {
                    if !is_probe(room, client) {
                        return Turned::Wrong;
                    }
                    return Turned::Half(self.answer(room, client));
                }
                Load::Traces => {
                    len >= RESPONSE_LEN
                        && is_echo(room, client, [TYPE_ECHO_REPLY, CODE_TRACE])
                        && room[field::STATUS] == 0
                        && get4(room, field::HOP) == hop(client)
                }
            };
        if right { Turned::Whole(self.ask(load, room)) } else { Turned::Wrong }
    }

    /// Writes over a probe what a router says of it; returns its length.
    #[inline]
    fn answer(&self, room: &mut [u8; ROOM], client: u32) -> usize {
        room.copy_within(field::IP..field::IP + QUOTE_LEN, field::QUOTE);
        room[..field::QUOTE].copy_from_slice(&self.answer);
        let hop = hop(client);
        put4(room, field::SRC, hop);
        put2(room, field::IP_CHECKSUM, self.answer_header.bytes(&hop.to_be_bytes()).checksum());
        let message = Sum::ZERO.bytes(&room[field::ICMP..ANSWER_LEN]);
        put2(room, field::CHECKSUM, message.checksum());
        ANSWER_LEN
    }
}

fn headers(own: Mac, peer: Mac, src: Ipv4Addr, dst: Ipv4Addr, payload: usize, frame: &mut [u8]) {
    let link = Link { dst: peer, src: own, vlan: None, ethertype: ethertype::IPV4 };
    let fields = Fields {
        src,
        dst,
        ttl: TTL,
        traffic_class: 0,
        flow_label: 0,
        identification: None,
        protocol: ICMP,
    };
    let mut whole = [0; 2 * ROOM];
    link.emit(&mut whole).and_then(|rest| fields.emit(payload, rest)).expect("there is room");
    let len = frame.len().min(field::ICMP);
    frame[..len].copy_from_slice(&whole[..len]);
}

/// A ping whose source, identifier and checksums are yet to be written.
fn ping(own: Mac, peer: Mac) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    let payload = FRAME_LEN - field::ICMP;
    headers(own, peer, Ipv4Addr::from_bits(CLIENTS), RESPONDER_V4, payload, &mut frame);
    frame[field::ICMP] = TYPE_ECHO_REQUEST;
    frame
}

/// A request, likewise.
fn request(own: Mac, peer: Mac) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    let client = Ipv4Addr::from_bits(CLIENTS);
    headers(own, peer, client, RESPONDER_V4, REQUEST_LEN, &mut frame);
    let request =
        Request { identifier: 0, sequence: 0, ttl: PROBE_TTL, protocol: UDP, flow: PROBE_FLOW };
    request
        .emit(client.into(), RESPONDER_V4.into(), &[], &mut frame[field::ICMP..])
        .expect("there is room");
    frame
}

/// Whether every length and checksum is right.
fn verifies(frame: &[u8]) -> bool {
    Link::parse(frame).is_ok_and(|(_, payload)| {
        Packet::parse_v4(payload).is_ok_and(|packet| {
            packet.family() == Family::V4
                && if packet.protocol == ICMP {
                    icmp::Message::parse(Family::V4, packet.payload).is_ok()
                        && packet.upper_layer_sum().verifies()
                } else {
                    packet.upper_layer_sum().verifies()
                }
        })
    })
}

#[inline]
fn is_echo(room: &[u8; ROOM], client: u32, kind: [u8; 2]) -> bool {
    room[field::PROTOCOL] == ICMP
        && [room[field::ICMP], room[field::ICMP + 1]] == kind
        && get2(room, field::IDENTIFIER) == identifier(client)
}

/// A probe's identifier is its UDP checksum.
#[inline]
fn is_probe(room: &[u8; ROOM], client: u32) -> bool {
    room[field::PROTOCOL] == UDP
        && room[field::IP + 8] == PROBE_TTL
        && get2(room, field::UDP_DST) == PROBE_FLOW
        && get2(room, field::UDP_CHECKSUM) == identifier(client)
}

/// Never 0, which no UDP probe can have.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "bits are picked")]
const fn identifier(client: u32) -> u16 {
    let identifier = client as u16 ^ IDENTIFIER_MASK;
    if identifier == 0 { 1 } else { identifier }
}

#[inline]
const fn hop(client: u32) -> u32 {
    HOPS | (client & HOP_BITS)
}

#[inline]
fn get2(room: &[u8; ROOM], at: usize) -> u16 {
    u16::from_be_bytes([room[at], room[at + 1]])
}

#[inline]
fn get4(room: &[u8; ROOM], at: usize) -> u32 {
    u32::from_be_bytes([room[at], room[at + 1], room[at + 2], room[at + 3]])
}

#[inline]
fn put2(room: &mut [u8; ROOM], at: usize, value: u16) {
    room[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[inline]
fn put4(room: &mut [u8; ROOM], at: usize, value: u32) {
    room[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use otherhalf_wire::trace::{Response, Rtt, Verdict};
    use std::net::IpAddr;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn swapped(room: &mut [u8; ROOM], kind: u8) {
        let (client, responder) = (get4(room, field::SRC), get4(room, field::DST));
        put4(room, field::SRC, responder);
        put4(room, field::DST, client);
        let sum = get2(room, field::CHECKSUM);
        let (old, new) = (u16::from(room[field::ICMP]) << 8, u16::from(kind) << 8);
        put2(room, field::CHECKSUM, otherhalf_wire::checksum::update(sum, old, new));
        room[field::ICMP] = kind;
    }

    #[test]
    fn questions_are_what_wire_reads() {
        let mut frames = Frames::new(OWN, PEER);
        for load in [Load::Pings, Load::Requests] {
            for _ in 0..100_000 {
                let mut room = [0xaa; ROOM];
                let len = frames.ask(load, &mut room);
                assert!(verifies(&room[..len]), "{load:?}");
            }
        }
    }

    #[test]
    fn what_comes_back_right_becomes_the_next_and_what_is_wrong_is_told() {
        for (load, kind) in [
            (Load::Pings, TYPE_ECHO_REPLY),
            (Load::Mirror, TYPE_ECHO_REQUEST),
            (Load::Echo, TYPE_ECHO_REPLY),
        ] {
            let mut frames = Frames::new(OWN, PEER);
            let mut room = [0; ROOM];
            let mut len = frames.ask(load, &mut room);
            for _ in 0..1000 {
                swapped(&mut room, kind);
                assert_eq!(frames.turn(load, &mut room, len), Turned::Whole(FRAME_LEN));
                len = FRAME_LEN;
            }
            assert!(frames.thorough > 0);
            // Not turned round, another's identifier, another kind.
            let asked = room;
            assert_eq!(frames.turn(load, &mut room, len), Turned::Wrong);
            room = asked;
            swapped(&mut room, kind);
            room[field::IDENTIFIER] ^= 1;
            assert_eq!(frames.turn(load, &mut room, len), Turned::Wrong);
            room = asked;
            swapped(&mut room, 13);
            assert_eq!(frames.turn(load, &mut room, len), Turned::Wrong);
        }
    }

    #[test]
    fn a_wrong_checksum_is_found_before_long() {
        let mut frames = Frames::new(OWN, PEER);
        let found = (0..THOROUGH).any(|_| {
            let mut room = [0; ROOM];
            let len = frames.ask(Load::Pings, &mut room);
            swapped(&mut room, TYPE_ECHO_REPLY);
            room[field::CHECKSUM] ^= 0x40;
            frames.turn(Load::Pings, &mut room, len) == Turned::Wrong
        });
        assert!(found);
    }

    /// A probe as the engine would send it for the request in `room`.
    fn probe(room: &mut [u8; ROOM]) -> usize {
        let client = get4(room, field::SRC);
        let (src, dst) = (RESPONDER_V4, Ipv4Addr::from_bits(client));
        headers(PEER, OWN, src, dst, 16, room);
        room[field::IP + 8] = PROBE_TTL;
        room[field::PROTOCOL] = UDP;
        let udp = field::ICMP;
        put2(room, udp, 1021);
        put2(room, field::UDP_DST, PROBE_FLOW);
        put2(room, udp + 4, 16);
        put2(room, field::UDP_CHECKSUM, identifier(client));
        field::IP + 36
    }

    #[test]
    fn a_probe_becomes_its_answer_and_the_response_the_next_request() {
        let mut frames = Frames::new(OWN, PEER);
        let mut room = [0; ROOM];
        frames.ask(Load::Traces, &mut room);
        let client = get4(&room, field::SRC);
        let len = probe(&mut room);
        let sent: [u8; QUOTE_LEN] = room[field::IP..field::IP + QUOTE_LEN].try_into().unwrap();
        assert_eq!(frames.turn(Load::Traces, &mut room, len), Turned::Half(ANSWER_LEN));
        assert!(verifies(&room[..ANSWER_LEN]));
        assert_eq!(room[field::QUOTE..ANSWER_LEN], sent);
        assert_eq!(get4(&room, field::SRC), hop(client));

        let (src, dst) = (RESPONDER_V4, Ipv4Addr::from_bits(client));
        headers(PEER, OWN, src, dst, 36, &mut room);
        let address = IpAddr::from(Ipv4Addr::from_bits(hop(client)));
        let verdict = Verdict::Hop { address, rtt: Rtt::from_ns(7) };
        Response { identifier: identifier(client), verdict }
            .emit(src.into(), dst.into(), &mut room[field::ICMP..])
            .unwrap();
        let came = room;
        assert_eq!(frames.turn(Load::Traces, &mut room, RESPONSE_LEN), Turned::Whole(FRAME_LEN));
        let mut other = came;
        other[field::HOP + 3] ^= 1;
        assert_eq!(frames.turn(Load::Traces, &mut other, RESPONSE_LEN), Turned::Wrong);
        let mut refused = came;
        refused[field::STATUS] = 1;
        assert_eq!(frames.turn(Load::Traces, &mut refused, RESPONSE_LEN), Turned::Wrong);
        let mut late = [0; ROOM];
        put2(&mut late, field::ETHERTYPE, ethertype::ARP);
        assert_eq!(frames.turn(Load::Traces, &mut late, FRAME_LEN), Turned::Other);
    }
}
