//! The interleavings of the table's races, explored by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p otherhalf-pending --release --test loom`.
//!
//! The tables have the least size, two buckets, so that each key may lie in each of the eight slots. To bring two threads to
//! the same slot, seven others are filled with bystanders first.
//!
//! What loom cannot show: it never lets a load see a store that comes later, so the orderings of the compare-and-swap,
//! which keep a taker's load before the next owner's store, are argued in `slot.rs` alone.
#![cfg(loom)]

use std::cmp::Reverse;

use loom::sync::Arc;
use loom::thread;
use otherhalf_pending::{Entry, Insert, Receiver, Settings, Sweep, Table, Whose};

const TIMEOUT: u64 = 100;
const KEY: u64 = 1000;
const OTHER: u64 = 2000;

/// Bystanders are young as long as the tests' times stay below `TIMEOUT + BYSTANDERS_SENT`.
const BYSTANDERS_SENT: u64 = 50;

/// Runs `left` against `right` on a table with `bystanders` and, if `pending`, an entry for [`KEY`] with
/// identifier 7, sent at 10. Twice, each side once in the spawned thread: loom starts its search from the spawning one,
/// and prunes it so that some interleavings are found from one side only.
fn race<L: 'static, R: 'static>(
    bystanders: u64,
    pending: bool,
    left: fn(&Table) -> L,
    right: fn(&Table) -> R,
    check: fn(&Table, L, R),
) {
    let prepare = move || {
        let settings = Settings { entries: 4, timeout_ticks: TIMEOUT, secret: [1, 2] };
        let table = Table::new(settings).unwrap();
        for key in 0..bystanders {
            assert_eq!(insert(&table, key, 0, BYSTANDERS_SENT), Insert::New);
        }
        if pending {
            assert_eq!(insert(&table, KEY, 7, 10), Insert::New);
        }
        Arc::new(table)
    };
    loom::model(move || {
        let table = prepare();
        let other = thread::spawn({
            let table = table.clone();
            move || right(&table)
        });
        let result = left(&table);
        check(&table, result, other.join().unwrap());
    });
    loom::model(move || {
        let table = prepare();
        let other = thread::spawn({
            let table = table.clone();
            move || left(&table)
        });
        let result = right(&table);
        check(&table, other.join().unwrap(), result);
    });
}

fn insert(table: &Table, key: u64, request_id: u16, now: u64) -> Insert {
    table.insert(table.hash(&[key], 0), request_id, now)
}

fn take(table: &Table, key: u64, now: u64) -> Option<Entry> {
    table.take(table.hash(&[key], 0), now)
}

fn entry(request_id: u16, age_ticks: u64) -> Option<Entry> {
    Some(Entry { whose: Whose::Target(request_id), age_ticks, again: false })
}

/// One that took the place of another of the same request.
fn second(request_id: u16, age_ticks: u64) -> Option<Entry> {
    Some(Entry { whose: Whose::Target(request_id), age_ticks, again: true })
}

#[test]
fn of_two_takers_one_wins() {
    race(
        0,
        true,
        |table| take(table, KEY, 15),
        |table| take(table, KEY, 15),
        |table, left, right| {
            assert!(left.is_none() || right.is_none());
            assert_eq!(left.or(right), entry(7, 5));
            assert_eq!(take(table, KEY, 15), None);
        },
    );
}

#[test]
fn an_insert_is_taken_whole_or_not_at_all() {
    race(
        0,
        false,
        |table| insert(table, KEY, 7, 10),
        |table| take(table, KEY, 15),
        |table, inserted, early| {
            assert_eq!(inserted, Insert::New);
            let late = take(table, KEY, 15);
            assert!(early.is_none() || late.is_none());
            assert_eq!(early.or(late), entry(7, 5));
        },
    );
}

#[test]
fn a_slot_that_is_freed_and_reused_mixes_no_entries() {
    race(
        7,
        true,
        |table| insert(table, OTHER, 8, 12),
        |table| (take(table, KEY, 15), take(table, OTHER, 15)),
        |table, inserted, (taken, early)| {
            assert_eq!(taken, entry(7, 5));
            let late = take(table, OTHER, 15);
            match inserted {
                // It looked before the slot was free.
                Insert::Full => assert_eq!((early, late), (None, None)),
                Insert::New => {
                    assert!(early.is_none() || late.is_none());
                    assert_eq!(early.or(late), entry(8, 3));
                }
                other => panic!("{other:?}"),
            }
        },
    );
}

#[test]
fn a_key_that_comes_back_is_another_entry() {
    race(
        7,
        true,
        // The same key, in the same slot: only the version tells the entries apart.
        |table| (take(table, KEY, 30), insert(table, KEY, 8, 20)),
        |table| take(table, KEY, 30),
        |table, (first, again), second| {
            assert_eq!(again, Insert::New);
            let third = take(table, KEY, 30);
            let mut out: Vec<_> = [first, second, third].into_iter().flatten().collect();
            out.sort_unstable_by_key(|entry| Reverse(entry.age_ticks));
            assert_eq!(out, [entry(7, 20).unwrap(), entry(8, 10).unwrap()]);
        },
    );
}

#[test]
fn of_two_inserters_one_gets_the_last_slot() {
    race(
        7,
        false,
        |table| insert(table, KEY, 7, 10),
        |table| insert(table, OTHER, 8, 10),
        |table, left, right| {
            let taken = (take(table, KEY, 15), take(table, OTHER, 15));
            match (left, right) {
                (Insert::New, Insert::Full) => assert_eq!(taken, (entry(7, 5), None)),
                (Insert::Full, Insert::New) => assert_eq!(taken, (None, entry(8, 5))),
                outcome => panic!("{outcome:?}"),
            }
        },
    );
}

#[test]
fn two_inserts_of_one_request_leave_one_entry() {
    race(
        7,
        false,
        |table| insert(table, KEY, 7, 10),
        |table| insert(table, KEY, 7, 11),
        |table, left, right| {
            let expected = match (left, right) {
                (Insert::New, Insert::Replaced) => second(7, 4),
                (Insert::Replaced, Insert::New) => second(7, 5),
                (Insert::Conflict, Insert::New) => entry(7, 4),
                (Insert::New, Insert::Conflict) => entry(7, 5),
                outcome => panic!("{outcome:?}"),
            };
            assert_eq!(take(table, KEY, 15), expected);
            assert_eq!(take(table, KEY, 15), None);
        },
    );
}

#[test]
fn of_two_requests_for_one_key_one_conflicts() {
    race(
        7,
        false,
        |table| insert(table, KEY, 7, 10),
        |table| insert(table, KEY, 8, 11),
        |table, left, right| {
            let expected = match (left, right) {
                (Insert::New, Insert::Conflict) => entry(7, 5),
                (Insert::Conflict, Insert::New) => entry(8, 4),
                outcome => panic!("{outcome:?}"),
            };
            assert_eq!(take(table, KEY, 15), expected);
            assert_eq!(take(table, KEY, 15), None);
        },
    );
}

#[test]
fn a_replaced_entry_is_taken_as_old_or_new() {
    race(
        0,
        true,
        |table| insert(table, KEY, 7, 20),
        |table| take(table, KEY, 30),
        |table, inserted, taken| {
            let late = take(table, KEY, 30);
            match inserted {
                // The take came first.
                Insert::New => assert_eq!((taken, late), (entry(7, 20), entry(7, 10))),
                Insert::Replaced => {
                    assert!(taken.is_none() || late.is_none());
                    assert_eq!(taken.or(late), second(7, 10));
                }
                other => panic!("{other:?}"),
            }
        },
    );
}

#[test]
fn a_conflict_is_told_only_of_what_was_there() {
    race(
        7,
        true,
        |table| insert(table, KEY, 7, 14),
        // The slot may go to another key with another identifier; KEY is never pending for any but 7.
        |table| (take(table, KEY, 15), insert(table, OTHER, 8, 12)),
        |_, again, (taken, other)| {
            let outcome = (again, other);
            if taken == entry(7, 5) {
                let (first, second) = ((Insert::New, Insert::Full), (Insert::Full, Insert::New));
                assert!(outcome == first || outcome == second, "{outcome:?}");
            } else if taken == second(7, 1) {
                assert_eq!(outcome, (Insert::Replaced, Insert::New));
            } else {
                assert_eq!((taken, outcome), (None, (Insert::Replaced, Insert::Full)));
            }
        },
    );
}

#[test]
fn what_is_listed_was_there_once() {
    race(
        7,
        true,
        // The slot goes to another key, with another identifier and time.
        |table| (take(table, KEY, 15), insert(table, OTHER, 8, 12)),
        |table| {
            table
                .waiting(0..2, 15)
                .filter(|entry| entry.whose != Whose::Target(0))
                .collect::<Vec<_>>()
        },
        |_, (taken, inserted), listed| {
            assert_eq!((taken, inserted), (entry(7, 5), Insert::New));
            let whole = |seen: &Entry| entry(7, 5) == Some(*seen) || entry(8, 3) == Some(*seen);
            assert!(listed.len() <= 1 && listed.iter().all(whole), "{listed:?}");
        },
    );
}

#[test]
fn an_expired_slot_is_claimed_or_taken_not_both() {
    race(
        7,
        true,
        |table| insert(table, OTHER, 8, 10 + TIMEOUT),
        // Its clock is a tick behind, so that it still may have what the inserter may reuse.
        |table| take(table, KEY, 10 + TIMEOUT - 1),
        |table, inserted, taken| {
            assert_eq!(inserted, Insert::New);
            assert!(taken.is_none() || taken == entry(7, TIMEOUT - 1));
            assert_eq!(take(table, KEY, 10 + TIMEOUT - 1), None);
            assert_eq!(take(table, OTHER, 10 + TIMEOUT + 5), entry(8, 5));
        },
    );
}

#[test]
fn an_expired_slot_is_swept_or_taken_not_both() {
    race(
        7,
        true,
        |table| table.sweep(&mut Sweep::new(), usize::MAX, 10 + TIMEOUT).unwrap(),
        |table| take(table, KEY, 10 + TIMEOUT - 1),
        |_, found, taken| {
            assert_eq!(found.live, 7);
            match found.expired {
                0 => assert_eq!(taken, entry(7, TIMEOUT - 1)),
                _ => assert_eq!((found.expired, taken), (1, None)),
            }
        },
    );
}

#[test]
fn a_sweep_spares_what_reused_an_expired_slot() {
    race(
        7,
        true,
        |table| table.sweep(&mut Sweep::new(), usize::MAX, 10 + TIMEOUT).unwrap(),
        |table| insert(table, OTHER, 8, 10 + TIMEOUT),
        |table, found, inserted| {
            assert_eq!(inserted, Insert::New);
            assert!(found.expired <= 1 && (7..=8).contains(&found.live), "{found:?}");
            assert_eq!(take(table, OTHER, 10 + TIMEOUT + 5), entry(8, 5));
        },
    );
}

/// The receiver of an indirect probe: all of it says who it is.
fn receiver(id: u16) -> Receiver {
    Receiver { words: [id.into(); 2], request_id: id }
}

/// Sends an indirect probe for the receiver `id`.
fn insert_for(table: &Table, key: u64, id: u16, now: u64) -> Option<Insert> {
    let seat = table.seat(receiver(id), now)?;
    let inserted = table.insert_seated(table.hash(&[key], 0), seat, now);
    if inserted != Insert::New {
        assert_eq!(table.leave(seat), Some(receiver(id)), "nobody else had it");
    }
    Some(inserted)
}

/// The receiver that an answer's response goes to.
fn take_for(table: &Table, key: u64, now: u64) -> Option<Receiver> {
    match take(table, key, now)?.whose {
        Whose::Target(id) => panic!("{id} had a seat"),
        Whose::Seat(seat) => table.leave(seat),
    }
}

#[test]
fn a_receiver_is_told_whole_or_not_at_all() {
    race(
        0,
        false,
        |table| insert_for(table, KEY, 7, 10),
        |table| take_for(table, KEY, 15),
        |table, inserted, early| {
            assert_eq!(inserted, Some(Insert::New));
            let late = take_for(table, KEY, 15);
            assert!(early.is_none() || late.is_none());
            assert_eq!(early.or(late), Some(receiver(7)));
        },
    );
}

#[test]
fn of_two_that_claim_seats_each_gets_one_of_its_own() {
    race(
        0,
        false,
        |table| insert_for(table, KEY, 7, 10),
        |table| insert_for(table, OTHER, 8, 10),
        |table, left, right| {
            for (key, id, inserted) in [(KEY, 7, left), (OTHER, 8, right)] {
                // Who finds a seat just being claimed goes on to the other one.
                assert_eq!(inserted, Some(Insert::New));
                assert_eq!(take_for(table, key, 15), Some(receiver(id)));
            }
        },
    );
}

#[test]
fn a_seat_that_expires_under_its_taker_is_nobody_elses_answer() {
    /// All seats are taken, and expired for the inserter, whose clock is ahead, but not for the taker.
    fn model(
        left: impl Fn(&Table) + Sync + Send + Copy + 'static,
        right: impl Fn(&Table) + Sync + Send + Copy + 'static,
    ) {
        loom::model(move || {
            let settings = Settings { entries: 4, timeout_ticks: TIMEOUT, secret: [1, 2] };
            let table = Arc::new(Table::new(settings).unwrap());
            for key in [KEY, KEY + 1] {
                assert_eq!(insert_for(&table, key, 7, 10), Some(Insert::New));
            }
            let other = thread::spawn({
                let table = table.clone();
                move || right(&table)
            });
            left(&table);
            other.join().unwrap();
            let mine = take_for(&table, OTHER, 10 + TIMEOUT);
            assert_eq!(mine, Some(receiver(8)), "the inserter's own seat was taken from it");
        });
    }
    let take = |table: &Table| {
        let taken = take_for(table, KEY, 10 + TIMEOUT - 1);
        assert!(taken.is_none_or(|taken| taken == receiver(7)), "{taken:?}");
    };
    let insert = |table: &Table| {
        assert_eq!(insert_for(table, OTHER, 8, 10 + TIMEOUT), Some(Insert::New));
    };
    model(take, insert);
    model(insert, take);
}
