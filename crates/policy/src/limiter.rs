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
//!  IPv6          /128: 6  /64: 5  /48: 2     TCP: 3                      /32
//! ```
//!
//! A request touches one line and one wide cell. Which cells of the line belong to an address is again told by keyed bits, two cells for
//! each: what it has spent is the *less* of the two, and a charge raises a cell no higher than that (a count-min sketch with
//! conservative update: Cormode and Muthukrishnan 2005, Estan and Varghese 2002).
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

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::rates::Rates;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

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
#[repr(align(64))]
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
    lines: Box<[Line]>,
    wide: Box<[AtomicU32]>,
    tally: Tally,
}

/// What is asked for: whose buckets, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Chooses the line.
    line: u64,
    /// Chooses pairs within it, one for each kind of bucket.
    pairs: [u64; 4],
    wide: u16,
    /// Kinds of buckets that the family has, besides that for TCP: `[first cell, cells]`.
    kinds: &'static [[usize; 2]],
    v6: bool,
    syn: bool,
}

/// Where the kinds of buckets lie in a line: first cell, and how many. TCP's come last.
const V4: [[usize; 2]; 3] = [[0, 8], [8, 4], [12, 4]];
const V6: [[usize; 2]; 4] = [[0, 6], [6, 5], [11, 2], [13, 3]];

impl Charge {
    /// For a probe to `address`; `hash` are 64 keyed bits of its /24.
    #[must_use]
    #[inline]
    pub fn v4(address: Ipv4Addr, hash: u64, syn: bool) -> Self {
        let bits = address.to_bits();
        let [high, low, ..] = address.octets();
        Self {
            line: hash,
            pairs: [mix(hash, u64::from(bits)), mix(hash, 1 << 32), mix(hash, 2 << 32), 0],
            wide: u16::from_be_bytes([high, low]),
            kinds: &V4,
            v6: false,
            syn,
        }
    }

    /// For a probe to `address`; `hashes` are 64 keyed bits of its /48, and of its /32.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "any 16 bits of a hash do")]
    pub fn v6(address: Ipv6Addr, hashes: [u64; 2], syn: bool) -> Self {
        let [hash, wide] = hashes;
        let bits = address.to_bits();
        let (net, host) = ((bits >> 64) as u64, bits as u64);
        let subnet = mix(hash, net);
        Self {
            line: hash,
            pairs: [mix(subnet, host), subnet, mix(hash, 1), mix(hash, 2)],
            wide: wide as u16,
            kinds: &V6,
            v6: true,
            syn,
        }
    }
}

/// Bits of `a`, which are keyed, and of `b`: a multiplication folded, whose result tells neither.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
fn mix(a: u64, b: u64) -> u64 {
    let product =
        u128::from(a ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(u128::from(b ^ a.rotate_left(32)));
    (product >> 64) as u64 ^ product as u64
}

impl Limiter {
    /// Buckets in `lines` lines of 64 bytes, rounded up to a power of 2, all full.
    #[must_use]
    pub fn new(lines: usize) -> Self {
        let lines = lines.clamp(1, 1 << 26).next_power_of_two();
        let full = |_| AtomicU32::new(0);
        Self {
            lines: (0..lines).map(|_| Line(std::array::from_fn(full))).collect(),
            wide: (0..WIDE).map(full).collect(),
            tally: Tally::default(),
        }
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
        // Their number is a power of 2, and not 0.
        self.lines.get(hash as usize & self.lines.len().wrapping_sub(1))
    }

    /// Takes a token out of each bucket of `charge`, or none if one of them is empty: then it is said which.
    #[inline]
    pub fn take(&self, rates: &Rates, charge: &Charge, now: Moment) -> Result<(), Limited> {
        let (Some(line), Some(wide)) =
            (self.line(charge.line), self.wide.get(usize::from(charge.wide) & (WIDE - 1)))
        else {
            return Ok(());
        };
        let intervals = rates.intervals(charge.v6);
        let (kinds, last) = charge.kinds.split_at(charge.kinds.len().saturating_sub(1));
        let mut pairs = [None; V6.len()];
        for (((place, kind), pair), interval) in
            kinds.iter().enumerate().zip(&charge.pairs).zip(&intervals.narrow)
        {
            let found = Pair::of(line, *kind, *pair, now, rates.window);
            let limited = if place == 0 { Limited::Address } else { Limited::Prefix };
            found.afford(*interval, rates.window).ok_or(limited)?;
            if let Some(slot) = pairs.get_mut(place) {
                *slot = Some((found, *interval));
            }
        }
        let spent = debt(wide, now, rates.window);
        if spent.saturating_add(intervals.wide) > rates.window {
            return Err(Limited::Prefix);
        }
        if charge.syn
            && let (Some(kind), Some(pair)) = (last.first(), charge.pairs.get(kinds.len()))
        {
            let found = Pair::of(line, *kind, *pair, now, rates.window);
            found.afford(intervals.syn, rates.window).ok_or(Limited::Syn)?;
            found.charge(intervals.syn, now);
        }
        for (pair, interval) in pairs.iter().flatten() {
            pair.charge(*interval, now);
        }
        wide.store(now.0.wrapping_add(spent).wrapping_add(intervals.wide), Ordering::Relaxed);
        Ok(())
    }
}

/// The time that `cell` is ahead of `now`, the whole window at most; none for one that is behind, or further ahead than can be: it was
/// not touched for long.
#[inline]
fn debt(cell: &AtomicU32, now: Moment, window: u32) -> u32 {
    let ahead = cell.load(Ordering::Relaxed).wrapping_sub(now.0);
    if ahead > window.saturating_add(AHEAD) { 0 } else { ahead.min(window) }
}

/// The two cells of a bucket.
#[derive(Clone, Copy)]
struct Pair<'a> {
    cells: [&'a AtomicU32; 2],
    debts: [u32; 2],
}

impl<'a> Pair<'a> {
    /// The pair that `hash` chooses among the cells of `kind`.
    #[inline]
    fn of(line: &'a Line, kind: [usize; 2], hash: u64, now: Moment, window: u32) -> Self {
        let [start, cells] = kind;
        // Each half of a hash, scaled to how many there are to choose from.
        let scale =
            |bits: u64, n: usize| ((bits & 0xffff_ffff).wrapping_mul(n as u64) >> 32) as usize;
        let one = scale(hash, cells);
        let step = scale(hash >> 32, cells.saturating_sub(1)).saturating_add(1);
        let other = one.saturating_add(step);
        let other = if other >= cells { other.saturating_sub(cells) } else { other };
        let [first, ..] = &line.0;
        let cell = |place: usize| line.0.get(start.saturating_add(place)).unwrap_or(first);
        let cells = [cell(one), cell(other)];
        Self { cells, debts: cells.map(|cell| debt(cell, now, window)) }
    }

    #[inline]
    fn spent(&self) -> u32 {
        let [one, other] = self.debts;
        one.min(other)
    }

    /// Whether one more fits into the window.
    #[inline]
    fn afford(&self, interval: u32, window: u32) -> Option<()> {
        (self.spent().saturating_add(interval) <= window).then_some(())
    }

    /// Raises both cells to what is spent with one more.
    #[inline]
    fn charge(&self, interval: u32, now: Moment) {
        let spent = self.spent().saturating_add(interval);
        for (cell, debt) in self.cells.iter().zip(self.debts) {
            if debt < spent {
                cell.store(now.0.wrapping_add(spent), Ordering::Relaxed);
            }
        }
    }
}

mod sweep;

pub use sweep::Sweep;

#[cfg(test)]
mod tests;
