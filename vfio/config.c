/* SPDX-License-Identifier: MIT */
/*
 * The configuration space: client accesses of any width, and what writes set off.
 *
 * A write is cut into naturally aligned words of at most 4 bytes, each done on its own,
 * in order, as vfio-pci does; a capability never shares a word with another. A word that
 * begins at COMMAND, PMCSR or covers DEVCTL's FLR bit has consequences (reset.c).
 *
 * Everything here is under device.config, which writes take for a word at a time; it is
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
#define PMCSR           0x04 /* in its capability */
#define PMCSR_STATE     0x03
#define DEVCTL          0x08 /* in its capability */
#define DEVCTL_FLR      0x8000
#define MSIX_CONTROL_HI 0x03 /* in its capability */
#define MSIX_ENABLE     0x80

#define D0              0
#define D3HOT           3

void config_create(struct pci_device *dev)
{
	config_add_caps(dev);
	config_restart(dev);
}

void config_restart(struct pci_device *dev)
{
	memcpy(dev->config.value, dev->config.initial, CONFIG_BYTES);
}

static unsigned command(const struct pci_device *dev)
{
	return config_get16(dev->config.value + COMMAND);
}

static unsigned power(const struct pci_device *dev)
{
	const struct pci_config *c = &dev->config;

	return c->pm ? c->value[c->pm + PMCSR] & PMCSR_STATE : D0;
}

bool config_memory_enabled(const struct pci_device *dev)
{
	return command(dev) & COMMAND_MEMORY && power(dev) == D0;
}

bool config_io_enabled(const struct pci_device *dev)
{
	return command(dev) & COMMAND_IO && power(dev) == D0;
}

bool config_master_enabled(const struct pci_device *dev)
{
	return command(dev) & COMMAND_MASTER && power(dev) == D0;
}

void config_set_power(struct pci_device *dev, unsigned state)
{
	struct pci_config *c = &dev->config;

	if (c->pm)
		c->value[c->pm + PMCSR] =
			(c->value[c->pm + PMCSR] & ~PMCSR_STATE) | state;
}

/* ---- words ------------------------------------------------------------------------ */

static size_t word_size(unsigned offset, size_t left)
{
	size_t size = bar_unit(offset, left);

	return size > 4 ? 4 : size;
}

/* Reading has no effects, so the size of words does not show. */
static void read_bytes(struct pci_device *dev, unsigned offset, uint8_t *dst, size_t n)
{
	struct pci_config *c = &dev->config;
	unsigned enable = c->msix + MSIX_CONTROL_HI;

	port_mutex_lock(&dev->config_lock);
	memcpy(dst, c->value + offset, n);
	port_mutex_unlock(&dev->config_lock);
	if (c->msix && offset <= enable && enable < offset + n && irq_msix_enabled(dev))
		dst[enable - offset] |= MSIX_ENABLE;
}

static void write_masked(struct pci_config *c, unsigned offset, const uint8_t *src,
			 size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t mask = c->write[offset + i];

		c->value[offset + i] = (c->value[offset + i] & ~mask) | (src[i] & mask);
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
 * There is no D1 and no D2: asking for them changes nothing. The way back from D3hot
 * resets the function; its configuration stays, as vfio-pci saves and restores it.
 */
static void write_power(struct pci_device *dev, unsigned state)
{
	port_rwlock_write_lock(&dev->memory);
	if (state == D3HOT)
		reset_cut(dev);
	else if (state == D0 && power(dev) == D3HOT)
		reset_model(dev, UIOMMUFD_RESET_POWER);
	if (state == D0 || state == D3HOT)
		config_set_power(dev, state);
	reset_uncut(dev);
	port_rwlock_write_unlock(&dev->memory);
	reset_update_master(dev);
}

static void write_express(struct pci_device *dev)
{
	uint8_t *p = dev->config.value + dev->config.exp + DEVCTL;

	if (!(config_get16(p) & DEVCTL_FLR))
		return;
	config_put16(p, config_get16(p) & ~DEVCTL_FLR);
	if (dev->desc.flr)
		reset_function(dev);
}

static void write_word(struct pci_device *dev, unsigned offset, const uint8_t *src,
		       size_t n)
{
	struct pci_config *c = &dev->config;

	if (offset == COMMAND) {
		write_command(dev, src, n);
		return;
	}
	write_masked(c, offset, src, n);
	if (c->pm && offset == c->pm + PMCSR)
		write_power(dev, src[0] & PMCSR_STATE);
	else if (offset >= c->exp && offset < c->exp + 0x3c)
		write_express(dev);
}

/* ---- clients ---------------------------------------------------------------------- */

ssize_t config_read(struct pci_device *dev, struct client *c, uint64_t va, size_t n,
		    uint64_t offset)
{
	uint8_t buf[CONFIG_BYTES];
	int err;

	if (offset >= CONFIG_BYTES || n > CONFIG_BYTES - offset)
		return -EFAULT;
	read_bytes(dev, (unsigned)offset, buf, n);
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

void pci_device_config(struct pci_device *dev, unsigned offset, void *dst, size_t n)
{
	memset(dst, 0, n);
	if (offset >= CONFIG_BYTES)
		return;
	if (n > CONFIG_BYTES - offset)
		n = CONFIG_BYTES - offset;
	read_bytes(dev, offset, dst, n);
}
