//! What a check tells apart.

use std::ops::ControlFlow;
use std::time::Duration;

use otherhalf_client::check::{self, Ability, Features};
use otherhalf_client::query::Reply;
use otherhalf_client::{Check, Queries, Secret, Speaks};
use otherhalf_wire::ip::Family;
use otherhalf_wire::trace::Refusal;

use super::simulation::{Responder, Simulation, Weather, address, ms};

fn found(ping: Option<Duration>, speaks: Speaks) -> Check {
    Check { ping, ping_error: None, speaks, features: None }
}

fn checked(simulation: &mut Simulation) -> Check {
    let options = check::Options {
        target: simulation.target,
        attempts: Queries::default(),
        wait: Duration::from_secs(3),
    };
    let secret = Secret::from_bytes([1; 16]);
    check::check(simulation, &options, &secret, || ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_check_tells_responders_from_mirrors_from_nobody() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    let rtt = simulation.rtt;
    let refusal = Some(Refusal::Ttl);
    let speaks = Speaks::Yes { rtt, refusal, text: String::new() };
    assert_eq!(checked(&mut simulation), found(Some(rtt), speaks));
    assert_eq!(simulation.sent.len(), 2);

    simulation.responder = Responder::Mirrors;
    let speaks = Speaks::PingOnly { rtt };
    assert_eq!(checked(&mut simulation), found(Some(rtt), speaks));

    simulation.responder = Responder::Silent;
    assert_eq!(checked(&mut simulation), found(Some(rtt), Speaks::Silent));

    simulation.pings = false;
    simulation.sent.clear();
    let before = simulation.elapsed();
    assert_eq!(checked(&mut simulation), found(None, Speaks::Silent));
    assert_eq!(simulation.sent.len(), 6);
    assert!(simulation.elapsed() <= before + Duration::from_secs(6));
}

#[test]
fn a_check_survives_losses() {
    for seed in 0..50 {
        let mut simulation = Simulation::new(Family::V4, 3, 3);
        simulation.seed(seed);
        simulation.weather = Weather { lost: 20, duplicated: 20, ..Weather::default() };
        let check = checked(&mut simulation);
        assert!(!matches!(check.speaks, Speaks::PingOnly { .. } | Speaks::Undelivered { .. }));
        if simulation.sent.len() == 2 {
            assert!(check.ping.is_some() && matches!(check.speaks, Speaks::Yes { .. }));
        }
    }
}

fn features(simulation: &mut Simulation) -> Features {
    let ends = [simulation.source, simulation.target];
    let secret = Secret::from_bytes([1; 16]);
    check::features(simulation, ends, ms(50), &secret, || ControlFlow::Continue(())).unwrap()
}

#[test]
fn what_a_responder_can_do_is_found_by_asking() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    let indirect = Ability::No(Refusal::Extension(0x0500));
    let yes = Ability::Yes;
    let all = Features { udp: yes, tcp: yes, icmp: yes, indirect, padding: None };
    assert_eq!(features(&mut simulation), all);
    assert_eq!(simulation.sent.len(), 4);

    simulation.refuses = vec![6];
    simulation.demands = 24;
    simulation.elsewhere = Some((simulation.source, simulation.reverse.clone()));
    let tcp = Ability::No(Refusal::Protocol);
    let some = Features { tcp, indirect: yes, padding: Some(24), ..all };
    assert_eq!(features(&mut simulation), some);

    // A silent router is no refusal.
    simulation.reverse[0].addresses.clear();
    let silent = Ability::Silent;
    let before = simulation.elapsed();
    let quiet = Features { udp: silent, icmp: silent, tcp, indirect: silent, padding: Some(24) };
    simulation.elsewhere = Some((simulation.source, simulation.reverse.clone()));
    assert_eq!(features(&mut simulation), quiet);
    assert!(simulation.elapsed() < before + ms(1000));

    // More than we send, or more than it said before, is no demand that we meet.
    simulation.demands = 5000;
    let refused = Ability::No(Refusal::Padding(5000));
    assert_eq!(features(&mut simulation).udp, refused);
}

#[test]
fn a_routing_loop_is_known_at_once() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    simulation.loops = true;
    let check = checked(&mut simulation);
    let (from, reply) = (address(Family::V4, 1, 1), Reply::TimeExceeded);
    assert_eq!(check.ping_error, Some((from, reply)));
    assert_eq!(check.speaks, Speaks::Undelivered { from, reply });
    assert!(simulation.elapsed() < ms(200), "{:?}", simulation.elapsed());
}
