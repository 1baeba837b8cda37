//! 48-bit send times: what is live, what is expired, and what happens when the counter wraps.
//!
//! A slot keeps the low 48 bits of the tick counter. Ages are differences modulo 2^48, so the wrap itself
//! is no event. The circle of ages is cut in three:
//!
//! ```text
//!   0 ......... timeout ................................ 2^48 - timeout ......... 2^48
//!   |   live    |               expired                 |  live, age 0           |
//! ```
//!
//! The last part is for workers that disagree on the time: each reads the counter once a burst, so an
//! entry may carry a time that is newer than the `now` of the worker that looks at it.
//!
//! What 48 bits cannot tell apart is a slot that nobody touched for a whole turn, 2^48 ticks (30 hours at
//! 2.6 GHz), from a fresh one. So no expired slot may grow that old: a full sweep at least every
//! 2^48 - 2 * timeout ticks frees each one in time. The responder's control thread
//! does so in minutes even for the largest table.

/// Width of a stored time.
pub(crate) const TIME_BITS: u32 = 48;

/// Mask of a stored time.
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// Width of what shares a word with it.
pub(crate) const OTHER_BITS: u32 = u64::BITS - TIME_BITS;
const OTHER_MASK: u64 = (1 << OTHER_BITS) - 1;

/// The longest time-out: both live parts of the circle together are then half of it.
pub const MAX_TIMEOUT_TICKS: u64 = 1 << (TIME_BITS - 2);

/// How long an entry lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    timeout: u64,
}

impl Lifetime {
    /// `None` when the time-out is zero or above [`MAX_TIMEOUT_TICKS`].
    pub(crate) fn new(timeout_ticks: u64) -> Option<Self> {
        (1..=MAX_TIMEOUT_TICKS).contains(&timeout_ticks).then_some(Self { timeout: timeout_ticks })
    }

    pub(crate) fn timeout_ticks(self) -> u64 {
        self.timeout
    }

    /// What is live at `now`.
    #[inline]
    pub(crate) fn at(self, now: u64) -> Window {
        let [end, span] = [now.wrapping_add(self.timeout), self.timeout.wrapping_mul(2)];
        Window { end: end << OTHER_BITS | OTHER_MASK, span: span << OTHER_BITS }
    }

    /// The age of what was sent at `sent` (low 48 bits count), or `None` when it is expired.
    #[inline]
    pub(crate) fn age(self, sent: u64, now: u64) -> Option<u64> {
        let age = now.wrapping_sub(sent) & TIME_MASK;
        let past = if age < self.timeout { age } else { 0 };
        self.at(now).holds(sent << OTHER_BITS).then_some(past)
    }

    /// Whether what was sent at `sent` expired so long ago that nobody can be at it any more, whatever clock they go by: a quarter of a
    /// turn, seven hours at 2.6 GHz.
    pub(crate) fn is_long_over(self, sent: u64, now: u64) -> bool {
        let age = now.wrapping_sub(sent) & TIME_MASK;
        age >= MAX_TIMEOUT_TICKS && self.age(sent, now).is_none()
    }
}

/// The send times that are live at one moment: the two live parts of the circle lie side by side, ending one time-out
/// from now. In the upper 48 bits, where a slot's data has its time, so that one subtraction and one comparison tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    end: u64,
    span: u64,
}

impl Window {
    /// Whether a time in the upper 48 bits of `word` is live. The lower bits do not matter: those of `end` are ones, so
    /// that they never borrow, and those of `span` zeros.
    #[inline]
    pub(crate) fn holds(self, word: u64) -> bool {
        self.end.wrapping_sub(word) < self.span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: u64 = 1 << TIME_BITS;

    #[test]
    fn an_entry_lives_for_exactly_its_timeout() {
        let life = Lifetime::new(100).unwrap();
        assert_eq!(life.age(1000, 1000), Some(0));
        assert_eq!(life.age(1000, 1099), Some(99));
        assert_eq!(life.age(1000, 1100), None);
        assert_eq!(life.age(1000, 1000 + TURN / 2), None);
    }

    #[test]
    fn a_wrap_between_sending_and_answer_changes_nothing() {
        let life = Lifetime::new(100).unwrap();
        assert_eq!(life.age(TURN - 10, TURN + 20), Some(30));
        assert_eq!(life.age((TURN - 10) & TIME_MASK, 5 * TURN + 20), Some(30));
        assert_eq!(life.age(TURN - 10, TURN + 90), None);
        assert_eq!(life.age(u64::MAX - 4, 5), Some(10));
    }

    #[test]
    fn a_time_ahead_of_ours_is_young_up_to_one_timeout() {
        let life = Lifetime::new(100).unwrap();
        assert_eq!(life.age(1001, 1000), Some(0));
        assert_eq!(life.age(1100, 1000), Some(0));
        assert_eq!(life.age(1101, 1000), None);
        assert_eq!(life.age(TURN + 5, TURN - 5), Some(0));
    }

    #[test]
    fn timeouts_have_limits() {
        assert!(Lifetime::new(0).is_none());
        assert!(Lifetime::new(MAX_TIMEOUT_TICKS + 1).is_none());
        let life = Lifetime::new(MAX_TIMEOUT_TICKS).unwrap();
        assert_eq!(life.age(0, MAX_TIMEOUT_TICKS - 1), Some(MAX_TIMEOUT_TICKS - 1));
        assert_eq!(life.age(0, MAX_TIMEOUT_TICKS), None);
        assert_eq!(life.age(0, TURN - MAX_TIMEOUT_TICKS - 1), None);
    }
}
