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

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]
mod tests {
    use super::*;
    use otherhalf_wire::checksum::Sum;
    use otherhalf_wire::ip::pseudo_header;
    use otherhalf_wire::probe::{Cookie, Probe, SOURCE_PORT};
    use otherhalf_wire::trace::{Refusal, Request, Rtt};
    use proptest::prelude::*;

    fn codec(family: Family) -> Codec {
        let [source, target] = match family {
            Family::V4 => ["192.0.2.1", "198.51.100.2"],
            Family::V6 => ["2001:db8::1", "2001:db8::2"],
        };
        Codec { source: source.parse().unwrap(), target: target.parse().unwrap() }
    }

    const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

    fn probe(protocol: Protocol) -> Probe {
        Probe { protocol, source_port: SOURCE_PORT, flow: 33434, identifier: 77, cookie: Cookie(9) }
    }

    fn request(ttl: u8, protocol: u8) -> Request {
        Request { identifier: 5, sequence: 0, ttl, protocol, flow: 33434 }
    }

    fn sent(codec: &Codec, query: &Query) -> Vec<u8> {
        let mut out = [0; MAX_LEN];
        let len = codec.encode(query, &mut out).unwrap();
        out[..len].to_vec()
    }

    /// An ICMP message of `from`, and for IPv4 the packet around it.
    fn icmp(codec: &Codec, from: IpAddr, mut message: Vec<u8>) -> Option<Answer> {
        let number = codec.family().icmp();
        message[2..4].fill(0);
        let len = u16::try_from(message.len()).unwrap();
        let sum: Sum = pseudo_header(from, codec.source, number, len).bytes(&message);
        message[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
        if codec.family() == Family::V6 {
            return codec.decode_icmp(from, &message);
        }
        codec.decode_v4(&packet_v4(codec, from, number, &message))
    }

    fn packet_v4(codec: &Codec, from: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let fields = ip::Fields {
            src: from,
            dst: codec.source,
            ttl: 60,
            traffic_class: 0,
            flow_label: 0,
            identification: Some(1),
            protocol,
        };
        let mut out = vec![0; payload.len() + 20];
        fields.emit(payload.len(), &mut out).unwrap().copy_from_slice(payload);
        out
    }

    fn error(family: Family, kind: Kind, code: u8, quoted: &[u8]) -> Vec<u8> {
        [&[kind.number(family), code, 0, 0, 0, 0, 0, 0], quoted].concat()
    }

    #[test]
    fn an_error_names_its_probe_by_the_least_that_routers_quote() {
        for family in FAMILIES {
            let codec = codec(family);
            let router = if family == Family::V4 { "10.0.0.1" } else { "2001:db8:1::1" };
            let from: IpAddr = router.parse().unwrap();
            for protocol in Protocol::ALL {
                let probe = probe(protocol);
                let packet = sent(&codec, &Query::Probe { ttl: Ttl::MIN, probe });
                let least = family.header_len() + 8;
                let identity = Identity::of(&probe);
                let exceeded = error(family, Kind::TimeExceeded, 0, &packet[..least]);
                assert_eq!(
                    icmp(&codec, from, exceeded.clone()),
                    Some(Answer::Probe { identity, from, reply: Reply::TimeExceeded })
                );
                let prohibited = error(family, Kind::DestinationUnreachable, 1, &packet);
                let reply = Reply::Unreachable(Unreachable { family, code: 1 });
                assert_eq!(
                    icmp(&codec, from, prohibited),
                    Some(Answer::Probe { identity, from, reply })
                );
                // Too short; a failed reassembly; another's packet.
                assert_eq!(icmp(&codec, from, exceeded[..exceeded.len() - 1].to_vec()), None);
                assert_eq!(icmp(&codec, from, error(family, Kind::TimeExceeded, 1, &packet)), None);
                let swapped = Codec { source: codec.target, target: codec.source };
                let foreign = sent(&swapped, &Query::Probe { ttl: Ttl::MIN, probe });
                assert_eq!(
                    icmp(&codec, from, error(family, Kind::TimeExceeded, 0, &foreign)),
                    None
                );
            }
        }
    }

    #[test]
    fn an_error_about_a_request_is_told_from_one_about_a_probe() {
        for family in FAMILIES {
            let codec = codec(family);
            let packet = sent(&codec, &Query::Request(request(3, 17)));
            let from = codec.target;
            let message = error(family, Kind::TimeExceeded, 0, &packet);
            let reply = Reply::TimeExceeded;
            assert_eq!(
                icmp(&codec, from, message),
                Some(Answer::Undelivered { identifier: 5, from, reply })
            );
        }
    }

    #[test]
    fn an_echo_reply_names_its_probe_only_if_the_target_sent_it() {
        for family in FAMILIES {
            let codec = codec(family);
            let probe = probe(Protocol::Icmp);
            let packet = sent(&codec, &Query::Probe { ttl: Ttl::MIN, probe });
            let mut reply = packet[family.header_len()..].to_vec();
            reply[0] = Kind::EchoReply.number(family);
            let identity = Identity::of(&probe);
            let from = codec.target;
            assert_eq!(
                icmp(&codec, from, reply.clone()),
                Some(Answer::Probe { identity, from, reply: Reply::Direct })
            );
            assert_eq!(icmp(&codec, codec.source, reply), None);
        }
    }

    #[test]
    fn a_wrong_checksum_is_no_answer() {
        let codec = codec(Family::V4);
        let mut message = [0, 1, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0];
        let checksum = Sum::ZERO.bytes(&message).checksum();
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        let packet = packet_v4(&codec, codec.target, 1, &message);
        assert!(codec.decode_v4(&packet).is_some());
        let mut broken = packet.clone();
        broken[31] ^= 1;
        assert_eq!(codec.decode_v4(&broken), None);
    }

    #[test]
    fn tcp_answers() {
        let codec = codec(Family::V4);
        let probe = probe(Protocol::Tcp);
        let acknowledgement = probe.sequence().wrapping_add(1).to_be_bytes();
        let mut segment = vec![0; 20];
        segment[..2].copy_from_slice(&probe.flow.to_be_bytes());
        segment[2..4].copy_from_slice(&probe.source_port.to_be_bytes());
        segment[8..12].copy_from_slice(&acknowledgement);
        let identity = Identity::of(&probe);
        let from = codec.target;
        for (flags, ours) in
            [(0x14, true), (0x12, true), (0x10, false), (0x04, false), (0x02, false)]
        {
            segment[13] = flags;
            let expected = ours.then_some(Answer::Probe { identity, from, reply: Reply::Direct });
            assert_eq!(codec.decode_tcp(from, &segment), expected);
            assert_eq!(codec.decode_v4(&packet_v4(&codec, from, 6, &segment)), expected);
            assert_eq!(codec.decode_tcp(codec.source, &segment), None);
        }
    }

    /// The last four octets of a request, and the whole of what a host that speaks ping makes of it.
    fn mirrored(codec: &Codec, request: Request, code: u8) -> ([u8; 4], Vec<u8>) {
        let mut message =
            sent(codec, &Query::Request(request))[codec.family().header_len()..].to_vec();
        message[0] = Kind::EchoReply.number(codec.family());
        message[1] = code;
        (message[8..].try_into().unwrap(), message)
    }

    #[test]
    fn no_mirror_image_is_a_response_and_no_response_a_mirror_image() {
        for family in FAMILIES {
            let codec = codec(family);
            for protocol in Protocol::ALL {
                for ttl in 0..=255 {
                    for code in [0, 1] {
                        let request = request(ttl, protocol.number(family));
                        let (echoed, message) = mirrored(&codec, request, code);
                        assert_eq!(
                            icmp(&codec, codec.target, message),
                            Some(Answer::Mirrored { identifier: 5, echoed })
                        );
                    }
                }
            }
            for status in 1..=255 {
                let response =
                    [Kind::EchoReply.number(family), 1, 0, 0, 0, 5, 0, 0, status, 0, 1, 2];
                let answer = icmp(&codec, codec.target, response.to_vec());
                let Some(Answer::Refused { refusal, .. }) = answer else {
                    panic!("{answer:?} is a refusal");
                };
                assert_eq!(refusal.status(), status);
            }
        }
    }

    #[test]
    fn responses() {
        for family in FAMILIES {
            let codec = codec(family);
            let hop = codec.source;
            let verdicts = [
                Verdict::Hop { address: hop, rtt: Rtt::from_ns(300) },
                Verdict::Refused { refusal: Refusal::Flow, text: b"no \xff" },
            ];
            let answers = verdicts.map(|verdict| {
                let mut out = [0; 300];
                let response = Response { identifier: 5, verdict };
                let len = response.emit(codec.target, codec.source, &mut out).unwrap();
                let from_elsewhere = icmp(&codec, hop, out[..len].to_vec());
                assert_eq!(from_elsewhere, None);
                icmp(&codec, codec.target, out[..len].to_vec()).unwrap()
            });
            let text = "no \u{fffd}".to_owned();
            assert_eq!(
                answers,
                [
                    Answer::Result { identifier: 5, from: hop, rtt: Rtt::from_ns(300) },
                    Answer::Refused { identifier: 5, refusal: Refusal::Flow, text },
                ]
            );
        }
    }

    #[test]
    fn the_flow_label_goes_with_the_flow() {
        let codec = codec(Family::V6);
        let packet = sent(&codec, &Query::Probe { ttl: Ttl::MIN, probe: probe(Protocol::Udp) });
        assert_eq!(ip::Packet::parse_v6(&packet).unwrap().flow_label, 33434);
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_panics(v6: bool, bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 0..5usize) {
            let family = if v6 { Family::V6 } else { Family::V4 };
            let codec = codec(family);
            let kinds = [Kind::EchoReply, Kind::TimeExceeded, Kind::DestinationUnreachable, Kind::PacketTooBig, Kind::Other(200)];
            let mut message = vec![kinds[kind].number(family), 0];
            message.extend(&bytes);
            let _ = codec.decode_icmp(codec.target, &message);
            let _ = codec.decode_icmp(codec.target, &bytes);
            let _ = codec.decode_tcp(codec.target, &bytes);
            let _ = codec.decode_v4(&bytes);
        }
    }
}
