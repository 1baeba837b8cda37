//! One trace in one direction: which query comes next, and what an answer means.
//!
//! No I/O and no clock: [`Trace::poll`] says what to do at a given time, [`Trace::handle`] takes an answer.
//!
//! Many queries are in flight at once, nearest TTL first. The window of TTLs grows with the answers: no TTL is asked
//! for that lies more than [`Options::gap`] beyond the farthest one that was answered, and once the end of the path is
//! known, none beyond it.

pub(crate) mod name;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use otherhalf_wire::trace::{Refusal, Rtt};

use crate::details::{Details, Rewritten};
use crate::hop::{Hop, Outcome, Sample};
use crate::identifiers::{Identifiers, REST};
use crate::options::{Direction, Options};
use crate::query::{Answer, Query, Reply, Unreachable};
use crate::repetition;
use crate::secret::Secret;
use crate::ttl::Ttl;
pub(crate) use name::body;
use name::{Asked, Name};

/// An answer is waited for at most this many times as long as the hop's slowest one took ...
const TIMES_SAME_HOP: u32 = 3;
/// ... or, if the hop gave none, as one of a later hop took (traceroute's factors).
const TIMES_LATER_HOP: u32 = 10;
/// But at least so long: a host that is busy for a moment is not silent.
const LEAST_WAIT: Duration = Duration::from_millis(250);
/// After some answers, so many errors about requests in a row end a reverse trace: one alone may be transient, or forged
/// by somebody who guessed an identifier.
const ERRORS_IN_A_ROW: u8 = 3;
/// The most padding that is sent when a responder demands it: with it, requests still fit the smallest link of IPv6 (RFC 8200 §5).
pub(crate) const MOST_PADDING: u16 = 1024;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send this.
    Send(Query),
    /// Nothing before that time, unless an answer comes.
    Wait(Instant),
    /// The trace is over.
    Done,
}

/// How a trace ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// At the other end: the target, or in reverse ourselves.
    Reached,
    /// In reverse: behind an address translator, which hides our own address.
    ReachedTranslator(IpAddr),
    /// Somebody says that it goes no further.
    Unreachable {
        /// Who.
        from: IpAddr,
        /// What.
        reply: Reply,
    },
    /// Too many silent hops in a row.
    Silent,
    /// At the last TTL.
    LastTtl,
    /// In reverse: one address answers at every TTL, as a filter does that refuses to forward.
    Repeating(IpAddr),
    /// In reverse: the target mirrors requests: it speaks plain ping only.
    Mirrored,
    /// In reverse: the target refuses.
    Refused {
        /// Why.
        refusal: Refusal,
        /// In its own words; not to be trusted.
        text: String,
    },
    /// Somebody stopped it.
    Stopped,
}

/// A query that is on its way.
#[derive(Debug, Clone)]
struct Outstanding {
    identifier: u16,
    name: Name,
    ttl: Ttl,
    index: u8,
    /// The padding that went with it.
    padding: u16,
    sent: Instant,
}

/// A trace, see the [module](self).
#[derive(Debug)]
pub struct Trace {
    options: Options,
    secret: Secret,
    identifiers: Identifiers,
    outstanding: Vec<Outstanding>,
    hops: Vec<Hop>,
    /// The next query: its TTL (`None` past 255) and its number at that TTL.
    next: (Option<Ttl>, u8),
    /// Queries that are to be sent once more: TTL and number.
    again: VecDeque<(Ttl, u8)>,
    /// The padding that the responder demanded, in octets; it is believed once.
    padding: u16,
    /// Queries so far, those that were sent once more included.
    sent: u64,
    /// Queries so far, each once.
    asked: u64,
    /// When the first of them was sent.
    started: Option<Instant>,
    /// Before that, the next query must not be sent.
    not_before: Option<Instant>,
    /// Errors about requests since the last answer to one.
    errors: u8,
    /// The TTL that each result was for, and when it came: a duplicate may come when its identifier asks for another.
    results: HashMap<(u16, IpAddr, Rtt), (Ttl, Instant)>,
    /// Where the path ends and how, as far as known.
    last: Option<(Ttl, End)>,
    /// How it ended.
    end: Option<End>,
}

impl Trace {
    /// A trace that has sent nothing yet.
    #[must_use]
    pub fn new(options: Options, secret: Secret) -> Self {
        Self {
            identifiers: Identifiers::new(secret.first_identifier()),
            secret,
            outstanding: Vec::new(),
            hops: Vec::new(),
            next: (Some(options.first), 0),
            again: VecDeque::new(),
            padding: 0,
            sent: 0,
            asked: 0,
            started: None,
            not_before: None,
            errors: 0,
            results: HashMap::new(),
            last: None,
            end: None,
            options,
        }
    }

    /// Forgets all but its identifiers and the results of late, and is a new trace. So identifiers that were answered are
    /// used again, and those that were not rest: an answer to what it was is not taken for one to what it is.
    pub fn begin_again(&mut self, options: Options, secret: Secret, now: Instant) {
        let mut identifiers = std::mem::replace(&mut self.identifiers, Identifiers::new(0));
        // What a trace left open that ended early.
        for query in &self.outstanding {
            identifiers.rest(query.identifier, now);
        }
        let mut results = std::mem::take(&mut self.results);
        results.retain(|_, (_, at)| now.saturating_duration_since(*at) < REST);
        *self = Self { identifiers, results, ..Self::new(options, secret) };
    }

    /// What it was asked to do.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// What is known by now: one hop a TTL, from the first on. While the trace lasts, hops
    /// at the back may go away again (the path is shorter than they thought); a settled hop before which all are
    /// settled stays, unless it lies beyond the [end of the path](Self::path_end).
    #[must_use]
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// The TTL at which the path ends, as far as known.
    #[must_use]
    pub fn path_end(&self) -> Option<Ttl> {
        self.last.as_ref().map(|(ttl, _)| *ttl)
    }

    /// How it ended; `None` while it lasts.
    #[must_use]
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Queries sent.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// When the first query was sent.
    #[must_use]
    pub const fn started(&self) -> Option<Instant> {
        self.started
    }

    /// The [hops](Self::hops) with no more queries than were sent: a trace that ended early did not lose the others.
    #[must_use]
    pub fn sent_hops(&self) -> Vec<Hop> {
        let mut left = usize::try_from(self.asked).unwrap_or(usize::MAX);
        self.hops
            .iter()
            .map(|hop| {
                // In the order of the hops, and of each hop's queries.
                let sent: Vec<_> = hop.outcomes().iter().take(left).cloned().collect();
                left = left.saturating_sub(hop.outcomes().len());
                Hop::settled(hop.ttl(), sent)
            })
            .collect()
    }

    /// Whether anybody answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.hops.iter().any(Hop::is_answered)
    }

    /// Whether the other end was reached.
    #[must_use]
    pub const fn is_reached(&self) -> bool {
        matches!(self.end, Some(End::Reached | End::ReachedTranslator(_)))
    }

    /// What to do at `now`. Call it again after each [`Step::Send`].
    pub fn poll(&mut self, now: Instant) -> Step {
        if self.end.is_some() {
            return Step::Done;
        }
        self.expire(now);
        let next = self.next_query();
        let room = self.outstanding.len() < usize::from(self.options.parallel.get());
        let mut wake = self.outstanding.iter().map(|query| self.deadline(query)).min();
        match next {
            Some((ttl, index)) if room => match self.not_before.filter(|at| *at > now) {
                Some(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
                None => match self.ask(ttl, index, now) {
                    Some(query) => return Step::Send(query),
                    // All 65535 identifiers are resting: one will wake up.
                    None => wake = Some(now + LEAST_WAIT),
                },
            },
            None if self.outstanding.is_empty() => {
                self.finish(now);
                return Step::Done;
            }
            _ => {}
        }
        Step::Wait(wake.unwrap_or(now))
    }

    /// Takes an answer that came at `now`; `false` if it answers nothing that this trace waits for.
    pub fn handle(&mut self, answer: &Answer, now: Instant) -> bool {
        if self.end.is_some() {
            return false;
        }
        let Some(position) = self.outstanding.iter().position(|query| query.name.is_in(answer))
        else {
            return false;
        };
        let before = self.answered_before(answer);
        let ttl = self.outstanding.get(position).map(|query| query.ttl);
        if before.is_some() && before != ttl {
            return false;
        }
        let query = self.outstanding.swap_remove(position);
        let elapsed = now.saturating_duration_since(query.sent);
        // An error may be forged, and a result a duplicate: the true answer may still come.
        let doubtful = before.is_some() || matches!(answer, Answer::Undelivered { .. });
        if doubtful || self.options.direction == Direction::Forward {
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
                self.settle(&query, Outcome::Answered(sample));
                self.forward_end(query.ttl, *from, *reply, now);
            }
            Answer::Result { identifier, from, rtt } => {
                self.errors = 0;
                self.results.insert((*identifier, *from, *rtt), (query.ttl, now));
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
                self.settle(&query, Outcome::Answered(sample));
                if *from == self.options.end() {
                    self.shorten(query.ttl, End::Reached, now);
                }
            }
            Answer::Refused { refusal: Refusal::Padding(missing), .. }
                if self.accepts(query.padding.saturating_add(*missing)) =>
            {
                self.again.push_back((query.ttl, query.index));
            }
            Answer::Refused { refusal, text, .. } => {
                self.stop_with(End::Refused { refusal: *refusal, text: text.clone() });
            }
            Answer::Mirrored { .. } => self.stop_with(End::Mirrored),
            Answer::Undelivered { from, reply, .. } => {
                self.errors = self.errors.saturating_add(1);
                let many = self.errors >= ERRORS_IN_A_ROW || !self.is_answered();
                if many && self.last.is_none() {
                    self.stop_with(End::Unreachable { from: *from, reply: *reply });
                } else {
                    self.settle(&query, Outcome::Silent);
                }
            }
        }
        self.look_for_repetition(now);
        true
    }

    /// Whether requests with so much padding are worth a try: a demand is met once, and those that were on their way
    /// meanwhile get no other.
    fn accepts(&mut self, padding: u16) -> bool {
        if self.padding == 0 && padding <= MOST_PADDING {
            self.padding = padding;
        }
        padding <= self.padding
    }

    /// The TTL for which `answer` came before: the very nanosecond tells.
    fn answered_before(&self, answer: &Answer) -> Option<Ttl> {
        match answer {
            Answer::Result { identifier, from, rtt } if rtt.ns().is_some() => {
                self.results.get(&(*identifier, *from, *rtt)).map(|(ttl, _)| *ttl)
            }
            _ => None,
        }
    }

    /// Ends the trace with what is known.
    pub fn stop(&mut self) {
        if self.end.is_none() {
            self.stop_with(End::Stopped);
        }
    }

    /// The last TTL that is worth a query, by what is known.
    fn limit(&self) -> Ttl {
        let answered = self.hops.iter().rfind(|hop| hop.is_answered()).map(Hop::ttl);
        // Before any answer: as many hops from the first one on.
        let farthest = match answered {
            Some(ttl) => ttl.saturating_add(self.options.gap.get()),
            None => self.options.first.saturating_add(self.options.gap.get() - 1),
        };
        let limit = farthest.min(self.options.last);
        self.path_end().map_or(limit, |end| limit.min(end))
    }

    /// The TTL and the number of the next query.
    fn next_query(&self) -> Option<(Ttl, u8)> {
        let limit = self.limit();
        let again = self.again.front().copied();
        again
            .or_else(|| Some((self.next.0?, self.next.1)))
            .filter(|(ttl, _)| *ttl <= limit || again.is_some())
    }

    /// Makes the query of `ttl` and `index`.
    fn ask(&mut self, ttl: Ttl, index: u8, now: Instant) -> Option<Query> {
        let identifier = self.identifiers.take(now)?;
        let (query, name) = self.query(ttl, identifier);
        if self.again.pop_front().is_none() {
            self.advance(ttl, index);
        }
        let padding = self.padding;
        self.outstanding.push(Outstanding { identifier, name, ttl, index, padding, sent: now });
        self.sent += 1;
        self.started.get_or_insert(now);
        self.not_before = Some(now + self.options.interval());
        Some(query)
    }

    /// Notes that the query of `ttl` and `index` was made for the first time.
    fn advance(&mut self, ttl: Ttl, index: u8) {
        if index == 0 {
            self.hops.push(Hop::new(ttl, self.options.queries.get()));
        }
        self.next = if index + 1 < self.options.queries.get() {
            (Some(ttl), index + 1)
        } else {
            (ttl.get().checked_add(1).and_then(Ttl::new), 0)
        };
        self.asked += 1;
    }

    fn query(&self, ttl: Ttl, identifier: u16) -> (Query, Name) {
        let Self { sent, padding, .. } = *self;
        let asked = Asked { ttl, flow: self.options.flow, identifier, sent, padding };
        name::query(&self.options, &self.secret, asked)
    }

    /// When `query` is given up.
    fn deadline(&self, query: &Outstanding) -> Instant {
        query.sent + self.patience(query.ttl)
    }

    /// How long an answer from `ttl` is waited for.
    fn patience(&self, ttl: Ttl) -> Duration {
        let slowest = |hop: &Hop| hop.samples().map(|sample| sample.elapsed).max();
        let mut from_here = self.hops.iter().skip_while(|hop| hop.ttl() < ttl);
        let wait =
            from_here.find_map(|hop| Some((hop.ttl(), slowest(hop)?))).map(|(at, slowest)| {
                slowest * if at == ttl { TIMES_SAME_HOP } else { TIMES_LATER_HOP }
            });
        wait.map_or(self.options.wait, |wait| wait.max(LEAST_WAIT).min(self.options.wait))
    }

    fn expire(&mut self, now: Instant) {
        let mut position = 0;
        let mut expired = false;
        while let Some(query) = self.outstanding.get(position) {
            if self.deadline(query) > now {
                position += 1;
                continue;
            }
            let query = self.outstanding.swap_remove(position);
            self.identifiers.rest(query.identifier, now);
            self.settle(&query, Outcome::Silent);
            expired = true;
        }
        if expired {
            self.look_for_repetition(now);
        }
    }

    fn settle(&mut self, query: &Outstanding, outcome: Outcome) {
        if let Some(hop) = self.hops.iter_mut().find(|hop| hop.ttl() == query.ttl) {
            hop.settle(query.index.into(), outcome);
        }
    }

    /// Whether an answer to a probe is the end of the forward path.
    fn forward_end(&mut self, ttl: Ttl, from: IpAddr, reply: Reply, now: Instant) {
        let end = match reply {
            Reply::TimeExceeded => return,
            Reply::Direct => End::Reached,
            Reply::Unreachable(Unreachable { .. }) if from == self.options.target => End::Reached,
            // A target with several addresses may answer from another one.
            Reply::Unreachable(reason) if reason.is_at_destination() => End::Reached,
            Reply::Unreachable(_) | Reply::TooBig { .. } => End::Unreachable { from, reply },
        };
        self.shorten(ttl, end, now);
    }

    /// In reverse nothing says why a probe was answered: what ends a path shows as one address from there on.
    fn look_for_repetition(&mut self, now: Instant) {
        if self.options.direction == Direction::Forward || self.last.is_some() {
            return;
        }
        if let Some((ttl, end)) = repetition::end(&self.hops, &self.options) {
            self.shorten(ttl, end, now);
        }
    }

    /// The path ends at `ttl`: nothing beyond is of interest.
    fn shorten(&mut self, ttl: Ttl, end: End, now: Instant) {
        if self.last.as_ref().is_some_and(|(known, known_end)| {
            *known < ttl || *known == ttl && *known_end == End::Reached
        }) {
            return;
        }
        self.last = Some((ttl, end));
        self.hops.retain(|hop| hop.ttl() <= ttl);
        self.again.retain(|(asked, _)| *asked <= ttl);
        let (keep, beyond) =
            std::mem::take(&mut self.outstanding).into_iter().partition(|query| query.ttl <= ttl);
        self.outstanding = keep;
        let beyond: Vec<Outstanding> = beyond;
        for query in beyond {
            self.identifiers.rest(query.identifier, now);
        }
    }

    /// All was asked and answered, or given up.
    fn finish(&mut self, now: Instant) {
        let at_last = self.limit() == self.options.last && self.ends_answered();
        if self.options.direction == Direction::Reverse
            && self.last.is_none()
            && !at_last
            && let Some((ttl, end)) = repetition::end_before_silence(&self.hops, &self.options)
        {
            self.shorten(ttl, end, now);
        }
        self.end = Some(match &self.last {
            Some((_, end)) => end.clone(),
            None if at_last => End::LastTtl,
            None => End::Silent,
        });
    }

    /// Whether fewer hops than [`Options::gap`] at the back are silent.
    fn ends_answered(&self) -> bool {
        let silent = self.hops.iter().rev().take_while(|hop| !hop.is_answered()).count();
        silent < usize::from(self.options.gap.get())
    }

    fn stop_with(&mut self, end: End) {
        for hop in &mut self.hops {
            hop.give_up();
        }
        let answered = self.hops.iter().rposition(Hop::is_answered).map_or(0, |last| last + 1);
        self.hops.truncate(answered);
        self.end = Some(end);
    }
}
