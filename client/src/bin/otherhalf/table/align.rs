//! Which hops of the two directions are one router.

use std::net::IpAddr;

use super::column::Entry;

/// The pairs of hops, one of each direction, that are one router: the most that keep their order when the way back is
/// read from its end (the longest common subsequence). Ends of the trace are no routers.
pub(super) fn shared(
    forward: &[Entry],
    reverse: &[Entry],
    same: &impl Fn(IpAddr, IpAddr) -> bool,
) -> Vec<(usize, usize)> {
    let is_one = |there: &Entry, back: &Entry| {
        !there.is_end
            && !back.is_end
            && there.addresses.iter().any(|a| back.addresses.iter().any(|b| a == b || same(*a, *b)))
    };
    // longest[i][j]: of forward from i on and of the first j of reverse.
    let mut longest = vec![vec![0u16; reverse.len() + 1]; forward.len() + 1];
    for (i, there) in forward.iter().enumerate().rev() {
        for (j, back) in reverse.iter().enumerate() {
            let with = |i: usize, j: usize| {
                longest.get(i).and_then(|row: &Vec<u16>| row.get(j)).copied().unwrap_or(0)
            };
            let best = if is_one(there, back) {
                with(i + 1, j) + 1
            } else {
                with(i + 1, j + 1).max(with(i, j))
            };
            if let Some(place) = longest.get_mut(i).and_then(|row| row.get_mut(j + 1)) {
                *place = best;
            }
        }
    }
    let length =
        |i: usize, j: usize| longest.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    let mut pairs = Vec::new();
    let (mut i, mut j) = (0, reverse.len());
    while let (Some(there), Some(back)) =
        (forward.get(i), j.checked_sub(1).and_then(|j| reverse.get(j)))
    {
        if is_one(there, back) {
            pairs.push((i, j - 1));
            i += 1;
            j -= 1;
        } else if length(i + 1, j) >= length(i, j - 1) {
            i += 1;
        } else {
            j -= 1;
        }
    }
    pairs
}
