//! A mirror in the responder's place: throws frames back as they are. What is measured against it is the harness's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dpdk::{Burst, RxQueue, TxQueue};

/// Frames that it receives at once: as many as a worker.
const BURST: usize = otherhalf_engine::BURST;

/// Throws back what comes by `rx` until `stop` is set. What `tx` does not take is dropped.
pub fn reflect(mut rx: RxQueue, mut tx: TxQueue, stop: &Arc<AtomicBool>) {
    let mut burst = Burst::<BURST>::new();
    while !stop.load(Ordering::Relaxed) {
        if rx.receive(&mut burst) > 0 {
            tx.send(&mut burst);
            burst.clear();
        }
    }
    while rx.receive(&mut burst) > 0 {
        burst.clear();
    }
}
