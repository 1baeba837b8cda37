//! The life of a port, and what it refuses.

mod common;

use std::slice;

use dpdk::{Burst, Mempool, MempoolConfig, Port, PortConfig, PortError, Vdev};

#[test]
fn a_port_lives_as_long_as_its_queues() {
    use PortError as E;
    let eal =
        common::eal("ports", 64).vdev(Vdev::null(0, 64)).vdev(Vdev::ring(0)).init().expect("EAL");
    let config = MempoolConfig { name: "ports", buffers: 2047, ..Default::default() };
    let pool = Mempool::new(&eal, &config).expect("a mempool");
    let pools = slice::from_ref(&pool);

    assert_eq!(eal.ports().len(), 2);
    match eal.port_by_name("net_tap0") {
        Err(E::NoSuchPort { existing, .. }) => assert_eq!(existing, ["net_null0", "net_ring0"]),
        other => panic!("{other:?}"),
    }
    let null = eal.port_by_name("net_null0").expect("it exists");
    let ring = eal.port_by_name("net_ring0").expect("it exists");
    let info = eal.port_info(ring).expect("it exists");
    assert_eq!((info.driver.as_str(), info.max_rx_queues), ("net_ring", 16));

    let refused = |config: PortConfig| Port::configure(&eal, ring, &config, pools).expect_err("no");
    let many = PortConfig { rx_queues: 17, ..Default::default() };
    assert!(matches!(
        refused(many),
        E::TooFewQueues { direction: "RX", asked: 17, offered: 16, .. }
    ));
    assert!(matches!(refused(PortConfig { tx_queues: 0, ..Default::default() }), E::NoQueue(_)));
    let mtu = PortConfig { mtu: Some(1), ..Default::default() };
    assert!(matches!(refused(mtu), E::MtuOutOfRange { asked: 1, .. }));
    let no_pool = Port::configure(&eal, ring, &PortConfig::default(), &[]);
    assert!(matches!(no_pool, Err(E::NoMempool(_))));

    let made = eal.add_vdev(&Vdev::from("net_null_made,size=64")).expect("a port");
    assert_eq!(eal.port_info(made).expect("it exists").name, "net_null_made");
    let again = eal.add_vdev(&Vdev::from("net_null_made"));
    assert!(matches!(again, Err(E::NoVdev { .. })), "{again:?}");
    drop(Port::configure(&eal, made, &PortConfig::default(), pools).expect("configured"));
    assert!(!eal.ports().contains(&made), "it goes with its port");
    let unknown = eal.add_vdev(&Vdev::from("net_nothing0,size=64"));
    assert!(matches!(unknown, Err(E::NoVdev { .. })), "{unknown:?}");

    // net_null says that it can hash, so this takes the RSS way.
    let config = PortConfig {
        rx_queues: 2,
        tx_queues: 2,
        promiscuous: true,
        all_multicast: true,
        ..Default::default()
    };
    let mut port = Port::configure(&eal, null, &config, pools).expect("configured");
    assert_ne!(port.info().rss_offloads, 0);
    assert_eq!((port.name(), port.driver(), port.id()), ("net_null0", "net_null", null));
    assert!(port.mtu().expect("it has one") >= 1500);
    let again = Port::configure(&eal, null, &config, pools);
    assert!(matches!(again, Err(E::InUse(_))));

    let (mut rx, mut tx) = port.start().expect("started");
    assert_eq!((rx.len(), tx.len()), (2, 2));
    assert_eq!((rx[1].index(), rx[1].port(), tx[1].index()), (1, null, 1));
    assert!(port.link().expect("it has one").up);
    assert!(matches!(port.start(), Err(E::Started(_))));
    assert!(matches!(port.stop(), Err(E::QueuesHeld(_))));

    let mut burst = Burst::<32>::new();
    assert_eq!(rx[1].receive(&mut burst), 32);
    assert_eq!(rx[1].receive(&mut burst), 0, "the burst is full");
    assert!(burst.iter().all(|mbuf| mbuf.len() == 64 && mbuf.port() == null));
    assert_eq!(tx[1].send(&mut burst), 32);
    assert_eq!(tx[1].send(&mut burst), 0, "the burst is empty");
    let stats = port.stats().expect("net_null counts");
    assert_eq!((stats.ipackets, stats.opackets), (32, 32));

    // Stopped and started again, with new queues.
    drop((rx, tx));
    port.stop().expect("no queue is left");
    let (rx, tx) = port.start().expect("started again");
    drop(tx);

    // A queue keeps its port open; the last one closes it, for good.
    drop(port);
    assert_eq!(eal.ports().len(), 2);
    drop(rx);
    assert_eq!(eal.ports(), [ring]);
    assert!(matches!(Port::configure(&eal, null, &config, pools), Err(E::NoSuchPort { .. })));
    assert_eq!(pool.in_use(), 0);
}
