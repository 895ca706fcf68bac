/* SPDX-License-Identifier: MIT */
/*
 * The copy engine as a PCI function: its description, options, reset and registers.
 *
 * Every access is made of 32-bit words, under the lock, so an 8-byte access is one
 * step for the engine. Writes change registers at once; what takes time (executing,
 * stopping) is left to the worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/copy_engine.h"
#include "devices/models.h"
#include "devices/options.h"

#define BAR_REGS     0
#define BAR_VRAM     2

#define REGS_BYTES   0x10000
#define MSIX_TABLE   0xf000
#define MSIX_PBA     0xf800

#define VRAM_MIN     (UINT64_C(1) << 20)
#define VRAM_MAX     (UINT64_C(16) << 30)
#define VRAM_DEFAULT (UINT64_C(16) << 20)
#define VFS_MAX      7 /* functions of one slot */

enum {
	REG_ID = 0x00,
	REG_VERSION = 0x04,
	REG_CAPS = 0x08,
	REG_VRAM_SIZE = 0x10,
	REG_CONTROL = 0x18,
	REG_STATUS = 0x1c,
	REG_RING_BASE = 0x20,
	REG_RING_SIZE = 0x28,
	REG_PRODUCER = 0x30,
	REG_CONSUMER = 0x34,
	REG_INT_ENABLE = 0x38,
	REG_INT_STATUS = 0x3c,
	REG_INT_VECTOR = 0x40,
	REG_ERROR = 0x48,
	REG_ERROR_INDEX = 0x4c,
	REG_ERROR_ADDR = 0x50,
	REG_BYTES = 0x58,
	REG_SCRATCH = 0x60,
	REGS_END = 0x68,
};

/* INT_STATUS is not among them: a one that clears a one is no change. */
static const struct uiommufd_watched watched[] = {
	{BAR_REGS, REG_INT_ENABLE, 4, 1, 0}, {BAR_REGS, REG_INT_VECTOR, 4, 1, 0},
	{BAR_REGS, REG_SCRATCH, 4, 2, 4},    {BAR_REGS, REG_RING_BASE, 4, 2, 4},
	{BAR_REGS, REG_RING_SIZE, 4, 1, 0},  {BAR_REGS, REG_CONTROL, 4, 1, 0},
	{BAR_REGS, REG_PRODUCER, 4, 1, 0},
};

enum {
	CONTROL_ENABLE = 1 << 0,
	CONTROL_SKIP = 1 << 1,
	CONTROL_RETRY = 1 << 2,
	CONTROL_RESET = 1 << 3,
};

enum {
	STATUS_BUSY = 1 << 2,
	STATUS_BAD_DOORBELL = 1 << 3,
};

#define ID_VALUE      0x31454355u
#define VERSION_VALUE 0x00010001u

/* ---- shared with the engine ------------------------------------------------------ */

void copy_engine_raise(struct copy_engine *ce, enum copy_engine_cause cause,
		       unsigned vector, struct copy_engine_effects *fx)
{
	ce->regs.int_status |= cause;
	if (ce->regs.int_enable & cause)
		fx->irqs |= 1u << vector;
}

static uint32_t read_word(const struct copy_engine *ce, uint64_t offset);

/*
 * Watched registers: show them all. From the last to the first, so that who sees a STATUS
 * sees the errors and counters that belong to it.
 */
static void publish(struct copy_engine *ce)
{
	if (!ce->watched)
		return;
	pthread_mutex_lock(&ce->lock);
	for (unsigned at = REGS_END; at > 0; at -= 4)
		uiommufd_mmio_publish(ce->dev, BAR_REGS, at - 4, 4,
				      read_word(ce, at - 4));
	pthread_mutex_unlock(&ce->lock);
}

void copy_engine_apply(struct copy_engine *ce, const struct copy_engine_effects *fx)
{
	publish(ce);
	for (unsigned v = 0; v < COPY_ENGINE_VECTORS; v++)
		if (fx->irqs & (1u << v))
			uiommufd_irq(ce->dev, v);
	if (fx->kick && ce->worker)
		uiommufd_worker_kick(ce->worker);
}

void copy_engine_reset_regs(struct copy_engine *ce)
{
	memset(&ce->regs, 0, sizeof(ce->regs));
}

/* ---- CONTROL and the doorbell ---------------------------------------------------- */

static void clear_error(struct copy_engine_regs *r)
{
	r->error = 0;
	r->error_index = 0;
	r->error_addr = 0;
}

static bool ring_is_legal(const struct copy_engine_regs *r)
{
	uint64_t bytes = (uint64_t)r->ring_size * COPY_ENGINE_DESC_BYTES;

	if (r->ring_size < 2 || r->ring_size > 1u << COPY_ENGINE_MAX_ORDER)
		return false;
	if (r->ring_size & (r->ring_size - 1))
		return false;
	if (r->ring_base % COPY_ENGINE_DESC_BYTES)
		return false;
	return r->ring_base <= UINT64_MAX - (bytes - 1);
}

static void enable(struct copy_engine *ce, struct copy_engine_effects *fx)
{
	struct copy_engine_regs *r = &ce->regs;

	r->producer = 0;
	r->consumer = 0;
	r->bytes = 0;
	r->bad_doorbell = false;
	clear_error(r);
	if (!ce->worker)
		r->error = CE_BROKEN;
	else if (!ring_is_legal(r))
		r->error = CE_BAD_RING;

	r->state = r->error ? CE_HALTED : CE_READY;
	if (r->error)
		copy_engine_raise(ce, CE_ERROR, r->int_vector, fx);
}

static void stop(struct copy_engine *ce, bool reset, struct copy_engine_effects *fx)
{
	struct copy_engine_regs *r = &ce->regs;

	/* Without a thread there is nothing to wait for; nor if it is quiet. */
	if (!ce->worker || r->state == CE_DISABLED) {
		r->state = CE_DISABLED;
		if (reset)
			copy_engine_reset_regs(ce);
		else
			copy_engine_raise(ce, CE_STOPPED, r->int_vector, fx);
		return;
	}
	r->state = CE_STOPPING;
	r->reset_wanted |= reset;
	fx->kick = true;
}

/* SKIP or RETRY in HALTED. An illegal ring cannot be passed by. */
static void go_on(struct copy_engine *ce, uint32_t advance,
		  struct copy_engine_effects *fx)
{
	struct copy_engine_regs *r = &ce->regs;

	if (r->error == CE_BAD_RING || r->error == CE_BROKEN)
		return;
	clear_error(r);
	r->consumer += advance;
	r->state = CE_READY;
	fx->kick = true;
}

static void write_control(struct copy_engine *ce, uint32_t value,
			  struct copy_engine_effects *fx)
{
	enum copy_engine_state state = ce->regs.state;

	if (value & CONTROL_RESET)
		stop(ce, true, fx);
	else if (value & CONTROL_ENABLE && state == CE_DISABLED)
		enable(ce, fx);
	else if (!(value & CONTROL_ENABLE) && (state == CE_READY || state == CE_HALTED))
		stop(ce, false, fx);
	else if (value & CONTROL_SKIP && state == CE_HALTED)
		go_on(ce, 1, fx);
	else if (value & CONTROL_RETRY && state == CE_HALTED)
		go_on(ce, 0, fx);
}

static void write_producer(struct copy_engine *ce, uint32_t value,
			   struct copy_engine_effects *fx)
{
	struct copy_engine_regs *r = &ce->regs;
	uint32_t queued = r->producer - r->consumer;
	uint32_t wanted = value - r->consumer;

	if (r->state != CE_READY && r->state != CE_HALTED)
		return;
	if (wanted < queued || wanted > r->ring_size || r->error == CE_BAD_RING ||
	    r->error == CE_BROKEN) {
		r->bad_doorbell = true;
		copy_engine_raise(ce, CE_ERROR, r->int_vector, fx);
		return;
	}
	r->producer = value;
	fx->kick = true;
}

/* ---- registers ------------------------------------------------------------------- */

static uint32_t read_status(const struct copy_engine_regs *r)
{
	uint32_t status = r->state;

	if (r->state == CE_READY && r->producer != r->consumer)
		status |= STATUS_BUSY;
	if (r->bad_doorbell)
		status |= STATUS_BAD_DOORBELL;
	return status;
}

/* The low or high half of a 64-bit register at @offset. */
static uint32_t half(uint64_t value, uint64_t offset)
{
	return (uint32_t)(offset & 4 ? value >> 32 : value);
}

static void set_half(uint64_t *reg, uint64_t offset, uint32_t value)
{
	unsigned shift = offset & 4 ? 32 : 0;

	*reg &= ~((uint64_t)UINT32_MAX << shift);
	*reg |= (uint64_t)value << shift;
}

static uint32_t read_word(const struct copy_engine *ce, uint64_t offset)
{
	const struct copy_engine_regs *r = &ce->regs;

	switch (offset) {
	case REG_ID:
		return ID_VALUE;
	case REG_VERSION:
		return VERSION_VALUE;
	case REG_CAPS:
		return COPY_ENGINE_PASID_BITS << 16 | COPY_ENGINE_MAX_ORDER << 8 |
		       COPY_ENGINE_VECTORS;
	case REG_VRAM_SIZE:
	case REG_VRAM_SIZE + 4:
		return half(ce->vram_size, offset);
	case REG_CONTROL:
		return r->state == CE_READY || r->state == CE_HALTED ? CONTROL_ENABLE : 0;
	case REG_STATUS:
		return read_status(r);
	case REG_RING_BASE:
	case REG_RING_BASE + 4:
		return half(r->ring_base, offset);
	case REG_RING_SIZE:
		return r->ring_size;
	case REG_PRODUCER:
		return r->producer;
	case REG_CONSUMER:
		return r->consumer;
	case REG_INT_ENABLE:
		return r->int_enable;
	case REG_INT_STATUS:
		return r->int_status;
	case REG_INT_VECTOR:
		return r->int_vector;
	case REG_ERROR:
		return r->error;
	case REG_ERROR_INDEX:
		return r->error_index;
	case REG_ERROR_ADDR:
	case REG_ERROR_ADDR + 4:
		return half(r->error_addr, offset);
	case REG_BYTES:
	case REG_BYTES + 4:
		return half(r->bytes, offset);
	case REG_SCRATCH:
	case REG_SCRATCH + 4:
		return half(r->scratch, offset);
	default:
		return 0;
	}
}

static void write_word(struct copy_engine *ce, uint64_t offset, uint32_t value,
		       struct copy_engine_effects *fx)
{
	struct copy_engine_regs *r = &ce->regs;

	switch (offset) {
	case REG_CONTROL:
		write_control(ce, value, fx);
		break;
	case REG_RING_BASE:
	case REG_RING_BASE + 4:
		if (r->state == CE_DISABLED)
			set_half(&r->ring_base, offset, value);
		break;
	case REG_RING_SIZE:
		if (r->state == CE_DISABLED)
			r->ring_size = value;
		break;
	case REG_PRODUCER:
		write_producer(ce, value, fx);
		break;
	case REG_INT_ENABLE:
		r->int_enable = value & CE_CAUSES;
		break;
	case REG_INT_STATUS:
		r->int_status &= ~value;
		break;
	case REG_INT_VECTOR:
		r->int_vector = value & (COPY_ENGINE_VECTORS - 1);
		break;
	case REG_SCRATCH:
	case REG_SCRATCH + 4:
		set_half(&r->scratch, offset, value);
		break;
	default:
		break;
	}
}

static uint64_t copy_engine_read(void *model, unsigned bar, uint64_t offset,
				 unsigned size)
{
	struct copy_engine *ce = model;
	uint64_t value;

	pthread_mutex_lock(&ce->lock);
	value = read_word(ce, offset & ~UINT64_C(3));
	if (size == 8)
		value |= (uint64_t)read_word(ce, offset + 4) << 32;
	pthread_mutex_unlock(&ce->lock);

	if (size >= 4)
		return value;
	return value >> (offset & 3) * 8 & ((1u << size * 8) - 1);
}

static void copy_engine_write(void *model, unsigned bar, uint64_t offset, unsigned size,
			      uint64_t value)
{
	struct copy_engine_effects fx = {0};
	struct copy_engine *ce = model;

	if (size < 4)
		return;
	pthread_mutex_lock(&ce->lock);
	write_word(ce, offset, (uint32_t)value, &fx);
	if (size == 8)
		write_word(ce, offset + 4, (uint32_t)(value >> 32), &fx);
	pthread_mutex_unlock(&ce->lock);
	copy_engine_apply(ce, &fx);
}

/* ---- the function ---------------------------------------------------------------- */

/* On failure the engine stays without a worker, and says BROKEN when it is enabled. */
static void power_on(struct copy_engine *ce)
{
	ce->watched = uiommufd_mmio_mode(ce->dev) == UIOMMUFD_MMIO_WATCH;
	ce->vram = uiommufd_bar_memory(ce->dev, BAR_VRAM);
	if (!ce->vram || pattern_init(&ce->pattern))
		return;
	if (ports_init(&ce->ports, ce->dev))
		return;
	if (uiommufd_worker_create(ce->dev, copy_engine_run, ce, &ce->worker))
		ce->worker = NULL;
}

static void copy_engine_reset(void *model, enum uiommufd_reset kind)
{
	struct copy_engine *ce = model;

	if (kind == UIOMMUFD_RESET_POWER_ON)
		power_on(ce);
	if (ce->worker)
		uiommufd_worker_pause(ce->worker);
	ce->job.active = false;
	pthread_mutex_lock(&ce->lock);
	copy_engine_reset_regs(ce);
	pthread_mutex_unlock(&ce->lock);
	publish(ce);
	if (ce->worker)
		uiommufd_worker_resume(ce->worker);
}

static void copy_engine_destroy(void *model)
{
	struct copy_engine *ce = model;

	uiommufd_worker_destroy(ce->worker);
	ports_finish(&ce->ports);
	pthread_mutex_destroy(&ce->lock);
	pattern_finish(&ce->pattern);
	free(ce);
}

/* ATS; PRI, whose answers have the PASID of the request; PASID. */
static const uint8_t ats[4];
static const uint8_t page_requests[12] = {[3] = 0x80, [4] = 32};
static const uint8_t pasid[4] = {[1] = COPY_ENGINE_PASID_BITS};
static const struct uiommufd_ext_cap ext_caps[] = {
	{.id = 0x1b, .version = 1, .size = sizeof(pasid), .bytes = pasid},
	{.id = 0x0f, .version = 1, .size = sizeof(ats), .bytes = ats},
	{.id = 0x13, .version = 1, .size = sizeof(page_requests), .bytes = page_requests},
};

/* Without the option it has no more of them than its PASIDs. */
static void describe(const struct copy_engine *ce, struct uiommufd_device_desc *desc)
{
	*desc = (struct uiommufd_device_desc){
		.vendor_id = 0x1234,
		.device_id = 0xce01,
		.subsystem_vendor_id = 0x1234,
		.subsystem_id = 0x0001,
		.class_code = 0x120000,
		.revision = 1,
		.bars[BAR_REGS] = {.size = REGS_BYTES},
		.bars[BAR_VRAM] = {.size = ce->vram_size,
				   .flags = UIOMMUFD_BAR_64BIT | UIOMMUFD_BAR_PREFETCH |
					    UIOMMUFD_BAR_MEMORY},
		.msix_vectors = COPY_ENGINE_VECTORS,
		.msix_bar = BAR_REGS,
		.msix_table_offset = MSIX_TABLE,
		.msix_pba_offset = MSIX_PBA,
		.flr = true,
		.pm = true,
		.ext_caps = ext_caps,
		.nr_ext_caps = ce->pri ? 3 : 1,
		.dma_logging = true,
		.watched = watched,
		.nr_watched = sizeof(watched) / sizeof(watched[0]),
		.sriov = ce->sriov.total ? &ce->sriov : NULL,
	};
}

static int create(struct uiommufd_device *dev, uint64_t vram_size, unsigned vfs, bool pri,
		  struct uiommufd_device_desc *desc, struct uiommufd_device_ops *ops,
		  void **model)
{
	struct copy_engine *ce = calloc(1, sizeof(*ce));

	if (!ce)
		return -ENOMEM;
	ce->dev = dev;
	ce->vram_size = vram_size;
	ce->pri = pri;
	ce->sriov = (struct uiommufd_sriov){
		.total = vfs,
		.offset = 1,
		.stride = 1,
		.vf = &copy_engine_vf_model,
	};
	pthread_mutex_init(&ce->lock, NULL);

	describe(ce, desc);
	*ops = (struct uiommufd_device_ops){
		.destroy = copy_engine_destroy,
		.reset = copy_engine_reset,
		.mmio_read = copy_engine_read,
		.mmio_write = copy_engine_write,
	};
	*model = ce;
	return 0;
}

static int copy_engine_create(struct uiommufd_device *dev,
			      const struct uiommufd_option *options, size_t n,
			      struct uiommufd_device_desc *desc,
			      struct uiommufd_device_ops *ops, void **model)
{
	uint64_t vram_size = VRAM_DEFAULT, vfs = 0, pri = 0;
	const struct device_number numbers[] = {
		{"vram", VRAM_MIN, VRAM_MAX, true, &vram_size},
		{"vfs", 0, VFS_MAX, false, &vfs},
		{"pri", 0, 1, false, &pri},
	};
	int err = device_options(dev, "copy-engine", options, n, numbers, 3);

	return err ? err : create(dev, vram_size, (unsigned)vfs, pri, desc, ops, model);
}

/* A virtual function is a copy engine with the least memory, and an id of its own. */
static int copy_engine_vf_create(struct uiommufd_device *dev,
				 const struct uiommufd_option *options, size_t n,
				 struct uiommufd_device_desc *desc,
				 struct uiommufd_device_ops *ops, void **model)
{
	int err = device_options(dev, "copy-engine-vf", options, n, NULL, 0);

	if (!err)
		err = create(dev, VRAM_MIN, 0, false, desc, ops, model);
	if (!err)
		desc->device_id = 0xce02;
	return err;
}

const struct uiommufd_model copy_engine_model = {
	.name = "copy-engine",
	.summary = "DMA copy engine with local memory (docs/devices/copy-engine.md)",
	.options = "vram=SIZE (16M)\nvfs=NUMBER (0): virtual functions it can have\n"
		   "pri=0|1 (0): asks for pages that it finds no translation for",
	.create = copy_engine_create,
};

const struct uiommufd_model copy_engine_vf_model = {
	.name = "copy-engine-vf",
	.summary = "a virtual function of a copy engine",
	.create = copy_engine_vf_create,
};
