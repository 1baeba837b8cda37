//! How the input files came to be: captured packets, led to our port, and frames built by hand.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use otherhalf_wire::arp::{self, Arp, Operation};
use otherhalf_wire::checksum::Sum;
use otherhalf_wire::ethernet::{HEADER_LEN, Link, Mac, ethertype};
use otherhalf_wire::ip::{Family, Fields, Packet, protocol};
use otherhalf_wire::ipv4;
use otherhalf_wire::ipv6;
use otherhalf_wire::ndp::{self, Message};
use otherhalf_wire::probe::SOURCE_PORT;
use otherhalf_wire::tcp;
use otherhalf_wire::trace::{REQUEST_LEN, Request};
use pcap_file::pcap::PcapReader;

/// What `net_pcap0` always has.
pub(crate) const OUR_MAC: Mac = Mac([2, 0x70, 0x63, 0x61, 0x70, 0]);
/// Whom frames built by hand come from; not whom captured ones come from.
const PEER_MAC: Mac = Mac([2, 0, 0, 0, 3, 1]);
/// Who asks for us on the link.
const NEIGHBOUR_MAC: Mac = Mac([2, 0, 0, 0, 3, 77]);
pub(crate) const OUR_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 3, 2);
pub(crate) const OUR_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 3, 0, 0, 0, 0, 0, 2);
/// Far away.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 2);
/// The router.
const PEER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 3, 1);
const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 3, 0, 0, 0, 0, 0, 1);

const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;

type Bytes = Vec<u8>;

/// A captured file: what the reference received and what it sent.
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) received: Vec<Bytes>,
    pub(crate) sent: Vec<Bytes>,
}

/// The frames of a file.
pub(crate) fn read(path: &Path) -> Vec<Bytes> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = PcapReader::new(file).unwrap();
    std::iter::from_fn(|| reader.next_packet().map(|packet| packet.unwrap().data.into_owned()))
        .collect()
}

/// The captured files whose names begin with one of `prefixes`, in the order of their names.
pub(crate) fn captures(prefixes: &[&str]) -> Vec<Capture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wire/tests/vectors");
    let mut captures: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap"))
        .map(|path| {
            let (sent, received) = read(&path).into_iter().partition(|frame| {
                let source = packet(frame).src;
                source == OUR_V4 || source == OUR_V6
            });
            Capture { name: path.file_stem().unwrap().to_str().unwrap().into(), received, sent }
        })
        .filter(|capture| prefixes.iter().any(|prefix| capture.name.starts_with(prefix)))
        .collect();
    captures.sort_by(|a, b| a.name.cmp(&b.name));
    captures
}

/// The IP packet in `frame`.
pub(crate) fn packet(frame: &[u8]) -> Packet<'_> {
    let (link, payload) = Link::parse(frame).unwrap();
    match link.ethertype {
        ethertype::IPV4 => Packet::parse_v4(payload),
        ethertype::IPV6 => Packet::parse_v6(payload),
        other => panic!("ethertype {other:#06x}"),
    }
    .unwrap()
}

/// The input made of `captures`. `answer` is the program: it says what comes out for the requests
/// alone. The captured answers quote the reference's probes; here they are made to quote ours.
pub(crate) fn input(
    captures: &[Capture],
    answer: impl FnOnce(&[Bytes]) -> Vec<Bytes>,
) -> Vec<Bytes> {
    let requests: Vec<_> = captures.iter().map(|capture| to_us(&capture.received[0])).collect();
    let probes = answer(&requests);
    assert_eq!(probes.len(), requests.len(), "each request causes one frame");
    let mut frames = Vec::new();
    for ((capture, request), ours) in captures.iter().zip(requests).zip(&probes) {
        let theirs = &capture.sent[0];
        frames.push(request);
        for answer in &capture.received[1..] {
            frames.push(about(&to_us(answer), theirs, ours));
        }
    }
    frames
}

/// The frame as it would have come to our port.
fn to_us(frame: &[u8]) -> Bytes {
    let mut frame = frame.to_owned();
    frame[..6].copy_from_slice(&OUR_MAC.0);
    frame
}

/// `answer`, which is about the probe `theirs`, as it would be about the probe `ours`.
fn about(answer: &[u8], theirs: &[u8], ours: &[u8]) -> Bytes {
    let mut frame = answer.to_owned();
    let parsed = packet(answer);
    let upper = HEADER_LEN + parsed.header_len;
    let (our_ip, their_probe, our_probe) =
        (&ours[HEADER_LEN..], packet(theirs).payload, packet(ours).payload);
    let checksum = match parsed.protocol {
        protocol::TCP => {
            let sequence = |probe: &[u8]| u32::from_be_bytes(probe[4..8].try_into().unwrap());
            let acknowledgement = upper + 8..upper + 12;
            let next = u32::from_be_bytes(answer[acknowledgement.clone()].try_into().unwrap());
            assert_eq!(next, sequence(their_probe).wrapping_add(1), "it answers that probe");
            frame[acknowledgement]
                .copy_from_slice(&sequence(our_probe).wrapping_add(1).to_be_bytes());
            upper + 16
        }
        // An echo reply brings the probe's payload back.
        _ if matches!(answer[upper], 0 | 129) => {
            frame[upper + 8..].copy_from_slice(&our_probe[8..]);
            upper + 2
        }
        _ => {
            let quote = upper + 8;
            let len = frame.len() - quote;
            let hop_limit = if our_ip[0] >> 4 == 4 { 8 } else { 7 };
            let seen = frame[quote + hop_limit];
            frame[quote..].copy_from_slice(&our_ip[..len]);
            frame[quote + hop_limit] = seen;
            if hop_limit == 8 {
                seal_v4(&mut frame[quote..quote + ipv4::HEADER_LEN]);
            }
            upper + 2
        }
    };
    seal(&mut frame, checksum);
    frame
}

/// Makes the upper layer's checksum at `place` right.
fn seal(frame: &mut [u8], place: usize) {
    frame[place..place + 2].fill(0);
    let checksum = packet(frame).upper_layer_sum().checksum();
    frame[place..place + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// Makes the checksum of an IPv4 header right.
fn seal_v4(header: &mut [u8]) {
    header[10..12].fill(0);
    let checksum = Sum::ZERO.bytes(header).checksum();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// `frame` in the VLAN `id`.
pub(crate) fn tagged(frame: &[u8], id: u16) -> Bytes {
    let [high, low] = id.to_be_bytes();
    [&frame[..12], &[0x81, 0, high, low], &frame[12..]].concat()
}

fn link(dst: Mac, kind: u16, payload: &[u8]) -> Bytes {
    let mut frame = vec![0; HEADER_LEN + payload.len()];
    let link = Link { dst, src: PEER_MAC, vlan: None, ethertype: kind };
    link.emit(&mut frame).unwrap().copy_from_slice(payload);
    frame
}

/// An IP packet to us, or to whom `dst` says.
fn ip(src: IpAddr, dst: IpAddr, number: u8, ttl: u8, payload: &[u8]) -> Bytes {
    let family = Family::of(src);
    let fields = Fields {
        src,
        dst,
        ttl,
        traffic_class: 0,
        flow_label: 0,
        identification: Some(0x4711),
        protocol: number,
    };
    let mut bytes = vec![0; family.header_len() + payload.len()];
    fields.emit(payload.len(), &mut bytes).unwrap().copy_from_slice(payload);
    let (kind, dst_mac) = match dst {
        IpAddr::V4(_) => (ethertype::IPV4, OUR_MAC),
        IpAddr::V6(v6) if v6.is_multicast() => (ethertype::IPV6, ndp::multicast_mac(v6)),
        IpAddr::V6(_) => (ethertype::IPV6, OUR_MAC),
    };
    link(dst_mac, kind, &bytes)
}

fn v4(src: Ipv4Addr, number: u8, payload: &[u8]) -> Bytes {
    ip(src.into(), OUR_V4.into(), number, 64, payload)
}

/// An ICMP message to us; its checksum is put in.
fn icmp(src: Ipv4Addr, message: &[u8]) -> Bytes {
    let mut frame = v4(src, protocol::ICMP, message);
    seal(&mut frame, HEADER_LEN + ipv4::HEADER_LEN + 2);
    frame
}

/// A TCP segment to the port of our probes; its checksum is put in.
fn tcp(source_port: u16, acknowledgement: u32, flags: u8) -> Bytes {
    let mut segment = Vec::new();
    segment.extend(source_port.to_be_bytes());
    segment.extend(SOURCE_PORT.to_be_bytes());
    segment.extend(7u32.to_be_bytes());
    segment.extend(acknowledgement.to_be_bytes());
    segment.extend([tcp::NO_OPTIONS, flags, 0x20, 0, 0, 0, 0, 0]);
    let mut frame = v4(CLIENT, protocol::TCP, &segment);
    seal(&mut frame, HEADER_LEN + ipv4::HEADER_LEN + 16);
    frame
}

fn arp(operation: Operation, sender_mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Bytes {
    let (target_mac, dst) = match operation {
        Operation::Request => (Mac::default(), Mac::BROADCAST),
        Operation::Reply => (OUR_MAC, OUR_MAC),
    };
    let arp = Arp { operation, sender_mac, sender, target_mac, target };
    let mut bytes = [0; arp::LEN];
    arp.emit(&mut bytes).unwrap();
    let mut frame = link(dst, ethertype::ARP, &bytes);
    // As short frames are on a wire.
    frame.resize(60, 0);
    frame
}

fn discovery(message: Message, src: Ipv6Addr, dst: Ipv6Addr, hop_limit: u8) -> Bytes {
    let mut bytes = [0; ndp::LEN];
    let len = message.emit(src, dst, &mut bytes).unwrap();
    ip(src.into(), dst.into(), protocol::ICMPV6, hop_limit, &bytes[..len])
}

fn request(identifier: u16, number: u8) -> Request {
    Request { identifier, sequence: 0, ttl: 1, protocol: number, flow: 4321 }
}

fn ask_v4(src: Ipv4Addr, request: Request) -> Bytes {
    let mut bytes = [0; REQUEST_LEN];
    request.emit(src.into(), OUR_V4.into(), &[], &mut bytes).unwrap();
    v4(src, protocol::ICMP, &bytes)
}

/// Neighbours that ask for us and tell of themselves, as they should and as they should not.
pub(crate) fn neighbours() -> Vec<Bytes> {
    let group = ndp::solicited_node(OUR_V6);
    let solicit = |source_mac| Message::Solicitation { target: OUR_V6, source_mac };
    let advertise = |solicited, target_mac| Message::Advertisement {
        target: PEER_V6,
        target_mac,
        solicited,
        overrides: true,
    };
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let link_local = ndp::link_local(PEER_MAC);
    vec![
        arp(Operation::Request, PEER_MAC, PEER_V4, OUR_V4),
        // A check for duplicates (RFC 5227), and an announcement.
        arp(Operation::Request, PEER_MAC, Ipv4Addr::UNSPECIFIED, OUR_V4),
        arp(Operation::Request, PEER_MAC, PEER_V4, PEER_V4),
        arp(Operation::Reply, PEER_MAC, PEER_V4, OUR_V4),
        // From off the link, about others, by a group, by ourselves.
        arp(Operation::Request, PEER_MAC, CLIENT, OUR_V4),
        arp(Operation::Request, PEER_MAC, PEER_V4, Ipv4Addr::new(10, 0, 3, 9)),
        arp(Operation::Reply, Mac::BROADCAST, PEER_V4, OUR_V4),
        arp(Operation::Reply, PEER_MAC, OUR_V4, OUR_V4),
        link(OUR_MAC, ethertype::ARP, &[0, 1, 8, 0, 6, 4]),
        discovery(solicit(Some(PEER_MAC)), PEER_V6, group, 255),
        discovery(solicit(Some(PEER_MAC)), link_local, OUR_V6, 255),
        // Without its hardware address, which only a unicast solicitation may leave out.
        discovery(solicit(None), PEER_V6, OUR_V6, 255),
        discovery(solicit(None), Ipv6Addr::UNSPECIFIED, group, 255),
        discovery(advertise(true, Some(PEER_MAC)), PEER_V6, OUR_V6, 255),
        discovery(advertise(false, Some(PEER_MAC)), PEER_V6, all_nodes, 255),
        // Routed here, sent to a wrong group, for somebody else, without address, solicited by all.
        discovery(solicit(Some(PEER_MAC)), PEER_V6, group, 254),
        discovery(solicit(Some(PEER_MAC)), PEER_V6, all_nodes, 255),
        discovery(
            Message::Solicitation { target: PEER_V6, source_mac: Some(PEER_MAC) },
            PEER_V6,
            OUR_V6,
            255,
        ),
        discovery(advertise(true, None), PEER_V6, OUR_V6, 255),
        discovery(advertise(true, Some(PEER_MAC)), PEER_V6, all_nodes, 255),
    ]
}

/// Frames that nobody should send us, and what is answered all the same.
pub(crate) fn junk() -> Vec<Bytes> {
    let good = ask_v4(CLIENT, request(1, protocol::UDP));
    let changed = |place: usize, value: u8| {
        let mut frame = good.clone();
        frame[place] = value;
        seal_v4(&mut frame[HEADER_LEN..HEADER_LEN + ipv4::HEADER_LEN]);
        frame
    };
    let mut bad_header_sum = good.clone();
    bad_header_sum[HEADER_LEN + 10] ^= 1;
    let mut bad_sum = good.clone();
    bad_sum[HEADER_LEN + ipv4::HEADER_LEN + 2] ^= 1;
    // Cut behind the ICMP header, and padded as short frames are: a reader that takes its length
    // from the frame sees a request for the TTL 0.
    let mut short = changed(HEADER_LEN + 3, 28);
    seal(&mut short, HEADER_LEN + ipv4::HEADER_LEN + 2);
    short.truncate(HEADER_LEN + 28);
    short.resize(60, 0);
    let mut unknown_probe = vec![TIME_EXCEEDED, 0, 0, 0, 0, 0, 0, 0];
    unknown_probe
        .extend(&ip(OUR_V4.into(), CLIENT.into(), protocol::UDP, 1, &[0; 8])[HEADER_LEN..]);
    let mut never_sent = unknown_probe.clone();
    let udp = [SOURCE_PORT.to_be_bytes(), 4321u16.to_be_bytes(), [0, 16], [0x40, 0x99]].concat();
    never_sent[8 + ipv4::HEADER_LEN..].copy_from_slice(&udp);
    let by = |quote: &[u8]| icmp(PEER_V4, quote);
    let echo = [ECHO_REQUEST, 0, 0, 0, 0, 5, 0, 9];
    let udp = [0x27, 0x10, 0x82, 0x9a, 0, 8, 0, 0];
    let mut closed_v6 = ip(CLIENT_V6.into(), OUR_V6.into(), protocol::UDP, 64, &udp);
    seal(&mut closed_v6, HEADER_LEN + ipv6::HEADER_LEN + 6);
    vec![
        link(OUR_MAC, 0x88cc, b"LLDP"),
        link(Mac([2, 0, 0, 0, 0, 9]), ethertype::IPV4, &good[HEADER_LEN..]),
        link(Mac::BROADCAST, ethertype::IPV4, &good[HEADER_LEN..]),
        tagged(&good, 7),
        good[..HEADER_LEN + 27].to_vec(),
        good[..10].to_vec(),
        bad_header_sum,
        bad_sum,
        short,
        // Another version, a fragment, another address, sources that nothing is sent to.
        changed(HEADER_LEN, 0x65),
        changed(HEADER_LEN + 6, 0x20),
        changed(HEADER_LEN + 19, 3),
        ask_v4(Ipv4Addr::new(10, 0, 3, 255), request(2, protocol::UDP)),
        ask_v4(Ipv4Addr::new(224, 0, 0, 1), request(3, protocol::UDP)),
        ask_v4(OUR_V4, request(4, protocol::UDP)),
        v4(CLIENT, protocol::UDP, &[0x27, 0x10, 0, 53, 0, 8, 0, 0]),
        v4(CLIENT, 47, &[0; 8]),
        // A timestamp request; errors that quote nothing, another's packet, a probe never sent.
        icmp(CLIENT, &[13, 0, 0, 0, 0, 0, 0, 0]),
        by(&[TIME_EXCEEDED, 0, 0, 0, 0, 0, 0, 0, 0x45]),
        by(&unknown_probe),
        by(&never_sent),
        tcp(4321, 0, tcp::flag::SYN),
        tcp(4321, 12345, tcp::flag::RST | tcp::flag::ACK),
        tcp(4321, 12345, tcp::flag::SYN | tcp::flag::ACK),
        // Pings: empty, and one with an odd number of octets, padded on the wire.
        icmp(CLIENT, &echo),
        padded(icmp(CLIENT, &[&echo[..], b"odd"].concat())),
        // UDP can't carry the identifier 0: another one, translated back. The same twice, and
        // the same for another flow: three probes of one name must not be mixed up.
        ask_v4(CLIENT, request(0, protocol::UDP)),
        ask_v4(CLIENT, request(0, protocol::UDP)),
        ask_v4(CLIENT, Request { flow: 4322, ..request(0, protocol::UDP) }),
        ask_v4(CLIENT, request(0, protocol::TCP)),
        ask_v4(CLIENT, request(0, protocol::ICMP)),
        closed_v6,
    ]
}

fn padded(mut frame: Bytes) -> Bytes {
    frame.resize(60, 0xee);
    frame
}

/// The routers answer; a neighbour asks for us, and then asks us; one that never answers asks us;
/// and one to whom there is no route.
pub(crate) fn around_a_router() -> Vec<Bytes> {
    let neighbour = Ipv4Addr::new(10, 0, 3, 77);
    let advertisement = Message::Advertisement {
        target: PEER_V6,
        target_mac: Some(PEER_MAC),
        solicited: true,
        overrides: true,
    };
    vec![
        arp(Operation::Reply, PEER_MAC, PEER_V4, OUR_V4),
        discovery(advertisement, PEER_V6, OUR_V6, 255),
        arp(Operation::Request, NEIGHBOUR_MAC, neighbour, OUR_V4),
        icmp(neighbour, &[ECHO_REQUEST, 0, 0, 0, 0, 5, 0, 9]),
        ask_v4(Ipv4Addr::new(10, 0, 3, 99), request(1, protocol::UDP)),
        ask_v4(Ipv4Addr::new(203, 0, 113, 5), request(1, protocol::UDP)),
    ]
}
