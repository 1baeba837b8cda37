//! Asking for a userspace link: on a thread of this process, or in a process that outlives it.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::{AtPath as _, Error, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::userspace_link::{Behaviour, LinkCounters, LinkThread, Taps};

/// What a userspace link is asked to be.
#[derive(Clone, Debug)]
pub struct LinkRequest {
    /// The namespace in which both interfaces are made, as in `ip netns list`.
    pub namespace: String,
    /// The interfaces; the second carries the tag.
    pub interfaces: [String; 2],
    /// The time from one end to the other.
    pub delay_ms: u32,
    /// The tag at the second end.
    pub vlan: Option<u16>,
}

impl LinkRequest {
    /// Makes the interfaces and carries frames between them until `stop` is written to or closed;
    /// calls `ready` when they are there.
    ///
    /// # Errors
    /// `Enter` or `Link`.
    pub fn carry(&self, stop: &UnixStream, ready: impl FnOnce()) -> Result<LinkCounters> {
        let taps = self.taps()?;
        ready();
        taps.carry(self.behaviour(), stop).map_err(|source| self.failed(source))
    }

    /// Carries frames on a thread of this process.
    pub(crate) fn start_thread(&self) -> Result<LinkThread> {
        LinkThread::start(self.taps()?, self.behaviour()).map_err(|source| self.failed(source))
    }

    fn taps(&self) -> Result<Taps> {
        let [first, second] = &self.interfaces;
        Namespace::new(self.namespace.clone())
            .within(|| Taps::create([first, second]))?
            .map_err(|source| self.failed(source))
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour { delay: Duration::from_millis(self.delay_ms.into()), vlan: self.vlan }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Link { interfaces: self.interfaces.join(" - "), source }
    }

    /// Starts `otherhalf-lab link` and waits until it has made its interfaces.
    pub(crate) fn start_process(&self, program: &Path, log: &Path) -> Result<Process> {
        let mut command = Command::new(program);
        command
            .args(["link", "--namespace", &self.namespace])
            .args(["--delay-ms", &self.delay_ms.to_string()])
            .arg("--ends")
            .args(&self.interfaces);
        if let Some(vlan) = self.vlan {
            command.args(["--vlan", &vlan.to_string()]);
        }
        // A group of its own: what interrupts the terminal's command must not cut the cable.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(log).at(log)?);
        let failed = |source| Error::Program { program: program.display().to_string(), source };
        let mut child = command.spawn().map_err(failed)?;
        let process = Process::of(child.id());
        let mut ready = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut ready).map_err(failed)?;
        }
        match process {
            Some(process) if !ready.is_empty() => Ok(process),
            _ => {
                child.wait().map_err(failed)?;
                let reason = fs::read_to_string(log).at(log)?;
                Err(self.failed(io::Error::other(reason.trim().to_owned())))
            }
        }
    }
}
