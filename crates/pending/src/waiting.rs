//! A look at what waits, for people: nothing is taken, and nothing is written.

use std::ops::Range;

use crate::slot::State;
use crate::table::{Entry, Table};

impl<P> Table<P> {
    /// What is pending in the buckets `part`, in the order of the table, which is none: a bucket is chosen by the key's hash. Of a
    /// key that is just being put in, nothing is known yet. Buckets past the end of the table are none.
    ///
    /// It costs the workers what a [`sweep`](Table::sweep) does: each line is read once, and none is written. What it costs the
    /// caller's patience is up to the size of `part`.
    pub fn waiting(&self, part: Range<usize>, now: u64) -> impl Iterator<Item = Entry> + '_ {
        let end = part.end.min(self.buckets.len());
        let part = self.buckets.get(part.start..end).unwrap_or_default();
        part.iter().flat_map(|bucket| &bucket.slots).filter_map(move |slot| {
            let seen = slot.tag();
            if seen.state() != State::Live {
                return None;
            }
            let data = slot.data();
            let age_ticks = self.lifetime.age(data.sent(), now)?;
            // Nothing will be exchanged here, so a torn read is told by a second look.
            (slot.tag() == seen).then(|| Entry::of(seen, data, age_ticks))
        })
    }
}
