/* SPDX-License-Identifier: MIT */
/*
 * Extended configuration space: the capabilities that the model describes, and a serial
 * number that tells the devices of a machine apart.
 *
 * There are two chains. The function's own (which sysfs shows) has all of them; the one
 * that clients see leaves out those that vfio-pci does not know (Linux 7.3): PASID among
 * them. Bytes are the function's own, and read-only, but for AER's error registers and
 * the data select of power budgeting.
 *
 * PCI Express Base Specification 7.6 to 7.9.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vfio/device.h"

#define FIRST        0x100u
#define HEADER_BYTES 4u

#define ID_AER       0x0001
#define ID_DSN       0x0003
#define ID_POWER     0x0004
#define DSN_BYTES    12u

/* AER: uncorrectable status, mask, severity; correctable status, mask; capabilities. */
#define AER_BYTES     0x2cu
#define AER_FATAL     0x03fff031u
#define AER_CORRECTED 0x0000f1c1u
#define AER_ECRC      0x00000140u

/* Those that vfio-pci shows, as bits. */
#define SHOWN                                                                            \
	(1ull << 0x01 | 1ull << 0x02 | 1ull << 0x03 | 1ull << 0x04 | 1ull << 0x08 |      \
	 1ull << 0x09 | 1ull << 0x0b | 1ull << 0x0d | 1ull << 0x0e | 1ull << 0x0f |      \
	 1ull << 0x10 | 1ull << 0x12 | 1ull << 0x13 | 1ull << 0x15 | 1ull << 0x16 |      \
	 1ull << 0x17 | 1ull << 0x18 | 1ull << 0x23)

static bool shown(unsigned id)
{
	return id < 64 && SHOWN >> id & 1;
}

static uint32_t get32(const uint8_t *p)
{
	return config_get16(p) | (uint32_t)config_get16(p + 2) << 16;
}

/* The header at @from leads to @to from now on. */
static void link_to(uint8_t *space, unsigned from, unsigned to)
{
	config_put32(space + from, (get32(space + from) & 0x000fffff) | to << 20);
}

/* The last header of the chain that clients see. */
static unsigned last_shown(const struct pci_config *c)
{
	unsigned at = FIRST, next;

	while ((next = get32(c->virt_initial + at) >> 20))
		at = next;
	return at;
}

/* Room for @size bytes that is not the model's own. */
static unsigned place(const struct pci_device *dev, unsigned size, unsigned offset)
{
	const struct uiommufd_device_desc *d = &dev->desc;
	unsigned model = d->config_offset, model_end = model + d->config_size;
	unsigned at = offset ? offset : dev->config.free_ext;

	if (!offset && model_end > at && at + size > model)
		at = model_end;
	if (at % 4 || at < dev->config.free_ext || at + size > CONFIG_BYTES)
		return 0;
	if (model_end > at && at + size > model)
		return 0;
	return at;
}

unsigned config_ext_cap(struct pci_device *dev, unsigned id, unsigned version,
			unsigned size, unsigned offset)
{
	struct pci_config *c = &dev->config;
	uint32_t head = id | version << 16;
	unsigned at;

	if (!c->free_ext)
		c->free_ext = FIRST;
	at = place(dev, size, offset);
	/* The chain begins at its start. */
	if (!at || (!c->last_ext && at != FIRST))
		return 0;
	memset(c->is_virtual + at, 0xff, HEADER_BYTES);
	config_put32(c->hw_initial + at, head);
	if (c->last_ext)
		link_to(c->hw_initial, c->last_ext, at);
	/* One that is hidden holds the start of the chain all the same. */
	config_put32(c->virt_initial + at, shown(id) ? head : 0);
	if (shown(id) && c->last_ext)
		link_to(c->virt_initial, last_shown(c), at);
	c->last_ext = at;
	c->free_ext = at + size;
	return at;
}

static void writable(struct pci_config *c, unsigned at, uint32_t bits)
{
	config_put32(c->user + at, bits);
	config_put32(c->hw_write + at, bits);
}

static void cleared(struct pci_config *c, unsigned at, uint32_t bits)
{
	config_put32(c->user + at, bits);
	config_put32(c->hw_clear + at, bits);
}

static void error_registers(struct pci_config *c, unsigned at)
{
	cleared(c, at + 0x04, AER_FATAL);
	writable(c, at + 0x08, AER_FATAL);
	writable(c, at + 0x0c, AER_FATAL);
	cleared(c, at + 0x10, AER_CORRECTED);
	writable(c, at + 0x14, AER_CORRECTED);
	writable(c, at + 0x18, AER_ECRC);
}

static int add(struct pci_device *dev, const struct uiommufd_ext_cap *e)
{
	struct pci_config *c = &dev->config;
	unsigned at;

	if (!e->id || e->version > 0xf || e->size % 4 ||
	    (e->id == ID_AER && e->size < AER_BYTES - HEADER_BYTES))
		return -EINVAL;
	at = config_ext_cap(dev, e->id, e->version, HEADER_BYTES + e->size, e->offset);
	if (!at)
		return -EINVAL;
	if (e->bytes)
		memcpy(c->hw_initial + at + HEADER_BYTES, e->bytes, e->size);
	if (e->id == ID_AER)
		error_registers(c, at);
	else if (e->id == ID_POWER && e->size)
		c->user[at + 4] = c->hw_write[at + 4] = 0xff;
	return 0;
}

static int serial_number(struct pci_device *dev)
{
	const struct pci_bdf *b = &dev->place.bdf;
	unsigned at = config_ext_cap(dev, ID_DSN, 1, DSN_BYTES, 0);
	uint8_t *p = dev->config.hw_initial + at;

	if (!at)
		return -EINVAL;
	config_put32(p + 4, (uint32_t)b->bus << 8 | b->device << 3 | b->function);
	config_put32(p + 8, b->domain);
	return 0;
}

int config_add_ext_caps(struct pci_device *dev, char *error, size_t cap)
{
	const struct uiommufd_device_desc *d = &dev->desc;
	int err = 0;

	for (unsigned i = 0; !err && i < d->nr_ext_caps; i++) {
		err = add(dev, &d->ext_caps[i]);
		if (err)
			snprintf(error, cap, "extended capability %u (id 0x%x): unusable",
				 i, d->ext_caps[i].id);
	}
	if (err)
		return err;
	err = serial_number(dev);
	if (!err)
		err = sriov_add_capability(dev);
	if (err)
		snprintf(error, cap, "no room for a serial number or SR-IOV");
	return err;
}
