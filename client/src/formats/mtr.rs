//! The report of `mtr --json`, as mtr 0.95 prints it. With several targets mtr prints one report after another; so it is here
//! with two directions.

use serde::Serialize;

use super::statistics::{Statistics, thousandths};
use super::{Error, lines_of};
use crate::Direction;
use crate::document::{Document, Hop, Path};

#[derive(Serialize)]
struct Whole {
    report: Report,
}

#[derive(Serialize)]
struct Report {
    mtr: Mtr,
    hubs: Vec<Hub>,
}

#[derive(Serialize)]
struct Mtr {
    src: String,
    dst: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tos: Option<u8>,
    tests: u8,
    /// A number as text, as mtr has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    psize: Option<String>,
}

#[derive(Serialize)]
struct Hub {
    count: u8,
    host: String,
    #[serde(rename = "ASN", skip_serializing_if = "Option::is_none")]
    asn: Option<String>,
    #[serde(rename = "Loss%")]
    loss: f64,
    #[serde(rename = "Snt")]
    sent: usize,
    #[serde(rename = "Last")]
    last: f64,
    #[serde(rename = "Avg")]
    average: f64,
    #[serde(rename = "Best")]
    best: f64,
    #[serde(rename = "Wrst")]
    worst: f64,
    #[serde(rename = "StDev")]
    deviation: f64,
}

pub(super) fn render(document: &Document) -> Result<String, Error> {
    document.paths().map(|(direction, path)| lines_of(&whole(document, direction, path))).collect()
}

fn whole(document: &Document, direction: Direction, path: &Path) -> Whole {
    let target = document.head.target.name.clone();
    let (src, dst) = match direction {
        Direction::Forward => (path.from.to_string(), target),
        Direction::Reverse => match &document.head.via {
            Some(via) => (via.name.clone(), target),
            None => (target, path.to.to_string()),
        },
    };
    let hubs = path.hops.iter().map(|hop| hub(document, hop)).collect();
    Whole {
        report: Report {
            mtr: Mtr {
                src,
                dst,
                tos: path.tos,
                tests: path.queries,
                psize: path.size.map(|size| size.to_string()),
            },
            hubs,
        },
    }
}

fn hub(document: &Document, hop: &Hop) -> Hub {
    // mtr names one host a hop, the one that it saw first.
    let first = hop.addresses().first().copied();
    let name = |address| document.name(address).map_or_else(|| address.to_string(), str::to_owned);
    let asn = first.and_then(|address| document.hosts.get(&address)?.asn);
    let found = Statistics::of(hop);
    Hub {
        count: hop.ttl,
        host: first.map_or_else(|| "???".to_owned(), name),
        asn: asn.map(|asn| format!("AS{asn}")),
        loss: thousandths(found.loss()),
        sent: found.sent,
        last: thousandths(found.last),
        average: thousandths(found.average),
        best: thousandths(found.best),
        worst: thousandths(found.worst),
        deviation: thousandths(found.deviation),
    }
}
