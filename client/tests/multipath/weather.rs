//! What gets lost, comes twice, comes late, or is limited does not look like something else.

use std::time::Duration;

use otherhalf_client::{Direction, End};
use otherhalf_simnet::{Rate, Weather};

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
