//! Documents in the formats of other programs, one file a format.
//!
//! What a format has no place for is lost; what it wants and a document does not know is left out, never made up. A format
//! that knows no directions gets each direction by itself, forward first; how they stand together follows that format's
//! habit. `docs/formats.md` says which field comes from where.
#![expect(clippy::struct_field_names, reason = "fields are named as the formats name them")]

mod atlas;
mod csv;
mod hsanet;
mod mtr;
mod pcap;
mod scamper;
mod statistics;
mod tracelb;
mod trippy;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::record::Recording;
use crate::{Document, json, picture};

/// A format that a trace can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Our own: the [`Document`] as JSON.
    Json,
    /// Results of RIPE Atlas: a JSON array of traceroute results.
    Atlas,
    /// `sc_warts2json` of scamper: a line of JSON a direction, `tracelb` for multipath.
    Scamper,
    /// `mtr --json`: a report a direction.
    Mtr,
    /// `trip --mode json` of trippy: a report a direction.
    Trippy,
    /// What the reference client of reverse traceroute (HSA-Net) saves: both directions in one JSON object.
    HsaNet,
    /// A table, a row a query.
    Csv,
    /// The graph of both directions, for Graphviz.
    Dot,
    /// The same as a picture.
    Svg,
    /// The same as a page.
    Html,
    /// The packets themselves.
    Pcap,
}

/// Why a trace cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A document holds what packets said, not the packets.
    #[error("a saved trace holds no packets: record them while you trace, with --format pcap")]
    NoPackets,
    /// Serialising failed, which it does not for what documents hold.
    #[error("the trace cannot be written in this format: {0}")]
    Json(#[from] serde_json::Error),
    /// As for JSON.
    #[error("the trace cannot be written in this format: {0}")]
    Csv(#[from] ::csv::Error),
    /// As for JSON.
    #[error("the packets cannot be written: {0}")]
    Pcap(#[from] pcap_file::PcapError),
}

impl Format {
    /// Every format, in the order in which they are documented.
    pub const ALL: [Self; 11] = [
        Self::Json,
        Self::Atlas,
        Self::Scamper,
        Self::Mtr,
        Self::Trippy,
        Self::HsaNet,
        Self::Csv,
        Self::Dot,
        Self::Svg,
        Self::Html,
        Self::Pcap,
    ];

    /// As the command line names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Atlas => "atlas",
            Self::Scamper => "scamper",
            Self::Mtr => "mtr",
            Self::Trippy => "trippy",
            Self::HsaNet => "hsanet",
            Self::Csv => "csv",
            Self::Dot => "dot",
            Self::Svg => "svg",
            Self::Html => "html",
            Self::Pcap => "pcap",
        }
    }

    /// Whether a terminal can show it.
    #[must_use]
    pub const fn is_text(self) -> bool {
        !matches!(self, Self::Pcap)
    }

    /// `document` in this format; `packets` are those of the same run, which only [`Format::Pcap`] wants.
    pub fn render(
        self,
        document: &Document,
        packets: Option<&Recording>,
    ) -> Result<Vec<u8>, Error> {
        let text = match self {
            Self::Json => lines_of(document)?,
            Self::Atlas => atlas::render(document)?,
            Self::Scamper => scamper::render(document)?,
            Self::Mtr => mtr::render(document)?,
            Self::Trippy => trippy::render(document)?,
            Self::HsaNet => hsanet::render(document)?,
            Self::Csv => return csv::render(document),
            Self::Dot => picture::dot(document),
            Self::Svg => picture::svg(document),
            Self::Html => picture::html(document),
            Self::Pcap => return pcap::render(packets.ok_or(Error::NoPackets)?),
        };
        Ok(text.into_bytes())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the formats are {}", Format::ALL.map(Format::name).join(", "))]
pub struct NoFormat;

impl FromStr for Format {
    type Err = NoFormat;

    fn from_str(text: &str) -> Result<Self, NoFormat> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or(NoFormat)
    }
}

/// Class and type of the extension object that holds an MPLS label stack (RFC 4950).
const LABEL_STACK: (u8, u8) = (1, 1);

/// JSON over several lines, with the last one ended.
fn lines_of(value: &impl Serialize) -> Result<String, Error> {
    Ok(json::pretty(value)? + "\n")
}

/// JSON on one line, which is ended.
fn line_of(value: &impl Serialize) -> Result<String, Error> {
    Ok(json::line(value)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Target;
    use crate::document::samples::{document, path};

    #[test]
    fn an_indirect_trace_goes_from_its_responder_to_the_target() {
        let mut indirect = document(None, Some(path(3, 2, &[&[(10, 1.0)], &[(2, 1.0)]])));
        indirect.head.via = Some(Target {
            name: "responder.example.net".to_owned(),
            address: [192, 0, 2, 3].into(),
        });
        let text =
            |format: Format| String::from_utf8(format.render(&indirect, None).unwrap()).unwrap();
        for (format, words) in [
            (Format::Atlas, r#""dst_name": "www.example.com""#),
            (Format::Mtr, r#""src": "responder.example.net""#),
            (Format::Mtr, r#""dst": "www.example.com""#),
            (Format::Trippy, r#""hostname": "www.example.com""#),
            (Format::Svg, "Reverse: from responder.example.net to www.example.com"),
        ] {
            assert!(text(format).contains(words), "{format}: {}", text(format));
        }
        // On the node where it starts.
        assert!(text(Format::Dot).contains(r"responder.example.net\n192.0.2.3"));
    }
}
