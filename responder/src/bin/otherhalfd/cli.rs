//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use otherhalf_control::argument::address;
use otherhalf_responder::replay;

/// Answers reverse traceroute requests on DPDK ports.
#[derive(Debug, Parser)]
#[command(
    name = "otherhalfd",
    version,
    after_help = "\
Signals:
  SIGTERM  drains (no new requests; probes that wait get their answers,
           within drain.deadline_ms), stops, and prints the counters
  SIGINT   or a second SIGTERM: stops at once, and prints them
  SIGUSR1  logs the counters
  SIGHUP   reads the configuration again: addresses, routes, probes, replies,
           rates and lists of prefixes change without a lost packet, the log
           says what waits for the next start; a wrong file changes nothing

Exit codes: 0 stopped as told, 1 failed, 2 wrong usage, 78 wrong configuration

Environment:
  RUST_LOG       the log level: error, warn, info, debug (default: log.level)
  NOTIFY_SOCKET  the service manager's socket (sd_notify)

Example: otherhalfd --config /etc/otherhalf/otherhalfd.toml"
)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    /// The configuration file (TOML; see dpdk-config/ for examples).
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Reads and checks a configuration, and starts nothing. All mistakes are told at once, with line, column and a hint; CPUs and groups that
    /// this machine does not have and what is wrong in lists of prefixes, too.
    CheckConfig {
        /// The file is for another machine: CPUs and groups are not looked for.
        #[arg(long)]
        elsewhere: bool,
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Prints the configuration in effect: each key with its value, also those that the file leaves out; what holds without a value is a comment.
    PrintConfig {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Says what would happen to a request from an address, and which key decides. Nothing is sent: the packet path's own code is asked.
    Explain(Explain),
    Replay(replay::Arguments),
    /// Writes what a package installs beside the program, and the pages that are made from it.
    Generate {
        #[command(subcommand)]
        what: Page,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Who asks.
    #[arg(value_name = "ADDRESS", value_parser = address)]
    pub(crate) from: IpAddr,
    /// The own address that is asked; by default the first of the family.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) at: Option<IpAddr>,
    /// The protocol of the probe that is asked for; by default each.
    #[arg(long)]
    pub(crate) protocol: Option<Protocol>,
    /// Its flow; by default the request has no wish.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) flow: Option<u16>,
    /// Its TTL.
    #[arg(long, default_value_t = 1)]
    pub(crate) ttl: u8,
    /// Whom the probe shall go to, as an indirect trace asks; by default back to who asks.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) towards: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Protocol {
    /// Echo requests.
    Icmp,
    /// SYNs.
    Tcp,
    /// Datagrams.
    Udp,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Page {
    /// A commented configuration with every key, its meaning and its default.
    Config,
    /// Completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// What each counter means, as Markdown: docs/counters.md.
    Counters,
    /// The manual pages: otherhalfd(8), one for each command, and otherhalfd.toml(5).
    Man {
        /// The folder to write them to.
        folder: PathBuf,
    },
    /// What each key of the configuration is, as Markdown: docs/configuration.md.
    Reference,
}
