/* SPDX-License-Identifier: MIT */
/* The generator. */
#include "tests/model/gen_pick.h"

#include "selftest/abi.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio_type1.h"

/* ---- iommufd ----------------------------------------------------------------- */

static void gen_ctx(struct gen *g, struct op *op)
{
	op->ctx = below(g, NCTX);
}

static void gen_ioas_alloc(struct gen *g, struct op *op)
{
	pick_ctx(g, op);
	op->slot = free_slot(g);
	op->flags = chance(g, 20);
}

static void gen_destroy(struct gen *g, struct op *op)
{
	static const unsigned types[] = {T(IOAS), T(HWPT) | T(NESTED), T(STDEV),
					 T(DEVICE) | T(ACCESS), ~0u};
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->obj = pick_slot(g, ctx, types[below(g, ARRAY_LEN(types))]);
}

static void gen_ranges(struct gen *g, struct op *op)
{
	op->obj = pick_slot(g, pick_ctx(g, op), T(IOAS));
	op->count = chance(g, 4) ? below(g, 4) : RANGES_MAX;
}

static void gen_allow(struct gen *g, struct op *op)
{
	op->obj = pick_slot(g, pick_ctx(g, op), T(IOAS));
	op->count = below(g, 3);
	op->iova = some_iova(g);
	op->length = below(g, 64) * PAGE;
	op->iova2 = chance(g, 4) ? op->iova + op->length : some_iova(g);
	op->value = below(g, 64) * PAGE;
}

static void gen_map(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->obj = pick_slot(g, ctx, T(IOAS));
	op->flags = map_flags(g);
	op->start = below(g, 64) * PAGE;
	if (chance(g, 4))
		op->start = below(g, 120) * PAGE;
	if (chance(g, 16))
		op->start += crumb(g);
	if (chance(g, 200))
		op->start = UINT64_MAX - below(g, 8) * PAGE;
	op->length = some_length(g);
	op->iova = map_iova(g, ioas_in(g, ctx, op->obj), op->obj);
}

static uint64_t some_file(struct gen *g)
{
	if (chance(g, 30))
		return FILE_OF(below(g, 6), below(g, 8));
	return chance(g, 2) ? FILE_OF(FILE_BUF, pick_buf(g))
			    : FILE_OF(FILE_MEM, below(g, NFILES_MEM));
}

static void gen_map_file(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->obj = pick_slot(g, ctx, T(IOAS));
	op->flags = map_flags(g);
	op->file = some_file(g);
	op->start = below(g, chance(g, 4) ? 32 : 5) * PAGE;
	if (chance(g, 20))
		op->start += crumb(g);
	op->length = some_length(g);
	if (FILE_KIND(op->file) == FILE_MEM && FILE_INDEX(op->file) == 3 &&
	    chance(g, 2)) {
		op->start = 0;
		op->length = MIB(2);
	}
	if (chance(g, 200))
		op->start = odd_number(g);
	op->iova = map_iova(g, ioas_in(g, ctx, op->obj), op->obj);
	if (op->length == MIB(2) && chance(g, 2))
		op->iova = op->iova / MIB(2) * MIB(2);
}

static void gen_copy(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->obj = pick_full(g, ctx);
	op->pt = pick_slot(g, ctx, T(IOAS));
	op->flags = map_flags(g);
	some_range(g, ioas_in(g, ctx, op->obj), MEMORY_ANY, &op->iova2, &op->length);
	op->iova = map_iova(g, ioas_in(g, ctx, op->pt), op->pt);
}

static void gen_unmap(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->obj = pick_full(g, ctx);
	some_range(g, ioas_in(g, ctx, op->obj), MEMORY_ANY, &op->iova, &op->length);
	if (chance(g, 80)) {
		op->iova = 0;
		op->length = UINT64_MAX;
	}
}

static void gen_option(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->obj = chance(g, 4) ? NSLOTS : pick_slot(g, ctx, T(IOAS));
	op->count = chance(g, 20) ? below(g, 5) : op->obj != NSLOTS;
	op->flags = chance(g, 20) ? below(g, 5) : below(g, 2);
	op->value = chance(g, 10) ? below(g, 4) : below(g, 2);
}

static const struct ref_dev *dev_in(struct gen *g, struct ref_ctx *ctx, uint64_t slot)
{
	const struct ref_obj *o =
		ctx ? ref_obj(ctx, ref_slot(g->ref, slot), DEVICE) : NULL;

	return o ? &g->ref->dev[o->index] : NULL;
}

static void gen_hwpt_alloc(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);
	const struct ref_dev *d;
	bool mock;

	op->slot = free_slot(g);
	op->obj = pick_slot(g, ctx, T(DEVICE));
	d = dev_in(g, ctx, op->obj);
	mock = d && d->mock;
	op->pt = chance(g, 4) ? pick_slot(g, ctx, T(HWPT)) : pick_ioas(g, ctx, mock);
	if (d && d->tracks)
		op->flags = below(g, 2) * IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	if (mock) {
		op->flags |= below(g, 2) * IOMMU_HWPT_ALLOC_NEST_PARENT;
		op->value = below(g, 3);
	}
	if (chance(g, 4))
		op->flags = below(g, 16);
	if (chance(g, 40))
		op->flags |= 16;
	if (chance(g, 8))
		op->value = below(g, NDATA);
}

static void gen_track(struct gen *g, struct op *op)
{
	op->obj = pick_tracker(g, pick_ctx(g, op));
	op->flags = chance(g, 20) ? 2 : !chance(g, 4);
}

static void gen_dirty_get(struct gen *g, struct op *op)
{
	static const uint64_t pages[] = {2048,     PAGE, PAGE,   PAGE,
					 2 * PAGE, 512,  MIB(2), 0};
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->obj = pick_tracker(g, ctx);
	some_range(g, ioas_behind(g, ctx, op->obj), MEMORY_ANY, &op->iova, &op->length);
	op->value = pages[below(g, ARRAY_LEN(pages))];
	op->flags = chance(g, 20) ? 2 : below(g, 2);
}

static void gen_malformed(struct gen *g, struct op *op)
{
	pick_ctx(g, op);
	op->count = below(g, 10);
	op->value = below(g, NMALFORMED);
}

static void gen_change_process(struct gen *g, struct op *op)
{
	pick_ctx(g, op);
}

static void gen_vfio_ioas(struct gen *g, struct op *op)
{
	op->obj = pick_slot(g, pick_ctx(g, op), T(IOAS));
	op->count = chance(g, 4) ? below(g, 4) : IOMMU_VFIO_IOAS_SET;
}

static void gen_type1_set(struct gen *g, struct op *op)
{
	pick_ctx(g, op);
	op->value = chance(g, 10) ? below(g, 9) : VFIO_TYPE1_IOMMU;
}

static const struct ref_ioas *type1_ioas(const struct ref_ctx *ctx)
{
	return ctx && ctx->vfio_ioas ? ctx->obj[ctx->vfio_ioas].ioas : NULL;
}

static void gen_type1_map(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->flags = 1 + below(g, 3);
	if (chance(g, 40))
		op->flags |= 4;
	op->start = below(g, chance(g, 6) ? 120 : 64) * PAGE;
	op->length = some_length(g);
	op->iova = map_iova(g, type1_ioas(ctx), 1);
}

/* Parts of areas more often than not. */
static void gen_type1_unmap(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	some_range(g, type1_ioas(ctx), MEMORY_PINNED, &op->iova, &op->length);
	if (chance(g, 2) && op->length > PAGE) {
		op->iova += below(g, op->length / PAGE) * PAGE;
		op->length = (1 + below(g, 3)) * PAGE;
	}
	if (chance(g, 40)) {
		op->flags = VFIO_DMA_UNMAP_FLAG_ALL;
		op->iova = chance(g, 4);
		op->length = 0;
	}
}

/* ---- devices ----------------------------------------------------------------- */

static void gen_dev_file(struct gen *g, struct op *op)
{
	op->dev = below(g, NDEV_FILES);
}

static void gen_dev(struct gen *g, struct op *op)
{
	op->dev = pick_dev(g);
}

static void gen_bind(struct gen *g, struct op *op)
{
	op->dev = below(g, NDEV_FILES);
	op->file = chance(g, 20) ? some_file(g) : FILE_OF(FILE_CTX, chance(g, 6));
	op->slot = free_slot(g);
}

static void gen_attach(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx;

	op->dev = pick_dev(g);
	ctx = g->ref->dev[op->dev % NDEVS].ctx;
	op->pt = chance(g, 3) ? pick_slot(g, ctx, chance(g, 6) ? ~0u : T(HWPT))
			      : pick_ioas(g, ctx, chance(g, 8));
	op->slot = free_slot(g);
}

static void gen_command(struct gen *g, struct op *op)
{
	op->dev = pick_dev(g);
	op->value = COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER;
	if (chance(g, 5))
		op->value = below(g, 8);
}

static void gen_power(struct gen *g, struct op *op)
{
	op->dev = pick_dev(g);
	op->value = chance(g, 4) ? below(g, 4) : 0;
}

static void gen_low_power(struct gen *g, struct op *op)
{
	op->dev = pick_dev(g);
	op->value = chance(g, 3);
}

static void gen_export(struct gen *g, struct op *op)
{
	op->dev = pick_dev(g);
	op->slot = below(g, NBUFS);
	op->start = below(g, BAR_PAGES) * PAGE;
	op->length = (1 + below(g, BAR_PAGES)) * PAGE;
	if (op->start + op->length > BAR_BYTES && !chance(g, 6))
		op->start = 0;
	op->count = chance(g, 10) ? below(g, 3) : 1;
	if (chance(g, 40))
		op->length = odd_number(g);
	if (chance(g, 40))
		op->start = odd_number(g);
	if (chance(g, 30))
		op->value = 1 + below(g, 9);
}

static void gen_buf_close(struct gen *g, struct op *op)
{
	op->slot = pick_buf(g);
}

static void gen_bar_io(struct gen *g, struct op *op)
{
	op->dev = pick_dev(g);
	op->start = below(g, BAR_BYTES + PAGE);
	op->length = below(g, chance(g, 2) ? 16 : PAGE);
	op->value = rnd(g);
}

static void gen_dma(struct gen *g, struct op *op)
{
	const struct ref_ioas *ioas;
	uint64_t length;

	op->dev = pick_master(g);
	ioas = ioas_of_dev(&g->ref->dev[op->dev]);
	some_range(g, ioas, MEMORY_ANY, &op->iova, &op->length);
	if (chance(g, 3)) {
		op->iova += below(g, PAGE);
		op->length = below(g, 3 * PAGE);
	}
	some_range(g, ioas, MEMORY_ANY, &op->iova2, &length);
	op->value = rnd(g);
}

static void gen_look(struct gen *g, struct op *op)
{
	uint64_t length;

	op->dev = pick_master(g);
	some_range(g, ioas_of_dev(&g->ref->dev[op->dev]), MEMORY_ANY, &op->iova, &length);
	op->iova &= ~(PAGE - 1);
	op->iova -= op->iova >= 8 * PAGE ? below(g, 8) * PAGE : 0;
	op->count = 8 + below(g, 24);
	op->value = below(g, PAGE);
}

static void gen_cpu_write(struct gen *g, struct op *op)
{
	op->file = FILE_OF(FILE_MEM, below(g, NFILES_MEM));
	op->start = below(g, 34 * PAGE);
	op->length = below(g, 2 * PAGE);
	op->value = rnd(g);
}

static void gen_nothing(struct gen *g, struct op *op)
{
}

/* ---- the selftest ------------------------------------------------------------ */

static void gen_mock(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->slot = free_slot(g);
	op->pt = chance(g, 4) ? pick_slot(g, ctx, T(HWPT) | T(NESTED))
			      : pick_ioas(g, ctx, true);
	op->flags = chance(g, 4) ? MOCK_FLAGS_DEVICE_NO_DIRTY : 0;
	if (chance(g, 20))
		op->flags = below(g, 16);
}

static void gen_mock_replace(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->obj = pick_slot(g, ctx, T(STDEV));
	op->pt = chance(g, 2) ? pick_slot(g, ctx, T(HWPT) | T(NESTED))
			      : pick_ioas(g, ctx, true);
	op->slot = free_slot(g);
}

static void gen_check_map(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);
	const struct ref_area *a;

	op->obj = pick_slot(g, ctx, T(HWPT));
	a = some_area(g, ioas_behind(g, ctx, op->obj), MEMORY_PINNED);
	op->start = below(g, 112) * PAGE;
	op->length = PAGE;
	op->iova = some_iova(g);
	if (!a)
		return;
	op->iova = a->iova;
	if (a->memory.kind == MEMORY_CLIENT && a->memory.start < CLIENT_RAW)
		op->start = a->memory.start;
	if (a->memory.kind == MEMORY_FILE && a->memory.index == FILE_OF(FILE_MEM, 0))
		op->start = CLIENT_SHARED + a->memory.start;
	op->length = a->last - a->iova + 1;
	if (chance(g, 10))
		op->start += PAGE;
}

static void gen_check_pins(struct gen *g, struct op *op)
{
	uint64_t at = chance(g, 30) ? below(g, 120) : below(g, 72);

	pick_ctx(g, op);
	if (chance(g, 3))
		at = CLIENT_SHARED / PAGE + below(g, 32);
	op->start = at * PAGE;
	op->length = PAGE;
	if (!ref_client_access(op->start, 1, false) && !chance(g, 40))
		op->value = ref_count_pins(g->ref, op->start);
	if (chance(g, 8))
		op->length = below(g, 4) * PAGE;
}

static void gen_set_dirty(struct gen *g, struct op *op)
{
	struct ref_ctx *ctx = pick_ctx(g, op);

	op->obj = pick_tracker(g, ctx);
	some_range(g, ioas_behind(g, ctx, op->obj), MEMORY_ANY, &op->iova, &op->length);
	if (op->length > 64 * MOCK_PAGE_SIZE)
		op->length = 64 * MOCK_PAGE_SIZE;
	op->value = rnd(g) & rnd(g);
}

static void gen_reserve(struct gen *g, struct op *op)
{
	op->obj = pick_slot(g, pick_ctx(g, op), T(IOAS));
	op->iova = some_iova(g);
	op->length = some_length(g);
}

static void gen_access_open(struct gen *g, struct op *op)
{
	op->obj = pick_slot(g, pick_ctx(g, op), T(IOAS));
	op->slot = below(g, NACCESSES);
	op->flags = chance(g, 20) ? 2 : !chance(g, 6);
}

static void gen_access_close(struct gen *g, struct op *op)
{
	op->slot = below(g, NACCESSES);
}

/* One that is open, if one is. */
static const struct ref_access *pick_access(struct gen *g, struct op *op)
{
	for (unsigned tries = 0; tries < 6; tries++) {
		op->slot = below(g, NACCESSES);
		if (g->ref->access[op->slot])
			break;
	}
	return g->ref->access[op->slot];
}

static const struct ref_ioas *ioas_of_access(const struct ref_access *x)
{
	return x ? x->ctx->obj[x->ioas].ioas : NULL;
}

static void gen_access_replace(struct gen *g, struct op *op)
{
	const struct ref_access *x;

	pick_ctx(g, op);
	x = pick_access(g, op);
	op->pt = pick_slot(g, x ? x->ctx : NULL, T(IOAS));
}

static void gen_pin(struct gen *g, struct op *op)
{
	pick_ctx(g, op);
	some_range(g, ioas_of_access(pick_access(g, op)), MEMORY_PINNED, &op->iova,
		   &op->length);
	op->flags = chance(g, 40) ? 2 : chance(g, 3);
}

static void gen_unpin(struct gen *g, struct op *op)
{
	const struct ref_access *x;

	pick_ctx(g, op);
	x = pick_access(g, op);
	op->value = below(g, 4);
	if (x && x->nr_pins && !chance(g, 8))
		op->value = x->pin[below(g, x->nr_pins)].id;
}

static void gen_rw(struct gen *g, struct op *op)
{
	pick_ctx(g, op);
	some_range(g, ioas_of_access(pick_access(g, op)), MEMORY_PINNED, &op->iova,
		   &op->length);
	if (chance(g, 3)) {
		op->iova += below(g, PAGE);
		op->length = below(g, 2 * PAGE);
	}
	op->flags = chance(g, 40) ? 2 : below(g, 2);
	op->value = rnd(g);
}

static void gen_test_buf(struct gen *g, struct op *op)
{
	pick_ctx(g, op);
	op->slot = below(g, NBUFS);
	op->length = (1 + below(g, 12)) * PAGE;
	if (chance(g, 6))
		op->length = odd_number(g);
}

static void gen_test_revoke(struct gen *g, struct op *op)
{
	pick_ctx(g, op);
	op->file = chance(g, 10) ? some_file(g) : FILE_OF(FILE_BUF, pick_buf(g));
	op->value = below(g, 2);
}

/* ---- choosing ---------------------------------------------------------------- */

static const struct {
	void (*make)(struct gen *, struct op *);
	unsigned weight;
} kinds[OP_KINDS] = {
	[OP_CTX_OPEN] = {gen_ctx, 4},
	[OP_CTX_CLOSE] = {gen_ctx, 1},
	[OP_IOAS_ALLOC] = {gen_ioas_alloc, 4},
	[OP_DESTROY] = {gen_destroy, 16},
	[OP_RANGES] = {gen_ranges, 30},
	[OP_ALLOW] = {gen_allow, 14},
	[OP_MAP] = {gen_map, 80},
	[OP_MAP_FILE] = {gen_map_file, 120},
	[OP_COPY] = {gen_copy, 80},
	[OP_UNMAP] = {gen_unmap, 80},
	[OP_OPTION] = {gen_option, 14},
	[OP_HWPT_ALLOC] = {gen_hwpt_alloc, 28},
	[OP_TRACK] = {gen_track, 12},
	[OP_DIRTY_GET] = {gen_dirty_get, 30},
	[OP_MALFORMED] = {gen_malformed, 10},
	[OP_CHANGE_PROCESS] = {gen_change_process, 4},
	[OP_VFIO_IOAS] = {gen_vfio_ioas, 6},
	[OP_TYPE1_SET] = {gen_type1_set, 4},
	[OP_TYPE1_MAP] = {gen_type1_map, 24},
	[OP_TYPE1_UNMAP] = {gen_type1_unmap, 24},
	[OP_DEV_OPEN] = {gen_dev_file, 8},
	[OP_DEV_CLOSE] = {gen_dev_file, 4},
	[OP_BIND] = {gen_bind, 8},
	[OP_ATTACH] = {gen_attach, 50},
	[OP_DETACH] = {gen_dev, 20},
	[OP_RESET] = {gen_dev, 6},
	[OP_FLR] = {gen_dev, 4},
	[OP_COMMAND] = {gen_command, 24},
	[OP_POWER] = {gen_power, 10},
	[OP_LOW_POWER] = {gen_low_power, 6},
	[OP_EXPORT] = {gen_export, 40},
	[OP_BUF_CLOSE] = {gen_buf_close, 20},
	[OP_BAR_READ] = {gen_bar_io, 8},
	[OP_BAR_WRITE] = {gen_bar_io, 12},
	[OP_DMA_READ] = {gen_dma, 30},
	[OP_DMA_WRITE] = {gen_dma, 40},
	[OP_DMA_COPY] = {gen_dma, 30},
	[OP_DMA_FILL] = {gen_dma, 10},
	[OP_LOOK] = {gen_look, 60},
	[OP_CPU_WRITE] = {gen_cpu_write, 10},
	[OP_MEMORY] = {gen_nothing, 0},
	[OP_MOCK] = {gen_mock, 10},
	[OP_MOCK_REPLACE] = {gen_mock_replace, 16},
	[OP_CHECK_MAP] = {gen_check_map, 20},
	[OP_CHECK_PINS] = {gen_check_pins, 20},
	[OP_SET_DIRTY] = {gen_set_dirty, 30},
	[OP_RESERVE] = {gen_reserve, 4},
	[OP_ACCESS_OPEN] = {gen_access_open, 14},
	[OP_ACCESS_CLOSE] = {gen_access_close, 8},
	[OP_ACCESS_REPLACE] = {gen_access_replace, 12},
	[OP_PIN] = {gen_pin, 50},
	[OP_UNPIN] = {gen_unpin, 20},
	[OP_RW] = {gen_rw, 50},
	[OP_TEST_BUF] = {gen_test_buf, 8},
	[OP_TEST_REVOKE] = {gen_test_revoke, 8},
};

/* What a sequence begins with, most often: a program that has set up its devices. */
static const struct op beginning[] = {
	{.kind = OP_CTX_OPEN},
	{.kind = OP_IOAS_ALLOC, .slot = 0},
	{.kind = OP_IOAS_ALLOC, .slot = 1},
	{.kind = OP_DEV_OPEN, .dev = 0},
	{.kind = OP_DEV_OPEN, .dev = 1},
	{.kind = OP_DEV_OPEN, .dev = 2},
	{.kind = OP_BIND, .dev = 0, .file = FILE_OF(FILE_CTX, 0), .slot = 2},
	{.kind = OP_BIND, .dev = 1, .file = FILE_OF(FILE_CTX, 0), .slot = 3},
	{.kind = OP_BIND, .dev = 2, .file = FILE_OF(FILE_CTX, 0), .slot = 4},
	{.kind = OP_ATTACH, .dev = 0, .pt = 0, .slot = 5},
	{.kind = OP_COMMAND, .dev = 0, .value = 7},
	{.kind = OP_COMMAND, .dev = 2, .value = 7},
	{.kind = OP_EXPORT, .dev = 0, .slot = 0, .length = BAR_BYTES, .count = 1},
	{.kind = OP_MOCK, .slot = 8, .pt = 1},
	{.kind = OP_HWPT_ALLOC, .slot = 11, .obj = 9, .pt = 1, .flags = 2},
	{.kind = OP_IOAS_ALLOC, .slot = 12},
	{.kind = OP_HWPT_ALLOC, .slot = 13, .obj = 4, .pt = 12, .flags = 2},
	{.kind = OP_TRACK, .obj = 13, .flags = 1},
	{.kind = OP_ATTACH, .dev = 2, .pt = 13, .slot = 6},
};

void gen_start(struct gen *g, uint64_t seed, struct ref *ref)
{
	*g = (struct gen){.state = seed, .ref = ref};
}

static bool has_ioases(struct gen *g, struct ref_ctx *ctx)
{
	unsigned n = 0;

	for (uint64_t i = 0; i < NSLOTS; i++)
		n += is_type(ref_obj_any(ctx, ref_slot(g->ref, i)), T(IOAS));
	return n >= 3;
}

/* The next step to have this device bound to this context. False: it is. */
static bool bind_device(struct gen *g, unsigned i, struct op *op)
{
	const struct ref_dev *d = &g->ref->dev[i];

	if (d->ctx == g->ref->ctx[0])
		return false;
	*op = (struct op){.kind = OP_DEV_OPEN, .dev = i};
	if (d->ctx) {
		op->kind = OP_DEV_CLOSE;
		op->dev = d->file;
	} else if (g->ref->dev_open[i]) {
		op->kind = OP_BIND;
		op->file = FILE_OF(FILE_CTX, 0);
		op->slot = free_slot(g);
	}
	return true;
}

/* What is missing so much that little else makes sense without it. */
static bool repair(struct gen *g, struct op *op)
{
	if (!g->ref->ctx[0]) {
		*op = (struct op){.kind = OP_CTX_OPEN};
		return true;
	}
	if (!has_ioases(g, g->ref->ctx[0])) {
		*op = (struct op){.kind = OP_IOAS_ALLOC, .slot = free_slot(g)};
		return true;
	}
	return bind_device(g, (unsigned)below(g, 3), op);
}

void gen_next(struct gen *g, struct op *op)
{
	uint64_t total = 0, pick;
	unsigned kind = 0;

	while (g->calls < ARRAY_LEN(beginning)) {
		const struct op *first = &beginning[g->calls++];

		if (chance(g, 12))
			continue;
		*op = *first;
		return;
	}
	g->calls++;
	if (chance(g, 6) && repair(g, op))
		return;
	for (unsigned i = 0; i < OP_KINDS; i++)
		total += kinds[i].weight;
	for (pick = below(g, total); pick >= kinds[kind].weight; kind++)
		pick -= kinds[kind].weight;
	*op = (struct op){.kind = (enum op_kind)kind};
	kinds[kind].make(g, op);
	if (op_may_fail(op->kind) && chance(g, 16))
		op->fail = 1 + below(g, 12);
}
