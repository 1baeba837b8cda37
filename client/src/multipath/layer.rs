//! All that is known about one TTL, flow by flow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::hop::Sample;

/// The flows of a search by number: 0 is the one that a single path would have.
pub(super) type Number = u32;

/// The time from one query to the next, by level: a router that limits its errors answers one a second at least.
const PACES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1050),
];
/// So many of the latest queries tell whether a TTL loses many of them.
const RECENT: usize = 16;
/// The share of them that must be lost before we slow down: not weather, but a limit.
const MANY: f64 = 0.3;
/// The share below which we speed up again.
const FEW: f64 = 0.1;
/// The chance with which so many silent flows would come of mere loss, if silence is to be believed.
const DOUBT: f64 = 0.01;

/// Something to ask at a TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) flow: Number,
    /// Queries for it that were lost.
    pub(super) attempt: u8,
    /// Whether it was answered before, and is asked only to see whether the answer changes.
    pub(super) again: bool,
    /// The destination; 0 is the target.
    pub(super) beside: u8,
}

impl Ask {
    pub(super) const fn first(flow: Number) -> Self {
        Self { flow, attempt: 0, again: false, beside: 0 }
    }
}

/// A TTL.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    /// The first answer of each flow.
    pub(super) answers: BTreeMap<Number, Sample>,
    /// Flows given up.
    silent: BTreeMap<Number, u8>,
    /// Flows asked for and not settled.
    open: BTreeSet<Number>,
    /// Who answered a flow that was asked again.
    again: BTreeMap<Number, Vec<IpAddr>>,
    /// How often it was asked again in all.
    pub(super) asked_again: BTreeMap<Number, u32>,
    queue: VecDeque<Ask>,
    not_before: Option<Instant>,
    level: usize,
    recent: VecDeque<bool>,
    /// Queries of answered flows, and how many of them were lost.
    queries: u32,
    lost: u32,
    pub(super) slowest: Option<Duration>,
}

impl Layer {
    /// Whether `flow` was asked for.
    pub(super) fn is_asked(&self, flow: Number) -> bool {
        self.answers.contains_key(&flow)
            || self.open.contains(&flow)
            || self.silent.contains_key(&flow)
    }

    /// Flows asked for.
    pub(super) fn asked(&self) -> usize {
        self.answers.len() + self.open.len() + self.silent.len()
    }

    /// The flows asked for, in their order.
    pub(super) fn flows(&self) -> impl Iterator<Item = Number> {
        let all: BTreeSet<Number> =
            self.answers.keys().chain(&self.open).chain(self.silent.keys()).copied().collect();
        all.into_iter()
    }

    pub(super) fn is_open(&self, flow: Number) -> bool {
        self.open.contains(&flow)
    }

    /// Flows asked for and not settled.
    pub(super) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Whether any flow may still show something.
    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn is_answered(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Who answers each flow; `None` is silence that is believed. Flows of which nothing is known are not in it.
    pub(super) fn places(&self) -> BTreeMap<Number, Option<IpAddr>> {
        let mut places = BTreeMap::new();
        if !self.silent.is_empty() && self.is_silence_believed() {
            places.extend(self.silent.keys().map(|flow| (*flow, None)));
        }
        places.extend(self.answers.iter().map(|(flow, sample)| (*flow, Some(sample.from))));
        places
    }

    /// Whether the flows that were given up are silent, and not merely unlucky, as the luck of the others tells.
    fn is_silence_believed(&self) -> bool {
        if self.answers.is_empty() {
            return true;
        }
        let lost = f64::from(self.lost + 1) / f64::from(self.queries + 2);
        let attempts = self.silent.values().max().copied().unwrap_or(0);
        let unlucky = lost.powi(i32::from(attempts) + 1);
        at_least(self.silent.len(), self.answers.len() + self.silent.len(), unlucky) < DOUBT
    }

    /// Flows with their first answers, and those that were given up without.
    pub(super) fn settled(&self) -> impl Iterator<Item = (Number, Option<&Sample>)> {
        let silent = self.silent.keys().map(|flow| (*flow, None));
        self.answers.iter().map(|(flow, sample)| (*flow, Some(sample))).chain(silent)
    }

    /// Asks for `flow`, unless it was.
    pub(super) fn ask(&mut self, flow: Number) -> bool {
        let new = !self.is_asked(flow);
        if new {
            self.open.insert(flow);
            self.queue.push_back(Ask::first(flow));
        }
        new
    }

    /// Asks for `flow` so many times again.
    pub(super) fn ask_again(&mut self, flow: Number, times: u32) {
        *self.asked_again.entry(flow).or_default() += times;
        let again = Ask { again: true, ..Ask::first(flow) };
        self.queue.extend((0..times).map(|_| again));
    }

    /// What is to be sent at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Option<Ask> {
        if self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        let ask = self.queue.pop_front()?;
        let pace = PACES.get(self.level).copied().unwrap_or_default();
        self.not_before = (!pace.is_zero()).then(|| now + pace);
        Some(ask)
    }

    /// Something that could not be sent after all.
    pub(super) fn put_back(&mut self, ask: Ask) {
        self.queue.push_front(ask);
    }

    /// When there is something to send; `None`: nothing is waiting.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        (!self.queue.is_empty()).then(|| self.not_before.unwrap_or(now))
    }

    /// Takes the answer to `ask`. Returns whether it is the first at this TTL.
    pub(super) fn answered(&mut self, ask: Ask, sample: Sample) -> bool {
        self.note(true);
        self.slowest =
            Some(self.slowest.map_or(sample.elapsed, |slowest| slowest.max(sample.elapsed)));
        if ask.again {
            self.again.entry(ask.flow).or_default().push(sample.from);
            return false;
        }
        let first = self.answers.is_empty();
        self.lost += u32::from(ask.attempt);
        self.queries += u32::from(ask.attempt) + 1;
        self.open.remove(&ask.flow);
        self.answers.insert(ask.flow, sample);
        first
    }

    /// No answer came to `ask`, of which `retry` more attempts are worth while.
    pub(super) fn unanswered(&mut self, ask: Ask, retry: u8) {
        self.note(false);
        if ask.attempt < retry {
            if self.loses() > MANY && self.is_answered() {
                let steps = PACES.len() - 1;
                let level = (steps * (usize::from(ask.attempt) + 1)).div_ceil(usize::from(retry));
                self.level = self.level.max(level.min(steps));
            }
            self.queue.push_back(Ask { attempt: ask.attempt + 1, ..ask });
        } else if !ask.again {
            self.open.remove(&ask.flow);
            self.silent.insert(ask.flow, ask.attempt);
        }
    }

    /// Others answer at this TTL: what was given up sooner than `retry` attempts allow is asked again.
    pub(super) fn take_up(&mut self, retry: u8) {
        let early: Vec<_> = self
            .silent
            .iter()
            .filter(|(_, attempt)| **attempt < retry)
            .map(|(flow, attempt)| (*flow, *attempt))
            .collect();
        for (flow, attempt) in early {
            self.silent.remove(&flow);
            self.open.insert(flow);
            self.queue.push_back(Ask { attempt: attempt + 1, ..Ask::first(flow) });
        }
    }

    /// Forgets `flow`, whose path ends before.
    pub(super) fn forget(&mut self, flow: Number) {
        self.answers.remove(&flow);
        self.silent.remove(&flow);
        self.open.remove(&flow);
        self.again.remove(&flow);
        self.asked_again.remove(&flow);
        self.queue.retain(|ask| ask.flow != flow);
    }

    /// Sends nothing more.
    pub(super) fn give_up(&mut self) {
        self.queue.clear();
        self.open.clear();
    }

    /// Answers to asking again for `flow`, and whether one differs from the first.
    pub(super) fn repeated(&self, flow: Number) -> (u32, bool) {
        let first = self.answers.get(&flow).map(|sample| sample.from);
        let again = self.again.get(&flow).map_or(&[][..], Vec::as_slice);
        let count = u32::try_from(again.len()).unwrap_or(u32::MAX);
        (count, again.iter().any(|from| Some(*from) != first))
    }

    fn note(&mut self, answered: bool) {
        self.recent.push_back(answered);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        if self.recent.len() == RECENT && self.loses() < FEW {
            self.level = self.level.saturating_sub(1);
            self.recent.clear();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "16 at most")]
    fn loses(&self) -> f64 {
        let lost = self.recent.iter().filter(|answered| !**answered).count();
        lost as f64 / self.recent.len().max(1) as f64
    }
}

/// The chance that of `all` at least `count` happen, each with `chance`.
#[expect(clippy::cast_precision_loss, reason = "flows are few")]
fn at_least(count: usize, all: usize, chance: f64) -> f64 {
    let mut exactly = (1.0 - chance).powi(i32::try_from(all).unwrap_or(i32::MAX));
    let mut fewer = 0.0;
    for happened in 0..count.min(all + 1) {
        fewer += exactly;
        let ratio = (all - happened) as f64 / (happened + 1) as f64;
        exactly *= ratio * chance / (1.0 - chance);
    }
    (1.0 - fewer).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(last: u8) -> Sample {
        Sample {
            from: [192, 0, 2, last].into(),
            sent: Instant::now(),
            rtt: None,
            elapsed: Duration::from_millis(1),
            reply: None,
            details: crate::details::Details::default(),
            rewritten: crate::details::Rewritten::default(),
        }
    }

    #[test]
    fn binomial_tails() {
        assert!((at_least(0, 5, 0.3) - 1.0).abs() < 1e-12);
        assert!((at_least(5, 5, 0.5) - 1.0 / 32.0).abs() < 1e-12);
        assert!((at_least(1, 3, 0.1) - (1.0 - 0.729)).abs() < 1e-12);
    }

    #[test]
    fn silence_is_believed_if_the_others_are_not_unlucky() {
        let mut layer = Layer::default();
        for flow in 0..8 {
            layer.ask(flow);
        }
        for flow in 0..7 {
            layer.answered(Ask::first(flow), sample(1));
        }
        layer.unanswered(Ask { attempt: 3, ..Ask::first(7) }, 3);
        assert_eq!(layer.places().get(&7), Some(&None));
        // The same, where the others needed several attempts as well.
        let mut layer = Layer::default();
        for flow in 0..7 {
            layer.ask(flow);
            layer.answered(Ask { attempt: 2, ..Ask::first(flow) }, sample(1));
        }
        layer.ask(7);
        layer.unanswered(Ask { attempt: 3, ..Ask::first(7) }, 3);
        assert_eq!(layer.places().get(&7), None);
    }

    #[test]
    fn it_slows_down_for_a_limit_and_speeds_up_again() {
        let mut layer = Layer::default();
        let now = Instant::now();
        for flow in 0..12 {
            layer.ask(flow);
        }
        let asks: Vec<_> = std::iter::from_fn(|| layer.next(now)).collect();
        assert_eq!(asks.len(), 12, "no pace without loss");
        for ask in &asks[..6] {
            layer.answered(*ask, sample(1));
        }
        for ask in &asks[6..] {
            layer.unanswered(*ask, 3);
        }
        assert!(layer.next(now).is_some());
        assert_eq!(layer.next(now), None);
        assert_eq!(layer.due(now), Some(now + PACES[1]));
        for _ in 0..RECENT * 4 {
            layer.note(true);
        }
        assert_eq!(layer.level, 0);
    }
}
