//! The peers: programs that answer on a port, each a process that is paused while another is measured.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::addresses;
use crate::beside::frames::Load;
use crate::beside::link::Link;

/// How long a peer may take to start; five of them start at once, on two CPUs.
const START: Duration = Duration::from_secs(30);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(10);
/// How long a peer has to end by itself.
const GRACE: Duration = Duration::from_secs(15);
/// Of a peer's log, what an error shows.
const LOG_TAIL: usize = 3000;
/// Probes that our responders can have under way, and how long each waits: at 5 million requests a second
/// that nobody answers, half of the table.
const PENDING: &str = "[pending]\nentries = 2097152\ntimeout_ms = 200\n";
/// The floor as a process, which the build script compiled.
const FLOOR: &str = env!("OTHERHALF_FLOOR");

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// otherhalfd.
    Ours,
    /// The same, asking its port for no checksum offload.
    Software,
    /// `perf/yardstick/floor.c`: addresses swapped, a key inserted, in C.
    Floor,
    /// DPDK's testpmd, answering pings.
    Icmpecho,
    /// DPDK's testpmd, letting addresses and ports change places.
    #[serde(rename = "5tswap")]
    #[value(name = "5tswap")]
    FiveTuple,
    /// Our engine on the capsule framework, `perf/capsule`.
    Capsule,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Software => "software",
            Self::Floor => "floor",
            Self::Icmpecho => "icmpecho",
            Self::FiveTuple => "5tswap",
            Self::Capsule => "capsule",
        })
    }
}

/// The programs that are no part of this one.
#[derive(Debug, Clone)]
pub struct Programs {
    /// otherhalfd.
    pub responder: PathBuf,
    /// otherhalf-capsule.
    pub capsule: PathBuf,
    /// dpdk-testpmd.
    pub testpmd: PathBuf,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ours, Self::Software, Self::Floor, Self::Icmpecho, Self::FiveTuple, Self::Capsule];

    /// Its program.
    fn program(self, programs: &Programs) -> &Path {
        match self {
            Self::Ours | Self::Software => &programs.responder,
            Self::Floor => Path::new(FLOOR),
            Self::Icmpecho | Self::FiveTuple => &programs.testpmd,
            Self::Capsule => &programs.capsule,
        }
    }

    /// Why it can't be started; `None` if it can.
    #[must_use]
    pub fn missing(self, programs: &Programs) -> Option<String> {
        let program = self.program(programs);
        let remedy = match self {
            Self::Ours | Self::Software => "cargo build --release -p otherhalf-responder",
            Self::Floor => "cargo build --release -p otherhalf-perf",
            Self::Icmpecho | Self::FiveTuple => "apt-get install dpdk-dev",
            Self::Capsule => {
                "cargo build --release --manifest-path perf/capsule/Cargo.toml --target-dir target/capsule"
            }
        };
        (!program.is_file()).then(|| format!("there is no {}: {remedy}", program.display()))
    }

    /// What it says when it polls its port.
    const fn is_ready(self) -> &'static str {
        match self {
            Self::Ours | Self::Software | Self::Floor | Self::Capsule => "ready\n",
            Self::Icmpecho | Self::FiveTuple => "Press enter to exit",
        }
    }

    /// What to ask it for a first sign of life.
    pub(crate) const fn greeting(self) -> Load {
        if matches!(self, Self::FiveTuple) { Load::Mirror } else { Load::Pings }
    }

    /// Whether it tells its hardware address, and hears only what is sent to that.
    pub(crate) const fn is_a_station(self) -> bool {
        matches!(self, Self::Ours | Self::Software | Self::Capsule)
    }
}

/// A running peer, ended when dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    process: Child,
    log: PathBuf,
}

impl Peer {
    /// Starts a peer of `kind` at its end of the lane of that number: its worker on the second of the CPUs,
    /// all that waits on the first.
    pub(crate) fn start(
        kind: Kind,
        programs: &Programs,
        link: Link,
        folder: &Path,
        lane: usize,
        cpus: [usize; 2],
    ) -> Result<Self> {
        let (device, arguments) = link.peer_end(folder, lane);
        let port = Port { device, arguments: &arguments, cpus };
        let log = folder.join(format!("{kind}.log"));
        let config = folder.join(format!("{kind}.toml"));
        let output =
            File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        // Whatever becomes of us, it must not go on polling.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if matches!(kind, Kind::Icmpecho | Kind::FiveTuple) {
            // Or nobody would read what it prints before it ends.
            command.args(["stdbuf", "-oL"]);
        }
        command.arg(kind.program(programs));
        match kind {
            Kind::Ours | Kind::Software => {
                fs::write(&config, port.ours(kind == Kind::Ours))?;
                command.arg("--config").arg(&config);
            }
            Kind::Capsule => {
                fs::write(&config, port.capsule())?;
                command.arg(&config);
            }
            Kind::Floor => {
                command.args(port.eal("floor")).args(["--", "insert"]);
            }
            Kind::Icmpecho | Kind::FiveTuple => {
                command.args(port.eal(&kind.to_string())).args(testpmd(kind));
            }
        }
        let process = command
            // testpmd and the floor end when it does.
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C is for us: we end it when our port is closed.
            .process_group(0)
            .spawn()
            .context("can't run setpriv (of util-linux)")?;
        Ok(Self { kind, process, log })
    }

    /// Waits until it polls its port, or until `interrupted`.
    pub(crate) fn await_ready(&mut self, interrupted: &AtomicBool) -> Result<()> {
        let start = Instant::now();
        while !self.log().contains(self.kind.is_ready()) && !interrupted.load(Ordering::Relaxed) {
            self.check()?;
            let in_time = start.elapsed() < START;
            ensure!(
                in_time,
                "{} was not ready in {} s:\n{}",
                self.kind,
                START.as_secs(),
                self.log()
            );
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("{} ended with {status}:\n{}", self.kind, self.log());
        }
        Ok(())
    }

    /// The end of what it said.
    pub(crate) fn log(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let tail = said.get(said.len().saturating_sub(LOG_TAIL)..).unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }

    /// Takes it from its CPU.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.process), signal)
            .with_context(|| format!("can't signal {}", self.kind))
    }

    /// Ends it; fails if it would not, or had ended before.
    pub(crate) fn end(mut self) -> Result<()> {
        self.check()?;
        match self.kind {
            Kind::Ours | Kind::Software | Kind::Capsule => self.signal(Signal::TERM)?,
            // testpmd's handler of signals waits for its worker, which may be the thread that it runs on.
            Kind::Floor | Kind::Icmpecho | Kind::FiveTuple => drop(self.process.stdin.take()),
        }
        self.resume()?;
        let start = Instant::now();
        while self.process.try_wait()?.is_none() {
            ensure!(start.elapsed() < GRACE, "{} does not end:\n{}", self.kind, self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// otherhalfd's configuration on a port of that `device`: as `perf/profiles` have it. `offload`: whether the device is to
/// vouch for checksums.
pub(crate) fn config_of_ours(device: &str, [waits, works]: [usize; 2], offload: bool) -> String {
    let [v4, v6] = [addresses::RESPONDER_V4.to_string(), addresses::RESPONDER_V6.to_string()];
    let [router_v4, router_v6] =
        [addresses::ROUTER_V4.to_string(), addresses::ROUTER_V6.to_string()];
    format!(
        "{PENDING}\n\
         [eal]\nmemory_mb = 192\nfile_prefix = \"ours\"\ncontrol_cpus = [{waits}]\n\
         [workers]\ncpus = [{works}]\n\
         [rate]\nenabled = false\npings = 4000000000\n\
         [[port]]\ndevice = \"{device}\"\npromiscuous = true\nchecksum_offload = {offload}\n\
         [[port.interface]]\naddresses = [\"{v4}/24\", \"{v6}/64\"]\n\
         [[route]]\nto = \"0.0.0.0/0\"\nvia = \"{router_v4}\"\n\
         [[route]]\nto = \"::/0\"\nvia = \"{router_v6}\"\n"
    )
}

/// A peer's port, and its CPUs.
struct Port<'a> {
    device: &'a str,
    arguments: &'a str,
    cpus: [usize; 2],
}

impl Port<'_> {
    /// EAL's arguments for a program that takes them.
    fn eal(&self, prefix: &str) -> Vec<String> {
        let [waits, works] = self.cpus;
        let vdev = format!("--vdev={},{}", self.device, self.arguments);
        let mut arguments = vec![format!("--lcores=0@{waits},1@{works}"), "--main-lcore=0".into()];
        arguments.extend([format!("--file-prefix={prefix}"), vdev]);
        arguments.extend(
            ["--in-memory", "--single-file-segments", "-m", "160", "--no-pci", "--no-telemetry"]
                .map(str::to_owned),
        );
        arguments
    }

    fn ours(&self, offload: bool) -> String {
        config_of_ours(&format!("{},{}", self.device, self.arguments), self.cpus, offload)
    }

    fn capsule(&self) -> String {
        let Self { device, arguments, cpus: [waits, works] } = self;
        let (v4, v6) = (addresses::RESPONDER_V4, addresses::RESPONDER_V6);
        format!(
            "addresses = [\"{v4}/24\", \"{v6}/64\"]\n\
             {PENDING}\n\
             [capsule]\napp_name = \"capsule\"\nmaster_core = {waits}\n\
             dpdk_args = \"--in-memory --single-file-segments -m 128 --no-pci --no-telemetry\"\n\
             mempool = {{ capacity = 8191, cache_size = 256 }}\n\
             [[capsule.ports]]\nname = \"wire\"\ndevice = \"{device}\"\nargs = \"{arguments}\"\n\
             cores = [{works}]\nrxd = 1024\ntxd = 1024\n"
        )
    }
}

/// testpmd's own arguments. It would wait for a link that is there only once we are, and flush what we sent.
fn testpmd(kind: Kind) -> Vec<String> {
    let mode = format!("--forward-mode={kind}");
    let mut arguments = vec!["--".to_owned(), mode];
    arguments.extend(
        [
            "--nb-cores=1",
            "--rxd=1024",
            "--txd=1024",
            "--total-num-mbufs=8192",
            "--port-topology=loop",
            "--no-flush-rx",
            "--disable-link-check",
            "--no-mlockall",
        ]
        .map(str::to_owned),
    );
    arguments
}
