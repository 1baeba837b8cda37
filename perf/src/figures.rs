//! The figures of a step, from what was seen in it.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use otherhalf_responder::stage::Stage;

use crate::latency::Histograms;
use crate::step::Seen;
use crate::window::Window;

/// A block is as long as this, in seconds: the unit in which runs are compared. Long enough that
/// neighbouring blocks hardly know of each other, short enough that a run has many.
const BLOCK_S: f64 = 0.1;

/// Percentiles of a histogram, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many were recorded.
    pub count: u64,
    /// Half of all were at most this.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// 99.99 %.
    pub p9999: u64,
    /// The longest.
    pub max: u64,
}

impl Percentiles {
    /// Of `histogram`.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        }
    }
}

/// Percentiles of the parts of a transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Request to probe.
    pub probe: Percentiles,
    /// Answer to response.
    pub response: Percentiles,
    /// Both.
    pub whole: Percentiles,
}

impl Latencies {
    fn of(histograms: &Histograms) -> Self {
        Self {
            probe: Percentiles::of(&histograms.probe),
            response: Percentiles::of(&histograms.response),
            whole: Percentiles::of(&histograms.whole),
        }
    }
}

/// Figures of some windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Seconds that they lasted.
    pub seconds: f64,
    /// Requests sent a second.
    pub offered_per_s: f64,
    /// Transactions a second that ended as they should.
    pub served_per_s: f64,
    /// Transactions a second that were given up.
    pub lost_per_s: f64,
    /// Ticks of the responder's busy turns for each frame that it received; none where its counters can't be seen.
    pub ticks_per_frame: Option<f64>,
    /// Frames that it received in a busy turn.
    pub frames_per_turn: Option<f64>,
    /// The share of the time in which it was busy.
    pub responder_busy: Option<f64>,
    /// The share of the time in which the generator was.
    pub generator_busy: f64,
}

impl Rates {
    /// Of the sum of some windows.
    #[must_use]
    pub fn of(sum: &Window, hz: u64) -> Self {
        let seconds = sum.ticks as f64 / hz as f64;
        let per_s = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let part = |of: u64, all: u64| (all > 0).then(|| of as f64 / all as f64);
        let responder = sum.responder;
        let seen = responder.received > 0;
        Self {
            seconds,
            offered_per_s: per_s(sum.offered),
            served_per_s: per_s(sum.served),
            lost_per_s: per_s(sum.lost),
            ticks_per_frame: part(responder.busy_ticks, responder.received),
            frames_per_turn: part(responder.received, responder.busy_turns),
            responder_busy: part(responder.busy_ticks, sum.ticks).filter(|_| seen),
            generator_busy: part(sum.generator_busy, sum.ticks).unwrap_or(0.0),
        }
    }
}

/// A tenth of a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// When it began, in seconds from the step's beginning.
    pub at_s: f64,
    /// The share of its windows that were clean.
    pub clean: f64,
    /// Of its clean windows.
    pub rates: Rates,
}

/// The least time of settled, or of clean windows that stands for a step, in seconds.
const LEAST_S: f64 = 0.01;

/// Of the rates of settled, clean and all windows, the first of which there is enough.
#[must_use]
pub fn best<'a>(settled: &'a Rates, clean: &'a Rates, all: &'a Rates) -> &'a Rates {
    if settled.seconds >= LEAST_S {
        settled
    } else if clean.seconds >= LEAST_S {
        clean
    } else {
        all
    }
}

/// How long a stage of the responder's work took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageTicks {
    /// Its name; `rest` is what a busy turn took besides.
    pub stage: String,
    /// Ticks for each frame received.
    pub ticks_per_frame: f64,
}

/// The figures of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The stages of the responder's work, in clean windows if there are any; empty where its counters can't be seen.
    pub stages: Vec<StageTicks>,
    /// Of all windows.
    pub all: Rates,
    /// Of those in which no thread was away.
    pub clean: Rates,
    /// Of those, what was settled.
    pub settled: Rates,
    /// The share of windows that were clean.
    pub clean_share: f64,
    /// The share of windows that were settled.
    pub settled_share: f64,
    /// The share of windows in which the generator was away, and in which the responder seemed to be.
    pub away_share: [f64; 2],
    /// Latencies of settled windows: clean ones, in which nothing of an earlier absence was left.
    pub latency_settled: Latencies,
    /// Latencies of clean windows.
    pub latency_clean: Latencies,
    /// Of all.
    pub latency_all: Latencies,
    /// The step in tenths of a second; those without a clean window are left out.
    pub blocks: Vec<Block>,
}

impl Figures {
    /// Of what was `seen`, at `hz` ticks a second.
    #[must_use]
    pub fn of(seen: &Seen, hz: u64) -> Self {
        let share = |count: usize| {
            if seen.windows.is_empty() { 0.0 } else { count as f64 / seen.windows.len() as f64 }
        };
        let count = |which: fn(&Window) -> bool| seen.windows.iter().filter(|w| which(w)).count();
        let all = Window::sum(&seen.windows);
        let clean = Window::sum(seen.windows.iter().filter(|w| w.clean()));
        let settled = Window::sum(seen.windows.iter().filter(|w| w.settled()));
        Self {
            stages: stages(if clean.ticks > 0 { &clean } else { &all }),
            all: Rates::of(&all, hz),
            clean: Rates::of(&clean, hz),
            settled: Rates::of(&settled, hz),
            clean_share: share(count(Window::clean)),
            settled_share: share(count(Window::settled)),
            away_share: [share(count(|w| w.generator_away)), share(count(|w| w.responder_away))],
            latency_settled: Latencies::of(&seen.latencies.settled),
            latency_clean: Latencies::of(&seen.latencies.clean()),
            latency_all: Latencies::of(&seen.latencies.all()),
            blocks: blocks(&seen.windows, hz),
        }
    }

    /// Rates of settled windows if there are some, else of clean ones, else of all. In an open loop above what is served,
    /// nothing ever settles; below it, windows that are clean and no more serve what had piled up besides.
    #[must_use]
    pub fn rates(&self) -> &Rates {
        best(&self.settled, &self.clean, &self.all)
    }

    /// Transactions a second, of the same.
    #[must_use]
    pub fn served_per_s(&self) -> f64 {
        self.rates().served_per_s
    }
}

/// The stages, and the rest of the busy ticks, which no stage is.
fn stages(sum: &Window) -> Vec<StageTicks> {
    let responder = sum.responder;
    if responder.received == 0 {
        return Vec::new();
    }
    let per_frame = |name: &str, ticks: u64| StageTicks {
        stage: name.to_owned(),
        ticks_per_frame: ticks as f64 / responder.received as f64,
    };
    let known = Stage::ALL.iter().zip(responder.stages);
    let mut stages: Vec<StageTicks> =
        known.map(|(stage, ticks)| per_frame(stage.name(), ticks)).collect();
    let rest = responder.busy_ticks.saturating_sub(responder.stages.iter().sum());
    stages.push(per_frame("rest", rest));
    stages
}

fn blocks(windows: &[Window], hz: u64) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = windows;
    let mut begun = 0u64;
    while !rest.is_empty() {
        let mut ticks = 0;
        let end = rest
            .iter()
            .position(|window| {
                ticks += window.ticks;
                ticks as f64 >= BLOCK_S * hz as f64
            })
            .map_or(rest.len(), |last| last + 1);
        let (block, after) = rest.split_at(end);
        let clean: Vec<&Window> = block.iter().filter(|window| window.clean()).collect();
        if !clean.is_empty() {
            blocks.push(Block {
                at_s: begun as f64 / hz as f64,
                clean: clean.len() as f64 / block.len() as f64,
                rates: Rates::of(&Window::sum(clean), hz),
            });
        }
        begun += ticks;
        rest = after;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Sample;

    #[test]
    fn blocks_are_made_of_clean_windows() {
        let hz = 1_000_000;
        let windows: Vec<Window> = (0..1000u64)
            .map(|number| Window {
                ticks: 500,
                served: if number % 4 == 0 { 1 } else { 100 },
                generator_away: number % 4 == 0,
                responder: Sample {
                    received: 200,
                    busy_turns: 10,
                    busy_ticks: 400,
                    stages: [100, 200, 60],
                },
                ..Window::default()
            })
            .collect();
        let blocks = blocks(&windows, hz);
        assert_eq!(blocks.len(), 5);
        for (number, block) in (0u32..).zip(&blocks) {
            assert!((block.at_s - 0.1 * f64::from(number)).abs() < 1e-9);
            assert!((block.clean - 0.75).abs() < 1e-9);
            assert!((block.rates.served_per_s - 200_000.0).abs() < 1e-6);
            assert_eq!(block.rates.ticks_per_frame, Some(2.0));
            assert_eq!(block.rates.frames_per_turn, Some(20.0));
            assert_eq!(block.rates.responder_busy, Some(0.8));
        }
        let stages = stages(&Window::sum(&windows));
        let told: Vec<(&str, f64)> =
            stages.iter().map(|stage| (stage.stage.as_str(), stage.ticks_per_frame)).collect();
        assert_eq!(told, [("receive", 0.5), ("engine", 1.0), ("act", 0.3), ("rest", 0.2)]);
    }

    #[test]
    fn a_responder_that_cannot_be_seen_has_no_figures() {
        let rates = Rates::of(&Window { ticks: 10, served: 1, ..Window::default() }, 10);
        assert_eq!((rates.ticks_per_frame, rates.responder_busy), (None, None));
        assert!((rates.served_per_s - 1.0).abs() < 1e-9);
    }
}
