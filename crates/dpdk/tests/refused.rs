//! One EAL a process, also after one that could not be had.

mod common;

use dpdk::EalError;

#[test]
fn a_second_eal_is_refused() {
    // Found before EAL is called, so the process may try again.
    let early = common::eal("refused", 64).pci("nonsense").init();
    assert!(matches!(early, Err(EalError::BadPciAddress(_))));

    // EAL itself would go on without the device.
    let vdev = "net_pcap0,rx_pcap=no-such-file.pcap,tx_iface=lo";
    match common::eal("refused", 64).vdev(vdev).init() {
        Err(EalError::VdevRefused(refused)) => assert_eq!(refused, vdev),
        other => panic!("{other:?}"),
    }
    let second = common::eal("refused", 64).init();
    assert!(matches!(second, Err(EalError::AlreadyStarted)));
}
