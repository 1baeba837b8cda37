//! Queries as packets, packets as answers.
//!
//! # A mirror is no response
//!
//! A host that speaks plain ping answers a request as it answers any echo request: with an echo reply, code 1 (or 0), and the
//! request's own octets. A request here is always 12 octets long and names its protocol, never 0. Its mirror image
//! has therefore a body of four octets: status (our TTL), text length (our protocol, at least 1), value (our flow). No response
//! has that: with status 0 another 24 octets follow, with any other as many as the text length says. So the two cannot be
//! confused, whatever the TTL, and [`Answer::Mirrored`] carries the four octets for comparison with those sent.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::net::IpAddr;

use otherhalf_wire::icmp::{Kind, Message, TTL_EXCEEDED};
use otherhalf_wire::ip::{self, Family, protocol};
use otherhalf_wire::probe::{ICMP_SEQUENCE, Identity, Protocol};
use otherhalf_wire::quote::Quote;
use otherhalf_wire::trace::{CODE, REQUEST_LEN, Response, Verdict};
use otherhalf_wire::{icmp, tcp};
use zerocopy::FromBytes;

use crate::query::{Answer, Query, Reply, Unreachable};
use crate::ttl::Ttl;

/// More than the longest query takes, IP header included.
pub const MAX_LEN: usize = 128;

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
        let family = self.family();
        let (ttl, number, len, identification, flow) = match query {
            Query::Probe { ttl, probe } => (
                *ttl,
                probe.protocol.number(family),
                probe.protocol.probe_len(),
                Some(probe.cookie.identification()),
                probe.flow,
            ),
            Query::Request(request) => {
                (Ttl::ORDINARY, family.icmp(), REQUEST_LEN, None, request.flow)
            }
        };
        let fields = ip::Fields {
            src: self.source,
            dst: self.target,
            ttl: ttl.get(),
            traffic_class: 0,
            // Load balancers hash on it too (RFC 6438): one flow, one label.
            flow_label: flow.into(),
            identification,
            protocol: number,
        };
        let payload = fields.emit(len, out)?;
        let written = match query {
            Query::Probe { probe, .. } => probe.emit(self.source, self.target, payload)?,
            Query::Request(request) => request.emit(self.source, self.target, &[], payload)?,
        };
        family.header_len().checked_add(written)
    }

    /// The answer in an IPv4 `packet`, as raw sockets of ICMP and TCP deliver it.
    #[must_use]
    pub fn decode_v4(&self, packet: &[u8]) -> Option<Answer> {
        let packet = ip::Packet::parse_v4(packet).ok()?;
        if packet.dst != self.source {
            return None;
        }
        match packet.protocol {
            // Raw sockets see what the kernel has not verified yet.
            protocol::ICMP if packet.upper_layer_sum().verifies() => {
                self.decode_icmp(packet.src, packet.payload)
            }
            // TCP's checksum may be left to a network card that is not there (veth): not looked at.
            protocol::TCP => self.decode_tcp(packet.src, packet.payload),
            _ => None,
        }
    }

    /// The answer in an ICMP `message` from `from`, whose checksum was verified.
    #[must_use]
    pub fn decode_icmp(&self, from: IpAddr, message: &[u8]) -> Option<Answer> {
        let family = self.family();
        let message = Message::parse(family, message).ok()?;
        let code = message.header.code;
        let reply = match message.kind {
            Kind::EchoReply if from == self.target => return self.echo_reply(&message),
            Kind::TimeExceeded if code == TTL_EXCEEDED => Reply::TimeExceeded,
            Kind::DestinationUnreachable => Reply::Unreachable(Unreachable { family, code }),
            _ => return None,
        };
        let quote = Quote::parse(family, message.body).ok()?;
        if quote.src != self.source || quote.dst != self.target {
            return None;
        }
        if let Some(identifier) = quoted_request(family, &quote) {
            return Some(Answer::Undelivered { identifier, from, reply });
        }
        let identity = Identity::from_quote(family, quote.protocol, quote.transport)?;
        Some(Answer::Probe { identity, from, reply })
    }

    /// The answer in a TCP `segment` from `from`.
    #[must_use]
    pub fn decode_tcp(&self, from: IpAddr, segment: &[u8]) -> Option<Answer> {
        if from != self.target {
            return None;
        }
        let (header, _) = tcp::Header::ref_from_prefix(segment).ok()?;
        let identity = Identity::from_tcp_answer(header)?;
        Some(Answer::Probe { identity, from, reply: Reply::Direct })
    }

    /// The target's echo reply: to a probe, a response, or the mirror image of a request.
    fn echo_reply(&self, message: &Message<'_>) -> Option<Answer> {
        if let Some(identity) = Identity::from_echo_reply(self.family(), message.header) {
            return Some(Answer::Probe { identity, from: self.target, reply: Reply::Direct });
        }
        if message.header.code == CODE
            && let Ok(Response { identifier, verdict }) = Response::parse(message)
        {
            return Some(match verdict {
                Verdict::Hop { address, rtt } => Answer::Result { identifier, from: address, rtt },
                Verdict::Refused { refusal, text } => Answer::Refused {
                    identifier,
                    refusal,
                    text: String::from_utf8_lossy(text).into_owned(),
                },
            });
        }
        let echoed = message.body.try_into().ok()?;
        Some(Answer::Mirrored { identifier: message.header.identifier.get(), echoed })
    }
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
