//! DPDK's telemetry socket of a running `otherhalfd`, as `dpdk-telemetry.py` asks there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use otherhalf_engine::Outcome;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::instance::instance;
use crate::process::Daemon;

/// What DPDK's longest answer takes (`MAX_OUTPUT_LEN`).
const LONGEST: usize = 16 * 1024;

/// Where DPDK puts its sockets: root's in `/var/run`, others' in their own folder, or else in `/tmp`.
fn socket_path(prefix: &str) -> PathBuf {
    let folder = if rustix::process::getuid().is_root() {
        PathBuf::from("/var/run")
    } else {
        std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
    };
    folder.join("dpdk").join(prefix).join("dpdk_telemetry.v2")
}

/// A connection to it.
struct Asked(rustix::fd::OwnedFd);

impl Asked {
    fn connect(prefix: &str) -> Self {
        let kind = SocketType::SEQPACKET;
        let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        let path = socket_path(prefix);
        connect(&socket, &SocketAddrUnix::new(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let limit = Some(Duration::from_secs(20));
        let direction = rustix::net::sockopt::Timeout::Recv;
        rustix::net::sockopt::set_socket_timeout(&socket, direction, limit).unwrap();
        let asked = Self(socket);
        let hello = asked.receive();
        assert!(hello["version"].as_str().unwrap().starts_with("DPDK "), "{hello}");
        asked
    }

    fn receive(&self) -> Value {
        let mut buffer = vec![0; LONGEST];
        let (_, length) = recv(&self.0, &mut buffer[..], RecvFlags::empty()).unwrap();
        serde_json::from_slice(&buffer[..length]).unwrap()
    }

    /// The answer to `command`.
    fn ask(&self, command: &str) -> Value {
        send(&self.0, command.as_bytes(), SendFlags::empty()).unwrap();
        let name = command.split(',').next().unwrap();
        self.receive()[name].clone()
    }
}

#[test]
fn dpdk_telemetry_has_our_commands() {
    let (folder, text) = instance("telemetry", ("[eal]\n", "[eal]\n        telemetry = true\n"));
    let mut daemon = Daemon::start(folder.path(), &text);
    daemon.wait_for("ready");
    let prefix = format!("otherhalf-program-telemetry-{}", std::process::id());
    let asked = Asked::connect(&prefix);

    let commands = asked.ask("/");
    for command in ["/otherhalf/status", "/otherhalf/stats", "/otherhalf/worker", "/ethdev/stats"] {
        assert!(commands.as_array().unwrap().contains(&command.into()), "{command}: {commands}");
    }
    assert!(asked.ask("/help,/otherhalf/worker").to_string().contains("Parameter: its number"));

    // The first state is shown a moment after the start, perhaps before the worker's first turn.
    let deadline = Instant::now() + Duration::from_secs(20);
    while asked.ask("/otherhalf/worker,0")["turns"].as_u64().unwrap_or(0) == 0 {
        assert!(Instant::now() < deadline, "{}", asked.ask("/otherhalf/status"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = asked.ask("/otherhalf/status");
    assert_eq!(status["state"], "running");
    assert_eq!((&status["ready"], &status["not_ready"]), (&1.into(), &"".into()));
    assert_eq!((&status["workers"], &status["ports_with_link"]), (&1.into(), &1.into()));
    assert_eq!(status["pending_capacity"], 1024);

    let counters = asked.ask("/otherhalf/stats");
    let worker = asked.ask("/otherhalf/worker,0");
    for outcome in Outcome::ALL {
        assert_eq!((&counters[outcome.name()], &worker[outcome.name()]), (&0.into(), &0.into()));
    }
    assert!(counters["notices_dropped"].is_number(), "{counters}");
    assert!(worker["round_trip_p99_ns"].is_number() && worker["ticks_engine"].is_number());
    for parameters in ["", ",", ",7", ",x", ",-1"] {
        let answer = asked.ask(&format!("/otherhalf/worker{parameters}"));
        assert_eq!(answer["error"], "no such worker", "{parameters:?}");
    }
    assert_eq!(daemon.stop(Signal::TERM).code, 0);
    assert!(!socket_path(&prefix).exists(), "the socket is left");
}

#[test]
fn there_is_no_telemetry_unless_asked_for() {
    let (folder, text) = instance("no-telemetry", ("", ""));
    let mut daemon = Daemon::start(folder.path(), &text);
    daemon.wait_for("ready");
    let prefix = format!("otherhalf-program-no-telemetry-{}", std::process::id());
    assert!(!socket_path(&prefix).exists());
    assert_eq!(daemon.stop(Signal::TERM).code, 0);
}
