//! Threads that work by turns alone and together: what a second one adds.
//!
//! Time is cut into slots by the time stamp counter, which all cores share: one to get ready, one in which the first
//! thread works alone, one to get ready, one in which all work. What all did in the units of what the one did
//! beside it is the figure; the host's mood is the same for both.
#![expect(clippy::cast_precision_loss, reason = "rates")]

use anyhow::Context;
use dpdk::{Eal, LcoreHandle, tsc};

use crate::windows::{INTERRUPTED_US, median};

/// What a thread does.
pub trait Work: Send + 'static {
    /// Gets ready for a slot, in which it will work alone or not.
    fn prepare(&mut self, _alone: bool) {}

    /// Does a burst; returns how many units it did, 0 if none is left.
    fn burst(&mut self) -> u64;
}

/// How slots are.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    /// How long each is, in microseconds.
    pub length_us: u64,
    /// How many rounds of four there are.
    pub rounds: u64,
    /// Whether each thread has a core of its own. Then a slot counts only if no thread was interrupted in it. If not,
    /// rates are by the time that threads had a core, of which there are as many as this says.
    pub cores: Cores,
    /// Ticks a second.
    pub hz: u64,
}

/// What threads run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// A core each.
    Own,
    /// So many for all of them.
    Shared(u32),
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Scaling {
    /// The rate of all together in units of the first thread's alone: the median over rounds.
    pub ratio: f64,
    /// Ticks a unit of the first thread alone: the median.
    pub alone: f64,
    /// Rounds that counted.
    pub rounds: usize,
}

/// What a thread did in a slot, and in how much time: ticks of its own core, or nanoseconds of a shared one.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    units: u64,
    time: u64,
}

impl Done {
    fn rate(self) -> f64 {
        self.units as f64 / self.time.max(1) as f64
    }
}

/// In the slot where the first thread worked alone (nothing by the others), and in that where all did; `None` if it was
/// interrupted.
type Round = [Option<Done>; 2];

/// Has each of `works` do its part on an lcore of its own, and gives them back.
///
/// # Errors
/// Too few lcores; not one round without interruption.
pub fn run<W: Work>(eal: &Eal, works: Vec<W>, slots: Slots) -> anyhow::Result<(Scaling, Vec<W>)> {
    let start = tsc() + slots.hz / 100;
    let handles: Vec<_> = works
        .into_iter()
        .zip(eal.workers())
        .enumerate()
        .map(|(index, (work, lcore))| {
            eal.launch(*lcore, move || thread(work, index == 0, slots, start))
        })
        .collect::<Result<_, _>>()?;
    let joined = handles.into_iter().map(LcoreHandle::join).collect::<Result<Vec<_>, _>>()?;
    let (works, threads): (Vec<W>, Vec<Vec<Round>>) = joined.into_iter().unzip();
    let first = threads.first().context("there is no thread")?;
    let (mut ratios, mut alones) = (Vec::new(), Vec::new());
    for (round, done) in first.iter().enumerate() {
        let all: Option<Vec<Done>> = threads.iter().map(|thread| thread.get(round)?[1]).collect();
        if let (Some(alone), Some(all)) = (done[0], all) {
            let together = match slots.cores {
                Cores::Own => all.iter().map(|done| done.rate()).sum(),
                Cores::Shared(cores) => {
                    let units = all.iter().map(|done| done.units).sum();
                    let time = all.iter().map(|done| done.time).sum();
                    f64::from(cores) * Done { units, time }.rate()
                }
            };
            ratios.push(together / alone.rate());
            alones.push(1.0 / alone.rate());
        }
    }
    anyhow::ensure!(!ratios.is_empty(), "every round was interrupted: give the program two cores");
    let rounds = ratios.len();
    let (ratio, alone) = (median(&mut ratios), median(&mut alones));
    Ok((Scaling { ratio, alone, rounds }, works))
}

fn thread<W: Work>(mut work: W, first: bool, slots: Slots, start: u64) -> (W, Vec<Round>) {
    let length = slots.length_us * slots.hz / 1_000_000;
    let mut all = Vec::with_capacity(usize::try_from(slots.rounds).unwrap_or(0));
    for round in 0..slots.rounds {
        let at = |slot: u64| start + (4 * round + slot) * length;
        let mut done = [Some(Done::default()); 2];
        for (place, alone) in [(0, true), (1, false)] {
            let slot = 2 * place as u64;
            wait(at(slot));
            if tsc() >= at(slot + 1) {
                // It was away all the time. To catch up would take it out of step with the others.
                done[place] = None;
            } else if first || !alone {
                work.prepare(alone);
                wait(at(slot + 1));
                done[place] = slot_of(&mut work, at(slot + 1), at(slot + 2), slots);
            }
        }
        all.push(done);
    }
    (work, all)
}

fn wait(until: u64) {
    while tsc() < until {
        std::hint::spin_loop();
    }
}

/// Works from `begin` to `end`.
fn slot_of(work: &mut impl Work, begin: u64, end: u64, slots: Slots) -> Option<Done> {
    let limit = INTERRUPTED_US * slots.hz / 1_000_000;
    let own = slots.cores == Cores::Own;
    let on_core = if own { 0 } else { on_core_ns() };
    let (mut last, mut units, mut clean) = (begin, 0, true);
    while last < end {
        let done = work.burst();
        if done == 0 {
            break;
        }
        units += done;
        let now = tsc();
        clean &= now.saturating_sub(last) < limit;
        last = now;
    }
    let time = if own { last.saturating_sub(begin) } else { on_core_ns() - on_core };
    (units > 0 && (clean || !own)).then_some(Done { units, time })
}

/// How long this thread has had a core.
fn on_core_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, ns) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000_000 + ns.unwrap_or(0)
}
