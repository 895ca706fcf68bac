/* SPDX-License-Identifier: MIT */
/* What memory holds at first, sums of it, and what writes consist of. */
#include "tests/model/world.h"

#include <string.h>

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

void world_pattern(uint64_t value, uint8_t *bytes, uint64_t length)
{
	uint64_t word = 0;

	for (uint64_t i = 0; i < length; i++) {
		if (i % 8 == 0)
			word = mix(value + i);
		bytes[i] = (uint8_t)(word >> 8 * (i % 8));
	}
}

/* A page has one byte; neighbours, and the same pages of other regions, differ. */
void world_fill(unsigned region, uint8_t *bytes)
{
	uint64_t n = region_bytes(region);

	for (uint64_t at = 0; at < n; at += PAGE)
		memset(bytes + at, (int)(mix(at / PAGE + region * 1000) & 0xff),
		       n - at < PAGE ? n - at : PAGE);
}

uint64_t world_sum(const uint8_t *bytes, uint64_t n)
{
	uint64_t sum = 0xcbf29ce484222325ull ^ n;
	uint64_t word, i;

	for (i = 0; i + 8 <= n; i += 8) {
		memcpy(&word, bytes + i, 8);
		sum = (sum ^ word) * 0x100000001b3ull;
		sum ^= sum >> 29;
	}
	for (; i < n; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3ull;
	return sum;
}
