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
    #[command(override_usage = "otherhalf forward [OPTIONS] [udp|tcp|icmp] TARGET", after_help = EXAMPLES)]
    Forward(Trace),
    /// Trace the way back from TARGET, which must run a responder
    #[command(override_usage = "otherhalf reverse [OPTIONS] [udp|tcp|icmp] TARGET", after_help = EXAMPLES)]
    Reverse(Trace),
    /// Trace both ways at once and compare them
    #[command(override_usage = "otherhalf two-way [OPTIONS] [udp|tcp|icmp] TARGET", after_help = EXAMPLES)]
    TwoWay(Trace),
    /// Ask whether TARGET answers ping, and whether it speaks reverse traceroute
    #[command(after_help = EXAMPLES)]
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
    #[arg(short = 'q', long, value_name = "N", default_value_t)]
    pub(crate) queries: Queries,
    /// Wait so long for an answer, at most; less where others show that it would have come
    #[arg(short = 'w', long, value_name = "SECONDS", default_value = "3", value_parser = wait)]
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
    #[arg(short = 'f', long = "first", value_name = "TTL", default_value_t = Ttl::MIN)]
    pub(crate) first: Ttl,
    /// Last TTL
    #[arg(short = 'm', long = "max", value_name = "TTL", default_value = "30")]
    pub(crate) max: Ttl,
    /// Least time between two queries: seconds, or milliseconds if more than 10
    #[arg(short = 'z', long = "pause", value_name = "TIME", default_value = "0", value_parser = pause)]
    pub(crate) pause: Duration,
    /// Flow, which load balancers hash on: destination port of UDP (default 33434) and TCP (80),
    /// checksum of ICMP (48815)
    #[arg(long, value_name = "N")]
    pub(crate) flow: Option<Flow>,
    /// Queries in flight at once, in each direction
    #[arg(short = 'N', long, value_name = "N", default_value = "16")]
    pub(crate) parallel: NonZeroU16,
    /// Silent hops in a row after which to give up
    #[arg(long, value_name = "HOPS", default_value = "5")]
    pub(crate) gap: Ttl,
    /// What the probes are made of (default udp), and where to: a name or an address
    #[arg(value_names = ["udp|tcp|icmp", "TARGET"], num_args = 1..=2, required = true)]
    what: Vec<String>,
}

impl Trace {
    /// The protocol and the target; or what is wrong with the arguments.
    pub(crate) fn what(&self) -> Result<(Protocol, &str), String> {
        if self.first > self.max {
            return Err(format!(
                "the first TTL ({}) is beyond the last ({})",
                self.first, self.max
            ));
        }
        let (protocol, target) = match self.what.as_slice() {
            [protocol, target] => (protocol.as_str(), target),
            [target] => ("udp", target),
            _ => return Err("a target is needed".to_owned()),
        };
        let protocol = match protocol {
            "udp" => Protocol::Udp,
            "tcp" => Protocol::Tcp,
            "icmp" => Protocol::Icmp,
            other => {
                let other = otherhalf_client::printable(other);
                return Err(format!("the protocol is udp, tcp or icmp, not {other}"));
            }
        };
        Ok((protocol, target))
    }
}

/// The longest wait that makes sense, in seconds.
const LONGEST: f64 = 3600.0;

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.0..=LONGEST).contains(seconds))
        .ok_or_else(|| format!("a number of seconds from 0 to {LONGEST}"))
}

fn wait(text: &str) -> Result<Duration, String> {
    let seconds = seconds(text)?;
    if seconds < 0.001 {
        return Err("no answer comes in less than a millisecond".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// traceroute's rule: more than 10 are milliseconds.
fn pause(text: &str) -> Result<Duration, String> {
    let value = seconds(text)?;
    Ok(Duration::from_secs_f64(if value > 10.0 { value / 1000.0 } else { value }))
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
