//! A responder on a small network, and the frames that reach it.
//!
//! ```text
//!   client ── … ── router (MAC 1) ── port 0 ─┐
//!                  router (MAC 2) ── port 0, VLAN 100 ─┤ responder
//!                  router (MAC 3) ── port 1 ─┘
//! ```
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use otherhalf_engine::frame::LEAST_ROOM;
use otherhalf_engine::{
    Clock, Counters, Engine, Fate, Frame, Interface, InterfaceId, Neighbours, Network, NextHop,
    Outcome, Policy, PortId, StaticRoute, Verdict, View, Vouched,
};
use otherhalf_pending::{Settings, Table};
use otherhalf_policy::limiter::{Limiter, Moment};
use otherhalf_wire::arp::{Arp, Operation};
use otherhalf_wire::ethernet::{Link, Mac, VlanId, ethertype};
use otherhalf_wire::extension::{self, Object};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Family, Fields, Packet, protocol, pseudo_header};
use otherhalf_wire::ndp;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{Request, Response};
use otherhalf_wire::{tcp, trace};
use zerocopy::{FromBytes, IntoBytes};

/// A tick is a nanosecond.
pub(crate) const SECOND: u64 = 1_000_000_000;
/// How long a probe waits for its answer.
pub(crate) const TIMEOUT: u64 = 10 * SECOND;
pub(crate) const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// The hardware address of port `n`.
pub(crate) const fn port_mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 1, n])
}

/// The hardware address of router `n`: 1 to 3, as drawn above.
pub(crate) const fn router_mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 2, n])
}

pub(crate) fn vlan(id: u16) -> Option<VlanId> {
    VlanId::new(id)
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Who takes part in an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) own: IpAddr,
    pub(crate) client: IpAddr,
    /// A router between them.
    pub(crate) hop: IpAddr,
}

pub(crate) fn ends(family: Family) -> Ends {
    let [own, client, hop] = match family {
        Family::V4 => ["192.0.2.2", "10.1.0.9", "10.99.0.1"],
        Family::V6 => ["2001:db8::2", "2001:db8:f1::9", "2001:db8:f99::1"],
    }
    .map(address);
    Ends { own, client, hop }
}

pub(crate) fn interfaces() -> Vec<Interface> {
    let interface = |port: u8, vlan, addresses: [&str; 2]| Interface {
        port: PortId(port.into()),
        vlan,
        mac: port_mac(port),
        addresses: addresses.map(|text| text.parse().unwrap()).to_vec(),
    };
    vec![
        interface(0, None, ["192.0.2.2/24", "2001:db8::2/64"]),
        interface(0, vlan(100), ["198.51.100.2/24", "2001:db8:1::2/64"]),
        interface(1, None, ["203.0.113.2/24", "2001:db8:2::2/64"]),
    ]
}

pub(crate) fn route(to: &str, via: &str) -> StaticRoute {
    StaticRoute { to: to.parse().unwrap(), via: address(via), interface: None }
}

/// The network as drawn above.
pub(crate) fn network() -> Network {
    let routes = [
        route("0.0.0.0/0", "192.0.2.1"),
        route("10.2.0.0/16", "198.51.100.1"),
        route("10.3.0.0/16", "203.0.113.1"),
        route("::/0", "2001:db8::1"),
        route("2001:db8:f2::/48", "2001:db8:1::1"),
        route("2001:db8:f3::/48", "2001:db8:2::1"),
    ];
    Network::new(interfaces(), &routes).unwrap()
}

pub(crate) fn neighbour(interface: u16, text: &str) -> NextHop {
    NextHop { interface: InterfaceId(interface), address: address(text) }
}

/// Addresses of the kernel on port 0, where it has some of its own.
pub(crate) const KERNEL: [&str; 2] = ["192.0.2.3", "2001:db8::3"];

/// The three routers.
pub(crate) fn neighbours() -> Neighbours {
    Neighbours::new([
        (neighbour(0, "192.0.2.1"), router_mac(1)),
        (neighbour(0, "2001:db8::1"), router_mac(1)),
        (neighbour(1, "198.51.100.1"), router_mac(2)),
        (neighbour(1, "2001:db8:1::1"), router_mac(2)),
        (neighbour(2, "203.0.113.1"), router_mac(3)),
        (neighbour(2, "2001:db8:2::1"), router_mac(3)),
    ])
}

/// A pending table whose secret is no secret, so that tests can be repeated.
pub(crate) fn table(entries: usize) -> Arc<Table> {
    let secret = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
    Arc::new(Table::new(Settings { entries, timeout_ticks: TIMEOUT, secret }).unwrap())
}

/// Where rates are counted, full when a [`Responder`]'s clock begins.
pub(crate) fn limiter() -> Arc<Limiter> {
    Arc::new(Limiter::new(1024, Moment::at_ns(BEGINNING)))
}

pub(crate) fn engine(entries: usize) -> Engine {
    Engine::new(table(entries), Clock::new(SECOND).unwrap())
}

/// What the clock of a [`Responder`] shows at first.
const BEGINNING: u64 = 77 * SECOND;

/// A responder and its clock.
pub(crate) struct Responder {
    pub(crate) engine: Engine,
    pub(crate) network: Network,
    pub(crate) neighbours: Neighbours,
    pub(crate) policy: Policy,
    pub(crate) now: u64,
    /// When the next frames were received, if not now.
    pub(crate) received: Option<u64>,
    /// What the device vouches for of the next frames.
    pub(crate) vouched: Vouched,
    pub(crate) counters: Counters,
}

/// What became of one frame.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) fate: Fate,
    /// The frame as the engine left it.
    pub(crate) frame: Vec<u8>,
}

impl Responder {
    /// With all routers known and everything allowed.
    pub(crate) fn new() -> Self {
        Self {
            engine: engine(1024),
            network: network(),
            neighbours: neighbours(),
            policy: Policy::default(),
            now: BEGINNING,
            received: None,
            vouched: Vouched::default(),
            counters: Counters::default(),
        }
    }

    /// What becomes of `frame`, which comes in by port 0.
    pub(crate) fn play(&mut self, frame: &[u8]) -> Done {
        self.play_on(0, frame)
    }

    pub(crate) fn play_on(&mut self, port: u16, frame: &[u8]) -> Done {
        self.burst(port, &[frame.to_vec()]).pop().unwrap()
    }

    /// As [`play`](Self::play), for what must be dropped: returns its name.
    pub(crate) fn dropped(&mut self, frame: &[u8]) -> Outcome {
        let done = self.play(frame);
        assert_eq!(done.fate.verdict, Verdict::Drop, "{done:?}");
        assert_eq!(done.frame, frame, "a dropped frame was written to");
        done.fate.outcome
    }

    /// What becomes of `frames`, which come in together by `port`.
    pub(crate) fn burst(&mut self, port: u16, frames: &[Vec<u8>]) -> Vec<Done> {
        let mut rooms: Vec<_> = frames
            .iter()
            .map(|frame| {
                // What lies behind a frame is never to be read as part of it.
                let mut room = vec![0xa5; (frame.len() + 64).max(LEAST_ROOM)];
                room[..frame.len()].copy_from_slice(frame);
                room
            })
            .collect();
        let mut burst: Vec<_> = rooms
            .iter_mut()
            .zip(frames)
            .map(|(room, frame)| {
                let frame =
                    Frame::new(room, frame.len(), PortId(port)).unwrap().vouched(self.vouched);
                match self.received {
                    Some(time) => frame.having_waited(self.now - time),
                    None => frame,
                }
            })
            .collect();
        let view =
            View { network: &self.network, neighbours: &self.neighbours, policy: &self.policy };
        let mut fates = vec![None; frames.len()];
        self.engine.process(&view, self.now, &mut burst, |place, fate| {
            assert!(fates[place].replace(fate).is_none(), "two fates for frame {place}");
        });
        let fates: Vec<Fate> = fates.into_iter().map(|fate| fate.expect("a fate")).collect();
        for fate in &fates {
            self.counters.count(fate.outcome);
        }
        let frames = burst.iter().map(|frame| frame.octets().to_vec());
        fates.into_iter().zip(frames).map(|(fate, frame)| Done { fate, frame }).collect()
    }

    /// The probe that `request` of the client of `family` makes us send.
    pub(crate) fn probe(&mut self, family: Family, request: Request) -> Vec<u8> {
        let done = self.play(&routed(&request_packet(ends(family), request)));
        let expected = match request.protocol {
            protocol::TCP => Outcome::ProbeTcp,
            protocol::UDP => Outcome::ProbeUdp,
            _ => Outcome::ProbeIcmp,
        };
        assert_eq!(done.fate.outcome, expected, "{request:?}");
        done.frame
    }
}

impl Done {
    /// The frame that is sent: the port it leaves by, its link layer, its packet with all checksums right.
    pub(crate) fn sent(&self) -> (PortId, Link, Packet<'_>) {
        let (Verdict::Send(port) | Verdict::SendAndReset(port, _)) = self.fate.verdict else {
            panic!("not sent: {self:?}");
        };
        let (link, packet) = read(&self.frame);
        (port, link, packet)
    }

    /// The response that is sent.
    pub(crate) fn response(&self) -> Response<'_> {
        response(&self.frame)
    }

    /// The RST that is sent besides, as a frame.
    pub(crate) fn reset(&self) -> Vec<u8> {
        let Verdict::SendAndReset(_, reset) = self.fate.verdict else {
            panic!("no RST: {self:?}");
        };
        let mut room = vec![0; LEAST_ROOM];
        let len = reset.emit(&mut room).unwrap();
        room.truncate(len);
        room
    }
}

/// Link layer and packet of a frame that we sent; everything that can be checked is.
pub(crate) fn read(frame: &[u8]) -> (Link, Packet<'_>) {
    let (link, payload) = Link::parse(frame).unwrap();
    let packet = match link.ethertype {
        ethertype::IPV4 => Packet::parse_v4(payload),
        ethertype::IPV6 => Packet::parse_v6(payload),
        other => panic!("ethertype {other:#06x}"),
    }
    .unwrap();
    assert_eq!(payload.len(), packet.header_len + packet.payload.len(), "nothing behind it");
    assert_eq!(packet.header_len, packet.family().header_len(), "no options");
    assert!(packet.upper_layer_sum().verifies(), "{packet:?}");
    (link, packet)
}

pub(crate) fn response(frame: &[u8]) -> Response<'_> {
    let (_, packet) = read(frame);
    Response::parse(&icmp::Message::parse(packet.family(), packet.payload).unwrap()).unwrap()
}

/// Frames: `packet` in a frame to port 0, from router 1.
pub(crate) fn routed(packet: &[u8]) -> Vec<u8> {
    framed(router_mac(1), port_mac(0), None, packet)
}

/// Frames: `packet` from `src` to `dst`, tagged or not.
pub(crate) fn framed(src: Mac, dst: Mac, vlan: Option<VlanId>, packet: &[u8]) -> Vec<u8> {
    let ethertype = if packet[0] >> 4 == 4 { ethertype::IPV4 } else { ethertype::IPV6 };
    link_frame(Link { dst, src, vlan, ethertype }, packet)
}

pub(crate) fn link_frame(link: Link, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; link.len()];
    let _ = link.emit(&mut frame).unwrap();
    frame.extend_from_slice(payload);
    frame
}

/// Packets: `payload` from `src` to `dst`.
pub(crate) fn ip(src: IpAddr, dst: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip_with(src, dst, 61, protocol, payload)
}

pub(crate) fn ip_with(src: IpAddr, dst: IpAddr, ttl: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let fields = Fields {
        src,
        dst,
        ttl,
        traffic_class: 0x48,
        flow_label: 0xabcde,
        identification: Some(0x1234),
        protocol,
    };
    let mut packet = vec![0; Family::of(src).header_len() + payload.len()];
    fields.emit(payload.len(), &mut packet).unwrap().copy_from_slice(payload);
    packet
}

/// Packets: a request of the client.
pub(crate) fn request_packet(ends: Ends, request: Request) -> Vec<u8> {
    request_with(ends, request, &[])
}

/// Packets: a request of the client with `trailer` behind it.
pub(crate) fn request_with(ends: Ends, request: Request, trailer: &[u8]) -> Vec<u8> {
    let Request { identifier, sequence, ttl, protocol, flow } = request;
    let [high, low] = flow.to_be_bytes();
    let body = [&[ttl, protocol, high, low], trailer].concat();
    let message = (Kind::EchoRequest, trace::CODE, [identifier, sequence]);
    icmp_packet(ends.client, ends.own, message, &body)
}

/// A request for a `protocol` probe with TTL 5.
pub(crate) fn request(family: Family, protocol: Protocol, identifier: u16, flow: u16) -> Request {
    Request { identifier, sequence: 0, ttl: 5, protocol: protocol.number(family), flow }
}

/// Packets: an ICMP message of kind, code and the two words behind the checksum.
pub(crate) fn icmp_packet(
    src: IpAddr,
    dst: IpAddr,
    (kind, code, [identifier, sequence]): (Kind, u8, [u16; 2]),
    body: &[u8],
) -> Vec<u8> {
    let family = Family::of(src);
    let header = icmp::Header {
        kind: kind.number(family),
        code,
        checksum: 0.into(),
        identifier: identifier.into(),
        sequence: sequence.into(),
    };
    let message = [header.as_bytes(), body].concat();
    ip(src, dst, family.icmp(), &sealed(src, dst, family.icmp(), message))
}

/// `payload` with the right checksum, for ICMP and TCP.
pub(crate) fn sealed(src: IpAddr, dst: IpAddr, number: u8, mut payload: Vec<u8>) -> Vec<u8> {
    let at = if number == protocol::TCP { 16 } else { 2 };
    payload[at..at + 2].fill(0);
    let length = u16::try_from(payload.len()).unwrap();
    let sum = pseudo_header(src, dst, number, length).bytes(&payload);
    payload[at..at + 2].copy_from_slice(&sum.checksum().to_be_bytes());
    payload
}

/// The IP packet in `frame`.
pub(crate) fn packet_of(frame: &[u8]) -> &[u8] {
    Link::parse(frame).unwrap().1
}

/// Packets: an ICMP error by `hop`, about `quoted`.
pub(crate) fn error_packet(hop: IpAddr, kind: Kind, code: u8, quoted: &[u8]) -> Vec<u8> {
    let own = match hop {
        IpAddr::V4(_) => <[u8; 4]>::try_from(&quoted[12..16]).unwrap().into(),
        IpAddr::V6(_) => <[u8; 16]>::try_from(&quoted[8..24]).unwrap().into(),
    };
    icmp_packet(hop, own, (kind, code, [0, 0]), quoted)
}

/// Packets: what the target answers to an ICMP probe.
pub(crate) fn echo_reply_packet(probe: &[u8]) -> Vec<u8> {
    let (_, probe) = read(probe);
    let mut message = probe.payload.to_vec();
    message[0] = Kind::EchoReply.number(probe.family());
    let message = sealed(probe.dst, probe.src, probe.protocol, message);
    ip(probe.dst, probe.src, probe.protocol, &message)
}

/// Packets: what the target answers to a TCP probe.
pub(crate) fn tcp_answer_packet(probe: &[u8], flags: u8) -> Vec<u8> {
    let (_, probe) = read(probe);
    let (syn, _) = tcp::Header::ref_from_prefix(probe.payload).unwrap();
    let answer = tcp::Header {
        src_port: syn.dst_port,
        dst_port: syn.src_port,
        sequence: 0x0f0f_0f0f.into(),
        acknowledgement: syn.sequence.get().wrapping_add(1).into(),
        data_offset: tcp::NO_OPTIONS,
        flags,
        window: 8192.into(),
        checksum: 0.into(),
        urgent: 0.into(),
    };
    tcp_packet(probe.dst, probe.src, answer)
}

pub(crate) fn tcp_packet(src: IpAddr, dst: IpAddr, header: tcp::Header) -> Vec<u8> {
    let segment = sealed(src, dst, protocol::TCP, header.as_bytes().to_vec());
    ip(src, dst, protocol::TCP, &segment)
}

/// Frames: an ARP packet from `sender_mac` to all.
pub(crate) fn arp_frame(
    operation: Operation,
    (sender_mac, sender): (Mac, Ipv4Addr),
    target: Ipv4Addr,
) -> Vec<u8> {
    let arp = Arp { operation, sender_mac, sender, target_mac: Mac::default(), target };
    let mut payload = [0; otherhalf_wire::arp::LEN];
    arp.emit(&mut payload).unwrap();
    let link = Link { dst: Mac::BROADCAST, src: sender_mac, vlan: None, ethertype: ethertype::ARP };
    link_frame(link, &payload)
}

/// Frames: a neighbour discovery message from `src_mac`.
pub(crate) fn discovery_frame(
    src_mac: Mac,
    hop_limit: u8,
    (src, dst): (Ipv6Addr, Ipv6Addr),
    message: ndp::Message,
) -> Vec<u8> {
    let mut payload = vec![0; ndp::LEN];
    let len = message.emit(src, dst, &mut payload).unwrap();
    payload.truncate(len);
    let packet = ip_with(src.into(), dst.into(), hop_limit, protocol::ICMPV6, &payload);
    let dst_mac = if dst.is_multicast() { ndp::multicast_mac(dst) } else { port_mac(0) };
    framed(src_mac, dst_mac, None, &packet)
}

/// An extension structure of `objects`.
pub(crate) fn extensions(objects: &[Object<'_>]) -> Vec<u8> {
    let mut out = vec![0; 200];
    let len = extension::emit(objects, &mut out).unwrap();
    out.truncate(len);
    out
}

/// The octets of frame `n` of a captured file, with the file's name.
pub(crate) fn vectors() -> Vec<(String, Vec<Vec<u8>>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("crates/wire/tests/vectors"))
        .find(|folder| folder.is_dir())
        .unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "pcap") {
            continue;
        }
        let file = std::fs::File::open(&path).unwrap();
        let mut reader = pcap_file::pcap::PcapReader::new(file).unwrap();
        let mut frames = Vec::new();
        while let Some(packet) = reader.next_packet() {
            frames.push(packet.unwrap().data.into_owned());
        }
        files.push((path.file_stem().unwrap().to_str().unwrap().to_owned(), frames));
    }
    files.sort();
    files
}

/// A router's time exceeded about `probe`, of which it quotes `quoted` octets behind the IP header.
pub(crate) fn time_exceeded(family: Family, probe: &[u8], quoted: usize) -> Vec<u8> {
    let packet = packet_of(probe);
    let quote = &packet[..(family.header_len() + quoted).min(packet.len())];
    routed(&error_packet(ends(family).hop, Kind::TimeExceeded, 0, quote))
}

/// Calls `check` for every protocol over every family, each with a responder of its own.
pub(crate) fn for_each(mut check: impl FnMut(&mut Responder, Family, Protocol)) {
    for family in FAMILIES {
        for protocol in Protocol::ALL {
            check(&mut Responder::new(), family, protocol);
        }
    }
}

/// A router's time exceeded that quotes `quote` as it is.
pub(crate) fn about(family: Family, quote: &[u8]) -> Vec<u8> {
    let Ends { own, hop, .. } = ends(family);
    routed(&icmp_packet(hop, own, (Kind::TimeExceeded, 0, [0, 0]), quote))
}
