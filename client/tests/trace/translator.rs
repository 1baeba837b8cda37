//! Reverse traces from behind an address translator, and what only looks like one.

use std::net::IpAddr;
use std::num::NonZeroU16;

use otherhalf_client::{Direction, End, Options, Ttl};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

use super::simulation::{Simulation, address, ms};
use super::{options, path, run, trace};

/// Us behind a translator, which shows one address for itself and for us.
fn translated(back: u8) -> (Simulation, IpAddr) {
    let mut simulation = Simulation::new(Family::V4, 3, back);
    simulation.source = "192.168.1.5".parse().unwrap();
    let outer = "203.0.113.9".parse().unwrap();
    simulation.translated = Some(outer);
    simulation.reverse.last_mut().unwrap().addresses = vec![outer];
    (simulation, outer)
}

#[test]
fn behind_a_translator_the_outer_address_is_the_end() {
    for gap in [1, 2, 5] {
        let (mut simulation, outer) = translated(3);
        let options = Options {
            gap: Ttl::new(gap).unwrap(),
            ..options(&simulation, Direction::Reverse, Protocol::Udp)
        };
        let back = run(&mut simulation, options);
        assert_eq!(back.end(), Some(&End::ReachedTranslator(outer)));
        assert_eq!((back.hops().len(), back.is_reached()), (4, true));
    }
}

#[test]
fn a_translator_that_limits_its_errors_is_the_end_nonetheless() {
    let (mut simulation, outer) = translated(20);
    for (at, router) in simulation.reverse.iter_mut().enumerate().skip(2) {
        router.addresses = if at < 4 { vec![outer] } else { vec![] };
    }
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!(back.end(), Some(&End::ReachedTranslator(outer)));
    assert_eq!((back.hops().len(), back.path_end()), (4, Ttl::new(4)));
    // Two hops at the last TTL that was allowed prove nothing.
    let options = Options {
        last: Ttl::new(4).unwrap(),
        ..options(&simulation, Direction::Reverse, Protocol::Udp)
    };
    simulation.sent.clear();
    assert_eq!(run(&mut simulation, options).end(), Some(&End::LastTtl));
}

#[test]
fn a_router_that_shows_twice_on_the_way_is_no_translator() {
    let twice = address(Family::V4, 2, 3);
    for parallel in [1, 16] {
        for silent in [0, 2] {
            let (mut simulation, outer) = translated(9);
            simulation.reverse[3].addresses = vec![twice];
            simulation.reverse.iter_mut().skip(4).take(silent).for_each(|r| r.addresses.clear());
            let options = Options {
                parallel: NonZeroU16::new(parallel).unwrap(),
                ..options(&simulation, Direction::Reverse, Protocol::Udp)
            };
            let back = run(&mut simulation, options);
            assert_eq!(back.end(), Some(&End::ReachedTranslator(outer)));
            assert_eq!(path(&back)[2..4], [Some(twice); 2]);
            assert_eq!((back.hops().len(), back.path_end()), (10, Ttl::new(10)));
        }
    }
}

#[test]
fn a_router_that_shows_twice_is_no_translator_if_the_path_falls_silent_further_on() {
    let (mut simulation, _) = translated(20);
    simulation.reverse[3].addresses = simulation.reverse[2].addresses.clone();
    simulation.reverse.iter_mut().skip(5).for_each(|router| router.addresses.clear());
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!((back.end(), back.hops().len()), (Some(&End::Silent), 10));
}

#[test]
fn a_router_that_shows_often_is_no_translator_if_one_behind_it_has_answered() {
    let (mut simulation, outer) = translated(8);
    for number in [3, 4] {
        simulation.reverse[number].addresses = simulation.reverse[2].addresses.clone();
    }
    // The third time it shows late, and one behind it has answered by then.
    simulation.reverse[4].rtt = ms(300);
    let back = trace(&mut simulation, Direction::Reverse);
    assert_eq!((back.end(), back.hops().len()), (Some(&End::ReachedTranslator(outer)), 9));
}
