//! The range of an address, in a tree of the ranges' first addresses.
//!
//! The tree is a B+ tree without pointers: all nodes are full, so that the place of a child follows from that of its parent. A node is
//! compared with the address as a whole, without a branch, and is one cache line. A million prefixes are at most two million ranges:
//! 6 levels for IPv4, 10 for IPv6, of which the upper ones stay in the cache.

use super::ranges::{Address, Ranges};

/// Keys, `N` a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree<A, const N: usize> {
    /// The root's level first; without keys, there is none. The last has all keys in their order, those above have in each node the
    /// lowest key of each of its children but the first.
    levels: Vec<Level<A, N>>,
    /// The value behind so many keys.
    values: Box<[u8]>,
}

type Level<A, const N: usize> = Box<[Node<A, N>]>;

/// Filled with the highest address where there are no more keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
struct Node<A, const N: usize>([A; N]);

impl<A: Address, const N: usize> Node<A, N> {
    /// The keys `keys`, of which the first `N` are taken.
    fn new(keys: impl Iterator<Item = A>) -> Self {
        let mut node = [A::MAX; N];
        node.iter_mut().zip(keys).for_each(|(place, key)| *place = key);
        Self(node)
    }

    /// How many keys are not above `address`.
    #[inline]
    fn rank(&self, address: A) -> usize {
        self.0.iter().map(|key| usize::from(*key <= address)).sum()
    }
}

impl<A: Address, const N: usize> Tree<A, N> {
    /// Children of a node.
    const CHILDREN: usize = N.saturating_add(1);

    pub(super) fn new(ranges: Ranges<A>) -> Self {
        let values = ranges.values.into_boxed_slice();
        if ranges.starts.is_empty() {
            return Self { levels: Vec::new(), values };
        }
        let leaves: Level<A, N> =
            ranges.starts.chunks(N).map(|keys| Node::new(keys.iter().copied())).collect();
        // Of each node of the level, the lowest key beneath it.
        let mut lowest: Vec<A> = ranges.starts.iter().copied().step_by(N.max(1)).collect();
        let mut levels = vec![leaves];
        while lowest.len() > 1 {
            let children = lowest.chunks(Self::CHILDREN);
            levels.push(children.map(|keys| Node::new(keys.iter().copied().skip(1))).collect());
            lowest = lowest.into_iter().step_by(Self::CHILDREN).collect();
        }
        levels.reverse();
        Self { levels, values }
    }

    /// The value of the range that `address` is in.
    ///
    /// Called, not inlined: most addresses are told without it.
    #[inline(never)]
    pub(super) fn get(&self, address: A) -> u8 {
        let mut place = 0;
        if let Some((leaves, above)) = self.levels.split_last() {
            for level in above {
                let rank = at(level, place).map_or(0, |node| node.rank(address));
                place = place.wrapping_mul(Self::CHILDREN).wrapping_add(rank);
            }
            let rank = at(leaves, place).map_or(0, |node| node.rank(address));
            place = place.wrapping_mul(N).wrapping_add(rank);
        }
        // The highest address is not below the filling either, and so led past the end.
        let value = self.values.get(place).or(self.values.last());
        value.copied().unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> usize {
        let nodes: usize = self.levels.iter().map(|level| size_of_val(&**level)).sum();
        nodes.saturating_add(self.values.len())
    }
}

/// The node at `place`, or the last, where the filling led past it.
#[inline]
fn at<A, const N: usize>(level: &[Node<A, N>], place: usize) -> Option<&Node<A, N>> {
    level.get(place).or(level.last())
}
