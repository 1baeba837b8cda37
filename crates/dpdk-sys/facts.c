/*
 * Constants and layouts as the C compiler has them. tests/header.rs compares
 * them with what the Rust side believes; nothing else links this file.
 */
#include "wrapper.h"

struct dsys_fact {
	const char *name;
	uint64_t value;
};

#define CONSTANT(ours, theirs) { #ours, (uint64_t)(theirs) }
#define SIZE(type) { "sizeof " #type, sizeof(struct type) }
#define OFFSET(type, field) { #type "." #field, offsetof(struct type, field) }
#define SAME(name) { #name, (uint64_t)(name) }
#define WIDTH(field) { "width of rte_mbuf." #field, sizeof(((struct rte_mbuf *)0)->field) }

const struct dsys_fact dsys_facts[] = {
	CONSTANT(DSYS_RSS_IP, RTE_ETH_RSS_IP),
	CONSTANT(DSYS_RX_IPV4_CKSUM, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM),
	CONSTANT(DSYS_RX_UDP_CKSUM, RTE_ETH_RX_OFFLOAD_UDP_CKSUM),
	CONSTANT(DSYS_RX_TCP_CKSUM, RTE_ETH_RX_OFFLOAD_TCP_CKSUM),
	/* The dpdk crate reads the two flags of a mask apart. */
	CONSTANT(DSYS_MBUF_F_OUTER_BAD, RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD + (RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK & ~RTE_MBUF_F_RX_OUTER_L4_CKSUM_GOOD)),
	CONSTANT(DSYS_MBUF_F_IP_CKSUM_BAD, RTE_MBUF_F_RX_IP_CKSUM_MASK & ~RTE_MBUF_F_RX_IP_CKSUM_GOOD),
	CONSTANT(DSYS_MBUF_F_IP_CKSUM_GOOD, RTE_MBUF_F_RX_IP_CKSUM_MASK & ~RTE_MBUF_F_RX_IP_CKSUM_BAD),
	CONSTANT(DSYS_MBUF_F_L4_CKSUM_BAD, RTE_MBUF_F_RX_L4_CKSUM_MASK & ~RTE_MBUF_F_RX_L4_CKSUM_GOOD),
	CONSTANT(DSYS_MBUF_F_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_MASK & ~RTE_MBUF_F_RX_L4_CKSUM_BAD),
	CONSTANT(DSYS_MBUF_F_INDIRECT, RTE_MBUF_F_INDIRECT),
	CONSTANT(DSYS_MBUF_F_EXTERNAL, RTE_MBUF_F_EXTERNAL),
	CONSTANT(DSYS_MBUF_BUF_ADDR, offsetof(struct rte_mbuf, buf_addr)),
	CONSTANT(DSYS_MBUF_DATA_OFF, offsetof(struct rte_mbuf, data_off)),
	CONSTANT(DSYS_MBUF_NB_SEGS, offsetof(struct rte_mbuf, nb_segs)),
	CONSTANT(DSYS_MBUF_PORT, offsetof(struct rte_mbuf, port)),
	CONSTANT(DSYS_MBUF_OL_FLAGS, offsetof(struct rte_mbuf, ol_flags)),
	CONSTANT(DSYS_MBUF_PKT_LEN, offsetof(struct rte_mbuf, pkt_len)),
	CONSTANT(DSYS_MBUF_DATA_LEN, offsetof(struct rte_mbuf, data_len)),
	CONSTANT(DSYS_MBUF_BUF_LEN, offsetof(struct rte_mbuf, buf_len)),

	WIDTH(buf_addr),
	WIDTH(data_off),
	WIDTH(nb_segs),
	WIDTH(port),
	WIDTH(ol_flags),
	WIDTH(pkt_len),
	WIDTH(data_len),
	WIDTH(buf_len),

	SAME(RTE_MAX_ETHPORTS),
	SAME(RTE_MAX_LCORE),
	SAME(RTE_MAX_QUEUES_PER_PORT),
	SAME(RTE_MEMPOOL_CACHE_MAX_SIZE),
	SAME(RTE_ETH_NAME_MAX_LEN),
	SAME(RTE_PKTMBUF_HEADROOM),
	SAME(RTE_MBUF_DEFAULT_BUF_SIZE),
	SAME(RTE_ETH_DEV_NO_OWNER),
	SAME(RTE_ETH_MQ_RX_NONE),
	SAME(RTE_ETH_MQ_RX_RSS),
	SAME(RTE_ETH_SPEED_NUM_UNKNOWN),
	SAME(LCORE_ID_ANY),
	CONSTANT(SOCKET_ID_ANY, (int64_t)SOCKET_ID_ANY),

	SIZE(rte_mbuf),
	SIZE(rte_ether_addr),
	SIZE(rte_eth_conf),
	OFFSET(rte_eth_conf, rxmode),
	OFFSET(rte_eth_conf, txmode),
	OFFSET(rte_eth_conf, rx_adv_conf),
	SIZE(rte_eth_rxmode),
	OFFSET(rte_eth_rxmode, mq_mode),
	OFFSET(rte_eth_rxmode, mtu),
	OFFSET(rte_eth_rxmode, offloads),
	SIZE(rte_eth_rss_conf),
	OFFSET(rte_eth_rss_conf, rss_hf),
	SIZE(rte_eth_dev_info),
	OFFSET(rte_eth_dev_info, driver_name),
	OFFSET(rte_eth_dev_info, min_mtu),
	OFFSET(rte_eth_dev_info, max_mtu),
	OFFSET(rte_eth_dev_info, max_rx_queues),
	OFFSET(rte_eth_dev_info, max_tx_queues),
	OFFSET(rte_eth_dev_info, rx_offload_capa),
	OFFSET(rte_eth_dev_info, flow_type_rss_offloads),
	SIZE(rte_eth_stats),
	OFFSET(rte_eth_stats, ipackets),
	OFFSET(rte_eth_stats, opackets),
	OFFSET(rte_eth_stats, ibytes),
	OFFSET(rte_eth_stats, obytes),
	OFFSET(rte_eth_stats, imissed),
	OFFSET(rte_eth_stats, ierrors),
	OFFSET(rte_eth_stats, oerrors),
	OFFSET(rte_eth_stats, rx_nombuf),
	SIZE(rte_eth_fp_ops),
	OFFSET(rte_eth_fp_ops, rx_pkt_burst),
	OFFSET(rte_eth_fp_ops, rxq),
	OFFSET(rte_eth_fp_ops, tx_pkt_burst),
	OFFSET(rte_eth_fp_ops, txq),
	SIZE(rte_ethdev_qdata),
	OFFSET(rte_ethdev_qdata, data),
};

const size_t dsys_facts_len = sizeof(dsys_facts) / sizeof(dsys_facts[0]);
