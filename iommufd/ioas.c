/* SPDX-License-Identifier: MIT */
/*
 * The IOAS object: making and ending address spaces, the ranges they may use, unmap.
 * Mapping is in map.c; the address space itself is core/ioas.
 *
 * No lock of this room is held over a core call here. Arrays that a client names are
 * copied one element at a time, so a length that it makes up costs it, not us.
 */
#include <errno.h>

#include "core/range_map.h"
#include "iommufd/private.h"

void ioas_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_ioas *ioas = (struct iommufd_ioas *)obj;

	if (!ioas->ioas)
		return;
	ioas_destroy(ioas->ioas);
	port_mutex_finish(&ioas->lock);
}

int ioas_object_create(struct iommufd_ctx *ctx, struct iommufd_ioas **out)
{
	struct iommufd_ioas *ioas;
	int err = object_alloc(ctx, sizeof(*ioas), OBJECT_IOAS, (void **)&ioas);

	if (err)
		return err;
	err = ioas_create(&ioas->ioas);
	if (err) {
		ioas->ioas = NULL;
		object_abort(ctx, &ioas->obj);
		return err;
	}
	port_mutex_init(&ioas->lock);
	list_init(&ioas->hwpts);
	*out = ioas;
	return 0;
}

long iommufd_ioas_alloc(struct uapi_call *call)
{
	struct iommu_ioas_alloc *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas;
	int err;

	if (cmd->flags)
		return -EOPNOTSUPP;
	err = ioas_object_create(ctx, &ioas);
	if (err)
		return err;
	cmd->out_ioas_id = ioas->obj.id;
	err = uapi_respond(call, sizeof(*cmd));
	if (err)
		object_abort(ctx, &ioas->obj);
	else
		object_publish(ctx, &ioas->obj);
	return err;
}

/* ---- ranges --------------------------------------------------------------------- */

#define RANGES_ON_STACK 16

/*
 * All ranges, or the first @max of them, of one moment. *@v is @small or allocated. The
 * total can grow between two looks, so look until they fit.
 */
static int ranges_snapshot(struct ioas *ioas, size_t max, struct iova_range *small,
			   struct iova_range **v, size_t *total, uint64_t *alignment)
{
	size_t cap = RANGES_ON_STACK;

	*v = small;
	for (;;) {
		ioas_ranges(ioas, *v, cap, total, alignment);
		if (*total <= cap || max <= cap)
			return 0;
		cap = *total;
		if (*v != small)
			port_free(*v);
		*v = port_alloc(cap * sizeof(**v));
		if (!*v)
			return -ENOMEM;
	}
}

static int ranges_copy_out(struct client *c, uint64_t va, const struct iova_range *v,
			   size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct iommu_iova_range r = {.start = v[i].start, .last = v[i].last};
		int err = client_copy_out(c, va + i * sizeof(r), &r, sizeof(r));

		if (err)
			return err;
	}
	return 0;
}

long iommufd_ioas_iova_ranges(struct uapi_call *call)
{
	struct iommu_ioas_iova_ranges *cmd = (void *)call->data;
	struct iova_range small[RANGES_ON_STACK], *v = small;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas;
	uint64_t alignment;
	size_t total, max;
	int err;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = ioas_get(ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	max = cmd->num_iovas;
	err = ranges_snapshot(ioas->ioas, max, small, &v, &total, &alignment);
	if (err)
		goto out;
	err = ranges_copy_out(call->client, cmd->allowed_iovas, v,
			      total < max ? total : max);
	if (err)
		goto out;
	cmd->num_iovas = (uint32_t)total;
	cmd->out_iova_alignment = alignment;
	err = uapi_respond(call, sizeof(*cmd));
	if (!err && total > max)
		err = -EMSGSIZE;
out:
	if (v != small)
		port_free(v);
	object_put(ctx, &ioas->obj);
	return err;
}

/* Sorts the client's ranges into @map, in its order, so that its first mistake counts. */
static int allowed_copy_in(struct client *c, uint64_t va, size_t n, struct range_map *map)
{
	for (size_t i = 0; i < n; i++) {
		struct iommu_iova_range r;
		int err = client_copy_in(c, &r, va + i * sizeof(r), sizeof(r));

		if (err)
			return err;
		if (r.start >= r.last)
			return -EINVAL;
		err = range_map_insert(map, r.start, r.last, map);
		if (err)
			return err == -EEXIST ? -EINVAL : err;
	}
	return 0;
}

static int allow(struct ioas *ioas, const struct range_map *map)
{
	struct iova_range *v;
	struct range_iter it;
	struct range r;
	size_t n = 0;
	int err;

	if (!map->count)
		return ioas_allow(ioas, NULL, 0);
	v = port_alloc(map->count * sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (bool more = range_iter_first(&it, map, 0, UINT64_MAX, &r); more;
	     more = range_iter_next(&it, &r))
		v[n++] = (struct iova_range){.start = r.start, .last = r.last};
	err = ioas_allow(ioas, v, n);
	port_free(v);
	return err;
}

long iommufd_ioas_allow_iovas(struct uapi_call *call)
{
	struct iommu_ioas_allow_iovas *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas;
	struct range_map map;
	int err;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = ioas_get(ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	range_map_init(&map);
	err = allowed_copy_in(call->client, cmd->allowed_iovas, cmd->num_iovas, &map);
	if (!err)
		err = allow(ioas->ioas, &map);
	range_map_finish(&map);
	object_put(ctx, &ioas->obj);
	return err;
}

/* ---- unmap ---------------------------------------------------------------------- */

static int unmap(struct ioas *ioas, uint64_t iova, uint64_t length, uint64_t *unmapped)
{
	if (!iova && length == UINT64_MAX)
		return ioas_unmap_all(ioas, unmapped);
	if (iova == UINT64_MAX || length == UINT64_MAX)
		return -EOVERFLOW;
	return ioas_unmap(ioas, iova, length, unmapped);
}

long iommufd_ioas_unmap(struct uapi_call *call)
{
	struct iommu_ioas_unmap *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas = ioas_get(ctx, cmd->ioas_id);
	uint64_t unmapped = 0;
	int err;

	if (!ioas)
		return -ENOENT;
	err = unmap(ioas->ioas, cmd->iova, cmd->length, &unmapped);
	if (!err) {
		cmd->length = unmapped;
		err = uapi_respond(call, sizeof(*cmd));
	}
	object_put(ctx, &ioas->obj);
	return err;
}
