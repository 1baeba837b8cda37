//! The arguments.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use otherhalf_control::argument::address;
use otherhalf_control::client::DEFAULT_SOCKET;
use otherhalf_control::message::MOST_WAITING;

/// Talks to a running otherhalfd.
#[derive(Debug, Parser)]
#[command(
    name = "otherhalfctl",
    version,
    after_help = "\
Exit codes: 0 done, 1 otherhalfd said no or gave no answer, 2 wrong usage, 3 not ready (`status` alone).

Examples:
  otherhalfctl status                    how it is, in a few lines
  otherhalfctl stats --all               every counter
  otherhalfctl drain --wait --exit       go out of service, and return when it has
  otherhalfctl capture --outcome drop_forged --limit 1000 out.pcapng
  otherhalfctl --json stats | jq .outcomes"
)]
pub(crate) struct Arguments {
    /// The daemon's control socket: control.socket in its configuration.
    #[arg(long, global = true, value_name = "PATH", env = "OTHERHALF_SOCKET", default_value = DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,
    /// Write JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says how the daemon is: state, ports, workers, pending table. Exits with 3 if it is not ready for requests.
    Status,
    /// Shows the counters; what each means is in docs/counters.md.
    Stats {
        /// Those that are 0 too.
        #[arg(long)]
        all: bool,
        /// Each worker's, too.
        #[arg(long)]
        workers: bool,
    },
    /// Has the configuration read again. A file that is wrong changes nothing.
    Reload,
    /// Takes the daemon out of service: not ready, no new requests, answers to probes that wait.
    Drain {
        /// End the daemon when it has drained.
        #[arg(long)]
        exit: bool,
        /// Return when it has drained, or with --exit when it has ended.
        #[arg(long)]
        wait: bool,
    },
    /// Brings it back into service.
    Undrain,
    /// Shows how many probes wait for an answer, and lists some of them.
    ///
    /// A probe's line has the identifier of the request that it is for, how long it has waited and how long it still may. More is not known: the
    /// table keeps a keyed hash of addresses, protocol, flow and identifier, from which none can be told, and the TTL not at all. To see addresses,
    /// capture requests (`capture --outcome probe_udp`). Those listed are the first that are found, and where a probe lies in the table is as good as random.
    Pending {
        /// How many are listed at most.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = limit)]
        limit: usize,
    },
    /// Lists the neighbours.
    Neighbours,
    /// Lists the routes, or names the one that decides for an address.
    Routes {
        /// The address.
        #[arg(value_parser = address)]
        address: Option<IpAddr>,
    },
    /// Captures frames that end in some outcomes, as they were received, into a pcapng file.
    ///
    /// The workers go on as before: a frame that comes faster than copies are taken is not copied, and counted as lost. Each packet's
    /// comment says its outcome and its worker. What was sent for it, `otherhalfd replay` shows. Ends at the limit or the time,
    /// whichever is first; interrupted, the file has what came before.
    Capture(Capture),
    /// Shows or sets the level of the log, until the daemon ends.
    LogLevel {
        /// error, warn, info, debug or trace, or a filter as in `RUST_LOG`.
        level: Option<String>,
    },
    /// Writes what a package installs beside the program.
    Generate {
        #[command(subcommand)]
        what: Generate,
    },
}

/// How many probes may be listed.
fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit @ ..=MOST_WAITING) => Ok(limit),
        _ => Err(format!("0 to {MOST_WAITING} can be listed")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Capture {
    /// The counter that the frames are counted by, such as `drop_forged`; `drop_` may be left out. Can be given several times.
    #[arg(long, required = true, value_name = "NAME")]
    pub(crate) outcome: Vec<String>,
    /// Frames, at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: u64,
    /// Seconds, at most; without, it waits for the limit.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: Option<u64>,
    /// Octets of each frame, at most 2048; by default as many.
    #[arg(long, value_name = "N")]
    pub(crate) snaplen: Option<usize>,
    /// The file, which is written anew; `-` for the standard output.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Generate {
    /// Completions for a shell, on stdout.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Man pages, into a folder.
    Man {
        /// The folder.
        folder: PathBuf,
    },
}
