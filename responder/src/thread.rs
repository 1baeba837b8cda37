//! What the kernel says of a thread: how long it ran, and whether it wants to.

use std::fs;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::time::ClockId;
use rustix::thread::gettid;

/// A thread, once it has said which it is.
#[derive(Debug, Default)]
pub struct Thread {
    /// Its number at the kernel, 0 until it is known. Written once by the thread itself, relaxed: nothing else depends on it.
    id: AtomicI32,
}

/// What it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// Time that it had a CPU, since it began.
    pub used: Duration,
    /// It runs, or would if it had a CPU. If not, it waits for something, or was stopped.
    pub ready: bool,
}

impl Thread {
    /// It is the calling one.
    pub fn is_this(&self) {
        self.id.store(gettid().as_raw_nonzero().get(), Ordering::Relaxed);
    }

    /// What it did up to now; `None` if it is not known, or the kernel does not say.
    #[must_use]
    pub fn ran(&self) -> Option<Ran> {
        let id = self.id.load(Ordering::Relaxed);
        if id == 0 {
            return None;
        }
        let used = cpu_clock(id).now().ok()?.into();
        let stat = fs::read_to_string(format!("/proc/self/task/{id}/stat")).ok()?;
        // Behind the name, which may contain anything.
        let (_, rest) = stat.rsplit_once(") ")?;
        Some(Ran { used, ready: rest.starts_with('R') })
    }
}

/// The clock of the time that the thread `id` has had a CPU, as `clock_gettime` numbers it: exact at any moment, where what `/proc` tells
/// is as of the kernel's last tick, and a core of a worker's own may have none.
const fn cpu_clock(id: i32) -> ClockId {
    const OF_A_THREAD: i32 = 4;
    const SCHEDULED: i32 = 2;
    ClockId::from_raw((!id << 3) | OF_A_THREAD | SCHEDULED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::Instant;

    /// What a thread did in half a second in which it does `work` over and over, and in how many of 50 looks it was ready.
    fn watched(work: fn()) -> (Duration, usize) {
        let (known, stop) = (Arc::new(Thread::default()), Arc::new(AtomicBool::new(false)));
        let worker = thread::spawn({
            let (known, stop) = (Arc::clone(&known), Arc::clone(&stop));
            move || {
                known.is_this();
                while !stop.load(Ordering::Relaxed) {
                    work();
                }
            }
        });
        let start = Instant::now();
        let first = loop {
            assert!(start.elapsed() < Duration::from_secs(20));
            if let Some(ran) = known.ran() {
                break ran;
            }
        };
        let looks = (0..50).map(|_| {
            thread::sleep(Duration::from_millis(10));
            known.ran().unwrap()
        });
        let looks: Vec<Ran> = looks.collect();
        stop.store(true, Ordering::Relaxed);
        worker.join().unwrap();
        let ready = looks.iter().filter(|ran| ran.ready).count();
        (looks.last().unwrap().used.saturating_sub(first.used), ready)
    }

    #[test]
    fn who_spins_is_ready_and_uses_time_and_who_sleeps_is_not() {
        let (used, ready) = watched(std::hint::spin_loop);
        assert_eq!(ready, 50);
        assert!(used > Duration::from_millis(5), "{used:?}");
        let (used, ready) = watched(|| thread::sleep(Duration::from_millis(200)));
        assert!(ready < 10, "{ready}");
        assert!(used < Duration::from_millis(100), "{used:?}");
    }

    #[test]
    fn of_whom_nothing_is_known_nothing_is_told() {
        assert_eq!(Thread::default().ran(), None);
    }
}
