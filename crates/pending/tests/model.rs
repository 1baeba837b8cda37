//! The table does what a plain map does, as far as one thread can tell.
#![cfg(not(loom))]

use std::collections::HashMap;

use otherhalf_pending::{
    Entry, Hash, Insert, Lines, Occupancy, Receiver, Seat, Settings, Sweep, Table, Whose,
};
use proptest::prelude::*;

const TIMEOUT: u64 = 100;

/// A full turn of the 48-bit times.
const TURN: u64 = 1 << 48;

/// Slots in which a key may lie.
const REACH: usize = 8;

#[derive(Clone, Debug)]
enum Step {
    Insert {
        key: u64,
        request_id: u16,
        /// The response goes to another than the target.
        indirect: bool,
    },
    Take {
        key: u64,
    },
    Wait {
        ticks: u64,
    },
    Sweep {
        buckets: usize,
    },
    /// Everything expires, is swept, and then the clock turns once around.
    Turn,
}

fn steps(keys: u64) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..keys, 0..3_u16, prop::bool::weighted(0.2))
            .prop_map(|(key, request_id, indirect)| Step::Insert { key, request_id, indirect }),
        4 => (0..keys).prop_map(|key| Step::Take { key }),
        3 => (0..TIMEOUT / 4).prop_map(|ticks| Step::Wait { ticks }),
        1 => (TIMEOUT - 2..3 * TIMEOUT).prop_map(|ticks| Step::Wait { ticks }),
        2 => (0..6_usize).prop_map(|buckets| Step::Sweep { buckets }),
        1 => Just(Step::Turn),
    ];
    prop::collection::vec(step, 1..400)
}

/// The plain map.
#[derive(Default)]
struct Model {
    pending: HashMap<u64, Known>,
}

/// What the map has of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    sent: u64,
    request_id: u16,
    indirect: bool,
    again: bool,
}

/// What `entry` says, with the receiver that `whose` tells of its seat.
fn known(entry: Entry, now: u64, whose: impl Fn(Seat) -> Option<Receiver>) -> Option<Known> {
    let (request_id, indirect) = match entry.whose {
        Whose::Target(request_id) => (request_id, false),
        Whose::Seat(taken) => {
            let Receiver { words, request_id } = whose(taken)?;
            assert_eq!(words, [request_id.into(); 2], "somebody else");
            (request_id, true)
        }
    };
    let sent = now - entry.age_ticks;
    Some(Known { sent, request_id, indirect, again: entry.again })
}

/// Takes what is pending for `hash`, and its seat.
fn take(table: &Table, hash: Hash, now: u64) -> Option<Known> {
    let entry = table.take(hash, now)?;
    let known = known(entry, now, |seat| table.leave(seat));
    assert!(known.is_some(), "its seat was another's: {entry:?}");
    known
}

/// Inserts for a receiver that is not the target; its seat is left if it is not needed.
fn insert_for(table: &Table, hash: Hash, request_id: u16, now: u64) -> Insert {
    let receiver = Receiver { words: [request_id.into(); 2], request_id };
    let seat = table.seat(receiver, now).unwrap();
    let inserted = table.insert_seated(hash, seat, now);
    if inserted != Insert::New {
        assert_eq!(table.leave(seat), Some(receiver));
    }
    inserted
}

impl Model {
    fn expire(&mut self, now: u64) {
        self.pending.retain(|_, known| now - known.sent < TIMEOUT);
    }

    /// The outcome if there is room.
    fn insert(&mut self, key: u64, request_id: u16, indirect: bool, sent: u64) -> Insert {
        let (again, outcome) = match self.pending.get(&key) {
            Some(old) if indirect || old.indirect || old.request_id != request_id => {
                return Insert::Conflict;
            }
            Some(_) => (true, Insert::Replaced),
            None => (false, Insert::New),
        };
        self.pending.insert(key, Known { sent, request_id, indirect, again });
        outcome
    }
}

/// Runs the steps on a table and the model. `full` says of a number of live entries whether an insert must be
/// (`Some(true)`), may be (`None`) or can't be refused.
fn run(
    entries: usize,
    start: u64,
    secret: [u64; 2],
    steps: Vec<Step>,
    full: impl Fn(usize) -> Option<bool>,
) -> Result<(), TestCaseError> {
    let table = Table::new(Settings { entries, timeout_ticks: TIMEOUT, secret }).unwrap();
    let mut model = Model::default();
    let mut now = start;
    let mut cursor = Sweep::new();
    let mut swept = 0;

    for step in steps {
        model.expire(now);
        match step {
            Step::Insert { key, request_id, indirect } => {
                let live = model.pending.len();
                let known = model.pending.contains_key(&key);
                let hash = table.hash(&[key, !key], 0);
                let got = if indirect {
                    insert_for(&table, hash, request_id, now)
                } else {
                    table.insert(hash, request_id, now)
                };
                if got == Insert::Full {
                    prop_assert!(!known, "a known key needs no room");
                    prop_assert!(full(live) != Some(false), "refused at {live} live entries");
                } else {
                    prop_assert!(known || full(live) != Some(true), "room where there is none");
                    prop_assert_eq!(got, model.insert(key, request_id, indirect, now));
                }
            }
            Step::Take { key } => {
                let hash = table.hash(&[key, !key], 0);
                let pending = table.is_pending(hash, now);
                let got = take(&table, hash, now);
                prop_assert_eq!(got, model.pending.remove(&key));
                prop_assert_eq!(pending, got.is_some());
                prop_assert!(!table.is_pending(hash, now));
            }
            Step::Wait { ticks } => now += ticks,
            Step::Sweep { buckets } => {
                let done = table.sweep(&mut cursor, buckets, now);
                swept += buckets;
                prop_assert_eq!(done.is_some(), swept >= table.buckets());
                if done.is_some() {
                    swept = 0;
                }
            }
            Step::Turn => {
                now += TIMEOUT;
                cursor = Sweep::new();
                swept = 0;
                let found = table.sweep(&mut cursor, usize::MAX, now).unwrap();
                prop_assert_eq!(found.live, 0);
                now += TURN;
            }
        }
    }

    // What is left, exactly: first by count, then key by key.
    model.expire(now);
    let live = model.pending.len() as u64;
    let found = table.sweep(&mut Sweep::new(), usize::MAX, now).unwrap();
    prop_assert_eq!(found.live, live);
    let again = table.sweep(&mut Sweep::new(), usize::MAX, now).unwrap();
    let oldest = model.pending.values().map(|known| now - known.sent).max().unwrap_or_default();
    prop_assert_eq!(again, Occupancy { live, expired: 0, oldest });
    let sorted = |mut all: Vec<Known>| {
        all.sort_unstable();
        all
    };
    // In two parts, the second of which reaches past the end.
    let parts = [0..table.buckets() / 2, table.buckets() / 2..usize::MAX];
    let waiting = parts.into_iter().flat_map(|part| table.waiting(part, now));
    let listed = waiting.map(|entry| known(entry, now, |seat| table.receiver(seat)).unwrap());
    prop_assert_eq!(sorted(listed.collect()), sorted(model.pending.values().copied().collect()));
    let mut keys: Vec<_> = model.pending.keys().copied().collect();
    keys.sort_unstable();
    for key in keys {
        let hash = table.hash(&[key, !key], 0);
        prop_assert_eq!(take(&table, hash, now), model.pending.remove(&key));
        prop_assert_eq!(table.take(hash, now), None);
    }
    prop_assert_eq!(table.sweep(&mut Sweep::new(), usize::MAX, now), Some(Occupancy::default()));
    Ok(())
}

/// Times that start just before the wrap of 48 bits, of 64 bits less the turns to come, or anywhere.
fn starts() -> impl Strategy<Value = u64> {
    prop_oneof![TURN - 1000..TURN, Just(0), 0..u64::MAX / 4]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Two buckets: each key may lie in each slot, so refusals are exact, too.
    #[test]
    fn two_buckets_are_a_map_of_eight(secret: [u64; 2], start in starts(), steps in steps(14)) {
        run(4, start, secret, steps, |live| Some(live == REACH))?;
    }

    /// More buckets: a refusal needs at least eight live entries.
    #[test]
    fn more_buckets_are_a_map_that_may_refuse(
        secret: [u64; 2],
        entries in 5..40_usize,
        start in starts(),
        steps in steps(60),
    ) {
        run(entries, start, secret, steps, |live| if live < REACH { Some(false) } else { None })?;
    }

    /// A table that is much larger than its load refuses nothing and is a map outright.
    #[test]
    fn a_roomy_table_is_a_map(secret: [u64; 2], start in starts(), steps in steps(30)) {
        run(4096, start, secret, steps, |_| Some(false))?;
    }
}

#[test]
fn hashes_depend_on_the_secret_and_cookies_on_the_key() {
    let table = |secret| Table::new(Settings { entries: 8, timeout_ticks: 1, secret }).unwrap();
    let (one, other) = (table([1, 2]), table([1, 3]));
    assert_eq!(one.hash(&[5, 6], 0), one.hash(&[5, 6], 0));
    assert_ne!(one.hash(&[5, 6], 0).cookie(), one.hash(&[5, 7], 0).cookie());
    assert_ne!(one.hash(&[5, 6], 0).cookie(), one.hash(&[5, 6, 0], 0).cookie());
    assert_ne!(one.hash(&[5, 6], 0).cookie(), other.hash(&[5, 6], 0).cookie());
}

#[test]
fn the_sweep_counts_once_and_frees_what_is_expired() {
    let table =
        Table::new(Settings { entries: 1000, timeout_ticks: TIMEOUT, secret: [3, 4] }).unwrap();
    for key in 0..300_u64 {
        let now = if key < 100 { 0 } else { 50 };
        assert_eq!(table.insert(table.hash(&[key], 0), 1, now), Insert::New);
    }
    let mut cursor = Sweep::new();
    let mut calls = 1;
    let found = loop {
        match table.sweep(&mut cursor, 7, TIMEOUT) {
            Some(found) => break found,
            None => calls += 1,
        }
    };
    assert_eq!(found, Occupancy { live: 200, expired: 100, oldest: TIMEOUT - 50 });
    assert_eq!(calls, table.buckets().div_ceil(7));
    let found = table.sweep(&mut cursor, usize::MAX, TIMEOUT).unwrap();
    assert_eq!(found, Occupancy { live: 200, expired: 0, oldest: TIMEOUT - 50 });

    // A cursor that belongs to a larger table ends its pass and starts anew.
    let small = Table::new(Settings { entries: 1, timeout_ticks: 1, secret: [3, 4] }).unwrap();
    assert_eq!(table.sweep(&mut cursor, 400, TIMEOUT), None);
    assert!(small.sweep(&mut cursor, 1, TIMEOUT).is_some());
    assert_eq!(small.sweep(&mut cursor, 1, TIMEOUT), None);
    assert_eq!(small.sweep(&mut cursor, 1, TIMEOUT), Some(Occupancy::default()));
}

#[test]
fn prefetching_changes_nothing() {
    let table =
        Table::new(Settings { entries: 16, timeout_ticks: TIMEOUT, secret: [5, 6] }).unwrap();
    let hash = table.hash(&[1, 2, 3], 0);
    table.prefetch(hash, Lines::Both);
    table.prefetch_second(hash);
    table.fetch([(hash, Lines::Both)]);
    assert_eq!(table.insert(hash, 9, 10), Insert::New);
    table.fetch([(hash, Lines::First)]);
    assert_eq!(
        table.take(hash, 15),
        Some(Entry { whose: Whose::Target(9), age_ticks: 5, again: false })
    );
    assert_eq!(table.take(hash, 15), None);
}
