/* SPDX-License-Identifier: MIT */
/* Page tables, the devices that translate through them, and the end of objects. */
#include "tests/model/ref.h"

#include <errno.h>

#include "selftest/abi.h"
#include "uiommufd/abi/iommufd.h"

#define FLAG_NEST  ((uint64_t)IOMMU_HWPT_ALLOC_NEST_PARENT)
#define FLAG_DIRTY ((uint64_t)IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
#define FLAG_FAULT ((uint64_t)IOMMU_HWPT_FAULT_ID_VALID)
#define FLAG_PASID ((uint64_t)IOMMU_HWPT_ALLOC_PASID)

/* ---- page tables ------------------------------------------------------------- */

/* The one that a nested one is on, or itself. */
static struct ref_obj *paging(struct ref_ctx *ctx, uint32_t id)
{
	struct ref_obj *o = &ctx->obj[id];

	return o->type == NESTED ? &ctx->obj[o->parent] : o;
}

static struct ref_ioas *ioas_of(struct ref_ctx *ctx, uint32_t hwpt)
{
	return ctx->obj[paging(ctx, hwpt)->ioas_id].ioas;
}

/* Not in its IOAS yet. */
static uint32_t create(struct ref_ctx *ctx, bool mock, bool huge)
{
	uint32_t id = ref_obj_alloc(ctx, HWPT);
	struct ref_obj *o = &ctx->obj[id];

	o->mock = mock;
	if (!mock) {
		o->last = VTD_LAST;
		o->min_page = PAGE;
	} else if (huge) {
		o->last = MOCK_HUGE_LAST;
		o->min_page = PAGE;
	} else {
		o->first = MOCK_APERTURE_START;
		o->last = MOCK_APERTURE_LAST;
		o->min_page = MOCK_PAGE_SIZE;
	}
	return id;
}

/* Into its IOAS, with all that is mapped there. */
static int fill(struct ref *r, struct ref_ctx *ctx, uint32_t id, uint32_t ioas_id)
{
	struct ref_ioas *ioas = ctx->obj[ioas_id].ioas;
	struct ref_obj *o = &ctx->obj[id];
	int err = ref_check_alignment(r, ctx, ioas_id, o->min_page);

	if (!err && o->first)
		err = ref_reserve(ioas, 0, o->first - 1, OWNER_HWPT + id);
	if (!err)
		err = ref_reserve(ioas, o->last + 1, UINT64_MAX, OWNER_HWPT + id);
	for (size_t i = 0; i < ioas->nr_areas && !err; i++)
		err = ref_fill(&ioas->areas[i], o->min_page);
	if (err) {
		ref_unreserve(ioas, OWNER_HWPT + id);
		return err;
	}
	o->ioas_id = ioas_id;
	ctx->obj[ioas_id].users++;
	return 0;
}

static void hwpt_free(struct ref_ctx *ctx, uint32_t id)
{
	struct ref_obj *o = &ctx->obj[id];

	if (o->type == NESTED) {
		ctx->obj[o->parent].users--;
	} else if (o->ioas_id) {
		ref_unreserve(ctx->obj[o->ioas_id].ioas, OWNER_HWPT + id);
		ctx->obj[o->ioas_id].users--;
	}
	ref_obj_free(ctx, id);
}

static void unuse(struct ref_ctx *ctx, uint32_t id, unsigned n)
{
	struct ref_obj *o = &ctx->obj[id];

	o->users -= n;
	if (!o->users && o->automatic)
		hwpt_free(ctx, id);
}

/* ---- devices ----------------------------------------------------------------- */

int ref_dev_bind(struct ref *r, struct ref_dev *d, struct ref_ctx *ctx)
{
	struct ref_group *g = d->group;

	if (g->bound && g->ctx != ctx)
		return -EPERM;
	g->ctx = ctx;
	g->bound++;
	d->ctx = ctx;
	d->id = ref_obj_alloc(ctx, DEVICE);
	ctx->obj[d->id].users = 1; /* its driver's */
	ctx->obj[d->id].index = (unsigned)(d - r->dev);
	if (!d->mock)
		ctx->holders++;
	return 0;
}

void ref_dev_unbind(struct ref *r, struct ref_dev *d)
{
	struct ref_ctx *ctx = d->ctx;

	ref_dev_detach(r, d);
	ref_obj_free(ctx, d->id);
	if (!--d->group->bound)
		d->group->ctx = NULL;
	d->ctx = NULL;
	if (d->mock)
		return;
	ctx->holders--;
	ref_ctx_release(r, ctx);
}

static unsigned owner(struct ref *r, const struct ref_dev *d)
{
	return OWNER_DEV + (unsigned)(d - r->dev);
}

static void unreserve(struct ref *r, struct ref_group *g, struct ref_ioas *ioas)
{
	for (unsigned i = 0; i < NDEVS; i++)
		if (r->dev[i].group == g && r->dev[i].attached)
			ref_unreserve(ioas, owner(r, &r->dev[i]));
}

/* A mock device reserves nothing. */
static int reserve(struct ref *r, struct ref_dev *d, struct ref_ioas *ioas)
{
	return d->mock ? 0 : ref_reserve(ioas, MSI_FIRST, MSI_LAST, owner(r, d));
}

static int reserve_group(struct ref *r, struct ref_group *g, struct ref_ioas *ioas)
{
	int err = 0;

	for (unsigned i = 0; i < NDEVS && !err; i++)
		if (r->dev[i].group == g && r->dev[i].attached)
			err = reserve(r, &r->dev[i], ioas);
	if (err)
		unreserve(r, g, ioas);
	return err;
}

/* Does the IOMMU let the device use it? */
static int suits(const struct ref_dev *d, const struct ref_obj *hwpt)
{
	if (hwpt->mock != d->mock)
		return -EINVAL;
	return hwpt->tracks && !d->tracks ? -EINVAL : 0;
}

/* @ioas: of the page table, which is not in it yet; 0: it is. */
static int replace(struct ref *r, struct ref_dev *d, uint32_t id, uint32_t ioas)
{
	struct ref_group *g = d->group;
	struct ref_ctx *ctx = d->ctx;
	struct ref_ioas *from = ioas_of(ctx, g->hwpt), *to;
	int err;

	if (id == g->hwpt)
		return 0;
	err = ioas ? fill(r, ctx, id, ioas) : 0;
	if (err)
		return err;
	to = ioas_of(ctx, id);
	err = to != from ? reserve_group(r, g, to) : 0;
	if (err)
		return err;
	err = suits(d, &ctx->obj[id]);
	if (err) {
		if (to != from)
			unreserve(r, g, to);
		return err;
	}
	if (to != from)
		unreserve(r, g, from);
	ctx->obj[id].users += g->attached;
	unuse(ctx, g->hwpt, g->attached);
	g->hwpt = id;
	return 0;
}

static int attach(struct ref *r, struct ref_dev *d, uint32_t id, uint32_t ioas)
{
	struct ref_group *g = d->group;
	struct ref_ctx *ctx = d->ctx;
	struct ref_ioas *to = ioas ? ctx->obj[ioas].ioas : ioas_of(ctx, id);
	int err;

	if (g->hwpt && g->hwpt != id)
		return -EINVAL;
	err = reserve(r, d, to);
	if (err)
		return err;
	if (ioas)
		err = fill(r, ctx, id, ioas);
	else if (!g->hwpt)
		err = suits(d, &ctx->obj[id]);
	if (err) {
		ref_unreserve(to, owner(r, d));
		return err;
	}
	d->attached = true;
	g->attached++;
	g->hwpt = id;
	ctx->obj[id].users++;
	return 0;
}

static int change(struct ref *r, struct ref_dev *d, uint32_t id, uint32_t ioas)
{
	return d->attached ? replace(r, d, id, ioas) : attach(r, d, id, ioas);
}

/* Through the automatic page table that does, or a new one. */
static int attach_ioas(struct ref *r, struct ref_dev *d, uint32_t ioas, uint32_t *out)
{
	struct ref_ctx *ctx = d->ctx;
	int err;

	for (uint32_t id = 1; id < ctx->top; id++) {
		struct ref_obj *o = &ctx->obj[id];

		if (o->type != HWPT || o->ioas_id != ioas || !o->automatic)
			continue;
		err = change(r, d, id, 0);
		if (!err)
			*out = id;
		if (err != -EINVAL)
			return err;
	}
	*out = create(ctx, d->mock, false);
	err = change(r, d, *out, ioas);
	if (err)
		hwpt_free(ctx, *out);
	else
		ctx->obj[*out].automatic = true;
	return err;
}

int ref_dev_attach(struct ref *r, struct ref_dev *d, uint32_t *pt)
{
	struct ref_obj *o = ref_obj_any(d->ctx, *pt);

	if (!o)
		return -ENOENT;
	if (o->type == IOAS)
		return attach_ioas(r, d, *pt, pt);
	return o->type == HWPT || o->type == NESTED ? change(r, d, *pt, 0) : -EINVAL;
}

void ref_dev_detach(struct ref *r, struct ref_dev *d)
{
	struct ref_group *g = d->group;
	uint32_t hwpt = g->hwpt;

	if (!d->attached)
		return;
	d->attached = false;
	ref_unreserve(ioas_of(d->ctx, hwpt), owner(r, d));
	if (!--g->attached)
		g->hwpt = 0;
	unuse(d->ctx, hwpt, 1);
}

/* ---- DESTROY ----------------------------------------------------------------- */

void ref_destroy_op(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint32_t id = ref_slot(r, op->obj);
	struct ref_obj *o;

	if (!ctx)
		return;
	o = ref_obj_any(ctx, id);
	if (!o || o->users) {
		out->ret = o ? -EBUSY : -ENOENT;
		return;
	}
	if (o->type == STDEV) {
		ref_dev_unbind(r, &r->dev[o->index]);
		r->dev[o->index].used = false;
	}
	if (o->type == HWPT || o->type == NESTED)
		hwpt_free(ctx, id);
	else
		ref_obj_free(ctx, id);
}

/* ---- HWPT_ALLOC -------------------------------------------------------------- */

static int check_paging(const struct ref_dev *d, uint64_t flags, enum hwpt_data data)
{
	if (flags & ~(FLAG_NEST | FLAG_DIRTY | FLAG_FAULT | FLAG_PASID) ||
	    (flags & FLAG_DIRTY && !d->tracks) ||
	    (flags & FLAG_FAULT && flags & FLAG_NEST))
		return -EOPNOTSUPP;
	if (!d->mock)
		return flags & FLAG_NEST || data ? -EOPNOTSUPP : 0;
	if (data == DATA_FOREIGN || data == DATA_BAD_TABLE)
		return -EOPNOTSUPP;
	return data == DATA_SHORT ? -EINVAL : 0;
}

static int alloc_paging(struct ref *r, struct ref_ctx *ctx, const struct ref_dev *d,
			uint32_t ioas, const struct op *op, uint32_t *out)
{
	int err = check_paging(d, op->flags, (enum hwpt_data)op->value);
	struct ref_obj *o;

	if (err)
		return err;
	*out = create(ctx, d->mock, op->value == DATA_HUGE);
	o = &ctx->obj[*out];
	o->nest_parent = op->flags & FLAG_NEST;
	o->tracks = op->flags & FLAG_DIRTY;
	err = fill(r, ctx, *out, ioas);
	/* There are no fault queues. */
	if (!err && op->flags & FLAG_FAULT)
		err = -ENOENT;
	if (err)
		hwpt_free(ctx, *out);
	return err;
}

static int alloc_nested(struct ref_ctx *ctx, const struct ref_dev *d, uint32_t parent,
			const struct op *op, uint32_t *out)
{
	struct ref_obj *p = &ctx->obj[parent];

	if (op->flags & ~(FLAG_FAULT | FLAG_PASID) || op->value == DATA_NONE)
		return -EOPNOTSUPP;
	if (p->automatic || !p->nest_parent || p->mock != d->mock)
		return -EINVAL;
	if (op->value == DATA_FOREIGN)
		return -EOPNOTSUPP;
	if (op->value == DATA_SHORT)
		return -EINVAL;
	if (op->flags & FLAG_FAULT)
		return -ENOENT;
	*out = ref_obj_alloc(ctx, NESTED);
	ctx->obj[*out].parent = parent;
	ctx->obj[*out].mock = true;
	ctx->obj[parent].users++;
	return 0;
}

void ref_hwpt_alloc(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint32_t pt_id = ref_slot(r, op->pt), id = 0;
	struct ref_obj *dev, *pt;
	const struct ref_dev *d;

	if (!ctx)
		return;
	if (op->value == DATA_NO_TYPE || op->value == DATA_NO_LENGTH) {
		out->ret = -EINVAL;
		return;
	}
	dev = ref_obj(ctx, ref_slot(r, op->obj), DEVICE);
	pt = ref_obj_any(ctx, pt_id);
	if (!dev || !pt) {
		out->ret = dev ? -EINVAL : -ENOENT;
		return;
	}
	d = &r->dev[dev->index];
	if (pt->type == IOAS)
		out->ret = alloc_paging(r, ctx, d, pt_id, op, &id);
	else if (pt->type == HWPT)
		out->ret = alloc_nested(ctx, d, pt_id, op, &id);
	else
		out->ret = -EINVAL;
	if (out->ret)
		return;
	ref_set_slot(r, op->slot, id);
	tell(out, id);
}

/* ---- mock devices ------------------------------------------------------------ */

static struct ref_dev *new_mock(struct ref *r, unsigned flags)
{
	unsigned i = NDEVS;

	while (r->dev[i].used)
		i++;
	r->dev[i] = (struct ref_dev){
		.used = true,
		.mock = true,
		.tracks = !(flags & MOCK_FLAGS_DEVICE_NO_DIRTY),
		.group = &r->group[NGROUPS + i],
	};
	*r->dev[i].group = (struct ref_group){0};
	return &r->dev[i];
}

void ref_mock(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint32_t pt = ref_slot(r, op->pt), id;
	struct ref_dev *d;

	if (!ctx)
		return;
	if (op->flags &
	    ~(uint64_t)(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID)) {
		out->ret = -EINVAL;
		return;
	}
	id = ref_obj_alloc(ctx, STDEV);
	d = new_mock(r, (unsigned)op->flags);
	ctx->obj[id].index = (unsigned)(d - r->dev);
	ref_dev_bind(r, d, ctx);
	/* Its own id cannot be found yet. */
	out->ret = pt == id ? -ENOENT : ref_dev_attach(r, d, &pt);
	if (out->ret) {
		ref_dev_unbind(r, d);
		d->used = false;
		ref_obj_free(ctx, id);
		return;
	}
	ref_set_slot(r, op->slot, id);
	ref_set_slot(r, op->slot + 1, d->id);
	ref_set_slot(r, op->slot + 2, pt);
	tell(out, id);
	tell(out, d->id);
	tell(out, pt);
}

void ref_mock_replace(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	uint32_t pt = ref_slot(r, op->pt);
	struct ref_obj *o;

	if (!ctx)
		return;
	o = ref_obj(ctx, ref_slot(r, op->obj), STDEV);
	out->ret = o ? ref_dev_attach(r, &r->dev[o->index], &pt) : -ENOENT;
	if (out->ret)
		return;
	ref_set_slot(r, op->slot, pt);
	tell(out, pt);
}

/* Does the page table lead from @iova on to the program's memory at @start? */
static int check_map(struct ref *r, struct ref_ctx *ctx, const struct ref_obj *hwpt,
		     const struct op *op)
{
	uint64_t page = hwpt->min_page;
	const struct ref_ioas *ioas = ctx->obj[hwpt->ioas_id].ioas;

	if (!hwpt->mock || (op->iova | op->length | op->start) % page)
		return -EINVAL;
	for (uint64_t at = 0; at < op->length; at += page) {
		const struct ref_area *a = ref_area_at(ioas, op->iova + at);

		if (ref_client_access(op->start + at, 1, false))
			return -EFAULT;
		if (!a || a->memory.revoked ||
		    ref_byte(r, a, op->iova + at) != ref_client_byte(r, op->start + at))
			return -EINVAL;
	}
	return 0;
}

void ref_check_map(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	struct ref_obj *o;

	if (!ctx)
		return;
	o = ref_obj(ctx, ref_slot(r, op->obj), HWPT);
	out->ret = o ? check_map(r, ctx, o, op) : -ENOENT;
}
