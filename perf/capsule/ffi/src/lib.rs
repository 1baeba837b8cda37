//! The names that `capsule` 0.1.5 takes from `capsule-ffi`, over our `dpdk-sys`.
//!
//! capsule was made for DPDK 19.11. Since then DPDK renamed constants and EAL options, and dropped
//! KNI. This crate has the old names for the new things; it runs no bindgen and compiles no C.
//! Cargo's patch section puts it in the place of the published crate, so that capsule itself stays as it was published.
//!
//! Left out are `rte_eth_add_*_callback` and libpcap, which capsule's feature `pcap-dump` alone needs.
#![expect(unsafe_code, reason = "every DPDK function is foreign")]
#![allow(non_camel_case_types, reason = "the names are C's")]

mod eal;
mod kni;

pub use eal::{rte_eal_init, rte_thread_set_affinity};
pub use kni::{
    rte_kni, rte_kni_alloc, rte_kni_close, rte_kni_conf, rte_kni_get_name, rte_kni_handle_request,
    rte_kni_init, rte_kni_ops, rte_kni_release, rte_kni_rx_burst, rte_kni_tx_burst,
};

pub use dpdk_sys::{
    RTE_MBUF_DEFAULT_BUF_SIZE, dsys_errno as _rte_errno, dsys_pktmbuf_alloc as _rte_pktmbuf_alloc,
    dsys_pktmbuf_alloc_bulk as _rte_pktmbuf_alloc_bulk, dsys_pktmbuf_free as _rte_pktmbuf_free,
    rte_cpuset_t, rte_eal_cleanup, rte_eth_allmulticast_disable, rte_eth_allmulticast_enable,
    rte_eth_conf, rte_eth_dev_adjust_nb_rx_tx_desc, rte_eth_dev_close, rte_eth_dev_configure,
    rte_eth_dev_get_port_by_name, rte_eth_dev_info, rte_eth_dev_info_get, rte_eth_dev_socket_id,
    rte_eth_dev_start, rte_eth_dev_stop, rte_eth_macaddr_get, rte_eth_promiscuous_disable,
    rte_eth_promiscuous_enable, rte_eth_rx_queue_setup, rte_eth_stats, rte_eth_stats_get,
    rte_eth_tx_queue_setup, rte_ether_addr, rte_mbuf, rte_mempool, rte_mempool_free,
    rte_mempool_in_use_count, rte_pktmbuf_pool_create, rte_socket_count, rte_socket_id,
    rte_socket_id_by_idx, rte_strerror, rx_burst as _rte_eth_rx_burst,
    tx_burst as _rte_eth_tx_burst,
};

use std::ffi::{c_int, c_uint, c_void};

/// How a port spreads what it receives, as DPDK 19.11 grouped it.
pub mod rte_eth_rx_mq_mode {
    /// By a hash (RSS).
    pub const ETH_MQ_RX_RSS: dpdk_sys::rte_eth_rx_mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
}

/// The hash is over addresses, as `otherhalfd` has it...
pub const ETH_RSS_IP: u64 = dpdk_sys::DSYS_RSS_IP;
/// ...and nothing else: capsule would add the ports of TCP,
pub const ETH_RSS_TCP: u64 = 0;
/// of UDP,
pub const ETH_RSS_UDP: u64 = 0;
/// and of SCTP.
pub const ETH_RSS_SCTP: u64 = 0;
/// No offload: `otherhalfd` does not ask for it either, and capsule can break its promise of one mempool a queue.
pub const DEV_TX_OFFLOAD_MBUF_FAST_FREE: u64 = 0;

#[link(name = "numa")]
unsafe extern "C" {
    /// The NUMA node of a CPU, or -1: libnuma's, which DPDK itself needs.
    pub fn numa_node_of_cpu(cpu: c_int) -> c_int;
}

/// Frees `count` mbufs, whatever pool each is of.
///
/// capsule means to put them back to `pool` raw. It does so with mbufs of other pools as well; this
/// frees each as DPDK frees one.
///
/// # Safety
/// `objects` is valid for reads of `count` pointers, each to an mbuf that the caller owns.
pub unsafe fn _rte_mempool_put_bulk(
    _pool: *mut rte_mempool,
    objects: *const *mut c_void,
    count: c_uint,
) {
    // SAFETY: the caller's promise; the function reads the pointers and writes none.
    unsafe { dpdk_sys::rte_pktmbuf_free_bulk(objects.cast_mut().cast(), count) }
}
