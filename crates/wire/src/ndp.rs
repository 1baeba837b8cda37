//! Neighbour discovery for IPv6 (RFC 4861): solicitations and advertisements.

use core::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Malformed;
use crate::ethernet::Mac;
use crate::icmp::Kind;
use crate::ip::{Family, protocol, pseudo_header};

/// The hop limit that proves that no router forwarded the message (RFC 4861 §7.1).
pub const HOP_LIMIT: u8 = 255;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// Flags of an advertisement.
mod flag {
    pub(super) const SOLICITED: u32 = 1 << 30;
    pub(super) const OVERRIDE: u32 = 1 << 29;
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Bytes {
    kind: u8,
    code: u8,
    checksum: U16,
    flags: U32,
    target: [u8; 16],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct LinkLayerOption {
    kind: u8,
    units: u8,
    mac: Mac,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Whole {
    message: Bytes,
    option: LinkLayerOption,
}

/// Octets of a message with its link-layer address option.
pub const LEN: usize = size_of::<Whole>();

/// A neighbour discovery message that we understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Who has `target`?
    Solicitation {
        /// The address asked for.
        target: Ipv6Addr,
        /// The asker's hardware address, unless it checks for duplicates.
        source_mac: Option<Mac>,
    },
    /// `target` is at `target_mac`.
    Advertisement {
        /// The address advertised.
        target: Ipv6Addr,
        /// Its hardware address; may be left out where the asker knew it.
        target_mac: Option<Mac>,
        /// It answers a solicitation, so the way to the neighbour and back works.
        solicited: bool,
        /// It replaces what was known.
        overrides: bool,
    },
}

impl Message {
    /// Reads a message from the ICMPv6 payload `bytes` (RFC 4861 §7.1.1, §7.1.2, less what the IP header says).
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (head, options) = Bytes::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        let target = Ipv6Addr::from(head.target);
        if head.code != 0 || target.is_multicast() || target.is_unspecified() {
            return Err(Malformed::Field);
        }
        match Kind::from_number(Family::V6, head.kind) {
            Kind::NeighbourSolicitation => Ok(Self::Solicitation {
                target,
                source_mac: link_layer(options, SOURCE_LINK_LAYER)?,
            }),
            Kind::NeighbourAdvertisement => Ok(Self::Advertisement {
                target,
                target_mac: link_layer(options, TARGET_LINK_LAYER)?,
                solicited: head.flags.get() & flag::SOLICITED != 0,
                overrides: head.flags.get() & flag::OVERRIDE != 0,
            }),
            _ => Err(Malformed::Field),
        }
    }

    /// Writes the message, its checksum included, to the front of `out`; returns the octets written.
    ///
    /// `None` if it does not fit. A message without hardware address is written without the option.
    #[must_use]
    pub fn emit(&self, src: Ipv6Addr, dst: Ipv6Addr, out: &mut [u8]) -> Option<usize> {
        let (kind, flags, target, option, mac) = match *self {
            Self::Solicitation { target, source_mac } => {
                (Kind::NeighbourSolicitation, 0, target, SOURCE_LINK_LAYER, source_mac)
            }
            Self::Advertisement { target, target_mac, solicited, overrides } => (
                Kind::NeighbourAdvertisement,
                if solicited { flag::SOLICITED } else { 0 }
                    | if overrides { flag::OVERRIDE } else { 0 },
                target,
                TARGET_LINK_LAYER,
                target_mac,
            ),
        };
        let len = if mac.is_some() { LEN } else { size_of::<Bytes>() };
        let out = out.get_mut(..len)?;
        let (head, rest) = Bytes::mut_from_prefix(out).ok()?;
        *head = Bytes {
            kind: kind.number(Family::V6),
            code: 0,
            checksum: 0.into(),
            flags: flags.into(),
            target: target.octets(),
        };
        if let Some(mac) = mac {
            let (place, _) = LinkLayerOption::mut_from_prefix(rest).ok()?;
            *place = LinkLayerOption { kind: option, units: 1, mac };
        }
        let length = u16::try_from(len).ok()?;
        let sum = pseudo_header(src, dst, protocol::ICMPV6, length).bytes(out);
        let (head, _) = Bytes::mut_from_prefix(out).ok()?;
        head.checksum.set(sum.checksum());
        Some(len)
    }
}

/// The link-layer address option of kind `wanted`; unknown options are skipped (RFC 4861 §4.6).
fn link_layer(mut options: &[u8], wanted: u8) -> Result<Option<Mac>, Malformed> {
    let mut found = None;
    while let [kind, units, ..] = options {
        let len = usize::from(*units).wrapping_mul(8);
        if len == 0 {
            return Err(Malformed::Length);
        }
        let (option, rest) = options.split_at_checked(len).ok_or(Malformed::Truncated)?;
        if *kind == wanted && found.is_none() {
            found = LinkLayerOption::ref_from_prefix(option).ok().map(|(option, _)| option.mac);
        }
        options = rest;
    }
    if options.is_empty() { Ok(found) } else { Err(Malformed::Truncated) }
}

/// The multicast address that `address` listens on for solicitations (RFC 4291 §2.7.1).
#[must_use]
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a as u16, (b as u16) << 8 | c as u16)
}

/// The Ethernet group address of a multicast address (RFC 2464 §7).
#[must_use]
pub const fn multicast_mac(address: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = address.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// The link-local address that an interface derives from its hardware address (RFC 4291, appendix A).
#[must_use]
pub const fn link_local(mac: Mac) -> Ipv6Addr {
    let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0];
    let [.., v0, v1, v2, _, _, n0, n1, n2] = &mut octets;
    // The universal/local bit is turned round (RFC 4291 §2.5.1).
    [*v0, *v1, *v2, *n0, *n1, *n2] = mac.0;
    *v0 ^= 2;
    Ipv6Addr::from_octets(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRC: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const DST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);

    #[test]
    fn emit_then_parse_is_the_identity() {
        let mut messages = std::vec![];
        for mac in [None, Some(MAC)] {
            messages.push(Message::Solicitation { target: DST, source_mac: mac });
            for (solicited, overrides) in [(false, true), (true, false), (true, true)] {
                messages.push(Message::Advertisement {
                    target: DST,
                    target_mac: mac,
                    solicited,
                    overrides,
                });
            }
        }
        for message in messages {
            let mut out = [0; LEN];
            let len = message.emit(SRC, DST, &mut out).unwrap();
            assert_eq!(Message::parse(&out[..len]), Ok(message));
            let sum = pseudo_header(SRC, DST, 58, u16::try_from(len).unwrap());
            assert!(sum.bytes(&out[..len]).verifies());
            for cut in 0..len {
                assert!(cut == 24 || Message::parse(&out[..cut]).is_err(), "{cut}");
                assert!(message.emit(SRC, DST, &mut out[..cut]).is_none());
            }
        }
    }

    #[test]
    fn options_are_walked_and_lies_end_the_walk() {
        let mut bytes = [0u8; 48];
        bytes[0] = 135;
        bytes[8] = 0x20;
        bytes[24..26].copy_from_slice(&[14, 2]);
        bytes[40..48].copy_from_slice(&[1, 1, 2, 0, 0, 0, 0, 7]);
        let target = Ipv6Addr::from_octets([0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            Message::parse(&bytes),
            Ok(Message::Solicitation { target, source_mac: Some(MAC) })
        );
        bytes[25] = 0;
        assert_eq!(Message::parse(&bytes), Err(Malformed::Length), "an endless option");
        bytes[25] = 9;
        assert_eq!(Message::parse(&bytes), Err(Malformed::Truncated));
        bytes[1] = 1;
        assert_eq!(Message::parse(&bytes), Err(Malformed::Field));
    }

    #[test]
    fn derived_addresses() {
        let address: Ipv6Addr = "2001:db8::aa:bbcc:ddee".parse().unwrap();
        assert_eq!(solicited_node(address), "ff02::1:ffcc:ddee".parse::<Ipv6Addr>().unwrap());
        assert_eq!(
            multicast_mac(solicited_node(address)),
            Mac([0x33, 0x33, 0xff, 0xcc, 0xdd, 0xee])
        );
        assert_eq!(link_local(MAC), "fe80::ff:fe00:7".parse::<Ipv6Addr>().unwrap());
    }
}
