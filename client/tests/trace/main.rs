//! Traces over a simulated network.

mod check;
mod hostile;
mod live;
mod mtu;
mod requests;
mod simulation;
mod translator;

use std::collections::HashSet;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use otherhalf_client::query::{Answer, Query, Reply, Unreachable};
use otherhalf_client::trace::Step;
use otherhalf_client::{
    Direction, End, Hop, Network, Options, Outcome, Queries, Rate, Secret, Trace, Ttl, network,
};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{Refusal, Rtt};
use proptest::prelude::*;
use simulation::{Responder, Simulation, Weather, address, ms};

fn options(simulation: &Simulation, direction: Direction, protocol: Protocol) -> Options {
    Options::new(direction, protocol, simulation.source, simulation.target)
}

fn run(simulation: &mut Simulation, options: Options) -> Trace {
    let mut traces = [Trace::new(options, Secret::from_bytes([1; 16]))];
    network::run(simulation, &mut traces, |_, _| ControlFlow::Continue(())).unwrap();
    let [trace] = traces;
    assert!(trace.hops().iter().all(Hop::is_settled));
    assert_eq!(trace.sent(), u64::try_from(simulation.sent.len()).unwrap());
    trace
}

fn trace(simulation: &mut Simulation, direction: Direction) -> Trace {
    let options = options(simulation, direction, Protocol::Udp);
    run(simulation, options)
}

/// The one address of each hop.
fn path(trace: &Trace) -> Vec<Option<IpAddr>> {
    trace.hops().iter().map(Hop::only_address).collect()
}

fn routers(family: Family, which: u8, count: u8, end: IpAddr) -> Vec<Option<IpAddr>> {
    (1..=count).map(|number| Some(address(family, which, number))).chain([Some(end)]).collect()
}

fn ttl_of(query: &Query) -> u8 {
    match query {
        Query::Probe { ttl, .. } => ttl.get(),
        Query::Request { request, .. } => request.ttl,
    }
}

#[test]
fn every_router_both_ways_over_every_protocol_and_family() {
    for family in [Family::V4, Family::V6] {
        for protocol in Protocol::ALL {
            let mut simulation = Simulation::new(family, 4, 6);
            let options_there = options(&simulation, Direction::Forward, protocol);
            let there = run(&mut simulation, options_there);
            assert_eq!(there.end(), Some(&End::Reached));
            assert_eq!(path(&there), routers(family, 1, 4, simulation.target));
            assert_eq!(there.hops()[2].best(), Some(ms(30)));
            let mut simulation = Simulation::new(family, 4, 6);
            let options_back = options(&simulation, Direction::Reverse, protocol);
            let back = run(&mut simulation, options_back);
            assert_eq!(back.end(), Some(&End::Reached));
            assert_eq!(path(&back), routers(family, 2, 6, simulation.source));
            assert_eq!(back.hops()[2].best().unwrap().as_millis(), 30);
            assert!(back.hops().iter().all(|hop| hop.samples().count() == 3));
        }
    }
}

#[test]
fn one_flow_and_one_shape_from_the_first_probe_to_the_last() {
    for protocol in Protocol::ALL {
        let mut simulation = Simulation::new(Family::V4, 9, 1);
        let options = options(&simulation, Direction::Forward, protocol);
        run(&mut simulation, options);
        let shapes: HashSet<_> = simulation
            .sent
            .iter()
            .map(|(_, query)| match query {
                Query::Probe { probe, .. } => (probe.protocol, probe.source_port, probe.flow),
                Query::Request { .. } => panic!("a request in a forward trace"),
            })
            .collect();
        assert_eq!(shapes.len(), 1);
    }
}

#[test]
fn a_long_way_does_not_take_long() {
    let mut simulation = Simulation::new(Family::V4, 4, 4);
    simulation.rtt = ms(300);
    trace(&mut simulation, Direction::Reverse);
    assert!(simulation.elapsed() < ms(1000), "{:?}", simulation.elapsed());
    // 15 hops with round trips of 50 ms.
    let mut simulation = Simulation::new(Family::V4, 1, 14);
    simulation.rtt = ms(50);
    simulation.reverse.iter_mut().for_each(|router| router.rtt = ms(50));
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!((back.hops().len(), back.end()), (15, Some(&End::Reached)));
    // The reference client sends 45 requests in 4.5 seconds.
    assert!(simulation.elapsed() < ms(450), "{:?}", simulation.elapsed());
}

#[test]
fn both_directions_at_once_take_as_long_as_the_longer_one() {
    let mut simulation = Simulation::new(Family::V6, 5, 7);
    let both = [Direction::Forward, Direction::Reverse];
    let mut traces = both.map(|direction| {
        Trace::new(options(&simulation, direction, Protocol::Icmp), Secret::from_bytes([1; 16]))
    });
    network::run(&mut simulation, &mut traces, |_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!(path(&traces[0]), routers(Family::V6, 1, 5, simulation.target));
    assert_eq!(path(&traces[1]), routers(Family::V6, 2, 7, simulation.source));
    let mut alone = Simulation::new(Family::V6, 5, 7);
    trace(&mut alone, Direction::Reverse);
    assert!(simulation.elapsed() < alone.elapsed() + ms(20));
}

#[test]
fn nothing_is_asked_far_beyond_the_end() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    trace(&mut simulation, Direction::Forward);
    let farthest = simulation.sent.iter().map(|(_, query)| ttl_of(query)).max();
    // What was in flight when the target's answer came, as in traceroute.
    assert!(farthest <= Some(4 + 5));
    let beyond = simulation.sent.iter().filter(|(_, query)| ttl_of(query) > 4).count();
    assert!(beyond <= 16, "{beyond}");
    // The target is known by the first answer to a query that goes so far.
    let sent =
        |number| simulation.sent.iter().find(|(_, query)| ttl_of(query) == number).unwrap().0;
    let known = sent(4) + simulation.rtt;
    assert!(simulation.sent.iter().all(|(at, query)| ttl_of(query) <= 4 || *at <= known));
}

#[test]
fn one_after_another_if_that_is_asked_for() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    let options = Options {
        parallel: NonZeroU16::MIN,
        pause: ms(40),
        queries: Queries::new(1).unwrap(),
        ..options(&simulation, Direction::Reverse, Protocol::Udp)
    };
    let back = run(&mut simulation, options);
    assert_eq!(back.end(), Some(&End::Reached));
    assert_eq!(simulation.sent.len(), 4);
    assert!(simulation.sent.array_windows().all(|[(a, _), (b, _)]| *b >= *a + ms(40)));
    let identifiers: HashSet<_> = simulation
        .sent
        .iter()
        .map(|(_, query)| match query {
            Query::Request { request, .. } => request.identifier,
            Query::Probe { .. } => panic!("a probe in a reverse trace"),
        })
        .collect();
    assert_eq!(identifiers.len(), 1, "an answered identifier is used again");
}

#[test]
fn no_more_in_flight_than_asked_for() {
    let simulation = Simulation::new(Family::V4, 3, 3);
    for parallel in [1, 7, 16] {
        let options = Options {
            parallel: NonZeroU16::new(parallel).unwrap(),
            gap: Ttl::MAX,
            ..options(&simulation, Direction::Forward, Protocol::Udp)
        };
        let mut trace = Trace::new(options, Secret::from_bytes([1; 16]));
        let mut now = simulation.now();
        let sent = std::iter::from_fn(|| {
            now += Rate::default().interval();
            matches!(trace.poll(now), Step::Send(_)).then_some(())
        });
        assert_eq!(sent.count(), usize::from(parallel));
    }
}

#[test]
fn first_and_last_ttl_are_obeyed() {
    let mut simulation = Simulation::new(Family::V4, 9, 9);
    let options = Options {
        first: Ttl::new(3).unwrap(),
        last: Ttl::new(6).unwrap(),
        ..options(&simulation, Direction::Forward, Protocol::Udp)
    };
    let there = run(&mut simulation, options);
    assert_eq!(there.end(), Some(&End::LastTtl));
    assert_eq!(there.hops().iter().map(|hop| hop.ttl().get()).collect::<Vec<_>>(), [3, 4, 5, 6]);
    assert_eq!(there.hops()[0].only_address(), Some(address(Family::V4, 1, 3)));
}

#[test]
fn silent_hops_are_passed_over_and_do_not_take_the_whole_wait() {
    let mut simulation = Simulation::new(Family::V4, 6, 6);
    for number in [1, 2] {
        simulation.forward[number].addresses.clear();
    }
    let there = trace(&mut simulation, Direction::Forward);
    assert_eq!(there.end(), Some(&End::Reached));
    assert_eq!(there.hops()[1].outcomes(), [const { Outcome::Silent }; 3]);
    assert_eq!(there.hops()[3].only_address(), Some(address(Family::V4, 1, 4)));
    assert!(simulation.elapsed() < ms(1000), "{:?}", simulation.elapsed());
}

#[test]
fn a_path_that_falls_silent_is_given_up() {
    let mut simulation = Simulation::new(Family::V4, 20, 20);
    for router in simulation.reverse.iter_mut().skip(4) {
        router.addresses.clear();
    }
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!(back.end(), Some(&End::Silent));
    assert_eq!(back.hops().len(), 9);
    assert!(back.is_answered());
    assert_eq!(simulation.sent.len(), 27);
}

#[test]
fn silence_from_the_beginning() {
    let mut simulation = Simulation::new(Family::V4, 20, 20);
    simulation.responder = Responder::Silent;
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!((back.end(), back.is_answered()), (Some(&End::Silent), false));
    let wait = options(&simulation, Direction::Reverse, Protocol::Udp).wait;
    let sending = simulation.sent.last().unwrap().0 - simulation.sent[0].0;
    assert!(simulation.elapsed() <= wait + sending + ms(1), "no longer than for one hop");
    assert!(sending < ms(100), "{sending:?}");
}

#[test]
fn an_endless_path_ends() {
    let mut simulation = Simulation::new(Family::V4, 200, 200);
    let there = trace(&mut simulation, Direction::Forward);
    assert_eq!(there.end(), Some(&End::LastTtl));
    assert_eq!((there.hops().len(), simulation.sent.len()), (30, 90));
    let mut simulation = Simulation::new(Family::V4, 254, 254);
    let options =
        Options { last: Ttl::MAX, ..options(&simulation, Direction::Forward, Protocol::Udp) };
    assert_eq!(run(&mut simulation, options).hops().len(), 255);
}

#[test]
fn a_filter_says_what_it_does() {
    let mut simulation = Simulation::new(Family::V4, 6, 6);
    simulation.forward[2].filters = true;
    let there = trace(&mut simulation, Direction::Forward);
    let from = address(Family::V4, 1, 3);
    let reply = Reply::Unreachable(Unreachable { family: Family::V4, code: 13 });
    assert_eq!(there.end(), Some(&End::Unreachable { from, reply }));
    assert_eq!(there.hops().len(), 3);
}

#[test]
fn in_reverse_a_filter_shows_as_one_address() {
    let mut simulation = Simulation::new(Family::V4, 6, 6);
    simulation.reverse[2].filters = true;
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!(back.end(), Some(&End::Repeating(address(Family::V4, 2, 3))));
    assert_eq!(back.hops().len(), 7);
}

#[test]
fn errors_about_requests_end_a_trace_only_at_its_beginning_or_three_in_a_row() {
    let run_with = |parallel, undelivered| {
        let mut simulation = Simulation::new(Family::V4, 3, 6);
        simulation.undelivered = undelivered;
        let options = Options {
            parallel: NonZeroU16::new(parallel).unwrap(),
            ..options(&simulation, Direction::Reverse, Protocol::Udp)
        };
        let back = run(&mut simulation, options);
        let answers: Vec<_> = back.hops().iter().map(|hop| hop.samples().count()).collect();
        (back.end().cloned(), answers)
    };
    let from = address(Family::V4, 1, 1);
    let reply = Reply::Unreachable(Unreachable { family: Family::V4, code: 1 });
    let unreachable = Some(End::Unreachable { from, reply });
    assert_eq!(run_with(1, 0..1), (unreachable.clone(), vec![]));
    assert_eq!(run_with(1, 7..8), (Some(End::Reached), vec![3, 3, 2, 3, 3, 3, 3]));
    assert_eq!(run_with(1, 7..9), (Some(End::Reached), vec![3, 3, 1, 3, 3, 3, 3]));
    assert_eq!(run_with(1, 7..10), (unreachable, vec![3, 3, 1]));
    assert_eq!(run_with(16, 17..19), (Some(End::Reached), vec![3, 3, 3, 3, 3, 2, 2]));
}

/// The identifier of the next request, which must be due.
fn next_identifier(trace: &mut Trace, now: Instant) -> u16 {
    let step = match trace.poll(now) {
        // Not before the rate allows it.
        Step::Wait(at) => trace.poll(at),
        step => step,
    };
    match step {
        Step::Send(Query::Request { request, .. }) => request.identifier,
        other => panic!("{other:?}"),
    }
}

/// A reverse trace with so many queries for each hop, whose answers are a test's to make, and the time.
fn reverse_trace(queries: u8) -> (Trace, Instant) {
    let simulation = Simulation::new(Family::V4, 3, 3);
    let options = Options {
        queries: Queries::new(queries).unwrap(),
        ..options(&simulation, Direction::Reverse, Protocol::Udp)
    };
    (Trace::new(options, Secret::from_bytes([1; 16])), simulation.now())
}

/// The answer of the router with this number on the way back.
fn result(identifier: u16, number: u8, ns: u64) -> Answer {
    Answer::Result { identifier, from: address(Family::V4, 2, number), rtt: Rtt::from_ns(ns) }
}

#[test]
fn after_a_forged_error_the_true_answer_is_no_other_requests() {
    let (mut trace, now) = reverse_trace(1);
    let [first, second] = [(); 2].map(|()| next_identifier(&mut trace, now));
    assert!(trace.handle(&result(first, 1, 1_000_007), now));
    let (from, reply) = (address(Family::V4, 9, 9), Reply::TimeExceeded);
    assert!(trace.handle(&Answer::Undelivered { identifier: second, from, reply }, now));
    assert_eq!(next_identifier(&mut trace, now), first);
    assert_ne!(next_identifier(&mut trace, now), second);
    assert!(!trace.handle(&result(second, 2, 2_000_007), now));
    assert_eq!(trace.end(), None);
}

#[test]
fn after_a_duplicate_the_true_answer_is_no_other_hops() {
    let (mut trace, now) = reverse_trace(2);
    let identifier = next_identifier(&mut trace, now);
    assert!(trace.handle(&result(identifier, 1, 1_000_007), now));
    assert_eq!(next_identifier(&mut trace, now), identifier, "the second query of the first hop");
    // The first one's answer again; then the second one's, when the second hop is being asked.
    assert!(trace.handle(&result(identifier, 1, 1_000_007), now));
    let other = next_identifier(&mut trace, now);
    assert!(!trace.handle(&result(identifier, 1, 1_000_008), now));
    assert!(trace.handle(&result(other, 2, 2_000_007), now));
}

/// All round trips that are too long for the response's 32 bits are told as the longest; a router may be on two hops.
#[test]
fn round_trips_beyond_the_longest_are_no_duplicates() {
    let (mut trace, now) = reverse_trace(1);
    for hop in 1..=2 {
        let identifier = next_identifier(&mut trace, now);
        assert!(trace.handle(&result(identifier, 1, u64::from(u32::MAX)), now), "{hop}");
    }
}

#[test]
fn a_mirror_is_no_responder() {
    let mut simulation = Simulation::new(Family::V6, 3, 3);
    simulation.responder = Responder::Mirrors;
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!((back.end(), back.hops().len()), (Some(&End::Mirrored), 0));
    assert!(simulation.elapsed() < ms(100));
}

#[test]
fn a_refusal_ends_it() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    let (refusal, text) = (Refusal::Padding(24), "more, please".to_owned());
    simulation.responder = Responder::Refuses(refusal, text.clone());
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!(back.end(), Some(&End::Refused { refusal, text }));
}

#[test]
fn balancers_that_go_by_packet_show_all_their_routers() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    simulation.forward[1].addresses = vec![address(Family::V4, 1, 50), address(Family::V4, 1, 51)];
    let options = Options {
        queries: Queries::new(10).unwrap(),
        ..options(&simulation, Direction::Forward, Protocol::Udp)
    };
    let there = run(&mut simulation, options);
    assert_eq!(there.hops()[1].addresses().len(), 2);
    assert_eq!(there.hops()[1].only_address(), None);
}

#[test]
fn an_interrupted_trace_keeps_what_it_knows() {
    let mut simulation = Simulation::new(Family::V4, 25, 25);
    let options = options(&simulation, Direction::Forward, Protocol::Udp);
    let mut traces = [Trace::new(options, Secret::from_bytes([1; 16]))];
    network::run(&mut simulation, &mut traces, |traces, _| {
        let settled = traces[0].hops().iter().filter(|hop| hop.is_settled()).count();
        if settled >= 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    let [trace] = traces;
    assert_eq!(trace.end(), Some(&End::Stopped));
    assert!(trace.hops().len() >= 4);
    assert!(trace.hops().iter().all(Hop::is_settled));
    assert!(trace.hops().last().unwrap().is_answered());
}

#[test]
fn answers_without_end_do_not_keep_it_from_ending() {
    for direction in [Direction::Forward, Direction::Reverse] {
        let mut simulation = Simulation::new(Family::V4, 4, 4);
        simulation.noise = Some(Duration::from_micros(700));
        simulation.forward[1].addresses.clear();
        let options = Options {
            // No identifier that the noise could hit by chance in this time.
            wait: ms(300),
            ..options(&simulation, direction, Protocol::Udp)
        };
        let trace = run(&mut simulation, options);
        assert!(trace.end().is_some());
        assert!(simulation.elapsed() < ms(2000));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is lost, late, doubled or out of order: no hop is ever given another hop's answer.
    #[test]
    fn no_answer_is_taken_for_another(
        seed: u64,
        reverse: bool,
        protocol in 0..3usize,
        length in 1..20u8,
        silent in proptest::collection::vec(0..20usize, 0..4),
        lost in 0..30u64,
        duplicated in 0..50u64,
        duplicate_after in 0..2000u64,
        late in 0..10u64,
        jitter in 0..200u64,
    ) {
        let mut simulation = Simulation::new(Family::V4, length, length);
        simulation.seed(seed);
        simulation.weather = Weather {
            lost,
            duplicated,
            duplicate_after: ms(duplicate_after),
            late,
            late_by: Duration::from_secs(6),
            jitter: ms(jitter),
        };
        for number in silent {
            if let Some(router) = simulation.forward.get_mut(number) {
                router.addresses.clear();
                simulation.reverse[number].addresses.clear();
            }
        }
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let options = options(&simulation, direction, Protocol::ALL[protocol]);
        let (gap, queries, wait) = (options.gap.get(), options.queries.get(), options.wait);
        let trace = run(&mut simulation, options);
        let (which, end) = if reverse { (2, simulation.source) } else { (1, simulation.target) };
        for hop in trace.hops() {
            let expected = if hop.ttl().get() > length { end } else { address(Family::V4, which, hop.ttl().get()) };
            prop_assert!(hop.samples().all(|sample| sample.from == expected), "{hop:?}");
            prop_assert!(hop.samples().all(|sample| sample.elapsed <= wait));
        }
        let most = u64::from(length + 1 + gap) * u64::from(queries);
        prop_assert!(trace.sent() <= most, "{} of {most}", trace.sent());
        prop_assert!(simulation.elapsed() < Duration::from_secs(30));
        match trace.end() {
            Some(End::Reached) => prop_assert_eq!(trace.hops().last().unwrap().only_address(), Some(end)),
            Some(End::Silent) => {
                let tail = &trace.hops()[trace.hops().len() - usize::from(gap)..];
                prop_assert!(tail.iter().all(|hop| !hop.is_answered()));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn fair_weather_finds_all(length in 0..24u8, jitter in 0..50u64, parallel in 1..40u16, queries in 1..=10u8, reverse: bool) {
        let mut simulation = Simulation::new(Family::V6, length, length);
        simulation.weather.jitter = ms(jitter);
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let options = Options {
            parallel: NonZeroU16::new(parallel).unwrap(),
            queries: Queries::new(queries).unwrap(),
            ..options(&simulation, direction, Protocol::Udp)
        };
        let trace = run(&mut simulation, options);
        let (which, end) = if reverse { (2, simulation.source) } else { (1, simulation.target) };
        prop_assert_eq!(path(&trace), routers(Family::V6, which, length, end));
        prop_assert!(trace.hops().iter().all(|hop| hop.samples().count() == usize::from(queries)));
    }
}
