/* SPDX-License-Identifier: MIT */
/*
 * BARs: where their bytes are, and how they are reached.
 *
 * One memory file holds the memory of all BARs of a device; it is the placeholder that
 * clients map as well. Region i starts at VFILE_REGION(i), so an offset means the same
 * to a client's mmap and to us. Nobody can seal it, for it is cut short while what is in
 * it is hidden (bar_hide.h). A client that does so itself harms its own device: our
 * accesses to the lost pages, the model's included, find pages of zeroes
 * (port_heal_add()).
 *
 *  - A memory BAR is mapped from that file into our process and is a direct window.
 *  - A register BAR is a remote window: DMA of peers into it becomes mmio callbacks. A
 *    peer that finds the gate shut sees its transaction aborted.
 *    Where registers are watched, what clients are shown of it lies in the file as well
 *    (mmio_watch.h).
 *  - An I/O BAR has no window; DMA cannot reach it.
 *
 * A BAR smaller than a page gets a page; what lies beyond the BAR reads as ones. The
 * MSI-X table and pending bits in a register BAR never reach the model: their bytes read
 * as ones and zeroes, and writes are dropped. (The interrupts of a client are set up by
 * SET_IRQS; vfio-pci hides the table in just this way.)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfio/device.h"

/* I/O ports are only numbers here: enough room for each BAR of each device. */
#define IO_BASE   0x1000u
#define IO_STRIDE 0x100u
#define IO_BARS   ((0x10000u - IO_BASE) / IO_STRIDE)

/* What mmio_write_64 takes. */
#define WHOLE_BYTES 64u

static bool is_io(const struct pci_bar *bar)
{
	return bar->flags & UIOMMUFD_BAR_IO;
}

/* Is [offset, offset + n) in [start, start + length)? Units never lie across an edge. */
static bool inside(uint64_t offset, uint64_t start, uint64_t length)
{
	return offset >= start && offset - start < length;
}

/* A unit that the machine answers for the model; the value it reads as. */
static bool served(const struct pci_bar *bar, uint64_t offset, uint64_t *value)
{
	const struct uiommufd_device_desc *d = &bar->dev->desc;

	if (offset >= bar->size) {
		*value = UINT64_MAX;
		return true;
	}
	if (!d->msix_vectors || d->msix_bar != bar->index)
		return false;
	if (inside(offset, d->msix_table_offset,
		   (uint64_t)d->msix_vectors * MSIX_ENTRY_BYTES)) {
		*value = UINT64_MAX;
		return true;
	}
	if (inside(offset, d->msix_pba_offset, (d->msix_vectors + 63) / 64 * 8)) {
		*value = 0;
		return true;
	}
	return false;
}

/* One unit of a register BAR, inside the gate. */
static uint64_t load(struct pci_bar *bar, uint64_t offset, unsigned size)
{
	struct pci_device *dev = bar->dev;
	uint64_t value;

	if (served(bar, offset, &value))
		return value;
	if (!dev->ops.mmio_read)
		return 0;
	return dev->ops.mmio_read(dev->model, bar->index, offset, size);
}

static void store(struct pci_bar *bar, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_device *dev = bar->dev;
	uint64_t ignored;

	if (served(bar, offset, &ignored))
		return;
	mmio_watch_written(bar, offset, size, value);
	if (dev->ops.mmio_write)
		dev->ops.mmio_write(dev->model, bar->index, offset, size, value);
}

size_t bar_unit(uint64_t offset, uint64_t left)
{
	size_t size = 8;

	while (size > left || offset % size)
		size /= 2;
	return size;
}

static uint64_t get_le(const unsigned char *p, size_t size)
{
	uint64_t value = 0;

	for (size_t i = size; i-- > 0;)
		value = value << 8 | p[i];
	return value;
}

static void put_le(unsigned char *p, size_t size, uint64_t value)
{
	for (size_t i = 0; i < size; i++, value >>= 8)
		p[i] = value & 0xff;
}

static void load_all(struct pci_bar *bar, uint64_t offset, unsigned char *dst, size_t n)
{
	while (n) {
		size_t size = bar_unit(offset, n);

		put_le(dst, size, load(bar, offset, (unsigned)size));
		offset += size;
		dst += size;
		n -= size;
	}
}

static bool is_whole(const struct pci_bar *bar, uint64_t offset, size_t n)
{
	uint64_t ignored;

	return bar->dev->ops.mmio_write_64 && n >= WHOLE_BYTES &&
	       offset % WHOLE_BYTES == 0 && !served(bar, offset, &ignored);
}

static void store_all(struct pci_bar *bar, uint64_t offset, const unsigned char *src,
		      size_t n)
{
	struct pci_device *dev = bar->dev;

	while (n) {
		size_t size = bar_unit(offset, n);

		if (is_whole(bar, offset, n)) {
			size = WHOLE_BYTES;
			dev->ops.mmio_write_64(dev->model, bar->index, offset, src,
					       false);
		} else {
			store(bar, offset, (unsigned)size, get_le(src, size));
		}
		offset += size;
		src += size;
		n -= size;
	}
}

/* ---- DMA of peers ----------------------------------------------------------------- */

static int window_read(struct phys_window *w, uint64_t offset, void *dst, size_t n)
{
	struct pci_bar *bar = container_of(w, struct pci_bar, window);

	if (!gate_enter_peer(&bar->dev->gate))
		return -EIO;
	load_all(bar, offset, dst, n);
	gate_leave(&bar->dev->gate);
	return 0;
}

static int window_write(struct phys_window *w, uint64_t offset, const void *src, size_t n)
{
	struct pci_bar *bar = container_of(w, struct pci_bar, window);

	if (!gate_enter_peer(&bar->dev->gate))
		return -EIO;
	store_all(bar, offset, src, n);
	gate_leave(&bar->dev->gate);
	return 0;
}

static const struct phys_window_ops register_ops = {
	.read = window_read,
	.write = window_write,
};

/* ---- clients ---------------------------------------------------------------------- */

/*
 * Memory is accessed by the piece the client asked for: a driver may rely on an aligned
 * word being written at once.
 */
static int memory_read(const unsigned char *p, void *dst, size_t n)
{
	if ((uintptr_t)p % n)
		return port_copy_guarded(dst, p, n) ? -EIO : 0;
	switch (n) {
	case 2:
		put_le(dst, n, __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED));
		return 0;
	case 4:
		put_le(dst, n, __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED));
		return 0;
	case 8:
		put_le(dst, n, __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED));
		return 0;
	default:
		return port_copy_guarded(dst, p, n) ? -EIO : 0;
	}
}

static int memory_write(unsigned char *p, const void *src, size_t n)
{
	if ((uintptr_t)p % n)
		return port_copy_guarded(p, src, n) ? -EIO : 0;
	switch (n) {
	case 2:
		__atomic_store_n((uint16_t *)p, get_le(src, n), __ATOMIC_RELAXED);
		return 0;
	case 4:
		__atomic_store_n((uint32_t *)p, get_le(src, n), __ATOMIC_RELAXED);
		return 0;
	case 8:
		__atomic_store_n((uint64_t *)p, get_le(src, n), __ATOMIC_RELAXED);
		return 0;
	default:
		return port_copy_guarded(p, src, n) ? -EIO : 0;
	}
}

/* An ioeventfd does not wake a function that sleeps. */
static bool answers(const struct pci_device *dev)
{
	return dev->decoding && !dev->asleep;
}

static int read_locked(struct pci_bar *bar, uint64_t offset, void *dst, size_t n)
{
	struct pci_device *dev = bar->dev;

	if (is_io(bar) && !dev->io_decoding) {
		memset(dst, 0xff, n);
		return 0;
	}
	if (!is_io(bar) && !answers(dev))
		return -EIO;
	if (bar->bytes)
		return memory_read(bar->bytes + offset, dst, n);
	gate_enter(&dev->gate);
	load_all(bar, offset, dst, n);
	gate_leave(&dev->gate);
	return 0;
}

int bar_read(struct pci_bar *bar, uint64_t offset, void *dst, size_t n)
{
	int err;

	port_rwlock_read_lock(&bar->dev->memory);
	err = read_locked(bar, offset, dst, n);
	port_rwlock_read_unlock(&bar->dev->memory);
	return err;
}

static int write_locked(struct pci_bar *bar, uint64_t offset, const void *src, size_t n)
{
	struct pci_device *dev = bar->dev;

	if (is_io(bar) && !dev->io_decoding)
		return 0;
	if (!is_io(bar) && !answers(dev))
		return -EIO;
	if (bar->bytes)
		return memory_write(bar->bytes + offset, src, n);
	gate_enter(&dev->gate);
	store_all(bar, offset, src, n);
	gate_leave(&dev->gate);
	return 0;
}

int bar_write(struct pci_bar *bar, uint64_t offset, const void *src, size_t n)
{
	int err;

	port_rwlock_read_lock(&bar->dev->memory);
	err = write_locked(bar, offset, src, n);
	port_rwlock_read_unlock(&bar->dev->memory);
	return err;
}

static int write_64_locked(struct pci_bar *bar, uint64_t offset, const void *src,
			   bool deferrable, bool *accepted)
{
	struct pci_device *dev = bar->dev;

	if (!answers(dev))
		return -EIO;
	gate_enter(&dev->gate);
	*accepted = !deferrable;
	if (!is_whole(bar, offset, WHOLE_BYTES)) {
		if (!deferrable)
			store_all(bar, offset, src, WHOLE_BYTES);
	} else {
		*accepted = dev->ops.mmio_write_64(dev->model, bar->index, offset, src,
						   deferrable);
	}
	gate_leave(&dev->gate);
	return 0;
}

int bar_write_64(struct pci_bar *bar, uint64_t offset, const void *src, bool deferrable,
		 bool *accepted)
{
	int err;

	port_rwlock_read_lock(&bar->dev->memory);
	err = write_64_locked(bar, offset, src, deferrable, accepted);
	port_rwlock_read_unlock(&bar->dev->memory);
	return err;
}

/* ---- creation --------------------------------------------------------------------- */

static const char *check_bar(const struct uiommufd_device_desc *d, unsigned i)
{
	const struct uiommufd_bar *b = &d->bars[i];
	const unsigned known = UIOMMUFD_BAR_64BIT | UIOMMUFD_BAR_PREFETCH |
			       UIOMMUFD_BAR_IO | UIOMMUFD_BAR_MEMORY;

	if (!b->size)
		return NULL;
	if (b->flags & ~known)
		return "unknown flags";
	if (b->size < 16 || b->size & (b->size - 1))
		return "the size is no power of two, or below 16";
	if (b->flags & UIOMMUFD_BAR_IO) {
		if (b->flags != UIOMMUFD_BAR_IO || b->size > IO_STRIDE)
			return "an I/O BAR is plain and at most 256 bytes";
		return NULL;
	}
	if (!(b->flags & UIOMMUFD_BAR_64BIT))
		return b->size > (uint64_t)1 << 31 ? "too large for 32 bits" : NULL;
	if (i + 1 == UIOMMUFD_BARS || d->bars[i + 1].size)
		return "a 64-bit BAR needs the next slot to be empty";
	return b->size > (uint64_t)1 << VFILE_REGION_SHIFT ? "too large" : NULL;
}

static const char *check_msix(const struct uiommufd_device_desc *d)
{
	uint64_t table = (uint64_t)d->msix_vectors * MSIX_ENTRY_BYTES;
	uint64_t pba = (d->msix_vectors + 63) / 64 * 8;
	const struct uiommufd_bar *b;

	if (!d->msix_vectors)
		return NULL;
	if (d->msix_vectors > MSIX_MAX_VECTORS)
		return "more than 2048 vectors";
	if (d->msix_bar >= UIOMMUFD_BARS)
		return "no such BAR";
	b = &d->bars[d->msix_bar];
	if (!b->size || b->flags & UIOMMUFD_BAR_IO)
		return "its BAR is absent, or an I/O BAR";
	if (d->msix_table_offset % 8 || d->msix_pba_offset % 8)
		return "table and pending bits are 8-aligned";
	if (d->msix_table_offset + table > b->size || d->msix_pba_offset + pba > b->size)
		return "table or pending bits lie outside of the BAR";
	if (d->msix_table_offset < d->msix_pba_offset + pba &&
	    d->msix_pba_offset < d->msix_table_offset + table)
		return "table and pending bits overlap";
	return NULL;
}

static int check(const struct pci_device *dev, char *error, size_t cap)
{
	const char *wrong;

	for (unsigned i = 0; i < UIOMMUFD_BARS; i++) {
		wrong = check_bar(&dev->desc, i);
		if (wrong) {
			snprintf(error, cap, "BAR %u: %s", i, wrong);
			return -EINVAL;
		}
	}
	wrong = check_msix(&dev->desc);
	if (wrong) {
		snprintf(error, cap, "MSI-X: %s", wrong);
		return -EINVAL;
	}
	return 0;
}

static int create_storage(struct pci_device *dev)
{
	dev->storage_fd = memfd_create(dev->label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (dev->storage_fd < 0)
		return -errno;
	if (fchmod(dev->storage_fd, 0600) ||
	    ftruncate(dev->storage_fd, (off_t)VFILE_STORAGE_BYTES) ||
	    fcntl(dev->storage_fd, F_ADD_SEALS, F_SEAL_SEAL))
		return -errno;
	return 0;
}

static uint64_t round_to_page(uint64_t n)
{
	return (n + PORT_PAGE_SIZE - 1) & ~(PORT_PAGE_SIZE - 1);
}

static int map_memory(struct pci_bar *bar, unsigned char **out)
{
	void *p = mmap(NULL, bar->window.length, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, bar->dev->storage_fd,
		       (off_t)VFILE_REGION(bar->index));

	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return port_heal_add(p, bar->window.length);
}

static void unmap_memory(unsigned char *p, uint64_t length)
{
	if (!p)
		return;
	port_heal_remove(p);
	munmap(p, length);
}

static int create_bar(struct pci_device *dev, unsigned i)
{
	struct pci_bar *bar = &dev->bars[i];
	int err = 0;

	if (!bar->size)
		return 0;
	if (is_io(bar)) {
		bar->address = IO_BASE + (dev->place.index * UIOMMUFD_BARS + i) %
						 IO_BARS * IO_STRIDE;
		return 0;
	}
	bar->window.length = round_to_page(bar->size);
	bar->window.kind = PHYS_MMIO;
	if (bar->flags & UIOMMUFD_BAR_MEMORY)
		err = map_memory(bar, &bar->bytes);
	else if (mmio_is_watched(bar->dev))
		err = map_memory(bar, &bar->shown);
	if (err)
		return err;
	bar->window.host = bar->bytes;
	bar->window.ops = bar->bytes ? NULL : &register_ops;
	err = phys_add(dev->machine->phys, &bar->window);
	if (err)
		return err;
	bar->has_window = true;
	bar->address = bar->window.base;
	return 0;
}

int bars_create(struct pci_device *dev, char *error, size_t cap)
{
	int err = check(dev, error, cap);

	if (!err)
		err = create_storage(dev);
	for (unsigned i = 0; !err && i < UIOMMUFD_BARS; i++) {
		dev->bars[i].flags = dev->desc.bars[i].flags;
		dev->bars[i].size = dev->desc.bars[i].size;
		err = create_bar(dev, i);
	}
	return err;
}

void bars_destroy(struct pci_device *dev)
{
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++) {
		struct pci_bar *bar = &dev->bars[i];

		if (bar->has_window)
			phys_remove(dev->machine->phys, &bar->window);
		unmap_memory(bar->bytes, bar->window.length);
		unmap_memory(bar->shown, bar->window.length);
	}
	if (dev->storage_fd >= 0)
		close(dev->storage_fd);
	if (dev->hidden_fd >= 0)
		close(dev->hidden_fd);
}
