/* SPDX-License-Identifier: MIT */
/*
 * See bar_hide.h. Both files are laid out alike: region i at VFILE_REGION(i). Only what
 * holds data is copied, found by SEEK_DATA and SEEK_HOLE.
 */
#include "vfio/bar_hide.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio/device.h"

/* Our mapping of the BAR's memory, or of what its registers show; NULL: there is none. */
static unsigned char *mapping_of(const struct pci_bar *bar)
{
	return bar->bytes ? bar->bytes : bar->shown;
}

static bool has_memory(const struct pci_device *dev)
{
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++)
		if (mapping_of(&dev->bars[i]))
			return true;
	return false;
}

/* Write [offset, end) of @fd from where it is mapped. */
static int copy_out(int fd, const unsigned char *from, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		ssize_t n = pwrite(fd, from, end - offset, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		offset += (uint64_t)n;
		from += n;
	}
	return 0;
}

/* What the BAR has in @from, which is what is mapped, to the same place in @to. */
static int copy_bar(const struct pci_bar *bar, int from, int to)
{
	uint64_t start = VFILE_REGION(bar->index), end = start + bar->window.length;
	off_t data = (off_t)start, hole;

	while ((data = lseek(from, data, SEEK_DATA)) >= 0 && (uint64_t)data < end) {
		int err;

		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole > end)
			hole = (off_t)end;
		err = copy_out(to, mapping_of(bar) + ((uint64_t)data - start),
			       (uint64_t)data, (uint64_t)hole);
		if (err)
			return err;
		data = hole;
	}
	return 0;
}

/*
 * Copy everything, then have our mappings be of @to. On failure the mappings are what
 * they were; a mapping that exists can be replaced.
 */
static int move(struct pci_device *dev, int from, int to)
{
	int err = 0;

	for (unsigned i = 0; !err && i < UIOMMUFD_BARS; i++)
		if (mapping_of(&dev->bars[i]))
			err = copy_bar(&dev->bars[i], from, to);
	for (unsigned i = 0; !err && i < UIOMMUFD_BARS; i++) {
		const struct pci_bar *bar = &dev->bars[i];

		if (mapping_of(bar) &&
		    mmap(mapping_of(bar), bar->window.length, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_NORESERVE | MAP_FIXED, to,
			 (off_t)VFILE_REGION(i)) == MAP_FAILED)
			err = -errno;
	}
	return err;
}

/* Cannot fail: it is a memory file of ours, and not sealed. */
static void empty(struct pci_device *dev)
{
	PORT_BUG_ON(ftruncate(dev->storage_fd, 0));
}

static void hide(struct pci_device *dev)
{
	int kept = memfd_create("uiommufd-hidden", MFD_CLOEXEC);

	if (kept < 0)
		return;
	if (ftruncate(kept, (off_t)VFILE_STORAGE_BYTES) ||
	    move(dev, dev->storage_fd, kept)) {
		close(kept);
		return;
	}
	dev->hidden_fd = kept;
	empty(dev);
}

static void show(struct pci_device *dev)
{
	if (ftruncate(dev->storage_fd, (off_t)VFILE_STORAGE_BYTES))
		return;
	if (move(dev, dev->hidden_fd, dev->storage_fd)) {
		empty(dev);
		return;
	}
	close(dev->hidden_fd);
	dev->hidden_fd = -1;
}

static void change(struct pci_device *dev, bool want_hidden)
{
	if (want_hidden == (dev->hidden_fd >= 0) || !has_memory(dev))
		return;
	/* A worker that waits for a page gives up: its client may be who waits for us. */
	page_requests_enable(dev, false);
	workers_pause(dev);
	gate_enter(&dev->gate);
	if (want_hidden)
		hide(dev);
	else
		show(dev);
	gate_leave(&dev->gate);
	workers_resume(dev);
	page_requests_enable(dev, config_master_enabled(dev));
}

void bars_follow(struct pci_device *dev)
{
	change(dev, dev->mapped && (!dev->decoding || dev->low_power));
}

void bars_mapped(struct pci_device *dev)
{
	dev->mapped = true;
	bars_follow(dev);
}

void bars_unmapped(struct pci_device *dev)
{
	dev->mapped = false;
	change(dev, false);
}
