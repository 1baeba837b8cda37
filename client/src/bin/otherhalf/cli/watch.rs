//! `watch`.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values;

pub(super) const EXAMPLES: &str = "\
Arguments:
  [forward|reverse|two-way]  What to trace (default two-way)
  [OPTIONS] [udp|tcp|icmp]   As that command has them; those of watch come before
  <TARGET>                   Name or address

A line a change, and silence as long as the path stays what it is. With --state and without
--interval it traces once, compares with FILE and ends: made for cron and for monitoring.

A path has changed if a hop is another, new or gone, or if its end is reached no longer or again;
load balancing, silent hops and round-trip times are no change (see otherhalf diff --help).

Exit codes:
  0  no change
  1  changed
  2 and more as for the traces: there was none

Examples:
  otherhalf watch www.example.com                            Every minute, until Ctrl-C
  otherhalf watch --interval 10 --count 6 reverse tcp www.example.com
  otherhalf watch --state /var/lib/otherhalf/www.json two-way -q 1 www.example.com";

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Trace again after so many seconds (default 60; with --state: trace once)
    #[arg(long, value_name = "SECONDS", value_parser = values::watch_interval, allow_negative_numbers = true)]
    pub(crate) interval: Option<Duration>,
    /// End after N traces
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) count: Option<NonZeroU32>,
    /// Keep the last trace in FILE, and begin with the one that is there
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// What to trace, as a command of its own would
    #[arg(
        value_name = "TARGET",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        hide = true
    )]
    pub(crate) what: Vec<OsString>,
}
