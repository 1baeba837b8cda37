//! Threads on a tiny table, four or many more than there are cores: every entry comes out exactly once, and is one that went in.
//!
//! `OTHERHALF_STRESS_SECONDS=60 cargo test -p otherhalf-pending --release --test stress` has the many at it for a minute.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_pending::{Entry, Insert, Receiver, Settings, Sweep, Table, Whose};

const THREADS: u64 = 4;
const ROUNDS: u64 = 400_000;

/// Entries of the table, which has 24 slots for them.
const ENTRIES: usize = 12;

/// Added to every taker's clock, so that no entry is newer than `now` and each age gives its insert away.
const AHEAD: u64 = 1 << 30;

/// One in eight goes to somebody else.
fn is_indirect(ticket: u64) -> bool {
    ticket % 8 == 3
}

fn receiver(ticket: u64) -> Receiver {
    Receiver { words: [ticket, !ticket], request_id: request_id(ticket) }
}

struct Shared {
    table: Table,
    /// The clock: each insert gets a time of its own, its ticket.
    tickets: AtomicU64,
    /// For each ticket, how often its entry was taken.
    taken: Vec<AtomicU8>,
}

fn request_id(ticket: u64) -> u16 {
    u16::from(ticket.is_multiple_of(5))
}

impl Shared {
    fn new(inserts: u64, timeout_ticks: u64) -> Self {
        let settings = Settings { entries: ENTRIES, timeout_ticks, secret: [21, 22] };
        Self {
            table: Table::new(settings).unwrap(),
            tickets: AtomicU64::new(0),
            taken: (0..inserts).map(|_| AtomicU8::new(0)).collect(),
        }
    }

    fn insert(&self, key: u64) -> Insert {
        let ticket = self.tickets.fetch_add(1, Relaxed);
        // The key goes into the time, so that an entry under a wrong key is noticed.
        let (hash, now) = (self.table.hash(&[key], 0), (ticket << 8) | key);
        if !is_indirect(ticket) {
            return self.table.insert(hash, request_id(ticket), now);
        }
        let receiver = receiver(ticket);
        let Some(seat) = self.table.seat(receiver, now) else { return Insert::Full };
        let inserted = self.table.insert_seated(hash, seat, now);
        if inserted != Insert::New {
            assert_eq!(self.table.leave(seat), Some(receiver), "ticket {ticket} lost its seat");
        }
        inserted
    }

    fn take(&self, key: u64) -> bool {
        let now = (self.tickets.load(Relaxed) << 8) + AHEAD;
        let Some(Entry { whose, age_ticks, .. }) = self.table.take(self.table.hash(&[key], 0), now)
        else {
            return false;
        };
        let sent = now - age_ticks;
        let ticket = sent >> 8;
        assert_eq!(sent & 0xff, key, "an entry of another key");
        match whose {
            Whose::Target(id) => {
                assert!(!is_indirect(ticket));
                assert_eq!(id, request_id(ticket), "the identifier of another entry");
            }
            Whose::Seat(taken) => {
                assert!(is_indirect(ticket));
                assert_eq!(self.table.leave(taken), Some(receiver(ticket)), "of ticket {ticket}");
            }
        }
        let before = self.taken[usize::try_from(ticket).unwrap()].fetch_add(1, Relaxed);
        assert_eq!(before, 0, "ticket {ticket} was taken twice");
        true
    }
}

#[derive(Default)]
struct Counts {
    new: u64,
    replaced: u64,
    conflict: u64,
    full: u64,
    taken: u64,
}

/// Each of `threads` inserts and takes keys at random, in so many `rounds`; `keys` of them, with some sweeps in between.
fn run(shared: &Shared, [threads, rounds]: [u64; 2], keys: u64, sweep_ahead: u64) -> Counts {
    let worker = |thread: u64| {
        let mut counts = Counts::default();
        let mut random = thread + 1;
        let mut cursor = Sweep::new();
        for round in 0..rounds {
            // xorshift64 (Marsaglia 2003).
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            match shared.insert((random >> 20) % keys) {
                Insert::New => counts.new += 1,
                Insert::Replaced => counts.replaced += 1,
                Insert::Conflict => counts.conflict += 1,
                Insert::Full => counts.full += 1,
            }
            counts.taken += u64::from(shared.take((random >> 40) % keys));
            if round % 16 == 0 {
                let now = (shared.tickets.load(Relaxed) << 8) + sweep_ahead;
                let _ = shared.table.sweep(&mut cursor, 2, now);
            }
        }
        counts
    };
    thread::scope(|scope| {
        let worker = &worker;
        let threads: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || worker(thread))).collect();
        threads.into_iter().fold(Counts::default(), |sum, thread| {
            let one = thread.join().unwrap();
            Counts {
                new: sum.new + one.new,
                replaced: sum.replaced + one.replaced,
                conflict: sum.conflict + one.conflict,
                full: sum.full + one.full,
                taken: sum.taken + one.taken,
            }
        })
    })
}

/// 24 slots for 32 keys: crowded, and nothing expires; what went in comes out.
fn crowd([threads, rounds]: [u64; 2]) -> Counts {
    let shared = Shared::new(threads * rounds, 1 << 40);
    let mut counts = run(&shared, [threads, rounds], 32, AHEAD);
    for key in 0..32 {
        while shared.take(key) {
            counts.taken += 1;
        }
    }
    // Each New added an entry, each Replaced put one in the place of another.
    assert_eq!(counts.new, counts.taken);
    assert_eq!(counts.new + counts.replaced + counts.conflict + counts.full, threads * rounds);
    counts
}

#[test]
fn what_goes_in_comes_out_once() {
    let counts = crowd([THREADS, ROUNDS]);
    for (what, count) in [
        ("new", counts.new),
        ("replaced", counts.replaced),
        ("conflict", counts.conflict),
        ("full", counts.full),
    ] {
        assert!(count > ROUNDS / 1000, "only {count} {what}: the test tests little");
    }
}

#[test]
fn expiry_claims_and_sweeps_lose_and_double_nothing() {
    // Entries expire after some 100 inserts, by the inserters' and the sweepers' clock; takers see them
    // longer or shorter, as their clock is put ahead by AHEAD, which the time-out must cover.
    let shared = Shared::new(THREADS * ROUNDS, AHEAD + (100 << 8));
    let counts = run(&shared, [THREADS, ROUNDS], 64, AHEAD + (50 << 8));
    assert!(counts.taken > ROUNDS / 100 && counts.taken <= counts.new);
}

#[test]
fn many_more_threads_than_cores_for_a_while() {
    let seconds = std::env::var("OTHERHALF_STRESS_SECONDS").map_or(1, |seconds| {
        seconds.parse().expect("OTHERHALF_STRESS_SECONDS is a number of seconds")
    });
    let threads = 8 * thread::available_parallelism().unwrap().get() as u64;
    let (began, mut inserts) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        let Counts { new, replaced, conflict, full, .. } = crowd([threads, ROUNDS / 8]);
        inserts += new + replaced + conflict + full;
    }
    println!("{threads} threads, {inserts} inserts in {:?}", began.elapsed());
}
