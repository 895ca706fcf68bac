/* SPDX-License-Identifier: MIT */
/*
 * Virtual IOMMUs: a slice of the IOMMU for a guest, over a hwpt that holds the guest's
 * memory; and HWPT_INVALIDATE, which goes to one of them or to a nested hwpt.
 *
 * What a vIOMMU does is the IOMMU's (driver.h); there is none of it where the IOMMU has
 * no types of them, as the simulated VT-d.
 */
#include "iommufd/viommu.h"

#include <errno.h>

/* Linux 7.3: far more than any batch; an entry is at most a page. */
#define INVALIDATE_MAX_ENTRIES   (1u << 19)
#define INVALIDATE_MAX_ENTRY_LEN 4096u

static int check_entries(const struct iommu_hwpt_invalidate *cmd)
{
	if (!cmd->entry_num)
		return 0;
	if (!cmd->data_uptr || !cmd->entry_len ||
	    cmd->entry_len > INVALIDATE_MAX_ENTRY_LEN ||
	    cmd->entry_num > INVALIDATE_MAX_ENTRIES)
		return -EINVAL;
	return 0;
}

/* Leaves the number of entries as it is unless the IOMMU was asked. */
static int invalidate_on(struct iommufd_object *pt, struct iommufd_user_array *array,
			 uint32_t *done)
{
	struct iommufd_viommu *v = (struct iommufd_viommu *)pt;
	struct iommufd_nested *n;
	int err;

	switch (pt->type) {
	case OBJECT_HWPT_NESTED:
		n = ((struct iommufd_hwpt *)pt)->nested;
		if (!n->ops->invalidate)
			return -EOPNOTSUPP;
		err = n->ops->invalidate(n, array);
		break;
	case OBJECT_VIOMMU:
		if (!v->ops->invalidate)
			return -EOPNOTSUPP;
		err = v->ops->invalidate(v->priv, array);
		break;
	default:
		return -EINVAL;
	}
	*done = array->entry_num;
	return err;
}

static int invalidate(struct uapi_call *call, const struct iommu_hwpt_invalidate *cmd,
		      uint32_t *done)
{
	struct iommufd_user_array array = {
		.client = call->client,
		.uptr = cmd->data_uptr,
		.type = cmd->data_type,
		.entry_len = cmd->entry_len,
		.entry_num = cmd->entry_num,
	};
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_object *pt;
	int err;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	err = check_entries(cmd);
	if (err)
		return err;
	pt = object_get(ctx, cmd->hwpt_id, OBJECT_ANY);
	if (!pt)
		return -ENOENT;
	err = invalidate_on(pt, &array, done);
	object_put(ctx, pt);
	return err;
}

/* How many entries were done is written back on failure, too. */
long iommufd_hwpt_invalidate(struct uapi_call *call)
{
	struct iommu_hwpt_invalidate *cmd = (void *)call->data;
	uint32_t done = 0;
	int err = invalidate(call, cmd, &done);

	cmd->entry_num = done;
	return uapi_respond(call, sizeof(*cmd)) ? -EFAULT : err;
}

/* ---- the object ---------------------------------------------------------------------
 */

void viommu_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_viommu *v = (struct iommufd_viommu *)obj;

	if (!v->hwpt)
		return;
	if (v->ops)
		v->ops->destroy(v->priv);
	viommu_unmap_all(v);
	PORT_BUG_ON(!list_empty(&v->vdevices) || !list_empty(&v->queues));
	port_rwlock_finish(&v->queues_lock);
	port_mutex_finish(&v->lock);
	object_unuse(ctx, &v->hwpt->obj, 1);
}

static int create(struct uapi_call *call, struct iommufd_device *dev,
		  struct iommufd_hwpt *hwpt, struct iommufd_viommu **out)
{
	struct iommu_viommu_alloc *cmd = (void *)call->data;
	const struct iommufd_user_data data = {
		.client = call->client,
		.uptr = cmd->data_uptr,
		.type = cmd->type,
		.len = cmd->data_len,
	};
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_viommu *v;
	int err = object_alloc(ctx, sizeof(*v), OBJECT_VIOMMU, (void **)&v);

	if (err)
		return err;
	v->ctx = ctx;
	v->iommu = iommu_of(dev);
	v->hwpt = hwpt;
	object_use(ctx, &hwpt->obj, 1);
	port_mutex_init(&v->lock);
	port_rwlock_init(&v->queues_lock);
	list_init(&v->vdevices);
	list_init(&v->queues);
	list_init(&v->maps);
	err = v->iommu->viommu(&dev->info, v, cmd->type, hwpt->domain,
			       data.len ? &data : NULL, &v->ops, &v->priv);
	if (err) {
		v->ops = NULL;
		object_abort(ctx, &v->obj);
		return err;
	}
	*out = v;
	return 0;
}

static int alloc_on_hwpt(struct uapi_call *call, struct iommufd_device *dev,
			 struct iommufd_hwpt *hwpt)
{
	struct iommu_viommu_alloc *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_viommu *v;
	int err;

	if (!hwpt->nest_parent)
		return -EINVAL;
	err = create(call, dev, hwpt, &v);
	if (err)
		return err;
	cmd->out_viommu_id = v->obj.id;
	err = uapi_respond(call, sizeof(*cmd));
	if (err)
		object_abort(ctx, &v->obj);
	else
		object_publish(ctx, &v->obj);
	return err;
}

static int alloc_for_device(struct uapi_call *call, struct iommufd_device *dev)
{
	struct iommu_viommu_alloc *cmd = (void *)call->data;
	const struct iommufd_iommu *iommu = iommu_of(dev);
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_hwpt *hwpt;
	int err;

	if (!iommu->has_viommu || !iommu->has_viommu(&dev->info, cmd->type))
		return -EOPNOTSUPP;
	hwpt = hwpt_get(ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	err = alloc_on_hwpt(call, dev, hwpt);
	object_put(ctx, &hwpt->obj);
	return err;
}

long iommufd_viommu_alloc(struct uapi_call *call)
{
	struct iommu_viommu_alloc *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_device *dev;
	int err;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	dev = device_get(ctx, cmd->dev_id);
	if (!dev)
		return -ENOENT;
	err = alloc_for_device(call, dev);
	object_put(ctx, &dev->obj);
	return err;
}
