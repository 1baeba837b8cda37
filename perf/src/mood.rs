//! The host's mood: how near the two cores are, and how fast one computes. Absolute figures move with both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use dpdk::tsc;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// Round trips measured.
const TRIPS: u64 = 20_000;
/// Round trips measured together; the median of such groups is the figure.
const GROUP: u64 = 100;
/// Multiplications that wait for each other, in a group.
const MULTIPLICATIONS: u64 = 20_000;

/// The host's mood.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mood {
    /// Ticks from one core to the other and back; none if there is one core only.
    pub round_trip_ticks: Option<f64>,
    /// Ticks of a multiplication that waits for the one before: 3 cycles of the core's own clock.
    pub multiplication_ticks: f64,
}

impl Mood {
    /// Measures, on the two CPUs, for a few milliseconds. The calling thread is not moved.
    #[must_use]
    pub fn measure(cpus: [usize; 2]) -> Self {
        let round_trip_ticks = if cpus[0] == cpus[1] { None } else { Some(round_trip(cpus)) };
        let compute = thread::spawn(move || {
            pin(cpus[1]);
            multiplication()
        });
        let multiplication_ticks = compute.join().unwrap_or(f64::NAN);
        Self { round_trip_ticks, multiplication_ticks }
    }
}

impl std::fmt::Display for Mood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.round_trip_ticks {
            Some(ticks) => write!(f, "core to core and back {ticks:.0} ticks, ")?,
            None => write!(f, "one core, ")?,
        }
        write!(f, "a dependent multiplication {:.2} ticks", self.multiplication_ticks)
    }
}

/// A CPU that may not be used leaves the thread where it is; the figure then is that of another.
fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    let _ = sched_setaffinity(None, &set);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn round_trip(cpus: [usize; 2]) -> f64 {
    // The one thing shared: even numbers are written by one side, odd ones by the other.
    let ball = Arc::new(AtomicU64::new(0));
    let other = Arc::clone(&ball);
    let player = thread::spawn(move || {
        pin(cpus[1]);
        for trip in 0..TRIPS {
            while other.load(Ordering::Acquire) != 2 * trip + 1 {
                std::hint::spin_loop();
            }
            other.store(2 * trip + 2, Ordering::Release);
        }
    });
    let server = thread::spawn(move || {
        pin(cpus[0]);
        let mut groups = Vec::new();
        let mut start = tsc();
        for trip in 0..TRIPS {
            ball.store(2 * trip + 1, Ordering::Release);
            while ball.load(Ordering::Acquire) != 2 * trip + 2 {
                std::hint::spin_loop();
            }
            if (trip + 1) % GROUP == 0 {
                let now = tsc();
                groups.push(now.wrapping_sub(start) as f64 / GROUP as f64);
                start = now;
            }
        }
        median(groups)
    });
    let figure = server.join().unwrap_or(f64::NAN);
    drop(player.join());
    figure
}

fn multiplication() -> f64 {
    let mut groups = Vec::new();
    let mut value = std::hint::black_box(3u64);
    for _ in 0..50 {
        let start = tsc();
        for _ in 0..MULTIPLICATIONS {
            // By itself: two by a constant would become one.
            value = value.wrapping_mul(value);
        }
        value = std::hint::black_box(value);
        groups.push(tsc().wrapping_sub(start) as f64 / MULTIPLICATIONS as f64);
    }
    median(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multiplication_takes_a_few_ticks() {
        let mood = Mood::measure([0, 0]);
        assert_eq!(mood.round_trip_ticks, None);
        assert!((0.5..100.0).contains(&mood.multiplication_ticks), "{mood}");
    }
}
