//! The whole program over rings in one process: every response verified, all counters add up, no buffer lost.
//!
//! Needs no root and no hugepages, but two CPUs. Each run is a process, since a process has one EAL.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use otherhalf_engine::Outcome;
use otherhalf_perf::report::{Report, StepLine};

/// Requests of a step.
const REQUESTS: u64 = 200_000;

/// Both CPUs are for one run at a time.
static CPUS: Mutex<()> = Mutex::new(());

/// Runs the program with the scenario of that name, with more patience: a thread may be away from its core for long.
fn run(scenario: &str, arguments: &[&str]) -> Report {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(top.join(format!("scenarios/{scenario}.toml"))).unwrap();
    let path = folder.path().join(format!("{scenario}.toml"));
    fs::write(&path, text + "\ntimeout_ms = 10000\n").unwrap();
    let out = folder.path().join("out");
    let requests = REQUESTS.to_string();
    let bounds = ["--seconds", "120", "--requests", &requests];
    let output = Command::new(env!("CARGO_BIN_EXE_otherhalf-perf"))
        .arg("run")
        .arg("--scenario")
        .arg(&path)
        .arg("--profile")
        .arg(top.join("profiles/net_ring.toml"))
        .args(if arguments.contains(&"--seconds") { &[][..] } else { &bounds })
        .args(arguments)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert!(said.contains(", 0 frames wrong"), "{said}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("verified, none wrong"), "{said}");
    let histogram = fs::read_to_string(out.join("step0-probe-all.hgrm")).unwrap();
    assert!(histogram.contains("#[Max"), "{histogram}");
    Report::load(&out.join("report.ndjson")).unwrap()
}

/// What holds for every scenario; returns the one step.
fn check(report: &Report) -> &StepLine {
    let [(step, _)] = report.steps.as_slice() else { panic!("{:?}", report.steps) };
    let count = |name| step.counts[name];
    assert_eq!(count("asked"), REQUESTS);
    assert_eq!((count("lost_answers"), count("late")), (0, 0));
    // A table that fills refuses a few by design; nothing else may be missing. The responder counts its warm-up too.
    let refused = count("lost_requests");
    assert!(refused <= report.run.responder[Outcome::DropTableFull.name()], "{refused} lost");
    assert!(refused <= REQUESTS / 1000, "{refused} refused");
    let served = REQUESTS - refused;
    assert_eq!(count("probes"), served, "a probe for each request");
    assert_eq!(count("responses") + count("unanswered"), served);
    assert_eq!(count("answers"), count("responses"), "a response for each answer");
    assert_eq!(count("pings"), count("ping_replies"));
    assert!(step.faults.is_empty(), "{:?}", step.faults);
    assert_eq!(report.run.mbufs_lost, Some(0));
    // The responder's own account, warm-up included.
    let outcomes = Outcome::ALL.iter().map(|outcome| report.run.responder[outcome.name()]);
    assert_eq!(outcomes.sum::<u64>(), report.run.responder["received"]);
    let latency = &step.latency_all;
    assert_eq!(latency.probe.count, served);
    assert_eq!(latency.whole.count, count("responses"));
    step
}

#[test]
fn every_response_of_200_000_is_right() {
    let report = run("complete", &[]);
    let step = check(&report);
    assert_eq!(step.counts["responses"], REQUESTS);
    let probes: u64 =
        ["probe_icmp", "probe_udp", "probe_tcp"].iter().map(|n| report.run.responder[*n]).sum();
    let responses = report.run.responder["response_time_exceeded"];
    assert!(probes >= REQUESTS && responses == probes, "{probes} {responses}");
    assert!(step.all.ticks_per_frame.is_some());
}

#[test]
fn a_network_that_takes_its_time_and_loses_changes_nothing() {
    let report = run("mixed", &["--window", "1000"]);
    let step = check(&report);
    let unanswered = step.counts["unanswered"];
    assert!(unanswered.abs_diff(REQUESTS / 100) <= 1, "{unanswered}");
    // 200 us at least, less what the clock's slack allows; the whole leaves out the network's time.
    assert!(step.latency_all.whole.p50 < 200_000_000);
}

#[test]
fn a_half_open_connection_is_ended_for_each_open_port_reached() {
    let report = run("tcp-open", &[]);
    let step = check(&report);
    let reached = step.counts["resets"];
    assert!(reached.abs_diff(REQUESTS / 8) < REQUESTS / 100, "{reached}");
    assert!(report.run.responder["response_syn_ack"] >= reached);
    assert_eq!(report.run.responder["response_syn_ack"], report.run.responder["resets_sent"]);
}

#[test]
fn direct_answers_of_every_protocol_come_back_as_responses() {
    for (scenario, outcome) in [
        ("icmp", "response_echo_reply"),
        ("udp", "response_unreachable"),
        ("tcp", "response_reset"),
    ] {
        let report = run(scenario, &[]);
        check(&report);
        let count = report.run.responder[outcome];
        assert!(count > REQUESTS / 9, "{scenario}: {count}");
    }
}

#[test]
fn wide_quotes_one_target_pings_and_junk() {
    check(&run("wide-quotes", &[]));
    check(&run("one-target", &[]));
    let report = run("busy", &[]);
    let step = check(&report);
    assert_eq!((step.counts["pings"], step.counts["junk"]), (REQUESTS / 10, REQUESTS / 5));
    let drops: u64 = report
        .run
        .responder
        .iter()
        .filter(|(name, _)| name.starts_with("drop_") || name.starts_with("closed_"))
        .map(|(_, count)| count)
        .sum();
    assert!(drops >= REQUESTS / 5, "{drops}");
}

#[test]
fn probes_that_nobody_answers_are_no_loss() {
    let report = run("unanswered", &[]);
    let step = check(&report);
    assert_eq!((step.counts["unanswered"], step.counts["responses"]), (step.counts["probes"], 0));
}

#[test]
fn an_open_loop_keeps_its_rate() {
    // So low that a stall of a thread fills no ring: 0.1 s are 500 requests.
    let report = run("complete", &["--rate", "5k", "--seconds", "2", "--requests", "1000000"]);
    let [(step, _)] = report.steps.as_slice() else { panic!("{:?}", report.steps) };
    // Below what is served, what is due is sent; a stall is made up for.
    let asked = step.counts["asked"];
    assert!((9_000..=11_000).contains(&asked), "{asked}");
    assert_eq!(step.counts["responses"], asked);
    assert_eq!(step.latency_all.whole.count, asked);
}
