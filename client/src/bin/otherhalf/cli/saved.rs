//! `report` and `diff`: commands that look at saved traces.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

pub(super) const REPORT: &str = "\
Examples:
  otherhalf two-way --json www.example.com > trace.json
  otherhalf report -o trace.html trace.json         A page with the picture, to be sent to somebody
  otherhalf report trace.json                       Markdown, for a mail or an issue
  otherhalf report --redact-hops 2 -o trace.html trace.json
  otherhalf convert --format svg -o paths.svg trace.json   The picture alone

Exit codes:
  0  written
  1  writing the output failed
  2  usage, or a file that is no trace or cannot be written";

pub(super) const DIFF: &str = "\
Hops are compared by the addresses at each TTL. Two hops are the same if they have an address in
common (load balancing), a silent one may be any. A round-trip time has changed if it differs by
10 ms and by a quarter of the longer one at least, no time of the one trace lies within those of
the other, and the next hop bears it out.

Exit codes:
  0  the same
  1  changed
  2  usage, or a file that is no trace

Examples:
  otherhalf diff monday.json tuesday.json
  otherhalf diff --json monday.json - < tuesday.json";

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// What to write; without this the ending of --output decides, else Markdown
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ReportFormat>,
    /// Write to FILE instead of the standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Hide the address of the client
    #[arg(long)]
    pub(crate) redact_source: bool,
    /// Hide the client and the N hops next to it, with their names
    #[arg(long, value_name = "N")]
    pub(crate) redact_hops: Option<u8>,
    /// Saved traces; - is the standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A page with pictures that needs nothing beside it
    Html,
    /// Text that reads well as it is
    Markdown,
}

/// The format that the ending of `file` says.
pub(crate) fn report_format_of(file: &Path) -> Option<ReportFormat> {
    match file.extension().and_then(OsStr::to_str)?.to_ascii_lowercase().as_str() {
        "html" | "htm" => Some(ReportFormat::Html),
        "md" | "markdown" | "txt" => Some(ReportFormat::Markdown),
        _ => None,
    }
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// One JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// The earlier trace, saved with --json; - is the standard input
    #[arg(value_name = "A")]
    pub(crate) before: PathBuf,
    /// The later one
    #[arg(value_name = "B")]
    pub(crate) after: PathBuf,
}
