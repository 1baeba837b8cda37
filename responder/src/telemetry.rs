//! Our commands at DPDK's telemetry socket, for who watches other DPDK programs that way.

use std::sync::Arc;

use dpdk::{Answer, Eal, TelemetryError};
use otherhalf_control::Status;
use otherhalf_control::status::Worker;

use crate::shared::Shared;

/// Adds the commands: the state, the counters, and a worker's.
pub fn add(eal: &Eal, shared: &Arc<Shared>) -> Result<(), TelemetryError> {
    let add = |name, help, fill: fn(&Status, &str, &mut Answer)| {
        let shared = Arc::clone(shared);
        let answer = move |parameters: &str, answer: &mut Answer| {
            fill(&shared.status.load(), parameters, answer);
        };
        eal.add_telemetry(name, help, Box::new(answer))
    };
    add(
        "/otherhalf/status",
        c"What otherhalfd is and does. No parameters",
        |status, _, answer| {
            fill_status(status, answer);
        },
    )?;
    add("/otherhalf/stats", c"Counters of all workers. No parameters", |status, _, answer| {
        answer.number("received", status.received);
        for (name, value) in status.outcomes.iter().chain(&status.others) {
            answer.number(name, *value);
        }
    })?;
    add(
        "/otherhalf/worker",
        c"What a worker did. Parameter: its number",
        |status, which, answer| {
            let index: Option<usize> = which.trim().parse().ok();
            match index.and_then(|index| status.workers.get(index)) {
                Some(worker) => fill_worker(worker, answer),
                None => answer.text("error", "no such worker"),
            }
        },
    )
}

fn fill_status(status: &Status, answer: &mut Answer) {
    answer.text("version", &status.version);
    answer.text("state", status.state.name());
    answer.number("ready", status.ready.into());
    answer.text("not_ready", &status.not_ready);
    answer.number("uptime_ms", status.uptime_ms);
    answer.number("reloads", status.reloads);
    answer.number("workers", status.workers.len() as u64);
    answer.number("ports", status.ports.len() as u64);
    let links = status.ports.iter().filter(|port| port.link_up);
    answer.number("ports_with_link", links.count() as u64);
    answer.number("pending_live", status.pending.live);
    answer.number("pending_capacity", status.pending.capacity);
    answer.number("pending_oldest_ms", status.pending.oldest_ms);
    answer.number("neighbours", status.neighbours.len() as u64);
    answer.number("mempool_in_use", status.mempool.in_use);
    answer.number("mempool_size", status.mempool.size);
}

fn fill_worker(worker: &Worker, answer: &mut Answer) {
    answer.number("cpu", worker.cpu as u64);
    answer.number("turns", worker.turns);
    answer.number("silent_ms", worker.silent_ms);
    answer.number("received", worker.received);
    for (name, value) in &worker.outcomes {
        answer.number(name, *value);
    }
    answer.number("busy_turns", worker.busy_turns);
    answer.number("busy_ticks", worker.busy_ticks);
    for (stage, ticks) in &worker.stage_ticks {
        answer.number(&format!("ticks_{stage}"), *ticks);
    }
    for (name, times) in [
        ("round_trip", &worker.round_trips),
        ("probe_service", &worker.probe_service),
        ("response_service", &worker.response_service),
    ] {
        answer.number(&format!("{name}_count"), times.count);
        answer.number(&format!("{name}_p50_ns"), times.p50_ns);
        answer.number(&format!("{name}_p99_ns"), times.p99_ns);
        answer.number(&format!("{name}_max_ns"), times.max_ns);
    }
}
