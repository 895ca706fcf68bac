/* SPDX-License-Identifier: MIT */
/* Address spaces: areas, reserved and allowed ranges, and where a map goes. */
#include "tests/model/ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uiommufd/abi/iommufd.h"

#define HUGE_PAGE MIB(2)

/* ---- looking ----------------------------------------------------------------- */

static bool meets(uint64_t a, uint64_t a_last, uint64_t b, uint64_t b_last)
{
	return a <= b_last && b <= a_last;
}

/* The first area that has any of [start, last], or NULL. */
static struct ref_area *first_area(const struct ref_ioas *ioas, uint64_t start,
				   uint64_t last)
{
	for (size_t i = 0; i < ioas->nr_areas; i++)
		if (meets(ioas->areas[i].iova, ioas->areas[i].last, start, last))
			return &ioas->areas[i];
	return NULL;
}

const struct ref_area *ref_area_at(const struct ref_ioas *ioas, uint64_t iova)
{
	return first_area(ioas, iova, iova);
}

static bool is_reserved(const struct ref_ioas *ioas, uint64_t start, uint64_t last)
{
	for (size_t i = 0; i < ioas->nr_reserved; i++)
		if (meets(ioas->reserved[i].start, ioas->reserved[i].last, start, last))
			return true;
	return false;
}

static bool is_allowed(const struct ref_ioas *ioas, uint64_t start, uint64_t last)
{
	for (size_t i = 0; i < ioas->nr_allowed; i++)
		if (meets(ioas->allowed[i].start, ioas->allowed[i].last, start, last))
			return true;
	return false;
}

static bool is_domain_of(const struct ref_obj *o, uint32_t ioas_id)
{
	return o->type == HWPT && o->ioas_id == ioas_id;
}

bool ref_has_domain(struct ref_ctx *ctx, uint32_t ioas_id)
{
	for (uint32_t id = 1; id < ctx->top; id++)
		if (is_domain_of(&ctx->obj[id], ioas_id))
			return true;
	return false;
}

/* Of its domains. */
static uint64_t largest_min_page(struct ref_ctx *ctx, uint32_t ioas_id)
{
	uint64_t page = 1;

	for (uint32_t id = 1; id < ctx->top; id++)
		if (is_domain_of(&ctx->obj[id], ioas_id) && ctx->obj[id].min_page > page)
			page = ctx->obj[id].min_page;
	return page;
}

uint64_t ref_alignment(struct ref *r, struct ref_ctx *ctx, uint32_t ioas_id)
{
	uint64_t a = largest_min_page(ctx, ioas_id);

	if (ctx->obj[ioas_id].ioas->large_off)
		a = PAGE;
	for (unsigned i = 0; i < NACCESSES; i++) {
		const struct ref_access *x = r->access[i];

		if (x && x->ctx == ctx && x->ioas == ioas_id && x->pins)
			a = PAGE;
	}
	return a;
}

int ref_check_alignment(struct ref *r, struct ref_ctx *ctx, uint32_t ioas_id,
			uint64_t alignment)
{
	const struct ref_ioas *ioas = ctx->obj[ioas_id].ioas;
	uint64_t mask = alignment - 1;

	if (alignment <= ref_alignment(r, ctx, ioas_id))
		return 0;
	for (size_t i = 0; i < ioas->nr_areas; i++) {
		const struct ref_area *a = &ioas->areas[i];

		if (a->iova & mask || (a->last + 1) & mask ||
		    a->memory.start % PAGE & mask)
			return -EADDRINUSE;
	}
	return 0;
}

/* ---- reserved and allowed ranges --------------------------------------------- */

int ref_reserve(struct ref_ioas *ioas, uint64_t start, uint64_t last, unsigned owner)
{
	if (first_area(ioas, start, last) || is_allowed(ioas, start, last))
		return -EADDRINUSE;
	ioas->reserved =
		ref_grow(ioas->reserved, ioas->nr_reserved, sizeof(ioas->reserved[0]));
	ioas->reserved[ioas->nr_reserved++] = (struct ref_reserved){start, last, owner};
	return 0;
}

void ref_unreserve(struct ref_ioas *ioas, unsigned owner)
{
	size_t kept = 0;

	for (size_t i = 0; i < ioas->nr_reserved; i++)
		if (ioas->reserved[i].owner != owner)
			ioas->reserved[kept++] = ioas->reserved[i];
	ioas->nr_reserved = kept;
}

/* The end of the hole or of the reserved stretch that @at lies in, inclusive. */
static uint64_t stretch_last(const struct ref_ioas *ioas, uint64_t at, size_t nr_reserved)
{
	uint64_t last = UINT64_MAX;
	bool reserved = false;

	for (size_t i = 0; i < nr_reserved; i++) {
		const struct ref_reserved *x = &ioas->reserved[i];

		if (x->start <= at && at <= x->last) {
			last = !reserved || x->last > last ? x->last : last;
			reserved = true;
		} else if (!reserved && x->start > at && x->start - 1 < last) {
			last = x->start - 1;
		}
	}
	return last;
}

void ref_ranges(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint32_t id = ref_slot(r, op->obj);
	struct ref_obj *o;
	uint64_t room = op->count < RANGES_MAX ? op->count : RANGES_MAX;
	uint64_t at = 0, last, n = 0;
	size_t reserved;

	if (!ctx)
		return;
	o = ref_obj(ctx, id, IOAS);
	if (!o) {
		out->ret = -ENOENT;
		return;
	}
	reserved = o->ioas->nr_reserved;
	if (r->wrong == WRONG_RANGES && reserved)
		reserved--;
	tell(out, 0); /* the number, below */
	tell(out, ref_alignment(r, ctx, id));
	for (;;) {
		bool hole = true;

		last = stretch_last(o->ioas, at, reserved);
		for (size_t i = 0; i < reserved; i++)
			hole &= !(o->ioas->reserved[i].start <= at &&
				  at <= o->ioas->reserved[i].last);
		if (hole && n++ < room) {
			tell(out, at);
			tell(out, last);
		}
		if (last == UINT64_MAX)
			break;
		at = last + 1;
	}
	out->v[0] = n;
	out->ret = n > room ? -EMSGSIZE : 0;
}

void ref_allow(struct ref *r, const struct op *op, struct outcome *out)
{
	const struct ref_range v[2] = {{op->iova, op->iova + (op->length - 1)},
				       {op->iova2, op->iova2 + (op->value - 1)}};
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	size_t n = op->count < 2 ? op->count : 2;
	struct ref_obj *o;

	if (!ctx)
		return;
	o = ref_obj(ctx, ref_slot(r, op->obj), IOAS);
	out->ret = -ENOENT;
	if (!o)
		return;
	out->ret = -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (v[i].start >= v[i].last)
			return;
	if (n == 2 && meets(v[0].start, v[0].last, v[1].start, v[1].last))
		return;
	out->ret = -EADDRINUSE;
	for (size_t i = 0; i < n; i++)
		if (is_reserved(o->ioas, v[i].start, v[i].last))
			return;
	out->ret = 0;
	memcpy(o->ioas->allowed, v, sizeof(v));
	o->ioas->nr_allowed = n;
}

void ref_reserve_op(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint64_t last = op->iova + (op->length - 1);
	struct ref_obj *o;

	if (!ctx)
		return;
	if (!op->length || last < op->iova) {
		out->ret = op->length ? -EOVERFLOW : -EINVAL;
		return;
	}
	o = ref_obj(ctx, ref_slot(r, op->obj), IOAS);
	out->ret = o ? ref_reserve(o->ioas, op->iova, last, 0) : -ENOENT;
}

/* ---- where a map goes -------------------------------------------------------- */

static int check_fixed(const struct ref_ioas *ioas, uint64_t alignment, uint64_t iova,
		       uint64_t length)
{
	uint64_t last = iova + (length - 1);

	if (iova % alignment)
		return -EINVAL;
	if (last < iova)
		return -EOVERFLOW;
	if (is_reserved(ioas, iova, last))
		return -EINVAL;
	return first_area(ioas, iova, last) ? -EEXIST : 0;
}

struct want {
	uint64_t length, alignment, offset;
};

/* Linux moves the start up to the alignment, and sets the offset in the page in it. */
static bool fits(const struct want *w, uint64_t *start, uint64_t last)
{
	uint64_t up = *start + (w->alignment - 1);

	if (up < *start)
		return false;
	up = (up & ~(w->alignment - 1)) | w->offset;
	if (up >= last || last - up < w->length - 1)
		return false;
	*start = up;
	return true;
}

/* The first place in the first hole that has one. */
static bool choose_in(const struct ref_ioas *ioas, const struct want *w, uint64_t start,
		      uint64_t last, uint64_t *iova)
{
	uint64_t at = start;

	if (!fits(w, &at, last))
		return false;
	for (;;) {
		uint64_t end = last, used_last = 0;
		bool used = false;

		for (size_t i = 0; i < ioas->nr_areas + ioas->nr_reserved; i++) {
			bool area = i < ioas->nr_areas;
			size_t k = area ? i : i - ioas->nr_areas;
			uint64_t s = area ? ioas->areas[k].iova : ioas->reserved[k].start;
			uint64_t l = area ? ioas->areas[k].last : ioas->reserved[k].last;

			if (s <= at && at <= l) {
				used_last = used && used_last > l ? used_last : l;
				used = true;
			} else if (s > at && s - 1 < end) {
				end = s - 1;
			}
		}
		if (used) {
			if (used_last >= last)
				return false;
			at = used_last + 1;
			continue;
		}
		*iova = at;
		if (fits(w, iova, end))
			return true;
		if (end >= last)
			return false;
		at = end + 1;
	}
}

static int choose(const struct ref_ioas *ioas, uint64_t least, uint64_t address,
		  uint64_t length, uint64_t *iova)
{
	const uint64_t low = PAGE, high = UINT64_MAX - PAGE;
	struct want w = {.length = length, .alignment = 1, .offset = address % PAGE};
	struct ref_range v[2];
	size_t n = ioas->nr_allowed;

	if (length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	while (w.alignment < length && w.alignment < HUGE_PAGE)
		w.alignment *= 2;
	while (address % w.alignment)
		w.alignment /= 2;
	if (w.alignment < least)
		return -EINVAL;
	if (!n)
		return choose_in(ioas, &w, low, high, iova) ? 0 : -ENOSPC;
	memcpy(v, ioas->allowed, sizeof(v));
	if (n == 2 && v[1].start < v[0].start) {
		v[0] = ioas->allowed[1];
		v[1] = ioas->allowed[0];
	}
	if (n == 2 && v[0].last + 1 == v[1].start) {
		v[0].last = v[1].last;
		n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t start = v[i].start > low ? v[i].start : low;
		uint64_t last = v[i].last < high ? v[i].last : high;

		if (start <= last && choose_in(ioas, &w, start, last, iova))
			return 0;
	}
	return -ENOSPC;
}

/* ---- map --------------------------------------------------------------------- */

/*
 * Pieces of a copy may be unaligned where all of it is not. Nobody notices before they
 * are mapped, and those of revoked memory never are.
 */
int ref_fill(const struct ref_area *a, uint64_t min_page)
{
	uint64_t start = a->memory.start, length = a->last - a->iova + 1;
	int err;

	if (a->memory.revoked)
		return 0;
	err = ref_pinnable(&a->memory, start, start + (length - 1));
	return err || !((a->iova | start | length) % min_page) ? err : -EINVAL;
}

static void insert(struct ref_ioas *ioas, const struct ref_area *a)
{
	size_t i = ioas->nr_areas;

	ioas->areas = ref_grow(ioas->areas, i, sizeof(ioas->areas[0]));
	for (; i && ioas->areas[i - 1].iova > a->iova; i--)
		ioas->areas[i] = ioas->areas[i - 1];
	ioas->areas[i] = *a;
	ioas->nr_areas++;
}

/* Pieces of memory side by side; what they have as IOVAs counts from 0. */
static int map(struct ref *r, struct ref_ctx *ctx, uint32_t id, struct ref_area *v,
	       size_t n, uint64_t length, uint64_t flags, uint64_t *iova)
{
	struct ref_ioas *ioas = ctx->obj[id].ioas;
	uint64_t alignment = ref_alignment(r, ctx, id);
	int err;

	if (!length || length % alignment)
		return -EINVAL;
	if (flags & IOMMU_IOAS_MAP_FIXED_IOVA)
		err = check_fixed(ioas, alignment, *iova, length);
	else
		err = choose(ioas, alignment, ref_address(&v[0].memory), length, iova);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		if (flags & IOMMU_IOAS_MAP_WRITEABLE && !v[i].memory.writable &&
		    r->wrong != WRONG_COPY)
			return -EPERM;
		if (v[i].memory.start % PAGE % alignment)
			return -EINVAL;
		v[i].iova += *iova;
		v[i].last += *iova;
		v[i].prot = (unsigned)flags &
			    (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE);
	}
	for (size_t i = 0; i < n && ref_has_domain(ctx, id); i++) {
		err = ref_fill(&v[i], largest_min_page(ctx, id));
		if (err)
			return err;
	}
	for (size_t i = 0; i < n; i++)
		insert(ioas, &v[i]);
	return 0;
}

static int check_words(uint64_t flags, uint64_t length, uint64_t iova, uint64_t iova2)
{
	if (flags & ~7ull)
		return -EOPNOTSUPP;
	if (length == UINT64_MAX || iova == UINT64_MAX || iova2 == UINT64_MAX)
		return -EOVERFLOW;
	return flags & (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE) ? 0 : -EINVAL;
}

int ref_map_memory(struct ref *r, struct ref_ctx *ctx, uint32_t ioas,
		   const struct ref_memory *memory, uint64_t length, uint64_t flags,
		   uint64_t *iova)
{
	struct ref_area a = {.last = length - 1, .memory = *memory};

	a.memory.writable = flags & IOMMU_IOAS_MAP_WRITEABLE;
	a.memory.pages = r->next_pages++;
	return map(r, ctx, ioas, &a, 1, length, flags, iova);
}

static void map_one(struct ref *r, struct ref_ctx *ctx, const struct op *op,
		    const struct ref_memory *memory, struct outcome *out)
{
	uint64_t iova = op->iova;

	out->ret = ref_map_memory(r, ctx, ref_slot(r, op->obj), memory, op->length,
				  op->flags, &iova);
	if (!out->ret)
		tell(out, iova);
}

int ref_check_client(uint64_t start, uint64_t length)
{
	struct ref_memory m = {.kind = MEMORY_CLIENT, .start = start};
	uint64_t va = ref_address(&m);

	if (va + length < va)
		return -EOVERFLOW;
	return !length || length > UINT64_MAX - PAGE ? -EINVAL : 0;
}

void ref_map(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_memory m = {.kind = MEMORY_CLIENT, .start = op->start};
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);

	if (!ctx)
		return;
	out->ret = check_words(op->flags, op->length, op->iova, 0);
	if (out->ret)
		return;
	if (!ref_obj(ctx, ref_slot(r, op->obj), IOAS))
		out->ret = -ENOENT;
	else
		out->ret = ref_check_client(op->start, op->length);
	if (!out->ret)
		map_one(r, ctx, op, &m, out);
}

static int buf_memory(struct ref *r, const struct op *op, struct ref_memory *m)
{
	struct ref_buf *b = &r->buf[r->buf_slot[FILE_INDEX(op->file) % NBUFS]];

	m->kind = MEMORY_BUF;
	m->index = (unsigned)(b - r->buf);
	if (b->size <= op->start + op->length - 1)
		return -EINVAL;
	if (b->revoked)
		return -ENODEV;
	return b->ranges == 1 ? 0 : -EOPNOTSUPP;
}

void ref_map_file(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_memory m = {
		.kind = MEMORY_FILE, .index = (unsigned)op->file, .start = op->start};
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);

	if (!ctx)
		return;
	out->ret = check_words(op->flags, op->length, op->iova, 0);
	if (out->ret)
		return;
	if (!ref_obj(ctx, ref_slot(r, op->obj), IOAS))
		out->ret = -ENOENT;
	else if (!op->length)
		out->ret = -EINVAL;
	else if (op->start + (op->length - 1) < op->start)
		out->ret = -EOVERFLOW;
	else if (!ref_is_open(r, op->file))
		out->ret = -EBADF;
	else if (FILE_KIND(op->file) == FILE_BUF)
		out->ret = buf_memory(r, op, &m);
	else if (op->length > UINT64_MAX - PAGE)
		out->ret = -EINVAL;
	if (!out->ret)
		map_one(r, ctx, op, &m, out);
}

/* ---- copy -------------------------------------------------------------------- */

/* The memory under [iova, last], which has no holes, or -ENOENT. */
static int pieces(const struct ref_ioas *ioas, uint64_t iova, uint64_t last,
		  struct ref_area **v, size_t *n)
{
	for (uint64_t at = iova;;) {
		const struct ref_area *a = ref_area_at(ioas, at);
		struct ref_area *p;

		if (!a)
			return -ENOENT;
		*v = ref_grow(*v, *n, sizeof(**v));
		p = &(*v)[(*n)++];
		*p = *a;
		p->memory.start += at - a->iova;
		p->iova = at - iova;
		p->last = (a->last < last ? a->last : last) - iova;
		if (a->last >= last)
			return 0;
		at = a->last + 1;
	}
}

void ref_copy(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint64_t last = op->iova2 + (op->length - 1), iova = op->iova;
	struct ref_area *v = NULL;
	struct ref_obj *src;
	size_t n = 0;

	if (!ctx)
		return;
	out->ret = check_words(op->flags, op->length, op->iova, op->iova2);
	if (out->ret)
		return;
	src = ref_obj(ctx, ref_slot(r, op->obj), IOAS);
	if (!src)
		out->ret = -ENOENT;
	else if (!op->length)
		out->ret = -EINVAL;
	else if (last < op->iova2)
		out->ret = -EOVERFLOW;
	else
		out->ret = pieces(src->ioas, op->iova2, last, &v, &n);
	if (!out->ret && !ref_obj(ctx, ref_slot(r, op->pt), IOAS))
		out->ret = -ENOENT;
	if (!out->ret) {
		out->ret = map(r, ctx, ref_slot(r, op->pt), v, n, op->length, op->flags,
			       &iova);
		if (!out->ret)
			tell(out, iova);
	}
	free(v);
}

/* ---- unmap ------------------------------------------------------------------- */

static void remove_area(struct ref_ctx *ctx, uint32_t id, struct ref_area *a)
{
	struct ref_ioas *ioas = ctx->obj[id].ioas;
	size_t i = (size_t)(a - ioas->areas);

	for (uint32_t h = 1; h < ctx->top; h++)
		if (is_domain_of(&ctx->obj[h], id))
			ref_dirty_forget(&ctx->obj[h], a->iova, a->last);
	ioas->nr_areas--;
	memmove(a, a + 1, (ioas->nr_areas - i) * sizeof(*a));
}

/* Areas go in order until one cannot. */
int ref_unmap_range(struct ref *r, struct ref_ctx *ctx, uint32_t id, uint64_t start,
		    uint64_t last, uint64_t *unmapped)
{
	struct ref_ioas *ioas = ctx->obj[id].ioas;
	struct ref_area *a;

	while ((a = first_area(ioas, start, last))) {
		if ((a->iova < start || a->last > last) && r->wrong != WRONG_UNMAP)
			return -ENOENT;
		ref_let_go(r, ctx, id, a->iova, a->last);
		*unmapped += a->last - a->iova + 1;
		remove_area(ctx, id, a);
	}
	return 0;
}

void ref_unmap(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint32_t id = ref_slot(r, op->obj);
	bool all = !op->iova && op->length == UINT64_MAX;
	uint64_t last = op->iova + (op->length - 1), unmapped = 0;

	if (!ctx)
		return;
	if (!ref_obj(ctx, id, IOAS)) {
		out->ret = -ENOENT;
	} else if (all) {
		out->ret = ref_unmap_range(r, ctx, id, 0, UINT64_MAX, &unmapped);
	} else if (op->iova == UINT64_MAX || op->length == UINT64_MAX) {
		out->ret = -EOVERFLOW;
	} else if (!op->length) {
		out->ret = -EINVAL;
	} else if (last < op->iova) {
		out->ret = -EOVERFLOW;
	} else {
		out->ret = ref_unmap_range(r, ctx, id, op->iova, last, &unmapped);
		if (!out->ret && !unmapped)
			out->ret = -ENOENT;
	}
	if (!out->ret)
		tell(out, unmapped);
}

/* ---- life and options -------------------------------------------------------- */

void ref_ioas_free(struct ref_ioas *ioas)
{
	if (!ioas)
		return;
	free(ioas->areas);
	free(ioas->reserved);
	free(ioas);
}

void ref_ioas_alloc(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint32_t id;

	if (!ctx)
		return;
	if ((uint32_t)op->flags) {
		out->ret = -EOPNOTSUPP;
		return;
	}
	id = ref_obj_alloc(ctx, IOAS);
	ctx->obj[id].ioas = calloc(1, sizeof(struct ref_ioas));
	ref_set_slot(r, op->slot, id);
	tell(out, id);
}

static bool is_empty(const struct ref_ctx *ctx)
{
	for (uint32_t id = 1; id < ctx->top; id++)
		if (ctx->obj[id].type != FREE)
			return false;
	return true;
}

/* Nothing else depends on it here. */
static int rlimit_mode(struct ref *r, struct ref_ctx *ctx, const struct op *op,
		       struct outcome *out)
{
	/* The object must be 0, that is no slot. */
	if (op->obj != NSLOTS)
		return -EOPNOTSUPP;
	if (op->flags == IOMMU_OPTION_OP_GET) {
		tell(out, ctx->per_process);
		return 0;
	}
	if (op->flags != IOMMU_OPTION_OP_SET)
		return -EOPNOTSUPP;
	if (!r->privileged)
		return -EPERM;
	if (!is_empty(ctx))
		return -EBUSY;
	if (op->value > 1)
		return -EINVAL;
	ctx->per_process = op->value;
	tell(out, op->value);
	return 0;
}

int ref_large_off(struct ref *r, struct ref_ctx *ctx, uint32_t id)
{
	struct ref_ioas *ioas = ctx->obj[id].ioas;
	int err;

	if (ioas->large_off)
		return 0;
	if (ioas->nr_areas && ref_has_domain(ctx, id))
		return -EINVAL;
	err = ref_check_alignment(r, ctx, id, PAGE);
	if (!err)
		ioas->large_off = true;
	return err;
}

static int huge_pages(struct ref *r, struct ref_ctx *ctx, const struct op *op,
		      struct outcome *out)
{
	uint32_t id = op->obj == NSLOTS ? 0 : ref_slot(r, op->obj);
	struct ref_obj *o = ref_obj(ctx, id, IOAS);
	int err;

	if (!o)
		return -ENOENT;
	if (op->flags == IOMMU_OPTION_OP_GET) {
		tell(out, !o->ioas->large_off);
		return 0;
	}
	if (op->flags != IOMMU_OPTION_OP_SET)
		return -EOPNOTSUPP;
	if (op->value > 1)
		return -EINVAL;
	if (op->value)
		o->ioas->large_off = false;
	err = op->value ? 0 : ref_large_off(r, ctx, id);
	if (err)
		return err;
	tell(out, op->value);
	return 0;
}

void ref_option(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);

	if (!ctx)
		return;
	if (op->count == IOMMU_OPTION_RLIMIT_MODE)
		out->ret = rlimit_mode(r, ctx, op, out);
	else if (op->count == IOMMU_OPTION_HUGE_PAGES)
		out->ret = huge_pages(r, ctx, op, out);
	else
		out->ret = -EOPNOTSUPP;
}
