//! What the service manager is told (`sd_notify(3)`), if there is one: `NOTIFY_SOCKET` names its socket.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// The responder answers requests.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It starts, and waits for `what`: the manager is to wait as well.
pub fn waiting(what: &str) {
    // By systemd's own advice a bound that is extended well before it ends; we wait in far smaller steps.
    tell(&[NotifyState::Status(what), NotifyState::ExtendTimeoutUsec(10_000_000)]);
}

/// It waits no longer.
pub fn waited() {
    tell(&[NotifyState::Status("")]);
}

/// It reads its configuration again; [`ready`] ends that, whatever came of it.
pub fn reloading() {
    // A manager takes the message only with the time of it (Type=notify-reload).
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "the service manager is not told of the reload"),
    }
}

/// The control thread turns, and so do the workers: feeds the manager's watchdog, if it has set one.
pub fn alive() {
    if sd_notify::watchdog_enabled().is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

/// What it takes to stop workers and to close ports, besides what draining takes.
const CLOSING: Duration = Duration::from_secs(20);

/// It drains, for `longest` at most, and ends then: the manager is not to lose patience before (`TimeoutStopSec`), so that how long draining
/// may take is said in one place, the configuration.
pub fn takes(longest: Duration) {
    let usec = u32::try_from((longest + CLOSING).as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(usec)]);
}

/// It comes to its end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A manager that does not listen is no reason to end.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "the service manager can't be told: is NOTIFY_SOCKET right?");
    }
}
