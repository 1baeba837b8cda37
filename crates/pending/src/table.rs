//! The table: where a key may lie, how it gets there, and how it is taken out.

use std::fmt;
use std::hint::black_box;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::error::Error;
use crate::seats::{Receiver, Seat, Seats};
use crate::siphash::sip13_128;
use crate::slot::{Data, Fingerprint, Slot, Tag};
use crate::survey::{Rare, Survey, rare};
use crate::ticks::Lifetime;

/// Slots of a bucket: what a cache line of 64 bytes holds.
pub(crate) const SLOTS: usize = 4;

/// The most entries of a table: 32 GiB of memory.
pub const MAX_ENTRIES: usize = 1 << 30;

/// Slots that an entry pays for. With two, a table that holds all the entries it was made for still takes
/// 996 of 1,000 inserts (`examples/refusals.rs`); with 4/3, only 880.
const SLOTS_PER_ENTRY: usize = 2;

/// Turns the bits that choose the first bucket into others: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// One cache line of a table's memory, see [`Table::new_in`].
#[repr(align(64))]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
pub struct Bucket {
    pub(crate) slots: [Slot; SLOTS],
}

/// How a table asks memory for a line before it is needed.
///
/// Safe Rust has no instruction for that; who has one lends it as a type of its own, so that it costs no call.
pub trait Prefetch: 'static {
    /// Whether there is no such instruction: the lines of a burst are then loaded together, by [`Table::fetch`].
    const WAITS: bool = false;

    /// Asks for the line that `place` begins in, without waiting for it.
    fn prefetch<T>(place: &T);
}

/// No prefetch.
#[derive(Debug, Clone, Copy)]
pub enum Loads {}

impl Prefetch for Loads {
    const WAITS: bool = true;

    #[inline]
    fn prefetch<T>(_: &T) {}
}

/// Where the buckets are.
pub(crate) enum Memory {
    Own(Vec<Bucket>),
    Lent(&'static [Bucket]),
}

impl Deref for Memory {
    type Target = [Bucket];

    #[inline]
    fn deref(&self) -> &[Bucket] {
        match self {
            Self::Own(buckets) => buckets,
            Self::Lent(buckets) => buckets,
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bucket")
    }
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bucket>() == 64 && align_of::<Bucket>() == 64);

impl Bucket {
    fn empty() -> Self {
        Self { slots: std::array::from_fn(|_| Slot::empty()) }
    }

    /// Slots that held the key a moment ago, each by one comparison and none by a branch: in which slot a key lies is
    /// as good as random.
    #[inline]
    fn candidates(&self, key: Fingerprint) -> impl Iterator<Item = &Slot> {
        let mut bit = 1_u32;
        let mut left = self.slots.iter().fold(0, |set, slot| {
            let here = u32::from(slot.tag().is_live_of(key)).wrapping_mul(bit);
            bit = bit.wrapping_mul(2);
            set | here
        });
        std::iter::from_fn(move || {
            let slot = self.slots.get(left.trailing_zeros() as usize)?;
            left &= left.wrapping_sub(1);
            Some(slot)
        })
    }

    /// Whether a slot has the fingerprint of `key`, be it expired or empty. Reads all: which of them has it is random.
    #[inline]
    fn has_twin(&self, key: Fingerprint) -> bool {
        self.slots.iter().fold(false, |any, slot| any | slot.tag().is_of(key))
    }

    #[inline]
    fn touch(&self) -> u64 {
        let [first, ..] = &self.slots;
        first.touch()
    }
}

/// How a table is to be. It has no `Debug`, because it holds the secret.
#[derive(Clone, Copy)]
pub struct Settings {
    /// Entries that can be used, 1 to [`MAX_ENTRIES`]; each costs 32 bytes.
    pub entries: usize,
    /// How long an entry lives, in the ticks that all calls use; 1 to [`MAX_TIMEOUT_TICKS`](crate::MAX_TIMEOUT_TICKS).
    pub timeout_ticks: u64,
    /// Random words, new for each process, so that nobody outside can aim at one bucket or guess a cookie.
    pub secret: [u64; 2],
}

/// Where a key lies, and its cookie: the key's hash under the table's secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hash {
    /// Chooses both buckets (all bits) and is the fingerprint (the low 48).
    place: u64,
    cookie: u64,
}

impl Hash {
    /// 64 keyed bits that belong to the key and tell nothing of its place: for the fields of a probe that we are
    /// free to choose, and that an answer's quote must then show.
    #[inline]
    #[must_use]
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    #[inline]
    fn fingerprint(self) -> Fingerprint {
        Fingerprint::new(self.place)
    }
}

/// Which of a key's lines will be needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lines {
    /// The one that a [`take`](Table::take) reads first, and mostly alone.
    First,
    /// Both: what an [`insert`](Table::insert) reads.
    Both,
}

/// What became of an insert.
#[must_use = "a refused insert has left nothing pending"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insert {
    /// The entry is in the table.
    New,
    /// The key was pending for the same request identifier; its time is now the newer one, and the entry is one
    /// [`again`](Entry::again).
    Replaced,
    /// The key is pending for another request identifier or for somebody's [seat](Table::seat), or another core is just putting it in. Nothing was
    /// changed: try another probe identifier.
    Conflict,
    /// Both buckets are full of live entries, none of which is given up. Nothing was changed.
    Full,
}

/// Who gets the response to a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// The probe's target: it has asked. The identifier of its request, which the response must carry.
    Target(u16),
    /// Another, see [`Table::leave`].
    Seat(Seat),
}

/// What was pending for a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Who gets the response.
    pub whose: Whose,
    /// Ticks from the insert to the take; 0 if the taker's clock reading is the older one.
    pub age_ticks: u64,
    /// It [replaced](Insert::Replaced) another one: there are two probes of this key, and nothing tells which of them is
    /// answered. Then the age says only since when there are two.
    pub again: bool,
}

impl Entry {
    /// What tag and data of a live slot say.
    #[inline]
    pub(crate) fn of(tag: Tag, data: Data, age_ticks: u64) -> Self {
        let whose = if tag.is_seated() {
            Whose::Seat(Seat(data))
        } else {
            Whose::Target(data.request_id())
        };
        Self { whose, age_ticks, again: tag.is_again() }
    }
}

/// The table of pending probes, shared by all workers. The crate's text draws it.
pub struct Table<P = Loads> {
    /// At least two, never resized.
    pub(crate) buckets: Memory,
    pub(crate) lifetime: Lifetime,
    secret: [u64; 2],
    entries: usize,
    pub(crate) seats: Seats,
    prefetch: PhantomData<fn(P)>,
}

impl<P> fmt::Debug for Table<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("entries", &self.entries)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl Table {
    /// A table that [waits for its lines](Loads), in memory of its own; see [`with_prefetch`](Self::with_prefetch).
    ///
    /// # Errors
    /// Settings outside their limits; memory that the allocator refuses.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Self::with_prefetch(settings)
    }

    /// The buckets of a table of `entries`.
    ///
    /// # Errors
    /// A number outside its limits.
    pub fn buckets_for(entries: usize) -> Result<usize, Error> {
        if !(1..=MAX_ENTRIES).contains(&entries) {
            return Err(Error::Entries { asked: entries });
        }
        Ok(entries.saturating_mul(SLOTS_PER_ENTRY).div_ceil(SLOTS).max(2))
    }
}

impl<P: Prefetch> Table<P> {
    /// Allocates the table and writes all of it once, so that the memory is there, on the caller's NUMA node,
    /// before the first packet.
    ///
    /// # Errors
    /// Settings outside their limits; memory that the allocator refuses. (A system that overcommits may grant
    /// more than it has and end the process in this call.)
    pub fn with_prefetch(settings: Settings) -> Result<Self, Error> {
        let entries = settings.entries;
        let count = Table::buckets_for(entries)?;
        let mut buckets = Vec::new();
        buckets.try_reserve_exact(count).map_err(|source| Error::Memory { entries, source })?;
        buckets.resize_with(count, Bucket::empty);
        Self::over(Memory::Own(buckets), settings)
    }

    /// A table in memory that the caller has: all zeros, [`buckets_for`](Table::buckets_for) buckets at least; the rest is
    /// not used. In huge pages, a random look-up does not miss the address translation besides the cache.
    ///
    /// # Errors
    /// As [`with_prefetch`](Self::with_prefetch); memory that is too small.
    pub fn new_in(memory: &'static mut [Bucket], settings: Settings) -> Result<Self, Error> {
        let needed = Table::buckets_for(settings.entries)?;
        let given = memory.len();
        let buckets = memory.get(..needed).ok_or(Error::Given { needed, given })?;
        Self::over(Memory::Lent(buckets), settings)
    }

    fn over(buckets: Memory, settings: Settings) -> Result<Self, Error> {
        let Settings { entries, timeout_ticks, secret } = settings;
        let lifetime =
            Lifetime::new(timeout_ticks).ok_or(Error::Timeout { asked: timeout_ticks })?;
        let seats = Seats::new();
        Ok(Self { buckets, lifetime, secret, entries, seats, prefetch: PhantomData })
    }

    /// Entries that can be used, as set.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.entries
    }

    /// The memory of the buckets: 32 bytes an entry, 128 at least. (Seats take 128 KiB besides.)
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// Ticks after which an entry is expired, as set.
    #[must_use]
    pub fn timeout_ticks(&self) -> u64 {
        self.lifetime.timeout_ticks()
    }

    /// Buckets of the table: what a full [`sweep`](Self::sweep) passes.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// The hash of a key of `words` and the 56 low bits of `tail`, for all other calls. Hash once a packet.
    #[inline]
    #[must_use]
    pub fn hash<const N: usize>(&self, words: &[u64; N], tail: u64) -> Hash {
        let (place, cookie) = sip13_128(self.secret, words, tail);
        Hash { place, cookie }
    }

    /// Asks for the lines that one packet will need, without waiting for them, if there is a [prefetch](Prefetch).
    ///
    /// To be called as soon as the hash is known: a processor takes a few prefetches at a time, so they are
    /// spread over the work on a burst.
    #[inline]
    pub fn prefetch(&self, hash: Hash, lines: Lines) {
        if !P::WAITS {
            self.each_line(hash, lines, P::prefetch);
        }
    }

    /// Fetches the lines of a whole burst, if there is no prefetch.
    ///
    /// It is a loop of ordinary loads whose values nobody uses. The processor goes on past a load that misses the cache
    /// until its window of a few hundred instructions is full, and the loop is so short that the misses of many
    /// packets fit into that window. In between other work they would not.
    #[inline]
    pub fn fetch(&self, burst: impl IntoIterator<Item = (Hash, Lines)>) {
        if P::WAITS {
            let mut touched = 0;
            for (hash, lines) in burst {
                self.each_line(hash, lines, |bucket| touched ^= bucket.touch());
            }
            black_box(touched);
        }
    }

    /// Asks for the second line of a key that is not in its first one, which has [arrived](Self::prefetch) by now: before
    /// a run of [`take`](Self::take)s, so that those of the few that need it overlap.
    #[inline]
    pub fn prefetch_second(&self, hash: Hash) {
        if P::WAITS {
            return;
        }
        if let Some([primary, secondary]) = self.pair(hash)
            && !primary.has_twin(hash.fingerprint())
        {
            P::prefetch(secondary);
        }
    }

    #[inline]
    fn each_line(&self, hash: Hash, lines: Lines, mut ask: impl FnMut(&Bucket)) {
        let Some([primary, secondary]) = self.pair(hash) else { return };
        ask(primary);
        if lines == Lines::Both {
            ask(secondary);
        }
    }

    /// Makes the key pending, sent at `now`.
    ///
    /// Lock-free: it starts over only when another core changed the slot that it was about to claim.
    /// When several cores put in *the same* key at the same instant, most often one gets [`Insert::New`] and the others find it; while
    /// slots are freed around them, two may get `New`, and the key is then pending twice.
    #[inline]
    pub fn insert(&self, hash: Hash, request_id: u16, now: u64) -> Insert {
        self.insert_for(hash, Whose::Target(request_id), now)
    }

    /// The same for a probe whose response goes to whoever has `seat`, which was [given](Self::seat) at the same `now`. It replaces
    /// nothing: what is pending for the key already is a [conflict](Insert::Conflict).
    pub fn insert_seated(&self, hash: Hash, seat: Seat, now: u64) -> Insert {
        self.insert_for(hash, Whose::Seat(seat), now)
    }

    #[inline(always)]
    fn insert_for(&self, hash: Hash, whose: Whose, now: u64) -> Insert {
        // A pair there always is; who changes that gets refusals, not a panic.
        let Some([primary, secondary]) = self.pair(hash) else { return Insert::Full };
        let (key, window) = (hash.fingerprint(), self.lifetime.at(now));
        loop {
            let first = Survey::new(primary, key, window);
            // By far the most: nobody has the key, and there is room where a take looks first.
            let (outcome, vacant) =
                if !(first.has_twin() | secondary.has_twin(key)) && first.can_spare() {
                    (Insert::New, first.vacant())
                } else {
                    match rare(&first, secondary, key, whose, window) {
                        Rare::Claim(outcome, slot, seen) => (outcome, Some((slot, seen))),
                        Rare::Refuse(outcome) => return outcome,
                        Rare::Changed => continue,
                    }
                };
            let Some((slot, seen)) = vacant else { return Insert::Full };
            let (claim, data) = match whose {
                Whose::Target(id) if outcome == Insert::Replaced => {
                    (slot.claim_again(seen, key), Data::new(now, id))
                }
                Whose::Target(id) => (slot.claim(seen, key), Data::new(now, id)),
                Whose::Seat(Seat(data)) => (slot.claim_seated(seen, key), data),
            };
            if let Some(claim) = claim {
                claim.publish(data);
                return outcome;
            }
        }
    }

    /// Gives `receiver` a seat, for a probe of its own to somebody else that is sent `now`; [`insert_seated`](Self::insert_seated) comes next.
    /// `None`: too many are taken.
    ///
    /// It is free again when it is [left](Self::leave), or one time-out later.
    #[must_use = "a seat that nobody leaves is taken for a time-out"]
    pub fn seat(&self, receiver: Receiver, now: u64) -> Option<Seat> {
        self.seats.claim(receiver, self.lifetime, now)
    }

    /// Frees a seat and tells whose it was: for whoever took its entry, or was refused one. `None`: it expired, and may be another's.
    pub fn leave(&self, seat: Seat) -> Option<Receiver> {
        self.seats.leave(seat)
    }

    /// Whose a seat is, without freeing it. What other cores do next is not known.
    #[must_use]
    pub fn receiver(&self, seat: Seat) -> Option<Receiver> {
        self.seats.look(seat)
    }

    /// Takes out what is pending for the key. Of all cores that ask, one gets it; nobody gets what is expired.
    ///
    /// Lock-free: it looks at a slot again only when another core changed it. A key that is being replaced
    /// at this very moment is not found.
    #[inline]
    #[must_use = "the entry is gone from the table"]
    pub fn take(&self, hash: Hash, now: u64) -> Option<Entry> {
        for bucket in self.pair(hash)? {
            for slot in bucket.candidates(hash.fingerprint()) {
                loop {
                    let seen = slot.tag();
                    if !seen.is_live_of(hash.fingerprint()) {
                        break;
                    }
                    let data = slot.data();
                    let Some(age_ticks) = self.lifetime.age(data.sent(), now) else { break };
                    if slot.release(seen) {
                        return Some(Entry::of(seen, data, age_ticks));
                    }
                }
            }
        }
        None
    }

    /// Whether the key is pending at this moment, without taking it. What other cores do next is not known.
    #[must_use]
    pub fn is_pending(&self, hash: Hash, now: u64) -> bool {
        let mut slots = self.pair(hash).into_iter().flatten().flat_map(|bucket| &bucket.slots);
        slots.any(|slot| {
            slot.tag().is_live_of(hash.fingerprint())
                && self.lifetime.age(slot.data().sent(), now).is_some()
        })
    }

    /// The two buckets in which the key may lie, never the same one; always `Some`.
    #[inline]
    fn pair(&self, hash: Hash) -> Option<[&Bucket; 2]> {
        let [first, second] = self.buckets_of(hash);
        Some([self.buckets.get(first)?, self.buckets.get(second)?])
    }

    /// The numbers of the two buckets in which the key may lie, below [`buckets`](Self::buckets), the one that is filled first
    /// in front.
    ///
    /// For harnesses and debugging: a table of the same entries and secret elsewhere tells where a key lies in this one, so
    /// whoever knows the secret can aim at a pair of buckets. Nothing on the packet path needs to know it.
    #[inline]
    #[must_use]
    pub fn buckets_of(&self, hash: Hash) -> [usize; 2] {
        let count = self.buckets.len();
        let first = scale(hash.place, count);
        let step = scale(hash.place.wrapping_mul(SPREAD), count.wrapping_sub(1)).wrapping_add(1);
        let sum = first.wrapping_add(step);
        let second = if sum < count { sum } else { sum.wrapping_sub(count) };
        [first, second]
    }
}

/// Scales 64 random bits to 0..`range`: the top of the product, as good as a remainder and cheaper.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the result is below `range`, a usize")]
fn scale(random: u64, range: usize) -> usize {
    (u128::from(random).wrapping_mul(range as u128) >> 64) as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn table(entries: usize) -> Table {
        Table::new(Settings { entries, timeout_ticks: 100, secret: [1, 2] }).unwrap()
    }

    #[test]
    fn sizes_are_whole_lines_and_have_limits() {
        for entries in [1, 2, 3, 4, 5, 1000, 1001, 65_537] {
            let table = table(entries);
            assert_eq!(table.bytes(), entries.div_ceil(2).max(2) * 64);
            assert_eq!(table.buckets.as_ptr().addr() % 64, 0);
            assert_eq!((table.capacity(), table.timeout_ticks()), (entries, 100));
            assert_eq!(table.buckets() * 64, table.bytes());
        }
        for entries in [0, MAX_ENTRIES + 1, usize::MAX] {
            let error =
                Table::new(Settings { entries, timeout_ticks: 1, secret: [1, 2] }).unwrap_err();
            assert!(matches!(error, Error::Entries { asked } if asked == entries));
            assert!(error.to_string().contains("1 to 1073741824"), "{error}");
        }
        for timeout_ticks in [0, u64::MAX] {
            let error =
                Table::new(Settings { entries: 1, timeout_ticks, secret: [1, 2] }).unwrap_err();
            assert!(matches!(error, Error::Timeout { asked } if asked == timeout_ticks));
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let table = Table::new(Settings { entries: 4, timeout_ticks: 9, secret: [77_001, 77_002] });
        assert!(!format!("{table:?}").contains("7700"));
    }

    #[test]
    fn a_key_has_two_buckets_within_the_table_and_never_the_same() {
        for entries in [1, 3, 5, 6, 7, 1000] {
            let table = table(entries);
            let mut used = vec![0_u32; table.buckets()];
            for key in 0..8000_u64 {
                let pair = table.pair(table.hash(&[key], 0)).unwrap();
                assert!(!std::ptr::eq(pair[0], pair[1]));
                let told = table.buckets_of(table.hash(&[key], 0)).map(|at| &table.buckets[at]);
                assert!(std::ptr::eq(pair[0], told[0]) && std::ptr::eq(pair[1], told[1]));
                for bucket in pair {
                    let at = table.buckets.iter().position(|b| std::ptr::eq(b, bucket)).unwrap();
                    used[at] += 1;
                }
            }
            // 16,000 choices: over up to 500 buckets, none is left out by chance (e^-32 * 500), nor drawn much
            // more often than others where there are few.
            assert!(used.iter().all(|&n| n > 0), "{entries}: {used:?}");
            if entries < 10 {
                let (min, max) = (used.iter().min().unwrap(), used.iter().max().unwrap());
                assert!(max - min < 16_000 / 10, "{entries}: {used:?}");
            }
        }
    }

    #[test]
    fn extreme_hashes_stay_within_the_table() {
        for place in [0, 1, u64::MAX, 1 << 63, u64::MAX.wrapping_mul(SPREAD)] {
            for entries in [1, 5, 1 << 16] {
                assert!(table(entries).pair(Hash { place, cookie: 0 }).is_some());
            }
        }
    }

    #[test]
    fn most_entries_lie_in_their_first_bucket() {
        for (entries, percent) in [(1 << 12, 98), (1 << 13, 93), (1 << 14, 70)] {
            let table = table(1 << 14);
            let in_first = (0..entries)
                .filter(|&key| {
                    let hash = table.hash(&[key, 0], 0);
                    let _ = table.insert(hash, 1, 0);
                    let [first, _] = table.pair(hash).unwrap();
                    first.slots.iter().any(|slot| slot.tag().is_live_of(hash.fingerprint()))
                })
                .count() as u64;
            assert!(in_first * 100 >= entries * percent, "{in_first} of {entries}");
        }
    }
}
