//! A run under attack: clients ask at a steady rate, and one flood after the other comes besides.
//!
//! Each flood has a time of its own, then one pending time-out in which all may become normal again, then one in which it
//! must be. What is promised of each is in `Attacked::judge`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::course::Course;
use crate::flood::Flood;
use crate::gauges::{Gauges, Reading};
use crate::generator::clock_ticks;
use crate::ledger::Fault;
use crate::pace::Load;
use crate::step::{Seen, Step};
use crate::tally::Tally;

/// Steps of a flood: itself, the time-out, and what comes after. The one before all is the first step of the run.
const STEPS: usize = 3;
/// How often a flood is tried at most whose steps were disturbed.
const TRIES: usize = 3;
/// A step is disturbed in which a thread was kept from its core for longer than this at once: then clients lose answers that no flood
/// took from them.
const DISTURBED: Duration = Duration::from_millis(100);
/// The share of answers that is normal.
const NORMAL: f64 = 0.98;
/// Of a hundred frames of a flood, one more is a request of somebody else.
const FLOOD_OF_LOAD: f64 = 99.0;
/// How much of the table must be free for the flood of the most requests that is no attempt to fill it.
const ROOM: f64 = 1.25;
/// Buffers that may be elsewhere than before without being lost: in queues, in caches, held for neighbours.
const MBUFS: u64 = 1024;
/// Replies to what was sent before a step that may come in it.
const LATE: f64 = 64.0;
/// Octets that a process may grow by without anything growing: pages that are touched for the first time.
const PAGES: u64 = 4 << 20;
/// Transactions that the generator has room for.
const OUTSTANDING: usize = 1 << 13;

/// The course of a run under attack.
#[derive(Debug, Clone)]
pub struct Attack {
    /// A step; its load, time and flood do not count.
    pub step: Step,
    /// The floods, with their names.
    pub floods: Vec<(String, Flood)>,
    /// Frames of a flood in a second, where it has no rate of its own.
    pub rate: f64,
    /// How long each lasts.
    pub time: Duration,
    /// How long the responder keeps a probe pending.
    pub timeout: Duration,
    /// Entries of its table.
    pub entries: u32,
    /// What reads the responder off.
    pub gauges: Arc<Gauges>,
    /// Whether the responder is a process of its own.
    pub apart: bool,
}

/// Entries of a table in which `rate` requests a second find room that wait for `timeout`.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub fn entries(rate: f64, timeout: Duration) -> u32 {
    let wanted = ROOM * rate * timeout.as_secs_f64();
    (wanted.clamp(4096.0, f64::from(1u32 << 26)) as u32).next_power_of_two()
}

impl Attack {
    /// Frames a second of the flood at `place`.
    fn rate_of(&self, place: usize) -> f64 {
        let fill = self.floods.get(place).and_then(|(_, flood)| flood.fill);
        fill.map_or(self.rate, |fill| fill * f64::from(self.entries) / self.timeout.as_secs_f64())
    }
}

impl Attack {
    /// The step before each flood's last try, so far as there were any: its own steps follow. One more is the next try's.
    fn tries(&self, seen: &[Seen], hz: u64) -> Vec<Try> {
        let limit = clock_ticks(hz, u64::try_from(DISTURBED.as_nanos()).unwrap_or(u64::MAX));
        let (mut tries, mut before) = (Vec::new(), 0);
        for place in 0..self.floods.len() {
            for number in 1..=TRIES {
                let steps = seen.get(before..=before + STEPS);
                let disturbed =
                    steps.is_some_and(|steps| steps.iter().any(|seen| seen.longest_away > limit));
                let again = disturbed && number < TRIES;
                if !again {
                    tries.push(Try { place, before, disturbed });
                }
                if steps.is_none() {
                    return tries;
                }
                before += STEPS;
                if !again {
                    break;
                }
            }
        }
        tries
    }
}

/// A flood's last try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Try {
    /// The flood's place.
    place: usize,
    /// The step before it.
    before: usize,
    /// Whether it was disturbed all the same.
    disturbed: bool,
}

impl Course for Attack {
    fn outstanding(&self) -> usize {
        OUTSTANDING
    }

    fn next(&mut self, seen: &[Seen], hz: u64) -> Result<Option<Step>> {
        self.gauges.begin_step(seen.len());
        let Some(last) = self.tries(seen, hz).last().copied() else { return Ok(None) };
        if seen.len() > last.before + STEPS {
            return Ok(None);
        }
        let load = Load::Open { rate: self.rate / FLOOD_OF_LOAD };
        let half = self.time / 2;
        let (time, flood) = match seen.len() - last.before {
            1 => (self.time, Some((last.place, self.rate_of(last.place)))),
            2 => (self.timeout, None),
            _ => (half, None),
        };
        Ok(Some(Step { load, time, flood, ..self.step }))
    }

    fn gauges(&self) -> Option<Arc<Gauges>> {
        Some(Arc::clone(&self.gauges))
    }
}

/// What was read before a flood, the most during it, and what was read when all had to be normal again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Before.
    pub before: u64,
    /// The most until a time-out after its end.
    pub most: u64,
    /// The last after that.
    pub after: u64,
}

/// What came of a flood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attacked {
    /// Its name.
    pub flood: String,
    /// What the attacker did.
    pub about: String,
    /// Frames of it a second that were wanted.
    pub wanted_per_s: f64,
    /// That were sent.
    pub sent_per_s: f64,
    /// Frames of it that found the port full.
    pub refused: u64,
    /// Frames that the responder sent to strangers for it.
    pub replies: u64,
    /// So many it may send for each frame.
    pub most_replies: f64,
    /// Requests of the clients meanwhile.
    pub asked: u64,
    /// The shares of the clients' requests that were answered, and answered right: before, meanwhile, in the time-out after it, and
    /// after that.
    pub answered: [f64; 4],
    /// What it must be meanwhile, at least.
    pub promise: f64,
    /// Why that is less than elsewhere, where it is.
    pub why: Option<String>,
    /// Forged answers that were believed.
    pub believed: u64,
    /// How many may be, by what must be guessed.
    pub believable: u64,
    /// Resident memory of the responder's process, in bytes.
    pub resident: Level,
    /// Buffers in use.
    pub mbufs: Level,
    /// Probes that wait in the table.
    pub pending: Level,
    /// Neighbours that are remembered.
    pub neighbours: Level,
    /// What became of the frames since the flood began, the clients' included, by counter.
    pub outcomes: BTreeMap<String, u64>,
    /// Whether a thread was away from its core for so long that the clients' share says little, in this and each try before.
    pub disturbed: bool,
    /// The promises that were broken; none, if all were kept.
    pub broken: Vec<String>,
}

/// What the steps of `attack` brought.
#[must_use]
pub fn attacked(attack: &Attack, seen: &[Seen], hz: u64) -> Vec<Attacked> {
    let readings = attack.gauges.readings();
    let tries = attack.tries(seen, hz).into_iter();
    tries
        .filter_map(|Try { place, before, disturbed }| {
            let (name, flood) = attack.floods.get(place)?;
            let steps = seen.get(before..=before + STEPS)?;
            let mut attacked = Attacked::new(name, flood, attack.rate_of(place), steps);
            attacked.disturbed = disturbed;
            attacked.read(&readings, before);
            attacked.broken = attacked.judge(attack, steps, &readings);
            Some(attacked)
        })
        .collect()
}

impl Attacked {
    /// Of `flood` and its `steps`: the one before it, itself, the time-out, and after.
    fn new(name: &str, flood: &Flood, wanted: f64, steps: &[Seen]) -> Self {
        let mut answered = [0.0; 4];
        for (share, seen) in answered.iter_mut().zip(steps) {
            *share = seen.tally.responses as f64 / (seen.tally.asked as f64).max(1.0);
        }
        let during = steps.get(1);
        let tally = during.map_or_else(Tally::default, |seen| seen.tally);
        let seconds = during.map_or(1.0, |seen| seen.step.time.as_secs_f64());
        let sent = tally.flood as f64;
        Self {
            flood: name.to_owned(),
            about: flood.about.clone(),
            wanted_per_s: wanted,
            sent_per_s: sent / seconds,
            refused: tally.refused_flood,
            replies: tally.flood_replies,
            most_replies: flood.most_replies,
            asked: tally.asked,
            answered,
            promise: flood.promise,
            why: flood.why.clone(),
            believed: steps.iter().map(|seen| believed(&seen.tally)).sum(),
            believable: believable(flood.kind.believed() * sent),
            resident: Level::default(),
            mbufs: Level::default(),
            pending: Level::default(),
            neighbours: Level::default(),
            outcomes: BTreeMap::new(),
            disturbed: false,
            broken: Vec::new(),
        }
    }

    /// Notes what was read; `first` is the step before the flood.
    fn read(&mut self, readings: &[Reading], first: usize) {
        let last = |step: usize| readings.iter().rev().find(|reading| reading.step == step);
        let (Some(before), Some(after)) = (last(first), last(first + STEPS)) else { return };
        let meanwhile = first + 1..first + STEPS;
        let course = |gauge: fn(&Reading) -> u64| Level {
            before: gauge(before),
            most: readings
                .iter()
                .filter(|reading| meanwhile.contains(&reading.step))
                .map(gauge)
                .max()
                .unwrap_or(0),
            after: gauge(after),
        };
        self.resident = course(|reading| reading.resident);
        self.mbufs = course(|reading| reading.mbufs);
        self.pending = course(|reading| reading.pending);
        self.neighbours = course(|reading| reading.neighbours);
        let grown = after.outcomes.iter().map(|(name, count)| {
            (name.clone(), count - before.outcomes.get(name).copied().unwrap_or(0))
        });
        self.outcomes = grown.filter(|(_, count)| *count > 0).collect();
    }

    /// The promises that were broken.
    fn judge(&self, attack: &Attack, steps: &[Seen], readings: &[Reading]) -> Vec<String> {
        let mut broken = Vec::new();
        let mut promise = |kept: bool, what: String| {
            if !kept {
                broken.push(what);
            }
        };
        let [_, during, _, after] = self.answered.map(|share| 100.0 * share);
        promise(
            self.answered[1] >= self.promise,
            format!(
                "clients got {during:.1} % of their answers, and {:.0} % are promised",
                100.0 * self.promise
            ),
        );
        promise(
            self.answered[3] >= NORMAL,
            format!("one time-out after it, clients got {after:.1} % of their answers"),
        );
        promise(
            self.believed <= self.believable,
            format!("{} forged answers were believed, {} may be", self.believed, self.believable),
        );
        let wrong: u64 = steps.iter().skip(1).map(|seen| seen.tally.wrong()).sum();
        promise(
            wrong <= self.believed,
            format!("{wrong} frames to clients were not as they have to be"),
        );
        let sent: u64 = steps.iter().map(|seen| seen.tally.flood).sum();
        let most = self.most_replies * sent as f64 + LATE;
        promise(
            self.replies as f64 <= most,
            format!("{} frames were sent to strangers, and {most:.0} may be", self.replies),
        );
        promise(self.sent_per_s > 0.0, "no frame of it was sent".to_owned());
        let Some(first) = readings.first() else {
            broken.push("the responder's state could not be read".to_owned());
            return broken;
        };
        let [mbufs, pending] = [self.mbufs, self.pending];
        promise(
            mbufs.after <= mbufs.before + MBUFS,
            format!("{} buffers were in use before, {} after it", mbufs.before, mbufs.after),
        );
        promise(
            pending.after <= pending.before + first.capacity / 50,
            format!("{} probes waited before, {} after it", pending.before, pending.after),
        );
        // What is reserved at the start is resident once it was used. A process that is the generator's too keeps what was
        // measured: of such a one nothing can be told.
        let pages = first.table_bytes + PAGES;
        let resident = self.resident.most.max(self.resident.after);
        promise(
            !attack.apart || resident <= first.resident + pages,
            format!(
                "resident memory grew from {} to {} KiB since the start",
                first.resident >> 10,
                resident >> 10
            ),
        );
        broken
    }
}

/// Faults that a believed forgery makes: a hop, a time or an answer that was never sent.
fn believed(tally: &Tally) -> u64 {
    [Fault::WrongHop, Fault::WrongRtt, Fault::UnansweredResponse]
        .iter()
        .filter_map(|fault| tally.faults.get(*fault as usize))
        .sum()
}

/// More than these are believed in one of a million runs where `expected` are on average; none where none are.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
fn believable(expected: f64) -> u64 {
    if expected <= 0.0 { 0 } else { (expected + 5.0 * expected.sqrt() + 4.0) as u64 }
}

#[cfg(test)]
mod tests;
