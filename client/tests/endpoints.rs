//! A directory of responders in a network of kernel routers. Needs root; fails without.
//!
//! The responders here speak the protocol and send no probes: enough to be found alive. Each directory is the test's own: nothing
//! is ever sent to the one that comes with the program.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use otherhalf_lab::{Family, Kind, Lab, Topology};
use otherhalf_wire::icmp::{Kind as Icmp, Message};
use otherhalf_wire::ip::{Family as IpFamily, Packet, protocol};
use otherhalf_wire::trace::{CODE, Refusal, Request, Response, Verdict};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recvfrom, sendto,
    socket_with, sockopt,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");

/// Answers requests as a responder does that sends no TCP and towards no others, each `delay` later, until it is dropped.
struct Responder {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    fn start(lab: &Lab, node: &str, delay: Duration) -> Self {
        let silenced = lab
            .command(node, "sysctl")
            .args(["-q", "-w", "net.ipv4.icmp_echo_ignore_all=1"])
            .status()
            .unwrap();
        assert!(silenced.success(), "the kernel would answer as well");
        let socket = lab
            .within(node, || {
                let kind = (AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC);
                socket_with(kind.0, kind.1, kind.2, Some(ipproto::ICMP)).unwrap()
            })
            .unwrap();
        let look = Some(Duration::from_millis(50));
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, look).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, _, _)) = recvfrom(&socket, &mut buffer, RecvFlags::empty()) else {
                    continue;
                };
                let Some((reply, to)) = answer(&buffer[..len]) else { continue };
                thread::sleep(delay);
                let to = SocketAddr::V4(SocketAddrV4::new(to, 0));
                sendto(&socket, &reply, SendFlags::empty(), &to).unwrap();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// The response to a request, and to whom it goes; none where a probe would go out that nobody answers.
fn answer(packet: &[u8]) -> Option<(Vec<u8>, Ipv4Addr)> {
    let packet = Packet::parse_v4(packet).ok()?;
    let message = Message::parse(IpFamily::V4, packet.payload).ok()?;
    if message.kind != Icmp::EchoRequest || message.header.code != CODE {
        return None;
    }
    let (request, extensions) = Request::parse(&message).ok()?;
    let refusal = match request {
        Request { ttl: 0, .. } => Refusal::Ttl,
        Request { protocol: protocol::TCP, .. } => Refusal::Protocol,
        _ if !extensions.is_empty() => Refusal::Extension(0),
        _ => return None,
    };
    let verdict = Verdict::Refused { refusal, text: b"" };
    let response = Response { identifier: message.header.identifier.get(), verdict };
    let mut reply = [0; 64];
    let len = response.emit(packet.dst, packet.src, &mut reply)?;
    let std::net::IpAddr::V4(to) = packet.src else { return None };
    Some((reply[..len].to_vec(), to))
}

/// client, R1, R2, www in a row; responders at R2 and, slower, at www.
struct Network {
    lab: Lab,
    folder: tempfile::TempDir,
    _responders: [Responder; 2],
}

impl Network {
    fn up() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/line.toml");
        let mut topology = Topology::read(file).unwrap();
        topology.node_mut("www").unwrap().kind = Kind::Host;
        let lab = Lab::build(&topology).unwrap_or_else(|error| panic!("{error}"));
        let near = Responder::start(&lab, "R2", Duration::ZERO);
        let far = Responder::start(&lab, "www", Duration::from_millis(60));
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("otherhalf")).unwrap();
        Self { lab, folder, _responders: [near, far] }
    }

    /// Writes the user's own directory, without what comes with the program.
    fn know(&self, addresses: &[&str]) {
        let tables = addresses
            .iter()
            .map(|address| format!("[[endpoint]]\naddress = \"{address}\"\nasn = 64500\n"));
        let text = "shipped = false\n".to_owned() + &tables.collect::<String>();
        fs::write(self.folder.path().join("otherhalf/endpoints.toml"), text).unwrap();
    }

    fn run(&self, arguments: &[&str], code: i32) -> (String, String) {
        let mut command = self.lab.command("client", OTHERHALF);
        command.env("XDG_CONFIG_HOME", self.folder.path()).args(arguments);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let [out, err] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(status.code(), Some(code), "{arguments:?}: {out}{err}");
        (out, err)
    }
}

#[test]
fn all_are_asked_side_by_side() {
    let network = Network::up();
    network.know(&["www.example.com", "R2", "R1", "192.0.2.99", "no-such-name.invalid"]);
    let start = Instant::now();
    let (out, err) = network.run(&["endpoints", "check", "-4", "-q", "1", "-w", "1"], 1);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(err, "", "no terminal, no progress");
    let lines: Vec<_> = out.lines().collect();
    for (line, begin, end) in [
        (
            0,
            "www.example.com       AS64500  ",
            " ms  alive at 192.0.2.80; probes: UDP (its first router kept silent), ICMP (its first router kept silent), not TCP; towards others: no",
        ),
        (
            1,
            "R2                    AS64500  ",
            " ms  alive at 192.0.2.1; probes: UDP (its first router kept silent), ICMP (its first router kept silent), not TCP; towards others: no",
        ),
        (
            2,
            "R1                    AS64500  ",
            "  198.51.100.1 answers ping only: no responder runs there",
        ),
        (3, "192.0.2.99            AS64500  ", "  no answer from 192.0.2.99"),
    ] {
        assert!(lines[line].starts_with(begin) && lines[line].ends_with(end), "{out}");
    }
    assert!(lines[4].contains("unknown name: no-such-name.invalid"), "{out}");

    let (out, _) = network.run(&["endpoints", "check", "-4", "-q", "1", "-w", "1", "--json"], 1);
    let document: Value = serde_json::from_str(&out).unwrap();
    let entries = document["endpoints"].as_array().unwrap();
    let answers: Vec<_> =
        entries.iter().map(|entry| &entry["checked"]["reverse_traceroute"]["answer"]).collect();
    assert_eq!(answers[..4], ["speaks", "speaks", "ping_only", "none"]);
    assert!(answers[4].is_null());
    assert_eq!(
        entries[1]["checked"]["reverse_traceroute"]["features"],
        serde_json::json!({"udp": "silent", "tcp": "no", "icmp": "silent", "indirect": "no", "padding": 0})
    );
    assert_eq!(entries[1]["checked"]["resolved"], "192.0.2.1");
    assert!(entries[0]["checked"]["reverse_traceroute"]["rtt_ms"].as_f64().unwrap() > 60.0);
    assert!(entries[4]["checked"]["problem"].as_str().unwrap().contains("unknown name"));
    assert_eq!((&document["nearest"], &document["exit_code"]), (&"R2".into(), &1.into()));
}

/// Whether a thread of process `id` has no capability left.
fn gave_up(id: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return false };
    threads.flatten().any(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.contains("CapEff:\t0000000000000000\n")
    })
}

#[test]
fn they_are_asked_by_the_route_that_the_user_chose_and_without_privileges() {
    let network = Network::up();
    network.know(&["R2", "www.example.com"]);
    let quick = ["-4", "-q", "1", "-w", "2"];
    // Not an address of ours: what says so has looked at the option.
    let foreign = ["-s", "192.0.2.77"];
    let (out, _) = network.run(&[&["endpoints", "check"], &quick[..], &foreign].concat(), 4);
    assert_eq!(out.matches("192.0.2.77").count(), 2, "{out}");
    network.run(&[&["reverse", "--nearest"], &quick[..], &foreign].concat(), 4);
    // Nobody is to be reached by the loopback interface.
    network.run(&[&["endpoints", "nearest"], &quick[..], &["--interface", "lo"]].concat(), 4);
    network.run(&[&["endpoints", "check"], &quick[..]].concat(), 0);

    network.know(&["192.0.2.99"]);
    let mut command = network.lab.command("client", OTHERHALF);
    command.env("XDG_CONFIG_HOME", network.folder.path());
    command.args([&["endpoints", "check"], &quick[..]].concat());
    let mut child = command.spawn().unwrap();
    let mut seen = false;
    while child.try_wait().unwrap().is_none() {
        seen |= gave_up(child.id());
        thread::sleep(Duration::from_millis(20));
    }
    assert!(seen, "asked with all privileges");
}

#[test]
fn interrupted_it_says_who_was_not_asked() {
    let network = Network::up();
    network.know(&["R2", "192.0.2.99"]);
    let mut command = network.lab.command("client", OTHERHALF);
    command.env("XDG_CONFIG_HOME", network.folder.path());
    command.args(["endpoints", "check", "-4", "-q", "10", "-w", "60"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Long after R2 answered, long before the wait for the other is over.
    thread::sleep(Duration::from_secs(1));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let start = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(130), "{out}{err}");
    assert_eq!(err, "otherhalf: interrupted\n");
    assert!(out.lines().next().is_some_and(|line| line.ends_with("alive at 192.0.2.1")), "{out}");
    assert!(out.lines().nth(1).is_some_and(|line| line.starts_with("192.0.2.99")), "{out}");
}

#[test]
fn the_nearest_one() {
    let network = Network::up();
    network.know(&["www.example.com", "R2", "192.0.2.99"]);
    let quick = ["-4", "-q", "1", "-w", "1"];
    let (out, _) = network.run(&[&["endpoints", "nearest"], &quick[..]].concat(), 0);
    assert_eq!(out, "R2\n");
    let (out, err) = network.run(&[&["forward", "--nearest"], &quick[..], &["icmp"]].concat(), 1);
    assert!(out.starts_with("otherhalf forward to R2 (192.0.2.1), 30 hops max, ICMP"), "{out}");
    assert!(err.starts_with("otherhalf: the nearest of 2 responders that answer is R2: "), "{err}");
    network.know(&["R2", "www.example.com"]);
    network.run(&[&["endpoints", "check"], &quick[..]].concat(), 0);

    network.know(&["R1", "192.0.2.99"]);
    let none = "otherhalf: no responder of the directory answers: otherhalf endpoints check says what became of each\n";
    for arguments in
        [&["endpoints", "nearest"][..], &["endpoints", "check"], &["reverse", "--nearest"]]
    {
        let (_, err) = network.run(&[arguments, &quick[..]].concat(), 4);
        assert_eq!(err, none);
    }
    let address = network.lab.address("R1", Family::V4).to_string();
    let (out, _) = network.run(&["endpoints", "check", "-4", "-q", "1", "-w", "1"], 4);
    assert!(out.contains(&address), "{out}");
}
