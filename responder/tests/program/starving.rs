//! A worker that is kept from its CPU.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::instance::instance;
use crate::process::Daemon;
use crate::{GOOD, worker_of};

#[test]
fn a_worker_that_is_kept_from_its_cpu_does_not_end_the_program() {
    // One that sleeps would be let for a moment whenever it wakes.
    let (folder, text) = instance("starved", ("idle_sleep_us = 50", "idle_sleep_us = 0"));
    let mut daemon = Daemon::start(folder.path(), &text);
    daemon.wait_for("ready");
    let worker = worker_of(daemon.child.id());
    let status = fs::read_to_string(format!("/proc/{}/task/{worker}/status", daemon.child.id()));
    let status = status.unwrap();
    let cpu = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cpu: usize = cpu.unwrap().trim().parse().unwrap();
    // It gets what is left, and nothing is: by the scheduler's weights a slice in some seconds, or in one or two if this test is niced.
    let idle = ["--idle", "--pid", "0", &worker.to_string()];
    assert!(Command::new("chrt").args(idle).status().unwrap().success());
    let stop = Arc::new(AtomicBool::new(false));
    let burners: Vec<_> = (0..12)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut cpus = CpuSet::new();
                cpus.set(cpu);
                sched_setaffinity(None, &cpus).unwrap();
                let start = Instant::now();
                while !stop.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(30) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    daemon.wait_for("the worker is kept from its CPU");
    // For twice as long as it takes for one to be known to hang.
    thread::sleep(Duration::from_millis(1600));
    stop.store(true, Ordering::Relaxed);
    for burner in burners {
        burner.join().unwrap();
    }
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, GOOD, "{}", ended.log);
    assert!(!ended.log.contains("hangs"), "{}", ended.log);
}
