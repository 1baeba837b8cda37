//! Options of multipath traces.

use std::num::NonZeroU16;

use clap::Args;
use otherhalf_client::multipath::{Confidence, Options};

#[derive(Debug, Args)]
pub(crate) struct Multipath {
    /// Find all paths that load balancers spread flows over, not the one of one flow; tell balancers by flow and by packet apart
    #[arg(long = "multipath", conflicts_with_all = ["live", "via", "mtu", "aliases"])]
    pub(crate) wanted: bool,
    /// With --multipath: the chance of finding the whole graph, if balancers spread flows evenly
    #[arg(long, value_name = "PERCENT", default_value = "95", allow_negative_numbers = true)]
    confidence: Confidence,
    /// With --multipath: flows per hop, at most
    #[arg(long, value_name = "N", default_value = "512", value_parser = flows, allow_negative_numbers = true)]
    max_flows: NonZeroU16,
    /// With --multipath: send an unanswered query so many times more before the silence is believed
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u8).range(0..=10), allow_negative_numbers = true)]
    retry: u8,
    /// With --multipath, forward: look for balancers by destination, too, by probes towards other addresses of the target's
    /// network (/24, /64), with TTLs that end before it
    #[arg(long)]
    by_destination: bool,
}

impl Multipath {
    /// How a search is done that is otherwise done as `trace` says.
    pub(crate) fn options(&self, trace: otherhalf_client::Options) -> Options {
        let Self { confidence, max_flows, retry, by_destination, .. } = *self;
        Options { confidence, max_flows, retry, by_destination, ..Options::new(trace) }
    }
}

fn flows(text: &str) -> Result<NonZeroU16, String> {
    text.parse().map_err(|_| format!("flows per hop are 1 to {}", u16::MAX))
}
