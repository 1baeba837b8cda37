//! The search itself: what is asked, what comes back, and when it is over.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use otherhalf_wire::trace::{Refusal, Rtt};

use super::flow;
use super::graph::{Graph, Node};
use super::layer::{Ask, Layer, Number};
use super::options::Options;
use super::stopping::Shared;
use crate::details::{Details, Rewritten};
use crate::hop::Sample;
use crate::identifiers::Identifiers;
use crate::network::Probing;
use crate::options::Direction;
use crate::query::{Answer, Query, Reply};
use crate::secret::Secret;
use crate::trace::name::{Asked, Name, query};
use crate::trace::{End, MOST_PADDING, Step};
use crate::ttl::Ttl;

/// An answer is waited for at most this many times as long as the TTL's slowest one took ...
const TIMES_SAME_HOP: u32 = 3;
/// ... or, if it gave none, as one of a later TTL took (traceroute's factors).
const TIMES_LATER_HOP: u32 = 10;
/// But at least so long: a host that is busy for a moment is not silent.
const LEAST_WAIT: Duration = Duration::from_millis(250);
/// So many errors about requests in a row, after some answers, end a reverse trace.
const ERRORS_IN_A_ROW: u8 = 3;

/// A query on its way.
#[derive(Debug, Clone)]
struct Outstanding {
    ttl: u8,
    ask: Ask,
    name: Name,
    identifier: u16,
    /// The padding that went with it.
    padding: u16,
    sent: Instant,
}

/// A multipath trace in one direction, see the [module](super).
#[derive(Debug)]
pub struct Search {
    pub(super) options: Options,
    secret: Secret,
    identifiers: Identifiers,
    pub(super) shared: Shared,
    pub(super) layers: BTreeMap<u8, Layer>,
    outstanding: Vec<Outstanding>,
    /// Nodes that no flow gets past, and why.
    pub(super) ends: BTreeMap<Node, End>,
    /// The TTL at which each flow ends.
    pub(super) ended: BTreeMap<Number, u8>,
    /// The flow that each balancer is tried with again.
    pub(super) tried: BTreeMap<Node, Number>,
    /// Whether something was learnt since the last plan.
    news: bool,
    sent: u64,
    started: Option<Instant>,
    not_before: Option<Instant>,
    errors: u8,
    /// The padding that the responder demanded, in octets; it is believed once.
    padding: u16,
    /// Results that were taken: another like it is a duplicate.
    results: HashSet<(u16, IpAddr, Rtt)>,
    end: Option<End>,
}

impl Search {
    /// A search that has not begun.
    #[must_use]
    pub fn new(options: Options, secret: Secret) -> Self {
        let identifiers = Identifiers::new(secret.first_identifier());
        let shared = Shared::new(options.confidence.get());
        Self {
            options,
            secret,
            identifiers,
            shared,
            layers: BTreeMap::new(),
            outstanding: Vec::new(),
            ends: BTreeMap::new(),
            ended: BTreeMap::new(),
            tried: BTreeMap::new(),
            news: true,
            sent: 0,
            started: None,
            not_before: None,
            errors: 0,
            padding: 0,
            results: HashSet::new(),
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
        self.sent
    }

    /// When the first query was sent.
    #[must_use]
    pub const fn started(&self) -> Option<Instant> {
        self.started
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
        let (ttl, ask) =
            self.layers.iter_mut().find_map(|(ttl, layer)| Some((*ttl, layer.next(now)?)))?;
        let Some(identifier) = self.identifiers.take(now) else {
            // All 65535 identifiers are resting: one will wake up.
            self.layers.entry(ttl).or_default().put_back(ask);
            return None;
        };
        let flow = flow::of_number(self.options.trace.flow, ask.flow);
        let (sent, padding) = (self.sent, self.padding);
        let at = Ttl::new(ttl).unwrap_or(Ttl::MIN);
        let asked = Asked { ttl: at, flow, identifier, sent, padding };
        let (query, name) = query(&self.options.trace, &self.secret, asked);
        self.outstanding.push(Outstanding { ttl, ask, name, identifier, padding, sent: now });
        self.sent += 1;
        self.started.get_or_insert(now);
        self.not_before = Some(now + self.options.trace.interval());
        Some(query)
    }

    fn patience(&self, ttl: u8) -> Duration {
        let slowest = self
            .layers
            .range(ttl..)
            .find_map(|(at, layer)| Some((*at == ttl, layer.slowest?)))
            .map(|(same, slowest)| slowest * if same { TIMES_SAME_HOP } else { TIMES_LATER_HOP });
        let wait = self.options.trace.wait;
        slowest.map_or(wait, |slowest| slowest.max(LEAST_WAIT).min(wait))
    }

    fn expire(&mut self, now: Instant) {
        let mut position = 0;
        while let Some(query) = self.outstanding.get(position) {
            if query.sent + self.patience(query.ttl) > now {
                position += 1;
                continue;
            }
            let query = self.outstanding.swap_remove(position);
            self.lost(&query, now);
        }
    }

    /// No answer to `query` came, nor will.
    fn lost(&mut self, query: &Outstanding, now: Instant) {
        self.identifiers.rest(query.identifier, now);
        let layer = self.layers.entry(query.ttl).or_default();
        // A TTL that nobody answers at is asked once for each flow, but for the first one.
        let worth = layer.is_answered() || query.ask.flow == 0;
        layer.unanswered(query.ask, if worth { self.options.retry } else { 0 });
        self.news = true;
    }

    fn answered(&mut self, query: &Outstanding, sample: Sample) {
        let (ttl, ask, from, reply) = (query.ttl, query.ask, sample.from, sample.reply);
        let layer = self.layers.entry(ttl).or_default();
        if layer.answered(ask, sample) {
            layer.take_up(self.options.retry);
        }
        self.news = true;
        if ask.again {
            return;
        }
        if let Some(end) = self.end_at(from, reply) {
            self.close(ask.flow, (ttl, Some(from)), end);
        } else {
            self.look_for_repetition(ask.flow, ttl);
        }
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
        self.outstanding.retain(|query| {
            let keep = query.ttl <= ttl || query.ask.flow != flow;
            if !keep {
                self.identifiers.rest(query.identifier, query.sent);
            }
            keep
        });
    }

    /// Whether requests with so much padding are worth a try: a demand is met once, and those that were on their way
    /// meanwhile are asked again.
    fn accepts(&mut self, padding: u16) -> bool {
        if self.padding == 0 && padding <= MOST_PADDING {
            self.padding = padding;
        }
        padding <= self.padding
    }

    fn stop_with(&mut self, end: End) {
        self.outstanding.clear();
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
        let room = self.outstanding.len() < usize::from(self.options.trace.parallel.get());
        let mut wake =
            self.outstanding.iter().map(|query| query.sent + self.patience(query.ttl)).min();
        let mut sooner = |at: Instant| wake = Some(wake.map_or(at, |wake| wake.min(at)));
        if room {
            if let Some(at) = self.not_before.filter(|at| *at > now) {
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
            self.finish();
            return Step::Done;
        };
        Step::Wait(wake)
    }

    fn handle(&mut self, answer: &Answer, now: Instant) -> bool {
        if self.end.is_some() {
            return false;
        }
        let Some(position) = self.outstanding.iter().position(|query| query.name.is_in(answer))
        else {
            return false;
        };
        if let Answer::Result { identifier, from, rtt } = answer
            && rtt.ns().is_some()
            && !self.results.insert((*identifier, *from, *rtt))
        {
            return false;
        }
        let query = self.outstanding.swap_remove(position);
        let elapsed = now.saturating_duration_since(query.sent);
        let undelivered = matches!(answer, Answer::Undelivered { .. });
        if undelivered || self.options.trace.direction == Direction::Forward {
            self.identifiers.rest(query.identifier, now);
        } else {
            self.identifiers.answered(query.identifier);
        }
        match answer {
            Answer::Probe { from, reply, details, .. } => {
                let sample = Sample {
                    from: *from,
                    sent: query.sent,
                    rtt: Some(elapsed),
                    elapsed,
                    reply: Some(*reply),
                    details: details.clone(),
                    rewritten: query.name.rewritten(answer),
                };
                self.answered(&query, sample);
            }
            Answer::Result { from, rtt, .. } => {
                self.errors = 0;
                let rtt = rtt.ns().map(|ns| Duration::from_nanos(ns.into()));
                let sample = Sample {
                    from: *from,
                    sent: query.sent,
                    rtt,
                    elapsed,
                    reply: None,
                    details: Details::default(),
                    rewritten: Rewritten::default(),
                };
                self.answered(&query, sample);
            }
            Answer::Refused { refusal: Refusal::Padding(missing), .. }
                if self.accepts(query.padding.saturating_add(*missing)) =>
            {
                self.layers.entry(query.ttl).or_default().put_back(query.ask);
            }
            Answer::Refused { refusal, text, .. } => {
                self.stop_with(End::Refused { refusal: *refusal, text: text.clone() });
            }
            Answer::Mirrored { .. } => self.stop_with(End::Mirrored),
            Answer::Undelivered { from, reply, .. } => {
                self.errors = self.errors.saturating_add(1);
                if self.errors >= ERRORS_IN_A_ROW || !self.is_answered() {
                    self.stop_with(End::Unreachable { from: *from, reply: *reply });
                } else {
                    self.lost(&query, now);
                }
            }
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

impl Search {
    /// Whether whoever says `reply` is the end of a path.
    fn end_at(&self, from: IpAddr, reply: Option<Reply>) -> Option<End> {
        let options = &self.options.trace;
        match reply {
            None => (from == options.end()).then_some(End::Reached),
            Some(Reply::TimeExceeded) => None,
            Some(Reply::Direct) => Some(End::Reached),
            Some(Reply::Unreachable(reason))
                if from == options.target || reason.is_at_destination() =>
            {
                Some(End::Reached)
            }
            Some(reply @ (Reply::Unreachable(_) | Reply::TooBig { .. })) => {
                Some(End::Unreachable { from, reply })
            }
        }
    }
}
