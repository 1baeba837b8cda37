//! What a trace is asked to do, in types that allow nothing else.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ttl::Ttl;

/// Whose path is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From us to the target.
    Forward,
    /// From the target to us.
    Reverse,
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        })
    }
}

/// What load balancers hash on: the destination port of UDP and TCP, the checksum of ICMP. Never 0,
/// with which a request leaves the choice to the responder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow(NonZeroU16);

impl Flow {
    /// UDP's first traceroute port: nothing listens there, so the end of the path answers with "port unreachable".
    /// (The protocol's own default is 53, where a resolver may well swallow the probe.)
    const UDP: Self = Self(NonZeroU16::new(33434).unwrap());

    /// The lowest.
    pub const MIN: Self = Self(NonZeroU16::MIN);

    /// `None` for 0.
    #[must_use]
    pub const fn new(flow: u16) -> Option<Self> {
        match NonZeroU16::new(flow) {
            Some(flow) => Some(Self(flow)),
            None => None,
        }
    }

    /// The flow of a trace whose user has no wish: UDP port 33434, TCP port 80, ICMP checksum 0xbeaf.
    ///
    /// Always the same, so that two traces show one path; and the same in both directions.
    ///
    /// # Panics
    ///
    /// Never: the protocol's defaults are not 0.
    #[must_use]
    pub const fn default_of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Udp => Self::UDP,
            Protocol::Tcp | Protocol::Icmp => Self::new(protocol.default_flow()).unwrap(),
        }
    }

    /// The number, 1 to 65535.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl std::fmt::Display for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The text was no number from 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a flow is a number from 1 to 65535")]
pub struct NoFlow;

impl std::str::FromStr for Flow {
    type Err = NoFlow;

    fn from_str(text: &str) -> Result<Self, NoFlow> {
        text.parse().ok().and_then(Self::new).ok_or(NoFlow)
    }
}

/// Probes per hop: 1 to 10, as in traceroute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queries(u8);

impl Queries {
    const MAX: u8 = 10;

    /// `None` for 0 or more than 10.
    #[must_use]
    pub const fn new(queries: u8) -> Option<Self> {
        if queries == 0 || queries > Self::MAX { None } else { Some(Self(queries)) }
    }

    /// The number, 1 to 10.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Queries {
    fn default() -> Self {
        Self(3)
    }
}

impl std::fmt::Display for Queries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The text was no number from 1 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number of queries per hop is 1 to 10")]
pub struct NoQueries;

impl std::str::FromStr for Queries {
    type Err = NoQueries;

    fn from_str(text: &str) -> Result<Self, NoQueries> {
        text.parse().ok().and_then(Self::new).ok_or(NoQueries)
    }
}

/// Queries a second, at most: 1 to 100000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(NonZeroU32);

impl Rate {
    const MAX: u32 = 100_000;

    /// `None` for 0 or more than 100000.
    #[must_use]
    pub const fn new(per_second: u32) -> Option<Self> {
        match NonZeroU32::new(per_second) {
            Some(rate) if per_second <= Self::MAX => Some(Self(rate)),
            _ => None,
        }
    }

    /// The number, 1 to 100000.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The time from one query to the next.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) / self.get()
    }

    /// The rate of each of `parts` traces that together keep to this one; 1 at least.
    #[must_use]
    pub fn shared(self, parts: usize) -> Self {
        let parts = u32::try_from(parts.max(1)).unwrap_or(u32::MAX);
        NonZeroU32::new(self.get() / parts).map_or(Self(NonZeroU32::MIN), Self)
    }
}

impl Default for Rate {
    /// 200 a second: one each 5 ms. That makes a path of 15 hops take a quarter of a second and 0.1 Mbit/s, and spreads queries so that
    /// the limits on ICMP errors of most routers (Linux: 1000 a second and 50 at once) are not met.
    fn default() -> Self {
        const { Self::new(200).unwrap() }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The text was no number from 1 to 100000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is 1 to {max} queries a second", max = Rate::MAX)]
pub struct NoRate;

impl std::str::FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        text.parse().ok().and_then(Self::new).ok_or(NoRate)
    }
}

/// How a trace is done.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose path.
    pub direction: Direction,
    /// What the probes are made of.
    pub protocol: Protocol,
    /// What load balancers hash on; constant, so that one path is seen.
    pub flow: Flow,
    /// The first TTL probed.
    pub first: Ttl,
    /// The last TTL probed.
    pub last: Ttl,
    /// Probes per TTL.
    pub queries: Queries,
    /// Queries in flight at once, at most.
    pub parallel: NonZeroU16,
    /// How long an answer may take. A router says that a host is unreachable once ARP has failed, on Linux after 3.06 seconds.
    pub wait: Duration,
    /// The least time between two queries.
    pub pause: Duration,
    /// Queries a second, at most; the same as a pause, and the longer one counts.
    pub rate: Rate,
    /// Octets of a whole probe packet of ours; `None`: no more than it needs. Of no use in reverse.
    pub size: Option<u16>,
    /// Type of service or traffic class of what we send.
    pub traffic_class: u8,
    /// In reverse: whom the target shall probe towards, rather than us (PROTOCOL §5).
    pub indirect: Option<IpAddr>,
    /// Silent hops in a row after which the trace is given up.
    pub gap: Ttl,
    /// Our address, as the target sees it unless it is translated on the way.
    pub source: IpAddr,
    /// The other end; of the same family.
    pub target: IpAddr,
}

impl Options {
    /// traceroute's defaults: TTL 1 to 30, 3 probes each, 16 in flight, up to 5 seconds for an answer;
    /// but no more than the [polite rate](Rate::default), and an end after 5 silent hops in a row.
    #[must_use]
    pub fn new(direction: Direction, protocol: Protocol, source: IpAddr, target: IpAddr) -> Self {
        Self {
            direction,
            protocol,
            flow: Flow::default_of(protocol),
            first: Ttl::MIN,
            last: Ttl::MIN.saturating_add(29),
            queries: Queries::default(),
            parallel: const { NonZeroU16::new(16).unwrap() },
            wait: Duration::from_secs(5),
            pause: Duration::ZERO,
            rate: Rate::default(),
            size: None,
            traffic_class: 0,
            indirect: None,
            gap: Ttl::MIN.saturating_add(4),
            source,
            target,
        }
    }

    /// Where the probes end, if they get so far.
    #[must_use]
    pub fn end(&self) -> IpAddr {
        match self.direction {
            Direction::Forward => self.target,
            Direction::Reverse => self.indirect.unwrap_or(self.source),
        }
    }

    /// Octets of each whole probe packet; `None` in reverse, where they are the responder's affair.
    pub(crate) fn probe_size(&self) -> Option<u16> {
        let least = || least_size(self.protocol, self.source);
        (self.direction == Direction::Forward).then(|| self.size.unwrap_or_else(least))
    }

    /// Type of service or traffic class of the probes; `None` in reverse, where a responder may choose another.
    pub(crate) fn probe_tos(&self) -> Option<u8> {
        (self.direction == Direction::Forward).then_some(self.traffic_class)
    }

    /// The least time between two queries.
    pub(crate) fn interval(&self) -> Duration {
        self.pause.max(self.rate.interval())
    }
}

/// Octets of a whole probe packet from `source` that is no longer than it needs to be.
pub(crate) fn least_size(protocol: Protocol, source: IpAddr) -> u16 {
    let octets = Family::of(source).header_len().saturating_add(protocol.probe_len());
    u16::try_from(octets).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert!("0".parse::<Flow>().is_err() && "65536".parse::<Flow>().is_err());
        assert_eq!("65535".parse::<Flow>().map(Flow::get), Ok(65535));
        assert!("0".parse::<Queries>().is_err() && "11".parse::<Queries>().is_err());
        assert_eq!("10".parse::<Queries>().map(Queries::get), Ok(10));
        assert!("0".parse::<Rate>().is_err() && "100001".parse::<Rate>().is_err());
        assert_eq!("100000".parse::<Rate>().map(Rate::get), Ok(100_000));
    }

    #[test]
    fn a_rate_is_shared() {
        let rate = Rate::default();
        assert_eq!(
            (rate.shared(2).get(), rate.shared(0).get(), rate.shared(1000).get()),
            (100, 200, 1)
        );
        assert_eq!(rate.interval(), Duration::from_millis(5));
    }

    #[test]
    fn only_our_own_probes_have_a_known_shape() {
        let ends = ["192.0.2.1", "192.0.2.2"].map(|end| end.parse().unwrap());
        let options = |direction| Options {
            traffic_class: 184,
            ..Options::new(direction, Protocol::Tcp, ends[0], ends[1])
        };
        let forward = options(Direction::Forward);
        assert_eq!((forward.probe_size(), forward.probe_tos()), (Some(44), Some(184)));
        let longer = Options { size: Some(1400), ..forward };
        assert_eq!(longer.probe_size(), Some(1400));
        let reverse = options(Direction::Reverse);
        assert_eq!((reverse.probe_size(), reverse.probe_tos()), (None, None));
    }

    #[test]
    fn default_flows() {
        let flows =
            [Protocol::Udp, Protocol::Tcp, Protocol::Icmp].map(|p| Flow::default_of(p).get());
        assert_eq!(flows, [33434, 80, 0xbeaf]);
    }
}
