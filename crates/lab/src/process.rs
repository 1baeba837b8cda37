//! Processes that outlive the program which started them, and ending them without ever
//! hitting another that got the same number since.

use std::fs;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::error::{AtPath as _, Result};

/// How long a process has to end itself before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// A process, told apart from a later one of the same number by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pid: i32,
    /// In clock ticks since boot; field 22 of `/proc/PID/stat` (proc(5)).
    start_time: u64,
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        Some(Self { pid, start_time: start_time(pid)? })
    }

    /// Ends it, if it still runs, and waits until it has gone.
    pub(crate) fn end(self) -> Result<()> {
        Pid::from_raw(self.pid).map_or(Ok(()), |pid| end(pid, Some(self.start_time)))
    }
}

/// The 22nd field; the second, the program's name in parentheses, may hold blanks.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_whitespace().nth(22 - 3)?.parse().ok()
}

/// Asks a process to end, then kills it. With `started`, only if it started then.
pub(crate) fn end(pid: Pid, started: Option<u64>) -> Result<()> {
    let path = || format!("/proc/{}", pid.as_raw_nonzero());
    // The descriptor holds the process, so the number cannot pass to another from here on.
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        opened => opened.map_err(Into::into).at(path())?,
    };
    if started.is_some_and(|time| start_time(pid.as_raw_nonzero().get()) != Some(time)) {
        return Ok(());
    }
    for signal in [Signal::TERM, Signal::KILL] {
        match pidfd_send_signal(&process, signal) {
            Err(Errno::SRCH) => return Ok(()),
            sent => sent.map_err(Into::into).at(path())?,
        }
        let timeout = Timespec::try_from(GRACE).ok();
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        if poll(&mut ended, timeout.as_ref()).map_err(Into::into).at(path())? > 0 {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn ends_the_process_it_knows_and_no_later_one() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        let later = Process { start_time: process.start_time + 1, ..process };
        later.end().unwrap();
        assert!(child.try_wait().unwrap().is_none(), "another start time is another process");
        process.end().unwrap();
        assert!(!child.wait().unwrap().success());
        process.end().unwrap();
    }
}
