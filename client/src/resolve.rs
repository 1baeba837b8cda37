//! From a name to an address, by the system's resolver: what `/etc/hosts` and `/etc/nsswitch.conf` say counts.
//! The way from addresses to names is in [`crate::names`].

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use otherhalf_wire::ip::Family;

pub use crate::names::Names;
use crate::printable;

/// Why a target has no address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The resolver knows no such name.
    #[error("unknown name: {name} ({source})", name = printable(.name))]
    Unknown {
        /// What was looked up.
        name: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The name is the address of a page, or has a port.
    #[error(
        "{name} is no host: give its name alone, {host}",
        name = printable(.name),
        host = printable(.host)
    )]
    Url {
        /// What was given.
        name: String,
        /// The host in it.
        host: String,
    },
    /// The name has no address of the family that was asked for.
    #[error("{name} has no {family} address", name = printable(.name))]
    Family {
        /// What was looked up.
        name: String,
        /// What was asked for.
        family: Family,
    },
    /// Of two names, one has no address of a family that the other has.
    #[error("{one} and {other} have no addresses of one family", one = printable(.one), other = printable(.other))]
    Apart {
        /// What was looked up.
        one: String,
        /// What else.
        other: String,
    },
    /// Link-local addresses are unique on a link only (RFC 4007, section 6).
    #[error(
        "{name} is a link-local address: add the interface that leads there, as in {name}%eth0",
        name = printable(.name)
    )]
    Scope {
        /// What was looked up.
        name: String,
    },
    /// The target is a group of hosts: a trace goes to one.
    #[error("{name} is a multicast address: a trace goes to one host", name = printable(.name))]
    Multicast {
        /// What was looked up.
        name: String,
    },
    /// The target is all hosts of a link.
    #[error("{name} is a broadcast address: a trace goes to one host", name = printable(.name))]
    Broadcast {
        /// What was looked up.
        name: String,
    },
}

/// Why nothing is sent to `address`.
fn refuse(name: &str, address: SocketAddr) -> Result<SocketAddr, Error> {
    let name = name.to_owned();
    match address {
        _ if address.ip().is_multicast() => Err(Error::Multicast { name }),
        SocketAddr::V4(v4) if v4.ip().is_broadcast() => Err(Error::Broadcast { name }),
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
            Err(Error::Scope { name })
        }
        _ => Ok(address),
    }
}

/// The host in what is a URL (RFC 3986, section 3.2) or begins or ends like one; `None` for what may be a host itself.
fn host_within(name: &str) -> Option<String> {
    let (is_url, rest) = match name.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, name),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match (host.strip_prefix('['), host.split_once(':')) {
        (Some(v6), _) => v6.split(']').next().unwrap_or_default(),
        // More than one colon: an IPv6 address.
        (None, Some((before, port))) if !port.contains(':') => before,
        _ => host,
    };
    let brackets = name.starts_with('[') && name.ends_with(']');
    let is_other = is_url || (host != name && !brackets);
    (is_other && !host.is_empty()).then(|| host.to_owned())
}

/// The address of `name`, which may be an address itself; the first of `family`, or of any.
pub fn target(name: &str, family: Option<Family>) -> Result<SocketAddr, Error> {
    let unknown = |source| Error::Unknown { name: name.to_owned(), source };
    // Brackets are how URLs write IPv6 addresses.
    let plain = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if plain.is_empty() {
        return Err(unknown(io::Error::new(io::ErrorKind::InvalidInput, "it is empty")));
    }
    if let Some(host) = host_within(name) {
        return Err(Error::Url { name: name.to_owned(), host });
    }
    let mut addresses = (plain, 0).to_socket_addrs().map_err(unknown)?;
    addresses
        .find(|address| family.is_none_or(|family| family == Family::of(address.ip())))
        .ok_or_else(|| match family {
            Some(family) => Error::Family { name: name.to_owned(), family },
            None => unknown(io::ErrorKind::NotFound.into()),
        })
        .and_then(|address| refuse(plain, address))
}

/// The addresses of two `names` that are of one family: of `family`, or of the first that both have, as the resolver orders
/// those of the first name.
pub fn pair(names: [&str; 2], family: Option<Family>) -> Result<(SocketAddr, SocketAddr), Error> {
    let [one, other] = names;
    let first = target(one, family)?;
    let chosen = Family::of(first.ip());
    match (target(other, Some(chosen)), family) {
        (Ok(second), _) => Ok((first, second)),
        (Err(error), Some(_)) => Err(error),
        (Err(error), None) => {
            let rest = match chosen {
                Family::V4 => Family::V6,
                Family::V6 => Family::V4,
            };
            let both = [one, other].map(|name| target(name, Some(rest)));
            match (both, error) {
                ([Ok(first), Ok(second)], _) => Ok((first, second)),
                (_, Error::Family { .. }) => {
                    Err(Error::Apart { one: one.to_owned(), other: other.to_owned() })
                }
                (_, error) => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_names_of_themselves() {
        assert_eq!(target("192.0.2.1", None).unwrap().ip().to_string(), "192.0.2.1");
        assert_eq!(
            target("[2001:db8::1]", Some(Family::V6)).unwrap().ip().to_string(),
            "2001:db8::1"
        );
        assert!(matches!(
            target("192.0.2.1", Some(Family::V6)),
            Err(Error::Family { .. } | Error::Unknown { .. })
        ));
        assert!(matches!(target("", None), Err(Error::Unknown { .. })));
    }

    #[test]
    fn a_pair_is_of_one_family() {
        let families = |names, family| {
            let (one, other) = pair(names, family).ok()?;
            Some([one, other].map(|address| Family::of(address.ip())))
        };
        assert_eq!(families(["192.0.2.1", "192.0.2.2"], None), Some([Family::V4; 2]));
        assert_eq!(families(["2001:db8::1", "2001:db8::2"], None), Some([Family::V6; 2]));
        // The name has both where the system knows both, and follows the address in any case.
        for address in ["127.0.0.1", "::1"] {
            let wanted = Family::of(address.parse().unwrap());
            if target("localhost", Some(wanted)).is_ok() {
                assert_eq!(families(["localhost", address], None), Some([wanted; 2]));
            }
        }
        let error = pair(["192.0.2.1", "2001:db8::1"], None).unwrap_err();
        assert!(matches!(error, Error::Apart { .. }), "{error}");
        let error = pair(["192.0.2.1", "nobody.invalid"], None).unwrap_err();
        assert!(matches!(error, Error::Unknown { .. }), "{error}");
        assert!(pair(["192.0.2.1", "192.0.2.2"], Some(Family::V6)).is_err());
    }

    #[test]
    fn of_a_url_the_host_is_wanted() {
        for (name, host) in [
            ("https://www.example.com/a?b=c:d", "www.example.com"),
            ("http://user@www.example.com:8080", "www.example.com"),
            ("www.example.com/", "www.example.com"),
            ("www.example.com:443", "www.example.com"),
            ("192.0.2.0/24", "192.0.2.0"),
            ("https://[2001:db8::1]:443/", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
        ] {
            let error = target(name, None).unwrap_err().to_string();
            assert_eq!(error, format!("{name} is no host: give its name alone, {host}"));
        }
        for host in ["2001:db8::1", "[2001:db8::1]", "fe80::1%1", "192.0.2.1", "::1"] {
            assert_eq!(host_within(host), None, "{host}");
        }
    }

    #[test]
    fn a_target_is_one_host() {
        for group in ["224.0.0.1", "ff02::1%1", "ff0e::1"] {
            assert!(matches!(target(group, None), Err(Error::Multicast { .. })), "{group}");
        }
        assert!(matches!(target("255.255.255.255", None), Err(Error::Broadcast { .. })));
        let error = target("fe80::1", None).unwrap_err();
        assert!(error.to_string().contains("as in fe80::1%eth0"), "{error}");
        assert!(target("fe80::1%1", None).is_ok());
    }
}
