//! Whoever answers may lie: a trace ends in its time, asks no more than it may, and keeps no more than it asked for.

use std::time::{Duration, Instant};

use otherhalf_client::multipath::{self, Search};
use otherhalf_client::network::Probing;
use otherhalf_client::query::{Answer, Query, Reply, Unreachable};
use otherhalf_client::trace::Step;
use otherhalf_client::{Details, Direction, Hop, Options, Secret, Trace};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Identity, Protocol};
use otherhalf_wire::trace::{Refusal, Rtt};
use proptest::prelude::*;

use super::simulation::ms;

/// A lie: what kind, about which of the latest queries, by whom, with which number.
type Lie = (u8, u8, u8, u16);

/// What is said of `query`, or of one that was never sent.
fn answer((kind, _, from, number): Lie, query: &Query) -> Answer {
    let from = [203, 0, 113, from].into();
    let unreachable = Reply::Unreachable(Unreachable { family: Family::V4, code: 13 });
    match query {
        Query::Probe { probe, .. } => {
            let reply = match kind % 8 {
                0..=5 => Reply::TimeExceeded,
                6 => Reply::TooBig { mtu: Some(number.into()) },
                _ => unreachable,
            };
            let identity = Identity::of(probe);
            Answer::Probe { identity, from, reply, details: Details::default() }
        }
        Query::Request { request, .. } => {
            let identifier = if kind & 0x40 == 0 { request.identifier } else { number };
            match kind % 8 {
                0..=3 => Answer::Result { identifier, from, rtt: Rtt::from_ns(number.into()) },
                4 => Answer::Undelivered { identifier, from, reply: unreachable },
                5 => Answer::Mirrored {
                    identifier,
                    echoed: number.to_be_bytes().repeat(2).try_into().unwrap(),
                },
                6 => {
                    let refusal = Refusal::Padding(number % 1200);
                    Answer::Refused { identifier, refusal, text: "\x1b[2J".repeat(9) }
                }
                _ => Answer::Result { identifier, from, rtt: Rtt::from_ns(0) },
            }
        }
    }
}

/// Runs `probing` while each millisecond brings all `lies`; returns how long it took and what it sent. It is past `most` if it
/// does not end.
fn flood(probing: &mut impl Probing, lies: &[Lie], most: Duration) -> (Duration, usize) {
    let start = Instant::now();
    let (mut now, mut sent) = (start, Vec::new());
    while now - start <= most {
        loop {
            match probing.poll(now) {
                Step::Send(query) => sent.push(query),
                Step::Wait(_) => break,
                Step::Done => return (now - start, sent.len()),
            }
        }
        for lie in lies {
            if let Some(query) = sent.iter().nth_back(lie.1.into()) {
                probing.handle(&answer(*lie, query), now);
            }
        }
        now += ms(1);
    }
    (now - start, sent.len())
}

fn options(direction: Direction) -> Options {
    let [us, www] = ["192.0.2.1", "198.51.100.2"].map(|end| end.parse().unwrap());
    Options::new(direction, Protocol::Udp, us, www)
}

fn lies() -> impl Strategy<Value = Vec<Lie>> {
    proptest::collection::vec((any::<u8>(), 0u8..20, any::<u8>(), any::<u16>()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn a_trace_ends_in_its_time(lies in lies(), reverse: bool) {
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let options = options(direction);
        let (queries, last) = (u32::from(options.queries.get()), u32::from(options.last.get()));
        // Each query once, and those in flight once more for padding; each may take its whole wait if its TTL is the only one.
        let asked = usize::try_from(queries * last).unwrap() + usize::from(options.parallel.get());
        let most = options.wait * (queries * last).div_ceil(u32::from(options.parallel.get())) * 2;
        let mut trace = Trace::new(options, Secret::from_bytes([1; 16]));
        let (took, sent) = flood(&mut trace, &lies, most);
        prop_assert!(trace.end().is_some(), "{took:?}");
        prop_assert!(sent <= asked, "{sent} of {asked}");
        let kept: usize = trace.hops().iter().map(|hop| Hop::samples(hop).count()).sum();
        prop_assert!(kept <= sent);
    }

    #[test]
    fn a_search_ends_in_its_time(lies in lies(), reverse: bool) {
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let mut options = multipath::Options::new(options(direction));
        options.max_flows = 16.try_into().unwrap();
        let mut search = Search::new(options, Secret::from_bytes([1; 16]));
        let (took, sent) = flood(&mut search, &lies, Duration::from_mins(10));
        prop_assert!(search.end().is_some(), "{took:?} {sent}");
        prop_assert!(search.addresses().count() <= sent);
    }
}
