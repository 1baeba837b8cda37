//! The topologies that come with it, and what wrong ones are told.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use otherhalf_client::{Direction, End, Options, Secret, Trace, network};
use otherhalf_simnet::{Error, SimNetwork, Topology};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

fn files() -> Vec<(String, Topology)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let topology = Topology::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, topology)
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

fn trace(topology: &Topology, direction: Direction, family: Family) -> Trace {
    let mut network = SimNetwork::new(topology.clone(), family, 1);
    let [us, www] = [network.source(), network.target()];
    let options = Options::new(direction, Protocol::Udp, us, www);
    let mut traces = [Trace::new(options, Secret::from_bytes([1; 16]))];
    network::run(&mut network, &mut traces, |_, _| ControlFlow::Continue(())).unwrap();
    let [trace] = traces;
    trace
}

#[test]
fn every_file_can_be_traced_and_shows_nothing_that_is_not_there() {
    let files = files();
    assert!(files.len() >= 15);
    for (name, topology) in files {
        assert!(!topology.description.is_empty(), "{name}");
        for family in [Family::V4, Family::V6] {
            for direction in [Direction::Forward, Direction::Reverse] {
                let trace = trace(&topology, direction, family);
                let truth = topology.truth(direction, 30);
                for hop in trace.hops() {
                    let real: BTreeSet<_> = truth
                        .nodes
                        .get(&hop.ttl().get())
                        .into_iter()
                        .flatten()
                        .filter_map(|node| topology.address(node, family))
                        .collect();
                    let outer = topology.nodes.values().filter_map(|node| node.translates_to);
                    let real: BTreeSet<_> = real.into_iter().chain(outer.map(Into::into)).collect();
                    // A filter answers for all that is behind it.
                    let filter = topology.nodes.iter().find(|(_, node)| node.filters);
                    let filter = filter.and_then(|(node, _)| topology.address(node, family));
                    let real: BTreeSet<_> = real.into_iter().chain(filter).collect();
                    assert!(
                        hop.addresses().iter().all(|from| real.contains(from)),
                        "{name} {direction} {}: {:?}",
                        hop.ttl(),
                        hop.addresses()
                    );
                }
                let end = trace.end().unwrap();
                match (name.as_str(), direction) {
                    ("loop", Direction::Forward) => assert_eq!(*end, End::LastTtl),
                    ("loop" | "refuses" | "mirrors" | "filter", Direction::Reverse) => {
                        assert!(!trace.is_reached(), "{name}");
                    }
                    _ => assert!(trace.is_reached(), "{name} {direction} {family:?}: {end:?}"),
                }
            }
        }
    }
}

#[test]
fn the_same_seed_the_same_network() {
    let (_, topology) = files().into_iter().find(|(name, _)| name == "weather").unwrap();
    let [a, b] = [0; 2].map(|_| {
        let trace = trace(&topology, Direction::Reverse, Family::V4);
        let rtts: Vec<_> = trace
            .hops()
            .iter()
            .map(|hop| hop.samples().map(|sample| (sample.from, sample.rtt)).collect::<Vec<_>>())
            .collect();
        rtts
    });
    assert_eq!(a, b);
}

#[test]
fn wrong_ones_are_told_what_is_wrong() {
    let line = "client = \"us\"\nserver = \"www\"\n[node.us]\nto_server = [\"r\"]\n\
                [node.r]\nto_server = [\"www\"]\nto_client = [\"us\"]\n\
                [node.www]\nto_client = [\"r\"]\n";
    assert!(Topology::parse(line).is_ok());
    let cases = [
        (
            line.replace("[\"www\"]", "[\"ww\"]"),
            "[node.r] names the node \"ww\", which does not exist",
        ),
        (line.replace("server = \"www\"\n[", "server = \"w\"\n["), "server names the node \"w\""),
        (
            line.replace("to_client = [\"us\"]\n", ""),
            "to_client traffic ends at the node \"r\": give it to_client = [...]",
        ),
        (line.replace("[\"www\"]", "[{ to = \"www\", weight = 0 }]"), "a weight is 1 or more"),
        (
            line.replace("[node.r]\n", "[node.r]\nrate = { per_second = 0 }\n"),
            "a rate is more than 0",
        ),
        (
            format!("{line}[weather]\nloss = 2\n"),
            "[weather]: loss, duplicates and reorder are chances",
        ),
        (format!("{line}[[link]]\nbetween = [\"us\", \"x\"]\n"), "names the node \"x\""),
        (
            format!("{line}[[link]]\nbetween = [\"us\", \"r\"]\ndelay_ms = -1\n"),
            "delay_ms is 0 to 60000",
        ),
        (format!("{line}address = \"198.51.100.1\"\n"), "have the same address"),
        (format!("{line}colour = \"red\"\n"), "unknown field `colour`"),
    ];
    for (text, said) in cases {
        let error = Topology::parse(&text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}\nwithout: {said}");
    }
    assert!(matches!(Topology::read("nowhere.toml"), Err(Error::File { .. })));
}
