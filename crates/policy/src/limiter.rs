//! How many probes an address, and each of the prefixes that it lies in, may cause a second.
//!
//! Token buckets in memory of a fixed size, shared by all workers, so that a limit is the same however a port spreads frames over
//! its queues. A bucket is one word, the moment up to which its tokens are spent (the generic cell rate algorithm, ITU-T I.371):
//! nothing fills buckets, time does.
//!
//! # Layout
//!
//! ```text
//!           keyed hash of the /24 or /48                        /16: its own number; /32: keyed hash
//!                   │                                                    │
//!  lines  ┌────┬────▼───────────────────────────────────┬────┐  wide  ┌──▼──┬─────┬─────┬─────┐
//!         │    │ 16 cells of 4 bytes: one cache line    │    │        │ cell│ cell│ cell│ ... │
//!         └────┴────────────────────────────────────────┴────┘        └─────┴─────┴─────┴─────┘
//!  IPv4          /32: 8 cells      /24: 4    TCP: 4                      /16
//!  IPv6          /128: 7  /64: 5  /48: 1     TCP: 3                      /32
//! ```
//!
//! A request touches one line and one wide cell. Which cells of the line belong to an address is again told by keyed bits, two cells for
//! each: what it has spent is the *less* of the two, and a charge raises a cell no higher than that (a count-min sketch with
//! conservative update: Cormode and Muthukrishnan 2005, Estan and Varghese 2002). A /48 has a line's cell for itself, as a wide prefix
//! has its own: it shares them with the few that have the same hash.
//!
//! # What strangers do to each other
//!
//! Cells have no owner, so nothing is evicted, and no flood can make the limiter forget or fail. Two addresses share a bucket if both
//! of their cells coincide: for two that were not chosen by who knows the secret, that takes the same line (1 of their number) and the same pair (1 of 28 in
//! IPv4). A flood from random addresses spreads over all cells, and each sees its share: so many requests a second, over 65 536 lines, as
//! one or two of 10 000; a million a second raise a cell by 4 a second.
//!
//! # Races
//!
//! Cells are read and written without a read-modify-write: two workers that charge one cell at the same instant may count one request
//! of the two. Frames of one address mostly come by one queue, and what is lost that way is at most one request a worker for each
//! that is counted. Nothing else can happen: a cell always holds what some charge wrote.

mod charge;
mod key;
mod sweep;

use std::ops::Deref;

use crate::rates::Rates;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

pub use charge::Charge;
pub use key::Key;
pub use sweep::Sweep;

/// Cells in a line.
const CELLS: usize = 16;
/// Cells for prefixes that are wider than a line's.
const WIDE: usize = if cfg!(loom) { 1 } else { 1 << 16 };

/// Nanoseconds in a unit of cells' time, as a power of 2. 32 bits of units are 9 minutes, in which a cell that nobody touches would look
/// spent for as long as the [window](Rates::window) is, once: [`sweep`](Limiter::sweep) touches all.
const UNIT_BITS: u32 = 7;

/// A cell may be so much further ahead of `now` than the window, in units, and is wholly spent then: about a second. Workers read the
/// clock once a burst, so one may see what another wrote by a later reading.
const AHEAD: u32 = 1 << 23;

/// A moment, in units since whenever, modulo 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(u32);

impl Moment {
    /// The moment at `ns` nanoseconds of any clock that does not go backwards.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is what is wanted")]
    pub const fn at_ns(ns: u64) -> Self {
        Self((ns >> UNIT_BITS) as u32)
    }
}

/// `ns` nanoseconds in units of cells' time, rounded up.
pub(crate) const fn units(ns: u64) -> u64 {
    ns.div_ceil(1 << UNIT_BITS)
}

/// Whose limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limited {
    /// The address's own.
    Address,
    /// That of a prefix that it lies in.
    Prefix,
    /// That of TCP probes to a prefix.
    Syn,
}

/// The cells of some neighbouring prefixes: a cache line.
#[derive(Debug, Default)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[repr(C, align(64))]
pub struct Line([AtomicU32; CELLS]);

/// How often the limiter did something that no packet's outcome says. Relaxed: statistics.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests beyond a limit that were let through, so that nobody can be muted by requests in his name.
    leaked: AtomicU64,
    /// Requests beyond a limit that were served nonetheless, because limits are only tried out.
    spared: AtomicU64,
}

impl Tally {
    /// Counts a request that was let through.
    #[inline]
    pub fn leak(&self) {
        self.leaked.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that was served because limits are only tried out.
    #[inline]
    pub fn spare(&self) {
        self.spared.fetch_add(1, Ordering::Relaxed);
    }

    /// How many leaked, and how many were spared.
    #[must_use]
    pub fn read(&self) -> [u64; 2] {
        [&self.leaked, &self.spared].map(|count| count.load(Ordering::Relaxed))
    }
}

/// The buckets.
#[derive(Debug)]
pub struct Limiter {
    lines: Memory,
    /// Cells of prefixes that are wider than a line's.
    wide: Memory,
    tally: Tally,
}

/// Where the buckets are.
#[derive(Debug)]
enum Memory {
    Own(Box<[Line]>),
    Lent(&'static [Line]),
}

impl Deref for Memory {
    type Target = [Line];

    #[inline]
    fn deref(&self) -> &[Line] {
        match self {
            Self::Own(own) => own,
            Self::Lent(lent) => lent,
        }
    }
}

/// Lines that wide cells fill.
const WIDE_LINES: usize = WIDE.div_ceil(CELLS);

impl Limiter {
    /// Buckets in `lines` lines of 64 bytes, rounded up to a power of 2, all full at `now`.
    #[must_use]
    pub fn new(lines: usize, now: Moment) -> Self {
        let own = |lines| Memory::Own((0..lines).map(|_| Line::default()).collect());
        let lines = Self::memory_for(lines).saturating_sub(WIDE_LINES);
        Self::full(own(lines), own(WIDE_LINES), now)
    }

    /// The same in `memory`, whatever that holds: as many as the greatest power of 2 of lines for which there is
    /// [enough](Self::memory_for). Without any, nothing is limited.
    ///
    /// For huge pages, since lines are touched at random: in ordinary ones, each miss of the cache is one of the address translation too.
    #[must_use]
    pub fn new_in(memory: &'static [Line], now: Moment) -> Self {
        let (wide, rest) = memory.split_at_checked(WIDE_LINES).unwrap_or_default();
        let lines = rest.len().checked_ilog2().map_or(0, |bits| 1 << bits);
        let lines = Memory::Lent(rest.get(..lines).unwrap_or_default());
        Self::full(lines, Memory::Lent(wide), now)
    }

    fn full(lines: Memory, wide: Memory, now: Moment) -> Self {
        let full = Self { lines, wide, tally: Tally::default() };
        full.fill(now);
        full
    }

    /// Fills all buckets: nothing is spent at `now`, nor seems so at any moment until a [`sweep`](Self::sweep) is due. A cell that was
    /// zero instead would look spent for some seconds of each turn of the clock.
    ///
    /// For a clock that has leapt, too.
    pub fn fill(&self, now: Moment) {
        for Line(cells) in self.lines.iter().chain(&*self.wide) {
            for cell in cells {
                cell.store(now.0, Ordering::Relaxed);
            }
        }
    }

    /// How many lines of memory are needed for `lines` that are told by hashes.
    #[must_use]
    pub fn memory_for(lines: usize) -> usize {
        lines.clamp(1, 1 << 26).next_power_of_two().saturating_add(WIDE_LINES)
    }

    /// How many lines there are.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    /// Octets of memory.
    #[must_use]
    pub fn octets(&self) -> usize {
        size_of_val(&*self.lines).saturating_add(size_of_val(&*self.wide))
    }

    /// What was counted.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The line of the prefix whose keyed bits are `hash`, for a prefetch.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash do")]
    pub fn line(&self, hash: u64) -> Option<&Line> {
        let lines = &*self.lines;
        // Their number is a power of 2; if it is 0, there is nothing to get.
        lines.get(hash as usize & lines.len().wrapping_sub(1))
    }

    /// The cell of a wide prefix.
    #[inline]
    fn wide(&self, place: u16) -> Option<&AtomicU32> {
        let place = usize::from(place) & (WIDE - 1);
        self.wide.get(place / CELLS)?.0.get(place % CELLS)
    }

    /// Takes a token out of each bucket of `charge`, or none if one of them is empty: then it is said which.
    ///
    /// Straight on, without a branch until all buckets are read and compared; which one is empty is asked only if one is.
    #[inline]
    pub fn take<const LONE: usize>(
        &self,
        rates: &Rates,
        charge: &Charge<LONE>,
        now: Moment,
    ) -> Result<(), Limited> {
        let (Some(line), Some(wide)) = (self.line(charge.line), self.wide(charge.wide)) else {
            return Ok(());
        };
        let intervals = rates.intervals(Charge::<LONE>::V6);
        let window = rates.window;
        let [own, net] = charge.pairs.map(|places| Pair::of(line, places, now, window));
        let alone = Charge::<LONE>::ALONE.map(|place| cell(line, place));
        // What would be spent with one more. Both are minutes at most, of the nine that there are: nothing overflows.
        let [of_address, of_narrow, of_alone] = intervals.narrow;
        let spent_own = own.spent().wrapping_add(of_address);
        let spent_net = net.spent().wrapping_add(of_narrow);
        let spent_alone = alone.map(|cell| debt(cell, now, window).wrapping_add(of_alone));
        let spent_wide = debt(wide, now, window).wrapping_add(intervals.wide);
        let most = spent_alone.iter().copied().fold(spent_net.max(spent_wide), u32::max);
        if spent_own.max(most) > window {
            return Err(if spent_own > window { Limited::Address } else { Limited::Prefix });
        }
        if charge.is_syn {
            let pair = Pair::of(line, charge.syn(), now, window);
            let spent = pair.spent().wrapping_add(intervals.syn);
            if spent > window {
                return Err(Limited::Syn);
            }
            pair.charge(spent, now);
        }
        own.charge(spent_own, now);
        net.charge(spent_net, now);
        for (cell, spent) in alone.into_iter().zip(spent_alone) {
            cell.store(now.0.wrapping_add(spent), Ordering::Relaxed);
        }
        wide.store(now.0.wrapping_add(spent_wide), Ordering::Relaxed);
        Ok(())
    }
}

/// The time that `cell` is ahead of `now`: a window, and what a reload or another worker's clock makes of it, at most. None for one that is
/// behind, or further ahead than can be: it was not touched for long.
#[inline]
fn debt(cell: &AtomicU32, now: Moment, window: u32) -> u32 {
    let ahead = cell.load(Ordering::Relaxed).wrapping_sub(now.0);
    // A minute and a second at most.
    if ahead > window.wrapping_add(AHEAD) { 0 } else { ahead }
}

/// The cell at `place` of the line.
#[inline]
fn cell(Line(line): &Line, place: u8) -> &AtomicU32 {
    let [first, ..] = line;
    // Less than all, so that nothing is to be checked.
    line.get(usize::from(place) & (CELLS - 1)).unwrap_or(first)
}

/// The two cells of a bucket.
#[derive(Clone, Copy)]
struct Pair<'a> {
    cells: [&'a AtomicU32; 2],
    debts: [u32; 2],
}

impl<'a> Pair<'a> {
    /// The cells at `places` of the line.
    #[inline]
    fn of(line: &'a Line, places: [u8; 2], now: Moment, window: u32) -> Self {
        let cells = places.map(|place| cell(line, place));
        Self { cells, debts: cells.map(|cell| debt(cell, now, window)) }
    }

    /// What is spent: the less of the two.
    #[inline]
    fn spent(&self) -> u32 {
        let [one, other] = self.debts;
        one.min(other)
    }

    /// Raises both cells to `spent`, which is more than what was.
    #[inline]
    fn charge(&self, spent: u32, now: Moment) {
        for (cell, debt) in self.cells.iter().zip(self.debts) {
            if debt < spent {
                cell.store(now.0.wrapping_add(spent), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
