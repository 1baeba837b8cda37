//! Multipath traces through kernels that balance: forward, to a kernel. Needs root; fails without.
//!
//! The way back is traced where the responder is (`responder/tests/e2e_tap.rs`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use otherhalf_lab::{Family, Kind, Lab, Topology};
use serde_json::Value;

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");
const WWW: &str = "www.example.com";

/// client, N, A, four ways, B, www, which is a kernel.
fn topology() -> Topology {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/diamond.toml");
    let mut topology = Topology::read(file).unwrap();
    topology.node_mut("www").unwrap().kind = Kind::Host;
    topology
}

#[track_caller]
fn trace(lab: &Lab, arguments: &[&str]) -> Value {
    let mut command = lab.command("client", OTHERHALF);
    let output =
        command.args(["forward", "--multipath", "--json"]).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{said}");
    serde_json::from_str(&text).unwrap()
}

/// Who was found at `ttl`.
fn found(graph: &Value, ttl: u64) -> BTreeSet<IpAddr> {
    let nodes = graph["nodes"].as_array().unwrap().iter().filter(|node| node["ttl"] == ttl);
    nodes.map(|node| node["address"].as_str().unwrap().parse().unwrap()).collect()
}

fn addresses(lab: &Lab, nodes: &[&str], family: Family) -> BTreeSet<IpAddr> {
    nodes.iter().map(|node| lab.address(node, family)).collect()
}

const WAYS: [&str; 4] = ["M1", "M2", "M3", "M4"];

#[track_caller]
fn assert_diamond(lab: &Lab, graph: &Value, family: Family) {
    for (ttl, nodes) in [(1, &["N"][..]), (2, &["A"]), (3, &WAYS), (4, &["B"]), (5, &["www"])] {
        assert_eq!(found(graph, ttl), addresses(lab, nodes, family), "{graph}");
    }
    assert_eq!(graph["links"].as_array().unwrap().len(), 2 + 4 + 4 + 1, "{graph}");
    let [balancer] = graph["balancers"].as_array().unwrap().as_slice() else { panic!("{graph}") };
    assert_eq!((&balancer["balancing"], &balancer["branches"]), (&"per_flow".into(), &4.into()));
    assert!(balancer["confidence"].as_f64().is_some_and(|chance| chance > 0.95), "{balancer}");
    let node = usize::try_from(balancer["node"].as_u64().unwrap()).unwrap();
    assert_eq!(graph["nodes"][node]["address"], lab.address("A", family).to_string());
}

#[test]
fn every_way_of_udp_and_tcp() {
    let lab = Lab::build(&topology()).unwrap_or_else(|error| panic!("{error}"));
    for family in Family::ALL {
        for protocol in ["udp", "tcp"] {
            // That a way is missed has a chance of less than a millionth: these kernels do not lose packets.
            let document = trace(&lab, &["--confidence", "99.9999", protocol, family.flag(), WWW]);
            assert_diamond(&lab, &document["forward"]["multipath"], family);
            println!(
                "{protocol} {}: {} queries at 99.9999 %",
                family.flag(),
                document["forward"]["sent"]
            );
        }
        // Kernels do not look at the checksum of ICMP: one flow, one way.
        let document = trace(&lab, &["icmp", family.flag(), WWW]);
        let graph = &document["forward"]["multipath"];
        let way = found(graph, 3);
        assert!(way.len() == 1 && way.is_subset(&addresses(&lab, &WAYS, family)), "{graph}");
        assert_eq!(graph["balancers"], serde_json::json!([]));
    }
}

#[test]
fn what_a_translator_does_changes_nothing() {
    let mut topology = topology();
    topology.node_mut("N").unwrap().masquerade = Some("A".to_owned());
    let client = topology.node_mut("client").unwrap();
    client.v4 = "192.168.1.10".parse().unwrap();
    client.v6 = "fd00::10".parse().unwrap();
    let lab = Lab::build(&topology).unwrap_or_else(|error| panic!("{error}"));
    for family in Family::ALL {
        let document = trace(&lab, &["--confidence", "99.9999", "tcp", family.flag(), WWW]);
        assert_diamond(&lab, &document["forward"]["multipath"], family);
    }
}

#[test]
fn the_graph_as_text() {
    let lab = Lab::build(&topology()).unwrap_or_else(|error| panic!("{error}"));
    let mut command = lab.command("client", OTHERHALF);
    let arguments = ["forward", "--multipath", "--confidence", "99.9999", "-4", WWW];
    let output = command.args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let lines: Vec<_> = text.lines().collect();
    println!("{text}");
    assert!(lines[0].contains("all flows from 33434 on, confidence 99.9999 %"), "{text}");
    assert_eq!(lines[2], "Forward: from here to www.example.com");
    assert!(lines[4].starts_with(" 2  A (198.51.100.1)  "), "{text}");
    assert!(
        lines[5].starts_with("      balances by flow (") && lines[5].contains("over 4 next hops")
    );
    assert!(lines[6].starts_with(" 3  M1 (203.0.113.1)  "), "{text}");
    assert!(lines[7].starts_with("    M2 (203.0.113.2)  "), "{text}");
    assert!(
        text.contains("4 paths, 1 balancer. With a confidence of 99.9 % there is no more"),
        "{text}"
    );
}

#[test]
fn events_as_they_happen() {
    let lab = Lab::build(&topology()).unwrap_or_else(|error| panic!("{error}"));
    let mut command = lab.command("client", OTHERHALF);
    let output = command.args(["forward", "--multipath", "--stream", "-4", WWW]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_kind = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((&events[0]["event"], of_kind("start")), (&"start".into(), 1), "{text}");
    assert_eq!(events[0]["traces"][0]["max_flows"], 512, "{text}");
    assert_eq!(of_kind("end"), 1, "{text}");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], of_kind("result")), (&"result".into(), 1), "{text}");
    // What the document has was told of before.
    let hops = last["document"]["forward"]["hops"].as_array().unwrap();
    assert_eq!(hops.len(), 5, "{text}");
    for hop in hops {
        for probe in hop["probes"].as_array().unwrap().iter().filter(|probe| !probe.is_null()) {
            let told = events.iter().filter(|event| {
                (&event["event"], &event["ttl"], &event["probe"])
                    == (&"answer".into(), &hop["ttl"], probe)
            });
            assert_eq!(told.count(), 1, "{probe}");
        }
    }
}

#[test]
fn a_kernel_that_balances_by_destination() {
    let lab = Lab::build(&topology()).unwrap_or_else(|error| panic!("{error}"));
    // Addresses alone, which is Linux's default.
    // In IPv6 the kernel hashes the flow label besides, which is another for each flow.
    let setting = ["-q", "-w", "net.ipv4.fib_multipath_hash_policy=0"];
    assert!(lab.command("A", "sysctl").args(setting).status().unwrap().success());
    let alone = trace(&lab, &["--confidence", "99.9999", "-4", WWW]);
    assert_eq!(alone["forward"]["multipath"]["balancers"], serde_json::json!([]));
    // More destinations, so that not all of them go by the same of four ways.
    let document = trace(&lab, &["--by-destination", "--confidence", "99.9999", "-4", WWW]);
    let graph = &document["forward"]["multipath"];
    let [balancer] = graph["balancers"].as_array().unwrap().as_slice() else { panic!("{graph}") };
    assert_eq!(balancer["balancing"], "per_destination", "{graph}");
    let node = usize::try_from(balancer["node"].as_u64().unwrap()).unwrap();
    assert_eq!(graph["nodes"][node]["address"], lab.address("A", Family::V4).to_string());
    assert_eq!(found(graph, 3).len(), 1, "{graph}");
}
