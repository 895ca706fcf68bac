/* SPDX-License-Identifier: MIT */
/*
 * What a transmit descriptor asks for besides sending: a VLAN tag, checksums, and cutting
 * a TCP packet into segments. Every offset comes from the host, so each is checked
 * against the frame; what lies outside is left alone.
 */
#include <string.h>

#include "devices/igb.h"

#define TUCMD_IPV4    (1u << 10)
#define TUCMD_L4(t)   ((t) >> 11 & 3)
#define L4_UDP        0u
#define L4_TCP        1u
#define MAC_BYTES     12u /* two addresses: a tag goes behind them */
#define TCP_FIN_PSH   0x09u
#define TCP_SEQUENCE  4u
#define TCP_FLAGS     13u
#define TCP_CHECKSUM  16u
#define UDP_CHECKSUM  6u
#define IPV4_LENGTH   2u
#define IPV4_ID       4u
#define IPV4_CHECKSUM 10u
#define IPV6_LENGTH   4u
#define IPV6_HEADER   40u

uint32_t igb_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	uint64_t wide = sum;

	for (; n >= 2; p += 2, n -= 2)
		wide += igb_get16(p);
	if (n)
		wide += (uint32_t)p[0] << 8;
	while (wide >> 32)
		wide = (wide & 0xffffffff) + (wide >> 32);
	return (uint32_t)wide;
}

uint16_t igb_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* ---- one frame ------------------------------------------------------------------- */

/* The sum of [start, bytes) goes to @at, whose bytes count in it as they are. */
static void insert_sum(uint8_t *frame, uint32_t bytes, uint32_t start, uint32_t at)
{
	if (start > bytes || at + 2 > bytes)
		return;
	igb_put16(frame + at, igb_fold(igb_sum(frame + start, bytes - start, 0)));
}

static void ip_checksum(const struct igb_context *c, uint8_t *frame, uint32_t bytes)
{
	uint8_t *ip = frame + c->mac_length;

	if (c->mac_length + (uint32_t)c->ip_length > bytes ||
	    c->ip_length < IPV4_CHECKSUM + 2)
		return;
	igb_put16(ip + IPV4_CHECKSUM, 0);
	igb_put16(ip + IPV4_CHECKSUM, igb_fold(igb_sum(ip, c->ip_length, 0)));
}

/* The host has put the sum of the pseudo header where the checksum belongs. */
static void l4_checksum(const struct igb_context *c, uint8_t *frame, uint32_t bytes)
{
	uint32_t l4 = c->mac_length + (uint32_t)c->ip_length;
	uint32_t at = TUCMD_L4(c->tucmd) == L4_TCP ? TCP_CHECKSUM : UDP_CHECKSUM;

	if (TUCMD_L4(c->tucmd) > L4_TCP)
		return;
	insert_sum(frame, bytes, l4, l4 + at);
	/* A UDP checksum of 0 would say that there is none. */
	if (at == UDP_CHECKSUM && l4 + at + 2 <= bytes && !igb_get16(frame + l4 + at))
		igb_put16(frame + l4 + at, 0xffff);
}

static void checksums(const struct igb_desc *d, const struct igb_context *c,
		      uint8_t *frame, uint32_t bytes)
{
	if (d->command & TX_DEXT) {
		if (d->status & TX_IXSM && c->tucmd & TUCMD_IPV4)
			ip_checksum(c, frame, bytes);
		if (d->status & TX_TXSM)
			l4_checksum(c, frame, bytes);
	} else if (d->command & TX_INSERT_CSUM) {
		insert_sum(frame, bytes, d->status >> 8 & 0xff, d->command >> 16 & 0xff);
	}
}

/* g->frame has @bytes, and room for a tag. */
static uint32_t add_tag(struct igb *g, uint16_t tag, uint32_t bytes)
{
	uint32_t type;

	if (bytes < MAC_BYTES)
		return bytes;
	pthread_mutex_lock(&g->lock);
	type = *igb_reg(g, IGB_VET) & 0xffff;
	pthread_mutex_unlock(&g->lock);
	memmove(g->frame + MAC_BYTES + 4, g->frame + MAC_BYTES, bytes - MAC_BYTES);
	igb_put16(g->frame + MAC_BYTES, type);
	igb_put16(g->frame + MAC_BYTES + 2, tag);
	return bytes + 4;
}

static void finish(struct igb *g, const struct igb_desc *d, const struct igb_context *c,
		   uint32_t bytes)
{
	checksums(d, c, g->frame, bytes);
	if (d->command & TX_VLE)
		bytes = add_tag(g, c->vlan, bytes);
	igb_transmit(g, bytes, d->command & TX_IFCS);
}

/* ---- segments -------------------------------------------------------------------- */

/* Make the headers at the start of g->frame those of the segment at @offset. */
static void patch_headers(struct igb *g, const struct igb_context *c, uint32_t number,
			  uint32_t offset, uint32_t payload, bool last)
{
	uint8_t *ip = g->frame + c->mac_length, *tcp = ip + c->ip_length;
	uint32_t l4_bytes = c->l4_length + payload, seq, seed;

	if (c->tucmd & TUCMD_IPV4) {
		igb_put16(ip + IPV4_LENGTH, c->ip_length + l4_bytes);
		igb_put16(ip + IPV4_ID, igb_get16(ip + IPV4_ID) + number);
	} else {
		igb_put16(ip + IPV6_LENGTH, c->ip_length - IPV6_HEADER + l4_bytes);
	}
	/* The host could not put the length into the pseudo header's sum. */
	seed = igb_get16(tcp + TCP_CHECKSUM) + l4_bytes;
	igb_put16(tcp + TCP_CHECKSUM, (uint16_t)~igb_fold(seed));
	seq = igb_get16(tcp + TCP_SEQUENCE) << 16 | igb_get16(tcp + TCP_SEQUENCE + 2);
	seq += offset;
	igb_put16(tcp + TCP_SEQUENCE, seq >> 16);
	igb_put16(tcp + TCP_SEQUENCE + 2, seq & 0xffff);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
}

static bool can_segment(const struct igb_context *c, uint32_t headers, uint32_t bytes)
{
	uint32_t ip_min = c->tucmd & TUCMD_IPV4 ? IPV4_CHECKSUM + 2 : IPV6_HEADER;

	return TUCMD_L4(c->tucmd) == L4_TCP && c->mss && c->l4_length >= 20 &&
	       c->ip_length >= ip_min && headers < bytes &&
	       headers + c->mss <= IGB_FRAME_BYTES - 8;
}

static void segment(struct igb *g, const struct igb_desc *d, const struct igb_context *c,
		    uint32_t bytes)
{
	uint32_t headers = c->mac_length + (uint32_t)c->ip_length + c->l4_length;
	uint32_t number = 0;

	if (!can_segment(c, headers, bytes))
		return;
	for (uint32_t at = headers; at < bytes; at += c->mss, number++) {
		uint32_t n = bytes - at < c->mss ? bytes - at : c->mss;

		memcpy(g->frame, g->packet, headers);
		memcpy(g->frame + headers, g->packet + at, n);
		patch_headers(g, c, number, at - headers, n, at + n == bytes);
		finish(g, d, c, headers + n);
	}
	pthread_mutex_lock(&g->lock);
	igb_count(g, IGB_TSCTC, 1);
	pthread_mutex_unlock(&g->lock);
}

void igb_offload(struct igb *g, const struct igb_desc *first,
		 const struct igb_context *context, uint32_t bytes)
{
	if (first->command & TX_DEXT && first->command & TX_TSE) {
		segment(g, first, context, bytes);
		return;
	}
	if (bytes > IGB_FRAME_BYTES - 8)
		return;
	memcpy(g->frame, g->packet, bytes);
	finish(g, first, context, bytes);
}
