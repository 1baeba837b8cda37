//! What goes wrong around `otherhalfd`: a log that nobody takes, descriptors that run out, a process that is killed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use otherhalf_control::client::Client;
use otherhalf_control::status::Status;
use otherhalf_control::{Command as Told, Reply, State};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::instance::instance;
use crate::process::Daemon;

/// No step takes this long, however busy the machine.
const LIMIT: Duration = Duration::from_secs(30);
/// Descriptors that the process may have: fewer than it may have connections.
const DESCRIPTORS: usize = 40;
/// Ticks of processor time in a second (`USER_HZ`, the same on all of Linux's architectures but one).
const TICKS_PER_SECOND: u64 = 100;

/// An instance whose log goes where the test wants, with a control socket.
struct Mute {
    child: Child,
    socket: PathBuf,
    config: PathBuf,
    _folder: TempDir,
}

impl Mute {
    fn start(name: &str, log: Stdio, more: &str) -> Self {
        Self::by(Command::new(env!("CARGO_BIN_EXE_otherhalfd")), name, log, more)
    }

    /// Started by `command`, which gets the arguments.
    fn by(mut command: Command, name: &str, log: Stdio, more: &str) -> Self {
        let (folder, text) = instance(name, ("", ""));
        let socket = folder.path().join("control.sock");
        let text = format!("{text}\n[control]\nsocket = \"{}\"\n{more}\n", socket.display());
        let config = folder.path().join("otherhalfd.toml");
        fs::write(&config, text).unwrap();
        command.env_remove("RUST_LOG").arg("--config").arg(&config);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut mute = Self { child: child.unwrap(), socket, config, _folder: folder };
        mute.wait_for(|status| status.state == State::Running && status.ready);
        mute
    }

    fn try_ask(&self, what: Told) -> Option<Reply> {
        Client::connect(&self.socket).ok()?.ask(what).ok()
    }

    /// Its state, as soon as it is `so`.
    #[track_caller]
    fn wait_for(&mut self, so: impl Fn(&Status) -> bool) -> Status {
        let start = Instant::now();
        loop {
            assert_eq!(self.child.try_wait().unwrap(), None, "it has ended");
            if let Some(Reply::Status(status)) = self.try_ask(Told::Status)
                && so(&status)
            {
                return *status;
            }
            assert!(start.elapsed() < LIMIT, "its state does not come about");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Tells it to end; what it printed.
    #[track_caller]
    fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        printed
    }

    /// Changes the policy back and forth, with a mistake in between: each a line of the log.
    #[track_caller]
    fn reload(&mut self) {
        let text = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, format!("{text}\n[reply]\nclosed_ports = false\n")).unwrap();
        assert!(matches!(self.try_ask(Told::Reload), Some(Reply::Reloaded(_))));
        fs::write(&self.config, format!("{text}\n[reply]\ncolour = 1\n")).unwrap();
        assert!(self.try_ask(Told::Reload).is_none());
        fs::write(&self.config, text).unwrap();
        assert!(matches!(self.try_ask(Told::Reload), Some(Reply::Reloaded(_))));
        self.signal(Signal::USR1);
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_log_that_nobody_takes_stops_nothing() {
    // A full disk, a pipe whose reader has gone, and the journal's stream after the journal ended.
    let (ours, pipe) = std::io::pipe().unwrap();
    drop(ours);
    let (journal, stream) = UnixStream::pair().unwrap();
    drop(journal);
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!((&full).write(b"x").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let logs: [(&str, Stdio); 3] = [
        ("full", full.into()),
        ("pipe", pipe.into()),
        ("journal", Stdio::from(std::os::fd::OwnedFd::from(stream))),
    ];
    for (name, log) in logs {
        let mut mute = Mute::start(&format!("log-{name}"), log, "");
        mute.reload();
        let before = mute.wait_for(|status| status.reloads == 2);
        // It lives on: its worker turns, and its state is taken.
        mute.wait_for(|status| {
            status.uptime_ms > before.uptime_ms + 300
                && status.workers[0].turns > before.workers[0].turns
        });
        assert!(mute.stop().ends_with(&format!("{:<30} 0\n", "mbufs_in_use")), "{name}");
    }
}

#[test]
fn a_log_whose_reader_is_stuck_stops_nothing() {
    let (mut reader, pipe) = std::io::pipe().unwrap();
    let mut mute = Mute::start("log-stuck", pipe.into(), "");
    // A pipe takes 64 KiB; the counters are some each time.
    let before = mute.wait_for(|status| status.ready);
    for _ in 0..100 {
        mute.signal(Signal::USR1);
        std::thread::sleep(Duration::from_millis(10));
    }
    mute.wait_for(|status| status.uptime_ms > before.uptime_ms + 1500);
    mute.reload();
    mute.wait_for(|status| status.reloads == 2);
    // Who reads again hears again.
    let (heard, lines) = std::sync::mpsc::channel();
    let listener = std::thread::spawn(move || {
        let mut octets = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut octets) {
            heard.send(String::from_utf8_lossy(&octets[..count]).into_owned()).unwrap();
        }
    });
    let old: usize = std::iter::from_fn(|| lines.recv_timeout(Duration::from_millis(500)).ok())
        .map(|text| text.len())
        .sum();
    assert!(old > 32 << 10, "the pipe was not full: {old} octets");
    mute.reload();
    mute.stop();
    listener.join().unwrap();
    let new: String = lines.iter().collect();
    assert!(new.contains("configuration read again") && new.ends_with("stopped\n"), "{new}");
}

#[test]
fn counters_that_can_not_be_printed_are_no_failure() {
    let (folder, text) = instance("print-full", ("", ""));
    let config = folder.path().join("otherhalfd.toml");
    fs::write(&config, text).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_otherhalfd"));
    let mut child =
        command.arg("--config").arg(&config).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = child.stderr.take().unwrap();
    let mut said = String::new();
    let mut octets = [0; 4096];
    while !said.contains("INFO ready") {
        let count = log.read(&mut octets).unwrap();
        assert_ne!(count, 0, "it ended:\n{said}");
        said += &String::from_utf8_lossy(&octets[..count]);
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    log.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(said.contains("WARN can't print the counters"), "{said}");
}

/// Processor time of the process's threads of these names, in ticks.
fn ticks_of(pid: u32, names: &[&str]) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of = |task: PathBuf| -> Option<u64> {
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let stat = fs::read_to_string(task.join("stat")).ok()?;
        // Behind the name, which may have blanks: utime and stime are the fields 14 and 15 (proc(5)).
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        names.contains(&name.trim()).then_some(ticks)
    };
    let found: Vec<u64> = tasks.filter_map(|task| of(task.unwrap().path())).collect();
    assert_eq!(found.len(), names.len(), "{names:?}");
    found.iter().sum()
}

#[test]
fn without_descriptors_nobody_new_is_heard_and_nothing_spins() {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_otherhalfd")]);
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http = format!("\n[http]\nlisten = [\"{free}\"]\n");
    let mut mute = Mute::by(command, "descriptors", Stdio::null(), &http);
    let pid = mute.child.id();
    let open = || fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();

    // One that is open already goes on being served.
    let mut early = Client::connect(&mute.socket).unwrap();
    let Reply::Status(before) = early.ask(Told::Status).unwrap() else { panic!("no status") };
    let sockets: Vec<UnixStream> =
        (0..16).map(|_| UnixStream::connect(&mute.socket).unwrap()).collect();
    let streams: Vec<TcpStream> = (0..60).map(|_| connect(free)).collect();
    let start = Instant::now();
    while open() < DESCRIPTORS {
        assert!(start.elapsed() < LIMIT, "there are descriptors left: {} in use", open());
        std::thread::sleep(Duration::from_millis(10));
    }
    // What can't be accepted stays in the queue, so a careless loop would now do nothing but fail.
    let names = ["control-socket", "http"];
    let used = ticks_of(pid, &names);
    std::thread::sleep(Duration::from_secs(1));
    let used = ticks_of(pid, &names) - used;
    assert!(used < TICKS_PER_SECOND / 5, "{used} ticks of {TICKS_PER_SECOND} were used");
    // A reload needs a descriptor: it is refused, and nothing else comes of it.
    assert!(early.ask(Told::Reload).is_err());
    let Reply::Status(after) = early.ask(Told::Status).unwrap() else { panic!("no status") };
    assert!(after.workers[0].turns > before.workers[0].turns && after.ready);
    assert_eq!(after.reloads, 0);

    drop((sockets, streams, early));
    mute.wait_for(|status| status.ready);
    assert!(matches!(mute.try_ask(Told::Reload), Some(Reply::Reloaded(_))));
    let mut page = connect(free);
    page.set_read_timeout(Some(LIMIT)).unwrap();
    page.write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    page.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    mute.stop();
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap()
}

#[test]
fn what_a_killed_process_leaves_is_in_nobodys_way() {
    let mut first = Mute::start("killed", Stdio::null(), "");
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(first.socket.exists(), "a killed process can't remove its socket");
    // The same configuration, at once: the socket, DPDK's folder and the port are taken over.
    first.child = Command::new(env!("CARGO_BIN_EXE_otherhalfd"))
        .arg("--config")
        .arg(&first.config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = first.child.id();
    first.wait_for(|status| status.ready && status.pid == pid);
    // But not from a process that lives.
    let other = Daemon::spawn(&["--config", first.config.to_str().unwrap()]).end();
    assert_eq!(other.code, 1, "{}", other.log);
    assert!(other.log.contains("another process listens at"), "{}", other.log);
    first.wait_for(|status| status.ready && status.pid == pid);
    first.stop();
}
