/* SPDX-License-Identifier: MIT */
/*
 * An open of /dev/vfio/devices/vfioN, or by a group, and the life of a binding.
 *
 * Any number of opens may exist; one of them can be bound, and stays so until its last
 * descriptor is closed. Before it is bound an open answers EINVAL to everything but
 * BIND_IOMMUFD. A device that is bound is enabled: reset, memory decoding on, no bus
 * mastering. When the bound open is released the device is disabled: its dma-bufs are
 * revoked for good, interrupts are gone, it is reset, and leaves its iommufd.
 *
 * An open by the group (VFIO_GROUP_GET_DEVICE_FD) is as good as bound from the start; its
 * device translates as the group's container says, or is bound to the iommufd that stands
 * in for one. There may be several; the first enables the device and the last disables
 * it. Each keeps the group's node open. While a group's node is open none of its devices
 * can be bound by its own, and the other way around (group.c).
 *
 * `bound` goes up under device.bind and is read without it: a handler holds a reference
 * to the file, so what it sees does not go away under it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "vfio/device.h"
#include "vfio/group.h"

static struct vfio_file *file_of(struct vfile *f)
{
	return container_of(f, struct vfio_file, f);
}

struct pci_device *vfio_device_of(struct uapi_call *call)
{
	return file_of(call->file)->dev;
}

bool vfio_by_group(struct uapi_call *call)
{
	return file_of(call->file)->group_file;
}

/* The one field that a call answers, in our copy (for the trace) and the client's. */
static int answer(struct uapi_call *call, size_t offset, uint32_t value)
{
	memcpy(call->data + offset, &value, sizeof(value));
	return uapi_store(call, offset, &value, sizeof(value));
}

/* ---- bind ------------------------------------------------------------------------- */

static int check_token(struct pci_device *dev, struct client *c,
		       const struct vfio_device_bind_iommufd *bind)
{
	uint8_t token[VF_TOKEN_BYTES];
	int err;

	if (!(bind->flags & VFIO_DEVICE_BIND_FLAG_TOKEN))
		return sriov_check_token(dev, NULL);
	err = client_copy_in(c, token, bind->token_uuid_ptr, sizeof(token));
	return err ? err : sriov_check_token(dev, token);
}

/* With device.bind held. */
static int enter_iommufd(struct pci_device *dev, struct iommufd_ctx *ctx)
{
	int err = iommufd_device_bind(ctx, &dev->info, &dev->iommufd, &dev->devid);

	if (!err)
		dev->ctx = ctx;
	return err;
}

/* With device.bind held. */
static void leave_iommufd(struct pci_device *dev)
{
	if (!dev->iommufd)
		return;
	iommufd_device_unbind(dev->iommufd);
	dev->iommufd = NULL;
	dev->ctx = NULL;
}

/* With device.bind held. */
static int bind_to(struct vfio_file *file, struct iommufd_ctx *ctx)
{
	struct pci_device *dev = file->dev;
	int err;

	if (dev->owner)
		return -EINVAL;
	err = enter_iommufd(dev, ctx);
	if (err)
		return err;
	dev->owner = file;
	reset_enable(dev);
	return 0;
}

/* With device.bind held. */
static void unbind(struct pci_device *dev)
{
	reset_disable(dev);
	leave_iommufd(dev);
	port_mutex_lock(&dev->config_lock);
	requesters_trim(dev);
	port_mutex_unlock(&dev->config_lock);
	dev->owner = NULL;
}

static int bind_locked(struct uapi_call *call,
		       const struct vfio_device_bind_iommufd *bind)
{
	struct vfio_file *file = file_of(call->file);
	struct iommufd_ctx *ctx;
	struct vfile *f;
	int err;

	if (file->bound)
		return -EINVAL;
	err = check_token(file->dev, call->client, bind);
	if (err)
		return err;
	err = client_get_vfile(call->client, bind->iommufd, &f);
	if (err)
		return err;
	ctx = f ? iommufd_ctx_of(f) : NULL;
	err = ctx ? bind_to(file, ctx) : -EBADFD;
	if (!err) {
		err = answer(call, offsetof(struct vfio_device_bind_iommufd, out_devid),
			     file->dev->devid);
		if (err)
			unbind(file->dev);
		else
			file->bound = true;
	}
	vfile_put(f);
	return err;
}

long cdev_bind(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);
	struct vfio_device_bind_iommufd bind;
	int err;

	memcpy(&bind, call->data, sizeof(bind));
	if (bind.iommufd < 0 || bind.flags & ~(uint32_t)VFIO_DEVICE_BIND_FLAG_TOKEN)
		return -EINVAL;
	if (vfio_by_group(call))
		return -EINVAL;
	err = vfio_group_block(dev->group);
	if (err)
		return err;
	port_mutex_lock(&dev->bind);
	err = bind_locked(call, &bind);
	port_mutex_unlock(&dev->bind);
	if (err)
		vfio_group_unblock(dev->group);
	return err;
}

/* ---- attach ----------------------------------------------------------------------- */

/* The optional pasid: must be there when its flag is. */
static int fetch_pasid(struct uapi_call *call, size_t offset, uint32_t *pasid)
{
	if (call->user_size < offset + sizeof(*pasid))
		return -EINVAL;
	return uapi_fetch(call, pasid, offset, sizeof(*pasid));
}

/* With device.bind held. Linux counts PASIDs that are attached in an ida. */
static int attach_pasid(struct pci_device *dev, uint32_t pasid, uint32_t *pt_id)
{
	if (pasid > INT32_MAX)
		return -ENOSPC;
	return iommufd_pasid_is_attached(dev->iommufd, pasid)
		       ? iommufd_pasid_replace(dev->iommufd, pasid, pt_id)
		       : iommufd_pasid_attach(dev->iommufd, pasid, pt_id);
}

long cdev_attach(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);
	const size_t out = offsetof(struct vfio_device_attach_iommufd_pt, pt_id);
	struct vfio_device_attach_iommufd_pt attach;
	uint32_t pasid = 0;
	int err = 0;

	if (vfio_by_group(call))
		return -ENOTTY;
	memcpy(&attach, call->data, sizeof(attach));
	if (attach.flags & ~(uint32_t)VFIO_DEVICE_ATTACH_PASID)
		return -EINVAL;
	if (attach.flags)
		err = fetch_pasid(call,
				  offsetof(struct vfio_device_attach_iommufd_pt, pasid),
				  &pasid);
	if (err)
		return err;
	port_mutex_lock(&dev->bind);
	err = attach.flags ? attach_pasid(dev, pasid, &attach.pt_id)
			   : iommufd_device_attach(dev->iommufd, &attach.pt_id);
	if (!err) {
		err = answer(call, out, attach.pt_id);
		/* The device itself, as Linux has it, also where it was about a PASID. */
		if (err)
			iommufd_device_detach(dev->iommufd);
	}
	port_mutex_unlock(&dev->bind);
	return err;
}

long cdev_detach(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);
	struct vfio_device_detach_iommufd_pt detach;
	uint32_t pasid = 0;
	int err = 0;

	if (vfio_by_group(call))
		return -ENOTTY;
	memcpy(&detach, call->data, sizeof(detach));
	if (detach.flags & ~(uint32_t)VFIO_DEVICE_DETACH_PASID)
		return -EINVAL;
	if (detach.flags)
		err = fetch_pasid(call,
				  offsetof(struct vfio_device_detach_iommufd_pt, pasid),
				  &pasid);
	if (err)
		return err;
	port_mutex_lock(&dev->bind);
	if (detach.flags)
		iommufd_pasid_detach(dev->iommufd, pasid);
	else
		iommufd_device_detach(dev->iommufd);
	port_mutex_unlock(&dev->bind);
	return 0;
}

/* ---- info ------------------------------------------------------------------------- */

long cdev_info(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);
	struct vfio_device_info info = {
		.argsz = call->user_size,
		.flags = VFIO_DEVICE_FLAGS_PCI,
		.num_regions = VFIO_PCI_NUM_REGIONS,
		.num_irqs = VFIO_PCI_NUM_IRQS,
	};
	size_t n = sizeof(info);

	if (reset_possible(dev))
		info.flags |= VFIO_DEVICE_FLAGS_RESET;
	if (n > call->user_size)
		n = call->user_size;
	memcpy(call->data, &info, sizeof(info));
	return uapi_respond(call, n);
}

/* ---- the file --------------------------------------------------------------------- */

static long cdev_ioctl(struct vfile *f, struct client *c, uint32_t cmd, uint64_t arg)
{
	struct vfio_file *file = file_of(f);
	bool awake;
	long ret;

	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return uapi_dispatch(&vfio_device_table, f, c, cmd, arg);
	if (!file->bound)
		return -EINVAL;
	awake = low_power_begin(file->dev);
	ret = uapi_dispatch(&vfio_device_table, f, c, cmd, arg);
	low_power_end(file->dev, awake);
	return ret;
}

static ssize_t cdev_pread(struct vfile *f, struct client *c, uint64_t va, size_t n,
			  uint64_t offset)
{
	struct vfio_file *file = file_of(f);
	ssize_t done;
	bool awake;

	if (!file->bound)
		return -EINVAL;
	if (!n)
		return 0;
	awake = low_power_begin(file->dev);
	done = region_pread(file->dev, c, va, n, offset);
	low_power_end(file->dev, awake);
	return done;
}

static ssize_t cdev_pwrite(struct vfile *f, struct client *c, uint64_t va, size_t n,
			   uint64_t offset)
{
	struct vfio_file *file = file_of(f);
	ssize_t done;
	bool awake;

	if (!file->bound)
		return -EINVAL;
	if (!n)
		return 0;
	awake = low_power_begin(file->dev);
	done = region_pwrite(file->dev, c, va, n, offset);
	low_power_end(file->dev, awake);
	return done;
}

static int cdev_mmap(struct vfile *f, uint64_t offset, uint64_t length, int prot,
		     int flags)
{
	struct vfio_file *file = file_of(f);

	return file->bound ? region_mmap(file->dev, offset, length, flags) : -EINVAL;
}

static void cdev_release(struct vfile *f)
{
	struct vfio_file *file = file_of(f);

	if (file->bound) {
		port_mutex_lock(&file->dev->bind);
		unbind(file->dev);
		port_mutex_unlock(&file->dev->bind);
		vfio_group_unblock(file->dev->group);
	}
	driver_close(file->dev);
	port_free(file);
}

static void by_group_release(struct vfile *f)
{
	struct vfio_file *file = file_of(f);
	struct pci_device *dev = file->dev;

	port_mutex_lock(&dev->bind);
	if (!--dev->group_opens)
		unbind(dev);
	port_mutex_unlock(&dev->bind);
	vfio_group_unuse(dev->group);
	driver_close(dev);
	vfile_put(file->group_file);
	port_free(file);
}

static void by_group_link_text(struct vfile *f, char *buf, size_t cap)
{
	snprintf(buf, cap, "anon_inode:[vfio-device]");
}

static int cdev_slice(struct vfile *f, uint64_t offset, uint64_t length,
		      struct dmabuf **out)
{
	uint64_t index = VFILE_REGION_INDEX(offset);

	if (index >= UIOMMUFD_BARS)
		return -EINVAL;
	return exports_slice(&file_of(f)->dev->bars[index], VFILE_REGION_OFFSET(offset),
			     length, out);
}

static const struct vfile_ops cdev_ops = {
	.name = "vfio-device",
	.ioctl = cdev_ioctl,
	.pread = cdev_pread,
	.pwrite = cdev_pwrite,
	.mmap = cdev_mmap,
	.slice = cdev_slice,
	.release = cdev_release,
};

/* It is no open of a node, so it has no number and no path. */
static const struct vfile_ops by_group_ops = {
	.name = "vfio-device",
	.ioctl = cdev_ioctl,
	.pread = cdev_pread,
	.pwrite = cdev_pwrite,
	.mmap = cdev_mmap,
	.slice = cdev_slice,
	.link_text = by_group_link_text,
	.release = by_group_release,
};

static bool is_device(const struct vfile *f)
{
	return f->ops == &cdev_ops || f->ops == &by_group_ops;
}

bool vfio_is_device_or_group(struct vfile *f)
{
	return is_device(f) || vfio_group_of(f);
}

static struct pci_bar *bar_of(struct vfile *f, uint64_t offset)
{
	uint64_t index = VFILE_REGION_INDEX(offset);

	if (!is_device(f) || index >= UIOMMUFD_BARS)
		return NULL;
	return &file_of(f)->dev->bars[index];
}

/*
 * The registers behind @n bytes of a client's mapping. -ENXIO: it shows none; -EIO: in
 * low power, which an access to a mapping does not end.
 */
static int registers_of(struct vfile *f, uint64_t offset, size_t n, struct pci_bar **out)
{
	struct pci_bar *bar = bar_of(f, offset);
	uint64_t pos = VFILE_REGION_OFFSET(offset);

	if (!bar || !(offset & VFILE_FAULTING) || !region_faults(bar))
		return -ENXIO;
	if (n > bar->window.length || pos > bar->window.length - n)
		return -ENXIO;
	*out = bar;
	return bar->dev->low_power ? -EIO : 0;
}

int vfio_mmio_read(struct vfile *f, uint64_t offset, void *dst, size_t n)
{
	struct pci_bar *bar;
	int err = registers_of(f, offset, n, &bar);

	return err ? err : bar_read(bar, VFILE_REGION_OFFSET(offset), dst, n);
}

int vfio_mmio_write(struct vfile *f, uint64_t offset, const void *src, size_t n)
{
	struct pci_bar *bar;
	int err = registers_of(f, offset, n, &bar);

	return err ? err : bar_write(bar, VFILE_REGION_OFFSET(offset), src, n);
}

int vfio_mmio_write_64(struct vfile *f, uint64_t offset, const void *src, bool deferrable,
		       bool *accepted)
{
	struct pci_bar *bar;
	int err = registers_of(f, offset, 64, &bar);

	if (err)
		return err;
	return bar_write_64(bar, VFILE_REGION_OFFSET(offset), src, deferrable, accepted);
}

/* With device.bind held. */
static int first_open_by_group(struct pci_device *dev, struct iommufd_ctx *ctx)
{
	uint32_t ioas;
	int err = ctx ? enter_iommufd(dev, ctx) : 0;

	if (err)
		return err;
	reset_enable(dev);
	if (!ctx)
		return 0;
	err = iommufd_compat_ioas_id(ctx, &ioas);
	if (!err)
		err = iommufd_device_attach(dev->iommufd, &ioas);
	if (err)
		unbind(dev);
	return err;
}

int cdev_open_by_group(struct pci_device *dev, struct vfile *group_file,
		       struct iommufd_ctx *ctx, struct vfile **out)
{
	struct vfio_file *file = port_alloc(sizeof(*file));
	int err;

	if (!file)
		return -ENOMEM;
	err = driver_open(dev);
	if (err) {
		port_free(file);
		return err;
	}
	port_mutex_lock(&dev->bind);
	if (!dev->group_opens)
		err = first_open_by_group(dev, ctx);
	dev->group_opens += !err;
	port_mutex_unlock(&dev->bind);
	if (err) {
		driver_close(dev);
		port_free(file);
		return err;
	}
	vfile_init(&file->f, &by_group_ops, dev->storage_fd, VFILE_STORAGE_BYTES);
	file->dev = dev;
	file->bound = true;
	vfile_get(group_file);
	file->group_file = group_file;
	*out = &file->f;
	return 0;
}

int vfio_cdev_open(struct pci_device *dev, struct vfile **out)
{
	struct vfio_file *file = port_alloc(sizeof(*file));
	int err;

	if (!file)
		return -ENOMEM;
	err = driver_open(dev);
	if (err) {
		port_free(file);
		return err;
	}
	vfile_init(&file->f, &cdev_ops, dev->storage_fd, VFILE_STORAGE_BYTES);
	file->f.rdev = makedev(MACHINE_VFIO_MAJOR, dev->place.index);
	file->f.label = dev->label;
	file->dev = dev;
	*out = &file->f;
	return 0;
}
