//! What scamper's `sc_warts2json` prints: a line a direction, of type `trace`, or of type `tracelb` for all paths.

use std::net::IpAddr;

use otherhalf_wire::icmp::{Kind, TTL_EXCEEDED};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::SOURCE_PORT;
use serde::Serialize;

use super::statistics::thousandths;
use super::{Error, LABEL_STACK, line_of, tracelb};
use crate::document::{self, Details, Document, End, Path, Probe, Protocol, Reply};

/// The code of IPv4's ICMP unreachable that stands for ICMPv6's packet too big (RFC 1191).
const FRAGMENTATION_NEEDED: u8 = 4;

/// Octets of an MPLS label (RFC 3032).
const LABEL_LEN: usize = 4;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    tos: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_size: Option<u16>,
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

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Time {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_ttl: Option<u8>,
    #[serde(flatten)]
    icmp: Option<Icmp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    icmpext: Vec<Extension>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Icmp {
    icmp_type: u8,
    icmp_code: u8,
    /// From here on of the packet that it quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_q_ttl: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_q_ipl: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_q_tos: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_nhmtu: Option<u32>,
}

/// An extension object: its class number, class type and the length of what it says.
#[derive(Serialize)]
struct Extension {
    ie_cn: u8,
    ie_ct: u8,
    ie_dl: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mpls_labels: Vec<Label>,
}

#[derive(Serialize)]
struct Label {
    mpls_ttl: u8,
    mpls_s: u8,
    mpls_exp: u8,
    mpls_label: u32,
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
                tx: time(document, probe.sent_ms),
                rtt: probe.rtt_ms.map(thousandths),
                reply_ttl: probe.details.reply_ttl,
                icmp: icmp(path.protocol, probe),
                icmpext: extensions(&probe.details),
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
        tos: path.tos,
        probe_size: path.size,
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

/// What was `ms` after the start.
pub(super) fn time(document: &Document, ms: f64) -> Time {
    let after = jiff::SignedDuration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
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
pub(super) fn icmp(protocol: Protocol, probe: &Probe) -> Option<Icmp> {
    let family = Family::of(probe.address);
    let (kind, icmp_code, icmp_nhmtu) = match probe.reply.as_ref()? {
        Reply::TimeExceeded => (Kind::TimeExceeded, TTL_EXCEEDED, None),
        Reply::Unreachable { code, .. } => (Kind::DestinationUnreachable, *code, None),
        Reply::TooBig { mtu } if family == Family::V4 => {
            (Kind::DestinationUnreachable, FRAGMENTATION_NEEDED, *mtu)
        }
        Reply::TooBig { mtu } => (Kind::PacketTooBig, 0, *mtu),
        Reply::Direct if protocol == Protocol::Icmp => (Kind::EchoReply, 0, None),
        Reply::Direct => return None,
    };
    Some(Icmp {
        icmp_type: kind.number(family),
        icmp_code,
        icmp_q_ttl: probe.details.quoted_ttl,
        icmp_q_ipl: probe.details.quoted_size,
        // scamper has it for IPv4 alone.
        icmp_q_tos: probe.details.quoted_tos.filter(|_| family == Family::V4),
        icmp_nhmtu,
    })
}

fn extensions(details: &Details) -> Vec<Extension> {
    let label = |label: &document::Label| Label {
        mpls_ttl: label.ttl,
        mpls_s: label.bottom.into(),
        mpls_exp: label.tc,
        mpls_label: label.label,
    };
    let stack = (!details.mpls.is_empty()).then(|| Extension {
        ie_cn: LABEL_STACK.0,
        ie_ct: LABEL_STACK.1,
        ie_dl: details.mpls.len() * LABEL_LEN,
        mpls_labels: details.mpls.iter().map(label).collect(),
    });
    let others = details.extensions.iter().map(|object| Extension {
        ie_cn: object.class,
        ie_ct: object.kind,
        ie_dl: object.octets().len(),
        mpls_labels: Vec::new(),
    });
    stack.into_iter().chain(others).collect()
}
