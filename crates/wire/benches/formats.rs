//! Packet formats: what the responder reads and writes for each packet.

use std::hint::black_box;
use std::net::IpAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otherhalf_wire::checksum::Sum;
use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip::{Family, Fields, Packet};
use otherhalf_wire::probe::{Cookie, Identity, Probe, Protocol, SOURCE_PORT};
use otherhalf_wire::trace::{RESPONSE_LEN, Request, Response, Rtt, Verdict};

const ENDS: [(&str, &str, &str); 2] =
    [("v4", "192.0.2.2", "198.51.100.9"), ("v6", "2001:db8::2", "2001:db8:f::9")];

/// An IP packet with a request.
fn request(own: IpAddr, client: IpAddr) -> Vec<u8> {
    let family = Family::of(own);
    let request = Request {
        identifier: 7,
        sequence: 0,
        ttl: 5,
        protocol: Protocol::Udp.number(family),
        flow: 53,
    };
    let mut packet = vec![0; family.header_len() + 12];
    let fields = Fields {
        src: client,
        dst: own,
        ttl: 57,
        traffic_class: 0,
        flow_label: 1,
        identification: Some(1),
        protocol: family.icmp(),
    };
    let written =
        fields.emit(12, &mut packet).and_then(|payload| request.emit(client, own, &[], payload));
    assert_eq!(written, Some(12));
    packet
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Elements(1));
    for (name, own, client) in ENDS {
        let (Ok(own), Ok(client)) = (own.parse::<IpAddr>(), client.parse::<IpAddr>()) else {
            panic!("addresses")
        };
        let family = Family::of(own);
        let packet = request(own, client);
        group.bench_function(format!("read a request, {name}"), |bencher| {
            bencher.iter(|| {
                let bytes = black_box(packet.as_slice());
                let packet = match family {
                    Family::V4 => Packet::parse_v4(bytes),
                    Family::V6 => Packet::parse_v6(bytes),
                }
                .ok()?;
                let message = Message::parse(family, packet.payload).ok()?;
                packet.upper_layer_sum().verifies().then_some(())?;
                Request::parse(&message).ok().map(|(request, _)| request)
            });
        });
        for protocol in Protocol::ALL {
            let probe = Probe {
                protocol,
                source_port: SOURCE_PORT,
                flow: protocol.default_flow(),
                identifier: 7,
                cookie: Cookie(0x0123_4567_89ab_cdef),
            };
            let mut out = [0; 64];
            group.bench_function(format!("write a {protocol} probe, {name}"), |bencher| {
                bencher.iter(|| black_box(&probe).emit(own, client, &mut out));
            });
            group.bench_function(format!("know a quoted {protocol} probe, {name}"), |bencher| {
                bencher.iter(|| {
                    Identity::from_quote(family, protocol.number(family), black_box(&out))
                });
            });
        }
        let verdict = Verdict::Hop { address: client, rtt: Rtt::from_ns(1_000_000) };
        let response = Response { identifier: 7, verdict };
        let mut out = [0; RESPONSE_LEN];
        group.bench_function(format!("write a response, {name}"), |bencher| {
            bencher.iter(|| black_box(&response).emit(own, client, &mut out));
        });
    }
    let frame = [0x5a_u8; 1500];
    for len in [20, 64, 1500] {
        group.bench_function(format!("sum up {len} octets"), |bencher| {
            bencher.iter(|| frame.get(..len).map(|bytes| Sum::ZERO.bytes(black_box(bytes)).fold()));
        });
    }
    group.finish();
}

criterion_group!(format_benches, benches);
criterion_main!(format_benches);
