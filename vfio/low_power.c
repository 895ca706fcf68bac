/* SPDX-License-Identifier: MIT */
/*
 * Low power: between LOW_POWER_ENTRY and EXIT a function *sleeps*, in D3hot, whenever
 * nobody uses it. Asleep it masters no bus and answers no peer's DMA to its registers, is
 * not heard of by INTx, and on its way back loses its state, unless it says that it does
 * not (NoSoftRst). A function without power management stays in D0, but for its INTx.
 *
 * A client's call wakes it, for the time of the call; if an eventfd is to be told of
 * that, low power ends with it. Accesses to mappings do not wake: they fault
 * (bar_hide.h), until low power ends. What a sleeping function was doing is cut short,
 * as runtime power management in Linux does it.
 *
 * Entering revokes, but does not turn memory decoding off, so a dma-buf that is made
 * afterwards is live (the call that makes it wakes the function), and any write that
 * finds decoding on restores the others. Linux 7.3 does not do so at wake-up, either.
 *
 * `asleep` and `awake`, the number of calls that hold it awake, are guarded by
 * config_lock; `asleep` and the rest change with memory held for writing as well.
 */
#include <errno.h>
#include <unistd.h>

#include "vfio/device.h"

#define D0    0
#define D3HOT 3

static void lock(struct pci_device *dev)
{
	port_mutex_lock(&dev->config_lock);
	port_rwlock_write_lock(&dev->memory);
}

static void unlock(struct pci_device *dev)
{
	port_rwlock_write_unlock(&dev->memory);
	reset_update_master(dev);
	port_mutex_unlock(&dev->config_lock);
}

/* D3hot to D0. */
static void power_up(struct pci_device *dev)
{
	if (!dev->desc.no_soft_reset)
		reset_model(dev, UIOMMUFD_RESET_POWER);
}

static void wake(struct pci_device *dev)
{
	if (dev->asleep) {
		dev->asleep = false;
		power_up(dev);
		if (dev->decoding)
			gate_open(&dev->gate);
	}
	intx_sleep(dev, false);
}

/* A client's D3hot is left first, and not restored. */
static void leave_d3hot(struct pci_device *dev)
{
	if (config_power(dev) != D3HOT)
		return;
	power_up(dev);
	config_set_power(dev, D0);
	dev->decoding = config_memory_enabled(dev);
	dev->io_decoding = config_io_enabled(dev);
}

static void sleep_if_unused(struct pci_device *dev)
{
	if (!dev->low_power || dev->awake)
		return;
	intx_sleep(dev, true);
	if (dev->asleep || !dev->config.pm || sriov_enabled(dev))
		return;
	leave_d3hot(dev);
	gate_shut(&dev->gate);
	dev->asleep = true;
}

void low_power_forget(struct pci_device *dev)
{
	if (dev->wake_fd >= 0)
		close(dev->wake_fd);
	dev->wake_fd = -1;
	dev->low_power = false;
	wake(dev);
}

int low_power_enter(struct pci_device *dev, int wake_fd)
{
	int err = 0;

	lock(dev);
	gate_shut(&dev->gate);
	exports_revoke(dev->exports);
	if (dev->decoding && !dev->asleep)
		gate_open(&dev->gate);
	if (dev->low_power) {
		err = -EINVAL;
	} else {
		dev->low_power = true;
		dev->wake_fd = wake_fd;
		bars_follow(dev);
		sleep_if_unused(dev);
	}
	unlock(dev);
	return err;
}

void low_power_exit(struct pci_device *dev)
{
	lock(dev);
	low_power_forget(dev);
	bars_follow(dev);
	if (dev->decoding)
		exports_restore(dev->exports);
	unlock(dev);
}

void low_power_hold(struct pci_device *dev)
{
	lock(dev);
	dev->awake++;
	if (dev->wake_fd >= 0) {
		irq_signal(dev, dev->wake_fd);
		low_power_forget(dev);
		bars_follow(dev);
	} else {
		wake(dev);
	}
	unlock(dev);
}

void low_power_release(struct pci_device *dev)
{
	lock(dev);
	dev->awake--;
	sleep_if_unused(dev);
	unlock(dev);
}

bool low_power_begin(struct pci_device *dev)
{
	if (!dev->low_power)
		return false;
	low_power_hold(dev);
	return true;
}

void low_power_end(struct pci_device *dev, bool begun)
{
	if (begun)
		low_power_release(dev);
}
