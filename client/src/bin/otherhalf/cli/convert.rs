//! `convert`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use otherhalf_client::Format;

use super::output::formats;

pub(super) const EXAMPLES: &str = "\
Examples:
  otherhalf two-way -o trace.json www.example.com
  otherhalf convert trace.json --format atlas
  otherhalf convert trace.json --format mtr --direction reverse -o back.json";

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// A trace that was saved with --json, --stream or -o; - for the standard input
    pub(crate) file: PathBuf,
    /// The format to write
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) format: Format,
    /// One direction alone, for formats that know no directions
    #[arg(long, value_name = "DIRECTION")]
    pub(crate) direction: Option<Only>,
    /// Write it to OUTPUT instead of the standard output
    #[arg(short = 'o', long = "output", value_name = "OUTPUT")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    Forward,
    Reverse,
}
