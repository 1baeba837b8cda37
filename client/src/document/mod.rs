//! A trace as a document: what is saved, read again, compared, drawn, and turned into other formats.
//!
//! [`Document`] is the native JSON of `otherhalf --json`, one for both directions. Everything that looks at finished traces
//! (reports, pictures, differences, the formats of other programs) takes a document and nothing else, so it works on saved
//! traces as on fresh ones.
//!
//! Times are milliseconds. What is not known is null. Fields are only added under one `schema_version`; a reader must
//! ignore those that it does not know.

mod alias;
mod check;
mod details;
mod endpoints;
mod event;
mod failure;
mod finding;
mod mtu;
mod multipath;
mod path;
mod schema;
mod statistics;
#[cfg(test)]
pub(crate) mod samples;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use alias::{Evidence, Router, Technique};
pub use check::{Ability, CheckDocument, Features, OtherFamily, Ping, Speaks};
pub use details::{Details, Extension, Label, Nat};
pub use endpoints::{EndpointCheck, EndpointEntry, EndpointsDocument};
pub use event::{Event, Plan};
pub use failure::Failure;
pub use finding::{Finding, FindingKind, Place, Rise};
pub use mtu::{Limit, PathMtu};
pub use multipath::{Balancer, Balancing, Link, Multipath, Node};
pub use path::{End, Hop, Path, Probe, Protocol, Reply};
pub use schema::schema;
pub use statistics::{Change, Responder, Statistics};

/// Grows with each change that a reader must know of.
pub const SCHEMA_VERSION: u32 = 1;

/// What one run of `forward`, `reverse` or `two-way` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::of_trace)]
pub struct Document {
    /// What every document begins with.
    #[serde(flatten)]
    pub head: Head,
    /// From us to the target, if that was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Path>,
    /// From the target to us, if that was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse: Option<Path>,
    /// What both say together; null if one of them says nothing.
    #[serde(default)]
    pub finding: Option<Finding>,
    /// What is known about the addresses of this document, beyond their numbers.
    #[serde(default)]
    pub hosts: BTreeMap<IpAddr, Host>,
    /// Which of its addresses belong to one router, as far as that was found out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Router>,
}

/// What every document begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Of the program that wrote it.
    pub version: String,
    /// Which one was run: `forward`, `reverse`, `two-way`, `check`.
    pub command: String,
    /// When it began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: jiff::Timestamp,
    /// The other end.
    pub target: Target,
    /// The responder that probed towards the target, rather than the target towards us; the path is under `reverse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Target>,
    /// Our own address.
    pub source: IpAddr,
    /// How the program ended.
    pub exit_code: u8,
}

/// The other end, as the user named it and as it was resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// As the user wrote it.
    pub name: String,
    /// What that led to.
    pub address: IpAddr,
}

/// What is known about an address. All of it comes from others (DNS, files): not to be trusted, see [`crate::printable`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// By reverse DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number of the autonomous system that announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// That system's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_name: Option<String>,
    /// The Internet exchange whose peering network it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ixp: Option<String>,
}

impl Document {
    /// Each direction that was traced, with its path, forward first.
    pub fn paths(&self) -> impl Iterator<Item = (crate::Direction, &Path)> {
        let forward = self.forward.as_ref().map(|path| (crate::Direction::Forward, path));
        let reverse = self.reverse.as_ref().map(|path| (crate::Direction::Reverse, path));
        forward.into_iter().chain(reverse)
    }

    /// The name of `address`, if it is known.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> Option<&str> {
        self.hosts.get(&address)?.name.as_deref()
    }
}

/// Why a text is no document of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no JSON, or not of our shape.
    #[error("no saved trace (write one with: otherhalf two-way --json TARGET > FILE): {0}")]
    Shape(#[from] serde_json::Error),
    /// A later version wrote it.
    #[error(
        "saved by a newer version (schema {0}, this one knows {SCHEMA_VERSION}): update otherhalf"
    )]
    Newer(u32),
    /// It is a stream that was cut off.
    #[error(
        "the stream has no result at its end: the trace was cut off, and what it found is not known"
    )]
    Unfinished,
    /// It is the document of something else.
    #[error("the result of otherhalf {0}, which traces no path")]
    NoTrace(String),
}

/// Reads a document that was saved with `--json`, or the lines of `--stream`.
pub fn read(text: &str) -> Result<Document, Error> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let stream = stream_of(text);
    let Version { schema_version } = serde_json::from_str(stream.map_or(text, |[first, _]| first))?;
    if schema_version > SCHEMA_VERSION {
        return Err(Error::Newer(schema_version));
    }
    let document = match stream {
        Some([_, last]) => match serde_json::from_str(last) {
            Ok(Event::Result { document }) => *document,
            _ => return Err(Error::Unfinished),
        },
        None => serde_json::from_str(text)?,
    };
    if document.paths().next().is_none() {
        return Err(Error::NoTrace(document.head.command));
    }
    Ok(document)
}

/// The first and the last line, if `text` is a stream: that begins with an event on a line.
fn stream_of(text: &str) -> Option<[&str; 2]> {
    #[derive(Deserialize)]
    struct Start {
        #[serde(rename = "event")]
        _event: String,
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next()?;
    let _: Start = serde_json::from_str(first).ok()?;
    Some([first, lines.next_back().unwrap_or(first)])
}

/// Milliseconds, to the nanosecond: the rest is noise of the division.
#[must_use]
pub fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e9).round() / 1e6
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_have_no_noise() {
        for (ns, text) in [(117_344, "0.117344"), (1_000, "0.001"), (300_000_001, "300.000001")] {
            assert_eq!(json!(ms(Duration::from_nanos(ns))).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_trace_is_said_so() {
        let head = json!({
            "schema_version": 1, "version": "0", "command": "check",
            "started": "2026-01-01T00:00:00Z",
            "target": { "name": "www", "address": "192.0.2.1" },
            "source": "192.0.2.2", "exit_code": 0,
        });
        assert!(
            matches!(read(&head.to_string()), Err(Error::NoTrace(command)) if command == "check")
        );
        assert!(matches!(read("otherhalf forward to www"), Err(Error::Shape(_))));
        assert!(matches!(read(r#"{"schema_version": 2}"#), Err(Error::Newer(2))));
    }
}
