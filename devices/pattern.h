/* SPDX-License-Identifier: MIT */
/*
 * Filling memory with a pattern of 8 bytes: a buffer full of it, written piece by piece.
 * Belongs to one worker, with the channel that it uses.
 */
#ifndef DEVICES_PATTERN_H
#define DEVICES_PATTERN_H

#include "uiommufd/device.h"

#define PATTERN_BYTES ((size_t)64 * 1024)

struct pattern {
	uint64_t value; /* what `bytes` is full of, in little-endian order */
	uint8_t *bytes; /* NULL: no memory was had */
};

/* 0 or -ENOMEM. */
int pattern_init(struct pattern *p);
void pattern_finish(struct pattern *p);

/* PATTERN_BYTES full of @value; good until the next call. */
const uint8_t *pattern_bytes(struct pattern *p, uint64_t value);

/*
 * Byte i of [@dst, @dst + @n) becomes byte i % 8 of @value. 0, or -EFAULT with *@fault:
 * the bytes before it are done.
 */
int pattern_fill(struct pattern *p, struct uiommufd_channel *ch, uint64_t dst,
		 uint64_t value, uint64_t n, struct uiommufd_fault *fault);

#endif
