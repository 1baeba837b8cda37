//! Plays the network behind the responder: what routers and clients answer to a probe, written over it.

use std::net::IpAddr;

use otherhalf_wire::checksum::{self, Sum};
use otherhalf_wire::ethernet::{self, Link, Mac, ethertype};
use otherhalf_wire::extension::{self, Class, Object};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Family, Fields, protocol, pseudo_header};
use otherhalf_wire::probe::{self, Protocol};
use otherhalf_wire::quote;
use otherhalf_wire::tcp;
use zerocopy::{FromBytes, IntoBytes};

use crate::plan::Transaction;
use crate::scenario::{Quoted, TcpPort};

/// Octets to which a quote is padded that extensions follow (RFC 4884 §5).
const PADDED: usize = 128;
/// The longest probe, IP header included.
const LONGEST: usize = 40 + probe::MAX_LEN;
/// The TTL of a router's own packets.
const TTL: u8 = 64;
/// Destination unreachable because nothing listens on the port (RFC 792, RFC 4443 §3.1).
const PORT_UNREACHABLE_V4: u8 = 3;
const PORT_UNREACHABLE_V6: u8 = 4;
/// An MPLS label stack of one entry, as RFC 4950 has it: class 1, type 1; label 16001, TTL 1, bottom of the stack.
const MPLS: Object<'static> =
    Object { class: Class { class: 1, kind: 1 }, payload: &[0x03, 0xe8, 0x11, 0x01] };

/// The network behind the responder.
#[derive(Debug, Clone)]
pub struct Router {
    /// Our hardware address.
    pub own: Mac,
    /// The responder's.
    pub responder: Mac,
    /// How much routers quote.
    pub quote: Quoted,
    /// What a client's TCP port is.
    pub tcp_port: TcpPort,
}

/// A probe as it was received, so far as an answer needs it.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Who sent it: the responder.
    pub src: IpAddr,
    /// The client.
    pub dst: IpAddr,
    /// Octets of the IP packet.
    pub len: usize,
}

impl Router {
    /// Writes the answer to `probe`, which lies in `room` behind an Ethernet header, over it. Returns the
    /// frame's length, `None` if it does not fit.
    #[must_use]
    #[inline]
    pub fn answer(&self, wanted: &Transaction, received: Probe, room: &mut [u8]) -> Option<usize> {
        if !wanted.reached {
            let kind = Kind::TimeExceeded;
            return self.error(wanted, received, kind, icmp::TTL_EXCEEDED, room);
        }
        match (wanted.protocol, wanted.family) {
            (Protocol::Icmp, _) => self.echo(wanted.family, received, room),
            (Protocol::Udp, Family::V4) => self.error(
                wanted,
                received,
                Kind::DestinationUnreachable,
                PORT_UNREACHABLE_V4,
                room,
            ),
            (Protocol::Udp, Family::V6) => self.error(
                wanted,
                received,
                Kind::DestinationUnreachable,
                PORT_UNREACHABLE_V6,
                room,
            ),
            (Protocol::Tcp, _) => self.tcp(wanted.family, received, room),
        }
    }

    /// Ethernet and IP header of an answer; returns what follows.
    #[inline]
    fn headers<'a>(
        &self,
        family: Family,
        from: IpAddr,
        to: IpAddr,
        protocol: u8,
        payload: usize,
        room: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        let ethertype = match family {
            Family::V4 => ethertype::IPV4,
            Family::V6 => ethertype::IPV6,
        };
        let rest = Link { dst: self.responder, src: self.own, vlan: None, ethertype }.emit(room)?;
        Fields {
            src: from,
            dst: to,
            ttl: TTL,
            traffic_class: 0,
            flow_label: 0,
            identification: None,
            protocol,
        }
        .emit(payload, rest)
    }

    /// An ICMP error that quotes the probe.
    #[inline]
    fn error(
        &self,
        wanted: &Transaction,
        received: Probe,
        kind: Kind,
        code: u8,
        room: &mut [u8],
    ) -> Option<usize> {
        let family = wanted.family;
        let quoted = match self.quote {
            Quoted::Least => received.len.min(family.header_len() + quote::LEAST),
            Quoted::Whole | Quoted::Extended => received.len,
        };
        let link = ethernet_len();
        let mut copy = [0u8; LONGEST];
        let copy = copy.get_mut(..quoted)?;
        copy.copy_from_slice(room.get(link..link + quoted)?);
        used_up(family, copy)?;
        let extended = self.quote == Quoted::Extended;
        let body = if extended { PADDED + extension_len() } else { quoted };
        let payload = icmp::HEADER_LEN + body;
        let rest = self.headers(family, wanted.hop, received.src, family.icmp(), payload, room)?;
        let message = rest.get_mut(..payload)?;
        // RFC 4884 §4: how long the padded quote is, in units and a place of each family's own.
        let length = match (extended, family) {
            (false, _) => 0,
            (true, Family::V4) => u16::try_from(PADDED / 4).ok()?,
            (true, Family::V6) => u16::try_from(PADDED / 8).ok()? << 8,
        };
        let (header, content) = icmp::Header::mut_from_prefix(message).ok()?;
        *header = icmp::Header {
            kind: kind.number(family),
            code,
            checksum: 0.into(),
            identifier: length.into(),
            sequence: 0.into(),
        };
        let (first, padding) = content.split_at_mut_checked(quoted)?;
        first.copy_from_slice(copy);
        if extended {
            let (padding, objects) = padding.split_at_mut_checked(PADDED - quoted)?;
            padding.fill(0);
            extension::emit(&[MPLS], objects)?;
        }
        let sum =
            pseudo_header(wanted.hop, received.src, family.icmp(), u16::try_from(payload).ok()?)
                .bytes(message);
        icmp::Header::mut_from_prefix(message).ok()?.0.checksum.set(sum.checksum());
        Some(link + family.header_len() + payload)
    }

    /// The client's echo reply: the addresses change places, which no sum notices.
    #[inline]
    fn echo(&self, family: Family, received: Probe, room: &mut [u8]) -> Option<usize> {
        let link = ethernet_len();
        let (head, packet) = room.split_at_mut_checked(link)?;
        let (header, _) = ethernet::Header::mut_from_prefix(head).ok()?;
        (header.dst, header.src) = (self.responder, self.own);
        let (addresses, len) = match family {
            Family::V4 => (12, 4),
            Family::V6 => (8, 16),
        };
        let (src, dst) = packet.get_mut(addresses..addresses + 2 * len)?.split_at_mut(len);
        src.swap_with_slice(dst);
        let (header, _) =
            icmp::Header::mut_from_prefix(packet.get_mut(family.header_len()..)?).ok()?;
        header.kind = Kind::EchoReply.number(family);
        let [old, new] = [Kind::EchoRequest, Kind::EchoReply]
            .map(|kind| u16::from_be_bytes([kind.number(family), 0]));
        header.checksum.set(checksum::update(header.checksum.get(), old, new));
        Some(link + received.len)
    }

    /// The client's answer to a SYN (RFC 9293 §3.10.7).
    #[inline]
    fn tcp(&self, family: Family, received: Probe, room: &mut [u8]) -> Option<usize> {
        let link = ethernet_len();
        let (syn, _) =
            tcp::Header::read_from_prefix(room.get(link + family.header_len()..)?).ok()?;
        let (from, to) = (received.dst, received.src);
        let rest = self.headers(family, from, to, protocol::TCP, tcp::HEADER_LEN, room)?;
        let (header, _) = tcp::Header::mut_from_prefix(rest).ok()?;
        let open = self.tcp_port == TcpPort::Open;
        *header = tcp::Header {
            src_port: syn.dst_port,
            dst_port: syn.src_port,
            // A host would choose at random; nobody here looks at it.
            sequence: if open { syn.sequence.get().rotate_left(16) } else { 0 }.into(),
            acknowledgement: syn.sequence.get().wrapping_add(1).into(),
            data_offset: tcp::NO_OPTIONS,
            flags: tcp::flag::ACK | if open { tcp::flag::SYN } else { tcp::flag::RST },
            window: if open { u16::MAX } else { 0 }.into(),
            checksum: 0.into(),
            urgent: 0.into(),
        };
        let length = u16::try_from(tcp::HEADER_LEN).ok()?;
        let sum = pseudo_header(from, to, protocol::TCP, length).bytes(header.as_bytes());
        header.checksum.set(sum.checksum());
        Some(link + family.header_len() + tcp::HEADER_LEN)
    }
}

const fn ethernet_len() -> usize {
    size_of::<ethernet::Header>()
}

const fn extension_len() -> usize {
    // The structure's header, the object's, and one label stack entry.
    4 + 4 + MPLS.payload.len()
}

/// Sets the TTL of a quoted packet to 1, as the last router received it, and mends IPv4's checksum.
#[inline]
fn used_up(family: Family, packet: &mut [u8]) -> Option<()> {
    match family {
        Family::V4 => {
            let (header, _) = otherhalf_wire::ipv4::Header::mut_from_prefix(packet).ok()?;
            let [old, new] = [header.ttl, 1].map(|ttl| u16::from_be_bytes([ttl, header.protocol]));
            header.ttl = 1;
            header.checksum.set(checksum::update(header.checksum.get(), old, new));
            debug_assert!(Sum::ZERO.bytes(header.as_bytes()).verifies());
        }
        Family::V6 => {
            otherhalf_wire::ipv6::Header::mut_from_prefix(packet).ok()?.0.hop_limit = 1;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses;
    use crate::plan::Plan;
    use crate::scenario::Scenario;
    use otherhalf_wire::ip::Packet;
    use otherhalf_wire::probe::{Cookie, Identity};
    use otherhalf_wire::quote::Quote;
    use std::path::Path;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const RESPONDER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn parse(family: Family, bytes: &[u8]) -> Packet<'_> {
        match family {
            Family::V4 => Packet::parse_v4(bytes),
            Family::V6 => Packet::parse_v6(bytes),
        }
        .unwrap()
    }

    /// A probe as a responder sends it; returns its frame and what the answer will need.
    fn sent(wanted: &Transaction, room: &mut [u8]) -> (Probe, probe::Probe) {
        let (src, dst) =
            (addresses::responder(wanted.family), addresses::client(wanted.family, wanted.client));
        let whole = probe::Probe {
            protocol: wanted.protocol,
            source_port: probe::SOURCE_PORT,
            flow: wanted.flow,
            identifier: wanted.identifier,
            cookie: Cookie(0x0123_4567_89ab_cdef),
        };
        let fields = Fields {
            src,
            dst,
            ttl: wanted.ttl,
            traffic_class: 0,
            flow_label: 0,
            identification: Some(7),
            protocol: wanted.protocol.number(wanted.family),
        };
        let ethertype = if wanted.family == Family::V4 { ethertype::IPV4 } else { ethertype::IPV6 };
        let rest = Link { dst: OWN, src: RESPONDER, vlan: None, ethertype }.emit(room).unwrap();
        let rest = fields.emit(wanted.protocol.probe_len(), rest).unwrap();
        let len = whole.emit(src, dst, rest).unwrap() + wanted.family.header_len();
        (Probe { src, dst, len }, whole)
    }

    #[test]
    fn every_answer_names_its_probe_and_is_sealed() {
        for quote in [Quoted::Least, Quoted::Whole, Quoted::Extended] {
            for tcp_port in [TcpPort::Closed, TcpPort::Open] {
                let router = Router { own: OWN, responder: RESPONDER, quote, tcp_port };
                let text =
                    "about = \"x\"\nfamily = \"mixed\"\nclients = 64\nttl = [1, 4]\ntarget_at = 3";
                let plan = Plan::new(&Scenario::parse(Path::new("x"), text).unwrap());
                for number in (64..100_000u64).step_by(17) {
                    let wanted = plan.transaction(number).unwrap();
                    let mut room = [0xaa; 256];
                    let (received, whole) = sent(&wanted, &mut room);
                    let len = router.answer(&wanted, received, &mut room).unwrap();
                    check(&wanted, &whole, quote, tcp_port, &room[..len]);
                }
            }
        }
    }

    fn check(
        wanted: &Transaction,
        whole: &probe::Probe,
        quote: Quoted,
        tcp_port: TcpPort,
        frame: &[u8],
    ) {
        let family = wanted.family;
        let (link, payload) = Link::parse(frame).unwrap();
        assert_eq!((link.dst, link.src), (RESPONDER, OWN));
        let packet = parse(family, payload);
        assert_eq!((packet.src, packet.dst), (wanted.hop, addresses::responder(family)));
        assert!(packet.upper_layer_sum().verifies(), "{wanted:?}");
        let identity = if packet.protocol == protocol::TCP {
            assert!(wanted.reached);
            let (header, _) = tcp::Header::ref_from_prefix(packet.payload).unwrap();
            let flag = if tcp_port == TcpPort::Open { tcp::flag::SYN } else { tcp::flag::RST };
            assert_ne!(header.flags & flag, 0);
            Identity::from_tcp_answer(header).unwrap()
        } else {
            let message = icmp::Message::parse(family, packet.payload).unwrap();
            match message.kind {
                Kind::EchoReply => {
                    assert!(wanted.reached);
                    Identity::from_echo_reply(family, message.header).unwrap()
                }
                kind => {
                    assert_eq!(kind == Kind::TimeExceeded, !wanted.reached);
                    let quoted = Quote::parse(family, message.body).unwrap();
                    assert_eq!(quoted.dst, addresses::client(family, wanted.client));
                    assert_eq!(quoted.ttl, 1);
                    let probe_len = wanted.protocol.probe_len();
                    let expected = match quote {
                        Quoted::Least => 8,
                        Quoted::Whole | Quoted::Extended => probe_len,
                    };
                    assert_eq!(quoted.transport.len(), expected);
                    if quote == Quoted::Extended {
                        let objects = extension::Objects::parse(&message.body[PADDED..]).unwrap();
                        assert_eq!(objects.collect::<Vec<_>>(), [Ok(MPLS)]);
                    }
                    Identity::from_quote(family, quoted.protocol, quoted.transport).unwrap()
                }
            }
        };
        assert_eq!(identity, Identity { sequence: identity.sequence, ..Identity::of(whole) });
    }
}
