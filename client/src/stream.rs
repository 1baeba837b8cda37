//! What is new in running traces, as the events of `otherhalf --stream`.

use std::collections::HashSet;

use crate::document::{End, Event, Probe};
use crate::{Direction, Outcome, Trace};

/// Remembers what was told of, so that each event is told once.
#[derive(Debug, Default)]
pub struct Watcher {
    /// Queries, by direction, TTL and number.
    queries: HashSet<(Direction, u8, usize)>,
    ended: HashSet<Direction>,
}

impl Watcher {
    /// What happened to `traces`, one a direction, since the last call; in the order of their TTLs.
    ///
    /// Call it whenever something may have happened: in the watcher of [`network::run`](crate::network::run).
    #[must_use]
    pub fn news(&mut self, traces: &[Trace]) -> Vec<Event> {
        traces.iter().flat_map(|trace| self.news_of(trace)).collect()
    }

    fn news_of(&mut self, trace: &Trace) -> Vec<Event> {
        let direction = trace.options().direction;
        let mut events = Vec::new();
        for hop in trace.sent_hops() {
            let ttl = hop.ttl().get();
            for (query, outcome) in hop.outcomes().iter().enumerate() {
                let event = match outcome {
                    Outcome::Waiting => continue,
                    Outcome::Silent => Event::Silence { direction, ttl, query },
                    Outcome::Answered(sample) => Event::Answer {
                        direction,
                        ttl,
                        query,
                        probe: Probe::new(sample, trace.started()),
                    },
                };
                if self.queries.insert((direction, ttl, query)) {
                    events.push(event);
                }
            }
        }
        if let Some(end) = trace.end()
            && self.ended.insert(direction)
        {
            let (reached, sent) = (trace.is_reached(), trace.sent());
            events.push(Event::End { direction, reached, end: End::from(end), sent });
        }
        events
    }
}
