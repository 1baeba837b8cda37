//! Requests (PROTOCOL §2): is one well-formed, and will we do what it asks?

use std::net::IpAddr;

use otherhalf_wire::extension::Class;
use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{ANY_FLOW, Refusal, Request, extensions};

use crate::classify::{Found, Task};
use crate::outcome::Outcome;
use crate::policy::Policy;

/// A request that deserves a probe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// The address that was asked: the probe's source.
    pub(crate) own: IpAddr,
    /// Who asked: the probe's destination.
    pub(crate) requester: IpAddr,
    pub(crate) identifier: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: Protocol,
    pub(crate) flow: u16,
    /// Handed on to the probe, as the reference does: routers may hash on the label.
    pub(crate) traffic_class: u8,
    pub(crate) flow_label: u32,
}

/// A request that is refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refuse {
    pub(crate) own: IpAddr,
    pub(crate) requester: IpAddr,
    pub(crate) identifier: u16,
    pub(crate) refusal: Refusal,
    pub(crate) outcome: Outcome,
}

/// Reads the request in `packet`; its checksum is right and its source can be answered.
#[inline(always)]
pub(crate) fn read(policy: &Policy, packet: &Packet<'_>, message: &Message<'_>) -> Found {
    let Ok((request, trailer)) = Request::parse(message) else {
        return Err(Outcome::DropShortRequest);
    };
    let refuse = |refusal, outcome| {
        Ok(Task::Refuse(Refuse {
            own: packet.dst,
            requester: packet.src,
            identifier: request.identifier,
            refusal,
            outcome,
        }))
    };
    if request.ttl == 0 {
        return refuse(Refusal::Ttl, Outcome::RefusedTtl);
    }
    let wanted = request.probe_protocol(packet.family());
    let Some((protocol, flows)) =
        wanted.and_then(|protocol| Some((protocol, policy.flows(protocol)?)))
    else {
        return refuse(Refusal::Protocol, Outcome::RefusedProtocol);
    };
    let flow = if request.flow == ANY_FLOW { flows.default } else { request.flow };
    if !flows.allow(flow) {
        return refuse(Refusal::Flow, Outcome::RefusedFlow);
    }
    // Padding alone is welcome; all else needs a policy that is not there.
    for object in extensions(trailer).into_iter().flatten() {
        let class = object.map_or_else(|(class, _)| Err(class), |object| Ok(object.class));
        if class != Ok(Class::PADDING) {
            let (Ok(class) | Err(class)) = class;
            return refuse(Refusal::Extension(class.value()), Outcome::RefusedExtension);
        }
    }
    Ok(Task::Ask(Ask {
        own: packet.dst,
        requester: packet.src,
        identifier: request.identifier,
        ttl: request.ttl,
        protocol,
        flow,
        traffic_class: packet.traffic_class,
        flow_label: packet.flow_label,
    }))
}
