//! What IPv4 and IPv6 have in common.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::checksum::Sum;
use crate::quote::Quote;
use crate::{Malformed, ipv4, ipv6};

/// IP protocol numbers.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    #[must_use]
    #[inline]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The protocol number of the family's ICMP.
    #[must_use]
    #[inline]
    pub const fn icmp(self) -> u8 {
        match self {
            Self::V4 => protocol::ICMP,
            Self::V6 => protocol::ICMPV6,
        }
    }

    /// Octets of the family's fixed header.
    #[must_use]
    #[inline]
    pub const fn header_len(self) -> usize {
        match self {
            Self::V4 => ipv4::HEADER_LEN,
            Self::V6 => ipv6::HEADER_LEN,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// `address` as protocols with one field for both families carry it: IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
#[must_use]
#[inline]
pub const fn to_mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// The reverse of [`to_mapped`].
#[must_use]
#[inline]
pub const fn from_mapped(address: Ipv6Addr) -> IpAddr {
    match address.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4),
        None => IpAddr::V6(address),
    }
}

/// An address: of a family that is known when the code is compiled, or of either ([`IpAddr`]).
///
/// What is generic over it asks no address for its family, nor moves more octets than its family has.
pub trait Address: Copy + Eq + fmt::Debug + Into<IpAddr> {
    /// Its family.
    fn family(self) -> Family;

    /// As [`to_mapped`] has it.
    fn to_mapped(self) -> Ipv6Addr;

    /// Adds it to `sum`, as pseudo headers do.
    fn add_to(self, sum: Sum) -> Sum;

    /// See [`Fields::emit`].
    fn emit<'a>(fields: &Fields<Self>, payload: usize, out: &'a mut [u8]) -> Option<&'a mut [u8]>;
}

/// An address of a family that is known when the code is compiled.
pub trait Known: Address {
    /// The family.
    const FAMILY: Family;

    /// Checks a packet of the family, see [`ipv4::Packet::parse`] and [`ipv6::Packet::parse`]. A header checksum that was
    /// `verified` already is not verified again.
    fn parse(bytes: &[u8], verified: bool) -> Result<Packet<'_, Self>, Malformed>;

    /// The packet, if it is one without options or extension headers that [`parse`](Self::parse) reads as well: nearly all
    /// are, and are told at once. `None` says nothing.
    fn parse_plain(bytes: &[u8], verified: bool) -> Option<Packet<'_, Self>>;

    /// Reads what an ICMP error of the family quotes, see [`Quote::parse`].
    fn parse_quote(bytes: &[u8]) -> Result<Quote<'_, Self>, Malformed>;
}

impl Address for Ipv4Addr {
    #[inline(always)]
    fn family(self) -> Family {
        Self::FAMILY
    }

    #[inline(always)]
    fn to_mapped(self) -> Ipv6Addr {
        self.to_ipv6_mapped()
    }

    #[inline(always)]
    fn add_to(self, sum: Sum) -> Sum {
        sum.bytes(&self.octets())
    }

    #[inline(always)]
    fn emit<'a>(fields: &Fields<Self>, payload: usize, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        ipv4::Fields {
            tos: fields.traffic_class,
            identification: fields.identification.unwrap_or_default(),
            dont_fragment: fields.identification.is_none(),
            ttl: fields.ttl,
            protocol: fields.protocol,
            src: fields.src,
            dst: fields.dst,
        }
        .emit(payload, out)
    }
}

impl Known for Ipv4Addr {
    const FAMILY: Family = Family::V4;

    #[inline(always)]
    fn parse(bytes: &[u8], verified: bool) -> Result<Packet<'_, Self>, Malformed> {
        ipv4::Packet::parse_summed(bytes, verified).map(Packet::from)
    }

    #[inline(always)]
    fn parse_plain(bytes: &[u8], verified: bool) -> Option<Packet<'_, Self>> {
        ipv4::Packet::parse_plain(bytes, verified).map(Packet::from)
    }

    #[inline(always)]
    fn parse_quote(bytes: &[u8]) -> Result<Quote<'_, Self>, Malformed> {
        Quote::parse_v4(bytes)
    }
}

impl Address for Ipv6Addr {
    #[inline(always)]
    fn family(self) -> Family {
        Self::FAMILY
    }

    #[inline(always)]
    fn to_mapped(self) -> Ipv6Addr {
        self
    }

    #[inline(always)]
    fn add_to(self, sum: Sum) -> Sum {
        sum.bytes(&self.octets())
    }

    #[inline(always)]
    fn emit<'a>(fields: &Fields<Self>, payload: usize, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        ipv6::Fields {
            traffic_class: fields.traffic_class,
            flow_label: fields.flow_label,
            hop_limit: fields.ttl,
            next_header: fields.protocol,
            src: fields.src,
            dst: fields.dst,
        }
        .emit(payload, out)
    }
}

impl Known for Ipv6Addr {
    const FAMILY: Family = Family::V6;

    #[inline(always)]
    fn parse(bytes: &[u8], _: bool) -> Result<Packet<'_, Self>, Malformed> {
        ipv6::Packet::parse(bytes).map(Packet::from)
    }

    #[inline(always)]
    fn parse_plain(bytes: &[u8], _: bool) -> Option<Packet<'_, Self>> {
        ipv6::Packet::parse_plain(bytes).map(Packet::from)
    }

    #[inline(always)]
    fn parse_quote(bytes: &[u8]) -> Result<Quote<'_, Self>, Malformed> {
        Quote::parse_v6(bytes)
    }
}

impl Address for IpAddr {
    #[inline]
    fn family(self) -> Family {
        Family::of(self)
    }

    #[inline]
    fn to_mapped(self) -> Ipv6Addr {
        to_mapped(self)
    }

    #[inline]
    fn add_to(self, sum: Sum) -> Sum {
        match self {
            Self::V4(v4) => v4.add_to(sum),
            Self::V6(v6) => v6.add_to(sum),
        }
    }

    #[inline]
    fn emit<'a>(fields: &Fields<Self>, payload: usize, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        match (fields.src, fields.dst) {
            (Self::V4(src), Self::V4(dst)) => fields.between(src, dst).emit(payload, out),
            (Self::V6(src), Self::V6(dst)) => fields.between(src, dst).emit(payload, out),
            _ => None,
        }
    }
}

/// A packet, its header checked; extension headers and options are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a, A = IpAddr> {
    /// Source.
    pub src: A,
    /// Destination; of the same family.
    pub dst: A,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// Flow label; 0 in IPv4.
    pub flow_label: u32,
    /// The protocol of the upper layer.
    pub protocol: u8,
    /// Octets before the upper layer: options and extension headers included.
    pub header_len: usize,
    /// The upper layer, without link-layer padding.
    pub payload: &'a [u8],
}

impl<'a> From<ipv4::Packet<'a>> for Packet<'a, Ipv4Addr> {
    #[inline(always)]
    fn from(packet: ipv4::Packet<'a>) -> Self {
        Self {
            src: packet.header.src.into(),
            dst: packet.header.dst.into(),
            ttl: packet.header.ttl,
            traffic_class: packet.header.tos,
            flow_label: 0,
            protocol: packet.header.protocol,
            header_len: ipv4::HEADER_LEN.wrapping_add(packet.options.len()),
            payload: packet.payload,
        }
    }
}

impl<'a> From<ipv6::Packet<'a>> for Packet<'a, Ipv6Addr> {
    #[inline(always)]
    fn from(packet: ipv6::Packet<'a>) -> Self {
        Self {
            src: packet.header.src.into(),
            dst: packet.header.dst.into(),
            ttl: packet.header.hop_limit,
            traffic_class: packet.header.traffic_class(),
            flow_label: packet.header.flow_label(),
            protocol: packet.protocol,
            header_len: ipv6::HEADER_LEN.wrapping_add(packet.extensions_len),
            payload: packet.payload,
        }
    }
}

impl<'a> Packet<'a> {
    /// Checks an IPv4 packet, see [`ipv4::Packet::parse`].
    #[inline]
    pub fn parse_v4(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Ipv4Addr::parse(bytes, false).map(Packet::either)
    }

    /// Checks an IPv6 packet, see [`ipv6::Packet::parse`].
    #[inline]
    pub fn parse_v6(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Ipv6Addr::parse(bytes, false).map(Packet::either)
    }
}

impl<'a, A: Address> Packet<'a, A> {
    /// The packet as one that may be of either family.
    #[must_use]
    #[inline(always)]
    pub fn either(self) -> Packet<'a> {
        Packet {
            src: self.src.into(),
            dst: self.dst.into(),
            ttl: self.ttl,
            traffic_class: self.traffic_class,
            flow_label: self.flow_label,
            protocol: self.protocol,
            header_len: self.header_len,
            payload: self.payload,
        }
    }

    /// The packet's family.
    #[must_use]
    #[inline(always)]
    pub fn family(&self) -> Family {
        self.src.family()
    }

    /// The sum of the pseudo header and the payload, which verifies if the checksum in it is right.
    #[must_use]
    #[inline(always)]
    pub fn upper_layer_sum(&self) -> Sum {
        self.pseudo_header().bytes(self.payload)
    }

    /// The pseudo header of the upper layer; nothing for ICMP over IPv4 (RFC 792).
    #[must_use]
    #[inline(always)]
    pub fn pseudo_header(&self) -> Sum {
        // A payload came out of a 16-bit length field.
        let length = u16::try_from(self.payload.len()).unwrap_or(u16::MAX);
        pseudo_header(self.src, self.dst, self.protocol, length)
    }
}

/// The pseudo header of `length` octets of `protocol`; nothing for ICMP over IPv4 (RFC 792).
#[must_use]
#[inline(always)]
pub fn pseudo_header<A: Address>(src: A, dst: A, protocol: u8, length: u16) -> Sum {
    if protocol == protocol::ICMP {
        Sum::ZERO
    } else {
        dst.add_to(src.add_to(Sum::ZERO)).upper_layer(protocol, length)
    }
}

/// What of an IP header the sender chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields<A = IpAddr> {
    /// Source.
    pub src: A,
    /// Destination.
    pub dst: A,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// Flow label; of no use in IPv4.
    pub flow_label: u32,
    /// Identification, of no use in IPv6. None: the packet must not be fragmented, so it needs none (RFC 6864 §4.1).
    pub identification: Option<u16>,
    /// The upper layer's protocol.
    pub protocol: u8,
}

impl<A: Address> Fields<A> {
    /// Writes the header for `payload` octets to the front of `out`; returns what follows it.
    ///
    /// `None` if it does not fit, `payload` is too large, or the addresses are of two families.
    #[must_use]
    #[inline(always)]
    pub fn emit<'a>(&self, payload: usize, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        A::emit(self, payload, out)
    }

    /// The same with other addresses.
    #[inline]
    fn between<B>(&self, src: B, dst: B) -> Fields<B> {
        Fields {
            src,
            dst,
            ttl: self.ttl,
            traffic_class: self.traffic_class,
            flow_label: self.flow_label,
            identification: self.identification,
            protocol: self.protocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_and_back() {
        for text in ["192.0.2.1", "2001:db8::1", "::1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(from_mapped(to_mapped(address)), address);
        }
    }

    #[test]
    fn emit_then_parse_for_both_families() {
        for (src, dst) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
            let (src, dst): (IpAddr, IpAddr) = (src.parse().unwrap(), dst.parse().unwrap());
            let fields = Fields {
                src,
                dst,
                ttl: 3,
                traffic_class: 8,
                flow_label: 5,
                identification: Some(7),
                protocol: 17,
            };
            let mut out = [0; 48];
            let len = out.len() - fields.emit(4, &mut out).unwrap().len() + 4;
            let packet = match Family::of(src) {
                Family::V4 => Packet::parse_v4(&out[..len]),
                Family::V6 => Packet::parse_v6(&out[..len]),
            }
            .unwrap();
            assert_eq!(
                (packet.src, packet.dst, packet.ttl, packet.traffic_class),
                (src, dst, 3, 8)
            );
            assert_eq!((packet.protocol, packet.payload.len()), (17, 4));
            assert!(
                Fields { dst: "::1".parse().unwrap(), src: "0.0.0.0".parse().unwrap(), ..fields }
                    .emit(4, &mut out)
                    .is_none()
            );
        }
    }
}
