//! What many rounds of probes amount to: filled by the live view alone.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ms;
use crate::live::Series;

/// What all probes of a TTL, or all answers of an address, amount to. Times are in milliseconds, null if there are too few.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statistics {
    /// Probes that were answered, or waited for in vain.
    pub sent: u64,
    /// Of these the ones that were answered.
    pub answered: u64,
    /// Of the answers with a round-trip time, the last.
    pub last_ms: Option<f64>,
    /// The shortest.
    pub best_ms: Option<f64>,
    /// The longest.
    pub worst_ms: Option<f64>,
    /// The mean.
    pub average_ms: Option<f64>,
    /// The standard deviation of the sample.
    pub deviation_ms: Option<f64>,
    /// The mean difference between successive times.
    pub jitter_ms: Option<f64>,
    /// What half of the times do not exceed, exact to 0.1 %.
    pub p50_ms: Option<f64>,
    /// What 90 of 100 do not exceed.
    pub p90_ms: Option<f64>,
    /// What 99 of 100 do not exceed.
    pub p99_ms: Option<f64>,
}

/// What all answers of one address at one TTL amount to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Responder {
    /// Which.
    pub address: IpAddr,
    /// The flows that it answered to.
    pub flows: Vec<u16>,
    /// What nobody answered belongs to no address, so as many were sent as were answered.
    pub statistics: Statistics,
}

/// A change of the path, while it was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// When the round ended that showed it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: jiff::Timestamp,
    /// Whose probes showed it.
    pub flow: u16,
    /// Where.
    pub ttl: u8,
    /// Who answered there before; null if the path was shorter.
    pub before: Option<IpAddr>,
    /// Who answers there since; null if the path is shorter.
    pub after: Option<IpAddr>,
}

impl Statistics {
    /// Of `sent` probes `answered` were answered, after the times of `series`.
    #[must_use]
    pub fn new(sent: u64, answered: u64, series: &Series) -> Self {
        Self {
            sent,
            answered,
            last_ms: series.last().map(ms),
            best_ms: series.best().map(ms),
            worst_ms: series.worst().map(ms),
            average_ms: series.average().map(ms),
            deviation_ms: series.deviation().map(ms),
            jitter_ms: series.average_jitter().map(ms),
            p50_ms: series.percentile(50.0).map(ms),
            p90_ms: series.percentile(90.0).map(ms),
            p99_ms: series.percentile(99.0).map(ms),
        }
    }
}
