//! otherhalfd as a process of its own, connected by memif, by virtio, and by a veth pair. Needs root, 512 MB of
//! hugepages, and otherhalfd built to the same folder: `scripts/check perf` sees to that.

#![cfg(feature = "e2e")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use otherhalf_perf::report::Report;
use rustix::process::{Pid, Signal, kill_process};

/// Each run fills both CPUs and most of the hugepages.
static CPUS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    CPUS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests of a step.
const REQUESTS: u64 = 100_000;

#[test]
fn every_response_that_comes_is_right_and_lost_ones_are_accounted_for() {
    let _alone = alone();
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
        let busy = |&(probes, responses)| probes > REQUESTS / 4 && responses > REQUESTS / 4;
        let sent: Vec<_> = workers.iter().map(|w| (w.probes, w.responses)).collect();
        assert!(sent.iter().all(busy), "{profile}: {sent:?}");
        let stages: Vec<_> = workers.iter().map(|worker| &worker.stages).collect();
        assert!(stages.iter().all(|s| s.values().all(|ticks| *ticks > 0)), "{profile}: {stages:?}");
        let crossed = count("crossed");
        assert_eq!(crossed > 0, workers.len() == 2, "{profile}: {crossed}");
    }
}

/// The otherhalfd of the process `parent`, once it has one.
fn responder_of(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let mut children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    children.find(|pid| name(*pid).is_some_and(|name| name.trim() == "otherhalfd"))
}

/// The configuration file that the otherhalfd `pid` was started with.
fn config_of(pid: Pid) -> Option<PathBuf> {
    let arguments = fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
    arguments.split('\0').skip_while(|argument| *argument != "--config").nth(1).map(PathBuf::from)
}

fn name(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok()
}

fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if let Some(found) = what() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Times that the configuration is read again.
const RELOADS: usize = 20;
/// So many of them happen on any machine.
const FEW_RELOADS: u64 = 4;

#[test]
fn nothing_is_lost_while_the_configuration_is_read_again() {
    let _alone = alone();
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(top.join("scenarios/mixed.toml")).unwrap();
    let scenario = folder.path().join("mixed.toml");
    fs::write(&scenario, text + "\ntimeout_ms = 5000\n").unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_otherhalf-perf"))
        .args(["run", "--window", "64", "--seconds", "12", "--scenario"])
        .arg(&scenario)
        .arg("--profile")
        .arg(top.join("profiles/memif-2.toml"))
        .arg("--out")
        .arg(folder.path())
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let responder = wait_for(|| responder_of(run.id())).expect("otherhalfd was started");
    let responder = Pid::from_raw(responder.cast_signed()).unwrap();
    // Before it listens to it, the signal would end it.
    let listens = || {
        let status =
            fs::read_to_string(format!("/proc/{}/status", responder.as_raw_nonzero())).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & 1 == 1).then_some(())
    };
    wait_for(listens).expect("it listens to SIGHUP");
    let file = wait_for(|| config_of(responder)).expect("its configuration");
    let one = fs::read_to_string(&file).unwrap();
    // Another policy and another route each time: whole snapshots, which differ.
    let other = one.clone()
        + "\n[reply]\nclosed_ports = false\n[[route]]\nto = \"203.0.113.0/24\"\nvia = \"192.0.2.254\"\n";
    let reload = |text: &str| -> io::Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &file)?;
        Ok(kill_process(responder, Signal::HUP)?)
    };
    let mut told = 0;
    for text in [&other, &one].into_iter().cycle().take(RELOADS) {
        // On a machine that is slow at this, the run is over before, and its folder gone.
        if reload(text).is_err() {
            break;
        }
        told += 1;
        std::thread::sleep(Duration::from_millis(150));
    }
    assert!(told >= FEW_RELOADS, "{told}");
    let status = run.wait().unwrap();
    assert!(status.success(), "{status}");
    let report = Report::load(&folder.path().join("report.ndjson")).unwrap();
    let count = |name| report.steps[0].0.counts[name];
    assert!(count("responses") > 0);
    assert_eq!(count("lost_requests") + count("lost_answers"), 0);
    // Two signals may have met, and the last come too late. (What each reload changed is told by its own tests.)
    assert!(report.run.responder["reloads"] >= told / 2, "{:?}", report.run.responder);
}

#[test]
fn a_killed_run_leaves_no_otherhalfd() {
    let _alone = alone();
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What is killed leaves its files behind.
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_otherhalf-perf"))
        .args(["run", "--seconds", "60", "--scenario"])
        .arg(top.join("scenarios/complete.toml"))
        .arg("--profile")
        .arg(top.join("profiles/memif.toml"))
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let responder = wait_for(|| responder_of(run.id()));
    run.kill().unwrap();
    run.wait().unwrap();
    let responder = responder.expect("otherhalfd was started");
    let gone =
        wait_for(|| name(responder).is_none_or(|name| name.trim() != "otherhalfd").then_some(()));
    assert!(gone.is_some(), "otherhalfd {responder} outlived the run");
}
