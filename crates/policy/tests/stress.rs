//! More threads than cores at the same cells, with a sweep between them.
#![cfg(not(loom))]

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use otherhalf_policy::limiter::{Charge, Moment, Sweep};
use otherhalf_policy::{Limiter, Limits, Rates};

const THREADS: u64 = 8;
const ROUNDS: u64 = 100;
const LIMITS: Limits = Limits { address: 100, narrow: [400, 400], wide: 6400, syn: 50 };
const HASH: u64 = 0x0123_4567_89ab_cdef;

/// Each thread asks for `tries` probes to the addresses of one /24 that `address` chooses, all at one moment; how many were granted, for
/// each round. The rounds are far enough apart for all buckets to be full again, and for the sweep to move cells while they are charged.
fn granted(tries: u32, address: fn(u32) -> u32) -> Vec<u64> {
    let rates = Rates::new(Duration::from_secs(1), &LIMITS, &LIMITS).unwrap();
    let counts: Vec<_> = (0..ROUNDS).map(|_| AtomicU64::new(0)).collect();
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap() + 1);
    let moment = |round: u64| Moment::at_ns((120 + 120 * round) * 1_000_000_000);
    let limiter = Limiter::new(4, moment(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for (round, count) in (0..).zip(&counts) {
                    barrier.wait();
                    for n in 0..tries {
                        let target = (0xcb00_7100 | address(n)).into();
                        let charge = Charge::v4(target, HASH, false);
                        let taken = limiter.take(&rates, &charge, moment(round)).is_ok();
                        count.fetch_add(u64::from(taken), Relaxed);
                    }
                }
            });
        }
        let mut cursor = Sweep::new();
        for round in 0..ROUNDS {
            barrier.wait();
            limiter.sweep(&mut cursor, limiter.cells(), Some(&rates), moment(round));
        }
    });
    counts.iter().map(|count| count.load(Relaxed)).collect()
}

/// What races lose is no more than a token a thread for each that is counted; mostly it is hardly any.
fn check(granted: &[u64], limit: u64) {
    for (round, granted) in granted.iter().enumerate() {
        let bounds = limit..=limit * THREADS;
        assert!(bounds.contains(granted), "round {round}: {granted} of {limit}");
    }
    let all: u64 = granted.iter().sum();
    assert!(all < 2 * limit * ROUNDS, "{all} in {ROUNDS} rounds of {limit}");
}

#[test]
fn threads_share_the_limit_of_an_address() {
    check(&granted(2000, |_| 7), 100);
}

#[test]
fn threads_share_the_limit_of_a_prefix() {
    let granted = granted(2000, |n| n % 250);
    // Addresses share cells: what the prefix may have, or a little less.
    check(&granted, 350);
}
