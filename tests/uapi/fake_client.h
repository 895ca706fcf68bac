/* SPDX-License-Identifier: MIT */
/*
 * A client whose memory is one array of pages at FAKE_BASE, some of them unreadable,
 * and that notes every access. It can change a byte behind the back of who reads it.
 */
#ifndef TESTS_UAPI_FAKE_CLIENT_H
#define TESTS_UAPI_FAKE_CLIENT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "uapi/client.h"
#include "uapi/table.h"

#define FAKE_PAGE  4096
#define FAKE_PAGES 4
#define FAKE_BASE  0x7f0000000000ULL
#define FAKE_BYTES (FAKE_PAGES * FAKE_PAGE)

struct fake_client {
	struct client client;
	unsigned char mem[FAKE_BYTES];
	unsigned reads[FAKE_BYTES];
	bool missing[FAKE_PAGES];
	unsigned copies_in, copies_out;
	/* After the first copy_in, put @value at @offset. */
	bool race;
	size_t race_offset;
	uint32_t race_value;
	struct uapi_trace trace;
	unsigned lines;
	char line[UAPI_TRACE_LINE];
};

static inline bool fake_readable(const struct fake_client *f, uint64_t va, uint64_t n)
{
	if (va < FAKE_BASE || va > FAKE_BASE + FAKE_BYTES ||
	    n > FAKE_BASE + FAKE_BYTES - va)
		return false;
	for (uint64_t i = va - FAKE_BASE; i < va - FAKE_BASE + n; i++)
		if (f->missing[i / FAKE_PAGE])
			return false;
	return true;
}

static inline int fake_copy_in(struct client *c, void *dst, uint64_t va, size_t n)
{
	struct fake_client *f = (struct fake_client *)c;

	f->copies_in++;
	if (!fake_readable(f, va, n))
		return -EFAULT;
	for (size_t i = 0; i < n; i++)
		f->reads[va - FAKE_BASE + i]++;
	memcpy(dst, f->mem + (va - FAKE_BASE), n);
	if (f->race && f->copies_in == 1)
		memcpy(f->mem + f->race_offset, &f->race_value, sizeof(f->race_value));
	return 0;
}

static inline int fake_copy_out(struct client *c, uint64_t va, const void *src, size_t n)
{
	struct fake_client *f = (struct fake_client *)c;

	f->copies_out++;
	if (!fake_readable(f, va, n))
		return -EFAULT;
	memcpy(f->mem + (va - FAKE_BASE), src, n);
	return 0;
}

static inline void fake_line(struct uapi_trace *t, const char *text)
{
	struct fake_client *f =
		(struct fake_client *)((char *)t - offsetof(struct fake_client, trace));

	f->lines++;
	strncpy(f->line, text, sizeof(f->line) - 1);
}

static inline void fake_client_init(struct fake_client *f)
{
	static const struct client_ops ops = {
		.copy_in = fake_copy_in,
		.copy_out = fake_copy_out,
	};

	memset(f, 0, sizeof(*f));
	f->client.ops = &ops;
	f->trace.line = fake_line;
}

#endif
