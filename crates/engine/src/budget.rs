//! What a worker may send besides what requests cause: each kind within a budget of its own, so that none of them can be made to crowd
//! out the others (RFC 4443 §2.4 (f) demands one for errors).

use std::cell::Cell;

use crate::policy::Allowances;
use crate::time::Clock;

/// A budget holds this part of what it gets in a second: enough for a few traceroutes with all their probes in flight.
const PART_AT_ONCE: u32 = 10;

/// One worker's own.
#[derive(Debug)]
pub(crate) struct Budgets {
    hz: u64,
    closed: Bucket,
    pings: Bucket,
    neighbours: Bucket,
}

impl Budgets {
    pub(crate) const fn new(clock: &Clock) -> Self {
        let (closed, pings, neighbours) = (Bucket::full(), Bucket::full(), Bucket::full());
        Self { hz: clock.hz(), closed, pings, neighbours }
    }

    /// Takes an answer to what comes to a closed port, if there is one left at `now`.
    pub(crate) fn take_closed(&self, allowances: &Allowances, now: u64) -> bool {
        self.closed.take_of(allowances.closed, self.hz, now)
    }

    /// Takes a reply to a ping.
    pub(crate) fn take_ping(&self, allowances: &Allowances, now: u64) -> bool {
        self.pings.take_of(allowances.pings, self.hz, now)
    }

    /// Takes an answer to a neighbour's question.
    pub(crate) fn take_neighbour(&self, allowances: &Allowances, now: u64) -> bool {
        self.neighbours.take_of(allowances.neighbours, self.hz, now)
    }
}

/// A bucket of tokens, which fills with time.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Time up to which tokens are spent; behind `now` by what is left.
    spent_until: Cell<u64>,
}

impl Bucket {
    /// As full as it gets.
    pub(crate) const fn full() -> Self {
        Self { spent_until: Cell::new(0) }
    }

    /// Takes a token, if there is one left at `now`: one comes each `ticks_each`, and no more than `at_once` are ever left.
    pub(crate) fn take(&self, now: u64, ticks_each: u64, at_once: u64) -> bool {
        let earliest = now.saturating_sub(ticks_each.saturating_mul(at_once));
        // A worker's clock does not go back, but the counter may start again while a machine sleeps: then nothing is spent.
        let spent = Some(self.spent_until.get()).filter(|until| *until <= now).unwrap_or(0);
        let next = spent.max(earliest).saturating_add(ticks_each);
        let affordable = next <= now;
        if affordable {
            self.spent_until.set(next);
        }
        affordable
    }

    /// The same with `rate` tokens a second of `hz` ticks; none comes at the rate 0.
    pub(crate) fn take_of(&self, rate: u32, hz: u64, now: u64) -> bool {
        let Some(ticks_each) = hz.checked_div(rate.into()) else { return false };
        self.take(now, ticks_each, rate.div_ceil(PART_AT_ONCE).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_spent_and_fills_again() {
        let budgets = Budgets::new(&Clock::new(1_000_000).unwrap());
        let allowances = Allowances::default();
        let spend = |now| (0..1000).filter(|_| budgets.take_closed(&allowances, now)).count();
        let start = 1_000_000_000;
        assert_eq!(spend(start), 100);
        assert_eq!(spend(start), 0);
        assert_eq!(spend(start + 999), 0);
        assert_eq!(spend(start + 1000), 1, "one a millisecond");
        assert_eq!(spend(start + 11_000), 10);
        assert_eq!(spend(start + 10_000_000), 100, "never more at once");
        assert!(budgets.take_ping(&allowances, start), "the others' is their own");
        assert!(budgets.take_neighbour(&allowances, start));
    }

    #[test]
    fn a_counter_that_starts_again_finds_full_budgets() {
        let budgets = Budgets::new(&Clock::new(1_000_000).unwrap());
        let allowances = Allowances::default();
        let spend = |now| (0..1000).filter(|_| budgets.take_closed(&allowances, now)).count();
        assert_eq!(spend(1_000_000_000_000_000), 100);
        assert_eq!(spend(1_000_000_000), 100);
        assert_eq!(spend(1_000_000_000), 0);
    }

    #[test]
    fn nothing_is_sent_at_the_rate_0() {
        let none = Allowances { closed: 0, pings: 0, neighbours: 0 };
        let budgets = Budgets::new(&Clock::new(1_000_000).unwrap());
        assert!(!budgets.take_ping(&none, u64::MAX));
    }
}
