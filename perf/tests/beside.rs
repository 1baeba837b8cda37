//! Every kind of peer on every kind of port: each is started, answers, and is ended, and nothing stays behind.
//! Needs root, hugepages, dpdk-testpmd, and otherhalfd built to the same folder: `cargo build -p otherhalf-responder`.

#![cfg(feature = "e2e")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Both CPUs are for one run at a time.
static CPUS: Mutex<()> = Mutex::new(());
/// What every checkout has once it is built.
const PEERS: [&str; 4] = ["ours", "floor", "icmpecho", "5tswap"];

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_otherhalf-perf"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What a run could leave behind: its folders, namespaces, and the processes that name its folder.
fn left(folder: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        left.push(entry.unwrap().path().display().to_string());
    }
    let named = folder.display().to_string();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(&named) {
            left.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
    left
}

/// Whether the namespace of the run of that process is there.
fn has_namespace(process: u32) -> bool {
    Path::new("/run/netns").join(format!("otherhalf-perf-{process}")).exists()
}

/// What the slices of a report say: exchanges by peer and load, and frames that were wrong.
fn slices(report: &Path) -> (BTreeMap<(String, String), u64>, u64) {
    let (mut answered, mut wrong) = (BTreeMap::new(), 0);
    for line in fs::read_to_string(report).unwrap().lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        if value["kind"] == "slice" {
            let text = |key: &str| value[key].as_str().unwrap().to_owned();
            *answered.entry((text("peer"), text("load"))).or_default() +=
                value["answered"].as_u64().unwrap();
            wrong += value["wrong"].as_u64().unwrap();
        }
    }
    (answered, wrong)
}

/// Holds every ratio of a report to what may be said of it, and to the line that was printed; returns how many there are.
fn judged(report: &Path, said: &str) -> usize {
    let mut count = 0;
    for line in fs::read_to_string(report).unwrap().lines() {
        let ratio: Value = serde_json::from_str(line).unwrap();
        if ratio["kind"] != "ratio" {
            continue;
        }
        count += 1;
        let name = ratio["name"].as_str().unwrap();
        let sides = ratio["limited"].as_array().unwrap();
        let [first, second] = [0, 1].map(|side| sides[side].as_bool().unwrap());
        let (value, target) = (ratio["value"].as_f64().unwrap(), ratio["target"].as_f64());
        // A limited side is at least so fast: a bound decides on the far side of the target alone.
        let expected = match target {
            Some(target) if value >= target && !second => "pass",
            Some(target) if value < target && !first => "short",
            None | Some(_) => "-",
        };
        assert_eq!(ratio["verdict"], expected, "{ratio}");
        let mut lines = said.lines().filter(|line| line.split(' ').nth(1) == Some(name));
        let line = lines.next().unwrap_or_else(|| panic!("{name} is not in\n{said}"));
        assert_eq!(line.split_whitespace().nth(4), Some(expected), "{line}");
        assert_eq!(line.contains("the generator limits "), first || second, "{line}");
    }
    count
}

fn measure(link: &str) {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (out, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let child = program()
        .args(["beside", "--links", link, "--seconds", "1", "--peers", &PEERS.join(",")])
        .arg("--out")
        .arg(out.path())
        .env("TMPDIR", work.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let process = child.id();
    let output = child.wait_with_output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert!(!said.contains("absent"), "{said}");
    let report = out.path().join("beside.ndjson");
    let (answered, wrong) = slices(&report);
    for (peer, load) in [
        ("ours", "traces"),
        ("ours", "requests"),
        ("ours", "pings"),
        ("floor", "requests"),
        ("icmpecho", "pings"),
        ("5tswap", "pings"),
    ] {
        let count = answered.get(&(peer.to_owned(), load.to_owned())).copied().unwrap_or(0);
        // A window of them, over and over: far less than the slowest of the ports carries.
        assert!(count > 512, "{link}: {peer} answered {count} {load}\n{said}");
    }
    assert_eq!(wrong, 0, "{said}");
    let ratio = format!("ratio {link}/requests/floor ");
    assert!(said.contains(&ratio), "{said}");
    // All comparisons but those with the capsule framework and without offload.
    assert_eq!(judged(&report, &said), 6);
    assert_eq!(left(work.path()), Vec::<String>::new());
    assert!(!has_namespace(process));
}

#[test]
fn over_rings_with_ours_in_the_same_process() {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (out, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let output = program()
        .args(["beside", "--links", "net_ring", "--seconds", "0.5", "--out"])
        .arg(out.path())
        .env("TMPDIR", work.path())
        .output()
        .unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{}\n{said}", output.status);
    let report = out.path().join("beside.ndjson");
    let (answered, wrong) = slices(&report);
    let traces = answered[&("ours".to_owned(), "traces".to_owned())];
    assert!(traces > 512, "{traces} traces\n{said}");
    assert_eq!(wrong, 0, "{said}");
    assert!(said.contains("ratio traces/reference-net_ring "), "{said}");
    assert_eq!(judged(&report, &said), 2);
    assert_eq!(left(work.path()), Vec::<String>::new());
}

#[test]
fn rings_without_ours_are_said_to_be_absent() {
    let output =
        program().args(["beside", "--links", "net_ring", "--peers", "floor"]).output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("absent net_ring # only ours"), "{said}");
    assert!(!said.contains("ratio "), "{said}");
}

#[test]
fn over_virtio() {
    measure("virtio");
}

#[test]
fn over_memif() {
    measure("memif");
}

#[test]
fn over_veth_by_af_xdp() {
    measure("af_xdp");
}

#[test]
fn over_veth_by_af_packet() {
    measure("af_packet");
}

/// Processes of `program` that were started with a file in `folder`.
fn running(folder: &Path, program: &str) -> Vec<Pid> {
    let named = folder.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let of = processes.filter(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let exe = fs::read_link(entry.path().join("exe")).unwrap_or_default();
        exe.ends_with(program) && String::from_utf8_lossy(&line).contains(&named)
    });
    of.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

#[test]
fn frames_of_a_peer_that_was_kept_from_its_cpu_are_late_and_not_wrong() {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (out, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut child = program()
        .args(["beside", "--links", "virtio", "--seconds", "5", "--peers", "ours", "--out"])
        .arg(out.path())
        .env("TMPDIR", work.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Longer than the generator waits in silence, now in one load and now in another. Only ours is measured, so nobody else
    // is disturbed when it goes on while it should be paused.
    while child.try_wait().unwrap().is_none() {
        for process in running(work.path(), "otherhalfd") {
            // It may have gone meanwhile.
            let _ = kill_process(process, Signal::STOP);
            std::thread::sleep(Duration::from_millis(300));
            let _ = kill_process(process, Signal::CONT);
        }
        std::thread::sleep(Duration::from_millis(270));
    }
    let output = child.wait_with_output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{}\n{said}", output.status);
    let (mut late, mut lost) = (0, 0);
    for line in fs::read_to_string(out.path().join("beside.ndjson")).unwrap().lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        if value["kind"] == "slice" {
            assert_eq!(value["wrong"], 0, "{value}");
            late += value["late"].as_u64().unwrap();
            lost += value["lost"].as_u64().unwrap();
        }
    }
    assert!(late > 0 && late <= lost, "{late} of {lost} came late\n{said}");
    assert_eq!(left(work.path()), Vec::<String>::new());
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for signal in [Signal::INT, Signal::TERM] {
        let work = tempfile::tempdir().unwrap();
        let mut child = program()
            .args(["beside", "--links", "af_packet", "--seconds", "60", "--peers", "ours,icmpecho"])
            .env("TMPDIR", work.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Until both peers run, and then some.
        let start = Instant::now();
        let runs = |peer: &str| {
            let log = PathBuf::from(peer).with_extension("log");
            fs::read_dir(work.path()).unwrap().flatten().any(|e| e.path().join(&log).exists())
        };
        while !(runs("ours") && runs("icmpecho")) {
            assert!(start.elapsed() < Duration::from_mins(1), "the peers did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_secs(4));
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(left(work.path()), Vec::<String>::new());
        assert!(!has_namespace(child.id()));
    }
}

#[test]
fn a_peer_that_is_not_there_is_said_to_be_absent() {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let output = program()
        .args(["beside", "--links", "memif", "--seconds", "0.2", "--peers", "floor,capsule"])
        .args(["--capsule", "/nowhere/otherhalf-capsule"])
        .output()
        .unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("absent capsule # there is no /nowhere/otherhalf-capsule"), "{said}");
}
