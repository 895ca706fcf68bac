/* SPDX-License-Identifier: MIT */
/* What calls are made of. */
#include "tests/model/gen_pick.h"

#include "selftest/abi.h"
#include "uiommufd/abi/iommufd.h"

/* ---- random numbers ---------------------------------------------------------- */

uint64_t rnd(struct gen *g)
{
	uint64_t z = g->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t below(struct gen *g, uint64_t n)
{
	return rnd(g) % n;
}

bool chance(struct gen *g, unsigned one_in)
{
	return !below(g, one_in);
}

/* ---- what there is ----------------------------------------------------------- */

struct ref_ctx *pick_ctx(struct gen *g, struct op *op)
{
	op->ctx = chance(g, 12);
	if (!g->ref->ctx[op->ctx] && !chance(g, 30))
		op->ctx = !op->ctx;
	return g->ref->ctx[op->ctx];
}

bool is_type(const struct ref_obj *o, unsigned types)
{
	return o && types & 1u << o->type;
}

bool is_low(uint64_t slot)
{
	return slot & 1;
}

uint64_t pick_slot(struct gen *g, struct ref_ctx *ctx, unsigned types)
{
	uint64_t found[NSLOTS];
	size_t n = 0;

	for (uint64_t i = 0; ctx && i < NSLOTS; i++)
		if (is_type(ref_obj_any(ctx, ref_slot(g->ref, i)), types))
			found[n++] = i;
	if (!n || chance(g, 40))
		return below(g, NSLOTS);
	return found[below(g, n)];
}

uint64_t pick_ioas(struct gen *g, struct ref_ctx *ctx, bool low)
{
	uint64_t slot = 0;

	for (unsigned tries = 0; tries < 6; tries++) {
		slot = pick_slot(g, ctx, T(IOAS));
		if (is_low(slot) == low)
			break;
	}
	return slot;
}

uint64_t pick_full(struct gen *g, struct ref_ctx *ctx)
{
	uint64_t slot = 0;

	for (unsigned tries = 0; tries < 4; tries++) {
		const struct ref_obj *o;

		slot = pick_slot(g, ctx, T(IOAS));
		o = ctx ? ref_obj(ctx, ref_slot(g->ref, slot), IOAS) : NULL;
		if (o && o->ioas->nr_areas > 1)
			break;
	}
	return slot;
}

uint64_t pick_tracker(struct gen *g, struct ref_ctx *ctx)
{
	uint64_t slot = 0;

	for (unsigned tries = 0; ctx && tries < 12; tries++) {
		const struct ref_obj *o;

		slot = pick_slot(g, ctx, T(HWPT));
		o = ref_obj(ctx, ref_slot(g->ref, slot), HWPT);
		if (o && o->tracks)
			break;
	}
	return slot;
}

uint64_t free_slot(struct gen *g)
{
	for (unsigned tries = 0; tries < 2 * NSLOTS; tries++) {
		uint64_t i = below(g, NSLOTS);
		uint32_t id = ref_slot(g->ref, i);
		bool live = false;

		for (unsigned c = 0; c < NCTX; c++)
			live |= g->ref->ctx[c] && ref_obj_any(g->ref->ctx[c], id);
		if (!live)
			return i;
	}
	return below(g, NSLOTS);
}

struct ref_ioas *ioas_in(struct gen *g, struct ref_ctx *ctx, uint64_t slot)
{
	struct ref_obj *o = ctx ? ref_obj(ctx, ref_slot(g->ref, slot), IOAS) : NULL;

	return o ? o->ioas : NULL;
}

struct ref_ioas *ioas_behind(struct gen *g, struct ref_ctx *ctx, uint64_t slot)
{
	struct ref_obj *o = ctx ? ref_obj(ctx, ref_slot(g->ref, slot), HWPT) : NULL;

	return o && o->ioas_id ? ctx->obj[o->ioas_id].ioas : NULL;
}

uint64_t pick_buf(struct gen *g)
{
	for (unsigned tries = 0; tries < 8; tries++) {
		uint64_t i = below(g, NBUFS);

		if (g->ref->buf_slot[i] >= 0)
			return i;
	}
	return below(g, NBUFS);
}

uint64_t pick_dev(struct gen *g)
{
	for (unsigned tries = 0; tries < 6; tries++) {
		uint64_t i = below(g, NDEV_FILES);
		const struct ref_dev *d = &g->ref->dev[i % NDEVS];

		if (d->ctx && d->file == i)
			return i;
	}
	return below(g, NDEV_FILES);
}

unsigned pick_master(struct gen *g)
{
	for (unsigned tries = 0; tries < 6; tries++) {
		unsigned i = (unsigned)below(g, NDEVS);
		const struct ref_dev *d = &g->ref->dev[i];

		if (d->ctx && d->group->hwpt && d->command & COMMAND_MASTER)
			return i;
	}
	return (unsigned)below(g, NDEVS);
}

const struct ref_ioas *ioas_of_dev(const struct ref_dev *d)
{
	const struct ref_obj *o =
		d->ctx && d->group->hwpt ? &d->ctx->obj[d->group->hwpt] : NULL;

	return o && o->ioas_id ? d->ctx->obj[o->ioas_id].ioas : NULL;
}

/* ---- numbers ----------------------------------------------------------------- */

uint64_t odd_number(struct gen *g)
{
	static const uint64_t v[] = {
		0,
		1,
		2047,
		2048,
		4095,
		PAGE,
		MIB(2),
		(uint64_t)1 << 31,
		(uint64_t)1 << 32,
		(uint64_t)1 << 38,
		(uint64_t)1 << 47,
		(uint64_t)1 << 48,
		(uint64_t)1 << 63,
		UINT64_MAX / 2,
		UINT64_MAX - 4095,
		UINT64_MAX - 1,
		UINT64_MAX,
	};

	return v[below(g, ARRAY_LEN(v))];
}

uint64_t crumb(struct gen *g)
{
	return chance(g, 2) ? below(g, 8) * 512 : below(g, PAGE);
}

uint64_t low_iova(struct gen *g)
{
	uint64_t iova = MOCK_APERTURE_START + below(g, 96) * PAGE;

	if (chance(g, 30))
		iova += 512 * below(g, 8);
	return chance(g, 30) ? iova - 8 * PAGE : iova;
}

uint64_t some_iova(struct gen *g)
{
	static const uint64_t bases[] = {
		0,
		16 * PAGE,
		MIB(2) - 8 * PAGE,
		MOCK_APERTURE_START - 4 * PAGE,
		MOCK_APERTURE_START,
		MOCK_APERTURE_START,
		MOCK_APERTURE_START + MIB(2),
		(uint64_t)MOCK_APERTURE_LAST + 1 - 16 * PAGE,
		MSI_FIRST - 8 * PAGE,
		MSI_LAST + 1 - 4 * PAGE,
		((uint64_t)1 << 38) - 4 * PAGE,
		((uint64_t)1 << 48) - 8 * PAGE,
		UINT64_MAX - 63 * PAGE + 1,
	};
	uint64_t iova = bases[below(g, ARRAY_LEN(bases))] + below(g, 64) * PAGE;

	if (chance(g, 24))
		iova += crumb(g);
	return chance(g, 100) ? odd_number(g) : iova;
}

uint64_t some_length(struct gen *g)
{
	uint64_t n = (1 + below(g, chance(g, 4) ? 24 : 4)) * PAGE;

	if (chance(g, 16))
		n = crumb(g);
	if (chance(g, 40))
		n = MIB(2) + below(g, 4) * PAGE;
	return chance(g, 100) ? odd_number(g) : n;
}

const struct ref_area *some_area(struct gen *g, const struct ref_ioas *ioas,
				 unsigned kinds)
{
	const struct ref_area *a = NULL;

	for (unsigned tries = 0; ioas && ioas->nr_areas && tries < 4; tries++) {
		a = &ioas->areas[below(g, ioas->nr_areas)];
		if (kinds & 1u << a->memory.kind)
			break;
	}
	return a;
}

void some_range(struct gen *g, const struct ref_ioas *ioas, unsigned kinds,
		uint64_t *iova, uint64_t *length)
{
	const struct ref_area *a = some_area(g, ioas, kinds);
	uint64_t last;

	*iova = some_iova(g);
	*length = some_length(g);
	if (!a || chance(g, 10))
		return;
	*iova = a->iova;
	last = a->last;
	/* On to a neighbour? */
	for (; a + 1 < ioas->areas + ioas->nr_areas && chance(g, 3); a++)
		last = a[1].last;
	*length = last - *iova + 1;
	switch (below(g, 16)) {
	case 0: /* a part */
	case 1:
	case 2:
		*iova += below(g, *length / PAGE + 1) * PAGE;
		*length = 1 + below(g, 3 * PAGE);
		break;
	case 3:
		*length += PAGE;
		break;
	case 4:
		*iova -= *iova >= PAGE ? PAGE : 0;
		*length += PAGE;
		break;
	case 5:
		*length -= *length > PAGE ? PAGE : 0;
		break;
	case 6:
		*length += crumb(g);
		break;
	case 7:
		*iova += crumb(g);
		break;
	default:
		break;
	}
}

uint64_t map_iova(struct gen *g, const struct ref_ioas *ioas, uint64_t slot)
{
	const struct ref_area *a = some_area(g, ioas, MEMORY_ANY);

	if (!a || chance(g, 3))
		return is_low(slot) && !chance(g, 30) ? low_iova(g) : some_iova(g);
	return chance(g, 2) ? a->last + 1 : a->iova - below(g, 4) * PAGE;
}

uint64_t map_flags(struct gen *g)
{
	uint64_t flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;

	if (chance(g, 4))
		flags = below(g, 4) << 1;
	if (!chance(g, 4))
		flags |= IOMMU_IOAS_MAP_FIXED_IOVA;
	return chance(g, 60) ? flags | 8 : flags;
}
