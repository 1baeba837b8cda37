//! Writes what was decided over the frame that caused it.

use std::net::{IpAddr, Ipv6Addr};

use otherhalf_wire::arp::{Arp, Operation};
use otherhalf_wire::checksum;
use otherhalf_wire::ethernet::{Link, Mac, VlanId, ethertype};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{self, Family, Fields, protocol, pseudo_header};
use otherhalf_wire::ndp::{self, Message};
use otherhalf_wire::probe::{Cookie, Probe, SOURCE_PORT};
use otherhalf_wire::tcp;
use otherhalf_wire::trace::{
    REFUSAL_LEN, RESPONSE_LEN, RESPONSE_TTL, Response, Rtt, Verdict, emit_result,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::answer::Match;
use crate::closed::Datagram;
use crate::frame::Frame;
use crate::neighbour::Answer;
use crate::network::PortId;
use crate::ping::Ping;
use crate::request::{Ask, Refuse};
use crate::way::Way;
use crate::work::Address;

/// The TTL of what answers for ourselves: RFC 1122's default as revised by the assigned numbers.
const OWN_TTL: u8 = 64;

/// What a frame is to become, besides a [probe] or a [response].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action<'a> {
    /// A response without a result.
    Refusal(&'a Refuse),
    /// An echo reply.
    Echo(Ping),
    /// Our hardware address.
    Neighbour(Answer),
    /// A RST instead of the segment that came in.
    Reset(Reset),
    /// A port unreachable about the datagram that came in.
    Unreachable(Datagram),
}

/// A RST: it ends a connection that a probe's SYN half opened, or refuses one to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    pub(crate) own: IpAddr,
    pub(crate) target: IpAddr,
    pub(crate) own_port: u16,
    pub(crate) target_port: u16,
    pub(crate) sequence: u32,
    /// What it acknowledges, if it does.
    pub(crate) acknowledgement: Option<u32>,
}

/// A [`Reset`] and the way that it goes: all that a frame of its own needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetFrame {
    pub(crate) reset: Reset,
    pub(crate) way: Way,
}

impl ResetFrame {
    /// The port that it leaves by. Of an indirect trace, the response may leave by another.
    #[must_use]
    pub const fn port(&self) -> PortId {
        self.way.port
    }

    /// Writes the frame to the front of `room`; returns its octets, or `None` if it does not fit
    /// ([`LEAST_ROOM`](crate::frame::LEAST_ROOM) is enough).
    #[must_use]
    pub fn emit(&self, room: &mut [u8]) -> Option<usize> {
        emit(&Action::Reset(self.reset), &self.way, room)
    }
}

/// Makes of `frame` the probe that was asked for, to go `way`. `None` if the buffer is too small.
#[inline(always)]
pub(crate) fn probe<A: Address>(
    ask: &Ask<A>,
    identifier: u16,
    cookie: Cookie,
    way: &Way,
    frame: &mut Frame<'_>,
) -> Option<()> {
    let fields = Fields {
        src: ask.own,
        dst: ask.target,
        ttl: ask.ttl,
        traffic_class: ask.traffic_class,
        flow_label: ask.flow_label,
        identification: Some(cookie.identification()),
        protocol: ask.protocol.number(A::FAMILY),
    };
    let probe = Probe {
        protocol: ask.protocol,
        source_port: SOURCE_PORT,
        flow: ask.flow,
        identifier,
        cookie,
    };
    let rest = packet(way, &fields, ask.protocol.probe_len(), frame.least_room()?)?;
    let len = probe.emit(ask.own, ask.target, rest)?;
    frame.set_len(reply_start(way, A::FAMILY).wrapping_add(len));
    Some(())
}

/// Makes of `frame` the response to `requester` that `found` gives, to go `way`. `None` if the buffer is too small.
#[inline(always)]
pub(crate) fn response<A: Address>(
    found: &Match<A>,
    requester: A,
    (identifier, rtt): (u16, Rtt),
    way: &Way,
    frame: &mut Frame<'_>,
) -> Option<()> {
    let own = found.own;
    let fields = response_fields(own, requester);
    let rest = packet(way, &fields, RESPONSE_LEN, frame.least_room()?)?;
    let len = emit_result(identifier, found.hop, rtt, own, requester, rest)?;
    frame.set_len(reply_start(way, A::FAMILY).wrapping_add(len));
    Some(())
}

/// Makes of `frame` what `action` says, to go `way`. `None` if the buffer is too small.
pub(crate) fn write(action: &Action<'_>, way: &Way, frame: &mut Frame<'_>) -> Option<()> {
    // These two answers keep some of what the frame carries.
    if let Action::Echo(ping) = action {
        let len = ping.len;
        shift(frame, ping.header_len, len, reply_start(way, Family::of(ping.own)))?;
    }
    if let Action::Unreachable(datagram) = action {
        let start = reply_start(way, Family::of(datagram.own)).checked_add(icmp::HEADER_LEN)?;
        shift(frame, 0, datagram.quoted, start)?;
    }
    let len = emit(action, way, frame.room())?;
    frame.set_len(len);
    Some(())
}

/// Writes `action` to the front of `room`; returns the frame's length.
fn emit(action: &Action<'_>, way: &Way, room: &mut [u8]) -> Option<usize> {
    let room_len = room.len();
    let (rest_len, payload_len) = match *action {
        Action::Refusal(refuse) => {
            let (own, requester) = (refuse.own, refuse.requester);
            let rest = packet(way, &response_fields(own, requester), REFUSAL_LEN, room)?;
            let verdict = Verdict::Refused { refusal: refuse.refusal, text: &[] };
            let response = Response { identifier: refuse.identifier, verdict };
            (rest.len(), response.emit(own, requester, rest)?)
        }
        Action::Echo(ping) => {
            let family = Family::of(ping.own);
            let fields = Fields {
                src: ping.own,
                dst: ping.pinger,
                ttl: OWN_TTL,
                traffic_class: ping.traffic_class,
                flow_label: ping.flow_label,
                identification: Some(ping.identification),
                protocol: family.icmp(),
            };
            let rest = packet(way, &fields, ping.len, room)?;
            let rest_len = rest.len();
            let (header, _) = icmp::Header::mut_from_prefix(rest).ok()?;
            header.kind = Kind::EchoReply.number(family);
            // The addresses changed places, which no sum notices.
            let [old, new] = [Kind::EchoRequest, Kind::EchoReply]
                .map(|kind| u16::from_be_bytes([kind.number(family), 0]));
            // One's complement has two zeros. 0xffff verifies wherever 0 does, and over nothing but
            // zeros too, which the reply to an empty ping is.
            header.checksum.set(match checksum::update(header.checksum.get(), old, new) {
                0 => 0xffff,
                checksum => checksum,
            });
            (rest_len, ping.len)
        }
        Action::Unreachable(datagram) => unreachable(&datagram, way, room)?,
        Action::Neighbour(answer) => neighbour(answer, way, room)?,
        Action::Reset(ref end) => {
            let fields = Fields {
                protocol: protocol::TCP,
                ttl: OWN_TTL,
                ..response_fields(end.own, end.target)
            };
            let rest = packet(way, &fields, tcp::HEADER_LEN, room)?;
            let rest_len = rest.len();
            let (header, _) = tcp::Header::mut_from_prefix(rest).ok()?;
            *header = tcp::Header {
                src_port: end.own_port.into(),
                dst_port: end.target_port.into(),
                sequence: end.sequence.into(),
                acknowledgement: end.acknowledgement.unwrap_or_default().into(),
                data_offset: tcp::NO_OPTIONS,
                flags: tcp::flag::RST
                    | if end.acknowledgement.is_some() { tcp::flag::ACK } else { 0 },
                window: 0.into(),
                checksum: 0.into(),
                urgent: 0.into(),
            };
            let length = u16::try_from(tcp::HEADER_LEN).ok()?;
            let sum =
                pseudo_header(end.own, end.target, protocol::TCP, length).bytes(header.as_bytes());
            header.checksum.set(sum.checksum());
            (rest_len, tcp::HEADER_LEN)
        }
    };
    room_len.checked_sub(rest_len)?.checked_add(payload_len)
}

/// Writes link layer and IP header; returns what follows them.
#[inline(always)]
fn packet<'a, A: ip::Address>(
    way: &Way,
    fields: &Fields<A>,
    payload: usize,
    room: &'a mut [u8],
) -> Option<&'a mut [u8]> {
    let ethertype = match fields.src.family() {
        Family::V4 => ethertype::IPV4,
        Family::V6 => ethertype::IPV6,
    };
    let rest = link(way, ethertype).emit(room)?;
    fields.emit(payload, rest)
}

#[inline(always)]
const fn link(way: &Way, ethertype: u16) -> Link {
    Link { dst: way.dst, src: way.src, vlan: way.vlan, ethertype }
}

#[inline(always)]
fn response_fields<A: ip::Address>(src: A, dst: A) -> Fields<A> {
    Fields {
        src,
        dst,
        ttl: RESPONSE_TTL,
        traffic_class: 0,
        flow_label: 0,
        identification: None,
        protocol: src.family().icmp(),
    }
}

/// Writes the headers of a port unreachable before its quote, which is in its place; returns as [`neighbour`] does.
fn unreachable(datagram: &Datagram, way: &Way, room: &mut [u8]) -> Option<(usize, usize)> {
    let (own, sender) = (datagram.own, datagram.sender);
    let len = datagram.quoted.checked_add(icmp::HEADER_LEN)?;
    let rest = packet(way, &response_fields(own, sender), len, room)?;
    let rest_len = rest.len();
    let family = Family::of(own);
    let message = rest.get_mut(..len)?;
    let (header, _) = icmp::Header::mut_from_prefix(message).ok()?;
    *header = icmp::Header {
        kind: Kind::DestinationUnreachable.number(family),
        code: icmp::port_unreachable(family),
        checksum: 0.into(),
        identifier: 0.into(),
        sequence: 0.into(),
    };
    let sum = pseudo_header(own, sender, family.icmp(), u16::try_from(len).ok()?).bytes(message);
    let (header, _) = icmp::Header::mut_from_prefix(message).ok()?;
    header.checksum.set(sum.checksum());
    Some((rest_len, len))
}

/// Writes an answer to a neighbour; returns what is left of the room behind the headers, and the octets written there.
fn neighbour(answer: Answer, way: &Way, room: &mut [u8]) -> Option<(usize, usize)> {
    match answer {
        Answer::Arp { own, asker, asker_mac } => {
            let rest = link(way, ethertype::ARP).emit(room)?;
            let reply = Arp {
                operation: Operation::Reply,
                sender_mac: way.src,
                sender: own,
                target_mac: asker_mac,
                target: asker,
            };
            Some((rest.len(), reply.emit(rest)?))
        }
        Answer::Advertisement { own, to, solicited } => {
            let fields = Fields { ttl: ndp::HOP_LIMIT, ..response_fields(own, to) };
            let rest = packet(way, &fields, ndp::LEN, room)?;
            let message = Message::Advertisement {
                target: own,
                target_mac: Some(way.src),
                solicited,
                overrides: true,
            };
            Some((rest.len(), message.emit(own, to, rest)?))
        }
    }
}

/// The longest solicitation, in octets.
pub const SOLICITATION_LEN: usize = 18 + 40 + ndp::LEN;

/// Asks for the hardware address of `target` from `interface`; returns the frame's length.
///
/// To all stations, or to `known` when it only needs confirmation (RFC 4861 §7.3.3). Not on the
/// packet path: the control thread asks. `None` if `room` is shorter than [`SOLICITATION_LEN`] or
/// `source` is of the other family.
#[must_use]
pub fn solicit(
    src_mac: Mac,
    vlan: Option<VlanId>,
    source: IpAddr,
    target: IpAddr,
    known: Option<Mac>,
    room: &mut [u8],
) -> Option<usize> {
    let room_len = room.len();
    let (rest_len, len) = match (source, target) {
        (IpAddr::V4(sender), IpAddr::V4(target)) => {
            let way =
                Way { port: PortId(0), src: src_mac, dst: known.unwrap_or(Mac::BROADCAST), vlan };
            let rest = link(&way, ethertype::ARP).emit(room)?;
            let request = Arp {
                operation: Operation::Request,
                sender_mac: src_mac,
                sender,
                target_mac: Mac::default(),
                target,
            };
            (rest.len(), request.emit(rest)?)
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let group: Ipv6Addr = ndp::solicited_node(target);
            let (to, dst) = known.map_or((group, ndp::multicast_mac(group)), |mac| (target, mac));
            let way = Way { port: PortId(0), src: src_mac, dst, vlan };
            let fields = Fields { ttl: ndp::HOP_LIMIT, ..response_fields(source, to) };
            let rest = packet(&way, &fields, ndp::LEN, room)?;
            let message = Message::Solicitation { target, source_mac: Some(src_mac) };
            (rest.len(), message.emit(source, to, rest)?)
        }
        _ => return None,
    };
    room_len.checked_sub(rest_len)?.checked_add(len)
}

/// Where the upper layer of a reply of `family` starts.
#[inline(always)]
const fn reply_start(way: &Way, family: Family) -> usize {
    link(way, 0).len().saturating_add(family.header_len())
}

/// Moves `len` octets, `offset` behind the frame's link layer, to `to`: its reply's headers have another length.
fn shift(frame: &mut Frame<'_>, offset: usize, len: usize, to: usize) -> Option<()> {
    let from = frame_link_len(frame)?.checked_add(offset)?;
    let end = from.checked_add(len)?;
    let room = frame.room();
    if end > room.len() || to.checked_add(len)? > room.len() {
        return None;
    }
    if from != to {
        room.copy_within(from..end, to);
    }
    Some(())
}

fn frame_link_len(frame: &Frame<'_>) -> Option<usize> {
    let (_, payload) = Link::parse(frame.octets()).ok()?;
    frame.len().checked_sub(payload.len())
}
