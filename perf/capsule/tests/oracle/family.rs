//! capsule's packet types of both families under one name each.

use std::net::IpAddr;

use capsule::Mbuf;
use capsule::packets::icmp::{v4, v6};
use capsule::packets::ip::v4::Ipv4;
use capsule::packets::ip::v6::Ipv6;
use capsule::packets::ip::{IpPacket, ProtocolNumber, ProtocolNumbers};
use capsule::packets::{EtherTypes, Ethernet, Packet, Tcp, Udp};
use otherhalf_capsule::octets::octets_mut;

use crate::bench::{Ends, our_mac, peer_mac};

/// What an IP header says, by capsule's accessors.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ip {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) protocol: ProtocolNumber,
    pub(crate) dscp: u8,
    pub(crate) ecn: u8,
    /// Octets behind the header.
    pub(crate) payload: usize,
    pub(crate) rest: Rest,
}

/// What one of the families has alone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    V4 { dont_fragment: bool, identification: u16 },
    V6 { flow_label: u32 },
}

/// An echo message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) code: u8,
    pub(crate) checksum: u16,
    pub(crate) identifier: u16,
    pub(crate) sequence: u16,
    pub(crate) data: Vec<u8>,
}

/// What is marked in a request, and must be found in its probe.
pub(crate) const DSCP: u8 = 0x12;
pub(crate) const FLOW_LABEL: u32 = 0xabcde;

/// A family.
pub(crate) trait Family {
    type Packet: IpPacket + Packet<Envelope = Ethernet>;
    const ICMP: ProtocolNumber;

    /// An IP header without payload, from `src` to `dst`.
    fn header(src: IpAddr, dst: IpAddr) -> Self::Packet;
    /// Reads the header, and checks what capsule can recompute.
    fn ip(packet: &mut Self::Packet) -> Ip;
    fn echo_request(packet: Self::Packet) -> Echo;
    fn echo_reply(packet: Self::Packet) -> Echo;
    /// Frames: an echo request of `code`.
    fn request(ends: Ends, code: u8, identifier: u16, data: &[u8]) -> Mbuf;
    /// Frames: the answer to the echo request `probe`.
    fn reply(ends: Ends, probe: &Echo) -> Mbuf;
    /// Frames: a time exceeded of `ends.hop` that quotes `quote`.
    fn exceeded(ends: Ends, quote: &[u8]) -> Mbuf;
}

pub(crate) struct V4;
pub(crate) struct V6;

/// A frame from our neighbour without payload.
pub(crate) fn ethernet() -> Ethernet {
    let mut ethernet = Mbuf::new().unwrap().push::<Ethernet>().unwrap();
    ethernet.set_src(peer_mac());
    ethernet.set_dst(our_mac());
    ethernet
}

/// What is behind the Ethernet header of `mbuf`.
pub(crate) fn packet_octets(mbuf: &mut Mbuf) -> Vec<u8> {
    octets_mut(mbuf)[14..].to_vec()
}

/// The IP packet in a frame that we sent to our neighbour.
pub(crate) fn open<F: Family>(mbuf: Mbuf) -> (Ip, F::Packet) {
    let ethernet = mbuf.parse::<Ethernet>().unwrap();
    assert_eq!((ethernet.src(), ethernet.dst()), (our_mac(), peer_mac()));
    assert!(!ethernet.is_dot1q() && !ethernet.is_qinq());
    let mut packet = ethernet.parse::<F::Packet>().unwrap();
    let ip = F::ip(&mut packet);
    (ip, packet)
}

/// Frames: what `packet` is in, made consistent and of the length that its headers say.
pub(crate) fn finish(mut packet: impl Packet) -> Mbuf {
    packet.reconcile_all();
    packet.reset()
}

/// The checksum that we sent, and the one that capsule computes over the octets that we sent.
pub(crate) fn checksums<T: Packet>(packet: &mut T, checksum: impl Fn(&T) -> u16) -> [u16; 2] {
    let ours = checksum(packet);
    packet.reconcile_all();
    [ours, checksum(packet)]
}

#[track_caller]
pub(crate) fn assert_reconciled<T: Packet>(packet: &mut T, checksum: impl Fn(&T) -> u16) {
    let [ours, theirs] = checksums(packet, checksum);
    assert_eq!(ours, theirs, "the checksum that capsule computes");
}

pub(crate) fn udp<F: Family>(packet: F::Packet) -> Udp<F::Packet> {
    let mut udp = packet.parse::<Udp<F::Packet>>().unwrap();
    assert_reconciled(&mut udp, Udp::checksum);
    udp
}

pub(crate) fn tcp<F: Family>(packet: F::Packet) -> Tcp<F::Packet> {
    let mut tcp = packet.parse::<Tcp<F::Packet>>().unwrap();
    assert_reconciled(&mut tcp, Tcp::checksum);
    tcp
}

/// The names are alike, the types are not.
macro_rules! messages {
    ($of:ident, $request:ty, $reply:ty, $exceeded:ty) => {
        fn echo_request(packet: Self::Packet) -> Echo {
            use $of::*;
            let mut echo = packet.parse::<$request>().unwrap();
            assert_reconciled(&mut echo, |echo| echo.checksum());
            Echo {
                code: echo.code(),
                checksum: echo.checksum(),
                identifier: echo.identifier(),
                sequence: echo.seq_no(),
                data: echo.data().to_vec(),
            }
        }

        fn echo_reply(packet: Self::Packet) -> Echo {
            use $of::*;
            let mut echo = packet.parse::<$reply>().unwrap();
            assert_reconciled(&mut echo, |echo| echo.checksum());
            Echo {
                code: echo.code(),
                checksum: echo.checksum(),
                identifier: echo.identifier(),
                sequence: echo.seq_no(),
                data: echo.data().to_vec(),
            }
        }

        fn request(ends: Ends, code: u8, identifier: u16, data: &[u8]) -> Mbuf {
            use $of::*;
            let mut echo = Self::header(ends.client, ends.own).push::<$request>().unwrap();
            echo.set_code(code);
            echo.set_identifier(identifier);
            echo.set_data(data).unwrap();
            finish(echo)
        }

        fn reply(ends: Ends, probe: &Echo) -> Mbuf {
            let mut echo = Self::header(ends.client, ends.own).push::<$reply>().unwrap();
            echo.set_identifier(probe.identifier);
            echo.set_seq_no(probe.sequence);
            echo.set_data(&probe.data).unwrap();
            finish(echo)
        }

        fn exceeded(ends: Ends, quote: &[u8]) -> Mbuf {
            let mut message = Self::header(ends.hop, ends.own).push::<$exceeded>().unwrap();
            // capsule reads a quote, but has no way to set one.
            let mbuf = message.mbuf_mut();
            let end = mbuf.data_len();
            mbuf.extend(end, quote.len()).unwrap();
            mbuf.write_data_slice(end, quote).unwrap();
            finish(message)
        }
    };
}

impl Family for V4 {
    type Packet = Ipv4;
    const ICMP: ProtocolNumber = ProtocolNumbers::Icmpv4;

    fn header(src: IpAddr, dst: IpAddr) -> Ipv4 {
        let mut packet = ethernet().push::<Ipv4>().unwrap();
        packet.set_dscp(DSCP);
        IpPacket::set_src(&mut packet, src).unwrap();
        IpPacket::set_dst(&mut packet, dst).unwrap();
        packet
    }

    fn ip(packet: &mut Ipv4) -> Ip {
        assert_reconciled(packet, Ipv4::checksum);
        assert_eq!(packet.envelope().ether_type(), EtherTypes::Ipv4);
        assert_eq!((packet.version(), packet.ihl()), (4, 5), "capsule knows no options");
        assert_eq!((packet.more_fragments(), packet.fragment_offset()), (false, 0));
        let length = usize::from(packet.total_length());
        assert_eq!(length, packet.len(), "nothing behind the packet");
        Ip {
            src: packet.src().into(),
            dst: packet.dst().into(),
            ttl: packet.ttl(),
            protocol: packet.protocol(),
            dscp: packet.dscp(),
            ecn: packet.ecn(),
            payload: length - packet.header_len(),
            rest: Rest::V4 {
                dont_fragment: packet.dont_fragment(),
                identification: packet.identification(),
            },
        }
    }

    messages!(v4, v4::EchoRequest, v4::EchoReply, v4::TimeExceeded);
}

impl Family for V6 {
    type Packet = Ipv6;
    const ICMP: ProtocolNumber = ProtocolNumbers::Icmpv6;

    fn header(src: IpAddr, dst: IpAddr) -> Ipv6 {
        let mut packet = ethernet().push::<Ipv6>().unwrap();
        packet.set_dscp(DSCP);
        packet.set_flow_label(FLOW_LABEL);
        packet.set_hop_limit(61);
        IpPacket::set_src(&mut packet, src).unwrap();
        IpPacket::set_dst(&mut packet, dst).unwrap();
        packet
    }

    fn ip(packet: &mut Ipv6) -> Ip {
        assert_eq!(packet.envelope().ether_type(), EtherTypes::Ipv6);
        assert_eq!(packet.version(), 6);
        let payload = usize::from(packet.payload_length());
        assert_eq!(payload, packet.payload_len(), "nothing behind the packet");
        Ip {
            src: packet.src().into(),
            dst: packet.dst().into(),
            ttl: packet.hop_limit(),
            protocol: IpPacket::next_protocol(packet),
            dscp: packet.dscp(),
            ecn: packet.ecn(),
            payload,
            rest: Rest::V6 { flow_label: packet.flow_label() },
        }
    }

    messages!(v6, v6::EchoRequest<Ipv6>, v6::EchoReply<Ipv6>, v6::TimeExceeded<Ipv6>);
}
