/* The pending table of crates/pending, field by field: two buckets a key, four slots of 16 bytes a
 * bucket, tag (48 bits of fingerprint, 14 of version, 2 of state) and data (48 bits of send
 * time, 16 of request identifier), SipHash-1-3 of 128 bits. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define SLOTS 4
#define STATE 3ull
#define EMPTY 0ull
#define BUSY 1ull
#define LIVE 2ull
#define VERSION_ONE 4ull
#define VERSION (((1ull << 14) - 1) << 2)
#define FINGERPRINT (~0ull << 16)
#define TIME ((1ull << 48) - 1)
#define SPREAD 0x9e3779b97f4a7c15ull

struct slot {
	uint64_t tag, data;
};
struct bucket {
	struct slot slots[SLOTS];
} __attribute__((aligned(64)));

struct table {
	struct bucket *buckets;
	uint64_t count, timeout, secret[2];
};

struct place {
	uint64_t place, cookie;
};

enum insert { INSERT_DONE, INSERT_CONFLICT, INSERT_FULL };

static inline uint64_t table_buckets(uint64_t entries)
{
	uint64_t count = (entries * 2 + SLOTS - 1) / SLOTS;
	return count < 2 ? 2 : count;
}

static inline uint64_t rotated(uint64_t word, int bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotated(v[1], 13) ^ v[0];
	v[3] = rotated(v[3], 16) ^ v[2];
	v[0] = rotated(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotated(v[1], 17) ^ v[2];
	v[3] = rotated(v[3], 21) ^ v[0];
	v[2] = rotated(v[2], 32);
}

static inline uint64_t sip_squeeze(uint64_t v[4])
{
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline __attribute__((always_inline)) struct place
table_place(const struct table *self, const uint64_t *words, int count, uint64_t tail)
{
	uint64_t v[4] = {
		self->secret[0] ^ 0x736f6d6570736575ull,
		self->secret[1] ^ 0x646f72616e646f6dull ^ 0xee,
		self->secret[0] ^ 0x6c7967656e657261ull,
		self->secret[1] ^ 0x7465646279746573ull,
	};
	for (int i = 0; i < count; i++) {
		v[3] ^= words[i];
		sip_round(v);
		v[0] ^= words[i];
	}
	/* The last word: seven bytes more, and the length. */
	uint64_t last = (uint64_t)(count * 8 + 7) << 56 | tail;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xee;
	struct place place;
	place.place = sip_squeeze(v);
	v[1] ^= 0xdd;
	place.cookie = sip_squeeze(v);
	return place;
}

static inline uint64_t scaled(uint64_t random, uint64_t range)
{
	return (unsigned __int128)random * range >> 64;
}

static inline void table_pair(const struct table *self, struct place place, struct bucket *pair[2])
{
	uint64_t first = scaled(place.place, self->count);
	uint64_t second = first + scaled(place.place * SPREAD, self->count - 1) + 1;
	if (second >= self->count)
		second -= self->count;
	pair[0] = &self->buckets[first];
	pair[1] = &self->buckets[second];
}

/* UINT64_MAX for what is expired. */
static inline uint64_t table_age(const struct table *self, uint64_t data, uint64_t now)
{
	uint64_t age = (now - (data >> 16)) & TIME;
	if (age < self->timeout)
		return age;
	return age > TIME - self->timeout ? 0 : UINT64_MAX;
}

/* What an insert sees of a bucket: a bit for each slot, without a branch. */
struct survey {
	uint64_t tags[SLOTS];
	unsigned twins, vacant;
};

static inline void survey(const struct table *self, struct bucket *bucket, uint64_t fingerprint,
			  uint64_t now, struct survey *result)
{
	/* The live times end one time-out from now; the request's bits never borrow. */
	uint64_t end = (now + self->timeout) << 16 | 0xffff, span = self->timeout << 17;
	result->twins = result->vacant = 0;
	for (int i = 0; i < SLOTS; i++) {
		uint64_t tag = __atomic_load_n(&bucket->slots[i].tag, __ATOMIC_ACQUIRE);
		uint64_t data = __atomic_load_n(&bucket->slots[i].data, __ATOMIC_ACQUIRE);
		unsigned alive = end - data < span;
		unsigned taken = (tag | (tag >> 1 & alive)) & 1;
		result->tags[i] = tag;
		result->vacant |= (taken ^ 1) << i;
		result->twins |= (unsigned)((tag & FINGERPRINT) == fingerprint) << i;
	}
}

/* Slots with the fingerprint, expired ones included. */
static inline unsigned twins(const struct bucket *bucket, uint64_t fingerprint)
{
	unsigned set = 0;
	for (int i = 0; i < SLOTS; i++) {
		uint64_t tag = __atomic_load_n(&bucket->slots[i].tag, __ATOMIC_ACQUIRE);
		set |= (unsigned)((tag & FINGERPRINT) == fingerprint) << i;
	}
	return set;
}

static inline enum insert table_insert(struct table *self, struct place place, uint16_t request,
				       uint64_t now)
{
	struct bucket *pair[2];
	table_pair(self, place, pair);
	uint64_t fingerprint = place.place << 16;
	for (;;) {
		struct survey seen[2];
		int b = 0, i;
		survey(self, pair[0], fingerprint, now, &seen[0]);
		/* The common case: nobody has the key, and a slot is left when one is claimed. */
		if (__builtin_expect(!(seen[0].twins | twins(pair[1], fingerprint)) &&
					     (seen[0].vacant & (seen[0].vacant - 1)),
				     1)) {
			i = __builtin_ctz(seen[0].vacant);
		} else {
			survey(self, pair[1], fingerprint, now, &seen[1]);
			seen[0].twins &= ~seen[0].vacant;
			seen[1].twins &= ~seen[1].vacant;
			if (seen[0].twins | seen[1].twins) {
				b = !seen[0].twins;
				i = __builtin_ctz(seen[b].twins);
				if ((seen[b].tags[i] & STATE) == BUSY ||
				    (uint16_t)__atomic_load_n(&pair[b]->slots[i].data,
							      __ATOMIC_ACQUIRE) != request)
					return INSERT_CONFLICT;
			} else {
				int first = __builtin_popcount(seen[0].vacant);
				b = first < 2 && __builtin_popcount(seen[1].vacant) > first;
				if (!seen[b].vacant)
					return INSERT_FULL;
				i = __builtin_ctz(seen[b].vacant);
			}
		}
		struct slot *slot = &pair[b]->slots[i];
		uint64_t tag = seen[b].tags[i];
		uint64_t claimed = fingerprint | ((tag + VERSION_ONE) & VERSION) | BUSY;
		if (!__atomic_compare_exchange_n(&slot->tag, &tag, claimed, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
			continue;
		__atomic_store_n(&slot->data, now << 16 | request, __ATOMIC_RELEASE);
		__atomic_store_n(&slot->tag, (claimed & ~STATE) | LIVE, __ATOMIC_RELEASE);
		return INSERT_DONE;
	}
}

static inline bool table_take(struct table *self, struct place place, uint64_t now,
			      uint16_t *request, uint64_t *age)
{
	struct bucket *pair[2];
	table_pair(self, place, pair);
	uint64_t wanted = place.place << 16 | LIVE;
	for (int b = 0; b < 2; b++) {
		unsigned candidates = 0;
		for (int i = 0; i < SLOTS; i++) {
			uint64_t tag = __atomic_load_n(&pair[b]->slots[i].tag, __ATOMIC_ACQUIRE);
			candidates |= (unsigned)((tag & (FINGERPRINT | STATE)) == wanted) << i;
		}
		for (; candidates; candidates &= candidates - 1) {
			struct slot *slot = &pair[b]->slots[__builtin_ctz(candidates)];
			for (;;) {
				uint64_t seen = __atomic_load_n(&slot->tag, __ATOMIC_ACQUIRE);
				if ((seen & (FINGERPRINT | STATE)) != wanted)
					break;
				uint64_t data = __atomic_load_n(&slot->data, __ATOMIC_ACQUIRE);
				*age = table_age(self, data, now);
				if (*age == UINT64_MAX)
					break;
				*request = data;
				if (__atomic_compare_exchange_n(&slot->tag, &seen, seen & VERSION,
								false, __ATOMIC_ACQ_REL,
								__ATOMIC_RELAXED))
					return true;
			}
		}
	}
	return false;
}

#endif
