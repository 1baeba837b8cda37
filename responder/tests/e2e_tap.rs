//! `otherhalfd` on a tap behind kernel routers, end to end. Needs root; fails without.
//!
//! Each test brings up a network and a responder of its own, so they run side by side; at the end of
//! each, every frame that the responder received is accounted for.

mod kit;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use kit::bench::{Bench, Probe, Second, Settings, program, topology};
use kit::crowd::Crowds;
use kit::drops::{frames_that_no_router_passes_on, what_routers_pass_on};
use kit::exchange::{PROTOCOLS, choices_and_refusals, closed_ports, every_answer, ping};
use kit::flood::Flood;
use kit::indirect;
use kit::packet::RESPONDER_MAC;
use kit::refusals::{bogons_are_ignored, padding_is_demanded, the_other_port_is_ignored};
use kit::routers::{
    make_silent_and_filtering, neighbours_forget_and_change, options_extension_headers_and_padding,
    silent_and_filtering,
};
use kit::traces::every_router;
use kit::{of, output};
use otherhalf_engine::Outcome;
use otherhalf_lab::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::Refusal;
use serde_json::Value;

#[test]
fn every_protocol_and_answer() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    every_answer(&mut bench);
    choices_and_refusals(&mut bench);
    closed_ports(&mut bench);
    bench.finish();
}

#[test]
fn another_configuration_while_it_runs() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    let hop = |bench: &mut Bench, protocol| {
        let probe = Probe { protocol, ttl: 1, flow: 53 };
        bench.hop(Family::V4, probe, "R2", Outcome::ResponseTimeExceeded);
    };
    hop(&mut bench, Protocol::Udp);
    bench.reload("\n[probe.udp]\nenabled = false\n");
    let udp = (17, 1, 53);
    bench.refused(Family::V4, udp, Refusal::Protocol, Outcome::RefusedProtocol);
    // Whatever else is as it was, known neighbours too.
    hop(&mut bench, Protocol::Tcp);
    bench.finish();
}

#[test]
fn draining_answers_what_waits_and_takes_nothing_new() {
    let mut topology = topology("line.toml");
    topology.node_mut("R2").unwrap().silent = true;
    let far = topology.links.iter_mut().find(|link| link.peer_of("R1") == Some("R2")).unwrap();
    far.delay_ms = 400;
    let settings = Settings { drain_ms: 20_000, ..Settings::default() };
    let mut bench = Bench::on_tap(&topology, &settings);
    let probe = |ttl| Probe { protocol: Protocol::Udp, ttl, flow: 53 };
    // One that nobody answers keeps the responder draining until it has timed out.
    let (silent, answered) =
        (bench.request(Family::V4, probe(1)), bench.request(Family::V4, probe(2)));
    let start = Instant::now();
    for request in [silent, answered] {
        bench.client(Family::V4).send(request);
        bench.expect(Outcome::ProbeUdp, 1);
    }
    // The requests are half a second under way, and the answer to the second one the same again.
    thread::sleep(Duration::from_millis(600));
    bench.drain();
    // Another configuration does not bring it back.
    bench.reload("\n[probe.icmp]\nenabled = false\n");
    let late = bench.request(Family::V4, probe(2));
    bench.client(Family::V4).send(late);
    bench.expect(Outcome::DropDraining, 1);
    let hop = bench.address("R1", Family::V4);
    bench.client(Family::V4).receive_hop(
        answered.identifier,
        hop,
        start,
        "the answer while draining",
    );
    bench.expect(Outcome::ResponseTimeExceeded, 1);
    let log = bench.finish_drained();
    assert!(log.contains("drained: no probe waits for an answer"), "{log}");
    assert!(log.contains("reason=told to, and drained"), "{log}");
}

#[test]
fn in_a_vlan() {
    let settings = Settings { vlan: Some(100), ..Settings::default() };
    let mut bench = Bench::on_tap(&topology("vlan.toml"), &settings);
    every_answer(&mut bench);
    for family in Family::ALL {
        let www = bench.address("www", family);
        ping(&mut bench, www, 3, 1400, &["-i", "0.01"]);
    }
    bench.finish();
}

#[test]
fn routers_that_are_silent_or_filter() {
    let mut topology = topology("line.toml");
    make_silent_and_filtering(&mut topology);
    let mut bench = Bench::on_tap(&topology, &Settings::default());
    silent_and_filtering(&mut bench);
    bench.finish();
}

#[test]
fn requests_with_options_extension_headers_and_padding() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    options_extension_headers_and_padding(&mut bench);
    bench.finish();
}

#[test]
fn packets_that_are_dropped() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    what_routers_pass_on(&mut bench);
    bench.finish();
}

#[test]
fn frames_that_are_dropped() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    frames_that_no_router_passes_on(&mut bench);
    bench.finish();
}

#[test]
fn neighbours() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    neighbours_forget_and_change(&mut bench);
    bench.finish();
}

#[test]
fn two_workers() {
    let settings = Settings { workers: 2, ..Settings::default() };
    let mut bench = Bench::on_tap(&topology("line.toml"), &settings);
    for family in Family::ALL {
        let mut crowds = Crowds::gather(&bench.lab, family, 9);
        for (protocol, flow, at_client) in PROTOCOLS {
            let exceeded = Outcome::ResponseTimeExceeded;
            crowds.hop(&mut bench, Probe { protocol, ttl: 1, flow }, "R2", exceeded);
            crowds.hop(&mut bench, Probe { protocol, ttl: 2, flow }, "R1", exceeded);
            crowds.hop(&mut bench, Probe { protocol, ttl: 3, flow }, "client", at_client);
        }
    }
    bench.finish();
}

#[test]
fn replies_leave_by_the_port_of_their_route() {
    // Those asked for by R2 leave by R3, whose own answers come in by the second port, the others' by
    // the first one.
    two_ports(
        "route",
        "R3",
        [Passed { received: 18 + 12, sent: 0 }, Passed { received: 42, sent: 72 }],
    );
}

#[test]
fn replies_leave_by_the_port_of_their_request() {
    two_ports("hairpin", "R2", [Passed { received: 36, sent: 36 }; 2]);
}

/// Frames that passed a port, without neighbours' talk.
#[derive(Clone, Copy)]
struct Passed {
    received: u64,
    sent: u64,
}

/// Traces from a responder with a port at R2, and another at R3, which its routes lead to: 18 probes
/// are asked for at the address of each port. Those that are asked for by R2 meet `first` first.
#[track_caller]
fn two_ports(reply_path: &'static str, first: &str, expected: [Passed; 2]) {
    let settings = Settings {
        second: Second::TapThere,
        routes_of: Some("www2"),
        reply_path,
        ..Settings::default()
    };
    let mut bench = Bench::on_tap(&topology("exchange.toml"), &settings);
    for (responder, first) in [("www", first), ("www2", "R3")] {
        bench.ask_at(responder);
        for family in Family::ALL {
            for (protocol, flow, at_client) in PROTOCOLS {
                let exceeded = Outcome::ResponseTimeExceeded;
                bench.hop(family, Probe { protocol, ttl: 1, flow }, first, exceeded);
                bench.hop(family, Probe { protocol, ttl: 2, flow }, "R1", exceeded);
                bench.hop(family, Probe { protocol, ttl: 3, flow }, "client", at_client);
            }
        }
    }
    let (counters, _) = bench.finish();
    // Neighbours may talk at any port, so each has these at least; in all there are no more.
    for (port, Passed { received, sent }) in expected.into_iter().enumerate() {
        assert!(counters.port(port, "received") >= received, "{port}: {counters:?}");
        assert!(counters.port(port, "sent") >= sent, "{port}: {counters:?}");
    }
}

#[test]
fn ping_by_the_systems_own() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    for family in Family::ALL {
        let www = bench.address("www", family);
        let largest = *of(family, &[1472, 1452]);
        for size in [0, 1, 56, 1400, largest] {
            ping(&mut bench, www, 3, size, &["-i", "0.01"]);
        }
        ping(&mut bench, www, 300, 56, &["-f"]);
        ping(&mut bench, www, 200, 1400, &["-i", "0.002"]);
    }
    bench.finish();
}

#[test]
fn the_first_request_of_an_unknown_neighbour_is_answered() {
    // No routes, so nobody is asked before there is a reason to.
    let settings = Settings { routes_of: None, ..Settings::default() };
    let mut bench = Bench::on_tap(&topology("direct.toml"), &settings);
    for family in Family::ALL {
        // The client knows the responder, so it never asks, and the responder must.
        let (www, mac) = (bench.address("www", family).to_string(), RESPONDER_MAC.to_string());
        let known = ["neigh", "replace", &www, "lladdr", &mac, "dev", "to-www", "nud", "permanent"];
        output(bench.lab.command("client", "ip").args(known));
        for (protocol, flow, at_client) in PROTOCOLS {
            bench.hop(family, Probe { protocol, ttl: 1, flow }, "client", at_client);
        }
        bench.expect(Outcome::NeighbourLearned, 1);
    }
    let (counters, _) = bench.finish();
    assert!(counters.get("solicitations_sent") >= 2, "one for each family");
}

#[test]
fn the_client_finds_every_router() {
    every_router(Bench::on_tap(&topology("line.toml"), &Settings::default()));
}

/// The diamond, with the client behind N, which masquerades if that is wanted.
fn diamond(masquerade: bool) -> Bench {
    let mut topology = topology("diamond.toml");
    if masquerade {
        topology.node_mut("N").unwrap().masquerade = Some("A".to_owned());
        let client = topology.node_mut("client").unwrap();
        client.v4 = "192.168.1.10".parse().unwrap();
        client.v6 = "fd00::10".parse().unwrap();
    }
    Bench::on_tap(&topology, &Settings::default())
}

#[test]
fn the_client_finds_every_way_back() {
    let otherhalf = program("otherhalf", "otherhalf-client");
    for masquerade in [false, true] {
        let bench = diamond(masquerade);
        for family in Family::ALL {
            for protocol in ["udp", "tcp"] {
                let mut command = bench.lab.command("client", otherhalf.to_str().unwrap());
                let arguments = ["two-way", "--multipath", "--json", "--confidence", "99.9999"];
                let start = Instant::now();
                let text = output(command.args(arguments).args([protocol, family.flag(), "www"]));
                let took = start.elapsed();
                let document: Value = serde_json::from_str(&text).unwrap();
                let ways = |first: char| -> Vec<String> {
                    let way = |n| bench.address(&format!("{first}{n}"), family).to_string();
                    (1..=4).map(way).collect()
                };
                let one = |node| vec![bench.address(node, family).to_string()];
                // A translator hides the client behind its own address.
                let us = if masquerade { one("N") } else { one("client") };
                let there = [one("N"), one("A"), ways('M'), one("B"), one("www")];
                let back = [one("B"), ways('W'), one("A"), one("N"), us];
                for (direction, real) in [("forward", there), ("reverse", back)] {
                    let path = &document[direction];
                    assert_eq!(path["reached"], true, "{path}");
                    assert_eq!(layers(&path["multipath"]), real, "{direction}: {path}");
                    println!(
                        "{direction} {protocol} {}{}: {} queries",
                        family.flag(),
                        if masquerade { " behind a NAT" } else { "" },
                        path["sent"]
                    );
                }
                println!("both: {took:?}");
            }
        }
        bench.stop();
    }
}

/// The addresses of a graph at each TTL from 1 on, in their order.
#[track_caller]
fn layers(graph: &Value) -> Vec<Vec<String>> {
    let mut layers: Vec<Vec<IpAddr>> = Vec::new();
    for node in graph["nodes"].as_array().unwrap().iter().skip(1) {
        let ttl = usize::try_from(node["ttl"].as_u64().unwrap()).unwrap();
        layers.resize(layers.len().max(ttl), Vec::new());
        layers[ttl - 1].push(node["address"].as_str().unwrap().parse().unwrap());
    }
    layers
        .into_iter()
        .map(|mut layer| {
            layer.sort();
            layer.iter().map(ToString::to_string).collect()
        })
        .collect()
}

#[test]
fn a_client_pads_when_it_is_told_to() {
    let settings =
        Settings { more: "\n[requests]\nmax_amplification = 1.0\n", ..Settings::default() };
    padding_is_demanded(Bench::on_tap(&topology("line.toml"), &settings));
}

#[test]
fn who_has_an_address_of_nobody_is_ignored() {
    let settings = Settings { more: "\n[requests]\nbogons = \"drop\"\n", ..Settings::default() };
    bogons_are_ignored(Bench::on_tap(&topology("line.toml"), &settings));
}

#[test]
fn who_comes_in_by_the_wrong_port_is_ignored() {
    let settings = Settings {
        second: Second::TapThere,
        routes_of: Some("www2"),
        more: "\n[requests]\nstrict_source = true\n",
        ..Settings::default()
    };
    the_other_port_is_ignored(Bench::on_tap(&topology("exchange.toml"), &settings));
}

/// The configuration of a responder that has others traced for the clients of the networks here, whose addresses are of documentation prefixes.
const INDIRECT: &str =
    "\n[indirect]\nallow = [\"198.51.100.0/24\", \"2001:db8:a::/48\"]\nprivate_targets = true\n";

#[test]
fn others_are_traced_for_who_may() {
    let settings = Settings { more: INDIRECT, ..Settings::default() };
    let mut bench = Bench::on_tap(&topology("third.toml"), &settings);
    indirect::every_answer(&mut bench, &["R2", "R3", "R4"]);
    bench.finish();
}

/// Probes leave by the one port, the responses to them by the other one.
#[test]
fn others_are_traced_by_another_port() {
    let more = format!(
        "{INDIRECT}[[route]]\nto = \"203.0.113.128/25\"\nvia = \"203.0.113.1\"\n\
         [[route]]\nto = \"2001:db8:d::/48\"\nvia = \"2001:db8:c::1\"\n"
    );
    let settings = Settings { second: Second::TapThere, more: more.leak(), ..Settings::default() };
    let mut bench = Bench::on_tap(&topology("third.toml"), &settings);
    indirect::every_answer(&mut bench, &["R3", "R4"]);
    // At the address of that port, which the answers come in by.
    bench.ask_at("www2");
    indirect::every_answer(&mut bench, &["R3", "R4"]);
    bench.finish();
}

#[test]
fn others_are_not_traced_for_who_may_not() {
    let mut bench = Bench::on_tap(&topology("third.toml"), &Settings::default());
    indirect::who_may_not_and_whom(&mut bench);
    bench.finish();
}

#[test]
fn the_client_has_others_traced() {
    let settings = Settings { more: INDIRECT, ..Settings::default() };
    indirect::by_the_program(Bench::on_tap(&topology("third.toml"), &settings));
}

/// Lists in files, which a reload compares by what they say.
#[test]
fn prefixes_are_denied_and_allowed_again_while_it_runs() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    let hop = |bench: &mut Bench, family| {
        let probe = Probe { protocol: Protocol::Udp, ttl: 1, flow: 53 };
        bench.hop(family, probe, "R2", Outcome::ResponseTimeExceeded);
    };
    let lost = |bench: &mut Bench, family, outcome| {
        let request = bench.request(family, Probe { protocol: Protocol::Udp, ttl: 1, flow: 53 });
        bench.client(family).send(request);
        bench.expect(outcome, 1);
        // It is there long before the next reload.
        thread::sleep(Duration::from_millis(300));
    };
    bench.write("deny", "");
    bench.write("opt-out", "");
    bench.reload("\n[access]\ndeny_files = [\"deny\"]\n[opt_out]\nfiles = [\"opt-out\"]\n");
    for family in Family::ALL {
        hop(&mut bench, family);
    }
    bench.write("deny", "0.0.0.0/0 # all\n");
    bench.write("opt-out", "::/0\n");
    bench.reload("");
    lost(&mut bench, Family::V4, Outcome::DropDenied);
    lost(&mut bench, Family::V6, Outcome::DropOptedOut);
    // What is wrong changes nothing.
    bench.write("deny", "192.0.2.1/24\n");
    bench.begin_reload();
    bench.wait_for("has bits set behind its prefix length (write 192.0.2.0/24");
    lost(&mut bench, Family::V4, Outcome::DropDenied);
    bench.write("deny", "");
    bench.write("opt-out", "");
    bench.begin_reload();
    bench
        .wait_for("changed=\"access (0 prefixes came, 1 went) opt_out (0 prefixes came, 1 went)\"");
    for family in Family::ALL {
        hop(&mut bench, family);
    }
    bench.finish();
}

/// Each request is answered while a long list is read, taken up and given up again.
#[test]
fn a_long_list_is_taken_up_without_a_loss() {
    const PREFIXES: u32 = 200_000;
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    bench.write("deny", "");
    bench.reload("\n[access]\ndeny_files = [\"deny\"]\n");
    // Of the documentation's prefix, which is nobody's here.
    let mut long = String::new();
    for n in 0..PREFIXES {
        writeln!(long, "2001:db8:ffff:{:x}:{:x}::/80", n >> 16, n & 0xffff).unwrap();
    }
    for (list, said) in [
        (long.as_str(), format!("({PREFIXES} prefixes came, 0 went)")),
        ("", format!("(0 prefixes came, {PREFIXES} went)")),
    ] {
        bench.write("deny", list);
        bench.begin_reload();
        for _ in 0..100 {
            for family in Family::ALL {
                let probe = Probe { protocol: Protocol::Udp, ttl: 1, flow: 53 };
                bench.hop(family, probe, "R2", Outcome::ResponseTimeExceeded);
            }
        }
        bench.wait_for(&said);
    }
    bench.finish();
}

/// Probes a second that an address may have in the tests of floods.
const ADDRESS_RATE: f64 = 25.0;
/// The same of a /24 or /64.
const PREFIX_RATE: f64 = 50.0;

#[test]
fn an_address_that_asks_too_often_gets_its_rate() {
    let [granted, dropped] = flood(1, ADDRESS_RATE, 1.0);
    assert_eq!(dropped, [granted[1], 0], "all by the limit of the address");
}

/// Cells that addresses share may spend some of the prefix's rate: see `crates/policy/tests/floods.rs`.
#[test]
fn a_prefix_that_asks_too_often_gets_its_rate() {
    let [_, [_, by_prefix]] = flood(200, PREFIX_RATE, 0.5);
    assert!(by_prefix > 0);
}

/// A flood of both families from `sources` addresses, which may cause `rate` probes a second, beside a client within its own rate: that
/// one gets all of its answers. Taking up another configuration in the midst of it forgets nothing. `[granted, not]` of the flood,
/// and how many were dropped by the limits of `[address, prefix]`.
///
/// Checks that no more was granted than `rate` allows, and `least` of what it allows at once.
#[track_caller]
fn flood(sources: u16, rate: f64, least: f64) -> [[u64; 2]; 2] {
    /// Requests of the flood for each of the client: few enough for the tap to hold.
    const FOR_EACH: u64 = 40;
    const ROUNDS: u64 = 30;
    let more = "
        [rate]
        burst_ms = 2000
        leak = 0
        [rate.ipv4]
        address = 25
        prefix_24 = 50
        [rate.ipv6]
        address = 25
        prefix_64 = 50
    ";
    let mut bench =
        Bench::on_tap(&topology("line.toml"), &Settings { more, ..Settings::default() });
    let (mut sent, mut allowed) = (0, 0.0);
    for (family, other) in Family::ALL.into_iter().zip(["tcp", "icmp"]) {
        let mut flood = Flood::gather(&bench.lab, family, sources, "www");
        for round in 0..ROUNDS {
            if round == ROUNDS / 2 {
                bench.reload(&format!("\n[probe.{other}]\nenabled = false\n"));
            }
            flood.ask(FOR_EACH);
            let probe = Probe { protocol: Protocol::Udp, ttl: 1, flow: 53 };
            bench.hop(family, probe, "R2", Outcome::ResponseTimeExceeded);
        }
        sent += flood.sent();
        // What is left from before, what came since, and one that is begun.
        allowed += rate * (2.0 + flood.lasts().as_secs_f64()) + 1.0;
    }
    let (counters, _) = bench.stop();
    let granted = counters.outcome(Outcome::ProbeUdp) - 2 * ROUNDS;
    let seen = f64::from(u32::try_from(granted).unwrap());
    assert!(seen <= allowed, "{granted} of {sent} granted, {allowed} allowed");
    assert!(seen >= 2.0 * 2.0 * rate * least, "{granted} of {sent} granted");
    let dropped = [Outcome::DropRateAddress, Outcome::DropRatePrefix]
        .map(|outcome| counters.outcome(outcome));
    assert_eq!(dropped.iter().sum::<u64>(), sent - granted);
    [[granted, sent - granted], dropped]
}
