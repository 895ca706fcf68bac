/* SPDX-License-Identifier: MIT */
/*
 * Regions: what they are, pread and pwrite of them, and which mmap is allowed.
 *
 * Region i of a device lies at VFILE_REGION(i) of its descriptor. Memory BARs can be
 * mapped. Accesses to registers have effects, so we must see each: they are mapped at the
 * region's other place, where each access faults (uapi/vfile.h), or as memory in which
 * the model's registers are watched, or not at all, as desc.mmio has it.
 *
 * A read or write is cut at the end of the region and into naturally aligned pieces. The
 * MSI-X table is closed to both: reads give ones, writes are dropped (vfio-pci). The
 * client's memory is accessed with no lock held.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "vfio/device.h"

/* At most this much of a BAR is moved in one go. */
#define PIECE_BYTES 4096u

#ifndef MAP_TYPE
#define MAP_TYPE 0x0f
#endif

/* ---- region info ------------------------------------------------------------------ */

static bool is_registers(const struct pci_bar *bar)
{
	return bar->size && !(bar->flags & (UIOMMUFD_BAR_IO | UIOMMUFD_BAR_MEMORY));
}

bool region_faults(const struct pci_bar *bar)
{
	return is_registers(bar) && bar->dev->desc.mmio == UIOMMUFD_MMIO_FAULT;
}

static bool mappable(const struct pci_bar *bar)
{
	return bar->size && (bar->bytes || bar->shown || region_faults(bar));
}

/* Where the client is to map, read and write the region. */
static uint64_t region_place(const struct pci_device *dev, uint32_t index)
{
	bool faulting = index < UIOMMUFD_BARS && region_faults(&dev->bars[index]);

	return VFILE_REGION(index) | (faulting ? VFILE_FAULTING : 0);
}

static bool has_msix_table(const struct pci_bar *bar)
{
	const struct uiommufd_device_desc *d = &bar->dev->desc;

	return d->msix_vectors && d->msix_bar == bar->index;
}

static void bar_info(const struct pci_bar *bar, struct vfio_region_info *info, bool *caps)
{
	info->size = bar->size;
	info->flags = 0;
	if (!bar->size)
		return;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (!mappable(bar))
		return;
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	*caps = has_msix_table(bar);
}

/*
 * The only capability there is: the pages of the MSI-X table can be mapped. Does it fit?
 * Else say how much room it takes.
 */
static int add_caps(struct uapi_call *call, struct vfio_region_info *info)
{
	struct vfio_info_cap_header cap = {
		.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
		.version = 1,
	};

	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	if (info->argsz < sizeof(*info) + sizeof(cap)) {
		info->argsz = sizeof(*info) + sizeof(cap);
		info->cap_offset = 0;
		return 0;
	}
	info->cap_offset = sizeof(*info);
	return uapi_store(call, sizeof(*info), &cap, sizeof(cap));
}

long region_info_ioctl(struct uapi_call *call)
{
	struct pci_device *dev = vfio_device_of(call);
	struct vfio_region_info info;
	bool caps = false;
	int err = 0;

	memcpy(&info, call->data, sizeof(info));
	if (info.index <= VFIO_PCI_BAR5_REGION_INDEX) {
		bar_info(&dev->bars[info.index], &info, &caps);
	} else if (info.index == VFIO_PCI_ROM_REGION_INDEX) {
		info.size = dev->rom.size;
		info.flags = dev->rom.size ? VFIO_REGION_INFO_FLAG_READ : 0;
	} else if (info.index == VFIO_PCI_CONFIG_REGION_INDEX) {
		info.size = CONFIG_BYTES;
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	} else {
		return -EINVAL;
	}
	info.offset = region_place(dev, info.index);
	if (caps)
		err = add_caps(call, &info);
	memcpy(call->data, &info, sizeof(info));
	return err ? err : uapi_respond(call, sizeof(info));
}

/* ---- reads and writes ------------------------------------------------------------- */

/* The part of a BAR that is closed to reads and writes; empty: start == end. */
struct closed {
	uint64_t start, end;
};

static struct closed closed_part(const struct pci_bar *bar)
{
	const struct uiommufd_device_desc *d = &bar->dev->desc;
	struct closed c = {0, 0};

	if (has_msix_table(bar)) {
		c.start = d->msix_table_offset;
		c.end = c.start + (uint64_t)d->msix_vectors * MSIX_ENTRY_BYTES;
	}
	return c;
}

/* How far to go from @pos: all closed or all open. */
static size_t piece(const struct closed *c, uint64_t pos, size_t left, bool *is_closed)
{
	size_t n = left < PIECE_BYTES ? left : PIECE_BYTES;

	*is_closed = pos >= c->start && pos < c->end;
	if (*is_closed)
		return n < c->end - pos ? n : (size_t)(c->end - pos);
	if (pos < c->start && n > c->start - pos)
		return (size_t)(c->start - pos);
	return n;
}

static int read_piece(struct pci_bar *bar, struct client *c, uint64_t va, uint64_t pos,
		      size_t n, bool is_closed)
{
	unsigned char buf[PIECE_BYTES];
	int err = 0;

	if (is_closed)
		memset(buf, 0xff, n);
	else
		err = bar_read(bar, pos, buf, n);
	return err ? err : client_copy_out(c, va, buf, n);
}

static int write_piece(struct pci_bar *bar, struct client *c, uint64_t va, uint64_t pos,
		       size_t n, bool is_closed)
{
	unsigned char buf[PIECE_BYTES];
	int err;

	if (is_closed)
		return 0;
	err = client_copy_in(c, buf, va, n);
	return err ? err : bar_write(bar, pos, buf, n);
}

static ssize_t bar_rw(struct pci_bar *bar, struct client *c, uint64_t va, size_t n,
		      uint64_t pos, bool write)
{
	const struct closed closed = closed_part(bar);
	size_t done = 0;

	if (pos >= bar->size)
		return -EINVAL;
	if (n > bar->size - pos)
		n = (size_t)(bar->size - pos);
	while (done < n) {
		bool is_closed;
		size_t step = piece(&closed, pos + done, n - done, &is_closed);
		int err = write ? write_piece(bar, c, va + done, pos + done, step,
					      is_closed)
				: read_piece(bar, c, va + done, pos + done, step,
					     is_closed);

		if (err)
			return err;
		done += step;
	}
	return (ssize_t)n;
}

ssize_t region_pread(struct pci_device *dev, struct client *c, uint64_t va, size_t n,
		     uint64_t offset)
{
	uint64_t index = VFILE_REGION_INDEX(offset);
	uint64_t pos = VFILE_REGION_OFFSET(offset);

	if (!n)
		return 0;
	if (index < UIOMMUFD_BARS)
		return bar_rw(&dev->bars[index], c, va, n, pos, false);
	if (index == VFIO_PCI_ROM_REGION_INDEX)
		return bar_rw(&dev->rom, c, va, n, pos, false);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return config_read(dev, c, va, n, pos);
	return -EINVAL;
}

ssize_t region_pwrite(struct pci_device *dev, struct client *c, uint64_t va, size_t n,
		      uint64_t offset)
{
	uint64_t index = VFILE_REGION_INDEX(offset);
	uint64_t pos = VFILE_REGION_OFFSET(offset);

	if (!n)
		return 0;
	if (index < UIOMMUFD_BARS)
		return bar_rw(&dev->bars[index], c, va, n, pos, true);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return config_write(dev, c, va, n, pos);
	return -EINVAL;
}

/* ---- mmap ------------------------------------------------------------------------- */

/* Something of the bytes behind it is about to be mapped. */
static void begin_mapping(const struct pci_bar *bar)
{
	struct pci_device *dev = bar->dev;

	if (bar->shown)
		mmio_watch_begin(dev);
	if (!bar->bytes && !bar->shown)
		return;
	port_mutex_lock(&dev->config_lock);
	port_rwlock_write_lock(&dev->memory);
	bars_mapped(dev);
	port_rwlock_write_unlock(&dev->memory);
	port_mutex_unlock(&dev->config_lock);
}

int region_mmap(struct pci_device *dev, uint64_t offset, uint64_t length, int flags)
{
	uint64_t index = VFILE_REGION_INDEX(offset);
	uint64_t pos = VFILE_REGION_OFFSET(offset);
	const struct pci_bar *bar;

	/* MAP_SHARED or MAP_SHARED_VALIDATE */
	if (index >= UIOMMUFD_BARS || !(flags & MAP_TYPE & MAP_SHARED))
		return -EINVAL;
	bar = &dev->bars[index];
	if (!mappable(bar) || !(offset & VFILE_FAULTING) != !region_faults(bar))
		return -EINVAL;
	if (length > bar->window.length || pos > bar->window.length - length)
		return -EINVAL;
	begin_mapping(bar);
	return 0;
}

/* ---- from outside of VFIO ---------------------------------------------------------- */

void pci_device_io(struct pci_device *dev, unsigned bar, uint64_t offset, void *value,
		   unsigned size, bool write)
{
	if (write)
		bar_write(&dev->bars[bar], offset, value, size);
	else if (bar_read(&dev->bars[bar], offset, value, size))
		memset(value, 0xff, size);
}

int pci_device_map(struct pci_device *dev, unsigned bar, int flags, uint64_t *at)
{
	const struct pci_bar *b = &dev->bars[bar];
	char path[32];
	int fd;

	if ((!b->bytes && !b->shown) || pci_device_in_use(dev))
		return -EINVAL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dev->storage_fd);
	fd = open(path, (flags & O_ACCMODE) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	begin_mapping(b);
	*at = VFILE_REGION(bar);
	return fd;
}

size_t pci_device_rom(struct pci_device *dev, uint64_t offset, void *dst, size_t n)
{
	uint64_t size = dev->rom.size ? dev->desc.rom_size : 0;

	if (offset >= size)
		return 0;
	n = (size_t)min_u64(n, size - offset);
	memcpy(dst, dev->rom.bytes + offset, n);
	return n;
}
