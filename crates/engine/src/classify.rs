//! The first look at a frame: what it is, and whether it is for us.

use std::net::{Ipv4Addr, Ipv6Addr};

use otherhalf_pending::Prefetch;
use otherhalf_wire::ethernet::{self, ethertype};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Known as _, Packet, protocol};
use otherhalf_wire::trace;
use otherhalf_wire::{Malformed, tcp};
use zerocopy::FromBytes;

use crate::answer;
use crate::burst::View;
use crate::closed::{self, Closed};
use crate::frame::{Frame, Vouched};
use crate::neighbour::{self, Notice};
use crate::network::InterfaceId;
use crate::outcome::Outcome;
use crate::ping::{self, Ping};
use crate::request::{self, Refuse};
use crate::work::{Address, Found, Look};

/// A frame that came in by an interface of ours.
pub(crate) struct Entered<'a> {
    pub(crate) ingress: InterfaceId,
    /// To us alone, not to a group.
    unicast: bool,
    ethertype: u16,
    payload: &'a [u8],
    vouched: Vouched,
}

/// What is left to do for a frame that is neither a request to be probed for nor an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    /// A request that is refused.
    Refuse(Refuse),
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
    let ethernet::Frame { header, vlan, ethertype, payload } =
        ethernet::Frame::parse(frame.octets()).map_err(|malformed| match malformed {
            Malformed::Truncated => Outcome::DropTruncated,
            _ => Outcome::DropUnknownVlan,
        })?;
    let (ingress, known) =
        view.network.interface_for(frame.port(), vlan).ok_or(Outcome::DropUnknownVlan)?;
    let unicast = header.dst == known.mac;
    if !(unicast || header.dst.is_group()) || !header.src.is_unicast() {
        return Err(Outcome::DropNotOurMac);
    }
    Ok(Entered { ingress, unicast, ethertype, payload, vouched: frame.vouched_for() })
}

/// Looks at what follows the link layer.
#[inline(always)]
pub(crate) fn classify<P: Prefetch>(look: &mut Look<'_, P>, entered: &Entered<'_>) -> Found {
    let Entered { unicast, ethertype, payload, vouched, .. } = *entered;
    match ethertype {
        ethertype::IPV4 => {
            internet_layer(look, unicast, vouched, Ipv4Addr::parse(payload, vouched.ipv4))
        }
        ethertype::IPV6 => {
            internet_layer(look, unicast, vouched, Ipv6Addr::parse(payload, vouched.ipv4))
        }
        ethertype::ARP => {
            let task = neighbour::arp(look.view.network, look.ingress, payload)?;
            look.task(task)
        }
        _ => Err(Outcome::DropUnknownEthertype),
    }
}

/// Looks whether an IP packet is for us. Once for each family: what is known of one costs the other nothing.
#[inline(always)]
fn internet_layer<A: Address, P: Prefetch>(
    look: &mut Look<'_, P>,
    unicast: bool,
    vouched: Vouched,
    packet: Result<Packet<'_, A>, Malformed>,
) -> Found {
    let packet = packet.map_err(malformed_ip)?;
    let (network, interface) = (look.view.network, look.ingress);
    // Neighbour discovery alone uses multicast, and comes from the unspecified address at times.
    if neighbour::is_discovery(&packet) {
        let task = neighbour::discovery(network, interface, packet.either())?;
        return look.task(task);
    }
    if !unicast || !packet.dst.is_owned(network, interface) {
        return Err(Outcome::DropNotOurAddress);
    }
    if !packet.src.may_be_sent_to(network) {
        return Err(Outcome::DropBadSource);
    }
    upper_layer(look, vouched, &packet)
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

/// Looks at what the IP packet of a frame carries for us.
#[inline(always)]
fn upper_layer<A: Address, P: Prefetch>(
    look: &mut Look<'_, P>,
    vouched: Vouched,
    packet: &Packet<'_, A>,
) -> Found {
    // A device may call right what lies behind options and extension headers that it did not look behind.
    let plain = packet.header_len == A::FAMILY.header_len();
    let vouched = Vouched { transport: vouched.transport && plain, ..vouched };
    match packet.protocol {
        number if number == A::FAMILY.icmp() => {
            if packet.payload.len() < icmp::HEADER_LEN {
                return Err(Outcome::DropTruncated);
            }
            if !packet.upper_layer_sum().verifies() {
                return Err(Outcome::DropBadChecksum);
            }
            icmp_message(look, packet)
        }
        protocol::TCP => {
            let (header, _) =
                tcp::Header::ref_from_prefix(packet.payload).map_err(|_| Outcome::DropTruncated)?;
            if !vouched.transport && !packet.upper_layer_sum().verifies() {
                return Err(Outcome::DropBadChecksum);
            }
            if let Some(found) = answer::tcp(packet, header) {
                return look.match_up(found);
            }
            let task = closed::tcp(look.view.policy, &packet.either(), header)?;
            look.task(task)
        }
        protocol::UDP => {
            let task = closed::udp(look.view.policy, vouched, &packet.either())?;
            look.task(task)
        }
        _ => Err(Outcome::DropOtherProtocol),
    }
}

/// Looks at an ICMP message; its checksum is right.
#[inline(always)]
fn icmp_message<A: Address, P: Prefetch>(look: &mut Look<'_, P>, packet: &Packet<'_, A>) -> Found {
    let message =
        icmp::Message::parse(A::FAMILY, packet.payload).map_err(|_| Outcome::DropTruncated)?;
    let icmp::Header { kind, code, .. } = *message.header;
    let is = |wanted: Kind| kind == wanted.number(A::FAMILY);
    // One comparison after the other, the common ones first: as a match, it would be a jump to a computed place.
    if is(Kind::EchoRequest) && code == trace::CODE {
        request::read(look, packet, &message)
    } else if is(Kind::TimeExceeded) && code == icmp::TTL_EXCEEDED {
        answer::error(look, packet, &message, Outcome::ResponseTimeExceeded)
    } else if is(Kind::DestinationUnreachable) {
        answer::error(look, packet, &message, Outcome::ResponseUnreachable)
    } else if is(Kind::EchoReply) && code == 0 {
        answer::echo_reply(look, packet, &message)
    } else if is(Kind::EchoRequest) && code == 0 {
        look.task(Task::Ping(ping::read(&packet.either(), &message)))
    } else {
        Err(Outcome::DropOtherIcmp)
    }
}
