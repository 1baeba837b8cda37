//! Whether a round-trip time changed, or only trembled.
//!
//! A time is the least of a hop and all hops behind it, as in [`crate::analyse`]: what a router takes for its answer is
//! none of the path. It changed if
//!
//! - it differs by at least [`LEAST_CHANGE_MS`], and
//! - by at least one part in [`LEAST_PART`] of the longer time, and
//! - no time measured at this hop in the one trace lies within those of the other, and
//! - the next hop that answers has changed by about as much, if there is one.
//!
//! Hops behind that change by about as much say the same again, and are not told.

use super::align::Pair;
use super::{Seen, TimeChange};

/// The least change that is told, in milliseconds.
pub const LEAST_CHANGE_MS: f64 = 10.0;
/// The least part of the longer time that is told is one in so many.
pub const LEAST_PART: f64 = 4.0;

/// The changes, each where it begins.
pub(super) fn changes(pairs: &[Pair]) -> Vec<TimeChange> {
    let timed: Vec<_> = pairs.iter().filter_map(timed).collect();
    let mut told = 0.0;
    let mut changes = Vec::new();
    for (at, (change, by)) in timed.iter().enumerate() {
        let is_borne_out = timed.get(at + 1).is_none_or(|(_, next)| is_alike(*by, *next));
        let now = if is_borne_out { *by } else { 0.0 };
        if now != 0.0 && !is_alike(now, told) {
            changes.push(change.clone());
        }
        told = now;
    }
    changes
}

/// What would be told of a hop, and by how much its time changed; 0 if that is noise.
fn timed(pair: &Pair) -> Option<(TimeChange, f64)> {
    let Pair::Both(a, b) = pair else { return None };
    // The times of another router are no change of this one's.
    if a.addresses.is_disjoint(&b.addresses) {
        return None;
    }
    let (before_ms, after_ms) = a.least_ms.zip(b.least_ms)?;
    let by = after_ms - before_ms;
    let by = if is_change(before_ms, after_ms) && are_apart(a, b, by) { by } else { 0.0 };
    Some((TimeChange { at: b.spot(), before_ms, after_ms }, by))
}

fn is_change(before_ms: f64, after_ms: f64) -> bool {
    let by = (after_ms - before_ms).abs();
    by >= LEAST_CHANGE_MS && by >= before_ms.max(after_ms) / LEAST_PART
}

/// Whether all times of the one lie on one side of all times of the other.
fn are_apart(a: &Seen, b: &Seen, by: f64) -> bool {
    let Some(((a_low, a_high), (b_low, b_high))) = a.range_ms.zip(b.range_ms) else { return false };
    if by > 0.0 { b_low > a_high } else { a_low > b_high }
}

/// Whether two changes are one, seen at two hops.
fn is_alike(a: f64, b: f64) -> bool {
    (a - b).abs() <= a.abs().max(b.abs()) / LEAST_PART
}
