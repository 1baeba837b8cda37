//! Goodput under overload by the lean generator: its counts and the responder's agree to the last frame, and the curve is whole. No figure is
//! judged here: that takes a machine with nothing else to do.
//!
//! Over rings it needs no root and no hugepages, but two CPUs; with the responder as a process of its own (feature `e2e`), both, and
//! otherhalfd built to the same folder: `scripts/check perf` sees to that.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;

use otherhalf_perf::overload::Outcome;
use otherhalf_perf::overload::accounts::disagreements;
use otherhalf_perf::overload::curve::{FACTORS, curve, ratios};

/// How often each load is offered.
const ROUNDS: usize = 3;

/// Both CPUs are for one run at a time.
static CPUS: Mutex<()> = Mutex::new(());

fn overload(profile: &str, arguments: &[&str]) -> Output {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    Command::new(env!("CARGO_BIN_EXE_otherhalf-perf"))
        .args(["overload", "--rounds", &ROUNDS.to_string(), "--slice-ms", "40"])
        .arg("--profile")
        .arg(profiles.join(profile).with_extension("toml"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs it at multiples of a rate that any machine carries, and reads what was written.
fn run(profile: &str) -> (String, Outcome) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let output = overload(profile, &["--no-drop", "20k", "--out", out]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    // Exit code 3 would say that the counts do not agree.
    assert!(output.status.success(), "{}\n{said}", output.status);
    let text = std::fs::read_to_string(folder.path().join("overload.json")).unwrap();
    (said, serde_json::from_str(&text).unwrap())
}

/// What holds for every run.
fn check(profile: &str) -> Outcome {
    let (said, outcome) = run(profile);
    let counter = |wanted: &str| {
        let found = outcome.counters.iter().find(|(name, _)| name == wanted);
        found.unwrap_or_else(|| panic!("no {wanted}: {said}")).1
    };
    let counts = &outcome.counts;
    assert_eq!((counts.wrong, counts.no_mbuf), (0, 0), "{said}");
    // Requests come first, then whole traces: each has brought its frames, and some were verified to the last checksum.
    assert!(counts.wholes > counts.halves && counts.halves > 1000, "{said}");
    assert!(counts.answers > 1000 && counts.thorough > 10 && counts.refused > 1000, "{said}");
    let responses = counter("response_time_exceeded");
    assert!(responses > 1000 && counter("probe_udp") > responses, "{said}");
    assert_eq!(
        counter("probe_udp") + responses,
        counts.wholes + counts.halves + counts.late,
        "{said}"
    );
    let loads: Vec<&str> = outcome.measured.iter().map(|measured| measured.load.as_str()).collect();
    assert_eq!(loads, ["requests", "traces"], "{said}");
    for measured in &outcome.measured {
        assert!((measured.no_drop - 20e3).abs() < 1.0 && measured.trials.is_empty(), "{said}");
        assert_eq!(measured.rounds.len(), ROUNDS, "{said}");
        assert!(measured.rounds.iter().all(|round| round.len() == FACTORS.len()), "{said}");
        // A slice of which too little counted has no figures; the rest stands in the curve, and is said.
        let points = curve(measured);
        let name = profile.to_owned();
        for ratio in ratios(&name, measured, &points, outcome.alone) {
            assert!(said.contains(&ratio.to_string()), "{ratio}: {said}");
        }
        for point in &points {
            assert!(point.served_per_s[1] > 0.0 && point.offered > 0.0, "{point:?}");
        }
    }
    outcome
}

#[test]
fn over_rings_both_count_the_same() {
    let outcome = check("net_ring-two-ports");
    assert_eq!(outcome.mbufs_lost, Some(0));
    let mut less = outcome.clone();
    less.counts.wholes -= 1;
    assert_eq!(disagreements(&less).len(), 1, "one frame is missed");
}

#[test]
fn with_policy_nothing_is_refused_by_it() {
    let outcome = check("net_ring-two-ports-policy");
    let refused = |(name, count): &&(String, u64)| {
        *count > 0
            && ["drop_rate", "drop_denied", "drop_opted_out", "drop_bogon", "drop_wrong_port"]
                .iter()
                .any(|policy| name.starts_with(policy))
    };
    let refused: Vec<_> = outcome.counters.iter().filter(refused).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn whole_traces_by_one_port_are_refused_with_what_to_do() {
    let output = overload("net_ring-short", &["--no-drop", "2k"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("name a profile of two ports"), "{said}");
}

#[cfg(feature = "e2e")]
#[test]
fn over_memif_both_count_the_same() {
    check("memif-two-ports");
    check("memif-two-ports-policy");
}
