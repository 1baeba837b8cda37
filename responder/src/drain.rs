//! Going out of service without a loss: first no requests are to be sent here any more, then none are taken, then the
//! probes that wait get their answers.

use std::time::{Duration, Instant};

use otherhalf_control::State;

/// What the end of draining leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The responder stays, drained, until it is told otherwise.
    Wait,
    /// It ends.
    Exit,
}

/// How long each part may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long requests are still answered after others were told to send none: as long as a route takes to be withdrawn.
    pub grace: Duration,
    /// How long after that answers are waited for.
    pub deadline: Duration,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Stay,
    /// Requests are to be dropped from now on.
    Close,
    /// Nothing waits any more, or the deadline has passed: with so many probes given up.
    Done {
        /// Probes that still waited; none: nobody knows, no sweep came to its end in time.
        given_up: Option<u64>,
    },
}

/// A responder on its way out of service.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    then: Then,
    times: Times,
    began: Instant,
    closed: Option<Instant>,
    done: bool,
}

impl Drain {
    /// Begins at `now`.
    #[must_use]
    pub const fn new(then: Then, times: Times, now: Instant) -> Self {
        Self { then, times, began: now, closed: None, done: false }
    }

    /// What it leads to.
    #[must_use]
    pub const fn then(&self) -> Then {
        self.then
    }

    /// From now on it leads to the responder's end. There is no way back from that but to begin anew.
    pub const fn then_exit(&mut self) {
        self.then = Then::Exit;
    }

    /// When requests began to be dropped.
    #[must_use]
    pub const fn closed(&self) -> Option<Instant> {
        self.closed
    }

    /// Whether it has come to its end.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// How much longer it takes at most, as of `now`.
    #[must_use]
    pub fn longest(&self, now: Instant) -> Duration {
        let Times { grace, deadline } = self.times;
        match self.closed {
            _ if self.done => Duration::ZERO,
            None => (grace + deadline).saturating_sub(now.duration_since(self.began)),
            Some(closed) => deadline.saturating_sub(now.duration_since(closed)),
        }
    }

    /// Goes on. `pending` is the number of probes that wait, counted by a sweep of the whole table that began after
    /// requests were closed; none while there is no such number.
    pub fn step(&mut self, now: Instant, pending: Option<u64>) -> Step {
        let Some(closed) = self.closed else {
            if now.duration_since(self.began) < self.times.grace {
                return Step::Stay;
            }
            self.closed = Some(now);
            return Step::Close;
        };
        if self.done {
            return Step::Stay;
        }
        let overdue = now.duration_since(closed) >= self.times.deadline;
        if pending == Some(0) || overdue {
            self.done = true;
            return Step::Done { given_up: pending };
        }
        Step::Stay
    }

    /// What the status shows.
    #[must_use]
    pub const fn state(&self) -> State {
        match (self.closed, self.done) {
            (None, _) => State::Leaving,
            (Some(_), false) => State::Draining,
            (Some(_), true) => State::Drained,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { grace: Duration::from_secs(2), deadline: Duration::from_secs(5) };

    #[test]
    fn requests_are_taken_for_the_grace_and_answers_until_none_waits() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut drain = Drain::new(Then::Wait, TIMES, start);
        assert_eq!(drain.longest(at(500)), Duration::from_millis(6500));
        assert_eq!((drain.step(at(1999), Some(0)), drain.state()), (Step::Stay, State::Leaving));
        assert_eq!((drain.step(at(2000), Some(0)), drain.state()), (Step::Close, State::Draining));
        assert_eq!(drain.step(at(2001), None), Step::Stay);
        assert_eq!(drain.longest(at(3000)), Duration::from_secs(4));
        assert_eq!((drain.step(at(2500), Some(3)), drain.state()), (Step::Stay, State::Draining));
        assert_eq!(drain.step(at(2600), Some(0)), Step::Done { given_up: Some(0) });
        assert_eq!(drain.longest(at(2700)), Duration::ZERO);
        assert_eq!((drain.step(at(9000), Some(0)), drain.state()), (Step::Stay, State::Drained));
    }

    #[test]
    fn what_nobody_counted_is_not_said_to_be_none() {
        let start = Instant::now();
        let none = Times { grace: Duration::ZERO, deadline: Duration::ZERO };
        let mut drain = Drain::new(Then::Exit, none, start);
        assert_eq!(drain.step(start, None), Step::Close);
        assert_eq!(drain.step(start, None), Step::Done { given_up: None });
    }

    #[test]
    fn answers_are_not_waited_for_longer_than_the_deadline() {
        let start = Instant::now();
        let none = Times { grace: Duration::ZERO, ..TIMES };
        let mut drain = Drain::new(Then::Exit, none, start);
        assert_eq!(drain.step(start, None), Step::Close);
        assert_eq!(drain.step(start + Duration::from_millis(4999), Some(9)), Step::Stay);
        assert_eq!(
            drain.step(start + Duration::from_secs(5), Some(9)),
            Step::Done { given_up: Some(9) }
        );
    }
}
