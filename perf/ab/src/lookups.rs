//! Look-ups in a table that is nearly full against look-ups in one that is nearly empty.

use otherhalf_pending::{Hash, Insert, Lines, Table};
use otherhalf_responder::worker::Prefetching;

use crate::pages::Pages;
use crate::path::{Settings, table};
use crate::traffic::BURST;
use crate::windows::Timed;

/// A table of 64 MiB, twice as large as the last cache of the machines that this runs on.
const ENTRIES: u32 = 1 << 21;
/// Nothing expires, whatever the time: none passes.
const TIMEOUT: u64 = 1000;
/// The percentage of the emptier table: of either, as many keys are looked up, so that as many lines are read.
pub const LEAST_LOAD: u32 = 10;

/// Which keys are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Keys that are pending; they are put in again, untimed.
    Present,
    /// Keys that are not.
    Absent,
}

/// A table at some load, and takes from it.
#[derive(Debug)]
pub struct Lookups {
    table: Table<Prefetching>,
    keys: Keys,
    next: u64,
    burst: [Hash; BURST],
    /// Takes that found what they should not, or did not find what they should.
    pub wrong: u64,
}

impl Lookups {
    /// A table at `percent` of its capacity.
    ///
    /// # Errors
    /// Memory that is refused.
    pub fn new(percent: u32, keys: Keys, pages: Pages<'_>) -> anyhow::Result<Self> {
        let settings = Settings { entries: ENTRIES, timeout_ticks: TIMEOUT, secret: [1, 2], hz: 1 };
        let table = table(&settings, pages)?;
        let mut refused = 0;
        for key in 0..u64::from(ENTRIES / 100 * percent) {
            // Of a bucket that is full, one more key would not be there to be found.
            refused += u32::from(table.insert(table.hash(&[key], 0), 1, 0) != Insert::New);
        }
        anyhow::ensure!(refused < ENTRIES / 100, "{refused} keys were refused");
        let burst = [Hash::default(); BURST];
        Ok(Self { table, keys, next: 0, burst, wrong: 0 })
    }
}

impl Lookups {
    /// Keys looked up.
    #[must_use]
    pub const fn looked_up(&self) -> u64 {
        self.next
    }
}

impl Timed for Lookups {
    fn refill(&mut self) -> anyhow::Result<()> {
        if self.keys == Keys::Present && self.next > 0 {
            for hash in &self.burst {
                let _ = self.table.insert(*hash, 1, 0);
            }
        }
        let sample = u64::from(ENTRIES / 100 * LEAST_LOAD);
        for hash in &mut self.burst {
            let random = self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let key = match self.keys {
                Keys::Present => random % sample,
                Keys::Absent => random | 1 << 63,
            };
            *hash = self.table.hash(&[key], 0);
            self.next += 1;
        }
        Ok(())
    }

    #[inline]
    fn run(&mut self) {
        for hash in &self.burst {
            self.table.prefetch(*hash, Lines::First);
        }
        let found = self.burst.iter().filter(|hash| self.table.take(**hash, 0).is_some()).count();
        let expected = if self.keys == Keys::Present { BURST } else { 0 };
        self.wrong += expected.abs_diff(found) as u64;
    }
}
