//! The responder's state for all who show it: taken by the control thread, which alone may ask the ports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use otherhalf_control::status::{
    Counters, Mempool, Neighbour, Pending, Port, Prefixes, Rate, State, Status, Worker,
};
use otherhalf_wire::ethernet::Mac;

use crate::config;
use crate::control::Control;
use crate::neighbours::Remembered;
use crate::stage::Stage;
use crate::stats::WorkerStats;
use crate::times::times;

/// How often the state is published.
pub const INTERVAL: Duration = Duration::from_millis(100);

impl Control {
    /// Shows everybody the state as it is.
    pub fn publish(&self, state: State) {
        self.shared.status.store(Arc::new(self.status(state)));
    }

    /// The state, `state` being where the responder is in its life.
    #[must_use]
    pub fn status(&self, state: State) -> Status {
        let totals = self.totals();
        let not_ready = self.not_ready(state);
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            dpdk: self.dpdk.clone(),
            pid: std::process::id(),
            taken_unix_ms: milliseconds(
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            ),
            age_ms: 0,
            uptime_ms: milliseconds(self.shared.started.elapsed()),
            state,
            ready: not_ready.is_empty(),
            not_ready,
            reloads: self.reloads,
            received: totals.received,
            outcomes: totals
                .outcomes
                .iter()
                .map(|(outcome, n)| (outcome.name().into(), n))
                .collect(),
            others: totals.others().map(|(name, value)| (name.into(), value)).collect(),
            ticks_per_second: self.ticks_per_second,
            workers: self.worker_states(),
            ports: self.port_states(),
            pending: Pending {
                live: totals.pending,
                capacity: self.table.capacity() as u64,
                bytes: self.table.bytes() as u64,
                timeout_ms: self.config.pending.timeout_ms,
                expired: self.expired,
                oldest_ms: self.oldest_pending.saturating_mul(1000) / self.ticks_per_second.max(1),
            },
            prefixes: Prefixes {
                access: self.lists.access.len() as u64,
                opt_out: self.lists.opt_out.len() as u64,
                indirect: self.lists.indirect.len() as u64,
                bytes: self.lists.bytes() as u64,
            },
            rate: self.rate_state(),
            neighbours: self.neighbour_states(),
            mempool: Mempool {
                in_use: self.mempool.in_use().into(),
                size: self.mempool.size().into(),
            },
        }
    }

    /// What the limits of requesters are and did.
    fn rate_state(&self) -> Rate {
        let limiter = &self.shared.limiter;
        let [leaked, spared] = limiter.tally().read();
        let config::Rate { enabled, dry_run, .. } = self.config.rate;
        Rate {
            enabled,
            dry_run,
            bytes: limiter.octets() as u64,
            cells: limiter.cells() as u64,
            spent: self.shared.rate_spent.load(Ordering::Relaxed),
            leaked,
            spared,
        }
    }

    /// Why no requests should be sent here; empty if they should.
    fn not_ready(&self, state: State) -> String {
        if state != State::Running {
            return state.name().to_owned();
        }
        let down = self.ports.iter().zip(&self.links).find(|(_, link)| !link.up);
        down.map(|(port, _)| format!("port {} has no link", port.name())).unwrap_or_default()
    }

    fn worker_states(&self) -> Vec<Worker> {
        let workers = self.shared.workers.iter().map(|worker| &worker.stats);
        let cpus = self.config.workers.cpus.iter().copied();
        let all = workers.zip(cpus).zip(self.heartbeats.silent()).enumerate();
        all.map(|(index, ((stats, cpu), silent))| Worker {
            index,
            cpu,
            silent_ms: milliseconds(silent),
            ..worker_state(stats)
        })
        .collect()
    }

    fn port_states(&self) -> Vec<Port> {
        let ports = self.ports.iter().zip(&self.links);
        ports
            .map(|(port, link)| {
                let stats = port.stats().unwrap_or_default();
                let queues = port.config().rx_queues;
                Port {
                    name: port.name().to_owned(),
                    driver: port.driver().to_owned(),
                    mac: Mac(port.mac()).to_string(),
                    link_up: link.up,
                    link_changes: link.changes,
                    speed_mbps: link.speed_mbps,
                    mtu: port.mtu().unwrap_or(0),
                    queues,
                    counters: port_counters(&stats),
                    queue_counters: stats
                        .queues
                        .iter()
                        .take(queues.into())
                        .map(queue_counters)
                        .collect(),
                }
            })
            .collect()
    }

    fn neighbour_states(&self) -> Vec<Neighbour> {
        let name = |id: usize| self.interfaces.get(id).cloned().unwrap_or_default();
        let mut neighbours: Vec<Neighbour> = self
            .neighbours
            .all()
            .map(|Remembered { neighbour: hop, mac, router, reach }| Neighbour {
                address: hop.address,
                interface: name(hop.interface.0.into()),
                mac: mac.map(|mac| mac.to_string()),
                router,
                state: reach.name().into(),
            })
            .collect();
        neighbours.sort_by(|a, b| (a.address, &a.interface).cmp(&(b.address, &b.interface)));
        neighbours
    }
}

fn worker_state(stats: &WorkerStats) -> Worker {
    Worker {
        turns: stats.turns.get(),
        received: stats.received.get(),
        outcomes: stats.outcomes().iter().map(|(outcome, n)| (outcome.name().into(), n)).collect(),
        busy_turns: stats.busy_turns.get(),
        busy_ticks: stats.busy_ticks.get(),
        stage_ticks: Stage::ALL.map(|stage| (stage.name().into(), stats.ticks(stage))).into(),
        resets_sent: stats.resets_sent.get(),
        own_dropped: stats.own_dropped.get(),
        round_trips: times(&stats.round_trips),
        probe_service: times(&stats.probe_service),
        response_service: times(&stats.response_service),
        ..Worker::default()
    }
}

fn port_counters(stats: &dpdk::PortStats) -> Counters {
    BTreeMap::from([
        ("rx_packets".into(), stats.ipackets),
        ("tx_packets".into(), stats.opackets),
        ("rx_bytes".into(), stats.ibytes),
        ("tx_bytes".into(), stats.obytes),
        ("rx_missed".into(), stats.imissed),
        ("rx_errors".into(), stats.ierrors),
        ("tx_errors".into(), stats.oerrors),
        ("rx_no_mbuf".into(), stats.rx_nombuf),
    ])
}

fn queue_counters(stats: &dpdk::QueueStats) -> Counters {
    BTreeMap::from([
        ("rx_packets".into(), stats.ipackets),
        ("tx_packets".into(), stats.opackets),
        ("rx_bytes".into(), stats.ibytes),
        ("tx_bytes".into(), stats.obytes),
        ("rx_errors".into(), stats.errors),
    ])
}

/// A clock that runs for half a billion years has no more of them.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::PORT;

    #[test]
    fn all_that_a_port_counts_is_described() {
        let counters = port_counters(&dpdk::PortStats::default());
        let mut described: Vec<&str> = PORT.iter().map(|entry| entry.name).collect();
        described.sort_unstable();
        assert_eq!(counters.keys().collect::<Vec<_>>(), described);
        for name in queue_counters(&dpdk::QueueStats::default()).keys() {
            assert!(described.contains(&name.as_ref()), "{name}");
        }
    }
}
