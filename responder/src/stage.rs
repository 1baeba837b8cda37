//! The stages of a worker's busy turn, and the watch that says how long each took.
//!
//! A stage is measured a burst, never a packet: one more reading of the time stamp counter where a stage ends. A turn
//! that received nothing counts nowhere. What is left of a turn's busy ticks is no stage's: queues that were found
//! empty. A turn ends with its last stage; the worker's bounded work besides received packets comes after, and is the
//! next turn's.

use dpdk::tsc;

use crate::stats::WorkerStats;

/// A part of the work on a burst. To add one: a variant here and in [`Stage::ALL`], and a [`Watch::lap`] where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Stage {
    /// From the end of the burst before, or of an idle turn, until the frames are here: with what the turn before did
    /// besides.
    Receive,
    /// The engine, with the making of its slice of frames.
    Engine,
    /// The verdicts carried out: frames freed, held, sent.
    Act,
}

impl Stage {
    /// All of them, in the order in which a burst passes them.
    pub const ALL: [Self; 3] = [Self::Receive, Self::Engine, Self::Act];

    /// Its name in statistics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Engine => "engine",
            Self::Act => "act",
        }
    }
}

/// When the stage that is under way began.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    began: u64,
    /// Whether what is done now is a stage's.
    counting: bool,
}

impl Watch {
    /// A stage begins at `now`.
    #[must_use]
    pub const fn new(now: u64) -> Self {
        Self { began: now, counting: true }
    }

    /// A stage begins at `now`; what was before is no stage.
    #[inline]
    pub const fn set(&mut self, now: u64) {
        self.began = now;
        self.counting = true;
    }

    /// When the last stage ended.
    #[inline]
    #[must_use]
    pub const fn began(&self) -> u64 {
        self.began
    }

    /// What is done from now on is no stage's, until the next is set.
    #[inline]
    pub const fn pause(&mut self) {
        self.counting = false;
    }

    /// `stage` ends now, and the next one begins; returns the time.
    #[inline]
    pub fn lap(&mut self, stage: Stage, stats: &WorkerStats) -> u64 {
        let now = tsc();
        if self.counting {
            stats.add_ticks(stage, now.wrapping_sub(self.began));
        }
        self.began = now;
        now
    }
}

/// Ticks that a [`Watch::lap`] takes: the median of groups of a thousand, on the calling thread.
#[must_use]
pub fn ticks_of_a_lap() -> f64 {
    const LAPS: u32 = 1000;
    let stats = WorkerStats::default();
    let mut watch = Watch::new(tsc());
    let mut groups: Vec<u64> = (0..101)
        .map(|_| {
            let start = tsc();
            for lap in 0..LAPS {
                watch.lap(Stage::ALL[lap as usize % Stage::ALL.len()], &stats);
            }
            tsc().wrapping_sub(start)
        })
        .collect();
    groups.sort_unstable();
    let median = groups.get(groups.len() / 2).copied().unwrap_or(0);
    f64::from(u32::try_from(median).unwrap_or(u32::MAX)) / f64::from(LAPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_a_counter_of_its_own() {
        let stats = WorkerStats::default();
        for (place, stage) in (1..).zip(Stage::ALL) {
            stats.add_ticks(stage, place);
        }
        assert_eq!(Stage::ALL.map(|stage| stage as usize), [0, 1, 2]);
        assert_eq!(Stage::ALL.map(|stage| stats.ticks(stage)), [1, 2, 3]);
    }

    #[test]
    fn laps_add_up_to_the_time_between_first_and_last() {
        let stats = WorkerStats::default();
        let start = tsc();
        let mut watch = Watch::new(start);
        let mut end = start;
        for _ in 0..100 {
            for stage in Stage::ALL {
                end = watch.lap(stage, &stats);
            }
        }
        watch.pause();
        watch.lap(Stage::Act, &stats);
        assert_eq!(Stage::ALL.map(|stage| stats.ticks(stage)).iter().sum::<u64>(), end - start);
        assert!(ticks_of_a_lap() > 0.0);
    }
}
