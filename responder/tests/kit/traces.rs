//! The program `otherhalf` on a line of R1 and R2: what it finds, and what the responder counts of that.

use otherhalf_engine::Outcome;
use otherhalf_lab::Family;
use serde_json::Value;

use super::bench::{Bench, program};
use super::counters::{Counters, UNASKED};
use super::output;

/// Checks the responder and traces to it and back, by each protocol of each family; each router must be found, by every
/// query. Then stops the responder, which must have dropped nothing. What it counted.
#[track_caller]
pub(crate) fn every_router(bench: Bench) -> Counters {
    let otherhalf = program("otherhalf", "otherhalf-client");
    let www = "www.example.com";
    let run = |arguments: &[&str]| -> Value {
        let mut command = bench.lab.command("client", otherhalf.to_str().unwrap());
        let text = output(command.args(arguments).args(["--json", www]));
        serde_json::from_str(&text).unwrap()
    };
    for family in Family::ALL {
        let check = run(&["check", family.flag()]);
        assert_eq!(check["reverse_traceroute"]["answer"], "speaks", "{check}");
        assert!(check["ping"]["rtt_ms"].is_number(), "{check}");
        let path = |nodes: [&str; 3]| nodes.map(|node| bench.address(node, family).to_string());
        let reverse_path = path(["R2", "R1", "client"]);
        for protocol in ["udp", "tcp", "icmp"] {
            let reverse = run(&["reverse", protocol, family.flag()]);
            assert_eq!(hops(&reverse["reverse"]), reverse_path, "{reverse}");
            let both = run(&["two-way", protocol, family.flag()]);
            assert_eq!(hops(&both["forward"]), path(["R1", "R2", "www"]), "{both}");
            assert_eq!(hops(&both["reverse"]), reverse_path, "{both}");
        }
    }
    // What the program did not wait for has come by when this is answered.
    output(bench.lab.command("client", "ping").args(["-c", "1", "-W", "3", www]));
    let (counters, _lab) = bench.stop();
    let of_kind = |prefix: &str| counters.sum(|outcome| outcome.name().starts_with(prefix));
    // A check asks for a TTL that no probe can have, and for another target than itself.
    let of_checks = [Outcome::RefusedTtl, Outcome::RefusedExtension].map(|o| counters.outcome(o));
    assert!(of_checks.iter().all(|refused| *refused >= 2), "a check for each family: {counters:?}");
    assert_eq!(of_kind("refused_"), of_checks.iter().sum::<u64>(), "{counters:?}");
    assert_eq!(of_kind("probe_"), of_kind("response_"), "every probe was answered, once");
    let dropped = |o: Outcome| o.name().starts_with("drop_") && !UNASKED.contains(&o);
    assert_eq!(counters.sum(dropped), 0, "{counters:?}");
    counters
}

/// The addresses of a trace's hops, each checked to be shown by every query that was answered in time, with a time. That all were answered
/// is for the counters to show.
#[track_caller]
pub(crate) fn hops(trace: &Value) -> Vec<String> {
    assert_eq!(trace["reached"], true, "{trace}");
    let hop = |hop: &Value| {
        let probes = hop["probes"].as_array().unwrap();
        let probes: Vec<_> = probes.iter().filter(|probe| !probe["address"].is_null()).collect();
        let address = probes.first().unwrap_or_else(|| panic!("{trace}"))["address"].as_str();
        let address = address.unwrap();
        for probe in probes {
            assert_eq!(probe["address"], address, "{trace}");
            assert!(probe["rtt_ms"].as_f64().is_some_and(|rtt| rtt > 0.0), "{trace}");
        }
        address.to_owned()
    };
    trace["hops"].as_array().unwrap().iter().map(hop).collect()
}
