//! A trace against a network that lies: answers to what was asked, and to what never was, in an order that the fuzzer chooses.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use otherhalf_client::options::{Direction, Options};
use otherhalf_client::packet::{Codec, MAX_LEN};
use otherhalf_client::trace::Step;
use otherhalf_client::{Answer, Query, Reply, Secret, Trace};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{Refusal, Rtt};

use crate::common::{FAMILIES, ends};
use crate::random::Random;

/// Events an input, at most: a trace that has not come to its end by time alone after these never will.
const EVENTS: usize = 100_000;
/// Queries of a trace by default settings, and as many again: no answer may make it ask on and on.
const QUERIES: usize = 2_000;

/// Traces until the trace ends.
///
/// # Panics
///
/// If it does not end, asks without end, or a query does not fit into a packet.
pub fn run(octets: &[u8]) {
    let mut random = Random::new(octets);
    let ends = ends(random.pick(&FAMILIES));
    let direction = random.pick(&[Direction::Reverse, Direction::Forward]);
    let protocol = random.pick(&Protocol::ALL);
    let options = Options::new(direction, protocol, ends.client, ends.own);
    let codec = Codec { source: ends.client, target: ends.own };
    let mut trace = Trace::new(options, Secret::from_bytes([1; 16]));
    let mut now = Instant::now();
    let mut asked = Vec::new();
    let mut room = vec![0; MAX_LEN];
    for _ in 0..EVENTS {
        match trace.poll(now) {
            Step::Done => return,
            Step::Send(query) => {
                assert!(codec.encode(&query, &mut room).is_some(), "{query:?}");
                asked.push(query);
                assert!(asked.len() <= QUERIES, "asks without end");
            }
            Step::Wait(until) => now = now.max(until),
        }
        if !random.is_exhausted() && random.one_in(2) {
            if let Some(answer) = answer(&mut random, &asked, [ends.client, ends.own, ends.hop]) {
                trace.handle(&answer, now);
            }
            now += Duration::from_micros(random.short().into());
        }
    }
    panic!("the trace does not end");
}

/// An answer to a query that was asked, or nearly.
fn answer(random: &mut Random, asked: &[Query], addresses: [IpAddr; 3]) -> Option<Answer> {
    if asked.is_empty() {
        return None;
    }
    let query = &asked[random.below(asked.len())];
    let from = random.pick(&addresses);
    let identifier = match query {
        Query::Request { request, .. } => {
            request.identifier.wrapping_add(u16::from(random.one_in(8)))
        }
        Query::Probe { .. } => random.short(),
    };
    let reply = random.pick(&[
        Reply::TimeExceeded,
        Reply::Direct,
        Reply::TooBig { mtu: None },
        Reply::TooBig { mtu: Some(0) },
        Reply::TooBig { mtu: Some(u32::MAX) },
    ]);
    Some(match random.below(4) {
        0 => Answer::Result { identifier, from, rtt: Rtt::from_ns(random.word()) },
        1 => {
            let (status, value) = (random.octet(), random.short());
            let refusal = random.pick(&[
                Refusal::Ttl,
                Refusal::Protocol,
                Refusal::Flow,
                Refusal::Extension(value),
                Refusal::Padding(value),
                Refusal::Other(status, value),
            ]);
            Answer::Refused { identifier, refusal, text: "\u{1b}[2J".to_owned() }
        }
        2 => Answer::Mirrored { identifier, echoed: [random.octet(); 4] },
        _ => Answer::Undelivered { identifier, from, reply },
    })
}
