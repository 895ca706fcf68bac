/* SPDX-License-Identifier: MIT */
/*
 * Registers as 64-bit words, for models whose registers have all widths.
 *
 * An access of 1, 2, 4 or 8 naturally aligned bytes lies in one aligned word. The model
 * reads and writes words; `mask` has the bits of the bytes that the access covers, so a
 * narrow access touches the one register that it means, and a wide one several at once.
 */
#ifndef DEVICES_REGISTERS_H
#define DEVICES_REGISTERS_H

#include <stdint.h>

struct reg_access {
	uint64_t offset; /* of the word */
	uint64_t mask;
	uint64_t value; /* in place; 0 outside of `mask` */
};

static inline struct reg_access reg_access(uint64_t offset, unsigned size, uint64_t value)
{
	unsigned shift = (unsigned)(offset & 7) * 8;
	uint64_t mask = (size < 8 ? (UINT64_C(1) << size * 8) - 1 : UINT64_MAX) << shift;

	return (struct reg_access){offset & ~UINT64_C(7), mask, value << shift & mask};
}

/* What a read of @size bytes at @offset gives, out of the word that they lie in. */
static inline uint64_t reg_extract(uint64_t word, uint64_t offset, unsigned size)
{
	word >>= (offset & 7) * 8;
	return size < 8 ? word & ((UINT64_C(1) << size * 8) - 1) : word;
}

/* Put what was written into the bits of @reg that are both covered and @writable. */
static inline void reg_store(uint64_t *reg, const struct reg_access *a, uint64_t writable)
{
	uint64_t mask = a->mask & writable;

	*reg = (*reg & ~mask) | (a->value & mask);
}

/* Does the access cover the register of @bytes at byte @at of the word, at least partly?
 */
static inline int reg_covers(const struct reg_access *a, unsigned at, unsigned bytes)
{
	return (a->mask & reg_access(at, bytes, 0).mask) != 0;
}

/* The field of @bytes at byte @at of the word, as written; the rest of it is @old's. */
static inline uint64_t reg_field(const struct reg_access *a, unsigned at, unsigned bytes,
				 uint64_t old)
{
	uint64_t word = reg_access(at, bytes, old).value;

	reg_store(&word, a, UINT64_MAX);
	return reg_extract(word, at, bytes);
}

#endif
