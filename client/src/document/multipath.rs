//! All paths of one direction, as a graph.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All paths of one direction, as far as they were found with the confidence that was asked for.
///
/// Two nodes are never one interface at one TTL; one interface at two TTLs is two nodes. Links go from one TTL to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Multipath {
    /// The chance that was asked for of finding all of the graph, 0 to 1, if balancers spread flows evenly.
    pub confidence: f64,
    /// The most flows that were allowed at one TTL.
    pub max_flows: u32,
    /// Flows probed at the TTL that needed most.
    pub flows: u32,
    /// The start (TTL 0), then by their TTL.
    pub nodes: Vec<Node>,
    /// By their first node.
    pub links: Vec<Link>,
    /// Where paths part.
    pub balancers: Vec<Balancer>,
}

impl Multipath {
    /// The nodes right after the one at `index`, as indices, in the order of the links.
    #[must_use]
    pub fn next(&self, index: usize) -> Vec<usize> {
        self.links.iter().filter(|link| link.from == index).map(|link| link.to).collect()
    }
}

/// An interface that answers at a TTL, or the silence there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// 0 for the start; with a first TTL beyond 1, the one before that.
    pub ttl: u8,
    /// Null for one that does not answer.
    pub address: Option<IpAddr>,
    /// Probes sent to it that were answered.
    pub answered: u32,
    /// The shortest round-trip time; null if it is not known.
    pub rtt_ms: Option<f64>,
}

/// That probes pass one node right after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// The index in [`Multipath::nodes`] of the one nearer to the start.
    pub from: usize,
    /// The index of the other.
    pub to: usize,
    /// Flows that were seen to pass both.
    pub flows: u32,
    /// Whether it is sure that there is such a link. It is not behind a balancer that goes by packet, where one packet of a
    /// flow shows the one end, and another packet the other.
    #[serde(default = "yes")]
    pub certain: bool,
}

const fn yes() -> bool {
    true
}

/// A node behind which paths part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Balancer {
    /// Its index in [`Multipath::nodes`].
    pub node: usize,
    /// By what it chooses.
    pub balancing: Balancing,
    /// How many next hops were found; by destination, those that lead to others than the target included, which are no nodes.
    pub branches: u32,
    /// The chance that there are no more of them, 0 to 1, if all are equally likely (Veitch et al. 2009).
    pub confidence: f64,
    /// The chance that `balancing` is right, 0 to 1; null if it is not known.
    #[serde(default)]
    pub balancing_confidence: Option<f64>,
}

/// By what a load balancer chooses the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balancing {
    /// By flow: the same fields, the same next hop.
    PerFlow,
    /// By packet: one flow sees several next hops.
    PerPacket,
    /// By destination: flows do not matter, other addresses of the target's network do. Found in forward traces if asked for; else such
    /// a balancer looks like a router that does not balance.
    PerDestination,
    /// It cannot be told: a balancer before it goes by packet, so that one flow does not keep to this one; or nobody answered
    /// when asked again.
    Unknown,
}
