//! A worker's turns allocate nothing, from receive to transmit.

use dpdk::{Eal, LcoreId, LogLevel, Memory};
use otherhalf_ab::case::{Load, Side};
use otherhalf_ab::port::{Kind, OnPort, Ports};
use otherhalf_ab::traffic::Traffic;
use otherhalf_ab::windows::Timed;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

const HZ: u64 = 2_600_000_000;
/// Both workers' tables, and a little more.
const MEMORY_MB: u32 = 192;

#[test]
fn a_turn_allocates_nothing() {
    let prefix = format!("otherhalf-ab-test-{}", std::process::id());
    let eal = Eal::builder(prefix, Memory::NoHuge { megabytes: MEMORY_MB })
        .main_lcore(LcoreId(0), [0])
        .log_level(LogLevel::Error)
        .init()
        .unwrap();
    let ports = Ports::new(&eal).unwrap();
    let pool = ports.pool();
    let sides = [
        (Load::Requests, Traffic::new(Family::V4, Protocol::Tcp)),
        (Load::Answers, Traffic::new(Family::V6, Protocol::Udp)),
    ];
    for ((load, traffic), ends) in sides.into_iter().zip(ports.ends) {
        let side = Side { kind: Kind::Worker, load, traffic };
        let mut worker = OnPort::new(side, HZ, &eal, pool.clone(), ends).unwrap();
        let mut counted = 0;
        for _ in 0..1000 {
            worker.refill().unwrap();
            let allocations = allocation_counter::measure(|| worker.run());
            counted += allocations.count_total;
        }
        // The turns by which the table comes back to a million entries are of the other kind.
        counted += allocation_counter::measure(|| worker.settle().unwrap()).count_total;
        assert_eq!(counted, 0, "{load:?} {traffic:?}");
        worker.check().unwrap();
        assert!(worker.answered() > 0.99, "{}", worker.answered());
    }
    // It does count.
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 10])));
    assert_eq!(counted.count_total, 1);
}
