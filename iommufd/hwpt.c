/* SPDX-License-Identifier: MIT */
/*
 * Page tables as objects: a domain that holds everything its IOAS maps.
 *
 * A hwpt is made either by HWPT_ALLOC, and then stays until DESTROY, or by attaching a
 * device to an IOAS (device.c), and then goes with the last device that is attached to
 * it. It uses its IOAS. It is in the IOAS's list, and its domain in the address space,
 * from hwpt_fill() until its end.
 */
#include <errno.h>

#include "iommufd/viommu.h"

void nested_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_hwpt *hwpt = (struct iommufd_hwpt *)obj;

	if (hwpt->nested)
		hwpt->nested->ops->destroy(hwpt->nested);
	fault_disconnect(ctx, hwpt);
	if (hwpt->viommu)
		object_unuse(ctx, &hwpt->viommu->obj, 1);
	else
		object_unuse(ctx, &hwpt->parent->obj, 1);
}

void hwpt_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_hwpt *hwpt = (struct iommufd_hwpt *)obj;
	struct iommufd_ioas *ioas = hwpt->ioas;

	if (hwpt->filled) {
		port_mutex_lock(&ioas->lock);
		list_remove(&hwpt->on_ioas);
		port_mutex_unlock(&ioas->lock);
		ioas_remove_domain(ioas->ioas, hwpt->domain);
	}
	domain_destroy(hwpt->domain);
	fault_disconnect(ctx, hwpt);
	object_unuse(ctx, &ioas->obj, 1);
}

int hwpt_create(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
		struct iommufd_device *dev, uint32_t flags,
		const struct iommufd_user_data *data, struct iommufd_hwpt **out)
{
	const struct iommufd_iommu *iommu = iommu_of(dev);
	struct iommufd_hwpt *hwpt;
	int err = object_alloc(ctx, sizeof(*hwpt), OBJECT_HWPT, (void **)&hwpt);

	if (err)
		return err;
	hwpt->ioas = ioas;
	hwpt->iommu = iommu;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	hwpt->coherent = dev->info.enforces_coherency;
	object_use(ctx, &ioas->obj, 1);
	err = iommu->paging(&dev->info, ctx->machine->phys,
			    flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID, data,
			    &hwpt->domain);
	if (err) {
		hwpt->domain = NULL;
		object_abort(ctx, &hwpt->obj);
		return err;
	}
	*out = hwpt;
	return 0;
}

int hwpt_fill(struct iommufd_hwpt *hwpt)
{
	int err;

	if (hwpt->filled)
		return 0;
	err = ioas_add_domain(hwpt->ioas->ioas, hwpt->domain);
	if (err)
		return err;
	list_append(&hwpt->ioas->hwpts, &hwpt->on_ioas);
	hwpt->filled = true;
	return 0;
}

void hwpt_release(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt)
{
	if (hwpt->automatic)
		object_unuse_destroy(ctx, &hwpt->obj);
	else
		object_unuse(ctx, &hwpt->obj, 1);
}

/* ---- HWPT_ALLOC ----------------------------------------------------------------- */

static int check_flags(const struct iommufd_device *dev, uint32_t flags)
{
	const uint32_t known = IOMMU_HWPT_ALLOC_NEST_PARENT |
			       IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			       IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	if (flags & ~known)
		return -EOPNOTSUPP;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING &&
	    !(dev->info.hw_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING))
		return -EOPNOTSUPP;
	/* A parent's faults are not the client's to answer. */
	if (flags & IOMMU_HWPT_FAULT_ID_VALID && flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
		return -EOPNOTSUPP;
	return 0;
}

/* On an IOAS. Not published; *@out is not touched on failure. */
static int alloc_paging(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
			struct iommufd_device *dev, uint32_t flags,
			const struct iommufd_user_data *data, struct iommufd_hwpt **out)
{
	struct iommufd_hwpt *hwpt;
	int err = check_flags(dev, flags);

	if (err)
		return err;
	err = hwpt_create(ctx, ioas, dev, flags, data->len ? data : NULL, &hwpt);
	if (err)
		return err;
	port_mutex_lock(&ioas->lock);
	err = hwpt_fill(hwpt);
	port_mutex_unlock(&ioas->lock);
	if (err) {
		object_abort(ctx, &hwpt->obj);
		return err;
	}
	*out = hwpt;
	return 0;
}

/* Over @parent, which the vIOMMU stands for, if there is one. Without its own part. */
static int nested_create(struct iommufd_ctx *ctx, struct iommufd_hwpt *parent,
			 struct iommufd_viommu *v, uint32_t flags,
			 struct iommufd_hwpt **out)
{
	struct iommufd_hwpt *hwpt;
	int err = object_alloc(ctx, sizeof(*hwpt), OBJECT_HWPT_NESTED, (void **)&hwpt);
	if (err)
		return err;
	hwpt->parent = parent;
	hwpt->ioas = parent->ioas;
	hwpt->domain = parent->domain;
	hwpt->iommu = parent->iommu;
	hwpt->viommu = v;
	hwpt->filled = true;
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	object_use(ctx, v ? &v->obj : &parent->obj, 1);
	*out = hwpt;
	return 0;
}

#define NESTED_FLAGS ((uint32_t)IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)

/* On another hwpt. */
static int alloc_nested(struct iommufd_ctx *ctx, struct iommufd_hwpt *parent,
			struct iommufd_device *dev, uint32_t flags,
			const struct iommufd_user_data *data, struct iommufd_hwpt **out)
{
	const struct iommufd_iommu *iommu = iommu_of(dev);
	struct iommufd_hwpt *hwpt;
	int err;

	if (flags & ~NESTED_FLAGS || !data->len || !iommu->nested)
		return -EOPNOTSUPP;
	if (parent->automatic || !parent->nest_parent || parent->iommu != iommu)
		return -EINVAL;
	err = nested_create(ctx, parent, NULL, flags, &hwpt);
	if (err)
		return err;
	err = iommu->nested(&dev->info, parent->domain,
			    flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID, data,
			    &hwpt->nested);
	if (err) {
		hwpt->nested = NULL;
		object_abort(ctx, &hwpt->obj);
		return err;
	}
	*out = hwpt;
	return 0;
}

/* On a vIOMMU. */
static int alloc_virtual(struct iommufd_ctx *ctx, struct iommufd_viommu *v,
			 struct iommufd_device *dev, uint32_t flags,
			 const struct iommufd_user_data *data, struct iommufd_hwpt **out)
{
	struct iommufd_hwpt *hwpt;
	int err;

	if (v->iommu != iommu_of(dev))
		return -EINVAL;
	if (flags & ~NESTED_FLAGS || !data->len || !v->ops->nested)
		return -EOPNOTSUPP;
	err = nested_create(ctx, v->hwpt, v, flags, &hwpt);
	if (err)
		return err;
	err = v->ops->nested(v->priv, flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID, data,
			     &hwpt->nested);
	if (err) {
		hwpt->nested = NULL;
		object_abort(ctx, &hwpt->obj);
		return err;
	}
	*out = hwpt;
	return 0;
}

static int alloc_on(struct iommufd_ctx *ctx, struct iommufd_object *pt,
		    struct iommufd_device *dev, uint32_t flags,
		    const struct iommufd_user_data *data, struct iommufd_hwpt **out)
{
	switch (pt->type) {
	case OBJECT_IOAS:
		return alloc_paging(ctx, (struct iommufd_ioas *)pt, dev, flags, data,
				    out);
	case OBJECT_HWPT:
		return alloc_nested(ctx, (struct iommufd_hwpt *)pt, dev, flags, data,
				    out);
	case OBJECT_VIOMMU:
		return alloc_virtual(ctx, (struct iommufd_viommu *)pt, dev, flags, data,
				     out);
	default:
		return -EINVAL;
	}
}

long iommufd_hwpt_alloc(struct uapi_call *call)
{
	struct iommu_hwpt_alloc *cmd = (void *)call->data;
	const struct iommufd_user_data data = {
		.client = call->client,
		.uptr = cmd->data_uptr,
		.type = cmd->data_type,
		.len = cmd->data_len,
	};
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_device *dev;
	struct iommufd_object *pt;
	struct iommufd_hwpt *hwpt;
	int err;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if ((cmd->data_type == IOMMU_HWPT_DATA_NONE) != !cmd->data_len)
		return -EINVAL;
	dev = device_get(ctx, cmd->dev_id);
	if (!dev)
		return -ENOENT;
	pt = object_get(ctx, cmd->pt_id, OBJECT_ANY);
	if (!pt) {
		err = -EINVAL;
		goto out_dev;
	}
	err = alloc_on(ctx, pt, dev, cmd->flags, &data, &hwpt);
	if (err)
		goto out_pt;
	if (cmd->flags & IOMMU_HWPT_FAULT_ID_VALID)
		err = fault_connect(ctx, hwpt, cmd->fault_id);
	cmd->out_hwpt_id = hwpt->obj.id;
	if (!err)
		err = uapi_respond(call, sizeof(*cmd));
	if (err)
		object_abort(ctx, &hwpt->obj);
	else
		object_publish(ctx, &hwpt->obj);
out_pt:
	object_put(ctx, pt);
out_dev:
	object_put(ctx, &dev->obj);
	return err;
}
