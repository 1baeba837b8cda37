//! A terminal for a program to draw on: a pty, and what a VT100 would show.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

/// How long something may take that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program and its terminal.
pub(crate) struct Terminal {
    child: Child,
    /// Our end.
    ours: File,
    /// The program's; kept open so that its settings can be read when the program is gone.
    theirs: File,
    output: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    /// All that the program wrote.
    pub(crate) written: Vec<u8>,
}

impl Terminal {
    /// Starts `command` on a terminal of so many columns and rows.
    pub(crate) fn start(command: &mut Command, (columns, rows): (u16, u16)) -> Self {
        let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = File::options().read(true).write(true).open(name).unwrap();
        tcsetwinsize(&ours, size(columns, rows)).unwrap();
        let end = || Stdio::from(theirs.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let ours = File::from(ours);
        let (sender, output) = channel();
        let mut reader = ours.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let parser = vt100::Parser::new(cells(rows), cells(columns), 0);
        Self { child, ours, theirs, output, parser, written: Vec::new() }
    }

    /// The program's number.
    pub(crate) const fn child(&self) -> &Child {
        &self.child
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        tcsetwinsize(&self.ours, size(columns, rows)).unwrap();
        self.parser.screen_mut().set_size(cells(rows), cells(columns));
    }

    /// How the terminal is set: `stty -a`.
    pub(crate) fn settings(&self) -> Termios {
        tcgetattr(&self.theirs).unwrap()
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Takes in what is drawn for `time`.
    pub(crate) fn watch(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while let Ok(bytes) =
            self.output.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.parser.process(&bytes);
            self.written.extend(bytes);
        }
    }

    /// Waits until the screen is as `right` has it; its text.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, right: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.watch(Duration::from_millis(50));
            let text = self.screen().contents();
            if right(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "it does not come, but:\n{text}");
        }
    }

    /// Waits for the program to end by itself.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.watch(Duration::from_millis(50));
            if let Some(status) = self.child.try_wait().unwrap() {
                self.watch(Duration::from_millis(200));
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.screen().contents());
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind; of one that did not, it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}
