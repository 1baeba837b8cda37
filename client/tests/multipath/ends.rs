//! How searches end, and what they cost.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::ops::ControlFlow;
use std::time::Duration;

use otherhalf_client::analyse::{self, Finding};
use otherhalf_client::multipath::Search;
use otherhalf_client::query::Query;
use otherhalf_client::{Direction, End, Secret, Ttl, document, network};
use otherhalf_simnet::{Rate, SimNetwork};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

use crate::kit::{Run, options, run, run_with, topology};
use crate::shapes::{diamond, row};

const REVERSE: Run = Run {
    direction: Direction::Reverse,
    protocol: Protocol::Udp,
    family: Family::V4,
    seed: 1,
    percent: 95.0,
};

#[test]
fn what_the_server_says_ends_it() {
    let ends = ["refuses", "mirrors"].map(|name| {
        let found = run(&topology(name), REVERSE);
        assert!(!found.search.is_reached());
        assert!(found.network.elapsed() < Duration::from_secs(1));
        found.search.end().cloned().unwrap()
    });
    assert!(matches!(ends, [End::Refused { .. }, End::Mirrored]), "{ends:?}");
}

#[test]
fn behind_a_translator_the_outer_address_is_the_end() {
    let found = run(&topology("translator"), REVERSE);
    let outer = "203.0.113.9".parse().unwrap();
    assert_eq!(found.search.end(), Some(&End::ReachedTranslator(outer)));
    found.assert_graph();
    // b, m1 and m2, a, the translator, and us by the same address.
    let ttls: Vec<_> = found.graph.nodes.iter().map(|node| node.ttl).collect();
    assert_eq!(ttls, [0, 1, 2, 2, 3, 4, 5]);
    assert!(found.graph.nodes[5..].iter().all(|node| node.address == Some(outer)));
}

#[test]
fn a_filter_ends_it_in_both_directions() {
    let mut filtered = diamond(2);
    filtered.nodes.get_mut("n03x00").unwrap().filters = true;
    let there = run(&filtered, Run::default());
    assert!(
        matches!(there.search.end(), Some(End::Unreachable { .. })),
        "{:?}",
        there.search.end()
    );
    there.assert_graph();
    let back = run(&topology("filter"), REVERSE);
    assert!(matches!(back.search.end(), Some(End::Repeating(_))), "{:?}", back.search.end());
    back.assert_graph();
}

#[test]
fn a_router_that_seldom_says_that_it_passes_nothing_on_is_the_end_of_every_flow() {
    for (seed, burst) in (0..20).flat_map(|seed| [(seed, 1.0), (seed, 6.0)]) {
        let mut filtered = diamond(2);
        let last = filtered.nodes.get_mut("n03x00").unwrap();
        last.filters = true;
        // As Linux says that a host is unreachable.
        last.rate = Some(Rate { per_second: 1.0, burst });
        let there = run(&filtered, Run { seed, ..Run::default() });
        let end = there.search.end();
        assert!(matches!(end, Some(End::Unreachable { .. })), "{seed}: {end:?}");
        there.assert_graph();
        let ttls: Vec<_> = there.graph.nodes.iter().map(|node| (node.ttl, node.address)).collect();
        assert!(ttls.iter().all(|(ttl, _)| *ttl <= 3), "{seed}: {ttls:?}");
    }
}

#[test]
fn a_loop_ends_at_the_last_ttl() {
    let found = run(&topology("loop"), Run::default());
    assert_eq!(found.search.end(), Some(&End::LastTtl));
    found.assert_sound(Direction::Forward);
    assert_eq!(found.nodes().len(), 30);
}

#[test]
fn first_and_last_ttl_are_obeyed() {
    let found = run_with(&row(&[2, 2, 2]), Run::default(), |options| {
        options.trace.first = Ttl::new(3).unwrap();
        options.trace.last = Ttl::new(5).unwrap();
    });
    found.assert_graph();
    let ttls: BTreeSet<_> = found.graph.nodes.iter().map(|node| node.ttl).collect();
    assert_eq!(ttls, BTreeSet::from([2, 3, 4, 5]));
    assert_eq!(found.search.end(), Some(&End::LastTtl));
}

#[test]
fn no_more_flows_than_allowed() {
    let found = run_with(&diamond(16), Run::default(), |options| {
        options.max_flows = NonZeroU16::new(20).unwrap();
    });
    found.assert_graph();
    assert!(found.path.hops.iter().all(|hop| hop.probes.len() <= 20));
    assert_eq!((found.graph.flows, found.graph.max_flows), (20, 20));
    // What that means for the result is said.
    assert!(found.graph.balancers[0].confidence < 0.95, "{:?}", found.graph.balancers);
}

#[test]
fn one_path_costs_eight_flows_a_hop_and_no_more() {
    let found = run(&topology("line"), REVERSE);
    assert!(found.is_complete(Direction::Reverse));
    assert!(found.graph.balancers.is_empty());
    assert_eq!(found.graph.flows, 8);
    // 4 hops of 8 flows, and what was on its way beyond the end when the end was found.
    assert!(found.search.sent() <= 4 * 8 + 10, "{}", found.search.sent());
    // At 200 queries a second.
    assert!(found.network.elapsed() < Duration::from_millis(300), "{:?}", found.network.elapsed());
    let flows: BTreeSet<_> = found
        .network
        .sent()
        .iter()
        .map(|(_, query)| match query {
            Query::Request { request, .. } => request.flow,
            Query::Probe { .. } => panic!("a probe in a reverse trace"),
        })
        .collect();
    assert_eq!(flows, (33434..33442).collect());
}

#[test]
fn both_directions_side_by_side_find_what_each_finds_alone() {
    let topology = topology("provider");
    let directions = [Direction::Forward, Direction::Reverse];
    let mut network = SimNetwork::new(topology.clone(), Family::V4, 1);
    let mut searches = directions.map(|direction| {
        let options = options(&network, Run { direction, ..Run::default() });
        Search::new(options, Secret::from_bytes([1; 16]))
    });
    network::run(&mut network, &mut searches, |_, _| ControlFlow::Continue(())).unwrap();
    let both = network.elapsed();
    let mut longest = Duration::ZERO;
    for (direction, search) in directions.into_iter().zip(&searches) {
        let alone = run(&topology, Run { direction, ..Run::default() });
        let shape = |path: &document::Path| {
            let graph = path.multipath.as_ref().unwrap();
            graph.nodes.iter().map(|node| (node.ttl, node.address)).collect::<Vec<_>>()
        };
        assert_eq!(shape(&document::Path::from(search)), shape(&alone.path));
        longest = longest.max(alone.network.elapsed());
    }
    assert!(both < longest * 3 / 2, "{both:?} {longest:?}");
}

#[test]
fn an_interrupted_search_keeps_what_it_knows() {
    let mut network = SimNetwork::new(diamond(8), Family::V4, 1);
    let mut searches =
        [Search::new(options(&network, Run::default()), Secret::from_bytes([1; 16]))];
    network::run(&mut network, &mut searches, |searches, _| {
        if searches[0].sent() > 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(searches[0].end(), Some(&End::Stopped));
    assert!(document::Path::from(&searches[0]).multipath.unwrap().nodes.len() > 4);
}

#[test]
fn the_first_flows_of_both_directions_tell_where_the_delay_is() {
    let classic = topology("asymmetric");
    let [there, back] = [Direction::Forward, Direction::Reverse].map(|direction| {
        let found = run(&classic, Run { direction, ..REVERSE });
        analyse::Path::of_first_flow(&found.search)
    });
    let finding = analyse::compare(&there, &back, |a, b| a == b);
    let Finding::WayBack { reverse, .. } = finding else { panic!("{finding:?}") };
    let address = |name: &str| classic.address(name, Family::V4).unwrap();
    assert_eq!(reverse.before.addresses, [address("e")]);
    assert_eq!(reverse.after.addresses, [address("f")]);
    assert_eq!(reverse.by.as_millis() / 10, 30);
}
