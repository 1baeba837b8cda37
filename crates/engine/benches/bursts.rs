//! Whole bursts through the engine. Absolute times: to compare with C, see `perf/ab`.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{FAMILIES, Responder, SECOND, TIMEOUT, ends, error_packet, packet_of, port_mac};
use common::{request, request_packet, routed, router_mac};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use otherhalf_engine::{BURST, Frame, PortId, View};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::probe::Protocol;

/// A buffer of a driver's memory pool.
const ROOM: usize = 2048;

/// Leads `frames` through as one burst.
fn burst(responder: &mut Responder, frames: &[Vec<u8>], rooms: &mut [Vec<u8>]) {
    let mut burst: Vec<_> = rooms
        .iter_mut()
        .zip(frames)
        .filter_map(|(room, frame)| {
            room.get_mut(..frame.len())?.copy_from_slice(frame);
            Frame::new(room, frame.len(), PortId(0))
        })
        .collect();
    let view = View {
        network: &responder.network,
        neighbours: &responder.neighbours,
        policy: &responder.policy,
    };
    let counters = &mut responder.counters;
    responder
        .engine
        .process(&view, responder.now, &mut burst, |_, fate| counters.count(fate.outcome));
}

fn benches(criterion: &mut Criterion) {
    assert_eq!((port_mac(0).0[4], router_mac(1).0[4]), (1, 2));
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Elements(BURST as u64));
    for family in FAMILIES {
        let mut responder = Responder::new();
        let mut rooms = vec![vec![0; ROOM]; BURST];
        let requests: Vec<_> = (1..=u16::try_from(BURST).unwrap())
            .map(|id| routed(&request_packet(ends(family), request(family, Protocol::Udp, id, 53))))
            .collect();
        let answers: Vec<_> = requests
            .iter()
            .map(|request| {
                let probe = responder.play(request).frame;
                let quoted = packet_of(&probe)[..family.header_len() + 8].to_vec();
                routed(&error_packet(ends(family).hop, Kind::TimeExceeded, 0, &quoted))
            })
            .collect();
        group.bench_function(format!("requests, {family}"), |bencher| {
            bencher.iter(|| {
                responder.now += 2 * TIMEOUT;
                burst(&mut responder, &requests, &mut rooms);
            });
        });
        // The requests are not timed; without them there would be nothing to answer.
        let responder = std::cell::RefCell::new(responder);
        let others = std::cell::RefCell::new(vec![vec![0; ROOM]; BURST]);
        group.bench_function(format!("answers, {family}"), |bencher| {
            bencher.iter_batched(
                || {
                    let mut responder = responder.borrow_mut();
                    responder.now += SECOND;
                    burst(&mut responder, &requests, &mut others.borrow_mut());
                },
                |()| burst(&mut responder.borrow_mut(), &answers, &mut rooms),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(engine_benches, benches);
criterion_main!(engine_benches);
