//! What a trace found out.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::details::{Details, Rewritten};
use crate::query::Reply;
use crate::ttl::Ttl;

/// What became of one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Not known yet.
    Waiting,
    /// No answer came in time, or an error said that the query did not arrive.
    Silent,
    /// An answer came.
    Answered(Sample),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Who answered the probe.
    pub from: IpAddr,
    /// When our query was sent.
    pub sent: Instant,
    /// The probe's round-trip time, seen from where it was sent; `None` if a responder does not know it.
    pub rtt: Option<Duration>,
    /// From our query to its answer: in a forward trace the same as `rtt`.
    pub elapsed: Duration,
    /// What was answered; `None` in a reverse trace, whose responses do not say.
    pub reply: Option<Reply>,
    /// What else the answer tells; nothing in a reverse trace.
    pub details: Details,
    /// What the answer shows to have been written over in the probe on its way.
    pub rewritten: Rewritten,
}

/// All that is known about one TTL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    ttl: Ttl,
    outcomes: Vec<Outcome>,
    /// Outcomes that are still to be sent or still waiting.
    open: usize,
}

impl Hop {
    /// A hop of which nothing is known, for `queries` queries.
    #[must_use]
    pub fn new(ttl: Ttl, queries: u8) -> Self {
        let queries = usize::from(queries);
        Self { ttl, outcomes: vec![Outcome::Waiting; queries], open: queries }
    }

    /// A hop of which everything is known.
    #[must_use]
    pub fn settled(ttl: Ttl, outcomes: Vec<Outcome>) -> Self {
        let open = outcomes.iter().filter(|outcome| **outcome == Outcome::Waiting).count();
        Self { ttl, outcomes, open }
    }

    /// Its TTL.
    #[must_use]
    pub const fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// What became of its queries, in the order in which they were sent.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The answers, in the order of their queries.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Answered(sample) => Some(sample),
            Outcome::Waiting | Outcome::Silent => None,
        })
    }

    /// Who answered, each once, in the order of the queries.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for sample in self.samples() {
            if !found.contains(&sample.from) {
                found.push(sample.from);
            }
        }
        found
    }

    /// The one address that answered; `None` if there was none or several.
    #[must_use]
    pub fn only_address(&self) -> Option<IpAddr> {
        let mut samples = self.samples();
        let first = samples.next()?.from;
        samples.all(|sample| sample.from == first).then_some(first)
    }

    /// Whether nothing more will be learnt.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.open == 0
    }

    /// Whether anybody answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.samples().next().is_some()
    }

    /// The shortest round-trip time.
    #[must_use]
    pub fn best(&self) -> Option<Duration> {
        self.samples().filter_map(|sample| sample.rtt).min()
    }

    /// The mean of the round-trip times.
    #[must_use]
    pub fn average(&self) -> Option<Duration> {
        let (sum, count) = self
            .samples()
            .filter_map(|sample| sample.rtt)
            .fold((Duration::ZERO, 0u32), |(sum, count), rtt| (sum + rtt, count + 1));
        (count > 0).then(|| sum / count)
    }

    /// Notes what became of query `index`, once.
    pub(crate) fn settle(&mut self, index: usize, outcome: Outcome) {
        if let Some(place @ Outcome::Waiting) = self.outcomes.get_mut(index) {
            *place = outcome;
            self.open = self.open.saturating_sub(1);
        }
    }

    /// Gives up what is still open.
    pub(crate) fn give_up(&mut self) {
        for outcome in &mut self.outcomes {
            if *outcome == Outcome::Waiting {
                *outcome = Outcome::Silent;
            }
        }
        self.open = 0;
    }
}
