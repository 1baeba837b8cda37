//! ICMP for IPv4 (RFC 792) and IPv6 (RFC 4443): types, the echo header and errors.

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Malformed;
use crate::ip::Family;

/// What a message is, whichever family it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Echo request: ping (code 0) or a reverse traceroute request (code 1).
    EchoRequest,
    /// Echo reply: of ping (code 0) or a reverse traceroute response (code 1).
    EchoReply,
    /// A packet's TTL or hop limit ran out, or its fragments did not come together in time.
    TimeExceeded,
    /// A packet could not be delivered.
    DestinationUnreachable,
    /// A packet did not fit the next link (IPv6 only; IPv4 says so with an unreachable of code 4).
    PacketTooBig,
    /// Neighbour solicitation (IPv6 only).
    NeighbourSolicitation,
    /// Neighbour advertisement (IPv6 only).
    NeighbourAdvertisement,
    /// Anything else.
    Other(u8),
}

impl Kind {
    /// What `number` means in `family`.
    #[must_use]
    #[inline(always)]
    pub const fn from_number(family: Family, number: u8) -> Self {
        match (family, number) {
            (Family::V4, 8) | (Family::V6, 128) => Self::EchoRequest,
            (Family::V4, 0) | (Family::V6, 129) => Self::EchoReply,
            (Family::V4, 11) | (Family::V6, 3) => Self::TimeExceeded,
            (Family::V4, 3) | (Family::V6, 1) => Self::DestinationUnreachable,
            (Family::V6, 2) => Self::PacketTooBig,
            (Family::V6, 135) => Self::NeighbourSolicitation,
            (Family::V6, 136) => Self::NeighbourAdvertisement,
            _ => Self::Other(number),
        }
    }

    /// The number of the type in `family`; a kind that IPv4 lacks keeps IPv6's.
    #[must_use]
    #[inline(always)]
    pub const fn number(self, family: Family) -> u8 {
        match (family, self) {
            (Family::V4, Self::EchoRequest) => 8,
            (Family::V6, Self::EchoRequest) => 128,
            (Family::V4, Self::EchoReply) => 0,
            (Family::V6, Self::EchoReply) => 129,
            (Family::V4, Self::TimeExceeded) => 11,
            (Family::V4, Self::DestinationUnreachable) | (Family::V6, Self::TimeExceeded) => 3,
            (Family::V6, Self::DestinationUnreachable) => 1,
            (_, Self::PacketTooBig) => 2,
            (_, Self::NeighbourSolicitation) => 135,
            (_, Self::NeighbourAdvertisement) => 136,
            (_, Self::Other(number)) => number,
        }
    }
}

/// The code of a destination unreachable that says: nothing listens on that port.
#[must_use]
#[inline]
pub const fn port_unreachable(family: Family) -> u8 {
    match family {
        Family::V4 => 3,
        Family::V6 => 4,
    }
}

/// The code of a time exceeded message that a router on the way sends (1 is a host's failed reassembly).
pub const TTL_EXCEEDED: u8 = 0;

/// The first 8 octets of every message; identifier and sequence for echo, other things for others.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// The type's number, see [`Kind`].
    pub kind: u8,
    /// What the type makes of it.
    pub code: u8,
    /// Over the message, and in IPv6 the pseudo header.
    pub checksum: U16,
    /// Echo's identifier.
    pub identifier: U16,
    /// Echo's sequence number.
    pub sequence: U16,
}

/// Octets of [`Header`].
pub const HEADER_LEN: usize = size_of::<Header>();

/// A message: its header and the rest. The checksum was not looked at, see
/// [`ip::Packet::upper_layer_sum`](crate::ip::Packet::upper_layer_sum).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it is.
    pub kind: Kind,
    /// The fixed header.
    pub header: &'a Header,
    /// What follows the header.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the header of a message of `family`.
    #[inline(always)]
    pub fn parse(family: Family, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, body) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        Ok(Self { kind: Kind::from_number(family, header.kind), header, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_kinds_agree() {
        for family in [Family::V4, Family::V6] {
            for number in 0..=255 {
                assert_eq!(Kind::from_number(family, number).number(family), number);
            }
        }
    }

    #[test]
    fn truncated_at_every_length() {
        for len in 0..HEADER_LEN {
            assert_eq!(Message::parse(Family::V4, &[8; 8][..len]), Err(Malformed::Truncated));
        }
        assert_eq!(Message::parse(Family::V4, &[8; 9]).unwrap().body, [8]);
    }
}
