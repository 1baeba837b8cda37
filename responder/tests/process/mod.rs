//! `otherhalfd` as a process: started, watched by its log, stopped. Never waits without a bound.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};

/// No step takes this long, on however busy a machine.
const LIMIT: Duration = Duration::from_mins(1);

/// A running `otherhalfd`. Killed if the test forgets it.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    lines: Receiver<String>,
    log: String,
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; for a signal the negative of its number.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    /// What it wrote to stderr.
    pub(crate) log: String,
}

/// The counters as they are printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counters(String);

impl Counters {
    /// The counter `name`.
    pub(crate) fn get(&self, name: &str) -> u64 {
        let value =
            self.0.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(' '));
        value
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_else(|| panic!("no {name} in\n{}", self.0))
    }

    /// What all outcomes add up to: they are the indented lines.
    pub(crate) fn outcomes(&self) -> u64 {
        let outcomes = self.0.lines().filter(|line| line.starts_with("  "));
        outcomes.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
    }
}

impl Daemon {
    /// Starts it with `config`, written to a file in `folder`.
    pub(crate) fn start(folder: &Path, config: &str) -> Self {
        let path = folder.join("otherhalfd.toml");
        fs::write(&path, config).unwrap();
        Self::spawn(&["--config", path.to_str().unwrap()])
    }

    /// Starts it with `arguments`.
    pub(crate) fn spawn(arguments: &[&str]) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_otherhalfd")).args(arguments))
    }

    /// Starts it by `command`.
    pub(crate) fn run(command: &mut Command) -> Self {
        let mut child = command
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, log: String::new() }
    }

    /// Reads its log up to the first line with `text`, which it gives.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {text:?} in its log:\n{}", self.log);
            };
            self.log.push_str(&line);
            self.log.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Its counters, now.
    pub(crate) fn counters(&mut self) -> Counters {
        self.signal(Signal::USR1);
        self.wait_for("counters by request");
        let start = self.log.len();
        self.wait_for("pending ");
        Counters(self.log[start..].to_owned())
    }

    /// Its counters, as soon as it has done all there is to do for `frames` frames: all are
    /// counted as what became of them, and a turn of the control thread later nothing has changed.
    pub(crate) fn settled(&mut self, frames: u64) -> Counters {
        let deadline = Instant::now() + LIMIT;
        let mut last = None;
        loop {
            let counters = self.counters();
            let done = counters.get("received") == frames && counters.outcomes() == frames;
            let same = last.as_ref() == Some(&counters);
            if done && same {
                return counters;
            }
            assert!(Instant::now() < deadline, "{frames} frames are not done:\n{}", counters.0);
            last = Some(counters);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Sends `signal` and waits for its end.
    pub(crate) fn stop(self, signal: Signal) -> Ended {
        self.signal(signal);
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        // The log ends when the process does.
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.log = format!("{}{line}\n", self.log),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.log),
            }
        }
        let mut stdout = String::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut stdout).unwrap();
        }
        let status = self.child.wait().unwrap();
        let code = status.code().or(status.signal().map(|signal| -signal)).unwrap();
        Ended { code, stdout, log: std::mem::take(&mut self.log) }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // After `end` there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
