/* SPDX-License-Identifier: MIT */
/*
 * What is in the first 256 bytes of the configuration space at power-on, and what a
 * client's write changes: the header, and the capabilities PM, MSI, PCI Express, MSI-X
 * and AF. (Extended capabilities are in config_ext.c.)
 *
 * What is virtual and what is the function's own is as with vfio-pci (Linux 7.3): MSI-X
 * is read-only (SET_IRQS is the way), BARs are virtual (their real place never moves),
 * MSI's registers are only memory, and what would touch others on the bus is closed.
 *
 * PCI Express Base Specification 7.5 and 7.7, PCI Power Management 3.2.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vfio/device.h"

#define COMMAND          0x04
#define STATUS           0x06
#define BAR0             0x10
#define BARS_END         0x28
#define ROM              0x30
#define ROM_ENABLE       0x1
#define CAP_POINTER      0x34
#define INTERRUPT_LINE   0x3c
#define INTERRUPT_PIN    0x3d
#define HEADER_BYTES     0x40
#define STATUS_CAPS      0x10
#define COMMAND_INIT     0x0103 /* I/O, memory, SERR#: as a host's firmware leaves it */
#define COMMAND_BITS     0x0547 /* and bus master, parity, INTx disable */
#define COMMAND_MEMORY   0x0002
#define COMMAND_MASTER   0x0004
#define COMMAND_NO_INTX  0x0400

#define CAP_ID_PM        0x01
#define CAP_ID_MSI       0x05
#define CAP_ID_EXP       0x10
#define CAP_ID_MSIX      0x11
#define CAP_ID_AF        0x13

#define PM_OFFSET        0x40
#define MSI_OFFSET       0x50 /* to 0x5e */
#define MSI_MASKS_OFFSET 0x48 /* if it has masks: to 0x60 */
#define EXP_OFFSET       0x60
#define MSIX_OFFSET      0xa0
#define AF_OFFSET        0xb0

#define MSI_VECTORS_MAX  32
#define PM_NO_SOFT_RESET 0x0008

static void user16(struct pci_config *c, unsigned offset, unsigned bits)
{
	config_put16(c->user + offset, bits);
}

static void user32(struct pci_config *c, unsigned offset, uint32_t bits)
{
	config_put32(c->user + offset, bits);
}

static void virtual_bytes(struct pci_config *c, unsigned offset, unsigned n)
{
	memset(c->is_virtual + offset, 0xff, n);
}

static void header(struct pci_device *dev)
{
	struct pci_config *c = &dev->config;
	const struct uiommufd_device_desc *d = &dev->desc;
	uint8_t *v = c->hw_initial;

	config_put16(v + 0x00, d->vendor_id);
	config_put16(v + 0x02, d->device_id);
	virtual_bytes(c, 0x00, 4);
	config_put16(v + COMMAND, COMMAND_INIT);
	user16(c, COMMAND, 0xffff);
	config_put16(c->hw_write + COMMAND, COMMAND_BITS & ~COMMAND_NO_INTX);
	config_put16(c->is_virtual + COMMAND, COMMAND_NO_INTX);
	config_put16(v + STATUS, STATUS_CAPS);
	config_put16(c->is_virtual + STATUS, STATUS_CAPS);
	config_put32(v + 0x08, d->class_code << 8 | d->revision);
	c->user[0x0c] = c->hw_write[0x0c] = 0xff; /* cache line size */
	config_put16(v + 0x2c, d->subsystem_vendor_id);
	config_put16(v + 0x2e, d->subsystem_id);
	virtual_bytes(c, CAP_POINTER, 1);
	virtual_bytes(c, INTERRUPT_LINE, 2);
	c->user[INTERRUPT_LINE] = 0xff;
	v[INTERRUPT_PIN] = d->interrupt_pin;
}

unsigned config_bar_flags(const struct pci_bar *bar)
{
	if (bar->flags & UIOMMUFD_BAR_IO)
		return 0x1;
	return (bar->flags & UIOMMUFD_BAR_64BIT ? 0x4 : 0) |
	       (bar->flags & UIOMMUFD_BAR_PREFETCH ? 0x8 : 0);
}

/* Sizing works as in hardware: the bits below the size stay what they are. */
static void bar_register(struct pci_device *dev, const struct pci_bar *bar)
{
	struct pci_config *c = &dev->config;
	unsigned offset = BAR0 + 4 * bar->index;
	uint64_t mask = ~(bar->size - 1);

	if (!bar->size)
		return;
	config_put32(c->hw_initial + offset,
		     (bar->address & mask & 0xffffffff) | config_bar_flags(bar));
	user32(c, offset, mask & 0xffffffff);
	if (!(bar->flags & UIOMMUFD_BAR_64BIT))
		return;
	config_put32(c->hw_initial + offset + 4, bar->address >> 32);
	user32(c, offset + 4, mask >> 32);
}

static void bar_registers(struct pci_device *dev)
{
	struct pci_config *c = &dev->config;

	virtual_bytes(c, BAR0, BARS_END - BAR0);
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++)
		bar_register(dev, &dev->bars[i]);
	virtual_bytes(c, ROM, 4);
	if (!dev->rom.size)
		return;
	config_put32(c->hw_initial + ROM, dev->rom.address & 0xffffffff);
	user32(c, ROM, (~(dev->rom.size - 1) & 0xffffffff) | ROM_ENABLE);
}

/* Append a capability to the chain; its header is filled in. */
static uint8_t *capability(struct pci_config *c, uint8_t **link, unsigned offset,
			   unsigned id)
{
	uint8_t *p = c->hw_initial + offset;

	**link = offset;
	*link = p + 1;
	p[0] = id;
	virtual_bytes(c, offset + 1, 1);
	return p;
}

/* A client is never told of power management events. */
static void power_management(struct pci_device *dev, uint8_t **link)
{
	struct pci_config *c = &dev->config;
	uint8_t *p;

	if (!dev->desc.pm)
		return;
	c->pm = PM_OFFSET;
	p = capability(c, link, c->pm, CAP_ID_PM);
	config_put16(p + 2, 0x0003); /* version 3; no D1, D2, PME */
	config_put16(p + 4, dev->desc.no_soft_reset ? PM_NO_SOFT_RESET : 0);
	config_put16(c->is_virtual + c->pm + 2, 0xf800); /* PME_Support */
	config_put32(c->is_virtual + c->pm + 4, 0x8100); /* PME_Status, PME_En */
	user32(c, c->pm + 4, ~(uint32_t)0x8103);
}

/*
 * With 64-bit addresses. The control's lower byte can say anything; the masks, if there
 * are any, are the function's own (irq_msi.c).
 */
static void msi(struct pci_device *dev, uint8_t **link)
{
	struct pci_config *c = &dev->config;
	unsigned n = dev->desc.msi_vectors;
	uint8_t *p;

	if (!n)
		return;
	c->msi = dev->desc.msi_masks ? MSI_MASKS_OFFSET : MSI_OFFSET;
	p = capability(c, link, c->msi, CAP_ID_MSI);
	config_put16(p + 2, (dev->desc.msi_masks ? 0x180 : 0x80) | __builtin_ctz(n) << 1);
	virtual_bytes(c, c->msi + 2, 1);
	c->user[c->msi + 2] = 0xff;
	virtual_bytes(c, c->msi + 4, 10); /* address and data */
	memset(c->user + c->msi + 4, 0xff, 10);
}

static void express(struct pci_device *dev, uint8_t **link)
{
	struct pci_config *c = &dev->config;
	uint8_t *p;

	c->exp = EXP_OFFSET;
	p = capability(c, link, c->exp, CAP_ID_EXP);
	config_put16(p + 0x02, 0x0002); /* version 2, endpoint */
	/* Extended tags, role-based error reporting; FLR. */
	config_put32(p + 0x04, 0x00008020u | (dev->desc.flr ? 1u << 28 : 0));
	config_put16(p + 0x08, 0x2810); /* relaxed ordering, no snoop, 512-byte reads */
	/* All but phantom functions; bit 15 starts an FLR and reads 0. */
	user16(c, c->exp + 0x08, 0xfdff);
	config_put16(c->is_virtual + c->exp + 0x08, 0xf0e0); /* FLR, read and payload */
	config_put16(c->hw_write + c->exp + 0x08, 0x091f);
	config_put32(p + 0x0c, 0x00000103); /* link: 8 GT/s, 16 lanes */
	config_put16(p + 0x12, 0x0103);
	config_put32(p + 0x24, 0x00000010); /* completion timeout can be disabled */
	user16(c, c->exp + 0x28, 0xffdf);
	config_put16(c->hw_write + c->exp + 0x28, 0x0010);
	config_put32(p + 0x2c, 0x0000000e); /* link speeds 2.5 to 8 GT/s */
	config_put16(p + 0x30, 0x0003);
}

static void msix(struct pci_device *dev, uint8_t **link)
{
	const struct uiommufd_device_desc *d = &dev->desc;
	struct pci_config *c = &dev->config;
	uint8_t *p;

	if (!d->msix_vectors)
		return;
	c->msix = MSIX_OFFSET;
	p = capability(c, link, c->msix, CAP_ID_MSIX);
	config_put16(p + 2, d->msix_vectors - 1);
	config_put32(p + 4, d->msix_table_offset | d->msix_bar);
	config_put32(p + 8, d->msix_pba_offset | d->msix_bar);
}

static void advanced(struct pci_device *dev, uint8_t **link)
{
	struct pci_config *c = &dev->config;
	uint8_t *p;

	if (!dev->desc.af)
		return;
	c->af = AF_OFFSET;
	p = capability(c, link, c->af, CAP_ID_AF);
	p[2] = 6; /* length */
	p[3] = 3; /* transactions pending, FLR */
	c->is_virtual[c->af + 4] = c->user[c->af + 4] = 0x01;
}

/*
 * A virtual function has no ids, BARs and memory enable of its own: they are the physical
 * function's. Clients are shown them all the same, and memory is always on.
 */
static void virtual_function(struct pci_device *dev)
{
	struct pci_config *c = &dev->config;

	config_put32(c->hw_initial, 0xffffffff);
	config_put16(c->hw_initial + COMMAND, 0);
	config_put16(c->hw_write + COMMAND, COMMAND_MASTER);
	c->is_virtual[COMMAND] |= COMMAND_MEMORY;
	c->virt_initial[COMMAND] = COMMAND_MEMORY;
	memset(c->hw_initial + BAR0, 0, BARS_END - BAR0);
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++) {
		unsigned at = BAR0 + 4 * i;

		if (!dev->bars[i].size)
			continue;
		config_put32(c->virt_initial + at, config_bar_flags(&dev->bars[i]));
		if (dev->bars[i].flags & UIOMMUFD_BAR_64BIT)
			config_put32(c->virt_initial + at + 4, 0);
	}
	c->hw_initial[INTERRUPT_PIN] = c->virt_initial[INTERRUPT_PIN] = 0;
}

static const char *wrong(const struct uiommufd_device_desc *d)
{
	unsigned n = d->msi_vectors, end = d->config_offset + d->config_size;

	if (d->interrupt_pin > 4)
		return "interrupt pin: above 4";
	if (n > MSI_VECTORS_MAX || n & (n - 1))
		return "MSI: the number of vectors is no power of two, or above 32";
	if (d->nr_ext_caps && !d->ext_caps)
		return "extended capabilities: none are there";
	if (d->config_size && ((d->config_offset | d->config_size) % 4 ||
			       d->config_offset < AF_OFFSET + 8 || end > CONFIG_BYTES))
		return "configuration registers: unaligned, or where others are";
	return NULL;
}

int config_create(struct pci_device *dev, char *error, size_t cap)
{
	struct pci_config *c = &dev->config;
	uint8_t *link = c->hw_initial + CAP_POINTER;
	const char *why = wrong(&dev->desc);
	int err;

	if (why) {
		snprintf(error, cap, "%s", why);
		return -EINVAL;
	}
	header(dev);
	bar_registers(dev);
	power_management(dev, &link);
	msi(dev, &link);
	express(dev, &link);
	msix(dev, &link);
	advanced(dev, &link);
	memcpy(c->virt_initial, c->hw_initial, CONFIG_BYTES);
	if (dev->sriov.pf)
		virtual_function(dev);
	err = config_add_ext_caps(dev, error, cap);
	if (!err)
		config_restart(dev);
	return err;
}
