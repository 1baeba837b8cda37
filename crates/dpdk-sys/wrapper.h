/* What bindgen reads: DPDK's headers, and what it cannot see in them. */
#ifndef DPDK_SYS_WRAPPER_H
#define DPDK_SYS_WRAPPER_H

#include <stdbool.h>
#include <stddef.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_telemetry.h>
#include <rte_version.h>

/* Constants that DPDK makes with function-like macros, which bindgen skips. */
static const uint64_t DSYS_RSS_IP = RTE_ETH_RSS_IP;
static const uint64_t DSYS_RX_IPV4_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
static const uint64_t DSYS_RX_UDP_CKSUM = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
static const uint64_t DSYS_RX_TCP_CKSUM = RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t DSYS_MBUF_F_OUTER_BAD =
	RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD | RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;
static const uint64_t DSYS_MBUF_F_IP_CKSUM_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t DSYS_MBUF_F_IP_CKSUM_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t DSYS_MBUF_F_L4_CKSUM_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD;
static const uint64_t DSYS_MBUF_F_L4_CKSUM_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t DSYS_MBUF_F_INDIRECT = RTE_MBUF_F_INDIRECT;
static const uint64_t DSYS_MBUF_F_EXTERNAL = RTE_MBUF_F_EXTERNAL;

/*
 * Where the fields of rte_mbuf are. DPDK 24.07 moved them into anonymous
 * unions, to which bindgen gives names of its own; offsetof knows no difference.
 */
static const size_t DSYS_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr);
static const size_t DSYS_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off);
static const size_t DSYS_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs);
static const size_t DSYS_MBUF_PORT = offsetof(struct rte_mbuf, port);
static const size_t DSYS_MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags);
static const size_t DSYS_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len);
static const size_t DSYS_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len);
static const size_t DSYS_MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len);

/* Inline functions, and variables of a thread, as ordinary functions. */
int dsys_errno(void);
unsigned int dsys_lcore_id(void);
uint64_t dsys_rdtsc(void);
struct rte_mbuf *dsys_pktmbuf_alloc(struct rte_mempool *pool);
int dsys_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count);
void dsys_pktmbuf_free(struct rte_mbuf *mbuf);

/*
 * The link of a port, without waiting; 0 or a negative errno. Here because later
 * releases changed struct rte_eth_link. speed is in Mbit/s, 0 is none and
 * UINT32_MAX is unknown.
 */
int dsys_eth_link(uint16_t port, bool *up, uint32_t *speed);
int dsys_tell_link(const char *name);

/* A number in an answer of telemetry; later releases gave the function another name. */
int dsys_tel_add_number(struct rte_tel_data *answer, const char *name, uint64_t value);

#endif
