//! What asking a directory of responders found.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ping, SCHEMA_VERSION, Speaks, ms};
use crate::endpoints::{Endpoint, Found, Standing};
use crate::printable;

/// A directory of responders, and what asking them found: `otherhalf endpoints --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointsDocument {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Of the program that wrote it.
    pub version: String,
    /// `endpoints`.
    pub command: String,
    /// When it began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: jiff::Timestamp,
    /// The responders, in the directory's order.
    pub endpoints: Vec<EndpointEntry>,
    /// The address in the directory of the one that is alive and nearest; null if none is, or none was asked.
    pub nearest: Option<String>,
    /// How the program ended.
    pub exit_code: u8,
}

/// A responder of a directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointEntry {
    /// What the directory says.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// What asking it found; null if it was not asked.
    pub checked: Option<EndpointCheck>,
}

/// What asking a responder found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointCheck {
    /// The address that its name led to; null if to none.
    pub resolved: Option<IpAddr>,
    /// The answer to a ping; null if there was none.
    pub ping: Option<Ping>,
    /// What became of the request; null if none was sent.
    pub reverse_traceroute: Option<Speaks>,
    /// Why none was sent.
    pub problem: Option<String>,
}

impl EndpointsDocument {
    /// The document of `endpoints`, of which `found` says what asking them found.
    #[must_use]
    pub fn new(
        started: jiff::Timestamp,
        endpoints: &[Endpoint],
        found: &[Found],
        nearest: Option<&Endpoint>,
        exit_code: u8,
    ) -> Self {
        let entry = |(index, endpoint): (usize, &Endpoint)| EndpointEntry {
            endpoint: endpoint.clone(),
            checked: found
                .iter()
                .find(|found| found.index == index)
                .and_then(|found| checked(&found.standing)),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: "endpoints".to_owned(),
            started,
            endpoints: endpoints.iter().enumerate().map(entry).collect(),
            nearest: nearest.map(|endpoint| endpoint.address.clone()),
            exit_code,
        }
    }
}

fn checked(standing: &Standing) -> Option<EndpointCheck> {
    let nothing =
        EndpointCheck { resolved: None, ping: None, reverse_traceroute: None, problem: None };
    let failed = |problem: String| EndpointCheck { problem: Some(printable(&problem)), ..nothing };
    Some(match standing {
        Standing::Checked { address, check } => EndpointCheck {
            resolved: Some(*address),
            ping: check.ping.map(|rtt| Ping { rtt_ms: ms(rtt) }),
            reverse_traceroute: Some(Speaks::from(check)),
            problem: None,
        },
        Standing::NoAddress(error) => failed(error.to_string()),
        Standing::Failed(error) => failed(error.to_string()),
        Standing::Interrupted => return None,
    })
}
