//! The exchange through a virtual machine, in which `otherhalfd` drives a virtio NIC by DPDK, with a worker on each of two
//! queues. Needs root and what `scripts/test-vm` makes, which runs it; fails without.

mod kit;

use kit::bench::Probe;
use kit::counters::Counters;
use kit::crowd::Crowds;
use kit::drops::what_routers_pass_on;
use kit::exchange::{PROTOCOLS, choices_and_refusals, closed_ports, every_answer, ping};
use kit::machine::boot;
use kit::routers::options_extension_headers_and_padding;
use kit::traces::every_router;
use otherhalf_engine::Outcome;
use otherhalf_lab::Family;

/// The host chooses the queue: a frame of a flow comes by the one that the flow was last answered by.
#[test]
fn every_exchange() {
    let mut bench = boot("rss=off");
    every_answer(&mut bench);
    choices_and_refusals(&mut bench);
    closed_ports(&mut bench);
    options_extension_headers_and_padding(&mut bench);
    what_routers_pass_on(&mut bench);
    for family in Family::ALL {
        let www = bench.address("www", family);
        ping(&mut bench, www, 3, 1400, &["-i", "0.01"]);
        ping(&mut bench, www, 300, 56, &["-f"]);
        let mut crowds = Crowds::gather(&bench.lab, family, 3);
        for (protocol, flow, _) in PROTOCOLS {
            let exceeded = Outcome::ResponseTimeExceeded;
            crowds.hop(&mut bench, Probe { protocol, ttl: 2, flow }, "R1", exceeded);
        }
    }
    let (counters, _lab) = bench.finish();
    show(&counters);
}

/// The NIC offers to choose the queue by a hash of addresses (RSS), which DPDK's driver takes up.
#[test]
fn the_client_finds_every_router() {
    show(&every_router(boot("rss=on")));
}

/// Shows the counters, and checks that both workers had frames.
#[track_caller]
fn show(counters: &Counters) {
    println!("{counters}");
    assert_eq!(counters.workers().len(), 2, "{counters}");
    assert!(counters.workers().iter().all(|frames| *frames > 0), "{counters}");
}
