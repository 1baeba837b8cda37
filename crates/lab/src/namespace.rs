//! A network namespace: made and removed by `ip netns`, with files of its own in `/etc`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::Deserialize;

use crate::error::{AtPath as _, Error, Result};

/// A network namespace by the name that `ip netns list` shows.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    name: String,
}

/// What `ip -json link` tells of an interface.
#[derive(Deserialize)]
struct Interface {
    #[serde(rename = "ifname")]
    name: String,
    /// RFC 2863's: a tap's is unknown while it works.
    #[serde(rename = "operstate")]
    state: String,
}

impl Namespace {
    pub(crate) fn new(name: String) -> Self {
        Self { name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    fn etc(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    pub(crate) fn create(&self) -> Result<()> {
        run(Command::new("ip").args(["netns", "add", &self.name]), "").map(drop)
    }

    /// Files that stand in for those of `/etc` in the programs that `ip netns exec` starts.
    pub(crate) fn write_etc(&self, files: &[(&str, &str)]) -> Result<()> {
        fs::create_dir_all(self.etc()).at(self.etc())?;
        // What /etc lacks cannot be covered, and is not needed then either.
        for (file, text) in files.iter().filter(|(file, _)| Path::new("/etc").join(file).exists()) {
            let path = self.etc().join(file);
            fs::write(&path, text).at(path)?;
        }
        Ok(())
    }

    /// Removes the namespace with its interfaces, its files and the processes in it; nothing, if it is gone.
    pub(crate) fn remove(&self) -> Result<()> {
        if self.path().exists() {
            for pid in self.processes()? {
                crate::process::end(pid, None)?;
            }
            run(Command::new("ip").args(["netns", "del", &self.name]), "")?;
        }
        match fs::remove_dir_all(self.etc()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at(self.etc()),
            _ => Ok(()),
        }
    }

    fn processes(&self) -> Result<Vec<Pid>> {
        let listed = run(Command::new("ip").args(["netns", "pids", &self.name]), "")?;
        Ok(listed.lines().filter_map(|pid| Pid::from_raw(pid.trim().parse().ok()?)).collect())
    }

    /// A command that runs `program` inside.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs `ip -batch` inside; the first line that fails ends it.
    pub(crate) fn ip(&self, batch: &str) -> Result<()> {
        run(Command::new("ip").args(["-netns", &self.name, "-batch", "-"]), batch).map(drop)
    }

    pub(crate) fn has_interface(&self, interface: &str) -> Result<bool> {
        Ok(self.interfaces()?.iter().any(|known| known.name == interface))
    }

    /// An interface whose name begins with `prefix` and that carries no frames yet.
    pub(crate) fn interface_down(&self, prefix: &str) -> Result<Option<String>> {
        let down =
            |i: &Interface| i.name.starts_with(prefix) && !["UP", "UNKNOWN"].contains(&&*i.state);
        Ok(self.interfaces()?.into_iter().find(down).map(|interface| interface.name))
    }

    fn interfaces(&self) -> Result<Vec<Interface>> {
        let command = format!("ip -json -netns {} link show", self.name);
        let json =
            run(Command::new("ip").args(["-json", "-netns", &self.name, "link", "show"]), "")?;
        serde_json::from_str(&json)
            .map_err(|error| Error::Command { command, stderr: error.to_string() })
    }

    /// Calls `task` on a thread inside the namespace. Sockets made there stay there.
    pub(crate) fn within<T: Send>(&self, task: impl FnOnce() -> T + Send) -> Result<T> {
        let entered = |source| Error::Enter { namespace: self.name.clone(), source };
        let namespace = File::open(self.path()).map_err(entered)?;
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    let network = Some(LinkNameSpaceType::Network);
                    move_into_link_name_space(namespace.as_fd(), network)?;
                    Ok(task())
                })
                .join()
                .unwrap_or_else(|panic| resume_unwind(panic))
        })
        .map_err(|errno: rustix::io::Errno| entered(errno.into()))
    }
}

/// Runs a command to its end with `input`, and gives what it wrote on its standard output.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| Error::Program { program: program.clone(), source };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input.as_bytes()) {
            // It ended before it had read all; its status and message tell why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.map_err(failed)?,
        }
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    Err(Error::Command {
        command: format!("{program} {}\n{input}", arguments.join(" ")).trim_end().to_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
