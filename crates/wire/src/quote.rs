//! What an ICMP error quotes of the packet that it is about.
//!
//! Routers must quote the IP header and 8 octets (RFC 792), should quote more (RFC 1812 §4.3.2.3),
//! and may append other things (RFC 4884). So a quote is read leniently: what is not there is not
//! demanded, checksums and lengths are those of a packet on its way and not verified.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::FromBytes;

use crate::ip::Family;
use crate::{Malformed, ipv4, ipv6};

/// Octets of the upper layer that the least of routers quotes.
pub const LEAST: usize = 8;

/// [`ipv6::HEADER_LEN`], as lengths are counted in headers.
const HEADER_LEN_V6: u16 = 40;

/// A quoted packet, as far as it was quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote<'a, A = IpAddr> {
    /// The packet's source: who gets the error.
    pub src: A,
    /// The packet's destination.
    pub dst: A,
    /// TTL or hop limit when the packet was given up.
    pub ttl: u8,
    /// Type of service or traffic class, which routers may have changed.
    pub traffic_class: u8,
    /// Identification; none in IPv6.
    pub identification: Option<u16>,
    /// Octets of the whole packet, as its header says.
    pub length: u16,
    /// The upper layer's protocol.
    pub protocol: u8,
    /// The upper layer, [`LEAST`] octets or more of it.
    pub transport: &'a [u8],
}

impl<'a> Quote<'a> {
    /// Reads a quote from what follows the 8 octets of an ICMP error's header.
    #[inline]
    pub fn parse(family: Family, bytes: &'a [u8]) -> Result<Self, Malformed> {
        match family {
            Family::V4 => Quote::parse_v4(bytes).map(Quote::either),
            Family::V6 => Quote::parse_v6(bytes).map(Quote::either),
        }
    }

    /// The same, but it may also be of an IPv4 packet's first fragment, which has all that names the packet: of a packet that was
    /// fragmented on its way, routers further on quote that (RFC 792).
    #[inline]
    pub fn parse_first(family: Family, bytes: &'a [u8]) -> Result<Self, Malformed> {
        match family {
            Family::V4 => Quote::read_v4(bytes, ipv4::Header::is_later_fragment).map(Quote::either),
            Family::V6 => Quote::parse_v6(bytes).map(Quote::either),
        }
    }
}

impl<'a> Quote<'a, Ipv4Addr> {
    /// See [`Quote::parse`].
    #[inline(always)]
    pub fn parse_v4(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::read_v4(bytes, ipv4::Header::is_fragment)
    }

    #[inline(always)]
    fn read_v4(bytes: &'a [u8], refuse: impl Fn(&ipv4::Header) -> bool) -> Result<Self, Malformed> {
        let (header, _) = ipv4::Header::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        // The inner header's own length: an outer one says nothing about it.
        let header_len = header.header_len()?;
        if refuse(header) {
            return Err(Malformed::Fragment);
        }
        let transport = bytes.get(header_len..).ok_or(Malformed::Truncated)?;
        let said = usize::from(header.total_length.get()).checked_sub(header_len);
        Ok(Self {
            src: header.src.into(),
            dst: header.dst.into(),
            ttl: header.ttl,
            traffic_class: header.tos,
            identification: Some(header.identification.get()),
            length: header.total_length.get(),
            protocol: header.protocol,
            transport: within(transport, said)?,
        })
    }
}

impl<'a> Quote<'a, Ipv6Addr> {
    /// See [`Quote::parse`].
    #[inline(always)]
    pub fn parse_v6(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) =
            ipv6::Header::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        if !header.is_version_6() {
            return Err(Malformed::Version);
        }
        let rest = within(rest, Some(usize::from(header.payload_length.get())))?;
        let (protocol, transport) = ipv6::upper_layer(header.next_header, rest)?;
        if transport.len() < LEAST {
            return Err(Malformed::Truncated);
        }
        Ok(Self {
            src: header.src.into(),
            dst: header.dst.into(),
            ttl: header.hop_limit,
            traffic_class: header.traffic_class(),
            identification: None,
            length: header.payload_length.get().saturating_add(HEADER_LEN_V6),
            protocol,
            transport,
        })
    }
}

impl<'a, A: Into<IpAddr>> Quote<'a, A> {
    /// The quote as one that may be of either family.
    fn either(self) -> Quote<'a> {
        Quote {
            src: self.src.into(),
            dst: self.dst.into(),
            ttl: self.ttl,
            traffic_class: self.traffic_class,
            identification: self.identification,
            length: self.length,
            protocol: self.protocol,
            transport: self.transport,
        }
    }
}

/// The part of `bytes` that belongs to the quoted packet, [`LEAST`] octets or more: what follows may be RFC 4884 extensions.
///
/// Some senders mangle the quoted length (RFC 1812 era hosts left it in their own byte order):
/// one that leaves less than [`LEAST`] is not believed.
#[inline(always)]
fn within(bytes: &[u8], said: Option<usize>) -> Result<&[u8], Malformed> {
    if bytes.len() < LEAST {
        return Err(Malformed::Truncated);
    }
    Ok(match said {
        Some(len) if len >= LEAST => bytes.get(..len).unwrap_or(bytes),
        _ => bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ip::Fields;
    use std::vec::Vec;

    fn quote(family: Family, transport: &[u8]) -> Vec<u8> {
        let (src, dst) = match family {
            Family::V4 => ("192.0.2.1", "198.51.100.2"),
            Family::V6 => ("2001:db8::1", "2001:db8::2"),
        };
        let fields = Fields::<IpAddr> {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            ttl: 1,
            traffic_class: 4,
            flow_label: 0,
            identification: Some(0xbeef),
            protocol: 17,
        };
        let mut out = std::vec![0; family.header_len() + transport.len()];
        fields.emit(transport.len(), &mut out).unwrap().copy_from_slice(transport);
        out
    }

    #[test]
    fn eight_octets_are_enough_and_less_is_not() {
        for family in [Family::V4, Family::V6] {
            let bytes = quote(family, b"12345678ABCDEFGH");
            for len in 0..bytes.len() {
                let parsed = Quote::parse(family, &bytes[..len]);
                if len < family.header_len() + LEAST {
                    assert_eq!(parsed, Err(Malformed::Truncated));
                } else {
                    assert_eq!(parsed.unwrap().transport, &bytes[family.header_len()..len]);
                }
            }
            let parsed = Quote::parse(family, &bytes).unwrap();
            assert_eq!((parsed.ttl, parsed.traffic_class, parsed.protocol), (1, 4, 17));
            assert_eq!(parsed.identification, (family == Family::V4).then_some(0xbeef));
        }
    }

    #[test]
    fn extensions_behind_the_packet_are_no_part_of_it() {
        for family in [Family::V4, Family::V6] {
            let mut bytes = quote(family, b"12345678");
            bytes.extend_from_slice(&[0x20, 0, 0, 0, 9, 9, 9, 9]);
            assert_eq!(Quote::parse(family, &bytes).unwrap().transport, b"12345678");
        }
    }

    #[test]
    fn a_mangled_length_is_not_believed() {
        let mut bytes = quote(Family::V4, b"12345678");
        bytes[2..4].copy_from_slice(&[0, 3]);
        assert_eq!(Quote::parse(Family::V4, &bytes).unwrap().transport, b"12345678");
    }

    #[test]
    fn the_inner_header_has_a_length_of_its_own() {
        let mut bytes = quote(Family::V4, b"optn12345678");
        bytes[0] = 0x46;
        assert_eq!(Quote::parse(Family::V4, &bytes).unwrap().transport, b"12345678");
        bytes[0] = 0x44;
        assert_eq!(Quote::parse(Family::V4, &bytes), Err(Malformed::Length));
        bytes[0] = 0x45;
        bytes[7] = 1;
        assert_eq!(Quote::parse(Family::V4, &bytes), Err(Malformed::Fragment));
        assert_eq!(Quote::parse_first(Family::V4, &bytes), Err(Malformed::Fragment));
        // More fragments follow: it is the first.
        bytes[6..8].copy_from_slice(&[0x20, 0]);
        assert_eq!(Quote::parse(Family::V4, &bytes), Err(Malformed::Fragment));
        assert_eq!(Quote::parse_first(Family::V4, &bytes).unwrap().transport, b"optn12345678");
    }

    #[test]
    fn lengths_are_those_that_headers_say() {
        for (family, expected) in [(Family::V4, 28), (Family::V6, 48)] {
            let bytes = quote(family, b"12345678");
            assert_eq!(Quote::parse(family, &bytes).unwrap().length, expected);
            assert_eq!(usize::from(HEADER_LEN_V6), Family::V6.header_len());
        }
    }
}
