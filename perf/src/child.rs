//! The responder as a process of its own: the real otherhalfd.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long it may take to start and to end.
const START: Duration = Duration::from_secs(30);

/// A running otherhalfd; killed if it is dropped without having ended.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    stdout: ChildStdout,
    /// What it logged, line by line, until it ends.
    log: mpsc::Receiver<String>,
}

impl Child {
    /// Starts `program` with the configuration at `config`, and waits until it is ready.
    pub fn start(program: &Path, config: &Path) -> Result<Self> {
        let mut process = Command::new(program)
            .arg("--config")
            .arg(config)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("can't start {}: build it, or name it with --responder", program.display())
            })?;
        let stdout = process.stdout.take().context("a pipe for its output")?;
        let stderr = process.stderr.take().context("a pipe for its log")?;
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end even when nobody listens, or it would block.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let child = Self { process, stdout, log };
        let mut said = String::new();
        loop {
            match child.log.recv_timeout(START) {
                Ok(line) if line.ends_with(" ready") => return Ok(child),
                Ok(line) => {
                    said.push_str(&line);
                    said.push('\n');
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => bail!("otherhalfd ended:\n{said}"),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    bail!("otherhalfd was not ready in {} s:\n{said}", START.as_secs())
                }
            }
        }
    }

    /// Ends it; returns what it printed.
    pub fn end(mut self) -> Result<String> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)
            .context("can't end otherhalfd")?;
        let mut printed = String::new();
        self.stdout.read_to_string(&mut printed)?;
        let status = self.process.wait()?;
        ensure!(
            status.success(),
            "otherhalfd ended with {status}:\n{}",
            self.log.iter().collect::<Vec<_>>().join("\n")
        );
        Ok(printed)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
