/* SPDX-License-Identifier: MIT */
/*
 * vfio-pci's hold on a function: bound to the driver, a function has a node and belongs
 * to its group's; unbound, nobody can open it.
 *
 * Unbinding takes three steps, as in Linux: from the first on nobody can open the
 * function; who has it open is asked to let go (the REQ interrupt), again and again; when
 * the last open is closed the function is free, and if it was the last of its group the
 * group's node is taken from whoever has it open.
 *
 * `driver.lock` is a leaf, but for the group's own counters.
 */
#include <errno.h>
#include <time.h>

#include "vfio/device.h"
#include "vfio/group.h"

int driver_init(struct driver_hold *d)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr))
		return -ENOMEM;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->closed, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void driver_finish(struct driver_hold *d)
{
	pthread_cond_destroy(&d->closed);
	pthread_mutex_destroy(&d->lock);
}

int driver_open(struct pci_device *dev)
{
	struct driver_hold *d = &dev->driver;
	int err = 0;

	pthread_mutex_lock(&d->lock);
	if (d->bound)
		d->opens++;
	else
		err = -ENODEV;
	pthread_mutex_unlock(&d->lock);
	return err;
}

void driver_close(struct pci_device *dev)
{
	struct driver_hold *d = &dev->driver;

	pthread_mutex_lock(&d->lock);
	if (!--d->opens)
		pthread_cond_broadcast(&d->closed);
	pthread_mutex_unlock(&d->lock);
}

bool pci_device_bound(struct pci_device *dev)
{
	bool bound;

	pthread_mutex_lock(&dev->driver.lock);
	bound = dev->driver.bound;
	pthread_mutex_unlock(&dev->driver.lock);
	return bound;
}

static void set_bound(struct pci_device *dev, bool bound)
{
	pthread_mutex_lock(&dev->driver.lock);
	dev->driver.bound = bound;
	pthread_mutex_unlock(&dev->driver.lock);
}

void pci_device_bind(struct pci_device *dev)
{
	set_bound(dev, true);
}

void pci_device_leave(struct pci_device *dev)
{
	set_bound(dev, false);
}

void pci_device_request(struct pci_device *dev)
{
	irq_request(dev);
}

static struct timespec in_ms(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms % 1000 * 1000000L;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	return t;
}

bool pci_device_wait_closed(struct pci_device *dev, unsigned ms)
{
	struct driver_hold *d = &dev->driver;
	struct timespec until = in_ms(ms);
	bool closed;

	pthread_mutex_lock(&d->lock);
	while (d->opens && !pthread_cond_timedwait(&d->closed, &d->lock, &until))
		continue;
	closed = !d->opens;
	pthread_mutex_unlock(&d->lock);
	if (closed)
		vfio_group_revoke(dev->group);
	return closed;
}

bool pci_device_in_use(struct pci_device *dev)
{
	bool in_use;

	port_mutex_lock(&dev->bind);
	in_use = dev->owner || dev->group_opens;
	port_mutex_unlock(&dev->bind);
	return in_use;
}

bool pci_device_alone_on_bus(const struct pci_device *dev)
{
	return hot_reset_has_bus(dev) && hot_reset_alone(dev);
}

int pci_device_reset(struct pci_device *dev)
{
	if (!reset_possible(dev))
		return -ENOTTY;
	low_power_hold(dev);
	port_mutex_lock(&dev->config_lock);
	reset_function(dev);
	port_mutex_unlock(&dev->config_lock);
	low_power_release(dev);
	return 0;
}
