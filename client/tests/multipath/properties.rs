//! Whatever the network: what is found is a graph, and it is there.

use otherhalf_client::Direction;
use otherhalf_simnet::{Balance, Rate};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use proptest::prelude::*;

use crate::kit::{Run, run_with};
use crate::shapes::layers;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_network(
        widths in proptest::collection::vec(1usize..5, 1..6),
        gaps: u64,
        seed in 0u64..1000,
        reverse: bool,
        v6: bool,
        protocol in 0usize..3,
        silent in proptest::option::of(0usize..20),
        limited in proptest::option::of(0usize..20),
        loss in prop_oneof![Just(0.0), 0.0..0.1],
        duplicates in prop_oneof![Just(0.0), 0.0..0.3],
        reorder in prop_oneof![Just(0.0), 0.0..0.3],
        retry in 2u8..5,
    ) {
        // Each node leads at least to the one that has its place in the next layer.
        let meets = move |layer: usize, a: usize, b: usize| {
            a == b || gaps >> ((layer * 16 + a * 4 + b) % 64) & 1 == 0
        };
        // Beyond the narrower layer, all are linked, so that there is always a way on.
        let sizes = widths.clone();
        let mut topology = layers(&widths, move |layer, a, b| {
            let narrow = sizes.get(layer).copied().unwrap_or(1)
                .min(sizes.get(layer + 1).copied().unwrap_or(1));
            a >= narrow || b >= narrow || meets(layer, a, b)
        });
        let names: Vec<_> = topology.nodes.keys().cloned().collect();
        let inner = &names[1..names.len() - 1];
        if let Some(at) = silent {
            topology.nodes.get_mut(&inner[at % inner.len()]).unwrap().silent = true;
        }
        if let Some(at) = limited {
            let node = topology.nodes.get_mut(&inner[at % inner.len()]).unwrap();
            node.rate = Some(Rate { per_second: 2.0, burst: 6.0 });
        }
        topology.weather.loss = loss;
        topology.weather.duplicates = duplicates;
        topology.weather.reorder = reorder;
        topology.weather.reorder_by_ms = 50.0;
        prop_assert!(topology.nodes.values().all(|node| node.balance == Balance::Flow));
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let run = Run {
            direction,
            protocol: Protocol::ALL[protocol],
            family: if v6 { Family::V6 } else { Family::V4 },
            seed,
            percent: 95.0,
        };
        let found = run_with(&topology, run, |options| options.retry = retry);
        found.assert_graph();
        prop_assert!(found.search.is_reached(), "{:?}", found.search.end());
        // Two retries lose a query of ten in a thousand, and with a limit more: silence may then be believed that is none.
        let (nodes, links) = found.truth(direction);
        let answering = |node: &(u8, Option<std::net::IpAddr>)| node.1.is_some();
        let end = nodes.iter().rfind(|node| answering(node)).and_then(|node| node.1);
        for node in found.nodes().iter().filter(|node| answering(node)) {
            // If all answers of the end are lost at its own TTL, it shows at the next.
            let late = loss > 0.0 && node.1 == end;
            prop_assert!(late || nodes.contains(node), "{node:?} is not there");
        }
        for link in found.links() {
            let (_, from, to) = link;
            let start = link.0 == 0;
            if (start || from.is_some()) && to.is_some() {
                let real = links.iter().any(|(ttl, a, b)| *ttl == link.0 && (start || *a == from) && *b == to);
                prop_assert!(real, "{link:?} is not there");
            }
        }
        if loss == 0.0 && limited.is_none() {
            found.assert_sound(direction);
        }
    }
}
