//! What the responder says of itself while it is loaded: memory, table, buffers, counters, read ten times a second.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use otherhalf_control::client::Client;
use otherhalf_control::message::{Command, Reply};
use otherhalf_control::status::Status;

/// How often the responder publishes its state; more often there is nothing new.
const INTERVAL: Duration = Duration::from_millis(100);

/// What was read at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The step of the run that was on.
    pub step: usize,
    /// Resident memory of the responder's process, in bytes; hugepages are not in it, and are reserved for good.
    pub resident: u64,
    /// Probes that wait in the pending table.
    pub pending: u64,
    /// As many can.
    pub capacity: u64,
    /// Bytes of the pending table.
    pub table_bytes: u64,
    /// Buffers in use.
    pub mbufs: u64,
    /// Neighbours that are remembered.
    pub neighbours: u64,
    /// Counters of what became of frames.
    pub outcomes: BTreeMap<String, u64>,
}

/// Where the responder's state is had from.
pub type Source = Box<dyn FnMut() -> Option<Arc<Status>> + Send>;

/// Readings, taken by a thread of their own between [`watch`](Self::watch) and the end of what that returns.
#[derive(Debug)]
pub struct Gauges {
    step: AtomicUsize,
    readings: Mutex<Vec<Reading>>,
    /// The control socket of a responder that is a process of its own.
    pub socket: PathBuf,
}

impl Gauges {
    /// None so far; `socket` is where the responder's control socket will be, if it is a process of its own.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self { step: AtomicUsize::new(0), readings: Mutex::new(Vec::new()), socket }
    }

    /// The step of this number begins.
    pub fn begin_step(&self, step: usize) {
        self.step.store(step, Ordering::Relaxed);
    }

    /// All readings, in their order.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads until what is returned ends; `pid` is the responder's process.
    #[must_use]
    pub fn watch(self: Arc<Self>, pid: u32, mut source: Source) -> Watching {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let step = self.step.load(Ordering::Relaxed);
                // Before it has published anything, all is zero.
                if let Some(status) = source().filter(|status| status.pending.capacity > 0) {
                    let reading = Reading::of(step, resident(pid).unwrap_or(0), &status);
                    self.readings.lock().unwrap_or_else(PoisonError::into_inner).push(reading);
                }
                std::thread::sleep(INTERVAL);
            }
        });
        Watching { over, thread: Some(thread) }
    }

    /// The state of the responder by its control socket.
    #[must_use]
    pub fn by_socket(path: &Path) -> Source {
        let path = path.to_owned();
        let mut client = None;
        Box::new(move || {
            let mut connected = match client.take() {
                Some(connected) => connected,
                None => Client::connect(&path).ok()?,
            };
            let reply = connected.ask(Command::Status).ok()?;
            client = Some(connected);
            match reply {
                Reply::Status(status) => Some(Arc::from(status)),
                _ => None,
            }
        })
    }
}

impl Reading {
    fn of(step: usize, resident: u64, status: &Status) -> Self {
        Self {
            step,
            resident,
            pending: status.pending.live,
            capacity: status.pending.capacity,
            table_bytes: status.pending.bytes,
            mbufs: status.mempool.in_use,
            neighbours: status.neighbours.len() as u64,
            outcomes: status.outcomes.iter().map(|(name, n)| (name.to_string(), *n)).collect(),
        }
    }
}

/// The thread that reads; it ends with this.
#[derive(Debug)]
pub struct Watching {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It can't have panicked but by a bug of ours, which its own message tells of.
            let _ = thread.join();
        }
    }
}

/// Resident memory of the process `pid`, in bytes.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_of_the_step_that_was_on_and_of_this_process() {
        let gauges = Arc::new(Gauges::new(PathBuf::new()));
        gauges.begin_step(3);
        let mut status = Status::default();
        (status.pending.live, status.mempool.in_use) = (5, 7);
        status.pending.capacity = 64;
        status.outcomes.insert("ping_reply".into(), 2);
        let status = Arc::new(status);
        let watching = Arc::clone(&gauges)
            .watch(std::process::id(), Box::new(move || Some(Arc::clone(&status))));
        while gauges.readings().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(watching);
        let readings = gauges.readings();
        assert_eq!((readings[0].step, readings[0].pending, readings[0].mbufs), (3, 5, 7));
        assert_eq!(readings[0].outcomes["ping_reply"], 2);
        assert!(readings[0].resident > 1 << 20, "{readings:?}");
    }

    #[test]
    fn a_socket_that_is_not_there_gives_no_reading() {
        assert!(Gauges::by_socket(Path::new("/nowhere/socket"))().is_none());
    }
}
