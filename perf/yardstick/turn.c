/* A worker's turn: receive, lead through, send, count; what responder/src/worker.rs and outgoing.rs do. */
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "yardstick.h"

/* As outgoing.rs: how often a full transmit queue is tried again. */
#define TRIES 8

static inline void send_all(uint64_t *counters, uint16_t port, uint16_t queue,
			    struct rte_mbuf **out, const enum yardstick_counter *names,
			    uint16_t count)
{
	uint16_t sent = 0;
	for (int tries = 0; sent < count && tries < TRIES; tries++)
		sent += rte_eth_tx_burst(port, queue, out + sent, count - sent);
	/* A run at once: additions to one counter, each in memory, would wait for each other. */
	for (uint16_t i = 0, run; i < sent; i += run) {
		for (run = 1; i + run < sent && names[i + run] == names[i]; run++)
			;
		counters[names[i]] += run;
	}
	if (sent < count) {
		counters[YARDSTICK_TRANSMIT_FULL] += count - sent;
		rte_pktmbuf_free_bulk(out + sent, count - sent);
	}
}

uint16_t yardstick_turn(struct yardstick *self, uint16_t port, uint16_t queue)
{
	struct rte_mbuf *in[YARDSTICK_BURST], *out[YARDSTICK_BURST];
	uint64_t began = rte_rdtsc();
	uint16_t received = rte_eth_rx_burst(port, queue, in, YARDSTICK_BURST);
	if (!received)
		return 0;
	uint64_t *counters = yardstick_counters(self);
	counters[YARDSTICK_RECEIVED] += received;

	uint64_t now = rte_rdtsc();
	struct yardstick_frame frames[YARDSTICK_BURST];
	for (uint16_t i = 0; i < received; i++) {
		/* A frame in several pieces is none of ours. */
		frames[i] = (struct yardstick_frame){
			.data = rte_pktmbuf_mtod(in[i], uint8_t *),
			.len = in[i]->nb_segs == 1 ? in[i]->data_len : 0,
			.room = in[i]->buf_len - in[i]->data_off,
		};
	}
	enum yardstick_counter told[YARDSTICK_BURST], names[YARDSTICK_BURST];
	yardstick_burst(self, now, frames, received, told);

	uint16_t count = 0;
	for (uint16_t i = 0; i < received; i++) {
		struct rte_mbuf *mbuf = in[i];
		if (!frames[i].len) {
			counters[told[i]]++;
			rte_pktmbuf_free(mbuf);
			continue;
		}
		mbuf->data_len = frames[i].len;
		mbuf->pkt_len = frames[i].len;
		/* What the receiving driver said is no wish to the sending one. */
		mbuf->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
		names[count] = told[i];
		out[count++] = mbuf;
	}
	send_all(counters, port, queue, out, names, count);
	counters[YARDSTICK_BUSY_TURNS]++;
	counters[YARDSTICK_BUSY_TICKS] += rte_rdtsc() - began;
	return received;
}
