/* SPDX-License-Identifier: MIT */
/*
 * The calls of a type 1 container that an iommufd answers for the IOAS that was chosen,
 * and CHANGE_PROCESS. Only here areas are cut: where TYPE1 unmaps a part of one.
 */
#include "tests/model/ref.h"

#include <errno.h>
#include <string.h>

#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio_type1.h"

/* There is one process; all that can be wrong is memory that is no file's. */
void ref_change_process(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);

	for (uint32_t id = 1; ctx && id < ctx->top; id++) {
		const struct ref_ioas *ioas = ctx->obj[id].ioas;

		for (size_t i = 0; ioas && i < ioas->nr_areas; i++)
			if (ioas->areas[i].memory.kind != MEMORY_FILE)
				out->ret = -EINVAL;
	}
}

void ref_vfio_ioas(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint32_t id = ref_slot(r, op->obj);

	if (!ctx)
		return;
	switch (op->count) {
	case IOMMU_VFIO_IOAS_GET:
		out->ret = ctx->vfio_ioas ? 0 : -ENODEV;
		if (!out->ret)
			tell(out, ctx->vfio_ioas);
		break;
	case IOMMU_VFIO_IOAS_SET:
		out->ret = ref_obj(ctx, id, IOAS) ? 0 : -ENOENT;
		if (!out->ret)
			ctx->vfio_ioas = id;
		break;
	case IOMMU_VFIO_IOAS_CLEAR:
		ctx->vfio_ioas = 0;
		break;
	default:
		out->ret = -EOPNOTSUPP;
	}
}

void ref_type1_set(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);

	if (!ctx)
		return;
	if (op->value != VFIO_TYPE1_IOMMU && op->value != VFIO_TYPE1v2_IOMMU)
		out->ret = -EINVAL;
	else if (!ctx->vfio_ioas)
		out->ret = -ENODEV;
	else if (op->value == VFIO_TYPE1_IOMMU)
		out->ret = ref_large_off(r, ctx, ctx->vfio_ioas);
}

void ref_type1_map(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_memory m = {.kind = MEMORY_CLIENT, .start = op->start};
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint64_t flags = IOMMU_IOAS_MAP_FIXED_IOVA, iova = op->iova;

	if (!ctx)
		return;
	if (op->flags & ~(uint64_t)(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) {
		out->ret = -EINVAL;
		return;
	}
	if (op->flags & VFIO_DMA_MAP_FLAG_READ)
		flags |= IOMMU_IOAS_MAP_READABLE;
	if (op->flags & VFIO_DMA_MAP_FLAG_WRITE)
		flags |= IOMMU_IOAS_MAP_WRITEABLE;
	out->ret = ctx->vfio_ioas ? ref_check_client(op->start, op->length) : -ENODEV;
	if (!out->ret)
		out->ret = ref_map_memory(r, ctx, ctx->vfio_ioas, &m, op->length, flags,
					  &iova);
}

/* ---- unmap ------------------------------------------------------------------- */

static bool is_pinned(struct ref *r, struct ref_ctx *ctx, uint32_t ioas,
		      const struct ref_area *a)
{
	for (unsigned i = 0; i < NACCESSES; i++) {
		const struct ref_access *x = r->access[i];

		if (!x || x->ctx != ctx || x->ioas != ioas)
			continue;
		for (size_t k = 0; k < x->nr_pins; k++)
			if (x->pin[k].iova <= a->last &&
			    x->pin[k].iova + (x->pin[k].length - 1) >= a->iova)
				return true;
	}
	return false;
}

/* The area that goes on beyond @at becomes two. */
static int cut(struct ref *r, struct ref_ctx *ctx, uint32_t id, uint64_t at)
{
	struct ref_ioas *ioas = ctx->obj[id].ioas;
	uint64_t mask = ref_alignment(r, ctx, id) - 1;
	struct ref_area *a = (struct ref_area *)(uintptr_t)ref_area_at(ioas, at);
	uint64_t start;
	size_t i;

	if (!a || a->iova == at || a->last == at)
		return 0;
	if (a->memory.kind == MEMORY_BUF)
		return -EOPNOTSUPP;
	start = a->memory.start + (at + 1 - a->iova);
	if ((at + 1) & mask || start % PAGE & mask || is_pinned(r, ctx, id, a))
		return -EINVAL;
	i = (size_t)(a - ioas->areas);
	ioas->areas = ref_grow(ioas->areas, ioas->nr_areas, sizeof(ioas->areas[0]));
	a = &ioas->areas[i];
	memmove(a + 1, a, (ioas->nr_areas - i) * sizeof(*a));
	ioas->nr_areas++;
	a[0].last = at;
	a[1].iova = at + 1;
	a[1].memory.start = start;
	return 0;
}

void ref_type1_unmap(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint64_t last = op->iova + (op->length - 1), unmapped = 0;
	uint32_t id;

	if (!ctx)
		return;
	id = ctx->vfio_ioas;
	if (op->flags & ~(uint64_t)VFIO_DMA_UNMAP_FLAG_ALL) {
		out->ret = -EINVAL;
	} else if (!id) {
		out->ret = -ENODEV;
	} else if (op->flags) {
		out->ret =
			op->iova || op->length
				? -EINVAL
				: ref_unmap_range(r, ctx, id, 0, UINT64_MAX, &unmapped);
	} else {
		if (ctx->obj[id].ioas->large_off) {
			out->ret = cut(r, ctx, id, last);
			if (!out->ret && op->iova)
				out->ret = cut(r, ctx, id, op->iova - 1);
		}
		if (!out->ret && (!op->length || last < op->iova))
			out->ret = op->length ? -EOVERFLOW : -EINVAL;
		if (!out->ret)
			out->ret = ref_unmap_range(r, ctx, id, op->iova, last, &unmapped);
	}
	if (!out->ret)
		tell(out, unmapped);
}
