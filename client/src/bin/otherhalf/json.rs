//! One JSON document for one run, whatever the command.
//!
//! Times are milliseconds. What is not known is null; fields are only added under one `schema_version`.

use std::net::IpAddr;
use std::time::Duration;

use otherhalf_client::analyse::{Finding, Place, Rise};
use otherhalf_client::query::Reply;
use otherhalf_client::resolve::Names;
use otherhalf_client::{Check, Direction, End, Hop, Outcome, Speaks, Trace, Ttl};
use otherhalf_wire::trace::Refusal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::lines::sent;

/// Grows with each change that a reader must know of.
const SCHEMA_VERSION: u32 = 1;

/// What every document begins with.
#[derive(Serialize)]
pub(crate) struct Document {
    schema_version: u32,
    version: &'static str,
    command: &'static str,
    target: Target,
    source: IpAddr,
    exit_code: u8,
    #[serde(flatten)]
    body: Value,
}

#[derive(Serialize)]
struct Target {
    name: String,
    address: IpAddr,
}

/// What a document says about the run as a whole.
pub(crate) struct Head<'a> {
    pub(crate) command: &'static str,
    pub(crate) target: &'a str,
    pub(crate) address: IpAddr,
    pub(crate) source: IpAddr,
    pub(crate) exit_code: u8,
}

impl Head<'_> {
    fn document(&self, body: Value) -> Document {
        Document {
            schema_version: SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION"),
            command: self.command,
            target: Target { name: self.target.to_owned(), address: self.address },
            source: self.source,
            exit_code: self.exit_code,
            body,
        }
    }
}

/// The document of `traces` and, if there are two, of what they say together; null if that is nothing.
pub(crate) fn traces(
    head: &Head<'_>,
    traces: &[Trace],
    finding: Option<(&Finding, &str)>,
    names: &Names,
) -> Document {
    let mut body = serde_json::Map::new();
    for trace in traces {
        body.insert(trace.options().direction.to_string(), self::trace(trace, names));
    }
    if traces.len() > 1 {
        let finding = finding.map(|(found, sentence)| self::finding(found, sentence, names));
        body.insert("finding".to_owned(), finding.unwrap_or_default());
    }
    head.document(Value::Object(body))
}

/// The document of a check.
pub(crate) fn check(head: &Head<'_>, check: &Check) -> Document {
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
            json!({ "answer": "undelivered", "from": from, "reply": self::reply(*reply) })
        }
        Speaks::Silent => json!({ "answer": "none" }),
    };
    let ping = check.ping.map(|rtt| json!({ "rtt_ms": ms(rtt) }));
    head.document(json!({ "ping": ping, "reverse_traceroute": speaks }))
}

fn trace(trace: &Trace, names: &Names) -> Value {
    let options = trace.options();
    json!({
        "protocol": options.protocol.to_string().to_lowercase(),
        "flow": options.flow.get(),
        "first_ttl": options.first.get(),
        "max_ttl": options.last.get(),
        "queries": options.queries.get(),
        "sent": trace.sent(),
        "from": match options.direction {
            Direction::Forward => options.source,
            Direction::Reverse => options.target,
        },
        "reached": trace.is_reached(),
        "end": trace.end().map(end),
        "hops": sent(trace).iter().map(|hop| self::hop(hop, names)).collect::<Vec<_>>(),
    })
}

fn hop(hop: &Hop, names: &Names) -> Value {
    let probe = |outcome: &Outcome| match outcome {
        Outcome::Answered(sample) => json!({
            "address": sample.from,
            "name": names.get(sample.from),
            "rtt_ms": sample.rtt.map(ms),
            "query_ms": ms(sample.elapsed),
            "reply": sample.reply.map(reply),
        }),
        Outcome::Silent | Outcome::Waiting => Value::Null,
    };
    json!({
        "ttl": hop.ttl().get(),
        "probes": hop.outcomes().iter().map(probe).collect::<Vec<_>>(),
    })
}

fn reply(reply: Reply) -> Value {
    match reply {
        Reply::TimeExceeded => json!({ "kind": "time_exceeded" }),
        Reply::Direct => json!({ "kind": "direct" }),
        Reply::Unreachable(reason) => json!({
            "kind": "unreachable",
            "code": reason.code,
            "annotation": reason.annotation(),
            "meaning": reason.to_string(),
        }),
    }
}

fn end(end: &End) -> Value {
    match end {
        End::Reached => json!({ "kind": "reached" }),
        End::ReachedTranslator(address) => {
            json!({ "kind": "reached_translator", "address": address })
        }
        End::Unreachable { from, reply } => {
            json!({ "kind": "unreachable", "from": from, "reply": self::reply(*reply) })
        }
        End::Silent => json!({ "kind": "silent" }),
        End::LastTtl => json!({ "kind": "last_ttl" }),
        End::Repeating(address) => json!({ "kind": "repeating", "address": address }),
        End::Mirrored => json!({ "kind": "ping_only" }),
        End::Refused { refusal, text } => json!({
            "kind": "refused",
            "status": refusal.status(),
            "value": refusal.value(),
            "text": text,
        }),
        End::Stopped => json!({ "kind": "interrupted" }),
    }
}

fn finding(finding: &Finding, sentence: &str, names: &Names) -> Value {
    let (kind, forward, reverse) = match finding {
        Finding::Nothing => ("nothing", None, None),
        Finding::ForwardOnly(rise) => ("forward_only", Some(rise), None),
        Finding::ReverseOnly(rise) => ("reverse_only", None, Some(rise)),
        Finding::SameLink { forward, reverse } => ("same_link", Some(forward), Some(reverse)),
        Finding::WayBack { forward, reverse } => ("way_back", Some(forward), Some(reverse)),
        Finding::WayThere { forward, reverse } => ("way_there", Some(forward), Some(reverse)),
        Finding::Unrelated { forward, reverse } => ("unrelated", Some(forward), Some(reverse)),
    };
    let place = |place: &Place| {
        json!({
            "ttl": place.ttl.map(Ttl::get),
            "addresses": place.addresses,
            "names": place.addresses.iter().map(|address| names.get(*address)).collect::<Vec<_>>(),
        })
    };
    let rise = |rise: &Rise| json!({ "before": place(&rise.before), "after": place(&rise.after), "rise_ms": ms(rise.by) });
    json!({
        "kind": kind,
        "sentence": sentence,
        "forward": forward.map(rise),
        "reverse": reverse.map(rise),
    })
}

/// Milliseconds, to the nanosecond: the rest is noise of the division.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e9).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_no_noise() {
        for (ns, text) in [(117_344, "0.117344"), (1_000, "0.001"), (300_000_001, "300.000001")] {
            assert_eq!(json!(ms(Duration::from_nanos(ns))).to_string(), text);
        }
    }
}
