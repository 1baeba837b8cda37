//! What the rounds amount to, by direction, hop and address.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use jiff::Timestamp;

use super::monitor::{Event, Round};
use super::route::{self, Route};
use super::series::Series;
use crate::analyse;
use crate::details::Label;
use crate::document::{self, Change};
use crate::hop::{Hop, Outcome};
use crate::options::{Direction, Flow, Options};
use crate::query::Reply;
use crate::trace::End;
use crate::ttl::Ttl;

/// Outcomes of a hop that are kept one by one.
pub const KEPT: usize = 100;
/// Addresses of a hop that are told apart.
const RESPONDERS: usize = 64;
/// The path counts as reached if one of so many rounds, the last ones, came to its end: more than a
/// [`Monitor`](super::Monitor) lets pass before it looks for a new one.
const VERDICT: usize = 8;

/// All that a [`Monitor`](super::Monitor) told.
#[derive(Debug, Clone)]
pub struct Board {
    sides: Vec<Side>,
    trouble: Option<String>,
}

/// One direction.
#[derive(Debug, Clone)]
pub struct Side {
    options: Options,
    rounds: u64,
    sent: u64,
    hops: BTreeMap<Ttl, HopSeries>,
    /// The last TTL that is worth to be shown.
    length: Option<Ttl>,
    /// How the last rounds ended, the latest last.
    ends: VecDeque<Option<End>>,
    routes: HashMap<Flow, Route>,
    changes: VecDeque<Change>,
    changed: u64,
    /// Before the first round is over: what is known of it.
    first: Vec<HopSeries>,
}

/// All that is known about one TTL.
#[derive(Debug, Clone)]
pub struct HopSeries {
    ttl: Ttl,
    sent: u64,
    answered: u64,
    series: Series,
    responders: Vec<Responder>,
    recent: VecDeque<Outcome>,
}

/// An address that answers at a TTL.
#[derive(Debug, Clone)]
pub struct Responder {
    /// Which.
    pub address: IpAddr,
    /// How often.
    pub answered: u64,
    /// Its round-trip times.
    pub series: Series,
    /// The flows that it answered to.
    pub flows: BTreeSet<Flow>,
    /// What it answered the last time; `None` in a reverse trace, whose responses do not say.
    pub reply: Option<Reply>,
    /// The MPLS labels with which the last probe came (RFC 4950), the outermost first.
    pub labels: Vec<Label>,
}

impl Board {
    /// A board of nothing yet, with a side for each of the traces that `options` describe.
    #[must_use]
    pub fn new(options: impl IntoIterator<Item = Options>) -> Self {
        Self { sides: options.into_iter().map(Side::new).collect(), trouble: None }
    }

    /// Takes in what happened at `at`.
    pub fn update(&mut self, event: Event, at: Timestamp) {
        match event {
            Event::Round(round) => {
                if round.hops.iter().any(Hop::is_answered) {
                    self.trouble = None;
                }
                if let Some(side) = self.side_mut(round.direction) {
                    side.learn(&round, at);
                }
            }
            Event::Progress { direction, hops } => {
                if let Some(side) = self.side_mut(direction).filter(|side| side.rounds == 0) {
                    side.first = hops.iter().map(HopSeries::of_first).collect();
                }
            }
            Event::Trouble(reason) => self.trouble = Some(reason),
        }
    }

    /// Forgets all that was measured, and where that ended; but not how the paths go, so that changes are still seen.
    pub fn reset(&mut self) {
        for side in &mut self.sides {
            side.hops.clear();
            side.rounds = 0;
            side.sent = 0;
            side.length = None;
            side.ends.clear();
        }
    }

    /// The directions, in the order of the options.
    #[must_use]
    pub fn sides(&self) -> &[Side] {
        &self.sides
    }

    /// Why the last packets could not be sent, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn side_mut(&mut self, direction: Direction) -> Option<&mut Side> {
        self.sides.iter_mut().find(|side| side.options.direction == direction)
    }
}

impl Side {
    fn new(options: Options) -> Self {
        Self {
            options,
            rounds: 0,
            sent: 0,
            hops: BTreeMap::new(),
            length: None,
            ends: VecDeque::new(),
            routes: HashMap::new(),
            changes: VecDeque::new(),
            changed: 0,
            first: Vec::new(),
        }
    }

    fn learn(&mut self, round: &Round, at: Timestamp) {
        self.rounds += 1;
        self.sent += round.sent;
        self.first.clear();
        for hop in &round.hops {
            let series = self.hops.entry(hop.ttl()).or_insert_with(|| HopSeries::new(hop.ttl()));
            for outcome in hop.outcomes() {
                series.learn(outcome, round.flow);
            }
        }
        let answered = round.hops.iter().rfind(|hop| hop.is_answered()).map(Hop::ttl);
        self.length = if is_reached(round.end.as_ref()) {
            answered
        } else {
            // Silence behind the last answer is no part of the path as far as it is known; and a hop that is
            // silent for once still is.
            self.length.max(answered)
        };
        self.ends.push_back(round.end.clone());
        if self.ends.len() > VERDICT {
            self.ends.pop_front();
        }
        let changes = self.routes.entry(round.flow).or_default().learn(round, self.rounds, at);
        self.changed += u64::from(!changes.is_empty());
        route::remember(&mut self.changes, changes);
    }

    /// What is traced.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Rounds that are over.
    #[must_use]
    pub const fn rounds(&self) -> u64 {
        self.rounds
    }

    /// The hops of the path, one a TTL as far as it is known. In the first round, what is known of it.
    #[must_use]
    pub fn hops(&self) -> Vec<&HopSeries> {
        if self.rounds == 0 {
            return self.first.iter().collect();
        }
        self.hops
            .values()
            .filter(|hop| self.length.is_some_and(|length| hop.ttl <= length))
            .collect()
    }

    /// How the path ends: as the latest of the last rounds that came to the other end, or else as the latest that looked.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        let reached = self.ends.iter().rev().find(|end| is_reached(end.as_ref()));
        reached.or_else(|| self.ends.iter().rev().find(|end| end.is_some()))?.as_ref()
    }

    /// Whether the other end was reached, of late.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        is_reached(self.end())
    }

    /// Whether anybody answered since the last reset.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.length.is_some()
    }

    /// Changes of the path, the oldest first; of many, the latest.
    #[must_use]
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.changes.iter()
    }

    /// Rounds that showed a change.
    #[must_use]
    pub const fn changed(&self) -> u64 {
        self.changed
    }

    /// The path for [`analyse::compare`], by the outcomes that are [kept](KEPT).
    #[must_use]
    pub fn path(&self) -> analyse::Path {
        let hops: Vec<_> = self.hops().into_iter().map(HopSeries::recent_hop).collect();
        analyse::Path::new(self.ends_of_path().0, &hops, self.is_reached())
    }

    /// Where probes start, and where they go to.
    #[must_use]
    pub const fn ends_of_path(&self) -> (IpAddr, IpAddr) {
        match self.options.direction {
            Direction::Forward => (self.options.source, self.options.target),
            Direction::Reverse => (self.options.target, self.options.source),
        }
    }

    /// The same for a document: statistics of all rounds, and the latest probes one by one.
    #[must_use]
    pub fn document(&self) -> document::Path {
        let (from, to) = self.ends_of_path();
        let hops = self.hops();
        let times = hops.iter().flat_map(|hop| hop.recent()).filter_map(|outcome| match outcome {
            Outcome::Answered(sample) => Some(sample.sent),
            Outcome::Silent | Outcome::Waiting => None,
        });
        let start = times.min();
        document::Path {
            protocol: self.options.protocol.into(),
            flow: self.options.flow.get(),
            first_ttl: self.options.first.get(),
            max_ttl: self.options.last.get(),
            queries: 1,
            sent: self.sent,
            size: self.options.probe_size(),
            tos: self.options.probe_tos(),
            from,
            to,
            reached: self.is_reached(),
            end: self.end().map(document::End::from),
            hops: hops.iter().map(|hop| hop.document(start)).collect(),
            mtu: None,
            multipath: None,
            changes: self.changes.iter().cloned().collect(),
        }
    }
}

impl HopSeries {
    fn new(ttl: Ttl) -> Self {
        Self {
            ttl,
            sent: 0,
            answered: 0,
            series: Series::new(),
            responders: Vec::new(),
            recent: VecDeque::new(),
        }
    }

    /// Of a round that lasts.
    fn of_first(hop: &Hop) -> Self {
        let mut found = Self::new(hop.ttl());
        for outcome in hop.outcomes() {
            found.learn(outcome, Flow::MIN);
        }
        found
    }

    fn learn(&mut self, outcome: &Outcome, flow: Flow) {
        if *outcome == Outcome::Waiting {
            return;
        }
        self.sent += 1;
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(outcome.clone());
        let Outcome::Answered(sample) = outcome else { return };
        self.answered += 1;
        if let Some(rtt) = sample.rtt {
            self.series.add(rtt);
        }
        let place = self.responders.iter().position(|one| one.address == sample.from);
        let place = place.unwrap_or_else(|| {
            if self.responders.len() < RESPONDERS {
                self.responders.push(Responder {
                    address: sample.from,
                    answered: 0,
                    series: Series::new(),
                    flows: BTreeSet::new(),
                    reply: None,
                    labels: Vec::new(),
                });
            }
            self.responders.len() - 1
        });
        if let Some(responder) =
            self.responders.get_mut(place).filter(|one| one.address == sample.from)
        {
            responder.answered += 1;
            responder.flows.insert(flow);
            responder.reply = sample.reply;
            responder.labels = sample.details.labels();
            if let Some(rtt) = sample.rtt {
                responder.series.add(rtt);
            }
        }
    }

    /// Its TTL.
    #[must_use]
    pub const fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// Probes that were answered, or waited for in vain.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Probes that were answered.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// The part of the probes that was not answered, in percent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 probes")]
    pub fn loss(&self) -> f64 {
        let lost = self.sent - self.answered;
        if self.sent == 0 { 0.0 } else { lost as f64 * 100.0 / self.sent as f64 }
    }

    /// Its round-trip times.
    #[must_use]
    pub const fn series(&self) -> &Series {
        &self.series
    }

    /// Who answered, the one that answered most first.
    #[must_use]
    pub fn responders(&self) -> Vec<&Responder> {
        let mut found: Vec<_> = self.responders.iter().collect();
        // Stable: of two that answered as often, the one that was there first.
        found.sort_by_key(|responder| std::cmp::Reverse(responder.answered));
        found
    }

    /// What became of the latest probes, the oldest first, at most [`KEPT`].
    #[must_use]
    pub fn recent(&self) -> impl DoubleEndedIterator<Item = &Outcome> {
        self.recent.iter()
    }

    fn recent_hop(&self) -> Hop {
        Hop::settled(self.ttl, self.recent.iter().cloned().collect())
    }

    fn document(&self, start: Option<std::time::Instant>) -> document::Hop {
        let responders = self.responders();
        document::Hop {
            ttl: self.ttl.get(),
            probes: self.recent.iter().map(|outcome| outcome.document(start)).collect(),
            statistics: Some(document::Statistics::new(self.sent, self.answered, &self.series)),
            responders: responders
                .iter()
                .map(|one| document::Responder {
                    address: one.address,
                    flows: one.flows.iter().map(|flow| flow.get()).collect(),
                    statistics: document::Statistics::new(one.answered, one.answered, &one.series),
                })
                .collect(),
        }
    }
}

fn is_reached(end: Option<&End>) -> bool {
    matches!(end, Some(End::Reached | End::ReachedTranslator(_)))
}
