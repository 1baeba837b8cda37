//! The topology file: nodes, the links between them, and their routes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::error::{AtPath, Error, Result};

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both families.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Whether the address is of this family.
    #[must_use]
    pub fn holds(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }

    /// `-4` or `-6`, as `ip`, `ping` and `traceroute` take it.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::V4 => "-4",
            Self::V6 => "-6",
        }
    }
}

/// A network of nodes; what a topology file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Prefixes by the name that routes call them by.
    pub networks: BTreeMap<String, Vec<IpNet>>,
    /// The machines.
    pub nodes: Vec<Node>,
    /// The cables between them.
    pub links: Vec<Link>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A kernel that forwards.
    Router,
    /// A kernel that does not.
    Host,
    /// A namespace without a kernel host: its one link leads to the tap of a program that
    /// is started inside; the addresses are the program's.
    Responder,
}

/// A machine: a network namespace with one address per family, which all of its
/// interfaces share (unnumbered links), so that a trace shows each by one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its short name: part of the namespace's and the interfaces' names.
    pub name: String,
    /// Router, host or responder.
    pub kind: Kind,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
    /// Names for the hosts files, the first being what traces show; with none, `name` is.
    #[serde(default)]
    pub names: Vec<String>,
    /// From `default`, the name of a network or of a node, to the neighbour that leads there, or to a list of them, over
    /// which the kernel balances by flow. Neighbours need no route. A responder's `default` tells what its configuration must say.
    #[serde(default)]
    pub routes: BTreeMap<String, Via>,
    /// Sends no ICMP error and no echo reply: a hop that traces show as `*`.
    #[serde(default)]
    pub silent: bool,
    /// A neighbour: all that goes there carries this router's own address from here on, as behind a NAT.
    #[serde(default)]
    pub masquerade: Option<String>,
    /// What a router answers with "administratively prohibited" rather than forwarding it.
    #[serde(default)]
    pub filter: Vec<Filter>,
    /// For a responder: the interface that its program makes.
    #[serde(default = "default_tap")]
    pub tap: String,
}

/// The neighbours that a route leads by: one, or several of equal weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Via {
    /// The one.
    One(String),
    /// Each flow goes by one of them.
    Many(Vec<String>),
}

impl Via {
    /// Their names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

impl From<&str> for Via {
    fn from(name: &str) -> Self {
        Self::One(name.to_owned())
    }
}

/// Packets that a router refuses to forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Their protocol.
    pub protocol: Protocol,
    /// The node that they are sent to.
    pub to: String,
}

/// A protocol that a router filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// ICMP echo requests; other ICMP passes, as the responses are ICMP themselves.
    Icmp,
}

/// A cable between two nodes. Each end's interface is named `to-` and the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The two nodes.
    pub between: [String; 2],
    /// How long a frame takes from one end to the other, in either direction.
    #[serde(default)]
    pub delay_ms: u32,
    /// On-link prefixes, which hold the nodes' addresses. Without any, the link is point to point.
    #[serde(default)]
    pub subnets: Vec<IpNet>,
    /// Frames carry this 802.1Q tag at the second end, and none at the first.
    #[serde(default)]
    pub vlan: Option<u16>,
}

fn default_tap() -> String {
    "dtap0".to_owned()
}

impl Node {
    /// The address in one family.
    #[must_use]
    pub fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }

    /// The name that traces show.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.names.first().unwrap_or(&self.name)
    }
}

impl Link {
    /// The node at the other end, if `node` is at one.
    #[must_use]
    pub fn peer_of(&self, node: &str) -> Option<&str> {
        match &self.between {
            [first, second] if first == node => Some(second),
            [first, second] if second == node => Some(first),
            _ => None,
        }
    }

    /// Whether frames need our own program to carry them, which delays or tags them.
    #[must_use]
    pub fn in_userspace(&self) -> bool {
        self.delay_ms > 0 || self.vlan.is_some()
    }
}

/// The file as it is written, with the places of its tables.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    networks: BTreeMap<String, Vec<IpNet>>,
    node: Vec<Spanned<Node>>,
    #[serde(default)]
    link: Vec<Spanned<Link>>,
}

impl Topology {
    /// Reads and checks a topology file.
    ///
    /// # Errors
    /// `File`, `Format` with the line, or `Topology` with the line of the node or link.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).at(path)?;
        Self::parse(&text, path)
    }

    /// Parses and checks a topology; `path` is for the errors.
    ///
    /// # Errors
    /// As for [`Topology::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let document: Document = toml::from_str(text)
            .map_err(|e| Error::Format { path: path.to_owned(), source: Box::new(e) })?;
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let place = |at| format!("{}, line {}", path.display(), line(at));
        let node_places: Vec<_> = document.node.iter().map(|n| place(n.span().start)).collect();
        let link_places: Vec<_> = document.link.iter().map(|l| place(l.span().start)).collect();
        let topology = Self {
            networks: document.networks,
            nodes: document.node.into_iter().map(Spanned::into_inner).collect(),
            links: document.link.into_iter().map(Spanned::into_inner).collect(),
        };
        for (node, place) in topology.nodes.iter().zip(node_places) {
            topology.check_node(node).map_err(|problem| Error::Topology { place, problem })?;
        }
        for (link, place) in topology.links.iter().zip(link_places) {
            topology.check_link(link).map_err(|problem| Error::Topology { place, problem })?;
        }
        Ok(topology)
    }

    /// Checks a topology that a program made or changed.
    ///
    /// # Errors
    /// `Topology`.
    pub fn check(&self) -> Result<()> {
        let nodes = self.nodes.iter().map(|node| self.check_node(node));
        let links = self.links.iter().map(|link| self.check_link(link));
        nodes
            .chain(links)
            .collect::<std::result::Result<(), String>>()
            .map_err(|problem| Error::Topology { place: "topology".to_owned(), problem })
    }

    /// The node of that name.
    ///
    /// # Errors
    /// `NoNode`, with the names that there are.
    pub fn node(&self, name: &str) -> Result<&Node> {
        self.find(name).ok_or_else(|| Error::NoNode {
            node: name.to_owned(),
            nodes: self.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The node of that name, to change it before the network is built.
    pub fn node_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.name == name)
    }

    /// The links of a node.
    pub fn links_of(&self, node: &str) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.peer_of(node).is_some())
    }

    /// The prefixes that a route's destination stands for.
    pub(crate) fn destinations(&self, destination: &str) -> Option<Vec<IpNet>> {
        if destination == "default" {
            return Some(vec![
                IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 0),
                IpNet::new_assert(Ipv6Addr::UNSPECIFIED.into(), 0),
            ]);
        }
        self.networks.get(destination).cloned().or_else(|| {
            self.find(destination)
                .map(|n| vec![IpAddr::from(n.v4).into(), IpAddr::from(n.v6).into()])
        })
    }

    fn find(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    fn check_node(&self, node: &Node) -> std::result::Result<(), String> {
        let name = &node.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || name.len() > 12 || !name.chars().all(plain) {
            return Err(format!("a node's name is 1 to 12 letters, digits or '-', not {name:?}"));
        }
        let host_name = |n: &&String| n.is_empty() || !n.chars().all(|c| plain(c) || c == '.');
        if let Some(bad) = node.names.iter().find(host_name) {
            return Err(format!("node {name}: {bad:?} is no host name"));
        }
        for other in self.nodes.iter().filter(|other| !std::ptr::eq(*other, node)) {
            if other.name == *name {
                return Err(format!("there are two nodes named {name}"));
            }
            if other.v4 == node.v4 || other.v6 == node.v6 {
                return Err(format!("nodes {name} and {} share an address", other.name));
            }
        }
        let neighbours: BTreeSet<_> = self.links_of(name).filter_map(|l| l.peer_of(name)).collect();
        for (destination, via) in &node.routes {
            if self.destinations(destination).is_none() {
                return Err(format!(
                    "node {name}: a route leads to \"default\", a node or one of [networks], not to {destination:?}"
                ));
            }
            if via.names().is_empty() {
                return Err(format!("node {name}: the route to {destination} goes via nobody"));
            }
            if let Some(via) = via.names().iter().find(|via| !neighbours.contains(via.as_str())) {
                return Err(format!(
                    "node {name}: the route to {destination} goes via {via:?}, which no link joins to {name}"
                ));
            }
        }
        if let Some(filter) = node.filter.iter().find(|f| self.find(&f.to).is_none()) {
            return Err(format!("node {name}: the filter's \"to\" names no node: {:?}", filter.to));
        }
        if let Some(to) = node.masquerade.as_ref().filter(|to| !neighbours.contains(to.as_str())) {
            return Err(format!(
                "node {name}: it masquerades towards {to:?}, which no link joins to it"
            ));
        }
        if node.masquerade.is_some() && node.kind != Kind::Router {
            return Err(format!("node {name}: only a router can masquerade"));
        }
        if !node.filter.is_empty() && node.kind != Kind::Router {
            return Err(format!("node {name}: only a router can filter"));
        }
        if node.kind == Kind::Responder {
            let links = self.links_of(name).count();
            if links != 1 {
                return Err(format!("node {name}: a responder has one link, not {links}"));
            }
            if node.silent {
                return Err(format!(
                    "node {name}: a responder's kernel says nothing, so \"silent\" is void"
                ));
            }
            if node.tap.is_empty() || node.tap.len() > 15 || !node.tap.chars().all(plain) {
                return Err(format!("node {name}: {:?} is no interface name", node.tap));
            }
        }
        Ok(())
    }

    fn check_link(&self, link: &Link) -> std::result::Result<(), String> {
        let [first, second] = &link.between;
        let name = format!("link {first} - {second}");
        let ends = [first, second].map(|end| self.find(end).ok_or(end));
        let ends = match ends {
            [Ok(a), Ok(b)] if a.name != b.name => [a, b],
            [Ok(_), Ok(_)] => return Err(format!("{name}: a link joins two different nodes")),
            [Err(unknown), _] | [_, Err(unknown)] => {
                return Err(format!("{name}: there is no node {unknown}"));
            }
        };
        if self.links.iter().filter(|l| l.peer_of(first) == Some(second)).count() > 1 {
            return Err(format!("{name}: one link between two nodes is enough"));
        }
        if link.vlan.is_some_and(|vlan| vlan == 0 || vlan > 4094) {
            return Err(format!("{name}: a VLAN is 1 to 4094 (IEEE 802.1Q)"));
        }
        for subnet in &link.subnets {
            for end in ends {
                let address =
                    end.address(if subnet.addr().is_ipv4() { Family::V4 } else { Family::V6 });
                if !subnet.contains(&address) {
                    return Err(format!("{name}: {address} of {} is not in {subnet}", end.name));
                }
            }
        }
        let per_family =
            Family::ALL.map(|f| link.subnets.iter().filter(|s| f.holds(s.addr())).count());
        if per_family.iter().any(|count| *count > 1) {
            return Err(format!("{name}: one subnet a family"));
        }
        let responder = ends.iter().any(|end| end.kind == Kind::Responder);
        if responder && per_family != [1, 1] {
            return Err(format!(
                "{name}: the link of a responder needs an IPv4 and an IPv6 subnet"
            ));
        }
        Ok(())
    }
}
