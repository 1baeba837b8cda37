//! Ports as they are in the field: links that flap, routers that go away, frames of other sizes. Needs root; fails without.

mod kit;

use std::process::Child;
use std::time::{Duration, Instant};

use kit::bench::{Bench, Probe, Second, Settings, build, topology};
use kit::client::Said;
use kit::crowd::Crowds;
use kit::exchange::{PROTOCOLS, ping};
use kit::packet::RESPONDER_MAC;
use kit::routers::padded;
use kit::{of, output};
use otherhalf_engine::Outcome;
use otherhalf_lab::{Family, Lab};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::REQUEST_LEN;
use otherhalf_wire::{ipv4, ipv6};
use serde_json::Value;

/// Between two requests of a trace that goes on and on.
const PACE: Duration = Duration::from_millis(50);
/// `neighbours.reachable_s` here, and the three questions a second apart that follow it.
const UNREACHABLE: Duration = Duration::from_secs(1 + 3);
/// What a busy machine may add.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for the first hop, twenty times a second, until it is `node`. How long nobody answered before.
#[track_caller]
fn outage_until(bench: &mut Bench, family: Family, node: &str) -> Duration {
    let wanted = bench.address(node, family);
    let start = Instant::now();
    let mut last = start;
    loop {
        let request = bench.request(family, Probe { protocol: Protocol::Udp, ttl: 1, flow: 53 });
        let client = bench.client(family);
        client.send(request);
        let sent = Instant::now();
        while let Some(heard) = client.receive_within(PACE.saturating_sub(sent.elapsed())) {
            let Said::Hop(address, _) = heard.said else { panic!("{heard:?}") };
            let now = Instant::now();
            // An answer to an earlier request may have waited somewhere.
            if address == wanted && heard.identifier == request.identifier {
                return now.duration_since(last);
            }
            last = now;
        }
        assert!(start.elapsed() < 5 * UNREACHABLE, "{node} never answered over {family:?}");
    }
}

fn link(bench: &Bench, node: &str, interface: &str, state: &str) {
    output(bench.lab.command(node, "ip").args(["link", "set", interface, state]));
}

#[test]
fn a_link_that_flaps() {
    let mut bench = Bench::on_tap(&topology("line.toml"), &Settings::default());
    let hop = |bench: &mut Bench| {
        for family in Family::ALL {
            let probe = Probe { protocol: Protocol::Udp, ttl: 1, flow: 53 };
            bench.hop(family, probe, "R2", Outcome::ResponseTimeExceeded);
        }
    };
    hop(&mut bench);
    for _ in 0..3 {
        link(&bench, "www", "dtap0", "down");
        bench.wait_for("the link is down port=\"net_tap0\"");
        link(&bench, "www", "dtap0", "up");
        bench.wait_for("the link is up port=\"net_tap0\" down_ms=");
        hop(&mut bench);
    }
    // Asked at once after each, and not only when they are due. A link may go before the answer is there: then the next question is
    // of no use to it, and dropped.
    let (counters, _) = bench.stop_after_losses();
    let asked = counters.get("solicitations_sent") + counters.get("own_frames_dropped");
    assert!(asked >= 2 * 4, "{counters:?}");
}

/// Replies leave by R3 as long as it answers, else by R2; requests always come in by R2.
fn two_routers() -> Bench {
    let settings = Settings {
        second: Second::TapHere,
        routes_of: Some("www2"),
        more: r#"
[neighbours]
reachable_s = 1
[[route]]
to = "0.0.0.0/0"
via = "192.0.2.1"
preference = 1
[[route]]
to = "::/0"
via = "2001:db8:b::1"
preference = 1
"#,
        ..Settings::default()
    };
    let mut bench = Bench::on_tap(&topology("exchange.toml"), &settings);
    for family in Family::ALL {
        outage_until(&mut bench, family, "R3");
    }
    bench
}

#[test]
fn a_router_that_goes_away_is_replaced_until_it_is_back() {
    let mut bench = two_routers();
    for family in Family::ALL {
        // The port keeps its link, but the router hears nothing by it any more.
        let dead = "table netdev dead {\nchain mute {\n\
            type filter hook ingress device \"to-www2\" priority 0\ndrop\n}\n}";
        output(bench.lab.command("R3", "nft").arg(dead));
        let outage = outage_until(&mut bench, family, "R2");
        println!("{family:?}: replaced after {outage:?}");
        assert!(outage < UNREACHABLE + PATIENCE, "{outage:?}");
        bench.wait_for("another router is taken");
        output(bench.lab.command("R3", "nft").args(["delete", "table", "netdev", "dead"]));
        let outage = outage_until(&mut bench, family, "R3");
        println!("{family:?}: back after {outage:?} without an answer");
        assert!(outage < PATIENCE, "{outage:?}");
    }
    bench.stop_after_losses();
}

#[test]
fn a_port_without_link_is_avoided_until_it_has_one() {
    let mut bench = two_routers();
    for family in Family::ALL {
        link(&bench, "www", "dtap1", "down");
        let outage = outage_until(&mut bench, family, "R2");
        println!("{family:?}: avoided after {outage:?}");
        assert!(outage < Duration::from_secs(1) + PATIENCE, "{outage:?}");
        link(&bench, "www", "dtap1", "up");
        let outage = outage_until(&mut bench, family, "R3");
        println!("{family:?}: back after {outage:?} without an answer");
        assert!(outage < Duration::from_secs(1) + PATIENCE, "{outage:?}");
    }
    bench.stop_after_losses();
}

/// A cable whose near end, `late0`, is the port of a responder in `www`, and whose far end is what the network takes for its
/// tap: made after `after` there.
fn cable_later(lab: &Lab, after: Duration, mtu: u16) -> Child {
    let seconds = after.as_secs();
    let script = format!(
        "sleep {seconds}
         sysctl -qw net.ipv6.conf.default.disable_ipv6=1
         ip link add late0 address {RESPONDER_MAC} mtu {mtu} type veth peer name dtap0 mtu {mtu}
         ethtool -K late0 rx off tx off tso off gso off gro off >/dev/null
         ethtool -K dtap0 rx off tx off tso off gso off gro off >/dev/null
         ip link set dtap0 up
         ip link set late0 up"
    );
    lab.command("www", "sh").args(["-ec", &script]).spawn().unwrap()
}

#[test]
fn a_port_that_comes_two_seconds_after_the_start() {
    let lab = build(&topology("line.toml"));
    let settings = Settings {
        device: "net_af_packet0,iface=late0".to_owned(),
        port_keys: "wait_s = 30",
        ..Settings::default()
    };
    let (after, start) = (Duration::from_secs(2), Instant::now());
    let mut cable = cable_later(&lab, after, 1500);
    let mut bench = Bench::start(lab, &settings);
    assert!(start.elapsed() >= after, "ready without its port");
    assert!(cable.wait().unwrap().success());
    for family in Family::ALL {
        for (protocol, flow, at_client) in PROTOCOLS {
            let exceeded = Outcome::ResponseTimeExceeded;
            bench.hop(family, Probe { protocol, ttl: 1, flow }, "R2", exceeded);
            bench.hop(family, Probe { protocol, ttl: 3, flow }, "client", at_client);
        }
    }
    // It may have been opened before its link was up.
    bench.finish_after_losses();
}

#[test]
fn two_workers_share_a_port_of_one_queue() {
    let settings = Settings {
        workers: 2,
        second: Second::Cable,
        routes_of: Some("www2"),
        ..Settings::default()
    };
    // Requests come to both workers by R2; what both send leaves by R3, by the one queue of the other port.
    let mut bench = Bench::on_tap(&topology("exchange.toml"), &settings);
    for family in Family::ALL {
        let mut crowds = Crowds::gather(&bench.lab, family, 9);
        for (protocol, flow, at_client) in PROTOCOLS {
            let exceeded = Outcome::ResponseTimeExceeded;
            crowds.hop(&mut bench, Probe { protocol, ttl: 1, flow }, "R3", exceeded);
            crowds.hop(&mut bench, Probe { protocol, ttl: 2, flow }, "R1", exceeded);
            crowds.hop(&mut bench, Probe { protocol, ttl: 3, flow }, "client", at_client);
        }
    }
    let (counters, _) = bench.finish();
    // Both workers had a share of the requests, so one handed its probes to the other.
    assert!(counters.get("relayed") >= 2 * 9 * 8, "{counters:?}");
}

#[test]
fn a_bond_carries_every_probe() {
    let settings = Settings {
        device: "net_bonding0,mode=1,slave=net_tap0,slave=net_tap1,primary=net_tap0".to_owned(),
        eal_keys: r#"extra = ["--vdev=net_tap0,iface=dtap0", "--vdev=net_tap1,iface=dtap1"]"#,
        ..Settings::default()
    };
    let mut bench = Bench::on_tap(&topology("line.toml"), &settings);
    for family in Family::ALL {
        for (protocol, flow, at_client) in PROTOCOLS {
            let exceeded = Outcome::ResponseTimeExceeded;
            bench.hop(family, Probe { protocol, ttl: 1, flow }, "R2", exceeded);
            bench.hop(family, Probe { protocol, ttl: 3, flow }, "client", at_client);
        }
    }
    bench.finish();
}

/// Has the cable to the responder end at `tap`, and at no other.
fn plug_into(bench: &Bench, tap: &str) {
    let chain = |from: &str, to: &str| {
        format!(
            "chain {from} {{\ntype filter hook ingress device \"{from}\" priority 0\nfwd to \"{to}\"\n}}\n"
        )
    };
    let (there, back) = (chain("to-R2", tap), chain(tap, "to-R2"));
    let table = "table netdev splice";
    let rules = format!("{table}\ndelete {table}\n{table} {{\n{there}{back}}}\n");
    output(bench.lab.command("www", "nft").arg(rules));
}

#[test]
fn a_bond_changes_over_to_the_member_that_has_a_link() {
    let settings = Settings {
        device: "net_bonding0,mode=1,slave=net_tap0,slave=net_tap1,primary=net_tap0".to_owned(),
        eal_keys: r#"extra = ["--vdev=net_tap0,iface=dtap0", "--vdev=net_tap1,iface=dtap1"]"#,
        ..Settings::default()
    };
    let mut bench = Bench::on_tap(&topology("line.toml"), &settings);
    link(&bench, "www", "dtap1", "up");
    carries_by(&mut bench, "dtap0", "dtap1");
    for _ in 0..2 {
        link(&bench, "www", "dtap0", "down");
        bench.wait_for("a bond's member has no link member=\"net_tap0\"");
        plug_into(&bench, "dtap1");
        carries_by(&mut bench, "dtap1", "dtap0");
        // The primary one is taken again as soon as it can be.
        link(&bench, "www", "dtap0", "up");
        bench.wait_for("a bond's member has a link member=\"net_tap0\"");
        plug_into(&bench, "dtap0");
        carries_by(&mut bench, "dtap0", "dtap1");
    }
    bench.finish();
}

/// Traces whose probes and responses all leave by `tap`, and none by `other`.
#[track_caller]
fn carries_by(bench: &mut Bench, tap: &str, other: &str) {
    let sent = |bench: &Bench| [tap, other].map(|tap| sent_by_responder(bench, tap));
    let before = sent(bench);
    for family in Family::ALL {
        for (protocol, flow, at_client) in PROTOCOLS {
            let exceeded = Outcome::ResponseTimeExceeded;
            bench.hop(family, Probe { protocol, ttl: 1, flow }, "R2", exceeded);
            bench.hop(family, Probe { protocol, ttl: 3, flow }, "client", at_client);
        }
    }
    let after = sent(bench);
    // A probe and a response each time.
    assert!(after[0] >= before[0] + 2 * 12, "by {tap}: {before:?}, {after:?}");
    assert_eq!(after[1], before[1], "by {other}, which was not to be used");
}

/// Frames that the responder has sent by `tap`: what the kernel received there.
fn sent_by_responder(bench: &Bench, tap: &str) -> u64 {
    let text = output(bench.lab.command("www", "ip").args(["-json", "-s", "link", "show", tap]));
    let links: Value = serde_json::from_str(&text).unwrap();
    links[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
}

/// Traces and pings through cables and a port of this MTU, the longest packets included.
#[track_caller]
fn with_mtu(mtu: u16, port_keys: &'static str) {
    let settings = Settings { port_keys, ..Settings::default() };
    longest_packets(Bench::on_tap(&topology("line.toml"), &settings), mtu);
}

/// The same of a responder whose port has this MTU.
#[track_caller]
fn longest_packets(mut bench: Bench, mtu: u16) {
    for (node, interface) in [
        ("client", "to-R1"),
        ("R1", "to-client"),
        ("R1", "to-R2"),
        ("R2", "to-R1"),
        ("R2", "to-www"),
        ("www", "to-R2"),
    ] {
        let set = ["link", "set", interface, "mtu", &mtu.to_string()];
        output(bench.lab.command(node, "ip").args(set));
    }
    for family in Family::ALL {
        let headers = if family == Family::V4 { 20 + 8 } else { 40 + 8 };
        let www = bench.address("www", family);
        for size in [56, u32::from(mtu) - headers - 1, u32::from(mtu) - headers] {
            // One each: ping waits in full for the first answer alone.
            ping(&mut bench, www, 1, size, &["-M", "do"]);
        }
        let ip = *of(family, &[ipv4::HEADER_LEN, ipv6::HEADER_LEN]);
        let longest = usize::from(mtu) - ip - REQUEST_LEN;
        for padding in [longest / 2, longest - 1, longest] {
            padded(&mut bench, family, padding);
        }
        for (protocol, flow, at_client) in PROTOCOLS {
            let probe = Probe { protocol, ttl: 1, flow };
            bench.hop(family, probe, "R2", Outcome::ResponseTimeExceeded);
            bench.hop(family, Probe { protocol, ttl: 3, flow }, "client", at_client);
        }
    }
    bench.finish();
}

// net_tap takes frames of up to 1522 octets, VLAN tag included; larger ones need another kind of port.
#[test]
fn the_largest_mtu_of_a_tap() {
    with_mtu(1500, "mtu = 1500");
}

#[test]
fn jumbo_frames() {
    const MTU: u16 = 9000;
    let lab = build(&topology("line.toml"));
    let settings = Settings {
        // Four frames lie in nine pages without a gap, as the driver takes for granted.
        device: "net_af_packet0,iface=late0,framesz=9216,blocksz=36864,framecnt=256".to_owned(),
        port_keys: "mtu = 9000\nrx_descriptors = 256\ntx_descriptors = 256",
        ..Settings::default()
    };
    let mut cable = cable_later(&lab, Duration::ZERO, MTU);
    assert!(cable.wait().unwrap().success());
    let bench = Bench::start(lab, &settings);
    longest_packets(bench, MTU);
}

#[test]
fn the_smallest_mtu_of_ipv6() {
    with_mtu(1280, "mtu = 1280");
}
