//! What IPv4 and IPv6 have in common.

use core::net::{IpAddr, Ipv6Addr};

use crate::checksum::Sum;
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

impl core::fmt::Display for Family {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
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

/// A packet of either family, its header checked; extension headers and options are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Source.
    pub src: IpAddr,
    /// Destination; of the same family.
    pub dst: IpAddr,
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

impl<'a> Packet<'a> {
    /// Checks an IPv4 packet, see [`ipv4::Packet::parse`].
    #[inline(always)]
    pub fn parse_v4(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let packet = ipv4::Packet::parse(bytes)?;
        Ok(Self {
            src: IpAddr::V4(packet.header.src.into()),
            dst: IpAddr::V4(packet.header.dst.into()),
            ttl: packet.header.ttl,
            traffic_class: packet.header.tos,
            flow_label: 0,
            protocol: packet.header.protocol,
            header_len: ipv4::HEADER_LEN.wrapping_add(packet.options.len()),
            payload: packet.payload,
        })
    }

    /// Checks an IPv6 packet, see [`ipv6::Packet::parse`].
    #[inline(always)]
    pub fn parse_v6(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let packet = ipv6::Packet::parse(bytes)?;
        Ok(Self {
            src: IpAddr::V6(packet.header.src.into()),
            dst: IpAddr::V6(packet.header.dst.into()),
            ttl: packet.header.hop_limit,
            traffic_class: packet.header.traffic_class(),
            flow_label: packet.header.flow_label(),
            protocol: packet.protocol,
            header_len: ipv6::HEADER_LEN.wrapping_add(packet.extensions_len),
            payload: packet.payload,
        })
    }

    /// The packet's family.
    #[must_use]
    #[inline]
    pub const fn family(&self) -> Family {
        Family::of(self.src)
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
#[inline]
pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, length: u16) -> Sum {
    if protocol == protocol::ICMP {
        Sum::ZERO
    } else {
        Sum::ZERO.addresses(src, dst).upper_layer(protocol, length)
    }
}

/// What of an IP header the sender chooses, for either family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
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

impl Fields {
    /// Writes the header for `payload` octets to the front of `out`; returns what follows it.
    ///
    /// `None` if it does not fit, `payload` is too large, or the addresses are of two families.
    #[must_use]
    #[inline]
    pub fn emit<'a>(&self, payload: usize, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::Fields {
                tos: self.traffic_class,
                identification: self.identification.unwrap_or_default(),
                dont_fragment: self.identification.is_none(),
                ttl: self.ttl,
                protocol: self.protocol,
                src,
                dst,
            }
            .emit(payload, out),
            (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::Fields {
                traffic_class: self.traffic_class,
                flow_label: self.flow_label,
                hop_limit: self.ttl,
                next_header: self.protocol,
                src,
                dst,
            }
            .emit(payload, out),
            _ => None,
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
