//! What happens in a trace, one line an event: `otherhalf --stream`.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Document, End, Probe, Protocol, Target};
use crate::Direction;

/// One line of `--stream`. The first is [`Start`](Self::Start), the last [`Result`](Self::Result), which alone decides: what
/// lies beyond the end of a path is no part of it, though it was told of before that end was known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Before the first query.
    Start {
        /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
        schema_version: u32,
        /// Of the program that wrote it.
        version: String,
        /// Which command is run: `forward`, `reverse`, `two-way`.
        command: String,
        /// When.
        #[schemars(with = "String", extend("format" = "date-time"))]
        started: jiff::Timestamp,
        /// The other end.
        target: Target,
        /// Our own address.
        source: IpAddr,
        /// What is traced, forward first.
        traces: Vec<Plan>,
    },
    /// A query was answered.
    Answer {
        /// Of which trace.
        direction: Direction,
        /// The TTL that it was for.
        ttl: u8,
        /// Its number at that TTL, from 0; in a multipath trace that of its flow, 0 for the first.
        query: usize,
        /// What was answered.
        probe: Probe,
    },
    /// A query was given up. In a multipath trace it may be asked again, and be answered after all.
    Silence {
        /// Of which trace.
        direction: Direction,
        /// The TTL that it was for.
        ttl: u8,
        /// Its number at that TTL, from 0; in a multipath trace that of its flow, 0 for the first.
        query: usize,
        /// Its flow, in a multipath trace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flow: Option<u16>,
    },
    /// A trace ended.
    End {
        /// Which.
        direction: Direction,
        /// Whether it reached the other end.
        reached: bool,
        /// How.
        end: End,
        /// Queries sent.
        sent: u64,
    },
    /// All is over; the same as `--json` prints.
    Result {
        /// The whole of it.
        document: Box<Document>,
    },
}

/// What a trace is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Whose path.
    pub direction: Direction,
    /// What the probes are made of.
    pub protocol: Protocol,
    /// What load balancers hash on; of a multipath trace the first of many.
    pub flow: u16,
    /// The first TTL probed.
    pub first_ttl: u8,
    /// The last TTL that is allowed.
    pub max_ttl: u8,
    /// Probes per TTL; of a multipath trace, of each flow.
    pub queries: u8,
    /// Flows per TTL at most, of a multipath trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_flows: Option<u16>,
}

impl From<&crate::Options> for Plan {
    fn from(options: &crate::Options) -> Self {
        Self {
            direction: options.direction,
            protocol: options.protocol.into(),
            flow: options.flow.get(),
            first_ttl: options.first.get(),
            max_ttl: options.last.get(),
            queries: options.queries.get(),
            max_flows: None,
        }
    }
}

impl From<&crate::multipath::Options> for Plan {
    fn from(options: &crate::multipath::Options) -> Self {
        let max_flows = Some(options.max_flows.get());
        Self { queries: 1, max_flows, ..Self::from(&options.trace) }
    }
}
