//! IPv6 (RFC 8200) and the extension headers that stand before the upper layer.

use core::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Malformed;
use crate::ip::protocol;

/// How many extension headers are skipped before the packet is given up.
///
/// RFC 8200 §4.1 knows six kinds, one of which may stand twice; RFC 8504 §5.3 lets a host set a
/// limit of 8. More is an attempt to make us work.
pub const MAX_EXTENSION_HEADERS: usize = 8;

mod next_header {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const ENCRYPTED: u8 = 50;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
}

/// The fixed header.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// Version (4 bits), traffic class (8 bits), flow label (20 bits).
    pub version_class_label: U32,
    /// Octets after this header.
    pub payload_length: U16,
    /// What follows this header.
    pub next_header: u8,
    /// Hops to live.
    pub hop_limit: u8,
    /// Source.
    pub src: [u8; 16],
    /// Destination.
    pub dst: [u8; 16],
}

/// Octets of the fixed header.
pub const HEADER_LEN: usize = size_of::<Header>();

impl Header {
    /// Whether the version is 6.
    #[must_use]
    #[inline]
    pub const fn is_version_6(&self) -> bool {
        self.version_class_label.get() >> 28 == 6
    }

    /// The traffic class: DSCP and ECN.
    #[must_use]
    #[inline]
    pub const fn traffic_class(&self) -> u8 {
        let [high, low, ..] = self.version_class_label.get().to_be_bytes();
        high << 4 | low >> 4
    }

    /// The flow label (RFC 6437), 20 bits.
    #[must_use]
    #[inline]
    pub const fn flow_label(&self) -> u32 {
        self.version_class_label.get() & 0x000f_ffff
    }
}

/// What of a header the sender chooses; the rest follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// Traffic class.
    pub traffic_class: u8,
    /// Flow label, 20 bits; higher bits are ignored.
    pub flow_label: u32,
    /// Hops to live.
    pub hop_limit: u8,
    /// What follows.
    pub next_header: u8,
    /// Source.
    pub src: Ipv6Addr,
    /// Destination.
    pub dst: Ipv6Addr,
}

impl Fields {
    /// Writes the header to the front of `out`; returns what follows it.
    ///
    /// `None` if it does not fit, or `payload` octets are more than a packet can have.
    #[must_use]
    #[inline(always)]
    pub fn emit<'a>(&self, payload: usize, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let payload_length = u16::try_from(payload).ok()?;
        let (header, rest) = Header::mut_from_prefix(out).ok()?;
        *header = Header {
            version_class_label: (6 << 28
                | u32::from(self.traffic_class) << 20
                | self.flow_label & 0x000f_ffff)
                .into(),
            payload_length: payload_length.into(),
            next_header: self.next_header,
            hop_limit: self.hop_limit,
            src: self.src.octets(),
            dst: self.dst.octets(),
        };
        Some(rest)
    }
}

/// A whole packet, its header checked, its extension headers skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: &'a Header,
    /// The protocol of the upper layer.
    pub protocol: u8,
    /// Octets of the extension headers that were skipped.
    pub extensions_len: usize,
    /// What the header's payload length leaves for the upper layer.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks version and length, and skips extension headers.
    #[inline(always)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        if !header.is_version_6() {
            return Err(Malformed::Version);
        }
        let rest =
            rest.get(..usize::from(header.payload_length.get())).ok_or(Malformed::Truncated)?;
        let (protocol, payload) = upper_layer(header.next_header, rest)?;
        let extensions_len = rest.len().saturating_sub(payload.len());
        Ok(Self { header, protocol, extensions_len, payload })
    }

    /// What nearly all packets are, told at once: one without extension headers that [`parse`](Self::parse) reads as
    /// well. `None` for all else, whether it is wrong or only rare.
    #[must_use]
    #[inline(always)]
    pub fn parse_plain(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = Header::ref_from_prefix(bytes).ok()?;
        let payload = rest.get(..usize::from(header.payload_length.get()))?;
        let protocol = header.next_header;
        let plain = header.is_version_6() && is_upper_layer(protocol);
        plain.then_some(Self { header, protocol, extensions_len: 0, payload })
    }
}

/// Skips extension headers: the protocol of the upper layer, and its bytes.
///
/// A fragment header that says "the whole packet" (RFC 6946) is skipped like the others. A routing
/// header that still has segments left makes us a router on the way, which we are not.
#[inline(always)]
pub fn upper_layer(next_header: u8, bytes: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    // By far the most have none.
    if is_upper_layer(next_header) {
        return Ok((next_header, bytes));
    }
    skip_extensions(next_header, bytes)
}

/// Whether that is no extension header, but an upper layer that we know.
#[inline(always)]
const fn is_upper_layer(next_header: u8) -> bool {
    matches!(next_header, protocol::ICMPV6 | protocol::UDP | protocol::TCP)
}

#[cold]
fn skip_extensions(next_header: u8, bytes: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let (mut next, mut rest) = (next_header, bytes);
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let skip = match next {
            next_header::HOP_BY_HOP | next_header::DESTINATION_OPTIONS => 8,
            next_header::ROUTING => match rest {
                [_, _, _, 0, ..] => 8,
                [_, _, _, _, ..] => return Err(Malformed::ExtensionHeaders),
                _ => return Err(Malformed::Truncated),
            },
            next_header::FRAGMENT => match rest {
                // Offset and "more": the upper 13 bits and the lowest one.
                [_, _, offset, more, ..] if *offset == 0 && more & 0xf9 == 0 => 0,
                [_, _, _, _, ..] => return Err(Malformed::Fragment),
                _ => return Err(Malformed::Truncated),
            },
            next_header::AUTHENTICATION => 4,
            next_header::ENCRYPTED => return Err(Malformed::ExtensionHeaders),
            _ => return Ok((next, rest)),
        };
        let [following, length, ..] = rest else { return Err(Malformed::Truncated) };
        // In units of 8 octets without the first (RFC 8200 §4.2), of 4 without the first two for
        // the authentication header (RFC 4302 §2.2); a fragment header is always 8 octets.
        let units = usize::from(*length);
        let len = match skip {
            0 => 8,
            4 => units.wrapping_add(2).wrapping_mul(4),
            _ => units.wrapping_add(1).wrapping_mul(8),
        };
        next = *following;
        rest = rest.get(len..).ok_or(Malformed::Truncated)?;
    }
    Err(Malformed::ExtensionHeaders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const FIELDS: Fields = Fields {
        traffic_class: 0x48,
        flow_label: 0xabcde,
        hop_limit: 9,
        next_header: 58,
        src: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        dst: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
    };

    fn packet(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = std::vec![0; HEADER_LEN + payload.len()];
        Fields { next_header, ..FIELDS }
            .emit(payload.len(), &mut out)
            .unwrap()
            .copy_from_slice(payload);
        out
    }

    #[test]
    fn emit_then_parse_and_padding_is_no_payload() {
        let mut bytes = packet(58, b"payload");
        bytes.extend_from_slice(&[0; 9]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.protocol, packet.payload), (58, &b"payload"[..]));
        assert_eq!((packet.header.traffic_class(), packet.header.flow_label()), (0x48, 0xabcde));
        assert_eq!(
            (Ipv6Addr::from(packet.header.src), Ipv6Addr::from(packet.header.dst)),
            (FIELDS.src, FIELDS.dst)
        );
    }

    #[test]
    fn plain_is_what_has_no_extension_headers_and_is_right() {
        for next_header in 0..=255 {
            let good = packet(next_header, &[58, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
            for len in 0..=good.len() {
                let whole = Packet::parse(&good[..len]).ok();
                let expected = whole.filter(|packet| packet.protocol == next_header);
                let known = matches!(next_header, 6 | 17 | 58);
                let plain = Packet::parse_plain(&good[..len]);
                assert_eq!(plain, expected.filter(|_| known), "{next_header} {len}");
            }
        }
        let mut bytes = packet(58, b"payload");
        bytes[0] = 0x40;
        assert_eq!(Packet::parse_plain(&bytes), None);
    }

    #[test]
    fn extension_headers_are_skipped_up_to_the_limit() {
        let chain = |count: usize| {
            let mut payload = Vec::new();
            for n in 0..count {
                let next = if n + 1 == count { 58 } else { 60 };
                payload.extend_from_slice(&[next, 0, 1, 4, 0, 0, 0, 0]);
            }
            payload.extend_from_slice(b"upper");
            packet(if count == 0 { 58 } else { 0 }, &payload)
        };
        for count in 0..=MAX_EXTENSION_HEADERS {
            let bytes = chain(count);
            assert_eq!(
                Packet::parse(&bytes).map(|p| (p.protocol, p.payload)),
                Ok((58, &b"upper"[..])),
                "{count}"
            );
        }
        assert_eq!(
            Packet::parse(&chain(MAX_EXTENSION_HEADERS + 1)),
            Err(Malformed::ExtensionHeaders)
        );
    }

    #[test]
    fn headers_with_a_meaning_of_their_own() {
        let upper = |next, payload: &[u8]| {
            upper_layer(next, payload).map(|(protocol, rest)| (protocol, rest.len()))
        };
        assert_eq!(upper(44, &[58, 0, 0, 0, 1, 2, 3, 4, 9]), Ok((58, 1)), "atomic fragment");
        assert_eq!(upper(44, &[58, 0, 0, 1, 1, 2, 3, 4, 9]), Err(Malformed::Fragment));
        assert_eq!(upper(44, &[58, 0, 0, 8, 1, 2, 3, 4, 9]), Err(Malformed::Fragment));
        assert_eq!(upper(44, &[58, 0, 1, 0, 1, 2, 3, 4, 9]), Err(Malformed::Fragment));
        assert_eq!(upper(43, &[58, 0, 4, 0, 0, 0, 0, 0, 9]), Ok((58, 1)), "no segments left");
        assert_eq!(upper(43, &[58, 0, 4, 1, 0, 0, 0, 0, 9]), Err(Malformed::ExtensionHeaders));
        assert_eq!(upper(51, &[58, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]), Ok((58, 1)));
        assert_eq!(upper(50, &[0; 16]), Err(Malformed::ExtensionHeaders));
        assert_eq!(upper(59, &[]), Ok((59, 0)), "no next header");
        assert_eq!(upper(60, &[58, 1, 0, 0, 0, 0, 0, 0]), Err(Malformed::Truncated));
    }

    #[test]
    fn truncated_at_every_length() {
        let bytes = packet(0, &[58, 0, 1, 4, 0, 0, 0, 0, 1, 2, 3, 4]);
        for len in 0..bytes.len() {
            assert_eq!(Packet::parse(&bytes[..len]), Err(Malformed::Truncated));
        }
        let mut wrong = bytes;
        wrong[0] = 0x45;
        assert_eq!(Packet::parse(&wrong), Err(Malformed::Version));
    }
}
