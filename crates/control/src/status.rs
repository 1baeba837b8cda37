//! The state of a responder at one moment: every figure that it shows anywhere, taken once.
//!
//! `otherhalfctl`, `/stats.json` and the metrics are views of this. Counters count from the start of the process and never
//! fall; a worker's are read while it counts on, so sums may differ by a burst or two.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A counter's name, as in docs/counters.md.
pub type Name = Cow<'static, str>;

/// Counters by their names.
pub type Counters = BTreeMap<Name, u64>;

/// Where a responder is between its start and its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Ports are being opened.
    #[default]
    Starting,
    /// Requests are answered.
    Running,
    /// Not to be sent requests any more, so that they go elsewhere; those that come are still answered.
    Leaving,
    /// New requests are dropped, probes that wait still get their answers.
    Draining,
    /// As draining, and nothing waits any more.
    Drained,
    /// About to end.
    Stopping,
}

impl State {
    /// Its name, as in the serialised form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Leaving => "leaving",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Stopping => "stopping",
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: Name,
    /// DPDK's version.
    pub dpdk: String,
    /// The process.
    pub pid: u32,
    /// When this was taken, in milliseconds since 1970 (UTC).
    pub taken_unix_ms: u64,
    /// How old it was when it was handed out, in milliseconds, by a clock that nobody sets.
    #[serde(default)]
    pub age_ms: u64,
    /// Milliseconds since the start, by a clock that nobody sets.
    pub uptime_ms: u64,
    /// Where the responder is in its life.
    pub state: State,
    /// Whether requests should be sent here: running, and every port's link is up.
    pub ready: bool,
    /// Why it is not ready, in a few words; empty if it is.
    pub not_ready: String,
    /// Times that a configuration was taken up since the start.
    pub reloads: u64,
    /// Frames received by all workers.
    pub received: u64,
    /// What became of the frames received, by all workers; these add up to `received`.
    pub outcomes: Counters,
    /// What was counted besides frames received.
    pub others: Counters,
    /// Ticks of the time stamp counter in a second.
    pub ticks_per_second: u64,
    /// Each worker.
    pub workers: Vec<Worker>,
    /// Each port, in the order of the configuration.
    pub ports: Vec<Port>,
    /// The table of probes that wait for an answer.
    pub pending: Pending,
    /// The lists of prefixes that requests are looked up in.
    #[serde(default)]
    pub prefixes: Prefixes,
    /// The limits of requesters.
    #[serde(default)]
    pub rate: Rate,
    /// The neighbours, in the order of their addresses.
    pub neighbours: Vec<Neighbour>,
    /// The buffers of frames.
    pub mempool: Mempool,
}

/// How old a state may be. The daemon takes one ten times a second, so its control thread hangs if this one is the newest.
pub const OLD: Duration = Duration::from_secs(2);

impl Status {
    /// Whether it is older than a daemon lets one get, and so not to be relied on. At the start, there is none yet.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.state != State::Starting && Duration::from_millis(self.age_ms) > OLD
    }
}

/// A worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its place among the workers.
    pub index: usize,
    /// Its CPU.
    pub cpu: usize,
    /// Turns of its loop, idle ones too. Stands still when the worker hangs.
    pub turns: u64,
    /// How long ago the turns were last seen to grow, in milliseconds.
    pub silent_ms: u64,
    /// Frames received.
    pub received: u64,
    /// What became of them.
    pub outcomes: Counters,
    /// Turns in which frames came.
    pub busy_turns: u64,
    /// Ticks of the time stamp counter that those took.
    pub busy_ticks: u64,
    /// Of those, the ticks of each stage.
    pub stage_ticks: Counters,
    /// RSTs sent besides responses.
    pub resets_sent: u64,
    /// Own frames that could not be sent.
    pub own_dropped: u64,
    /// From a probe to its answer.
    #[serde(default)]
    pub round_trips: Times,
    /// From the moment when a request is here until its probe is handed to the device. Measured a burst: each of its packets
    /// took as long as all.
    #[serde(default)]
    pub probe_service: Times,
    /// The same from an answer to its response.
    #[serde(default)]
    pub response_service: Times,
}

/// How long something took, to a part in 128.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// How many were measured.
    pub count: u64,
    /// All together, in microseconds: in nanoseconds, 64 bits hold days of a busy responder.
    #[serde(default)]
    pub sum_us: u64,
    /// Half took this long at most, in nanoseconds; 0 here and below when there were none.
    pub p50_ns: u64,
    /// Nine of ten.
    pub p90_ns: u64,
    /// 99 of a hundred.
    pub p99_ns: u64,
    /// 999 of a thousand.
    pub p999_ns: u64,
    /// All.
    pub max_ns: u64,
    /// How many took how long at most, shortest first: always the same steps, each twice the one before.
    pub steps: Vec<Step>,
}

/// A step of [`Times`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// This long at most.
    pub up_to_ns: u64,
    /// So many, the ones of shorter steps included.
    pub count: u64,
}

/// A port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// DPDK's name of the device.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Its hardware address.
    pub mac: String,
    /// Whether it has a link.
    pub link_up: bool,
    /// Times that the link was seen to come or go.
    pub link_changes: u64,
    /// The link's speed, if known.
    pub speed_mbps: Option<u32>,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// Queues of each direction.
    pub queues: u16,
    /// The device's counters. What a driver does not count is 0.
    pub counters: Counters,
    /// The same of each queue, as far as DPDK tells them apart.
    #[serde(default)]
    pub queue_counters: Vec<Counters>,
}

/// The table of probes that wait for an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Probes that waited when the last sweep came by.
    pub live: u64,
    /// Probes that can wait at once.
    pub capacity: u64,
    /// Bytes that the table takes.
    pub bytes: u64,
    /// How long an answer is waited for, in milliseconds.
    pub timeout_ms: u64,
    /// Probes that sweeps found to have waited in vain; those whose place was taken before are not among them.
    pub expired: u64,
    /// How long the oldest had waited when the last sweep came by, in milliseconds.
    #[serde(default)]
    pub oldest_ms: u64,
}

/// The lists of prefixes that requests are looked up in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefixes {
    /// Those that say who may ask.
    pub access: u64,
    /// Those that are never probed.
    pub opt_out: u64,
    /// Those that say who may have others traced.
    #[serde(default)]
    pub indirect: u64,
    /// Bytes that they take for the packet path.
    pub bytes: u64,
}

/// The limits of requesters. What they drop is among the outcomes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Whether requests are limited.
    pub enabled: bool,
    /// Whether what is beyond the limits is only counted, and served.
    pub dry_run: bool,
    /// Bytes that the limits take.
    pub bytes: u64,
    /// Cells of them, each of 4 bytes.
    pub cells: u64,
    /// Cells that are spent, in part or wholly, as of the last pass over them.
    pub spent: u64,
    /// Requests beyond a limit that were served, so that nobody can be muted.
    pub leaked: u64,
    /// Requests beyond a limit that were served because limits are only tried out.
    pub spared: u64,
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub address: std::net::IpAddr,
    /// The interface's name.
    pub interface: String,
    /// Its hardware address; none: it did not tell.
    pub mac: Option<String>,
    /// Whether a route leads by it.
    pub router: bool,
    /// What is known of its address: `incomplete`, `reachable`, `delay` or `probe` (RFC 4861 §7.3.2), or `silent`, a router
    /// that does not answer.
    #[serde(default)]
    pub state: Name,
}

/// The buffers of frames.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mempool {
    /// Buffers in use: in queues, caches and under way.
    pub in_use: u64,
    /// Buffers in all.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_comes_back_as_it_was() {
        let neighbour = Neighbour {
            address: "192.0.2.1".parse().unwrap(),
            interface: "net_tap0".into(),
            mac: None,
            router: true,
            state: "silent".into(),
        };
        let counters = Counters::from([("probe_udp".into(), 7)]);
        let worker = Worker { outcomes: counters.clone(), ..Worker::default() };
        let status = Status {
            state: State::Draining,
            outcomes: counters,
            neighbours: vec![neighbour],
            workers: vec![worker],
            ..Status::default()
        };
        let text = serde_json::to_string(&status).unwrap();
        assert!(text.contains(r#""state":"draining""#), "{text}");
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    }

    #[test]
    fn a_state_that_is_not_renewed_is_old() {
        let aged = |state, age_ms| Status { age_ms, state, ..Status::default() };
        assert!(!aged(State::Running, 2000).is_old() && aged(State::Running, 2001).is_old());
        assert!(!aged(State::Starting, 60_000).is_old());
    }

    #[test]
    fn a_state_has_the_name_that_it_is_written_with() {
        use State::{Drained, Draining, Leaving, Running, Starting, Stopping};
        for state in [Starting, Running, Leaving, Draining, Drained, Stopping] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
