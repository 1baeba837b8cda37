//! Addresses that nobody announces: no use in asking the world about them, and none of its business.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, prefix_len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix_len)
}

const fn v6(a: u16, b: u16, prefix_len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix_len)
}

/// What the IANA IPv4 Special-Purpose Address Registry (RFC 6890) calls not globally reachable, and multicast (RFC 5771).
const SPECIAL_V4: [Ipv4Net; 14] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
];

/// All that is given out so far for the Internet (RFC 4291 §2.5.4).
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// What of it is not globally reachable: protocol assignments (RFC 2928), 6to4 (RFC 7526), documentation (RFC 3849, RFC 9637).
const SPECIAL_V6: [Ipv6Net; 4] =
    [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

/// Whether `address` may be one of the Internet's, so that others may know something about it.
#[must_use]
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|net| net.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_documentation_addresses_are_not_the_internets() {
        for address in [
            "10.1.2.3",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.31.255.255",
            "192.0.2.1",
            "192.168.1.1",
            "198.51.100.7",
            "203.0.113.9",
            "239.1.1.1",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "64:ff9b::1",
        ] {
            assert!(!is_global(address.parse().unwrap()), "{address}");
        }
        // The neighbours of reserved blocks.
        for address in ["9.255.255.255", "100.128.0.0", "172.32.0.0", "192.0.3.0", "2001:200::1"] {
            assert!(is_global(address.parse().unwrap()), "{address}");
        }
    }
}
