/* SPDX-License-Identifier: MIT */
/*
 * The configuration space: client accesses of any width, and what writes set off.
 *
 * An access is cut into naturally aligned words of at most 4 bytes, each done on its own,
 * in order, as vfio-pci does; a capability never shares a word with another. A word that
 * begins at COMMAND, PMCSR, or covers the FLR bit of DEVCTL or of AF's control, has
 * consequences (reset.c); one that covers MSI's control is put right. The model's own
 * registers are its callbacks, inside the gate.
 *
 * Everything here is under device.config, which is taken for a word at a time; it is
 * never held over an access to the client's memory. An access that reaches beyond the end
 * is refused as a whole.
 */
#include <errno.h>
#include <string.h>

#include "vfio/device.h"

#define COMMAND         0x04
#define COMMAND_IO      0x0001
#define COMMAND_MEMORY  0x0002
#define COMMAND_MASTER  0x0004
#define COMMAND_NO_INTX 0x0400
#define STATUS_INTX     0x08 /* of its low byte */

/* In their capabilities. */
#define PMCSR       0x04
#define PMCSR_STATE 0x03
#define DEVCTL      0x08
#define DEVCTL_FLR  0x8000
#define EXP_BYTES   0x3c
#define MSI_CONTROL 0x02
#define MSI_ENABLE  0x01
#define MSI_LOG     0x70 /* Multiple Message Enable */
#define MSI_MASK    0x10
#define MSIX_HIGH   0x03 /* the upper byte of its control */
#define MSIX_ENABLE 0x80
#define AF_CAPS     0x03
#define AF_CONTROL  0x04
#define AF_FLR      0x01

#define D0          0
#define D3HOT       3

void config_restart(struct pci_device *dev)
{
	struct pci_config *c = &dev->config;

	memcpy(c->hw, c->hw_initial, CONFIG_BYTES);
	memcpy(c->virt, c->virt_initial, CONFIG_BYTES);
}

static unsigned command(const struct pci_device *dev)
{
	return config_get16(dev->config.hw + COMMAND);
}

unsigned config_power(const struct pci_device *dev)
{
	const struct pci_config *c = &dev->config;

	return c->pm ? c->hw[c->pm + PMCSR] & PMCSR_STATE : D0;
}

bool config_memory_enabled(const struct pci_device *dev)
{
	/* A virtual function's is always on. */
	return (dev->sriov.pf || command(dev) & COMMAND_MEMORY) &&
	       config_power(dev) == D0;
}

bool config_io_enabled(const struct pci_device *dev)
{
	return command(dev) & COMMAND_IO && config_power(dev) == D0;
}

bool config_master_enabled(const struct pci_device *dev)
{
	return command(dev) & COMMAND_MASTER && config_power(dev) == D0 && !dev->asleep;
}

void config_set_power(struct pci_device *dev, unsigned state)
{
	struct pci_config *c = &dev->config;

	if (c->pm)
		c->hw[c->pm + PMCSR] = (c->hw[c->pm + PMCSR] & ~PMCSR_STATE) | state;
}

/* ---- words ------------------------------------------------------------------------ */

static size_t word_size(unsigned offset, size_t left)
{
	size_t size = bar_unit(offset, left);

	return size > 4 ? 4 : size;
}

static bool is_models(const struct pci_device *dev, unsigned offset)
{
	const struct uiommufd_device_desc *d = &dev->desc;

	return offset >= d->config_offset && offset - d->config_offset < d->config_size;
}

static void model_read(struct pci_device *dev, unsigned offset, uint8_t *dst, size_t n)
{
	uint32_t value = 0;

	if (dev->ops.config_read) {
		gate_enter(&dev->gate);
		value = dev->ops.config_read(dev->model, offset, (unsigned)n);
		gate_leave(&dev->gate);
	}
	for (size_t i = 0; i < n; i++)
		dst[i] = value >> 8 * i & 0xff;
}

static void model_write(struct pci_device *dev, unsigned offset, const uint8_t *src,
			size_t n)
{
	uint32_t value = 0;

	if (!dev->ops.config_write)
		return;
	for (size_t i = 0; i < n; i++)
		value |= (uint32_t)src[i] << 8 * i;
	gate_enter(&dev->gate);
	dev->ops.config_write(dev->model, offset, (unsigned)n, value);
	gate_leave(&dev->gate);
}

/* A bit of the function that is not kept where it shows. */
static void overlay(uint8_t *dst, unsigned offset, size_t n, unsigned at, uint8_t bits)
{
	if (at >= offset && at < offset + n)
		dst[at - offset] |= bits;
}

/* Is @offset in MSI's masks, if it has such? */
static bool in_msi_masks(const struct pci_device *dev, unsigned offset)
{
	unsigned start = dev->config.msi + MSI_MASK;

	return dev->config.msi && dev->desc.msi_masks && offset >= start &&
	       offset < start + 8;
}

/* The mask, and what is pending. */
static void read_msi_masks(struct pci_device *dev, unsigned offset, uint8_t *dst,
			   size_t n)
{
	uint32_t mask, pending;
	uint8_t bytes[8];

	msi_read_masks(dev, &mask, &pending);
	config_put32(bytes, mask);
	config_put32(bytes + 4, pending);
	memcpy(dst, bytes + (offset - dev->config.msi - MSI_MASK), n);
}

/* What is pending cannot be written. */
static void write_msi_masks(struct pci_device *dev, unsigned offset, const uint8_t *src,
			    size_t n)
{
	unsigned at = offset - dev->config.msi - MSI_MASK;
	uint32_t value = 0, bits = 0;

	for (size_t i = 0; i < n && at + i < 4; i++) {
		value |= (uint32_t)src[i] << 8 * (at + i);
		bits |= (uint32_t)0xff << 8 * (at + i);
	}
	msi_write_mask(dev, value, bits);
}

/* The function's own registers. */
static void hw_read(struct pci_device *dev, unsigned offset, uint8_t *dst, size_t n)
{
	struct pci_config *c = &dev->config;
	unsigned type = irq_type(dev, NULL);

	if (is_models(dev, offset)) {
		model_read(dev, offset, dst, n);
		return;
	}
	if (in_msi_masks(dev, offset)) {
		read_msi_masks(dev, offset, dst, n);
		return;
	}
	memcpy(dst, c->hw + offset, n);
	if (intx_asserted(dev))
		overlay(dst, offset, n, COMMAND + 2, STATUS_INTX);
	if (intx_blocked(dev))
		overlay(dst, offset, n, COMMAND + 1, COMMAND_NO_INTX >> 8);
	if (dev->asleep)
		overlay(dst, offset, n, c->pm + PMCSR, D3HOT);
	if (type == VFIO_PCI_MSIX_IRQ_INDEX)
		overlay(dst, offset, n, c->msix + MSIX_HIGH, MSIX_ENABLE);
	else if (type == VFIO_PCI_MSI_IRQ_INDEX)
		overlay(dst, offset, n, c->msi + MSI_CONTROL, MSI_ENABLE);
}

static void read_word(struct pci_device *dev, unsigned offset, uint8_t *dst, size_t n)
{
	const struct pci_config *c = &dev->config;

	hw_read(dev, offset, dst, n);
	for (size_t i = 0; i < n; i++) {
		uint8_t virt = c->is_virtual[offset + i];

		dst[i] = (dst[i] & ~virt) | (c->virt[offset + i] & virt);
	}
}

static void write_masked(struct pci_config *c, unsigned offset, const uint8_t *src,
			 size_t n)
{
	for (size_t i = 0; i < n; i++, offset++) {
		uint8_t to_virt = c->user[offset] & c->is_virtual[offset];
		uint8_t to_hw = c->user[offset] & ~c->is_virtual[offset];
		uint8_t takes = to_hw & c->hw_write[offset];

		c->virt[offset] = (c->virt[offset] & ~to_virt) | (src[i] & to_virt);
		c->hw[offset] = (c->hw[offset] & ~takes) | (src[i] & takes);
		c->hw[offset] &= ~(src[i] & to_hw & c->hw_clear[offset]);
	}
}

static void write_command(struct pci_device *dev, const uint8_t *src, size_t n)
{
	port_rwlock_write_lock(&dev->memory);
	if (!(src[0] & COMMAND_MEMORY))
		reset_cut(dev);
	write_masked(&dev->config, COMMAND, src, n);
	reset_uncut(dev);
	port_rwlock_write_unlock(&dev->memory);
	reset_update_master(dev);
}

/*
 * There is no D1 and no D2: asking for them changes nothing, and neither does D3hot while
 * there are virtual functions. The way back from D3hot may
 * reset the function; its configuration stays, as vfio-pci saves and restores it.
 */
static void write_power(struct pci_device *dev, unsigned state)
{
	if (state == D3HOT && sriov_enabled(dev))
		return;
	port_rwlock_write_lock(&dev->memory);
	if (state == D3HOT)
		reset_cut(dev);
	else if (state == D0 && config_power(dev) == D3HOT && !dev->desc.no_soft_reset)
		reset_model(dev, UIOMMUFD_RESET_POWER);
	if (state == D0 || state == D3HOT)
		config_set_power(dev, state);
	reset_uncut(dev);
	port_rwlock_write_unlock(&dev->memory);
	reset_update_master(dev);
}

static void write_express(struct pci_device *dev)
{
	uint8_t *p = dev->config.virt + dev->config.exp + DEVCTL;

	if (!(config_get16(p) & DEVCTL_FLR))
		return;
	config_put16(p, config_get16(p) & ~DEVCTL_FLR);
	if (dev->desc.flr)
		reset_function(dev);
}

static void write_advanced(struct pci_device *dev)
{
	uint8_t *p = dev->config.virt + dev->config.af + AF_CONTROL;

	if (!(*p & AF_FLR))
		return;
	*p &= ~AF_FLR;
	reset_function(dev);
}

/* MSI is enabled by SET_IRQS, which also says how many vectors there are at most. */
static void write_msi(struct pci_device *dev)
{
	uint8_t *p = dev->config.virt + dev->config.msi + MSI_CONTROL;
	unsigned log;

	if (irq_type(dev, &log) != VFIO_PCI_MSI_IRQ_INDEX)
		*p &= ~MSI_ENABLE;
	if ((*p & MSI_LOG) >> 4 > (int)log)
		*p = (*p & ~MSI_LOG) | log << 4;
}

/* Is @offset in the capability at @cap, if there is one? */
static bool in_cap(unsigned offset, unsigned cap, unsigned bytes)
{
	return cap && offset >= cap && offset < cap + bytes;
}

static void write_header(struct pci_device *dev, unsigned offset, const uint8_t *src,
			 size_t n)
{
	struct pci_config *c = &dev->config;

	if (offset == COMMAND)
		write_command(dev, src, n);
	else
		write_masked(c, offset, src, n);
	if (offset == COMMAND || offset == COMMAND + 1)
		intx_set_disabled(dev, config_get16(c->virt + COMMAND) & COMMAND_NO_INTX);
}

static void write_word(struct pci_device *dev, unsigned offset, const uint8_t *src,
		       size_t n)
{
	struct pci_config *c = &dev->config;

	if (offset < 0x40) {
		write_header(dev, offset, src, n);
		return;
	}
	if (is_models(dev, offset)) {
		model_write(dev, offset, src, n);
		return;
	}
	if (in_msi_masks(dev, offset)) {
		write_msi_masks(dev, offset, src, n);
		return;
	}
	write_masked(c, offset, src, n);
	if (c->pm && offset == c->pm + PMCSR)
		write_power(dev, src[0] & PMCSR_STATE);
	else if (in_cap(offset, c->exp, EXP_BYTES))
		write_express(dev);
	else if (in_cap(offset, c->msi, MSI_CONTROL + 2))
		write_msi(dev);
	else if (in_cap(offset, c->af, AF_CONTROL + 2))
		write_advanced(dev);
}

/* ---- clients ---------------------------------------------------------------------- */

ssize_t config_read(struct pci_device *dev, struct client *c, uint64_t va, size_t n,
		    uint64_t offset)
{
	uint8_t buf[CONFIG_BYTES];
	size_t done = 0;
	int err;

	if (offset >= CONFIG_BYTES || n > CONFIG_BYTES - offset)
		return -EFAULT;
	while (done < n) {
		size_t size = word_size((unsigned)(offset + done), n - done);

		port_mutex_lock(&dev->config_lock);
		read_word(dev, (unsigned)(offset + done), buf + done, size);
		port_mutex_unlock(&dev->config_lock);
		done += size;
	}
	err = client_copy_out(c, va, buf, n);
	return err ? err : (ssize_t)n;
}

ssize_t config_write(struct pci_device *dev, struct client *c, uint64_t va, size_t n,
		     uint64_t offset)
{
	size_t done = 0;

	if (offset >= CONFIG_BYTES || n > CONFIG_BYTES - offset)
		return -EFAULT;
	while (done < n) {
		size_t size = word_size((unsigned)(offset + done), n - done);
		uint8_t word[4];
		int err = client_copy_in(c, word, va + done, size);

		if (err)
			return err;
		port_mutex_lock(&dev->config_lock);
		write_word(dev, (unsigned)(offset + done), word, size);
		port_mutex_unlock(&dev->config_lock);
		done += size;
	}
	return (ssize_t)n;
}

void pci_device_config_write(struct pci_device *dev, unsigned offset, const void *src,
			     size_t n)
{
	const uint8_t *p = src;

	while (n && offset < CONFIG_BYTES) {
		size_t size = word_size(offset, n);

		port_mutex_lock(&dev->config_lock);
		write_word(dev, offset, p, size);
		port_mutex_unlock(&dev->config_lock);
		offset += (unsigned)size;
		p += size;
		n -= size;
	}
}

void pci_device_config(struct pci_device *dev, unsigned offset, void *dst, size_t n)
{
	uint8_t *p = dst;

	memset(dst, 0, n);
	while (n && offset < CONFIG_BYTES) {
		size_t size = word_size(offset, n);

		port_mutex_lock(&dev->config_lock);
		hw_read(dev, offset, p, size);
		port_mutex_unlock(&dev->config_lock);
		offset += (unsigned)size;
		p += size;
		n -= size;
	}
}
