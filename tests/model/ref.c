/* SPDX-License-Identifier: MIT */
/* Contexts and their objects, and which call is whose. */
#include "tests/model/ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *ref_grow(void *v, size_t n, size_t size)
{
	/* Room doubles at powers of two. */
	if (n & (n - 1))
		return v;
	v = realloc(v, (n ? 2 * n : 1) * size);
	if (!v) {
		perror("reference");
		exit(CANNOT_RUN);
	}
	return v;
}

/* ---- contexts ---------------------------------------------------------------- */

struct ref_ctx *ref_open_ctx(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = r->ctx[op->ctx % NCTX];

	if (!ctx)
		out->ret = -EBADF;
	return ctx;
}

struct ref_ctx *ref_ctx_create(struct ref *r)
{
	struct ref_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx) {
		perror("reference");
		exit(CANNOT_RUN);
	}
	ctx->open = true;
	ctx->top = 1;
	r->all_ctx = ref_grow(r->all_ctx, r->nr_ctx, sizeof(r->all_ctx[0]));
	r->all_ctx[r->nr_ctx++] = ctx;
	return ctx;
}

static void ctx_free(struct ref *r, struct ref_ctx *ctx)
{
	size_t i = 0;

	for (uint32_t id = 1; id < ctx->top; id++) {
		struct ref_obj *o = &ctx->obj[id];

		/* The mock devices go with it. */
		if (o->type == STDEV)
			r->dev[o->index].used = false;
		ref_ioas_free(o->ioas);
		free(o->dirty);
	}
	while (r->all_ctx[i] != ctx)
		i++;
	r->all_ctx[i] = r->all_ctx[--r->nr_ctx];
	free(ctx);
}

void ref_ctx_release(struct ref *r, struct ref_ctx *ctx)
{
	if (!ctx->open && !ctx->holders)
		ctx_free(r, ctx);
}

/* ---- objects ----------------------------------------------------------------- */

uint32_t ref_obj_alloc(struct ref_ctx *ctx, enum ref_type type)
{
	uint32_t id = 1;

	while (id < ctx->top && ctx->obj[id].type != FREE)
		id++;
	if (id == MAX_IDS) {
		fprintf(stderr, "reference: too many objects\n");
		exit(CANNOT_RUN);
	}
	if (id == ctx->top)
		ctx->top++;
	ctx->obj[id] = (struct ref_obj){.type = type};
	return id;
}

void ref_obj_free(struct ref_ctx *ctx, uint32_t id)
{
	struct ref_obj *o = &ctx->obj[id];

	if (ctx->vfio_ioas == id)
		ctx->vfio_ioas = 0;
	ref_ioas_free(o->ioas);
	free(o->dirty);
	*o = (struct ref_obj){.type = FREE};
}

struct ref_obj *ref_obj_any(struct ref_ctx *ctx, uint64_t id)
{
	return id < ctx->top && ctx->obj[id].type != FREE ? &ctx->obj[id] : NULL;
}

struct ref_obj *ref_obj(struct ref_ctx *ctx, uint64_t id, enum ref_type type)
{
	struct ref_obj *o = ref_obj_any(ctx, id);

	return o && o->type == type ? o : NULL;
}

uint32_t ref_slot(const struct ref *r, uint64_t slot)
{
	uint32_t id = r->slot[slot % NSLOTS];

	return id ? id : NO_ID;
}

void ref_set_slot(struct ref *r, uint64_t slot, uint32_t id)
{
	r->slot[slot % NSLOTS] = id;
}

bool ref_is_open(struct ref *r, uint64_t file)
{
	unsigned i = FILE_INDEX(file);

	switch (FILE_KIND(file)) {
	case FILE_MEM:
		return i < NFILES_MEM;
	case FILE_BUF:
		return r->buf_slot[i % NBUFS] >= 0;
	case FILE_DEV:
		return r->dev_open[i % NDEV_FILES];
	case FILE_CTX:
		return r->ctx[i % NCTX];
	case FILE_ACCESS:
		return r->access[i % NACCESSES];
	default:
		return false;
	}
}

/* ---- life -------------------------------------------------------------------- */

struct ref *ref_create(enum ref_wrong wrong)
{
	struct ref *r = calloc(1, sizeof(*r));

	if (!r) {
		perror("reference");
		exit(CANNOT_RUN);
	}
	r->wrong = wrong;
	r->privileged = geteuid() == 0;
	for (unsigned i = 0; i < NBUFS; i++)
		r->buf_slot[i] = -1;
	for (unsigned i = 0; i < NDEVS; i++) {
		r->dev[i].used = true;
		r->dev[i].tracks = device_tracks[i];
		r->dev[i].group = &r->group[device_group[i]];
	}
	for (unsigned i = 0; i < NREGIONS; i++) {
		r->memory[i] = malloc(region_bytes(i));
		if (!r->memory[i]) {
			perror("reference");
			exit(CANNOT_RUN);
		}
		world_fill(i, r->memory[i]);
	}
	return r;
}

void ref_destroy(struct ref *r)
{
	if (!r)
		return;
	while (r->nr_ctx)
		ctx_free(r, r->all_ctx[0]);
	free(r->all_ctx);
	for (unsigned i = 0; i < NACCESSES; i++) {
		if (r->access[i])
			free(r->access[i]->pin);
		free(r->access[i]);
	}
	for (unsigned i = 0; i < MAX_BUFS && r->buf[i].used; i++)
		free(r->buf[i].bytes);
	for (unsigned i = 0; i < NREGIONS; i++)
		free(r->memory[i]);
	free(r);
}

/* ---- calls ------------------------------------------------------------------- */

static void ctx_open(struct ref *r, const struct op *op, struct outcome *out)
{
	r->ctx[op->ctx % NCTX] = ref_ctx_create(r);
}

static void ctx_close(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);

	if (!ctx)
		return;
	r->ctx[op->ctx % NCTX] = NULL;
	ctx->open = false;
	ref_ctx_release(r, ctx);
}

static void malformed(struct ref *r, const struct op *op, struct outcome *out)
{
	static const int errors[NMALFORMED] = {
		[MALFORMED_SHORT] = EINVAL,
		[MALFORMED_TAIL] = E2BIG,
		[MALFORMED_POINTER] = EFAULT,
		[MALFORMED_NUMBER] = ENOTTY,
	};

	if (ref_open_ctx(r, op, out))
		out->ret = -errors[op->value % NMALFORMED];
}

static void cpu_write(struct ref *r, const struct op *op, struct outcome *out)
{
	uint8_t bytes[WRITE_MAX];
	uint64_t n = op->length < WRITE_MAX ? op->length : WRITE_MAX;
	unsigned file = FILE_INDEX(op->file) % NFILES_MEM;
	uint8_t *to = r->memory[REGION_FILES + file];

	if (op->start >= file_bytes[file])
		return;
	if (n > file_bytes[file] - op->start)
		n = file_bytes[file] - op->start;
	world_pattern(op->value, bytes, n);
	memcpy(to + op->start, bytes, n);
}

static void memory(struct ref *r, const struct op *op, struct outcome *out)
{
	for (unsigned i = 0; i < NREGIONS; i++)
		tell(out, world_sum(r->memory[i], region_bytes(i)));
}

static void (*const calls[OP_KINDS])(struct ref *, const struct op *,
				     struct outcome *) = {
	[OP_CTX_OPEN] = ctx_open,
	[OP_CTX_CLOSE] = ctx_close,
	[OP_IOAS_ALLOC] = ref_ioas_alloc,
	[OP_DESTROY] = ref_destroy_op,
	[OP_RANGES] = ref_ranges,
	[OP_ALLOW] = ref_allow,
	[OP_MAP] = ref_map,
	[OP_MAP_FILE] = ref_map_file,
	[OP_COPY] = ref_copy,
	[OP_UNMAP] = ref_unmap,
	[OP_OPTION] = ref_option,
	[OP_HWPT_ALLOC] = ref_hwpt_alloc,
	[OP_TRACK] = ref_track,
	[OP_DIRTY_GET] = ref_dirty_get,
	[OP_MALFORMED] = malformed,
	[OP_CHANGE_PROCESS] = ref_change_process,
	[OP_VFIO_IOAS] = ref_vfio_ioas,
	[OP_TYPE1_SET] = ref_type1_set,
	[OP_TYPE1_MAP] = ref_type1_map,
	[OP_TYPE1_UNMAP] = ref_type1_unmap,
	[OP_DEV_OPEN] = ref_dev_open,
	[OP_DEV_CLOSE] = ref_dev_close,
	[OP_BIND] = ref_bind,
	[OP_ATTACH] = ref_dev_call,
	[OP_DETACH] = ref_dev_call,
	[OP_RESET] = ref_dev_call,
	[OP_FLR] = ref_dev_call,
	[OP_COMMAND] = ref_dev_call,
	[OP_POWER] = ref_dev_call,
	[OP_LOW_POWER] = ref_dev_call,
	[OP_EXPORT] = ref_dev_call,
	[OP_BUF_CLOSE] = ref_buf_close,
	[OP_BAR_READ] = ref_dev_call,
	[OP_BAR_WRITE] = ref_dev_call,
	[OP_DMA_READ] = ref_dma,
	[OP_DMA_WRITE] = ref_dma,
	[OP_DMA_COPY] = ref_dma,
	[OP_DMA_FILL] = ref_dma,
	[OP_LOOK] = ref_look,
	[OP_CPU_WRITE] = cpu_write,
	[OP_MEMORY] = memory,
	[OP_MOCK] = ref_mock,
	[OP_MOCK_REPLACE] = ref_mock_replace,
	[OP_CHECK_MAP] = ref_check_map,
	[OP_CHECK_PINS] = ref_check_pins,
	[OP_SET_DIRTY] = ref_set_dirty,
	[OP_RESERVE] = ref_reserve_op,
	[OP_ACCESS_OPEN] = ref_access_open,
	[OP_ACCESS_CLOSE] = ref_access_close,
	[OP_ACCESS_REPLACE] = ref_access_replace,
	[OP_PIN] = ref_pin,
	[OP_UNPIN] = ref_unpin,
	[OP_RW] = ref_rw,
	[OP_TEST_BUF] = ref_test_buf,
	[OP_TEST_REVOKE] = ref_test_revoke,
};

void ref_call(struct ref *r, const struct op *op, struct outcome *out)
{
	out->ret = 0;
	out->n = 0;
	memset(out->any, 0, sizeof(out->any));
	if (ref_is_open(r, op_opens(op))) {
		out->ret = -EBUSY;
		return;
	}
	calls[op->kind](r, op, out);
}
