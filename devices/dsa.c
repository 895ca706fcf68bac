/* SPDX-License-Identifier: MIT */
/*
 * The Data Streaming Accelerator as a PCI function: its description, options, reset, and
 * the way of accesses to registers and portals.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/dsa.h"
#include "devices/models.h"
#include "devices/options.h"

#define REGS_BYTES   0x10000
#define MSIX_TABLE   0x2000
#define MSIX_PBA     0x3000

#define XFER_DEFAULT (UINT64_C(2) << 20)
/* No more than queues: drivers give each engine a group, and a group needs a queue. */
#define ENGINES_DEFAULT 4

void dsa_apply(struct dsa *dsa, const struct dsa_effects *fx)
{
	for (unsigned i = 0; i <= dsa->wqs; i++)
		if (fx->irqs >> i & 1)
			uiommufd_irq(dsa->dev, i);
	for (unsigned i = 0; i < dsa->engines; i++)
		if (fx->kicks >> i & 1)
			uiommufd_worker_kick(dsa->engine[i].worker);
}

/* ---- accesses -------------------------------------------------------------------- */

static uint64_t dsa_read(void *model, unsigned bar, uint64_t offset, unsigned size)
{
	struct reg_access a = reg_access(offset, size, 0);
	struct dsa *dsa = model;
	uint64_t word;

	if (bar != DSA_BAR_REGS)
		return reg_extract(UINT64_MAX, offset, size); /* portals */
	pthread_mutex_lock(&dsa->lock);
	word = dsa_regs_read(dsa, a.offset);
	pthread_mutex_unlock(&dsa->lock);
	return reg_extract(word, offset, size);
}

static void dsa_write(void *model, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct reg_access a = reg_access(offset, size, value);
	struct dsa_effects fx = {0};
	struct dsa *dsa = model;

	pthread_mutex_lock(&dsa->lock);
	if (bar == DSA_BAR_REGS)
		dsa_regs_write(dsa, &a, &fx);
	else
		dsa_portal_write(dsa, &a, &fx);
	pthread_mutex_unlock(&dsa->lock);
	dsa_apply(dsa, &fx);
}

/* Registers take nothing from enqcmd. */
static bool write_regs_64(struct dsa *dsa, uint64_t offset, const void *bytes,
			  bool deferrable)
{
	uint64_t word;

	for (unsigned i = 0; !deferrable && i < DSA_DESC_BYTES; i += 8) {
		memcpy(&word, (const char *)bytes + i, 8);
		dsa_write(dsa, DSA_BAR_REGS, offset + i, 8, le64toh(word));
	}
	return !deferrable;
}

static bool dsa_write_64(void *model, unsigned bar, uint64_t offset, const void *bytes,
			 bool deferrable)
{
	struct dsa_effects fx = {0};
	struct dsa *dsa = model;
	bool accepted;

	if (bar == DSA_BAR_REGS)
		return write_regs_64(dsa, offset, bytes, deferrable);
	pthread_mutex_lock(&dsa->lock);
	accepted = dsa_portal_submit(dsa, offset, bytes, deferrable, &fx);
	pthread_mutex_unlock(&dsa->lock);
	dsa_apply(dsa, &fx);
	return accepted;
}

/* ---- the function ---------------------------------------------------------------- */

/* On failure the engine stays without a worker, and the device cannot be enabled. */
static void power_on(struct dsa_engine *e)
{
	e->buffer[0] = malloc(DSA_BUFFER_BYTES);
	e->buffer[1] = malloc(DSA_BUFFER_BYTES);
	if (pattern_init(&e->pattern) || !e->buffer[0] || !e->buffer[1])
		return;
	if (ports_init(&e->ports, e->dsa->dev))
		return;
	if (uiommufd_worker_create(e->dsa->dev, dsa_engine_run, e, &e->worker))
		e->worker = NULL;
}

/* Have the engines abandon what they execute, and find nothing more. */
static void halt_engines(struct dsa *dsa)
{
	pthread_mutex_lock(&dsa->lock);
	dsa->enabled = false;
	for (unsigned i = 0; i < dsa->engines; i++)
		atomic_store(&dsa->engine[i].abort, true);
	pthread_mutex_unlock(&dsa->lock);
}

static void dsa_reset(void *model, enum uiommufd_reset kind)
{
	struct dsa *dsa = model;

	for (unsigned i = 0; kind == UIOMMUFD_RESET_POWER_ON && i < dsa->engines; i++)
		power_on(&dsa->engine[i]);
	halt_engines(dsa);
	for (unsigned i = 0; i < dsa->engines; i++)
		if (dsa->engine[i].worker)
			uiommufd_worker_pause(dsa->engine[i].worker);
	pthread_mutex_lock(&dsa->lock);
	dsa_regs_reset(dsa);
	memset(dsa->swerr, 0, sizeof(dsa->swerr));
	dsa->cmdsts = 0;
	memset(&dsa->command, 0, sizeof(dsa->command));
	pthread_mutex_unlock(&dsa->lock);
	for (unsigned i = 0; i < dsa->engines; i++)
		if (dsa->engine[i].worker)
			uiommufd_worker_resume(dsa->engine[i].worker);
}

static void dsa_destroy(void *model)
{
	struct dsa *dsa = model;

	halt_engines(dsa);
	for (unsigned i = 0; i < dsa->engines; i++) {
		struct dsa_engine *e = &dsa->engine[i];

		uiommufd_worker_destroy(e->worker);
		ports_finish(&e->ports);
		pattern_finish(&e->pattern);
		free(e->buffer[0]);
		free(e->buffer[1]);
	}
	pthread_mutex_destroy(&dsa->lock);
	free(dsa);
}

static uint64_t portals_bytes(unsigned wqs)
{
	uint64_t bytes = DSA_PORTAL_BYTES;

	while (bytes < (uint64_t)wqs * DSA_PORTAL_BYTES)
		bytes *= 2;
	return bytes;
}

/* As the hardware's: PASIDs of 20 bits, which may be privileged; ATS; PRI. */
static const uint8_t pasid_cap[4] = {0x04, DSA_PASID_BITS};
static const uint8_t ats_cap[4] = {0x60};
static const uint8_t pri_cap[12] = {[3] = 0x81, [5] = 2};

static unsigned list_ext_caps(struct dsa *dsa)
{
	unsigned n = 0;

	if (dsa->pasid)
		dsa->ext_caps[n++] = (struct uiommufd_ext_cap){
			.id = 0x1b, .version = 1, .size = 4, .bytes = pasid_cap};
	if (!dsa->pri)
		return n;
	dsa->ext_caps[n++] = (struct uiommufd_ext_cap){
		.id = 0x0f, .version = 1, .size = 4, .bytes = ats_cap};
	dsa->ext_caps[n++] = (struct uiommufd_ext_cap){
		.id = 0x13, .version = 1, .size = 12, .bytes = pri_cap};
	return n;
}

static void describe(struct dsa *dsa, struct uiommufd_device_desc *desc)
{
	*desc = (struct uiommufd_device_desc){
		.vendor_id = 0x8086,
		.device_id = 0x0b25, /* Sapphire Rapids' */
		.subsystem_vendor_id = 0x8086,
		.subsystem_id = 0x0000,
		.class_code = 0x088000,
		.revision = 0,
		.bars[DSA_BAR_REGS] = {.size = REGS_BYTES, .flags = UIOMMUFD_BAR_64BIT},
		.bars[DSA_BAR_PORTALS] = {.size = portals_bytes(dsa->wqs),
					  .flags = UIOMMUFD_BAR_64BIT},
		.msix_vectors = dsa->wqs + 1,
		.msix_bar = DSA_BAR_REGS,
		.msix_table_offset = MSIX_TABLE,
		.msix_pba_offset = MSIX_PBA,
		.flr = true,
		.pm = true,
		.ext_caps = dsa->ext_caps,
		.nr_ext_caps = list_ext_caps(dsa),
		.mmio = UIOMMUFD_MMIO_FAULT,
	};
}

static unsigned order_of(uint64_t power)
{
	return (unsigned)__builtin_ctzll(power);
}

static int dsa_create(struct uiommufd_device *dev, const struct uiommufd_option *options,
		      size_t n, struct uiommufd_device_desc *desc,
		      struct uiommufd_device_ops *ops, void **model)
{
	uint64_t wqs = 8, engines = 0, xfer = XFER_DEFAULT, pasid = 0, pri = 0;
	const struct device_number numbers[] = {
		{"wqs", 1, DSA_MAX_WQS, false, &wqs},
		{"engines", 1, DSA_MAX_ENGINES, false, &engines},
		{"max-transfer", DSA_XFER_MIN, DSA_XFER_MAX, true, &xfer},
		{"pasid", 0, 1, false, &pasid},
		{"pri", 0, 1, false, &pri},
	};
	int err = device_options(dev, "dsa", options, n, numbers, 5);
	struct dsa *dsa;

	if (err)
		return err;
	dsa = calloc(1, sizeof(*dsa));
	if (!dsa)
		return -ENOMEM;
	dsa->dev = dev;
	if (!engines)
		engines = wqs < ENGINES_DEFAULT ? wqs : ENGINES_DEFAULT;
	dsa->wqs = (unsigned)wqs;
	dsa->engines = dsa->groups = (unsigned)engines;
	dsa->pasid = pasid;
	dsa->pri = pri;
	dsa->xfer_order = order_of(xfer);
	pthread_mutex_init(&dsa->lock, NULL);
	for (unsigned i = 0; i < dsa->wqs; i++)
		dsa->wq[i].index = i;
	for (unsigned i = 0; i < dsa->engines; i++)
		dsa->engine[i].dsa = dsa;

	describe(dsa, desc);
	*ops = (struct uiommufd_device_ops){
		.destroy = dsa_destroy,
		.reset = dsa_reset,
		.mmio_read = dsa_read,
		.mmio_write = dsa_write,
		.mmio_write_64 = dsa_write_64,
	};
	*model = dsa;
	return 0;
}

const struct uiommufd_model dsa_model = {
	.name = "dsa",
	.summary = "Intel Data Streaming Accelerator (docs/devices/dsa.md)",
	.options = "wqs=NUMBER (8)\nengines=NUMBER (4, or as many as there are queues)\n"
		   "max-transfer=SIZE (2M)\npasid=0|1 (0): has PASIDs and shared queues\n"
		   "pri=0|1 (0): asks for pages that it finds no translation for",
	.create = dsa_create,
};
