//! `report`, `diff` and `watch` on saved traces, through the program; what they write, held to what they wrote before.
//!
//! Golden files are written anew with `UPDATE_GOLDEN=1 cargo test -p otherhalf-client --test saved`, to be read before
//! they are committed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use otherhalf_client::{document, picture};
use serde_json::{Value, json};
use tempfile::TempDir;

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/saved").join(name)
}

fn saved(name: &str) -> String {
    here(name).to_str().unwrap().to_owned()
}

fn otherhalf(arguments: &[&str]) -> Output {
    Command::new(OTHERHALF).args(arguments).output().unwrap()
}

/// What a run that ends with `code` prints, and what it says beside that.
#[track_caller]
fn ends(arguments: &[&str], code: i32) -> (String, String) {
    let output = otherhalf(arguments);
    let [out, err] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{err}");
    (out, err)
}

#[track_caller]
fn golden(name: &str, found: &str) {
    let file = here(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap();
    assert!(found == expected, "{name} differs; see UPDATE_GOLDEN in this file. Found:\n{found}");
}

/// A trace with `change` done to it, in a file.
fn changed(folder: &TempDir, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value =
        serde_json::from_str(&fs::read_to_string(here("chain.json")).unwrap()).unwrap();
    change(&mut value);
    let file = folder.path().join("changed.json");
    fs::write(&file, value.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The arguments that write a trace as a report or as a picture.
fn written<'a>(format: &'a str, file: &'a str) -> Vec<&'a str> {
    let command = if matches!(format, "html" | "markdown") { "report" } else { "convert" };
    vec![command, "--format", format, file]
}

#[test]
fn pictures_and_reports_are_what_they_were() {
    for (format, name) in
        [("dot", "multipath.dot"), ("svg", "multipath.svg"), ("markdown", "multipath.md")]
    {
        golden(name, &ends(&written(format, &saved("multipath.json")), 0).0);
    }
    golden("chain.md", &ends(&["report", &saved("chain.json")], 0).0);
}

#[test]
fn the_file_says_the_format() {
    let folder = TempDir::new().unwrap();
    for (ending, begin) in
        [("html", "<!DOCTYPE html>"), ("md", "# The way to www.example.com and back")]
    {
        let file = folder.path().join(format!("trace.{ending}"));
        let (out, _) = ends(&["report", "-o", file.to_str().unwrap(), &saved("chain.json")], 0);
        let text = fs::read_to_string(&file).unwrap();
        assert!(out.is_empty() && text.starts_with(begin), "{ending}: {text}");
    }
    let (_, err) = ends(&["report", "-o", "trace.pdf", &saved("chain.json")], 2);
    assert!(err.contains("end it in .html"), "{err}");
}

#[test]
fn files_that_are_no_traces() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let check = json!({
        "schema_version": 1, "version": "0", "command": "check", "started": "2026-01-01T00:00:00Z",
        "target": { "name": "www", "address": "192.0.2.1" }, "source": "192.0.2.2", "exit_code": 0,
    });
    for (file, words) in [
        (folder.path().join("nowhere").to_str().unwrap().to_owned(), "cannot read"),
        (file("text", "traceroute to"), "no saved trace"),
        (file("newer", r#"{"schema_version": 99}"#), "update otherhalf"),
        (file("check", &check.to_string()), "the result of otherhalf check, which traces no path"),
    ] {
        for arguments in [
            &["report", &file][..],
            &["diff", &file, &saved("chain.json")],
            &["diff", &saved("chain.json"), &file],
        ] {
            let (out, err) = ends(arguments, 2);
            assert!(
                out.is_empty() && err.contains(words) && err.lines().count() == 1,
                "{arguments:?}: {err}"
            );
        }
    }
    assert!(ends(&["diff", "-", "-"], 2).1.contains("name a file for the other"));
}

#[test]
fn a_trace_comes_through_a_pipe() {
    let mut command = Command::new(OTHERHALF);
    command.args(["report", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(here("chain.json")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    golden("chain.md", &String::from_utf8(output.stdout).unwrap());
}

/// A name from the network that tries to be everything.
const HOSTILE: &str = "</title><script>alert(1)</script>\"'&amp;|`\\N\u{202e}\u{1b}[2J\n]";

#[test]
fn names_from_the_network_are_only_names() {
    let folder = TempDir::new().unwrap();
    let file = changed(&folder, |trace| {
        for host in trace["hosts"].as_object_mut().unwrap().values_mut() {
            host["name"] = HOSTILE.into();
            host["as_name"] = HOSTILE.into();
            host["ixp"] = HOSTILE.into();
        }
        trace["target"]["name"] = HOSTILE.into();
        trace["version"] = HOSTILE.into();
        trace["finding"]["sentence"] = HOSTILE.into();
    });
    for format in ["html", "svg", "dot", "markdown"] {
        let (text, _) = ends(&written(format, &file), 0);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{format}");
        let page = matches!(format, "html" | "svg");
        assert!(!page || !text.contains("<script"), "{format}");
        assert!(format != "markdown" || !text.replace("\\<", "").contains('<'), "{format}");
    }
    let (dot, _) = ends(&written("dot", &file), 0);
    // Quotes are closed in every line: none of the name's has ended one.
    for line in dot.lines() {
        let unescaped = line.replace("\\\\", "").replace("\\\"", "");
        assert_eq!(unescaped.matches('"').count() % 2, 0, "{line}");
    }
    let document = document::read(&fs::read_to_string(&file).unwrap()).unwrap();
    for page in [picture::html(&document), picture::svg(&document)] {
        assert!(!page.contains("<script") && !page.contains("onload"));
    }
}

#[test]
fn wide_layers_are_drawn() {
    let folder = TempDir::new().unwrap();
    let file = changed(&folder, |trace| {
        let node = |ttl: usize, address: String| json!({ "ttl": ttl, "address": address, "answered": 1, "rtt_ms": 1.0 });
        let mut nodes = vec![json!({ "ttl": 0, "address": null, "answered": 0, "rtt_ms": null })];
        for ttl in 1..=2 {
            nodes.extend((0..400).map(|at| node(ttl, format!("2001:db8:{ttl}::{at:x}"))));
        }
        let links: Vec<_> = (1..=400)
            .flat_map(|from| {
                (401..=800).map(move |to| json!({ "from": from, "to": to, "flows": 1 }))
            })
            .collect();
        trace["forward"]["multipath"] = json!({
            "confidence": 0.95, "max_flows": 512, "flows": 400, "nodes": nodes, "links": links, "balancers": [],
        });
        drop(trace.as_object_mut().unwrap().remove("reverse"));
        trace["finding"] = Value::Null;
    });
    for format in ["svg", "html"] {
        let (text, _) = ends(&["convert", "--format", format, &file], 0);
        assert!(text.contains("2001:db8:1::18f") && text.contains("2001:db8:2::18f"), "{format}");
    }
}

#[test]
fn pages_load_nothing() {
    for format in ["html", "svg"] {
        let (text, _) = ends(&written(format, &saved("multipath.json")), 0);
        let own = text.replace("http://www.w3.org/2000/svg", "");
        for word in ["http:", "https:", "//", "@import", "<script", "<img", "<link", "src="] {
            assert!(!own.replace("default-src", "").contains(word), "{format} has {word}");
        }
        assert!(format != "html" || text.contains("Content-Security-Policy"));
        assert!(text.contains("prefers-color-scheme:dark"));
    }
}

#[test]
fn what_is_redacted_is_gone() {
    for format in ["html", "markdown"] {
        let file = saved("multipath.json");
        let (open, _) = ends(&written(format, &file), 0);
        let (own, _) = ends(&["report", "--format", format, "--redact-source", &file], 0);
        let (near, _) = ends(&["report", "--format", format, "--redact-hops", "2", &file], 0);
        assert!(open.contains("198.51.100.10") && open.contains("gw.client.example.net"));
        assert!(!own.contains("198.51.100.10") && own.contains("gw.client.example.net"));
        for word in [
            "198.51.100.10",
            "198.51.100.1<",
            "gw.client",
            "core1.fra",
            "198.51.100.9",
            "198.51.100.5",
            "198.51.100.6",
        ] {
            assert!(!near.contains(word), "{format} shows {word}");
        }
        assert!(
            near.contains("203.0.113.81")
                && near.contains("192.0.2.80")
                && near.contains("(hidden)")
        );
    }
}

#[test]
fn diff_says_what_changed() {
    let folder = TempDir::new().unwrap();
    let same = saved("chain.json");
    assert_eq!(ends(&["diff", &same, &same], 0).0, "forward: the same\nreverse: the same\n");
    let file = changed(&folder, |trace| {
        for probe in trace["forward"]["hops"][3]["probes"].as_array_mut().unwrap() {
            probe["address"] = "203.0.113.99".into();
        }
        trace["reverse"]["reached"] = false.into();
        trace["reverse"]["hops"].as_array_mut().unwrap().truncate(4);
    });
    let (text, _) = ends(&["diff", &same, &file], 1);
    assert_eq!(
        text,
        "forward: changed\n  -  4  be11.core.transit.example (203.0.113.11)\n  +  4  203.0.113.99\n\
         reverse: changed\n  ! the end is no longer reached\n"
    );
    let document: Value =
        serde_json::from_str(&ends(&["diff", "--json", &same, &file], 1).0).unwrap();
    assert_eq!(
        document["forward"]["hops"][0]["after"],
        json!({ "ttl": 4, "addresses": ["203.0.113.99"] })
    );
    assert_eq!(document["reverse"]["reached"], json!({ "before": true, "after": false }));
    let slower = changed(&folder, |trace| {
        for hop in trace["forward"]["hops"].as_array_mut().unwrap().iter_mut().skip(7) {
            for probe in hop["probes"].as_array_mut().unwrap() {
                probe["rtt_ms"] = (probe["rtt_ms"].as_f64().unwrap() + 500.0).into();
            }
        }
    });
    let (text, _) = ends(&["diff", &same, &slower], 1);
    assert!(
        text.contains(
            "~ from hop 8 on (D.example.com (192.0.2.1)) the round-trip time is 812 ms, was 312 ms"
        ),
        "{text}"
    );
    assert_eq!(text.matches('~').count(), 1, "{text}");
    let forward = changed(&folder, |trace| drop(trace.as_object_mut().unwrap().remove("reverse")));
    let back = folder.path().join("back.json");
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&same).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("forward");
    fs::write(&back, value.to_string()).unwrap();
    assert!(
        ends(&["diff", &forward, back.to_str().unwrap()], 2).1.contains("no direction in common")
    );
    assert!(
        ends(&["diff", &forward, &same], 0)
            .0
            .contains("note: Only the later one has a reverse path.")
    );
}

#[test]
fn watch_knows_its_arguments() {
    assert!(ends(&["watch"], 2).1.contains("Usage"));
    assert!(ends(&["watch", "--interval", "0", "192.0.2.1"], 2).1.contains("1 to 86400 seconds"));
    assert!(ends(&["watch", "reverse", "--flow", "0", "192.0.2.1"], 2).1.contains("1 to 65535"));
    assert!(ends(&["watch", "--count", "0", "192.0.2.1"], 2).1.contains("--count"));
    let (_, err) = ends(&["watch", "--count", "1", "fe80::1"], 2);
    assert!(err.contains("as in fe80::1%eth0") && err.lines().count() == 1, "{err}");
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    fs::write(&state, "nothing").unwrap();
    let (_, err) = ends(&["watch", "--state", state.to_str().unwrap(), "192.0.2.1"], 2);
    assert!(err.contains("no saved trace"), "{err}");
}

#[test]
fn what_is_wrong_with_a_file_gives_a_terminal_no_orders() {
    let folder = TempDir::new().unwrap();
    let file = changed(&folder, |trace| trace["forward"]["protocol"] = "\u{1b}[31mx".into());
    for arguments in [
        vec!["report", &file],
        vec!["convert", "--format", "csv", &file],
        vec!["diff", &file, &file],
    ] {
        let (_, err) = ends(&arguments, 2);
        assert!(err.contains(r"\u{1b}[31mx") && !err.contains('\u{1b}'), "{err:?}");
    }
}
