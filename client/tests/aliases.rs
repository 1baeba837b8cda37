//! Addresses of one router, found in a network of kernel routers. Needs root; fails without.
//!
//! Linux answers from the address that was asked. Many routers answer from that of the interface by which the answer leaves:
//! here nftables makes R1 one of those.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use otherhalf_client::alias::{self, Aliases};
use otherhalf_client::document::Technique;
use otherhalf_client::{RawNetwork, Secret};
use otherhalf_lab::{Kind, Lab, Topology};
use serde_json::Value;

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// client, R1, R2, www in a row. R1 and R2 have a second address each; R1 answers for its second from its first, and sends its
/// "TTL exceeded" by turns from both.
fn lab() -> Lab {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/line.toml");
    let mut topology = Topology::read(file).unwrap();
    topology.node_mut("www").unwrap().kind = Kind::Host;
    let lab = Lab::build(&topology).unwrap_or_else(|error| panic!("{error}"));
    for (node, addresses) in [
        ("R1", ["198.51.100.77/32", "2001:db8:a::77/128"]),
        ("R2", ["192.0.2.77/32", "2001:db8:b::77/128"]),
    ] {
        for address in addresses {
            run(lab.command(node, "ip").args(["address", "add", address, "dev", "lo"]));
        }
    }
    let rules = "add table inet one\n\
        add chain inet one out { type filter hook output priority 0; }\n\
        add rule inet one out icmp type destination-unreachable ip saddr 198.51.100.77 ip saddr set 198.51.100.1\n\
        add rule inet one out icmpv6 type destination-unreachable ip6 saddr 2001:db8:a::77 ip6 saddr set 2001:db8:a::1\n\
        add rule inet one out icmp type time-exceeded ip saddr set numgen inc mod 2 map { 0 : 198.51.100.1, 1 : 198.51.100.77 }\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules).unwrap();
    run(lab.command("R1", "nft").arg("-f").arg(file.path()));
    lab
}

#[test]
fn whoever_answers_from_one_address_has_both() {
    let lab = lab();
    for addresses in [
        ["198.51.100.1", "198.51.100.77", "192.0.2.1", "192.0.2.77", "192.0.2.80"],
        ["2001:db8:a::1", "2001:db8:a::77", "2001:db8:b::1", "2001:db8:b::77", "2001:db8:b::80"],
    ] {
        let addresses = addresses.map(|address| address.parse::<IpAddr>().unwrap());
        let start = Instant::now();
        let told = lab.within("client", || {
            let mut networks =
                addresses.map(|address| RawNetwork::open((address, 0).into(), &[]).unwrap());
            let options = alias::Options::default();
            let secret = Secret::random().unwrap();
            alias::sample(&mut networks, &options, &secret, || ControlFlow::Continue(())).unwrap()
        });
        let told = told.unwrap();
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
        let [r1, r1_too, r2, r2_too, www] = addresses;
        assert_eq!(told[0].answered_by, [r1]);
        assert_eq!(told[1].answered_by, [r1]);
        assert_eq!(told[3].answered_by, [r2_too], "Linux answers from the address that was asked");
        let numbered = told[4].identifications.len();
        assert_eq!(numbered > 4, www.is_ipv4(), "{numbered}");
        let mut aliases = Aliases::default();
        aliases.learn(&addresses, &told);
        assert!(aliases.same(r1, r1_too));
        // Linux has a counter for each pair of addresses: nothing ties R2's together, nor others by mistake.
        for (a, b) in [(r2, r2_too), (r1, r2), (r1, www), (r2, www)] {
            assert!(!aliases.same(a, b), "{a} and {b}: {:?}", aliases.routers());
        }
        let [router] = &aliases.routers()[..] else { panic!("{:?}", aliases.routers()) };
        assert!(router.evidence.iter().all(|e| e.technique == Technique::CommonSource));
    }
}

#[test]
fn only_if_asked() {
    let lab = lab();
    let run = |arguments: &[&str]| {
        let output = lab.command("client", OTHERHALF).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    };
    let trace = ["forward", "-4", "-n", "www.example.com"];
    let text = run(&[&trace[..], &["--aliases"]].concat());
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "One router: 198.51.100.1, 198.51.100.77 (one address answers for the others)"
    );
    let document: Value =
        serde_json::from_str(&run(&[&trace[..], &["--aliases", "--json"]].concat())).unwrap();
    let routers = document["aliases"].as_array().unwrap();
    assert_eq!(routers.len(), 1, "{document}");
    assert_eq!(routers[0]["addresses"], serde_json::json!(["198.51.100.1", "198.51.100.77"]));
    assert_eq!(routers[0]["evidence"][0]["technique"], "common_source");
    assert!(!run(&trace).contains("One router"));
    assert!(serde_json::from_str::<Value>(&run(&[&trace[..], &["--json"]].concat())).unwrap()["aliases"].is_null());
}
