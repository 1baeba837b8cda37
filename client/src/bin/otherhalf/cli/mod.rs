//! The arguments, one file a command.

mod check;
mod convert;
mod endpoints;
mod generate;
mod hosts;
mod meaning;
mod multipath;
mod output;
mod saved;
mod trace;
mod values;
mod watch;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use otherhalf_client::Queries;
use otherhalf_client::raw::Route;
use otherhalf_wire::ip::Family;

pub(crate) use check::Check;
pub(crate) use convert::{Convert, Only, format_of};
pub(crate) use endpoints::{Directory, Endpoints, EndpointsWhat};
pub(crate) use generate::{Generate, What};
pub(crate) use hosts::Hosts;
pub(crate) use meaning::{is_answered, without_effect};
pub(crate) use output::Output;
pub(crate) use saved::{Diff, Report, ReportFormat, report_format_of};
pub(crate) use trace::Trace;
pub(crate) use watch::Watch;

const EXAMPLES: &str = "\
Examples:
  otherhalf check www.example.com            Does it speak reverse traceroute?
  otherhalf reverse www.example.com          The way back, over UDP
  otherhalf two-way tcp www.example.com      Both ways at once, over TCP, side by side
  otherhalf two-way --multipath -n 192.0.2.1 All paths that load balancers choose from, both ways
  otherhalf forward icmp -6 -n 2001:db8::1   What traceroute -I -6 -n shows
  otherhalf reverse --json www.example.com   For programs

Exit codes:
  0    reached (check: the target speaks reverse traceroute)
  1    not reached, or only in part; or sending or writing the output failed
  2    usage, an unknown name, or a file that cannot be read or written
  3    the target answers ping, but does not speak reverse traceroute: no responder runs there
  4    no answer, or ping alone is answered: the target or a filter drops requests
  5    no permission for raw sockets
  6    the target refuses
  130  interrupted
What 0 and 1 are for diff and watch, and 0, 1 and 4 for endpoints, stands in their help.

Each long option can be set for good: in ~/.config/otherhalf/config.toml (otherhalf generate config
prints one), or as a variable, such as OTHERHALF_QUERIES=1 for --queries 1.

Raw sockets need CAP_NET_RAW and nothing else. Grant it once:
  sudo setcap cap_net_raw+ep $(command -v otherhalf)";

/// traceroute in both directions: to a target, and from it back to you
#[derive(Debug, Parser)]
#[command(name = "otherhalf", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Read this configuration file instead of ~/.config/otherhalf/config.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// When to use colours; without this the terminal and `NO_COLOR` decide
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Colour,
    /// Say on stderr what happens; -vv: every packet
    #[arg(short = 'v', long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The whole command line.
pub(crate) fn definition() -> clap::Command {
    meaning::without_idle(Arguments::command())
}

/// What to say to who begins with what is no command and like none: a target, or a word of another program.
pub(crate) const NO_COMMAND: &str = "\
the command comes first: forward (the way there), reverse (the way back) or two-way (both), \
as in otherhalf two-way www.example.com";

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<Colour> for anstream::ColorChoice {
    fn from(colour: Colour) -> Self {
        match colour {
            Colour::Auto => Self::Auto,
            Colour::Always => Self::Always,
            Colour::Never => Self::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Trace the way to TARGET, as traceroute does
    #[command(override_usage = "otherhalf forward [OPTIONS] [udp|tcp|icmp] <TARGET>", after_help = trace::FORWARD)]
    Forward(Trace),
    /// Trace the way back from TARGET, which must run a responder
    #[command(override_usage = "otherhalf reverse [OPTIONS] [udp|tcp|icmp] <TARGET>", after_help = trace::REVERSE)]
    Reverse(Trace),
    /// Trace both ways at once and compare them
    #[command(override_usage = "otherhalf two-way [OPTIONS] [udp|tcp|icmp] <TARGET>", after_help = trace::TWO_WAY)]
    TwoWay(Trace),
    /// Ask whether TARGET answers ping, and whether it speaks reverse traceroute
    #[command(after_help = check::EXAMPLES)]
    Check(Check),
    /// Show public responders, and ask which are alive
    #[command(after_help = endpoints::EXAMPLES)]
    Endpoints(Endpoints),
    /// Write a saved trace in the format of another program
    #[command(after_help = convert::EXAMPLES)]
    Convert(Convert),
    /// Write saved traces as a page for others: both directions, picture and figures
    #[command(after_help = saved::REPORT)]
    Report(Report),
    /// Say what changed between two saved traces
    #[command(after_help = saved::DIFF)]
    Diff(Diff),
    /// Trace again and again, and say when the path changes
    #[command(override_usage = "otherhalf watch [OPTIONS] [forward|reverse|two-way] [OPTIONS] [udp|tcp|icmp] <TARGET>", after_help = watch::EXAMPLES)]
    Watch(Watch),
    /// Write a configuration file, completions, man pages or the JSON Schema
    #[command(after_help = generate::EXAMPLES)]
    Generate(Generate),
}

#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Common {
    /// IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// One JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Show addresses only, look up no names
    #[arg(short = 'n', long)]
    pub(crate) numeric: bool,
    /// Queries per hop (check: attempts), 1 to 10
    #[arg(short = 'q', long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    pub(crate) queries: Queries,
    /// Wait so long for an answer, at most; less where others show that it would have come
    #[arg(short = 'w', long, value_name = "SECONDS", default_value = "5", value_parser = values::wait, allow_negative_numbers = true)]
    pub(crate) wait: Duration,
    /// Send from this address of this machine, not from the one that the kernel would choose
    #[arg(short = 's', long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// Send by this interface, and hear answers by it alone
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
}

impl Common {
    /// How packets shall leave this machine.
    pub(crate) fn route(&self) -> Route {
        Route { source: self.source, interface: self.interface.clone() }
    }

    pub(crate) const fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }
}
