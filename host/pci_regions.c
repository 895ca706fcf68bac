/* SPDX-License-Identifier: MIT */
/*
 * Where a function's BARs and ROM lie (`resource`), and the files through which they are
 * reached without a driver: resourceN, resourceN_wc and rom.
 *
 * An I/O BAR's file is read and written in ports of 1, 2 or 4 bytes. A memory BAR's can
 * only be mapped, as far as its registers can be at all (mmio=trap and =fault: no), and
 * while no client of VFIO has the function: a kernel with strict access to devices'
 * memory keeps what a driver has claimed to that driver.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/port.h"
#include "host/pci_bus.h"
#include "host/view.h"
#include "host/view_attr.h"

/* Of <linux/ioport.h>, as /sys/.../resource prints them. */
#define RES_IO        0x00000100ull
#define RES_MEM       0x00000200ull
#define RES_PREFETCH  0x00002000ull
#define RES_READONLY  0x00004000ull
#define RES_SIZEALIGN 0x00040000ull
#define RES_MEM_64    0x00100000ull

#define ROM           6
#define VF_BARS       7
#define RESOURCES     13 /* BARs, ROM, and six for SR-IOV */
#define OF_BRIDGES    17 /* with four windows */

#define PAGE_BYTES    4096u

/* ---- BARs ----------------------------------------------------------------------------
 */

static const struct uiommufd_bar *bar_of(const struct pci_function *f, unsigned i)
{
	const struct uiommufd_bar *bar;

	if (!f->dev || i >= UIOMMUFD_BARS)
		return NULL;
	bar = &pci_device_desc(f->dev)->bars[i];
	return bar->size ? bar : NULL;
}

static bool is_io(const struct uiommufd_bar *bar)
{
	return bar->flags & UIOMMUFD_BAR_IO;
}

/* The flags of a BAR: the resource's, with the BAR register's low bits. */
static uint64_t bar_flags(const struct uiommufd_bar *bar)
{
	uint64_t flags = RES_MEM | RES_SIZEALIGN;

	if (is_io(bar))
		return RES_IO | RES_SIZEALIGN | 0x1;
	if (bar->flags & UIOMMUFD_BAR_64BIT)
		flags |= RES_MEM_64 | 0x4;
	if (bar->flags & UIOMMUFD_BAR_PREFETCH)
		flags |= RES_PREFETCH | 0x8;
	return flags;
}

struct place {
	uint64_t start, size, flags;
};

/* A resource of the function, by its line. Those of virtual functions: of all of them. */
static struct place place_of(const struct pci_function *f, unsigned i)
{
	const struct uiommufd_device_desc *desc = f->dev ? pci_device_desc(f->dev) : NULL;
	struct place p = {0};
	struct pci_device *vf;

	if (!desc)
		return p;
	if (i < ROM && bar_of(f, i)) {
		p.start = pci_device_bar_address(f->dev, i);
		p.size = desc->bars[i].size;
		p.flags = bar_flags(&desc->bars[i]);
	} else if (i == ROM && desc->rom_size) {
		p.start = pci_device_bar_address(f->dev, ROM);
		for (p.size = 2048; p.size < desc->rom_size;)
			p.size *= 2;
		p.flags = RES_MEM | RES_READONLY | RES_SIZEALIGN;
	} else if (i >= VF_BARS && desc->sriov) {
		vf = sriov_vf(f->dev, 0);
		i -= VF_BARS;
		desc = pci_device_desc(vf);
		if (i >= UIOMMUFD_BARS || !desc->bars[i].size)
			return p;
		p.start = pci_device_bar_address(vf, i);
		p.size = desc->bars[i].size * sriov_total(f->dev);
		p.flags = bar_flags(&desc->bars[i]);
	}
	return p;
}

static int add_resource(struct pci_function *f)
{
	unsigned lines = f->port ? OF_BRIDGES : RESOURCES;
	char path[PCI_PATH_BYTES], text[OF_BRIDGES * 64];
	size_t at = 0;

	for (unsigned i = 0; i < lines; i++) {
		struct place p = place_of(f, i);

		at += (size_t)snprintf(
			text + at, sizeof(text) - at, "0x%016llx 0x%016llx 0x%016llx\n",
			(unsigned long long)p.start,
			(unsigned long long)(p.size ? p.start + p.size - 1 : 0),
			(unsigned long long)p.flags);
	}
	return view_add_text(f->bus->view, pci_path(f, "resource", path), "%s", text);
}

/* ---- their files ---------------------------------------------------------------------
 */

static ssize_t port_io(struct pci_function *f, unsigned i, uint64_t offset, void *value,
		       size_t n, bool write)
{
	uint64_t size = bar_of(f, i)->size;

	if (offset >= size)
		return write ? -EFBIG : 0;
	n = (size_t)min_u64(n, size - offset);
	if (n != 1 && n != 2 && n != 4)
		return -EINVAL;
	pci_device_io(f->dev, i, offset, value, (unsigned)n, write);
	return (ssize_t)n;
}

static int map_bar(struct pci_function *f, unsigned i, uint64_t offset, uint64_t length,
		   int flags, uint64_t *at)
{
	uint64_t size =
		(bar_of(f, i)->size + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	int fd;

	if (length > size || offset > size - length)
		return -EINVAL;
	fd = pci_device_map(f->dev, i, flags, at);
	*at += offset;
	return fd;
}

/* The BAR's number is in the functions, since an attribute's object is the function. */
#define RESOURCE_CALLS(i)                                                                \
	static uint64_t size_##i(void *object)                                           \
	{                                                                                \
		return bar_of(object, i)->size;                                          \
	}                                                                                \
	static ssize_t read_##i(void *object, uint64_t offset, void *dst, size_t n)      \
	{                                                                                \
		return port_io(object, i, offset, dst, n, false);                        \
	}                                                                                \
	static ssize_t write_##i(void *object, uint64_t offset, const void *src,         \
				 size_t n)                                               \
	{                                                                                \
		uint8_t value[4] = {0};                                                  \
                                                                                         \
		memcpy(value, src, n < sizeof(value) ? n : sizeof(value));               \
		return port_io(object, i, offset, value, n, true);                       \
	}                                                                                \
	static int map_##i(void *object, uint64_t offset, uint64_t length, int flags,    \
			   uint64_t *at)                                                 \
	{                                                                                \
		return map_bar(object, i, offset, length, flags, at);                    \
	}
RESOURCE_CALLS(0)
RESOURCE_CALLS(1)
RESOURCE_CALLS(2)
RESOURCE_CALLS(3)
RESOURCE_CALLS(4)
RESOURCE_CALLS(5)

#define IO_RESOURCE(i)                                                                   \
	{                                                                                \
		.mode = 0600, .size = size_##i, .read = read_##i, .write = write_##i     \
	}
#define MEMORY_RESOURCE(i)                                                               \
	{                                                                                \
		.mode = 0600, .size = size_##i, .map = map_##i                           \
	}
static const struct view_attr io_attrs[UIOMMUFD_BARS] = {
	IO_RESOURCE(0), IO_RESOURCE(1), IO_RESOURCE(2),
	IO_RESOURCE(3), IO_RESOURCE(4), IO_RESOURCE(5),
};
static const struct view_attr memory_attrs[UIOMMUFD_BARS] = {
	MEMORY_RESOURCE(0), MEMORY_RESOURCE(1), MEMORY_RESOURCE(2),
	MEMORY_RESOURCE(3), MEMORY_RESOURCE(4), MEMORY_RESOURCE(5),
};

static int add_bar(struct pci_function *f, unsigned i, const char *suffix)
{
	const struct view_attr *attr = is_io(bar_of(f, i)) ? io_attrs : memory_attrs;
	char path[PCI_PATH_BYTES], name[24];

	snprintf(name, sizeof(name), "resource%u%s", i, suffix);
	return view_add_attr(f->bus->view, pci_path(f, name, path), &attr[i], f);
}

static int add_bars(struct pci_function *f)
{
	int err = 0;

	for (unsigned i = 0; !err && i < UIOMMUFD_BARS; i++) {
		const struct uiommufd_bar *bar = bar_of(f, i);

		if (!bar)
			continue;
		err = add_bar(f, i, "");
		if (!err && !is_io(bar) && (bar->flags & UIOMMUFD_BAR_PREFETCH))
			err = add_bar(f, i, "_wc");
	}
	return err;
}

/* ---- the ROM -------------------------------------------------------------------------
 */

#define ROM_BLOCK 512u

static unsigned get16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

/*
 * How long the images are together, as their headers say (PCI Firmware 5.1): what follows
 * the last one is not read. 0: there is none.
 */
static uint64_t rom_length(struct pci_device *dev)
{
	uint64_t at = 0;
	uint8_t head[0x1a], data[0x16];

	while (pci_device_rom(dev, at, head, sizeof(head)) == sizeof(head) &&
	       get16(head) == 0xaa55) {
		unsigned pcir = get16(head + 0x18), length;

		if (pci_device_rom(dev, at + pcir, data, sizeof(data)) != sizeof(data) ||
		    memcmp(data, "PCIR", 4))
			break;
		length = get16(data + 0x10);
		at += (uint64_t)length * ROM_BLOCK;
		if ((data[0x15] & 0x80) || !length)
			break;
	}
	return at;
}

static ssize_t read_rom(void *object, uint64_t offset, void *dst, size_t n)
{
	struct pci_function *f = object;
	uint64_t length = rom_length(f->dev);

	if (!pci_function_setting(f, PCI_ROM_ENABLED))
		return -EINVAL;
	if (!length)
		return -EIO;
	if (offset >= length)
		return 0;
	return (ssize_t)pci_device_rom(f->dev, offset, dst,
				       (size_t)min_u64(n, length - offset));
}

/* "0" and a newline disable it, all else enables it. */
static ssize_t write_rom(void *object, uint64_t offset, const void *src, size_t n)
{
	const char *text = src;
	bool disable = !offset && n == 2 && text[0] == '0';

	pci_function_set(object, PCI_ROM_ENABLED, !disable);
	return (ssize_t)n;
}

static uint64_t rom_size(void *object)
{
	return place_of(object, ROM).size;
}

static const struct view_attr rom_attr = {
	.mode = 0600, .read = read_rom, .write = write_rom, .size = rom_size};

int pci_regions_add(struct pci_function *f)
{
	char path[PCI_PATH_BYTES];
	int err = add_resource(f);

	if (!err)
		err = add_bars(f);
	if (!err && rom_size(f))
		err = view_add_attr(f->bus->view, pci_path(f, "rom", path), &rom_attr, f);
	return err;
}
