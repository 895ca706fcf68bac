/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: MSI-X, and the two that are VFIO's own, ERR and REQ. There is no INTx and
 * no MSI: their count is 0.
 *
 * MSI-X is on from the first SET_IRQS that gives eventfds until one with count 0 and
 * DATA_NONE; vectors come and go in between (it can be resized). What the client writes
 * to the MSI-X table or capability does not matter, as with vfio-pci.
 *
 * The order of checks is that of Linux 7.3. Eventfds are duplicates of the client's, and
 * ours to close. Signalling never blocks (signal.c).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vfio/device.h"

#define SET_MIN offsetof(struct vfio_irq_set, data)

int irq_create(struct pci_device *dev)
{
	struct pci_irqs *irqs = &dev->irqs;

	port_mutex_init(&irqs->lock);
	signaller_init(&irqs->signaller);
	irqs->err = -1;
	irqs->req = -1;
	if (!dev->desc.msix_vectors)
		return 0;
	irqs->msix = port_alloc(dev->desc.msix_vectors * sizeof(int));
	if (!irqs->msix)
		return -ENOMEM;
	for (unsigned i = 0; i < dev->desc.msix_vectors; i++)
		irqs->msix[i] = -1;
	return 0;
}

void irq_destroy(struct pci_device *dev)
{
	port_free(dev->irqs.msix);
	signaller_finish(&dev->irqs.signaller);
	port_mutex_finish(&dev->irqs.lock);
}

bool irq_msix_enabled(struct pci_device *dev)
{
	bool on;

	port_mutex_lock(&dev->irqs.lock);
	on = dev->irqs.msix_enabled;
	port_mutex_unlock(&dev->irqs.lock);
	return on;
}

int irq_get_eventfd(struct pci_device *dev, struct client *c, int fd)
{
	int own = client_get_eventfd(c, fd);
	int err;

	if (own < 0)
		return own;
	err = signaller_start(&dev->irqs.signaller);
	if (err) {
		close(own);
		return err;
	}
	return own;
}

void irq_signal(struct pci_device *dev, int fd)
{
	if (fd >= 0)
		signaller_signal(&dev->irqs.signaller, dev->storage_fd, fd);
}

/* With the lock held. */
static void replace(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

void uiommufd_irq(struct uiommufd_device *api, unsigned vector)
{
	struct pci_device *dev = api->pci;
	struct pci_irqs *irqs = &dev->irqs;

	if (vector >= dev->desc.msix_vectors)
		return;
	port_dma_rest();
	port_mutex_lock(&irqs->lock);
	if (irqs->msix_enabled)
		irq_signal(dev, irqs->msix[vector]);
	port_mutex_unlock(&irqs->lock);
}

/* With the lock held. */
static void disable_msix(struct pci_device *dev)
{
	for (unsigned i = 0; i < dev->desc.msix_vectors; i++)
		replace(&dev->irqs.msix[i], -1);
	dev->irqs.msix_enabled = false;
}

void irq_disable(struct pci_device *dev)
{
	port_mutex_lock(&dev->irqs.lock);
	disable_msix(dev);
	replace(&dev->irqs.err, -1);
	replace(&dev->irqs.req, -1);
	port_mutex_unlock(&dev->irqs.lock);
}

/* ---- info ------------------------------------------------------------------------- */

static uint32_t irq_count(const struct pci_device *dev, uint32_t index)
{
	switch (index) {
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return dev->desc.msix_vectors;
	case VFIO_PCI_ERR_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	default:
		return 0;
	}
}

long irq_info_ioctl(struct uapi_call *call)
{
	struct vfio_irq_info info;

	memcpy(&info, call->data, sizeof(info));
	if (info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = irq_count(vfio_device_of(call), info.index);
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (info.index != VFIO_PCI_MSIX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
	memcpy(call->data, &info, sizeof(info));
	return uapi_respond(call, sizeof(info));
}

/* ---- SET_IRQS --------------------------------------------------------------------- */

/* A request: the header, and a copy of its data (bools or fds, or NULL). */
struct request {
	struct pci_device *dev;
	struct client *client;
	const void *data;
	struct vfio_irq_set set;
};

static int32_t fd_at(const struct request *r, uint32_t i)
{
	return ((const int32_t *)r->data)[i];
}

static bool fires(const struct request *r, uint32_t i)
{
	if (r->set.flags & VFIO_IRQ_SET_DATA_BOOL)
		return ((const uint8_t *)r->data)[i];
	return true;
}

/* Give a vector its eventfd; whatever happens, the former one is gone. */
static int set_vector(const struct request *r, uint32_t vector, int32_t fd)
{
	int *slot = &r->dev->irqs.msix[vector];
	int own;

	replace(slot, -1);
	if (fd < 0)
		return 0;
	own = irq_get_eventfd(r->dev, r->client, fd);
	if (own < 0)
		return own;
	replace(slot, own);
	return 0;
}

/* On failure all vectors up to the one that failed have none. */
static int set_vectors(const struct request *r)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < r->set.count && !err; i++)
		err = set_vector(r, r->set.start + i, fd_at(r, i));
	if (!err)
		return 0;
	while (i-- > 0)
		replace(&r->dev->irqs.msix[r->set.start + i], -1);
	return err;
}

static int enable_msix(const struct request *r)
{
	int err;

	/* Linux 7.3: enabling none is a range error of the PCI core. */
	if (!(r->set.start + r->set.count))
		return -ERANGE;
	r->dev->irqs.msix_enabled = true;
	err = set_vectors(r);
	if (err)
		disable_msix(r->dev);
	return err;
}

static int trigger_msix(const struct request *r)
{
	struct pci_irqs *irqs = &r->dev->irqs;

	if (irqs->msix_enabled && !r->set.count &&
	    r->set.flags & VFIO_IRQ_SET_DATA_NONE) {
		disable_msix(r->dev);
		return 0;
	}
	if (r->set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return irqs->msix_enabled ? set_vectors(r) : enable_msix(r);
	if (!irqs->msix_enabled)
		return -EINVAL;
	for (uint32_t i = 0; i < r->set.count; i++) {
		if (fires(r, i))
			irq_signal(r->dev, irqs->msix[r->set.start + i]);
	}
	return 0;
}

static int set_single(const struct request *r, int *slot)
{
	int32_t fd = fd_at(r, 0);
	int own;

	if (fd < -1)
		return -EINVAL;
	if (fd == -1) {
		replace(slot, -1);
		return 0;
	}
	own = irq_get_eventfd(r->dev, r->client, fd);
	if (own < 0)
		return own;
	replace(slot, own);
	return 0;
}

/* ERR and REQ. */
static int trigger_single(const struct request *r, int *slot)
{
	if (r->set.flags & VFIO_IRQ_SET_DATA_NONE) {
		if (*slot < 0)
			return -EINVAL;
		if (r->set.count)
			irq_signal(r->dev, *slot);
		else
			replace(slot, -1);
		return 0;
	}
	if (!r->set.count)
		return -EINVAL;
	if (r->set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set_single(r, slot);
	if (fires(r, 0))
		irq_signal(r->dev, *slot);
	return 0;
}

/* Masking is for INTx only, of which there is none. */
static int act(const struct request *r)
{
	struct pci_irqs *irqs = &r->dev->irqs;

	if ((r->set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	switch (r->set.index) {
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return trigger_msix(r);
	case VFIO_PCI_ERR_IRQ_INDEX:
		return trigger_single(r, &irqs->err);
	case VFIO_PCI_REQ_IRQ_INDEX:
		return trigger_single(r, &irqs->req);
	default:
		return -ENOTTY;
	}
}

/* *@bytes: how much data follows the header. */
static int validate(const struct vfio_irq_set *set, uint32_t nr_irqs, size_t *bytes)
{
	const uint32_t known =
		VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;
	size_t each;

	if (set->index >= VFIO_PCI_NUM_IRQS || set->count >= UINT32_MAX - set->start ||
	    set->flags & ~known)
		return -EINVAL;
	if (set->start >= nr_irqs || set->start + set->count > nr_irqs)
		return -EINVAL;
	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		each = 0;
		break;
	case VFIO_IRQ_SET_DATA_BOOL:
		each = sizeof(uint8_t);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		each = sizeof(int32_t);
		break;
	default:
		return -EINVAL;
	}
	*bytes = set->count * each;
	return set->argsz - SET_MIN < *bytes ? -EINVAL : 0;
}

long irq_set_ioctl(struct uapi_call *call)
{
	struct request r = {.dev = vfio_device_of(call), .client = call->client};
	void *data = NULL;
	size_t bytes;
	int err;

	memcpy(&r.set, call->data, SET_MIN);
	err = validate(&r.set, irq_count(r.dev, r.set.index), &bytes);
	if (err)
		return err;
	if (bytes) {
		data = port_alloc(bytes);
		if (!data)
			return -ENOMEM;
		err = uapi_fetch(call, data, SET_MIN, bytes);
	}
	if (!err) {
		r.data = data;
		port_mutex_lock(&r.dev->irqs.lock);
		err = act(&r);
		port_mutex_unlock(&r.dev->irqs.lock);
	}
	port_free(data);
	return err;
}
