//! The responder as a process of its own: the real otherhalfd.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);
/// How long it may take to end by itself, once it was told to.
const GRACE: Duration = Duration::from_secs(10);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// A running otherhalfd; killed if it is dropped without having ended, and when we are.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    /// What it prints, once that is all.
    printed: Option<JoinHandle<std::io::Result<String>>>,
    /// What it logged, line by line, until it ends.
    log: mpsc::Receiver<String>,
}

impl Child {
    /// Starts `program` with the configuration at `config`, and waits until it is ready.
    pub fn start(program: &Path, config: &Path) -> Result<Self> {
        if !program.is_file() {
            bail!(
                "there is no {}: run cargo build --release -p otherhalf-responder, or name it with --responder",
                program.display()
            );
        }
        // Whatever becomes of us, it must not go on polling.
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .arg("--config")
            .arg(config)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("can't run setpriv (of util-linux)")?;
        let mut stdout = process.stdout.take().context("a pipe for its output")?;
        let stderr = process.stderr.take().context("a pipe for its log")?;
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end even when nobody listens, or it would block.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let printed = std::thread::spawn(move || {
            let mut printed = String::new();
            stdout.read_to_string(&mut printed).map(|_| printed)
        });
        let child = Self { process, printed: Some(printed), log };
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

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it; returns what it printed. Fails if it would not end in time, which it then does not survive.
    pub fn end(mut self) -> Result<String> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)
            .context("can't end otherhalfd")?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait()? {
                break status;
            }
            if start.elapsed() > GRACE {
                self.process.kill()?;
                self.process.wait()?;
                bail!("otherhalfd did not end in {} s:\n{}", GRACE.as_secs(), self.said());
            }
            std::thread::sleep(LOOK);
        };
        ensure!(status.success(), "otherhalfd ended with {status}:\n{}", self.said());
        let printed = self.printed.take().and_then(|reader| reader.join().ok());
        Ok(printed.context("what otherhalfd printed was not read")??)
    }

    /// All that it logged; it has ended.
    fn said(&self) -> String {
        self.log.iter().collect::<Vec<_>>().join("\n")
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
