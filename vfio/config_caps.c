/* SPDX-License-Identifier: MIT */
/*
 * What is in the configuration space at power-on, and which bits of it a client's write
 * changes: the header, and the capabilities PM, PCI Express, MSI-X and serial number.
 *
 * The write masks are those of vfio-pci (Linux 7.3) as far as hardware has the bits:
 * MSI-X is read-only (SET_IRQS is the way), BARs are virtual (their real place never
 * moves), and registers that would touch others on the bus are closed.
 *
 * PCI Express Base Specification 7.5, PCI Power Management 3.2.
 */
#include "vfio/device.h"

#define COMMAND      0x04
#define STATUS       0x06
#define BAR0         0x10
#define CAP_POINTER  0x34
#define STATUS_CAPS  0x10
#define COMMAND_INIT 0x0103 /* I/O, memory, SERR#: as a host's firmware leaves it */
#define COMMAND_BITS 0x0547 /* and bus master, parity, INTx disable */

#define CAP_ID_PM    0x01
#define CAP_ID_EXP   0x10
#define CAP_ID_MSIX  0x11

#define PM_OFFSET    0x40
#define EXP_OFFSET   0x60
#define MSIX_OFFSET  0xa0
#define DSN_OFFSET   0x100

static void writable16(struct pci_config *c, unsigned offset, unsigned bits)
{
	config_put16(c->write + offset, bits);
}

static void header(struct pci_device *dev)
{
	struct pci_config *c = &dev->config;
	const struct uiommufd_device_desc *d = &dev->desc;
	uint8_t *v = c->initial;

	config_put16(v + 0x00, d->vendor_id);
	config_put16(v + 0x02, d->device_id);
	config_put16(v + COMMAND, COMMAND_INIT);
	writable16(c, COMMAND, COMMAND_BITS);
	config_put16(v + STATUS, STATUS_CAPS);
	config_put32(v + 0x08, d->class_code << 8 | d->revision);
	c->write[0x0c] = 0xff; /* cache line size */
	config_put16(v + 0x2c, d->subsystem_vendor_id);
	config_put16(v + 0x2e, d->subsystem_id);
	c->write[0x3c] = 0xff; /* interrupt line; the pin is 0: no INTx */
}

/* Sizing works as in hardware: the bits below the size stay what they are. */
static void bar_register(struct pci_device *dev, const struct pci_bar *bar)
{
	struct pci_config *c = &dev->config;
	unsigned offset = BAR0 + 4 * bar->index;
	uint64_t mask = ~(bar->size - 1);
	uint32_t flags = 0;

	if (!bar->size)
		return;
	if (bar->flags & UIOMMUFD_BAR_IO)
		flags = 0x1;
	else
		flags = (bar->flags & UIOMMUFD_BAR_64BIT ? 0x4 : 0) |
			(bar->flags & UIOMMUFD_BAR_PREFETCH ? 0x8 : 0);
	config_put32(c->initial + offset, (bar->address & mask & 0xffffffff) | flags);
	config_put32(c->write + offset, mask & 0xffffffff);
	if (!(bar->flags & UIOMMUFD_BAR_64BIT))
		return;
	config_put32(c->initial + offset + 4, bar->address >> 32);
	config_put32(c->write + offset + 4, mask >> 32);
}

/* Append a capability to the chain; its header is filled in. */
static uint8_t *capability(struct pci_config *c, uint8_t **link, unsigned offset,
			   unsigned id)
{
	uint8_t *p = c->initial + offset;

	**link = offset;
	*link = p + 1;
	p[0] = id;
	return p;
}

static void power_management(struct pci_device *dev, uint8_t **link)
{
	struct pci_config *c = &dev->config;
	uint8_t *p;

	if (!dev->desc.pm)
		return;
	c->pm = PM_OFFSET;
	p = capability(c, link, c->pm, CAP_ID_PM);
	config_put16(p + 2, 0x0003); /* version 3; no D1, D2, PME */
	/* No_Soft_Reset is 0: on its way back from D3hot the function is reset. */
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
	/* All but AUX power and phantom functions; bit 15 starts an FLR and reads 0. */
	writable16(c, c->exp + 0x08, 0xf9ff);
	config_put32(p + 0x0c, 0x00000103); /* link: 8 GT/s, 16 lanes */
	config_put16(p + 0x12, 0x0103);
	config_put32(p + 0x24, 0x00000010); /* completion timeout can be disabled */
	writable16(c, c->exp + 0x28, 0x0010);
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

/* A serial number that tells devices of a machine apart. */
static void serial_number(struct pci_device *dev)
{
	const struct pci_bdf *b = &dev->place.bdf;
	uint8_t *p = dev->config.initial + DSN_OFFSET;

	config_put32(p, 0x00010003); /* version 1, the last one */
	config_put32(p + 4, (uint32_t)b->bus << 8 | b->device << 3 | b->function);
	config_put32(p + 8, b->domain);
}

void config_add_caps(struct pci_device *dev)
{
	uint8_t *link = dev->config.initial + CAP_POINTER;

	header(dev);
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++)
		bar_register(dev, &dev->bars[i]);
	power_management(dev, &link);
	express(dev, &link);
	msix(dev, &link);
	serial_number(dev);
}
