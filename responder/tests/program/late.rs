//! Ports that come later than the start, or never.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::instance::{EMPTY, instance};
use crate::process::Daemon;
use crate::{FAILED, GOOD};

/// An instance whose packet file is not there, and is waited for so long.
fn late(name: &str, wait_s: u64) -> (TempDir, String) {
    let there = "rx_pcap=FOLDER/in,tx_pcap=FOLDER/out\"";
    let wanted = format!("rx_pcap=FOLDER/late,tx_pcap=FOLDER/out\"\nwait_s = {wait_s}");
    instance(name, (there, &wanted))
}

/// DPDK's folder of [`instance`], as root and as somebody else.
fn runtime_folder_is_there(name: &str) -> bool {
    let prefix = format!("otherhalf-program-{name}-{}", std::process::id());
    let users = std::env::var("XDG_RUNTIME_DIR").unwrap_or_else(|_| "/tmp".to_owned());
    [Path::new("/var/run"), Path::new(&users)]
        .iter()
        .any(|home| home.join("dpdk").join(&prefix).exists())
}

/// What comes to the manager's socket before `last`, and that.
fn told_until(manager: &UnixDatagram, last: &str) -> Vec<String> {
    let mut told = Vec::new();
    let mut buffer = [0; 512];
    while told.last().is_none_or(|text: &String| !text.contains(last)) {
        let length = manager.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}: {told:?}"));
        told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    told
}

#[test]
fn a_port_that_comes_late_is_waited_for() {
    let (folder, text) = late("late", 60);
    let path = folder.path().join("a.toml");
    fs::write(&path, text).unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_otherhalfd"));
    let mut daemon = Daemon::run(command.arg("--config").arg(&path).env("NOTIFY_SOCKET", &socket));
    daemon.wait_for("waiting for devices that are not there yet devices=\"net_pcap0\"");
    let told = told_until(&manager, "STATUS=waiting for net_pcap0");
    assert!(told[0].contains("EXTEND_TIMEOUT_USEC="), "{told:?}");
    fs::write(folder.path().join("late"), EMPTY).unwrap();
    daemon.wait_for("the device is there port=\"net_pcap0\" after_ms=");
    daemon.wait_for(" ready");
    let told = told_until(&manager, "READY=1");
    let waits = told.iter().position(|text| text == "STATUS=\n").expect("it waits no longer");
    assert!(told[..waits].iter().all(|text| text.contains("waiting for")), "{told:?}");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, GOOD, "{}", ended.log);
    // Once, and of what DPDK missed at each look nothing.
    assert_eq!(ended.log.matches("waiting for devices").count(), 1, "{}", ended.log);
    assert!(!ended.log.contains("EAL: "), "{}", ended.log);
}

#[test]
fn a_port_that_never_comes_ends_the_start() {
    let (folder, text) = late("never", 1);
    let start = Instant::now();
    let ended = Daemon::start(folder.path(), &text).end();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!((ended.code, ended.stdout.as_str()), (FAILED, ""), "{}", ended.log);
    for words in [
        "waiting for devices that are not there yet devices=\"net_pcap0\"",
        "Driver cannot attach the device (net_pcap0)",
        // And no error number, which would say something else.
        "port \"net_pcap0\" did not come within wait_s = 1; DPDK's own lines above say what it misses\n",
    ] {
        assert!(ended.log.contains(words), "no {words:?} in\n{}", ended.log);
    }
    assert!(!ended.log.contains(" ready"), "{}", ended.log);
    assert!(!runtime_folder_is_there("never"));
}

#[test]
fn a_start_that_waits_can_be_stopped() {
    for signal in [Signal::TERM, Signal::INT] {
        let (folder, text) = late("stopped", 600);
        let mut daemon = Daemon::start(folder.path(), &text);
        daemon.wait_for("waiting for devices");
        let ended = daemon.stop(signal);
        assert_eq!(ended.code, GOOD, "{}", ended.log);
        assert!(ended.log.contains("told to stop before the ports were there"), "{}", ended.log);
        assert!(!runtime_folder_is_there("stopped"));
    }
}
