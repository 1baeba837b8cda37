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
	YARDSTICK_TRANSMIT_FULL, /* answered, but the port did not take it */
	YARDSTICK_RECEIVED,
	YARDSTICK_BUSY_TURNS, /* turns in which frames came, and the ticks that they took */
	YARDSTICK_BUSY_TICKS,
	YARDSTICK_COUNTERS,
};

struct yardstick;

/* Lines of 64 octets that a table of that many entries takes. */
uint64_t yardstick_lines(uint64_t entries);
/* `memory`: yardstick_lines(settings->entries) lines, aligned and zeroed, the yardstick's own until it is
 * freed, and not freed by it. NULL if the system has no memory for the rest. */
struct yardstick *yardstick_new(const struct yardstick_settings *settings, void *memory);
void yardstick_free(struct yardstick *self);
uint64_t yardstick_count(const struct yardstick *self, enum yardstick_counter counter);
/* All of them, to add to. */
uint64_t *yardstick_counters(struct yardstick *self);

/* Leads `count` frames through, at the time `now`, and counts them. */
void yardstick_process(struct yardstick *self, uint64_t now, struct yardstick_frame *frames,
		       uint32_t count);

/* The most frames of a turn. */
#define YARDSTICK_BURST 32

/* The same, without counting: what the frames are to count as goes to `told`. At most YARDSTICK_BURST frames. */
void yardstick_burst(struct yardstick *self, uint64_t now, struct yardstick_frame *frames,
		     uint32_t count, enum yardstick_counter *told);

/* A turn of a worker: receives from `queue` of the started `port`, leads the frames through, sends to the
 * same, counts each as what became of it. Returns how many were received. */
uint16_t yardstick_turn(struct yardstick *self, uint16_t port, uint16_t queue);

/* The floor: what the least useful responder with a table costs. See floor.c. */
enum floor_variant { FLOOR_SWAP, FLOOR_UPDATE, FLOOR_INSERT };

struct floor;

/* Lines of 64 octets that its table takes. */
uint64_t floor_lines(void);
/* As yardstick_new, with floor_lines() lines. */
struct floor *floor_new(void *memory);
void floor_free(struct floor *self);
/* As yardstick_turn. */
uint16_t floor_turn(struct floor *self, uint16_t port, uint16_t queue, enum floor_variant variant);

#endif
