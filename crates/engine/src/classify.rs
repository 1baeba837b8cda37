//! The first look at a frame: what it is, and whether it is for us.

use std::net::{Ipv4Addr, Ipv6Addr};

use otherhalf_pending::Prefetch;
use otherhalf_wire::ethernet::{self, ethertype};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Packet, protocol};
use otherhalf_wire::trace;
use otherhalf_wire::{Malformed, tcp};
use zerocopy::FromBytes;

use crate::answer::{self, Shown};
use crate::burst::View;
use crate::closed::{self, Closed};
use crate::frame::{Frame, Vouched};
use crate::indirect::AnyDetour;
use crate::kernel;
use crate::neighbour::{self, Notice};
use crate::network::InterfaceId;
use crate::outcome::Outcome;
use crate::ping::{self, Ping};
use crate::request::{self, Refuse};
use crate::work::{Address, Found, Look};

/// A frame that came in by an interface of ours.
pub(crate) struct Entered<'a> {
    payload: &'a [u8],
    pub(crate) ingress: InterfaceId,
    ethertype: u16,
    /// To us alone, not to a group.
    unicast: bool,
    vouched: Vouched,
}

/// What is left to do for a frame that is neither a request to be probed for nor an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    /// A request that is refused.
    Refuse(Refuse),
    /// A request for a probe to somebody else.
    Detour(AnyDetour),
    /// A ping.
    Ping(Ping),
    /// Something for a port that nothing listens on.
    Closed(Closed),
    /// A question for our hardware address, and what it told about the asker.
    Neighbour(neighbour::Answer, Option<Notice>),
    /// Nothing: it told about a neighbour.
    Learned(Notice),
}

/// Looks at the link layer of `frame`.
#[inline(always)]
pub(crate) fn enter<'a>(view: &View<'_>, frame: &'a Frame<'_>) -> Result<Entered<'a>, Outcome> {
    let octets = frame.arrived().ok_or(Outcome::DropBuffer)?;
    let ethernet::Frame { header, vlan, ethertype, payload } = ethernet::Frame::parse(octets)
        .map_err(|malformed| match malformed {
            Malformed::Truncated => Outcome::DropTruncated,
            _ => Outcome::DropUnknownVlan,
        })?;
    let (ingress, known) =
        view.network.interface_for(frame.port(), vlan).ok_or(Outcome::DropUnknownVlan)?;
    let unicast = header.dst == known.mac;
    if !(unicast || header.dst.is_group()) || !header.src.is_unicast() {
        return Err(Outcome::DropNotOurMac);
    }
    Ok(Entered { payload, ingress, ethertype, unicast, vouched: frame.vouched_for() })
}

/// Looks at what follows the link layer.
#[inline(always)]
pub(crate) fn classify<P: Prefetch>(look: &mut Look<'_, P>, entered: &Entered<'_>) -> Found {
    let Entered { ethertype, payload, unicast, vouched, .. } = *entered;
    match ethertype {
        ethertype::IPV4 => internet_layer::<Ipv4Addr, P>(look, payload, unicast, vouched),
        ethertype::IPV6 => internet_layer::<Ipv6Addr, P>(look, payload, unicast, vouched),
        ethertype::ARP => arp(look, payload),
        _ => Err(Outcome::DropUnknownEthertype),
    }
}

/// Looks at an ARP packet.
#[cold]
fn arp<P: Prefetch>(look: &mut Look<'_, P>, payload: &[u8]) -> Found {
    let task = neighbour::arp(look.view.network, look.ingress, payload)?;
    look.task(task)
}

/// Looks at an IP packet. Once for each family, and not inlined: what is done for one costs the other nothing.
#[inline(never)]
fn internet_layer<A: Address, P: Prefetch>(
    look: &mut Look<'_, P>,
    payload: &[u8],
    unicast: bool,
    vouched: Vouched,
) -> Found {
    match A::parse_plain(payload, vouched.ipv4) {
        Some(packet) => destination(look, unicast, vouched, &packet),
        None => unusual_packet::<A, P>(look, payload, unicast, vouched),
    }
}

/// Looks at a packet that is wrong, or has options or extension headers.
#[cold]
fn unusual_packet<A: Address, P: Prefetch>(
    look: &mut Look<'_, P>,
    payload: &[u8],
    unicast: bool,
    vouched: Vouched,
) -> Found {
    let packet = A::parse(payload, vouched.ipv4).map_err(malformed_ip)?;
    destination(look, unicast, vouched, &packet)
}

/// Looks whether an IP packet is for us.
#[inline(always)]
fn destination<A: Address, P: Prefetch>(
    look: &mut Look<'_, P>,
    unicast: bool,
    vouched: Vouched,
    packet: &Packet<'_, A>,
) -> Found {
    let (network, interface) = (look.view.network, look.ingress);
    // Neighbour discovery alone uses multicast, and comes from the unspecified address at times.
    if neighbour::is_discovery(packet) {
        return discovery(look, packet.either());
    }
    if !unicast || !packet.dst.is_owned(network, interface) {
        return Err(Outcome::DropNotOurAddress);
    }
    if !packet.src.may_be_sent_to(network) {
        return Err(Outcome::DropBadSource);
    }
    if packet.protocol == A::FAMILY.icmp() {
        icmp_message(look, packet)
    } else {
        other_transport(look, vouched, *packet)
    }
}

/// Looks at a neighbour discovery message.
#[cold]
fn discovery<P: Prefetch>(look: &mut Look<'_, P>, packet: Packet<'_>) -> Found {
    let task = neighbour::discovery(look.view.network, look.ingress, packet)?;
    look.task(task)
}

const fn malformed_ip(malformed: Malformed) -> Outcome {
    match malformed {
        Malformed::Truncated => Outcome::DropTruncated,
        Malformed::Checksum => Outcome::DropBadIpChecksum,
        Malformed::Fragment => Outcome::DropFragment,
        Malformed::ExtensionHeaders => Outcome::DropExtensionHeaders,
        Malformed::Version | Malformed::Length | Malformed::Field => Outcome::DropBadIpHeader,
    }
}

/// Looks at what a packet carries for us besides ICMP. Not inlined, for what is common not to share its registers.
#[inline(never)]
fn other_transport<A: Address, P: Prefetch>(
    look: &mut Look<'_, P>,
    vouched: Vouched,
    packet: Packet<'_, A>,
) -> Found {
    // A device may call right what lies behind options and extension headers that it did not look behind.
    let plain = packet.header_len == A::FAMILY.header_len();
    let vouched = Vouched { transport: vouched.transport && plain, ..vouched };
    match packet.protocol {
        protocol::TCP => {
            let (header, _) =
                tcp::Header::ref_from_prefix(packet.payload).map_err(|_| Outcome::DropTruncated)?;
            if !vouched.transport && !packet.upper_layer_sum().verifies() {
                return Err(Outcome::DropBadChecksum);
            }
            if let Some(found) = answer::tcp(&packet, header) {
                let found = look.match_up(found, Shown::default());
                if found != Err(Outcome::DropForged) {
                    return found;
                }
                // What answers no probe is the host's (PROTOCOL §6). A SYN+ACK ends in a RST even so: it may be about a probe of the
                // process before this one, whose secret was another.
                if header.flags & tcp::flag::RST != 0
                    && !kernel::takes_tcp(look.view.network, look.ingress, header)
                {
                    return found;
                }
            }
            if kernel::takes_tcp(look.view.network, look.ingress, header) {
                return Err(Outcome::DropOtherTcp);
            }
            let task = closed::tcp(look.view.policy, &packet.either(), header)?;
            look.task(task)
        }
        protocol::UDP => {
            if kernel::takes_udp(look.view.network, look.ingress, packet.payload) {
                return Err(Outcome::DropOtherUdp);
            }
            let task = closed::udp(look.view.policy, vouched, &packet.either())?;
            look.task(task)
        }
        _ => Err(Outcome::DropOtherProtocol),
    }
}

/// Looks at an ICMP message.
#[inline(always)]
fn icmp_message<A: Address, P: Prefetch>(look: &mut Look<'_, P>, packet: &Packet<'_, A>) -> Found {
    let (header, body) =
        icmp::Header::ref_from_prefix(packet.payload).map_err(|_| Outcome::DropTruncated)?;
    if !packet.pseudo_header().mostly::<{ trace::REQUEST_LEN }>(packet.payload).verifies() {
        return Err(Outcome::DropBadChecksum);
    }
    let icmp::Header { kind, code, .. } = *header;
    let is = |wanted: Kind| kind == wanted.number(A::FAMILY);
    // One comparison after the other, the common ones first: as a match, it would be a jump to a computed place.
    if is(Kind::EchoRequest) && code == trace::CODE {
        request::read(look, packet, header, body)
    } else if is(Kind::TimeExceeded) && code == icmp::TTL_EXCEEDED {
        answer::error(look, packet, body, Outcome::ResponseTimeExceeded)
    } else if is(Kind::DestinationUnreachable) {
        answer::error(look, packet, body, Outcome::ResponseUnreachable)
    } else {
        other_message(look, *packet)
    }
}

/// Looks at an ICMP message that is neither a request nor an error. Not inlined, as [`other_transport`].
#[inline(never)]
fn other_message<A: Address, P: Prefetch>(look: &mut Look<'_, P>, packet: Packet<'_, A>) -> Found {
    let message =
        icmp::Message::parse(A::FAMILY, packet.payload).map_err(|_| Outcome::DropTruncated)?;
    match (message.kind, message.header.code) {
        (Kind::EchoReply, 0) => answer::echo_reply(look, &packet, &message),
        (Kind::EchoRequest, 0) => look.task(Task::Ping(ping::read(&packet.either(), &message))),
        _ => Err(Outcome::DropOtherIcmp),
    }
}
