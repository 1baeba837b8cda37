//! What gets lost, comes twice, comes late, or is limited does not look like something else.

use std::time::{Duration, Instant};

use otherhalf_client::multipath::{Options, Search};
use otherhalf_client::network::Probing;
use otherhalf_client::query::{Answer, Query};
use otherhalf_client::trace::Step;
use otherhalf_client::{Direction, End, Secret, Ttl};
use otherhalf_simnet::{Rate, Weather};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{Request, Rtt};

use crate::kit::{Run, run, run_with, topology};
use crate::shapes::{diamond, meshed, row};

const BOTH: [Direction; 2] = [Direction::Forward, Direction::Reverse];

#[test]
fn loss_duplicates_and_disorder_show_neither_silence_nor_ways_that_are_not_there() {
    for direction in BOTH {
        let (mut incomplete, runs) = (0, 60);
        for seed in 0..runs {
            let mut topology = meshed(4);
            topology.weather = Weather {
                loss: 0.1,
                duplicates: 0.1,
                duplicate_after_ms: 30.0,
                reorder: 0.2,
                reorder_by_ms: 40.0,
                jitter_ms: 3.0,
            };
            let found = run(&topology, Run { direction, seed, ..Run::default() });
            found.assert_sound(direction);
            assert!(found.search.is_reached());
            incomplete += u32::from(!found.is_complete(direction));
        }
        assert!(incomplete <= 12, "{direction}: {incomplete} of {runs}");
    }
}

#[test]
fn without_retries_loss_does_more_harm() {
    let lost = |retry| -> usize {
        (0..30)
            .map(|seed| {
                let mut topology = diamond(4);
                topology.weather.loss = 0.15;
                let found =
                    run_with(&topology, Run { seed, ..Run::default() }, |it| it.retry = retry);
                found.path.hops.iter().flat_map(|hop| &hop.probes).filter(|it| it.is_none()).count()
            })
            .sum()
    };
    let [never, often] = [lost(0), lost(3)];
    assert!(never > 50 && often * 20 < never, "{never} {often}");
}

#[test]
fn routers_that_limit_their_errors_are_waited_for() {
    for direction in BOTH {
        for seed in 0..5 {
            let mut topology = row(&[4, 2]);
            let ends = [topology.client.clone(), topology.server.clone()];
            for (name, node) in &mut topology.nodes {
                if !ends.contains(name) {
                    node.rate = Some(Rate { per_second: 1.0, burst: 6.0 });
                }
            }
            let found = run(&topology, Run { direction, seed, ..Run::default() });
            found.assert_sound(direction);
            assert!(found.is_complete(direction), "{:?}", found.graph);
            let most = Duration::from_mins(3);
            assert!(found.network.elapsed() < most, "{:?}", found.network.elapsed());
        }
    }
}

#[test]
fn silent_routers_are_nodes_too() {
    let topology = topology("silent");
    for direction in BOTH {
        let (mut complete, runs) = (0, 20);
        for seed in 0..runs {
            let found = run(&topology, Run { direction, seed, ..Run::default() });
            found.assert_sound(direction);
            complete += u32::from(found.is_complete(direction));
        }
        assert!(complete >= 17, "{direction}: {complete} of {runs}");
    }
}

#[test]
fn a_path_that_falls_silent_is_given_up_and_the_silence_not_drawn() {
    let mut topology = diamond(2);
    topology.responder.probes = false;
    let found = run(&topology, Run::default());
    assert_eq!(found.search.end(), Some(&End::Silent));
    found.assert_graph();
    assert!(found.graph.nodes.iter().skip(1).all(|node| node.address.is_some()));
    let beyond = found.network.sent().len();
    assert!(beyond < 250, "{beyond} queries");
}

/// A search in reverse, of the first TTL alone.
fn search() -> Search {
    let [us, www] = ["192.0.2.1", "198.51.100.2"].map(|end| end.parse().unwrap());
    let trace = otherhalf_client::Options {
        last: Ttl::MIN,
        ..otherhalf_client::Options::new(Direction::Reverse, Protocol::Udp, us, www)
    };
    Search::new(Options::new(trace), Secret::from_bytes([1; 16]))
}

fn next(search: &mut Search, now: &mut Instant) -> Request {
    loop {
        match search.poll(*now) {
            Step::Send(Query::Request { request, .. }) => return request,
            Step::Wait(at) => *now = at,
            other => panic!("{other:?}"),
        }
    }
}

fn result(identifier: u16, ns: u64) -> Answer {
    Answer::Result { identifier, from: [203, 0, 113, 1].into(), rtt: Rtt::from_ns(ns) }
}

#[test]
fn what_a_coarse_clock_says_of_two_flows_is_no_duplicate() {
    // Milliseconds, microseconds, and nothing at all.
    for ns in [10_000_000, 10_001_000, 0] {
        let (mut search, mut now) = (search(), Instant::now());
        for flow in 0..8 {
            let request = next(&mut search, &mut now);
            assert_eq!((request.ttl, request.flow), (1, 33434 + flow));
            assert!(search.handle(&result(request.identifier, ns), now), "{ns} {flow}");
            // The true duplicate comes when the next flow is asked for: by its identifier it is known.
            let late = result(request.identifier, ns);
            assert!(!search.handle(&late, now));
        }
    }
}

#[test]
fn the_nanosecond_tells_a_duplicate_when_its_identifier_asks_for_another_flow() {
    let (mut search, mut now) = (search(), Instant::now());
    let first = next(&mut search, &mut now);
    assert!(search.handle(&result(first.identifier, 10_000_001), now));
    let second = next(&mut search, &mut now);
    assert_eq!((second.identifier, second.ttl), (first.identifier, first.ttl));
    assert_ne!(second.flow, first.flow);
    assert!(!search.handle(&result(first.identifier, 10_000_001), now));
    assert!(search.handle(&result(second.identifier, 10_000_002), now));
}
