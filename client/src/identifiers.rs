//! The identifiers of queries.
//!
//! A NAT keeps a mapping for each ICMP identifier, so few are used: one that was answered goes back on top of a stack and
//! is the next one taken. One that was not answered rests until a late answer can no longer be taken for another query's;
//! and so does one of a probe, whose answers show no difference between two uses of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long an identifier rests: twice what a packet may live (RFC 9293's MSL is 2 minutes, in practice 30 s
/// at most), which covers a responder's own time-out as well.
pub(crate) const REST: Duration = Duration::from_mins(1);

/// A pool of the identifiers 1 to 65535.
#[derive(Debug, Clone)]
pub struct Identifiers {
    /// Answered ones, the last on top.
    answered: Vec<u16>,
    /// Resting ones and when they may be used again, in that order.
    resting: VecDeque<(Instant, u16)>,
    /// The next one that was never used.
    fresh: u16,
    /// How many were never used.
    left: u16,
}

impl Identifiers {
    /// A full pool that begins at `first`.
    #[must_use]
    pub const fn new(first: u16) -> Self {
        Self { answered: Vec::new(), resting: VecDeque::new(), fresh: first, left: u16::MAX }
    }

    /// The identifier for the next query; never 0, which a UDP checksum cannot be. `None` if all are in use or resting.
    pub fn take(&mut self, now: Instant) -> Option<u16> {
        if let Some(identifier) = self.answered.pop() {
            return Some(identifier);
        }
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            let identifier = self.fresh.max(1);
            self.fresh = identifier.wrapping_add(1);
            return Some(identifier);
        }
        self.resting.pop_front_if(|(until, _)| *until <= now).map(|(_, identifier)| identifier)
    }

    /// Takes back an identifier whose query was answered, to be used again at once.
    pub fn answered(&mut self, identifier: u16) {
        self.answered.push(identifier);
    }

    /// Takes back an identifier that something may still be on its way for at `now`.
    pub fn rest(&mut self, identifier: u16, now: Instant) {
        self.resting.push_back((now + REST, identifier));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_last_answered_is_the_next_taken() {
        let now = Instant::now();
        let mut pool = Identifiers::new(7);
        let taken: Vec<_> = (0..3).map(|_| pool.take(now).unwrap()).collect();
        assert_eq!(taken, [7, 8, 9]);
        pool.answered(8);
        pool.answered(7);
        assert_eq!(pool.take(now), Some(7));
        assert_eq!(pool.take(now), Some(8));
        assert_eq!(pool.take(now), Some(10));
    }

    #[test]
    fn an_unanswered_one_rests() {
        let now = Instant::now();
        let mut pool = Identifiers::new(0xfffe);
        let mut seen = HashSet::new();
        while let Some(identifier) = pool.take(now) {
            assert!(seen.insert(identifier), "{identifier} twice");
        }
        assert_eq!(seen.len(), 65535);
        assert!(!seen.contains(&0));
        pool.rest(5, now);
        let late = now + REST;
        assert_eq!(pool.take(now + REST / 2), None);
        assert_eq!(pool.take(late), Some(5));
        assert_eq!(pool.take(late), None);
    }
}
