//! `otherhalfd` on a tap behind kernel routers, end to end. Needs root; fails without.
//!
//! Each test brings up a network and a responder of its own, so they run side by side; at the end of
//! each, every frame that the responder received is accounted for.

mod kit;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use kit::bench::{Bench, Probe, Settings, program, topology};
use kit::counters::UNASKED;
use kit::exchange::{PROTOCOLS, choices_and_refusals, closed_ports, every_answer, ping};
use kit::injector::Injector;
use kit::packet::{
    ATOMIC_FRAGMENT, DESTINATION_OPTIONS, Extension, FIRST_FRAGMENT, HOP_BY_HOP, RESPONDER_MAC,
    ROUTING, frame, frame_of, packet, request, reseal, sealed, with_extensions, with_options,
};
use kit::{of, output};
use otherhalf_engine::Outcome;
use otherhalf_lab::{Family, Filter, Protocol as Filtered};
use otherhalf_wire::ethernet::{Mac, ethertype};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::{ip, tcp};
use serde_json::Value;

const ICMP_TO_R2: Probe = Probe { protocol: Protocol::Icmp, ttl: 1, flow: 0x1234 };

#[test]
fn every_protocol_and_answer() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    every_answer(&mut bench);
    choices_and_refusals(&mut bench);
    closed_ports(&mut bench);
    bench.finish();
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
fn silent_and_filtering_routers() {
    let mut topology = topology("line.toml");
    topology.node_mut("R2").unwrap().silent = true;
    let filter = |protocol| Filter { protocol, to: "client".to_owned() };
    topology.node_mut("R1").unwrap().filter =
        [Filtered::Udp, Filtered::Tcp, Filtered::Icmp].map(filter).into();
    let mut bench = Bench::on_tap(&topology, &Settings::default());
    for family in Family::ALL {
        for (protocol, flow, _) in PROTOCOLS {
            bench.silence(family, Probe { protocol, ttl: 1, flow });
            let exceeded = Outcome::ResponseTimeExceeded;
            bench.hop(family, Probe { protocol, ttl: 2, flow }, "R1", exceeded);
            for ttl in [3, 30] {
                let prohibited = Outcome::ResponseUnreachable;
                bench.hop(family, Probe { protocol, ttl, flow }, "R1", prohibited);
            }
        }
    }
    bench.finish();
}

#[test]
fn requests_with_options_extension_headers_and_padding() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    let record_route: Vec<u8> = [[7, 39, 4].as_slice(), &[0; 37]].concat();
    // RFC 791: three of no operation and the end; route recorded, up to the longest header.
    let options: [&[u8]; 2] = [&[1, 1, 1, 0], &record_route];
    for options in options {
        answered_all_the_same(&mut bench, Family::V4, |packet| with_options(&packet, options));
    }
    let extensions: [&[Extension]; 5] = [
        &[HOP_BY_HOP],
        &[DESTINATION_OPTIONS],
        &[ROUTING],
        &[ATOMIC_FRAGMENT],
        // As many as are skipped.
        &[DESTINATION_OPTIONS; 8],
    ];
    for extensions in extensions {
        let put_in = |packet: Vec<u8>| with_extensions(&packet, extensions);
        answered_all_the_same(&mut bench, Family::V6, put_in);
    }
    for family in Family::ALL {
        for padding in [1, 2, 100, 1000] {
            let request = bench.request(family, ICMP_TO_R2);
            let answer = Outcome::ResponseTimeExceeded;
            bench.hop_by(family, ICMP_TO_R2, "R2", answer, request, |client, asked| {
                let mut message = self::request(asked, client.own, client.responder);
                message.resize(message.len() + padding, 0);
                let message = sealed(message, client.own, client.responder);
                client.send_packet(&icmp(client.own, client.responder, &message));
            });
        }
    }
    bench.finish();
}

/// Sends a request as `change` makes it, which must not keep it from being answered.
#[track_caller]
fn answered_all_the_same(bench: &mut Bench, family: Family, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let asked = bench.request(family, ICMP_TO_R2);
    let answer = Outcome::ResponseTimeExceeded;
    bench.hop_by(family, ICMP_TO_R2, "R2", answer, asked, |client, asked| {
        let message = request(asked, client.own, client.responder);
        client.send_packet(&change(icmp(client.own, client.responder, &message)));
    });
}

fn icmp(src: IpAddr, dst: IpAddr, message: &[u8]) -> Vec<u8> {
    packet(ip::Family::of(src).icmp(), src, dst, message)
}

#[test]
fn what_routers_pass_on_and_the_responder_drops() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    for family in Family::ALL {
        let good = bench.request(family, ICMP_TO_R2);
        let (src, dst) = (bench.address("client", family), bench.address("www", family));
        let message = request(good, src, dst);
        let mut drops: Vec<(Vec<u8>, Outcome)> = Vec::new();
        // Truncated at every length, with a checksum that is right.
        for len in 0..message.len() {
            let short = sealed(message[..len].to_vec(), src, dst);
            let outcome = if len < 8 { Outcome::DropTruncated } else { Outcome::DropShortRequest };
            drops.push((icmp(src, dst, &short), outcome));
        }
        // A bit wrong in any place of the message.
        for at in 0..message.len() {
            let mut wrong = message.clone();
            wrong[at] ^= 0x10;
            drops.push((icmp(src, dst, &wrong), Outcome::DropBadChecksum));
        }
        drops.extend(other_packets(family, src, dst));
        match family {
            Family::V4 => {
                let mut fragment = icmp(src, dst, &message);
                fragment[6] = 0x20;
                drops.push((fragment, Outcome::DropFragment));
            }
            Family::V6 => {
                let whole = icmp(src, dst, &message);
                let fragment = with_extensions(&whole, &[FIRST_FRAGMENT]);
                drops.push((fragment, Outcome::DropFragment));
                let many = with_extensions(&whole, &[DESTINATION_OPTIONS; 9]);
                drops.push((many, Outcome::DropExtensionHeaders));
            }
        }
        for (packet, outcome) in drops {
            bench.client(family).send_packet(&packet);
            bench.expect(outcome, 1);
        }
        bench.barrier(family);
    }
    bench.finish();
}

/// Whole and right, and of no use to a responder.
fn other_packets(family: Family, src: IpAddr, dst: IpAddr) -> Vec<(Vec<u8>, Outcome)> {
    let wire_family = ip::Family::of(src);
    let reply = Kind::EchoReply.number(wire_family);
    let message = |kind: u8, code: u8, rest: [u8; 4]| {
        let message = [[kind, code, 0, 0], rest].concat();
        icmp(src, dst, &sealed(message, src, dst))
    };
    // A RST, which is never answered.
    let mut reset = [0; tcp::HEADER_LEN];
    (reset[12], reset[13]) = (tcp::NO_OPTIONS, tcp::flag::RST);
    let length = u16::try_from(reset.len()).unwrap();
    let sum = ip::pseudo_header(src, dst, ip::protocol::TCP, length).bytes(&reset);
    reset[16..18].copy_from_slice(&sum.checksum().to_be_bytes());
    let wrong_datagram = [0, 1, 0, 1, 0, 8, 0, 1];
    // An error without a quote.
    let unreachable = Kind::DestinationUnreachable.number(wire_family);
    // Timestamp (RFC 792), and multicast listener done (RFC 2710): other kinds of ICMP.
    let other = if family == Family::V4 { 13 } else { 132 };
    vec![
        (packet(ip::protocol::TCP, src, dst, &reset), Outcome::DropOtherTcp),
        (packet(ip::protocol::TCP, src, dst, &[0; tcp::HEADER_LEN]), Outcome::DropBadChecksum),
        (packet(ip::protocol::UDP, src, dst, &wrong_datagram), Outcome::DropBadChecksum),
        // RFC 3692's protocol for experiments.
        (packet(253, src, dst, b"?"), Outcome::DropOtherProtocol),
        (message(other, 0, [0; 4]), Outcome::DropOtherIcmp),
        (message(reply, 0, [0, 1, 0, 1]), Outcome::DropNotOurProbe),
        (message(reply, 0, [0, 1, 0xff, 0xff]), Outcome::DropUnmatched),
        (message(unreachable, 0, [0; 4]), Outcome::DropBadQuote),
    ]
}

#[test]
fn frames_that_no_router_passes_on() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    let injector = Injector::new(&bench.lab);
    for family in Family::ALL {
        let good = bench.request(family, ICMP_TO_R2);
        let (src, dst) = (bench.address("client", family), bench.address("www", family));
        let whole = icmp(src, dst, &request(good, src, dst));
        let from = |source: IpAddr| icmp(source, dst, &request(good, source, dst));
        let kind = if family == Family::V4 { ethertype::IPV4 } else { ethertype::IPV6 };
        let mut drops = vec![
            (frame_of(Mac([2, 0, 0, 0, 0, 0x81]), None, kind, &whole), Outcome::DropNotOurMac),
            (frame_of(RESPONDER_MAC, Some(7), kind, &whole), Outcome::DropUnknownVlan),
            // LLDP's.
            (frame_of(RESPONDER_MAC, None, 0x88cc, &whole), Outcome::DropUnknownEthertype),
            (frame(&from(bad_source(family))), Outcome::DropBadSource),
            (frame(&from(dst)), Outcome::DropBadSource),
            // For the router, by way of the responder.
            (frame(&icmp(src, bench.address("R2", family), b"")), Outcome::DropNotOurAddress),
        ];
        for len in 14..14 + whole.len() {
            drops.push((frame(&whole)[..len].to_vec(), Outcome::DropTruncated));
        }
        let mut wrong = whole.clone();
        wrong[0] ^= 0x10;
        drops.push((frame_of(RESPONDER_MAC, None, kind, &wrong), Outcome::DropBadIpHeader));
        if family == Family::V4 {
            let mut wrong = whole.clone();
            wrong[8] ^= 1;
            drops.push((frame(&wrong), Outcome::DropBadIpChecksum));
            // A total length of less than the header.
            let mut wrong = whole.clone();
            wrong[3] = 19;
            reseal(&mut wrong);
            drops.push((frame(&wrong), Outcome::DropBadIpHeader));
        }
        for (frame, outcome) in drops {
            injector.send(&frame);
            bench.expect(outcome, 1);
        }
        // Right, by the same way: it is what was wrong with the others that had them dropped.
        let answer = Outcome::ResponseTimeExceeded;
        bench.hop_by(family, ICMP_TO_R2, "R2", answer, good, |_, _| {
            injector.send(&frame(&whole));
        });
    }
    bench.finish();
}

/// A source that nothing may be sent to.
fn bad_source(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(224, 0, 0, 1).into(),
        Family::V6 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
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
fn neighbours_forget_and_change() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    let all_hops = |bench: &mut Bench| {
        for family in Family::ALL {
            let start = Instant::now();
            bench.hop(family, ICMP_TO_R2, "R2", Outcome::ResponseTimeExceeded);
            // Answered the first time: the kernel would ask again after a second.
            assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        }
    };
    all_hops(&mut bench);
    // The router forgets the responder, and asks it.
    for _ in 0..3 {
        for family in Family::ALL {
            let flush = [family.flag(), "neigh", "flush", "dev", "to-www"];
            output(bench.lab.command("R2", "ip").args(flush));
            bench.expect(Outcome::NeighbourReply, 1);
        }
        all_hops(&mut bench);
    }
    // The router becomes another station: frames for the old one reach nobody.
    let address = ["link", "set", "to-www", "address", "02:0f:00:00:00:77"];
    output(bench.lab.command("R2", "ip").args(address));
    for family in Family::ALL {
        // The responder hears of it when the router asks it next. The answer to this very ping may
        // still go to the old address: whoever is asked learns beside answering, not before.
        let www = bench.address("www", family).to_string();
        let ping = ["-c", "1", "-W", "1", &www];
        bench.lab.command("R2", "ping").args(ping).output().unwrap();
        bench.expect(Outcome::PingReply, 1);
        bench.expect(Outcome::NeighbourReply, 1);
        bench.expect(Outcome::NeighbourLearned, 0);
    }
    all_hops(&mut bench);
    bench.finish();
}

#[test]
fn the_first_request_of_an_unknown_neighbour_is_answered() {
    // No routes, so nobody is asked before there is a reason to.
    let settings = Settings { routes: false, ..Settings::default() };
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
    let otherhalf = program("otherhalf", "otherhalf-client");
    let bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
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
    let (counters, _) = bench.stop();
    let of_kind = |prefix: &str| counters.sum(|outcome| outcome.name().starts_with(prefix));
    let refused = counters.outcome(Outcome::RefusedTtl);
    assert!(refused >= 2, "a check for each family");
    assert_eq!(of_kind("refused_"), refused);
    assert_eq!(of_kind("probe_"), of_kind("response_"), "every probe was answered, once");
    let dropped = |o: Outcome| o.name().starts_with("drop_") && !UNASKED.contains(&o);
    assert_eq!(counters.sum(dropped), 0, "{counters:?}");
}

/// The addresses of a trace's hops, each checked to be shown by every query, with a time.
#[track_caller]
fn hops(trace: &Value) -> Vec<String> {
    assert_eq!(trace["reached"], true, "{trace}");
    let hop = |hop: &Value| {
        let probes = hop["probes"].as_array().unwrap();
        let address = probes[0]["address"].as_str().unwrap();
        for probe in probes {
            assert_eq!(probe["address"], address, "{trace}");
            assert!(probe["rtt_ms"].as_f64().is_some_and(|rtt| rtt > 0.0), "{trace}");
        }
        address.to_owned()
    };
    trace["hops"].as_array().unwrap().iter().map(hop).collect()
}
