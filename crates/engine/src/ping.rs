//! Ping: an echo request of code 0 to an address of ours (RFC 792, RFC 4443 §4.2).

use std::net::IpAddr;

use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip::Packet;

/// A ping, and where its echo lies in the frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ping {
    pub(crate) own: IpAddr,
    pub(crate) pinger: IpAddr,
    pub(crate) traffic_class: u8,
    pub(crate) flow_label: u32,
    /// For the reply, which may be fragmented: the message's checksum, which differs from ping to ping.
    pub(crate) identification: u16,
    /// Octets of the IP header, options and extension headers included; the reply has none.
    pub(crate) header_len: usize,
    /// Octets of the ICMP message.
    pub(crate) len: usize,
}

/// Reads a ping; its checksum is right.
pub(crate) fn read(packet: &Packet<'_>, message: &Message<'_>) -> Ping {
    Ping {
        own: packet.dst,
        pinger: packet.src,
        traffic_class: packet.traffic_class,
        flow_label: packet.flow_label,
        identification: message.header.checksum.get(),
        header_len: packet.header_len,
        len: packet.payload.len(),
    }
}
