/* The packet path of a reverse traceroute responder in plain C: the very same work as
 * crates/engine, on the same bytes, so that the two can be timed against each other.
 *
 * Only the common case is here: untagged frames, requests that deserve a probe, ICMP errors that
 * answer one. All else is left as it is and counted as YARDSTICK_OTHER. The Rust engine tells
 * forty cases more apart, which costs it branches and never the C. */
#ifndef YARDSTICK_H
#define YARDSTICK_H

#include <stdint.h>

/* A frame at the front of its buffer. `len` is 0 after a drop. */
struct yardstick_frame {
	uint8_t *data;
	uint32_t len;
	uint32_t room;
};

struct yardstick_settings {
	uint64_t entries;
	uint64_t timeout_ticks;
	uint64_t secret[2];
	uint64_t hz;
	uint8_t own_mac[6];
	uint8_t router_mac[6];
	uint8_t own_v4[4];
	uint8_t own_v6[16];
	uint8_t prefix_v4; /* the on-link prefix's length; all else goes to the router */
	uint8_t prefix_v6;
};

enum yardstick_counter {
	YARDSTICK_PROBES,
	YARDSTICK_RESPONSES,
	YARDSTICK_UNMATCHED,
	YARDSTICK_FULL,
	YARDSTICK_OTHER,
	YARDSTICK_COUNTERS,
};

struct yardstick;

/* NULL if memory is refused. */
struct yardstick *yardstick_new(const struct yardstick_settings *settings);
void yardstick_free(struct yardstick *self);
void yardstick_process(struct yardstick *self, uint64_t now, struct yardstick_frame *frames,
		       uint32_t count);
uint64_t yardstick_count(const struct yardstick *self, enum yardstick_counter counter);
/* Zeroed memory in huge pages, for the other side's table; never freed. NULL if it is refused. */
void *yardstick_memory(uint64_t size);
/* The processor's time stamp counter. */
uint64_t yardstick_ticks(void);

/* The floor: what the least useful responder with a table costs. See floor.c. */
enum floor_variant { FLOOR_SWAP, FLOOR_UPDATE, FLOOR_INSERT };

struct floor_table;

struct floor_table *floor_new(void);
void floor_free(struct floor_table *self);
void floor_process(struct floor_table *self, uint64_t now, struct yardstick_frame *frames,
		   uint32_t count, enum floor_variant variant);

#endif
