//! What a trace runs on.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::query::{Answer, Query};
use crate::trace::{Step, Trace};

/// Something that carries queries and brings answers: raw sockets, or a simulation.
pub trait Network {
    /// Why it failed for good. That a packet got lost is no error.
    type Error;

    /// The time, on the clock of [`receive`](Self::receive).
    fn now(&self) -> Instant;

    /// Sends `query`, or loses it.
    fn send(&mut self, query: &Query) -> Result<(), Self::Error>;

    /// The next answer and when it came; `None` at `deadline`, or sooner if something else happened (a signal).
    ///
    /// An answer may be to anything: traces look for themselves whether they asked.
    fn receive(&mut self, deadline: Instant) -> Result<Option<(Answer, Instant)>, Self::Error>;
}

/// How often the watcher of a [`run`] is called at least.
pub const TICK: Duration = Duration::from_millis(100);

/// What asks and listens: a [`Trace`], or a [`multipath::Search`](crate::multipath::Search).
pub trait Probing {
    /// What to do at `now`. Call it again after each [`Step::Send`].
    fn poll(&mut self, now: Instant) -> Step;

    /// Takes an answer that came at `now`; `false` if it answers nothing that this one waits for.
    fn handle(&mut self, answer: &Answer, now: Instant) -> bool;

    /// Ends it with what is known.
    fn stop(&mut self);

    /// Whether nothing more will be asked.
    fn is_over(&self) -> bool;
}

impl Probing for Trace {
    fn poll(&mut self, now: Instant) -> Step {
        Self::poll(self, now)
    }

    fn handle(&mut self, answer: &Answer, now: Instant) -> bool {
        Self::handle(self, answer, now)
    }

    fn stop(&mut self) {
        Self::stop(self);
    }

    fn is_over(&self) -> bool {
        self.end().is_some()
    }
}

/// Runs `traces` side by side to their ends.
///
/// `watch` is called after each event and at least each [`TICK`]; when it breaks, all traces are stopped. It must not
/// take long: answers wait meanwhile, and their round-trip times grow.
pub fn run<N: Network, P: Probing>(
    network: &mut N,
    traces: &mut [P],
    mut watch: impl FnMut(&[P], Instant) -> ControlFlow<()>,
) -> Result<(), N::Error> {
    loop {
        // One query of each, then a look at what came: an answer that waits looks slower than it was.
        let mut wake = None;
        for trace in &mut *traces {
            let at = match trace.poll(network.now()) {
                Step::Send(query) => {
                    tracing::trace!(?query, "sent");
                    network.send(&query)?;
                    network.now()
                }
                Step::Wait(at) => at,
                Step::Done => continue,
            };
            wake = Some(wake.map_or(at, |wake: Instant| wake.min(at)));
        }
        let now = network.now();
        if watch(traces, now).is_break() {
            traces.iter_mut().for_each(Probing::stop);
        }
        let Some(wake) = wake.filter(|_| traces.iter().any(|trace| !trace.is_over())) else {
            return Ok(());
        };
        if let Some((answer, at)) = network.receive(wake.min(now + TICK))? {
            // The first that waits for it takes it; an answer that nobody waits for is none of ours.
            let taken = traces.iter_mut().any(|trace| trace.handle(&answer, at));
            tracing::trace!(?answer, taken, "came");
        }
    }
}
