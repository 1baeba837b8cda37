//! Bindings to the installed DPDK (22.11 or later), with a C shim for its inline functions.
//!
//! bindgen reads the installed headers at build time, so the layouts are those of the
//! library that the program links; `tests/header.rs` compares them with the C compiler's.
//! Functions that DPDK's headers define inline are in the shim, named `dsys_*`; the two
//! on the packet path, [`rx_burst`] and [`tx_burst`], are written here, so that they inline.
//!
//! Linking is against the shared libraries. EAL loads the drivers itself, as plugins.
#![expect(unsafe_code, reason = "every DPDK function is foreign")]

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    reason = "generated from C headers; allow, because which of them fire depends on the release"
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;

/// Receives at most `count` packets; returns how many pointers it wrote to `mbufs`.
///
/// This is `rte_eth_rx_burst` less its debug checks and its RX callbacks: callbacks
/// added to the queue (by `rte_pdump`, for one) are **skipped**.
///
/// # Safety
/// - `port` is below `RTE_MAX_ETHPORTS` and started, `queue` is one of its RX queues.
/// - No other thread polls that queue or stops, starts or closes the port meanwhile.
/// - `mbufs` is valid for writes of `count` pointers.
#[inline]
pub unsafe fn rx_burst(port: u16, queue: u16, mbufs: *mut *mut rte_mbuf, count: u16) -> u16 {
    let all = (&raw const rte_eth_fp_ops).cast::<rte_eth_fp_ops>();
    // SAFETY: rte_eth_fp_ops has RTE_MAX_ETHPORTS entries, and `port` is below that.
    let ops = unsafe { all.add(usize::from(port)) };
    // SAFETY: as above; entries of started ports do not change.
    let ops = unsafe { &*ops };
    // SAFETY: a started port has an entry for each of its queues.
    let data = unsafe { ops.rxq.data.add(usize::from(queue)) };
    // SAFETY: as above.
    let data = unsafe { *data };
    // SAFETY: ethdev fills in the function, at first with one that receives nothing.
    let receive = unsafe { ops.rx_pkt_burst.unwrap_unchecked() };
    // SAFETY: `data` belongs to this driver's function; the rest is the caller's promise.
    unsafe { receive(data, mbufs, count) }
}

/// Sends at most `count` packets; returns how many of `mbufs`, from the first on, the
/// driver has taken. It owns those; the caller still owns the others.
///
/// This is `rte_eth_tx_burst` less its debug checks and its TX callbacks: callbacks
/// added to the queue are **skipped**.
///
/// # Safety
/// - `port` is below `RTE_MAX_ETHPORTS` and started, `queue` is one of its TX queues.
/// - No other thread sends on that queue or stops, starts or closes the port meanwhile.
/// - `mbufs` is valid for reads of `count` pointers, each to an mbuf that the caller owns.
#[inline]
pub unsafe fn tx_burst(port: u16, queue: u16, mbufs: *mut *mut rte_mbuf, count: u16) -> u16 {
    let all = (&raw const rte_eth_fp_ops).cast::<rte_eth_fp_ops>();
    // SAFETY: rte_eth_fp_ops has RTE_MAX_ETHPORTS entries, and `port` is below that.
    let ops = unsafe { all.add(usize::from(port)) };
    // SAFETY: as above; entries of started ports do not change.
    let ops = unsafe { &*ops };
    // SAFETY: a started port has an entry for each of its queues.
    let data = unsafe { ops.txq.data.add(usize::from(queue)) };
    // SAFETY: as above.
    let data = unsafe { *data };
    // SAFETY: ethdev fills in the function, at first with one that sends nothing.
    let send = unsafe { ops.tx_pkt_burst.unwrap_unchecked() };
    // SAFETY: `data` belongs to this driver's function; the rest is the caller's promise.
    unsafe { send(data, mbufs, count) }
}
