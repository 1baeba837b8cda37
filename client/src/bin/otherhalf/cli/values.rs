//! Values of options that have limits of their own.

use std::num::NonZeroU16;
use std::time::Duration;

use otherhalf_client::Ttl;

/// The longest wait that makes sense, in seconds.
const LONGEST: f64 = 3600.0;

/// The shortest: no answer comes in less.
const SHORTEST: f64 = 0.001;

pub(super) fn wait(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (SHORTEST..=LONGEST).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("a wait is {SHORTEST} to {LONGEST} seconds"))
}

/// The shortest from one round to the next: routers answer no faster, and others use them too.
const LEAST_INTERVAL: f64 = 0.1;

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (LEAST_INTERVAL..=LONGEST).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("an interval is {LEAST_INTERVAL} to {LONGEST} seconds"))
}

/// traceroute's rule: more than 10 are milliseconds.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    let value =
        text.parse().ok().filter(|value| (0.0..=LONGEST).contains(value)).ok_or_else(|| {
            format!("a pause is 0 to 10 seconds, or more than 10 to {LONGEST} milliseconds")
        })?;
    Ok(Duration::from_secs_f64(if value > 10.0 { value / 1000.0 } else { value }))
}

/// The longest time between two traces, in seconds: a day.
const LONGEST_INTERVAL: f64 = 86_400.0;

pub(super) fn watch_interval(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (1.0..=LONGEST_INTERVAL).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("an interval is 1 to {LONGEST_INTERVAL} seconds"))
}

pub(super) fn parallel(text: &str) -> Result<NonZeroU16, String> {
    text.parse().map_err(|_| format!("queries in flight are 1 to {}", u16::MAX))
}

pub(super) fn gap(text: &str) -> Result<Ttl, String> {
    text.parse().map_err(|_| format!("a gap is {} to {} hops", Ttl::MIN, Ttl::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(wait("0.5"), Ok(Duration::from_millis(500)));
        assert!(
            wait("0").is_err()
                && wait("-1").is_err()
                && wait("nan").is_err()
                && wait("1e9").is_err()
        );
        assert_eq!(interval("0.1"), Ok(Duration::from_millis(100)));
        assert!(interval("0.09").is_err() && interval("-1").is_err() && interval("nan").is_err());
        assert_eq!(pause("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(pause("50"), Ok(Duration::from_millis(50)));
        assert_eq!(pause("10"), Ok(Duration::from_secs(10)));
    }
}
