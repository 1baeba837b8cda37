//! What routers do to the exchange: they are silent, filter, pass on what a requester put in, and
//! forget their neighbours.

use std::time::{Duration, Instant};

use otherhalf_engine::Outcome;
use otherhalf_lab::{Family, Filter, Protocol as Filtered, Topology};

use super::bench::{Bench, ICMP_TO_R2, Probe};
use super::exchange::PROTOCOLS;
use super::output;
use super::packet::{
    ATOMIC_FRAGMENT, DESTINATION_OPTIONS, Extension, HOP_BY_HOP, ROUTING, icmp, request, sealed,
    with_extensions, with_options,
};

/// Makes a line's R2 silent, and its R1 filter what goes to the client.
pub(crate) fn make_silent_and_filtering(topology: &mut Topology) {
    topology.node_mut("R2").unwrap().silent = true;
    let filter = |protocol| Filter { protocol, to: "client".to_owned() };
    topology.node_mut("R1").unwrap().filter =
        [Filtered::Udp, Filtered::Tcp, Filtered::Icmp].map(filter).into();
}

/// A line that [`make_silent_and_filtering`] changed.
#[track_caller]
pub(crate) fn silent_and_filtering(bench: &mut Bench) {
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
}

/// Options, extension headers and padding keep no request from being answered.
#[track_caller]
pub(crate) fn options_extension_headers_and_padding(bench: &mut Bench) {
    let record_route: Vec<u8> = [[7, 39, 4].as_slice(), &[0; 37]].concat();
    // RFC 791: three of no operation and the end; route recorded, up to the longest header.
    let options: [&[u8]; 2] = [&[1, 1, 1, 0], &record_route];
    for options in options {
        answered_all_the_same(bench, Family::V4, |packet| with_options(&packet, options));
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
        answered_all_the_same(bench, Family::V6, put_in);
    }
    for family in Family::ALL {
        for padding in [1, 2, 100, 1000] {
            padded(bench, family, padding);
        }
    }
}

/// A request with so many octets of padding, which must be answered.
#[track_caller]
pub(crate) fn padded(bench: &mut Bench, family: Family, padding: usize) {
    let request = bench.request(family, ICMP_TO_R2);
    let answer = Outcome::ResponseTimeExceeded;
    bench.hop_by(family, ICMP_TO_R2, "R2", answer, request, |client, asked| {
        let mut message = self::request(asked, client.own, client.responder);
        message.resize(message.len() + padding, 0);
        let message = sealed(message, client.own, client.responder);
        client.send_packet(&icmp(client.own, client.responder, &message));
    });
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

/// A router that forgets the responder, and one that becomes another station.
#[track_caller]
pub(crate) fn neighbours_forget_and_change(bench: &mut Bench) {
    let all_hops = |bench: &mut Bench| {
        for family in Family::ALL {
            let start = Instant::now();
            bench.hop(family, ICMP_TO_R2, "R2", Outcome::ResponseTimeExceeded);
            // Answered the first time: the kernel would ask again after a second.
            assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        }
    };
    all_hops(bench);
    // The router forgets the responder, and asks it.
    for _ in 0..3 {
        for family in Family::ALL {
            let flush = [family.flag(), "neigh", "flush", "dev", "to-www"];
            output(bench.lab.command("R2", "ip").args(flush));
            bench.expect(Outcome::NeighbourReply, 1);
        }
        all_hops(bench);
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
    all_hops(bench);
}
