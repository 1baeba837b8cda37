//! ARP for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Malformed;
use crate::ethernet::{Mac, ethertype};

/// The one hardware type that we speak.
const ETHERNET: u16 = 1;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Bytes {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    sender_mac: Mac,
    sender: [u8; 4],
    target_mac: Mac,
    target: [u8; 4],
}

/// Octets of an ARP packet.
pub const LEN: usize = size_of::<Bytes>();

/// What an ARP packet wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has it.
    Reply,
}

/// An ARP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub operation: Operation,
    /// The sender's hardware address.
    pub sender_mac: Mac,
    /// The sender's IPv4 address; unspecified in a probe for duplicates (RFC 5227).
    pub sender: Ipv4Addr,
    /// The target's hardware address; anything in a request.
    pub target_mac: Mac,
    /// The target's IPv4 address.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Reads an ARP packet; what follows it is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (arp, _) = Bytes::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        let ours = arp.hardware.get() == ETHERNET
            && arp.protocol.get() == ethertype::IPV4
            && arp.hardware_len == 6
            && arp.protocol_len == 4;
        let operation = match arp.operation.get() {
            1 if ours => Operation::Request,
            2 if ours => Operation::Reply,
            _ => return Err(Malformed::Field),
        };
        Ok(Self {
            operation,
            sender_mac: arp.sender_mac,
            sender: arp.sender.into(),
            target_mac: arp.target_mac,
            target: arp.target.into(),
        })
    }

    /// Writes the packet to the front of `out`; returns the octets written, or `None` if it does not fit.
    #[must_use]
    pub fn emit(&self, out: &mut [u8]) -> Option<usize> {
        let (arp, _) = Bytes::mut_from_prefix(out).ok()?;
        *arp = Bytes {
            hardware: ETHERNET.into(),
            protocol: ethertype::IPV4.into(),
            hardware_len: 6,
            protocol_len: 4,
            operation: match self.operation {
                Operation::Request => 1.into(),
                Operation::Reply => 2.into(),
            },
            sender_mac: self.sender_mac,
            sender: self.sender.octets(),
            target_mac: self.target_mac,
            target: self.target.octets(),
        };
        Some(LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emit_then_parse_is_the_identity() {
        for operation in [Operation::Request, Operation::Reply] {
            let arp = Arp {
                operation,
                sender_mac: Mac([2, 0, 0, 0, 0, 1]),
                sender: Ipv4Addr::new(192, 0, 2, 1),
                target_mac: Mac([2, 0, 0, 0, 0, 2]),
                target: Ipv4Addr::new(192, 0, 2, 2),
            };
            let mut out = [0; LEN];
            assert_eq!(arp.emit(&mut out), Some(28));
            assert_eq!(Arp::parse(&out), Ok(arp));
            for len in 0..LEN {
                assert_eq!(Arp::parse(&out[..len]), Err(Malformed::Truncated));
            }
            for (at, other) in [(1, 6), (2, 9), (4, 8), (5, 16), (7, 3)] {
                let mut wrong = out;
                wrong[at] = other;
                assert_eq!(Arp::parse(&wrong), Err(Malformed::Field));
            }
        }
    }
}
