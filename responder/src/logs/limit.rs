//! How often a line may be written: what the outside can cause again and again must not fill a disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

use super::{AUDIT, REPEATS};

/// Lines of one place in the source in a [`WINDOW`].
const BURST: u64 = 20;
/// How long that many lines are enough.
const WINDOW: Duration = Duration::from_mins(1);

/// The limits, one for each place in the source that wrote such a line; those are few.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<Identifier, Limit>>);

impl Limits {
    /// Whether a line may be written; if so, how many of its kind were not since the last one.
    pub(super) fn pass(&self, metadata: &Metadata<'_>, now: Instant) -> Option<u64> {
        if !is_limited(metadata) {
            return Some(0);
        }
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limits.entry(metadata.callsite()).or_insert_with(|| Limit::new(now)).pass(now)
    }
}

/// Warnings are, and what is named so.
fn is_limited(metadata: &Metadata<'_>) -> bool {
    metadata.target() != AUDIT && (*metadata.level() <= Level::WARN || metadata.name() == REPEATS)
}

/// What one place wrote.
#[derive(Debug)]
struct Limit {
    /// When the window began.
    since: Instant,
    /// Lines written in it.
    written: u64,
    /// Lines not written since the last one that was.
    suppressed: u64,
}

impl Limit {
    const fn new(now: Instant) -> Self {
        Self { since: now, written: 0, suppressed: 0 }
    }

    fn pass(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.since) >= WINDOW {
            (self.since, self.written) = (now, 0);
        }
        if self.written < BURST {
            self.written += 1;
            Some(std::mem::take(&mut self.suppressed))
        } else {
            self.suppressed += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_lines_are_counted_instead() {
        let start = Instant::now();
        let mut limit = Limit::new(start);
        for _ in 0..BURST {
            assert_eq!(limit.pass(start), Some(0));
        }
        let later = start + WINDOW.mul_f64(0.999);
        assert_eq!((limit.pass(later), limit.pass(later)), (None, None));
        assert_eq!(limit.pass(start + WINDOW), Some(2));
        assert_eq!(limit.pass(start + WINDOW), Some(0), "told once");
    }
}
