//! The log of `otherhalfd`: its forms, its level, and who it is for.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::instance::instance;
use crate::process::Daemon;

/// An instance with `keys` under `[log]`, in a file in its folder.
fn with(name: &str, keys: &str) -> (TempDir, String) {
    let (folder, text) = instance(name, ("", ""));
    let text = format!("{text}\n[log]\n{keys}\n");
    fs::write(folder.path().join("otherhalfd.toml"), &text).unwrap();
    (folder, text)
}

/// The whole log of an instance that is told to end when it is ready.
fn log_of(folder: &Path, command: &mut Command) -> String {
    let mut daemon = Daemon::run(command.arg("--config").arg(folder.join("otherhalfd.toml")));
    daemon.wait_for("ready");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, 0, "{}", ended.log);
    ended.log
}

fn otherhalfd() -> Command {
    Command::new(env!("CARGO_BIN_EXE_otherhalfd"))
}

/// One whose stderr is what systemd says that the journal is at.
fn otherhalfd_in_journal() -> Command {
    let mut command = Command::new("sh");
    let script = r#"JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$0" "$@""#;
    command.args(["-c", script, env!("CARGO_BIN_EXE_otherhalfd")]);
    command
}

/// Lines of our own: DPDK writes some to stderr, too.
fn own<'a>(log: &'a str, start: &'a str) -> Vec<&'a str> {
    log.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn as_json_each_line_is_an_object() {
    let (folder, _) = with("log-json", "format = \"json\"");
    let log = log_of(folder.path(), &mut otherhalfd());
    let lines: Vec<Value> =
        own(&log, "{").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |message: &str| {
        let found = lines.iter().find(|line| line["message"] == message);
        found.unwrap_or_else(|| panic!("no {message:?} in\n{log}"))
    };
    assert_eq!(of("otherhalfd")["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(of("ready")["level"], "INFO");
    assert!(of("ready")["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(of("interface")["interface"], "net_pcap0");
    assert_eq!(of("stopping")["reason"], "told to, and drained");
}

#[test]
fn the_journal_gets_levels_and_no_times() {
    let (folder, _) = with("log-journal", "");
    let log = log_of(folder.path(), &mut otherhalfd_in_journal());
    let lines = own(&log, "<6>");
    assert!(lines.contains(&"<6>INFO ready"), "{log}");
    assert_eq!(lines.last(), Some(&"<6>INFO stopped"), "{log}");
    // Of an event of several lines, each line.
    let (folder, _) = with("log-journal-usr1", "target = \"journald\"");
    let path = folder.path().join("otherhalfd.toml");
    let mut daemon = Daemon::run(otherhalfd().arg("--config").arg(path));
    daemon.wait_for("ready");
    daemon.signal(Signal::USR1);
    daemon.wait_for("<6>INFO counters by request");
    assert!(daemon.wait_for("received").starts_with("<6>received "));
    daemon.stop(Signal::TERM);
}

#[test]
fn stderr_is_no_journal_when_told_so_or_sent_elsewhere() {
    let (folder, _) = with("log-stderr", "target = \"stderr\"");
    let log = log_of(folder.path(), &mut otherhalfd_in_journal());
    assert!(own(&log, "<").is_empty() && log.contains("Z  INFO ready\n"), "{log}");
    let (folder, _) = with("log-elsewhere", "");
    let log = log_of(folder.path(), otherhalfd().env("JOURNAL_STREAM", "1:1"));
    assert!(own(&log, "<").is_empty() && log.contains("Z  INFO ready\n"), "{log}");
}

#[test]
fn the_file_sets_the_level_and_a_reload_another() {
    let (folder, text) = with("log-level", "level = \"info\"");
    let path = folder.path().join("otherhalfd.toml");
    let mut daemon = Daemon::spawn(&["--config", path.to_str().unwrap()]);
    daemon.wait_for("ready");
    fs::write(&path, text.replace("level = \"info\"", "level = \"error\"")).unwrap();
    daemon.signal(Signal::HUP);
    // The line that tells of the new level is the last of the old one.
    daemon.wait_for(r#"changed="log.level""#);
    fs::write(&path, "[ports]").unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for("ERROR the configuration stays as it was: ");
    let ended = daemon.stop(Signal::TERM);
    assert!(!ended.log.contains("INFO stopped"), "{}", ended.log);
}

#[test]
fn lines_are_written_or_counted_as_left_out_up_to_the_end() {
    const RELOADS: usize = 15;
    let (folder, _) = with("log-limit", "");
    let path = folder.path().join("otherhalfd.toml");
    let nobody = folder.path().join("nobody");
    let mut command = otherhalfd();
    command.arg("--config").arg(path).env("NOTIFY_SOCKET", nobody).env_remove("WATCHDOG_USEC");
    let mut daemon = Daemon::run(&mut command);
    daemon.wait_for("can't be told");
    for _ in 0..RELOADS {
        daemon.signal(Signal::HUP);
        daemon.wait_for("by=\"SIGHUP\"");
    }
    let log = daemon.stop(Signal::TERM).log;
    let written = log.lines().filter(|line| line.contains("right? error=")).count();
    let counts =
        log.lines().filter_map(|line| line.split_once("suppressed=")?.1.parse::<usize>().ok());
    let suppressed: usize = counts.sum();
    // The manager would be told: ready, of each reload when it begins and when it ends, of the time that draining takes, stopping.
    assert_eq!(written + suppressed, 1 + 2 * RELOADS + 2, "{log}");
    assert!(suppressed > 0, "{log}");
}
