//! The frames of the lean generator: made once, patched where they differ, checked without any record of
//! what was sent. All that a frame must say follows from the client's address in it, and from when it was asked for.
//!
//! A peer that was kept from its CPU sends what was given up meanwhile: late frames, which are no fault of its. So an
//! identifier tells its round of questions (`Frames::begin`) besides, and what is not right for this round is looked at
//! as a frame of those before.

mod fault;
#[cfg(test)]
mod tests;

pub(crate) use fault::{Fault, Faults};

use std::collections::VecDeque;
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
/// What rounds add to identifiers: multiples of an odd number, so that two identifiers that differ in few bits are of
/// rounds far apart, and its inverse modulo 2^16, by which a round is read back.
const ROUND_SPREAD: u16 = 0x9e37;
const ROUND_READ: u16 = inverse(ROUND_SPREAD);
/// Rounds before this one of which frames may still come. Each begins after a silence of 100 ms or at another slice.
const ROUNDS_KEPT: usize = 64;
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
    /// Right, but for a round that is over.
    Late,
    /// Not what had to come.
    Wrong(Fault),
}

/// What a right frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Half,
}

/// A round of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Round {
    load: Load,
    number: u16,
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
    round: Round,
    /// What was asked for in the rounds before, the newest last.
    before: VecDeque<Load>,
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
            round: Round { load: Load::Pings, number: 0 },
            before: VecDeque::with_capacity(ROUNDS_KEPT),
            number: 0,
            seen: 0,
            thorough: 0,
        }
    }

    /// A round of questions of that `load` begins: what was asked for before and comes from now on is late.
    pub(crate) fn begin(&mut self, load: Load) {
        if self.before.len() == ROUNDS_KEPT {
            self.before.pop_front();
        }
        self.before.push_back(self.round.load);
        self.round = Round { load, number: self.round.number.wrapping_add(1) };
    }

    /// Writes the next question of this round; returns its length.
    #[inline]
    pub(crate) fn ask(&mut self, room: &mut [u8; ROOM]) -> usize {
        let (client, identifier) = loop {
            self.number = self.number.wrapping_add(1);
            let client = CLIENTS | (self.number.wrapping_mul(SPREAD) & CLIENT_BITS);
            // No UDP probe can have the identifier 0.
            match self.round.identifier(client) {
                0 => {}
                identifier => break (client, identifier),
            }
        };
        let (template, [header, message]) = if self.round.load.asks_pings() {
            (&self.ping, self.ping_sums)
        } else {
            (&self.request, self.request_sums)
        };
        room[..FRAME_LEN].copy_from_slice(template);
        put4(room, field::SRC, client);
        put2(room, field::IP_CHECKSUM, header.bytes(&client.to_be_bytes()).checksum());
        put2(room, field::IDENTIFIER, identifier);
        put2(room, field::CHECKSUM, message.word(identifier).checksum());
        FRAME_LEN
    }

    /// Checks the frame of `len` octets in `room`, and writes over it what is to be sent next.
    #[inline]
    pub(crate) fn turn(&mut self, room: &mut [u8; ROOM], len: usize) -> Turned {
        if get2(room, field::ETHERTYPE) != ethertype::IPV4 {
            return Turned::Other;
        }
        self.seen = self.seen.wrapping_add(1);
        if self.seen.is_multiple_of(THOROUGH) {
            self.thorough += 1;
            if !verifies(&room[..len.min(ROOM)]) {
                return Turned::Wrong(Fault::Checksum);
            }
        }
        match self.round.check(room, len) {
            Ok(Part::Whole) => Turned::Whole(self.ask(room)),
            Ok(Part::Half) => Turned::Half(self.answer(room)),
            Err(_) if self.is_late(room, len) => Turned::Late,
            Err(fault) => Turned::Wrong(fault),
        }
    }

    /// Whether the frame is what had to come in one of the rounds before.
    #[cold]
    fn is_late(&self, room: &[u8; ROOM], len: usize) -> bool {
        let number = Round::read(room);
        let age = usize::from(self.round.number.wrapping_sub(number));
        let place = self.before.len().checked_sub(age).filter(|_| age > 0);
        place
            .and_then(|place| self.before.get(place))
            .is_some_and(|load| Round { load: *load, number }.check(room, len).is_ok())
    }

    /// Writes over a probe what a router says of it; returns its length.
    #[inline]
    fn answer(&self, room: &mut [u8; ROOM]) -> usize {
        let client = get4(room, field::DST);
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

impl Round {
    /// What a question to this client carries.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "bits are picked")]
    const fn identifier(self, client: u32) -> u16 {
        client as u16 ^ IDENTIFIER_MASK ^ self.number.wrapping_mul(ROUND_SPREAD)
    }

    /// The number of the round that a frame's identifier tells.
    fn read(room: &[u8; ROOM]) -> u16 {
        let at = if room[field::PROTOCOL] == UDP { field::UDP_CHECKSUM } else { field::IDENTIFIER };
        let before = Self { load: Load::Pings, number: 0 }.identifier(get4(room, field::DST));
        (get2(room, at) ^ before).wrapping_mul(ROUND_READ)
    }

    /// Whether the frame of `len` octets in `room` is what has to come.
    #[inline]
    fn check(self, room: &[u8; ROOM], len: usize) -> Result<Part, Fault> {
        let client = get4(room, field::DST);
        if len < field::QUOTE {
            return Err(Fault::Length);
        }
        if get4(room, field::SRC) != RESPONDER_V4.to_bits() || client & !CLIENT_BITS != CLIENTS {
            return Err(Fault::Address);
        }
        let identifier = self.identifier(client);
        match self.load {
            Load::Pings => is_echo(room, identifier, [TYPE_ECHO_REPLY, CODE_PING])?,
            Load::Mirror => is_echo(room, identifier, [TYPE_ECHO_REQUEST, CODE_PING])?,
            Load::Echo => is_echo(room, identifier, [TYPE_ECHO_REPLY, CODE_TRACE])?,
            Load::Requests if room[field::PROTOCOL] == UDP => is_probe(room, identifier)?,
            Load::Traces if room[field::PROTOCOL] == UDP => {
                is_probe(room, identifier)?;
                return Ok(Part::Half);
            }
            Load::Requests | Load::Traces => {
                is_response(room, len, identifier, hop(client))?;
                if self.load == Load::Requests {
                    // Nobody answered the probe.
                    return Err(Fault::Kind);
                }
            }
        }
        Ok(Part::Whole)
    }
}

#[inline]
fn is_echo(room: &[u8; ROOM], identifier: u16, kind: [u8; 2]) -> Result<(), Fault> {
    if room[field::PROTOCOL] != ICMP || [room[field::ICMP], room[field::ICMP + 1]] != kind {
        return Err(Fault::Kind);
    }
    if get2(room, field::IDENTIFIER) != identifier {
        return Err(Fault::Identifier);
    }
    Ok(())
}

#[inline]
fn is_response(room: &[u8; ROOM], len: usize, identifier: u16, hop: u32) -> Result<(), Fault> {
    is_echo(room, identifier, [TYPE_ECHO_REPLY, CODE_TRACE])?;
    if len < RESPONSE_LEN {
        return Err(Fault::Length);
    }
    if room[field::STATUS] != 0 {
        return Err(Fault::Refused);
    }
    if get4(room, field::HOP) != hop {
        return Err(Fault::Hop);
    }
    Ok(())
}

/// A probe's identifier is its UDP checksum.
#[inline]
fn is_probe(room: &[u8; ROOM], identifier: u16) -> Result<(), Fault> {
    if room[field::IP + 8] != PROBE_TTL || get2(room, field::UDP_DST) != PROBE_FLOW {
        return Err(Fault::Probe);
    }
    if get2(room, field::UDP_CHECKSUM) != identifier {
        return Err(Fault::Identifier);
    }
    Ok(())
}

/// The inverse of an odd number modulo 2^16 by Newton's iteration: each step doubles the bits that are right.
const fn inverse(odd: u16) -> u16 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 4 {
        inverse = inverse.wrapping_mul(2u16.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
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
