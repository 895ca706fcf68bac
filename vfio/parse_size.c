/* SPDX-License-Identifier: MIT */
/*
 * Sizes as people write them: decimal digits, then nothing or one of K, M, G, T, which
 * are powers of 1024. No sign, no space, nothing behind it. 0 is a size.
 */
#include <errno.h>

#include "uiommufd/device.h"

static int suffix_shift(char c)
{
	switch (c) {
	case '\0':
		return 0;
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	case 'T':
	case 't':
		return 40;
	default:
		return -EINVAL;
	}
}

int uiommufd_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t value = 0;
	const char *p = text;
	bool overflow = false;
	int shift;

	for (; *p >= '0' && *p <= '9'; p++)
		overflow |= __builtin_mul_overflow(value, 10, &value) ||
			    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
	if (p == text)
		return -EINVAL;
	shift = suffix_shift(*p);
	if (shift < 0 || (shift && p[1]))
		return -EINVAL;
	if (overflow || value << shift >> shift != value)
		return -ERANGE;
	*bytes = value << shift;
	return 0;
}
