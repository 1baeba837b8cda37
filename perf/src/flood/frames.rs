//! Writes frames of strangers: packets to the responder with any source, content and checksum.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use otherhalf_wire::arp::{Arp, Operation};
use otherhalf_wire::checksum::update;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Family, Fields, protocol, pseudo_header};
use otherhalf_wire::ndp::{self, Message};
use otherhalf_wire::probe::{self, Protocol};
use otherhalf_wire::tcp;
use otherhalf_wire::trace;
use zerocopy::{FromBytes, IntoBytes};

use super::strangers::Random;
use crate::addresses::{self, RESPONDER_V4, RESPONDER_V6};
use crate::plan::Transaction;

/// Octets of an Ethernet header.
pub const LINK: usize = 14;
/// Octets of a probe behind its IP header that routers quote at least (RFC 792).
const LEAST_QUOTED: usize = 8;

/// Writes frames from one station to the responder.
#[derive(Debug, Clone, Copy)]
pub struct Frames {
    /// The station.
    pub own: Mac,
    /// The responder's.
    pub responder: Mac,
}

/// What of a request is the requester's to choose.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Who asks.
    pub from: IpAddr,
    /// The identifier.
    pub identifier: u16,
    /// The probe's protocol.
    pub protocol: Protocol,
    /// Its TTL.
    pub ttl: u8,
    /// Its flow.
    pub flow: u16,
}

impl Asked {
    /// Anything that is allowed, from `from`.
    #[must_use]
    pub fn any(from: IpAddr, random: &mut Random) -> Self {
        let place = usize::try_from(random.below(3)).unwrap_or(0);
        let protocol = Protocol::ALL.get(place).copied().unwrap_or(Protocol::Udp);
        let (identifier, flow) = (random.word().max(1), random.word().max(1));
        let ttl = u8::try_from(1 + random.below(30)).unwrap_or(1);
        Self { from, identifier, protocol, ttl, flow }
    }
}

impl Frames {
    /// A packet of `len` octets behind the IP header; returns where they are to be written.
    #[must_use]
    pub fn packet<'a>(
        &self,
        [src, dst]: [IpAddr; 2],
        protocol: u8,
        len: usize,
        room: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        let fields = Fields {
            src,
            dst,
            ttl: 64,
            traffic_class: 0,
            flow_label: 0,
            identification: None,
            protocol,
        };
        let ethertype = match Family::of(src) {
            Family::V4 => ethertype::IPV4,
            Family::V6 => ethertype::IPV6,
        };
        let link = Link { dst: self.responder, src: self.own, vlan: None, ethertype };
        fields.emit(len, link.emit(room)?)?.get_mut(..len)
    }

    /// A frame for a request, of `padding` octets more.
    #[must_use]
    pub fn request(&self, asked: Asked, padding: usize, room: &mut [u8]) -> Option<usize> {
        let family = Family::of(asked.from);
        let number = asked.protocol.number(family);
        let [high, low] = asked.flow.to_be_bytes();
        let content = [asked.ttl, number, high, low];
        let header = [family.icmp(), trace::CODE];
        self.echo(asked.from, header, asked.identifier, 0, &content, padding, room)
    }

    /// A ping of `len` octets.
    #[must_use]
    pub fn ping(
        &self,
        from: IpAddr,
        identifier: u16,
        len: usize,
        room: &mut [u8],
    ) -> Option<usize> {
        self.echo(from, [Family::of(from).icmp(), 0], identifier, 1, &[], len, room)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a message")]
    fn echo(
        &self,
        from: IpAddr,
        [protocol, code]: [u8; 2],
        identifier: u16,
        sequence: u16,
        content: &[u8],
        padding: usize,
        room: &mut [u8],
    ) -> Option<usize> {
        let family = Family::of(from);
        let to = addresses::responder(family);
        let header = icmp::Header {
            kind: Kind::EchoRequest.number(family),
            code,
            checksum: 0.into(),
            identifier: identifier.into(),
            sequence: sequence.into(),
        };
        let len = icmp::HEADER_LEN + content.len() + padding;
        let message = self.packet([from, to], protocol, len, room)?;
        let rest = put(message, header.as_bytes())?;
        put(rest, content)?.fill(0);
        seal([from, to], message)?;
        Some(LINK + family.header_len() + len)
    }

    /// A time exceeded message about the probe of `wanted`, by somebody who knows all of it but identifier and keyed bits.
    /// Over IPv4 it quotes the least that routers quote; over IPv6 all, for there the least has no keyed bits.
    #[must_use]
    pub fn forged_error(
        &self,
        wanted: &Transaction,
        random: &mut Random,
        room: &mut [u8],
    ) -> Option<usize> {
        let family = wanted.family;
        let from = random.address(family);
        let (to, client) = (addresses::responder(family), addresses::client(family, wanted.client));
        let whole = wanted.protocol.probe_len();
        let quoted = if family == Family::V4 { LEAST_QUOTED } else { whole };
        let len = icmp::HEADER_LEN + family.header_len() + quoted;
        let message = self.packet([from, to], family.icmp(), len, room)?;
        let header = icmp::Header {
            kind: Kind::TimeExceeded.number(family),
            code: icmp::TTL_EXCEEDED,
            checksum: 0.into(),
            identifier: 0.into(),
            sequence: 0.into(),
        };
        let rest = put(message, header.as_bytes())?;
        let forged = probe::Probe {
            protocol: wanted.protocol,
            source_port: probe::SOURCE_PORT,
            flow: wanted.flow,
            identifier: random.word().max(1),
            cookie: probe::Cookie(random.next()),
        };
        let fields = Fields {
            src: to,
            dst: client,
            ttl: 1,
            traffic_class: 0,
            flow_label: 0,
            identification: Some(random.word()),
            protocol: wanted.protocol.number(family),
        };
        let mut copy = [0; 40 + probe::MAX_LEN];
        let behind = fields.emit(whole, &mut copy)?;
        forged.emit(to, client, behind)?;
        put(rest, copy.get(..family.header_len() + quoted)?)?;
        seal([from, to], message)?;
        Some(LINK + family.header_len() + len)
    }

    /// An echo reply of the client of `wanted`, as if the probe had reached it; the identifier is guessed, and the content is
    /// zeros, as of targets that do not return a probe's.
    #[must_use]
    pub fn forged_echo(
        &self,
        wanted: &Transaction,
        random: &mut Random,
        room: &mut [u8],
    ) -> Option<usize> {
        let family = wanted.family;
        let (from, to) = (addresses::client(family, wanted.client), addresses::responder(family));
        let len = Protocol::Icmp.probe_len();
        let message = self.packet([from, to], family.icmp(), len, room)?;
        message.fill(0);
        // The flow is the request's checksum, of which the reply changes the type.
        let [request, reply] = [Kind::EchoRequest, Kind::EchoReply]
            .map(|kind| u16::from_be_bytes([kind.number(family), 0]));
        let header = icmp::Header {
            kind: Kind::EchoReply.number(family),
            code: 0,
            checksum: update(wanted.flow, request, reply).into(),
            identifier: random.word().into(),
            sequence: probe::ICMP_SEQUENCE.into(),
        };
        put(message, header.as_bytes())?;
        // The last octets make it right.
        let length = u16::try_from(len).ok()?;
        let sum = pseudo_header(from, to, family.icmp(), length).bytes(message);
        message.last_chunk_mut::<2>()?.copy_from_slice(&sum.checksum().to_be_bytes());
        Some(LINK + family.header_len() + len)
    }

    /// A SYN, or a datagram, to a port where nothing listens.
    #[must_use]
    pub fn closed_port(&self, from: IpAddr, random: &mut Random, room: &mut [u8]) -> Option<usize> {
        let family = Family::of(from);
        let to = addresses::responder(family);
        let [src_port, dst_port] = [random.word().max(1024), 1 + random.word() % 1000];
        let tcp = random.word() & 1 == 0;
        let (number, len) =
            if tcp { (protocol::TCP, tcp::HEADER_LEN) } else { (protocol::UDP, 16) };
        let payload = self.packet([from, to], number, len, room)?;
        payload.fill(0);
        if tcp {
            let header = tcp::Header {
                src_port: src_port.into(),
                dst_port: dst_port.into(),
                sequence: (u32::from(random.word()) << 8).into(),
                acknowledgement: 0.into(),
                data_offset: tcp::NO_OPTIONS,
                flags: tcp::flag::SYN,
                window: 1024.into(),
                checksum: 0.into(),
                urgent: 0.into(),
            };
            put(payload, header.as_bytes())?;
        } else {
            put(payload, &src_port.to_be_bytes())?;
            put(payload.get_mut(2..)?, &dst_port.to_be_bytes())?;
            put(payload.get_mut(4..)?, &16u16.to_be_bytes())?;
        }
        let sum = pseudo_header(from, to, number, u16::try_from(len).ok()?).bytes(payload);
        let at = if tcp { 16 } else { 6 };
        put(payload.get_mut(at..)?, &sum.checksum().to_be_bytes())?;
        Some(LINK + family.header_len() + len)
    }

    /// What a made-up station of the link says or asks by ARP or neighbour discovery. Nobody pretends to be the router or the
    /// responder: who can do that on the link needs no flood.
    #[must_use]
    pub fn neighbour(&self, random: &mut Random, room: &mut [u8]) -> Option<usize> {
        let mac = random.mac();
        let host = u8::try_from(2 + random.below(252)).ok()?;
        let v4 = |host| Ipv4Addr::new(192, 0, 2, host);
        let v6 = Ipv6Addr::from_bits(
            addresses::ROUTER_V6.to_bits() >> 64 << 64 | u128::from(random.next() | 1 << 63),
        );
        let kind = random.below(6);
        if kind < 3 {
            let (operation, target) = match kind {
                0 => (Operation::Request, RESPONDER_V4),
                1 => (Operation::Request, v4(host ^ 1)),
                _ => (Operation::Reply, RESPONDER_V4),
            };
            let dst = if operation == Operation::Request { Mac::BROADCAST } else { self.responder };
            let link = Link { dst, src: mac, vlan: None, ethertype: ethertype::ARP };
            let rest = link.emit(room)?;
            let arp = Arp {
                operation,
                sender_mac: mac,
                sender: v4(host),
                target_mac: self.responder,
                target,
            };
            return Some(LINK + arp.emit(rest)?);
        }
        let message = match kind {
            3 => Message::Solicitation { target: RESPONDER_V6, source_mac: Some(mac) },
            4 => Message::Advertisement {
                target: v6,
                target_mac: Some(mac),
                solicited: false,
                overrides: true,
            },
            _ => Message::Advertisement {
                target: v6,
                target_mac: Some(mac),
                solicited: true,
                overrides: true,
            },
        };
        let fields = Fields {
            src: v6,
            dst: RESPONDER_V6,
            ttl: ndp::HOP_LIMIT,
            traffic_class: 0,
            flow_label: 0,
            identification: None,
            protocol: protocol::ICMPV6,
        };
        let link = Link { dst: self.responder, src: mac, vlan: None, ethertype: ethertype::IPV6 };
        let rest = fields.emit(ndp::LEN, link.emit(room)?)?;
        Some(LINK + Family::V6.header_len() + message.emit(v6, RESPONDER_V6, rest)?)
    }
}

/// Writes `octets` to the front of `room`; returns what follows.
fn put<'a>(room: &'a mut [u8], octets: &[u8]) -> Option<&'a mut [u8]> {
    let (place, rest) = room.split_at_mut_checked(octets.len())?;
    place.copy_from_slice(octets);
    Some(rest)
}

/// Puts the checksum into an ICMP message whose field for it is zero.
fn seal([src, dst]: [IpAddr; 2], message: &mut [u8]) -> Option<()> {
    let length = u16::try_from(message.len()).ok()?;
    let sum = pseudo_header(src, dst, Family::of(src).icmp(), length).bytes(message);
    icmp::Header::mut_from_prefix(message).ok()?.0.checksum.set(sum.checksum());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::scenario::Scenario;
    use otherhalf_wire::ip::Packet;
    use otherhalf_wire::probe::Identity;
    use otherhalf_wire::quote::Quote;
    use std::path::Path;

    const FRAMES: Frames =
        Frames { own: Mac([2, 0, 0, 0, 0, 1]), responder: Mac([2, 0, 0, 0, 0, 2]) };

    fn packet(frame: &[u8]) -> Packet<'_> {
        let (link, payload) = Link::parse(frame).unwrap();
        assert_eq!((link.dst, link.src), (FRAMES.responder, FRAMES.own));
        let packet = match link.ethertype {
            ethertype::IPV4 => Packet::parse_v4(payload),
            _ => Packet::parse_v6(payload),
        }
        .unwrap();
        assert!(packet.upper_layer_sum().verifies(), "{frame:02x?}");
        assert_eq!(packet.dst, addresses::responder(packet.family()));
        packet
    }

    #[test]
    fn requests_pings_and_closed_ports_are_right_but_for_who_sends_them() {
        let mut random = Random::new(1);
        let mut room = [0xaa; 2048];
        for number in 0..3000 {
            let family = if number % 2 == 0 { Family::V4 } else { Family::V6 };
            let asked = Asked::any(random.address(family), &mut random);
            let len = FRAMES.request(asked, number % 1400, &mut room).unwrap();
            let read = packet(&room[..len]);
            let message = icmp::Message::parse(family, read.payload).unwrap();
            let (request, rest) = trace::Request::parse(&message).unwrap();
            assert_eq!((request.identifier, request.flow), (asked.identifier, asked.flow));
            assert_eq!((read.src, rest.len()), (asked.from, number % 1400));
            let len = FRAMES.ping(asked.from, 7, 56, &mut room).unwrap();
            assert_eq!(packet(&room[..len]).payload.len(), 64);
            let len = FRAMES.closed_port(asked.from, &mut random, &mut room).unwrap();
            assert!([protocol::TCP, protocol::UDP].contains(&packet(&room[..len]).protocol));
        }
    }

    #[test]
    fn forgeries_name_the_probe_but_for_what_must_be_guessed() {
        let text = "about = \"x\"\nfamily = \"mixed\"\nclients = 64";
        let plan = Plan::new(&Scenario::parse(Path::new("x"), text).unwrap());
        let mut random = Random::new(2);
        let mut room = [0; 2048];
        for number in 64..5000 {
            let wanted = plan.transaction(number).unwrap();
            let len = FRAMES.forged_error(&wanted, &mut random, &mut room).unwrap();
            let read = packet(&room[..len]);
            let message = icmp::Message::parse(wanted.family, read.payload).unwrap();
            assert_eq!(message.kind, Kind::TimeExceeded);
            let quote = Quote::parse(wanted.family, message.body).unwrap();
            assert_eq!(quote.dst, addresses::client(wanted.family, wanted.client));
            let identity =
                Identity::from_quote(wanted.family, quote.protocol, quote.transport).unwrap();
            let known = (identity.protocol, identity.flow, identity.source_port);
            assert_eq!(known, (wanted.protocol, wanted.flow, probe::SOURCE_PORT));

            let len = FRAMES.forged_echo(&wanted, &mut random, &mut room).unwrap();
            let read = packet(&room[..len]);
            let message = icmp::Message::parse(wanted.family, read.payload).unwrap();
            let identity = Identity::from_echo_reply(wanted.family, message.header).unwrap();
            assert_eq!((message.kind, identity.flow), (Kind::EchoReply, wanted.flow));
            assert_eq!(read.src, addresses::client(wanted.family, wanted.client));
        }
    }

    #[test]
    fn stations_of_the_link_speak_both_protocols() {
        let mut random = Random::new(3);
        let mut room = [0; 256];
        let (mut arp, mut nd) = (0, 0);
        for _ in 0..600 {
            let len = FRAMES.neighbour(&mut random, &mut room).unwrap();
            let (link, payload) = Link::parse(&room[..len]).unwrap();
            if link.ethertype == ethertype::ARP {
                let said = Arp::parse(payload).unwrap();
                assert_ne!(said.sender, addresses::ROUTER_V4);
                assert_ne!(said.sender, RESPONDER_V4);
                arp += 1;
            } else {
                let packet = Packet::parse_v6(payload).unwrap();
                assert!(packet.upper_layer_sum().verifies());
                Message::parse(packet.payload).unwrap();
                nd += 1;
            }
        }
        assert!(arp > 200 && nd > 200, "{arp} {nd}");
    }
}
