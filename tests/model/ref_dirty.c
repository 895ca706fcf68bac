/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking. A page table may hold pages that are side by side as one, which then
 * have one dirty bit. Which ones is its own business, except that an area's never join
 * with another's. So when a page is dirty, those of the same area may read as dirty, too;
 * and when it is read and cleared, dirty pages of the area that were not asked for may
 * have been cleared with it.
 */
#include "tests/model/ref.h"

#include <errno.h>

#include "selftest/abi.h"
#include "uiommufd/abi/iommufd.h"

/* What the selftest counts in. */
#define UNIT ((uint64_t)MOCK_PAGE_SIZE)

static const struct ref_ioas *ioas_of(const struct ref_ctx *ctx, const struct ref_obj *h)
{
	return ctx->obj[h->ioas_id].ioas;
}

void ref_dirty_forget(struct ref_obj *hwpt, uint64_t iova, uint64_t last)
{
	size_t kept = 0;

	for (size_t i = 0; i < hwpt->nr_dirty; i++)
		if (hwpt->dirty[i].iova < iova || hwpt->dirty[i].iova > last)
			hwpt->dirty[kept++] = hwpt->dirty[i];
	hwpt->nr_dirty = kept;
}

static void mark(struct ref_obj *h, uint64_t iova)
{
	ref_dirty_forget(h, iova, iova);
	h->dirty = ref_grow(h->dirty, h->nr_dirty, sizeof(h->dirty[0]));
	h->dirty[h->nr_dirty++] = (struct ref_dirty){.iova = iova, .sure = true};
}

void ref_dirty_write(struct ref_obj *hwpt, uint64_t iova)
{
	if (hwpt->tracking)
		mark(hwpt, iova & ~(UNIT - 1));
}

void ref_track(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	struct ref_obj *h;

	if (!ctx)
		return;
	h = ref_obj(ctx, ref_slot(r, op->obj), HWPT);
	if (op->flags & ~(uint64_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		out->ret = -EOPNOTSUPP;
	else if (!h)
		out->ret = -ENOENT;
	else if (!h->tracks)
		out->ret = -EOPNOTSUPP;
	if (out->ret)
		return;
	h->tracking = op->flags;
	if (h->tracking)
		ref_dirty_forget(h, 0, UINT64_MAX);
}

void ref_set_dirty(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint64_t count = 0;
	struct ref_obj *h;

	if (!ctx)
		return;
	out->ret = -EINVAL;
	if (!op->length || op->iova % UNIT || op->length % UNIT || op->length > 64 * UNIT)
		return;
	h = ref_obj(ctx, ref_slot(r, op->obj), HWPT);
	if (!h || !h->mock || !h->tracking) {
		out->ret = h ? -EINVAL : -ENOENT;
		return;
	}
	for (uint64_t i = 0; i < op->length / UNIT; i++) {
		const struct ref_area *a;

		if (!(op->value >> i & 1))
			continue;
		count++;
		a = ref_area_at(ioas_of(ctx, h), op->iova + i * UNIT);
		if (a && !a->memory.revoked)
			mark(h, op->iova + i * UNIT);
	}
	out->ret = 0;
	tell(out, count);
}

/* ---- reading ----------------------------------------------------------------- */

static int check_range(uint64_t iova, uint64_t length, uint64_t alignment, uint64_t page)
{
	uint64_t end = iova + length; /* may be 2^64 */

	if (!length)
		return -EINVAL;
	if (end - 1 < iova)
		return -EOVERFLOW;
	if ((iova | end) & (alignment - 1) || !page || (iova | end) & (page - 1))
		return -EINVAL;
	return 0;
}

/* The last byte that is mapped without a hole from @iova on; false: not even that one. */
static bool covered(const struct ref_ioas *ioas, uint64_t iova, uint64_t *last)
{
	const struct ref_area *a;
	bool any = false;

	for (uint64_t at = iova; (a = ref_area_at(ioas, at)); at = a->last + 1) {
		any = true;
		if (a->last >= *last)
			return true;
		if (a->last + 1 == 0)
			break;
		iova = a->last;
	}
	*last = iova;
	return any;
}

struct bits {
	uint64_t iova, last, page;
	struct outcome *out;
};

/* Bits of [iova, last] are set, or may be. */
static void set_bits(struct bits *b, uint64_t iova, uint64_t last, bool sure)
{
	uint64_t first;

	if (iova < b->iova)
		iova = b->iova;
	if (last > b->last)
		last = b->last;
	if (iova > last)
		return;
	first = (iova - b->iova) / b->page;
	for (uint64_t i = first; i <= (last - b->iova) / b->page && i / 64 < DIRTY_WORDS;
	     i++) {
		uint64_t bit = (uint64_t)1 << i % 64;

		if (sure)
			b->out->v[i / 64] |= bit;
		else
			b->out->any[i / 64] |= bit;
	}
}

void ref_dirty_get(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	struct bits b = {.iova = op->iova, .page = op->value, .out = out};
	const struct ref_ioas *ioas;
	struct ref_obj *h;
	size_t kept = 0;

	if (!ctx)
		return;
	h = ref_obj(ctx, ref_slot(r, op->obj), HWPT);
	if (op->flags & ~(uint64_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR)
		out->ret = -EOPNOTSUPP;
	else if (!h)
		out->ret = -ENOENT;
	else
		out->ret = check_range(op->iova, op->length,
				       ref_alignment(r, ctx, h->ioas_id), op->value);
	if (!out->ret && !h->tracks)
		out->ret = -EOPNOTSUPP;
	if (out->ret)
		return;
	for (unsigned i = 0; i < DIRTY_WORDS; i++)
		tell(out, 0);
	ioas = ioas_of(ctx, h);
	b.last = op->iova + (op->length - 1);
	if (!covered(ioas, op->iova, &b.last))
		return;
	for (size_t i = 0; i < h->nr_dirty; i++) {
		struct ref_dirty d = h->dirty[i];
		const struct ref_area *a = ref_area_at(ioas, d.iova);

		set_bits(&b, a->iova, a->last, false);
		if (d.sure)
			set_bits(&b, d.iova, d.iova + UNIT - 1, true);
		if (!op->flags && r->wrong != WRONG_DIRTY && a->iova <= b.last &&
		    a->last >= b.iova) {
			if (d.iova >= b.iova && d.iova <= b.last)
				continue;
			d.sure = false;
		}
		h->dirty[kept++] = d;
	}
	h->nr_dirty = kept;
	for (unsigned i = 0; i < DIRTY_WORDS; i++)
		out->any[i] &= ~out->v[i];
}
