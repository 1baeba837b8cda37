//! Many requesters at once, so that every worker has something to do.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use otherhalf_engine::Outcome;
use otherhalf_lab::{Family, Lab};
use otherhalf_wire::trace::Request;
use serde_json::Value;

use super::bench::{Bench, Probe};
use super::client::Client;
use super::output;

/// How many requesters ask at once.
const CROWD: u16 = 64;

/// How many of them each of two queues gets at least: a fair coin falls on one side less often in
/// one of 10¹⁰ crowds.
const SHARE: u64 = 8;

/// The client of a line, with many addresses besides its own.
pub(crate) struct Crowds {
    family: Family,
    /// Those that have asked so far.
    asked: u16,
}

impl Crowds {
    /// Gives the client addresses for `count` crowds, and R1 the route to them.
    #[track_caller]
    pub(crate) fn gather(lab: &Lab, family: Family, count: u16) -> Self {
        addresses(lab, family, count * CROWD);
        Self { family, asked: 0 }
    }

    /// Has a new crowd ask for a probe, each with a flow of its own from `probe.flow` on, and checks
    /// that `node` answers everybody, or for the `client` the requester itself, and that each of
    /// the responder's two workers had its share.
    ///
    /// The kernel gives a request to a queue by its addresses, until the responder writes to these
    /// by another queue; hence the new addresses. All answers of a router come by one queue, so
    /// those to the other queue's requests are another worker's than the one that sent the probe.
    #[track_caller]
    pub(crate) fn hop(&mut self, bench: &mut Bench, probe: Probe, node: &str, outcome: Outcome) {
        let www = bench.address("www", self.family);
        let numbers = self.asked + 1..=self.asked + CROWD;
        self.asked += CROWD;
        let clients: Vec<_> = numbers
            .map(|number| (number, Client::open(&bench.lab, address(self.family, number), www)))
            .collect();
        let before = frames_by_queue(&bench.lab);
        let start = Instant::now();
        for (number, client) in &clients {
            let Probe { protocol, ttl, flow } = probe;
            client.send(Request {
                identifier: *number,
                sequence: 0,
                ttl,
                protocol: client.number(protocol),
                flow: flow + number,
            });
        }
        for (number, client) in &clients {
            let hop = if node == "client" { client.own } else { bench.address(node, self.family) };
            let what = format!("{probe:?} for {} to be answered by {node}", client.own);
            client.receive_hop(*number, hop, start, &what);
        }
        let after = frames_by_queue(&bench.lab);
        let shares = [0, 1].map(|queue| after[queue] - before[queue]);
        assert!(shares.iter().all(|share| *share >= SHARE), "{probe:?}: {shares:?} by queue");
        bench.expect(probe.outcome(), CROWD.into());
        bench.expect(outcome, CROWD.into());
    }
}

/// Gives the client `count` addresses besides its own, and R1 the route to them.
#[track_caller]
pub(crate) fn addresses(lab: &Lab, family: Family, count: u16) -> Vec<IpAddr> {
    let (length, nodad) = match family {
        Family::V4 => (16, ""),
        Family::V6 => (64, "nodad"),
    };
    let (network, own) = (address(family, 0), lab.address("client", family));
    batch(lab, "R1", &format!("route add {network}/{length} via {own} dev to-client\n"));
    let addresses: Vec<_> = (1..=count).map(|number| address(family, number)).collect();
    let mut commands = String::new();
    for address in &addresses {
        writeln!(commands, "address add {address} dev lo {nodad}").unwrap();
    }
    batch(lab, "client", &commands);
    addresses
}

/// Addresses for benchmarking (RFC 2544) and for documentation (RFC 3849).
fn address(family: Family, number: u16) -> IpAddr {
    match family {
        Family::V4 => {
            let [high, low] = number.to_be_bytes();
            Ipv4Addr::new(198, 18, high, low).into()
        }
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0xd, 0, 0, 0, 0, number).into(),
    }
}

/// Gives a node's `ip` many commands at once.
#[track_caller]
fn batch(lab: &Lab, node: &str, commands: &str) {
    let script = r#"ip -batch - <<< "$1""#;
    output(lab.command(node, "bash").args(["-c", script, "bash", commands]));
}

/// How many frames the kernel has put into the first and the second queue of the responder's tap,
/// each of which is one worker's.
#[track_caller]
fn frames_by_queue(lab: &Lab) -> [u64; 2] {
    let text = output(lab.command("www", "tc").args(["-s", "-j", "qdisc", "show", "dev", "dtap0"]));
    let queues: Vec<Value> = serde_json::from_str(&text).unwrap();
    [":1", ":2"].map(|parent| {
        let queue = queues.iter().find(|queue| queue["parent"] == parent);
        queue.and_then(|queue| queue["packets"].as_u64()).unwrap_or_else(|| panic!("{text}"))
    })
}
