//! Queries as packets, packets as answers.
//!
//! # A mirror is no response
//!
//! A host that speaks plain ping answers a request as it answers any echo request: with an echo reply, code 1 (or 0), and the
//! request's own octets. A request here names its protocol, never 0, and has 12 octets and perhaps extensions. Its mirror image
//! has therefore a body of four octets: status (our TTL), text length (our protocol, at least 1), value (our flow). No response
//! has that: with status 0 another 24 octets follow, with any other as many as the text length says. Of a request with extensions,
//! these four octets are followed by an extension structure, whose version and checksum no result and no text has. So the
//! two cannot be confused, whatever the TTL, and [`Answer::Mirrored`] carries the four octets for comparison with those sent.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::net::IpAddr;

use otherhalf_wire::extension::{self, Class};
use otherhalf_wire::icmp::{Kind, Message, TTL_EXCEEDED};
use otherhalf_wire::ip::{self, Family, protocol};
use otherhalf_wire::probe::{ICMP_SEQUENCE, Identity, Protocol};
use otherhalf_wire::quote::Quote;
use otherhalf_wire::trace::{CODE, REQUEST_LEN, Request, Response, Verdict, extensions};
use otherhalf_wire::{icmp, multipart, tcp};
use zerocopy::FromBytes;

use crate::details::{Details, Object, Quoted};
use crate::query::{Answer, Extras, Query, Reply, Shape, Unreachable};
use crate::ttl::Ttl;

/// As much as the longest query takes, IP header included: an IP packet's limit.
pub const MAX_LEN: usize = 65535;

/// Octets that a padding object takes without any padding, and an extension structure without any object.
const OBJECT_HEADER_LEN: u16 = 4;

/// The two ends between which queries and answers go.
#[derive(Debug, Clone, Copy)]
pub struct Codec {
    /// Our address.
    pub source: IpAddr,
    /// The target's; of the same family.
    pub target: IpAddr,
}

impl Codec {
    /// The family of both ends.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.target)
    }

    /// Writes `query` as an IP packet to the front of `out`; returns its octets.
    ///
    /// `None` if it does not fit ([`MAX_LEN`] octets are enough) or the ends are of two families.
    #[must_use]
    pub fn encode(&self, query: &Query, out: &mut [u8]) -> Option<usize> {
        match query {
            Query::Probe { ttl, probe, shape, instead } => {
                let target = instead.unwrap_or(self.target);
                let header = self.family().header_len();
                let len = match shape.size {
                    Some(size) => usize::from(size).checked_sub(header)?,
                    None => probe.protocol.probe_len(),
                };
                let fields = self.fields(*ttl, probe.protocol.number(self.family()), probe.flow);
                let fields = ip::Fields {
                    dst: target,
                    traffic_class: shape.traffic_class,
                    identification: identification(probe.cookie.identification(), *shape),
                    ..fields
                };
                let payload = fields.emit(len, out)?;
                header.checked_add(probe.emit_padded(self.source, target, len, payload)?)
            }
            Query::Request { request, extras } => self.encode_request(*request, *extras, out),
        }
    }

    fn encode_request(&self, request: Request, extras: Extras, out: &mut [u8]) -> Option<usize> {
        let padding;
        let target;
        let mut objects = Vec::new();
        if let Some(indirect) = extras.indirect {
            target = ip::to_mapped(indirect).octets();
            objects.push(extension::Object { class: Class::INDIRECT_TARGET, payload: &target });
        }
        if extras.padding > 0 {
            // Headers count: the object's, and the structure's if that is there for the padding alone.
            let structure = if objects.is_empty() { OBJECT_HEADER_LEN } else { 0 };
            let headers = OBJECT_HEADER_LEN.checked_add(structure)?;
            padding = vec![0; extras.padding.saturating_sub(headers).into()];
            objects.push(extension::Object { class: Class::PADDING, payload: &padding });
        }
        let attached = objects.iter().try_fold(0usize, |sum, object| {
            sum.checked_add(object.payload.len())?.checked_add(OBJECT_HEADER_LEN.into())
        })?;
        let structure = if objects.is_empty() { 0 } else { usize::from(OBJECT_HEADER_LEN) };
        let len = REQUEST_LEN.checked_add(structure)?.checked_add(attached)?;
        let fields = ip::Fields {
            traffic_class: extras.traffic_class,
            ..self.fields(Ttl::ORDINARY, self.family().icmp(), request.flow)
        };
        let payload = fields.emit(len, out)?;
        let written = request.emit(self.source, self.target, &objects, payload)?;
        self.family().header_len().checked_add(written)
    }

    /// An IP header for a packet of `flow`.
    fn fields(&self, ttl: Ttl, protocol: u8, flow: u16) -> ip::Fields {
        ip::Fields {
            src: self.source,
            dst: self.target,
            ttl: ttl.get(),
            traffic_class: 0,
            // Load balancers hash on it too (RFC 6438): one flow, one label.
            flow_label: flow.into(),
            identification: None,
            protocol,
        }
    }

    /// The answer in an IPv4 `packet`, as raw sockets of ICMP and TCP deliver it.
    #[must_use]
    pub fn decode_v4(&self, packet: &[u8]) -> Option<Answer> {
        let identification = packet.get(4..6).and_then(|octets| octets.try_into().ok());
        let packet = ip::Packet::parse_v4(packet).ok()?;
        if packet.dst != self.source {
            return None;
        }
        let mut answer = match packet.protocol {
            // Raw sockets see what the kernel has not verified yet.
            protocol::ICMP if packet.upper_layer_sum().verifies() => {
                self.decode_icmp(packet.src, Some(packet.ttl), packet.payload)
            }
            // TCP's checksum may be left to a network card that is not there (veth): not looked at.
            protocol::TCP => self.decode_tcp(packet.src, Some(packet.ttl), packet.payload),
            _ => None,
        }?;
        if let Answer::Probe { details, .. } = &mut answer {
            details.identification = identification.map(u16::from_be_bytes);
        }
        Some(answer)
    }

    /// The answer in an ICMP `message` from `from`, whose checksum was verified; `ttl` is that of its packet, if it is known.
    #[must_use]
    pub fn decode_icmp(&self, from: IpAddr, ttl: Option<u8>, message: &[u8]) -> Option<Answer> {
        let family = self.family();
        let message = Message::parse(family, message).ok()?;
        if message.kind == Kind::EchoReply {
            return if from == self.target { self.echo_reply(ttl, &message) } else { None };
        }
        let reply = error(family, &message)?;
        let (quote, objects) = multipart::split(family, &message);
        let quote = Quote::parse_first(family, quote).ok()?;
        // A translator may have written over one of them, see `Sent::is_answered`.
        let ours = [quote.src == self.source, quote.dst == self.target];
        if ours == [true; 2]
            && let Some(identifier) = quoted_request(family, &quote)
        {
            return Some(Answer::Undelivered { identifier, from, reply });
        }
        if ours == [false; 2] {
            return None;
        }
        let identity = Identity::from_padded_quote(family, quote.protocol, quote.transport)?;
        let details = Details {
            ttl,
            identification: None,
            quoted: Some(Quoted::from(&quote)),
            // Of those behind one of an impossible length nothing is known.
            objects: objects
                .into_iter()
                .flatten()
                .map_while(Result::ok)
                .map(Object::from)
                .collect(),
        };
        Some(Answer::Probe { identity, from, reply, details })
    }

    /// The answer in a TCP `segment` from `from`; `ttl` is that of its packet, if it is known.
    #[must_use]
    pub fn decode_tcp(&self, from: IpAddr, ttl: Option<u8>, segment: &[u8]) -> Option<Answer> {
        if from != self.target {
            return None;
        }
        let (header, _) = tcp::Header::ref_from_prefix(segment).ok()?;
        let identity = Identity::from_tcp_answer(header)?;
        let details = Details { ttl, ..Details::default() };
        Some(Answer::Probe { identity, from, reply: Reply::Direct, details })
    }

    /// The target's echo reply: to a probe, a response, or the mirror image of a request.
    fn echo_reply(&self, ttl: Option<u8>, message: &Message<'_>) -> Option<Answer> {
        if let Some(identity) = Identity::from_echo_reply(self.family(), message.header) {
            let details = Details { ttl, ..Details::default() };
            return Some(Answer::Probe {
                identity,
                from: self.target,
                reply: Reply::Direct,
                details,
            });
        }
        if let Some(echoed) = mirrored(message.body) {
            return Some(Answer::Mirrored { identifier: message.header.identifier.get(), echoed });
        }
        if message.header.code != CODE {
            return None;
        }
        let Response { identifier, verdict } = Response::parse(message).ok()?;
        Some(match verdict {
            Verdict::Hop { address, rtt } => Answer::Result { identifier, from: address, rtt },
            Verdict::Refused { refusal, text } => Answer::Refused {
                identifier,
                refusal,
                text: String::from_utf8_lossy(text).into_owned(),
            },
        })
    }
}

/// The identification of a probe; none if it must not be fragmented (RFC 6864 §4.1).
const fn identification(cookie: u16, shape: Shape) -> Option<u16> {
    if shape.dont_fragment { None } else { Some(cookie) }
}

/// What an ICMP error says; `None` if it is none, or says nothing about a packet's way.
fn error(family: Family, message: &Message<'_>) -> Option<Reply> {
    const FRAGMENTATION_NEEDED: u8 = 4;
    let code = message.header.code;
    let [high, low] = [message.header.identifier.get(), message.header.sequence.get()];
    let said = |mtu: u32| (mtu > 0).then_some(mtu);
    match message.kind {
        Kind::TimeExceeded if code == TTL_EXCEEDED => Some(Reply::TimeExceeded),
        // RFC 1191 §4: the lower half of the unused word.
        Kind::DestinationUnreachable if family == Family::V4 && code == FRAGMENTATION_NEEDED => {
            Some(Reply::TooBig { mtu: said(low.into()) })
        }
        Kind::DestinationUnreachable => Some(Reply::Unreachable(Unreachable { family, code })),
        // RFC 4443 §3.2.
        Kind::PacketTooBig => {
            Some(Reply::TooBig { mtu: said(u32::from(high) << 16 | u32::from(low)) })
        }
        _ => None,
    }
}

/// The first four octets of `body`, if that is what follows the ICMP header of a request of ours, see the [module](self).
fn mirrored(body: &[u8]) -> Option<[u8; 4]> {
    let (echoed, rest) = body.split_first_chunk::<4>()?;
    let extended = || {
        extensions(rest).is_some_and(|mut objects| {
            objects.next().is_some_and(|object| {
                object.is_ok_and(|object| {
                    matches!(object.class, Class::INDIRECT_TARGET | Class::PADDING)
                })
            })
        })
    };
    // A response without text is as short: its text length is 0.
    let [_, protocol, ..] = echoed;
    (*protocol > 0 && (rest.is_empty() || extended())).then_some(*echoed)
}

/// The identifier of the request that `quote` is of; `None` if it is of something else.
fn quoted_request(family: Family, quote: &Quote<'_>) -> Option<u16> {
    let (header, _) = icmp::Header::ref_from_prefix(quote.transport).ok()?;
    let ours = Protocol::from_number(family, quote.protocol) == Some(Protocol::Icmp)
        && header.kind == Kind::EchoRequest.number(family)
        && header.code == CODE
        && header.sequence.get() != ICMP_SEQUENCE;
    ours.then_some(header.identifier.get())
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]
mod tests;
