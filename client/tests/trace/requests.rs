//! What goes with queries: rate, size, type of service, padding, an indirect target; and what quotes show of translators.

use std::net::IpAddr;
use std::num::NonZeroU16;

use otherhalf_client::query::Query;
use otherhalf_client::{Direction, End, Options, Queries, Rate, Rewritten};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::Refusal;

use super::simulation::{Responder, Router, Simulation, address, ms};
use super::{options, path, routers, run, trace};

#[test]
fn no_two_queries_are_closer_than_the_rate_allows() {
    for per_second in [10, 200, 1000] {
        let rate = Rate::new(per_second).unwrap();
        let mut simulation = Simulation::new(Family::V4, 6, 6);
        let options = Options { rate, ..options(&simulation, Direction::Reverse, Protocol::Udp) };
        assert_eq!(run(&mut simulation, options).end(), Some(&End::Reached));
        let least = rate.interval();
        let mut gaps = simulation.sent.array_windows().map(|[(a, _), (b, _)]| *b - *a);
        assert!(gaps.all(|gap| gap >= least));
    }
    // The longer of pause and rate counts.
    let mut simulation = Simulation::new(Family::V4, 2, 2);
    let options =
        Options { pause: ms(30), ..options(&simulation, Direction::Reverse, Protocol::Udp) };
    run(&mut simulation, options);
    assert!(simulation.sent.array_windows().all(|[(a, _), (b, _)]| *b - *a >= ms(30)));
}

#[test]
fn size_and_type_of_service_are_those_asked_for() {
    for direction in [Direction::Forward, Direction::Reverse] {
        let mut simulation = Simulation::new(Family::V4, 3, 3);
        let options = Options {
            size: Some(900),
            traffic_class: 0xb8,
            ..options(&simulation, direction, Protocol::Udp)
        };
        run(&mut simulation, options);
        for (_, query) in &simulation.sent {
            match query {
                Query::Probe { shape, .. } => {
                    assert_eq!((shape.size, shape.traffic_class), (Some(900), 0xb8));
                }
                Query::Request { extras, .. } => assert_eq!(extras.traffic_class, 0xb8),
            }
        }
    }
}

#[test]
fn padding_that_is_demanded_is_sent() {
    for parallel in [1, 16] {
        let mut simulation = Simulation::new(Family::V4, 3, 4);
        simulation.demands = 24;
        let options = Options {
            parallel: NonZeroU16::new(parallel).unwrap(),
            ..options(&simulation, Direction::Reverse, Protocol::Udp)
        };
        let back = run(&mut simulation, options);
        assert_eq!(back.end(), Some(&End::Reached));
        assert_eq!(path(&back), routers(Family::V4, 2, 4, simulation.source));
        assert!(back.hops().iter().all(|hop| hop.samples().count() == 3));
        let padded =
            |query: &Query| matches!(query, Query::Request { extras, .. } if extras.padding == 24);
        let bare = simulation.sent.iter().filter(|(_, query)| !padded(query)).count();
        // Those that were on their way when the first refusal came.
        assert!((1..=usize::from(parallel)).contains(&bare), "{bare}");
    }
}

#[test]
fn a_demand_without_end_is_met_once() {
    for demands in [2000, 1025] {
        let mut simulation = Simulation::new(Family::V4, 3, 4);
        simulation.demands = demands;
        let back = trace(&mut simulation, Direction::Reverse);
        let refusal = Refusal::Padding(demands);
        assert_eq!(back.end(), Some(&End::Refused { refusal, text: String::new() }));
    }
    // It demands more than it said.
    let mut simulation = Simulation::new(Family::V4, 3, 4);
    simulation.demands = 100;
    let options = Options {
        parallel: NonZeroU16::MIN,
        queries: Queries::new(1).unwrap(),
        ..options(&simulation, Direction::Reverse, Protocol::Udp)
    };
    let mut trace =
        otherhalf_client::Trace::new(options, otherhalf_client::Secret::from_bytes([1; 16]));
    let mut now = otherhalf_client::Network::now(&simulation);
    let mut demand = |missing| {
        now += ms(100);
        let otherhalf_client::trace::Step::Send(Query::Request { request, .. }) = trace.poll(now)
        else {
            return trace.end().cloned();
        };
        let refusal = Refusal::Padding(missing);
        let (identifier, text) = (request.identifier, String::new());
        let answer = otherhalf_client::Answer::Refused { identifier, refusal, text };
        assert!(trace.handle(&answer, now + ms(10)));
        trace.end().cloned()
    };
    assert_eq!(demand(20), None);
    let refusal = Refusal::Padding(1);
    assert_eq!(demand(1), Some(End::Refused { refusal, text: String::new() }));
}

#[test]
fn a_demand_of_no_padding_is_a_refusal_and_not_a_question() {
    let mut simulation = Simulation::new(Family::V4, 3, 4);
    let refusal = Refusal::Padding(0);
    simulation.responder = Responder::Refuses(refusal, String::new());
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!(back.end(), Some(&End::Refused { refusal, text: String::new() }));
    assert!(simulation.sent.len() <= 16, "{}", simulation.sent.len());
}

#[test]
fn an_indirect_trace_ends_at_its_own_target() {
    for family in [Family::V4, Family::V6] {
        let mut simulation = Simulation::new(family, 3, 4);
        let other: IpAddr = address(family, 7, 99);
        let way = (1..=5).map(|number| Router {
            addresses: vec![address(family, 7, number)],
            rtt: ms(u64::from(number) * 10),
            filters: false,
        });
        let options = |simulation: &Simulation| Options {
            indirect: Some(other),
            ..options(simulation, Direction::Reverse, Protocol::Udp)
        };
        let asked = options(&simulation);
        let refused = run(&mut simulation, asked.clone());
        let refusal = Refusal::Extension(0x0500);
        assert_eq!(refused.end(), Some(&End::Refused { refusal, text: String::new() }));
        simulation.elsewhere = Some((other, way.collect()));
        simulation.sent.clear();
        let found = run(&mut simulation, asked);
        assert_eq!(found.end(), Some(&End::Reached));
        assert_eq!(path(&found), routers(family, 7, 5, other));
        let document = otherhalf_client::document::Path::from(&found);
        assert_eq!((document.from, document.to), (simulation.target, other));
    }
}

#[test]
fn answers_that_a_translator_left_its_traces_in_are_answers_and_say_so() {
    for protocol in Protocol::ALL {
        let mut simulation = Simulation::new(Family::V4, 4, 4);
        let outer: IpAddr = "203.0.113.9".parse().unwrap();
        simulation.outer = Some((outer, 40000));
        let options = options(&simulation, Direction::Forward, protocol);
        let there = run(&mut simulation, options);
        assert_eq!(there.end(), Some(&End::Reached), "{protocol}");
        assert_eq!(path(&there), routers(Family::V4, 1, 4, simulation.target));
        let sample = there.hops()[2].samples().next().unwrap();
        assert_eq!(sample.rewritten.source, Some(outer));
        assert!(sample.rewritten.is_translated());
        assert_eq!(sample.rewritten.source_port.is_some(), protocol != Protocol::Icmp);
        let document = otherhalf_client::document::Path::from(&there);
        let probe = document.hops[2].probes[0].as_ref().unwrap();
        assert_eq!(probe.details.nat.unwrap().source, Some(outer));
    }
    let mut simulation = Simulation::new(Family::V4, 4, 4);
    let there = trace(&mut simulation, Direction::Forward);
    let mut samples = there.hops().iter().flat_map(otherhalf_client::Hop::samples);
    assert!(samples.all(|sample| sample.rewritten == Rewritten::default()));
}
