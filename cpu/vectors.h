/* SPDX-License-Identifier: MIT */
/* The vector registers in an XSAVE area of the standard format. */
#ifndef CPU_VECTORS_H
#define CPU_VECTORS_H

#include "cpu/emulate.h"

#define VECTOR_BYTES 64

/* All of register @i (0 to 31). False: the area does not hold it. */
bool vectors_get(const struct cpu_state *s, unsigned i, unsigned char v[VECTOR_BYTES]);
/* The first @n bytes of it: 16, 32 or 64. */
bool vectors_put(struct cpu_state *s, unsigned i, const unsigned char *v, size_t n);

/* Mask register @k. False: the area does not hold it. */
bool vectors_get_mask(const struct cpu_state *s, unsigned k, uint64_t *mask);
bool vectors_put_mask(struct cpu_state *s, unsigned k, uint64_t mask);

#endif
