//! The program in a network of kernel routers. Needs root; fails without.
//!
//! The target is a kernel host, which speaks plain ping only: the exchange with a responder is tested where the
//! responder is.

use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_lab::{Family, Filter, Kind, Lab, Protocol, Topology};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");
const WWW: &str = "www.example.com";

/// client, R1, R2, www in a row; www is a kernel.
fn topology() -> Topology {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/line.toml");
    let mut topology = Topology::read(file).unwrap();
    topology.node_mut("www").unwrap().kind = Kind::Host;
    topology
}

#[track_caller]
fn build(topology: &Topology) -> Lab {
    Lab::build(topology).unwrap_or_else(|error| panic!("{error}"))
}

fn otherhalf(lab: &Lab, arguments: &[&str]) -> Output {
    lab.command("client", OTHERHALF).args(arguments).output().unwrap()
}

#[track_caller]
fn ends(output: &Output, code: i32) -> (String, String) {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

/// Whether a hop line shows `node` with `times` round-trip times.
#[track_caller]
fn assert_hop(lab: &Lab, line: &str, ttl: usize, node: &str, family: Family, times: usize) {
    let shown = if node == "www" { WWW } else { node };
    let begin = format!("{ttl:2}  {shown} ({})  ", lab.address(node, family));
    assert!(line.starts_with(&begin), "{line} does not begin with {begin}");
    assert_eq!(line.matches(" ms").count(), times, "{line}");
}

#[test]
fn forward_over_every_protocol_and_family() {
    let lab = build(&topology());
    for family in Family::ALL {
        for protocol in ["udp", "tcp", "icmp"] {
            let output = otherhalf(&lab, &["forward", protocol, family.flag(), WWW]);
            let (text, _) = ends(&output, 0);
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 4, "{text}");
            assert!(lines[0].contains(&protocol.to_uppercase()), "{text}");
            for (ttl, node) in [(1, "R1"), (2, "R2"), (3, "www")] {
                assert_hop(&lab, lines[ttl], ttl, node, family, 3);
            }
        }
    }
    let (text, _) = ends(&otherhalf(&lab, &["forward", "-n", "-q", "1", "-f", "2", "-4", WWW]), 0);
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with(" 2  192.0.2.1  "), "{text}");
}

#[test]
fn json_says_the_same() {
    let lab = build(&topology());
    let (text, _) = ends(&otherhalf(&lab, &["forward", "--json", "tcp", "-6", WWW]), 0);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["target"]["address"], lab.address("www", Family::V6).to_string());
    assert_eq!(document["source"], lab.address("client", Family::V6).to_string());
    let forward = &document["forward"];
    assert_eq!(
        (&forward["protocol"], &forward["flow"], &forward["reached"]),
        (&"tcp".into(), &80.into(), &true.into())
    );
    let hops = forward["hops"].as_array().unwrap();
    assert_eq!(hops.len(), 3);
    for (hop, name) in hops.iter().zip(["R1", "R2", WWW]) {
        for probe in hop["probes"].as_array().unwrap() {
            let address = probe["address"].as_str().unwrap();
            assert_eq!(document["hosts"][address]["name"], name);
            let rtt = probe["rtt_ms"].as_f64().unwrap();
            assert!((0.0..1000.0).contains(&rtt));
        }
    }
    assert_eq!(hops[0]["probes"][0]["reply"]["kind"], "time_exceeded");
    assert_eq!(hops[2]["probes"][0]["reply"]["kind"], "direct");
}

#[test]
fn a_target_that_speaks_plain_ping_only() {
    let lab = build(&topology());
    for family in Family::ALL {
        let start = Instant::now();
        for command in ["check", "reverse", "two-way"] {
            let (text, err) = ends(&otherhalf(&lab, &[command, family.flag(), WWW]), 3);
            assert!(err.contains("answers ping, but does not speak reverse traceroute"), "{err}");
            assert_eq!(err.lines().count(), 1, "{err}");
            assert_eq!(text.contains("answers ping: "), command == "check", "{text}");
            // The forward half is shown all the same.
            assert_eq!(text.contains("R2 ("), command == "two-way", "{text}");
        }
        assert!(start.elapsed() < Duration::from_secs(9), "nothing is waited for in vain");
        let document: Value = serde_json::from_slice(
            &otherhalf(&lab, &["check", "--json", family.flag(), WWW]).stdout,
        )
        .unwrap();
        assert_eq!(document["reverse_traceroute"]["answer"], "ping_only");
        assert_eq!(document["exit_code"], 3);
        let both = otherhalf(&lab, &["two-way", "--json", family.flag(), WWW]);
        let document: Value = serde_json::from_slice(&both.stdout).unwrap();
        assert!(document["finding"].is_null() && document["forward"]["reached"] == true);
    }
}

#[test]
fn silence() {
    let mut topology = topology();
    for node in ["R1", "www"] {
        topology.node_mut(node).unwrap().silent = true;
    }
    let lab = build(&topology);
    for family in Family::ALL {
        let quick = ["-w", "0.5", "-q", "1"];
        let run =
            |command| otherhalf(&lab, &[&[command, family.flag()], &quick[..], &[WWW]].concat());
        let (text, err) = ends(&run("check"), 4);
        assert!(text.contains("does not answer ping") && err.contains("does not answer"), "{err}");
        let (_, err) = ends(&run("reverse"), 4);
        assert!(err.contains("no answer from www.example.com, neither to ping nor"), "{err}");
        let (text, err) = ends(&run("forward"), 1);
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(lines.len(), 2 + 5, "R1, R2 and the gap: {text}");
        assert_eq!(lines[0], " 1  *");
        assert_hop(&lab, lines[1], 2, "R2", family, 1);
        assert!(lines[2..].iter().all(|line| line.ends_with('*')), "{text}");
        assert!(err.contains("5 silent hops"), "{err}");
    }
}

#[test]
fn a_filter_on_the_way_is_annotated() {
    let mut topology = topology();
    let filter = |protocol| Filter { protocol, to: "www".to_owned() };
    topology.node_mut("R2").unwrap().filter =
        [Protocol::Udp, Protocol::Tcp, Protocol::Icmp].map(filter).into();
    let lab = build(&topology);
    for family in Family::ALL {
        for protocol in ["udp", "tcp", "icmp"] {
            let output = otherhalf(&lab, &["forward", protocol, family.flag(), WWW]);
            let (text, err) = ends(&output, 1);
            let last = text.lines().last().unwrap();
            assert!(last.contains("R2 (") && last.contains(" ms !X"), "{text}");
            assert!(err.contains("administratively prohibited"), "{err}");
        }
        // A request is an echo request, so it meets the filter too.
        let (text, err) = ends(&otherhalf(&lab, &["reverse", family.flag(), WWW]), 4);
        assert!(err.contains("requests do not reach www.example.com"), "{err}");
        assert_eq!(text.lines().count(), 1, "no hop was probed: {text}");
    }
}

#[test]
fn a_host_that_is_not_there() {
    let lab = build(&topology());
    // R2 gives up asking for its neighbour after three seconds.
    let (text, err) = ends(&otherhalf(&lab, &["forward", "-q", "1", "192.0.2.99"]), 1);
    assert!(text.lines().last().unwrap().ends_with(" ms !H"), "{text}");
    assert!(err.contains("host unreachable"), "{err}");
}

#[test]
fn no_route() {
    let lab = build(&topology());
    let delete = lab.command("client", "ip").args(["route", "del", "default"]).status().unwrap();
    assert!(delete.success());
    let (_, err) = ends(&otherhalf(&lab, &["forward", "203.0.113.1"]), 1);
    assert!(err.contains("no route to 203.0.113.1"), "{err}");
}

#[test]
fn the_capability_alone_is_enough() {
    let lab = build(&topology());
    let mut command = lab.command("client", "setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw"]);
    command.args(["--bounding-set=-all,+net_raw", "/bin/sh", "-c"]);
    // The target folder may be closed to others: the shell gets the program as an open file.
    command.arg("exec /proc/self/fd/0 forward -n -4 www.example.com");
    command.stdin(std::fs::File::open(OTHERHALF).unwrap());
    ends(&command.output().unwrap(), 0);
}

#[test]
fn a_routing_loop_is_named() {
    let lab = build(&topology());
    let [client, www] = ["client", "www"].map(|node| lab.address(node, Family::V4).to_string());
    // R2 sends what is for www back where it came from.
    let route = lab.command("R2", "ip").args(["-o", "route", "get", &client]).output().unwrap();
    let route = String::from_utf8(route.stdout).unwrap();
    let mut words = route.split_whitespace().skip_while(|word| *word != "via");
    let via = words.nth(1).unwrap();
    let change = ["route", "replace", &format!("{www}/32"), "via", via];
    assert!(lab.command("R2", "ip").args(change).status().unwrap().success());
    let output = otherhalf(&lab, &["forward", "-n", "-q", "1", "-w", "1", "-m", "9", &www]);
    let (_, err) = ends(&output, 1);
    assert!(
        err.contains("longer than 9 hops; it is a routing loop: from hop 1 on, packets"),
        "{err}"
    );
    assert!(err.contains("go round through 2 routers ("), "{err}");
}

#[test]
fn verbose_it_says_what_it_does() {
    let lab = build(&topology());
    let run = |level| otherhalf(&lab, &["forward", "-n", "-q", "1", "-4", level, WWW]);
    let (_, err) = ends(&run("-v"), 0);
    for words in [
        "configuration file: none",
        "over UDP, at most 200 queries a second",
        "forward: sent ",
        "ended as its end was reached",
    ] {
        assert!(err.contains(words), "{words}: {err}");
    }
    assert!(!err.contains("TRACE"), "{err}");
    let (_, err) = ends(&run("-vv"), 0);
    assert!(err.contains("sent query=") && err.contains("came answer="), "{err}");
}

#[test]
fn interrupted_it_prints_what_it_knows() {
    let mut topology = topology();
    topology.node_mut("www").unwrap().silent = true;
    let lab = build(&topology);
    let mut command = lab.command("client", OTHERHALF);
    command.args(["forward", "-w", "60", "-n", "-4", WWW]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // Long after the routers answered, long before the wait is over.
    thread::sleep(Duration::from_secs(1));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let (text, err) = ends(&child.wait_with_output().unwrap(), 130);
    assert_eq!(err, "otherhalf: interrupted\n");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains(" 2  192.0.2.1  "), "{text}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lab = build(&topology());
    let mut command = lab.command("client", "/bin/bash");
    // The hops come after the reader has gone.
    let pipe = "set -o pipefail; \"$0\" forward -z 300 -q 1 -4 www.example.com | head -n 1";
    command.args(["-c", pipe, OTHERHALF]);
    let (text, err) = ends(&command.output().unwrap(), 0);
    assert_eq!((text.lines().count(), err.as_str()), (1, ""));
}

#[test]
fn events_as_they_happen_and_the_text_besides() {
    let lab = build(&topology());
    let (lines, _) = ends(&otherhalf(&lab, &["forward", "--stream", "-4", WWW]), 0);
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("start", "result"), "{lines}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "end").count(), 1, "{lines}");
    assert!(kinds.iter().filter(|kind| **kind == "answer").count() >= 9, "{lines}");
    let schema = serde_json::to_value(otherhalf_client::document::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for event in &events {
        assert!(validator.is_valid(event), "{event:#}");
    }
    // The same in a file, and the text where it always is.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json");
    let saved = file.to_str().unwrap();
    let (text, _) = ends(&otherhalf(&lab, &["forward", "-o", saved, "-4", WWW]), 0);
    assert_eq!(text.lines().count(), 4, "{text}");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert!(validator.is_valid(&document), "{document:#}");
    assert_eq!(document["forward"]["hops"].as_array().unwrap().len(), 3);
}

#[test]
fn the_packets_themselves() {
    let lab = build(&topology());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.pcap");
    let saved = file.to_str().unwrap();
    for (family, arrow) in [(Family::V4, "IP "), (Family::V6, "IP6 ")] {
        let format = ["forward", "udp", "--format", "pcap", "-q", "1", "-o", saved];
        ends(&otherhalf(&lab, &[&format[..], &[family.flag(), WWW]].concat()), 0);
        let read = std::process::Command::new("tcpdump").args(["-nn", "-r", saved]).output();
        let (packets, _) = ends(&read.unwrap(), 0);
        let www = lab.address("www", family).to_string();
        let sent = format!("> {www}.33434: UDP");
        assert!(packets.lines().all(|line| line.contains(arrow)), "{packets}");
        assert!(packets.lines().filter(|line| line.contains(&sent)).count() >= 3, "{packets}");
        let exceeded =
            if family == Family::V4 { "time exceeded" } else { "time exceeded in-transit" };
        assert_eq!(packets.matches(exceeded).count(), 2, "{packets}");
        assert!(packets.contains("unreachable"), "{packets}");
    }
}
