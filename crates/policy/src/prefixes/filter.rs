//! Which parts of the address space the prefixes leave as they are: most of it, so that most addresses are not looked up at all.
//!
//! Two bits for each /16 of IPv4, and for each of 65 536 groups of /32 of IPv6, say whether anything in it may have another value than the
//! default: 16 KiB a family, which stay in the cache where a tree of a million prefixes does not. Where something may, and it is in no more
//! than a few blocks, these are told apart: the /24 or /48 that hold something, or the addresses (/64 of IPv6) themselves if they are
//! very few. Each is three bits in a word that a hash tells (a blocked Bloom filter: Putze, Sanders and Singler 2009), in 8 to 16 bits of
//! memory for each.
//!
//! Nothing here is secret. Whoever chooses addresses for which all of it says "maybe" gets a walk of the tree for each, which has always
//! the same steps.

use std::ops::RangeInclusive;

use super::ranges::{Address, Ranges};

/// Groups of addresses.
const GROUPS: usize = 1 << 16;
/// Groups in a word.
const IN_WORD: usize = 32;
/// Blocks in a row among which is one of each group, wherever they begin.
const ALL_GROUPS: u64 = 2 * GROUPS as u64;
/// Wide blocks (/16 or /32) that are noted while a filter is made; one that would take more leaves nothing out.
const MOST_WIDE: u64 = 1 << 22;
/// Marks that are noted likewise. Ranges that need more than their share are noted by their wide blocks.
const MOST_MARKS: u64 = 1 << 22;
/// The most narrow blocks (/24 or /48) of one range that are noted.
const MOST_NARROW: u64 = 256;
/// The most addresses (or /64) of one range that are noted.
const MOST_HOSTS: u64 = 8;
/// Bits for marks at least: a few prefixes need not be taken for each other.
const LEAST_BITS: u64 = 1 << 12;

/// Something in the group has another value than the default, and marks say what.
const SOME: u64 = 1;
/// So much of the group has that marks do not say.
const MUCH: u64 = 2;

/// What is noted of a group, if anything is.
#[derive(Clone, Copy)]
pub(super) struct Noted(u64);

/// One family's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    /// Two bits a group; none where no address has another value.
    groups: Box<[u64]>,
    /// The marks of hosts and narrow blocks, in a power of 2 of words; none where none is noted.
    marks: Box<[u64]>,
    default: u8,
}

/// Tells narrow blocks from hosts; those of IPv6 that have this bit are none that ask for anything.
const NARROW: u64 = 1 << 63;

/// An address as a filter sees it.
pub(super) trait Blocks: Address {
    /// Its wide block.
    fn wide(self) -> u32;
    /// Its narrow block, with a bit that no host has.
    fn narrow(self) -> u64;
    /// What of it is told apart at most.
    fn host(self) -> u64;
    /// The group of a wide block.
    fn group(wide: u32) -> u16;
}

impl Blocks for u32 {
    #[inline]
    fn wide(self) -> u32 {
        self >> 16
    }

    #[inline]
    fn narrow(self) -> u64 {
        u64::from(self >> 8) | NARROW
    }

    #[inline]
    fn host(self) -> u64 {
        self.into()
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a block has 16 bits")]
    fn group(wide: u32) -> u16 {
        wide as u16
    }
}

impl Blocks for u128 {
    #[inline]
    fn wide(self) -> u32 {
        (self >> 96) as u32
    }

    #[inline]
    fn narrow(self) -> u64 {
        self.host() >> 16 | NARROW
    }

    #[inline]
    fn host(self) -> u64 {
        (self >> 64) as u64
    }

    /// Neighbouring blocks lie in different groups, and the registries' prefixes apart.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    fn group(wide: u32) -> u16 {
        ((wide >> 16).wrapping_mul(0x9e37) ^ wide) as u16
    }
}

/// How a range is noted besides its groups.
#[derive(Clone)]
enum Marks {
    /// By these hosts or narrow blocks.
    Few(RangeInclusive<u64>),
    /// Not: they would be too many.
    Many,
}

impl Marks {
    /// Of the range from `first` to `last`, which may need `share` at most.
    fn of<A: Blocks>((first, last): (A, A), share: u64) -> Self {
        let (hosts, narrow) = (first.host()..=last.host(), first.narrow()..=last.narrow());
        if count(&hosts) <= share.min(MOST_HOSTS) {
            Self::Few(hosts)
        } else if count(&narrow) <= share.min(MOST_NARROW) {
            Self::Few(narrow)
        } else {
            Self::Many
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Few(marks) => count(marks),
            Self::Many => 0,
        }
    }
}

fn count(range: &RangeInclusive<u64>) -> u64 {
    range.end().saturating_sub(*range.start()).saturating_add(1)
}

impl Filter {
    /// Of `ranges`, where addresses that no prefix holds have `default`.
    pub(super) fn new<A: Blocks>(default: u8, ranges: &Ranges<A>) -> Self {
        let mut filter = Self { groups: Box::default(), marks: Box::default(), default };
        let others = ranges.others(default).count();
        if others == 0 {
            return filter;
        }
        let share = MOST_MARKS.checked_div(others as u64).unwrap_or_default();
        let marks: u64 = ranges.others(default).map(|range| Marks::of(range, share).count()).sum();
        filter.groups = vec![0; GROUPS.div_ceil(IN_WORD)].into();
        if marks > 0 {
            let bits = marks.saturating_mul(8).next_power_of_two().max(LEAST_BITS);
            filter.marks = (0..bits.div_ceil(64)).map(|_| 0).collect();
        }
        let mut left = MOST_WIDE;
        for range in ranges.others(default) {
            let (first, last) = (range.0.wide(), range.1.wide());
            let blocks = u64::from(last.saturating_sub(first));
            // So many in a row are of every group there is.
            let rest = left.checked_sub(blocks).filter(|_| blocks < ALL_GROUPS);
            let Some(rest) = rest else {
                filter.groups.fill(u64::MAX);
                return filter;
            };
            left = rest;
            let marks = Marks::of(range, share);
            let what = if matches!(marks, Marks::Few(_)) { SOME } else { MUCH };
            for block in first..=last {
                filter.note_group(A::group(block), what);
            }
            if let Marks::Few(marks) = marks {
                marks.for_each(|mark| filter.note(mark));
            }
        }
        filter
    }

    fn note_group(&mut self, group: u16, what: u64) {
        let (word, shift) = place(group);
        if let Some(word) = self.groups.get_mut(word) {
            *word |= what << shift;
        }
    }

    fn note(&mut self, mark: u64) {
        let (word, bits) = self.place(mark);
        if let Some(word) = self.marks.get_mut(word) {
            *word |= bits;
        }
    }

    /// The word of a mark, and its bits in it: of a product, folded.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
    fn place(&self, mark: u64) -> (usize, u64) {
        let product = u128::from(mark).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = (product >> 64) as u64 ^ product as u64;
        let word = (hash >> 18) as usize & self.marks.len().wrapping_sub(1);
        let bit = |shift: u32| 1 << (hash >> shift & 63);
        (word, bit(0) | bit(6) | bit(12))
    }

    /// The value of `address` if nothing is in its group: the default. Else what is noted of the group.
    #[inline]
    pub(super) fn far<A: Blocks>(&self, address: A) -> Result<u8, Noted> {
        let (word, shift) = place(A::group(address.wide()));
        let noted = self.groups.get(word).map_or(0, |word| word >> shift) & (SOME | MUCH);
        if noted == 0 { Ok(self.default) } else { Err(Noted(noted)) }
    }

    /// The value of `address`, of whose group something is `noted`, if it is told without a look-up: the default.
    #[inline]
    pub(super) fn unmarked<A: Blocks>(&self, address: A, noted: Noted) -> Option<u8> {
        (noted.0 == SOME && !self.has_marks(address)).then_some(self.default)
    }

    /// Whether the address or its narrow block may be noted.
    #[inline]
    fn has_marks<A: Blocks>(&self, address: A) -> bool {
        let is_noted = |mark| {
            let (word, bits) = self.place(mark);
            self.marks.get(word).is_none_or(|word| word & bits == bits)
        };
        // Both are read, whatever the first says: the one would be waited for before the other is asked for.
        is_noted(address.narrow()) | is_noted(address.host())
    }

    /// Bytes that it takes besides itself.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.groups).saturating_add(size_of_val(&*self.marks))
    }
}

/// The word of a group, and how far its bits are from the lowest.
#[inline]
fn place(group: u16) -> (usize, u32) {
    (usize::from(group >> 5), u32::from(group & 31) << 1)
}

#[cfg(test)]
mod tests {
    use super::super::ranges::Span;
    use super::*;

    impl Filter {
        /// The value of `address` if it is told without a look-up.
        fn known<A: Blocks>(&self, address: A) -> Option<u8> {
            self.far(address).map_or_else(|noted| self.unmarked(address, noted), Some)
        }
    }

    #[test]
    fn only_what_is_near_a_prefix_is_looked_up() {
        let spans = vec![Span { start: 0xcb00_7100_u32, end: 0xcb00_71ff, value: 1 }];
        let filter = Filter::new(0, &Ranges::new(0, spans));
        assert_eq!(filter.known(0xcb00_7105_u32), None);
        assert_eq!(filter.known(0xcb00_7000_u32), Some(0), "of the same /16");
        assert_eq!(filter.known(0xcb01_0000_u32), Some(0));
        let set: u32 = filter.groups.iter().map(|word| word.count_ones()).sum();
        assert_eq!(set, 1);
        let none = Filter::new(7, &Ranges::<u128>::new(7, Vec::new()));
        assert_eq!((none.known(5_u128), none.bytes()), (Some(7), 0));
    }

    /// Whatever is wide, or holds all, leaves nothing out, and takes no time.
    #[test]
    fn wide_prefixes_are_looked_up() {
        let all = vec![Span { start: 0, end: u128::MAX, value: 1 }];
        let filter = Filter::new(0, &Ranges::new(0, all));
        for address in [0, 1 << 96, 0x2001_0db8 << 96, u128::MAX] {
            assert_eq!(filter.known(address), None);
        }
        let ends = vec![
            Span { start: 0_u32, end: 0, value: 1 },
            Span { start: u32::MAX, end: u32::MAX, value: 1 },
        ];
        let filter = Filter::new(0, &Ranges::new(0, ends));
        assert_eq!([0, u32::MAX, 1 << 16].map(|bits| filter.known(bits)), [None, None, Some(0)]);
    }

    /// A /32 between the /48s of another, and of others in its group: each is looked up as it needs.
    #[test]
    fn wide_and_narrow_prefixes_side_by_side() {
        // Of equal values, the first two would be one range.
        let net = |bits: u128, len: u32, value| {
            let start = bits << 96;
            Span { start, end: start | u128::MAX.checked_shr(len).unwrap_or(0), value }
        };
        let spans =
            vec![net(0x2001_0db8, 32, 1), net(0x2001_0db9, 48, 2), net(0x2001_0dba, 128, 1)];
        let filter = Filter::new(0, &Ranges::new(0, spans));
        let known = |high: u128| filter.known(high << 80);
        assert_eq!(known(0x2001_0db8_0000), None);
        assert_eq!(known(0x2001_0db8_ffff), None);
        assert_eq!(known(0x2001_0db9_0000), None);
        assert_eq!(known(0x2001_0db9_8000), Some(0));
        assert_eq!(known(0x2001_0dba_0000), None, "the /64 that the address is in");
        assert_eq!(filter.known(0x2001_0dba_0000_0001_u128 << 64), Some(0));
        assert_eq!(known(0x2001_0dba_8000), Some(0));
        assert_eq!(known(0x2001_0dbb_0000), Some(0));
    }

    /// Of a hundred thousand prefixes, most neighbours are told without a look-up, whatever hash bits they share.
    #[test]
    fn few_strangers_are_taken_for_noted() {
        let spread = |place: u32| place.wrapping_mul(0x9e37_79b1);
        let v4 = (0..100_000).map(|n| spread(n) & !0xff);
        let filter = Filter::new(
            0,
            &Ranges::new(0, v4.map(|start| Span { start, end: start | 0xff, value: 1 }).collect()),
        );
        let strangers = (0..100_000_u32).map(|n| n.wrapping_mul(0x85eb_ca77) ^ 0x5555);
        let walked = strangers.filter(|address| filter.known(*address).is_none()).count();
        assert!(walked < 4000, "{walked} of 100000");
        let v6 = |n: u32| u128::from(0x2a00_0000_0000_u64 + u64::from(spread(n))) << 80;
        let spans =
            (0..100_000).map(|n| Span { start: v6(n), end: v6(n) | u128::MAX >> 48, value: 1 });
        let filter = Filter::new(0, &Ranges::new(0, spans.collect()));
        let walked = (100_000..200_000).filter(|n| filter.known(v6(*n)).is_none()).count();
        assert!(walked < 4000, "{walked} of 100000");
    }
}
