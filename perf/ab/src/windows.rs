//! Two variants in alternating windows, and the median of the ratios of neighbours.

use std::time::{Duration, Instant};

use dpdk::tsc;

use crate::traffic::BURST;

/// A window, in microseconds: shorter than the host's moods, longer than what a cache needs to warm up.
pub const WINDOW_US: u64 = 500;
/// A burst that took longer, in microseconds, was interrupted; its window does not count.
const INTERRUPTED_US: u64 = 30;

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
}

/// A variant at work.
pub trait Timed {
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
    let mut ratios = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time {
        let pair = [window(subject, hz)?, window(reference, hz)?];
        for (all, window) in cycles.iter_mut().zip(pair) {
            all.extend(window);
        }
        if let [Some(subject), Some(reference)] = pair {
            ratios.push(subject / reference);
        }
    }
    anyhow::ensure!(!ratios.is_empty(), "every window was interrupted: give the program a core");
    let [mut subject, mut reference] = cycles;
    Ok(Measured {
        pairs: ratios.len(),
        ratio: median(&mut ratios),
        subject: median(&mut subject),
        reference: median(&mut reference),
    })
}

/// Cycles a frame over one window; `None` if it was interrupted.
#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn window(side: &mut impl Timed, hz: u64) -> anyhow::Result<Option<f64>> {
    let per_us = hz / 1_000_000;
    let (length, limit) = (WINDOW_US * per_us, INTERRUPTED_US * per_us);
    let start = tsc();
    let (mut busy, mut frames, mut clean) = (0, 0, true);
    loop {
        side.refill()?;
        let before = tsc();
        side.run();
        let after = tsc();
        let took = after - before;
        clean &= took < limit;
        busy += took;
        frames += BURST as u64;
        if after - start >= length {
            return Ok(clean.then(|| busy as f64 / frames as f64));
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
