//! `convert`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use otherhalf_client::Format;

use super::output::formats;

pub(super) const EXAMPLES: &str = "\
Examples:
  otherhalf two-way -o trace.json www.example.com
  otherhalf convert trace.json --format atlas
  otherhalf convert trace.json -o paths.svg      A picture, by the ending
  otherhalf convert trace.json --format mtr --direction reverse -o back.json

Exit codes:
  0  written
  1  writing the output failed
  2  usage, or a file that is no trace or cannot be written";

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// A trace that was saved with --json, --stream or -o; - for the standard input
    pub(crate) file: PathBuf,
    /// The format to write; without this the ending of --output decides: .json, .csv, .dot, .gv, .svg, .html, .htm
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) format: Option<Format>,
    /// One direction alone, for formats that know no directions
    #[arg(long, value_name = "DIRECTION")]
    pub(crate) direction: Option<Only>,
    /// Write it to OUTPUT instead of the standard output
    #[arg(short = 'o', long = "output", value_name = "OUTPUT")]
    pub(crate) output: Option<PathBuf>,
}

/// The format that the ending of `file` says; `.json` is ours, not one of the others that are JSON too.
pub(crate) fn format_of(file: &Path) -> Option<Format> {
    match file.extension().and_then(OsStr::to_str)?.to_ascii_lowercase().as_str() {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        "dot" | "gv" => Some(Format::Dot),
        "svg" => Some(Format::Svg),
        "html" | "htm" => Some(Format::Html),
        "pcap" => Some(Format::Pcap),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    Forward,
    Reverse,
}
