//! A program in a node's namespace, watched and ended without ever waiting for ever.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_lab::{Guard, Lab};
use rustix::process::{Pid, Signal, kill_process};

/// No step takes this long, however busy the machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A running program; killed when dropped.
pub(crate) struct Process {
    guard: Guard,
    lines: Receiver<String>,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

/// What a program left.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Which stream a line of [`Process::lines`] comes from is told by its first character.
const OUT: char = '>';
const ERR: char = '!';

impl Process {
    /// Starts `command`, made by [`Lab::command`].
    #[track_caller]
    pub(crate) fn start(lab: &Lab, command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut guard = lab.spawn(command).unwrap_or_else(|error| panic!("{error}"));
        let (sender, lines) = channel();
        let out: Box<dyn Read + Send> = Box::new(guard.child().stdout.take().unwrap());
        let err: Box<dyn Read + Send> = Box::new(guard.child().stderr.take().unwrap());
        for (mark, stream) in [(OUT, out), (ERR, err)] {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // Fails when nobody watches any more; the stream is to be read all the same.
                    let _ = sender.send(format!("{mark}{line}"));
                }
            });
        }
        Self { guard, lines, stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Waits for a line with `text` on either stream.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.next_line(deadline) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(error) => panic!("no {text:?} ({error}) but:\n{}", self.log()),
            }
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(self.guard.child()), signal).unwrap();
    }

    /// Tells it to end by SIGTERM, and waits until it has.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        // Both streams end when the process does.
        loop {
            match self.next_line(deadline) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.log()),
            }
        }
        Ended {
            status: self.guard.child().wait().unwrap(),
            stdout: self.stdout.join("\n"),
            stderr: self.stderr.join("\n"),
        }
    }

    fn next_line(&mut self, deadline: Instant) -> Result<&str, RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.lines.recv_timeout(left)?;
        let stream = if line.starts_with(OUT) { &mut self.stdout } else { &mut self.stderr };
        stream.push(line[1..].to_owned());
        Ok(stream.last().unwrap())
    }

    fn log(&self) -> String {
        [self.stdout.join("\n"), self.stderr.join("\n")].join("\n")
    }
}
