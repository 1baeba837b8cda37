//! IPv4 (RFC 791).

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Malformed;
use crate::checksum::Sum;

/// More fragments follow.
const MORE_FRAGMENTS: u16 = 0x2000;
/// Where the fragment belongs, in units of 8 octets.
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// Version 4, and a header of 5 units of 4 octets: without options.
const VERSION_IHL: u8 = 0x45;
/// Don't fragment.
pub const DONT_FRAGMENT: u16 = 0x4000;

/// The fixed part of the header.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// Version (4 bits) and header length in units of 4 octets (4 bits).
    pub version_ihl: u8,
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Octets of the whole packet.
    pub total_length: U16,
    /// Names the packet that fragments belong to.
    pub identification: U16,
    /// Flags (3 bits) and fragment offset (13 bits).
    pub fragment: U16,
    /// Hops to live.
    pub ttl: u8,
    /// What follows the header.
    pub protocol: u8,
    /// Over the header alone.
    pub checksum: U16,
    /// Source.
    pub src: [u8; 4],
    /// Destination.
    pub dst: [u8; 4],
}

/// Octets of a header without options.
pub const HEADER_LEN: usize = size_of::<Header>();

impl Header {
    /// Octets of the header, options included, if the first octet makes sense.
    #[inline]
    pub const fn header_len(&self) -> Result<usize, Malformed> {
        if self.version_ihl >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let len = ((self.version_ihl & 0x0f) as usize).wrapping_mul(4);
        if len < HEADER_LEN { Err(Malformed::Length) } else { Ok(len) }
    }

    /// Whether this is a part of a packet only.
    #[must_use]
    #[inline]
    pub const fn is_fragment(&self) -> bool {
        self.fragment.get() & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// Whether it is a fragment without the beginning of the packet.
    #[must_use]
    #[inline]
    pub const fn is_later_fragment(&self) -> bool {
        self.fragment.get() & FRAGMENT_OFFSET != 0
    }
}

/// What of a header the sender chooses; the rest follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// Type of service.
    pub tos: u8,
    /// Identification; see RFC 6864 for when it matters.
    pub identification: u16,
    /// The don't-fragment flag.
    pub dont_fragment: bool,
    /// Hops to live.
    pub ttl: u8,
    /// What follows.
    pub protocol: u8,
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
}

impl Fields {
    /// Writes a header without options, its checksum included, to the front of `out`; returns what follows it.
    ///
    /// `None` if it does not fit, or `payload` octets are more than a packet can have.
    #[must_use]
    #[inline(always)]
    pub fn emit<'a>(&self, payload: usize, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let total = u16::try_from(payload.checked_add(HEADER_LEN)?).ok()?;
        let fragment = if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        // Summed up from the fields, not from the octets: those are still on their way to memory.
        let sum = Sum::ZERO
            .word(u16::from_be_bytes([VERSION_IHL, self.tos]))
            .word(total)
            .word(self.identification)
            .word(fragment)
            .word(u16::from_be_bytes([self.ttl, self.protocol]))
            .bytes(&self.src.octets())
            .bytes(&self.dst.octets());
        let (header, rest) = Header::mut_from_prefix(out).ok()?;
        *header = Header {
            version_ihl: VERSION_IHL,
            tos: self.tos,
            total_length: total.into(),
            identification: self.identification.into(),
            fragment: fragment.into(),
            ttl: self.ttl,
            protocol: self.protocol,
            checksum: sum.checksum().into(),
            src: self.src.octets(),
            dst: self.dst.octets(),
        };
        Some(rest)
    }
}

/// A whole packet, its header checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed part of the header.
    pub header: &'a Header,
    /// Options, padded to 4 octets; mostly none.
    pub options: &'a [u8],
    /// What the header's total length leaves for the upper layer.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks version, lengths and checksum, and that it is no fragment.
    #[inline(always)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse_summed(bytes, false)
    }

    /// The same; without the checksum, if it was verified already (by the device).
    #[inline(always)]
    pub fn parse_summed(bytes: &'a [u8], verified: bool) -> Result<Self, Malformed> {
        let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        let header_len = header.header_len()?;
        let total = usize::from(header.total_length.get());
        if total < header_len {
            return Err(Malformed::Length);
        }
        let packet = bytes.get(..total).ok_or(Malformed::Truncated)?;
        let (head, payload) = packet.split_at_checked(header_len).ok_or(Malformed::Truncated)?;
        if !verified && !Sum::ZERO.bytes(head).verifies() {
            return Err(Malformed::Checksum);
        }
        if header.is_fragment() {
            return Err(Malformed::Fragment);
        }
        let options = head.get(HEADER_LEN..).unwrap_or_default();
        Ok(Self { header, options, payload })
    }

    /// What nearly all packets are, told at once: one without options that [`parse_summed`](Self::parse_summed) reads
    /// as well. `None` for all else, whether it is wrong or only rare.
    #[must_use]
    #[inline(always)]
    pub fn parse_plain(bytes: &'a [u8], verified: bool) -> Option<Self> {
        let (header, rest) = Header::ref_from_prefix(bytes).ok()?;
        let payload = usize::from(header.total_length.get()).wrapping_sub(HEADER_LEN);
        let payload = rest.get(..payload)?;
        let right = verified || Sum::ZERO.bytes(header.as_bytes()).verifies();
        let plain = header.version_ihl == VERSION_IHL && !header.is_fragment() && right;
        plain.then_some(Self { header, options: &[], payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const FIELDS: Fields = Fields {
        tos: 0x48,
        identification: 0xabcd,
        dont_fragment: true,
        ttl: 7,
        protocol: 17,
        src: Ipv4Addr::new(192, 0, 2, 1),
        dst: Ipv4Addr::new(198, 51, 100, 2),
    };

    fn packet(payload: &[u8]) -> Vec<u8> {
        let mut out = std::vec![0; HEADER_LEN + payload.len()];
        FIELDS.emit(payload.len(), &mut out).unwrap().copy_from_slice(payload);
        out
    }

    fn reseal(bytes: &mut [u8], header_len: usize) {
        bytes[10..12].fill(0);
        let checksum = Sum::ZERO.bytes(&bytes[..header_len]).checksum();
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    }

    #[test]
    fn emit_then_parse_and_padding_is_no_payload() {
        let mut bytes = packet(b"payload");
        bytes.extend_from_slice(&[0; 19]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.payload, b"payload");
        assert_eq!(
            (packet.header.tos, packet.header.identification.get(), packet.header.ttl),
            (0x48, 0xabcd, 7)
        );
        assert_eq!(
            (Ipv4Addr::from(packet.header.src), Ipv4Addr::from(packet.header.dst)),
            (FIELDS.src, FIELDS.dst)
        );
        assert_eq!(packet.header.fragment.get(), DONT_FRAGMENT);
    }

    #[test]
    fn plain_is_what_has_no_options_and_is_right() {
        let good = packet(b"payload and more");
        for verified in [false, true] {
            assert_eq!(Packet::parse_plain(&good, verified), Packet::parse(&good).ok());
            for len in 0..good.len() {
                assert_eq!(Packet::parse_plain(&good[..len], verified), None, "{len}");
            }
            // Whatever is changed: plain is nothing that is not read so, and all that is read so but options.
            for (at, bit) in (0..HEADER_LEN).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                for seal in [false, true] {
                    let mut bytes = good.clone();
                    bytes[at] ^= 1 << bit;
                    if seal && at / 2 != 5 {
                        reseal(&mut bytes, HEADER_LEN);
                    }
                    let whole = Packet::parse_summed(&bytes, verified).ok();
                    let expected = whole.filter(|packet| packet.options.is_empty());
                    assert_eq!(Packet::parse_plain(&bytes, verified), expected, "{at} {bit}");
                }
            }
        }
    }

    #[test]
    fn options_are_skipped() {
        let mut bytes = packet(b"12345678");
        bytes[0] = 0x46;
        reseal(&mut bytes, 24);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.options, packet.payload), (&b"1234"[..], &b"5678"[..]));
    }

    #[test]
    fn every_lie_has_a_name() {
        let good = packet(b"12345678");
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            reseal(&mut bytes, HEADER_LEN);
            bytes
        };
        assert_eq!(Packet::parse(&with(0, 0x65)), Err(Malformed::Version));
        assert_eq!(Packet::parse(&with(0, 0x44)), Err(Malformed::Length));
        assert_eq!(Packet::parse(&with(3, 19)), Err(Malformed::Length));
        assert_eq!(Packet::parse(&with(3, 29)), Err(Malformed::Truncated));
        assert_eq!(Packet::parse(&with(6, 0x20)), Err(Malformed::Fragment));
        assert_eq!(Packet::parse(&with(7, 1)), Err(Malformed::Fragment));
        let mut bad = good.clone();
        bad[8] ^= 1;
        assert_eq!(Packet::parse(&bad), Err(Malformed::Checksum));
        for len in 0..good.len() {
            assert_eq!(Packet::parse(&good[..len]), Err(Malformed::Truncated));
        }
    }

    #[test]
    fn too_large_does_not_fit() {
        assert!(FIELDS.emit(65516, &mut [0; 20]).is_none());
        assert!(FIELDS.emit(0, &mut [0; 19]).is_none());
    }
}
