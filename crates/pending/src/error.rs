//! Why a table could not be made.

use std::collections::TryReserveError;

use crate::table::MAX_ENTRIES;
use crate::ticks::MAX_TIMEOUT_TICKS;

/// Why a table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The number of entries is zero or absurd.
    #[error("a pending table of {asked} entries can't be made: set 1 to {MAX_ENTRIES} entries")]
    Entries {
        /// What was asked for.
        asked: usize,
    },
    /// The time-out is zero, or too long for 48-bit times.
    #[error(
        "pending entries can't expire after {asked} ticks: set a time-out of 1 to {MAX_TIMEOUT_TICKS} ticks"
    )]
    Timeout {
        /// What was asked for, in ticks.
        asked: u64,
    },
    /// The system does not give that much memory.
    #[error("no memory for a pending table of {entries} entries ({source}): set fewer entries")]
    Memory {
        /// What was asked for.
        entries: usize,
        /// What the allocator said.
        source: TryReserveError,
    },
    /// The memory that was given is too small.
    #[error(
        "the pending table needs {needed} buckets and was given {given}: ask `Table::buckets_for` how many"
    )]
    Given {
        /// Buckets that the table needs.
        needed: usize,
        /// Buckets that it was given.
        given: usize,
    },
}
