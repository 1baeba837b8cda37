//! What scamper's `sc_warts2json` prints: a line a direction, of type `trace`, or of type `tracelb` for all paths.

use std::net::IpAddr;

use otherhalf_wire::icmp::{Kind, TTL_EXCEEDED};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::SOURCE_PORT;
use serde::Serialize;

use super::statistics::thousandths;
use super::{Error, line_of, tracelb};
use crate::document::{Document, End, Path, Probe, Protocol, Reply};

/// Both types have it.
pub(super) const VERSION: &str = "0.1";

#[derive(Serialize)]
struct Trace<'a> {
    r#type: &'static str,
    version: &'static str,
    userid: u32,
    method: &'static str,
    src: IpAddr,
    dst: IpAddr,
    #[serde(flatten)]
    flow: Flow,
    stop_reason: &'static str,
    stop_data: u8,
    start: Start,
    hop_count: u8,
    attempts: u8,
    hoplimit: u8,
    firsthop: u8,
    probe_count: u64,
    hops: Vec<Hop<'a>>,
}

/// What load balancers hash on.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Flow {
    Ports { sport: u16, dport: u16 },
    Checksum { icmp_sum: u16 },
}

#[derive(Serialize)]
pub(super) struct Start {
    sec: i64,
    usec: i32,
    /// For people; in UTC.
    ftime: String,
}

#[derive(Serialize)]
struct Time {
    sec: i64,
    usec: i32,
}

#[derive(Serialize)]
struct Hop<'a> {
    addr: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    probe_ttl: u8,
    probe_id: usize,
    tx: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<f64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    icmp: Option<Icmp>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Icmp {
    icmp_type: u8,
    icmp_code: u8,
}

pub(super) fn render(document: &Document) -> Result<String, Error> {
    document
        .paths()
        .map(|(_, path)| match &path.multipath {
            Some(found) => line_of(&tracelb::of(document, path, found)),
            None => line_of(&trace(document, path)),
        })
        .collect()
}

fn trace<'a>(document: &'a Document, path: &Path) -> Trace<'a> {
    let (stop_reason, stop_data) = stop(path.end.as_ref());
    let hops = path.hops.iter().flat_map(|hop| {
        let answers = hop.probes.iter().enumerate();
        answers.filter_map(|(index, probe)| {
            let probe = probe.as_ref()?;
            Some(Hop {
                addr: probe.address,
                name: document.name(probe.address),
                probe_ttl: hop.ttl,
                probe_id: index + 1,
                tx: sent(document, probe),
                rtt: probe.rtt_ms.map(thousandths),
                icmp: icmp(path.protocol, probe),
            })
        })
    });
    Trace {
        r#type: "trace",
        version: VERSION,
        userid: 0,
        method: match path.protocol {
            Protocol::Udp => "udp-paris",
            Protocol::Tcp => "tcp",
            Protocol::Icmp => "icmp-echo-paris",
        },
        src: path.from,
        dst: path.to,
        flow: flow(path),
        stop_reason,
        stop_data,
        start: start(document),
        hop_count: path.hops.last().map_or(0, |hop| hop.ttl),
        attempts: path.queries,
        hoplimit: path.max_ttl,
        firsthop: path.first_ttl,
        probe_count: path.sent,
        hops: hops.collect(),
    }
}

pub(super) fn flow(path: &Path) -> Flow {
    match path.protocol {
        // The protocol's own; ours is the same in both directions.
        Protocol::Udp | Protocol::Tcp => Flow::Ports { sport: SOURCE_PORT, dport: path.flow },
        Protocol::Icmp => Flow::Checksum { icmp_sum: path.flow },
    }
}

pub(super) fn start(document: &Document) -> Start {
    let started = document.head.started;
    Start {
        sec: started.as_second(),
        usec: started.subsec_microsecond(),
        ftime: started.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    }
}

/// When the probe's query was sent.
fn sent(document: &Document, probe: &Probe) -> Time {
    let after = jiff::SignedDuration::try_from_secs_f64(probe.sent_ms / 1000.0).unwrap_or_default();
    let started = document.head.started;
    let at = started.checked_add(after).unwrap_or(started);
    Time { sec: at.as_second(), usec: at.subsec_microsecond() }
}

/// `stop_reason` and `stop_data`.
fn stop(end: Option<&End>) -> (&'static str, u8) {
    match end {
        Some(End::Reached | End::ReachedTranslator { .. }) => ("COMPLETED", 0),
        Some(End::Unreachable { reply: Reply::Unreachable { code, .. }, .. }) => ("UNREACH", *code),
        Some(End::Unreachable { .. }) => ("ICMP", 0),
        Some(End::Silent) => ("GAPLIMIT", 0),
        Some(End::LastTtl) => ("HOPLIMIT", 0),
        Some(End::Repeating { .. }) => ("LOOP", 0),
        Some(End::PingOnly | End::Refused { .. }) => ("ERROR", 0),
        Some(End::Interrupted) => ("HALTED", 0),
        None => ("NONE", 0),
    }
}

/// The ICMP message that answered; none where that was a TCP segment, or a responder does not say.
fn icmp(protocol: Protocol, probe: &Probe) -> Option<Icmp> {
    let family = Family::of(probe.address);
    let (kind, code) = match probe.reply.as_ref()? {
        Reply::TimeExceeded => (Kind::TimeExceeded, TTL_EXCEEDED),
        Reply::Unreachable { code, .. } => (Kind::DestinationUnreachable, *code),
        Reply::Direct if protocol == Protocol::Icmp => (Kind::EchoReply, 0),
        Reply::Direct => return None,
    };
    Some(Icmp { icmp_type: kind.number(family), icmp_code: code })
}
