//! The members of a bonding port, whose driver is told of their links here where theirs does not.
//!
//! `net_bonding` asks a member about its link when the event `RTE_ETH_EVENT_INTR_LSC` says that it changed; only members that
//! do not claim to have that event are looked at from time to time. `net_tap` claims it, keeps its link's state up to date, and
//! never calls its callbacks, so a bond over taps never changes over (DPDK 22.11). Drivers of NICs do call them; the same event
//! twice does no harm, for the bond asks what the link is now.

use std::ffi::CString;
use std::sync::Arc;

use dpdk_sys as sys;

use crate::eal::{Eal, Shared};
use crate::port::{PortId, PortInfo};

/// The ports that serve a bonding port.
#[derive(Debug, Default)]
pub struct Members {
    links: Vec<Member>,
    /// What keeps them.
    _eal: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Member {
    id: PortId,
    name: String,
    up: bool,
}

impl Eal {
    /// The ports that nobody made a [`Port`](crate::Port) of, if there is a bonding port that they can be members of. To be
    /// asked for when all ports are made.
    #[must_use]
    pub fn members(&self) -> Members {
        let ports: Vec<PortInfo> =
            self.ports().into_iter().filter_map(|id| self.port_info(id).ok()).collect();
        if !ports.iter().any(|port| port.driver == "net_bonding") {
            return Members::default();
        }
        let others = self.ports().into_iter().filter(|id| !self.shared().is_claimed(*id));
        let links = others.filter_map(|id| Some(Member { id, name: id.name()?, up: link(id)? }));
        Members { links: links.collect(), _eal: Some(Arc::clone(self.shared())) }
    }
}

impl Members {
    /// Looks at their links; of those that came or went since the last look, the bond is told, and their names come back, with
    /// whether there is a link now.
    pub fn look(&mut self) -> Vec<(&str, bool)> {
        let mut changed = Vec::new();
        for member in &mut self.links {
            let Some(up) = link(member.id).filter(|up| *up != member.up) else { continue };
            member.up = up;
            if let Ok(name) = CString::new(member.name.as_str()) {
                // SAFETY: reads a C string; the port exists as long as the EAL, and the bond's own lock keeps this event and
                // one of the driver's apart.
                unsafe { sys::dsys_tell_link(name.as_ptr()) };
            }
            changed.push((member.name.as_str(), up));
        }
        changed
    }
}

/// Whether the port has a link; none if it can't tell.
fn link(id: PortId) -> Option<bool> {
    let (mut up, mut speed) = (false, 0);
    // SAFETY: writes two values of those types.
    let status = unsafe { sys::dsys_eth_link(id.get(), &raw mut up, &raw mut speed) };
    (status == 0).then_some(up)
}
