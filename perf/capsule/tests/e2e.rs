//! The program in a network of kernel routers: ping, and whole traces of our own client. Needs root;
//! fails without.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::RuntimeFolder;
use otherhalf_capsule::Config;
use otherhalf_client::{Direction, End, Options, Queries, RawNetwork, Trace, network};
use otherhalf_lab::{Family, Guard, Lab};
use otherhalf_wire::probe::Protocol;
use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_otherhalf-capsule");
const PINGS: u64 = 5;

/// The counters that a responder printed at its end.
struct Counters(String);

impl Counters {
    fn get(&self, name: &str) -> u64 {
        let mut lines = self.0.lines().map(str::split_whitespace);
        let value = lines.find_map(|mut words| (words.next()? == name).then(|| words.next())?);
        value.unwrap_or_else(|| panic!("no {name} in\n{}", self.0)).parse().unwrap()
    }

    /// What all outcomes add up to: they are the indented lines.
    fn outcomes(&self) -> u64 {
        let lines = self.0.lines().filter(|line| line.starts_with("  "));
        lines.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
    }
}

/// Starts the responder of `capsule.toml` at its place in the network.
fn start(lab: &Lab, folder: &Path, instance: &str) -> Guard {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("capsule.toml");
    let name = format!("app_name = \"{instance}\"");
    let text =
        fs::read_to_string(example).unwrap().replace("app_name = \"otherhalf-capsule\"", &name);
    assert_eq!(Config::parse(&text).unwrap().capsule.app_name, instance);
    let config = folder.join("capsule.toml");
    fs::write(&config, text).unwrap();
    let mut command = lab.command("www", PROGRAM);
    let responder = lab.spawn(command.arg(&config).stdout(Stdio::piped())).unwrap();
    lab.attach("www", Duration::from_mins(1)).unwrap();
    responder
}

/// Stops it; gives what it counted.
fn stop(mut responder: Guard) -> Counters {
    let child = responder.child();
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
    let mut counters = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut counters).unwrap();
    assert!(child.wait().unwrap().success(), "{counters}");
    Counters(counters)
}

fn ping(lab: &Lab, family: Family) {
    let count = PINGS.to_string();
    let output = lab
        .command("client", "ping")
        .args([family.flag(), "-c", &count, "-i", "0.05", "-W", "5", "www.example.com"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("{PINGS} received")), "{text}");
}

/// The way from the responder to the client, as the client is told it.
fn reverse(lab: &Lab, family: Family, protocol: Protocol) {
    let target = (lab.address("www", family), 0).into();
    let trace = lab
        .within("client", || {
            let mut raw = RawNetwork::open(target, &[protocol]).unwrap();
            let options = Options::new(Direction::Reverse, protocol, raw.source(), target.ip());
            let mut traces = [Trace::new(options, raw.secret().unwrap())];
            network::run(&mut raw, &mut traces, |_, _| ControlFlow::Continue(())).unwrap();
            let [trace] = traces;
            trace
        })
        .unwrap();
    assert_eq!(trace.end(), Some(&End::Reached), "{protocol}: {trace:?}");
    let hops: Vec<_> = trace.hops().iter().map(otherhalf_client::Hop::only_address).collect();
    let way = ["R2", "R1", "client"].map(|node| Some(lab.address(node, family)));
    assert_eq!(hops, way, "{protocol}");
    for sample in trace.hops().iter().flat_map(otherhalf_client::Hop::samples) {
        let rtt = sample.rtt.expect("it was measured");
        assert!(!rtt.is_zero() && rtt <= sample.elapsed, "{protocol}: {sample:?}");
    }
}

#[test]
fn ping_and_whole_traces() {
    let lab = Lab::up(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/line.toml"))
        .unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    let instance = format!("capsule-e2e-{}", std::process::id());
    let _folder = RuntimeFolder::of(&instance);
    let responder = start(&lab, folder.path(), &instance);

    for family in Family::ALL {
        ping(&lab, family);
        for protocol in Protocol::ALL {
            reverse(&lab, family, protocol);
        }
    }
    // An empty ping, which ends the worker of capsule's own example.
    let empty = ["-c", "1", "-s", "0", "-W", "5", "www.example.com"];
    assert!(lab.command("client", "ping").args(empty).status().unwrap().success());

    let counters = stop(responder);
    assert_eq!(counters.get("received"), counters.outcomes(), "{}", counters.0);
    assert_eq!(counters.get("ping_reply"), 2 * PINGS + 1, "{}", counters.0);
    assert!(counters.get("neighbour_reply") >= 2, "{}", counters.0);
    // Each probe was answered, and by both kinds of answerers.
    let sum = |names: &[&str]| names.iter().map(|name| counters.get(name)).sum::<u64>();
    let probes = sum(&["probe_icmp", "probe_tcp", "probe_udp"]);
    let last = ["response_echo_reply", "response_reset", "response_unreachable"];
    assert_eq!(probes, sum(&["response_time_exceeded"]) + sum(&last), "{}", counters.0);
    for name in last {
        assert!(counters.get(name) > 0, "{name}: {}", counters.0);
    }
    // R2 and R1, in each trace, for each query of a hop.
    let traces = u64::try_from(Family::ALL.len() * Protocol::ALL.len()).unwrap();
    let expected = 2 * u64::from(Queries::default().get()) * traces;
    assert_eq!(counters.get("response_time_exceeded"), expected, "{}", counters.0);
}
