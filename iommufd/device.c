/* SPDX-License-Identifier: MIT */
/*
 * Devices that a driver (vfio/) has bound: the object, and attaching it by id.
 *
 * The driver is one user of the object from bind to unbind, so a client's DESTROY
 * cannot take it away, and the binding holds the context, so closing the iommufd leaves
 * everything as it is until the unbind.
 *
 * Attaching to an IOAS uses the automatic hwpt it has, or makes one. The IOAS's lock is
 * held until that is published, so two devices that come at once share one.
 */
#include <errno.h>

#include "iommufd/private.h"

void device_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_device *dev = (struct iommufd_device *)obj;

	if (dev->group)
		group_leave(ctx, dev);
}

int iommufd_device_bind(struct iommufd_ctx *ctx, const struct iommufd_device_info *info,
			struct iommufd_device **out, uint32_t *id)
{
	struct iommufd_device *dev;
	int err = object_alloc(ctx, sizeof(*dev), OBJECT_DEVICE, (void **)&dev);

	if (err)
		return err;
	dev->ctx = ctx;
	dev->info = *info;
	list_init(&dev->partial);
	err = group_join(ctx, dev);
	if (err) {
		object_abort(ctx, &dev->obj);
		return err;
	}
	if (!info->inside_context)
		vfile_get(&ctx->file);
	object_use(ctx, &dev->obj, 1);
	*out = dev;
	*id = dev->obj.id;
	object_publish(ctx, &dev->obj);
	return 0;
}

void iommufd_device_unbind(struct iommufd_device *dev)
{
	struct iommufd_ctx *ctx = dev->ctx;
	bool inside = dev->info.inside_context;

	pasid_detach_all(dev);
	iommufd_device_detach(dev);
	vdevice_end(dev);
	object_unuse_destroy(ctx, &dev->obj);
	if (!inside)
		vfile_put(&ctx->file);
}

/* ---- attach --------------------------------------------------------------------- */

/*
 * Under ioas->lock: try the automatic hwpts there are. -EINVAL: none would do.
 * All page tables of this IOMMU are alike, so there is one at most.
 */
static int attach_existing(struct iommufd_device *dev, struct iommufd_ioas *ioas,
			   uint32_t *pt_id, struct iommufd_hwpt **old)
{
	struct iommufd_ctx *ctx = dev->ctx;
	int err = -EINVAL;

	list_for_each (it, &ioas->hwpts) {
		struct iommufd_hwpt *hwpt = list_entry(it, struct iommufd_hwpt, on_ioas);

		if (!hwpt->automatic || !object_try_get(ctx, &hwpt->obj))
			continue;
		err = group_attach(ctx, dev, hwpt, old);
		if (!err)
			*pt_id = hwpt->obj.id;
		object_put(ctx, &hwpt->obj);
		if (err != -EINVAL)
			break;
	}
	return err;
}

static int attach_ioas(struct iommufd_device *dev, struct iommufd_ioas *ioas,
		       uint32_t *pt_id, struct iommufd_hwpt **old)
{
	struct iommufd_ctx *ctx = dev->ctx;
	struct iommufd_hwpt *hwpt = NULL;
	int err;

	port_mutex_lock(&ioas->lock);
	err = attach_existing(dev, ioas, pt_id, old);
	if (err != -EINVAL)
		goto out;
	err = hwpt_create(ctx, ioas, dev, 0, NULL, &hwpt);
	if (err)
		goto out;
	err = group_attach(ctx, dev, hwpt, old);
	if (err)
		goto out;
	*pt_id = hwpt->obj.id;
	hwpt->automatic = true;
	object_publish(ctx, &hwpt->obj);
	hwpt = NULL;
out:
	port_mutex_unlock(&ioas->lock);
	if (hwpt)
		object_abort(ctx, &hwpt->obj);
	return err;
}

int iommufd_device_attach(struct iommufd_device *dev, uint32_t *pt_id)
{
	struct iommufd_ctx *ctx = dev->ctx;
	struct iommufd_object *pt = object_get(ctx, *pt_id, OBJECT_ANY);
	struct iommufd_hwpt *old = NULL;
	int err;

	if (!pt)
		return -ENOENT;
	switch (pt->type) {
	case OBJECT_IOAS:
		err = attach_ioas(dev, (struct iommufd_ioas *)pt, pt_id, &old);
		break;
	case OBJECT_HWPT:
	case OBJECT_HWPT_NESTED:
		err = group_attach(ctx, dev, (struct iommufd_hwpt *)pt, &old);
		break;
	default:
		err = -EINVAL;
		break;
	}
	object_put(ctx, pt);
	if (old)
		hwpt_release(ctx, old);
	return err;
}

void iommufd_device_detach(struct iommufd_device *dev)
{
	struct iommufd_hwpt *hwpt = group_detach(dev);

	if (hwpt)
		hwpt_release(dev->ctx, hwpt);
}
