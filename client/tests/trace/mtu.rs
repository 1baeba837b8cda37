//! The path MTU over links that take less, and routers that say so, say it badly, or do not.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Instant;

use otherhalf_client::mtu::{self, Limit, Options, PathMtu};
use otherhalf_client::query::{Answer, Query, Reply};
use otherhalf_client::{Details, Flow, Network, Queries, Secret, Ttl, document};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Identity, Protocol};

use super::simulation::{Narrow, Simulation, address, ms};

fn discover(simulation: &mut Simulation, protocol: Protocol) -> PathMtu {
    let options = options(simulation, protocol);
    let secret = Secret::from_bytes([2; 16]);
    mtu::discover(simulation, &options, &secret, || ControlFlow::Continue(())).unwrap()
}

fn options(simulation: &Simulation, protocol: Protocol) -> Options {
    Options {
        source: simulation.source,
        target: simulation.target,
        protocol,
        flow: Flow::default_of(protocol),
        traffic_class: 0,
        ttl: Ttl::new(5).unwrap(),
        largest: 1500,
        attempts: Queries::new(2).unwrap(),
        wait: ms(300),
    }
}

/// What a router says: the number, or, as old ones, none.
fn too_big(mtu: Option<u32>) -> Reply {
    Reply::TooBig { mtu }
}

fn narrow(behind: usize, mtu: u16, says: Option<Reply>) -> Narrow {
    Narrow { behind, mtu, says }
}

#[test]
fn a_path_that_takes_all() {
    for family in [Family::V4, Family::V6] {
        for protocol in Protocol::ALL {
            let mut simulation = Simulation::new(family, 4, 4);
            let found = discover(&mut simulation, protocol);
            let expected =
                PathMtu { mtu: Some(1500), limits: vec![], black_hole: false, sent: found.sent };
            assert_eq!(found, expected);
            assert!(simulation.sent.iter().all(|(_, query)| matches!(query,
                Query::Probe { shape, .. } if shape.dont_fragment && shape.size == Some(1500))));
        }
    }
}

#[test]
fn routers_that_say_what_fits_are_believed_one_after_the_other() {
    let mut simulation = Simulation::new(Family::V4, 4, 4);
    simulation.narrow = vec![
        narrow(0, 1480, Some(too_big(Some(1480)))),
        narrow(2, 1400, Some(too_big(Some(1400)))),
    ];
    let found = discover(&mut simulation, Protocol::Udp);
    let router = |number| address(Family::V4, 1, number);
    let limits = vec![
        Limit { router: router(1), mtu: Some(1480) },
        Limit { router: router(3), mtu: Some(1400) },
    ];
    assert_eq!((found.mtu, found.limits, found.black_hole), (Some(1400), limits, false));
    let sizes: Vec<_> = simulation.sent.iter().map(|(_, query)| size(query)).collect();
    assert!(sizes.iter().all(|size| [1500, 1480, 1400].contains(size)), "{sizes:?}");
}

fn size(query: &Query) -> u16 {
    match query {
        Query::Probe { shape, .. } => shape.size.unwrap(),
        Query::Request { .. } => panic!("no request"),
    }
}

#[test]
fn without_a_number_it_is_searched_for() {
    for says in [None, Some(too_big(None)), Some(too_big(Some(9000))), Some(too_big(Some(1)))] {
        for mtu in [1499, 1400, 1280, 576, 68, 37] {
            let mut simulation = Simulation::new(Family::V4, 4, 4);
            simulation.narrow = vec![narrow(1, mtu, says)];
            let found = discover(&mut simulation, Protocol::Udp);
            assert_eq!((found.mtu, found.black_hole), (Some(mtu), says.is_none()), "{says:?}");
            assert!(found.sent <= 30, "{}", found.sent);
            assert!(simulation.elapsed() < ms(6000), "{:?}", simulation.elapsed());
        }
    }
}

#[test]
fn silence_at_every_size_is_no_black_hole() {
    let mut simulation = Simulation::new(Family::V4, 4, 4);
    simulation.probes = false;
    let start = simulation.now();
    let found = discover(&mut simulation, Protocol::Udp);
    assert_eq!(found, PathMtu { mtu: None, limits: vec![], black_hole: false, sent: 4 });
    assert!(simulation.now() - start < ms(1000));
}

/// A router that answers each probe at once: it is one octet too long.
struct Grudging {
    now: Instant,
    answer: Option<Answer>,
}

impl Network for Grudging {
    type Error = Infallible;

    fn now(&self) -> Instant {
        self.now
    }

    fn send(&mut self, query: &Query) -> Result<(), Infallible> {
        let Query::Probe { probe, .. } = query else { panic!("no request") };
        let (identity, from) = (Identity::of(probe), address(Family::V4, 1, 1));
        let reply = too_big(Some(u32::from(size(query)) - 1));
        self.answer = Some(Answer::Probe { identity, from, reply, details: Details::default() });
        Ok(())
    }

    fn receive(&mut self, deadline: Instant) -> Result<Option<(Answer, Instant)>, Infallible> {
        let answer = self.answer.take();
        self.now = if answer.is_some() { self.now + ms(1) } else { deadline };
        Ok(answer.map(|answer| (answer, self.now)))
    }
}

#[test]
fn a_router_that_takes_one_octet_less_each_time_is_not_followed() {
    for largest in [1500, u16::MAX] {
        let simulation = Simulation::new(Family::V4, 4, 4);
        let options = Options { largest, ..options(&simulation, Protocol::Udp) };
        let mut network = Grudging { now: simulation.now(), answer: None };
        let secret = Secret::from_bytes([2; 16]);
        let found =
            mtu::discover(&mut network, &options, &secret, || ControlFlow::Continue(())).unwrap();
        // Ten words, and the halves of 65535.
        assert!((11..=27).contains(&found.sent), "{}", found.sent);
        assert_eq!((found.mtu, found.black_hole), (None, false));
        let document = document::PathMtu::new(&found, &[], 1500);
        assert_eq!(document.contradicts_itself(), Some(address(Family::V4, 1, 1)));
    }
}
