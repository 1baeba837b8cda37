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

fn plain(probe: Probe) -> Query {
    Query::Probe { ttl: Ttl::MIN, probe, shape: Shape::default(), instead: None }
}

fn bare(request: Request) -> Query {
    Query::Request { request, extras: Extras::default() }
}

/// What an answer that came with `ttl` tells if it quotes nothing.
fn direct(ttl: Option<u8>) -> Details {
    // Of IPv4, see `packet_v4`.
    Details { ttl, identification: ttl.map(|_| 1), ..Details::default() }
}

fn sent(codec: &Codec, query: &Query) -> Vec<u8> {
    let mut out = vec![0; MAX_LEN];
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
        return codec.decode_icmp(from, received(Family::V6), &message);
    }
    codec.decode_v4(&packet_v4(codec, from, number, &message))
}

/// The TTL of an answer as the tests have it.
fn received(family: Family) -> Option<u8> {
    (family == Family::V4).then_some(60)
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
            let packet = sent(&codec, &plain(probe));
            let least = family.header_len() + 8;
            let identity = Identity::of(&probe);
            let exceeded = error(family, Kind::TimeExceeded, 0, &packet[..least]);
            let quoted = Some(Quoted {
                source: codec.source,
                destination: codec.target,
                ttl: 1,
                traffic_class: 0,
                length: packet.len().try_into().unwrap(),
                identification: (family == Family::V4).then_some(0),
            });
            let details = Details { quoted, ..direct(received(family)) };
            let reply = Reply::TimeExceeded;
            assert_eq!(
                icmp(&codec, from, exceeded.clone()),
                Some(Answer::Probe { identity, from, reply, details: details.clone() })
            );
            let prohibited = error(family, Kind::DestinationUnreachable, 1, &packet);
            let reply = Reply::Unreachable(Unreachable { family, code: 1 });
            assert_eq!(
                icmp(&codec, from, prohibited),
                Some(Answer::Probe { identity, from, reply, details })
            );
            // Too short; a failed reassembly; another's packet.
            assert_eq!(icmp(&codec, from, exceeded[..exceeded.len() - 1].to_vec()), None);
            assert_eq!(icmp(&codec, from, error(family, Kind::TimeExceeded, 1, &packet)), None);
            let swapped = Codec { source: codec.target, target: codec.source };
            let foreign = sent(&swapped, &plain(probe));
            assert_eq!(icmp(&codec, from, error(family, Kind::TimeExceeded, 0, &foreign)), None);
        }
    }
}

#[test]
fn an_error_about_a_request_is_told_from_one_about_a_probe() {
    for family in FAMILIES {
        let codec = codec(family);
        let packet = sent(&codec, &bare(request(3, 17)));
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
        let packet = sent(&codec, &plain(probe));
        let mut reply = packet[family.header_len()..].to_vec();
        reply[0] = Kind::EchoReply.number(family);
        let identity = Identity::of(&probe);
        let from = codec.target;
        let details = direct(received(family));
        assert_eq!(
            icmp(&codec, from, reply.clone()),
            Some(Answer::Probe { identity, from, reply: Reply::Direct, details })
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
    for (flags, ours) in [(0x14, true), (0x12, true), (0x10, false), (0x04, false), (0x02, false)] {
        segment[13] = flags;
        let expected = |details| {
            ours.then_some(Answer::Probe { identity, from, reply: Reply::Direct, details })
        };
        // The segment alone does not tell the identification of its packet.
        let unnumbered = Details { identification: None, ..direct(Some(60)) };
        assert_eq!(codec.decode_tcp(from, Some(60), &segment), expected(unnumbered));
        let whole = packet_v4(&codec, from, 6, &segment);
        assert_eq!(codec.decode_v4(&whole), expected(direct(Some(60))));
        assert_eq!(codec.decode_tcp(codec.source, None, &segment), None);
    }
}

/// The last four octets of a request, and the whole of what a host that speaks ping makes of it.
fn mirrored(codec: &Codec, request: Request, code: u8) -> ([u8; 4], Vec<u8>) {
    let mut message = sent(codec, &bare(request))[codec.family().header_len()..].to_vec();
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
            let response = [Kind::EchoReply.number(family), 1, 0, 0, 0, 5, 0, 0, status, 0, 1, 2];
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
fn a_packet_is_as_long_as_asked_for_and_its_name_stays() {
    for family in FAMILIES {
        let codec = codec(family);
        let from: IpAddr = codec.target;
        for protocol in Protocol::ALL {
            let probe = probe(protocol);
            let shape = Shape { size: Some(1400), traffic_class: 0xb8, dont_fragment: true };
            let query = Query::Probe { ttl: Ttl::MIN, probe, shape, instead: None };
            let packet = sent(&codec, &query);
            assert_eq!(packet.len(), 1400);
            let Some(Answer::Probe { identity, details, .. }) =
                icmp(&codec, from, error(family, Kind::TimeExceeded, 0, &packet[..68]))
            else {
                panic!("it is about a probe");
            };
            let quoted = details.quoted.unwrap();
            assert_eq!(identity, Identity::of(&probe));
            assert_eq!((quoted.length, quoted.traffic_class), (1400, 0xb8));
            if family == Family::V4 {
                assert_eq!(packet[6] & 0x40, 0x40, "don't fragment");
            }
            let least = family.header_len() + protocol.probe_len();
            for (size, fits) in [(least, true), (least - 1, false), (0, false)] {
                let shape = Shape { size: Some(size.try_into().unwrap()), ..shape };
                let query = Query::Probe { ttl: Ttl::MIN, probe, shape, instead: None };
                assert_eq!(codec.encode(&query, &mut [0; 100]).is_some(), fits, "{size}");
            }
        }
    }
}

#[test]
fn a_packet_too_big_says_what_fits() {
    let v4 =
        [&[3, 4, 0, 0, 0, 0, 5, 120][..], &sent(&codec(Family::V4), &plain(probe(Protocol::Udp)))]
            .concat();
    let v6 =
        [&[2, 0, 0, 0, 0, 0, 5, 120][..], &sent(&codec(Family::V6), &plain(probe(Protocol::Udp)))]
            .concat();
    for (family, message) in [(Family::V4, v4), (Family::V6, v6)] {
        let codec = codec(family);
        let reply = |message: &[u8]| match icmp(&codec, codec.target, message.to_vec()) {
            Some(Answer::Probe { reply, .. }) => reply,
            other => panic!("{other:?}"),
        };
        assert_eq!(reply(&message), Reply::TooBig { mtu: Some(1400) });
        let mut old = message;
        old[6..8].fill(0);
        assert_eq!(reply(&old), Reply::TooBig { mtu: None });
    }
}

#[test]
fn extension_objects_and_labels_of_an_error() {
    for family in FAMILIES {
        let codec = codec(family);
        let mut quoted = sent(&codec, &plain(probe(Protocol::Udp)));
        quoted.resize(128, 0);
        let mut message = error(family, Kind::TimeExceeded, 0, &quoted);
        let (at, unit) = if family == Family::V4 { (5, 4) } else { (4, 8) };
        message[at] = 128 / unit;
        let mut objects = [0; 100];
        let stack = Class::MPLS_STACK;
        let interface = Class { class: 2, kind: 9 };
        let len = extension::emit(
            &[
                extension::Object { class: stack, payload: &[5, 220, 0x1b, 254] },
                extension::Object { class: interface, payload: &[1, 2, 3, 4] },
            ],
            &mut objects,
        )
        .unwrap();
        message.extend_from_slice(&objects[..len]);
        let Some(Answer::Probe { details, .. }) = icmp(&codec, codec.target, message) else {
            panic!("it is about a probe");
        };
        let labels: Vec<_> =
            details.labels().iter().map(|label| (label.label, label.ttl)).collect();
        assert_eq!(labels, [(24001, 254)]);
        let raw = Object { class: 2, kind: 9, payload: vec![1, 2, 3, 4] };
        assert_eq!(details.objects[1], raw);
    }
}

#[test]
fn extras_of_a_request_are_as_long_as_asked_for_and_read_by_a_responder() {
    for family in FAMILIES {
        let codec = codec(family);
        let request = request(3, 17);
        let bare_len = sent(&codec, &bare(request)).len();
        for indirect in [None, Some(codec.source)] {
            for padding in [0, 1, 4, 8, 9, 24, 1000] {
                let extras = Extras { traffic_class: 8, indirect, padding };
                let packet = sent(&codec, &Query::Request { request, extras });
                let added = packet.len() - bare_len - if indirect.is_some() { 24 } else { 0 };
                let least = if indirect.is_some() { 4 } else { 8 };
                let expected = if padding == 0 { 0 } else { padding.max(least) };
                assert_eq!(added, usize::from(expected));
                let body = &packet[family.header_len()..];
                let message = Message::parse(family, body).unwrap();
                let (parsed, trailer) = Request::parse(&message).unwrap();
                assert_eq!(parsed, request);
                let found: Vec<_> =
                    extensions(trailer).into_iter().flatten().map(Result::unwrap).collect();
                let targets: Vec<_> =
                    found.iter().filter_map(extension::Object::indirect_target).collect();
                assert_eq!(targets, Vec::from_iter(indirect));
                // What a host that speaks plain ping makes of it is no response, whatever it contains.
                let mut mirror = body.to_vec();
                mirror[0] = Kind::EchoReply.number(family);
                let echoed = [3, 17, 130, 154];
                assert_eq!(
                    icmp(&codec, codec.target, mirror),
                    Some(Answer::Mirrored { identifier: 5, echoed })
                );
            }
        }
    }
}

#[test]
fn the_flow_label_goes_with_the_flow() {
    let codec = codec(Family::V6);
    let packet = sent(&codec, &plain(probe(Protocol::Udp)));
    assert_eq!(ip::Packet::parse_v6(&packet).unwrap().flow_label, 33434);
}

proptest! {
    #[test]
    fn nothing_that_arrives_panics(v6: bool, bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 0..5usize) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let codec = codec(family);
        let kinds = [Kind::EchoReply, Kind::TimeExceeded, Kind::DestinationUnreachable, Kind::PacketTooBig, Kind::Other(12)];
        let mut message = vec![kinds[kind].number(family), 0];
        message.extend(&bytes);
        let _ = codec.decode_icmp(codec.target, None, &message);
        let _ = codec.decode_icmp(codec.target, None, &bytes);
        let _ = codec.decode_tcp(codec.target, None, &bytes);
        let _ = codec.decode_v4(&bytes);
    }
}
