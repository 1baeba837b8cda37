//! The first look at a frame: what it is, and whether it is for us.

use std::net::IpAddr;

use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Packet, protocol};
use otherhalf_wire::trace;
use otherhalf_wire::{Malformed, tcp};
use zerocopy::FromBytes;

use crate::answer::{self, Match};
use crate::burst::View;
use crate::closed::{self, Closed};
use crate::frame::Frame;
use crate::neighbour::{self, Notice};
use crate::network::InterfaceId;
use crate::outcome::Outcome;
use crate::ping::{self, Ping};
use crate::request::{self, Ask, Refuse};

/// Where a frame came from: what its answer's link layer needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ingress {
    pub(crate) interface: InterfaceId,
    /// The sender's hardware address.
    pub(crate) mac: Mac,
}

/// What a frame turned out to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    /// There is something to do, and somebody to answer.
    Task(Ingress, Task),
    /// A question for our hardware address, and what it told about the asker.
    Neighbour(Ingress, neighbour::Answer, Option<Notice>),
    /// Nothing is left to do.
    Done(Outcome, Option<Notice>),
}

/// What is left to do for a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    /// A request that deserves a probe.
    Ask(Ask),
    /// A request that is refused.
    Refuse(Refuse),
    /// An answer to a probe, if one waits for it.
    Match(Match),
    /// A ping.
    Ping(Ping),
    /// Something for a port that nothing listens on.
    Closed(Closed),
}

impl Task {
    /// The one whom the answer to the frame goes to.
    #[inline]
    pub(crate) const fn receiver(&self) -> IpAddr {
        match self {
            Self::Ask(ask) => ask.requester,
            Self::Refuse(refuse) => refuse.requester,
            Self::Match(found) => found.target,
            Self::Ping(ping) => ping.pinger,
            Self::Closed(closed) => closed.sender(),
        }
    }
}

/// A task, or why there is none.
pub(crate) type Found = Result<Task, Outcome>;

/// Looks at `frame`.
pub(crate) fn classify(view: &View<'_>, frame: &Frame<'_>) -> Stage {
    let drop = |outcome| Stage::Done(outcome, None);
    let (link, payload) = match Link::parse(frame.octets()) {
        Ok(parsed) => parsed,
        Err(Malformed::Truncated) => return drop(Outcome::DropTruncated),
        Err(_) => return drop(Outcome::DropUnknownVlan),
    };
    let Some((interface, known)) = view.network.interface_for(frame.port(), link.vlan) else {
        return drop(Outcome::DropUnknownVlan);
    };
    let unicast = link.dst == known.mac;
    if !(unicast || link.dst.is_group()) || !link.src.is_unicast() {
        return drop(Outcome::DropNotOurMac);
    }
    let ingress = Ingress { interface, mac: link.src };
    let packet = match link.ethertype {
        ethertype::IPV4 => Packet::parse_v4(payload),
        ethertype::IPV6 => Packet::parse_v6(payload),
        ethertype::ARP => return neighbour::arp(view.network, ingress, payload),
        _ => return drop(Outcome::DropUnknownEthertype),
    };
    let packet = match packet {
        Ok(packet) => packet,
        Err(malformed) => return drop(malformed_ip(malformed)),
    };
    // Neighbour discovery alone uses multicast, and comes from the unspecified address at times.
    if neighbour::is_discovery(&packet) {
        return neighbour::discovery(view.network, ingress, &packet);
    }
    if !unicast || !view.network.owns(packet.dst, ingress.interface) {
        return drop(Outcome::DropNotOurAddress);
    }
    if !view.network.may_be_sent_to(packet.src) {
        return drop(Outcome::DropBadSource);
    }
    match upper_layer(view, &packet) {
        Ok(task) => Stage::Task(ingress, task),
        Err(outcome) => drop(outcome),
    }
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
#[inline]
fn upper_layer(view: &View<'_>, packet: &Packet<'_>) -> Found {
    match (packet.protocol, packet.src) {
        (protocol::ICMP, IpAddr::V4(_)) | (protocol::ICMPV6, IpAddr::V6(_)) => {
            let message = icmp::Message::parse(packet.family(), packet.payload)
                .map_err(|_| Outcome::DropTruncated)?;
            if !packet.upper_layer_sum().verifies() {
                return Err(Outcome::DropBadChecksum);
            }
            match (message.kind, message.header.code) {
                (Kind::EchoRequest, trace::CODE) => request::read(view.policy, packet, &message),
                (Kind::EchoRequest, 0) => Ok(Task::Ping(ping::read(packet, &message))),
                (Kind::EchoReply, 0) => answer::echo_reply(packet, &message),
                (Kind::TimeExceeded, icmp::TTL_EXCEEDED) => {
                    answer::error(view.network, packet, &message, Outcome::ResponseTimeExceeded)
                }
                (Kind::DestinationUnreachable, _) => {
                    answer::error(view.network, packet, &message, Outcome::ResponseUnreachable)
                }
                _ => Err(Outcome::DropOtherIcmp),
            }
        }
        (protocol::TCP, _) => {
            let (header, _) =
                tcp::Header::ref_from_prefix(packet.payload).map_err(|_| Outcome::DropTruncated)?;
            if !packet.upper_layer_sum().verifies() {
                return Err(Outcome::DropBadChecksum);
            }
            match answer::tcp(packet, header) {
                Some(found) => Ok(Task::Match(found)),
                None => closed::tcp(view.policy, packet, header),
            }
        }
        (protocol::UDP, _) => closed::udp(view.policy, packet),
        _ => Err(Outcome::DropOtherProtocol),
    }
}
