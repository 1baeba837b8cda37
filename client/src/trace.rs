//! One trace in one direction: which query comes next, and what an answer means.
//!
//! No I/O and no clock: [`Trace::poll`] says what to do at a given time, [`Trace::handle`] takes an answer.
//!
//! Many queries are in flight at once, nearest TTL first. The window of TTLs grows with the answers: no TTL is asked
//! for that lies more than [`Options::gap`] beyond the farthest one that was answered, and once the end of the path is
//! known, none beyond it.

pub(crate) mod name;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use otherhalf_wire::trace::Refusal;

use crate::flight::{self, Flight, LEAST_WAIT, News};
use crate::hop::{Hop, Outcome, Sample};
use crate::options::{Direction, Options};
use crate::query::{Answer, Query, Reply};
use crate::repetition;
use crate::secret::Secret;
use crate::ttl::Ttl;
pub(crate) use name::body;

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

impl End {
    /// The end of a path that is traced by `options`, if `sample` is from there.
    pub(crate) fn by(sample: &Sample, options: &Options) -> Option<Self> {
        let from = sample.from;
        match sample.reply {
            None => (from == options.end()).then_some(Self::Reached),
            Some(Reply::TimeExceeded) => None,
            Some(Reply::Direct) => Some(Self::Reached),
            // A target with several addresses may answer from another one.
            Some(Reply::Unreachable(reason))
                if from == options.target || reason.is_at_destination() =>
            {
                Some(Self::Reached)
            }
            Some(reply) => Some(Self::Unreachable { from, reply }),
        }
    }
}

/// A trace, see the [module](self).
#[derive(Debug)]
pub struct Trace {
    options: Options,
    /// What is on its way: its number at its TTL.
    flight: Flight<u8>,
    hops: Vec<Hop>,
    /// The next query: its TTL (`None` past 255) and its number at that TTL.
    next: (Option<Ttl>, u8),
    /// Queries that are to be sent once more: TTL and number.
    again: VecDeque<(Ttl, u8)>,
    /// Queries so far, each once.
    asked: u64,
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
            flight: Flight::new(secret),
            hops: Vec::new(),
            next: (Some(options.first), 0),
            again: VecDeque::new(),
            asked: 0,
            last: None,
            end: None,
            options,
        }
    }

    /// Forgets all but its identifiers and the results of late, and is a new trace. So identifiers that were answered are
    /// used again, and those that were not rest: an answer to what it was is not taken for one to what it is.
    pub fn begin_again(&mut self, options: Options, secret: Secret, now: Instant) {
        let mut new = Self::new(options, secret.clone());
        self.flight.begin_again(secret, now);
        std::mem::swap(&mut self.flight, &mut new.flight);
        *self = new;
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
        self.flight.sent()
    }

    /// When the first query was sent.
    #[must_use]
    pub const fn started(&self) -> Option<Instant> {
        self.flight.started()
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
        let mut wake = self.flight.deadline(|ttl| self.patience(ttl));
        match self.next_query() {
            Some((ttl, index)) if self.flight.has_room(&self.options) => {
                let at = match self.flight.held_until(now) {
                    Some(at) => at,
                    None => match self.ask(ttl, index, now) {
                        Some(query) => return Step::Send(query),
                        // All 65535 identifiers are resting: one will wake up.
                        None => now + LEAST_WAIT,
                    },
                };
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
            }
            None if self.flight.is_empty() => {
                self.finish();
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
        let is_answered = self.is_answered();
        let taken = self.flight.take(answer, now, self.options.direction, is_answered);
        let Some((query, news)) = taken else { return false };
        let (ttl, index) = (query.ttl, query.what);
        match news {
            News::Answered(sample) | News::Repeated(sample) => {
                let end = End::by(&sample, &self.options);
                self.settle(ttl, index, Outcome::Answered(sample));
                if let Some(end) = end {
                    self.shorten(ttl, end);
                }
            }
            News::Longer => self.again.push_back((ttl, index)),
            News::Undelivered { end, believed } if believed && self.last.is_none() => {
                self.stop_with(end);
            }
            News::Undelivered { .. } => self.settle(ttl, index, Outcome::Silent),
            News::Over(end) => self.stop_with(end),
        }
        self.look_for_repetition();
        true
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
        let at = (ttl, self.options.flow, None);
        let query = self.flight.send(&self.options, at, index, now)?;
        if self.again.pop_front().is_none() {
            self.advance(ttl, index);
        }
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

    /// How long an answer from `ttl` is waited for.
    fn patience(&self, ttl: Ttl) -> Duration {
        patience(&self.hops, ttl, self.options.wait)
    }

    fn expire(&mut self, now: Instant) {
        let wait = self.options.wait;
        let mut expired = false;
        while let Some(query) = self.flight.expired(now, |ttl| patience(&self.hops, ttl, wait)) {
            self.settle(query.ttl, query.what, Outcome::Silent);
            expired = true;
        }
        if expired {
            self.look_for_repetition();
        }
    }

    /// Notes what became of the query of `ttl` and `index`.
    fn settle(&mut self, ttl: Ttl, index: u8, outcome: Outcome) {
        if let Some(hop) = self.hops.iter_mut().find(|hop| hop.ttl() == ttl) {
            hop.settle(index.into(), outcome);
        }
    }

    /// In reverse nothing says why a probe was answered: what ends a path shows as one address from there on.
    fn look_for_repetition(&mut self) {
        if self.options.direction == Direction::Forward || self.last.is_some() {
            return;
        }
        if let Some((ttl, end)) = repetition::end(&self.hops, &self.options) {
            self.shorten(ttl, end);
        }
    }

    /// The path ends at `ttl`: nothing beyond is of interest.
    fn shorten(&mut self, ttl: Ttl, end: End) {
        if self.last.as_ref().is_some_and(|(known, known_end)| {
            *known < ttl || *known == ttl && *known_end == End::Reached
        }) {
            return;
        }
        self.last = Some((ttl, end));
        self.hops.retain(|hop| hop.ttl() <= ttl);
        self.again.retain(|(asked, _)| *asked <= ttl);
        self.flight.retain(|query| query.ttl <= ttl);
    }

    /// All was asked and answered, or given up.
    fn finish(&mut self) {
        let at_last = self.limit() == self.options.last && self.ends_answered();
        if self.options.direction == Direction::Reverse
            && self.last.is_none()
            && !at_last
            && let Some((ttl, end)) = repetition::end_before_silence(&self.hops, &self.options)
        {
            self.shorten(ttl, end);
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

fn patience(hops: &[Hop], ttl: Ttl, wait: Duration) -> Duration {
    let slowest = |hop: &Hop| hop.samples().map(|sample| sample.elapsed).max();
    flight::patience(hops.iter().map(|hop| (hop.ttl(), slowest(hop))), ttl, wait)
}
