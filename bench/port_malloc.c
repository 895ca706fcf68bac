/* SPDX-License-Identifier: MIT */
/*
 * The part of core/'s port that its containers need, for benches of one of them: plain
 * malloc, no locks.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/port.h"

void *port_alloc(size_t size)
{
	return calloc(1, size);
}

void port_free(void *p)
{
	free(p);
}

void port_bug(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, what);
}
