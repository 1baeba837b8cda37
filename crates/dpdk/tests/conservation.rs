//! Ten million packets through `net_null` and `net_ring`, and every mbuf accounted for.

mod common;

use dpdk::{Burst, Mempool, MempoolConfig, Port, PortConfig, RxQueue, TxQueue, Vdev};

const PACKETS: u64 = 10_000_000;
const BURST: usize = 32;
/// `net_ring`'s rings hold this many.
const RING: usize = 1023;

#[test]
fn no_mbuf_is_lost_in_ten_million_packets() {
    let eal = common::eal("conserve", 128)
        .vdev(Vdev::null(0, 98))
        .vdev(Vdev::ring(0))
        .init()
        .expect("EAL starts");
    let pool = Mempool::new(&eal, &MempoolConfig { name: "conserve", ..Default::default() })
        .expect("a mempool");
    let open = |name: &str| {
        let id = eal.port_by_name(name).expect("the port exists");
        let config = PortConfig::default();
        let mut port =
            Port::configure(&eal, id, &config, std::slice::from_ref(&pool)).expect("configured");
        let (mut rx, mut tx) = port.start().expect("started");
        (port, rx.remove(0), tx.remove(0))
    };
    let (null, rx, tx) = open("net_null0");
    through_null(&pool, rx, tx);
    let stats = null.stats().expect("net_null counts");
    assert!(stats.ipackets >= PACKETS, "{stats:?}");
    drop(null);

    let (ring, rx, tx) = open("net_ring0");
    through_ring(&pool, rx, tx);
    drop(ring);

    assert_eq!((pool.in_use(), pool.available()), (0, 8191));
}

/// Receives without end, and sends what was received back; every seventh burst is dropped.
fn through_null(pool: &Mempool, mut rx: RxQueue, mut tx: TxQueue) {
    let mut burst = Burst::<BURST>::new();
    let (mut received, mut sent, mut dropped) = (0, 0, 0);
    for round in 0_u64.. {
        if received >= PACKETS {
            break;
        }
        received += rx.receive(&mut burst) as u64;
        for mbuf in &mut burst {
            assert!(mbuf.is_contiguous());
            assert_eq!(mbuf.len(), 98);
            mbuf.reset_offloads();
        }
        if round % 7 == 0 {
            dropped += burst.len() as u64;
            burst.clear();
        } else {
            sent += tx.send(&mut burst) as u64;
        }
        assert!(burst.is_empty(), "net_null takes all");
    }
    assert_eq!(received, sent + dropped);
    assert_eq!(pool.in_use(), 0);
}

/// Fills the ring until it takes part of a burst only, then empties it. The frames are
/// numbered: what comes out is what the queue said it took, in order; what it did not
/// take is still ours, in order, and is sent again or dropped in turn.
fn through_ring(pool: &Mempool, mut rx: RxQueue, mut tx: TxQueue) {
    let mut burst = Burst::<BURST>::new();
    let mut inside = Vec::with_capacity(RING);
    let (mut number, mut taken, mut tails) = (0_u64, 0, 0_usize);
    while taken < PACKETS {
        // Bursts of all sizes, so that what does not fit has all sizes, too.
        let size = 1 + (tails % BURST);
        while inside.len() < RING || burst.is_empty() {
            let first = number;
            assert_eq!(pool.alloc_bulk(&mut burst, size), size);
            for mbuf in &mut burst {
                mbuf.write(&number.to_be_bytes()).expect("8 bytes fit");
                number += 1;
            }
            let count = tx.send(&mut burst) as u64;
            taken += count;
            inside.extend(first..first + count);
            assert_eq!(burst.len() as u64, size as u64 - count);
            for (mbuf, expected) in burst.iter().zip(first + count..) {
                assert_eq!(mbuf.data(), expected.to_be_bytes());
            }
        }
        assert_eq!(inside.len(), RING);
        tails += 1;
        assert_eq!(pool.in_use() as usize, RING + burst.len());
        assert_eq!(tx.send(&mut burst), 0, "the ring is full");

        let tail: Vec<_> = burst.iter().map(|mbuf| number_of(mbuf.data())).collect();
        if tails % 2 == 0 {
            burst.clear();
        }
        let mut out = Burst::<BURST>::new();
        let mut left = inside.drain(..);
        while rx.receive(&mut out) > 0 {
            for mbuf in out.drain() {
                assert_eq!(Some(number_of(mbuf.data())), left.next());
            }
        }
        assert_eq!(left.len(), 0, "all that was taken came out");
        drop(left);

        let again = tx.send(&mut burst);
        assert_eq!(again, if tails % 2 == 0 { 0 } else { tail.len() });
        taken += again as u64;
        inside.extend(&tail[..again]);
    }
    let mut out = Burst::<BURST>::new();
    let mut last = 0;
    loop {
        let count = rx.receive(&mut out);
        if count == 0 {
            break;
        }
        last += count;
        out.clear();
    }
    assert_eq!(last, inside.len());
    assert!(tails > 1000, "only {tails} bursts were taken in part");
    assert_eq!(pool.in_use(), 0);
}

fn number_of(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame.try_into().expect("8 bytes"))
}
