//! Which parts of the address space the prefixes leave as they are: most of it, so that most addresses are not looked up at all.
//!
//! A bit for each /16 of IPv4, and for each of 65 536 groups of /32 of IPv6, says whether something in it may have another value than the
//! default: 8 KiB a family, which stay in the cache where a tree of a million prefixes does not.

use super::ranges::Ranges;

/// Groups of addresses.
const GROUPS: usize = 1 << 16;
/// Blocks (/16 or /32) that are looked at while a filter is made; one that would take more leaves nothing out.
const MOST_BLOCKS: u64 = 1 << 22;

/// One family's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    /// A bit a group; none where no address has another value.
    groups: Vec<u64>,
    default: u8,
}

/// An address as a filter sees it.
pub(super) trait Blocks: Copy {
    /// Its block: the bits that are looked at.
    fn block(self) -> u32;
    /// The group of a block.
    fn group(block: u32) -> u16;
}

impl Blocks for u32 {
    #[inline]
    fn block(self) -> u32 {
        self >> 16
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a block has 16 bits")]
    fn group(block: u32) -> u16 {
        block as u16
    }
}

impl Blocks for u128 {
    #[inline]
    fn block(self) -> u32 {
        (self >> 96) as u32
    }

    /// Neighbouring blocks lie in different groups, and the registries' prefixes apart.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    fn group(block: u32) -> u16 {
        ((block >> 16).wrapping_mul(0x9e37) ^ block) as u16
    }
}

impl Filter {
    /// Of `ranges`, where addresses that no prefix holds have `default`.
    pub(super) fn new<A: Blocks + super::ranges::Address>(default: u8, ranges: &Ranges<A>) -> Self {
        let mut filter = Self { groups: Vec::new(), default };
        let mut left = MOST_BLOCKS;
        // The first range begins at the lowest address; where another does too, it holds none.
        let starts = std::iter::once(A::MIN).chain(ranges.starts.iter().copied());
        let ends = ranges.starts.iter().copied().map(Some).chain([None]);
        for ((start, next), value) in starts.zip(ends).zip(&ranges.values) {
            if *value == default || next == Some(A::MIN) {
                continue;
            }
            // The block in which the next range begins is this one's too, unless it begins with it: then its bit is set for nothing.
            let last = next.unwrap_or(A::MAX).block();
            let blocks = u64::from(last.saturating_sub(start.block()));
            let Some(rest) = left.checked_sub(blocks) else {
                filter.groups = vec![u64::MAX; GROUPS / 64];
                return filter;
            };
            left = rest;
            for block in start.block()..=last {
                filter.note(A::group(block));
            }
        }
        filter
    }

    fn note(&mut self, group: u16) {
        if self.groups.is_empty() {
            self.groups = vec![0; GROUPS / 64];
        }
        if let Some(word) = self.groups.get_mut(usize::from(group >> 6)) {
            *word |= 1 << (group & 63);
        }
    }

    /// The value of `address` if it is told without a look-up: the default.
    #[inline]
    pub(super) fn known<A: Blocks>(&self, address: A) -> Option<u8> {
        let group = A::group(address.block());
        let word = self.groups.get(usize::from(group >> 6)).copied().unwrap_or_default();
        (word >> (group & 63) & 1 == 0).then_some(self.default)
    }

    /// Bytes that it takes besides itself.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ranges::Span;
    use super::*;

    #[test]
    fn only_what_is_near_a_prefix_is_looked_up() {
        let spans = vec![Span { start: 0xcb00_7100_u32, end: 0xcb00_71ff, value: 1 }];
        let filter = Filter::new(0, &Ranges::new(0, spans));
        assert_eq!(filter.known(0xcb00_7105_u32), None);
        assert_eq!(filter.known(0xcb00_0000_u32), None, "of the same /16");
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
}
