//! The search itself: what is asked, what comes back, and when it is over.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::beside::{self, Beside};
use super::flow;
use super::graph::{Graph, Node};
use super::layer::{Ask, Layer, Number};
use super::options::Options;
use super::stopping::Shared;
use crate::flight::{self, Flight, News};
use crate::hop::Sample;
use crate::network::Probing;
use crate::query::{Answer, Query};
use crate::secret::Secret;
use crate::trace::{End, Step};
use crate::ttl::Ttl;

/// A multipath trace in one direction, see the [module](super).
#[derive(Debug)]
pub struct Search {
    pub(super) options: Options,
    flight: Flight<Ask>,
    pub(super) shared: Shared,
    pub(super) layers: BTreeMap<u8, Layer>,
    /// Nodes that no flow gets past, and why.
    pub(super) ends: BTreeMap<Node, End>,
    /// The TTL at which each flow ends.
    pub(super) ended: BTreeMap<Number, u8>,
    /// The flow that each balancer is tried with again.
    pub(super) tried: BTreeMap<Node, Number>,
    /// What other destinations show.
    pub(super) beside: Beside,
    /// Whether something was learnt since the last plan.
    news: bool,
    end: Option<End>,
}

impl Search {
    /// A search that has not begun.
    #[must_use]
    pub fn new(options: Options, secret: Secret) -> Self {
        let shared = Shared::new(options.confidence.get());
        Self {
            options,
            flight: Flight::new(secret),
            shared,
            layers: BTreeMap::new(),
            ends: BTreeMap::new(),
            ended: BTreeMap::new(),
            tried: BTreeMap::new(),
            beside: Beside::default(),
            news: true,
            end: None,
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// How it ended; `None` as long as it runs.
    #[must_use]
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Queries so far.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.flight.sent()
    }

    /// When the first query was sent.
    #[must_use]
    pub const fn started(&self) -> Option<Instant> {
        self.flight.started()
    }

    /// Whether anybody answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.layers.values().any(Layer::is_answered)
    }

    /// Whether any flow came to the other end.
    #[must_use]
    pub const fn is_reached(&self) -> bool {
        matches!(self.end, Some(End::Reached | End::ReachedTranslator(_)))
    }

    /// Who answered at which TTL, each once.
    pub fn addresses(&self) -> impl Iterator<Item = (u8, IpAddr)> {
        self.layers.iter().flat_map(|(ttl, layer)| {
            let from: std::collections::BTreeSet<_> =
                layer.answers.values().map(|sample| sample.from).collect();
            from.into_iter().map(|from| (*ttl, from))
        })
    }

    /// Who answered the first flow at which TTL, and the least time in which it answered any flow there; without those of whom no time
    /// is known.
    pub fn first_flow(&self) -> impl Iterator<Item = (Ttl, IpAddr, Duration)> {
        self.layers.iter().filter_map(|(ttl, layer)| {
            let from = layer.answers.get(&0)?.from;
            let same = layer.answers.values().filter(|sample| sample.from == from);
            Some((Ttl::new(*ttl)?, from, same.filter_map(|sample| sample.rtt).min()?))
        })
    }

    /// The graph by now.
    pub(super) fn graph(&self) -> Graph {
        Graph::of(&self.layers, self.options.trace.first.get())
    }

    /// The farthest TTL that anybody answered at.
    pub(super) fn farthest(&self) -> Option<u8> {
        self.layers.iter().rfind(|(_, layer)| layer.is_answered()).map(|(ttl, _)| *ttl)
    }

    /// The next query that may be sent at `now`, nearest TTL first.
    fn next(&mut self, now: Instant) -> Option<Query> {
        let next = self.layers.iter_mut().find_map(|(ttl, layer)| Some((*ttl, layer.next(now)?)));
        let Some((ttl, ask)) = next else { return self.next_beside(now) };
        let flow = flow::of_number(self.options.trace.flow, ask.flow);
        let at = (Ttl::new(ttl).unwrap_or(Ttl::MIN), flow, None);
        let query = self.flight.send(&self.options.trace, at, ask, now);
        if query.is_none() {
            // All 65535 identifiers are resting: one will wake up.
            self.layers.entry(ttl).or_default().put_back(ask);
        }
        query
    }

    /// The next query towards another destination, by the first flow.
    fn next_beside(&mut self, now: Instant) -> Option<Query> {
        let (ttl, beside, attempt) = self.beside.queue.pop_front()?;
        let trace = &self.options.trace;
        let at = (ttl, trace.flow, Some(beside::address(trace.target, beside)));
        let ask = Ask { attempt, beside, ..Ask::first(0) };
        let query = self.flight.send(trace, at, ask, now);
        if query.is_none() {
            self.beside.queue.push_front((ttl, beside, attempt));
        }
        query
    }

    fn expire(&mut self, now: Instant) {
        let wait = self.options.trace.wait;
        while let Some(query) = self.flight.expired(now, |ttl| patience(&self.layers, ttl, wait)) {
            self.lost(query.ttl.get(), query.what);
        }
    }

    /// No answer to `ask` at `ttl` came, nor will.
    fn lost(&mut self, ttl: u8, ask: Ask) {
        if ask.beside > 0 {
            return self.lost_beside(Ttl::new(ttl).unwrap_or(Ttl::MIN), ask.beside, ask.attempt);
        }
        let layer = self.layers.entry(ttl).or_default();
        // A TTL that nobody answers at is asked once for each flow, but for the first one.
        let worth = layer.is_answered() || ask.flow == 0;
        layer.unanswered(ask, if worth { self.options.retry } else { 0 });
        self.news = true;
    }

    fn answered(&mut self, ttl: u8, ask: Ask, sample: Sample) {
        if ask.beside > 0 {
            return self.answered_beside(ttl, ask.beside, sample.from);
        }
        let (from, end) = (sample.from, End::by(&sample, &self.options.trace));
        let layer = self.layers.entry(ttl).or_default();
        if layer.answered(ask, sample) {
            layer.take_up(self.options.retry);
        }
        self.news = true;
        if ask.again {
            return;
        }
        if let Some(end) = end {
            match self.refusal(ask.flow, ttl, from, &end) {
                Some(at) => self.refused((at, from), &end),
                None => self.close(ask.flow, (ttl, Some(from)), end),
            }
            return;
        }
        if let Some(end @ End::Unreachable { .. }) = self.ends.get(&(ttl, Some(from))).cloned() {
            self.refused((ttl, from), &end);
        }
        self.look_for_repetition(ask.flow, ttl);
    }

    /// `flow` goes no further than `node`.
    pub(super) fn close(&mut self, flow: Number, node: Node, end: End) {
        let (ttl, _) = node;
        if self.ended.get(&flow).is_some_and(|known| *known <= ttl) {
            return;
        }
        self.ended.insert(flow, ttl);
        self.ends.insert(node, end);
        for (_, layer) in self.layers.range_mut(ttl.saturating_add(1)..) {
            layer.forget(flow);
        }
        self.flight.retain(|query| query.ttl.get() <= ttl || query.what.flow != flow);
    }

    fn stop_with(&mut self, end: End) {
        self.layers.values_mut().for_each(Layer::give_up);
        self.end = Some(end);
    }

    fn finish(&mut self) {
        let end = self.conclusion();
        self.stop_with(end);
    }
}

impl Probing for Search {
    fn poll(&mut self, now: Instant) -> Step {
        if self.end.is_some() {
            return Step::Done;
        }
        self.expire(now);
        let wait = self.options.trace.wait;
        let mut wake = self.flight.deadline(|ttl| patience(&self.layers, ttl, wait));
        let mut sooner = |at: Instant| wake = Some(wake.map_or(at, |wake| wake.min(at)));
        if self.flight.has_room(&self.options.trace) {
            if let Some(at) = self.flight.held_until(now) {
                sooner(at);
            } else {
                if !self.layers.values().any(|layer| layer.due(now).is_some_and(|at| at <= now))
                    && std::mem::take(&mut self.news)
                {
                    self.plan();
                }
                if let Some(query) = self.next(now) {
                    return Step::Send(query);
                }
                let due = self.layers.values().filter_map(|layer| layer.due(now)).min();
                if let Some(at) = due {
                    sooner(at.max(now + Duration::from_millis(1)));
                }
            }
        }
        let Some(wake) = wake else {
            if self.look_beside() {
                return self.poll(now);
            }
            self.finish();
            return Step::Done;
        };
        Step::Wait(wake)
    }

    fn handle(&mut self, answer: &Answer, now: Instant) -> bool {
        if self.end.is_some() {
            return false;
        }
        let is_answered = self.is_answered();
        let taken = self.flight.take(answer, now, self.options.trace.direction, is_answered);
        let Some((query, news)) = taken else { return false };
        let (ttl, ask) = (query.ttl.get(), query.what);
        match news {
            News::Answered(sample) => self.answered(ttl, ask, sample),
            // A duplicate would prove that packets of one flow keep together.
            News::Repeated(_) | News::Longer => {
                self.layers.entry(ttl).or_default().put_back(ask);
            }
            News::Undelivered { end, believed: true } | News::Over(end) => self.stop_with(end),
            News::Undelivered { .. } => self.lost(ttl, ask),
        }
        true
    }

    fn stop(&mut self) {
        if self.end.is_none() {
            self.stop_with(End::Stopped);
        }
    }

    fn is_over(&self) -> bool {
        self.end.is_some()
    }
}

fn patience(layers: &BTreeMap<u8, Layer>, ttl: Ttl, wait: Duration) -> Duration {
    let slowest = layers.iter().filter_map(|(at, layer)| Some((Ttl::new(*at)?, layer.slowest)));
    flight::patience(slowest, ttl, wait)
}
