#include "yardstick.h"

#include <stdlib.h>

#include "packets.h"
#include "table.h"

#define BURST YARDSTICK_BURST
#define SOURCE_PORT 1021
#define PROBE_LEN 16 /* UDP and ICMP: header and payload */
#define SYN_LEN 24
#define RESPONSE_LEN 36
#define OTHER_IDENTIFIERS 8

/* As the engine's policy has it: ranges of flows. */
struct flows {
	bool allowed;
	uint16_t least, most, standard;
};

struct route {
	uint32_t network, mask;
	bool on_link;
	uint8_t mac[MAC_LEN];
};
struct route6 {
	uint64_t network[2], mask[2];
	bool on_link;
	uint8_t mac[MAC_LEN];
};

struct yardstick {
	struct table table;
	uint64_t ns_per_tick; /* in units of 2^-32 */
	uint8_t own_mac[MAC_LEN];
	uint32_t own;
	uint64_t own6[2];
	uint32_t broadcast, network;
	struct route routes[2];
	struct route6 routes6[2];
	struct flows flows[3];
	uint64_t counters[YARDSTICK_COUNTERS];
};

enum what { NOTHING, ASK, MATCH };

/* What the first pass leaves for the second. */
struct seen {
	enum what what;
	bool v6;
	enum protocol protocol;
	uint8_t ttl, traffic_class;
	uint32_t label; /* class and label as they stood, version included */
	uint16_t identifier, flow;
	bool has_sequence, has_identification;
	uint16_t sequence, identification;
	const uint8_t *mac;
	union {
		struct {
			uint32_t own, peer, hop;
		} v4;
		struct {
			uint64_t own[2], peer[2], hop[2];
		} v6;
	} address;
	struct place place;
};

static inline bool is_unicast(const struct yardstick *self, uint32_t address)
{
	uint8_t first = address & 0xff;
	return first != 0 && first != 127 && first < 224 && address != self->own &&
	       address != self->broadcast && address != self->network;
}

static inline bool is_unicast6(const struct yardstick *self, const void *address)
{
	uint64_t a[2];
	memcpy(a, address, sizeof a);
	bool low = a[0] == 0 && (a[1] == 0 || a[1] == htobe64(1) || (uint32_t)a[1] == htonl(0xffff));
	return (a[0] & 0xff) != 0xff && !low && !(a[0] == self->own6[0] && a[1] == self->own6[1]);
}

static inline const uint8_t *way(const struct yardstick *self, uint32_t to)
{
	for (int i = 0; i < 2; i++) {
		const struct route *route = &self->routes[i];
		if ((to & route->mask) == route->network)
			return route->on_link ? NULL : route->mac;
	}
	return NULL;
}

static inline const uint8_t *way6(const struct yardstick *self, const uint64_t to[2])
{
	for (int i = 0; i < 2; i++) {
		const struct route6 *route = &self->routes6[i];
		if ((to[0] & route->mask[0]) == route->network[0] &&
		    (to[1] & route->mask[1]) == route->network[1])
			return route->on_link ? NULL : route->mac;
	}
	return NULL;
}

static inline void place(const struct yardstick *self, struct seen *seen)
{
	uint64_t name = (uint64_t)seen->protocol << 32 | (uint64_t)seen->flow << 16 | seen->identifier;
	if (seen->protocol == ICMP && seen->flow == 0xffff)
		name &= ~0xffff0000ull;
	if (seen->v6) {
		uint64_t words[4] = {
			be64toh(seen->address.v6.own[0]),
			be64toh(seen->address.v6.own[1]),
			be64toh(seen->address.v6.peer[0]),
			be64toh(seen->address.v6.peer[1]),
		};
		seen->place = table_place(&self->table, words, 4, name);
	} else {
		uint64_t words[1] = { (uint64_t)ntohl(seen->address.v4.own) << 32 |
				      ntohl(seen->address.v4.peer) };
		seen->place = table_place(&self->table, words, 1, name);
	}
}

/* Always the same other identifier for the same request, never 0. */
static uint16_t other_identifier(const struct yardstick *self, const struct seen *seen,
				 uint16_t requested, uint64_t attempt)
{
	uint64_t seed[1] = { (uint64_t)requested << 32 | (uint64_t)seen->flow << 16 | attempt };
	uint16_t other = table_place(&self->table, seed, 1, 0).cookie >> 48;
	return other ? other : 1;
}

static inline bool read_request(const struct yardstick *self, const uint8_t *bytes, uint32_t len,
				struct seen *seen)
{
	const struct request *request = (const struct request *)bytes;
	/* What follows a plain request would be an extension: not the common case. */
	if (len != sizeof *request || request->ttl == 0)
		return false;
	if (request->protocol == 0)
		seen->protocol = ICMP;
	else if (!protocol_of(request->protocol, seen->v6, &seen->protocol))
		return false;
	const struct flows *flows = &self->flows[seen->protocol];
	seen->flow = request->flow ? ntohs(request->flow) : flows->standard;
	if (!flows->allowed || seen->flow < flows->least || seen->flow > flows->most)
		return false;
	seen->what = ASK;
	seen->ttl = request->ttl;
	seen->identifier = ntohs(request->icmp.identifier);
	return !(seen->protocol == UDP && seen->identifier == 0);
}

/* Reads the transport header of a quoted probe. */
static inline bool read_quoted(const uint8_t *bytes, uint8_t protocol_number, struct seen *seen)
{
	if (!protocol_of(protocol_number, seen->v6, &seen->protocol))
		return false;
	seen->what = MATCH;
	seen->has_sequence = false;
	switch (seen->protocol) {
	case ICMP: {
		const struct icmp *probe = (const struct icmp *)bytes;
		seen->flow = ntohs(probe->checksum);
		seen->identifier = ntohs(probe->identifier);
		return probe->type == (seen->v6 ? 128 : 8) && probe->code == 0 && probe->sequence == 0xffff;
	}
	case UDP: {
		const struct udp *probe = (const struct udp *)bytes;
		seen->flow = ntohs(probe->dst_port);
		seen->identifier = ntohs(probe->checksum);
		return probe->src_port == htons(SOURCE_PORT) && probe->length == htons(PROBE_LEN);
	}
	case TCP: {
		const struct tcp *probe = (const struct tcp *)bytes;
		uint32_t sequence = ntohl(probe->sequence);
		seen->flow = ntohs(probe->dst_port);
		seen->identifier = sequence;
		seen->has_sequence = true;
		seen->sequence = sequence >> 16;
		return probe->src_port == htons(SOURCE_PORT);
	}
	}
	return false;
}

static inline bool look4(const struct yardstick *self, const uint8_t *bytes, uint32_t len,
			 struct seen *seen)
{
	const struct ipv4 *ip = (const struct ipv4 *)bytes;
	if (len < sizeof *ip + sizeof(struct icmp) || ip->version_ihl != 0x45)
		return false;
	uint32_t total = ntohs(ip->total_length);
	if (total > len || total < sizeof *ip + sizeof(struct icmp) ||
	    folded(sum(ip, sizeof *ip, 0)) != 0xffff || (ip->fragment & htons(0x3fff)))
		return false;
	if (ip->dst != self->own || !is_unicast(self, ip->src) || ip->protocol != 1)
		return false;
	const uint8_t *message = bytes + sizeof *ip;
	uint32_t message_len = total - sizeof *ip;
	if (folded(sum(message, message_len, 0)) != 0xffff)
		return false;
	seen->v6 = false;
	seen->traffic_class = ip->tos;
	const struct icmp *icmp = (const struct icmp *)message;
	if (icmp->type == 8 && icmp->code == 1) {
		seen->address.v4.own = ip->dst;
		seen->address.v4.peer = ip->src;
		return read_request(self, message, message_len, seen);
	}
	if (!((icmp->type == 11 && icmp->code == 0) || icmp->type == 3) ||
	    message_len < sizeof *icmp + sizeof *ip + 8)
		return false;
	const struct ipv4 *inner = (const struct ipv4 *)(message + sizeof *icmp);
	if (inner->version_ihl != 0x45 || (inner->fragment & htons(0x3fff)) || inner->src != ip->dst)
		return false;
	seen->address.v4.own = inner->src;
	seen->address.v4.peer = inner->dst;
	seen->address.v4.hop = ip->src;
	seen->has_identification = true;
	seen->identification = ntohs(inner->identification);
	return read_quoted((const uint8_t *)(inner + 1), inner->protocol, seen);
}

static inline bool look6(const struct yardstick *self, const uint8_t *bytes, uint32_t len,
			 struct seen *seen)
{
	const struct ipv6 *ip = (const struct ipv6 *)bytes;
	if (len < sizeof *ip + sizeof(struct icmp) ||
	    (ip->version_class_label & htonl(0xf0000000)) != htonl(0x60000000))
		return false;
	uint32_t message_len = ntohs(ip->payload_length);
	if (message_len > len - sizeof *ip || message_len < sizeof(struct icmp) ||
	    ip->next_header != 58)
		return false;
	if (ip->dst[0] != self->own6[0] || ip->dst[1] != self->own6[1] ||
	    !is_unicast6(self, ip->src))
		return false;
	const uint8_t *message = bytes + sizeof *ip;
	if (folded(sum(message, message_len, 0) +
		   pseudo(ip->src, ip->dst, 58, message_len)) != 0xffff)
		return false;
	seen->v6 = true;
	seen->label = ip->version_class_label;
	const struct icmp *icmp = (const struct icmp *)message;
	if (icmp->type == 128 && icmp->code == 1) {
		memcpy(seen->address.v6.own, ip->dst, 16);
		memcpy(seen->address.v6.peer, ip->src, 16);
		return read_request(self, message, message_len, seen);
	}
	if (!((icmp->type == 3 && icmp->code == 0) || icmp->type == 1) ||
	    message_len < sizeof *icmp + sizeof *ip + 8)
		return false;
	const struct ipv6 *inner = (const struct ipv6 *)(message + sizeof *icmp);
	if ((inner->version_class_label & htonl(0xf0000000)) != htonl(0x60000000) ||
	    memcmp(inner->src, ip->dst, 16))
		return false;
	memcpy(seen->address.v6.own, inner->src, 16);
	memcpy(seen->address.v6.peer, inner->dst, 16);
	memcpy(seen->address.v6.hop, ip->src, 16);
	seen->has_identification = false;
	return read_quoted((const uint8_t *)(inner + 1), inner->next_header, seen);
}

static inline bool look(const struct yardstick *self, const struct yardstick_frame *frame,
			struct seen *seen)
{
	const struct ethernet *link = (const struct ethernet *)frame->data;
	if (frame->len < sizeof *link || memcmp(link->dst, self->own_mac, MAC_LEN) ||
	    (link->src[0] & 1))
		return false;
	uint32_t len = frame->len - sizeof *link;
	bool known;
	if (link->type == htons(0x0800))
		known = look4(self, (const uint8_t *)(link + 1), len, seen);
	else if (link->type == htons(0x86dd))
		known = look6(self, (const uint8_t *)(link + 1), len, seen);
	else
		return false;
	if (!known)
		return false;
	place(self, seen);
	return true;
}

/* Writes link layer and IP header; returns what follows them. */
static inline uint8_t *write_headers(const struct yardstick *self, struct yardstick_frame *frame,
				     const struct seen *seen, uint8_t ttl, uint16_t payload,
				     uint8_t protocol, bool probe)
{
	struct ethernet *link = (struct ethernet *)frame->data;
	memcpy(link->dst, seen->mac, MAC_LEN);
	memcpy(link->src, self->own_mac, MAC_LEN);
	if (seen->v6) {
		struct ipv6 *ip = (struct ipv6 *)(link + 1);
		link->type = htons(0x86dd);
		*ip = (struct ipv6){
			.version_class_label = probe ? seen->label : htonl(0x60000000),
			.payload_length = htons(payload),
			.next_header = protocol,
			.hop_limit = ttl,
		};
		memcpy(ip->src, seen->address.v6.own, 16);
		memcpy(ip->dst, seen->address.v6.peer, 16);
		frame->len = sizeof *link + sizeof *ip + payload;
		return (uint8_t *)(ip + 1);
	}
	struct ipv4 *ip = (struct ipv4 *)(link + 1);
	link->type = htons(0x0800);
	*ip = (struct ipv4){
		.version_ihl = 0x45,
		.tos = probe ? seen->traffic_class : 0,
		.total_length = htons(sizeof *ip + payload),
		.identification = probe ? htons(seen->place.cookie >> 48) : 0,
		.fragment = probe ? 0 : htons(0x4000),
		.ttl = ttl,
		.protocol = protocol,
		.src = seen->address.v4.own,
		.dst = seen->address.v4.peer,
	};
	/* From the fields: what was just written octet by octet cannot yet be read in wider pieces. */
	uint64_t words = (uint64_t)(ip->version_ihl | ip->tos << 8) + ip->total_length +
			 ip->identification + ip->fragment + (ip->ttl | ip->protocol << 8);
	ip->checksum = ~folded(words + ip->src + ip->dst);
	frame->len = sizeof *link + sizeof *ip + payload;
	return (uint8_t *)(ip + 1);
}

/* The low six octets of the cookie, and two more that make the checksum right. */
static inline void balance(uint8_t *payload, uint64_t cookie, uint64_t before)
{
	uint64_t random = htobe64(cookie << 16);
	uint16_t rest = ~folded(before + (uint32_t)random + (random >> 32));
	random |= (uint64_t)rest << 48;
	memcpy(payload, &random, 8);
}

static inline void write_probe(const struct yardstick *self, struct yardstick_frame *frame,
			       const struct seen *seen)
{
	uint16_t len = seen->protocol == TCP ? SYN_LEN : PROBE_LEN;
	uint8_t protocol = number(seen->protocol, seen->v6);
	uint8_t *at = write_headers(self, frame, seen, seen->ttl, len, protocol, true);
	uint64_t before =
		seen->v6 ? pseudo(seen->address.v6.own, seen->address.v6.peer, protocol, len)
			 : pseudo4(seen->address.v4.own, seen->address.v4.peer, protocol, len);
	switch (seen->protocol) {
	case ICMP: {
		struct icmp *icmp = (struct icmp *)at;
		*icmp = (struct icmp){ seen->v6 ? 128 : 8, 0, htons(seen->flow),
				       htons(seen->identifier), 0xffff };
		balance(at + sizeof *icmp, seen->place.cookie,
			before + icmp->type + icmp->checksum + icmp->identifier + 0xffff);
		break;
	}
	case UDP: {
		struct udp *udp = (struct udp *)at;
		*udp = (struct udp){ htons(SOURCE_PORT), htons(seen->flow), htons(PROBE_LEN),
				     htons(seen->identifier) };
		balance(at + sizeof *udp, seen->place.cookie,
			before + udp->src_port + udp->dst_port + udp->length + udp->checksum);
		break;
	}
	case TCP: {
		struct tcp *tcp = (struct tcp *)at;
		uint32_t sequence =
			(uint32_t)(uint16_t)(seen->place.cookie >> 32) << 16 | seen->identifier;
		*tcp = (struct tcp){ .src_port = htons(SOURCE_PORT),
				     .dst_port = htons(seen->flow),
				     .sequence = htonl(sequence),
				     .data_offset = 6 << 4,
				     .flags = 2,
				     .window = htons(1024),
				     .mss = { 2, 4, 5, 0xb4 } };
		uint32_t mss;
		memcpy(&mss, (uint8_t[]){ 2, 4, 5, 0xb4 }, sizeof mss);
		tcp->checksum = ~folded(before + tcp->src_port + tcp->dst_port + tcp->sequence +
					(tcp->data_offset | tcp->flags << 8) + tcp->window + mss);
		break;
	}
	}
}

static inline void write_response(const struct yardstick *self, struct yardstick_frame *frame,
				  const struct seen *seen, uint16_t request, uint64_t age)
{
	uint8_t protocol = seen->v6 ? 58 : 1;
	struct response *response = (struct response *)write_headers(self, frame, seen, 64,
								     RESPONSE_LEN, protocol, false);
	uint64_t ns = (unsigned __int128)age * self->ns_per_tick >> 32;
	*response = (struct response){
		.icmp = { seen->v6 ? 129 : 0, 1, 0, htons(request), 0 },
		.rtt_ns = htonl(ns < UINT32_MAX - 1 ? ns : UINT32_MAX - 1),
	};
	if (seen->v6) {
		memcpy(response->address, seen->address.v6.hop, 16);
	} else {
		response->address[10] = response->address[11] = 0xff;
		memcpy(response->address + 12, &seen->address.v4.hop, 4);
	}
	uint64_t before = seen->v6 ? pseudo(seen->address.v6.own, seen->address.v6.peer, 58,
					    RESPONSE_LEN) +
					     sum(seen->address.v6.hop, 16, 0)
				   : 0xffff + (uint64_t)seen->address.v4.hop;
	response->icmp.checksum = ~folded(before + (response->icmp.type | 1 << 8) +
					  response->icmp.identifier + response->rtt_ns);
}

static inline enum insert ask(struct yardstick *self, struct seen *seen, uint64_t now)
{
	uint16_t requested = seen->identifier;
	for (uint64_t attempt = 1;; attempt++) {
		enum insert done = table_insert(&self->table, seen->place, requested, now);
		if (done != INSERT_CONFLICT || attempt > OTHER_IDENTIFIERS)
			return done;
		seen->identifier = other_identifier(self, seen, requested, attempt);
		place(self, seen);
	}
}

/* Prefetches that wait for their addresses to be translated wait together. */
#define TOGETHER 8

/* Inlined by force: gcc takes a function of prefetches alone for one without effect, and drops its calls. */
static inline __attribute__((always_inline)) void ask_memory(const struct yardstick *self, const struct seen *seen)
{
	struct bucket *pair[2];
	if (seen->what == NOTHING)
		return;
	table_pair(&self->table, seen->place, pair);
	__builtin_prefetch(pair[0], 1);
	if (seen->what == ASK)
		__builtin_prefetch(pair[1], 1);
}

/* Whether a quote lacks the keyed bits of its probe: the identification in either byte order, TCP's sequence. */
static inline bool is_forged(const struct seen *seen)
{
	uint16_t identification = seen->place.cookie >> 48;
	if (seen->has_identification && seen->identification != identification &&
	    seen->identification != __builtin_bswap16(identification))
		return true;
	return seen->has_sequence && seen->sequence != (uint16_t)(seen->place.cookie >> 32);
}

void yardstick_burst(struct yardstick *self, uint64_t now, struct yardstick_frame *frames,
		     uint32_t count, enum yardstick_counter *told)
{
	struct seen seen[BURST];
	uint32_t wanted = 0;
	for (uint32_t i = 0; i < count; i++) {
		seen[i].what = NOTHING;
		if (!look(self, &frames[i], &seen[i]))
			seen[i].what = NOTHING;
		if (i + 1 - wanted == TOGETHER || i + 1 == count) {
			for (; wanted <= i; wanted++)
				ask_memory(self, &seen[wanted]);
		}
	}
	/* The few answers whose entry is in its second bucket wait together. */
	for (uint32_t i = 0; i < count; i++) {
		struct bucket *pair[2];
		if (seen[i].what != MATCH)
			continue;
		table_pair(&self->table, seen[i].place, pair);
		if (!twins(pair[0], seen[i].place.place << 16))
			__builtin_prefetch(pair[1], 1);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (seen[i].what == NOTHING || frames[i].room < 128 ||
		    !(seen[i].mac = seen[i].v6 ? way6(self, seen[i].address.v6.peer)
					       : way(self, seen[i].address.v4.peer))) {
			frames[i].len = 0;
			told[i] = YARDSTICK_OTHER;
			continue;
		}
		if (seen[i].what == ASK) {
			if (ask(self, &seen[i], now) != INSERT_DONE) {
				frames[i].len = 0;
				told[i] = YARDSTICK_FULL;
				continue;
			}
			write_probe(self, &frames[i], &seen[i]);
			told[i] = YARDSTICK_PROBES;
			continue;
		}
		uint16_t request;
		uint64_t age;
		if (is_forged(&seen[i]) || !table_take(&self->table, seen[i].place, now, &request, &age)) {
			frames[i].len = 0;
			told[i] = YARDSTICK_UNMATCHED;
			continue;
		}
		write_response(self, &frames[i], &seen[i], request, age);
		told[i] = YARDSTICK_RESPONSES;
	}
}

void yardstick_process(struct yardstick *self, uint64_t now, struct yardstick_frame *frames,
		       uint32_t count)
{
	for (uint32_t start = 0; start < count; start += BURST) {
		enum yardstick_counter told[BURST];
		uint32_t n = count - start < BURST ? count - start : BURST;
		yardstick_burst(self, now, frames + start, n, told);
		for (uint32_t i = 0; i < n; i++)
			self->counters[told[i]]++;
	}
}

uint64_t yardstick_lines(uint64_t entries)
{
	return table_buckets(entries);
}

struct yardstick *yardstick_new(const struct yardstick_settings *settings, void *memory)
{
	struct yardstick *self = calloc(1, sizeof *self);
	if (!self)
		return NULL;
	self->table = (struct table){
		.buckets = memory,
		.count = table_buckets(settings->entries),
		.timeout = settings->timeout_ticks,
		.secret = { settings->secret[0], settings->secret[1] },
	};
	self->ns_per_tick = ((unsigned __int128)1000000000 << 32) / settings->hz;
	memcpy(self->own_mac, settings->own_mac, MAC_LEN);
	memcpy(&self->own, settings->own_v4, 4);
	memcpy(self->own6, settings->own_v6, 16);
	uint32_t mask = htonl(~0u << (32 - settings->prefix_v4));
	self->network = self->own & mask;
	self->broadcast = self->own | ~mask;
	self->routes[0] = (struct route){ .network = self->network, .mask = mask, .on_link = true };
	memcpy(self->routes[1].mac, settings->router_mac, MAC_LEN);
	self->routes6[0].on_link = true;
	uint8_t mask6[16] = { 0 };
	for (int bit = 0; bit < settings->prefix_v6; bit++)
		mask6[bit / 8] |= 0x80 >> bit % 8;
	memcpy(self->routes6[0].mask, mask6, 16);
	for (int i = 0; i < 2; i++)
		self->routes6[0].network[i] = self->own6[i] & self->routes6[0].mask[i];
	memcpy(self->routes6[1].mac, settings->router_mac, MAC_LEN);
	self->flows[ICMP] = (struct flows){ true, 0, UINT16_MAX, 0xbeaf };
	self->flows[TCP] = (struct flows){ true, 0, UINT16_MAX, 80 };
	self->flows[UDP] = (struct flows){ true, 0, UINT16_MAX, 53 };
	return self;
}

void yardstick_free(struct yardstick *self)
{
	free(self);
}

uint64_t yardstick_count(const struct yardstick *self, enum yardstick_counter counter)
{
	return self->counters[counter];
}

uint64_t *yardstick_counters(struct yardstick *self)
{
	return self->counters;
}
