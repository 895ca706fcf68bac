/* SPDX-License-Identifier: MIT */
/*
 * Intel 82576 as a PCI function: its description, options, reset, and BARs.
 *
 * BAR 0 is the register file. BAR 2 is a window to it by I/O: an address, and the data
 * there. BAR 3 holds the MSI-X table and nothing of ours. Registers are 32 bits wide; a
 * wider access is two of them, and a narrower write is none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/igb.h"
#include "devices/models.h"

#define BAR_REGS   0
#define BAR_IO     2
#define BAR_MSIX   3

#define IO_BYTES   32
#define MSIX_BYTES 0x4000
#define MSIX_PBA   0x2000

/* ---- registers ------------------------------------------------------------------- */

static uint32_t read_io(struct igb *g, uint64_t offset)
{
	if (offset == 0)
		return g->io_address;
	if (offset == 4 && g->io_address < IGB_REGS_BYTES)
		return igb_read_reg(g, g->io_address & ~3u);
	return 0;
}

static void write_io(struct igb *g, uint64_t offset, uint32_t value)
{
	if (offset == 0)
		g->io_address = value;
	else if (offset == 4 && g->io_address < IGB_REGS_BYTES)
		igb_write_reg(g, g->io_address & ~3u, value);
}

static uint32_t read_word(struct igb *g, unsigned bar, uint64_t offset)
{
	if (bar == BAR_REGS)
		return igb_read_reg(g, (uint32_t)offset);
	return bar == BAR_IO ? read_io(g, offset) : 0;
}

static void write_word(struct igb *g, unsigned bar, uint64_t offset, uint32_t value)
{
	if (bar == BAR_REGS)
		igb_write_reg(g, (uint32_t)offset, value);
	else if (bar == BAR_IO)
		write_io(g, offset, value);
}

static uint64_t igb_mmio_read(void *model, unsigned bar, uint64_t offset, unsigned size)
{
	struct igb *g = model;
	uint64_t value;

	pthread_mutex_lock(&g->lock);
	value = read_word(g, bar, offset & ~UINT64_C(3));
	if (size == 8)
		value |= (uint64_t)read_word(g, bar, offset + 4) << 32;
	pthread_mutex_unlock(&g->lock);
	if (size >= 4)
		return value;
	return value >> (offset & 3) * 8 & ((1u << size * 8) - 1);
}

static void igb_mmio_write(void *model, unsigned bar, uint64_t offset, unsigned size,
			   uint64_t value)
{
	struct igb *g = model;

	if (size < 4)
		return;
	pthread_mutex_lock(&g->lock);
	write_word(g, bar, offset, (uint32_t)value);
	if (size == 8)
		write_word(g, bar, offset + 4, (uint32_t)(value >> 32));
	pthread_mutex_unlock(&g->lock);
}

/* ---- the function ---------------------------------------------------------------- */

/* On failure there is no worker, and no frame ever leaves. */
static void power_on(struct igb *g)
{
	g->packet = malloc(IGB_PACKET_BYTES);
	g->frame = malloc(IGB_FRAME_BYTES);
	g->copy = malloc(IGB_FRAME_BYTES);
	if (!g->packet || !g->frame || !g->copy)
		return;
	if (uiommufd_channel_create(g->dev, &g->channel))
		return;
	if (uiommufd_worker_create(g->dev, igb_run, g, &g->worker))
		g->worker = NULL;
}

static void igb_reset(void *model, enum uiommufd_reset kind)
{
	struct igb *g = model;

	if (kind == UIOMMUFD_RESET_POWER_ON)
		power_on(g);
	if (g->worker)
		uiommufd_worker_pause(g->worker);
	memset(g->contexts, 0, sizeof(g->contexts));
	pthread_mutex_lock(&g->lock);
	g->busy = false;
	g->vf_resets = 0;
	g->io_address = 0;
	igb_phy_reset(g);
	igb_reset_regs(g);
	pthread_mutex_unlock(&g->lock);
	if (g->worker)
		uiommufd_worker_resume(g->worker);
}

static void igb_destroy(void *model)
{
	struct igb *g = model;

	uiommufd_worker_destroy(g->worker);
	uiommufd_channel_destroy(g->channel);
	pthread_mutex_destroy(&g->lock);
	free(g->packet);
	free(g->frame);
	free(g->copy);
	free(g);
}

static int parse_mac(const char *text, uint8_t mac[6])
{
	unsigned v[6];
	int used = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &v[0], &v[1], &v[2], &v[3], &v[4],
		   &v[5], &used) != 6 ||
	    text[used] || v[0] & 1)
		return -EINVAL;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)v[i];
	return 0;
}

static int parse_options(struct uiommufd_device *dev,
			 const struct uiommufd_option *options, size_t n, uint8_t mac[6])
{
	for (size_t i = 0; i < n; i++) {
		const char *value = options[i].value ? options[i].value : "";

		if (strcmp(options[i].name, "mac") != 0) {
			uiommufd_device_error(dev,
					      "igb: unknown option '%s' (known: mac)",
					      options[i].name);
			return -EINVAL;
		}
		if (parse_mac(value, mac)) {
			uiommufd_device_error(
				dev, "igb: mac=%s: not a unicast address (02:...)",
				value);
			return -EINVAL;
		}
	}
	return 0;
}

/* The chip has 8 pools, of which the physical function needs one. */
static const struct uiommufd_sriov sriov = {
	.total = IGB_VFS,
	.offset = 0x80,
	.stride = 2,
	.vf = &igb_vf_model,
};

static const struct uiommufd_ext_cap ext_caps[] = {
	{.id = 0x0001, .version = 1, .offset = 0x100, .size = 0x44}, /* AER */
	{.id = 0x000e, .version = 1, .offset = 0x150, .size = 4},    /* ARI */
};

static const struct uiommufd_device_desc description = {
	.vendor_id = 0x8086,
	.device_id = 0x10c9,
	.subsystem_vendor_id = 0x8086,
	.subsystem_id = 0xa03c,
	.class_code = 0x020000,
	.revision = 1,
	.bars[BAR_REGS] = {.size = IGB_REGS_BYTES},
	.bars[BAR_IO] = {.size = IO_BYTES, .flags = UIOMMUFD_BAR_IO},
	.bars[BAR_MSIX] = {.size = MSIX_BYTES},
	.msix_vectors = IGB_VECTORS,
	.msix_bar = BAR_MSIX,
	.msix_table_offset = 0,
	.msix_pba_offset = MSIX_PBA,
	.msi_vectors = 1,
	.msi_masks = true,
	.interrupt_pin = 1,
	.flr = true,
	.pm = true,
	.mmio = UIOMMUFD_MMIO_FAULT,
	.ext_caps = ext_caps,
	.nr_ext_caps = sizeof(ext_caps) / sizeof(ext_caps[0]),
	.sriov = &sriov,
};

static int igb_create(struct uiommufd_device *dev, const struct uiommufd_option *options,
		      size_t n, struct uiommufd_device_desc *desc,
		      struct uiommufd_device_ops *ops, void **model)
{
	uint8_t mac[6] = {0x02, 0x00, 0x00, 0x82, 0x57, 0x60};
	int err = parse_options(dev, options, n, mac);
	struct igb *g;

	if (err)
		return err;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->dev = dev;
	igb_nvm_init(g, mac);
	pthread_mutex_init(&g->lock, NULL);
	*desc = description;
	*ops = (struct uiommufd_device_ops){
		.destroy = igb_destroy,
		.reset = igb_reset,
		.mmio_read = igb_mmio_read,
		.mmio_write = igb_mmio_write,
		.vfs = igb_set_vfs,
	};
	*model = g;
	return 0;
}

const struct uiommufd_model igb_model = {
	.name = "igb",
	.summary = "Intel 82576 Ethernet controller, in loopback (docs/devices/igb.md)",
	.options = "mac=ADDRESS (02:00:00:82:57:60)",
	.create = igb_create,
};
