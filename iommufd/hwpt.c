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

#include "iommufd/private.h"

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
	object_unuse(ctx, &ioas->obj, 1);
}

int hwpt_create(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
		struct iommufd_hwpt **out)
{
	struct iommufd_hwpt *hwpt;
	int err = object_alloc(ctx, sizeof(*hwpt), OBJECT_HWPT, (void **)&hwpt);

	if (err)
		return err;
	hwpt->ioas = ioas;
	object_use(ctx, &ioas->obj, 1);
	err = domain_create(ctx->machine->phys, &pt_vtd_s2, 0, &hwpt->domain);
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

/*
 * What VT-d without scalable mode can do (hw_info.c tells clients so): no nesting, no
 * dirty tracking, no data of a driver's own. The PASID flag is taken as Linux takes it
 * there; there are just no PASIDs to attach.
 */
static int check_flags(const struct iommu_hwpt_alloc *cmd)
{
	const uint32_t supported = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	return cmd->flags & ~supported || cmd->data_len ? -EOPNOTSUPP : 0;
}

/* On an IOAS. Not published; *@out is not touched on failure. */
static int alloc_paging(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
			const struct iommu_hwpt_alloc *cmd, struct iommufd_hwpt **out)
{
	struct iommufd_hwpt *hwpt;
	int err = check_flags(cmd);

	if (err)
		return err;
	err = hwpt_create(ctx, ioas, &hwpt);
	if (err)
		return err;
	port_mutex_lock(&ioas->lock);
	err = hwpt_fill(hwpt);
	port_mutex_unlock(&ioas->lock);
	/* There are no fault queues, so the id is of none. */
	if (!err && cmd->flags & IOMMU_HWPT_FAULT_ID_VALID)
		err = -ENOENT;
	if (err) {
		object_abort(ctx, &hwpt->obj);
		return err;
	}
	*out = hwpt;
	return 0;
}

/* On another hwpt: no hwpt here can be the parent of nested ones. */
static int alloc_nested(const struct iommu_hwpt_alloc *cmd)
{
	const uint32_t known = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	return cmd->flags & ~known || !cmd->data_len ? -EOPNOTSUPP : -EINVAL;
}

static int alloc_on(struct iommufd_ctx *ctx, struct iommufd_object *pt,
		    const struct iommu_hwpt_alloc *cmd, struct iommufd_hwpt **out)
{
	switch (pt->type) {
	case OBJECT_IOAS:
		return alloc_paging(ctx, (struct iommufd_ioas *)pt, cmd, out);
	case OBJECT_HWPT:
		return alloc_nested(cmd);
	default:
		return -EINVAL;
	}
}

long iommufd_hwpt_alloc(struct uapi_call *call)
{
	struct iommu_hwpt_alloc *cmd = (void *)call->data;
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
	err = alloc_on(ctx, pt, cmd, &hwpt);
	if (err)
		goto out_pt;
	cmd->out_hwpt_id = hwpt->obj.id;
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
