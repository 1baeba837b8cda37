//! The thread that probes.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

use otherhalf_client::live::{self, Event, Monitor};
use otherhalf_client::{RawNetwork, raw};

/// What the user wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Pause(bool),
    Interval(Duration),
    Stop,
}

/// Probes until it is done, is told to stop, or nobody listens any more.
pub(super) fn run(
    network: &mut RawNetwork,
    mut monitor: Monitor,
    orders: &Receiver<Order>,
    told: &Sender<Event>,
) -> Result<(), raw::Error> {
    live::run(network, &mut monitor, |monitor, _| {
        loop {
            match orders.try_recv() {
                Ok(Order::Pause(paused)) => monitor.set_paused(paused),
                Ok(Order::Interval(interval)) => monitor.set_interval(interval),
                Ok(Order::Stop) => monitor.stop(),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return ControlFlow::Break(()),
            }
        }
        if monitor.events().all(|event| told.send(event).is_ok()) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })
}
