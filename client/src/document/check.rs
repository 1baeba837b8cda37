//! What one `check` found.

use std::net::IpAddr;

use otherhalf_wire::trace::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Head, Reply, ms};
use crate::check;

/// What one run of `check` found: `otherhalf check --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = super::schema::of_check)]
pub struct CheckDocument {
    /// What every document begins with.
    #[serde(flatten)]
    pub head: Head,
    /// The answer to a ping; null if there was none.
    pub ping: Option<Ping>,
    /// What became of the request.
    pub reverse_traceroute: Speaks,
    /// The same at the target's address of the other family; null if it has none, or none was looked for.
    #[serde(default)]
    pub other_family: Option<OtherFamily>,
}

/// The target at its address of the other family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OtherFamily {
    /// The address.
    pub address: IpAddr,
    /// The answer to a ping; null if there was none.
    pub ping: Option<Ping>,
    /// What became of the request.
    pub reverse_traceroute: Speaks,
}

/// An answered ping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ping {
    /// Its round-trip time, in milliseconds.
    pub rtt_ms: f64,
}

/// Whether the target speaks reverse traceroute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Speaks {
    /// It does.
    Speaks {
        /// From the request to the response, in milliseconds.
        rtt_ms: f64,
        /// The protocol's number for what it said to a request of TTL 0: mostly 1, as it should; 0 if it sent a probe nonetheless.
        status: u8,
        /// What goes with that.
        value: u16,
        /// In its own words; not to be trusted, see [`crate::printable`].
        text: String,
        /// What it can do; null if it was not asked.
        #[serde(default)]
        features: Option<Features>,
    },
    /// It does not: the request was answered as a ping.
    PingOnly {
        /// From the request to its mirror image, in milliseconds.
        rtt_ms: f64,
    },
    /// The request did not arrive.
    Undelivered {
        /// Who says so.
        from: IpAddr,
        /// What.
        reply: Reply,
    },
    /// The request was not answered.
    None,
}

/// What a responder can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Features {
    /// Send UDP probes.
    pub udp: Ability,
    /// Send TCP probes.
    pub tcp: Ability,
    /// Send ICMP probes.
    pub icmp: Ability,
    /// Probe towards another than the requester.
    pub indirect: Ability,
    /// Octets of padding that it demands; 0 for none.
    pub padding: u16,
}

/// Whether a responder can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// It did.
    Yes,
    /// It refuses.
    No,
    /// It does not refuse, but nothing came of it: its first router may be a silent one.
    Silent,
}

impl CheckDocument {
    /// `found` under `head`; with what was found at the `other` family's address.
    #[must_use]
    pub fn new(head: Head, found: &check::Check, other: Option<(IpAddr, &check::Check)>) -> Self {
        let other_family = other.map(|(address, found)| OtherFamily {
            address,
            ping: ping(found),
            reverse_traceroute: Speaks::from(found),
        });
        Self { head, ping: ping(found), reverse_traceroute: Speaks::from(found), other_family }
    }
}

fn ping(found: &check::Check) -> Option<Ping> {
    found.ping.map(|rtt| Ping { rtt_ms: ms(rtt) })
}

impl From<&check::Check> for Speaks {
    fn from(check: &check::Check) -> Self {
        match &check.speaks {
            check::Speaks::Yes { rtt, refusal, text } => Self::Speaks {
                rtt_ms: ms(*rtt),
                status: refusal.map_or(0, Refusal::status),
                value: refusal.map_or(0, Refusal::value),
                text: text.clone(),
                features: check.features.as_ref().map(Features::from),
            },
            check::Speaks::PingOnly { rtt } => Self::PingOnly { rtt_ms: ms(*rtt) },
            check::Speaks::Undelivered { from, reply } => {
                Self::Undelivered { from: *from, reply: (*reply).into() }
            }
            check::Speaks::Silent => Self::None,
        }
    }
}

impl From<&check::Features> for Features {
    fn from(features: &check::Features) -> Self {
        Self {
            udp: features.udp.into(),
            tcp: features.tcp.into(),
            icmp: features.icmp.into(),
            indirect: features.indirect.into(),
            padding: features.padding.unwrap_or(0),
        }
    }
}

impl From<check::Ability> for Ability {
    fn from(ability: check::Ability) -> Self {
        match ability {
            check::Ability::Yes => Self::Yes,
            check::Ability::No(_) => Self::No,
            check::Ability::Silent => Self::Silent,
        }
    }
}
