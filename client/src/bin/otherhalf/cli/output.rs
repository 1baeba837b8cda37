//! What becomes of a trace besides text.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use otherhalf_client::Format;

#[derive(Debug, Clone, Args)]
pub(crate) struct Output {
    /// A line of JSON for each event, as it happens
    #[arg(long, conflicts_with_all = ["json", "format"])]
    pub(crate) stream: bool,
    /// The trace in the format of another program instead of text
    #[arg(long, value_name = "FORMAT", value_parser = formats(), conflicts_with = "json")]
    pub(crate) format: Option<Format>,
    /// Write it to FILE, and the text as ever: JSON unless --format or --stream says otherwise
    #[arg(id = "output", short = 'o', long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// Formats by their names, which help and completions list.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name)).try_map(|name| name.parse::<Format>())
}
