//! Names and addresses, by the system's resolver: what /etc/hosts says counts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_wire::ip::Family;

use crate::printable::printable;

/// Lookups at once; the others wait their turn. A lookup may hang for as long as the resolver's time-outs.
const LOOKUPS: usize = 64;

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
    /// The name has no address of the family that was asked for.
    #[error("{name} has no {family} address", name = printable(.name))]
    Family {
        /// What was looked up.
        name: String,
        /// What was asked for.
        family: Family,
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

/// The address of `name`, which may be an address itself; the first of `family`, or of any.
pub fn target(name: &str, family: Option<Family>) -> Result<SocketAddr, Error> {
    let unknown = |source| Error::Unknown { name: name.to_owned(), source };
    // Brackets are how URLs write IPv6 addresses.
    let plain = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if plain.is_empty() {
        return Err(unknown(io::Error::new(io::ErrorKind::InvalidInput, "it is empty")));
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

/// Names of addresses, looked up beside what else goes on.
#[derive(Debug)]
pub struct Names {
    known: HashMap<IpAddr, State>,
    waiting: Vec<IpAddr>,
    running: usize,
    results: Receiver<(IpAddr, Option<String>)>,
    sender: Sender<(IpAddr, Option<String>)>,
    lookup: fn(IpAddr) -> Option<String>,
}

#[derive(Debug, Clone)]
enum State {
    Pending,
    Known(Option<String>),
}

impl Names {
    /// Names by the system's resolver.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|address| dns_lookup::lookup_addr(&address).ok())
    }

    /// No names at all: every lookup is over at once.
    #[must_use]
    pub fn none() -> Self {
        Self::with(|_| None)
    }

    /// Names by `lookup`, which may block.
    #[must_use]
    pub fn with(lookup: fn(IpAddr) -> Option<String>) -> Self {
        let (sender, results) = channel();
        Self { known: HashMap::new(), waiting: Vec::new(), running: 0, results, sender, lookup }
    }

    /// Begins to look `address` up, unless that was done already.
    pub fn look_up(&mut self, address: IpAddr) {
        if let Entry::Vacant(unknown) = self.known.entry(address) {
            unknown.insert(State::Pending);
            self.waiting.push(address);
            self.start();
        }
    }

    /// Takes in what was found meanwhile; whether nothing is pending any more.
    pub fn update(&mut self) -> bool {
        while let Ok((address, name)) = self.results.try_recv() {
            self.learn(address, name);
        }
        self.running == 0
    }

    /// Waits until nothing is pending, but no longer than `patience`.
    pub fn wait(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !self.update() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.results.recv_timeout(left) {
                Ok((address, name)) => self.learn(address, name),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whether the lookup of `address` is still going on.
    #[must_use]
    pub fn is_pending(&self, address: IpAddr) -> bool {
        matches!(self.known.get(&address), Some(State::Pending))
    }

    /// The name of `address`, if it has one and it is known by now; fit for a terminal.
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<&str> {
        match self.known.get(&address)? {
            State::Pending => None,
            State::Known(name) => name.as_deref(),
        }
    }

    fn learn(&mut self, address: IpAddr, name: Option<String>) {
        self.running = self.running.saturating_sub(1);
        self.known.insert(address, State::Known(name.map(|name| printable(&name))));
        self.start();
    }

    fn start(&mut self) {
        while self.running < LOOKUPS
            && let Some(address) = self.waiting.pop()
        {
            self.running += 1;
            let (sender, lookup) = (self.sender.clone(), self.lookup);
            let spawned = thread::Builder::new().name("lookup".to_owned()).spawn(move || {
                // Nobody listens any more when the program ends: all the same then.
                let _ = sender.send((address, lookup(address)));
            });
            if spawned.is_err() {
                // No threads left: do without the name.
                self.running -= 1;
                self.known.insert(address, State::Known(None));
            }
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new()
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
    fn a_target_is_one_host() {
        for group in ["224.0.0.1", "ff02::1%1", "ff0e::1"] {
            assert!(matches!(target(group, None), Err(Error::Multicast { .. })), "{group}");
        }
        assert!(matches!(target("255.255.255.255", None), Err(Error::Broadcast { .. })));
        let error = target("fe80::1", None).unwrap_err();
        assert!(error.to_string().contains("as in fe80::1%eth0"), "{error}");
        assert!(target("fe80::1%1", None).is_ok());
    }

    #[test]
    fn lookups_run_beside_and_are_waited_for_with_a_bound() {
        let mut names = Names::with(|address| {
            if address.is_ipv6() {
                thread::sleep(Duration::from_secs(20));
            }
            (!address.is_loopback()).then(|| "ro\x1but\u{202e}er".to_owned())
        });
        let [fast, none, slow] =
            ["192.0.2.1", "127.0.0.1", "2001:db8::1"].map(|a| a.parse().unwrap());
        let start = Instant::now();
        for address in [fast, none, slow] {
            names.look_up(address);
        }
        names.wait(Duration::from_millis(300));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(names.get(fast), Some(r"ro\u{1b}ut\u{202e}er"));
        assert_eq!((names.get(none), names.is_pending(none)), (None, false));
        assert_eq!((names.get(slow), names.is_pending(slow)), (None, true));
    }
}
