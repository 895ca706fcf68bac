/* SPDX-License-Identifier: MIT */
/*
 * The object table: ids, the two counts, and the end of objects (see private.h).
 *
 * ctx.lock guards all of it and is held for a few instructions only; the one thing done
 * under it that takes longer is growing the table, which doubles. Destructors run with
 * the lock dropped, after the object has left the table.
 *
 * Whoever takes an object out of the table destroys it, and nobody else: for a dying
 * object that is the thread that set `dying`.
 */
#include "iommufd/private.h"

#include <errno.h>

#define TABLE_MIN_CAP 64u

static void (*const destructors[OBJECT_TYPES])(struct iommufd_ctx *ctx,
					       struct iommufd_object *obj) = {
	[OBJECT_IOAS] = ioas_object_destroy,
	[OBJECT_HWPT] = hwpt_object_destroy,
	[OBJECT_HWPT_NESTED] = nested_object_destroy,
	[OBJECT_DEVICE] = device_object_destroy,
	[OBJECT_FAULT] = fault_object_destroy,
	[OBJECT_VIOMMU] = viommu_object_destroy,
	[OBJECT_VDEVICE] = vdevice_object_destroy,
	[OBJECT_VEVENTQ] = veventq_object_destroy,
	[OBJECT_HW_QUEUE] = hw_queue_object_destroy,
	[OBJECT_ACCESS] = access_object_destroy,
	[OBJECT_EXTRA] = extra_object_destroy,
};

static void lock(struct iommufd_ctx *ctx)
{
	pthread_mutex_lock(&ctx->lock);
}

static void unlock(struct iommufd_ctx *ctx)
{
	pthread_mutex_unlock(&ctx->lock);
}

/* ---- ids ------------------------------------------------------------------------ */

static int table_grow(struct object_table *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : TABLE_MIN_CAP;
	struct iommufd_object **slots;
	uint64_t *taken;

	if (cap > INT32_MAX)
		return -ENOMEM;
	slots = port_alloc(cap * sizeof(slots[0]) + cap / 64 * sizeof(taken[0]));
	if (!slots)
		return -ENOMEM;
	taken = (uint64_t *)(void *)(slots + cap);
	if (t->cap) {
		memcpy(slots, t->slots, t->cap * sizeof(slots[0]));
		memcpy(taken, t->taken, t->cap / 64 * sizeof(taken[0]));
	} else {
		taken[0] = 1; /* 0 is never an id */
	}
	port_free(t->slots);
	t->slots = slots;
	t->taken = taken;
	t->cap = cap;
	return 0;
}

/* The lowest free id, or the first beyond the table. */
static uint32_t table_lowest(const struct object_table *t)
{
	uint32_t id = t->lowest / 64 * 64;

	for (; id < t->cap; id += 64)
		if (~t->taken[id / 64])
			return id + (uint32_t)__builtin_ctzll(~t->taken[id / 64]);
	return t->cap;
}

static int table_insert(struct object_table *t, struct iommufd_object *obj)
{
	uint32_t id = table_lowest(t);

	if (id == t->cap) {
		int err = table_grow(t);

		if (err)
			return err;
		id = table_lowest(t);
	}
	t->taken[id / 64] |= (uint64_t)1 << id % 64;
	t->slots[id] = obj;
	t->lowest = id + 1;
	t->count++;
	obj->id = id;
	return 0;
}

/* @bury: the id stays taken. */
static void table_remove(struct object_table *t, uint32_t id, bool bury)
{
	t->slots[id] = NULL;
	t->count--;
	if (bury) {
		t->buried++;
		return;
	}
	t->taken[id / 64] &= ~((uint64_t)1 << id % 64);
	if (id < t->lowest)
		t->lowest = id;
}

/* ---- lookups -------------------------------------------------------------------- */

static bool alive(const struct iommufd_object *obj)
{
	return obj->published && !obj->dying;
}

static struct iommufd_object *find(struct iommufd_ctx *ctx, uint32_t id,
				   enum object_type type)
{
	struct iommufd_object *obj = id < ctx->table.cap ? ctx->table.slots[id] : NULL;

	if (!obj || !alive(obj) || (type != OBJECT_ANY && obj->type != type))
		return NULL;
	return obj;
}

struct iommufd_object *object_get(struct iommufd_ctx *ctx, uint32_t id,
				  enum object_type type)
{
	struct iommufd_object *obj;

	lock(ctx);
	obj = find(ctx, id, type);
	if (obj)
		obj->busy++;
	unlock(ctx);
	return obj;
}

bool object_try_get(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	bool got;

	lock(ctx);
	got = alive(obj);
	if (got)
		obj->busy++;
	unlock(ctx);
	return got;
}

struct iommufd_object *object_next(struct iommufd_ctx *ctx, uint32_t *id,
				   enum object_type type)
{
	struct iommufd_object *obj = NULL;

	lock(ctx);
	for (; *id < ctx->table.cap; ++*id) {
		obj = find(ctx, *id, type);
		if (obj) {
			obj->busy++;
			break;
		}
	}
	unlock(ctx);
	return obj;
}

void object_put(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	lock(ctx);
	PORT_BUG_ON(!obj->busy);
	if (!--obj->busy && obj->dying)
		pthread_cond_broadcast(&ctx->idle);
	unlock(ctx);
}

void object_use(struct iommufd_ctx *ctx, struct iommufd_object *obj, unsigned n)
{
	lock(ctx);
	obj->users += n;
	unlock(ctx);
}

bool object_try_use(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	bool used;

	lock(ctx);
	used = alive(obj);
	obj->users += used;
	unlock(ctx);
	return used;
}

void object_unuse(struct iommufd_ctx *ctx, struct iommufd_object *obj, unsigned n)
{
	lock(ctx);
	PORT_BUG_ON(obj->users < n);
	obj->users -= n;
	unlock(ctx);
}

/* ---- birth and death ------------------------------------------------------------ */

int object_alloc(struct iommufd_ctx *ctx, size_t size, enum object_type type, void **out)
{
	struct iommufd_object *obj = port_alloc(size);
	int err;

	if (!obj)
		return -ENOMEM;
	obj->type = type;
	lock(ctx);
	err = table_insert(&ctx->table, obj);
	unlock(ctx);
	if (err) {
		port_free(obj);
		return err;
	}
	*out = obj;
	return 0;
}

void object_publish(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	lock(ctx);
	obj->published = true;
	unlock(ctx);
}

/* Under the lock: from here on the object is the caller's alone. */
static void take_out(struct iommufd_ctx *ctx, struct iommufd_object *obj, bool bury)
{
	obj->dying = true; /* lists of other objects may still lead to it */
	table_remove(&ctx->table, obj->id, bury);
	if (ctx->vfio_ioas == obj)
		ctx->vfio_ioas = NULL;
}

static void destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	destructors[obj->type](ctx, obj);
	port_free(obj);
}

void object_abort(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	lock(ctx);
	take_out(ctx, obj, false);
	unlock(ctx);
	destroy(ctx, obj);
}

int object_destroy(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj;

	lock(ctx);
	obj = find(ctx, id, OBJECT_ANY);
	if (!obj || obj->users || obj->busy) {
		unlock(ctx);
		return obj ? -EBUSY : -ENOENT;
	}
	take_out(ctx, obj, false);
	unlock(ctx);
	destroy(ctx, obj);
	return 0;
}

/*
 * A call at work may still take a use of the object before it puts it; then the object
 * lives on. When two threads come here, the first one waits for both.
 */
static void unuse_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj, bool bury)
{
	lock(ctx);
	PORT_BUG_ON(!obj->users);
	if (--obj->users || obj->dying) {
		unlock(ctx);
		return;
	}
	obj->dying = true;
	while (obj->busy)
		pthread_cond_wait(&ctx->idle, &ctx->lock);
	if (obj->users) {
		obj->dying = false;
		unlock(ctx);
		return;
	}
	take_out(ctx, obj, bury);
	unlock(ctx);
	destroy(ctx, obj);
}

void object_unuse_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	unuse_destroy(ctx, obj, false);
}

void object_unuse_bury(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	unuse_destroy(ctx, obj, true);
}

bool objects_empty(const struct iommufd_ctx *ctx)
{
	return !ctx->table.count && !ctx->table.buried;
}

void objects_init(struct iommufd_ctx *ctx)
{
	ctx->table.lowest = 1;
}

/* One pass; answers how many were destroyed. */
static uint32_t destroy_unused(struct iommufd_ctx *ctx)
{
	struct object_table *t = &ctx->table;
	uint32_t n = 0;

	for (uint32_t id = 0; id < t->cap; id++) {
		struct iommufd_object *obj = t->slots[id];

		if (obj && !obj->users) {
			take_out(ctx, obj, false);
			destroy(ctx, obj);
			n++;
		}
	}
	return n;
}

void objects_finish(struct iommufd_ctx *ctx)
{
	/* The objects form a graph without circles: a few levels, a pass for each. */
	while (ctx->table.count && destroy_unused(ctx))
		;
	PORT_BUG_ON(ctx->table.count);
	port_free(ctx->table.slots);
}
