//! By what balancers choose.

use otherhalf_client::Direction;
use otherhalf_client::document::Balancing;
use otherhalf_simnet::Balance;

use crate::kit::{Run, allowed, run, topology};
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
