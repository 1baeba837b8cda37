//! Requests (PROTOCOL §2): is one well-formed, and will we do what it asks?

use std::net::IpAddr;

use otherhalf_pending::{Hash, Prefetch, Table};
use otherhalf_wire::icmp;
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{ANY_FLOW, Refusal, Request};

use crate::access;
use crate::bogon;
use crate::classify::Task;
use crate::extension;
use crate::indirect::Detour;
use crate::outcome::Outcome;
use crate::work::{Address, Found, Look};

/// A request that deserves a probe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<A> {
    /// The address that was asked: the probe's source.
    pub(crate) own: A,
    /// The probe's destination: who asked, unless it is a [detour](crate::indirect::Detour).
    pub(crate) target: A,
    pub(crate) identifier: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: Protocol,
    pub(crate) flow: u16,
    /// Handed on to the probe, as the reference does: routers may hash on the label.
    pub(crate) traffic_class: u8,
    pub(crate) flow_label: u32,
    /// Keyed bits of the target's prefix, if [rates](crate::rate) are limited.
    pub(crate) bits: u64,
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

/// Reads the request in `packet`, whose message has this `header` and `body`; its checksum is right and its source can be
/// answered.
#[inline(always)]
pub(crate) fn read<A: Address, P: Prefetch>(
    look: &mut Look<'_, P>,
    packet: &Packet<'_, A>,
    header: &icmp::Header,
    body: &[u8],
) -> Found {
    let Ok((request, trailer)) = Request::parse_body(header, body) else {
        return Err(Outcome::DropShortRequest);
    };
    if look.asks_who {
        ask_who(look, packet)?;
    }
    let Request { identifier, ttl, .. } = request;
    let (own, requester) = (packet.dst, packet.src);
    let (refusal, outcome) = 'refused: {
        if ttl == 0 {
            break 'refused (Refusal::Ttl, Outcome::RefusedTtl);
        }
        let wanted = request.probe_protocol(A::FAMILY);
        let Some((protocol, flows)) =
            wanted.and_then(|protocol| Some((protocol, look.view.policy.flows(protocol)?)))
        else {
            break 'refused (Refusal::Protocol, Outcome::RefusedProtocol);
        };
        let flow = if request.flow == ANY_FLOW { flows.default } else { request.flow };
        if !flows.allow(flow) {
            break 'refused (Refusal::Flow, Outcome::RefusedFlow);
        }
        let target = match extension::check(look, packet, protocol, trailer) {
            Ok(target) => target,
            Err(refused) => break 'refused refused,
        };
        let Packet { traffic_class, flow_label, .. } = *packet;
        let ask = |target| Ask {
            own,
            target,
            identifier,
            ttl,
            protocol,
            flow,
            traffic_class,
            flow_label,
            bits: 0,
        };
        return match target {
            None => look.ask(ask(requester)),
            Some(target) => look.task(Task::Detour(A::any(Detour { ask: ask(target), requester }))),
        };
    };
    let (own, requester) = (own.into(), requester.into());
    look.task(Task::Refuse(Refuse { own, requester, identifier, refusal, outcome }))
}

/// Whether whoever sent `packet` may ask for anything.
#[inline(always)]
fn ask_who<A: Address, P: Prefetch>(look: &Look<'_, P>, packet: &Packet<'_, A>) -> Found {
    if look.view.policy.draining {
        return Err(Outcome::DropDraining);
    }
    bogon::check(look, packet)?;
    access::request(look.view.policy, packet.src)
}

impl<A: Address> Ask<A> {
    /// The place of the request's probe in the table, if `identifier` is its name.
    #[inline(always)]
    pub(crate) fn hash<P: Prefetch>(&self, table: &Table<P>, identifier: u16) -> Hash {
        // As `Identity` shows it.
        let folded = self.protocol == Protocol::Icmp && self.flow == 0xffff;
        let flow = if folded { 0 } else { self.flow };
        A::key(table, self.own, self.target, name(self.protocol, flow, identifier))
    }
}

/// What tells the probes to one target apart, in 40 bits.
#[inline(always)]
pub(crate) fn name(protocol: Protocol, flow: u16, identifier: u16) -> u64 {
    (protocol as u64) << 32 | u64::from(flow) << 16 | u64::from(identifier)
}

/// The identifier that a probe gets if it is free: the requester's own, which NATs on the way may know.
#[inline(always)]
pub(crate) fn first_identifier<A, P: Prefetch>(table: &Table<P>, ask: &Ask<A>) -> u16 {
    if ask.protocol == Protocol::Udp && ask.identifier == 0 {
        // As a checksum, 0 means "none" in IPv4 and is forbidden in IPv6.
        other_identifier(table, ask, 0)
    } else {
        ask.identifier
    }
}

/// The `attempt`th other identifier for `ask`: always the same for the same request, never 0.
#[cold]
pub(crate) fn other_identifier<A, P: Prefetch>(
    table: &Table<P>,
    ask: &Ask<A>,
    attempt: u64,
) -> u16 {
    let seed = u64::from(ask.identifier) << 32 | u64::from(ask.flow) << 16 | attempt;
    let [high, low, ..] = table.hash(&[seed], 0).cookie().to_be_bytes();
    u16::from_be_bytes([high, low]).max(1)
}
