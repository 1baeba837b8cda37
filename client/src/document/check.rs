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

impl CheckDocument {
    /// `found` under `head`.
    #[must_use]
    pub fn new(head: Head, found: &check::Check) -> Self {
        Self {
            head,
            ping: found.ping.map(|rtt| Ping { rtt_ms: ms(rtt) }),
            reverse_traceroute: Speaks::from(&found.speaks),
        }
    }
}

impl From<&check::Speaks> for Speaks {
    fn from(speaks: &check::Speaks) -> Self {
        match speaks {
            check::Speaks::Yes { rtt, refusal, text } => Self::Speaks {
                rtt_ms: ms(*rtt),
                status: refusal.map_or(0, Refusal::status),
                value: refusal.map_or(0, Refusal::value),
                text: text.clone(),
            },
            check::Speaks::PingOnly { rtt } => Self::PingOnly { rtt_ms: ms(*rtt) },
            check::Speaks::Undelivered { from, reply } => {
                Self::Undelivered { from: *from, reply: (*reply).into() }
            }
            check::Speaks::Silent => Self::None,
        }
    }
}
