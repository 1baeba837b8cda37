//! Who is who in the simulated network.
//!
//! | who | IPv4 | IPv6 |
//! |---|---|---|
//! | the responder | 192.0.2.1/24 | 2001:db8::1/64 |
//! | its router, which is the generator | 192.0.2.254 | 2001:db8::fe |
//! | clients, behind the router | 198.18.0.0/15 (RFC 2544) | 2001:2::/48 (RFC 5180) |
//! | routers on the way, behind it too | 10.0.0.0/8 | 2001:db8:1::/96 |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use otherhalf_wire::ip::Family;

/// The responder's IPv4 address.
pub const RESPONDER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The responder's IPv6 address.
pub const RESPONDER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// The IPv4 address of the responder's router.
pub const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
/// The IPv6 address of the responder's router.
pub const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfe);

const CLIENTS_V4: u32 = Ipv4Addr::new(198, 18, 0, 0).to_bits();
const CLIENTS_V6: u128 = Ipv6Addr::new(0x2001, 0x2, 0, 0, 0, 0, 0, 0).to_bits();
const HOPS_V4: u32 = Ipv4Addr::new(10, 0, 0, 0).to_bits();
const HOPS_V6: u128 = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0).to_bits();

/// Clients that the IPv4 prefix has room for; IPv6 gets as many.
pub const MAX_CLIENTS: u32 = 1 << 17;

/// The responder's address in `family`.
#[must_use]
#[inline]
pub const fn responder(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(RESPONDER_V4),
        Family::V6 => IpAddr::V6(RESPONDER_V6),
    }
}

/// The address of client `index`, below [`MAX_CLIENTS`].
#[must_use]
#[inline]
pub fn client(family: Family, index: u32) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(CLIENTS_V4 | index).into(),
        Family::V6 => Ipv6Addr::from_bits(CLIENTS_V6 | u128::from(index)).into(),
    }
}

/// The index of the client that has `address`; `None` if it is no client's.
#[must_use]
#[inline]
pub fn client_index(address: IpAddr) -> Option<u32> {
    let index = match address {
        IpAddr::V4(address) => address.to_bits() ^ CLIENTS_V4,
        IpAddr::V6(address) => u32::try_from(address.to_bits() ^ CLIENTS_V6).ok()?,
    };
    (index < MAX_CLIENTS).then_some(index)
}

/// The address of a router on the way; `bits` choose among 16 million, or four thousand million in IPv6.
#[must_use]
#[inline]
pub fn hop(family: Family, bits: u32) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(HOPS_V4 | bits >> 8).into(),
        Family::V6 => Ipv6Addr::from_bits(HOPS_V6 | u128::from(bits)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_their_own_addresses() {
        for family in [Family::V4, Family::V6] {
            for index in [0, 1, 255, MAX_CLIENTS - 1] {
                assert_eq!(client_index(client(family, index)), Some(index));
            }
            assert_eq!(client_index(responder(family)), None);
            assert_eq!(client_index(hop(family, 77)), None);
        }
        assert_eq!(client_index("198.20.0.0".parse().unwrap()), None);
    }
}
