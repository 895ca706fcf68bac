/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: MSI and MSI-X, and the two that are VFIO's own, ERR and REQ. (INTx is in
 * irq_intx.c.)
 *
 * One of INTx, MSI and MSI-X is on from the first SET_IRQS that gives it eventfds until
 * one with count 0 and DATA_NONE. In between MSI-X's vectors come and go; MSI has as many
 * as it was enabled with. What the client writes to the capabilities or the MSI-X table
 * does not matter, as with vfio-pci, but for the masks of MSI (irq_msi.c).
 *
 * The order of checks is that of Linux 7.3. Eventfds are duplicates of the client's, and
 * ours to close. Signalling never blocks (signal.c).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vfio/device.h"

#define SET_MIN offsetof(struct vfio_irq_set, data)

static unsigned max_u(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

int irq_create(struct pci_device *dev)
{
	unsigned n = max_u(dev->desc.msix_vectors, dev->desc.msi_vectors);
	struct pci_irqs *irqs = &dev->irqs;

	port_mutex_init(&irqs->lock);
	signaller_init(&irqs->signaller);
	irqs->type = IRQ_NONE;
	irqs->intx.trigger = -1;
	irqs->err = -1;
	irqs->req = -1;
	if (!n)
		return 0;
	irqs->vectors = port_alloc(n * sizeof(int));
	if (!irqs->vectors)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		irqs->vectors[i] = -1;
	return 0;
}

void irq_destroy(struct pci_device *dev)
{
	port_free(dev->irqs.vectors);
	signaller_finish(&dev->irqs.signaller);
	port_mutex_finish(&dev->irqs.lock);
}

unsigned irq_type(struct pci_device *dev, unsigned *msi_log)
{
	unsigned type;

	port_mutex_lock(&dev->irqs.lock);
	type = dev->irqs.type;
	if (msi_log)
		*msi_log = dev->irqs.msi_log;
	port_mutex_unlock(&dev->irqs.lock);
	return type;
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

void irq_replace(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

static uint32_t irq_count(const struct pci_device *dev, uint32_t index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return dev->desc.interrupt_pin ? 1 : 0;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return dev->desc.msi_vectors;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return dev->desc.msix_vectors;
	case VFIO_PCI_ERR_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	default:
		return 0;
	}
}

void pci_device_vectors(struct pci_device *dev, bool *msix, uint8_t *bits, size_t cap)
{
	struct pci_irqs *irqs = &dev->irqs;

	memset(bits, 0, cap);
	port_mutex_lock(&irqs->lock);
	*msix = irqs->type == VFIO_PCI_MSIX_IRQ_INDEX;
	if (*msix || irqs->type == VFIO_PCI_MSI_IRQ_INDEX)
		for (unsigned i = 0; i < irq_count(dev, irqs->type) && i / 8 < cap; i++)
			if (irqs->vectors[i] >= 0)
				bits[i / 8] |= (uint8_t)(1u << i % 8);
	port_mutex_unlock(&irqs->lock);
}

static bool has_vectors(const struct pci_irqs *irqs)
{
	return irqs->type == VFIO_PCI_MSI_IRQ_INDEX ||
	       irqs->type == VFIO_PCI_MSIX_IRQ_INDEX;
}

void uiommufd_irq(struct uiommufd_device *api, unsigned vector)
{
	struct pci_device *dev = api->pci;
	struct pci_irqs *irqs = &dev->irqs;

	port_dma_rest();
	port_mutex_lock(&irqs->lock);
	if (has_vectors(irqs) && vector < irq_count(dev, irqs->type) &&
	    !(irqs->type == VFIO_PCI_MSI_IRQ_INDEX && msi_holds(dev, vector)))
		irq_signal(dev, irqs->vectors[vector]);
	port_mutex_unlock(&irqs->lock);
}

void uiommufd_fatal_error(struct uiommufd_device *api)
{
	struct pci_device *dev = api->pci;

	port_dma_rest();
	port_mutex_lock(&dev->irqs.lock);
	irq_signal(dev, dev->irqs.err);
	port_mutex_unlock(&dev->irqs.lock);
}

/* With the lock held. */
static void disable_vectors(struct pci_device *dev)
{
	for (unsigned i = 0; i < irq_count(dev, dev->irqs.type); i++)
		irq_replace(&dev->irqs.vectors[i], -1);
	if (dev->irqs.type == VFIO_PCI_MSI_IRQ_INDEX)
		msi_disabled(dev);
	dev->irqs.type = IRQ_NONE;
}

void irq_disable(struct pci_device *dev)
{
	struct watch *gone = NULL;

	port_mutex_lock(&dev->irqs.lock);
	if (has_vectors(&dev->irqs))
		disable_vectors(dev);
	else
		gone = intx_disable(dev);
	dev->irqs.intx.disabled = false;
	irq_replace(&dev->irqs.err, -1);
	irq_replace(&dev->irqs.req, -1);
	port_mutex_unlock(&dev->irqs.lock);
	watch_remove(gone);
}

void irq_request(struct pci_device *dev)
{
	port_mutex_lock(&dev->irqs.lock);
	irq_signal(dev, dev->irqs.req);
	port_mutex_unlock(&dev->irqs.lock);
}

/* ---- info ------------------------------------------------------------------------- */

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

static int32_t fd_at(const struct irq_request *r, uint32_t i)
{
	return ((const int32_t *)r->data)[i];
}

bool irq_fires(const struct irq_request *r, uint32_t i)
{
	if (r->set.flags & VFIO_IRQ_SET_DATA_BOOL)
		return ((const uint8_t *)r->data)[i];
	return true;
}

/* @fd: of ours, or -1. */
static void replace_vector(struct pci_device *dev, uint32_t vector, int fd)
{
	irq_replace(&dev->irqs.vectors[vector], fd);
	if (dev->irqs.type == VFIO_PCI_MSI_IRQ_INDEX)
		msi_vector_used(dev, vector, fd >= 0);
}

/*
 * Give a vector its eventfd; whatever happens, the former one is gone. MSI has no more
 * vectors than it was enabled with.
 */
static int set_vector(const struct irq_request *r, uint32_t vector, int32_t fd)
{
	const struct pci_irqs *irqs = &r->dev->irqs;
	int own;

	if (irqs->vectors[vector] >= 0)
		replace_vector(r->dev, vector, -1);
	if (fd < 0)
		return 0;
	if (irqs->type == VFIO_PCI_MSI_IRQ_INDEX && vector >= irqs->enabled)
		return -EINVAL;
	own = irq_get_eventfd(r->dev, r->client, fd);
	if (own < 0)
		return own;
	replace_vector(r->dev, vector, own);
	return 0;
}

/* On failure all vectors up to the one that failed have none. */
static int set_vectors(const struct irq_request *r)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < r->set.count && !err; i++)
		err = set_vector(r, r->set.start + i, fd_at(r, i));
	if (!err)
		return 0;
	while (i-- > 0)
		if (r->dev->irqs.vectors[r->set.start + i] >= 0)
			replace_vector(r->dev, r->set.start + i, -1);
	return err;
}

static int enable_vectors(const struct irq_request *r)
{
	struct pci_irqs *irqs = &r->dev->irqs;
	unsigned n = r->set.start + r->set.count;
	int err;

	/* Linux 7.3: enabling none is a range error of the PCI core. */
	if (!n)
		return -ERANGE;
	irqs->type = r->set.index;
	irqs->enabled = n;
	if (irqs->type == VFIO_PCI_MSI_IRQ_INDEX) {
		irqs->msi_log = 32 - __builtin_clz(2 * n - 1) - 1;
		msi_enabled(r->dev);
	}
	err = set_vectors(r);
	if (err)
		disable_vectors(r->dev);
	return err;
}

static int trigger_vectors(const struct irq_request *r)
{
	struct pci_irqs *irqs = &r->dev->irqs;
	bool ours = irqs->type == r->set.index;

	if (ours && !r->set.count && r->set.flags & VFIO_IRQ_SET_DATA_NONE) {
		disable_vectors(r->dev);
		return 0;
	}
	if (!ours && irqs->type != IRQ_NONE)
		return -EINVAL;
	if (r->set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return ours ? set_vectors(r) : enable_vectors(r);
	if (!ours)
		return -EINVAL;
	for (uint32_t i = 0; i < r->set.count; i++) {
		if (irq_fires(r, i))
			irq_signal(r->dev, irqs->vectors[r->set.start + i]);
	}
	return 0;
}

static int set_single(const struct irq_request *r, int *slot)
{
	int32_t fd = fd_at(r, 0);
	int own;

	if (fd < -1)
		return -EINVAL;
	if (fd == -1) {
		irq_replace(slot, -1);
		return 0;
	}
	own = irq_get_eventfd(r->dev, r->client, fd);
	if (own < 0)
		return own;
	irq_replace(slot, own);
	return 0;
}

/* ERR and REQ. */
static int trigger_single(const struct irq_request *r, int *slot)
{
	if (r->set.flags & VFIO_IRQ_SET_DATA_NONE) {
		if (*slot < 0)
			return -EINVAL;
		if (r->set.count)
			irq_signal(r->dev, *slot);
		else
			irq_replace(slot, -1);
		return 0;
	}
	if (!r->set.count)
		return -EINVAL;
	if (r->set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set_single(r, slot);
	if (irq_fires(r, 0))
		irq_signal(r->dev, *slot);
	return 0;
}

static int act_intx(const struct irq_request *r)
{
	switch (r->set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
	case VFIO_IRQ_SET_ACTION_MASK:
		return intx_mask(r);
	case VFIO_IRQ_SET_ACTION_UNMASK:
		return intx_unmask(r);
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		return intx_trigger(r);
	default:
		return -ENOTTY;
	}
}

/* Masking is for INTx only. */
static int act(const struct irq_request *r)
{
	struct pci_irqs *irqs = &r->dev->irqs;

	if (r->set.index == VFIO_PCI_INTX_IRQ_INDEX)
		return act_intx(r);
	if ((r->set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	switch (r->set.index) {
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return trigger_vectors(r);
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

static bool gives_messages(const struct vfio_irq_set *set)
{
	return (set->index == VFIO_PCI_MSI_IRQ_INDEX ||
		set->index == VFIO_PCI_MSIX_IRQ_INDEX) &&
	       set->flags == (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER) &&
	       set->start + set->count;
}

/* Where the IOMMU translates messages, their page is there before the first. */
static int map_messages(struct pci_device *dev)
{
	int err = 0;

	port_mutex_lock(&dev->bind);
	if (dev->iommufd)
		err = iommufd_device_msi(dev->iommufd);
	port_mutex_unlock(&dev->bind);
	return err;
}

static int act_locked(const struct irq_request *r)
{
	int err;

	port_mutex_lock(&r->dev->irqs.lock);
	err = act(r);
	port_mutex_unlock(&r->dev->irqs.lock);
	return err;
}

long irq_set_ioctl(struct uapi_call *call)
{
	struct watch *gone = NULL;
	struct irq_request r = {
		.dev = vfio_device_of(call),
		.client = call->client,
		.gone = &gone,
	};
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
	if (!err && gives_messages(&r.set))
		err = map_messages(r.dev);
	if (!err) {
		r.data = data;
		err = act_locked(&r);
		/* The one answer of this kind: INTx is unmasked by another eventfd. */
		if (err == -EBUSY && intx_forget_unmask(r.dev))
			err = act_locked(&r);
		watch_remove(gone);
	}
	port_free(data);
	return err;
}
