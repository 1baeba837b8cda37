//! A device whose driver does not exist.

mod common;

use dpdk::EalError;

#[test]
fn an_unknown_driver_is_named() {
    match common::eal("driver", 64).vdev("net_no_such_driver0").init() {
        Err(EalError::NoDriver(vdevs)) => assert_eq!(vdevs, ["net_no_such_driver0"]),
        other => panic!("{other:?}"),
    }
}
