/* The floor: receive, parse Ethernet, IPv4 and ICMP, swap the addresses, correct the checksums, send; with a
 * table of 2^20 buckets of one cache line, in which a key is inserted or updated, prefetched. No checksum
 * is verified, no policy asked, no route looked up, no entry ever refused, nothing counted. */
#include "yardstick.h"

#include <arpa/inet.h>
#include <nmmintrin.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdlib.h>

#define BUCKETS (1u << 20)
#define SLOTS 4
#define BURST YARDSTICK_BURST

struct slot {
	uint64_t key, time;
};
struct bucket {
	struct slot slots[SLOTS];
} __attribute__((aligned(64)));

struct floor {
	struct bucket *buckets;
};

struct headers {
	uint8_t dst_mac[6], src_mac[6];
	uint16_t ethertype;
	uint8_t version_ihl, tos;
	uint16_t total_length, identification, fragment;
	uint8_t ttl, protocol;
	uint16_t ip_checksum;
	uint32_t src, dst;
	uint8_t type, code;
	uint16_t checksum, identifier, sequence;
} __attribute__((packed, aligned(2)));

static inline uint32_t hash(uint64_t key)
{
	return _mm_crc32_u64(0x9e3779b9, key);
}

static inline struct bucket *bucket_of(struct floor *self, uint32_t hash)
{
	return &self->buckets[hash & (BUCKETS - 1)];
}

static inline void update(struct bucket *bucket, uint64_t key, uint64_t now)
{
	for (int i = 0; i < SLOTS; i++) {
		struct slot *slot = &bucket->slots[i];
		if (__atomic_load_n(&slot->key, __ATOMIC_ACQUIRE) != key)
			continue;
		uint64_t old = __atomic_load_n(&slot->time, __ATOMIC_RELAXED);
		__atomic_compare_exchange_n(&slot->time, &old, now, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
		return;
	}
}

/* A full bucket loses its oldest entry. */
static inline void insert(struct bucket *bucket, uint64_t key, uint64_t now)
{
	struct slot *oldest = bucket->slots;
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < SLOTS; i++) {
		struct slot *slot = &bucket->slots[i];
		uint64_t seen = __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE);
		if (seen == key) {
			__atomic_store_n(&slot->time, now, __ATOMIC_RELEASE);
			return;
		}
		uint64_t time = seen ? __atomic_load_n(&slot->time, __ATOMIC_RELAXED) : 0;
		if (time < least) {
			least = time;
			oldest = slot;
		}
	}
	uint64_t seen = __atomic_load_n(&oldest->key, __ATOMIC_RELAXED);
	if (__atomic_compare_exchange_n(&oldest->key, &seen, key, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		__atomic_store_n(&oldest->time, now, __ATOMIC_RELEASE);
}

static inline uint64_t key_of(const struct headers *headers)
{
	return ntohl(headers->src) | 1ull << 32;
}

static inline bool parse(const struct rte_mbuf *mbuf, const struct headers *headers)
{
	return mbuf->data_len >= sizeof *headers && headers->ethertype == htons(0x0800) &&
	       headers->version_ihl == 0x45 && headers->protocol == 1 &&
	       !(headers->fragment & htons(0x3fff)) &&
	       ntohs(headers->total_length) + 14u <= mbuf->data_len && headers->type == 8;
}

static inline uint16_t corrected(uint16_t checksum, uint16_t old, uint16_t new)
{
	uint32_t sum = (uint16_t)~checksum + (uint16_t)~old + new;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static inline void reply(struct headers *headers)
{
	uint8_t mac[6];
	memcpy(mac, headers->dst_mac, 6);
	memcpy(headers->dst_mac, headers->src_mac, 6);
	memcpy(headers->src_mac, mac, 6);
	uint32_t address = headers->src;
	headers->src = headers->dst;
	headers->dst = address;
	if (headers->ttl != 64) {
		headers->ip_checksum = corrected(headers->ip_checksum,
						 headers->ttl | headers->protocol << 8,
						 64 | headers->protocol << 8);
		headers->ttl = 64;
	}
	headers->checksum = corrected(headers->checksum, headers->type, 0);
	headers->type = 0;
}

static inline __attribute__((always_inline)) void
work(struct floor *self, uint64_t now, struct rte_mbuf **mbufs, uint16_t count,
     enum floor_variant variant)
{
	uint64_t keys[BURST];
	uint32_t hashes[BURST];
	for (uint16_t i = 0; i < count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	if (variant != FLOOR_SWAP) {
		for (uint16_t i = 0; i < count; i++) {
			keys[i] = key_of(rte_pktmbuf_mtod(mbufs[i], struct headers *));
			hashes[i] = hash(keys[i]);
			rte_prefetch0(bucket_of(self, hashes[i]));
		}
	}
	for (uint16_t i = 0; i < count; i++) {
		struct headers *headers = rte_pktmbuf_mtod(mbufs[i], struct headers *);
		if (__builtin_expect(!parse(mbufs[i], headers), 0))
			continue;
		if (variant == FLOOR_UPDATE)
			update(bucket_of(self, hashes[i]), keys[i], now);
		if (variant == FLOOR_INSERT)
			insert(bucket_of(self, hashes[i]), keys[i], now);
		reply(headers);
	}
}

static inline __attribute__((always_inline)) uint16_t
turn(struct floor *self, uint16_t port, uint16_t queue, enum floor_variant variant)
{
	struct rte_mbuf *mbufs[BURST];
	uint64_t now = rte_rdtsc();
	uint16_t received = rte_eth_rx_burst(port, queue, mbufs, BURST);
	if (!received)
		return 0;
	work(self, now, mbufs, received, variant);
	uint16_t sent = rte_eth_tx_burst(port, queue, mbufs, received);
	if (__builtin_expect(sent < received, 0))
		rte_pktmbuf_free_bulk(mbufs + sent, received - sent);
	return received;
}

uint16_t floor_turn(struct floor *self, uint16_t port, uint16_t queue, enum floor_variant variant)
{
	switch (variant) {
	case FLOOR_UPDATE:
		return turn(self, port, queue, FLOOR_UPDATE);
	case FLOOR_INSERT:
		return turn(self, port, queue, FLOOR_INSERT);
	default:
		return turn(self, port, queue, FLOOR_SWAP);
	}
}

uint64_t floor_lines(void)
{
	return BUCKETS;
}

struct floor *floor_new(void *memory)
{
	struct floor *self = malloc(sizeof *self);
	if (self)
		self->buckets = memory;
	return self;
}

void floor_free(struct floor *self)
{
	free(self);
}
