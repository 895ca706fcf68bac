/* SPDX-License-Identifier: MIT */
/* What IOMMUs and other rooms ask of a context (driver.h). */
#include "iommufd/driver.h"

#include <errno.h>

#include "iommufd/private.h"

/* ---- a client's data ------------------------------------------------------------ */

static int rest_is_zero(struct client *c, uint64_t va, size_t n)
{
	unsigned char bytes[256];

	while (n) {
		size_t part = n < sizeof(bytes) ? n : sizeof(bytes);
		int err = client_copy_in(c, bytes, va, part);

		for (size_t i = 0; !err && i < part; i++)
			if (bytes[i])
				err = -E2BIG;
		if (err)
			return err;
		va += part;
		n -= part;
	}
	return 0;
}

/* Whatever of it fits; the rest of @dst is zero. */
static int struct_in(struct client *c, uint64_t uptr, size_t len, void *dst, size_t size)
{
	memset(dst, 0, size);
	return client_copy_in(c, dst, uptr, len < size ? len : size);
}

int iommufd_user_data_in(const struct iommufd_user_data *data, uint32_t type, size_t min,
			 void *dst, size_t size)
{
	if (data->type != type || data->len < min || data->len > size)
		return -EINVAL;
	return struct_in(data->client, data->uptr, data->len, dst, size);
}

int iommufd_user_data_out(const struct iommufd_user_data *data, uint32_t type, size_t min,
			  const void *src, size_t size)
{
	if (data->type != type || data->len < min || data->len > size)
		return -EINVAL;
	return client_copy_out(data->client, data->uptr, src, data->len);
}

int iommufd_user_array_in(const struct iommufd_user_array *array, uint32_t type,
			  uint32_t i, size_t min, void *dst, size_t size)
{
	struct iommufd_user_data entry = {
		.client = array->client,
		.uptr = array->uptr + (uint64_t)i * array->entry_len,
		.type = array->type,
		.len = array->entry_len,
	};

	return iommufd_user_data_in(&entry, type, min, dst, size);
}

int iommufd_user_array_all_in(const struct iommufd_user_array *array, uint32_t type,
			      void *dst, size_t size)
{
	uint64_t from = array->uptr;
	char *to = dst;
	int err = 0;

	if (array->type != type || !array->entry_num)
		return -EINVAL;
	for (uint32_t i = 0; !err && i < array->entry_num; i++) {
		if (array->entry_len > size)
			err = rest_is_zero(array->client, from + size,
					   array->entry_len - size);
		if (!err)
			err = struct_in(array->client, from, array->entry_len, to, size);
		from += array->entry_len;
		to += size;
	}
	return err;
}

/* ---- extra objects ---------------------------------------------------------------- */

struct iommufd_extra {
	struct iommufd_object obj;
	const struct iommufd_extra_ops *ops;
	void *priv;
	bool ready; /* has been published: the ops destroy it */
};

void extra_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_extra *x = (struct iommufd_extra *)obj;

	if (x->ready)
		x->ops->destroy(x->priv);
}

int iommufd_extra_create(struct iommufd_ctx *ctx, const struct iommufd_extra_ops *ops,
			 struct iommufd_extra **out, uint32_t *id)
{
	struct iommufd_extra *x;
	int err = object_alloc(ctx, sizeof(*x), OBJECT_EXTRA, (void **)&x);

	if (err)
		return err;
	x->ops = ops;
	*out = x;
	*id = x->obj.id;
	return 0;
}

void iommufd_extra_publish(struct iommufd_ctx *ctx, struct iommufd_extra *x, void *priv)
{
	x->priv = priv;
	x->ready = true;
	object_publish(ctx, &x->obj);
}

void iommufd_extra_abort(struct iommufd_ctx *ctx, struct iommufd_extra *x)
{
	object_abort(ctx, &x->obj);
}

struct iommufd_extra *iommufd_extra_get(struct iommufd_ctx *ctx, uint32_t id,
					const struct iommufd_extra_ops *ops)
{
	struct iommufd_extra *x =
		(struct iommufd_extra *)object_get(ctx, id, OBJECT_EXTRA);

	if (x && x->ops != ops) {
		object_put(ctx, &x->obj);
		x = NULL;
	}
	return x;
}

void *iommufd_extra_priv(struct iommufd_extra *x)
{
	return x->priv;
}

void iommufd_extra_put(struct iommufd_ctx *ctx, struct iommufd_extra *x)
{
	object_put(ctx, &x->obj);
}

/* ---- objects by id ------------------------------------------------------------------
 */

static int ref_get(struct iommufd_ctx *ctx, uint32_t id, enum object_type type,
		   struct iommufd_ref *ref)
{
	ref->ctx = ctx;
	ref->obj = object_get(ctx, id, type);
	return ref->obj ? 0 : -ENOENT;
}

void iommufd_ref_put(struct iommufd_ref *ref)
{
	object_put(ref->ctx, ref->obj);
}

int iommufd_ioas_by_id(struct iommufd_ctx *ctx, uint32_t id, struct iommufd_ref *ref,
		       struct ioas **out)
{
	int err = ref_get(ctx, id, OBJECT_IOAS, ref);

	if (!err)
		*out = ((struct iommufd_ioas *)ref->obj)->ioas;
	return err;
}

int iommufd_domain_by_id(struct iommufd_ctx *ctx, uint32_t id, struct iommufd_ref *ref,
			 struct domain **out)
{
	int err = ref_get(ctx, id, OBJECT_HWPT, ref);

	if (!err)
		*out = ((struct iommufd_hwpt *)ref->obj)->domain;
	return err;
}

int iommufd_nested_by_id(struct iommufd_ctx *ctx, uint32_t id, struct iommufd_ref *ref,
			 struct iommufd_nested **out)
{
	int err = ref_get(ctx, id, OBJECT_HWPT_NESTED, ref);

	if (!err)
		*out = ((struct iommufd_hwpt *)ref->obj)->nested;
	return err;
}

int iommufd_device_by_id(struct iommufd_ctx *ctx, uint32_t id, struct iommufd_ref *ref,
			 const struct iommufd_device_info **out)
{
	int err = ref_get(ctx, id, OBJECT_DEVICE, ref);

	if (!err)
		*out = &((struct iommufd_device *)ref->obj)->info;
	return err;
}
