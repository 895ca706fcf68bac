/* SPDX-License-Identifier: MIT */
/*
 * vDEVICEs: the id by which a guest's IOMMU knows a device.
 *
 * A device has one at most (device.vdevice, under group.lock). It is ended by the client,
 * or by the device's unbind, which waits for it; then its id is not given out again, so
 * that a client which destroys it by its old id does not hit something else.
 */
#include <errno.h>

#include "iommufd/viommu.h"

/* ---- looking -------------------------------------------------------------------- */

void iommufd_viommu_lock(struct iommufd_viommu *v)
{
	port_mutex_lock(&v->lock);
}

void iommufd_viommu_unlock(struct iommufd_viommu *v)
{
	port_mutex_unlock(&v->lock);
}

static struct iommufd_vdevice *find(struct iommufd_viommu *v, uint64_t virt_id)
{
	list_for_each (it, &v->vdevices) {
		struct iommufd_vdevice *vdev =
			list_entry(it, struct iommufd_vdevice, on_viommu);

		if (vdev->virt_id == virt_id)
			return vdev;
	}
	return NULL;
}

const struct iommufd_device_info *iommufd_viommu_find(struct iommufd_viommu *v,
						      uint64_t virt_id)
{
	struct iommufd_vdevice *vdev = find(v, virt_id);

	return vdev && vdev->ready ? &vdev->dev->info : NULL;
}

int iommufd_viommu_virt_id(struct iommufd_viommu *v,
			   const struct iommufd_device_info *dev, uint64_t *virt_id)
{
	int err = -ENOENT;

	port_mutex_lock(&v->lock);
	list_for_each (it, &v->vdevices) {
		struct iommufd_vdevice *vdev =
			list_entry(it, struct iommufd_vdevice, on_viommu);

		if (!vdev->ready || &vdev->dev->info != dev)
			continue;
		*virt_id = vdev->virt_id;
		err = 0;
		break;
	}
	port_mutex_unlock(&v->lock);
	return err;
}

/* ---- life (under group.lock) ------------------------------------------------------ */

/* Taken at once, so that nobody else gets it, but not to be found yet. */
static int take_id(struct iommufd_viommu *v, struct iommufd_vdevice *vdev)
{
	int err = 0;

	port_mutex_lock(&v->lock);
	if (find(v, vdev->virt_id))
		err = -EEXIST;
	else
		list_append(&v->vdevices, &vdev->on_viommu);
	port_mutex_unlock(&v->lock);
	return err;
}

static void finish(struct iommufd_ctx *ctx, struct iommufd_vdevice *vdev)
{
	struct iommufd_viommu *v = vdev->viommu;
	bool ready;

	port_mutex_lock(&v->lock);
	list_remove(&vdev->on_viommu);
	ready = vdev->ready;
	port_mutex_unlock(&v->lock);
	if (ready && v->ops->vdevice_finish)
		v->ops->vdevice_finish(v->priv, &vdev->dev->info, vdev->virt_id);
	vdev->dev->vdevice = NULL;
	object_unuse(ctx, &v->obj, 1);
}

void vdevice_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev = (struct iommufd_vdevice *)obj;
	struct iommufd_group *g = vdev->dev ? vdev->dev->group : NULL;

	if (!g)
		return; /* it failed, and is finished already */
	port_mutex_lock(&g->lock);
	finish(ctx, vdev);
	port_mutex_unlock(&g->lock);
}

static int make_ready(struct iommufd_vdevice *vdev)
{
	struct iommufd_viommu *v = vdev->viommu;
	int err = take_id(v, vdev);

	if (!err && v->ops->vdevice_init)
		err = v->ops->vdevice_init(v->priv, &vdev->dev->info, vdev->virt_id);
	if (err)
		return err;
	port_mutex_lock(&v->lock);
	vdev->ready = true;
	port_mutex_unlock(&v->lock);
	return 0;
}

static int alloc_locked(struct uapi_call *call, struct iommufd_viommu *v,
			struct iommufd_device *dev)
{
	struct iommu_vdevice_alloc *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_vdevice *vdev;
	int err;

	if (dev->leaving)
		return -ENOENT;
	if (dev->vdevice)
		return -EEXIST;
	err = object_alloc(ctx, sizeof(*vdev), OBJECT_VDEVICE, (void **)&vdev);
	if (err)
		return err;
	vdev->viommu = v;
	vdev->dev = dev;
	vdev->virt_id = cmd->virt_id;
	list_init(&vdev->on_viommu);
	object_use(ctx, &v->obj, 1);
	dev->vdevice = vdev;
	err = make_ready(vdev);
	cmd->out_vdevice_id = vdev->obj.id;
	if (!err)
		err = uapi_respond(call, sizeof(*cmd));
	if (!err) {
		object_publish(ctx, &vdev->obj);
		return 0;
	}
	finish(ctx, vdev);
	vdev->dev = NULL;
	object_abort(ctx, &vdev->obj);
	return err;
}

static int alloc_for_device(struct uapi_call *call, struct iommufd_viommu *v,
			    struct iommufd_device *dev)
{
	int err;

	if (iommu_of(dev) != v->iommu)
		return -EINVAL;
	port_mutex_lock(&dev->group->lock);
	err = alloc_locked(call, v, dev);
	port_mutex_unlock(&dev->group->lock);
	return err;
}

long iommufd_vdevice_alloc(struct uapi_call *call)
{
	struct iommu_vdevice_alloc *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_viommu *v = viommu_get(ctx, cmd->viommu_id);
	struct iommufd_device *dev;
	int err = -ENOENT;

	if (!v)
		return err;
	dev = device_get(ctx, cmd->dev_id);
	if (dev) {
		err = alloc_for_device(call, v, dev);
		object_put(ctx, &dev->obj);
	}
	object_put(ctx, &v->obj);
	return err;
}

/* ---- the device leaves ---------------------------------------------------------------
 */

/* True: it is gone. False: a client's DESTROY is at work on it. */
static bool end_of(struct iommufd_device *dev)
{
	struct iommufd_vdevice *vdev;
	bool ours;

	port_mutex_lock(&dev->group->lock);
	dev->leaving = true;
	vdev = dev->vdevice;
	/* As long as the lock is held it is there, if only to wait for the lock. */
	ours = vdev && object_try_use(dev->ctx, &vdev->obj);
	port_mutex_unlock(&dev->group->lock);
	if (ours)
		object_unuse_bury(dev->ctx, &vdev->obj);
	return !vdev || ours;
}

void vdevice_end(struct iommufd_device *dev)
{
	while (!end_of(dev))
		port_yield();
}
