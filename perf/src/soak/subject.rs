//! The otherhalfd that is soaked: started, asked, killed, started again, always with the same files.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use otherhalf_control::client::Client;
use otherhalf_control::status::Status;
use otherhalf_control::{Command, Reply, State};
use rustix::process::{Pid, Signal, kill_process};

/// How long it may take to start, or to end when it was told to.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);
/// The library that takes its buffers (`hoard/hoard.c`).
pub(super) const HOARD: &str = env!("OTHERHALF_HOARD");

/// Where all is that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its configuration.
    pub(crate) config: PathBuf,
    /// Its control socket, as the configuration names it.
    pub(crate) socket: PathBuf,
    /// Where its stderr goes.
    pub(crate) log: PathBuf,
    /// Where its stdout goes.
    pub(crate) printed: PathBuf,
    /// By how much its clock is wrong; read by libfaketime.
    pub(crate) clock: PathBuf,
    /// libfaketime.
    pub(crate) faketime: PathBuf,
}

/// What it uses of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Memory in ordinary pages, in KiB.
    pub(crate) resident_kib: u64,
    /// Hugepages, in KiB.
    pub(crate) huge_kib: u64,
    /// Open file descriptors.
    pub(crate) descriptors: usize,
    /// Buffers of frames, with nothing under way.
    pub(crate) buffers: u64,
}

/// The process.
#[derive(Debug)]
pub(crate) struct Subject {
    files: Files,
    process: Option<Child>,
}

impl Subject {
    pub(crate) fn new(files: Files) -> Self {
        Self { files, process: None }
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// Starts it, and waits until it is ready; returns how long that took.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let files = &self.files;
        let log = OpenOptions::new().create(true).append(true).open(&files.log)?;
        // Whatever becomes of us, it must not go on polling.
        let process = Program::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&files.program)
            .arg("--config")
            .arg(&files.config)
            .env("RUST_LOG", "info")
            .env("LD_PRELOAD", format!("{HOARD}:{}", files.faketime.display()))
            .env("FAKETIME_TIMESTAMP_FILE", &files.clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DISABLE_SHM", "1")
            // What goes by the kernel's steady clock is not asked whether it could bear a step: there are none.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .stdin(Stdio::null())
            .stdout(File::create(&files.printed)?)
            .stderr(log)
            .spawn()
            .context("can't run setpriv (of util-linux)")?;
        self.process = Some(process);
        loop {
            self.check()?;
            if self.status().is_ok_and(|status| status.state == State::Running && status.ready) {
                return Ok(start.elapsed());
            }
            ensure!(start.elapsed() < PATIENCE, "otherhalfd was not ready in {PATIENCE:?}");
            std::thread::sleep(LOOK);
        }
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("otherhalfd does not run")?;
        match process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("otherhalfd ended by itself, with {status}"),
        }
    }

    pub(crate) fn ask(&self, command: Command) -> Result<Reply> {
        Ok(Client::connect(&self.files.socket)?.ask(command)?)
    }

    pub(crate) fn status(&self) -> Result<Status> {
        match self.ask(Command::Status)? {
            Reply::Status(status) => Ok(*status),
            other => bail!("no status but {other:?}"),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("otherhalfd does not run")?;
        Ok(kill_process(Pid::from_child(process), signal)?)
    }

    /// Kills it, as nothing that it does can prevent.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("otherhalfd does not run")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Tells it to end; returns what it printed.
    pub(crate) fn end(&mut self) -> Result<String> {
        self.signal(Signal::TERM)?;
        let mut process = self.process.take().context("otherhalfd does not run")?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = process.try_wait()? {
                break status;
            }
            if start.elapsed() > PATIENCE {
                process.kill()?;
                process.wait()?;
                bail!("otherhalfd did not end in {PATIENCE:?} when it was told to");
            }
            std::thread::sleep(LOOK);
        };
        ensure!(status.success(), "otherhalfd was told to end, and ended with {status}");
        Ok(fs::read_to_string(&self.files.printed)?)
    }

    /// Writes its configuration, whole.
    pub(crate) fn configure(&self, text: &str) -> Result<()> {
        let new = self.files.config.with_extension("new");
        fs::write(&new, text)?;
        Ok(fs::rename(&new, &self.files.config)?)
    }

    /// Sets its clock wrong by so many seconds.
    pub(crate) fn set_clock(&self, seconds: i64) -> Result<()> {
        let new = self.files.clock.with_extension("new");
        fs::write(&new, format!("{seconds:+}"))?;
        Ok(fs::rename(&new, &self.files.clock)?)
    }

    /// Takes all its buffers, or gives them back if they are taken.
    pub(crate) fn turn_hoard(&self) -> Result<()> {
        self.signal(Signal::USR2)
    }

    /// Its process; 0 if it does not run.
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    /// What it uses, but for its buffers.
    pub(crate) fn uses(&self) -> Result<Uses> {
        let process = self.process.as_ref().context("otherhalfd does not run")?;
        let folder = Path::new("/proc").join(process.id().to_string());
        let status = fs::read_to_string(folder.join("status"))?;
        Ok(Uses {
            resident_kib: kib(&status, "VmRSS:").context("no VmRSS")?,
            huge_kib: kib(&status, "HugetlbPages:").context("no HugetlbPages")?,
            descriptors: fs::read_dir(folder.join("fd"))?.count(),
            buffers: 0,
        })
    }

    /// The size of its log, in octets.
    pub(crate) fn log_size(&self) -> Result<u64> {
        Ok(fs::metadata(&self.files.log)?.size())
    }

    /// All of its log since it was last emptied, with what can't be read as text left out.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.files.log)
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The number of a line of `/proc/PID/status`.
fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let status = "Name:\totherhalfd\nVmRSS:\t   51200 kB\nHugetlbPages:\t  131072 kB\n";
        assert_eq!(kib(status, "VmRSS:"), Some(51200));
        assert_eq!(kib(status, "HugetlbPages:"), Some(131_072));
        assert_eq!(kib(status, "VmHWM:"), None);
    }
}
