/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_IOEVENTFD: a signal of the client's eventfd writes a value to a register.
 *
 * It is told apart by where, how wide and what it writes; one of each. While memory
 * decoding is off a signal is lost. The order of checks is Linux 7.3's.
 *
 * ioeventfds_lock guards the list; it is taken after device.bind and before
 * device.config. The watcher's thread writes as any client does.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vfio/device.h"

#define IOEVENTFDS_MAX 1000u

struct ioeventfd {
	struct list on_device;
	struct pci_bar *bar;
	uint64_t pos, data;
	unsigned size;
	struct watch *watch;
};

static void signalled(void *arg)
{
	struct ioeventfd *e = arg;
	uint8_t bytes[8];

	config_put32(bytes, (uint32_t)e->data);
	config_put32(bytes + 4, (uint32_t)(e->data >> 32));
	(void)bar_write(e->bar, e->pos, bytes, e->size);
}

/* Is any of it in the MSI-X table? */
static bool in_msix_table(const struct pci_bar *bar, uint64_t pos, unsigned size)
{
	const struct uiommufd_device_desc *d = &bar->dev->desc;
	uint64_t start = d->msix_table_offset;

	return d->msix_vectors && d->msix_bar == bar->index && pos + size > start &&
	       pos < start + (uint64_t)d->msix_vectors * MSIX_ENTRY_BYTES;
}

/* With the lock held. */
static struct ioeventfd *find(struct pci_device *dev, const struct ioeventfd *like)
{
	list_for_each (it, &dev->ioeventfds) {
		struct ioeventfd *e = list_entry(it, struct ioeventfd, on_device);

		if (e->bar == like->bar && e->pos == like->pos && e->data == like->data &&
		    e->size == like->size)
			return e;
	}
	return NULL;
}

/* With the lock held. */
static void drop(struct pci_device *dev, struct ioeventfd *e)
{
	watch_remove(e->watch);
	list_remove(&e->on_device);
	dev->nr_ioeventfds--;
	port_free(e);
}

/* With the lock held. */
static int add(struct pci_device *dev, struct client *c, const struct ioeventfd *like,
	       int fd)
{
	struct ioeventfd *e;
	int own, err;

	if (fd < 0)
		return -ENODEV;
	if (dev->nr_ioeventfds >= IOEVENTFDS_MAX)
		return -ENOSPC;
	own = client_get_eventfd(c, fd);
	if (own < 0)
		return own;
	e = port_alloc(sizeof(*e));
	err = e ? 0 : -ENOMEM;
	if (!err) {
		*e = *like;
		err = watch_add(&dev->watcher, own, signalled, e, &e->watch);
	}
	if (err) {
		port_free(e);
		close(own);
		return err;
	}
	list_append(&dev->ioeventfds, &e->on_device);
	dev->nr_ioeventfds++;
	return 0;
}

static int change(struct pci_device *dev, struct client *c, const struct ioeventfd *like,
		  int fd)
{
	struct ioeventfd *e = find(dev, like);

	if (!e)
		return add(dev, c, like, fd);
	if (fd >= 0)
		return -EEXIST;
	drop(dev, e);
	return 0;
}

long ioeventfd_ioctl(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);
	struct vfio_device_ioeventfd set;
	struct ioeventfd like;
	uint64_t index;
	int err;

	memcpy(&set, call->data, offsetof(struct vfio_device_ioeventfd, reserved));
	like.size = set.flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK;
	if (set.flags & ~(uint32_t)VFIO_DEVICE_IOEVENTFD_SIZE_MASK)
		return -EINVAL;
	if (!like.size || like.size & (like.size - 1) || set.fd < -1)
		return -EINVAL;
	index = VFILE_REGION_INDEX(set.offset);
	if (index >= UIOMMUFD_BARS)
		return -EINVAL;
	like.bar = &dev->bars[index];
	like.pos = VFILE_REGION_OFFSET(set.offset);
	like.data = set.data;
	if (like.pos + like.size > like.bar->size ||
	    in_msix_table(like.bar, like.pos, like.size))
		return -EINVAL;
	port_mutex_lock(&dev->ioeventfds_lock);
	err = change(dev, call->client, &like, set.fd);
	port_mutex_unlock(&dev->ioeventfds_lock);
	return err;
}

void ioeventfd_disable(struct pci_device *dev)
{
	port_mutex_lock(&dev->ioeventfds_lock);
	list_for_each_safe (it, &dev->ioeventfds)
		drop(dev, list_entry(it, struct ioeventfd, on_device));
	port_mutex_unlock(&dev->ioeventfds_lock);
}
