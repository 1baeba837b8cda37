//! The arguments.

use std::num::NonZeroU16;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use otherhalf_client::{Flow, Queries, Ttl};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

const EXAMPLES: &str = "\
Examples:
  otherhalf check www.example.com            Does it speak reverse traceroute?
  otherhalf reverse www.example.com          The way back, over UDP
  otherhalf two-way tcp www.example.com      Both ways at once, over TCP, side by side
  otherhalf forward icmp -6 -n 2001:db8::1   What traceroute -I -6 -n shows
  otherhalf reverse --json www.example.com   For programs

Exit codes:
  0    reached (check: the target speaks reverse traceroute)
  1    not reached, or only in part
  2    usage, or an unknown name
  3    the target answers ping, but does not speak reverse traceroute
  4    no answer
  5    no permission for raw sockets
  6    the target refuses
  130  interrupted

Raw sockets need CAP_NET_RAW and nothing else. Grant it once:
  sudo setcap cap_net_raw+ep $(command -v otherhalf)";

const FORWARD: &str = "\
Arguments:
  [udp|tcp|icmp]  What the probes are made of (default udp)
  <TARGET>        Name or address

Examples:
  otherhalf forward www.example.com
  otherhalf forward icmp -6 -n 2001:db8::1   What traceroute -I -6 -n shows";

const REVERSE: &str = "\
Arguments:
  [udp|tcp|icmp]  What the probes are made of (default udp)
  <TARGET>        Name or address

Examples:
  otherhalf reverse www.example.com          Over UDP
  otherhalf reverse tcp --flow 443 www.example.com";

const TWO_WAY: &str = "\
Arguments:
  [udp|tcp|icmp]  What the probes are made of (default udp)
  <TARGET>        Name or address

Examples:
  otherhalf two-way tcp www.example.com      Over TCP, side by side";

const CHECK: &str = "\
Examples:
  otherhalf check www.example.com
  otherhalf check -q 1 -w 1 --json 192.0.2.1   One quick attempt, for programs";

/// traceroute in both directions: to a target, and from it back to you
#[derive(Debug, Parser)]
#[command(name = "otherhalf", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Trace the way to TARGET, as traceroute does
    #[command(override_usage = "otherhalf forward [OPTIONS] [udp|tcp|icmp] <TARGET>", after_help = FORWARD)]
    Forward(Trace),
    /// Trace the way back from TARGET, which must run a responder
    #[command(override_usage = "otherhalf reverse [OPTIONS] [udp|tcp|icmp] <TARGET>", after_help = REVERSE)]
    Reverse(Trace),
    /// Trace both ways at once and compare them
    #[command(override_usage = "otherhalf two-way [OPTIONS] [udp|tcp|icmp] <TARGET>", after_help = TWO_WAY)]
    TwoWay(Trace),
    /// Ask whether TARGET answers ping, and whether it speaks reverse traceroute
    #[command(after_help = CHECK)]
    Check(Check),
}

#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Common {
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// IPv6 only
    #[arg(short = '6')]
    ipv6: bool,
    /// One JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Show addresses only, look up no names
    #[arg(short = 'n')]
    pub(crate) numeric: bool,
    /// Queries per hop (check: attempts), 1 to 10
    #[arg(short = 'q', long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    pub(crate) queries: Queries,
    /// Wait so long for an answer, at most; less where others show that it would have come
    #[arg(short = 'w', long, value_name = "SECONDS", default_value = "5", value_parser = wait, allow_negative_numbers = true)]
    pub(crate) wait: Duration,
}

impl Common {
    pub(crate) const fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Name or address
    pub(crate) target: String,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) common: Common,
    /// First TTL
    #[arg(short = 'f', long = "first", value_name = "TTL", default_value_t = Ttl::MIN, allow_negative_numbers = true)]
    pub(crate) first: Ttl,
    /// Last TTL
    #[arg(
        short = 'm',
        long = "max",
        value_name = "TTL",
        default_value = "30",
        allow_negative_numbers = true
    )]
    pub(crate) max: Ttl,
    /// Least time between two queries: seconds, or milliseconds if more than 10
    #[arg(short = 'z', long = "pause", value_name = "TIME", default_value = "0", value_parser = pause, allow_negative_numbers = true)]
    pub(crate) pause: Duration,
    /// Flow, which load balancers hash on: destination port of UDP (default 33434) and TCP (80),
    /// checksum of ICMP (48815)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) flow: Option<Flow>,
    /// Queries in flight at once, in each direction
    #[arg(short = 'N', long, value_name = "N", default_value = "16", value_parser = parallel, allow_negative_numbers = true)]
    pub(crate) parallel: NonZeroU16,
    /// Silent hops in a row after which to give up
    #[arg(long, value_name = "HOPS", default_value = "5", value_parser = gap, allow_negative_numbers = true)]
    pub(crate) gap: Ttl,
    // traceroute's switches for the protocol: whoever types them is told ours.
    #[arg(short = 'I', hide = true)]
    icmp: bool,
    #[arg(short = 'T', hide = true)]
    tcp: bool,
    // Two positional arguments would not let options stand between them. The help below names both.
    #[arg(value_name = "TARGET", num_args = 1..=2, required = true, hide = true)]
    what: Vec<String>,
}

impl Trace {
    /// The protocol and the target; or what is wrong with the arguments of `command`.
    pub(crate) fn what(&self, command: &str) -> Result<(Protocol, &str), String> {
        if self.first > self.max {
            return Err(format!(
                "the first TTL ({}) is beyond the last ({})",
                self.first, self.max
            ));
        }
        let (first, target) = match self.what.as_slice() {
            [first, target] => (Some(first.as_str()), target.as_str()),
            [target] => (None, target.as_str()),
            _ => return Err("TARGET is missing".to_owned()),
        };
        for (asked, switch, protocol) in [(self.icmp, "-I", "icmp"), (self.tcp, "-T", "tcp")] {
            if asked {
                return Err(format!(
                    "instead of {switch} write: otherhalf {command} {protocol} {}",
                    otherhalf_client::printable(target)
                ));
            }
        }
        let Some(first) = first else {
            return match protocol(target) {
                Some(_) => Err(format!("TARGET is missing: otherhalf {command} {target} TARGET")),
                None => Ok((Protocol::Udp, target)),
            };
        };
        if let Some(protocol) = protocol(first) {
            return Ok((protocol, target));
        }
        let first = otherhalf_client::printable(first);
        Err(match protocol(target) {
            Some(_) => format!("the protocol comes first: otherhalf {command} {target} {first}"),
            None => format!("the protocol is udp, tcp or icmp, not {first}"),
        })
    }
}

fn protocol(text: &str) -> Option<Protocol> {
    match text.to_ascii_lowercase().as_str() {
        "udp" => Some(Protocol::Udp),
        "tcp" => Some(Protocol::Tcp),
        "icmp" => Some(Protocol::Icmp),
        _ => None,
    }
}

/// The longest wait that makes sense, in seconds.
const LONGEST: f64 = 3600.0;

/// The shortest: no answer comes in less.
const SHORTEST: f64 = 0.001;

fn wait(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (SHORTEST..=LONGEST).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("a wait is {SHORTEST} to {LONGEST} seconds"))
}

/// traceroute's rule: more than 10 are milliseconds.
fn pause(text: &str) -> Result<Duration, String> {
    let value =
        text.parse().ok().filter(|value| (0.0..=LONGEST).contains(value)).ok_or_else(|| {
            format!("a pause is 0 to 10 seconds, or more than 10 to {LONGEST} milliseconds")
        })?;
    Ok(Duration::from_secs_f64(if value > 10.0 { value / 1000.0 } else { value }))
}

fn parallel(text: &str) -> Result<NonZeroU16, String> {
    text.parse().map_err(|_| format!("queries in flight are 1 to {}", u16::MAX))
}

fn gap(text: &str) -> Result<Ttl, String> {
    text.parse().map_err(|_| format!("a gap is {} to {} hops", Ttl::MIN, Ttl::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times() {
        assert_eq!(wait("0.5"), Ok(Duration::from_millis(500)));
        assert!(
            wait("0").is_err()
                && wait("-1").is_err()
                && wait("nan").is_err()
                && wait("1e9").is_err()
        );
        assert_eq!(pause("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(pause("50"), Ok(Duration::from_millis(50)));
        assert_eq!(pause("10"), Ok(Duration::from_secs(10)));
    }
}
