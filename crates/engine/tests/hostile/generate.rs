//! Frames: real ones of every kind, so that what is then done to them gets deep.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use otherhalf_wire::arp::Operation;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::extension::{self, Class, Object};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::{Family, protocol, to_mapped};
use otherhalf_wire::ndp::{self, Message};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::tcp::flag::{ACK, RST, SYN};
use otherhalf_wire::trace::Request;
use otherhalf_wire::{tcp, udp};
use zerocopy::IntoBytes;

use crate::common::{
    Ends, KERNEL, arp_frame, discovery_frame, echo_reply_packet, error_packet, framed, icmp_packet,
    ip, link_frame, packet_of, port_mac, read, request_with, router_mac, tcp_answer_packet,
    tcp_packet, vectors, vlan,
};
use crate::random::Random;

/// The longest frame thrown: a full one with a tag.
pub(crate) const LONGEST: usize = 1518;
/// Probes remembered, to be answered.
const MEMORY: usize = 256;

/// The last of each is the kernel's where it has one of its own, and nobody's elsewhere.
const OWN: [[&str; 4]; 2] = [
    ["192.0.2.2", "198.51.100.2", "10.0.3.2", KERNEL[0]],
    ["2001:db8::2", "2001:db8:1::2", "fd00:3::2", KERNEL[1]],
];
/// Behind each router, on a link, behind a router that nobody knows, beyond all routes.
const CLIENTS: [[&str; 5]; 2] = [
    ["10.1.0.9", "10.2.0.9", "10.3.0.9", "192.0.2.77", "10.4.0.9"],
    ["2001:db8:f1::9", "2001:db8:f2::9", "2001:db8:f3::9", "2001:db8::77", "fe80::9"],
];

/// A port and VLAN that frames come in by.
pub(crate) const INTERFACES: [(u16, Option<u16>); 3] = [(0, None), (0, Some(100)), (1, None)];

static CAPTURED: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| vectors().into_iter().flat_map(|(_, frames)| frames).collect());

pub(crate) struct Generator {
    own: [Vec<IpAddr>; 2],
    clients: [Vec<IpAddr>; 2],
    captured: &'static [Vec<u8>],
    probes: VecDeque<Vec<u8>>,
}

impl Generator {
    pub(crate) fn new() -> Self {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Self {
            own: OWN.map(|texts| parse(&texts)),
            clients: CLIENTS.map(|texts| parse(&texts)),
            captured: &CAPTURED,
            probes: VecDeque::with_capacity(MEMORY),
        }
    }

    /// A probe was sent in `frame`: it will be answered.
    pub(crate) fn remember(&mut self, frame: &[u8]) {
        if self.probes.len() == MEMORY {
            self.probes.pop_front();
        }
        self.probes.push_back(frame.to_vec());
    }

    /// A frame, and the port that it comes in by.
    pub(crate) fn frame(&self, random: &mut Random) -> (u16, Vec<u8>) {
        let (port, id) = random.pick(&INTERFACES);
        let port_octet = u8::try_from(port).unwrap();
        let packet = match random.below(16) {
            0 => return (port, noise(random)),
            1 => return (port, addressed_noise(random, port_octet)),
            2 => return (port, self.captured(random, port_octet)),
            3 => return (port, arp(random)),
            4 => return (port, discovery(random)),
            5 => self.ping(random),
            6 => self.to_a_closed_port(random),
            7..=9 => self.request(random),
            _ => self.answer(random).unwrap_or_else(|| self.request(random)),
        };
        let router = router_mac(random.octet() % 3 + 1);
        (port, framed(router, port_mac(port_octet), id.and_then(vlan), &packet))
    }

    fn ends(&self, random: &mut Random) -> Ends {
        let family = random.below(2);
        Ends {
            own: random.pick(&self.own[family]),
            client: random.pick(&self.clients[family]),
            hop: random.pick(&self.clients[family]),
        }
    }

    fn request(&self, random: &mut Random) -> Vec<u8> {
        let ends = self.ends(random);
        let family = Family::of(ends.own);
        let protocol = random.pick(&Protocol::ALL).number(family);
        let request = Request {
            identifier: if random.one_in(2) { random.short() } else { random.short() & 7 },
            sequence: 0,
            ttl: random.octet() & 15,
            protocol: if random.one_in(16) { random.octet() } else { protocol },
            flow: if random.one_in(4) { random.short() } else { random.pick(&[0, 53, 4321]) },
        };
        let trailer = match random.below(16) {
            0 => trailer(random),
            1 => self.detour(random),
            _ => Vec::new(),
        };
        request_with(ends, request, &trailer)
    }

    /// An indirect target, mostly one that there is.
    fn detour(&self, random: &mut Random) -> Vec<u8> {
        let Ends { own, client, hop } = self.ends(random);
        let target = random.pick(&[client, hop, own, client, hop]);
        let payload = to_mapped(target).octets();
        let mut out = vec![0; 64];
        let object = Object { class: Class::INDIRECT_TARGET, payload: &payload };
        let len = extension::emit(&[object], &mut out).unwrap();
        out.truncate(len);
        out
    }

    fn ping(&self, random: &mut Random) -> Vec<u8> {
        let Ends { own, client, .. } = self.ends(random);
        let len = if random.one_in(16) { random.below(1440) } else { random.below(80) };
        let message = (Kind::EchoRequest, 0, [random.short(), random.short()]);
        icmp_packet(client, own, message, &random.octets(len))
    }

    /// A datagram or a segment that no probe called for.
    fn to_a_closed_port(&self, random: &mut Random) -> Vec<u8> {
        let Ends { own, client, .. } = self.ends(random);
        let (src_port, dst_port) = (random.short().into(), random.short().into());
        if random.one_in(2) {
            let header = udp::Header { src_port, dst_port, length: 8.into(), checksum: 0.into() };
            return ip(client, own, protocol::UDP, header.as_bytes());
        }
        let header = tcp::Header {
            src_port,
            dst_port,
            sequence: 5.into(),
            acknowledgement: 6.into(),
            data_offset: tcp::NO_OPTIONS,
            flags: random.octet(),
            window: 0.into(),
            checksum: 0.into(),
            urgent: 0.into(),
        };
        tcp_packet(client, own, header)
    }

    /// An answer to a probe that was sent, if one was.
    fn answer(&self, random: &mut Random) -> Option<Vec<u8>> {
        if self.probes.is_empty() {
            return None;
        }
        let probe = &self.probes[random.below(self.probes.len())];
        let (_, packet) = read(probe);
        let family = packet.family();
        if random.one_in(2) {
            match packet.protocol {
                protocol::TCP => {
                    let flags = random.pick(&[RST | ACK, SYN | ACK, RST, ACK]);
                    return Some(tcp_answer_packet(probe, flags));
                }
                protocol::UDP => {}
                _ => return Some(echo_reply_packet(probe)),
            }
        }
        let mut quote = packet_of(probe).to_vec();
        if random.one_in(2) {
            quote.truncate(family.header_len() + 8);
        }
        if random.one_in(8) {
            quote.resize(128, 0);
            quote.extend([0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 0x41, 1]);
        }
        let hop = random.pick(&self.clients[usize::from(family == Family::V6)]);
        let (kind, code) = if random.one_in(3) {
            (Kind::DestinationUnreachable, random.octet())
        } else {
            (Kind::TimeExceeded, random.octet() & random.octet() & 1)
        };
        Some(error_packet(hop, kind, code, &quote))
    }

    /// A captured frame, for us.
    fn captured(&self, random: &mut Random, port: u8) -> Vec<u8> {
        let mut frame = self.captured[random.below(self.captured.len())].clone();
        frame[..6].copy_from_slice(&port_mac(port).0);
        frame
    }
}

/// A request's extensions, or padding.
fn trailer(random: &mut Random) -> Vec<u8> {
    let len = random.below(40);
    if random.one_in(3) {
        return random.octets(len);
    }
    let payload = random.octets(16);
    let classes = [Class::PADDING, Class::INDIRECT_TARGET, Class { class: 1, kind: 1 }];
    let mut out = vec![0; 128];
    let objects = [0; 2].map(|_: u8| Object { class: random.pick(&classes), payload: &payload });
    let len = extension::emit(&objects[..random.below(3)], &mut out).unwrap();
    out.truncate(len);
    out
}

fn noise(random: &mut Random) -> Vec<u8> {
    let limit = if random.one_in(8) { LONGEST } else { 128 };
    let len = random.below(limit + 1);
    random.octets(len)
}

/// Random octets behind a link layer that is for us, at times with a first octet that makes sense.
fn addressed_noise(random: &mut Random, port: u8) -> Vec<u8> {
    let types = [ethertype::IPV4, ethertype::IPV6, ethertype::ARP, ethertype::VLAN, 0x88cc];
    let link = Link {
        dst: port_mac(port),
        src: router_mac(1),
        vlan: if random.one_in(4) { vlan(100 + random.short() % 2) } else { None },
        ethertype: random.pick(&types),
    };
    let mut payload = noise(random);
    payload.truncate(1500);
    if let Some(first) = payload.first_mut()
        && random.one_in(2)
    {
        *first = if link.ethertype == ethertype::IPV6 { 0x60 } else { 0x45 };
    }
    link_frame(link, &payload)
}

/// A neighbour's hardware address, mostly a proper one.
fn mac(random: &mut Random) -> Mac {
    if random.one_in(8) { Mac::BROADCAST } else { Mac([2, 0, 0, 0, 7, random.octet()]) }
}

fn arp(random: &mut Random) -> Vec<u8> {
    let addresses = [
        Ipv4Addr::new(192, 0, 2, 2),
        Ipv4Addr::new(192, 0, 2, 77),
        Ipv4Addr::new(198, 51, 100, 2),
        Ipv4Addr::new(172, 16, 0, 1),
        Ipv4Addr::new(192, 0, 2, 255),
        Ipv4Addr::UNSPECIFIED,
    ];
    let operation = random.pick(&[Operation::Request, Operation::Reply]);
    let sender = (mac(random), random.pick(&addresses));
    arp_frame(operation, sender, random.pick(&addresses))
}

fn discovery(random: &mut Random) -> Vec<u8> {
    let own = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    let peer = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);
    let addresses = [own, peer, ndp::link_local(port_mac(0)), Ipv6Addr::UNSPECIFIED];
    let target = random.pick(&addresses[..3]);
    let given = if random.one_in(3) { None } else { Some(mac(random)) };
    let message = if random.one_in(2) {
        Message::Solicitation { target, source_mac: given }
    } else {
        let (solicited, overrides) = (random.one_in(2), random.one_in(2));
        Message::Advertisement { target, target_mac: given, solicited, overrides }
    };
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let src = random.pick(&addresses);
    let dst = random.pick(&[target, ndp::solicited_node(target), all_nodes, own]);
    let hop_limit = if random.one_in(8) { random.octet() } else { 255 };
    discovery_frame(mac(random), hop_limit, (src, dst), message)
}
