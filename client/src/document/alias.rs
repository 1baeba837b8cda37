//! Addresses that belong to one router.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Addresses of one router, as far as evidence says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Router {
    /// Two or more, in their order.
    pub addresses: Vec<IpAddr>,
    /// Why they are one: enough to tie all of them together.
    pub evidence: Vec<Evidence>,
}

/// Why two addresses are taken for one router's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The two.
    pub between: [IpAddr; 2],
    /// What says so.
    pub technique: Technique,
    /// How sure that is, 0 to 1, if chance alone is considered; null where no number can be given: operators may write
    /// names as they like, and a firewall may answer for hosts behind it.
    pub confidence: Option<f64>,
}

/// What says that two addresses are one router's.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Technique {
    /// One answers for the other: a datagram for a closed port of one was answered from the other (Mercator: Govindan and
    /// Tangmunarunkit 2000).
    CommonSource,
    /// Their packets are numbered by one counter (Ally, RadarGun, MIDAR).
    SharedCounter,
    /// Their names are the same, or differ only in the interface.
    Name,
}
