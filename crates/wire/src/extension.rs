//! The extension structure of RFC 4884 §7, as requests and ICMP errors carry it; the label stack of RFC 4950 in it.

use core::net::{IpAddr, Ipv6Addr};

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Malformed;
use crate::checksum::Sum;
use crate::ip;

/// The one version there is.
const VERSION: u8 = 2;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    version: u8,
    reserved: u8,
    checksum: U16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ObjectHeader {
    length: U16,
    class: u8,
    kind: u8,
}

const HEADER_LEN: usize = size_of::<Header>();
const OBJECT_HEADER_LEN: usize = size_of::<ObjectHeader>();
const ADDRESS_LEN: usize = 16;

/// Class and type of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class {
    /// Class number.
    pub class: u8,
    /// Type within the class.
    pub kind: u8,
}

impl Class {
    /// The MPLS label stack with which the packet came (RFC 4950).
    pub const MPLS_STACK: Self = Self { class: 1, kind: 1 };
    /// Trace towards another target than the requester (PROTOCOL §5).
    pub const INDIRECT_TARGET: Self = Self { class: 5, kind: 0 };
    /// Nothing, at length, so that a request is no smaller than what it causes (PROTOCOL §5).
    pub const PADDING: Self = Self { class: 6, kind: 0 };

    /// Class and type as the value of a refusal.
    #[must_use]
    pub const fn value(self) -> u16 {
        u16::from_be_bytes([self.class, self.kind])
    }
}

/// An object of an extension structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'a> {
    /// What it is.
    pub class: Class,
    /// What it says.
    pub payload: &'a [u8],
}

impl Object<'_> {
    /// The address of an indirect target; `None` if the object is another one.
    #[must_use]
    pub fn indirect_target(&self) -> Option<IpAddr> {
        let octets = <[u8; ADDRESS_LEN]>::try_from(self.payload).ok()?;
        (self.class == Class::INDIRECT_TARGET).then(|| ip::from_mapped(Ipv6Addr::from(octets)))
    }

    /// The labels of an MPLS stack, the outermost first; none if the object is another one. Octets that are no whole entry
    /// are left out.
    pub fn labels(&self) -> impl Iterator<Item = Label> {
        let stack = if self.class == Class::MPLS_STACK { self.payload } else { &[] };
        let (entries, _) = stack.as_chunks();
        entries.iter().map(|entry| Label::from_entry(*entry))
    }
}

/// An entry of an MPLS label stack (RFC 3032 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label {
    /// The label itself, 20 bits.
    pub label: u32,
    /// Traffic class, 3 bits (RFC 5462).
    pub traffic_class: u8,
    /// Whether it is the last of the stack.
    pub bottom: bool,
    /// Hops to live, as MPLS counts them.
    pub ttl: u8,
}

impl Label {
    const fn from_entry(entry: [u8; 4]) -> Self {
        let [_, _, bits, ttl] = entry;
        Self {
            label: u32::from_be_bytes(entry) >> 12,
            traffic_class: bits >> 1 & 0x07,
            bottom: bits & 1 == 1,
            ttl,
        }
    }
}

/// The objects of an extension structure, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects<'a> {
    rest: &'a [u8],
}

impl<'a> Objects<'a> {
    /// The objects in `bytes`, if they are an extension structure at all.
    ///
    /// Bytes with another version are padding (PROTOCOL §5), and so are those whose checksum fails:
    /// requests have always been padded with anything. A checksum of 0 was not computed (RFC 4884 §7).
    #[must_use]
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = Header::ref_from_prefix(bytes).ok()?;
        let sealed = header.checksum.get() == 0 || Sum::ZERO.bytes(bytes).verifies();
        (header.version >> 4 == VERSION && sealed).then_some(Self { rest })
    }
}

impl<'a> Iterator for Objects<'a> {
    /// An object, or the class of one whose length is impossible (which ends the iteration).
    type Item = Result<Object<'a>, (Class, Malformed)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header, after) = ObjectHeader::ref_from_prefix(self.rest).ok()?;
        let class = Class { class: header.class, kind: header.kind };
        // The reference counts an indirect target's payload only; RFC 4884 §8 counts the header too.
        let payload_len = match usize::from(header.length.get()) {
            ADDRESS_LEN if class == Class::INDIRECT_TARGET => Some(ADDRESS_LEN),
            length => length.checked_sub(OBJECT_HEADER_LEN),
        };
        let Some((payload, rest)) = payload_len.and_then(|len| after.split_at_checked(len)) else {
            self.rest = &[];
            return Some(Err((class, Malformed::Length)));
        };
        self.rest = rest;
        Some(Ok(Object { class, payload }))
    }
}

/// Writes an extension structure with `objects` to the front of `out`; returns the octets written.
///
/// `None` if it does not fit, or an indirect target is no address. An indirect target is written as the reference reads it, so one of
/// another length would be read as another.
#[must_use]
pub fn emit(objects: &[Object<'_>], out: &mut [u8]) -> Option<usize> {
    let (header, mut rest) = Header::mut_from_prefix(out).ok()?;
    *header = Header { version: VERSION << 4, reserved: 0, checksum: 0.into() };
    let mut len = HEADER_LEN;
    for object in objects {
        let (header, payload) = ObjectHeader::mut_from_prefix(rest).ok()?;
        let counted = match object.payload.len() {
            ADDRESS_LEN if object.class == Class::INDIRECT_TARGET => 0,
            _ if object.class == Class::INDIRECT_TARGET => return None,
            _ => OBJECT_HEADER_LEN,
        };
        *header = ObjectHeader {
            length: u16::try_from(object.payload.len().checked_add(counted)?).ok()?.into(),
            class: object.class.class,
            kind: object.class.kind,
        };
        let (place, after) = payload.split_at_mut_checked(object.payload.len())?;
        place.copy_from_slice(object.payload);
        rest = after;
        len = len.checked_add(OBJECT_HEADER_LEN)?.checked_add(object.payload.len())?;
    }
    let checksum = Sum::ZERO.bytes(out.get(..len)?).checksum();
    let (header, _) = Header::mut_from_prefix(out).ok()?;
    header.checksum.set(checksum);
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn emit_then_parse_is_the_identity() {
        let target: IpAddr = "2001:db8::7".parse().unwrap();
        let octets = ip::to_mapped(target).octets();
        let objects = [
            Object { class: Class::INDIRECT_TARGET, payload: &octets },
            Object { class: Class::PADDING, payload: &[7; 20] },
        ];
        let mut out = [0; 100];
        let len = emit(&objects, &mut out).unwrap();
        assert_eq!(len, 4 + 20 + 24);
        assert_eq!(out[4..6], [0, 16], "as the reference sends it");
        let parsed: Vec<_> = Objects::parse(&out[..len]).unwrap().map(Result::unwrap).collect();
        assert_eq!(parsed, objects);
        assert_eq!(parsed[0].indirect_target(), Some(target));
        assert_eq!(parsed[1].indirect_target(), None);
        for cut in 0..len {
            assert!(emit(&objects, &mut out[..cut]).is_none());
        }
    }

    #[test]
    fn the_length_of_rfc_4884_is_understood_too() {
        let mut bytes = [0u8; 24];
        bytes[0] = 0x20;
        bytes[4..8].copy_from_slice(&[0, 20, 5, 0]);
        bytes[18..24].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        let object = Objects::parse(&bytes).unwrap().next().unwrap().unwrap();
        assert_eq!(object.indirect_target(), Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn labels_of_a_stack() {
        // 24001 with class 5, then 16 at the bottom; two octets are no entry.
        let payload = [0x05, 0xdc, 0x1a, 254, 0, 1, 1, 1, 9, 9];
        let object = Object { class: Class::MPLS_STACK, payload: &payload };
        let labels: Vec<_> = object.labels().collect();
        assert_eq!(
            labels,
            [
                Label { label: 24001, traffic_class: 5, bottom: false, ttl: 254 },
                Label { label: 16, traffic_class: 0, bottom: true, ttl: 1 },
            ]
        );
        assert_eq!(Object { class: Class::PADDING, payload: &payload }.labels().count(), 0);
    }

    #[test]
    fn padding_is_no_structure() {
        assert!(Objects::parse(&[]).is_none());
        assert!(Objects::parse(&[0x20, 0, 0]).is_none());
        assert!(Objects::parse(&[0; 8]).is_none());
        assert!(Objects::parse(b"xxxxxxxx").is_none());
        assert!(
            Objects::parse(b"  , spaces").is_none(),
            "version 2 by chance, its checksum is not"
        );
    }

    #[test]
    fn lies_end_the_walk() {
        for length in [0, 3, 9, 255] {
            let bytes = [0x20, 0, 0, 0, 0, length, 9, 1, 1, 2, 3, 4];
            let found: Vec<_> = Objects::parse(&bytes).unwrap().collect();
            assert_eq!(found, [Err((Class { class: 9, kind: 1 }, Malformed::Length))]);
        }
    }
}
