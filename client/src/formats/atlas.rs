//! Results of RIPE Atlas, as its documentation of the data structures from firmware 5000 on says: an array, a traceroute
//! result a direction.

use std::net::IpAddr;

use otherhalf_wire::ip::Family;
use serde::Serialize;

use super::statistics::thousandths;
use super::{Error, LABEL_STACK, lines_of};
use crate::Direction;
use crate::document::{self, Details, Document, Path, Probe, Protocol, Reply};

/// The layout of the result: "any value greater than 5000" follows the current documentation.
const LAYOUT: u32 = 5000;

#[derive(Serialize)]
struct Outcome {
    fw: u32,
    r#type: &'static str,
    msm_name: &'static str,
    /// 0: no measurement of RIPE Atlas.
    msm_id: u32,
    /// 0: no probe of RIPE Atlas.
    prb_id: u32,
    timestamp: i64,
    af: u8,
    proto: &'static str,
    src_addr: IpAddr,
    dst_addr: IpAddr,
    dst_name: String,
    result: Vec<Hop>,
}

#[derive(Serialize)]
struct Hop {
    hop: u8,
    result: Vec<Packet>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Packet {
    /// No answer: `{"x": "*"}`.
    Silent { x: &'static str },
    Answer {
        from: IpAddr,
        #[serde(skip_serializing_if = "Option::is_none")]
        rtt: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ttl: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        err: Option<Unreachable>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mtu: Option<u32>,
        /// Left out where it is 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        ittl: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        icmpext: Option<Extensions>,
    },
}

#[derive(Serialize)]
struct Extensions {
    /// Of the structure (RFC 4884); what has another is none.
    version: u8,
    obj: Vec<Object>,
}

#[derive(Serialize)]
struct Object {
    class: u8,
    r#type: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mpls: Vec<Label>,
}

#[derive(Serialize)]
struct Label {
    exp: u8,
    label: u32,
    s: u8,
    ttl: u8,
}

/// A letter, or the code where there is none.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Unreachable {
    Letter(char),
    Code(u8),
}

pub(super) fn render(document: &Document) -> Result<String, Error> {
    let results: Vec<_> =
        document.paths().map(|(direction, path)| outcome(document, direction, path)).collect();
    lines_of(&results)
}

fn outcome(document: &Document, direction: Direction, path: &Path) -> Outcome {
    Outcome {
        fw: LAYOUT,
        r#type: "traceroute",
        msm_name: "Traceroute",
        msm_id: 0,
        prb_id: 0,
        timestamp: document.head.started.as_second(),
        af: match Family::of(path.to) {
            Family::V4 => 4,
            Family::V6 => 6,
        },
        proto: match path.protocol {
            Protocol::Udp => "UDP",
            Protocol::Tcp => "TCP",
            Protocol::Icmp => "ICMP",
        },
        src_addr: path.from,
        dst_addr: path.to,
        dst_name: match direction {
            Direction::Forward => document.head.target.name.clone(),
            Direction::Reverse if document.head.via.is_some() => document.head.target.name.clone(),
            Direction::Reverse => path.to.to_string(),
        },
        result: path.hops.iter().map(hop).collect(),
    }
}

fn hop(hop: &document::Hop) -> Hop {
    Hop { hop: hop.ttl, result: hop.probes.iter().map(|probe| packet(probe.as_ref())).collect() }
}

fn packet(probe: Option<&Probe>) -> Packet {
    let Some(probe) = probe else { return Packet::Silent { x: "*" } };
    let (err, mtu) = match &probe.reply {
        Some(Reply::Unreachable { code, .. }) => {
            (unreachable(Family::of(probe.address), *code), None)
        }
        Some(Reply::TooBig { mtu }) => (None, *mtu),
        Some(Reply::TimeExceeded | Reply::Direct) | None => (None, None),
    };
    Packet::Answer {
        from: probe.address,
        rtt: probe.rtt_ms.map(thousandths),
        ttl: probe.details.reply_ttl,
        err,
        mtu,
        ittl: probe.details.quoted_ttl.filter(|ttl| *ttl != 1),
        icmpext: extensions(&probe.details),
    }
}

fn extensions(details: &Details) -> Option<Extensions> {
    let label = |label: &document::Label| Label {
        exp: label.tc,
        label: label.label,
        s: label.bottom.into(),
        ttl: label.ttl,
    };
    let stack = (!details.mpls.is_empty()).then(|| Object {
        class: LABEL_STACK.0,
        r#type: LABEL_STACK.1,
        mpls: details.mpls.iter().map(label).collect(),
    });
    let others = details.extensions.iter().map(|object| Object {
        class: object.class,
        r#type: object.kind,
        mpls: Vec::new(),
    });
    let obj: Vec<_> = stack.into_iter().chain(others).collect();
    (!obj.is_empty()).then_some(Extensions { version: 2, obj })
}

/// A port unreachable is the usual end of a path, and no error there.
fn unreachable(family: Family, code: u8) -> Option<Unreachable> {
    Some(match (family, code) {
        (Family::V4, 3) | (Family::V6, 4) => return None,
        (Family::V4 | Family::V6, 0) => Unreachable::Letter('N'),
        (Family::V4, 1) | (Family::V6, 3) => Unreachable::Letter('H'),
        (Family::V4, 2) => Unreachable::Letter('P'),
        (Family::V4, 13) | (Family::V6, 1) => Unreachable::Letter('A'),
        (Family::V6, 2) => Unreachable::Letter('h'),
        (_, code) => Unreachable::Code(code),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters() {
        let all = |family| {
            (0..=13)
                .map(|code| match unreachable(family, code) {
                    None => "-".to_owned(),
                    Some(Unreachable::Letter(letter)) => letter.to_string(),
                    Some(Unreachable::Code(code)) => code.to_string(),
                })
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(all(Family::V4), "N H P - 4 5 6 7 8 9 10 11 12 A");
        assert_eq!(all(Family::V6), "N A h H - 5 6 7 8 9 10 11 12 13");
    }
}
