/* SPDX-License-Identifier: MIT */
/*
 * The masks of MSI's vectors, of functions that have them: a message of a masked vector
 * is pending until it is unmasked.
 *
 * Two write to the mask: the client, by configuration space, which vfio-pci lets through
 * to the function; and Linux, which masks all vectors but those that have an eventfd, and
 * none while MSI is off. Linux writes what it remembers, so what the client wrote is gone
 * when a vector comes or goes, or the function was reset.
 *
 * Everything is under irqs.lock. Without masks (the description's msi_masks) all of it is
 * zero, and stays so.
 */
#include "vfio/device.h"

static uint32_t all_vectors(const struct pci_device *dev)
{
	unsigned n = dev->desc.msi_vectors;

	if (!dev->desc.msi_masks || !n)
		return 0;
	return n == 32 ? UINT32_MAX : ((uint32_t)1 << n) - 1;
}

/* What is pending and not masked any more is sent. */
static void set_mask(struct pci_device *dev, uint32_t mask)
{
	struct pci_irqs *irqs = &dev->irqs;
	struct pci_msi_masks *m = &irqs->msi;
	uint32_t due = m->pending & ~mask;

	m->mask = mask;
	m->pending &= mask;
	for (; due; due &= due - 1)
		irq_signal(dev, irqs->vectors[__builtin_ctz(due)]);
}

bool msi_holds(struct pci_device *dev, unsigned vector)
{
	struct pci_msi_masks *m = &dev->irqs.msi;

	if (!(m->mask >> vector & 1))
		return false;
	m->pending |= (uint32_t)1 << vector;
	return true;
}

void msi_enabled(struct pci_device *dev)
{
	dev->irqs.msi.linux_mask = all_vectors(dev);
	set_mask(dev, dev->irqs.msi.linux_mask);
}

void msi_disabled(struct pci_device *dev)
{
	dev->irqs.msi = (struct pci_msi_masks){0};
}

void msi_vector_used(struct pci_device *dev, unsigned vector, bool used)
{
	struct pci_msi_masks *m = &dev->irqs.msi;
	uint32_t bit = (uint32_t)1 << vector & all_vectors(dev);

	m->linux_mask = used ? m->linux_mask & ~bit : m->linux_mask | bit;
	set_mask(dev, m->linux_mask);
}

void msi_reset(struct pci_device *dev)
{
	struct pci_msi_masks *m = &dev->irqs.msi;

	port_mutex_lock(&dev->irqs.lock);
	m->pending = 0;
	m->mask = m->linux_mask;
	port_mutex_unlock(&dev->irqs.lock);
}

void msi_read_masks(struct pci_device *dev, uint32_t *mask, uint32_t *pending)
{
	port_mutex_lock(&dev->irqs.lock);
	*mask = dev->irqs.msi.mask;
	*pending = dev->irqs.msi.pending;
	port_mutex_unlock(&dev->irqs.lock);
}

void msi_write_mask(struct pci_device *dev, uint32_t value, uint32_t bits)
{
	struct pci_msi_masks *m = &dev->irqs.msi;

	port_mutex_lock(&dev->irqs.lock);
	set_mask(dev, ((m->mask & ~bits) | (value & bits)) & all_vectors(dev));
	port_mutex_unlock(&dev->irqs.lock);
}
