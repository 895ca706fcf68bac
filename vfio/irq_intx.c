/* SPDX-License-Identifier: MIT */
/*
 * INTx: a level of the device's, told to the client one edge at a time.
 *
 * While INTx is the way that is enabled, the line is masked as soon as the client was
 * told, until it unmasks; if the level is still there then, it is told again and the mask
 * stays. What COMMAND.INTx_Disable says masks, too, and nothing is told meanwhile.
 *
 * Everything is under irqs.lock. An unmasking eventfd is the client's, and watched
 * (watch.h); the watcher takes the lock itself. In Linux it is gone when its last
 * descriptor is closed. Ours would keep it open, so whether anybody else has it is found
 * out when that matters: when another one is to take its place.
 */
#include <errno.h>
#include <unistd.h>

#include "vfio/device.h"

static bool in_use(const struct pci_irqs *irqs)
{
	return irqs->type == VFIO_PCI_INTX_IRQ_INDEX;
}

static void tell(struct pci_device *dev)
{
	if (!dev->irqs.intx.disabled)
		irq_signal(dev, dev->irqs.intx.trigger);
}

/* The level may reach the client. */
static void look(struct pci_device *dev)
{
	struct pci_intx *x = &dev->irqs.intx;

	if (!in_use(&dev->irqs) || x->masked || x->asleep || !x->asserted)
		return;
	x->masked = true;
	tell(dev);
}

void uiommufd_intx(struct uiommufd_device *api, bool asserted)
{
	struct pci_device *dev = api->pci;

	if (!dev->desc.interrupt_pin)
		return;
	port_dma_rest();
	port_mutex_lock(&dev->irqs.lock);
	dev->irqs.intx.asserted = asserted;
	look(dev);
	port_mutex_unlock(&dev->irqs.lock);
}

/* Not when the client has switched it off; with the level still there, only told. */
static void unmask(struct pci_device *dev)
{
	struct pci_intx *x = &dev->irqs.intx;

	if (!in_use(&dev->irqs) || !x->masked || x->disabled)
		return;
	x->masked = x->asserted;
	if (x->asserted)
		tell(dev);
}

void intx_set_disabled(struct pci_device *dev, bool disabled)
{
	struct pci_intx *x = &dev->irqs.intx;

	port_mutex_lock(&dev->irqs.lock);
	if (disabled && !x->disabled) {
		x->disabled = true;
		x->masked = true;
	} else if (!disabled && x->disabled) {
		x->disabled = false;
		unmask(dev);
	}
	port_mutex_unlock(&dev->irqs.lock);
}

void intx_sleep(struct pci_device *dev, bool asleep)
{
	port_mutex_lock(&dev->irqs.lock);
	dev->irqs.intx.asleep = asleep;
	look(dev);
	port_mutex_unlock(&dev->irqs.lock);
}

bool intx_asserted(struct pci_device *dev)
{
	bool asserted;

	port_mutex_lock(&dev->irqs.lock);
	asserted = dev->irqs.intx.asserted;
	port_mutex_unlock(&dev->irqs.lock);
	return asserted;
}

bool intx_blocked(struct pci_device *dev)
{
	const struct pci_irqs *irqs = &dev->irqs;
	bool blocked;

	port_mutex_lock(&dev->irqs.lock);
	if (irqs->type == IRQ_NONE)
		blocked = irqs->intx.disabled;
	else
		blocked = !in_use(irqs) || irqs->intx.masked;
	port_mutex_unlock(&dev->irqs.lock);
	return blocked;
}

/* ---- SET_IRQS --------------------------------------------------------------------- */

struct watch *intx_disable(struct pci_device *dev)
{
	struct pci_intx *x = &dev->irqs.intx;
	struct watch *left = x->unmask;

	irq_replace(&x->trigger, -1);
	x->unmask = NULL;
	dev->irqs.type = IRQ_NONE;
	return left;
}

static int set_trigger(const struct irq_request *r, int32_t fd)
{
	struct pci_irqs *irqs = &r->dev->irqs;
	int own = -1;

	if (fd >= 0) {
		own = irq_get_eventfd(r->dev, r->client, fd);
		if (own < 0)
			return own;
	}
	irq_replace(&irqs->intx.trigger, own);
	if (in_use(irqs))
		return 0;
	irqs->type = VFIO_PCI_INTX_IRQ_INDEX;
	irqs->intx.masked = irqs->intx.disabled;
	look(r->dev);
	return 0;
}

int intx_trigger(const struct irq_request *r)
{
	struct pci_irqs *irqs = &r->dev->irqs;

	if (in_use(irqs) && !r->set.count && r->set.flags & VFIO_IRQ_SET_DATA_NONE) {
		*r->gone = intx_disable(r->dev);
		return 0;
	}
	if ((!in_use(irqs) && irqs->type != IRQ_NONE) || r->set.start ||
	    r->set.count != 1)
		return -EINVAL;
	if (r->set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set_trigger(r, *(const int32_t *)r->data);
	if (!in_use(irqs))
		return -EINVAL;
	if (irq_fires(r, 0))
		tell(r->dev);
	return 0;
}

static bool fits(const struct irq_request *r)
{
	return in_use(&r->dev->irqs) && !r->set.start && r->set.count == 1;
}

int intx_mask(const struct irq_request *r)
{
	if (!fits(r))
		return -EINVAL;
	if (r->set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return -ENOTTY;
	if (irq_fires(r, 0))
		r->dev->irqs.intx.masked = true;
	return 0;
}

static void unmask_signalled(void *arg)
{
	struct pci_device *dev = arg;

	port_mutex_lock(&dev->irqs.lock);
	unmask(dev);
	port_mutex_unlock(&dev->irqs.lock);
}

static int set_unmask(const struct irq_request *r, int32_t fd)
{
	struct pci_intx *x = &r->dev->irqs.intx;
	int own, err;

	if (fd < 0) {
		*r->gone = x->unmask;
		x->unmask = NULL;
		return 0;
	}
	own = client_get_eventfd(r->client, fd);
	if (own < 0)
		return own;
	err = x->unmask ? -EBUSY
			: watch_add(&r->dev->watcher, own, unmask_signalled, r->dev,
				    &x->unmask);
	if (err)
		close(own);
	return err;
}

/* The number of the eventfd that unmasks, and our descriptor of it; -1: none. */
static int unmask_number(struct pci_device *dev, int *fd)
{
	int number = -1;

	port_mutex_lock(&dev->irqs.lock);
	if (dev->irqs.intx.unmask) {
		*fd = watch_eventfd(dev->irqs.intx.unmask);
		number = client_eventfd_number(*fd);
	}
	port_mutex_unlock(&dev->irqs.lock);
	return number;
}

bool intx_forget_unmask(struct pci_device *dev)
{
	struct pci_intx *x = &dev->irqs.intx;
	struct watch *gone = NULL;
	int fd, number = unmask_number(dev, &fd);
	bool any;

	if (number < 0 || client_eventfd_in_use(number, fd))
		return false;
	port_mutex_lock(&dev->irqs.lock);
	if (x->unmask && client_eventfd_number(watch_eventfd(x->unmask)) == number) {
		gone = x->unmask;
		x->unmask = NULL;
	}
	port_mutex_unlock(&dev->irqs.lock);
	any = gone;
	watch_remove(gone);
	return any;
}

int intx_unmask(const struct irq_request *r)
{
	if (!fits(r))
		return -EINVAL;
	if (r->set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set_unmask(r, *(const int32_t *)r->data);
	if (irq_fires(r, 0))
		unmask(r->dev);
	return 0;
}
