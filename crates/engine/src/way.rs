//! Which way an answer goes: as the routes say, or back to where its cause came from.

use std::net::IpAddr;

use otherhalf_wire::ethernet::{Mac, VlanId};
use otherhalf_wire::ndp;

use crate::burst::View;
use crate::classify::Ingress;
use crate::neighbour::Answer;
use crate::network::{NextHop, PortId, RouteId};
use crate::policy::Reply;

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

    /// The way to `receiver` for the answer to a frame that came in by `port`.
    #[inline(always)]
    pub(crate) fn to(
        &mut self,
        receiver: IpAddr,
        port: PortId,
        ingress: Ingress,
    ) -> Result<&Way, Blocked> {
        let network = self.view.network;
        if self.view.policy.reply == Reply::Hairpin {
            self.last = None;
            self.way = self.back(port, ingress, ingress.mac).ok_or(Blocked::NoRoute)?;
            return Ok(&self.way);
        }
        let (route, interface) =
            network.route(receiver, ingress.interface).ok_or(Blocked::NoRoute)?;
        if route.is_none() || route != self.last {
            let router = route.map(|route| network.router(route).ok_or(Blocked::NoRoute));
            let address = router.transpose()?.unwrap_or(receiver);
            self.last = None;
            self.way = self.resolve(NextHop { interface, address })?;
            self.last = route;
        }
        Ok(&self.way)
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
        port: PortId,
        ingress: Ingress,
    ) -> Option<Way> {
        let dst = match answer {
            Answer::Advertisement { to, .. } if to.is_multicast() => ndp::multicast_mac(*to),
            _ => ingress.mac,
        };
        self.back(port, ingress, dst)
    }

    fn back(&self, port: PortId, ingress: Ingress, dst: Mac) -> Option<Way> {
        let interface = self.view.network.interface(ingress.interface)?;
        Some(Way { port, src: interface.mac, dst, vlan: interface.vlan })
    }
}
