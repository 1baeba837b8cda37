//! otherhalfd as a process of its own, connected by memif, by virtio, and by a veth pair. Needs root, 512 MB of
//! hugepages, and otherhalfd built to the same folder: `scripts/check perf` sees to that.

#![cfg(feature = "e2e")]

use std::fs;
use std::path::Path;
use std::process::Command;

use otherhalf_perf::report::Report;

/// Requests of a step.
const REQUESTS: u64 = 100_000;

#[test]
fn every_response_that_comes_is_right_and_lost_ones_are_accounted_for() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for profile in ["memif", "virtio", "memif-2", "virtio-2", "af_packet", "af_xdp"] {
        let folder = tempfile::tempdir().unwrap();
        // With more patience: a thread may be away from its core for long.
        let text = fs::read_to_string(top.join("scenarios/mixed.toml")).unwrap();
        let scenario = folder.path().join("mixed.toml");
        fs::write(&scenario, text + "\ntimeout_ms = 5000\n").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_otherhalf-perf"))
            .args(["run", "--window", "128", "--seconds", "60"])
            .args(["--requests", &REQUESTS.to_string()])
            .arg("--scenario")
            .arg(&scenario)
            .arg("--profile")
            .arg(top.join(format!("profiles/{profile}.toml")))
            .arg("--out")
            .arg(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{profile}: {}\n{said}", output.status);
        let report = Report::load(&folder.path().join("report.ndjson")).unwrap();
        let count = |name| report.steps[0].0.counts[name];
        assert_eq!(count("asked"), REQUESTS, "{profile}");
        let ended = ["responses", "unanswered", "lost_requests", "lost_answers"].map(count);
        assert_eq!(ended.iter().sum::<u64>(), REQUESTS, "{profile}: {ended:?}");
        // A thread that lost its core may have let a queue overflow, once or twice; more would be ours.
        assert!(ended[2] + ended[3] < REQUESTS / 100, "{profile}: {ended:?}");
        assert!(report.run.responder["received"] >= 2 * count("responses"), "{profile}");
        // Each worker's queue was used, and answers came by the other's.
        let workers = &report.run.workers;
        assert_eq!(workers.len(), if profile.ends_with("-2") { 2 } else { 1 }, "{profile}");
        assert!(workers.iter().all(|w| w.probes > REQUESTS / 4 && w.responses > REQUESTS / 4));
        assert!(workers.iter().all(|worker| worker.stages.values().all(|ticks| *ticks > 0)));
        let crossed = count("crossed");
        assert_eq!(crossed > 0, workers.len() == 2, "{profile}: {crossed}");
    }
}
