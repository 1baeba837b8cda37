//! Packets and frames that no socket sends by itself.

use std::net::IpAddr;

use otherhalf_wire::checksum::Sum;
use otherhalf_wire::ethernet::{Link, Mac, VlanId, ethertype};
use otherhalf_wire::extension::{Class, Object};
use otherhalf_wire::ip::{Family, Fields, protocol, pseudo_header, to_mapped};
use otherhalf_wire::ipv4;
use otherhalf_wire::ipv6;
use otherhalf_wire::tcp;
use otherhalf_wire::trace::{REQUEST_LEN, Request};
use zerocopy::IntoBytes as _;

/// The hardware address that the responder's port is given.
pub(crate) const RESPONDER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x80]);
/// A station that answers nothing.
const SENDER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x99]);

/// A request as an ICMP message.
pub(crate) fn request(request: Request, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let mut message = vec![0; REQUEST_LEN];
    assert_eq!(request.emit(src, dst, &[], &mut message), Some(REQUEST_LEN));
    message
}

/// The same for a probe towards `target`.
pub(crate) fn request_towards(
    request: Request,
    [src, dst]: [IpAddr; 2],
    target: IpAddr,
) -> Vec<u8> {
    let target = to_mapped(target).octets();
    let object = Object { class: Class::INDIRECT_TARGET, payload: &target };
    let mut message = vec![0; 64];
    let len = request.emit(src, dst, &[object], &mut message).unwrap();
    message.truncate(len);
    message
}

/// An ICMP message with the checksum that it needs, if it has room for one.
pub(crate) fn sealed(mut message: Vec<u8>, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    if message.len() >= 4 {
        message[2..4].fill(0);
        let length = u16::try_from(message.len()).unwrap();
        let sum = pseudo_header(src, dst, Family::of(src).icmp(), length).bytes(&message);
        message[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
    }
    message
}

/// A packet of `protocol`.
pub(crate) fn packet(protocol: u8, src: IpAddr, dst: IpAddr, payload: &[u8]) -> Vec<u8> {
    let fields = Fields {
        src,
        dst,
        ttl: 64,
        traffic_class: 0,
        flow_label: 0,
        identification: Some(1),
        protocol,
    };
    let header_len = Family::of(src).header_len();
    let mut packet = vec![0; header_len + payload.len()];
    fields.emit(payload.len(), &mut packet).unwrap().copy_from_slice(payload);
    packet
}

/// A packet of the family's ICMP.
pub(crate) fn icmp(src: IpAddr, dst: IpAddr, message: &[u8]) -> Vec<u8> {
    packet(Family::of(src).icmp(), src, dst, message)
}

/// A TCP packet that asks for a connection between these ports.
pub(crate) fn syn(src: IpAddr, dst: IpAddr, [src_port, dst_port]: [u16; 2]) -> Vec<u8> {
    let mut header = tcp::Header {
        src_port: src_port.into(),
        dst_port: dst_port.into(),
        sequence: 1.into(),
        acknowledgement: 0.into(),
        data_offset: tcp::NO_OPTIONS,
        flags: tcp::flag::SYN,
        window: 8192.into(),
        checksum: 0.into(),
        urgent: 0.into(),
    };
    let length = u16::try_from(size_of::<tcp::Header>()).unwrap();
    let sum = pseudo_header(src, dst, protocol::TCP, length).bytes(header.as_bytes());
    header.checksum = sum.checksum().into();
    packet(protocol::TCP, src, dst, header.as_bytes())
}

/// An IPv4 packet with `options` put in; their length is a multiple of 4.
pub(crate) fn with_options(packet: &[u8], options: &[u8]) -> Vec<u8> {
    let (header, payload) = packet.split_at(ipv4::HEADER_LEN);
    let mut packet = [header, options, payload].concat();
    packet[0] = 0x40 | u8::try_from((ipv4::HEADER_LEN + options.len()) / 4).unwrap();
    let total = u16::try_from(packet.len()).unwrap();
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    reseal(&mut packet);
    packet
}

/// Writes the checksum of an IPv4 header anew.
pub(crate) fn reseal(packet: &mut [u8]) {
    let header_len = usize::from(packet[0] & 0x0f) * 4;
    packet[10..12].fill(0);
    let checksum = Sum::ZERO.bytes(&packet[..header_len]).checksum();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// An IPv6 extension header: its number, and its octets with the first one still to be written.
pub(crate) type Extension = (u8, [u8; 8]);

/// Hop-by-hop options (RFC 8200 §4.3): six octets of padding.
pub(crate) const HOP_BY_HOP: Extension = (0, [0, 0, 1, 4, 0, 0, 0, 0]);
/// Destination options (§4.6), likewise.
pub(crate) const DESTINATION_OPTIONS: Extension = (60, [0, 0, 1, 4, 0, 0, 0, 0]);
/// A routing header (§4.4) of a type for experiments (RFC 4727), which is at its end.
pub(crate) const ROUTING: Extension = (43, [0, 0, 253, 0, 0, 0, 0, 0]);
/// A fragment header (§4.5) of a packet that is whole (RFC 6946).
pub(crate) const ATOMIC_FRAGMENT: Extension = (44, [0, 0, 0, 0, 0, 0, 0, 1]);
/// A fragment header of a packet of which more follows.
pub(crate) const FIRST_FRAGMENT: Extension = (44, [0, 0, 0, 1, 0, 0, 0, 1]);

/// An IPv6 packet with `extensions` put in.
pub(crate) fn with_extensions(packet: &[u8], extensions: &[Extension]) -> Vec<u8> {
    let (header, payload) = packet.split_at(ipv6::HEADER_LEN);
    let mut packet = header.to_vec();
    let mut next_at = 6;
    let upper_layer = packet[next_at];
    for (number, octets) in extensions {
        packet[next_at] = *number;
        next_at = packet.len();
        packet.extend(octets);
    }
    packet[next_at] = upper_layer;
    packet.extend(payload);
    let length = u16::try_from(packet.len() - ipv6::HEADER_LEN).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    packet
}

/// A frame for the responder.
pub(crate) fn frame(packet: &[u8]) -> Vec<u8> {
    let ethertype = if packet[0] >> 4 == 6 { ethertype::IPV6 } else { ethertype::IPV4 };
    frame_of(RESPONDER_MAC, None, ethertype, packet)
}

/// Any frame.
pub(crate) fn frame_of(dst: Mac, vlan: Option<u16>, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let vlan = vlan.map(|id| VlanId::new(id).unwrap());
    let link = Link { dst, src: SENDER_MAC, vlan, ethertype };
    let mut frame = vec![0; link.len() + payload.len()];
    link.emit(&mut frame).unwrap().copy_from_slice(payload);
    frame
}
