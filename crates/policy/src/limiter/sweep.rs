//! The bounded sweep: keeps cells that nobody touches from looking spent, and counts those that are.
//!
//! Time is 32 bits in a cell. One that was written long ago comes round from behind to ahead, and would limit its next addresses for as
//! long as a burst is. The sweep moves it to the present before.

use super::{CELLS, Limiter, Line, Moment, debt};
use crate::rates::Rates;
use crate::sync::{AtomicU32, Ordering};

/// A cell that is further behind than this, in units, is moved: about a minute, so that most passes write nothing.
const OLD: u32 = 1 << 29;

/// After so long without a sweep, in nanoseconds, nothing is spent any more by any rates, and 32 bits may not know it.
const PAUSE_NS: u64 = 100_000_000_000;

/// How far a pass over the cells has come.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    next: usize,
    spent: u64,
    last_ns: Option<u64>,
}

impl Sweep {
    /// A pass that starts at the first line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, of a limiter whose buckets were filled at `ns`.
    #[must_use]
    pub fn since(ns: u64) -> Self {
        Self { last_ns: Some(ns), ..Self::default() }
    }
}

impl Limiter {
    /// How many cells there are.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.lines.len().saturating_add(self.wide.len()).saturating_mul(CELLS)
    }

    /// A [sweep](Self::sweep) by a clock of 64 bits, in nanoseconds. If the last one was longer ago than any burst, because the process
    /// was stopped or the machine slept, or if the clock began anew, all buckets are [filled](Self::fill) instead: how old a cell is,
    /// nobody could tell.
    pub fn tend(
        &self,
        cursor: &mut Sweep,
        lines: usize,
        rates: Option<&Rates>,
        now_ns: u64,
    ) -> Option<u64> {
        let now = Moment::at_ns(now_ns);
        let last_ns = cursor.last_ns.replace(now_ns);
        if last_ns.is_some_and(|last_ns| now_ns.abs_diff(last_ns) >= PAUSE_NS) {
            self.fill(now);
            *cursor = Sweep::since(now_ns);
            return Some(0);
        }
        self.sweep(cursor, lines, rates, now)
    }

    /// Passes up to `lines` more lines of 64 bytes; at the end of a pass, returns how many cells it found spent, in part or wholly. The next
    /// call starts the next pass.
    ///
    /// A full pass is due at least every five minutes; the sooner, the truer its count. `rates` are those that are in force; if none are, what
    /// is spent is forgiven: a limit that comes later begins with nothing.
    pub fn sweep(
        &self,
        cursor: &mut Sweep,
        lines: usize,
        rates: Option<&Rates>,
        now: Moment,
    ) -> Option<u64> {
        let window = rates.map_or(0, |rates| rates.window);
        let all = self.lines.len().saturating_add(self.wide.len());
        let end = cursor.next.saturating_add(lines).min(all);
        let passed = self.lines.iter().chain(&*self.wide).skip(cursor.next).take(lines);
        for Line(cells) in passed {
            for cell in cells {
                if debt(cell, now, window) > 0 {
                    cursor.spent = cursor.spent.saturating_add(1);
                } else {
                    renew(cell, now);
                }
            }
        }
        cursor.next = end;
        (end >= all).then(|| {
            cursor.next = 0;
            std::mem::take(&mut cursor.spent)
        })
    }
}

/// Moves `cell`, which nothing is spent of, to `now`, if it is old.
fn renew(cell: &AtomicU32, now: Moment) {
    let seen = cell.load(Ordering::Relaxed);
    if now.0.wrapping_sub(seen) > OLD {
        // If it has changed since, somebody charged it: it is young. A charge that is written later, by who read the old cell too, stays as
        // well: it comes after this in the order of the cell's values, for nothing comes between what a swap reads and what it writes.
        let _ = cell.compare_exchange(seen, now.0, Ordering::Relaxed, Ordering::Relaxed);
    }
}
