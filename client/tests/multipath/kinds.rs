//! By what balancers choose.

use otherhalf_client::document::Balancing;
use otherhalf_client::{Direction, Query};
use otherhalf_simnet::Balance;
use otherhalf_wire::ip::Family;

use crate::kit::{Run, allowed, run, run_with, topology};
use crate::shapes::{nested, row};

const BOTH: [Direction; 2] = [Direction::Forward, Direction::Reverse];

#[test]
fn by_flow() {
    for direction in BOTH {
        let mut wrong: u32 = 0;
        for seed in 0..50 {
            let found = run(&row(&[2, 4, 3]), Run { direction, seed, ..Run::default() });
            for balancer in &found.graph.balancers {
                assert_eq!(balancer.balancing, Balancing::PerFlow);
                let sure = balancer.balancing_confidence.unwrap();
                assert!(sure > 0.95 && sure < 1.0, "{sure}");
                assert!(balancer.confidence > 0.95, "{balancer:?}");
            }
            wrong += u32::from(found.graph.balancers.len() != 3);
        }
        assert!(wrong <= allowed(50, 0.05), "{wrong}");
    }
}

#[test]
fn by_packet() {
    for direction in BOTH {
        let mut missed = 0;
        for seed in 0..50 {
            let found = run(&topology("packet"), Run { direction, seed, ..Run::default() });
            found.assert_sound(direction);
            let kinds: Vec<_> = found.graph.balancers.iter().map(|it| it.balancing).collect();
            assert!(kinds.len() <= 1, "{kinds:?}");
            missed += u32::from(kinds != [Balancing::PerPacket]);
        }
        // Not all found, or seven packets of one flow on one of two ways.
        let most = allowed(50, 0.05 + 0.5f64.powi(7));
        assert!(missed <= most, "{direction}: {missed} of 50 missed, {most} are allowed");
    }
}

#[test]
fn behind_one_that_goes_by_packet_nothing_is_claimed() {
    for direction in BOTH {
        let mut topology = nested(2, 2);
        // The outer balancer of this direction.
        let outer = match direction {
            Direction::Forward => "n01x00",
            Direction::Reverse => "n05x00",
        };
        topology.nodes.get_mut(outer).unwrap().balance = Balance::Packet;
        let (mut doubtful, mut unknown, mut fooled, mut claimed) = (0, 0, 0, 0);
        for seed in 0..50 {
            let found = run(&topology, Run { direction, seed, ..Run::default() });
            found.assert_graph();
            // Links that are said to be certain are there, unless seven packets of one flow happened to take one way.
            fooled += u32::from(!found.links().is_subset(&found.truth(direction).1));
            doubtful += found.graph.links.iter().filter(|link| !link.certain).count();
            let kinds: Vec<_> = found.graph.balancers.iter().map(|it| it.balancing).collect();
            unknown += kinds.iter().filter(|kind| **kind == Balancing::Unknown).count();
            claimed += u32::from(kinds.contains(&Balancing::PerFlow));
        }
        assert!(doubtful > 100 && unknown > 50, "{doubtful} {unknown}");
        // Once in 2^7 = 128 runs.
        let most = allowed(50, 0.5f64.powi(7));
        assert!(fooled <= most && claimed <= 5, "{fooled} {claimed}");
    }
}

#[test]
fn by_destination_is_not_seen_with_one_destination() {
    for direction in BOTH {
        let found = run(&topology("destination"), Run { direction, ..Run::default() });
        found.assert_graph();
        assert!(found.graph.balancers.is_empty());
        assert_eq!(found.nodes().len(), 4);
    }
}

#[test]
fn by_destination_is_found_by_asking_for_others() {
    let network = topology("destination");
    let mut missed = 0;
    for seed in 0..100 {
        let run = Run { seed, ..Run::default() };
        let found = run_with(&network, run, |options| options.by_destination = true);
        found.assert_graph();
        // The others' ways are none of the target's.
        assert_eq!(found.nodes().len(), 4);
        for balancer in &found.graph.balancers {
            assert_eq!(found.graph.nodes[balancer.node].address, network.address("a", Family::V4));
            assert_eq!(balancer.balancing, Balancing::PerDestination);
            assert!((2..=4).contains(&balancer.branches), "{balancer:?}");
            assert!(balancer.balancing_confidence.is_some_and(|sure| sure > 0.9), "{balancer:?}");
        }
        missed += u32::from(found.graph.balancers.is_empty());
    }
    // Eight destinations, all by one of four ways.
    assert!(missed <= allowed(100, 4.0 * 0.25f64.powi(8)), "{missed}");
}

#[test]
fn a_row_of_routers_is_none_for_any_destination() {
    let run = Run::default();
    let found = run_with(&topology("line"), run, |options| options.by_destination = true);
    assert!(found.graph.balancers.is_empty());
    // None of these probes has the TTL to get to the target's network.
    let last = found.nodes().last().unwrap().0;
    let beside = |query: &Query| match query {
        Query::Probe { ttl, instead: Some(_), .. } => Some(ttl.get()),
        _ => None,
    };
    let ttls: Vec<u8> =
        found.network.sent().iter().filter_map(|(_, query)| beside(query)).collect();
    assert!(!ttls.is_empty() && ttls.iter().all(|ttl| *ttl < last), "{ttls:?}");
}
