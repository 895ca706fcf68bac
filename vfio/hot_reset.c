/* SPDX-License-Identifier: MIT */
/*
 * Hot reset: all functions on one bus at once. A bus below a bridge can be reset, bus 0
 * cannot.
 *
 * A client of an iommufd may do it when it owns every function there: each is bound to
 * its iommufd, or belongs to a group of which a function is. All of them are locked and
 * cut before the first is reset, in the order of their index.
 */
#include <errno.h>
#include <string.h>

#include "vfio/device.h"

#define INFO_MIN offsetof(struct vfio_pci_hot_reset_info, devices)

static bool same_bus(const struct pci_device *a, const struct pci_device *b)
{
	return a->place.bdf.domain == b->place.bdf.domain &&
	       a->place.bdf.bus == b->place.bdf.bus;
}

bool hot_reset_has_bus(const struct pci_device *dev)
{
	return dev->place.bdf.bus != 0;
}

/* The first device with an index from *@i on that shares the bus; *@i is its index. */
static struct pci_device *next_on_bus(const struct pci_device *dev, size_t *i)
{
	const struct machine *m = dev->machine;

	for (; *i < m->nr_devices; ++*i) {
		if (same_bus(dev, m->devices[*i]))
			return m->devices[*i];
	}
	return NULL;
}

#define for_each_on_bus(it, dev)                                                         \
	for (size_t it##_i = 0; (it = next_on_bus(dev, &it##_i)); it##_i++)

static uint32_t count_on_bus(const struct pci_device *dev)
{
	struct pci_device *it;
	uint32_t n = 0;

	for_each_on_bus(it, dev) n++;
	return n;
}

bool hot_reset_alone(const struct pci_device *dev)
{
	return count_on_bus(dev) <= 1;
}

static void lock_bindings(struct pci_device *dev)
{
	struct pci_device *it;

	for_each_on_bus(it, dev) port_mutex_lock(&it->bind);
}

static void unlock_bindings(struct pci_device *dev)
{
	struct pci_device *it;

	for_each_on_bus(it, dev) port_mutex_unlock(&it->bind);
}

/*
 * What @it is to the owner of @dev, with the bindings of the bus locked. (A group that
 * reaches beyond the bus is judged by its members here.)
 */
static uint32_t devid_of(const struct pci_device *dev, const struct pci_device *it)
{
	struct pci_device *member;

	if (it->ctx == dev->ctx)
		return it->devid;
	for_each_on_bus(member, dev)
	{
		if (member->ctx == dev->ctx &&
		    member->place.group_key == it->place.group_key)
			return VFIO_PCI_DEVID_OWNED;
	}
	return (uint32_t)VFIO_PCI_DEVID_NOT_OWNED;
}

static int store_devices(struct uapi_call *call, struct pci_device *dev, uint32_t *flags)
{
	struct vfio_pci_dependent_device d;
	size_t offset = INFO_MIN;
	struct pci_device *it;
	int err = 0;

	*flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	for_each_on_bus(it, dev)
	{
		const struct pci_bdf *b = &it->place.bdf;

		d.devid = devid_of(dev, it);
		d.segment = b->domain;
		d.bus = b->bus;
		d.devfn = (uint8_t)(b->device << 3 | b->function);
		if (d.devid == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED)
			*flags &= ~(uint32_t)VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
		if (!err)
			err = uapi_store(call, offset, &d, sizeof(d));
		offset += sizeof(d);
	}
	return err;
}

long hot_reset_info_ioctl(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);
	struct vfio_pci_hot_reset_info info;
	uint32_t n = count_on_bus(dev);
	int err, result = 0;

	memcpy(&info, call->data, INFO_MIN);
	info.flags = 0;
	if (!hot_reset_has_bus(dev))
		return -ENODEV;
	if (n > (info.argsz - INFO_MIN) / sizeof(info.devices[0])) {
		result = -ENOSPC;
	} else {
		lock_bindings(dev);
		err = store_devices(call, dev, &info.flags);
		unlock_bindings(dev);
		if (err)
			return err;
	}
	info.count = n;
	memcpy(call->data, &info, INFO_MIN);
	err = uapi_respond(call, INFO_MIN);
	return err ? err : result;
}

static void reset_bus(struct pci_device *dev)
{
	struct pci_device *it;

	for_each_on_bus(it, dev) port_mutex_lock(&it->config_lock);
	for_each_on_bus(it, dev) reset_begin(it);
	for_each_on_bus(it, dev) reset_model(it, UIOMMUFD_RESET_FUNCTION);
	for_each_on_bus(it, dev) reset_end(it);
	for_each_on_bus(it, dev) port_mutex_unlock(&it->config_lock);
}

long hot_reset_ioctl(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);
	struct vfio_pci_hot_reset hdr;
	struct pci_device *it;
	long err = 0;

	memcpy(&hdr, call->data, sizeof(hdr));
	/* Group descriptors are for devices that were opened by their group. */
	if (hdr.flags || hdr.count)
		return -EINVAL;
	if (!hot_reset_has_bus(dev))
		return -ENODEV;
	lock_bindings(dev);
	for_each_on_bus(it, dev)
	{
		if (devid_of(dev, it) == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED)
			err = -EINVAL;
	}
	if (!err)
		reset_bus(dev);
	unlock_bindings(dev);
	return err;
}
