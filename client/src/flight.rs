//! Queries on their way, and what an answer means for the one that it is to.
//!
//! What a [`Trace`](crate::Trace) and a [`multipath::Search`](crate::multipath::Search) do alike: identifiers, the rate, time-outs,
//! duplicates, the padding that a responder demands, errors about requests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use otherhalf_wire::trace::{Refusal, Rtt};

use crate::details::{Details, Rewritten};
use crate::hop::Sample;
use crate::identifiers::{Identifiers, REST};
use crate::options::{Direction, Flow, Options};
use crate::query::{Answer, Query};
use crate::secret::Secret;
use crate::trace::End;
use crate::trace::name::{Asked, Name, query};
use crate::ttl::Ttl;

/// An answer is waited for at most this many times as long as the hop's slowest one took ...
const TIMES_SAME_HOP: u32 = 3;
/// ... or, if the hop gave none, as one of a later hop took (traceroute's factors).
const TIMES_LATER_HOP: u32 = 10;
/// But at least so long: a host that is busy for a moment is not silent.
pub(crate) const LEAST_WAIT: Duration = Duration::from_millis(250);
/// After some answers, so many errors about requests in a row end a reverse trace: one alone may be transient, or forged
/// by somebody who guessed an identifier.
const ERRORS_IN_A_ROW: u8 = 3;
/// The most padding that is sent when a responder demands it: with it, requests still fit the smallest link of IPv6 (RFC 8200 §5).
pub(crate) const MOST_PADDING: u16 = 1024;
/// A clock whose times are multiples of so many nanoseconds is too coarse to tell two answers apart by them.
const COARSE_NS: u32 = 1000;

/// A query that is on its way.
#[derive(Debug, Clone)]
pub(crate) struct Flying<W> {
    /// What it is to whoever asked.
    pub(crate) what: W,
    pub(crate) ttl: Ttl,
    flow: Flow,
    identifier: u16,
    name: Name,
    /// The padding that went with it.
    padding: u16,
    sent: Instant,
}

/// What an answer means.
#[derive(Debug)]
pub(crate) enum News {
    /// Somebody answered the probe.
    Answered(Sample),
    /// The same, but it may be the duplicate of an answer to another query of this TTL and flow.
    Repeated(Sample),
    /// The responder wants a longer request: ask again.
    Longer,
    /// Somebody says that the request did not arrive: the end, if enough of them are `believed`.
    Undelivered {
        /// What it is the end by.
        end: End,
        /// Whether others said so, or nobody said anything else.
        believed: bool,
    },
    /// The responder has nothing for us.
    Over(End),
}

/// All queries of a trace that are on their way.
#[derive(Debug)]
pub(crate) struct Flight<W> {
    secret: Secret,
    identifiers: Identifiers,
    queries: Vec<Flying<W>>,
    /// Queries so far.
    sent: u64,
    /// When the first of them was sent.
    started: Option<Instant>,
    /// Before that, the next query must not be sent.
    not_before: Option<Instant>,
    /// The padding that the responder demanded, in octets; it is believed once.
    padding: u16,
    /// Errors about requests since the last answer to one.
    errors: u8,
    /// What each result was for, and when it came: a duplicate may come when its identifier asks for something else.
    results: HashMap<(u16, IpAddr, Rtt), (Ttl, Flow, Instant)>,
}

impl<W> Flight<W> {
    /// None yet.
    pub(crate) fn new(secret: Secret) -> Self {
        Self {
            identifiers: Identifiers::new(secret.first_identifier()),
            secret,
            queries: Vec::new(),
            sent: 0,
            started: None,
            not_before: None,
            padding: 0,
            errors: 0,
            results: HashMap::new(),
        }
    }

    /// None again, but for the identifiers that are resting and the results of late: an answer to what was asked before is
    /// not taken for one to what is asked now.
    pub(crate) fn begin_again(&mut self, secret: Secret, now: Instant) {
        self.retain(|_| false);
        self.results.retain(|_, (.., at)| now.saturating_duration_since(*at) < REST);
        let identifiers = std::mem::replace(&mut self.identifiers, Identifiers::new(0));
        let results = std::mem::take(&mut self.results);
        *self = Self { identifiers, results, ..Self::new(secret) };
    }

    /// Queries so far, those that were sent once more included.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// When the first of them was sent.
    pub(crate) const fn started(&self) -> Option<Instant> {
        self.started
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self, options: &Options) -> bool {
        self.queries.len() < usize::from(options.parallel.get())
    }

    /// When the next may be sent, if that is after `now`.
    pub(crate) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|at| *at > now)
    }

    /// The query of `ttl` and `flow`, if `instead` to another host, on its way from `now` on; `None` if all identifiers are in use or resting.
    pub(crate) fn send(
        &mut self,
        options: &Options,
        (ttl, flow, instead): (Ttl, Flow, Option<IpAddr>),
        what: W,
        now: Instant,
    ) -> Option<Query> {
        let identifier = self.identifiers.take(now)?;
        let Self { sent, padding, .. } = *self;
        let asked = Asked { ttl, flow, identifier, sent, padding, instead };
        let (query, name) = query(options, &self.secret, asked);
        self.queries.push(Flying { what, ttl, flow, identifier, name, padding, sent: now });
        self.sent += 1;
        self.started.get_or_insert(now);
        self.not_before = Some(now + options.interval());
        Some(query)
    }

    /// When the first of them is given up, where an answer from a TTL is waited for with `patience`.
    pub(crate) fn deadline(&self, patience: impl Fn(Ttl) -> Duration) -> Option<Instant> {
        self.queries.iter().map(|query| query.sent + patience(query.ttl)).min()
    }

    /// Takes out one that was waited for long enough.
    pub(crate) fn expired(
        &mut self,
        now: Instant,
        patience: impl Fn(Ttl) -> Duration,
    ) -> Option<Flying<W>> {
        let late = |query: &Flying<W>| query.sent + patience(query.ttl) <= now;
        let query = self.queries.swap_remove(self.queries.iter().position(late)?);
        self.identifiers.rest(query.identifier, now);
        Some(query)
    }

    /// Gives up all but those to `keep`.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Flying<W>) -> bool) {
        let Self { queries, identifiers, .. } = self;
        for query in queries.extract_if(.., |query| !keep(query)) {
            identifiers.rest(query.identifier, query.sent);
        }
    }

    /// Takes out the one that `answer` is to, with what that means; `None` if it is to none. `is_answered`: whether others were.
    pub(crate) fn take(
        &mut self,
        answer: &Answer,
        now: Instant,
        direction: Direction,
        is_answered: bool,
    ) -> Option<(Flying<W>, News)> {
        let position = self.queries.iter().position(|query| query.name.is_in(answer))?;
        let query = self.queries.get(position)?;
        let key = result(answer);
        let before = key.and_then(|key| self.results.get(&key));
        if before.is_some_and(|(ttl, flow, _)| (*ttl, *flow) != (query.ttl, query.flow)) {
            return None;
        }
        let repeated = before.is_some();
        let query = self.queries.swap_remove(position);
        // An error may be forged, a result a duplicate: the true answer may still come. And whoever is answered by a probe, or
        // by a coarse clock, cannot tell a duplicate by its time, only by its identifier.
        let distinct = matches!(answer, Answer::Refused { .. } | Answer::Mirrored { .. });
        if direction == Direction::Reverse && !repeated && (distinct || key.is_some()) {
            self.identifiers.answered(query.identifier);
        } else {
            self.identifiers.rest(query.identifier, now);
        }
        if let Some(key) = key {
            self.results.insert(key, (query.ttl, query.flow, now));
        }
        let news = self.news(&query, answer, now, repeated, is_answered);
        Some((query, news))
    }

    fn news(
        &mut self,
        query: &Flying<W>,
        answer: &Answer,
        now: Instant,
        repeated: bool,
        is_answered: bool,
    ) -> News {
        let elapsed = now.saturating_duration_since(query.sent);
        match answer {
            Answer::Probe { from, reply, details, .. } => News::Answered(Sample {
                from: *from,
                sent: query.sent,
                rtt: Some(elapsed),
                elapsed,
                reply: Some(*reply),
                details: details.clone(),
                rewritten: query.name.rewritten(answer),
            }),
            Answer::Result { from, rtt, .. } => {
                self.errors = 0;
                let sample = Sample {
                    from: *from,
                    sent: query.sent,
                    rtt: rtt.ns().map(|ns| Duration::from_nanos(ns.into())),
                    elapsed,
                    reply: None,
                    details: Details::default(),
                    rewritten: Rewritten::default(),
                };
                if repeated { News::Repeated(sample) } else { News::Answered(sample) }
            }
            Answer::Refused { refusal: Refusal::Padding(missing), .. }
                if *missing > 0 && self.accepts(query.padding.saturating_add(*missing)) =>
            {
                News::Longer
            }
            Answer::Refused { refusal, text, .. } => {
                News::Over(End::Refused { refusal: *refusal, text: text.clone() })
            }
            Answer::Mirrored { .. } => News::Over(End::Mirrored),
            Answer::Undelivered { from, reply, .. } => {
                self.errors = self.errors.saturating_add(1);
                News::Undelivered {
                    end: End::Unreachable { from: *from, reply: *reply },
                    believed: self.errors >= ERRORS_IN_A_ROW || !is_answered,
                }
            }
        }
    }

    /// Whether requests with so much padding are worth a try: a demand is met once, and those that were on their way
    /// meanwhile get no other.
    fn accepts(&mut self, padding: u16) -> bool {
        if self.padding == 0 && padding <= MOST_PADDING {
            self.padding = padding;
        }
        padding <= self.padding
    }
}

/// What names a result: the very nanosecond tells it from others. `None` for other answers, and for results whose time tells nothing.
fn result(answer: &Answer) -> Option<(u16, IpAddr, Rtt)> {
    match answer {
        Answer::Result { identifier, from, rtt }
            if *rtt != Rtt::LONGEST && rtt.ns().is_some_and(|ns| !ns.is_multiple_of(COARSE_NS)) =>
        {
            Some((*identifier, *from, *rtt))
        }
        _ => None,
    }
}

/// How long an answer from `ttl` is waited for, `wait` at most; `slowest` has, in the order of TTLs, how long the slowest answer took.
pub(crate) fn patience(
    mut slowest: impl Iterator<Item = (Ttl, Option<Duration>)>,
    ttl: Ttl,
    wait: Duration,
) -> Duration {
    let known = slowest.find_map(|(at, slowest)| Some((at, slowest.filter(|_| at >= ttl)?)));
    known.map_or(wait, |(at, slowest)| {
        let times = if at == ttl { TIMES_SAME_HOP } else { TIMES_LATER_HOP };
        (slowest * times).max(LEAST_WAIT).min(wait)
    })
}
