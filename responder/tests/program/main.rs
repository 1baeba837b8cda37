//! `otherhalfd` as a person or a service manager meets it: arguments, exit codes, sentences, signals.

mod http;
mod capture;
mod faults;
mod instance;
mod late;
mod logs;
#[path = "../process/mod.rs"]
mod process;
mod socket;
mod starving;
mod telemetry;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use instance::{DEVICE, instance, start};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use process::{Daemon, Ended};
use rustix::process::Signal;

/// Exit codes, as the help has them.
const GOOD: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const CONFIG: i32 = 78;

fn otherhalfd(arguments: &[&str]) -> Ended {
    Daemon::spawn(arguments).end()
}

/// One with two queues.
const TWO_QUEUES: &str =
    "net_pcap0,rx_pcap=FOLDER/in,rx_pcap=FOLDER/in,tx_pcap=FOLDER/out,tx_pcap=FOLDER/out2";

/// Starts an instance that must fail; what it says, without the log's times.
fn failure(name: &str, change: (&str, &str)) -> String {
    let (folder, text) = instance(name, change);
    let ended = Daemon::start(folder.path(), &text).end();
    assert_eq!(ended.code, FAILED, "{}", ended.log);
    assert_eq!(ended.stdout, "");
    let error = ended.log.lines().find_map(|line| Some(line.split_once("ERROR ")?.1.to_owned()));
    error.unwrap_or_else(|| panic!("no error in\n{}", ended.log))
}

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("a.toml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn version_and_help() {
    let version = otherhalfd(&["--version"]);
    assert_eq!((version.code, version.log.as_str()), (GOOD, ""));
    assert_eq!(version.stdout, format!("otherhalfd {}\n", env!("CARGO_PKG_VERSION")));
    let help = otherhalfd(&["--help"]);
    assert_eq!(help.code, GOOD);
    for word in ["--config <FILE>", "check-config", "SIGUSR1", "Exit codes: 0 ", " 78 ", "RUST_LOG"]
    {
        assert!(help.stdout.contains(word), "no {word:?} in\n{}", help.stdout);
    }
}

#[test]
fn wrong_usage_is_refused() {
    let wrong: [&[&str]; 5] =
        [&[], &["--config"], &["check-config"], &["--nonsense"], &["--config", "a", "b"]];
    for arguments in wrong {
        let ended = otherhalfd(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (USAGE, ""), "{arguments:?}");
        assert!(ended.log.contains("try '--help'"), "{arguments:?}: {}", ended.log);
    }
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let (folder, text) = instance("check", (DEVICE, "0000:ff:1f.7"));
    let good = file(folder.path(), &text);
    let good = good.to_str().unwrap();
    let ended = otherhalfd(&["check-config", "--config", good]);
    assert_eq!((ended.code, ended.log.as_str()), (GOOD, ""));
    assert_eq!(ended.stdout, format!("{good}: good\n"));

    let (folder, text) = instance("check", ("entries = 1024", "entries = 0"));
    let bad = file(folder.path(), &text);
    let bad = bad.to_str().unwrap();
    let both: [&[&str]; 2] = [&["check-config", "--config", bad], &["--config", bad]];
    for arguments in both {
        let ended = otherhalfd(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (CONFIG, ""));
        assert_eq!(
            ended.log,
            format!(
                "\
error: pending.entries: 0 is out of range: 1 to 1073741824
  --> {bad}:12:19
   |
12 |         entries = 0
   |                   ^
   |
   = help: entries takes probes, 1 to 1073741824

otherhalfd: {bad} has 1 mistake
"
            )
        );
    }
    // What no machine has, and what a machine that is not this one may have.
    let (folder, text) = instance("check", ("cpus = [0]", "cpus = [0, 70000, 0]"));
    let lacking = file(folder.path(), &text);
    let lacking = lacking.to_str().unwrap();
    let ended = otherhalfd(&["check-config", "--config", lacking]);
    assert_eq!(ended.code, CONFIG);
    for said in ["workers.cpus[1]: this machine has no CPU 70000", "workers.cpus[0] is CPU 0 too"] {
        assert!(ended.log.contains(said), "{}", ended.log);
    }
    assert!(ended.log.ends_with("has 2 mistakes\n"), "{}", ended.log);
    assert_eq!(otherhalfd(&["check-config", "--elsewhere", "--config", lacking]).code, GOOD);

    // All of it in one run: values, the machine, and lists of prefixes.
    let (folder, text) = instance("check", ("cpus = [0]", "cpus = [70000]"));
    let text = text.replace("entries = 1024", "entries = 0");
    let all = file(folder.path(), &format!("{text}\n[access]\ndeny_files = [\"deny.txt\"]\n"));
    fs::write(folder.path().join("deny.txt"), "192.0.2.0/24\nnobody\n").unwrap();
    let ended = otherhalfd(&["check-config", "--config", all.to_str().unwrap()]);
    assert_eq!(ended.code, CONFIG);
    let told = [
        "workers.cpus[0]: this machine has no CPU 70000",
        "pending.entries: 0 is out",
        "has 2 mistakes",
        "deny.txt:2: ",
        "the lists of prefixes have 1 mistake\n",
    ];
    let places: Vec<_> = told.iter().map(|said| ended.log.find(said)).collect();
    assert!(places.iter().all(Option::is_some), "{told:?}: {}", ended.log);

    let ended = otherhalfd(&["--config", "no/such.toml"]);
    assert_eq!(ended.code, CONFIG);
    assert!(ended.log.starts_with("otherhalfd: can't read the configuration no/such.toml: "));
    assert!(
        ended.log.ends_with("`otherhalfd generate config` writes a file to begin with.\n"),
        "{}",
        ended.log
    );
}

#[test]
fn the_configuration_in_effect_is_printed() {
    let (folder, text) = instance("print", (DEVICE, "0000:ff:1f.7"));
    let path = file(folder.path(), &text);
    let path = path.to_str().unwrap();
    let ended = otherhalfd(&["print-config", "--config", path]);
    assert_eq!((ended.code, ended.log.as_str()), (GOOD, ""));
    let first = format!("# The configuration in effect of {path}.\n");
    assert!(ended.stdout.starts_with(&first), "{}", ended.stdout);
    assert!(ended.stdout.contains("\nrx_descriptors = 1024\n"), "{}", ended.stdout);
    let again = folder.path().join("again.toml");
    fs::write(&again, ended.stdout).unwrap();
    assert_eq!(otherhalfd(&["check-config", "--config", again.to_str().unwrap()]).code, GOOD);
}

#[test]
fn a_request_is_explained() {
    let (folder, text) = instance("explain", (DEVICE, "0000:ff:1f.7"));
    let path = file(folder.path(), &text);
    let explain = |arguments: &[&str]| {
        let all = [&["explain", "--config", path.to_str().unwrap()], arguments].concat();
        otherhalfd(&all)
    };
    for name in [&["www.example.com"][..], &["192.0.2.77", "--towards", "www.example.com"]] {
        let ended = explain(name);
        assert!(ended.code == USAGE && ended.log.contains("getent ahosts NAME"), "{}", ended.log);
    }
    let ended = explain(&["192.0.2.77"]);
    assert_eq!((ended.code, ended.log.as_str()), (GOOD, ""));
    for outcome in
        ["\noutcome   probe_icmp: ", "\noutcome   probe_tcp: ", "\noutcome   probe_udp: "]
    {
        assert!(ended.stdout.contains(outcome), "{}", ended.stdout);
    }
    let ended = explain(&["198.51.100.1", "--protocol", "udp", "--flow", "53", "--ttl", "3"]);
    assert!(ended.stdout.contains("for a probe by UDP, TTL 3, flow 53; "), "{}", ended.stdout);
    assert!(ended.stdout.contains("\noutcome   drop_no_route: "), "{}", ended.stdout);
    let ended = explain(&["198.51.100.1", "--at", "192.0.2.3"]);
    assert_eq!(ended.code, FAILED);
    assert_eq!(
        ended.log,
        "otherhalfd: 192.0.2.3 is no address of this responder; it has 192.0.2.2, 2001:db8::2\n"
    );
    assert_eq!(explain(&["example.com"]).code, USAGE);
}

#[test]
fn pages_are_generated() {
    let folder = tempfile::tempdir().unwrap();
    let ended = otherhalfd(&["generate", "man", folder.path().to_str().unwrap()]);
    assert_eq!((ended.code, ended.log.as_str(), ended.stdout.as_str()), (GOOD, "", ""));
    for (page, title) in [
        ("otherhalfd.8", ".TH otherhalfd 8"),
        ("otherhalfd-check-config.8", ".TH otherhalfd-check-config 8"),
        ("otherhalfd.toml.5", ".TH otherhalfd.toml 5"),
    ] {
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(title), "{page}: {text}");
    }
    // Folders that are not there are made, but not where a file is.
    let made = folder.path().join("made/for/it");
    assert_eq!(otherhalfd(&["generate", "man", made.to_str().unwrap()]).code, GOOD);
    assert!(made.join("otherhalfd.8").is_file());
    let wrong = folder.path().join("otherhalfd.8/man");
    let ended = otherhalfd(&["generate", "man", wrong.to_str().unwrap()]);
    assert_eq!(ended.code, FAILED);
    let said = format!("otherhalfd: can't make {}", wrong.display());
    assert!(ended.log.starts_with(&said), "{}", ended.log);

    let config = otherhalfd(&["generate", "config"]).stdout;
    let path = file(folder.path(), &config);
    assert_eq!(otherhalfd(&["check-config", "--config", path.to_str().unwrap()]).code, GOOD);
    for shell in ["bash", "zsh", "fish"] {
        let script = otherhalfd(&["generate", "completions", shell]).stdout;
        assert!(script.contains("check-config"), "{shell}: {script}");
    }
}

#[test]
fn what_can_not_start_says_why() {
    let start = "DPDK's environment does not start: ";
    // No such driver; a driver that refuses; hardware that is not there.
    assert_eq!(
        failure("driver", (DEVICE, "net_nonsense0")),
        format!(
            "{start}DPDK has no driver for one of the devices [\"net_nonsense0\"]; check their \
             names, and that its drivers are installed (apt-get install librte-meta-net)"
        )
    );
    assert_eq!(
        failure("refused", (DEVICE, "net_pcap0,rx_pcap=no/such.pcap")),
        format!(
            "{start}virtual device \"net_pcap0,rx_pcap=no/such.pcap\" was refused; DPDK's own \
             lines above say why: wrong arguments, a missing socket or interface, or missing rights \
             (net_tap and af_packet need CAP_NET_ADMIN)"
        )
    );
    assert_eq!(
        failure("pci", (DEVICE, "ffff:ff:1f.7")),
        format!("{start}there is no PCI device ffff:ff:1f.7; lspci -D lists those that exist")
    );
    // A device that becomes no port.
    let text = failure("port", (DEVICE, "crypto_null0"));
    assert!(text.contains("crypto_null0"), "{text}");
    // Memory and cores that the machine has not.
    let huge =
        failure("huge", ("huge_pages = false\n        memory_mb = 64", "memory_mb = 1048576"));
    assert!(
        huge.starts_with(&format!("{start}1048576 MB of hugepages are needed and "))
            && huge.ends_with("or do without: huge_pages = false"),
        "{huge}"
    );
    let cpu = failure("cpu", ("cpus = [0]", "cpus = [1023]"));
    assert!(
        cpu.starts_with(&format!(
            "{start}lcore 0 wants CPU 1023, on which this process may not run; choose one of ["
        )),
        "{cpu}"
    );
    let text = failure("small", ("device =", "rx_descriptors = 32768\ndevice ="));
    assert!(
        text.starts_with("65535 frames of 2176 bytes do not fit into eal.memory_mb = 64: "),
        "{text}"
    );
}

#[test]
fn a_port_with_fewer_queues_than_workers_says_so_and_works() {
    let (folder, text) = instance("queues", ("cpus = [0]", "cpus = [0, 0]"));
    let mut daemon = Daemon::start(folder.path(), &text);
    daemon.wait_for("WARN the device offers fewer queues than there are workers");
    daemon.wait_for("ready");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, GOOD, "{}", ended.log);
    assert!(ended.log.contains("port=\"net_pcap0\" queues=1 workers=2"), "{}", ended.log);
}

#[test]
fn a_port_without_address_of_its_own_is_none() {
    assert_eq!(
        failure("mac", (DEVICE, "net_ring0")),
        "port \"net_ring0\": its hardware address 00:00:00:00:00:00 is no station's"
    );
}

#[test]
fn the_start_says_what_it_runs_on() {
    let (folder, text) = instance("start", (DEVICE, TWO_QUEUES));
    let text = text.replace("cpus = [0]", "cpus = [0, 0]");
    let mut daemon = Daemon::start(folder.path(), &text);
    daemon.wait_for("ready");
    let log = daemon.stop(Signal::TERM).log;
    for words in [
        &format!("otherhalfd version=\"{}\"", env!("CARGO_PKG_VERSION")),
        "DPDK version=\"DPDK ",
        "memory_mb=64 huge_pages=false file_prefix=\"otherhalf-program-start-",
        "workers=[0, 0]",
        "mempool frames=8191 bytes=17823616",
        "port port=\"net_pcap0\" driver=\"net_pcap\" mac=02:70:63:61:70:00 queues=2 verifies=none link=true",
        "interface interface=\"net_pcap0\" mac=02:70:63:61:70:00 \
         addresses=\"192.0.2.2/24 2001:db8::2/64\"",
        "pending table entries=1024 bytes=32768",
        " timeout_ms=5000 secret=\"random\"",
    ] {
        assert!(log.contains(words), "no {words:?} in\n{log}");
    }
}

#[test]
fn both_signals_stop_it_cleanly_and_print_the_counters() {
    for signal in [Signal::INT, Signal::TERM] {
        let (_folder, daemon) = start("stop");
        let ended = daemon.stop(signal);
        assert_eq!(ended.code, GOOD, "{}", ended.log);
        assert!(ended.log.ends_with("INFO stopped\n"), "{}", ended.log);
        assert!(ended.stdout.starts_with("received  "), "{}", ended.stdout);
        assert!(ended.stdout.contains("\nport net_pcap0 received 0 sent 0 "), "{}", ended.stdout);
        assert!(ended.stdout.ends_with(&format!("{:<30} 0\n", "mbufs_in_use")), "{}", ended.stdout);
    }
}

#[test]
fn a_signal_during_the_start_is_not_lost() {
    let (folder, text) = instance("early", ("", ""));
    let mut daemon = Daemon::start(folder.path(), &text);
    daemon.wait_for("otherhalfd version");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, GOOD, "{}", ended.log);
    assert!(ended.log.ends_with("INFO stopped\n"), "{}", ended.log);
}

#[test]
fn the_configuration_is_read_again() {
    let (folder, text) = instance("reload", ("", ""));
    let mut daemon = Daemon::start(folder.path(), &text);
    daemon.wait_for("ready");
    let mut again = |text: &str, said: &str| {
        fs::write(folder.path().join("otherhalfd.toml"), text).unwrap();
        daemon.signal(Signal::HUP);
        daemon.wait_for(said);
    };
    again(&text, "configuration read again file=");
    // What is wrong is said as check-config says it, and the responder goes on.
    again("[ports]", "ERROR the configuration stays as it was: ");
    let other =
        text.replace("[pending]", "[reply]\nclosed_ports = false\n[pending]\ntimeout_ms = 77");
    again(&other, "WARN pending.timeout_ms will take effect at the next start, not before");
    // Nor does it wait for who might write to a FIFO.
    let path = folder.path().join("otherhalfd.toml");
    fs::remove_file(&path).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from(0o600)).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for("it is no regular file");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, GOOD, "{}", ended.log);
    assert!(ended.log.contains("changed=\"nothing\""), "{}", ended.log);
    assert!(ended.log.contains("changed=\"reply.closed_ports\""), "{}", ended.log);
    assert!(ended.log.contains("otherhalfd.toml"), "{}", ended.log);
}

#[test]
fn the_service_manager_is_told() {
    let (folder, text) = instance("service", ("", ""));
    let path = file(folder.path(), &text);
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let told = || {
        let mut room = [0; 256];
        let len = manager.recv(&mut room).unwrap();
        String::from_utf8(room[..len].to_vec()).unwrap()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_otherhalfd"));
    let daemon = Daemon::run(command.arg("--config").arg(&path).env("NOTIFY_SOCKET", &socket));
    assert_eq!(told(), "READY=1\n");
    for text in [text.as_str(), "[nonsense]"] {
        fs::write(&path, text).unwrap();
        daemon.signal(Signal::HUP);
        let reloading = told();
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
        assert!(time.parse::<u64>().unwrap() > 0);
        assert_eq!(told(), "READY=1\n");
    }
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, GOOD, "{}", ended.log);
    // The drain's five seconds, and what closing takes.
    assert_eq!(told(), "EXTEND_TIMEOUT_USEC=25000000\n");
    assert_eq!(told(), "STOPPING=1\n");
    manager.set_nonblocking(true).unwrap();
    assert!(manager.recv(&mut [0; 1]).is_err(), "told more than that");
}

#[test]
fn the_watchdog_is_fed() {
    let (folder, text) = instance("watchdog", ("", ""));
    let path = file(folder.path(), &text);
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_otherhalfd"));
    command
        .arg("--config")
        .arg(&path)
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "1000000");
    let daemon = Daemon::run(&mut command);
    let mut fed = 0;
    while fed < 5 {
        let mut room = [0; 256];
        let len = manager.recv(&mut room).unwrap();
        fed += u32::from(&room[..len] == b"WATCHDOG=1\n");
    }
    assert_eq!(daemon.stop(Signal::INT).code, GOOD);
}

#[test]
fn a_worker_that_hangs_ends_the_program() {
    let (_folder, mut daemon) = start("hang");
    let worker = worker_of(daemon.child.id());
    // Stops this thread and no other.
    ptrace::seize(worker, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(worker).unwrap();
    daemon.wait_for("worker 0 hangs");
    daemon.wait_for("the process ends here");
    // A traced thread ends when its tracer has seen it.
    while !matches!(
        waitpid(worker, Some(WaitPidFlag::__WALL)),
        Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_)
    ) {}
    assert_eq!(daemon.end().code, FAILED);
}

/// The thread of the one worker of the process `pid`.
fn worker_of(pid: u32) -> Pid {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let task = tasks.map(|task| task.unwrap().path()).find(|task| {
        let name = fs::read_to_string(task.join("comm")).unwrap();
        name.starts_with("rte-worker") || name.starts_with("dpdk-worker")
    });
    let task = task.expect("a worker's thread");
    Pid::from_raw(task.file_name().unwrap().to_str().unwrap().parse().unwrap())
}

#[test]
fn a_closed_output_does_not_spoil_the_end() {
    let (_folder, mut daemon) = start("closed");
    drop(daemon.child.stdout.take());
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, GOOD, "{}", ended.log);
    assert!(ended.log.contains("WARN can't print the counters"), "{}", ended.log);
    assert!(ended.log.ends_with("INFO stopped\n"), "{}", ended.log);
}

#[test]
fn instances_run_side_by_side() {
    // Without telemetry nothing is shared by the file prefix, so even the same one does no harm.
    for [one, two] in [["one", "two"], ["same", "same"]] {
        let (_folder, mut first) = start(one);
        let (_folder, mut second) = start(two);
        first.settled(0);
        let ended = first.stop(Signal::TERM);
        assert_eq!(ended.code, GOOD, "{}", ended.log);
        // The other one does not mind.
        second.settled(0);
        let ended = second.stop(Signal::INT);
        assert_eq!(ended.code, GOOD, "{}", ended.log);
    }
}
