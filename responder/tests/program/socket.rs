//! The control socket of a running `otherhalfd`, as `otherhalfctl` and as clients without manners use it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::instance::instance;
use crate::process::Daemon;

/// A daemon with a control socket in its folder.
pub(crate) struct Served {
    pub(crate) daemon: Daemon,
    socket: PathBuf,
    pub(crate) folder: TempDir,
    text: String,
}

impl Served {
    pub(crate) fn start(name: &str) -> Self {
        Self::with(name, "")
    }

    /// The same with more `keys` under `[control]`.
    fn with(name: &str, keys: &str) -> Self {
        let (folder, text) = instance(name, ("", ""));
        Self::on(folder, &text, keys)
    }

    /// The same with the configuration `text`.
    pub(crate) fn on(folder: TempDir, text: &str, keys: &str) -> Self {
        let socket = folder.path().join("run/control.sock");
        let text = format!("{text}\n[control]\nsocket = \"{}\"\n{keys}\n", socket.display());
        let mut daemon = Daemon::start(folder.path(), &text);
        daemon.wait_for("ready");
        let served = Self { daemon, socket, folder, text };
        // The first state is shown a moment later.
        while served.ctl(&["status"]).status.code() != Some(0) {
            std::thread::sleep(Duration::from_millis(10));
        }
        served
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_otherhalfd")).with_file_name("otherhalfctl");
        assert!(program.exists(), "run cargo build -p otherhalf-control first");
        let mut command = Command::new(program);
        command.arg("--socket").arg(&self.socket).args(arguments);
        command
    }

    pub(crate) fn ctl(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints when it succeeds.
    #[track_caller]
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let output = self.ctl(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[&["--json"], arguments].concat())).unwrap()
    }

    /// What it says when it fails.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.ctl(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    #[track_caller]
    pub(crate) fn stop(self) -> String {
        let ended = self.daemon.stop(Signal::TERM);
        assert_eq!(ended.code, 0, "{}", ended.log);
        assert!(!self.socket.exists(), "the socket is left");
        ended.log
    }
}

#[test]
fn every_question_has_its_answer() {
    let served = Served::start("ask");
    let text = served.says(&["status"]);
    for words in [
        &format!("otherhalfd {}, DPDK ", env!("CARGO_PKG_VERSION")),
        &format!("process {}\n", served.daemon.child.id()),
        "running, ready for requests; up ",
        "port net_pcap0 (net_pcap, 02:70:63:61:70:00): link up",
        "worker 0 on CPU 0: 0 frames",
        "pending: 0 probes wait, of 1024 that can",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    let status = served.json(&["status"]);
    assert_eq!(status["state"], "running");
    assert_eq!((&status["ready"], &status["not_ready"]), (&true.into(), &"".into()));
    // The first state may be from before the worker's first turn.
    let deadline = Instant::now() + Duration::from_secs(20);
    while served.json(&["status"])["workers"][0]["turns"].as_u64().unwrap() == 0 {
        assert!(Instant::now() < deadline, "the worker makes no turn");
    }
    assert_eq!(served.says(&["stats"]), format!("{:<30} 0\n", "received"));
    assert!(served.says(&["stats", "--all"]).contains("  drop_forged  "));
    assert_eq!(served.json(&["stats"])["outcomes"]["drop_forged"], 0);
    let none = served.says(&["pending"]);
    let lines: Vec<&str> = none.lines().collect();
    let [table, list] = lines.as_slice() else { panic!("two lines:\n{none}") };
    assert!(table.starts_with("pending: 0 probes") && list.contains("none waited"), "{none}");
    let none = served.json(&["pending"]);
    assert_eq!((&none["capacity"], &none["whole"]), (&1024.into(), &true.into()));
    assert_eq!(none["probes"], Value::Array(Vec::new()));
    assert_eq!(served.says(&["neighbours"]), "");
    assert_eq!(
        served.says(&["routes"]),
        "192.0.2.0/24 interface net_pcap0\n2001:db8::/64 interface net_pcap0\n"
    );
    assert_eq!(served.json(&["routes", "192.0.2.77"])[0]["to"], "192.0.2.0/24");
    assert!(served.fails(&["routes", "198.51.100.1"]).contains("no route leads to 198.51.100.1"));
    assert!(served.fails(&["routes", "192.0.2.2"]).contains("nothing is ever sent to 192.0.2.2"));
    assert_eq!(served.says(&["log-level"]), "info\n");
    assert_eq!(served.says(&["log-level", "debug"]), "debug\n");
    assert_eq!(served.says(&["log-level"]), "debug\n");
    assert!(served.fails(&["log-level", "a=loud"]).contains("no level of the log"));
    served.stop();
}

#[test]
fn a_reload_says_what_changed_or_what_is_wrong() {
    let served = Served::start("reload");
    let file = served.folder.path().join("otherhalfd.toml");
    assert_eq!(served.says(&["reload"]), "changed: nothing\n");
    let other = served
        .text
        .replace("[pending]", "[reply]\nclosed_ports = false\n[pending]\ntimeout_ms = 77");
    fs::write(&file, other).unwrap();
    let said = served.says(&["reload"]);
    let expected =
        "changed: reply.closed_ports\nat the next start, not before: pending.timeout_ms\n";
    assert_eq!(said, expected);
    fs::write(&file, "[ports]").unwrap();
    assert!(served.fails(&["reload"]).contains("the configuration stays as it was: "));
    assert_eq!(served.json(&["status"])["reloads"], 2);
    let log = served.stop();
    let uid = fs::metadata("/proc/self").unwrap().uid();
    let by = format!("by=\"control socket, uid {uid}, process ");
    let told: Vec<&str> = log.lines().filter(|line| line.contains(&by)).collect();
    let [first, second, third] = told.as_slice() else {
        panic!("three reloads are three lines:\n{log}")
    };
    assert!(first.contains("configuration read again") && first.contains(r#"changed="nothing""#));
    assert!(second.contains(r#"changed="reply.closed_ports""#), "{second}");
    assert!(third.contains("ERROR the configuration stays as it was"), "{third}");
}

#[test]
fn it_goes_out_of_service_and_comes_back() {
    let served = Served::start("drain");
    let drained = "drained: no probe waits for an answer\n";
    assert_eq!(served.says(&["drain", "--wait"]), drained);
    let status = served.json_of(3, &["status"]);
    assert_eq!((&status["state"], &status["ready"]), (&"drained".into(), &false.into()));
    assert_eq!(status["not_ready"], "drained");
    assert_eq!(served.says(&["undrain"]), "ready for requests\n");
    assert_eq!(served.json(&["status"])["state"], "running");
    assert_eq!(served.says(&["undrain"]), "it was not draining\n");
    assert_eq!(served.says(&["drain", "--wait", "--exit"]), "drained, and ended\n");
    let ended = served.daemon.end();
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert!(ended.log.contains("reason=told to, and drained"), "{}", ended.log);
}

#[test]
fn a_client_without_manners_harms_nobody() {
    let served = Served::start("manners");
    // Cut off, silent, and too long.
    served.connect().write_all(b"{\"version\":1").unwrap();
    let silent: Vec<UnixStream> = (0..15).map(|_| served.connect()).collect();
    // The thread of the one that was cut off notices a moment later that it is alone, and leaves its place.
    retry(|| (served.ctl(&["status"]).status.code() == Some(0)).then_some(()));
    assert_eq!(served.json(&["status"])["state"], "running");
    drop(silent);
    // So do those.
    let mut stream = retry(|| {
        let mut stream = served.connect();
        stream.write_all(b"nonsense\n").ok()?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).ok()?;
        line.contains("expected").then_some(stream)
    });
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |question: &str| {
        stream.write_all(format!("{question}\n").as_bytes()).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        line
    };
    assert!(ask(r#"{"version":7,"command":"status"}"#).contains("messages of version 7"));
    assert!(ask(r#"{"version":1,"command":"fly"}"#).contains("unknown variant"));
    assert!(
        ask(r#"{"version":1,"command":"status"}"#).contains("running"),
        "the connection is still good"
    );
    assert!(ask(&"x".repeat(4096)).contains("more than 4096 bytes"));
    let mut end = [0];
    assert_eq!(answers.read(&mut end).unwrap_or(0), 0, "closed");
    // Too many at once: those that came first are served.
    let many: Vec<UnixStream> = retry(|| {
        let many: Vec<UnixStream> = (0..16).map(|_| served.connect()).collect();
        let refused = served.fails_if(&["status"])?;
        refused.contains("connections are open already").then_some(many)
    });
    drop(many);
    retry(|| (served.ctl(&["status"]).status.code() == Some(0)).then_some(()));
    served.stop();
}

#[test]
fn a_hundred_silent_connections_cost_a_few_threads_and_refuse_clearly() {
    let served = Served::start("crowd");
    let pid = served.daemon.child.id();
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    let files = || fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    // Those of commands that are over go a moment later.
    let [few, descriptors] = retry(|| {
        let before = [threads(), files()];
        std::thread::sleep(Duration::from_millis(200));
        (before == [threads(), files()]).then_some(before)
    });
    let mut kept: Vec<UnixStream> = (0..100).map(|_| served.connect()).collect();
    for stream in kept.split_off(16) {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.contains("16 connections are open already"), "{line:?}");
    }
    for mut stream in &kept {
        stream.set_nonblocking(true).unwrap();
        let silence = stream.read(&mut [0]).unwrap_err().kind();
        assert_eq!(silence, std::io::ErrorKind::WouldBlock, "the first are not closed");
    }
    let start = Instant::now();
    let said = served.fails(&["status"]);
    assert!(said.contains("16 connections are open already: close one"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(5), "refused after {:?}", start.elapsed());
    assert!(threads() <= few + 16 && files() <= descriptors + 17, "{} {}", threads(), files());
    // One goes, and a new one is served.
    drop(kept.pop());
    retry(|| (served.ctl(&["status"]).status.code() == Some(0)).then_some(()));
    drop(kept);
    retry(|| (threads() == few && files() == descriptors).then_some(()));
    served.stop();
}

#[test]
fn the_mode_of_the_file_is_the_permission() {
    let served = Served::with("mode", "mode = \"0606\"\ngroup = \"0\"");
    let file = fs::metadata(&served.socket).unwrap();
    assert_eq!((file.permissions().mode() & 0o777, file.gid()), (0o606, 0));
    served.stop();
}

#[test]
fn a_place_that_is_taken_is_left_alone() {
    let served = Served::start("taken");
    let (folder, text) = instance("second", ("", ""));
    let config = |socket: &Path| format!("{text}\n[control]\nsocket = \"{}\"\n", socket.display());
    let second = Daemon::start(folder.path(), &config(&served.socket)).end();
    assert_eq!(second.code, 1);
    assert!(second.log.contains("another process listens at"), "{}", second.log);
    assert_eq!(served.json(&["status"])["state"], "running");
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    let third = Daemon::start(folder.path(), &config(&file)).end();
    assert!(third.log.contains("is there and no socket"), "{}", third.log);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    // What a process left that was killed is in nobody's way.
    let left = folder.path().join("left.sock");
    drop(UnixListener::bind(&left).unwrap());
    let mut fourth = Daemon::start(folder.path(), &config(&left));
    fourth.wait_for("ready");
    assert_eq!(fourth.stop(Signal::TERM).code, 0);
    served.stop();
}

/// Tries until it works, but not for ever.
#[track_caller]
fn retry<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(done) = attempt() {
            return done;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it does not come about");
}

impl Served {
    /// The JSON of a command that ends with `code`.
    #[track_caller]
    fn json_of(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.ctl(&[&["--json"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What a command says if it fails.
    fn fails_if(&self, arguments: &[&str]) -> Option<String> {
        let output = self.ctl(arguments);
        (output.status.code() == Some(1)).then(|| String::from_utf8(output.stderr).unwrap())
    }
}
