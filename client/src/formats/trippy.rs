//! The report of trippy, `trip --mode json`: one target, so a report after another with two directions.
//!
//! As there, times and percentages are text with two places.

use std::net::IpAddr;

use serde::Serialize;

use super::statistics::Statistics;
use super::{Error, lines_of};
use crate::Direction;
use crate::document::{self, Details, Document, Path};

#[derive(Serialize)]
struct Report {
    info: Info,
    hops: Vec<Hop>,
}

#[derive(Serialize)]
struct Info {
    target: Host,
    start_timestamp: jiff::Timestamp,
}

#[derive(Serialize)]
struct Hop {
    ttl: u8,
    hosts: Vec<Host>,
    extensions: Vec<Extension>,
    loss_pct: String,
    sent: usize,
    last: String,
    recv: usize,
    avg: String,
    best: String,
    worst: String,
    stddev: String,
    jitter: String,
    javg: String,
    jmax: String,
}

/// Of the last answer that has any.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Extension {
    Mpls { members: Vec<Label> },
    Unknown { class_num: u8, class_subtype: u8, bytes: Vec<u8> },
}

#[derive(Serialize)]
struct Label {
    label: u32,
    exp: u8,
    bos: u8,
    ttl: u8,
}

#[derive(Serialize)]
struct Host {
    ip: IpAddr,
    hostname: String,
}

pub(super) fn render(document: &Document) -> Result<String, Error> {
    document.paths().map(|(direction, path)| lines_of(&report(document, direction, path))).collect()
}

fn report(document: &Document, direction: Direction, path: &Path) -> Report {
    let target = match direction {
        Direction::Reverse if document.head.via.is_none() => host(document, path.to),
        Direction::Forward | Direction::Reverse => {
            Host { ip: path.to, hostname: document.head.target.name.clone() }
        }
    };
    Report {
        info: Info { target, start_timestamp: document.head.started },
        hops: path.hops.iter().map(|of| hop(document, of)).collect(),
    }
}

fn hop(document: &Document, hop: &document::Hop) -> Hop {
    let found = Statistics::of(hop);
    Hop {
        ttl: hop.ttl,
        hosts: hop.addresses().into_iter().map(|address| host(document, address)).collect(),
        extensions: extensions(hop),
        loss_pct: places(found.loss()),
        sent: found.sent,
        last: places(found.last),
        recv: found.received,
        avg: places(found.average),
        best: places(found.best),
        worst: places(found.worst),
        stddev: places(found.deviation),
        jitter: places(found.jitter),
        javg: places(found.jitter_average),
        jmax: places(found.jitter_worst),
    }
}

fn extensions(hop: &document::Hop) -> Vec<Extension> {
    let of = |details: &Details| {
        let label = |label: &document::Label| Label {
            label: label.label,
            exp: label.tc,
            bos: label.bottom.into(),
            ttl: label.ttl,
        };
        let stack = (!details.mpls.is_empty())
            .then(|| Extension::Mpls { members: details.mpls.iter().map(label).collect() });
        let others = details.extensions.iter().map(|object| Extension::Unknown {
            class_num: object.class,
            class_subtype: object.kind,
            bytes: object.octets(),
        });
        stack.into_iter().chain(others).collect::<Vec<_>>()
    };
    let mut found = hop.probes.iter().flatten().map(|probe| of(&probe.details));
    found.rfind(|extensions| !extensions.is_empty()).unwrap_or_default()
}

/// trippy, too, shows the address of a host that has no name.
fn host(document: &Document, ip: IpAddr) -> Host {
    let hostname = document.name(ip).map_or_else(|| ip.to_string(), str::to_owned);
    Host { ip, hostname }
}

fn places(value: f64) -> String {
    format!("{value:.2}")
}
