//! How often a line may be written: what the outside can cause again and again must not fill a disk.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, info, warn};

use super::{AUDIT, REPEATS};

/// Lines of one place in the source in a [`WINDOW`].
const BURST: u64 = 20;
/// How long that many lines are enough.
const WINDOW: Duration = Duration::from_mins(1);

/// The name of events that tell how many lines were not written. There is one a place and window at most: they are not limited.
const LEFT_OUT: &str = "left out";

/// The limits, one for each place in the source that wrote such a line; those are few.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<Identifier, Limit>>);

impl Limits {
    /// Whether the line of `event` may be written; if so, how many of its kind were not since the last one.
    pub(super) fn pass(&self, event: &Event<'_>, now: Instant) -> Option<u64> {
        let metadata = event.metadata();
        if !is_limited(metadata) {
            return Some(0);
        }
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Limit::new(*metadata.level(), now);
        let limit = limits.entry(metadata.callsite()).or_insert_with(new);
        let passed = limit.pass(now);
        if limit.suppressed == 1 {
            limit.words.clear();
            event.record(&mut Words(&mut limit.words));
        }
        passed
    }

    /// Writes how many lines were not written of those kinds whose window is over at `now`, for no line came to tell it; of all kinds
    /// if this is the end, which has no `now`.
    pub(super) fn tell(&self, now: Option<Instant>) {
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out: Vec<LeftOut> =
            limits.values_mut().filter_map(|limit| limit.left_out(now)).collect();
        // What is written now asks for the limits itself.
        drop(limits);
        for LeftOut { level, words: like, suppressed } in left_out {
            let why = format!("lines were left out: {BURST} a minute are enough of a kind");
            if level <= Level::WARN {
                warn!(name: LEFT_OUT, like, suppressed, "{why}");
            } else {
                info!(name: LEFT_OUT, like, suppressed, "{why}");
            }
        }
    }
}

/// Warnings are, and what is named so.
fn is_limited(metadata: &Metadata<'_>) -> bool {
    metadata.target() != AUDIT
        && metadata.name() != LEFT_OUT
        && (*metadata.level() <= Level::WARN || metadata.name() == REPEATS)
}

/// What an event says, without its fields.
struct Words<'a>(&'a mut String);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// Lines of one place that were not written.
#[derive(Debug, PartialEq, Eq)]
struct LeftOut {
    level: Level,
    /// What the first of them said.
    words: String,
    suppressed: u64,
}

/// What one place wrote.
#[derive(Debug)]
struct Limit {
    level: Level,
    /// When the window began.
    since: Instant,
    /// Lines written in it.
    written: u64,
    /// Lines not written since the last one that was.
    suppressed: u64,
    /// What the first of those said.
    words: String,
}

impl Limit {
    const fn new(level: Level, now: Instant) -> Self {
        Self { level, since: now, written: 0, suppressed: 0, words: String::new() }
    }

    fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.is_over(now) {
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

    /// Whether the window is.
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }

    /// What is to be told without waiting for another line, once: if there is something, and the window is over or this is the end.
    fn left_out(&mut self, now: Option<Instant>) -> Option<LeftOut> {
        if self.suppressed == 0 || now.is_some_and(|now| !self.is_over(now)) {
            return None;
        }
        Some(LeftOut {
            level: self.level,
            words: std::mem::take(&mut self.words),
            suppressed: std::mem::take(&mut self.suppressed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit of which all lines of a window are written, and `more` are not.
    fn exceeded(start: Instant, more: u64) -> Limit {
        let mut limit = Limit::new(Level::INFO, start);
        for _ in 0..BURST {
            assert_eq!(limit.pass(start), Some(0));
        }
        for _ in 0..more {
            assert_eq!(limit.pass(start), None);
        }
        limit
    }

    #[test]
    fn after_a_burst_lines_are_counted_instead() {
        let start = Instant::now();
        let mut limit = exceeded(start, 1);
        assert_eq!(limit.pass(start + WINDOW.mul_f64(0.999)), None);
        assert_eq!(limit.pass(start + WINDOW), Some(2));
        assert_eq!(limit.pass(start + WINDOW), Some(0), "told once");
    }

    #[test]
    fn if_no_line_comes_any_more_the_number_is_told_without_one() {
        let start = Instant::now();
        let mut limit = exceeded(start, 3);
        limit.words = "it is gone".into();
        assert_eq!(limit.left_out(Some(start + WINDOW.mul_f64(0.999))), None, "one may come");
        let told = LeftOut { level: Level::INFO, words: "it is gone".into(), suppressed: 3 };
        assert_eq!(limit.left_out(Some(start + WINDOW)), Some(told));
        assert_eq!(limit.left_out(Some(start + 2 * WINDOW)), None, "told once");
        assert_eq!(limit.pass(start + 2 * WINDOW), Some(0), "nor by the next line");
    }

    #[test]
    fn at_the_end_nobody_waits_for_a_line() {
        let start = Instant::now();
        let suppressed = |mut limit: Limit| limit.left_out(None).map(|told| told.suppressed);
        assert_eq!(suppressed(exceeded(start, 3)), Some(3));
        assert_eq!(suppressed(exceeded(start, 0)), None);
    }
}
