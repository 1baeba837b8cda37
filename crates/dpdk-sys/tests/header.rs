//! What the bindings believe against what the C compiler sees in the headers.
#![expect(unsafe_code, reason = "reads a table that C wrote")]
#![expect(clippy::cast_sign_loss, reason = "constants of both signs are compared as 64 bits")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::mem::{offset_of, size_of};

use dpdk_sys as sys;

/// `struct dsys_fact` of facts.c.
#[repr(C)]
struct Fact {
    name: *const c_char,
    value: u64,
}

unsafe extern "C" {
    static dsys_facts: Fact;
    static dsys_facts_len: usize;
}

fn header() -> BTreeMap<String, u64> {
    // SAFETY: a constant that facts.c defines.
    let length = unsafe { dsys_facts_len };
    // SAFETY: facts.c defines an array of that length, which is never written.
    let facts = unsafe { std::slice::from_raw_parts(&raw const dsys_facts, length) };
    facts
        .iter()
        .map(|fact| {
            // SAFETY: each name is a string literal of C.
            let name = unsafe { CStr::from_ptr(fact.name) };
            (name.to_str().expect("names are ASCII").to_owned(), fact.value)
        })
        .collect()
}

macro_rules! constants {
    ($facts:ident: $($name:ident),* $(,)?) => {
        $($facts.insert(stringify!($name).to_owned(), i128::from(sys::$name) as u64);)*
    };
}

macro_rules! offsets {
    ($facts:ident: $($name:ident),* $(,)?) => {
        $($facts.insert(stringify!($name).to_owned(), sys::$name as u64);)*
    };
}

macro_rules! layout {
    ($facts:ident: $($type:ident { $($field:ident),* }),* $(,)?) => {
        $(
            $facts.insert(concat!("sizeof ", stringify!($type)).to_owned(), size_of::<sys::$type>() as u64);
            $($facts.insert(
                concat!(stringify!($type), ".", stringify!($field)).to_owned(),
                offset_of!(sys::$type, $field) as u64,
            );)*
        )*
    };
}

#[expect(clippy::cast_possible_truncation, reason = "constants of both signs as 64 bits")]
fn bindings() -> BTreeMap<String, u64> {
    let mut facts = BTreeMap::new();
    offsets!(facts:
        DSYS_MBUF_BUF_ADDR, DSYS_MBUF_DATA_OFF, DSYS_MBUF_NB_SEGS,
        DSYS_MBUF_PORT, DSYS_MBUF_OL_FLAGS, DSYS_MBUF_PKT_LEN, DSYS_MBUF_DATA_LEN,
        DSYS_MBUF_BUF_LEN,
    );
    // The types as which the dpdk crate reads and writes the fields of an mbuf.
    let widths = [
        ("buf_addr", size_of::<*mut u8>()),
        ("data_off", size_of::<u16>()),
        ("nb_segs", size_of::<u16>()),
        ("port", size_of::<u16>()),
        ("ol_flags", size_of::<u64>()),
        ("pkt_len", size_of::<u32>()),
        ("data_len", size_of::<u16>()),
        ("buf_len", size_of::<u16>()),
    ];
    facts.extend(widths.map(|(field, width)| (format!("width of rte_mbuf.{field}"), width as u64)));
    constants!(facts:
        DSYS_RSS_IP, DSYS_RX_IPV4_CKSUM, DSYS_RX_UDP_CKSUM, DSYS_RX_TCP_CKSUM,
        DSYS_MBUF_F_OUTER_BAD, DSYS_MBUF_F_IP_CKSUM_BAD, DSYS_MBUF_F_IP_CKSUM_GOOD,
        DSYS_MBUF_F_L4_CKSUM_BAD, DSYS_MBUF_F_L4_CKSUM_GOOD,
        DSYS_MBUF_F_INDIRECT, DSYS_MBUF_F_EXTERNAL,
        RTE_MAX_ETHPORTS, RTE_MAX_LCORE, RTE_MAX_QUEUES_PER_PORT, RTE_MEMPOOL_CACHE_MAX_SIZE,
        RTE_ETH_NAME_MAX_LEN, RTE_PKTMBUF_HEADROOM, RTE_MBUF_DEFAULT_BUF_SIZE,
        RTE_ETH_DEV_NO_OWNER, RTE_ETH_MQ_RX_NONE, RTE_ETH_MQ_RX_RSS, RTE_ETH_SPEED_NUM_UNKNOWN,
        LCORE_ID_ANY, SOCKET_ID_ANY,
    );
    layout!(facts:
        rte_mbuf {},
        rte_ether_addr {},
        rte_eth_conf { rxmode, txmode, rx_adv_conf },
        rte_eth_rxmode { mq_mode, mtu, offloads },
        rte_eth_rss_conf { rss_hf },
        rte_eth_dev_info {
            driver_name, min_mtu, max_mtu, max_rx_queues, max_tx_queues, rx_offload_capa,
            flow_type_rss_offloads
        },
        rte_eth_stats {
            ipackets, opackets, ibytes, obytes, imissed, ierrors, oerrors, rx_nombuf
        },
        rte_eth_fp_ops { rx_pkt_burst, rxq, tx_pkt_burst, txq },
        rte_ethdev_qdata { data },
    );
    facts
}

/// Equal maps: each value agrees, and neither side has a fact that the other lacks.
#[test]
fn constants_and_layouts_are_the_headers() {
    let (header, bindings) = (header(), bindings());
    assert!(header.len() > 50, "facts.c lists {} facts only", header.len());
    assert_eq!(header, bindings);
}

/// EAL is not started here, and these must not need it.
#[test]
fn the_shim_links_and_answers() {
    // SAFETY: reads a variable of the calling thread.
    let errno = unsafe { sys::dsys_errno() };
    // SAFETY: as above.
    let lcore = unsafe { sys::dsys_lcore_id() };
    assert_eq!(errno, 0);
    assert_eq!(lcore, sys::LCORE_ID_ANY, "no thread is an lcore before EAL starts");
    // SAFETY: reads the time stamp counter.
    let first = unsafe { sys::dsys_rdtsc() };
    // SAFETY: as above.
    let second = unsafe { sys::dsys_rdtsc() };
    assert!(second >= first);
}
