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

/* In configuration space. */
enum {
	CONFIG_AT = 0x148, /* DMAUNCERRSTS: no parity errors here */
	CONFIG_CHANERR_INT = 0x180,
	CONFIG_CHANERRMASK_INT = 0x184,
	CONFIG_END = 0x188,
};

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

static uint8_t intrctrl(const struct ioat *ioat)
{
	uint8_t value = ioat->intrctrl;

	if (ioat->attention)
		value |= IOAT_INT_STATUS;
	if (ioat->attention && ioat->intrctrl & IOAT_INT_MASTER)
		value |= IOAT_INT_PENDING;
	return value;
}

/* INTx is for drivers that have not chosen a vector for each channel. */
static void update_intx(struct ioat *ioat)
{
	bool level;

	pthread_mutex_lock(&ioat->intx_lock);
	pthread_mutex_lock(&ioat->lock);
	level = intrctrl(ioat) & IOAT_INT_PENDING && !(ioat->intrctrl & IOAT_INT_MSIX);
	pthread_mutex_unlock(&ioat->lock);
	if (level != ioat->intx_level)
		uiommufd_intx(ioat->dev, level);
	ioat->intx_level = level;
	pthread_mutex_unlock(&ioat->intx_lock);
}

void ioat_apply(struct ioat *ioat, const struct ioat_effects *fx)
{
	if (fx->intx)
		update_intx(ioat);
	for (unsigned i = 0; i < ioat->channels; i++) {
		if (fx->irqs & (1u << i))
			uiommufd_irq(ioat->dev, i);
		if (fx->kicks & (1u << i))
			uiommufd_worker_kick(ioat->channel[i].worker);
	}
}

/* ---- general registers ----------------------------------------------------------- */

/* Reading has effects: INTRCTRL drops MASTER, ATTNSTATUS is cleared. */
static uint64_t read_general(struct ioat *ioat, const struct reg_access *a,
			     struct ioat_effects *fx)
{
	uint64_t word = ioat->channels | (uint64_t)IOAT_XFER_ORDER << AT_XFERCAP * 8 |
			(uint64_t)intrctrl(ioat) << AT_INTRCTRL * 8 |
			(uint64_t)ioat->attention << AT_ATTNSTATUS * 8;

	fx->intx = true;
	if (reg_covers(a, AT_INTRCTRL, 1))
		ioat->intrctrl &= (uint8_t)~IOAT_INT_MASTER;
	if (reg_covers(a, AT_ATTNSTATUS, 4))
		ioat->attention = 0;
	return word;
}

static uint64_t read_word(struct ioat *ioat, const struct reg_access *a,
			  struct ioat_effects *fx)
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
		return read_general(ioat, a, fx);
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
		fx->intx = true;
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
	struct ioat_effects fx = {0};
	struct ioat *ioat = model;
	uint64_t word;

	pthread_mutex_lock(&ioat->lock);
	word = read_word(ioat, &a, &fx);
	pthread_mutex_unlock(&ioat->lock);
	ioat_apply(ioat, &fx);
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

/* ---- configuration space --------------------------------------------------------- */

void ioat_note_error(struct ioat *ioat, uint32_t error)
{
	ioat->error_int |= error & ~ioat->error_int_mask;
}

static uint32_t config_word(const struct ioat *ioat, unsigned offset)
{
	switch (offset) {
	case CONFIG_CHANERR_INT:
		return ioat->error_int;
	case CONFIG_CHANERRMASK_INT:
		return ioat->error_int_mask;
	default:
		return 0;
	}
}

static uint32_t ioat_config_read(void *model, unsigned offset, unsigned size)
{
	struct ioat *ioat = model;
	uint32_t word;

	pthread_mutex_lock(&ioat->lock);
	word = config_word(ioat, offset & ~3u);
	pthread_mutex_unlock(&ioat->lock);
	return (uint32_t)reg_extract(word, offset & 3, size);
}

static void ioat_config_write(void *model, unsigned offset, unsigned size, uint32_t value)
{
	struct reg_access a = reg_access(offset & 3, size, value);
	struct ioat *ioat = model;

	pthread_mutex_lock(&ioat->lock);
	if ((offset & ~3u) == CONFIG_CHANERR_INT)
		ioat->error_int &= ~(uint32_t)a.value;
	else if ((offset & ~3u) == CONFIG_CHANERRMASK_INT)
		ioat->error_int_mask =
			(uint32_t)reg_field(&a, 0, 4, ioat->error_int_mask);
	pthread_mutex_unlock(&ioat->lock);
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
	pthread_mutex_lock(&ioat->intx_lock);
	ioat->intx_level = false; /* the machine lowers it */
	pthread_mutex_unlock(&ioat->intx_lock);
	pthread_mutex_lock(&ioat->lock);
	for (unsigned i = 0; i < ioat->channels; i++)
		ioat_channel_reset(&ioat->channel[i]);
	ioat->intrctrl = 0;
	ioat->int_delay = 0;
	ioat->error_int = ioat->error_int_mask = 0;
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
	pthread_mutex_destroy(&ioat->intx_lock);
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
		.interrupt_pin = 1,
		.flr = true,
		.pm = true,
		.mmio = UIOMMUFD_MMIO_FAULT,
		.config_offset = CONFIG_AT,
		.config_size = CONFIG_END - CONFIG_AT,
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
	pthread_mutex_init(&ioat->intx_lock, NULL);
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
		.config_read = ioat_config_read,
		.config_write = ioat_config_write,
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
