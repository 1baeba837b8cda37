//! Sources that may not ask: addresses that nobody on the Internet has, and senders that came in by the wrong port.
//!
//! Who may never be sent to (loopback, groups, ourselves) has been dropped before, in `classify`. What is left is special by the
//! registries of RFC 6890: private, shared, documentation, benchmarking. On the Internet, such a source is spoofed or has lost its NAT, and our
//! probe would go to whoever has that address near us.

use std::net::{Ipv4Addr, Ipv6Addr};

use otherhalf_pending::Prefetch;
use otherhalf_wire::ip::Packet;

use crate::outcome::Outcome;
use crate::policy::Bogons;
use crate::work::{Address, Found, Look};

/// Whether the source of `packet`, which is a request, may ask; if not, what it is dropped as.
#[inline(always)]
pub(crate) fn check<A: Address, P: Prefetch>(look: &Look<'_, P>, packet: &Packet<'_, A>) -> Found {
    let policy = look.view.policy;
    if policy.bogons != Bogons::Allow
        && packet.src.may_be_special()
        && is_bogon(policy.bogons, packet)
    {
        return Err(Outcome::DropBogon);
    }
    if policy.strict_source && !came_in_right(look, packet.src) {
        return Err(Outcome::DropWrongPort);
    }
    Ok(())
}

#[cold]
fn is_bogon<A: Address>(bogons: Bogons, packet: &Packet<'_, A>) -> bool {
    packet.src.is_special() && (bogons == Bogons::Drop || !packet.dst.is_special())
}

/// Whether what is sent to `source` leaves by the interface that this frame came in by (strict reverse path forwarding, RFC 3704 §2.2).
#[cold]
fn came_in_right<A: Address, P: Prefetch>(look: &Look<'_, P>, source: A) -> bool {
    let route = source.route(look.view.network, look.ingress);
    route.is_some_and(|(_, interface)| interface == look.ingress)
}

/// For each first octet of an IPv4 address, a bit: whether some of its addresses are special.
const SPECIAL_FIRST: [u64; 4] = {
    let octets: [u8; 9] = [0, 10, 100, 127, 169, 172, 192, 198, 203];
    let mut set = [0, 0, 0, 0xffff << 48];
    let mut place = 0;
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    while place < octets.len() {
        set[(octets[place] >> 6) as usize] |= 1 << (octets[place] & 63);
        place += 1;
    }
    set
};

/// A guess that costs little: whether [`is_special_v4`] may be true.
#[inline(always)]
pub(crate) fn may_be_special_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    let word = SPECIAL_FIRST.get(usize::from(first >> 6)).copied().unwrap_or_default();
    word >> (first & 63) & 1 == 1
}

/// Whether the registry of special-purpose addresses (RFC 6890, kept by IANA) says that `address` is not globally reachable.
pub(crate) const fn is_special_v4(address: Ipv4Addr) -> bool {
    // Globally reachable: the anycast addresses of port control and TURN (RFC 7723, RFC 8155).
    let anycast = matches!(address.octets(), [192, 0, 0, 9 | 10]);
    let special = matches!(
        address.octets(),
        [0 | 10 | 127 | 240..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    );
    special && !anycast
}

/// The same guess as [`may_be_special_v4`]: all but `2000::/3`, and there `2001::/23`, `2001:db8::/32`, `2002::/16`, `3fff::/20`.
#[inline(always)]
pub(crate) fn may_be_special_v6(address: Ipv6Addr) -> bool {
    let high = (address.to_bits() >> 96) as u32;
    high >> 29 != 0b001
        || high >> 9 == 0x2001_0000 >> 9
        || high == 0x2001_0db8
        || high >> 16 == 0x2002
        || high >> 12 == 0x3fff_0000 >> 12
}

/// A guess that costs little: whether [`embedded_v4`] may find one.
#[inline(always)]
pub(crate) fn may_embed_v4(address: Ipv6Addr) -> bool {
    let high = (address.to_bits() >> 96) as u32;
    high == 0x0064_ff9b || high >> 16 == 0x2002
}

/// The IPv4 address that `address` stands for: by the well-known prefix of translators (RFC 6052 §2.1), or by 6to4 (RFC 3056).
#[must_use]
pub const fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(Ipv4Addr::from_bits((high as u32) << 16 | low as u32))
        }
        _ => None,
    }
}

/// As [`is_special_v4`]; whatever is outside of `2000::/3`, which alone is given to hosts (RFC 4291 §2.4), counts as special. What stands for an
/// IPv4 address is what that is (RFC 6052 §3.1, RFC 3056 §2).
pub(crate) const fn is_special_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = embedded_v4(address) {
        return is_special_v4(v4);
    }
    let segments = address.segments();
    // Of what is set aside for protocols, these are globally reachable: anycast services, AMT, AS112, ORCHIDv2, drone IDs; of Teredo,
    // the registry says neither.
    let reachable = matches!(
        segments,
        [0x2001, 1, 0, 0, 0, 0, 0, 1..=3]
            | [0x2001, 0 | 3 | 0x20..=0x3f, ..]
            | [0x2001, 4, 0x112, ..]
    );
    let outside = address.to_bits() >> 125 != 0b001;
    let special = matches!(segments, [0x2001, ..=0x1ff | 0xdb8, ..] | [0x3fff, ..=0x0fff, ..]);
    (outside || special) && !reachable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_ipv4() {
        // First and last of each block, and their neighbours outside.
        let blocks = [
            ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
            ("100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
            ("169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
            ("172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
            ("192.0.0.0", "192.0.0.8", "191.255.255.255", "192.0.0.9"),
            ("192.0.0.11", "192.0.0.255", "192.0.0.10", "192.0.1.0"),
            ("192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"),
            ("192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
            ("198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"),
            ("198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"),
            ("203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"),
            ("240.0.0.0", "255.255.255.255", "239.255.255.255", "1.0.0.0"),
            ("0.0.0.0", "0.255.255.255", "1.0.0.0", "1.0.0.0"),
        ];
        for (first, last, before, after) in blocks {
            for (text, special) in [(first, true), (last, true), (before, false), (after, false)] {
                assert_eq!(is_special_v4(text.parse().unwrap()), special, "{text}");
            }
        }
        for bits in (0..=u32::MAX).step_by(251) {
            let address = Ipv4Addr::from_bits(bits);
            assert!(may_be_special_v4(address) || !is_special_v4(address), "{address}");
        }
    }

    #[test]
    fn the_registry_of_ipv6() {
        let special = [
            "::1",
            "100::1",
            "2001:1::4",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2001:db8:ffff::",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "64:ff9b:1::1",
            "4000::1",
            "::ffff:8.8.8.8",
            "1fff::",
            "64:ff9b::10.0.0.1",
            "64:ff9b::1",
            "2002:a00:1::1",
            "2002:c000:201::1",
        ];
        let public = [
            "2000::1",
            "2001:0:1::",
            "2001:1::1",
            "2001:1::3",
            "2001:3::1",
            "2001:4:112::1",
            "2001:20::1",
            "2001:3f::",
            "2001:200::1",
            "2001:db7::",
            "2001:db9::",
            "2002:808:808::1",
            "2002:c001::1",
            "2a00::1",
            "3ffe::1",
            "3fff:1000::1",
            "64:ff9b::8.8.8.8",
            "64:ff9b::192.0.0.9",
        ];
        for (texts, expected) in [(&special[..], true), (&public[..], false)] {
            for text in texts {
                let address: Ipv6Addr = text.parse().unwrap();
                assert_eq!(is_special_v6(address), expected, "{text}");
                assert!(may_be_special_v6(address) || !expected, "{text}");
                assert!(may_embed_v4(address) || embedded_v4(address).is_none(), "{text}");
            }
        }
    }
}
