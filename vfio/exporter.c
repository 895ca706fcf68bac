/* SPDX-License-Identifier: MIT */
/*
 * BARs as dma-bufs: VFIO_DEVICE_FEATURE_DMA_BUF, and slices for a container's maps.
 *
 * An export is one buffer: ranges of one BAR, in the client's order, as runs of physical
 * addresses. Importers must be able to give the memory back, so the pinned contract is
 * refused.
 *
 * A device has a set of its live exports, and revokes and restores them together. The
 * set has a reference count of its own and outlives the device as long as any buffer
 * exists, because a buffer leaves it only when its last reference goes, and that may be
 * long after. The set's lock is above the reservation locks; it is held over a revoke to
 * the end, so no buffer vanishes meanwhile. Releasing a buffer takes it, so references
 * are never dropped under a reservation lock.
 *
 * The device's memory lock (held for writing) serialises revoke, restore and orphaning;
 * a new buffer joins under the read lock, so its first state is the device's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "vfio/device.h"

/* What the kernel's allocator gives at once: more ranges than fit are ENOMEM. */
#define RANGES_BYTES_MAX ((uint64_t)4 << 20)

struct export_set {
	_Atomic unsigned refs;
	struct port_mutex lock;
	struct list all; /* struct export.on_set */
};

struct export
{
	struct export_set *set;
	struct dmabuf *buf;
	struct list on_set;
	size_t nr_runs;
	struct run runs[];
};

int exports_create(struct export_set **out)
{
	struct export_set *set = port_alloc(sizeof(*set));

	if (!set)
		return -ENOMEM;
	atomic_init(&set->refs, 1);
	port_mutex_init(&set->lock);
	list_init(&set->all);
	*out = set;
	return 0;
}

void exports_put(struct export_set *set)
{
	if (!set || atomic_fetch_sub(&set->refs, 1) != 1)
		return;
	port_mutex_finish(&set->lock);
	port_free(set);
}

void exports_revoke(struct export_set *set)
{
	struct dmabuf_revocation r = {0};

	port_mutex_lock(&set->lock);
	list_for_each (it, &set->all)
		dmabuf_revocation_add(&r, list_entry(it, struct export, on_set)->buf);
	dmabuf_revocation_finish(&r);
	port_mutex_unlock(&set->lock);
}

void exports_restore(struct export_set *set)
{
	port_mutex_lock(&set->lock);
	list_for_each (it, &set->all)
		dmabuf_restore(list_entry(it, struct export, on_set)->buf);
	port_mutex_unlock(&set->lock);
}

void exports_orphan(struct export_set *set)
{
	struct dmabuf_revocation r = {0};

	port_mutex_lock(&set->lock);
	list_for_each_safe (it, &set->all) {
		struct export *e = list_entry(it, struct export, on_set);

		dmabuf_orphan(e->buf, &r);
		list_remove(&e->on_set);
	}
	dmabuf_revocation_finish(&r);
	port_mutex_unlock(&set->lock);
}

/* ---- one export ------------------------------------------------------------------- */

static int export_map_phys(struct dmabuf *buf, struct run_list *runs)
{
	const struct export *e = buf->priv;

	for (size_t i = 0; i < e->nr_runs; i++) {
		/* Ranges stay apart even where they touch: importers count them. */
		int err = run_list_add(runs, e->runs[i], false);

		if (err)
			return err;
	}
	return 0;
}

static void export_free(struct export *e)
{
	exports_put(e->set);
	port_free(e);
}

static void export_release(struct dmabuf *buf)
{
	struct export *e = buf->priv;

	port_mutex_lock(&e->set->lock);
	list_remove(&e->on_set);
	port_mutex_unlock(&e->set->lock);
	export_free(e);
}

static const struct dmabuf_exporter_ops export_ops = {
	.name = "vfio_pci_core",
	.interconnects = 1u << DMABUF_IC_PHYS,
	.contracts = 1u << DMABUF_REVOCABLE | 1u << DMABUF_MOVABLE,
	.map_phys = export_map_phys,
	.release = export_release,
};

static int sum_ranges(const struct vfio_region_dma_range *v, size_t n, uint64_t *sum)
{
	*sum = 0;
	for (size_t i = 0; i < n; i++) {
		if (!v[i].length || v[i].offset % PORT_PAGE_SIZE ||
		    v[i].length % PORT_PAGE_SIZE)
			return -EINVAL;
		if (__builtin_add_overflow(*sum, v[i].length, sum))
			return -EINVAL;
	}
	return *sum >> 63 ? -EINVAL : 0;
}

/* @room: how much of the BAR's window there is to export. */
static int fill_runs(const struct pci_bar *bar, uint64_t room,
		     const struct vfio_region_dma_range *v, struct export *e)
{
	for (size_t i = 0; i < e->nr_runs; i++) {
		struct run *run = &e->runs[i];
		uint64_t end;

		if (__builtin_add_overflow(bar->address, v[i].offset, &run->spa) ||
		    __builtin_add_overflow(run->spa, v[i].length, &end))
			return -EOVERFLOW;
		if (end > bar->address + room)
			return -EINVAL;
		run->length = v[i].length;
		run->mmio = true;
	}
	return 0;
}

static int export_alloc(const struct pci_bar *bar, uint64_t room,
			const struct vfio_region_dma_range *v, size_t n,
			struct export **out)
{
	struct export *e = port_alloc(sizeof(*e) + n * sizeof(e->runs[0]));
	int err;

	if (!e)
		return -ENOMEM;
	e->nr_runs = n;
	list_init(&e->on_set);
	/* Linux 7.3: only memory that can be a P2P provider; I/O ports cannot. */
	err = bar->flags & UIOMMUFD_BAR_IO ? -EINVAL : fill_runs(bar, room, v, e);
	if (err) {
		port_free(e);
		return err;
	}
	e->set = bar->dev->exports;
	atomic_fetch_add(&e->set->refs, 1);
	*out = e;
	return 0;
}

/* The buffer enters the set in the state that the device is in. */
static int export_create(const struct pci_bar *bar, uint64_t room,
			 const struct vfio_region_dma_range *v, size_t n,
			 struct dmabuf **out)
{
	struct pci_device *dev = bar->dev;
	struct export *e;
	uint64_t size;
	int err = sum_ranges(v, n, &size);

	if (!err)
		err = export_alloc(bar, room, v, n, &e);
	if (err)
		return err;
	port_rwlock_read_lock(&dev->memory);
	err = dmabuf_create(&export_ops, e, size, !dev->decoding, &e->buf);
	if (!err) {
		*out = e->buf;
		port_mutex_lock(&e->set->lock);
		list_append(&e->set->all, &e->on_set);
		port_mutex_unlock(&e->set->lock);
	}
	port_rwlock_read_unlock(&dev->memory);
	if (err)
		export_free(e);
	return err;
}

int exports_slice(const struct pci_bar *bar, uint64_t offset, uint64_t length,
		  struct dmabuf **out)
{
	const struct vfio_region_dma_range range = {offset, length};

	return export_create(bar, bar->window.length, &range, 1, out);
}

/* ---- the feature ------------------------------------------------------------------ */

static int copy_ranges(struct client *c, uint64_t va, size_t n,
		       struct vfio_region_dma_range **out)
{
	uint64_t bytes = (uint64_t)n * sizeof(**out);
	int err;

	if (bytes > RANGES_BYTES_MAX)
		return -ENOMEM;
	*out = port_alloc(bytes);
	if (!*out)
		return -ENOMEM;
	err = client_copy_in(c, *out, va, bytes);
	if (err)
		port_free(*out);
	return err;
}

static long install(struct client *c, struct dmabuf *buf, uint32_t open_flags)
{
	struct vfile *f;
	long fd = dmabuf_file_create(buf, &f);

	if (fd)
		return fd;
	fd = c->ops->install(c, f,
			     (int)open_flags & (O_ACCMODE | O_NONBLOCK | O_CLOEXEC));
	vfile_put(f);
	return fd;
}

long exports_feature(struct pci_device *dev, struct client *c, uint32_t flags,
		     uint64_t va, size_t n)
{
	struct vfio_device_feature_dma_buf get;
	const struct pci_bar *bar;
	struct vfio_region_dma_range *ranges;
	struct dmabuf *buf;
	int err = feature_check(flags, n, VFIO_DEVICE_FEATURE_GET, sizeof(get));

	if (err != 1)
		return err;
	err = client_copy_in(c, &get, va, sizeof(get));
	if (err)
		return err;
	if (!get.nr_ranges || get.flags)
		return -EINVAL;
	if (get.region_index >= UIOMMUFD_BARS || !dev->bars[get.region_index].size)
		return -ENODEV;
	bar = &dev->bars[get.region_index];
	err = copy_ranges(c, va + sizeof(get), get.nr_ranges, &ranges);
	if (err)
		return err;
	err = export_create(bar, bar->size, ranges, get.nr_ranges, &buf);
	port_free(ranges);
	return err ? err : install(c, buf, get.open_flags);
}
