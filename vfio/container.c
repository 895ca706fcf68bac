/* SPDX-License-Identifier: MIT */
/*
 * Containers, the opens of /dev/vfio/vfio: see group.h.
 *
 * container.lock guards the groups and which interface there is. A call takes a reference
 * to the interface and works without the lock.
 */
#include <errno.h>
#include <sys/sysmacros.h>

#include "uapi/vfio_fields.h"
#include "uiommufd/abi/vfio_type1.h"
#include "vfio/device.h"
#include "vfio/group.h"

struct vfio_container {
	struct vfile f;
	struct port_mutex lock;
	struct list groups;  /* struct group_link */
	struct type1 *iommu; /* NULL: not set */
};

static struct vfio_container *call_container(struct uapi_call *call)
{
	return container_of(call->file, struct vfio_container, f);
}

/* The interface with a reference, or NULL. */
static struct type1 *get_iommu(struct vfio_container *c)
{
	struct type1 *t;

	port_mutex_lock(&c->lock);
	t = c->iommu;
	if (t)
		type1_get(t);
	port_mutex_unlock(&c->lock);
	return t;
}

bool vfio_container_has_iommu(struct vfio_container *c)
{
	bool has;

	port_mutex_lock(&c->lock);
	has = c->iommu;
	port_mutex_unlock(&c->lock);
	return has;
}

/* ---- groups ----------------------------------------------------------------------- */

int vfio_container_attach(struct vfio_container *c, struct group_link *link)
{
	int err = 0;

	port_mutex_lock(&c->lock);
	if (c->iommu)
		err = type1_attach(c->iommu, link->group);
	if (!err) {
		list_append(&c->groups, &link->on_container);
		vfile_get(&c->f);
	}
	port_mutex_unlock(&c->lock);
	return err;
}

void vfio_container_detach(struct vfio_container *c, struct group_link *link)
{
	struct type1 *gone = NULL;

	port_mutex_lock(&c->lock);
	list_remove(&link->on_container);
	if (c->iommu)
		type1_detach(c->iommu, link->group);
	if (list_empty(&c->groups)) {
		gone = c->iommu;
		c->iommu = NULL;
	}
	port_mutex_unlock(&c->lock);
	if (!gone)
		return;
	type1_clear(gone);
	type1_put(gone);
}

/* With the lock held. All groups or none. */
static int attach_groups(struct vfio_container *c, struct type1 *t)
{
	list_for_each (it, &c->groups) {
		int err = type1_attach(
			t, list_entry(it, struct group_link, on_container)->group);

		if (!err)
			continue;
		for (it = it->prev; it != &c->groups; it = it->prev)
			type1_detach(
				t,
				list_entry(it, struct group_link, on_container)->group);
		return err;
	}
	return 0;
}

/* With the lock held. */
static int set_iommu(struct vfio_container *c, struct machine *m, uint64_t type)
{
	struct group_link *first;
	struct type1 *t;
	int err;

	if (list_empty(&c->groups) || c->iommu)
		return -EINVAL;
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -ENODEV;
	first = list_entry(c->groups.next, struct group_link, on_container);
	err = type1_create(m, type == VFIO_TYPE1v2_IOMMU, first->group, &t);
	if (err)
		return err;
	err = attach_groups(c, t);
	if (err)
		type1_put(t);
	else
		c->iommu = t;
	return err;
}

/* ---- ioctls ----------------------------------------------------------------------- */

static long set_iommu_ioctl(struct uapi_call *call)
{
	struct vfio_container *c = call_container(call);
	int err;

	port_mutex_lock(&c->lock);
	err = set_iommu(c, call->client->machine, call->arg);
	port_mutex_unlock(&c->lock);
	return err;
}

static long api_version_ioctl(struct uapi_call *call)
{
	return VFIO_API_VERSION;
}

static long is_coherent(struct vfio_container *c)
{
	struct type1 *t = get_iommu(c);
	bool coherent = t && type1_is_coherent(t);

	if (t)
		type1_put(t);
	return coherent;
}

static long check_extension_ioctl(struct uapi_call *call)
{
	switch (call->arg) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		return is_coherent(call_container(call));
	case VFIO_UPDATE_VADDR:
		return vfio_container_has_iommu(call_container(call));
	default:
		return 0;
	}
}

static long with_iommu(struct uapi_call *call,
		       long (*handle)(struct type1 *t, struct uapi_call *call))
{
	struct type1 *t = get_iommu(call_container(call));
	long ret;

	if (!t)
		return -EINVAL;
	ret = handle(t, call);
	type1_put(t);
	return ret;
}

static long get_info_ioctl(struct uapi_call *call)
{
	return with_iommu(call, type1_get_info);
}

static long map_dma_ioctl(struct uapi_call *call)
{
	return with_iommu(call, type1_map_dma);
}

static long unmap_dma_ioctl(struct uapi_call *call)
{
	return with_iommu(call, type1_unmap_dma);
}

static int admit_dirty_pages(struct uapi_call *call)
{
	return (int)with_iommu(call, type1_admit_dirty_pages);
}

static long dirty_pages_ioctl(struct uapi_call *call)
{
	return with_iommu(call, type1_dirty_pages);
}

#define PLAIN(nr, h)                                                                     \
	{                                                                                \
		.cmd = nr, .name = #nr, .rule = UAPI_NONE, .handler = h                  \
	}
#define ARGSZ(nr, s, min, known, h)                                                      \
	{                                                                                \
		.cmd = nr, .name = #nr, .rule = UAPI_ARGSZ, .min_size = min,             \
		.size = known, .handler = h, .fields = s##_fields                        \
	}

static const struct uapi_entry entries[] = {
	PLAIN(VFIO_GET_API_VERSION, api_version_ioctl),
	PLAIN(VFIO_CHECK_EXTENSION, check_extension_ioctl),
	PLAIN(VFIO_SET_IOMMU, set_iommu_ioctl),
	ARGSZ(VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info,
	      offsetof(struct vfio_iommu_type1_info, cap_offset),
	      sizeof(struct vfio_iommu_type1_info), get_info_ioctl),
	ARGSZ(VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map,
	      sizeof(struct vfio_iommu_type1_dma_map), 0, map_dma_ioctl),
	ARGSZ(VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap,
	      offsetof(struct vfio_iommu_type1_dma_unmap, data), 0, unmap_dma_ioctl),
	{
		.cmd = VFIO_IOMMU_DIRTY_PAGES,
		.name = "VFIO_IOMMU_DIRTY_PAGES",
		.rule = UAPI_ARGSZ,
		.min_size = offsetof(struct vfio_iommu_type1_dirty_bitmap, data),
		.admit = admit_dirty_pages,
		.handler = dirty_pages_ioctl,
		.fields = vfio_iommu_type1_dirty_bitmap_fields,
	},
};

const struct uapi_table vfio_container_table = {
	.family = "vfio",
	.entries = entries,
	.n = ARRAY_LEN(entries),
};

static bool needs_iommu(uint32_t cmd)
{
	return cmd != VFIO_GET_API_VERSION && cmd != VFIO_CHECK_EXTENSION &&
	       cmd != VFIO_SET_IOMMU;
}

/* Without an interface whatever is not the container's own is -EINVAL. */
static long container_ioctl(struct vfile *f, struct client *c, uint32_t cmd, uint64_t arg)
{
	struct vfio_container *container = container_of(f, struct vfio_container, f);

	if (needs_iommu(cmd) && !vfio_container_has_iommu(container))
		return -EINVAL;
	return uapi_dispatch(&vfio_container_table, f, c, cmd, arg);
}

/* Groups hold a reference, so there are none. */
static void container_release(struct vfile *f)
{
	struct vfio_container *c = container_of(f, struct vfio_container, f);

	PORT_BUG_ON(!list_empty(&c->groups) || c->iommu);
	port_mutex_finish(&c->lock);
	port_free(c);
}

static const struct vfile_ops container_ops = {
	.name = "vfio",
	.ioctl = container_ioctl,
	.release = container_release,
};

struct vfio_container *vfio_container_of_file(struct vfile *f)
{
	return f->ops == &container_ops ? container_of(f, struct vfio_container, f)
					: NULL;
}

void vfio_container_put(struct vfio_container *c)
{
	vfile_put(&c->f);
}

int vfio_container_open(struct vfile **out)
{
	struct vfio_container *c = port_alloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	vfile_init(&c->f, &container_ops, -1, 0);
	c->f.rdev = makedev(MACHINE_MISC_MAJOR, MACHINE_VFIO_CONTAINER_MINOR);
	c->f.label = "/dev/vfio/vfio";
	port_mutex_init(&c->lock);
	list_init(&c->groups);
	*out = &c->f;
	return 0;
}
