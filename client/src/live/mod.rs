//! Traces again and again, and what they amount to.
//!
//! A [`Monitor`] does the probing: round after round, a trace a direction each, without I/O or clock as a
//! [`Trace`](crate::Trace). It tells what it saw in [`Event`]s. A [`Board`] makes statistics of them, for a view to show and,
//! at the end, for a [`Document`](crate::Document). The two know nothing of each other, so that whoever draws does not hold up
//! whoever probes: an answer that waits looks slower than it was.

mod board;
mod monitor;
mod route;
mod series;

use std::fmt::Display;
use std::ops::ControlFlow;
use std::time::Instant;

pub use board::{Board, HopSeries, KEPT, Responder, Side};
pub use monitor::{Event, Monitor, Round};
pub use series::Series;

use crate::network::{Network, TICK};
use crate::trace::Step;

/// Runs `monitor` on `network` until it is done.
///
/// `watch` is called after each event and at least each [`TICK`], and may stop it; when it breaks, the run ends without that.
/// What cannot be sent is lost, and told of as [`Event::Trouble`]: only a network that cannot be read is an error.
pub fn run<N: Network<Error: Display>>(
    network: &mut N,
    monitor: &mut Monitor,
    mut watch: impl FnMut(&mut Monitor, Instant) -> ControlFlow<()>,
) -> Result<(), N::Error> {
    loop {
        // One query of each direction, then a look at what came, as in `network::run`.
        let mut wake: Option<Instant> = None;
        for lane in 0..monitor.lanes() {
            let at = match monitor.poll(lane, network.now()) {
                Step::Send(query) => {
                    if let Err(error) = network.send(&query) {
                        monitor.trouble(error.to_string());
                    }
                    network.now()
                }
                Step::Wait(at) => at,
                Step::Done => continue,
            };
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
        }
        let now = network.now();
        if watch(monitor, now).is_break() {
            return Ok(());
        }
        let Some(wake) = wake else { return Ok(()) };
        if let Some((answer, at)) = network.receive(wake.min(now + TICK))? {
            monitor.handle(&answer, at);
        }
    }
}
