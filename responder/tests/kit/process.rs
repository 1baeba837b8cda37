//! A program in a node's namespace, watched and ended without ever waiting for ever.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_lab::{Guard, Lab};
use rustix::process::{Pid, Signal, kill_process};

/// No step takes this long, however busy the machine, unless told.
const LIMIT: Duration = Duration::from_secs(30);

/// A running program; killed when dropped, and what it wrote shown if its test fails.
pub(crate) struct Process {
    guard: Guard,
    lines: Receiver<String>,
    stdout: Vec<String>,
    stderr: Vec<String>,
    limit: Duration,
    farewell: Option<&'static str>,
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
        let (stdout, stderr) = (Vec::new(), Vec::new());
        Self { guard, lines, stdout, stderr, limit: LIMIT, farewell: None }
    }

    /// The same, of which each step may take as long as `limit`.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The same, which [`Self::stop`] tells to end by `line` on its standard input.
    pub(crate) fn ended_by(mut self, line: &'static str) -> Self {
        self.farewell = Some(line);
        self
    }

    /// Waits for a line with `text` on either stream.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + self.limit;
        loop {
            match self.next_line(deadline) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(error) => panic!("no {text:?} ({error})"),
            }
        }
    }

    /// Its process.
    pub(crate) fn id(&mut self) -> u32 {
        self.guard.child().id()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(self.guard.child()), signal).unwrap();
    }

    /// Tells it to end, by SIGTERM if not otherwise, and waits until it has.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Ended {
        match self.farewell {
            Some(line) => {
                let stdin = self.guard.child().stdin.as_mut().unwrap();
                stdin.write_all(line.as_bytes()).unwrap();
            }
            None => self.signal(Signal::TERM),
        }
        self.end()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + self.limit;
        // Both streams end when the process does.
        loop {
            match self.next_line(deadline) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end"),
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
}

impl Drop for Process {
    /// Of a test that failed, what the program wrote.
    fn drop(&mut self) {
        if thread::panicking() {
            while self.next_line(Instant::now()).is_ok() {}
            eprintln!("{}\n{}", self.stdout.join("\n"), self.stderr.join("\n"));
        }
    }
}
