//! The command `beside`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use otherhalf_perf::EXIT_WRONG;
use otherhalf_perf::beside::link::Link;
use otherhalf_perf::beside::peer::{Kind, Programs};
use otherhalf_perf::beside::{self, Ended, Options};

use crate::cli::{seconds, window};

/// What a shell says of a program that was interrupted.
const EXIT_INTERRUPTED: u8 = 130;

#[derive(Debug, Args)]
#[command(after_help = "\
Needs root, hugepages (sysctl vm.nr_hugepages=700) and two CPUs. Each line: ratio NAME VALUE TARGET pass|short|-, and
behind # the absolute figures of both sides, which move with the host's mood. A ratio is the median of those of
neighbouring slices; one with a side that the generator limits is judged only as far as the bound decides, else -. traces/traces compares ours with itself: how far it is from 1 is what not to believe.
Whole traces have two packets each way; pings and requests one.")]
pub(crate) struct BesideArguments {
    /// The kinds of port.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "net_ring,virtio,memif,af_xdp,af_packet",
        value_name = "LINK,…"
    )]
    links: Vec<Link>,
    /// The peers.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "ours,floor,icmpecho,5tswap,capsule",
        value_name = "PEER,…"
    )]
    peers: Vec<Kind>,
    /// How long each kind of port is measured.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// The length of a slice, in milliseconds.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(5..=10_000), value_name = "MS")]
    slice_ms: u64,
    /// Questions under way.
    #[arg(long, default_value_t = 512, value_parser = window, value_name = "N")]
    window: usize,
    /// The generator's CPU and the peers'.
    #[arg(long, value_delimiter = ',', default_value = "0,1", value_name = "CPU,CPU")]
    cpus: Vec<usize>,
    /// The folder for beside.ndjson.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// otherhalfd [default: beside this program].
    #[arg(long, value_name = "PROGRAM")]
    responder: Option<PathBuf>,
    /// otherhalf-capsule [default: capsule/release/otherhalf-capsule in the target folder].
    #[arg(long, value_name = "PROGRAM")]
    capsule: Option<PathBuf>,
    /// dpdk-testpmd.
    #[arg(long, default_value = "/usr/bin/dpdk-testpmd", value_name = "PROGRAM")]
    testpmd: PathBuf,
    /// Do one kind of port, in this folder: how the program calls itself.
    #[arg(long, hide = true, value_name = "FOLDER")]
    inside: Option<PathBuf>,
}

impl BesideArguments {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let options = self.options()?;
        let ended = match (&self.inside, options.links.as_slice()) {
            (Some(folder), [link]) => beside::run_link(&options, *link, folder)?,
            _ => beside::run(&options, |link, folder| self.again(&options, link, folder))?,
        };
        Ok(match ended {
            Ended::Right => ExitCode::SUCCESS,
            Ended::Wrong => ExitCode::from(EXIT_WRONG),
            Ended::Interrupted => ExitCode::from(EXIT_INTERRUPTED),
        })
    }

    fn options(&self) -> Result<Options> {
        let own = std::env::current_exe().context("where is this program? Name --responder")?;
        let [responder, capsule] = ["otherhalfd", "../capsule/release/otherhalf-capsule"]
            .map(|path| own.parent().unwrap_or(Path::new("")).join(path));
        let cpu =
            |at: usize| self.cpus.get(at).copied().context("name two CPUs, such as --cpus 0,1");
        Ok(Options {
            links: self.links.clone(),
            peers: self.peers.clone(),
            time: Duration::from_secs_f64(self.seconds),
            slice: Duration::from_millis(self.slice_ms),
            window: self.window,
            cpus: [cpu(0)?, cpu(1)?],
            out: self.out.clone(),
            programs: Programs {
                responder: self.responder.clone().unwrap_or(responder),
                capsule: self.capsule.clone().unwrap_or(capsule),
                testpmd: self.testpmd.clone(),
            },
        })
    }

    /// The same, for one kind of port.
    fn again(&self, options: &Options, link: Link, folder: &Path) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let kinds: Vec<String> = self.peers.iter().map(ToString::to_string).collect();
        let [generator, peers] = options.cpus;
        let mut arguments: Vec<String> = vec!["beside".to_owned()];
        for (name, value) in [
            ("--links", link.to_string()),
            ("--peers", kinds.join(",")),
            ("--seconds", self.seconds.to_string()),
            ("--slice-ms", self.slice_ms.to_string()),
            ("--window", self.window.to_string()),
            ("--cpus", format!("{generator},{peers}")),
            ("--responder", path(&options.programs.responder)),
            ("--capsule", path(&options.programs.capsule)),
            ("--testpmd", path(&options.programs.testpmd)),
            ("--inside", path(folder)),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        if let Some(out) = &self.out {
            arguments.extend(["--out".to_owned(), path(out)]);
        }
        arguments
    }
}
