//! `forward`, `reverse` and `two-way`.

use std::num::{NonZeroU16, NonZeroU64};
use std::time::Duration;

use clap::Args;
use otherhalf_client::{Flow, Rate, Ttl};
use otherhalf_wire::probe::Protocol;

use super::values::{dscp, gap, interval, parallel, pause, size, tos};
use super::{Common, Directory, Hosts, Output};

pub(super) const FORWARD: &str = "\
Arguments:
  [udp|tcp|icmp]  What the probes are made of (default udp)
  <TARGET>        Name or address

Examples:
  otherhalf forward www.example.com
  otherhalf forward icmp -6 -n 2001:db8::1   What traceroute -I -6 -n shows
  otherhalf forward --mtu www.example.com    The longest packets that get there, and who limits them
  otherhalf forward --dscp ef --size 200 www.example.com   As voice packets go

Exit codes:
  0    reached
  1    not reached, or only in part; or sending or writing the output failed
  2    usage, an unknown name, or a file that cannot be read or written
  4    no answer
  5    no permission for raw sockets
  130  interrupted";

pub(super) const REVERSE: &str = "\
Arguments:
  [udp|tcp|icmp]  What the probes are made of (default udp)
  <TARGET>        Name or address

Examples:
  otherhalf reverse www.example.com          Over UDP
  otherhalf reverse tcp --flow 443 www.example.com
  otherhalf reverse --via www.example.com 192.0.2.1   From www.example.com to 192.0.2.1
  otherhalf reverse --stream www.example.com | jq .event
                                             Events as they happen
  otherhalf reverse --format pcap -o back.pcap www.example.com
                                             The packets themselves, for tcpdump

Exit codes:
  0    reached
  1    not reached, or only in part; or sending or writing the output failed
  2    usage, an unknown name, or a file that cannot be read or written
  3    the target answers ping, but does not speak reverse traceroute: no responder runs there
  4    no answer, or ping alone is answered: the target or a filter drops requests
  5    no permission for raw sockets
  6    the target refuses
  130  interrupted";

pub(super) const TWO_WAY: &str = "\
Arguments:
  [udp|tcp|icmp]  What the probes are made of (default udp)
  <TARGET>        Name or address

Examples:
  otherhalf two-way tcp www.example.com      Over TCP, side by side
  otherhalf two-way --live www.example.com   Again and again, until q is pressed
  otherhalf two-way -o trace.json www.example.com
                                             Saved, besides, for report and convert
  otherhalf two-way --format atlas www.example.com
                                             As RIPE Atlas would tell it

Exit codes, of the way back unless that is 0, then of the way there:
  0    reached
  1    not reached, or only in part; or sending or writing the output failed
  2    usage, an unknown name, or a file that cannot be read or written
  3    the target answers ping, but does not speak reverse traceroute: no responder runs there
  4    no answer, or ping alone is answered: the target or a filter drops requests
  5    no permission for raw sockets
  6    the target refuses
  130  interrupted";

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) output: Output,
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
    /// Queries a second, at most, in both directions together: so that no router's limit on answers is met
    #[arg(long, value_name = "PPS", default_value_t, allow_negative_numbers = true)]
    pub(crate) rate: Rate,
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
    /// Send probes in packets of so many octets, headers included; those of a responder are its own affair
    #[arg(long, value_name = "OCTETS", help_heading = "Packets", value_parser = size, allow_negative_numbers = true)]
    pub(crate) size: Option<u16>,
    /// Type of service (IPv6: traffic class) of what is sent; in reverse of the requests, which a responder may copy
    #[arg(short = 't', long, value_name = "N", help_heading = "Packets", value_parser = tos, conflicts_with = "dscp", allow_negative_numbers = true)]
    tos: Option<u8>,
    /// The same as a code point: 0 to 63, or ef, af41, cs6, ...
    #[arg(long, value_name = "DSCP", help_heading = "Packets", value_parser = dscp, allow_negative_numbers = true)]
    dscp: Option<u8>,
    /// Look for the longest packets that the forward path takes
    #[arg(long, help_heading = "Packets")]
    pub(crate) mtu: bool,
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    #[command(flatten, next_help_heading = "All paths")]
    pub(crate) multipath: super::multipath::Multipath,
    #[command(flatten, next_help_heading = "Live view")]
    pub(crate) watching: Watching,
    /// Trace the nearest responder that is alive (otherhalf endpoints) instead of a TARGET
    #[arg(long, help_heading = "Responders")]
    nearest: bool,
    #[command(flatten, next_help_heading = "Responders")]
    pub(crate) directory: Directory,
    /// In reverse: have RESPONDER probe towards TARGET, instead of TARGET towards here; few responders allow it; not with
    /// --multipath or --live
    #[arg(long, value_name = "RESPONDER")]
    pub(crate) via: Option<String>,
    // traceroute's switches for the protocol: whoever types them is told ours.
    #[arg(short = 'I', hide = true)]
    icmp: bool,
    #[arg(short = 'T', hide = true)]
    tcp: bool,
    // Two positional arguments would not let options stand between them. The help below names both.
    #[arg(value_name = "TARGET", num_args = 1..=2, required_unless_present = "nearest", hide = true)]
    what: Vec<String>,
}

/// Whether and how it is traced again and again.
#[derive(Debug, Args)]
pub(crate) struct Watching {
    /// Trace again and again, on the whole terminal, one probe a hop and round; ? there shows the keys
    #[arg(long, conflicts_with_all = ["stream", "via", "mtu", "aliases"])]
    pub(crate) live: bool,
    /// From one round to the next, in seconds
    #[arg(short = 'i', long, value_name = "SECONDS", default_value = "1", value_parser = interval, allow_negative_numbers = true)]
    pub(crate) interval: Duration,
    /// End after so many rounds
    #[arg(short = 'c', long, value_name = "N")]
    pub(crate) cycles: Option<NonZeroU64>,
    /// Take so many flows by turns, a round each, from that of --flow on
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) flows: NonZeroU16,
}

impl Trace {
    /// The type of service of what is sent.
    pub(crate) fn traffic_class(&self) -> u8 {
        self.tos.or(self.dscp).unwrap_or_default()
    }

    /// The protocol and the target, `None` for the nearest responder; or what is wrong with the arguments of `command`.
    pub(crate) fn what(&self, command: &str) -> Result<(Protocol, Option<&str>), String> {
        if self.first > self.max {
            return Err(format!(
                "the first TTL ({}) is beyond the last ({})",
                self.first, self.max
            ));
        }
        if self.nearest {
            let protocol = match self.what.as_slice() {
                [] => Some(Protocol::Udp),
                [only] => protocol(only),
                _ => None,
            };
            return protocol.map(|protocol| (protocol, None)).ok_or_else(|| {
                format!(
                    "--nearest chooses the TARGET: otherhalf {command} --nearest [udp|tcp|icmp]"
                )
            });
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
                None => Ok((Protocol::Udp, Some(target))),
            };
        };
        if let Some(protocol) = protocol(first) {
            return Ok((protocol, Some(target)));
        }
        let first = otherhalf_client::printable(first);
        Err(match protocol(target) {
            Some(_) => format!("the protocol comes first: otherhalf {command} {target} {first}"),
            None => format!("the protocol is udp, tcp or icmp, not {first}"),
        })
    }
}

pub(super) fn protocol(text: &str) -> Option<Protocol> {
    match text.to_ascii_lowercase().as_str() {
        "udp" => Some(Protocol::Udp),
        "tcp" => Some(Protocol::Tcp),
        "icmp" => Some(Protocol::Icmp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::super::Arguments;

    #[test]
    fn what_looks_at_a_path_in_ways_that_exclude_each_other() {
        let ways = ["--via=192.0.2.2", "--mtu", "--aliases"];
        let pairs = ways.iter().flat_map(|way| [["--live", *way], ["--multipath", *way]]);
        for pair in pairs.chain([["--live", "--multipath"], ["--live", "--stream"]]) {
            let words = [&["otherhalf", "reverse"][..], &pair, &["192.0.2.1"]].concat();
            let kind = Arguments::try_parse_from(words).map(drop).map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::ArgumentConflict), "{pair:?}");
        }
        for alone in
            [&["--live"][..], &["--multipath", "--stream"], &["--aliases", "--mtu", "--stream"]]
        {
            let words = [&["otherhalf", "reverse"][..], alone, &["192.0.2.1"]].concat();
            assert!(Arguments::try_parse_from(words).is_ok(), "{alone:?}");
        }
    }
}
