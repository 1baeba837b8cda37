//! Ethernet II frames, with one IEEE 802.1Q tag or none.

use core::fmt;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Malformed;

/// What the frame carries.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// An IEEE 802.1Q tag follows.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
}

/// A hardware address.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All stations.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the address is that of one station: neither group address nor all zeros.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// Whether the address is a group address (broadcast included).
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for octet in self.0 {
            write!(f, "{separator}{octet:02x}")?;
            separator = ":";
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The Ethernet II header.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// Receiver.
    pub dst: Mac,
    /// Sender.
    pub src: Mac,
    /// See [`ethertype`].
    pub ethertype: U16,
}

/// What follows an ethertype of [`ethertype::VLAN`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Tag {
    /// Priority (3 bits), drop eligible (1 bit), VLAN identifier (12 bits).
    pub control: U16,
    /// See [`ethertype`].
    pub ethertype: U16,
}

/// Octets of an untagged header.
pub const HEADER_LEN: usize = size_of::<Header>();
/// Octets of a tag.
pub const TAG_LEN: usize = size_of::<Tag>();

/// A 12-bit VLAN identifier, 1 to 4094.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VlanId(u16);

impl VlanId {
    /// The identifier `id`, if it may name a VLAN (IEEE 802.1Q, table 9-2: not 0, not 4095).
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        if id >= 1 && id <= 4094 { Some(Self(id)) } else { None }
    }

    /// The identifier as a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A frame, its link layer read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Receiver and sender; the ethertype may be that of a tag.
    pub header: &'a Header,
    /// The VLAN, if the frame is tagged with one; a priority tag (identifier 0) names none.
    pub vlan: Option<VlanId>,
    /// What follows, see [`ethertype`].
    pub ethertype: u16,
    /// What follows.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the link layer of `frame`.
    ///
    /// One tag is understood. A second one stays the [`ethertype`](Self::ethertype), so it is
    /// nothing that we know.
    #[inline(always)]
    pub fn parse(frame: &'a [u8]) -> Result<Self, Malformed> {
        let (header, payload) = Header::ref_from_prefix(frame).map_err(|_| Malformed::Truncated)?;
        let ethertype = header.ethertype.get();
        if ethertype != ethertype::VLAN {
            return Ok(Self { header, vlan: None, ethertype, payload });
        }
        let (tag, payload) = Tag::ref_from_prefix(payload).map_err(|_| Malformed::Truncated)?;
        let vlan = match tag.control.get() & 0x0fff {
            0 => None,
            id => Some(VlanId::new(id).ok_or(Malformed::Field)?),
        };
        Ok(Self { header, vlan, ethertype: tag.ethertype.get(), payload })
    }
}

/// The link layer of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Receiver.
    pub dst: Mac,
    /// Sender.
    pub src: Mac,
    /// The VLAN, if the frame is tagged with one; a priority tag (identifier 0) names none.
    pub vlan: Option<VlanId>,
    /// What follows, see [`ethertype`].
    pub ethertype: u16,
}

impl Link {
    /// The longest form: header and tag.
    pub const MAX_LEN: usize = HEADER_LEN.wrapping_add(TAG_LEN);

    /// Reads the link layer of `frame`; returns it with what follows, see [`Frame::parse`].
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let Frame { header, vlan, ethertype, payload } = Frame::parse(frame)?;
        Ok((Self { dst: header.dst, src: header.src, vlan, ethertype }, payload))
    }

    /// Octets that [`emit`](Self::emit) writes.
    #[must_use]
    pub const fn len(&self) -> usize {
        if self.vlan.is_some() { Self::MAX_LEN } else { HEADER_LEN }
    }

    /// Never: a link layer has octets. (For the sake of the pair with [`len`](Self::len).)
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes the link layer to the front of `frame`; returns what follows, or `None` if it does not fit.
    #[must_use]
    #[inline]
    pub fn emit<'a>(&self, frame: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (header, rest) = Header::mut_from_prefix(frame).ok()?;
        header.dst = self.dst;
        header.src = self.src;
        let Some(vlan) = self.vlan else {
            header.ethertype.set(self.ethertype);
            return Some(rest);
        };
        header.ethertype.set(ethertype::VLAN);
        let (tag, rest) = Tag::mut_from_prefix(rest).ok()?;
        tag.control.set(vlan.get());
        tag.ethertype.set(self.ethertype);
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emit_then_parse_is_the_identity() {
        for vlan in [None, VlanId::new(1), VlanId::new(4094)] {
            let link = Link {
                dst: Mac([2, 0, 0, 0, 0, 1]),
                src: Mac([2, 0, 0, 0, 0, 2]),
                vlan,
                ethertype: ethertype::IPV6,
            };
            let mut frame = [0xaa; 20];
            let rest = link.emit(&mut frame).unwrap().len();
            assert_eq!(rest, 20 - link.len());
            let (parsed, payload) = Link::parse(&frame).unwrap();
            assert_eq!((parsed, payload.len()), (link, rest));
            for len in 0..link.len() {
                assert_eq!(Link::parse(&frame[..len]), Err(Malformed::Truncated));
                assert!(link.emit(&mut frame[..len]).is_none());
            }
        }
    }

    #[test]
    fn priority_tag_is_no_vlan_and_4095_is_refused() {
        let mut frame = [0u8; 18];
        frame[12..16].copy_from_slice(&[0x81, 0x00, 0xe0, 0x00]);
        assert_eq!(Link::parse(&frame).unwrap().0.vlan, None);
        frame[14..16].copy_from_slice(&[0x0f, 0xff]);
        assert_eq!(Link::parse(&frame), Err(Malformed::Field));
    }

    #[test]
    fn kinds_of_address() {
        assert!(Mac([2, 0, 0, 0, 0, 1]).is_unicast());
        assert!(!Mac([0; 6]).is_unicast());
        assert!(Mac::BROADCAST.is_group() && !Mac::BROADCAST.is_unicast());
        assert_eq!(std::format!("{}", Mac([2, 0, 0, 0, 0xab, 1])), "02:00:00:00:ab:01");
    }
}
