/* SPDX-License-Identifier: MIT */
/* See alu.h. Flags that the architecture leaves undefined come out as zero. */
#include "cpu/alu.h"

static uint64_t top_bit(unsigned size)
{
	return UINT64_C(1) << (size * 8 - 1);
}

/* Sign, zero and parity of a result. */
static uint64_t result_flags(uint64_t r, unsigned size)
{
	uint64_t f = 0;

	if (r & top_bit(size))
		f |= FLAG_SF;
	if (!(r & alu_mask(size)))
		f |= FLAG_ZF;
	if (!(__builtin_popcountll(r & 0xff) & 1))
		f |= FLAG_PF;
	return f;
}

static void set(uint64_t *flags, uint64_t changed, uint64_t value)
{
	*flags = (*flags & ~changed) | (value & changed);
}

uint64_t alu_sign_extend(uint64_t value, unsigned size)
{
	uint64_t top = top_bit(size);

	value &= alu_mask(size);
	return (value ^ top) - top;
}

uint64_t alu_add(uint64_t a, uint64_t b, unsigned carry, unsigned size, uint64_t *flags)
{
	uint64_t mask = alu_mask(size), r, f;

	a &= mask;
	b &= mask;
	r = (a + b + carry) & mask;
	f = result_flags(r, size);
	if (r < a || (carry && r == a))
		f |= FLAG_CF;
	if ((a ^ r) & (b ^ r) & top_bit(size))
		f |= FLAG_OF;
	if ((a ^ b ^ r) & 0x10)
		f |= FLAG_AF;
	set(flags, FLAG_ALL, f);
	return r;
}

uint64_t alu_sub(uint64_t a, uint64_t b, unsigned borrow, unsigned size, uint64_t *flags)
{
	uint64_t mask = alu_mask(size), r, f;

	a &= mask;
	b &= mask;
	r = (a - b - borrow) & mask;
	f = result_flags(r, size);
	if (a < b || (borrow && a == b))
		f |= FLAG_CF;
	if ((a ^ b) & (a ^ r) & top_bit(size))
		f |= FLAG_OF;
	if ((a ^ b ^ r) & 0x10)
		f |= FLAG_AF;
	set(flags, FLAG_ALL, f);
	return r;
}

uint64_t alu_logic(uint64_t result, unsigned size, uint64_t *flags)
{
	result &= alu_mask(size);
	set(flags, FLAG_ALL, result_flags(result, size));
	return result;
}

uint64_t alu_imul(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
	__int128 wide = (__int128)(int64_t)alu_sign_extend(a, size) *
			(int64_t)alu_sign_extend(b, size);
	uint64_t r = (uint64_t)wide & alu_mask(size);
	bool lost = (int64_t)alu_sign_extend(r, size) != wide;

	set(flags, FLAG_ALL, result_flags(r, size) | (lost ? FLAG_CF | FLAG_OF : 0));
	return r;
}

/* @count is in 1 .. 63; beyond the width of @size everything is shifted out. */
static uint64_t shifted(enum alu_shift kind, uint64_t a, unsigned count, unsigned size,
			bool *carry)
{
	uint64_t wide = kind == ALU_SAR ? alu_sign_extend(a, size) : a;
	uint64_t before;

	if (kind == ALU_SHL) {
		before = a << (count - 1);
		*carry = before & top_bit(size);
		return before << 1;
	}
	if (kind == ALU_SAR) {
		before = (uint64_t)((int64_t)wide >> (count - 1));
		*carry = before & 1;
		return (uint64_t)((int64_t)before >> 1);
	}
	before = wide >> (count - 1);
	*carry = before & 1;
	return before >> 1;
}

static uint64_t rotated_left(uint64_t a, unsigned count, unsigned size)
{
	unsigned bits = size * 8;

	count %= bits;
	return count ? ((a << count) | (a >> (bits - count))) & alu_mask(size) : a;
}

static uint64_t rotate(enum alu_shift kind, uint64_t a, unsigned count, unsigned size,
		       uint64_t *flags)
{
	unsigned bits = size * 8, left = kind == ALU_ROL ? count : bits - count % bits;
	uint64_t r = rotated_left(a, left, size), f = 0;
	bool top = r & top_bit(size), next = r & top_bit(size) >> 1;

	if (kind == ALU_ROL ? r & 1 : top)
		f |= FLAG_CF;
	if (kind == ALU_ROL ? top != (bool)(r & 1) : top != next)
		f |= FLAG_OF;
	set(flags, FLAG_CF | FLAG_OF, f);
	return r;
}

uint64_t alu_shift(enum alu_shift kind, uint64_t a, unsigned count, unsigned size,
		   uint64_t *flags)
{
	uint64_t r, f;
	bool carry;

	a &= alu_mask(size);
	count &= size == 8 ? 63 : 31;
	if (!count)
		return a;
	if (kind == ALU_ROL || kind == ALU_ROR)
		return rotate(kind, a, count, size, flags);
	r = shifted(kind, a, count, size, &carry) & alu_mask(size);
	f = result_flags(r, size) | (carry ? FLAG_CF : 0);
	if (kind == ALU_SHL ? (bool)(r & top_bit(size)) != carry
			    : kind == ALU_SHR && a & top_bit(size))
		f |= FLAG_OF;
	set(flags, FLAG_ALL, f);
	return r;
}

bool alu_condition(unsigned number, uint64_t flags)
{
	bool sf_is_of = !(flags & FLAG_SF) == !(flags & FLAG_OF);
	bool held = false;

	switch (number >> 1) {
	case 0:
		held = flags & FLAG_OF;
		break;
	case 1:
		held = flags & FLAG_CF;
		break;
	case 2:
		held = flags & FLAG_ZF;
		break;
	case 3:
		held = flags & (FLAG_CF | FLAG_ZF);
		break;
	case 4:
		held = flags & FLAG_SF;
		break;
	case 5:
		held = flags & FLAG_PF;
		break;
	case 6:
		held = !sf_is_of;
		break;
	case 7:
		held = flags & FLAG_ZF || !sf_is_of;
		break;
	}
	return held != (number & 1);
}
