//! `check`.

use clap::Args;

use super::Common;

pub(super) const EXAMPLES: &str = "\
Examples:
  otherhalf check www.example.com
  otherhalf check -q 1 -w 1 --json 192.0.2.1   One quick attempt, for programs";

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Name or address
    pub(crate) target: String,
}
