/* SPDX-License-Identifier: MIT */
/*
 * Hot reset: all functions on one bus at once. A bus below a bridge can be reset, bus 0
 * cannot.
 *
 * A client of an iommufd may do it when it owns every function there: each is bound to
 * its iommufd, or belongs to a group of which a function is, on this bus or not. A client
 * that opened the device by its group shows the open nodes of the groups of all of them.
 * All functions are locked and cut before the first is reset, in the order of their
 * index.
 */
#include <errno.h>
#include <string.h>

#include "vfio/device.h"
#include "vfio/group.h"

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

/* Virtual functions come and go, but not while the bindings of the bus are locked. */
#define for_each_present(it, dev) for_each_on_bus(it, dev) if (pci_device_present(it))

static uint32_t count_on_bus(const struct pci_device *dev)
{
	struct pci_device *it;
	uint32_t n = 0;

	for_each_present(it, dev) n++;
	return n;
}

bool hot_reset_alone(const struct pci_device *dev)
{
	return count_on_bus(dev) <= 1;
}

/* Does the group of @member reach onto the bus? */
static bool concerns(const struct pci_device *dev, const struct pci_device *member)
{
	struct pci_device *it;

	for_each_on_bus(it, dev)
	{
		if (it->place.group_key == member->place.group_key)
			return true;
	}
	return false;
}

/* The devices that decide who owns the bus, with an index from *@i on. */
static struct pci_device *next_concerned(const struct pci_device *dev, size_t *i)
{
	const struct machine *m = dev->machine;

	for (; *i < m->nr_devices; ++*i) {
		if (concerns(dev, m->devices[*i]))
			return m->devices[*i];
	}
	return NULL;
}

#define for_each_concerned(it, dev)                                                      \
	for (size_t it##_i = 0; (it = next_concerned(dev, &it##_i)); it##_i++)

static void lock_bindings(struct pci_device *dev)
{
	struct pci_device *it;

	for_each_concerned(it, dev) port_mutex_lock(&it->bind);
}

static void unlock_bindings(struct pci_device *dev)
{
	struct pci_device *it;

	for_each_concerned(it, dev) port_mutex_unlock(&it->bind);
}

/* What @it is to the owner of @dev, with the bindings locked. */
static uint32_t devid_of(const struct pci_device *dev, const struct pci_device *it)
{
	struct pci_device *member;

	if (it->ctx == dev->ctx)
		return it->devid;
	for_each_concerned(member, dev)
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
	bool by_group = vfio_by_group(call);
	int err = 0;

	if (!by_group)
		*flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
			 VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	for_each_present(it, dev)
	{
		const struct pci_bdf *b = &it->place.bdf;

		d.devid = by_group ? it->place.group : devid_of(dev, it);
		d.segment = b->domain;
		d.bus = b->bus;
		d.devfn = (uint8_t)(b->device << 3 | b->function);
		if (!by_group && d.devid == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED)
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

	for_each_present(it, dev) low_power_hold(it);
	for_each_present(it, dev) port_mutex_lock(&it->config_lock);
	for_each_present(it, dev) reset_begin(it);
	for_each_present(it, dev) reset_model(it, UIOMMUFD_RESET_FUNCTION);
	for_each_present(it, dev) reset_end(it);
	for_each_present(it, dev) port_mutex_unlock(&it->config_lock);
	for_each_present(it, dev) low_power_release(it);
}

/* ---- by groups -------------------------------------------------------------------- */

struct groups {
	uint32_t n;
	struct vfile *files[];
};

static void put_groups(struct groups *groups)
{
	for (uint32_t i = 0; i < groups->n; i++)
		vfile_put(groups->files[i]);
	port_free(groups);
}

static int add_group(struct uapi_call *call, struct groups *groups)
{
	const size_t each = sizeof(int32_t);
	struct vfile *f = NULL;
	int32_t fd;
	int err = uapi_fetch(
		call, &fd,
		offsetof(struct vfio_pci_hot_reset, group_fds) + groups->n * each, each);

	if (!err)
		err = client_get_vfile(call->client, fd, &f);
	if (!err && (!f || !vfio_group_of(f)))
		err = -EINVAL;
	if (err)
		vfile_put(f);
	else
		groups->files[groups->n++] = f;
	return err;
}

static bool shown(const struct groups *groups, const struct pci_device *dev)
{
	for (uint32_t i = 0; i < groups->n; i++)
		if (vfio_group_of(groups->files[i]) == dev->group)
			return true;
	return false;
}

static long reset_by_groups(struct uapi_call *call, struct pci_device *dev, uint32_t n)
{
	struct groups *groups;
	struct pci_device *it;
	int err = 0;

	if (n > count_on_bus(dev))
		return -EINVAL;
	groups = port_alloc(sizeof(*groups) + n * sizeof(groups->files[0]));
	if (!groups)
		return -ENOMEM;
	while (!err && groups->n < n)
		err = add_group(call, groups);
	for_each_present(it, dev)
	{
		if (!err && !shown(groups, it))
			err = -EINVAL;
	}
	if (!err) {
		lock_bindings(dev);
		reset_bus(dev);
		unlock_bindings(dev);
	}
	put_groups(groups);
	return err;
}

/* ---- by an iommufd ---------------------------------------------------------------- */

static long reset_by_ownership(struct pci_device *dev)
{
	struct pci_device *it;
	long err = 0;

	lock_bindings(dev);
	for_each_present(it, dev)
	{
		if (devid_of(dev, it) == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED)
			err = -EINVAL;
	}
	if (!err)
		reset_bus(dev);
	unlock_bindings(dev);
	return err;
}

long hot_reset_ioctl(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);
	bool by_group = vfio_by_group(call);
	struct vfio_pci_hot_reset hdr;

	memcpy(&hdr, call->data, sizeof(hdr));
	if (hdr.flags)
		return -EINVAL;
	if (by_group != (hdr.count != 0))
		return -EINVAL;
	if (!hot_reset_has_bus(dev))
		return -ENODEV;
	return by_group ? reset_by_groups(call, dev, hdr.count) : reset_by_ownership(dev);
}
