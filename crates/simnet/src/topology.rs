//! The topology file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use otherhalf_client::Direction;
use otherhalf_wire::ip::Family;
use serde::Deserialize;

use crate::error::{Error, Result};

/// The prefixes of which nodes get IPv4 addresses that name none (RFC 5737).
const NETWORKS: [[u8; 3]; 3] = [[198, 51, 100], [203, 0, 113], [192, 0, 2]];
/// Addresses taken from each: .1 to .250.
const OF_EACH: usize = 250;

/// A network, as its file says. Times are milliseconds, chances 0 to 1.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// What it shows, for people.
    #[serde(default)]
    pub description: String,
    /// Where the client runs.
    pub client: String,
    /// The target, where the responder is.
    pub server: String,
    /// How long a packet takes over a link that says nothing else, in one direction.
    #[serde(default = "one")]
    pub delay_ms: f64,
    /// The machines, by name.
    #[serde(rename = "node")]
    pub nodes: BTreeMap<String, Node>,
    /// Links that differ from the others.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
    /// What happens to answers.
    #[serde(default)]
    pub weather: Weather,
    /// What the server does.
    #[serde(default)]
    pub responder: Responder,
}

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// Its IPv4 address; one of RFC 5737's if it does not say.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address; one of RFC 3849's if it does not say.
    pub address6: Option<Ipv6Addr>,
    /// The next hops towards the server; several: it balances.
    pub to_server: Vec<Next>,
    /// The next hops towards the client.
    pub to_client: Vec<Next>,
    /// By what it chooses one of several.
    pub balance: Balance,
    /// It sends no ICMP error.
    pub silent: bool,
    /// How many ICMP errors it sends, if there is a limit.
    pub rate: Option<Rate>,
    /// It passes no probe and no request on, and says "administratively prohibited".
    pub filters: bool,
    /// It hides itself and all that is on the client's side of it behind this IPv4 address.
    pub translates_to: Option<Ipv4Addr>,
}

/// A next hop: `"b"`, or `{ to = "b", weight = 3 }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "NextForm")]
pub struct Next {
    /// Who.
    pub to: String,
    /// Its share among the others.
    pub weight: u32,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NextForm {
    Name(String),
    #[serde(rename_all = "snake_case")]
    Weighted {
        to: String,
        weight: u32,
    },
}

impl From<NextForm> for Next {
    fn from(form: NextForm) -> Self {
        match form {
            NextForm::Name(to) => Self { to, weight: 1 },
            NextForm::Weighted { to, weight } => Self { to, weight },
        }
    }
}

/// By what a balancer chooses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// Protocol, ports or checksum, and addresses.
    #[default]
    Flow,
    /// Nothing: each packet anew.
    Packet,
    /// The destination's address alone.
    Destination,
}

/// A token bucket (RFC 1812 §4.3.2.8).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Errors a second, in the long run.
    pub per_second: f64,
    /// Errors at once, after a rest.
    #[serde(default = "six")]
    pub burst: f64,
}

/// A link that is not like the others.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The two nodes; the delay of a link with `one_way` is from the first to the second only.
    pub between: [String; 2],
    /// How long a packet takes.
    pub delay_ms: Option<f64>,
    /// Only from the first node to the second.
    #[serde(default)]
    pub one_way: bool,
    /// The chance of losing a packet.
    #[serde(default)]
    pub loss: f64,
}

/// What happens to answers on their way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weather {
    /// The chance that one gets lost.
    pub loss: f64,
    /// The chance that one comes twice.
    pub duplicates: f64,
    /// How much later the second comes.
    pub duplicate_after_ms: f64,
    /// The chance that one is overtaken by others.
    pub reorder: f64,
    /// How much later it comes.
    pub reorder_by_ms: f64,
    /// By how much round-trip times differ.
    pub jitter_ms: f64,
}

/// What the server does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Responder {
    /// With requests.
    pub server: Server,
    /// The status of its refusals.
    pub status: u8,
    /// The value that goes with it.
    pub value: u16,
    /// The text that goes with it.
    pub text: String,
    /// It answers echo requests.
    pub pings: bool,
    /// It answers UDP and TCP probes.
    pub probes: bool,
}

/// What the server does with requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// It does as it is asked.
    #[default]
    Speaks,
    /// It takes them for pings.
    Mirrors,
    /// It drops them.
    Silent,
    /// It refuses, with `status`, `value` and `text`.
    Refuses,
}

impl Default for Responder {
    fn default() -> Self {
        let (status, value, text) = (0, 0, String::new());
        Self { server: Server::Speaks, status, value, text, pings: true, probes: true }
    }
}

const fn one() -> f64 {
    1.0
}

/// Linux's (`XRLIM_BURST_FACTOR`).
const fn six() -> f64 {
    6.0
}

impl Topology {
    /// Reads and checks a file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = |source| Error::File { path: path.to_owned(), source };
        Self::parse(&std::fs::read_to_string(path).map_err(file)?)
    }

    /// Reads and checks what stands in a file.
    pub fn parse(text: &str) -> Result<Self> {
        let topology: Self = toml::from_str(text)?;
        topology.check()?;
        Ok(topology)
    }

    /// Whether a network can be made of it.
    pub fn check(&self) -> Result<()> {
        let known = |at: &str, node: &str| {
            let unknown = || Error::UnknownNode { at: at.to_owned(), node: node.to_owned() };
            self.nodes.contains_key(node).then_some(()).ok_or_else(unknown)
        };
        known("client", &self.client)?;
        known("server", &self.server)?;
        let wrong = |at: String, what| Err(Error::Value { at, what });
        let (chance, time) = (0.0..=1.0, 0.0..=60_000.0);
        for (name, node) in &self.nodes {
            for next in node.to_server.iter().chain(&node.to_client) {
                known(&format!("[node.{name}]"), &next.to)?;
                if next.weight == 0 {
                    return wrong(format!("[node.{name}]"), "a weight is 1 or more");
                }
            }
            if node.rate.is_some_and(|rate| !(rate.per_second > 0.0 && rate.burst >= 1.0)) {
                let what = "a rate is more than 0 per_second, with a burst of 1 or more";
                return wrong(format!("[node.{name}]"), what);
            }
        }
        for link in &self.links {
            let at = format!("[[link]] between {:?}", link.between);
            link.between.iter().try_for_each(|node| known(&at, node))?;
            if !chance.contains(&link.loss) {
                return wrong(at, "loss is a chance, 0 to 1");
            }
            if link.delay_ms.is_some_and(|delay| !time.contains(&delay)) {
                return wrong(at, "delay_ms is 0 to 60000");
            }
        }
        let Weather { loss, duplicates, duplicate_after_ms, reorder, reorder_by_ms, jitter_ms } =
            self.weather;
        let at = "[weather]".to_owned();
        if [loss, duplicates, reorder].iter().any(|it| !chance.contains(it)) {
            return wrong(at, "loss, duplicates and reorder are chances, 0 to 1");
        }
        let times = [self.delay_ms, duplicate_after_ms, reorder_by_ms, jitter_ms];
        if times.iter().any(|it| !time.contains(it)) {
            return wrong(at, "times are 0 to 60000 milliseconds");
        }
        for direction in [Direction::Forward, Direction::Reverse] {
            self.check_ways(direction)?;
        }
        for family in [Family::V4, Family::V6] {
            self.check_addresses(family)?;
        }
        Ok(())
    }

    /// Whether all that one meets from the start has a way on. (A loop has.)
    fn check_ways(&self, direction: Direction) -> Result<()> {
        let (start, end) = self.ends(direction);
        let mut met = BTreeSet::from([start]);
        let mut open = vec![start];
        while let Some(name) = open.pop() {
            if name == end {
                continue;
            }
            let ways = self.ways(name, direction);
            if ways.is_empty() {
                let direction = match direction {
                    Direction::Forward => "to_server",
                    Direction::Reverse => "to_client",
                };
                return Err(Error::DeadEnd { direction, node: name.to_owned() });
            }
            for next in ways {
                if met.insert(&next.to) {
                    open.push(&next.to);
                }
            }
        }
        Ok(())
    }

    fn check_addresses(&self, family: Family) -> Result<()> {
        if self.nodes.len() > NETWORKS.len() * OF_EACH {
            return Err(Error::TooMany(NETWORKS.len() * OF_EACH));
        }
        let mut taken = HashMap::new();
        for name in self.nodes.keys() {
            if let Some(address) = self.address(name, family)
                && let Some(first) = taken.insert(address, name)
            {
                return Err(Error::SameAddress { first: first.clone(), second: name.clone() });
            }
        }
        Ok(())
    }

    /// Where packets of `direction` start and where they go to.
    #[must_use]
    pub fn ends(&self, direction: Direction) -> (&str, &str) {
        match direction {
            Direction::Forward => (&self.client, &self.server),
            Direction::Reverse => (&self.server, &self.client),
        }
    }

    /// The next hops of `node` in `direction`.
    #[must_use]
    pub fn ways(&self, node: &str, direction: Direction) -> &[Next] {
        let Some(node) = self.nodes.get(node) else { return &[] };
        match direction {
            Direction::Forward => &node.to_server,
            Direction::Reverse => &node.to_client,
        }
    }

    /// The address of `node`: its own, or by its place among the names in their order.
    #[must_use]
    pub fn address(&self, node: &str, family: Family) -> Option<IpAddr> {
        let place = self.nodes.keys().position(|name| name == node)?;
        let node = self.nodes.get(node)?;
        let number = u16::try_from(place + 1).ok()?;
        Some(match family {
            Family::V4 => node
                .address
                .or_else(|| {
                    let [a, b, c] = NETWORKS.get(place / OF_EACH)?;
                    Some(Ipv4Addr::new(*a, *b, *c, u8::try_from(place % OF_EACH + 1).ok()?))
                })?
                .into(),
            Family::V6 => node
                .address6
                .unwrap_or_else(|| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number))
                .into(),
        })
    }
}
