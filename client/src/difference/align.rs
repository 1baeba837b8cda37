//! Which hop of the one path is which of the other.

use super::{Course, Seen};

/// A step of the alignment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pair<'a> {
    /// One hop, or one in the place of the other.
    Both(&'a Seen, &'a Seen),
    /// Only the earlier path has it.
    Before(&'a Seen),
    /// Only the later one has it.
    After(&'a Seen),
}

/// A hop that silence stands for: nothing, but of two hops that may be meant the one that answers goes to the one that answers.
const GUESS: u32 = 1;
/// A hop that only one has.
const LONE: u32 = 20;
/// A hop in the place of another: less than one that only one has, or nothing would ever stand in the place of the last that
/// answered.
const REPLACED: u32 = 15;

/// The alignment that costs least; hops about which the other path knows nothing are left out.
pub(super) fn align<'a>(before: &'a Course, after: &'a Course) -> Vec<Pair<'a>> {
    let (a, b) = (&before.hops, &after.hops);
    // What the other path does not know is no fault of this one.
    let free = |other: &Course, taken: usize| {
        (taken == 0 && other.from_middle) || (taken == other.hops.len() && other.open_ended)
    };
    let lone_before = |at: usize| if free(after, at) { 0 } else { LONE };
    let lone_after = |at: usize| if free(before, at) { 0 } else { LONE };
    // cost[i][j]: of what is left from hop i of the one and j of the other.
    let mut cost = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..=a.len()).rev() {
        for j in (0..=b.len()).rev() {
            let mut ways = Vec::with_capacity(3);
            if i < a.len() && j < b.len() {
                ways.push(pairing(&a[i], &b[j]) + cost[i + 1][j + 1]);
            }
            if i < a.len() {
                ways.push(lone_before(j) + cost[i + 1][j]);
            }
            if j < b.len() {
                ways.push(lone_after(i) + cost[i][j + 1]);
            }
            cost[i][j] = ways.into_iter().min().unwrap_or(0);
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < a.len() || j < b.len() {
        let best = cost[i][j];
        if i < a.len() && j < b.len() && best == pairing(&a[i], &b[j]) + cost[i + 1][j + 1] {
            pairs.push(Pair::Both(&a[i], &b[j]));
            i += 1;
            j += 1;
        } else if i < a.len() && best == lone_before(j) + cost[i + 1][j] {
            if lone_before(j) > 0 {
                pairs.push(Pair::Before(&a[i]));
            }
            i += 1;
        } else {
            if lone_after(i) > 0 {
                pairs.push(Pair::After(&b[j]));
            }
            j += 1;
        }
    }
    pairs
}

fn pairing(a: &Seen, b: &Seen) -> u32 {
    match (a.is_same(b), a.addresses.is_empty() == b.addresses.is_empty()) {
        (true, true) => 0,
        (true, false) => GUESS,
        (false, _) => REPLACED,
    }
}
