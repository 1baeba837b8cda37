//! A search over a topology, and how what it found compares with the truth.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;

use otherhalf_client::document::{self, Balancer, Balancing, Multipath};
use otherhalf_client::multipath::{Confidence, Options, Search};
use otherhalf_client::{Direction, Secret, network};
use otherhalf_simnet::{SimNetwork, Topology, Truth};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) direction: Direction,
    pub(crate) protocol: Protocol,
    pub(crate) family: Family,
    pub(crate) seed: u64,
    pub(crate) percent: f64,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            direction: Direction::Forward,
            protocol: Protocol::Udp,
            family: Family::V4,
            seed: 1,
            percent: 95.0,
        }
    }
}

/// What came of it.
pub(crate) struct Found {
    pub(crate) search: Search,
    pub(crate) path: document::Path,
    pub(crate) graph: Multipath,
    pub(crate) network: SimNetwork,
    family: Family,
}

pub(crate) fn topology(name: &str) -> Topology {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/simnet/topologies");
    Topology::read(folder.join(name).with_extension("toml")).unwrap()
}

pub(crate) fn options(network: &SimNetwork, run: Run) -> Options {
    let [us, www] = [network.source(), network.target()];
    let trace = otherhalf_client::Options::new(run.direction, run.protocol, us, www);
    let confidence = Confidence::from_percent(run.percent).unwrap();
    Options { confidence, ..Options::new(trace) }
}

pub(crate) fn run(topology: &Topology, run: Run) -> Found {
    run_with(topology, run, |_| {})
}

pub(crate) fn run_with(topology: &Topology, run: Run, change: impl FnOnce(&mut Options)) -> Found {
    let mut network = SimNetwork::new(topology.clone(), run.family, run.seed);
    let mut options = options(&network, run);
    change(&mut options);
    let mut searches = [Search::new(options, Secret::from_bytes([1; 16]))];
    network::run(&mut network, &mut searches, |_, _| ControlFlow::Continue(())).unwrap();
    let [search] = searches;
    assert_eq!(search.sent(), u64::try_from(network.sent().len()).unwrap());
    let path = document::Path::from(&search);
    let graph = path.multipath.clone().unwrap();
    Found { search, path, graph, network, family: run.family }
}

type Nodes = BTreeSet<(u8, Option<IpAddr>)>;
type Links = BTreeSet<(u8, Option<IpAddr>, Option<IpAddr>)>;

impl Found {
    /// Nodes beyond the start.
    pub(crate) fn nodes(&self) -> Nodes {
        self.graph.nodes.iter().skip(1).map(|node| (node.ttl, node.address)).collect()
    }

    /// Links that are sure, by the TTL of their first node.
    pub(crate) fn links(&self) -> Links {
        let nodes = &self.graph.nodes;
        let certain = self.graph.links.iter().filter(|link| link.certain);
        certain
            .map(|link| {
                let (from, to) = (&nodes[link.from], &nodes[link.to]);
                (from.ttl, from.address, to.address)
            })
            .collect()
    }

    /// The same as the truth has it.
    pub(crate) fn truth(&self, direction: Direction) -> (Nodes, Links) {
        let topology = self.network.topology();
        let Truth { nodes, links } = topology.truth(direction, 30);
        let (start, end) = topology.ends(direction);
        let who = |name: &str| {
            let silent = topology.nodes[name].silent && name != end || name == start;
            if silent { None } else { topology.address(name, self.family) }
        };
        let nodes = nodes
            .iter()
            .filter(|(ttl, _)| **ttl > 0)
            .flat_map(|(ttl, names)| names.iter().map(|name| (*ttl, who(name))))
            .collect();
        let links = links.iter().map(|(ttl, from, to)| (*ttl, who(from), who(to))).collect();
        (nodes, links)
    }

    /// Whether all of the truth was found. (That nothing else was is for `assert_sound`.)
    pub(crate) fn is_complete(&self, direction: Direction) -> bool {
        let (nodes, links) = self.truth(direction);
        nodes.is_subset(&self.nodes()) && links.is_subset(&self.links())
    }

    /// Nothing was found that is not there, and the graph is one.
    #[track_caller]
    pub(crate) fn assert_sound(&self, direction: Direction) {
        let (nodes, links) = self.truth(direction);
        let (false_nodes, false_links) = (&self.nodes() - &nodes, &self.links() - &links);
        assert!(false_nodes.is_empty(), "{false_nodes:?} are not there");
        assert!(false_links.is_empty(), "{false_links:?} are not there");
        self.assert_graph();
    }

    /// No link skips a TTL, each node but the start has one before it, each index names a node, and none is there twice.
    #[track_caller]
    pub(crate) fn assert_graph(&self) {
        let Multipath { nodes, links, balancers, .. } = &self.graph;
        let distinct: BTreeSet<_> = nodes.iter().map(|node| (node.ttl, node.address)).collect();
        assert_eq!(distinct.len(), nodes.len());
        assert!(nodes.iter().is_sorted_by_key(|node| node.ttl));
        let mut entered = BTreeSet::from([0]);
        for link in links {
            assert_eq!(nodes[link.from].ttl + 1, nodes[link.to].ttl, "{link:?}");
            assert!(link.flows > 0);
            entered.insert(link.to);
        }
        assert_eq!(entered.len(), nodes.len(), "a node without one before it: {nodes:?} {links:?}");
        let pairs: BTreeSet<_> = links.iter().map(|link| (link.from, link.to)).collect();
        assert_eq!(pairs.len(), links.len());
        for (at, _) in nodes.iter().enumerate() {
            let branches = links.iter().filter(|link| link.from == at).count();
            // By destination, the others' next hops are no nodes of the target's graph.
            let by_flow = |balancer: &&Balancer| balancer.balancing != Balancing::PerDestination;
            let mut balancers = balancers.iter().filter(by_flow);
            let balancer = balancers.find(|balancer| balancer.node == at);
            assert_eq!(branches > 1, balancer.is_some());
            assert!(balancer.is_none_or(|found| usize::try_from(found.branches) == Ok(branches)));
        }
    }
}

/// A right algorithm fails a test of [`allowed`] once in so many choices of the seeds.
const NEVER: f64 = 1e-4;

/// The chance of more than `count` events among `all` of this `chance` each.
pub(crate) fn more_than(count: u32, all: u32, chance: f64) -> f64 {
    let mut exactly = (1.0 - chance).powf(f64::from(all));
    let mut up_to = exactly;
    for happened in 0..count {
        exactly *= f64::from(all - happened) / f64::from(happened + 1) * chance / (1.0 - chance);
        up_to += exactly;
    }
    1.0 - up_to
}

/// How many of `runs` may fail where each may with a chance of `bound`: the binomial quantile of 1 - 1e-4.
pub(crate) fn allowed(runs: u32, bound: f64) -> u32 {
    (0..runs).find(|count| more_than(*count, runs, bound) < NEVER).unwrap()
}
