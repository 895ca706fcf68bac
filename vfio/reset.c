/* SPDX-License-Identifier: MIT */
/*
 * Everything that takes a device's memory away: reset (by ioctl, by FLR, with its bus),
 * memory decoding off, D3hot, close. (Low power: low_power.c.)
 *
 * The order is always: cut (no peer enters the gate, all dma-bufs are revoked in one
 * step, no client access is under way), then act, then uncut. While a model is being
 * reset it also masters no bus, so its own DMA has ended or faults.
 *
 * Who waits for whom. The thread that resets holds device.memory for writing and waits
 *  - for clients' accesses to the device (they hold device.memory for reading),
 *  - for DMA into its memory and DMA of its own that is under way,
 *  - in the model's reset, for the model's worker.
 * The last two may be in the middle of an access to the registers of a peer. Such an
 * access never waits for a lock: it waits at the peer's gate, which turns it back as soon
 * as the peer is being reset itself. So two devices that are reset while their workers
 * write each other's registers both end.
 */
#include <errno.h>

#include "vfio/device.h"

void reset_cut(struct pci_device *dev)
{
	gate_shut(&dev->gate);
	exports_revoke(dev->exports);
	dev->decoding = false;
	dev->io_decoding = false;
}

void reset_uncut(struct pci_device *dev)
{
	dev->decoding = config_memory_enabled(dev);
	dev->io_decoding = config_io_enabled(dev);
	bars_follow(dev);
	if (!dev->decoding)
		return;
	if (!dev->asleep)
		gate_open(&dev->gate);
	exports_restore(dev->exports);
}

void reset_update_master(struct pci_device *dev)
{
	requesters_set_master(dev, config_master_enabled(dev));
}

bool reset_possible(const struct pci_device *dev)
{
	return dev->desc.flr || dev->desc.af ||
	       (hot_reset_has_bus(dev) && hot_reset_alone(dev));
}

void reset_model(struct pci_device *dev, enum uiommufd_reset kind)
{
	uiommufd_intx(&dev->api, false);
	msi_reset(dev);
	if (!dev->ops.reset)
		return;
	gate_enter(&dev->gate);
	mmio_watch_clear(dev);
	dev->ops.reset(dev->model, kind);
	gate_leave(&dev->gate);
}

void reset_begin(struct pci_device *dev)
{
	port_rwlock_write_lock(&dev->memory);
	reset_cut(dev);
	config_set_power(dev, 0);
	requesters_set_master(dev, false);
}

void reset_end(struct pci_device *dev)
{
	reset_uncut(dev);
	port_rwlock_write_unlock(&dev->memory);
	reset_update_master(dev);
}

void reset_function(struct pci_device *dev)
{
	reset_begin(dev);
	reset_model(dev, UIOMMUFD_RESET_FUNCTION);
	reset_end(dev);
}

long reset_ioctl(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);

	if (!reset_possible(dev))
		return -EINVAL;
	port_mutex_lock(&dev->config_lock);
	reset_function(dev);
	port_mutex_unlock(&dev->config_lock);
	return 0;
}

/* ---- a client comes and goes ------------------------------------------------------ */

void reset_enable(struct pci_device *dev)
{
	sriov_use(dev);
	port_mutex_lock(&dev->config_lock);
	config_restart(dev);
	reset_begin(dev);
	if (reset_possible(dev))
		reset_model(dev, UIOMMUFD_RESET_FUNCTION);
	reset_end(dev);
	port_mutex_unlock(&dev->config_lock);
}

void reset_disable(struct pci_device *dev)
{
	ioeventfd_disable(dev);
	port_mutex_lock(&dev->config_lock);
	port_rwlock_write_lock(&dev->memory);
	low_power_forget(dev);
	reset_cut(dev);
	exports_orphan(dev->exports);
	mmio_watch_end(dev);
	requesters_set_master(dev, false);
	bars_unmapped(dev);
	dma_log_stop(&dev->log);
	irq_disable(dev);
	config_restart(dev);
	if (reset_possible(dev))
		reset_model(dev, UIOMMUFD_RESET_FUNCTION);
	port_rwlock_write_unlock(&dev->memory);
	port_mutex_unlock(&dev->config_lock);
	sriov_unuse(dev);
}
