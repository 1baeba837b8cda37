//! Routing loops: routers that send packets round and round.

use std::net::IpAddr;

use otherhalf_client::document::Path;
use otherhalf_client::multipath::Search;
use otherhalf_client::{Hop, Trace};

use crate::words::count;

/// A TTL and who answers there.
type Place = (u8, Vec<IpAddr>);

/// A loop that `trace` ends in, as words that follow a sentence on how it ends; empty if there is none.
pub(crate) fn of_trace(trace: &Trace) -> String {
    let place = |hop: &Hop| (hop.ttl().get(), hop.addresses());
    words("it is", &trace.hops().iter().map(place).collect::<Vec<_>>())
}

/// The same of the first flow of `search`: others may end elsewhere.
pub(crate) fn of_search(search: &Search) -> String {
    let path = Path::from(search);
    let first = Some(path.flow);
    let places: Vec<Place> = path
        .hops
        .iter()
        .map(|hop| {
            let probes = hop.probes.iter().flatten().filter(|probe| probe.flow == first);
            (hop.ttl, probes.map(|probe| probe.address).collect())
        })
        .collect();
    words("the first flow is in", &places)
}

/// What `hops` end in.
///
/// The last answers must go twice round through the same two routers or more. One router alone at every hop is a filter rather
/// than a loop.
fn words(who_is: &str, hops: &[Place]) -> String {
    let last = hops.iter().rposition(|(_, from)| !from.is_empty()).map_or(0, |last| last + 1);
    let hops = hops.get(..last).unwrap_or_default();
    let is_same =
        |(_, one): &Place, (_, other): &Place| one.iter().any(|address| other.contains(address));
    let back = |round: usize| {
        // How many hops in a row, from the last one back, are the same as those a round before.
        let pairs = hops.iter().rev().zip(hops.iter().rev().skip(round));
        pairs.take_while(|(late, early)| is_same(late, early)).count()
    };
    let is_loop = |round: &usize| {
        let ring = hops.iter().rev().take(*round);
        let distinct = ring.clone().zip(ring.skip(1)).any(|(one, other)| !is_same(one, other));
        distinct && back(*round) >= *round
    };
    let Some(round) = (2..=hops.len() / 2).find(is_loop) else { return String::new() };
    let first = hops.len() - back(round) - round;
    let ring = hops.get(first..first + round).unwrap_or_default();
    let routers: Vec<IpAddr> = ring.iter().filter_map(|(_, from)| from.first().copied()).collect();
    let names: Vec<_> = routers.iter().map(ToString::to_string).collect();
    let ttl = ring.first().map_or(0, |(ttl, _)| *ttl);
    format!(
        "; {who_is} a routing loop: from hop {ttl} on, packets go round through {} ({})",
        count(u64::try_from(round).unwrap_or(u64::MAX), "router"),
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use otherhalf_client::multipath::{Options, Search};
    use otherhalf_client::{Direction, Secret, network};
    use otherhalf_simnet::{SimNetwork, Topology};
    use otherhalf_wire::ip::Family;
    use otherhalf_wire::probe::Protocol;

    use super::{of_search, words};

    fn of(last: &[u8]) -> String {
        let hop = |(ttl, last): (u8, &u8)| match last {
            0 => (ttl, Vec::new()),
            last => (ttl, vec![[192, 0, 2, *last].into()]),
        };
        words("it is", &(1u8..).zip(last).map(hop).collect::<Vec<_>>())
    }

    fn searched(name: &str) -> (String, SimNetwork) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/simnet/topologies");
        let topology = Topology::read(folder.join(name)).unwrap();
        let mut simulated = SimNetwork::new(topology, Family::V4, 1);
        let [us, www] = [simulated.source(), simulated.target()];
        let options = otherhalf_client::Options::new(Direction::Forward, Protocol::Udp, us, www);
        let mut searches = [Search::new(Options::new(options), Secret::from_bytes([1; 16]))];
        network::run(&mut simulated, &mut searches, |_, _| ControlFlow::Continue(())).unwrap();
        (of_search(&searches[0]), simulated)
    }

    #[test]
    fn the_first_flow_of_a_search_goes_round_and_round() {
        let (said, network) = searched("loop.toml");
        let [b, c] = ["b", "c"].map(|name| network.topology().address(name, Family::V4).unwrap());
        let wanted = format!(
            "; the first flow is in a routing loop: from hop 2 on, packets go round through 2 routers ({b}, {c})"
        );
        assert_eq!(said, wanted);
        assert_eq!(searched("line.toml").0, "");
    }

    #[test]
    fn a_loop_is_twice_round() {
        let two = "; it is a routing loop: from hop 2 on, packets go round through 2 routers (192.0.2.2, 192.0.2.3)";
        for hops in [&[1, 2, 3, 2, 3][..], &[1, 2, 3, 2, 3, 2], &[1, 2, 3, 2, 3, 2, 3, 0, 0]] {
            assert_eq!(of(hops), two, "{hops:?}");
        }
        assert!(of(&[1, 2, 3, 4, 2, 3, 4]).contains("from hop 2 on, packets go round through 3"));
        for hops in [
            &[][..],
            &[0, 0],
            &[1, 2, 3],
            &[1, 2, 3, 2],
            &[1, 2, 2, 2, 2, 2],
            &[2, 3, 2, 3, 4],
            &[2, 3, 0, 2, 3],
        ] {
            assert_eq!(of(hops), "", "{hops:?}");
        }
    }
}
