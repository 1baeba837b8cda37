//! BIRD, a routing daemon, in a node's namespace: as on a router, or beside a responder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use otherhalf_lab::Lab;

use super::output;
use super::process::Process;

/// No session takes this long to come up or to end, however busy the machine.
const LIMIT: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(100);

/// A running BIRD. It ends with its guard.
pub(crate) struct Bird {
    _process: Process,
    node: String,
    socket: PathBuf,
}

/// A program of Debian's package bird2: unpacked by `scripts/setup --test`, for the package would start a daemon, or
/// the system's own.
#[track_caller]
pub(crate) fn program(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_otherhalfd"));
    let unpacked = built.ancestors().nth(2).map(|target| target.join("tools/bird2/usr/sbin"));
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut programs = unpacked.into_iter().chain(system).map(|folder| folder.join(name));
    programs
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("there is no {name}: run sudo scripts/setup --test"))
}

impl Bird {
    /// Starts it in `node` with `configuration`; its files are in `folder`.
    #[track_caller]
    pub(crate) fn start(lab: &Lab, node: &str, folder: &Path, configuration: &str) -> Self {
        let file = folder.join(format!("{node}.conf"));
        let socket = folder.join(format!("{node}.ctl"));
        fs::write(&file, configuration).unwrap();
        let mut command = lab.command(node, program("bird").to_str().unwrap());
        command.arg("-f").arg("-c").arg(&file).arg("-s").arg(&socket);
        let process = Process::start(lab, &mut command);
        let bird = Self { _process: process, node: node.to_owned(), socket };
        until(|| bird.socket.exists(), || format!("{node}: BIRD does not start"));
        bird
    }

    /// What it answers to `command`.
    #[track_caller]
    pub(crate) fn ask(&self, command: &str) -> String {
        // Its socket is a file, which namespaces of networks share.
        let mut client = Command::new(program("birdcl"));
        output(client.arg("-s").arg(&self.socket).args(command.split(' ')))
    }

    /// Its control socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// How many BGP sessions are up.
    #[track_caller]
    pub(crate) fn sessions(&self) -> usize {
        self.ask("show protocols").matches("Established").count()
    }

    /// Waits until `count` BGP sessions are up.
    #[track_caller]
    pub(crate) fn await_sessions(&self, count: usize) {
        until(
            || self.sessions() == count,
            || format!("{}: no {count} sessions:\n{}", self.node, self.ask("show protocols all")),
        );
    }
}

/// Waits until `there`; says `why` not if it never is.
#[track_caller]
pub(crate) fn until(there: impl Fn() -> bool, why: impl Fn() -> String) {
    let deadline = Instant::now() + LIMIT;
    while !there() {
        assert!(Instant::now() < deadline, "{}", why());
        thread::sleep(LOOK);
    }
}

/// The kernel's routes of `node` to `prefix`, as `ip` shows them.
#[track_caller]
pub(crate) fn routes(lab: &Lab, node: &str, prefix: &str) -> String {
    let family = if prefix.contains(':') { "-6" } else { "-4" };
    output(lab.command(node, "ip").args([family, "route", "show", prefix]))
}
