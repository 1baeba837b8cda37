//! The bounded sweep: frees what is expired and counts what is live.
//!
//! Inserts need no sweep, they reuse expired slots by themselves. The sweep is for the statistics, and keeps
//! any slot and seat from growing so old that its 48-bit time looks young again (`ticks.rs`).

use crate::slot::State;
use crate::table::Table;

/// How far a pass over the table has come. One for each thread that sweeps.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    next: usize,
    seen: Occupancy,
}

impl Sweep {
    /// A pass that starts at the first bucket.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// What one full pass over the table found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Occupancy {
    /// Entries that were pending when the pass came by, those being put in included.
    pub live: u64,
    /// Entries that this pass freed: they got no answer in time, and no insert had reused their slot.
    pub expired: u64,
    /// Ticks that the oldest of the live ones had waited.
    pub oldest: u64,
}

impl<P> Table<P> {
    /// Passes up to `buckets` more buckets (at about 64 bytes of memory traffic each) and returns what the whole pass
    /// found when it reaches the end of the table; the next call starts the next pass.
    ///
    /// A full pass is due at least every 2^48 ticks less twice the time-out; see the crate's text.
    pub fn sweep(&self, cursor: &mut Sweep, buckets: usize, now: u64) -> Option<Occupancy> {
        let end = cursor.next.saturating_add(buckets).min(self.buckets.len());
        // A cursor from a larger table is past our end: nothing left to pass.
        let part = self.buckets.get(cursor.next..end).unwrap_or_default();
        for slot in part.iter().flat_map(|bucket| &bucket.slots) {
            let seen = slot.tag();
            match seen.state() {
                State::Empty => {}
                State::Live => match self.lifetime.age(slot.data().sent(), now) {
                    Some(age) => {
                        cursor.seen.live = cursor.seen.live.saturating_add(1);
                        cursor.seen.oldest = cursor.seen.oldest.max(age);
                    }
                    // If it has changed since, it was taken or reused: the next pass sees what it is then.
                    None if slot.release(seen) => {
                        cursor.seen.expired = cursor.seen.expired.saturating_add(1);
                    }
                    None => {}
                },
                State::Busy => cursor.seen.live = cursor.seen.live.saturating_add(1),
            }
        }
        cursor.next = end;
        (end == self.buckets.len()).then(|| {
            self.seats.sweep(self.lifetime, now);
            std::mem::take(cursor).seen
        })
    }
}
