//! `endpoints`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Common;

pub(super) const EXAMPLES: &str = "\
Examples:
  otherhalf endpoints                                      Who is known?
  otherhalf endpoints check                                Who is alive, and how far away?
  otherhalf reverse $(otherhalf endpoints nearest)         The way back from the nearest
  otherhalf endpoints list --toml > ~/.config/otherhalf/endpoints.toml
  otherhalf endpoints list --toml --directory ENDPOINTS    From lines such as address;asnumber;email_contact

Exit codes:
  0    all are alive (nearest: one is)
  1    some are not; or sending or writing the output failed
  4    none is
  2, 5 and 130 as for the traces";

#[derive(Debug, Args)]
pub(crate) struct Endpoints {
    /// What to do
    #[arg(value_enum, default_value_t)]
    pub(crate) what: EndpointsWhat,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) directory: Directory,
    /// list: as a file that --directory and ~/.config/otherhalf/endpoints.toml take
    #[arg(long, conflicts_with = "json")]
    pub(crate) toml: bool,
}

/// What to do with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum EndpointsWhat {
    /// Show who is known
    #[default]
    List,
    /// Ask all of them side by side
    Check,
    /// Say which one answers first
    Nearest,
}

/// Where the responders are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Directory {
    /// The responders of this file alone, not those that come with the program and of
    /// ~/.config/otherhalf/endpoints.toml
    #[arg(long = "directory", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}
