//! Which way an answer goes: as the routes say, or back to where its cause came from.

use std::net::IpAddr;

use otherhalf_wire::ethernet::{Link, Mac, VlanId};
use otherhalf_wire::ndp;

use crate::burst::View;
use crate::frame::Frame;
use crate::neighbour::Answer;
use crate::network::{InterfaceId, Network, NextHop, PortId, RouteId};
use crate::policy::Reply;
use crate::work::Address;

/// Which port a frame leaves by, and the ends of its link layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) port: PortId,
    pub(crate) src: Mac,
    pub(crate) dst: Mac,
    pub(crate) vlan: Option<VlanId>,
}

/// Why there is no way to a destination.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blocked {
    NoRoute,
    Unresolved(NextHop),
}

/// The ways of a burst. Most of its frames go to the same router, which is looked up once.
pub(crate) struct Ways<'a> {
    view: &'a View<'a>,
    /// The router's route that was taken last.
    last: Option<RouteId>,
    /// The way that was taken last.
    way: Way,
}

impl<'a> Ways<'a> {
    pub(crate) const fn new(view: &'a View<'a>) -> Self {
        let nowhere = Way { port: PortId(0), src: Mac([0; 6]), dst: Mac([0; 6]), vlan: None };
        Self { view, last: None, way: nowhere }
    }

    /// The network that they lead through.
    pub(crate) const fn network(&self) -> &'a Network {
        self.view.network
    }

    /// The way to `receiver` for the answer to `frame`, which came in by the interface `ingress`.
    #[inline(always)]
    pub(crate) fn to<A: Address>(
        &mut self,
        receiver: A,
        frame: &Frame<'_>,
        ingress: InterfaceId,
    ) -> Result<&Way, Blocked> {
        let network = self.view.network;
        if self.view.policy.reply == Reply::Hairpin {
            self.last = None;
            self.way = self.back(frame, ingress, None).ok_or(Blocked::NoRoute)?;
            return Ok(&self.way);
        }
        let (route, interface) = receiver.route(network, ingress).ok_or(Blocked::NoRoute)?;
        if route.is_none() || route != self.last {
            self.look_up(receiver.into(), route, interface)?;
        }
        Ok(&self.way)
    }

    /// Looks a way up that is not the last one.
    #[cold]
    fn look_up(
        &mut self,
        receiver: IpAddr,
        route: Option<RouteId>,
        interface: InterfaceId,
    ) -> Result<(), Blocked> {
        let router = route.map(|route| self.view.network.router(route).ok_or(Blocked::NoRoute));
        let address = router.transpose()?.unwrap_or(receiver);
        self.last = None;
        self.way = self.resolve(NextHop { interface, address })?;
        self.last = route;
        Ok(())
    }

    /// The way to a neighbour.
    fn resolve(&self, hop: NextHop) -> Result<Way, Blocked> {
        let interface = self.view.network.interface(hop.interface).ok_or(Blocked::NoRoute)?;
        let dst = self.view.neighbours.get(hop).ok_or(Blocked::Unresolved(hop))?;
        Ok(Way { port: interface.port, src: interface.mac, dst, vlan: interface.vlan })
    }

    /// The way of an answer to a neighbour's question: back to it, or to all when it has no address yet.
    pub(crate) fn to_neighbour(
        &self,
        answer: &Answer,
        frame: &Frame<'_>,
        ingress: InterfaceId,
    ) -> Option<Way> {
        let dst = match answer {
            Answer::Advertisement { to, .. } if to.is_multicast() => Some(ndp::multicast_mac(*to)),
            _ => None,
        };
        self.back(frame, ingress, dst)
    }

    /// The way to `dst` on the link that `frame` came from; to its sender if nobody is named.
    #[cold]
    fn back(&self, frame: &Frame<'_>, ingress: InterfaceId, dst: Option<Mac>) -> Option<Way> {
        let interface = self.view.network.interface(ingress)?;
        let dst = match dst {
            Some(mac) => mac,
            None => Link::parse(frame.octets()).ok()?.0.src,
        };
        Some(Way { port: frame.port(), src: interface.mac, dst, vlan: interface.vlan })
    }
}
