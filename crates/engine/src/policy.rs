//! What the responder is willing to do.

use std::ops::RangeInclusive;
use std::sync::Arc;

use otherhalf_policy::{Prefixes, Rates};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::RESPONSE_LEN;

use crate::access::Access;
use crate::indirect::Indirect;

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

/// What becomes of requests from addresses that are not globally reachable (RFC 6890).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bogons {
    /// Dropped if the address that is asked is globally reachable itself: on the Internet nobody else asks there.
    #[default]
    Public,
    /// Dropped wherever they ask.
    Drop,
    /// Answered.
    Allow,
}

/// The smallest request, in octets from its IP header on, for which a probe is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeastRequest {
    v4: [u16; 3],
    v6: [u16; 3],
}

impl Default for LeastRequest {
    /// As [`Self::DEFAULT_PERCENT`] asks.
    fn default() -> Self {
        Self::at_most(Self::DEFAULT_PERCENT)
    }
}

impl LeastRequest {
    /// No request without padding is below it: IPv4 TCP is the worst, with 100 octets for 32.
    pub const DEFAULT_PERCENT: u32 = 320;

    /// The smallest requests that cause probe and response of at most `percent` of their own size, all with their IP headers.
    #[must_use]
    pub fn at_most(percent: u32) -> Self {
        let least = |family: Family| {
            Protocol::ALL.map(|protocol| {
                let caused = caused(family, protocol).saturating_mul(100);
                let least = caused.div_ceil(u64::from(percent.max(1)));
                u16::try_from(least).unwrap_or(u16::MAX)
            })
        };
        Self { v4: least(Family::V4), v6: least(Family::V6) }
    }

    /// Octets of a request for a probe of `protocol`.
    #[must_use]
    #[inline(always)]
    pub const fn of(&self, family: Family, protocol: Protocol) -> u16 {
        let [icmp, tcp, udp] = match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        };
        match protocol {
            Protocol::Icmp => icmp,
            Protocol::Tcp => tcp,
            Protocol::Udp => udp,
        }
    }
}

/// Octets of probe and response together, with their IP headers: all that one request causes.
fn caused(family: Family, protocol: Protocol) -> u64 {
    let headers = family.header_len().saturating_mul(2);
    let octets = headers.saturating_add(protocol.probe_len()).saturating_add(RESPONSE_LEN);
    u64::try_from(octets).unwrap_or(u64::MAX)
}

/// What the responder is willing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
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
    /// Who may ask and who is never probed; none: everybody may, and everybody is.
    pub access: Option<Arc<Access>>,
    /// Who may have others traced; none: an indirect target is an object that we do not know.
    pub indirect: Option<Arc<Indirect>>,
    /// Whether UDP and TCP to our addresses are answered as by a host without services.
    pub closed_ports: bool,
    /// How many probes an address may cause; none: as many as it asks for.
    pub rate: Option<RateLimit>,
    /// What is answered besides requests.
    pub allowances: Allowances,
    /// What becomes of requests from addresses that are not globally reachable.
    pub bogons: Bogons,
    /// Whether a request must come in by the interface that its source is routed to.
    pub strict_source: bool,
    /// How large a request must be for the probe that it asks for.
    pub least_request: LeastRequest,
    /// Whose requests may be smaller: prefixes with another value than 0.
    pub unpadded: Arc<Prefixes>,
}

impl Default for Policy {
    /// Every protocol, every flow, by the routes, and answers as a host gives them; no bogons at public addresses.
    fn default() -> Self {
        let [icmp, tcp, udp] = Protocol::ALL.map(|protocol| Some(Flows::any(protocol)));
        Self {
            icmp,
            tcp,
            udp,
            reply: Reply::Route,
            check_identification: true,
            draining: false,
            access: None,
            indirect: None,
            closed_ports: true,
            rate: None,
            allowances: Allowances::default(),
            bogons: Bogons::default(),
            strict_source: false,
            least_request: LeastRequest::default(),
            unpadded: Arc::default(),
        }
    }
}

impl Policy {
    /// Whether there is a question to be asked of who requests, before what he requests is looked at.
    pub(crate) const fn asks_who(&self) -> bool {
        let Self { draining, bogons, strict_source, access, .. } = self;
        *draining || !matches!(bogons, Bogons::Allow) || *strict_source || access.is_some()
    }

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
