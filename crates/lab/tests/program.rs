//! The program `otherhalf-lab`, as scripts call it. Needs root; fails without.

use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_otherhalf-lab");

fn lab(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn topology(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab").join(name).display().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Takes the lab down when a test fails as well.
struct Down(String);

impl Drop for Down {
    fn drop(&mut self) {
        let _output = lab(&["down", &self.0]);
    }
}

fn up(file: &str, purpose: &str) -> Down {
    let name = format!("{purpose}{}", std::process::id());
    let output = lab(&["up", &topology(file), "--name", &name]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).trim(), name);
    Down(name)
}

/// Processes that have the lab's name in their command line, and are no corpses.
fn processes_of(name: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok())
        .filter(|command| command.contains(name))
        .collect()
}

#[test]
fn a_network_outlives_up_and_down_leaves_nothing() {
    let network = up("asymmetric.toml", "stay");
    let name = network.0.as_str();
    assert!(text(&lab(&["list"]).stdout).lines().any(|line| line == name));
    assert_eq!(
        processes_of(name).len(),
        1,
        "the delayed link is a process: {:?}",
        processes_of(name)
    );

    let ping = lab(&["exec", name, "client", "--", "ping", "-c", "1", "-W", "2", "D"]);
    let answer = text(&ping.stdout);
    let time: f64 =
        answer.split_once("time=").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert!(time >= 300.0, "{answer}");

    assert_eq!(lab(&["down", name]).status.code(), Some(0));
    let again = lab(&["down", name]);
    assert_eq!(again.status.code(), Some(0), "down can be repeated");
    assert_eq!(text(&again.stderr), format!("otherhalf-lab: there is no lab named {name}\n"));
    assert_eq!(processes_of(name), Vec::<String>::new());
    assert!(!text(&lab(&["list"]).stdout).contains(name));
    for folder in ["/run/netns", "/etc/netns", "/run/otherhalf-lab"] {
        let left = std::fs::read_dir(folder).into_iter().flatten().flatten();
        assert_eq!(
            left.filter(|e| e.file_name().to_string_lossy().starts_with(name)).count(),
            0,
            "{folder}"
        );
    }
}

#[test]
fn exec_knows_the_names_and_passes_the_exit_code() {
    let network = up("direct.toml", "exec");
    let name = network.0.as_str();
    let hosts = lab(&["exec", name, "client", "--", "getent", "ahostsv4", "www.example.com"]);
    assert!(text(&hosts.stdout).starts_with("192.0.2.80"), "{}", text(&hosts.stderr));
    let status = lab(&["exec", name, "client", "--", "sh", "-c", "exit 42"]).status;
    assert_eq!(status.code(), Some(42));
    let unknown = lab(&["exec", name, "nobody", "--", "true"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        text(&unknown.stderr).contains("its nodes are client, www"),
        "{}",
        text(&unknown.stderr)
    );
}

#[test]
fn mistakes_are_told_and_leave_nothing() {
    let again = up("direct.toml", "twice");
    let second = lab(&["up", &topology("direct.toml"), "--name", &again.0]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("choose another --name"), "{}", text(&second.stderr));
    let bad = lab(&["up", &topology("direct.toml"), "--name", "../x"]);
    assert!(text(&bad.stderr).contains("a lab's name is"), "{}", text(&bad.stderr));
    let missing = lab(&["exec", "nosuchlab", "a", "--", "true"]);
    assert!(text(&missing.stderr).contains("no lab named nosuchlab"), "{}", text(&missing.stderr));
    let mut by_script = Command::new(PROGRAM);
    by_script.env("OTHERHALF_LAB_PROGRAM", "scripts/lab").args([
        "exec",
        "nosuchlab",
        "a",
        "--",
        "true",
    ]);
    let said = text(&by_script.output().unwrap().stderr);
    assert!(said.starts_with("scripts/lab: ") && said.contains("`scripts/lab list`"), "{said}");
}

#[test]
fn without_root_it_says_so() {
    // Where an unprivileged user can read it.
    let program = std::env::temp_dir().join(format!("otherhalf-lab-{}", std::process::id()));
    std::fs::copy(PROGRAM, &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&program)
        .args(["down", "unprivileged"])
        .output();
    std::fs::remove_file(&program).unwrap();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("run this with sudo"), "{}", text(&output.stderr));
}
