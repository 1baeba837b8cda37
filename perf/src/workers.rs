//! What each of the responder's workers did, as its statistics tell it.

use std::collections::BTreeMap;

use otherhalf_responder::stage::Stage;
use serde::{Deserialize, Serialize};

/// A worker's line of the statistics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its place among the workers.
    pub worker: usize,
    /// Frames received.
    pub received: u64,
    /// Probes sent.
    pub probes: u64,
    /// Responses sent.
    pub responses: u64,
    /// Turns of its loop in which frames came.
    pub busy_turns: u64,
    /// Their ticks.
    pub busy_ticks: u64,
    /// The ticks of each stage, by name.
    pub stages: BTreeMap<String, u64>,
}

/// The workers' lines in what otherhalfd prints; of a line that is none, nothing.
#[must_use]
pub fn workers_of(text: &str) -> Vec<Worker> {
    text.lines().filter_map(worker_of).collect()
}

fn worker_of(line: &str) -> Option<Worker> {
    let words: Vec<&str> = line.strip_prefix("worker ")?.split_whitespace().collect();
    let (index, pairs) = words.split_first()?;
    let value = |name: &str| {
        let [_, value] = pairs.chunks_exact(2).find(|pair| pair[0] == name)? else { return None };
        value.parse::<u64>().ok()
    };
    let stages = Stage::ALL.iter().filter_map(|stage| {
        Some((stage.name().to_owned(), value(&format!("ticks_{}", stage.name()))?))
    });
    Some(Worker {
        worker: index.parse().ok()?,
        received: value("received")?,
        probes: value("probes")?,
        responses: value("responses")?,
        busy_turns: value("busy_turns")?,
        busy_ticks: value("busy_ticks")?,
        stages: stages.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use otherhalf_responder::stats::{WorkerStats, WorkerTotals};

    #[test]
    fn what_a_worker_prints_is_read() {
        let stats = WorkerStats::default();
        stats.received.add(40);
        stats.busy_turns.add(2);
        stats.busy_ticks.add(9000);
        stats.count(otherhalf_engine::Outcome::ProbeTcp);
        for (stage, ticks) in Stage::ALL.into_iter().zip([10, 20, 30]) {
            stats.add_ticks(stage, ticks);
        }
        let text =
            format!("received 40\n{}\npending 3\nworker 9 lives\n", WorkerTotals::of(1, &stats));
        let [worker] = workers_of(&text).try_into().unwrap();
        assert_eq!(
            (worker.worker, worker.received, worker.probes, worker.responses),
            (1, 40, 1, 0)
        );
        assert_eq!((worker.busy_turns, worker.busy_ticks), (2, 9000));
        assert_eq!(worker.stages.values().sum::<u64>(), 60);
        assert_eq!(worker.stages.len(), Stage::ALL.len());
    }
}
