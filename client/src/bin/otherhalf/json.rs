//! One JSON document for one run, whatever the command.

use std::collections::BTreeMap;
use std::net::IpAddr;

use otherhalf_client::document::{Document, Head, Host, Path, Reply, ms};
use otherhalf_client::resolve::Names;
use otherhalf_client::{Check, Speaks, Trace, document};
use otherhalf_wire::trace::Refusal;
use serde::Serialize;
use serde_json::{Value, json};

/// The document of `traces` and, if there are two, of what they say together.
pub(crate) fn traces(
    head: Head,
    traces: &[Trace],
    finding: Option<document::Finding>,
    names: &Names,
) -> Document {
    let path = |direction| {
        traces.iter().find(|trace| trace.options().direction == direction).map(Path::from)
    };
    let [forward, reverse] =
        [otherhalf_client::Direction::Forward, otherhalf_client::Direction::Reverse].map(path);
    let hosts = hosts(forward.iter().chain(&reverse), names);
    Document { head, forward, reverse, finding, hosts }
}

/// What is known about the addresses of `paths`.
fn hosts<'a>(paths: impl Iterator<Item = &'a Path>, names: &Names) -> BTreeMap<IpAddr, Host> {
    paths
        .flat_map(Path::addresses)
        .filter_map(|address| {
            let name = names.get(address)?.to_owned();
            Some((address, Host { name: Some(name), ..Host::default() }))
        })
        .collect()
}

/// A check's result.
#[derive(Serialize)]
pub(crate) struct CheckDocument {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    body: Value,
}

/// The document of a check.
pub(crate) fn check(head: Head, check: &Check) -> CheckDocument {
    let speaks = match &check.speaks {
        Speaks::Yes { rtt, refusal, text } => json!({
            "answer": "speaks",
            "rtt_ms": ms(*rtt),
            "status": refusal.map_or(0, Refusal::status),
            "value": refusal.map_or(0, Refusal::value),
            "text": text,
        }),
        Speaks::PingOnly { rtt } => json!({ "answer": "ping_only", "rtt_ms": ms(*rtt) }),
        Speaks::Undelivered { from, reply } => {
            json!({ "answer": "undelivered", "from": from, "reply": Reply::from(*reply) })
        }
        Speaks::Silent => json!({ "answer": "none" }),
    };
    let ping = check.ping.map(|rtt| json!({ "rtt_ms": ms(rtt) }));
    CheckDocument { head, body: json!({ "ping": ping, "reverse_traceroute": speaks }) }
}

/// What every document begins with.
pub(crate) fn head(
    command: &str,
    started: jiff::Timestamp,
    target: (&str, IpAddr),
    source: IpAddr,
    exit_code: u8,
) -> Head {
    Head {
        schema_version: document::SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: command.to_owned(),
        started,
        target: document::Target { name: target.0.to_owned(), address: target.1 },
        source,
        exit_code,
    }
}
