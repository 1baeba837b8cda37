//! What is new in running traces, as the events of `otherhalf --stream`.

use std::collections::HashSet;

use crate::document::{End, Event, Probe};
use crate::multipath::Search;
use crate::{Direction, Outcome, Trace};

/// Remembers what was told of, so that each event is told once.
#[derive(Debug, Default)]
pub struct Watcher {
    /// Queries, by direction, TTL and number.
    queries: HashSet<(Direction, u8, usize)>,
    /// Those of searches that were given up: they may be asked again, and answered then.
    silent: HashSet<(Direction, u8, usize)>,
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
                    Outcome::Silent => Event::Silence { direction, ttl, query, flow: None },
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
        events.extend(self.end_of(direction, trace.end(), trace.is_reached(), trace.sent()));
        events
    }

    /// The same of `searches`, where a query's number is that of its flow.
    #[must_use]
    pub fn news_of_searches(&mut self, searches: &[Search]) -> Vec<Event> {
        searches.iter().flat_map(|search| self.news_of_search(search)).collect()
    }

    fn news_of_search(&mut self, search: &Search) -> Vec<Event> {
        let direction = search.options().trace.direction;
        let mut events = Vec::new();
        for (ttl, number, sample) in search.settled() {
            let query = usize::try_from(number).unwrap_or(usize::MAX);
            let told = if sample.is_some() { &mut self.queries } else { &mut self.silent };
            if !told.insert((direction, ttl, query)) {
                continue;
            }
            events.push(if let Some(sample) = sample {
                Event::Answer { direction, ttl, query, probe: search.probe(number, sample) }
            } else {
                Event::Silence { direction, ttl, query, flow: Some(search.flow(number)) }
            });
        }
        let end = self.end_of(direction, search.end(), search.is_reached(), search.sent());
        events.extend(end);
        events
    }

    fn end_of(
        &mut self,
        direction: Direction,
        end: Option<&crate::End>,
        reached: bool,
        sent: u64,
    ) -> Option<Event> {
        let end = End::from(end?);
        self.ended.insert(direction).then_some(Event::End { direction, reached, end, sent })
    }
}
