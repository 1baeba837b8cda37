//! What workers count, and how it is read and printed.
//!
//! Each counter has one writer, its worker, which adds by a plain load and store; others read it
//! at any time and see it a little late. Nothing is ordered by a counter, so all is relaxed.

use std::fmt;
use std::sync::Arc;

pub use otherhalf_engine::Counter;
use otherhalf_engine::{Counters, Outcome, RoundTrips, ServiceTimes};

use crate::kernel::Paths;
use crate::stage::Stage;

/// The outcomes that are probes sent.
const PROBES: [Outcome; 3] = [Outcome::ProbeIcmp, Outcome::ProbeTcp, Outcome::ProbeUdp];
/// The outcomes that are responses sent.
const RESPONSES: [Outcome; 5] = [
    Outcome::ResponseTimeExceeded,
    Outcome::ResponseUnreachable,
    Outcome::ResponseEchoReply,
    Outcome::ResponseReset,
    Outcome::ResponseSynAck,
];

/// Probes and responses that a worker has sent.
///
/// How long they took is measured a burst, by the readings of the clock that are there for the stages: each packet of a burst
/// took as long as the burst, from the moment when all of it was received until all of it was handed to the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Probes.
    pub probes: u64,
    /// Responses.
    pub responses: u64,
}

/// What one worker counts. A cache line of its own at both ends, so that workers do not slow each other.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerStats {
    outcomes: [Counter; Outcome::ALL.len()],
    /// Turns of the worker's loop: its sign of life.
    pub turns: Counter,
    /// Frames received.
    pub received: Counter,
    /// Turns of the worker's loop in which frames came.
    pub busy_turns: Counter,
    /// Ticks that those turns took, from the look at the queues on.
    pub busy_ticks: Counter,
    /// Ticks of the stages of those turns.
    stages: [Counter; Stage::ALL.len()],
    /// Times from a probe to its answer. The engine writes it.
    pub round_trips: Arc<RoundTrips>,
    /// Times from the moment when a request is here until its probe is handed to the device, see [`Served`].
    pub probe_service: ServiceTimes,
    /// The same from an answer to its response.
    pub response_service: ServiceTimes,
    /// RSTs sent besides a response.
    pub resets_sent: Counter,
    /// Frames of the control thread sent.
    pub orders_sent: Counter,
    /// Neighbours' messages that the kernel got as well as we.
    pub kernel_told: Counter,
    /// Frames of the kernel sent.
    pub kernel_sent: Counter,
    /// Frames of the kernel that the transmit queue had no room for.
    pub kernel_unsent: Counter,
    /// Frames handed to the worker that has the port's queue. They are counted there as what they are.
    pub relayed: Counter,
    /// Frames of our own that could not be sent: no mbuf, or no room in the transmit queue.
    pub own_dropped: Counter,
}

impl Default for WorkerStats {
    fn default() -> Self {
        Self {
            outcomes: std::array::from_fn(|_| Counter::default()),
            turns: Counter::default(),
            received: Counter::default(),
            busy_turns: Counter::default(),
            busy_ticks: Counter::default(),
            stages: std::array::from_fn(|_| Counter::default()),
            round_trips: Arc::default(),
            probe_service: ServiceTimes::default(),
            response_service: ServiceTimes::default(),
            resets_sent: Counter::default(),
            orders_sent: Counter::default(),
            kernel_told: Counter::default(),
            kernel_sent: Counter::default(),
            kernel_unsent: Counter::default(),
            relayed: Counter::default(),
            own_dropped: Counter::default(),
        }
    }
}

impl WorkerStats {
    /// Counts one frame.
    #[inline]
    pub fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].add(1);
    }

    /// Counts a frame for each of `outcomes`, a burst at most.
    ///
    /// A kind after the other: additions to one counter, each in memory, wait for each other.
    #[inline]
    pub fn count_all(&self, outcomes: &[Outcome]) {
        const { assert!(Outcome::ALL.len() <= 64, "a bit each") }
        let mut kinds = outcomes.iter().fold(0_u64, |kinds, outcome| kinds | 1 << *outcome as u8);
        while let Some(counter) = self.outcomes.get(kinds.trailing_zeros() as usize) {
            let kind = kinds.trailing_zeros();
            let frames = outcomes.iter().map(|outcome| u8::from(*outcome as u32 == kind));
            counter.add(frames.fold(0, u8::wrapping_add).into());
            kinds &= kinds - 1;
        }
    }

    /// Probes and responses sent so far.
    #[inline]
    #[must_use]
    pub fn served(&self) -> Served {
        let sum = |outcomes: &[Outcome]| {
            outcomes.iter().fold(0_u64, |sum, outcome| {
                sum.wrapping_add(self.outcomes[*outcome as usize].get())
            })
        };
        Served { probes: sum(&PROBES), responses: sum(&RESPONSES) }
    }

    /// Counts that what was served since `before` took `ns` nanoseconds.
    #[inline]
    pub fn count_service(&self, before: Served, ns: u64) {
        let now = self.served();
        let (probes, responses) =
            (now.probes.wrapping_sub(before.probes), now.responses.wrapping_sub(before.responses));
        if probes > 0 {
            self.probe_service.record(ns, probes);
        }
        if responses > 0 {
            self.response_service.record(ns, responses);
        }
    }

    /// Adds `ticks` to those of `stage`.
    #[inline]
    pub fn add_ticks(&self, stage: Stage, ticks: u64) {
        self.stages[stage as usize].add(ticks);
    }

    /// Ticks of `stage` so far.
    #[must_use]
    pub fn ticks(&self, stage: Stage) -> u64 {
        self.stages[stage as usize].get()
    }

    /// The outcomes as they stand.
    #[must_use]
    pub fn outcomes(&self) -> Counters {
        let mut counters = Counters::default();
        for (outcome, counter) in Outcome::ALL.iter().zip(&self.outcomes) {
            counters.set(*outcome, counter.get());
        }
        counters
    }
}

/// The sum of all workers' counters.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Frames received.
    pub received: u64,
    /// What became of them.
    pub outcomes: Counters,
    /// See [`WorkerStats::resets_sent`].
    pub resets_sent: u64,
    /// See [`WorkerStats::orders_sent`].
    pub orders_sent: u64,
    /// See [`WorkerStats::own_dropped`].
    pub own_dropped: u64,
    /// See [`WorkerStats::kernel_told`].
    pub kernel_told: u64,
    /// See [`WorkerStats::kernel_sent`].
    pub kernel_sent: u64,
    /// See [`WorkerStats::kernel_unsent`]; and what the queue to the worker had no room for.
    pub kernel_unsent: u64,
    /// See [`WorkerStats::relayed`].
    pub relayed: u64,
    /// See [`PathStats::received`](crate::kernel::PathStats::received).
    pub kernel_received: u64,
    /// See [`PathStats::delivered`](crate::kernel::PathStats::delivered).
    pub kernel_delivered: u64,
    /// See [`PathStats::refused`](crate::kernel::PathStats::refused).
    pub kernel_refused: u64,
    /// Notices that the control thread had no room for.
    pub notices_dropped: u64,
    /// Neighbours that were not learned for lack of room.
    pub neighbours_refused: u64,
    /// Questions for neighbours that no worker had room for.
    pub questions_dropped: u64,
    /// Times that the configuration was read again and taken up.
    pub reloads: u64,
    /// Probes that wait for an answer.
    pub pending: u64,
}

impl Totals {
    /// Adds up the counters of `workers`.
    #[must_use]
    pub fn of<'a>(workers: impl IntoIterator<Item = &'a WorkerStats>) -> Self {
        let mut totals = Self::default();
        for worker in workers {
            // Read while the worker counts on, so the sums of a running worker may differ by a burst or two.
            totals.outcomes.add(&worker.outcomes());
            totals.received += worker.received.get();
            totals.resets_sent += worker.resets_sent.get();
            totals.orders_sent += worker.orders_sent.get();
            totals.own_dropped += worker.own_dropped.get();
            totals.kernel_told += worker.kernel_told.get();
            totals.kernel_sent += worker.kernel_sent.get();
            totals.kernel_unsent += worker.kernel_unsent.get();
            totals.relayed += worker.relayed.get();
        }
        totals
    }

    /// Adds what the thread between the workers and the kernel counted.
    #[must_use]
    pub fn with_kernel(mut self, kernel: &Paths) -> Self {
        for path in kernel.iter() {
            self.kernel_received += path.stats.received.get();
            self.kernel_unsent += path.stats.dropped.get();
            self.kernel_delivered += path.stats.delivered.get();
            self.kernel_refused += path.stats.refused.get();
        }
        self
    }
}

impl Totals {
    /// What is counted besides frames received, by its name.
    pub fn others(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("resets_sent", self.resets_sent),
            ("solicitations_sent", self.orders_sent),
            ("own_frames_dropped", self.own_dropped),
            ("kernel_told", self.kernel_told),
            ("kernel_delivered", self.kernel_delivered),
            ("kernel_refused", self.kernel_refused),
            ("kernel_received", self.kernel_received),
            ("kernel_sent", self.kernel_sent),
            ("kernel_unsent", self.kernel_unsent),
            ("relayed", self.relayed),
            ("notices_dropped", self.notices_dropped),
            ("neighbours_refused", self.neighbours_refused),
            ("solicitations_dropped", self.questions_dropped),
        ]
        .into_iter()
    }
}

impl fmt::Display for Totals {
    /// One counter a line: its name and its value. The outcomes, indented, add up to `received`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: u64| writeln!(f, "{name:<30} {value}");
        line("received", self.received)?;
        for (outcome, count) in self.outcomes.iter() {
            line(&format!("  {}", outcome.name()), count)?;
        }
        self.others().try_for_each(|(name, value)| line(name, value))?;
        line("reloads", self.reloads)?;
        line("pending", self.pending)
    }
}

/// What one worker did, and how long its stages took: a line of the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerTotals {
    /// Its place among the workers.
    pub index: usize,
    /// Frames received.
    pub received: u64,
    /// Probes sent.
    pub probes: u64,
    /// Responses sent.
    pub responses: u64,
    /// See [`WorkerStats::busy_turns`].
    pub busy_turns: u64,
    /// See [`WorkerStats::busy_ticks`].
    pub busy_ticks: u64,
    /// Ticks of each stage, in the order of [`Stage::ALL`].
    pub stages: [u64; Stage::ALL.len()],
}

impl WorkerTotals {
    /// Of the worker `index`.
    #[must_use]
    pub fn of(index: usize, stats: &WorkerStats) -> Self {
        let outcomes = stats.outcomes();
        let sum = |prefix: &str| {
            outcomes.iter().filter(|(o, _)| o.name().starts_with(prefix)).map(|(_, n)| n).sum()
        };
        Self {
            index,
            received: stats.received.get(),
            probes: sum("probe_"),
            responses: sum("response_"),
            busy_turns: stats.busy_turns.get(),
            busy_ticks: stats.busy_ticks.get(),
            stages: Stage::ALL.map(|stage| stats.ticks(stage)),
        }
    }
}

impl fmt::Display for WorkerTotals {
    /// One line of names and values; `ticks_` are sums, `per_frame` is the share of a received frame.
    #[expect(clippy::cast_precision_loss, reason = "figures for people have a digit or two")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, received, probes, responses, busy_turns, busy_ticks, stages } = self;
        write!(
            f,
            "worker {index} received {received} probes {probes} responses {responses} busy_turns {busy_turns} busy_ticks {busy_ticks}"
        )?;
        for (stage, ticks) in Stage::ALL.iter().zip(stages) {
            write!(f, " ticks_{} {ticks}", stage.name())?;
        }
        let per_frame = |ticks: u64| ticks as f64 / (*received).max(1) as f64;
        write!(f, " per_frame {:.1}", per_frame(*busy_ticks))?;
        for (stage, ticks) in Stage::ALL.iter().zip(stages) {
            write!(f, " {} {:.1}", stage.name(), per_frame(*ticks))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_tells_its_ticks_a_frame_by_stage() {
        let stats = WorkerStats::default();
        stats.received.add(10);
        stats.count(Outcome::ProbeUdp);
        stats.count(Outcome::ResponseReset);
        stats.busy_turns.add(2);
        stats.busy_ticks.add(1000);
        for (stage, ticks) in Stage::ALL.into_iter().zip([100, 700, 150]) {
            stats.add_ticks(stage, ticks);
        }
        assert_eq!(
            WorkerTotals::of(3, &stats).to_string(),
            "worker 3 received 10 probes 1 responses 1 busy_turns 2 busy_ticks 1000 \
             ticks_receive 100 ticks_engine 700 ticks_act 150 \
             per_frame 100.0 receive 10.0 engine 70.0 act 15.0"
        );
    }

    #[test]
    fn what_was_served_took_as_long_as_its_burst() {
        let stats = WorkerStats::default();
        stats.count(Outcome::ProbeUdp);
        let before = stats.served();
        stats.count_all(&[Outcome::ProbeIcmp, Outcome::ProbeTcp, Outcome::DropForged]);
        stats.count_service(before, 700);
        stats.count_service(stats.served(), 9000);
        stats.count(Outcome::PingReply);
        let of =
            |times: &ServiceTimes| times.buckets().map(|b| (b.from, b.count)).collect::<Vec<_>>();
        assert_eq!(of(&stats.probe_service), [(672, 2)]);
        assert_eq!(of(&stats.response_service), []);
        for outcome in Outcome::ALL {
            let before = stats.served();
            stats.count(*outcome);
            let Served { probes, responses } = stats.served();
            let name = outcome.name();
            assert_eq!(probes > before.probes, name.starts_with("probe_"), "{name}");
            assert_eq!(responses > before.responses, name.starts_with("response_"), "{name}");
        }
    }

    #[test]
    fn a_burst_is_counted_by_kind() {
        let stats = WorkerStats::default();
        let last = *Outcome::ALL.last().unwrap();
        let burst = [Outcome::ProbeIcmp, last, Outcome::ProbeUdp, Outcome::ProbeIcmp, last, last];
        stats.count_all(&burst);
        stats.count_all(&burst[..1]);
        stats.count_all(&[]);
        stats.count_all(&[Outcome::ProbeTcp; 64]);
        let counted = stats.outcomes();
        let expected =
            [(Outcome::ProbeIcmp, 3), (Outcome::ProbeTcp, 64), (Outcome::ProbeUdp, 1), (last, 3)];
        assert_eq!(counted.iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>(), expected);
        assert_eq!(counted.total(), 71);
    }
}
