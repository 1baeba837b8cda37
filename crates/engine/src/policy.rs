//! What the responder is willing to do.

use std::ops::RangeInclusive;

use otherhalf_policy::Rates;
use otherhalf_wire::probe::Protocol;

/// The flows that probes of one protocol may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flows {
    /// Flows that a request may ask for.
    pub allowed: Vec<RangeInclusive<u16>>,
    /// The flow for requests without a wish.
    pub default: u16,
}

impl Flows {
    /// Every flow, and the protocol's own default.
    #[must_use]
    pub fn any(protocol: Protocol) -> Self {
        Self { allowed: vec![0..=u16::MAX], default: protocol.default_flow() }
    }

    /// Whether a request may ask for `flow`.
    #[must_use]
    #[inline]
    pub fn allow(&self, flow: u16) -> bool {
        self.allowed.iter().any(|range| *range.start() <= flow && flow <= *range.end())
    }
}

/// Which way replies are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reply {
    /// As the routes say: what a reverse trace is to show.
    #[default]
    Route,
    /// To the neighbour that the frame came from, whatever the routes say.
    Hairpin,
}

/// How many probes an address and its prefixes may cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The rates.
    pub rates: Rates,
    /// Of so many requests beyond them, one is served even so, so that nobody can be muted by requests in his name. 0: none.
    pub leak: u32,
    /// And no more of these than so many a second and worker.
    pub leak_per_second: u32,
    /// Whether the rates are only tried out: what is beyond them is counted and served.
    pub dry_run: bool,
}

/// What is answered besides requests, a second and worker. A tenth of it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowances {
    /// Port unreachables and RSTs for closed ports.
    pub closed: u32,
    /// Pings.
    pub pings: u32,
    /// Questions of neighbours for our hardware address.
    pub neighbours: u32,
}

impl Default for Allowances {
    /// As many as Linux sends ICMP errors (`icmp_msgs_per_sec`), and more of what is cheap and expected.
    fn default() -> Self {
        Self { closed: 1000, pings: 10_000, neighbours: 10_000 }
    }
}

/// What the responder is willing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Probes over ICMP; none: refused.
    pub icmp: Option<Flows>,
    /// Probes over TCP; none: refused.
    pub tcp: Option<Flows>,
    /// Probes over UDP; none: refused.
    pub udp: Option<Flows>,
    /// Which way replies are sent.
    pub reply: Reply,
    /// Whether a quote must have the identification that its IPv4 probe was sent with. It is 15 of the bits that keep guessed
    /// answers out, but a middlebox on the way may rewrite it.
    pub check_identification: bool,
    /// Whether requests are dropped, because the responder goes out of service. Answers to probes on their way are still taken.
    pub draining: bool,
    /// Whether UDP and TCP to our addresses are answered as by a host without services.
    pub closed_ports: bool,
    /// How many probes an address may cause; none: as many as it asks for.
    pub rate: Option<RateLimit>,
    /// What is answered besides requests.
    pub allowances: Allowances,
}

impl Default for Policy {
    /// Every protocol, every flow, by the routes, and answers as a host gives them.
    fn default() -> Self {
        let [icmp, tcp, udp] = Protocol::ALL.map(|protocol| Some(Flows::any(protocol)));
        Self {
            icmp,
            tcp,
            udp,
            reply: Reply::Route,
            check_identification: true,
            draining: false,
            closed_ports: true,
            rate: None,
            allowances: Allowances::default(),
        }
    }
}

impl Policy {
    /// The flows allowed for `protocol`, unless it is refused.
    #[must_use]
    #[inline]
    pub const fn flows(&self, protocol: Protocol) -> Option<&Flows> {
        match protocol {
            Protocol::Icmp => self.icmp.as_ref(),
            Protocol::Tcp => self.tcp.as_ref(),
            Protocol::Udp => self.udp.as_ref(),
        }
    }
}
