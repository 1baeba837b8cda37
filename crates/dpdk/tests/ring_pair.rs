//! Two ports connected by rings: what one sends the other receives, queue by queue, and no mbuf is lost.

mod common;

use dpdk::{
    Burst, Mempool, MempoolConfig, Port, PortConfig, PortError, RxQueue, TxQueue, ring_port_name,
};

const QUEUES: u16 = 2;
/// What a ring of 256 holds.
const ROOM: usize = 255;

#[test]
fn what_one_side_sends_the_other_receives() {
    let eal = common::eal("ringpair", 64).init().expect("EAL starts");
    let pool = Mempool::new(&eal, &MempoolConfig { name: "pair", ..Default::default() })
        .expect("a mempool");
    assert!(matches!(eal.ring_pair("odd", 1, 100), Err(PortError::NoRing { frames: 100, .. })));
    assert!(matches!(eal.ring_pair("none", 0, 256), Err(PortError::NoQueue(_))));
    let ids = eal.ring_pair("t", QUEUES, 256).expect("a pair");
    assert!(matches!(eal.ring_pair("t", QUEUES, 256), Err(PortError::NoRing { .. })));
    assert_eq!(eal.port_by_name(&ring_port_name("t", 'a')).expect("by name"), ids[0]);
    assert_eq!(eal.port_by_name(&ring_port_name("t", 'b')).expect("by name"), ids[1]);

    let config = PortConfig { rx_queues: QUEUES, tx_queues: QUEUES, ..Default::default() };
    let open = |id| Port::configure(&eal, id, &config, std::slice::from_ref(&pool));
    let (mut a, mut b) = (open(ids[0]).expect("a"), open(ids[1]).expect("b"));
    assert_eq!((a.mac(), b.mac()), ([2, 0, 0, 0, 0, 0x0a], [2, 0, 0, 0, 0, 0x0b]));
    let (mut a_rx, mut a_tx) = a.start().expect("a starts");
    let (mut b_rx, mut b_tx) = b.start().expect("b starts");

    for queue in 0..usize::from(QUEUES) {
        one_way(&pool, queue, &mut a_tx, &mut b_rx, &mut a_rx);
        one_way(&pool, queue, &mut b_tx, &mut a_rx, &mut b_rx);
    }
    assert_eq!(pool.in_use(), 0);
}

/// Fills the ring behind `tx[queue]`, and empties it by `rx[queue]`.
fn one_way(
    pool: &Mempool,
    queue: usize,
    tx: &mut [TxQueue],
    rx: &mut [RxQueue],
    back: &mut [RxQueue],
) {
    let mut sent = 0;
    let mut burst = Burst::<32>::new();
    while burst.is_empty() {
        assert_eq!(pool.alloc_bulk(&mut burst, 32), 32);
        for mbuf in &mut burst {
            mbuf.write(&sent_at(queue, sent)).expect("it fits");
            sent += 1;
        }
        tx[queue].send(&mut burst);
    }
    sent -= burst.len();
    burst.clear();
    assert_eq!(sent, ROOM, "a ring of 256 holds one less");
    assert_eq!(back[queue].receive(&mut burst), 0, "nothing comes back");
    assert_eq!(rx[1 - queue].receive(&mut burst), 0, "queues are apart");
    let mut received = 0;
    while rx[queue].receive(&mut burst) > 0 {
        for mbuf in burst.drain() {
            assert_eq!(mbuf.data(), sent_at(queue, received));
            received += 1;
        }
    }
    assert_eq!(received, sent);
}

fn sent_at(queue: usize, number: usize) -> [u8; 16] {
    let mut frame = [0; 16];
    frame[..8].copy_from_slice(&queue.to_be_bytes());
    frame[8..].copy_from_slice(&number.to_be_bytes());
    frame
}
