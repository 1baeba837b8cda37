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
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    /// Looks at `thread` over and over until `seen` says that it has seen enough, which is so. The limit is there to end, not to measure.
    fn watch(thread: &Thread, mut seen: impl FnMut(Ran) -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_mins(1);
        while Instant::now() < deadline {
            if thread.ran().is_some_and(&mut seen) {
                return true;
            }
            thread::yield_now();
        }
        false
    }

    #[test]
    fn who_spins_is_ready_and_uses_time() {
        let (known, stop) = (Thread::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                known.is_this();
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let (mut first, mut always_ready) = (None, true);
            let grew = watch(&known, |ran| {
                always_ready &= ran.ready;
                ran.used > *first.get_or_insert(ran.used)
            });
            stop.store(true, Ordering::Relaxed);
            assert!(grew, "its time stays what it was: {first:?}");
            assert!(always_ready);
        });
    }

    #[test]
    fn who_waits_is_not_ready_and_uses_no_time() {
        let known = Thread::default();
        let (end, ended) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let (known, end) = (&known, end);
            scope.spawn(move || {
                known.is_this();
                let _ = ended.recv();
            });
            let (mut last, mut alike) = (None, 0);
            let rests = watch(known, |ran| {
                let same = last.replace(ran) == Some(ran) && !ran.ready;
                alike = if same { alike + 1 } else { 0 };
                alike == 50
            });
            assert!(rests, "the last look: {last:?}");
            drop(end);
        });
    }

    #[test]
    fn of_whom_nothing_is_known_nothing_is_told() {
        assert_eq!(Thread::default().ran(), None);
    }
}
