//! `otherhalf convert` and the options that say what becomes of a trace.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");

fn fixed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name)
}

fn otherhalf(arguments: &[&str]) -> Output {
    Command::new(OTHERHALF).args(arguments).output().unwrap()
}

#[track_caller]
fn fails(arguments: &[&str], words: &str) {
    let output = otherhalf(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty() && stderr.contains(words), "{arguments:?}: {stderr}");
}

#[test]
fn a_saved_trace_in_another_format() {
    let saved = fixed("documents/two-way-v4.json");
    let golden = fs::read(fixed("golden/two-way-v4.atlas.json")).unwrap();
    let output = otherhalf(&["convert", saved.to_str().unwrap(), "--format", "atlas"]);
    assert_eq!((output.status.code(), &output.stdout), (Some(0), &golden));
    // From the standard input, into a file that held more.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.json");
    fs::write(&file, vec![b' '; golden.len() + 100]).unwrap();
    let mut child = Command::new(OTHERHALF)
        .args(["convert", "-", "--format", "atlas", "-o", file.to_str().unwrap()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(&saved).unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read(&file).unwrap(), golden);
}

#[test]
fn the_ending_says_the_format() {
    let saved = fixed("documents/two-way-v4.json");
    let saved = saved.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [("a.svg", "svg"), ("b.GV", "dot"), ("c.htm", "html"), ("d.csv", "csv")] {
        let file = folder.path().join(name);
        // What is set for good says less than the name that was typed.
        let mut run = Command::new(OTHERHALF);
        run.args(["convert", saved, "-o"]).arg(&file).env("OTHERHALF_FORMAT", "mtr");
        assert!(run.status().unwrap().success(), "{name}");
        let asked = otherhalf(&["convert", saved, "--format", format]).stdout;
        assert!(!asked.is_empty());
        assert_eq!(fs::read(&file).unwrap(), asked, "{name}");
    }
    // Asked for is asked for.
    let file = folder.path().join("e.svg");
    let output = otherhalf(&["convert", saved, "--format", "csv", "-o", file.to_str().unwrap()]);
    assert!(output.status.success());
    assert_eq!(fs::read(&file).unwrap(), fs::read(folder.path().join("d.csv")).unwrap());
    fails(&["convert", saved], "--format is missing, or a file whose ending says it");
    let odd = folder.path().join("trace.warts");
    fails(&["convert", saved, "-o", odd.to_str().unwrap()], "the file's ending says no format");
    assert!(!odd.exists());
}

#[test]
fn one_direction_alone() {
    let saved = fixed("documents/two-way-v4.json");
    let saved = saved.to_str().unwrap();
    let both = otherhalf(&["convert", saved, "--format", "scamper"]).stdout;
    let one =
        |way| otherhalf(&["convert", saved, "--format", "scamper", "--direction", way]).stdout;
    assert_eq!([one("forward"), one("reverse")].concat(), both);
    let forward = fixed("documents/forward-tcp.json");
    let forward = forward.to_str().unwrap();
    fails(
        &["convert", forward, "--format", "mtr", "--direction", "reverse"],
        "no trace in that direction",
    );
}

#[test]
fn what_cannot_be_done_is_said() {
    let saved = fixed("documents/two-way-v4.json");
    let saved = saved.to_str().unwrap();
    fails(&["convert", saved, "--format", "pcap"], "a saved trace holds no packets");
    fails(&["convert", saved, "--format", "warts"], "possible values: json, atlas, scamper");
    fails(&["convert", "/no/such/file", "--format", "mtr"], "cannot read /no/such/file");
    fails(
        &["convert", saved, "--format", "mtr", "-o", "/no/such/file"],
        "cannot write /no/such/file",
    );
    let no_trace = fixed("readers.py");
    fails(&["convert", no_trace.to_str().unwrap(), "--format", "mtr"], "no saved trace");
    for pair in [["--json", "--stream"], ["--stream", "--format=csv"], ["--json", "--format=csv"]] {
        let output = otherhalf(&["forward", pair[0], pair[1], "192.0.2.1"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("cannot be used with"), "{stderr}");
        // Whoever asks for JSON is told in JSON, too.
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(document["error"].as_str().unwrap().contains("cannot be used with"), "{document}");
    }
}
