/* SPDX-License-Identifier: MIT */
/*
 * See vectors.h.
 *
 * A register lies in pieces: bytes 0 to 15 in the SSE component, 16 to 31 in AVX's, 32 to
 * 63 in ZMM_Hi256; registers 16 to 31 wholly in Hi16_ZMM. Mask registers are in a
 * component of their own. A component that is not in use
 * (its bit in XSTATE_BV is clear) stands for zeroes, whatever its bytes are. Where
 * components lie is the CPU's to say.
 */
#include "cpu/vectors.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define LEGACY_XMM   160u
#define HEADER       512u
#define HEADER_BYTES 64u
#define AVX          2u
#define OPMASK       5u
#define ZMM_HI256    6u
#define HI16_ZMM     7u
#define SSE          1u
#define COMPONENTS   8u

struct piece {
	unsigned component;
	size_t offset;   /* in the area */
	size_t start, n; /* in the register */
};

static bool component_offset(unsigned component, size_t *offset, size_t *bytes)
{
	/*
	 * What the CPU answered: bytes << 32 | offset; 0: not asked yet. It answers the
	 * same for ever, and a hypervisor takes tens of microseconds for it.
	 */
	static _Atomic uint64_t answers[COMPONENTS];
	uint64_t answer;
	unsigned a, b, c, d;

	if (component == SSE) {
		*offset = LEGACY_XMM;
		*bytes = 16 * 16;
		return true;
	}
	answer = atomic_load_explicit(&answers[component], memory_order_relaxed);
	if (!answer) {
		if (!__get_cpuid_count(0xd, component, &a, &b, &c, &d) || !a)
			return false;
		answer = (uint64_t)a << 32 | b;
		atomic_store_explicit(&answers[component], answer, memory_order_relaxed);
	}
	*offset = (uint32_t)answer;
	*bytes = answer >> 32;
	return true;
}

static bool find_piece(const struct cpu_state *s, unsigned i, size_t start,
		       struct piece *p)
{
	unsigned in_component = i;
	size_t base, bytes;

	if (i >= 16) {
		*p = (struct piece){HI16_ZMM, 0, 0, VECTOR_BYTES};
		in_component = i - 16;
	} else if (start == 0) {
		*p = (struct piece){SSE, 0, 0, 16};
	} else if (start == 16) {
		*p = (struct piece){AVX, 0, 16, 16};
	} else {
		*p = (struct piece){ZMM_HI256, 0, 32, 32};
	}
	if (!component_offset(p->component, &base, &bytes) ||
	    base + bytes > s->xsave_bytes)
		return false;
	p->offset = base + in_component * p->n;
	return true;
}

static uint64_t in_use(const struct cpu_state *s)
{
	uint64_t bv;

	memcpy(&bv, s->xsave + HEADER, sizeof(bv));
	return bv;
}

static bool area_is_there(const struct cpu_state *s)
{
	return s->xsave && s->xsave_bytes >= HEADER + HEADER_BYTES;
}

bool vectors_get(const struct cpu_state *s, unsigned i, unsigned char v[VECTOR_BYTES])
{
	struct piece p;

	memset(v, 0, VECTOR_BYTES);
	if (!area_is_there(s))
		return false;
	for (size_t start = 0; start < VECTOR_BYTES; start = p.start + p.n) {
		/* A CPU without the upper parts has a shorter area. */
		if (!find_piece(s, i, start, &p))
			return start;
		if (in_use(s) >> p.component & 1)
			memcpy(v + p.start, s->xsave + p.offset, p.n);
	}
	return true;
}

static void use_component(struct cpu_state *s, unsigned component)
{
	uint64_t bv = in_use(s);
	size_t offset, bytes;

	if (bv >> component & 1 || !component_offset(component, &offset, &bytes))
		return;
	memset(s->xsave + offset, 0, bytes);
	bv |= UINT64_C(1) << component;
	memcpy(s->xsave + HEADER, &bv, sizeof(bv));
}

/* Where mask register @k lies. */
static bool find_mask(const struct cpu_state *s, unsigned k, size_t *offset)
{
	size_t bytes;

	if (k > 7 || !area_is_there(s) || !component_offset(OPMASK, offset, &bytes) ||
	    *offset + bytes > s->xsave_bytes)
		return false;
	*offset += k * sizeof(uint64_t);
	return true;
}

bool vectors_get_mask(const struct cpu_state *s, unsigned k, uint64_t *mask)
{
	size_t offset;

	*mask = 0;
	if (!find_mask(s, k, &offset))
		return false;
	if (in_use(s) >> OPMASK & 1)
		memcpy(mask, s->xsave + offset, sizeof(*mask));
	return true;
}

bool vectors_put_mask(struct cpu_state *s, unsigned k, uint64_t mask)
{
	size_t offset;

	if (!find_mask(s, k, &offset))
		return false;
	use_component(s, OPMASK);
	memcpy(s->xsave + offset, &mask, sizeof(mask));
	return true;
}

bool vectors_put(struct cpu_state *s, unsigned i, const unsigned char *v, size_t n)
{
	static const unsigned char zeroes[VECTOR_BYTES];
	struct piece p;

	if (!area_is_there(s))
		return false;
	for (size_t start = 0; start < n; start = p.start + p.n) {
		if (!find_piece(s, i, start, &p))
			/* What is not there is zero. */
			return start && !memcmp(v + start, zeroes, n - start);
		use_component(s, p.component);
		memcpy(s->xsave + p.offset, v + p.start,
		       p.n < n - p.start ? p.n : n - p.start);
	}
	return true;
}

#endif
