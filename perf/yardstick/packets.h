/* Packet formats and the Internet checksum. */
#ifndef PACKETS_H
#define PACKETS_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MAC_LEN 6

/* Protocols as the key has them. */
enum protocol { ICMP, TCP, UDP };

struct ethernet {
	uint8_t dst[MAC_LEN], src[MAC_LEN];
	uint16_t type;
} __attribute__((packed, aligned(2)));

struct ipv4 {
	uint8_t version_ihl, tos;
	uint16_t total_length, identification, fragment;
	uint8_t ttl, protocol;
	uint16_t checksum;
	uint32_t src, dst;
} __attribute__((packed, aligned(2)));

struct ipv6 {
	uint32_t version_class_label;
	uint16_t payload_length;
	uint8_t next_header, hop_limit;
	uint64_t src[2], dst[2];
} __attribute__((packed, aligned(2)));

struct icmp {
	uint8_t type, code;
	uint16_t checksum, identifier, sequence;
} __attribute__((packed, aligned(2)));

struct udp {
	uint16_t src_port, dst_port, length, checksum;
} __attribute__((packed, aligned(2)));

struct tcp {
	uint16_t src_port, dst_port;
	uint32_t sequence, acknowledgement;
	uint8_t data_offset, flags;
	uint16_t window, checksum, urgent;
	uint8_t mss[4];
} __attribute__((packed, aligned(2)));

struct request {
	struct icmp icmp;
	uint8_t ttl, protocol;
	uint16_t flow;
} __attribute__((packed, aligned(2)));

struct response {
	struct icmp icmp;
	uint8_t status, text_len;
	uint16_t value;
	uint8_t address[16];
	uint32_t rtt_ns, reserved;
} __attribute__((packed, aligned(2)));

static inline uint64_t sum(const void *bytes, uint32_t len, uint64_t start)
{
	const uint8_t *at = bytes;
	for (; len >= 4; len -= 4, at += 4) {
		uint32_t word;
		memcpy(&word, at, 4);
		start += word;
	}
	if (len) {
		uint32_t word = 0;
		memcpy(&word, at, len);
		start += word;
	}
	return start;
}

static inline uint16_t folded(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

static inline uint16_t number(enum protocol protocol, bool v6)
{
	return protocol == TCP ? 6 : protocol == UDP ? 17 : v6 ? 58 : 1;
}

static inline bool protocol_of(uint8_t number, bool v6, enum protocol *protocol)
{
	switch (number) {
	case 1:
		*protocol = ICMP;
		return !v6;
	case 58:
		*protocol = ICMP;
		return v6;
	case 6:
		*protocol = TCP;
		return true;
	case 17:
		*protocol = UDP;
		return true;
	default:
		return false;
	}
}

static inline uint64_t pseudo(const void *src, const void *dst, uint8_t protocol, uint16_t len)
{
	return sum(dst, 16, sum(src, 16, 0)) + htons(protocol) + htons(len);
}

static inline uint64_t pseudo4(uint32_t src, uint32_t dst, uint8_t protocol, uint16_t len)
{
	return protocol == 1 ? 0 : (uint64_t)src + dst + htons(protocol) + htons(len);
}

#endif
