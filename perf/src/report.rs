//! Reports as NDJSON: a line for the run, then for each step one line, and one for each tenth of a second of it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use otherhalf_responder::stage::ticks_of_a_lap;
use serde::{Deserialize, Serialize};

use crate::attack::Attacked;
use crate::figures::{Block, Figures, Latencies, Rates, StageTicks, best};
use crate::goodput::Curve;
use crate::mood::Mood;
use crate::pace::Load;
use crate::proof::Proven;
use crate::search::NoDrop;
use crate::session::Outcome;
use crate::step::Against;
use crate::step::Seen;
use crate::workers::Worker;

/// Why a file is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("can't read the report {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line that is none of a report.
    #[error("{}, line {line}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// No line for the run, or a block without its step.
    #[error("{}: not a whole report: {missing} is missing", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Run(Box<Run>),
    Step(Box<StepLine>),
    Block(BlockLine),
}

/// The run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The program's version.
    pub version: String,
    /// The scenario's name, and what it is for.
    pub scenario: String,
    /// What the scenario is for.
    pub scenario_about: String,
    /// The profile's name.
    pub profile: String,
    /// What connects the two.
    pub profile_about: String,
    /// Ticks of the time stamp counter in a second.
    pub tsc_hz: u64,
    /// The host's mood before.
    pub mood_before: Mood,
    /// And after.
    pub mood_after: Mood,
    /// The responder's counters at its end, warm-up included.
    pub responder: BTreeMap<String, u64>,
    /// Buffers that nobody gave back; known if both share a process.
    pub mbufs_lost: Option<u32>,
    /// What each of the responder's workers did, warm-up included.
    #[serde(default)]
    pub workers: Vec<Worker>,
    /// Ticks that the reading of a stage takes; a burst has one a stage.
    #[serde(default)]
    pub stage_reading_ticks: f64,
    /// What a search for the no-drop rate found.
    #[serde(default)]
    pub no_drop: Option<NoDrop>,
    /// What a proof found.
    #[serde(default)]
    pub proven: Option<Proven>,
    /// Goodput under overload.
    #[serde(default)]
    pub goodput: Option<Curve>,
    /// What came of each flood.
    #[serde(default)]
    pub attacked: Vec<Attacked>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepLine {
    /// Its place among the steps, from 0.
    pub step: usize,
    /// Transactions under way at once, in a closed loop.
    pub window: Option<usize>,
    /// Requests a second that were wanted, in an open loop.
    pub rate: Option<f64>,
    /// What was counted, by name.
    pub counts: BTreeMap<String, u64>,
    /// What was wrong, by name; empty if nothing was.
    pub faults: BTreeMap<String, u64>,
    /// Of all windows.
    pub all: Rates,
    /// Of those in which no thread was away.
    pub clean: Rates,
    /// Of those, what was settled.
    #[serde(default)]
    pub settled: Rates,
    /// The share of windows that were clean.
    pub clean_share: f64,
    /// The share that were settled: clean, and in an open loop nothing of an earlier absence left.
    #[serde(default)]
    pub settled_share: f64,
    /// The stages of the responder's work; empty where its counters can't be seen.
    #[serde(default)]
    pub stages: Vec<StageTicks>,
    /// The share of windows in which the generator was away.
    pub generator_away_share: f64,
    /// The share in which the responder seemed to be.
    pub responder_away_share: f64,
    /// Latencies of settled windows, in nanoseconds.
    #[serde(default)]
    pub latency_settled: Latencies,
    /// Latencies of clean windows.
    pub latency_clean: Latencies,
    /// Of all.
    pub latency_all: Latencies,
}

/// A tenth of a second of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct BlockLine {
    step: usize,
    #[serde(flatten)]
    block: Block,
}

/// A whole report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The run.
    pub run: Run,
    /// Its steps, each with its blocks.
    pub steps: Vec<(StepLine, Vec<Block>)>,
}

impl StepLine {
    /// What to call the step: "window 256", "1.50 M/s".
    #[must_use]
    pub fn name(&self) -> String {
        match (self.window, self.rate) {
            (Some(window), _) => Load::Closed { window }.to_string(),
            (None, rate) => Load::Open { rate: rate.unwrap_or(0.0) }.to_string(),
        }
    }

    fn new(step: usize, seen: &Seen, figures: &Figures) -> Self {
        let (window, rate) = match seen.step.load {
            Load::Closed { window } => (Some(window), None),
            Load::Open { rate } => (None, Some(rate)),
        };
        let tally = &seen.tally;
        let counts = [
            ("asked", tally.asked),
            ("probes", tally.probes),
            ("answers", tally.answers),
            ("unanswered", tally.unanswered),
            ("responses", tally.responses),
            ("lost_requests", tally.lost_requests),
            ("lost_answers", tally.lost_answers),
            ("late", tally.late),
            ("resets", tally.resets),
            ("pings", tally.pings),
            ("ping_replies", tally.ping_replies),
            ("junk", tally.junk),
            ("junk_replies", tally.junk_replies),
            ("aimed", tally.aimed),
            ("aimed_probes", tally.aimed_probes),
            ("flood", tally.flood),
            ("refused_flood", tally.refused_flood),
            ("flood_replies", tally.flood_replies),
            ("neighbours", tally.neighbours),
            ("refused_requests", tally.refused_requests),
            ("refused_answers", tally.refused_answers),
            ("crossed", tally.crossed),
            ("held_up", tally.held_up),
            ("blocked", tally.blocked),
            ("no_mbuf", tally.no_mbuf),
        ];
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        Self {
            step,
            window,
            rate,
            counts: counts.into_iter().map(named).collect(),
            faults: tally.faults().map(named).collect(),
            all: figures.all,
            clean: figures.clean,
            settled: figures.settled,
            clean_share: figures.clean_share,
            settled_share: figures.settled_share,
            stages: figures.stages.clone(),
            generator_away_share: figures.away_share[0],
            responder_away_share: figures.away_share[1],
            latency_settled: figures.latency_settled,
            latency_clean: figures.latency_clean,
            latency_all: figures.latency_all,
        }
    }

    /// Rates of settled windows if there are enough, else of clean ones, else of all.
    #[must_use]
    pub fn rates(&self) -> &Rates {
        best(&self.settled, &self.clean, &self.all)
    }

    /// Transactions a second, of the same.
    #[must_use]
    pub fn served_per_s(&self) -> f64 {
        self.rates().served_per_s
    }

    /// Latencies of settled windows if there are any, else of clean ones, else of all.
    #[must_use]
    pub fn latencies(&self) -> &Latencies {
        let kinds = [&self.latency_settled, &self.latency_clean];
        kinds.into_iter().find(|kind| kind.probe.count > 0).unwrap_or(&self.latency_all)
    }

    /// Transactions that were given up, or ended at a full queue.
    #[must_use]
    pub fn lost(&self) -> u64 {
        ["lost_requests", "lost_answers", "refused_requests", "refused_answers"]
            .iter()
            .filter_map(|name| self.counts.get(*name))
            .sum()
    }
}

impl Report {
    /// Of what a run brought. `names`: of scenario and profile, each with what it is for.
    #[must_use]
    pub fn new(outcome: &Outcome, names: [(&str, &str); 2], moods: [Mood; 2]) -> Self {
        let [(scenario, scenario_about), (profile, profile_about)] = names;
        let run = Run {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: scenario.to_owned(),
            scenario_about: scenario_about.to_owned(),
            profile: profile.to_owned(),
            profile_about: profile_about.to_owned(),
            tsc_hz: outcome.hz,
            mood_before: moods[0],
            mood_after: moods[1],
            responder: outcome.counters.iter().cloned().collect(),
            mbufs_lost: outcome.mbufs_lost,
            workers: outcome.workers.clone(),
            stage_reading_ticks: ticks_of_a_lap(),
            no_drop: None,
            proven: None,
            goodput: None,
            attacked: Vec::new(),
        };
        // What was done against the null server is not of the responder.
        let of_responder =
            outcome.seen.iter().filter(|seen| seen.step.against == Against::Responder);
        let steps = of_responder.enumerate().map(|(number, seen)| {
            let figures = Figures::of(seen, outcome.hz);
            (StepLine::new(number, seen, &figures), figures.blocks)
        });
        Self { run, steps: steps.collect() }
    }

    /// Writes it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut line = |line: &Line| {
            serde_json::to_writer(&mut *out, line)?;
            out.write_all(b"\n")
        };
        line(&Line::Run(Box::new(self.run.clone())))?;
        for (step, blocks) in &self.steps {
            line(&Line::Step(Box::new(step.clone())))?;
            for block in blocks {
                line(&Line::Block(BlockLine { step: step.step, block: *block }))?;
            }
        }
        Ok(())
    }

    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Reads `text`, which came from `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let incomplete = |missing| Error::Incomplete { path: path.to_owned(), missing };
        let mut run = None;
        let mut steps: Vec<(StepLine, Vec<Block>)> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = serde_json::from_str(line).map_err(|source| Error::Line {
                path: path.to_owned(),
                line: number,
                source,
            })?;
            match line {
                Line::Run(line) => run = Some(*line),
                Line::Step(line) => steps.push((*line, Vec::new())),
                Line::Block(line) => match steps.last_mut() {
                    Some((step, blocks)) if step.step == line.step => blocks.push(line.block),
                    _ => return Err(incomplete("the step of a block")),
                },
            }
        }
        Ok(Self { run: run.ok_or_else(|| incomplete("the line of the run"))?, steps })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report of one step, whose blocks have these rates.
    pub(crate) fn report(rates: &[f64], multiplication_ticks: f64) -> Report {
        let mood = Mood { round_trip_ticks: Some(300.0), multiplication_ticks };
        let outcome = Outcome {
            seen: Vec::new(),
            before: crate::tally::Tally::default(),
            workers: Vec::new(),
            counters: vec![("received".to_owned(), 7)],
            mbufs_lost: Some(0),
            hz: 2_600_000_000,
        };
        let names = [("complete", "about <a>"), ("net_ring", "about b")];
        let mut report = Report::new(&outcome, names, [mood, mood]);
        let blocks: Vec<Block> = rates
            .iter()
            .map(|rate| Block {
                at_s: 0.0,
                clean: 1.0,
                rates: Rates {
                    seconds: 0.1,
                    served_per_s: *rate,
                    ticks_per_frame: Some(1e9 / rate),
                    ..Rates::default()
                },
            })
            .collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        let clean = Rates { seconds: 1.0, served_per_s: mean, ..Rates::default() };
        let step = StepLine {
            step: 0,
            window: Some(256),
            rate: None,
            counts: BTreeMap::from([("asked".to_owned(), 5)]),
            faults: BTreeMap::new(),
            all: clean,
            clean,
            settled: Rates::default(),
            clean_share: 1.0,
            settled_share: 1.0,
            stages: [("receive", 20.0), ("engine", 200.0), ("act", 60.0), ("rest", 5.0)]
                .map(|(stage, ticks_per_frame)| StageTicks {
                    stage: stage.to_owned(),
                    ticks_per_frame,
                })
                .to_vec(),
            generator_away_share: 0.0,
            responder_away_share: 0.0,
            latency_settled: Latencies::default(),
            latency_clean: Latencies::default(),
            latency_all: Latencies::default(),
        };
        report.steps = vec![(step, blocks)];
        report
    }

    #[test]
    fn what_is_written_is_read() {
        let report = report(&[1e6, 2e6], 3.0);
        let mut text = Vec::new();
        report.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 4);
        assert_eq!(Report::parse(Path::new("x"), &text).unwrap(), report);
    }

    #[test]
    fn a_report_of_before_there_were_stages_is_read() {
        let report = report(&[1e6, 2e6], 3.0);
        let mut text = Vec::new();
        report.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let new =
            ["workers", "stage_reading_ticks", "no_drop", "proven", "settled_share", "stages"];
        let old: Vec<String> = text
            .lines()
            .map(|line| {
                let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
                let object = value.as_object_mut().unwrap();
                object.retain(|key, _| {
                    !new.contains(&key.as_str())
                        && !["latency_settled", "settled"].contains(&key.as_str())
                });
                value.to_string()
            })
            .collect();
        let old = Report::parse(Path::new("x"), &old.join("\n")).unwrap();
        assert!(old.steps[0].0.stages.is_empty() && old.run.no_drop.is_none());
        assert_eq!(old.steps[0].1, report.steps[0].1);
    }

    #[test]
    fn half_a_report_is_none() {
        let mut text = Vec::new();
        report(&[1e6], 3.0).write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let without = |number| {
            let lines: Vec<&str> =
                text.lines().enumerate().filter(|(n, _)| *n != number).map(|(_, l)| l).collect();
            Report::parse(Path::new("x"), &lines.join("\n"))
        };
        assert!(matches!(without(0), Err(Error::Incomplete { .. })));
        assert!(matches!(without(1), Err(Error::Incomplete { .. })));
        let broken = Report::parse(Path::new("x"), "{\"type\":\"run\"");
        assert!(matches!(broken, Err(Error::Line { line: 1, .. })));
    }
}
