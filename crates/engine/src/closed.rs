//! What comes to a port of ours that nothing listens on: answered as any host answers it
//! (RFC 1122 §4.1.3.1, RFC 9293 §3.10.7.1), so that forward traces end at us.
//!
//! The answers have a budget (RFC 4443 §2.4 (f) demands one). They quote headers and 8 octets, over IPv6 too, where
//! RFC 4443 §2.4 (c) would have as much as fits: an answer is to be no larger than what it answers, or nearly so.

use std::net::IpAddr;

use otherhalf_wire::ip::Packet;
use otherhalf_wire::quote::LEAST;
use otherhalf_wire::{icmp, ipv6, tcp, udp};
use zerocopy::FromBytes;

use crate::classify::Task;
use crate::emit::Reset;
use crate::frame::Vouched;
use crate::outcome::Outcome;
use crate::policy::Policy;

/// With its headers, an error is no longer than what every link takes (RFC 4443 §2.4 (c)); the
/// headers of IPv4 never get that long.
const LONGEST_QUOTE: usize = 1280 - ipv6::HEADER_LEN - icmp::HEADER_LEN;

/// A packet to a closed port.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Closed {
    /// A datagram, to be quoted in a port unreachable.
    Udp(Datagram),
    /// A segment, to be answered by a RST.
    Tcp(Reset),
}

/// What a port unreachable quotes, and where it lies in the frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datagram {
    pub(crate) own: IpAddr,
    pub(crate) sender: IpAddr,
    /// Octets to be quoted: the IP header with all that belongs to it, and 8 more.
    pub(crate) quoted: usize,
}

impl Closed {
    /// Whom the answer goes to.
    pub(crate) const fn sender(&self) -> IpAddr {
        match self {
            Self::Udp(datagram) => datagram.sender,
            Self::Tcp(reset) => reset.target,
        }
    }
}

/// Reads a datagram: none is expected.
pub(crate) fn udp(policy: &Policy, vouched: Vouched, packet: &Packet<'_>) -> Result<Task, Outcome> {
    let (header, _) =
        udp::Header::ref_from_prefix(packet.payload).map_err(|_| Outcome::DropTruncated)?;
    if !policy.closed_ports {
        return Err(Outcome::DropOtherUdp);
    }
    // RFC 768: no checksum; RFC 8200 §8.1: not in IPv6.
    let right = match header.checksum.get() {
        0 => packet.src.is_ipv4(),
        _ => vouched.transport || packet.upper_layer_sum().verifies(),
    };
    if !right {
        return Err(Outcome::DropBadChecksum);
    }
    Ok(Task::Closed(Closed::Udp(Datagram {
        own: packet.dst,
        sender: packet.src,
        quoted: packet.header_len.saturating_add(LEAST).min(LONGEST_QUOTE),
    })))
}

/// Reads a segment that answers no probe; its checksum is right.
pub(crate) fn tcp(
    policy: &Policy,
    packet: &Packet<'_>,
    header: &tcp::Header,
) -> Result<Task, Outcome> {
    // A RST is never answered (RFC 9293 §3.10.7.1).
    if !policy.closed_ports || header.flags & tcp::flag::RST != 0 {
        return Err(Outcome::DropOtherTcp);
    }
    let header_len = usize::from(header.data_offset >> 4).saturating_mul(4);
    let data = packet.payload.len().saturating_sub(header_len);
    let controls = [tcp::flag::SYN, tcp::flag::FIN]
        .into_iter()
        .filter(|flag| header.flags & flag != 0)
        .count();
    let occupied = u32::try_from(data.saturating_add(controls)).unwrap_or_default();
    let (sequence, acknowledgement) = if header.flags & tcp::flag::ACK == 0 {
        (0, Some(header.sequence.get().wrapping_add(occupied)))
    } else {
        (header.acknowledgement.get(), None)
    };
    Ok(Task::Closed(Closed::Tcp(Reset {
        own: packet.dst,
        target: packet.src,
        own_port: header.dst_port.get(),
        target_port: header.src_port.get(),
        sequence,
        acknowledgement,
    })))
}
