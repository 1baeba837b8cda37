//! What probes and requests are made of, in networks of kernel routers. Needs root; fails without.

mod flooded;
mod liar;
mod responder;

use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_lab::{Family, Kind, Lab, Topology};
use responder::{Manners, with_responder};
use serde_json::Value;

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");
const WWW: &str = "www.example.com";

/// client, R1, R2, www in a row; www is a kernel.
fn line() -> Lab {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/line.toml");
    let mut topology = Topology::read(file).unwrap();
    topology.node_mut("www").unwrap().kind = Kind::Host;
    Lab::build(&topology).unwrap_or_else(|error| panic!("{error}"))
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

#[track_caller]
fn done(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Both ends of the link between R1 and R2 take `mtu` octets.
fn narrow(lab: &Lab, mtu: &str) {
    for (node, peer) in [("R1", "to-R2"), ("R2", "to-R1")] {
        done(lab.command(node, "ip").args(["link", "set", peer, "mtu", mtu]));
    }
}

#[test]
fn a_link_that_takes_less_is_found_and_named() {
    let lab = line();
    narrow(&lab, "1400");
    for family in Family::ALL {
        for protocol in ["udp", "tcp", "icmp"] {
            let (text, _) =
                ends(&otherhalf(&lab, &["forward", protocol, "--mtu", family.flag(), WWW]), 0);
            let (_, mtu) = text.split_once("Path MTU: ").unwrap_or_else(|| panic!("{text}"));
            let lines: Vec<_> = mtu.lines().collect();
            assert_eq!(lines[0], "1400 octets", "{text}");
            assert!(
                lines[1].contains(" 1500  R1 (")
                    && lines[1].ends_with("; its next link takes 1400")
            );
            assert!(lines[2].contains(" 1400  R2 ("), "{text}");
        }
        let (text, _) =
            ends(&otherhalf(&lab, &["forward", "--mtu", "--json", family.flag(), WWW]), 0);
        let document: Value = serde_json::from_str(&text).unwrap();
        let mtu = &document["forward"]["mtu"];
        assert_eq!((&mtu["octets"], &mtu["first_link"]), (&1400.into(), &1500.into()));
        assert_eq!((&mtu["limits"][0]["ttl"], &mtu["black_hole"]), (&1.into(), &false.into()));
    }
}

#[test]
fn a_router_that_does_not_say_so_is_a_black_hole() {
    let lab = line();
    narrow(&lab, "1400");
    let rules = "table inet t { chain c { type filter hook output priority 0; \
                 icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }\n}";
    done(lab.command("R1", "nft").arg(rules));
    for family in Family::ALL {
        let arguments = ["forward", "--mtu", "-q", "1", family.flag(), WWW];
        let (text, _) = ends(&otherhalf(&lab, &arguments), 0);
        assert!(text.contains("Path MTU: 1400 octets\n"), "{text}");
        assert!(text.contains("(a black hole)"), "{text}");
    }
}

#[test]
fn size_and_type_of_service_are_seen_on_the_way() {
    let lab = line();
    for family in Family::ALL {
        for protocol in ["udp", "tcp", "icmp"] {
            let options = ["--size", "600", "--dscp", "ef", "--json", family.flag()];
            let arguments = [&["forward", protocol][..], &options, &[WWW]].concat();
            let (text, _) = ends(&otherhalf(&lab, &arguments), 0);
            let document: Value = serde_json::from_str(&text).unwrap();
            let probe = &document["forward"]["hops"][0]["probes"][0];
            assert_eq!(probe["quoted_size"], 600, "{probe}");
            assert_eq!(probe["quoted_tos"], 0xb8, "{probe}");
            assert_eq!((&probe["quoted_ttl"], &probe["reply_ttl"]), (&1.into(), &64.into()));
            assert_eq!(document["forward"]["hops"].as_array().unwrap().len(), 3);
            assert!(probe["nat"].is_null(), "{probe}");
        }
    }
    // Fragmented on its way, a packet is known by what the first fragment shows.
    narrow(&lab, "1280");
    ends(&otherhalf(&lab, &["forward", "--size", "1500", "-4", WWW]), 0);
}

#[test]
fn what_cannot_be_is_said_so() {
    let lab = line();
    for (arguments, words) in [
        (&["forward", "--size", "35", "-4"][..], "over IPv4, UDP needs 36 octets"),
        (&["forward", "tcp", "--size", "63", "-6"], "over IPv6, TCP needs 64 octets"),
        (&["forward", "--size", "1501"], "the first link takes packets of 1500 octets"),
        (&["forward", "--source", "192.0.2.99", "-4"], "192.0.2.99 is no address of this machine"),
        (&["forward", "-s", "192.0.2.99", "-6"], "one is an IPv4 address, the other an IPv6 one"),
        (&["reverse", "--interface", "nowhere0"], "there is no interface nowhere0"),
        (
            &["check", "--interface", "far-too-long-a-name-of-an-interface"],
            "there is no interface far-too",
        ),
        (&["reverse", "--size", "100"], "--size is for forward"),
        (&["reverse", "--mtu"], "--mtu is for forward"),
        (&["two-way", "--via", "192.0.2.1"], "--via is for reverse"),
    ] {
        let (out, err) = ends(&otherhalf(&lab, &[arguments, &[WWW]].concat()), 2);
        assert!(err.contains(words), "{arguments:?}: {err}");
        assert_eq!((out.as_str(), err.lines().count()), ("", 1), "{out}{err}");
        // Programs get a document.
        let output = otherhalf(&lab, &[arguments, &["--json", WWW]].concat());
        let (out, _) = ends(&output, 2);
        let document: Value = serde_json::from_str(&out).unwrap();
        assert!(document["error"].as_str().unwrap().contains(words), "{document}");
        assert_eq!((&document["exit_code"], &document["schema_version"]), (&2.into(), &1.into()));
    }
    // Of a network of ours, so that only the kernel knows it for one.
    done(lab.command("client", "ip").args(["address", "add", "203.0.113.1/24", "dev", "to-R1"]));
    let (_, err) = ends(&otherhalf(&lab, &["forward", "203.0.113.255"]), 2);
    assert!(err.contains("203.0.113.255 is the broadcast address"), "{err}");
    // An address that is ours, and an interface that is there.
    for option in [["-s", "203.0.113.1"], ["--interface", "to-R1"]] {
        done(lab.command("R1", "ip").args([
            "route",
            "replace",
            "203.0.113.0/24",
            "dev",
            "to-client",
        ]));
        done(lab.command("R2", "ip").args([
            "route",
            "replace",
            "203.0.113.0/24",
            "via",
            &lab.address("R1", Family::V4).to_string(),
            "dev",
            "to-R1",
            "onlink",
        ]));
        done(lab.command("www", "ip").args([
            "route",
            "replace",
            "203.0.113.0/24",
            "via",
            &lab.address("R2", Family::V4).to_string(),
            "dev",
            "to-R2",
            "onlink",
        ]));
        let arguments = [&["forward", "--json", "-4"][..], &option, &[WWW]].concat();
        let (text, _) = ends(&otherhalf(&lab, &arguments), 0);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["source"] == "203.0.113.1", option[0] == "-s", "{text}");
    }
}

#[test]
fn capabilities_are_gone_while_it_waits() {
    let lab = line();
    let rules =
        "table inet t { chain c { type filter hook input priority 0; meta l4proto udp drop; }\n}";
    done(lab.command("www", "nft").arg(rules));
    let mut command = lab.command("client", OTHERHALF);
    command.args(["forward", "-w", "20", "-4", WWW]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut guard = lab.spawn(&mut command).unwrap();
    let pid = guard.child().id();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let threads: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/task"))
            .unwrap()
            .map(|thread| std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap())
            .collect();
        let bare = |status: &String| {
            ["CapInh", "CapPrm", "CapEff", "CapAmb"]
                .iter()
                .all(|set| status.contains(&format!("{set}:\t0000000000000000\n")))
        };
        if threads.iter().all(bare) {
            break;
        }
        assert!(Instant::now() < deadline, "{threads:?}");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(guard.child().try_wait().unwrap().is_none(), "it still waits");
}

#[test]
fn a_responder_that_demands_padding_gets_it() {
    let lab = line();
    let manners = Manners { padding: 24, ..Manners::default() };
    with_responder(&lab, manners, || {
        let (text, _) = ends(&otherhalf(&lab, &["reverse", "-n", "-4", WWW]), 0);
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with(" 1  192.0.2.1  ") && lines[0].matches(" ms").count() == 3);
        assert!(lines[1].starts_with(" 2  198.51.100.10  "), "{text}");
        let (text, _) = ends(&otherhalf(&lab, &["check", "-4", WWW]), 0);
        assert!(text.contains("\n  probes: UDP, TCP, ICMP\n"), "{text}");
        assert!(
            text.contains("\n  towards others: no\n  demands 24 octets of padding\n"),
            "{text}"
        );
    });
    let manners = Manners { padding: 4000, text: "no \x1b[31mway", ..Manners::default() };
    with_responder(&lab, manners, || {
        let (_, err) = ends(&otherhalf(&lab, &["reverse", "-n", "-4", WWW]), 6);
        assert!(err.contains("4000 octets longer"), "{err}");
        assert!(err.contains(r#"it says: "no \u{1b}[31mway""#), "{err}");
    });
}

#[test]
fn a_responder_that_probes_towards_others() {
    let lab = line();
    let manners = Manners { indirect: true, refuses_tcp: true, ..Manners::default() };
    with_responder(&lab, manners, || {
        let arguments = ["reverse", "--via", WWW, "-n", "198.51.100.77"];
        let (text, _) = ends(&otherhalf(&lab, &arguments), 0);
        assert!(
            text.contains("reverse from www.example.com (192.0.2.80) to 198.51.100.77,"),
            "{text}"
        );
        assert!(text.lines().last().unwrap().starts_with(" 2  198.51.100.77  "), "{text}");
        let (text, _) = ends(&otherhalf(&lab, &[&arguments[..], &["--json"]].concat()), 0);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["target"]["address"], "198.51.100.77");
        assert_eq!(document["via"]["name"], WWW);
        assert_eq!(document["reverse"]["to"], "198.51.100.77");
        let (text, _) = ends(&otherhalf(&lab, &["check", "--json", "-4", WWW]), 0);
        let document: Value = serde_json::from_str(&text).unwrap();
        let features = &document["reverse_traceroute"]["features"];
        assert_eq!((&features["tcp"], &features["indirect"]), (&"no".into(), &"yes".into()));
    });
    with_responder(&lab, Manners::default(), || {
        let arguments = ["reverse", "--via", WWW, "-n", "198.51.100.77"];
        let (_, err) = ends(&otherhalf(&lab, &arguments), 6);
        assert!(err.contains("refuses: you may not have others traced (--via)"), "{err}");
    });
}

#[test]
fn a_routing_loop_is_known_at_once() {
    let lab = line();
    let to_r1 = lab.address("R1", Family::V4).to_string();
    let route = ["route", "replace", "203.0.113.0/24", "via", &to_r1, "dev", "to-R1", "onlink"];
    done(lab.command("R2", "ip").args(route));
    let start = Instant::now();
    let (_, err) = ends(&otherhalf(&lab, &["check", "-n", "203.0.113.9"]), 4);
    assert!(err.contains("TTL exceeded (a routing loop?)"), "{err}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}
