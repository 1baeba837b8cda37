//! Where paths end that nobody says the end of, and what all ends together mean.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::layer::Number;
use super::search::Search;
use crate::options::Direction;
use crate::repetition::{TRANSLATOR_HOPS, TRANSLATOR_HOPS_BEFORE_SILENCE, is_private};
use crate::trace::End;

impl Search {
    /// In reverse nothing says why a probe was answered: a translator or a filter shows as one address at TTL after TTL.
    pub(super) fn look_for_repetition(&mut self, flow: Number, ttl: u8) {
        if self.options.trace.direction == Direction::Forward {
            return;
        }
        // The answer may have closed a gap in the row.
        let most = u8::try_from(self.rows().1).unwrap_or(u8::MAX);
        for last in ttl..=ttl.saturating_add(most) {
            if let Some((address, row)) = self.row(flow, last) {
                self.judge(flow, last, address, row);
            }
        }
    }

    /// The TTL of `from`, who says at `ttl` that it passes `flow` on to nobody, if it was the last to answer before: so it is where the
    /// path ends, and neither another one behind it nor is silence between, which is what it did not say.
    pub(super) fn refusal(&self, flow: Number, ttl: u8, from: IpAddr, end: &End) -> Option<u8> {
        let mut before = self.layers.range(..ttl).rev();
        let (before, last) =
            before.find_map(|(ttl, layer)| Some((*ttl, layer.answers.get(&flow)?)))?;
        (matches!(end, End::Unreachable { .. }) && last.from == from).then_some(before)
    }

    /// The node passes nothing on. It says so seldom (Linux: once a second), so that is believed of each flow that comes to it and is
    /// not known to get past.
    pub(super) fn refused(&mut self, (ttl, from): (u8, IpAddr), end: &End) {
        let empty = BTreeMap::new();
        let answers = |ttl: u8| self.layers.get(&ttl).map_or(&empty, |layer| &layer.answers);
        let here = answers(ttl).iter().filter(|(_, sample)| sample.from == from);
        let beyond = answers(ttl.saturating_add(1));
        let passes = |flow: &Number| beyond.get(flow).is_some_and(|sample| sample.from != from);
        let (past, stuck): (Vec<Number>, Vec<_>) = here.map(|(flow, _)| *flow).partition(passes);
        // Where one of several ways on is dead, silence may be anybody's.
        let stuck = stuck.into_iter().filter(|flow| past.is_empty() || beyond.contains_key(flow));
        for flow in stuck.collect::<Vec<_>>() {
            self.close(flow, (ttl, Some(from)), end.clone());
        }
    }

    /// In so many TTLs one address must answer to be a translator, or a filter.
    fn rows(&self) -> (usize, usize) {
        (TRANSLATOR_HOPS, usize::from(self.options.trace.gap.get()).max(TRANSLATOR_HOPS))
    }

    /// Who answers `flow` at `last`, and at how many TTLs up to it without a break.
    fn row(&self, flow: Number, last: u8) -> Option<(IpAddr, usize)> {
        let at = |ttl: u8| self.layers.get(&ttl)?.answers.get(&flow).map(|sample| sample.from);
        let address = at(last)?;
        let row = (0..=last).rev().take_while(|ttl| at(*ttl) == Some(address)).count();
        Some((address, row))
    }

    fn judge(&mut self, flow: Number, last: u8, address: IpAddr, row: usize) {
        let (translator, filter) = self.rows();
        let hidden = is_private(self.options.trace.end()) && !is_private(address);
        let length = u8::try_from(row).unwrap_or(u8::MAX);
        if hidden && row >= translator {
            // The first of them is the translator, the second is us.
            let second = last - length + 2;
            self.close(flow, (second, Some(address)), End::ReachedTranslator(address));
        } else if !hidden && row >= filter {
            self.close(flow, (last, Some(address)), End::Repeating(address));
        }
    }

    /// What all paths together came to.
    pub(super) fn conclusion(&mut self) -> End {
        let ends = |wanted: fn(&End) -> bool| self.ends.values().find(|end| wanted(end)).cloned();
        let found = ends(|end| *end == End::Reached)
            .or_else(|| ends(|end| matches!(end, End::ReachedTranslator(_))))
            .or_else(|| ends(|end| matches!(end, End::Unreachable { .. })))
            .or_else(|| ends(|end| matches!(end, End::Repeating(_))));
        if let Some(end) = found {
            return end;
        }
        let (last, gap) = (self.options.trace.last.get(), self.options.trace.gap.get());
        match self.farthest() {
            Some(farthest) if farthest.saturating_add(gap) > last => End::LastTtl,
            Some(farthest) => self.translator_before_silence(farthest).unwrap_or(End::Silent),
            None => End::Silent,
        }
    }

    /// Translators limit their errors: two TTLs of one public address, then silence, are one too.
    fn translator_before_silence(&mut self, farthest: u8) -> Option<End> {
        if self.options.trace.direction == Direction::Forward
            || !is_private(self.options.trace.end())
        {
            return None;
        }
        let flows: Vec<Number> = self.layers.get(&farthest)?.answers.keys().copied().collect();
        let rows: Vec<_> = flows
            .iter()
            .filter_map(|flow| Some((*flow, self.row(*flow, farthest)?)))
            .filter(|(_, (address, row))| {
                *row >= TRANSLATOR_HOPS_BEFORE_SILENCE && !is_private(*address)
            })
            .collect();
        let (_, (address, _)) = *rows.first()?;
        let end = End::ReachedTranslator(address);
        for (flow, (address, row)) in rows {
            let second = farthest - u8::try_from(row).unwrap_or(u8::MAX) + 2;
            self.close(flow, (second, Some(address)), End::ReachedTranslator(address));
        }
        Some(end)
    }
}
