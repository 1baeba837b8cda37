//! Stderr as the log has it: who does not read it holds up nobody for long.
//!
//! The control thread writes most of the log. Were it to wait for a reader that is stuck (a stopped journald, a terminal that is held),
//! neighbours would be forgotten, and the service manager's watchdog would end a responder that nothing is wrong with.

use std::io::{self, StderrLock, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Octets that a pipe takes at once if it takes any (`PIPE_BUF`, pipe(7)).
const CHUNK: usize = 4096;
/// How long a reader may take, in nanoseconds.
const PATIENCE_NS: i64 = 50_000_000;

/// The last line found no reader: the next one does not wait for it.
static STUCK: AtomicBool = AtomicBool::new(false);

/// Stderr, for one line.
pub(super) struct Patient(StderrLock<'static>);

impl Patient {
    /// Whoever has it writes alone.
    pub(super) fn new() -> Self {
        Self(stderr().lock())
    }
}

impl Write for Patient {
    /// Writes a part of `octets`; fails with [`io::ErrorKind::WouldBlock`] when nobody takes it in time.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let tv_nsec = if STUCK.load(Ordering::Relaxed) { 0 } else { PATIENCE_NS };
        let mut fds = [PollFd::new(&self.0, PollFlags::OUT)];
        let ready = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec }))?;
        STUCK.store(ready == 0, Ordering::Relaxed);
        if ready == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let chunk = octets.get(..CHUNK).unwrap_or(octets);
        self.0.write(chunk)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
