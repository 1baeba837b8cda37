//! What the engine knows of the network: its interfaces, addresses and routes.
//!
//! A [`Network`] never changes. A new configuration is a new one, handed to the workers whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use otherhalf_wire::ethernet::{Mac, VlanId};
use otherhalf_wire::ndp;

use crate::kernel::Exceptions;

/// A port, by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

/// An interface, by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u16);

/// A port, or a VLAN on it, with addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The port.
    pub port: PortId,
    /// The VLAN; none for untagged frames.
    pub vlan: Option<VlanId>,
    /// The port's hardware address.
    pub mac: Mac,
    /// Own addresses, each with the prefix that is on the link.
    pub addresses: Vec<IpNet>,
}

/// Where packets to a prefix go, or could go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The prefix.
    pub to: IpNet,
    /// The router; none where the prefix is on the link.
    pub via: Option<IpAddr>,
    /// The interface that it is reached by.
    pub interface: InterfaceId,
}

impl Route {
    /// Its router as a neighbour; none where the prefix is on the link.
    #[must_use]
    pub fn router(&self) -> Option<NextHop> {
        Some(NextHop { interface: self.interface, address: self.via? })
    }
}

/// Why interfaces and routes make no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More interfaces than an [`InterfaceId`] can name.
    #[error("more than 65,535 interfaces")]
    TooManyInterfaces,
    /// Two interfaces for the same frames.
    #[error("two interfaces on the same port {}: give each a VLAN of its own", match .vlan { Some(id) => format!("and VLAN {}", id.get()), None => "without VLAN".into() })]
    SameInterface {
        /// The VLAN that both have.
        vlan: Option<VlanId>,
    },
    /// An address that no host can have.
    #[error("{0} can't be the address of an interface: it is not a unicast address")]
    NotUnicast(IpAddr),
    /// The same address twice.
    #[error("{0} stands on two interfaces: an address belongs to one")]
    SameAddress(IpAddr),
    /// A router that no interface can reach.
    #[error(
        "no interface reaches the router {0}: it must be in the prefix of an interface's address"
    )]
    UnreachableRouter(IpAddr),
    /// A router that is ourselves.
    #[error("the router {0} is an address of this responder")]
    OwnRouter(IpAddr),
    /// A route whose router is of another family.
    #[error("the route to {to} has a router of the other family: {via}")]
    FamilyMismatch {
        /// The prefix.
        to: IpNet,
        /// The router.
        via: IpAddr,
    },
    /// A link-local router needs to be told its interface.
    #[error("the router {0} is link-local: name the interface that it is reached by")]
    LinkLocalRouter(IpAddr),
    /// A route names an interface that is not there.
    #[error("no such interface: {0:?}")]
    NoSuchInterface(InterfaceId),
    /// An address of an interface is to be the kernel's alone.
    #[error(
        "{0} is an address of this responder, so it can't be the kernel's alone: list under tcp or udp which of its ports are the kernel's"
    )]
    KernelAddress(IpAddr),
}

/// The neighbour that a packet goes to next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NextHop {
    /// The interface that it is a neighbour on.
    pub interface: InterfaceId,
    /// Its address.
    pub address: IpAddr,
}

/// Routes of one family as numbers, longest prefix first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry<N> {
    network: N,
    mask: N,
    via: Option<IpAddr>,
    interface: InterfaceId,
}

/// A route over a router, by its place in its family's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteId {
    V4(usize),
    V6(usize),
}

/// Interfaces, own addresses and routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    interfaces: Vec<Interface>,
    /// All routes, of each family the longest prefix first; those of one prefix together, in the order in which they are wished for.
    routes: Vec<Route>,
    /// Of each prefix the route that is taken.
    v4: Vec<Entry<u32>>,
    v6: Vec<Entry<u128>>,
    own_v4: Vec<Ipv4Addr>,
    own_v6: Vec<Ipv6Addr>,
    /// The link-local address of each interface, in their order.
    link_local: Vec<Ipv6Addr>,
    /// Own addresses and broadcasts: nothing is ever sent there.
    never_v4: Vec<Ipv4Addr>,
    /// Own addresses, link-local ones included.
    never_v6: Vec<Ipv6Addr>,
    /// What the kernel gets.
    exceptions: Vec<(PortId, Exceptions)>,
}

/// A route as a configuration has it: the interface follows from the router where it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticRoute {
    /// The prefix.
    pub to: IpNet,
    /// The router.
    pub via: IpAddr,
    /// The interface, needed for a link-local router only.
    pub interface: Option<InterfaceId>,
}

impl Network {
    /// Checks `interfaces` and `routes` and makes look-up tables of them.
    ///
    /// Each prefix of an interface is a route; IPv6 link-local addresses come by themselves. Of several routes to one
    /// prefix the first is taken, until [`Network::choose`] says otherwise.
    pub fn new(interfaces: Vec<Interface>, routes: &[StaticRoute]) -> Result<Self, Error> {
        if u16::try_from(interfaces.len()).is_err() {
            return Err(Error::TooManyInterfaces);
        }
        let mut all = Vec::new();
        let mut own: Vec<IpAddr> = Vec::new();
        let mut broadcasts = Vec::new();
        for (id, interface) in (0u16..).map(InterfaceId).zip(&interfaces) {
            let same =
                |other: &&Interface| other.port == interface.port && other.vlan == interface.vlan;
            if interfaces.iter().filter(same).count() > 1 {
                return Err(Error::SameInterface { vlan: interface.vlan });
            }
            for prefix in &interface.addresses {
                let address = prefix.addr();
                if !is_unicast(address) {
                    return Err(Error::NotUnicast(address));
                }
                if own.contains(&address) {
                    return Err(Error::SameAddress(address));
                }
                own.push(address);
                all.push(Route { to: prefix.trunc(), via: None, interface: id });
                if let IpNet::V4(v4) = prefix
                    && v4.prefix_len() < 31
                {
                    // RFC 3021: a /31 has no broadcast address.
                    broadcasts.extend([v4.broadcast(), v4.network()]);
                }
            }
        }
        for route in routes {
            let interface = resolve(route, &interfaces)?;
            if own.contains(&route.via) {
                return Err(Error::OwnRouter(route.via));
            }
            all.push(Route { to: route.to.trunc(), via: Some(route.via), interface });
        }
        let mut network = Self {
            link_local: interfaces.iter().map(|interface| ndp::link_local(interface.mac)).collect(),
            interfaces,
            routes: Vec::new(),
            v4: Vec::new(),
            v6: Vec::new(),
            own_v4: Vec::new(),
            own_v6: Vec::new(),
            never_v4: broadcasts,
            never_v6: Vec::new(),
            exceptions: Vec::new(),
        };
        for address in own {
            match address {
                IpAddr::V4(v4) => network.own_v4.push(v4),
                IpAddr::V6(v6) => network.own_v6.push(v6),
            }
        }
        network.never_v4.extend(&network.own_v4);
        network.never_v6.extend(network.own_v6.iter().chain(&network.link_local));
        // Of each family the longest prefix first; on-link before routed where both are the same; else as it was wished.
        all.sort_by_key(|route| {
            let length = std::cmp::Reverse(route.to.prefix_len());
            (route.to.addr().is_ipv6(), length, route.to, route.via.is_some())
        });
        network.routes = all;
        Ok(network.choose(|_| true))
    }

    /// The same network, where of several routes to one prefix the first whose router is `usable` is taken; if none is, the
    /// first of all.
    #[must_use]
    pub fn choose(mut self, usable: impl Fn(NextHop) -> bool) -> Self {
        (self.v4, self.v6) = (Vec::new(), Vec::new());
        for routes in self.routes.chunk_by(|one, other| one.to == other.to) {
            let usable = |route: &&Route| route.router().is_none_or(&usable);
            let Some(&Route { to, via, interface }) =
                routes.iter().find(usable).or_else(|| routes.first())
            else {
                continue;
            };
            match to {
                IpNet::V4(to) => {
                    let (network, mask) = (to.network().to_bits(), to.netmask().to_bits());
                    self.v4.push(Entry { network, mask, via, interface });
                }
                IpNet::V6(to) => {
                    let (network, mask) = (to.network().to_bits(), to.netmask().to_bits());
                    self.v6.push(Entry { network, mask, via, interface });
                }
            }
        }
        self
    }

    /// The same network, where the kernel of the machine gets `exceptions` of the ports named.
    ///
    /// # Errors
    /// [`Error::NotUnicast`], [`Error::KernelAddress`], or [`Error::SameAddress`] for an address that two ports list.
    pub fn with_kernel(mut self, exceptions: Vec<(PortId, Exceptions)>) -> Result<Self, Error> {
        let mut seen: Vec<IpAddr> = Vec::new();
        for address in exceptions.iter().flat_map(|(_, port)| &port.addresses).copied() {
            if !is_unicast(address) {
                return Err(Error::NotUnicast(address));
            }
            if seen.contains(&address) {
                return Err(Error::SameAddress(address));
            }
            seen.push(address);
            let (own, never) = match address {
                IpAddr::V4(v4) => (self.own_v4.contains(&v4), self.never_v4.contains(&v4)),
                IpAddr::V6(v6) => (self.never_v6.contains(&v6), false),
            };
            match address {
                _ if own => return Err(Error::KernelAddress(address)),
                _ if never => return Err(Error::NotUnicast(address)),
                // It is on our side of the port: nobody can be traced there, and nobody outside sends from there.
                IpAddr::V4(v4) => self.never_v4.push(v4),
                IpAddr::V6(v6) => self.never_v6.push(v6),
            }
        }
        self.exceptions = exceptions;
        Ok(self)
    }

    /// Whether any frame goes to the kernel.
    #[inline(always)]
    pub(crate) fn has_exceptions(&self) -> bool {
        !self.exceptions.is_empty()
    }

    /// What the kernel gets of what comes in by `port`; `None`: nothing.
    #[must_use]
    pub fn exceptions(&self, port: PortId) -> Option<&Exceptions> {
        self.exceptions.iter().find(|(id, _)| *id == port).map(|(_, exceptions)| exceptions)
    }

    /// All interfaces, in the order of their [`InterfaceId`].
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The interface `id`, if there is one.
    #[must_use]
    #[inline]
    pub fn interface(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(usize::from(id.0))
    }

    /// The interface for frames of `vlan` on `port`.
    #[must_use]
    #[inline]
    pub fn interface_for(
        &self,
        port: PortId,
        vlan: Option<VlanId>,
    ) -> Option<(InterfaceId, &Interface)> {
        let mut ids = (0u16..).map(InterfaceId).zip(&self.interfaces);
        ids.find(|(_, interface)| interface.port == port && interface.vlan == vlan)
    }

    /// Whether `address` is ours; a link-local one must be that of the interface `ingress`.
    #[must_use]
    #[inline]
    pub fn owns(&self, address: IpAddr, ingress: InterfaceId) -> bool {
        match address {
            IpAddr::V4(v4) => self.owns_v4(v4),
            IpAddr::V6(v6) => self.owns_v6(v6, ingress),
        }
    }

    #[inline(always)]
    pub(crate) fn owns_v4(&self, address: Ipv4Addr) -> bool {
        self.own_v4.contains(&address)
    }

    #[inline(always)]
    pub(crate) fn owns_v6(&self, address: Ipv6Addr, ingress: InterfaceId) -> bool {
        self.own_v6.contains(&address)
            || self.link_local.get(usize::from(ingress.0)) == Some(&address)
    }

    /// The link-local address of the interface `id`.
    #[must_use]
    pub fn link_local(&self, id: InterfaceId) -> Option<Ipv6Addr> {
        self.link_local.get(usize::from(id.0)).copied()
    }

    /// The neighbour that a packet to `destination` goes to; `ingress` is where its cause came in.
    ///
    /// Longest prefix wins. A link-local destination is a neighbour on `ingress`.
    #[must_use]
    #[inline]
    pub fn next_hop(&self, destination: IpAddr, ingress: InterfaceId) -> Option<NextHop> {
        let (route, interface) = self.route(destination, ingress)?;
        let address = route.and_then(|route| self.router(route)).unwrap_or(destination);
        Some(NextHop { interface, address })
    }

    /// The route to `destination` and its interface; no route for what is on the link.
    pub(crate) fn route(
        &self,
        destination: IpAddr,
        ingress: InterfaceId,
    ) -> Option<(Option<RouteId>, InterfaceId)> {
        match destination {
            IpAddr::V4(v4) => self.route_v4(v4),
            IpAddr::V6(v6) => self.route_v6(v6, ingress),
        }
    }

    #[inline(always)]
    pub(crate) fn route_v4(&self, to: Ipv4Addr) -> Option<(Option<RouteId>, InterfaceId)> {
        let to = to.to_bits();
        let place = self.v4.iter().position(|entry| to & entry.mask == entry.network)?;
        let entry = self.v4.get(place)?;
        Some((entry.via.map(|_| RouteId::V4(place)), entry.interface))
    }

    #[inline(always)]
    pub(crate) fn route_v6(
        &self,
        to: Ipv6Addr,
        ingress: InterfaceId,
    ) -> Option<(Option<RouteId>, InterfaceId)> {
        if to.is_unicast_link_local() {
            return Some((None, ingress));
        }
        let to = to.to_bits();
        let place = self.v6.iter().position(|entry| to & entry.mask == entry.network)?;
        let entry = self.v6.get(place)?;
        Some((entry.via.map(|_| RouteId::V6(place)), entry.interface))
    }

    /// The router of `route`.
    pub(crate) fn router(&self, route: RouteId) -> Option<IpAddr> {
        match route {
            RouteId::V4(place) => self.v4.get(place)?.via,
            RouteId::V6(place) => self.v6.get(place)?.via,
        }
    }

    /// Whether `address` can be a neighbour on the interface `id`: in one of its prefixes, and not ours.
    #[must_use]
    pub fn is_on_link(&self, address: IpAddr, id: InterfaceId) -> bool {
        let Some(interface) = self.interface(id) else { return false };
        let near = match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => true,
            _ => interface.addresses.iter().any(|prefix| prefix.contains(&address)),
        };
        near && !self.owns(address, id) && self.may_be_sent_to(address)
    }

    /// All routers, with the interfaces that they are reached by: also those whose routes are not taken now.
    pub fn routers(&self) -> impl Iterator<Item = NextHop> {
        self.routes.iter().filter_map(Route::router)
    }

    /// All routes, also those that are not taken now: of each family the longest prefix first, those of one prefix in the order in which
    /// they are wished for.
    #[must_use]
    pub fn all_routes(&self) -> &[Route] {
        &self.routes
    }

    /// The routes that are taken, of each family the longest prefix first; the first that holds an address decides for it.
    pub fn routes(&self) -> impl Iterator<Item = Route> {
        let v4 = self.v4.iter().map(|entry| {
            let length = u8::try_from(entry.mask.count_ones()).unwrap_or(32);
            (Ipv4Addr::from_bits(entry.network).into(), length, entry.via, entry.interface)
        });
        let v6 = self.v6.iter().map(|entry| {
            let length = u8::try_from(entry.mask.count_ones()).unwrap_or(128);
            (Ipv6Addr::from_bits(entry.network).into(), length, entry.via, entry.interface)
        });
        v4.chain(v6).filter_map(|(network, length, via, interface)| {
            Some(Route { to: IpNet::new(network, length).ok()?, via, interface })
        })
    }

    /// Whether a packet may ever be sent to `address`: one host elsewhere, not many and not ourselves.
    #[must_use]
    #[inline]
    pub fn may_be_sent_to(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.may_be_sent_to_v4(v4),
            IpAddr::V6(v6) => self.may_be_sent_to_v6(v6),
        }
    }

    #[inline(always)]
    pub(crate) fn may_be_sent_to_v4(&self, address: Ipv4Addr) -> bool {
        is_unicast_v4(address) && !self.never_v4.contains(&address)
    }

    #[inline(always)]
    pub(crate) fn may_be_sent_to_v6(&self, address: Ipv6Addr) -> bool {
        is_unicast_v6(address) && !self.never_v6.contains(&address)
    }
}

/// Whether `address` is that of one host: RFC 1122 §3.2.1.3, RFC 1112 §4 (class E), RFC 4291 §2.5, §2.7.
#[must_use]
#[inline]
pub const fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_unicast_v4(v4),
        IpAddr::V6(v6) => is_unicast_v6(v6),
    }
}

#[inline(always)]
const fn is_unicast_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !matches!(first, 0 | 127 | 224..=255)
}

#[inline(always)]
const fn is_unicast_v6(address: Ipv6Addr) -> bool {
    // As one number: taken apart by octets, an address is moved in pieces of odd sizes.
    let bits = address.to_bits();
    // Unspecified, loopback, and IPv4 addresses (in an IPv6 packet they are nobody's, RFC 4942 §2.2).
    let low = bits >> 64 == 0
        && (bits <= Ipv6Addr::LOCALHOST.to_bits()
            || bits >> 32 == Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().to_bits() >> 32);
    let multicast = bits >> 120 == 0xff;
    !(multicast || low)
}

fn resolve(route: &StaticRoute, interfaces: &[Interface]) -> Result<InterfaceId, Error> {
    let via = route.via;
    if route.to.addr().is_ipv4() != via.is_ipv4() {
        return Err(Error::FamilyMismatch { to: route.to, via });
    }
    if !is_unicast(via) {
        return Err(Error::UnreachableRouter(via));
    }
    let link_local = matches!(via, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let on_link =
        |interface: &Interface| interface.addresses.iter().any(|prefix| prefix.contains(&via));
    if let Some(id) = route.interface {
        let interface = interfaces.get(usize::from(id.0)).ok_or(Error::NoSuchInterface(id))?;
        return if link_local || on_link(interface) {
            Ok(id)
        } else {
            Err(Error::UnreachableRouter(via))
        };
    }
    if link_local {
        return Err(Error::LinkLocalRouter(via));
    }
    let mut ids = (0u16..).map(InterfaceId).zip(interfaces);
    ids.find(|(_, interface)| on_link(interface))
        .map(|(id, _)| id)
        .ok_or(Error::UnreachableRouter(via))
}

#[cfg(test)]
mod tests;
