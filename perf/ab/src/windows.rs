//! Two variants in alternating windows, and the median of the ratios of neighbours.
#![expect(clippy::cast_precision_loss, reason = "means and shares")]

use std::time::{Duration, Instant};

use dpdk::tsc;

use crate::traffic::BURST;

/// A window, in microseconds: shorter than the host's moods, longer than what a cache needs to warm up.
pub const WINDOW_US: u64 = 500;
/// A burst that took so much longer than it need have, in microseconds, was interrupted: its window does not count.
pub(crate) const INTERRUPTED_US: u64 = 30;

/// In units of the least time: a sibling thread at work takes far more than this away.
const FAST: f64 = 1.1;
/// Rounds of the fixed piece of work: some 10 us.
const EFFORT: u32 = 2000;

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// The subject's cycles in units of the reference's: the median over pairs of neighbouring windows.
    pub ratio: f64,
    /// The subject's cycles a frame, in the median window.
    pub subject: f64,
    /// The reference's.
    pub reference: f64,
    /// Pairs of windows without interruption.
    pub pairs: usize,
    /// The subject's cycles a frame in the host's fast mood: the median of the windows before which a fixed piece of
    /// work took no more than `FAST` of the least that it took in the whole run.
    pub fast: f64,
    /// The share of such windows.
    pub fast_share: f64,
}

/// A variant at work.
pub trait Timed {
    /// Makes up for what the last window did, if it must be; untimed.
    ///
    /// # Errors
    /// As [`refill`](Self::refill).
    fn settle(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Makes the next burst ready, and looks at what became of the last one; untimed.
    ///
    /// # Errors
    /// A burst that cannot be made, or was not treated as it should be.
    fn refill(&mut self) -> anyhow::Result<()>;

    /// What is timed: does all there is to do for the burst.
    fn run(&mut self);
}

/// Alternates the two for `time`.
///
/// # Errors
/// Not one pair of windows without interruption.
pub fn alternate(
    subject: &mut impl Timed,
    reference: &mut impl Timed,
    hz: u64,
    time: Duration,
) -> anyhow::Result<Measured> {
    let mut cycles: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    let (mut ratios, mut moods) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed() < time {
        subject.settle()?;
        let before = effort();
        let first = window(subject, hz)?;
        reference.settle()?;
        let second = window(reference, hz)?;
        if let Some(first) = first {
            moods.push((before, first));
        }
        for (all, window) in cycles.iter_mut().zip([first, second]) {
            all.extend(window);
        }
        if let (Some(subject), Some(reference)) = (first, second) {
            ratios.push(subject / reference);
        }
    }
    anyhow::ensure!(!ratios.is_empty(), "every window was interrupted: give the program a core");
    let least = moods.iter().map(|(effort, _)| *effort).min().unwrap_or(0);
    let fast = |effort: u64| effort as f64 <= least as f64 * FAST;
    let mut in_fast: Vec<f64> =
        moods.iter().filter(|(effort, _)| fast(*effort)).map(|(_, cycles)| *cycles).collect();
    let [mut subject, mut reference] = cycles;
    Ok(Measured {
        pairs: ratios.len(),
        ratio: median(&mut ratios),
        fast_share: in_fast.len() as f64 / moods.len().max(1) as f64,
        fast: median(&mut in_fast),
        subject: median(&mut subject),
        reference: median(&mut reference),
    })
}

/// Ticks that a fixed piece of work takes, which has something to do for all of a core's adders: less of them are
/// free when a sibling thread works.
fn effort() -> u64 {
    let mut lanes = std::hint::black_box([1_u64, 2, 3, 4, 5, 6]);
    let start = tsc();
    for _ in 0..EFFORT {
        for lane in &mut lanes {
            *lane ^= *lane << 13;
            *lane ^= *lane >> 7;
            *lane ^= *lane << 17;
        }
    }
    std::hint::black_box(lanes);
    tsc().wrapping_sub(start)
}

/// Cycles a frame over one window; `None` if it was interrupted.
fn window(side: &mut impl Timed, hz: u64) -> anyhow::Result<Option<f64>> {
    let per_us = hz / 1_000_000;
    let (length, limit) = (WINDOW_US * per_us, INTERRUPTED_US * per_us);
    let start = tsc();
    let (mut busy, mut frames) = (0, 0);
    let (mut least, mut most) = (u64::MAX, 0);
    loop {
        side.refill()?;
        let before = tsc();
        side.run();
        let after = tsc();
        let took = after - before;
        (least, most) = (least.min(took), most.max(took));
        busy += took;
        frames += BURST as u64;
        if after - start >= length {
            // One burst alone tells nothing of itself.
            let clean = frames > BURST as u64 && most - least < limit;
            return Ok(clean.then(|| busy as f64 / frames as f64));
        }
    }
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
