//! `otherhalfctl` where no daemon answers.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};
use std::{fs, thread};

fn otherhalfctl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_otherhalfctl")).args(arguments).output().unwrap()
}

/// What it says on stderr, when it ends with `code`.
#[track_caller]
fn says(code: i32, arguments: &[&str]) -> String {
    let output = otherhalfctl(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_daemon_that_is_not_there_is_named() {
    let said = says(1, &["--socket", "/nowhere/control.sock", "status"]);
    assert!(
        said.starts_with("otherhalfctl: can't reach otherhalfd at /nowhere/control.sock: "),
        "{said}"
    );
    assert!(said.contains("control.socket"), "{said}");
}

#[test]
fn a_daemon_that_hangs_up_or_talks_nonsense_is_named() {
    let folder = std::env::temp_dir().join(format!("otherhalfctl-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let answers = [
        ("", "the connection was closed"),
        ("hello\n", "not a message of this kind"),
        ("\"fly\"\n", "unknown variant"),
    ];
    for (number, (answer, expected)) in answers.into_iter().enumerate() {
        let path = folder.join(number.to_string());
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut question)
                .unwrap();
            std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
            question
        });
        let said = says(1, &["--socket", path.to_str().unwrap(), "reload"]);
        assert!(said.contains(expected), "{answer:?}: {said}");
        assert_eq!(server.join().unwrap(), "{\"version\":1,\"command\":\"reload\"}\n");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_refusal_without_a_question_is_heard() {
    let folder = std::env::temp_dir().join(format!("otherhalfctl-full-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        for _ in 0..50 {
            let (mut stream, _) = listener.accept().unwrap();
            // What is not meant for eyes is no order to the terminal.
            std::io::Write::write_all(&mut stream, b"{\"error\":\"too\\u001b[2J\\nmany\"}\n")
                .unwrap();
        }
    });
    for _ in 0..50 {
        assert_eq!(
            says(1, &["--socket", path.to_str().unwrap(), "reload"]),
            "otherhalfctl: too\\u{1b}[2J\nmany\n"
        );
    }
    server.join().unwrap();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn usage_and_what_is_generated() {
    assert!(says(2, &["fly"]).contains("unrecognized subcommand"));
    assert!(says(2, &["routes", "here"]).contains("getent ahosts NAME"));
    let completions = otherhalfctl(&["generate", "completions", "bash"]);
    assert!(String::from_utf8(completions.stdout).unwrap().contains("log-level"));
    let folder = std::env::temp_dir().join(format!("otherhalfctl-man-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    assert!(otherhalfctl(&["generate", "man", folder.to_str().unwrap()]).status.success());
    let page = |name: &str| fs::read_to_string(Path::new(&folder).join(name)).unwrap();
    assert!(page("otherhalfctl.1").contains("Exit codes"));
    assert!(page("otherhalfctl-drain.1").contains("wait"));
    fs::remove_dir_all(folder).unwrap();
}
