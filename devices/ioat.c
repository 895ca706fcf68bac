/* SPDX-License-Identifier: MIT */
/*
 * The I/OAT DMA engine as a PCI function: its description, options, reset, and the
 * registers that belong to no channel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/ioat.h"
#include "devices/models.h"
#include "devices/options.h"

#define BAR_REGS     0
#define REGS_BYTES   0x4000
#define MSIX_TABLE   0x2000
#define MSIX_PBA     0x3000

#define VERSION      0x33 /* 3.3 */
#define CAP_FILL     0x40 /* DMACAPABILITY: block fill */
#define INT_DELAY    0x3fff
#define INTRCTRL_RW  (IOAT_INT_MASTER | IOAT_INT_MSIX)
#define CHANNEL_REGS 0x80 /* where the first channel's begin */

/* Words of the general registers. */
enum {
	WORD_GENERAL = 0x00,    /* CHANCNT, XFERCAP, GENCTRL, INTRCTRL, ATTNSTATUS */
	WORD_VERSION = 0x08,    /* CBVER, PERPORTOFFSET, INTRDELAY, CS_STATUS */
	WORD_CAPABILITY = 0x10, /* DMACAPABILITY, DCAOFFSET */
};

/* Bytes in WORD_GENERAL, and in WORD_VERSION. */
enum {
	AT_XFERCAP = 1,
	AT_INTRCTRL = 3,
	AT_ATTNSTATUS = 4,
	AT_INTRDELAY = 4,
};

void ioat_apply(struct ioat *ioat, const struct ioat_effects *fx)
{
	for (unsigned i = 0; i < ioat->channels; i++) {
		if (fx->irqs & (1u << i))
			uiommufd_irq(ioat->dev, i);
		if (fx->kicks & (1u << i))
			uiommufd_worker_kick(ioat->channel[i].worker);
	}
}

/* ---- general registers ----------------------------------------------------------- */

static uint8_t intrctrl(const struct ioat *ioat)
{
	uint8_t value = ioat->intrctrl;

	if (ioat->attention)
		value |= IOAT_INT_STATUS;
	if (ioat->attention && ioat->intrctrl & IOAT_INT_MASTER)
		value |= IOAT_INT_PENDING;
	return value;
}

/* Reading has effects: INTRCTRL drops MASTER, ATTNSTATUS is cleared. */
static uint64_t read_general(struct ioat *ioat, const struct reg_access *a)
{
	uint64_t word = ioat->channels | (uint64_t)IOAT_XFER_ORDER << AT_XFERCAP * 8 |
			(uint64_t)intrctrl(ioat) << AT_INTRCTRL * 8 |
			(uint64_t)ioat->attention << AT_ATTNSTATUS * 8;

	if (reg_covers(a, AT_INTRCTRL, 1))
		ioat->intrctrl &= (uint8_t)~IOAT_INT_MASTER;
	if (reg_covers(a, AT_ATTNSTATUS, 4))
		ioat->attention = 0;
	return word;
}

static uint64_t read_word(struct ioat *ioat, const struct reg_access *a)
{
	uint64_t channel = a->offset / IOAT_CHANNEL_BYTES - 1;

	if (a->offset >= CHANNEL_REGS) {
		if (channel >= ioat->channels)
			return 0;
		return ioat_channel_read(&ioat->channel[channel],
					 a->offset % IOAT_CHANNEL_BYTES);
	}
	switch (a->offset) {
	case WORD_GENERAL:
		return read_general(ioat, a);
	case WORD_VERSION:
		return VERSION | (uint64_t)ioat->int_delay << AT_INTRDELAY * 8;
	case WORD_CAPABILITY:
		return CAP_FILL;
	default:
		return 0;
	}
}

static void write_word(struct ioat *ioat, const struct reg_access *a,
		       struct ioat_effects *fx)
{
	uint64_t channel = a->offset / IOAT_CHANNEL_BYTES - 1;
	struct reg_access inside = *a;

	if (a->offset >= CHANNEL_REGS) {
		inside.offset %= IOAT_CHANNEL_BYTES;
		if (channel < ioat->channels)
			ioat_channel_write(&ioat->channel[channel], &inside, fx);
	} else if (a->offset == WORD_GENERAL) {
		ioat->intrctrl =
			reg_field(a, AT_INTRCTRL, 1, ioat->intrctrl) & INTRCTRL_RW;
	} else if (a->offset == WORD_VERSION) {
		ioat->int_delay =
			reg_field(a, AT_INTRDELAY, 2, ioat->int_delay) & INT_DELAY;
	}
}

static uint64_t ioat_read(void *model, unsigned bar, uint64_t offset, unsigned size)
{
	struct reg_access a = reg_access(offset, size, 0);
	struct ioat *ioat = model;
	uint64_t word;

	pthread_mutex_lock(&ioat->lock);
	word = read_word(ioat, &a);
	pthread_mutex_unlock(&ioat->lock);
	return reg_extract(word, offset, size);
}

static void ioat_write(void *model, unsigned bar, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct reg_access a = reg_access(offset, size, value);
	struct ioat_effects fx = {0};
	struct ioat *ioat = model;

	pthread_mutex_lock(&ioat->lock);
	write_word(ioat, &a, &fx);
	pthread_mutex_unlock(&ioat->lock);
	ioat_apply(ioat, &fx);
}

/* ---- the function ---------------------------------------------------------------- */

/* On failure the channel stays without a worker, and halts when it is started. */
static void power_on(struct ioat_channel *ch)
{
	if (pattern_init(&ch->pattern))
		return;
	if (uiommufd_channel_create(ch->ioat->dev, &ch->dma))
		return;
	if (uiommufd_worker_create(ch->ioat->dev, ioat_channel_run, ch, &ch->worker))
		ch->worker = NULL;
}

static void ioat_reset(void *model, enum uiommufd_reset kind)
{
	struct ioat *ioat = model;

	for (unsigned i = 0; i < ioat->channels; i++) {
		if (kind == UIOMMUFD_RESET_POWER_ON)
			power_on(&ioat->channel[i]);
		if (ioat->channel[i].worker)
			uiommufd_worker_pause(ioat->channel[i].worker);
	}
	pthread_mutex_lock(&ioat->lock);
	for (unsigned i = 0; i < ioat->channels; i++)
		ioat_channel_reset(&ioat->channel[i]);
	ioat->intrctrl = 0;
	ioat->int_delay = 0;
	pthread_mutex_unlock(&ioat->lock);
	for (unsigned i = 0; i < ioat->channels; i++)
		if (ioat->channel[i].worker)
			uiommufd_worker_resume(ioat->channel[i].worker);
}

static void ioat_destroy(void *model)
{
	struct ioat *ioat = model;

	for (unsigned i = 0; i < ioat->channels; i++) {
		struct ioat_channel *ch = &ioat->channel[i];

		uiommufd_worker_destroy(ch->worker);
		uiommufd_channel_destroy(ch->dma);
		pattern_finish(&ch->pattern);
	}
	pthread_mutex_destroy(&ioat->lock);
	free(ioat);
}

static void describe(unsigned channels, struct uiommufd_device_desc *desc)
{
	*desc = (struct uiommufd_device_desc){
		.vendor_id = 0x8086,
		.device_id = 0x2021, /* Skylake's */
		.subsystem_vendor_id = 0x8086,
		.subsystem_id = 0x0000,
		.class_code = 0x088000,
		.revision = 4,
		.bars[BAR_REGS] = {.size = REGS_BYTES, .flags = UIOMMUFD_BAR_64BIT},
		.msix_vectors = channels,
		.msix_bar = BAR_REGS,
		.msix_table_offset = MSIX_TABLE,
		.msix_pba_offset = MSIX_PBA,
		.flr = true,
		.pm = true,
	};
}

static int ioat_create(struct uiommufd_device *dev, const struct uiommufd_option *options,
		       size_t n, struct uiommufd_device_desc *desc,
		       struct uiommufd_device_ops *ops, void **model)
{
	uint64_t channels = 1;
	const struct device_number numbers[] = {
		{"channels", 1, IOAT_MAX_CHANNELS, false, &channels},
	};
	int err = device_options(dev, "ioat", options, n, numbers, 1);
	struct ioat *ioat;

	if (err)
		return err;
	ioat = calloc(1, sizeof(*ioat));
	if (!ioat)
		return -ENOMEM;
	ioat->dev = dev;
	ioat->channels = (unsigned)channels;
	pthread_mutex_init(&ioat->lock, NULL);
	for (unsigned i = 0; i < ioat->channels; i++) {
		ioat->channel[i].ioat = ioat;
		ioat->channel[i].index = i;
	}

	describe(ioat->channels, desc);
	*ops = (struct uiommufd_device_ops){
		.destroy = ioat_destroy,
		.reset = ioat_reset,
		.mmio_read = ioat_read,
		.mmio_write = ioat_write,
	};
	*model = ioat;
	return 0;
}

const struct uiommufd_model ioat_model = {
	.name = "ioat",
	.summary = "Intel I/OAT DMA engine, CBDMA (docs/devices/ioat.md)",
	.options = "channels=NUMBER (1)",
	.create = ioat_create,
};
