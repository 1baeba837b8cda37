//! Who says that a responder's thread was away from its core: the kernel's scheduler, not the thread's own code.
//!
//! Were a silence of the responder taken for an absence, its own stalls would excuse themselves. What the scheduler
//! counts is a thread that could run and was not let; what a host takes behind the kernel's back is not among it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// What the scheduler tells of some threads.
#[derive(Debug, Default)]
pub struct Witness {
    /// Their `schedstat`.
    threads: Vec<File>,
}

impl Witness {
    /// Of the threads `tids` of this process. A thread of which nothing is told is left out.
    #[must_use]
    pub fn of_threads(tids: &[i32]) -> Self {
        let open = |tid: &i32| File::open(format!("/proc/self/task/{tid}/schedstat")).ok();
        Self { threads: tids.iter().filter_map(open).collect() }
    }

    /// Of the threads of process `pid` that DPDK calls workers.
    #[must_use]
    pub fn of_workers(pid: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let threads = tasks.filter_map(|task| {
            let name = fs::read_to_string(task.path().join("comm")).ok()?;
            if !name.contains("-worker") {
                return None;
            }
            File::open(task.path().join("schedstat")).ok()
        });
        Self { threads: threads.collect() }
    }

    /// How many threads it tells of.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// How long they were ready to run and did not, since they began, in nanoseconds.
    #[must_use]
    pub fn waited_ns(&self) -> u64 {
        let waited = |file: &File| {
            let mut text = [0; 96];
            let len = file.read_at(&mut text, 0).ok()?;
            waited_ns(std::str::from_utf8(text.get(..len)?).ok()?)
        };
        self.threads.iter().filter_map(waited).sum()
    }
}

/// The second of the three numbers: time on the processor, time waited for it, turns (sched-stats.rst).
fn waited_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::{CpuSet, gettid, sched_setaffinity};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn two_threads_on_one_cpu_wait_for_each_other() {
        let (tell, told) = channel();
        let spin = Arc::new(AtomicBool::new(true));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (tell, spin) = (tell.clone(), Arc::clone(&spin));
                std::thread::spawn(move || {
                    let mut cpu = CpuSet::new();
                    cpu.set(0);
                    sched_setaffinity(None, &cpu).unwrap();
                    tell.send(gettid().as_raw_nonzero().get()).unwrap();
                    while spin.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        let witness = Witness::of_threads(&[told.recv().unwrap(), told.recv().unwrap()]);
        assert_eq!(witness.threads(), 2);
        let before = witness.waited_ns();
        std::thread::sleep(Duration::from_millis(200));
        let waited = witness.waited_ns() - before;
        spin.store(false, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(waited > 20_000_000, "{waited} ns: one of two was always waiting");
        assert_eq!(witness.waited_ns(), 0, "threads that have ended tell nothing");
    }

    #[test]
    fn what_is_no_schedstat_says_nothing() {
        assert_eq!(waited_ns("123 456 7\n"), Some(456));
        assert_eq!((waited_ns("123"), waited_ns("a b c"), waited_ns("")), (None, None, None));
    }
}
