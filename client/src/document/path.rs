//! One direction.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use otherhalf_wire::probe;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Change, Details, Multipath, PathMtu, Responder, Statistics, ms};
use crate::query;
use crate::trace::{self, Trace};
use crate::{Direction, Outcome, Sample};

/// The path of one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Path {
    /// What the probes were made of.
    pub protocol: Protocol,
    /// What load balancers hash on; of a multipath trace the first of many.
    pub flow: u16,
    /// The first TTL probed.
    pub first_ttl: u8,
    /// The last TTL that was allowed.
    pub max_ttl: u8,
    /// Probes per TTL; of a multipath trace the most flows at one TTL, 255 if they are more.
    pub queries: u8,
    /// Queries sent: probes forward, requests in reverse.
    pub sent: u64,
    /// Octets of each whole probe packet, IP header included; null in reverse, where they are the responder's affair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u16>,
    /// Type of service, or traffic class of IPv6, of the probes; null in reverse, where a responder may choose another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tos: Option<u8>,
    /// Where probes start.
    pub from: IpAddr,
    /// Where they go to: in reverse to us, or to the target of an indirect trace.
    pub to: IpAddr,
    /// Whether they came there.
    pub reached: bool,
    /// How the trace ended; null if it did not.
    pub end: Option<End>,
    /// One a TTL, in their order.
    pub hops: Vec<Hop>,
    /// The longest packets that it takes, if they were looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<PathMtu>,
    /// All paths between the two ends, if they were looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipath: Option<Multipath>,
    /// How the path changed, if it was watched by the live view; the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// What the probes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// UDP datagrams.
    Udp,
    /// TCP SYNs.
    Tcp,
    /// ICMP echo requests.
    Icmp,
}

/// All that is known about one TTL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hop {
    /// Its TTL.
    pub ttl: u8,
    /// What became of each query, in their order; null for one that was not answered.
    pub probes: Vec<Option<Probe>>,
    /// What all rounds of the live view amount to; `probes` has the latest of them only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Statistics>,
    /// The same for each address that answered, the one that answered most first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub responders: Vec<Responder>,
}

/// An answered probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Who answered.
    pub address: IpAddr,
    /// When its query was sent, in milliseconds from the first query of this path.
    pub sent_ms: f64,
    /// The probe's round-trip time, seen from where it was sent; null if a responder does not know it.
    pub rtt_ms: Option<f64>,
    /// From our query to its answer: in a forward trace the same as `rtt_ms`.
    pub query_ms: f64,
    /// What was answered; null in a reverse trace, whose responses do not say.
    pub reply: Option<Reply>,
    /// What else the answer tells.
    #[serde(flatten)]
    pub details: Details,
    /// Its flow, in a multipath trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<u16>,
}

/// What came back for a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reply {
    /// Its TTL ran out.
    TimeExceeded,
    /// The other end itself answered: echo reply, RST or SYN+ACK.
    Direct,
    /// It could not be delivered.
    Unreachable {
        /// The code of the ICMP message.
        code: u8,
        /// traceroute's `!N`, `!H`, `!X` and so on; empty for a port unreachable.
        annotation: String,
        /// What the code means.
        meaning: String,
    },
    /// It must not be fragmented, and the next link takes no packets of its size.
    TooBig {
        /// The largest that the link takes, in octets; null if the router does not say.
        mtu: Option<u32>,
    },
}

/// How a trace ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum End {
    /// At the other end.
    Reached,
    /// In reverse: behind an address translator, which hides our own address.
    ReachedTranslator {
        /// The translator's.
        address: IpAddr,
    },
    /// Somebody says that it goes no further.
    Unreachable {
        /// Who.
        from: IpAddr,
        /// What.
        reply: Reply,
    },
    /// Too many silent hops in a row.
    Silent,
    /// At the last TTL that was allowed.
    LastTtl,
    /// In reverse: one address answers at every TTL.
    Repeating {
        /// Which.
        address: IpAddr,
    },
    /// In reverse: the target speaks plain ping only.
    PingOnly,
    /// In reverse: the target refuses.
    Refused {
        /// The protocol's number for why.
        status: u8,
        /// What goes with that.
        value: u16,
        /// In the target's own words; not to be trusted, see [`crate::printable`].
        text: String,
    },
    /// By the user.
    Interrupted,
}

impl Path {
    /// Each address that answered, once, by the TTL at which it was seen first.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for probe in self.hops.iter().flat_map(|hop| hop.probes.iter().flatten()) {
            if !found.contains(&probe.address) {
                found.push(probe.address);
            }
        }
        found
    }
}

impl Hop {
    /// Who answered, each once, in the order of the queries.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for probe in self.probes.iter().flatten() {
            if !found.contains(&probe.address) {
                found.push(probe.address);
            }
        }
        found
    }
}

impl From<&Trace> for Path {
    fn from(trace: &Trace) -> Self {
        let options = trace.options();
        let (from, to) = match options.direction {
            Direction::Forward => (options.source, options.end()),
            Direction::Reverse => (options.target, options.end()),
        };
        Self {
            protocol: options.protocol.into(),
            flow: options.flow.get(),
            first_ttl: options.first.get(),
            max_ttl: options.last.get(),
            queries: options.queries.get(),
            sent: trace.sent(),
            size: options.probe_size(),
            tos: options.probe_tos(),
            from,
            to,
            reached: trace.is_reached(),
            end: trace.end().map(End::from),
            hops: hops(trace),
            mtu: None,
            multipath: None,
            changes: Vec::new(),
        }
    }
}

impl Outcome {
    /// For a document whose path began at `start`.
    pub(crate) fn document(&self, start: Option<Instant>) -> Option<Probe> {
        match self {
            Self::Answered(sample) => Some(Probe::new(sample, start)),
            Self::Silent | Self::Waiting => None,
        }
    }
}

impl Probe {
    /// `sample` of a trace whose first query was sent at `started`.
    #[must_use]
    pub fn new(sample: &Sample, started: Option<Instant>) -> Self {
        let since = |start| sample.sent.saturating_duration_since(start);
        Self {
            address: sample.from,
            sent_ms: ms(started.map_or(Duration::ZERO, since)),
            rtt_ms: sample.rtt.map(ms),
            query_ms: ms(sample.elapsed),
            reply: sample.reply.map(Reply::from),
            details: Details::of(sample),
            flow: None,
        }
    }
}

fn hops(trace: &Trace) -> Vec<Hop> {
    let hops = trace.sent_hops();
    hops.iter()
        .map(|hop| Hop {
            ttl: hop.ttl().get(),
            probes: hop
                .outcomes()
                .iter()
                .map(|outcome| outcome.document(trace.started()))
                .collect(),
            statistics: None,
            responders: Vec::new(),
        })
        .collect()
}

impl From<probe::Protocol> for Protocol {
    fn from(protocol: probe::Protocol) -> Self {
        match protocol {
            probe::Protocol::Udp => Self::Udp,
            probe::Protocol::Tcp => Self::Tcp,
            probe::Protocol::Icmp => Self::Icmp,
        }
    }
}

impl From<Protocol> for probe::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Udp => Self::Udp,
            Protocol::Tcp => Self::Tcp,
            Protocol::Icmp => Self::Icmp,
        }
    }
}

impl From<query::Reply> for Reply {
    fn from(reply: query::Reply) -> Self {
        match reply {
            query::Reply::TimeExceeded => Self::TimeExceeded,
            query::Reply::Direct => Self::Direct,
            query::Reply::TooBig { mtu } => Self::TooBig { mtu },
            query::Reply::Unreachable(reason) => Self::Unreachable {
                code: reason.code,
                annotation: reason.annotation(),
                meaning: reason.to_string(),
            },
        }
    }
}

impl From<&trace::End> for End {
    fn from(end: &trace::End) -> Self {
        match end {
            trace::End::Reached => Self::Reached,
            trace::End::ReachedTranslator(address) => Self::ReachedTranslator { address: *address },
            trace::End::Unreachable { from, reply } => {
                Self::Unreachable { from: *from, reply: (*reply).into() }
            }
            trace::End::Silent => Self::Silent,
            trace::End::LastTtl => Self::LastTtl,
            trace::End::Repeating(address) => Self::Repeating { address: *address },
            trace::End::Mirrored => Self::PingOnly,
            trace::End::Refused { refusal, text } => Self::Refused {
                status: refusal.status(),
                value: refusal.value(),
                text: text.clone(),
            },
            trace::End::Stopped => Self::Interrupted,
        }
    }
}
