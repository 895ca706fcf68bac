/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pattern.h"

int pattern_init(struct pattern *p)
{
	p->value = 0;
	p->bytes = calloc(1, PATTERN_BYTES);
	return p->bytes ? 0 : -ENOMEM;
}

void pattern_finish(struct pattern *p)
{
	free(p->bytes);
	p->bytes = NULL;
}

const uint8_t *pattern_bytes(struct pattern *p, uint64_t value)
{
	uint64_t wire = htole64(value);

	if (p->value == value)
		return p->bytes;
	for (size_t i = 0; i < PATTERN_BYTES; i += sizeof(wire))
		memcpy(p->bytes + i, &wire, sizeof(wire));
	p->value = value;
	return p->bytes;
}

static bool is_one_byte(uint64_t value)
{
	return value == (value & 0xff) * UINT64_C(0x0101010101010101);
}

int pattern_fill(struct pattern *p, struct uiommufd_channel *ch, uint64_t dst,
		 uint64_t value, uint64_t n, struct uiommufd_fault *fault)
{
	if (is_one_byte(value))
		return uiommufd_dma_fill(ch, dst, (uint8_t)value, n, fault);
	for (uint64_t done = 0; done < n; done += PATTERN_BYTES) {
		uint64_t piece = n - done < PATTERN_BYTES ? n - done : PATTERN_BYTES;
		int err = uiommufd_dma_write(ch, dst + done, pattern_bytes(p, value),
					     piece, fault);

		if (err)
			return err;
	}
	return 0;
}
