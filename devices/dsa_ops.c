/* SPDX-License-Identifier: MIT */
/*
 * What the operations do with memory. They run in an engine's worker, piece by piece, and
 * look between two pieces whether they are to be abandoned.
 */
#include <string.h>

#include "devices/dsa.h"

#define PIECE_BYTES (UINT64_C(1) << 20)

static const struct dsa_result success = {.status = DSA_OK};

/* The next piece of @left bytes. 0: there is none, or the descriptor is abandoned. */
static uint64_t next_piece(const struct dsa_engine *e, uint64_t left, uint64_t most)
{
	if (atomic_load(&e->abort))
		return 0;
	return left < most ? left : most;
}

/* A page that was asked for in vain is another error than one that was not. */
static uint8_t fault_status(const struct dsa_engine *e, const struct uiommufd_fault *f)
{
	bool paged =
		f->reason == UIOMMUFD_FAULT_UNMAPPED || f->reason == UIOMMUFD_FAULT_PERM;

	if (f->reason == UIOMMUFD_FAULT_ABORT)
		return f->write ? DSA_WRITE_ERROR : DSA_READ_ERROR;
	return (uint8_t)((e->asks && paged ? DSA_PAGE_DENIED : DSA_PAGE_FAULT) |
			 (f->write ? DSA_STATUS_WRITE : 0));
}

static struct dsa_result faulted(const struct dsa_engine *e,
				 const struct uiommufd_fault *fault, uint64_t completed)
{
	return (struct dsa_result){
		.status = fault_status(e, fault),
		.completed = (uint32_t)completed,
		.address = fault->iova,
	};
}

/* What was done of a piece that begins at @src and @dst when it faulted. */
static uint64_t before(const struct uiommufd_fault *fault, uint64_t src, uint64_t dst)
{
	return fault->iova - (fault->write ? dst : src);
}

/* ---- memory move ----------------------------------------------------------------- */

static bool overlap(const struct dsa_desc *d)
{
	return d->src - d->dst < d->size || d->dst - d->src < d->size;
}

static struct dsa_result copy(struct dsa_engine *e, const struct dsa_desc *d)
{
	struct uiommufd_fault fault;
	uint64_t at = 0, n;

	while ((n = next_piece(e, d->size - at, PIECE_BYTES))) {
		uint64_t src = d->src + at, dst = d->dst + at;

		if (uiommufd_dma_copy(e->dma, dst, src, n, &fault))
			return faulted(e, &fault, at + before(&fault, src, dst));
		at += n;
	}
	return at == d->size ? success : (struct dsa_result){0};
}

/* The ranges overlap: by a buffer, from the end that is not overwritten first. */
static struct dsa_result copy_overlapping(struct dsa_engine *e, const struct dsa_desc *d)
{
	bool backward = d->dst > d->src;
	struct uiommufd_fault fault;
	uint64_t done = 0, n;

	while ((n = next_piece(e, d->size - done, DSA_BUFFER_BYTES))) {
		uint64_t at = backward ? d->size - done - n : done;

		if (uiommufd_dma_read(e->dma, d->src + at, e->buffer[0], n, &fault) ||
		    uiommufd_dma_write(e->dma, d->dst + at, e->buffer[0], n, &fault)) {
			struct dsa_result r = faulted(e, &fault, done);

			r.result = backward;
			return r;
		}
		done += n;
	}
	return done == d->size ? success : (struct dsa_result){0};
}

static struct dsa_result dualcast(struct dsa_engine *e, const struct dsa_desc *d)
{
	struct uiommufd_fault fault;
	uint64_t at = 0, n;

	while ((n = next_piece(e, d->size - at, PIECE_BYTES))) {
		if (uiommufd_dma_copy(e->dma, d->dst + at, d->src + at, n, &fault) ||
		    uiommufd_dma_copy(e->dma, d->dst2 + at, d->src + at, n, &fault))
			return faulted(e, &fault, at);
		at += n;
	}
	return at == d->size ? success : (struct dsa_result){0};
}

/* ---- fill ------------------------------------------------------------------------ */

/* Pieces are multiples of 8: the pattern always starts anew. */
static struct dsa_result fill(struct dsa_engine *e, const struct dsa_desc *d)
{
	struct uiommufd_fault fault;
	uint64_t at = 0, n;

	while ((n = next_piece(e, d->size - at, PIECE_BYTES))) {
		uint64_t dst = d->dst + at;

		if (pattern_fill(&e->pattern, e->dma, dst, d->src, n, &fault))
			return faulted(e, &fault, at + before(&fault, 0, dst));
		at += n;
	}
	return at == d->size ? success : (struct dsa_result){0};
}

/* ---- compare --------------------------------------------------------------------- */

/* The first of @n bytes that differs; @n if none does. */
static uint64_t difference(const uint8_t *a, const uint8_t *b, uint64_t n)
{
	uint64_t i = 0;

	if (!memcmp(a, b, n))
		return n;
	while (a[i] == b[i])
		i++;
	return i;
}

/* What to compare the source with: other memory, or the pattern. */
static const uint8_t *second_side(struct dsa_engine *e, const struct dsa_desc *d,
				  uint64_t at, uint64_t n, struct uiommufd_fault *fault)
{
	if (d->opcode == DSA_COMPARE_PATTERN)
		return pattern_bytes(&e->pattern, d->dst);
	if (uiommufd_dma_read(e->dma, d->dst + at, e->buffer[1], n, fault))
		return NULL;
	return e->buffer[1];
}

static struct dsa_result compared(const struct dsa_desc *d, uint8_t result,
				  uint64_t completed)
{
	bool expected = result == (d->dst2 & 1);

	return (struct dsa_result){
		.status = d->flags & DSA_FLAG_CHECK_RESULT && !expected ? DSA_OK_PREDICATE
									: DSA_OK,
		.result = result,
		.completed = (uint32_t)completed,
	};
}

_Static_assert(DSA_BUFFER_BYTES <= PATTERN_BYTES, "a piece of the pattern");

static struct dsa_result compare(struct dsa_engine *e, const struct dsa_desc *d)
{
	struct uiommufd_fault fault;
	uint64_t at = 0, n;

	while ((n = next_piece(e, d->size - at, DSA_BUFFER_BYTES))) {
		const uint8_t *other;
		uint64_t same;

		if (uiommufd_dma_read(e->dma, d->src + at, e->buffer[0], n, &fault))
			return faulted(e, &fault, at);
		other = second_side(e, d, at, n, &fault);
		if (!other)
			return faulted(e, &fault, at);
		same = difference(e->buffer[0], other, n);
		at += same;
		if (same < n)
			return compared(d, 1, at);
	}
	return at == d->size ? compared(d, 0, 0) : (struct dsa_result){0};
}

struct dsa_result dsa_execute(struct dsa_engine *e, const struct dsa_desc *d)
{
	switch (d->opcode) {
	case DSA_MEMMOVE:
		return overlap(d) ? copy_overlapping(e, d) : copy(e, d);
	case DSA_DUALCAST:
		return dualcast(e, d);
	case DSA_FILL:
		return fill(e, d);
	case DSA_COMPARE:
	case DSA_COMPARE_PATTERN:
		return compare(e, d);
	default: /* nothing to move, and no cache to flush */
		return success;
	}
}
