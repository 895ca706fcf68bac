/* SPDX-License-Identifier: MIT */
/*
 * The expansion ROM: the model's image, read-only, in a window of a power of two that is
 * at least 2 KiB (PCI Local Bus 6.2.5.2); what lies beyond the image reads as ones.
 *
 * It answers whenever the BARs do. vfio-pci reads it like that, too: the ROM's own enable
 * bit is for the client to play with.
 */
#include <errno.h>
#include <string.h>

#include "vfio/device.h"

#define ROM_MIN ((uint64_t)2048)
#define ROM_MAX ((uint64_t)16 << 20)

static int window_read(struct phys_window *w, uint64_t offset, void *dst, size_t n)
{
	struct pci_bar *rom = container_of(w, struct pci_bar, window);

	if (!gate_enter_peer(&rom->dev->gate))
		return -EIO;
	memset(dst, 0xff, n);
	if (offset < rom->size)
		memcpy(dst, rom->bytes + offset, min_u64(n, rom->size - offset));
	gate_leave(&rom->dev->gate);
	return 0;
}

static int window_write(struct phys_window *w, uint64_t offset, const void *src, size_t n)
{
	return 0;
}

static const struct phys_window_ops rom_ops = {
	.read = window_read,
	.write = window_write,
};

int rom_create(struct pci_device *dev)
{
	const struct uiommufd_device_desc *d = &dev->desc;
	struct pci_bar *rom = &dev->rom;
	uint64_t size = ROM_MIN;
	int err;

	if (!d->rom || !d->rom_size)
		return 0;
	if (d->rom_size > ROM_MAX)
		return -EINVAL;
	while (size < d->rom_size)
		size *= 2;
	rom->bytes = port_alloc(size);
	if (!rom->bytes)
		return -ENOMEM;
	memset(rom->bytes, 0xff, size);
	memcpy(rom->bytes, d->rom, d->rom_size);
	rom->size = size;
	rom->window.length = size < PORT_PAGE_SIZE ? PORT_PAGE_SIZE : size;
	rom->window.kind = PHYS_MMIO;
	rom->window.ops = &rom_ops;
	err = phys_add(dev->machine->phys, &rom->window);
	if (err)
		return err;
	rom->has_window = true;
	rom->address = rom->window.base;
	return 0;
}

void rom_destroy(struct pci_device *dev)
{
	if (dev->rom.has_window)
		phys_remove(dev->machine->phys, &dev->rom.window);
	port_free(dev->rom.bytes);
}
