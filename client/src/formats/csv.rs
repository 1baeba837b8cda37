//! A table: a row a query, both directions one after the other.

use std::net::IpAddr;

use serde::Serialize;

use super::Error;
use crate::document::{Document, Probe, Protocol, Reply};
use crate::{Direction, printable};

/// The columns; the same in each row, so that rows of many traces stand in one table.
#[derive(Serialize)]
struct Row {
    started: jiff::Timestamp,
    target: String,
    direction: Direction,
    from: IpAddr,
    to: IpAddr,
    protocol: Protocol,
    flow: u16,
    ttl: u8,
    /// From 1, as people count.
    query: usize,
    address: Option<IpAddr>,
    name: Option<String>,
    asn: Option<u32>,
    sent_ms: Option<f64>,
    rtt_ms: Option<f64>,
    query_ms: Option<f64>,
    reply: Option<&'static str>,
    code: Option<u8>,
    mtu: Option<u32>,
    reply_ttl: Option<u8>,
    /// Labels from the outermost on, with blanks between.
    mpls: Option<String>,
}

pub(super) fn render(document: &Document) -> Result<Vec<u8>, Error> {
    let mut out = ::csv::Writer::from_writer(Vec::new());
    let mut any = false;
    for (direction, path) in document.paths() {
        for hop in &path.hops {
            for (index, probe) in hop.probes.iter().enumerate() {
                let address = probe.as_ref().map(|probe| probe.address);
                let host = address.and_then(|address| document.hosts.get(&address));
                let (reply, code, mtu) = reply(probe.as_ref());
                out.serialize(Row {
                    started: document.head.started,
                    target: harmless(&document.head.target.name),
                    direction,
                    from: path.from,
                    to: path.to,
                    protocol: path.protocol,
                    flow: path.flow,
                    ttl: hop.ttl,
                    query: index + 1,
                    address,
                    name: host.and_then(|host| host.name.as_deref()).map(harmless),
                    asn: host.and_then(|host| host.asn),
                    sent_ms: probe.as_ref().map(|probe| probe.sent_ms),
                    rtt_ms: probe.as_ref().and_then(|probe| probe.rtt_ms),
                    query_ms: probe.as_ref().map(|probe| probe.query_ms),
                    reply,
                    code,
                    mtu,
                    reply_ttl: probe.as_ref().and_then(|probe| probe.details.reply_ttl),
                    mpls: probe.as_ref().map(labels),
                })?;
                any = true;
            }
        }
    }
    if !any {
        out.write_record(HEADER)?;
    }
    out.into_inner().map_err(|error| Error::Csv(error.into_error().into()))
}

/// What the first row is where there is no other, of which it would be derived.
const HEADER: [&str; 20] = [
    "started",
    "target",
    "direction",
    "from",
    "to",
    "protocol",
    "flow",
    "ttl",
    "query",
    "address",
    "name",
    "asn",
    "sent_ms",
    "rtt_ms",
    "query_ms",
    "reply",
    "code",
    "mtu",
    "reply_ttl",
    "mpls",
];

fn reply(probe: Option<&Probe>) -> (Option<&'static str>, Option<u8>, Option<u32>) {
    match probe.and_then(|probe| probe.reply.as_ref()) {
        Some(Reply::TimeExceeded) => (Some("time_exceeded"), None, None),
        Some(Reply::Direct) => (Some("direct"), None, None),
        Some(Reply::Unreachable { code, .. }) => (Some("unreachable"), Some(*code), None),
        Some(Reply::TooBig { mtu }) => (Some("too_big"), None, *mtu),
        None => (None, None, None),
    }
}

fn labels(probe: &Probe) -> String {
    let labels: Vec<_> = probe.details.mpls.iter().map(|label| label.label.to_string()).collect();
    labels.join(" ")
}

/// A name of somebody else's, fit for a terminal and for a spreadsheet: what would be a formula there gets an apostrophe.
fn harmless(name: &str) -> String {
    let name = printable(name);
    let formula = name.starts_with(['=', '+', '-', '@']);
    if formula { format!("'{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Host;
    use crate::document::samples::{document, path};

    #[test]
    fn names_of_a_crafted_document_are_only_names() {
        let mut document = document(Some(path(1, 2, &[&[(2, 1.0)]])), None);
        document.head.target.name = "=cmd()\u{1b}[2J".to_owned();
        let name = Some("\u{1b}]0;owned\u{7}".to_owned());
        document.hosts.insert([192, 0, 2, 2].into(), Host { name, ..Host::default() });
        let table = String::from_utf8(render(&document).unwrap()).unwrap();
        assert!(!table.contains(['\u{1b}', '\u{7}']), "{table}");
        assert!(table.contains(r",'=cmd()\u{1b}[2J,"), "{table}");
        assert!(table.contains(r",\u{1b}]0;owned\u{7},"), "{table}");
    }

    #[test]
    fn a_name_is_no_formula() {
        assert_eq!(harmless("=cmd()"), "'=cmd()");
        assert_eq!(harmless("www.example.com"), "www.example.com");
    }
}
