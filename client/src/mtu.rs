//! The longest packets that the forward path takes (RFC 1191, RFC 8201, and RFC 4821 where routers keep silent).
//!
//! Probes that must not be fragmented go to the end of a path that is known already. A router that cannot pass one on says how
//! long it may be; where none does, silence is the answer, and the limit is searched for.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Probe, Protocol, SOURCE_PORT};

use crate::details::Sent;
use crate::network::{Network, TICK};
use crate::options::{Flow, Queries};
use crate::query::{Answer, Query, Reply, Shape};
use crate::secret::Secret;
use crate::ttl::Ttl;

/// From one attempt to the next.
const INTERVAL: Duration = Duration::from_millis(20);

/// Routers are believed so many times, which is more than any path has narrow links in a row. A router that says one octet less
/// each time would else be asked a thousand times (RFC 1191 §7.1 has as many plateaus, for routers that say nothing).
const BELIEVED: usize = 10;

/// What to look for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Our address.
    pub source: IpAddr,
    /// The target's.
    pub target: IpAddr,
    /// What the probes are made of.
    pub protocol: Protocol,
    /// What load balancers hash on.
    pub flow: Flow,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// How far the path goes: to a hop that answers.
    pub ttl: Ttl,
    /// The longest packet that the first link takes, in octets.
    pub largest: u16,
    /// Probes of one size, before silence is an answer.
    pub attempts: Queries,
    /// How long an answer may take.
    pub wait: Duration,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMtu {
    /// The longest packet that came to the end, in octets; `None` if none did, however short.
    pub mtu: Option<u16>,
    /// Routers whose next link takes less, in the order in which they said so: nearest first.
    pub limits: Vec<Limit>,
    /// Longer packets got lost without a word: somebody keeps routers from saying so (RFC 2923 §2.1).
    pub black_hole: bool,
    /// Probes sent.
    pub sent: u64,
}

/// A router whose next link takes less than the links before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The router.
    pub router: IpAddr,
    /// What the link takes, in octets; `None` if the router does not say.
    pub mtu: Option<u32>,
}

/// What became of the probes of one size.
enum Fate {
    Arrived,
    TooBig(Limit),
    Silent,
    Stopped,
}

/// The sizes that are still possible.
struct Search {
    /// The longest that arrived, or is sure to.
    fits: u16,
    /// The shortest that did not arrive.
    fails: Option<u16>,
}

impl Search {
    /// The size between both; `None` if there is none.
    fn middle(&self) -> Option<u16> {
        let fails = self.fails?;
        let middle = self.fits.midpoint(fails);
        (middle > self.fits).then_some(middle)
    }
}

/// Looks for the longest packet; `watch` is called now and then, and ends it when it breaks.
pub fn discover<N: Network>(
    network: &mut N,
    options: &Options,
    secret: &Secret,
    mut watch: impl FnMut() -> ControlFlow<()>,
) -> Result<PathMtu, N::Error> {
    let least = options.least();
    let mut found = PathMtu { mtu: None, limits: Vec::new(), black_hole: false, sent: 0 };
    let mut search = Search { fits: least, fails: None };
    let mut size = options.largest.max(least);
    loop {
        let next = match ask(network, options, secret, size, &mut found.sent, &mut watch)? {
            Fate::Arrived => {
                found.mtu = found.mtu.max(Some(size));
                search.fits = size;
                search.middle()
            }
            Fate::TooBig(limit) => {
                found.limits.push(limit);
                search.fails = Some(size);
                let said = limit.mtu.and_then(|mtu| u16::try_from(mtu).ok());
                let believed = found.limits.len() <= BELIEVED;
                match said.filter(|said| believed && (search.fits..size).contains(said)) {
                    Some(said) => {
                        // Believed, unless it fails: nothing longer is tried.
                        search.fails = said.checked_add(1);
                        Some(said)
                    }
                    None => search.middle(),
                }
            }
            Fate::Silent if size == least => None,
            Fate::Silent => {
                found.black_hole = true;
                search.fails = Some(size);
                // If not even the shortest arrives, there is nothing to search.
                if found.mtu.is_none() && search.fits == least {
                    match ask(network, options, secret, least, &mut found.sent, &mut watch)? {
                        Fate::Arrived => found.mtu = Some(least),
                        _ => return Ok(PathMtu { black_hole: false, ..found }),
                    }
                }
                search.middle()
            }
            Fate::Stopped => None,
        };
        match next {
            Some(next) => size = next,
            None => return Ok(found),
        }
    }
}

/// Sends probes of `size` until one is answered or all were waited for.
fn ask<N: Network>(
    network: &mut N,
    options: &Options,
    secret: &Secret,
    size: u16,
    sent: &mut u64,
    watch: &mut impl FnMut() -> ControlFlow<()>,
) -> Result<Fate, N::Error> {
    let mut probes: Vec<Sent> = Vec::new();
    let mut last = network.now();
    loop {
        let now = network.now();
        let more = probes.len() < usize::from(options.attempts.get());
        if more && (probes.is_empty() || now >= last + INTERVAL) {
            let (query, probe) = options.query(size, secret, *sent);
            network.send(&query)?;
            *sent += 1;
            last = network.now();
            probes.push(probe);
            continue;
        }
        let deadline = last + if more { INTERVAL } else { options.wait };
        if watch().is_break() {
            return Ok(Fate::Stopped);
        }
        if !more && now >= deadline {
            return Ok(Fate::Silent);
        }
        let received = network.receive(deadline.min(now + TICK))?;
        if let Some(fate) = received.and_then(|answer| fate(&probes, &answer)) {
            return Ok(fate);
        }
    }
}

/// What an answer says, if it is to one of `probes`.
fn fate(probes: &[Sent], (answer, _): &(Answer, Instant)) -> Option<Fate> {
    let Answer::Probe { identity, from, reply, details } = answer else { return None };
    let quoted = details.quoted.as_ref();
    probes.iter().find(|probe| probe.is_answered(identity, quoted).is_some())?;
    Some(match reply {
        Reply::TooBig { mtu } => Fate::TooBig(Limit { router: *from, mtu: *mtu }),
        Reply::TimeExceeded | Reply::Unreachable(_) | Reply::Direct => Fate::Arrived,
    })
}

impl Options {
    /// Octets of the shortest packet that has room for a probe.
    fn least(&self) -> u16 {
        shortest(Family::of(self.target), self.protocol)
    }

    fn query(&self, size: u16, secret: &Secret, number: u64) -> (Query, Sent) {
        // Far from those of the trace before; of 65536, so never two alike in one search.
        let identifier = u16::try_from(number % 0x7fff).unwrap_or_default() ^ 0x4000;
        let cookie = secret.cookie(number);
        let probe = Probe {
            protocol: self.protocol,
            source_port: SOURCE_PORT,
            flow: self.flow.get(),
            identifier: (secret.first_identifier() ^ identifier).max(1),
            cookie,
        };
        let shape =
            Shape { size: Some(size), traffic_class: self.traffic_class, dont_fragment: true };
        let sent = Sent {
            source: self.source,
            destination: self.target,
            probe,
            size: Some(size),
            identification: None,
        };
        (Query::Probe { ttl: self.ttl, probe, shape, instead: None }, sent)
    }
}

/// Octets of the shortest packet that has room for a probe of `protocol`.
#[must_use]
pub fn shortest(family: Family, protocol: Protocol) -> u16 {
    // At most 40 and 24.
    u16::try_from(family.header_len() + protocol.probe_len()).unwrap_or(u16::MAX)
}
