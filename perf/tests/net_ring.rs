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
    run_on("net_ring", scenario, arguments)
}

fn run_on(profile: &str, scenario: &str, arguments: &[&str]) -> Report {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    // A path, or a name of ours.
    let text =
        fs::read_to_string(top.join("scenarios").join(scenario).with_extension("toml")).unwrap();
    let scenario = Path::new(scenario).file_stem().unwrap().to_str().unwrap();
    let path = folder.path().join(format!("{scenario}.toml"));
    // The responder's patience is the longer one: what it gives up first would be a loss. And before the tables.
    let patience =
        if text.contains("pending_timeout_ms") { "" } else { "pending_timeout_ms = 60000\n" };
    fs::write(&path, format!("timeout_ms = 10000\n{patience}{text}")).unwrap();
    let out = folder.path().join("out");
    let requests = REQUESTS.to_string();
    let bounds = ["--seconds", "120", "--requests", &requests];
    let output = Command::new(env!("CARGO_BIN_EXE_otherhalf-perf"))
        .arg("run")
        .arg("--scenario")
        .arg(&path)
        .arg("--profile")
        .arg(top.join(format!("profiles/{profile}.toml")))
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
    // The stages are parts of the busy turns, and each was seen; the rest is what is left of them.
    let stages: Vec<&str> = step.stages.iter().map(|stage| stage.stage.as_str()).collect();
    assert_eq!(stages, ["receive", "engine", "act", "rest"]);
    assert!(step.stages[..3].iter().all(|stage| stage.ticks_per_frame > 0.0), "{:?}", step.stages);
    let [worker] = report.run.workers.as_slice() else { panic!("{:?}", report.run.workers) };
    assert_eq!((worker.probes, worker.responses), (probes, responses));
    assert!(worker.stages.values().sum::<u64>() <= worker.busy_ticks, "{worker:?}");
    assert_eq!(step.counts["crossed"], 0);
}

#[test]
fn an_answer_that_comes_by_another_workers_queue_is_served_right() {
    let report = run_on("net_ring-2", "cross-queue", &[]);
    let step = check(&report);
    assert_eq!(step.counts["responses"], REQUESTS);
    assert_eq!(step.counts["crossed"], REQUESTS, "no answer went where its request did");
    let [a, b] = report.run.workers.as_slice() else { panic!("{:?}", report.run.workers) };
    // Each worker answered exactly what the other had sent: the warm-up too.
    assert_eq!((a.responses, b.responses), (b.probes, a.probes));
    assert_eq!(a.probes + b.probes, report.run.responder["received"] / 2 - neighbours(&report) / 2);
    assert!(a.probes.min(b.probes) > REQUESTS / 4, "{a:?} {b:?}");
}

/// Frames received that are neither requests nor answers.
fn neighbours(report: &Report) -> u64 {
    let counters = &report.run.responder;
    counters["neighbour_reply"] + counters["neighbour_learned"]
}

#[test]
fn answers_by_a_port_of_their_own_are_served_right() {
    let report = run_on("net_ring-two-ports", "complete", &[]);
    let step = check(&report);
    assert_eq!(step.counts["responses"], REQUESTS);
    assert_eq!(step.counts["crossed"], REQUESTS, "no answer went by the port of requests");
    let [worker] = report.run.workers.as_slice() else { panic!("{:?}", report.run.workers) };
    assert_eq!(worker.probes, worker.responses);
}

#[test]
fn requests_for_two_buckets_are_refused_there_and_all_others_are_served() {
    let report = run("one-bucket", &[]);
    let step = check(&report);
    assert_eq!(step.counts["responses"], REQUESTS);
    let (aimed, probes) = (step.counts["aimed"], step.counts["aimed_probes"]);
    assert!(aimed.abs_diff(REQUESTS / 2) <= 1, "{aimed}");
    // Of 32 keys, eight find a place in two buckets, and keep it by asking again; for a moment another's probe may have one.
    assert!((aimed / 5..=aimed / 4 + 32).contains(&probes), "{probes} of {aimed}");
    let full = report.run.responder[Outcome::DropTableFull.name()];
    assert!(full >= aimed - probes, "{full} refused");
    // Of 8192 entries, those under way are in use, and eight.
    let pending = report.run.responder["pending"];
    assert!((8..1024).contains(&pending), "{pending} wait");
}

#[test]
fn two_workers_serve_their_own_and_each_others() {
    let folder = tempfile::tempdir().unwrap();
    for (steering, least, most) in [("same", 0, 0), ("hash", REQUESTS / 3, 2 * REQUESTS / 3)] {
        let path = folder.path().join(format!("{steering}.toml"));
        fs::write(&path, format!("about = \"x\"\nsteering = \"{steering}\"\n")).unwrap();
        let report = run_on("net_ring-2", path.to_str().unwrap(), &[]);
        let step = check(&report);
        let crossed = step.counts["crossed"];
        assert!((least..=most).contains(&crossed), "{steering}: {crossed}");
        let [a, b] = report.run.workers.as_slice() else { panic!("{:?}", report.run.workers) };
        assert_eq!(a.probes + b.probes, a.responses + b.responses, "{steering}");
        if steering == "same" {
            assert_eq!((a.probes, b.probes), (a.responses, b.responses));
        }
    }
}

#[test]
fn an_open_loop_far_above_what_is_served_accounts_for_each_request() {
    let bounds = ["--rate", "50M", "--seconds", "1", "--requests", "20000000"];
    let report = run_on("net_ring-short", "complete", &bounds);
    let [(step, _)] = report.steps.as_slice() else { panic!("{:?}", report.steps) };
    let count = |name| step.counts[name];
    let ended =
        ["responses", "refused_requests", "refused_answers", "lost_requests", "lost_answers"];
    assert_eq!(ended.map(count).iter().sum::<u64>(), count("asked"), "{:?}", step.counts);
    // How many, and where, depends on how fast the machine is at either.
    assert!(count("responses") < count("asked"), "{:?}", step.counts);
    assert!(count("responses") > 0 && step.faults.is_empty(), "{:?}", step.counts);
    assert_eq!(report.run.mbufs_lost, Some(0));
}

#[test]
fn a_network_that_takes_its_time_and_loses_changes_nothing() {
    let report = run("mixed", &["--window", "1000"]);
    let step = check(&report);
    let unanswered = step.counts["unanswered"];
    assert!(unanswered.abs_diff(REQUESTS / 100) <= 1, "{unanswered}");
    // That the round-trip times are those of the network is verified for each response: check() wants no fault.
    assert_eq!(step.counts["answers"] + unanswered, REQUESTS - step.counts["lost_requests"]);
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

#[test]
fn a_search_says_what_it_tried_and_a_proof_what_it_found() {
    let few = ["--seconds", "0.2"];
    let search = command(SHORT, "search", &[&few[..], &["--trials", "3"]].concat());
    let report = search.run.no_drop.unwrap();
    assert!(!report.trials.is_empty() && report.trials.len() <= 3, "{report:?}");
    assert_eq!(report.mode, otherhalf_perf::search::Mode::Clean);
    // The closed loop that bounds the rates, then the trials.
    assert_eq!(search.steps.len(), report.trials.len() + 1);

    let strict = command(SHORT, "search", &[&few[..], &["--trials", "2", "--strict"]].concat());
    let report = strict.run.no_drop.unwrap();
    assert_eq!(report.mode, otherhalf_perf::search::Mode::Strict);
    for (trial, (step, _)) in report.trials.iter().zip(&strict.steps[1..]) {
        assert_eq!((trial.counts.offered, trial.counts.lost), (step.counts["asked"], step.lost()));
    }

    let proof = command(SHORT, "ratios", &[&few[..], &["--rounds", "1"]].concat());
    let proven = proof.run.proven.unwrap();
    let names: Vec<&str> = proven.ratios.iter().map(|ratio| ratio.name.as_str()).collect();
    let overload = ["overload-closed", "overload-open"];
    assert_eq!(names[..2], overload);
    assert_eq!(names[2..], ["latency-p999", "latency-p999-null", "latency-p999/null"]);
    // What was served was asked for in the same windows, so it can't be more.
    for (step, _) in &proof.steps {
        for rates in [&step.all, &step.clean, &step.settled] {
            assert!(rates.served_per_s <= rates.offered_per_s, "{rates:?}");
        }
    }
    assert_eq!(proof.steps.len(), 5 + 6);
    assert_eq!(proof.run.mbufs_lost, Some(0));

    let apart = [&few[..], &["--rounds", "1", "--apart"]].concat();
    let apart = command("net_ring-two-ports", "ratios", &apart);
    let ratios = apart.run.proven.unwrap().ratios;
    let [open] = ratios.as_slice() else { panic!("{ratios:?}") };
    assert_eq!(open.name, "overload-open-two-ports");
    assert_eq!((apart.steps.len(), apart.run.mbufs_lost), (5 + 2, Some(0)));
}

#[test]
fn a_curve_of_goodput_has_its_loads_in_turns() {
    let known = ["--seconds", "0.2", "--rounds", "2", "--no-drop", "10k"];
    let goodput = command(SHORT, "goodput", &known);
    let curve = goodput.run.goodput.unwrap();
    assert_eq!((goodput.steps.len(), curve.points.len(), curve.ratios.len()), (12, 6, 6));
    for ((step, _), wanted) in goodput.steps.iter().zip([10e3, 12.5e3, 15e3, 20e3, 30e3, 40e3]) {
        assert_eq!(step.rate, Some(wanted));
    }
    assert!(curve.points.iter().all(|point| (0.0..=1.0).contains(&point.of_peak)), "{curve:?}");
}

/// The profile of open loops.
const SHORT: &str = "net_ring-short";

/// Runs another command over rings; the report it wrote.
fn command(profile: &str, name: &str, arguments: &[&str]) -> Report {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_otherhalf-perf"))
        .arg(name)
        .args(arguments)
        .arg("--scenario")
        .arg(top.join("scenarios/complete.toml"))
        .arg("--profile")
        .arg(top.join("profiles").join(profile).with_extension("toml"))
        .arg("--out")
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("<h2>Steps</h2>") && page.trim_end().ends_with("</html>"), "{said}");
    Report::load(&folder.path().join("report.ndjson")).unwrap()
}
