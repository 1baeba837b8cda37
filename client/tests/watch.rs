//! `watch` in a network of kernel routers whose path really changes. Needs root; fails without.

use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use otherhalf_lab::{Family, Kind, Lab, Topology};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");
const WWW: &str = "www.example.com";

/// Two ways out of the client's network; www is a kernel.
fn build() -> Lab {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/asymmetric.toml");
    let mut topology = Topology::read(file).unwrap();
    topology.node_mut("www").unwrap().kind = Kind::Host;
    Lab::build(&topology).unwrap_or_else(|error| panic!("{error}"))
}

/// Leads all that leaves the client over `node`.
fn lead_over(lab: &Lab, node: &str) {
    let via = lab.address(node, Family::V4).to_string();
    let route = lab.command("client", "ip").args(["-o", "route", "get", &via]).output().unwrap();
    let route = String::from_utf8(route.stdout).unwrap();
    let device = route.split_whitespace().skip_while(|word| *word != "dev").nth(1).unwrap();
    let change = ["route", "replace", "default", "via", &via, "dev", device];
    assert!(lab.command("client", "ip").args(change).status().unwrap().success());
}

#[track_caller]
fn ends(output: &Output, code: i32) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(err.is_empty(), "{err}");
    out
}

#[test]
fn a_path_that_changes_is_a_line_once() {
    let lab = build();
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("www.json");
    let watch = |lab: &Lab| {
        let mut command = lab.command("client", OTHERHALF);
        command.args(["watch", "--state"]).arg(&state);
        command.args(["forward", "icmp", "-4", "-n", "-q", "1", WWW]).output().unwrap()
    };
    // The first time there is nothing to compare with; the second time nothing has changed.
    assert_eq!(ends(&watch(&lab), 0), "");
    assert!(state.exists());
    assert_eq!(ends(&watch(&lab), 0), "");
    lead_over(&lab, "F");
    let line = ends(&watch(&lab), 1);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(
        line.ends_with(" path to www.example.com changed: forward: hop 1 is new, is 203.0.113.6\n"),
        "{line}"
    );
    // What was told is known.
    assert_eq!(ends(&watch(&lab), 0), "");
    lead_over(&lab, "A");
    assert!(ends(&watch(&lab), 1).contains("hop 1 is gone, was 203.0.113.6"));
}

#[test]
fn rounds_are_counted() {
    let lab = build();
    let mut command = lab.command("client", OTHERHALF);
    command.args([
        "watch",
        "--interval",
        "1",
        "--count",
        "2",
        "forward",
        "icmp",
        "-4",
        "-n",
        "-q",
        "1",
        WWW,
    ]);
    assert_eq!(ends(&command.output().unwrap(), 0), "");
}

#[test]
fn interrupted_it_says_what_is_known() {
    let lab = build();
    let mut command = lab.command("client", OTHERHALF);
    command.args(["watch", "--interval", "60", "forward", "icmp", "-4", "-n", "-q", "1", WWW]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Long after the first trace, long before the second.
    thread::sleep(Duration::from_secs(3));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(err, "otherhalf: interrupted after 1 trace, 0 changes\n");
}

#[test]
fn a_state_of_another_direction_is_named() {
    let lab = build();
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("www.json");
    let watch = |way: &str| {
        let mut command = lab.command("client", OTHERHALF);
        command.args(["watch", "--state"]).arg(&state);
        command.args([way, "-4", "-n", "-q", "1", "-w", "1", WWW]).output().unwrap()
    };
    assert_eq!(ends(&watch("forward"), 0), "");
    let output = watch("reverse");
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    let words = "www.json has a trace of another direction: name another file with --state";
    assert!(err.contains(words), "{err}");
}

#[test]
fn a_trace_that_leaves_no_document_is_no_path_that_stayed() {
    let lab = build();
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("www.json");
    let watch = |variable: Option<(&str, &str)>| {
        let mut command = lab.command("client", OTHERHALF);
        command
            .args(["watch", "--state"])
            .arg(&state)
            .args(["forward", "-4", "-n", "-q", "1", "-o"]);
        command.arg(folder.path().join("elsewhere.json")).arg(WWW).envs(variable);
        command.output().unwrap()
    };
    // A warning beside it makes it no better.
    for variable in [None, Some(("OTHERHALF_QUERYS", "1"))] {
        let output = watch(variable);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains("leave --output out"), "{err}");
        assert!(!state.exists());
    }
    let delete = lab.command("client", "ip").args(["route", "del", "default"]).status().unwrap();
    assert!(delete.success());
    let mut command = lab.command("client", OTHERHALF);
    let output = command.args(["watch", "--count", "1", "forward", "-n", "203.0.113.200"]).output();
    let output = output.unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "1 would say that the path changed: {err}");
    assert!(err.contains("no route to 203.0.113.200"), "{err}");
}

#[test]
fn the_configuration_file_is_the_traces_too() {
    let lab = build();
    let folder = TempDir::new().unwrap();
    let [state, config] = ["www.json", "config.toml"].map(|name| folder.path().join(name));
    std::fs::write(&config, "queries = 2\n").unwrap();
    let mut command = lab.command("client", OTHERHALF);
    command.arg("--config").arg(&config).args(["watch", "--state"]).arg(&state);
    ends(&command.args(["forward", "-4", "-n", WWW]).output().unwrap(), 0);
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    assert_eq!(saved["forward"]["queries"], 2);
}
