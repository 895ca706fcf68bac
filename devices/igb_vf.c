/* SPDX-License-Identifier: MIT */
/*
 * A virtual function of the 82576: a pool's two queues, three interrupts, a mailbox, and
 * a view of the link. The queues' registers are those of the physical function's register
 * file, at another place; what is here is the rest.
 *
 * Data are moved by the physical function's worker, through the virtual function's own
 * channel: its requests, and faults, are its own, and its reset stops nothing else. A
 * fault stops the queue (igb_ring.c).
 *
 * Registers are 32 bits wide, at the offsets that they have in the physical function. All
 * state is under that function's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/igb.h"
#include "devices/models.h"

#define BAR_REGS      0
#define BAR_MSIX      3
#define REGS_BYTES    0x4000u
#define MSIX_BYTES    0x4000u
#define MSIX_PBA      0x2000u
#define VECTOR_BITS   ((1u << IGB_VF_VECTORS) - 1)
#define MAILBOX_BYTES 0x40u
#define RX_QUEUES     0x2800u /* two of each, 100h bytes apart */
#define TX_QUEUES     0x3800u
#define QUEUE_STRIDE  0x100u

/* ---- interrupts ------------------------------------------------------------------ */

static void deliver(struct igb_vf *vf, uint32_t bits)
{
	bits &= vf->eicr & vf->eims;
	vf->eicr &= ~(bits & vf->eiac);
	vf->eims &= ~(bits & vf->eiam);
	for (unsigned v = 0; v < IGB_VF_VECTORS; v++)
		if (bits >> v & 1)
			uiommufd_irq(vf->dev, v);
}

/* The cause that an entry of IVAR names. */
static void raise_entry(struct igb_vf *vf, uint32_t entry)
{
	uint32_t bits = entry & IVAR_VALID ? 1u << (entry & 3) & VECTOR_BITS : 0;

	vf->eicr |= bits;
	deliver(vf, bits);
}

void igb_vf_raise_queue(struct igb_vf *vf, enum igb_direction direction, unsigned queue)
{
	unsigned byte = queue / IGB_POOLS * 2 + (direction == IGB_TX);

	raise_entry(vf, vf->ivar >> 8 * byte);
}

void igb_vf_raise_mailbox(struct igb_vf *vf)
{
	raise_entry(vf, vf->ivar_misc);
}

/* ---- counters -------------------------------------------------------------------- */

static void count(struct igb_vf *vf, enum igb_vf_counter counter, uint32_t n)
{
	vf->counters[(counter - IGB_VF_COUNTERS) / 4] += n;
}

void igb_vf_count_frame(struct igb_vf *vf, enum igb_direction direction,
			const uint8_t *frame, uint32_t bytes, bool local)
{
	if (direction == IGB_TX) {
		count(vf, local ? IGB_VFGPTLBC : IGB_VFGPTC, 1);
		count(vf, local ? IGB_VFGOTLBC : IGB_VFGOTC, bytes);
		return;
	}
	count(vf, local ? IGB_VFGPRLBC : IGB_VFGPRC, 1);
	count(vf, local ? IGB_VFGORLBC : IGB_VFGORC, bytes);
	if (frame[0] & 1 && !igb_is_broadcast(frame))
		count(vf, IGB_VFMPRC, 1);
}

/* ---- registers ------------------------------------------------------------------- */

/* The worker is between two jobs, or in this. */
void igb_vf_reset_regs(struct igb_vf *vf)
{
	struct igb *g = vf->pf;

	for (unsigned queue = vf->index; queue < IGB_QUEUES; queue += IGB_POOLS) {
		igb_reset_queue(g, IGB_RX, queue);
		igb_reset_queue(g, IGB_TX, queue);
		memset(g->contexts[queue], 0, sizeof(g->contexts[queue]));
	}
	*igb_reg(g, IGB_VFRE) &= ~(1u << vf->index);
	*igb_reg(g, IGB_VFTE) &= ~(1u << vf->index);
	vf->eicr = vf->eims = vf->eiac = vf->eiam = 0;
	vf->ivar = vf->ivar_misc = 0;
	memset(vf->eitr, 0, sizeof(vf->eitr));
	igb_vf_mailbox_reset(vf);
}

/* Where a register is among those of the physical function. 0: it is not there. */
static uint32_t shared_register(const struct igb_vf *vf, uint32_t offset)
{
	uint32_t queue = (offset & (QUEUE_STRIDE * 2 - 1)) / QUEUE_STRIDE;
	uint32_t reg = offset & (QUEUE_STRIDE - 1);
	enum igb_direction direction;

	if (offset >= IGB_VMBMEM && offset < IGB_VMBMEM + MAILBOX_BYTES)
		return offset + MAILBOX_BYTES * vf->index;
	if (offset == IGB_VF_PSRTYPE)
		return IGB_PSRTYPE + 4 * vf->index;
	if (offset == IGB_FRTIMER)
		return offset;
	if (offset - RX_QUEUES < 2 * QUEUE_STRIDE)
		direction = IGB_RX;
	else if (offset - TX_QUEUES < 2 * QUEUE_STRIDE)
		direction = IGB_TX;
	else
		return 0;
	if (reg >= IGB_QUEUE_BYTES)
		return 0;
	return igb_queue_base(direction, vf->index + queue * IGB_POOLS) + reg;
}

/* Like the physical function's, one that is under way is seen. */
static uint32_t read_ctrl(const struct igb_vf *vf)
{
	return vf->pf->vf_resets >> vf->index & 1 ? CTRL_RST : 0;
}

static uint32_t read_reg(struct igb_vf *vf, uint32_t offset)
{
	uint32_t shared = shared_register(vf, offset), value;

	if (shared)
		return igb_read_reg(vf->pf, shared);
	if (offset >= IGB_EITR && offset < IGB_EITR + 4 * IGB_VF_VECTORS)
		return vf->eitr[(offset - IGB_EITR) / 4];
	if (offset >= IGB_VF_COUNTERS && offset <= IGB_VF_COUNTERS_LAST)
		return vf->counters[(offset - IGB_VF_COUNTERS) / 4];
	switch (offset) {
	case IGB_CTRL:
		return read_ctrl(vf);
	case IGB_STATUS:
		return igb_status(vf->pf) & (STATUS_FD | STATUS_LU | STATUS_SPEED_1000);
	case IGB_VF_MAILBOX:
		return igb_vf_mailbox_read(vf);
	case IGB_EIMS:
		return vf->eims;
	case IGB_EIAC:
		return vf->eiac;
	case IGB_EIAM:
		return vf->eiam;
	case IGB_EICR:
		value = vf->eicr;
		vf->eicr = 0;
		return value;
	case IGB_IVAR:
		return vf->ivar;
	case IGB_IVAR_MISC:
		return vf->ivar_misc;
	default:
		return 0;
	}
}

static void write_ctrl(struct igb_vf *vf, uint32_t value)
{
	if (!(value & CTRL_RST))
		return;
	if (vf->pf->busy)
		vf->pf->vf_resets |= 1u << vf->index;
	else
		igb_vf_reset_regs(vf);
}

static void write_reg(struct igb_vf *vf, uint32_t offset, uint32_t value)
{
	uint32_t bits = value & VECTOR_BITS, shared = shared_register(vf, offset);

	/* Nothing gets in while a reset is under way. */
	if (vf->pf->reset_wanted || vf->pf->vf_resets >> vf->index & 1)
		return;
	if (shared) {
		igb_write_reg(vf->pf, shared, value);
		return;
	}
	if (offset >= IGB_EITR && offset < IGB_EITR + 4 * IGB_VF_VECTORS)
		vf->eitr[(offset - IGB_EITR) / 4] = value;
	switch (offset) {
	case IGB_CTRL:
		write_ctrl(vf, value);
		break;
	case IGB_VF_MAILBOX:
		igb_vf_mailbox_write(vf, value);
		break;
	case IGB_EICS:
		vf->eicr |= bits;
		deliver(vf, bits);
		break;
	case IGB_EIMS:
		bits &= ~vf->eims;
		vf->eims |= bits;
		deliver(vf, bits);
		break;
	case IGB_EIMC:
		vf->eims &= ~bits;
		break;
	case IGB_EIAC:
		vf->eiac = bits;
		break;
	case IGB_EIAM:
		vf->eiam = bits;
		break;
	case IGB_EICR:
		vf->eicr &= ~bits;
		break;
	case IGB_IVAR:
		vf->ivar = value;
		break;
	case IGB_IVAR_MISC:
		vf->ivar_misc = value;
		break;
	}
}

static uint64_t vf_mmio_read(void *model, unsigned bar, uint64_t offset, unsigned size)
{
	struct igb_vf *vf = model;
	uint64_t value;

	if (bar != BAR_REGS)
		return 0;
	pthread_mutex_lock(&vf->pf->lock);
	value = read_reg(vf, (uint32_t)offset & ~3u);
	if (size == 8)
		value |= (uint64_t)read_reg(vf, (uint32_t)offset + 4) << 32;
	pthread_mutex_unlock(&vf->pf->lock);
	if (size >= 4)
		return value;
	return value >> (offset & 3) * 8 & ((1u << size * 8) - 1);
}

static void vf_mmio_write(void *model, unsigned bar, uint64_t offset, unsigned size,
			  uint64_t value)
{
	struct igb_vf *vf = model;

	if (bar != BAR_REGS || size < 4)
		return;
	pthread_mutex_lock(&vf->pf->lock);
	write_reg(vf, (uint32_t)offset, (uint32_t)value);
	if (size == 8)
		write_reg(vf, (uint32_t)offset + 4, (uint32_t)(value >> 32));
	pthread_mutex_unlock(&vf->pf->lock);
}

/* ---- the function ---------------------------------------------------------------- */

/* What is done while the worker does nothing. */
static void pause_worker(struct igb *g)
{
	if (g->worker)
		uiommufd_worker_pause(g->worker);
	pthread_mutex_lock(&g->lock);
}

static void resume_worker(struct igb *g)
{
	pthread_mutex_unlock(&g->lock);
	if (g->worker)
		uiommufd_worker_resume(g->worker);
}

void igb_set_vfs(void *model, unsigned n)
{
	struct igb *g = model;

	pause_worker(g);
	g->nr_vfs = n;
	for (unsigned queue = 0; queue < IGB_QUEUES; queue++) {
		g->epochs[IGB_RX][queue]++;
		g->epochs[IGB_TX][queue]++;
	}
	resume_worker(g);
}

static void vf_reset(void *model, enum uiommufd_reset kind)
{
	struct igb_vf *vf = model;
	struct igb *g = vf->pf;

	if (kind == UIOMMUFD_RESET_POWER_ON &&
	    uiommufd_channel_create(vf->dev, &vf->channel))
		vf->channel = NULL;
	pause_worker(g);
	g->vf_resets &= ~(1u << vf->index);
	memset(vf->counters, 0, sizeof(vf->counters));
	igb_vf_reset_regs(vf);
	resume_worker(g);
}

static void vf_destroy(void *model)
{
	struct igb_vf *vf = model;
	struct igb *g = vf->pf;

	pause_worker(g);
	g->vfs[vf->index] = NULL;
	g->vf_resets &= ~(1u << vf->index);
	resume_worker(g);
	uiommufd_channel_destroy(vf->channel);
	free(vf);
}

static const struct uiommufd_device_desc description = {
	.vendor_id = 0x8086,
	.device_id = 0x10ca,
	.subsystem_vendor_id = 0x8086,
	.subsystem_id = 0xa03c,
	.class_code = 0x020000,
	.revision = 1,
	.bars[BAR_REGS] = {.size = REGS_BYTES, .flags = UIOMMUFD_BAR_64BIT},
	.bars[BAR_MSIX] = {.size = MSIX_BYTES, .flags = UIOMMUFD_BAR_64BIT},
	.msix_vectors = IGB_VF_VECTORS,
	.msix_bar = BAR_MSIX,
	.msix_table_offset = 0,
	.msix_pba_offset = MSIX_PBA,
	.flr = true,
};

static int igb_vf_create(struct uiommufd_device *dev,
			 const struct uiommufd_option *options, size_t n,
			 struct uiommufd_device_desc *desc,
			 struct uiommufd_device_ops *ops, void **model)
{
	unsigned index;
	struct igb *pf = uiommufd_pf_model(dev, &index);
	struct igb_vf *vf;

	(void)options;
	if (n || !pf || index >= IGB_VFS)
		return -EINVAL;
	vf = calloc(1, sizeof(*vf));
	if (!vf)
		return -ENOMEM;
	vf->dev = dev;
	vf->pf = pf;
	vf->index = index;
	vf->events = VFMAILBOX_RSTI;
	pthread_mutex_lock(&pf->lock);
	pf->vfs[index] = vf;
	pthread_mutex_unlock(&pf->lock);
	*desc = description;
	*ops = (struct uiommufd_device_ops){
		.destroy = vf_destroy,
		.reset = vf_reset,
		.mmio_read = vf_mmio_read,
		.mmio_write = vf_mmio_write,
	};
	*model = vf;
	return 0;
}

const struct uiommufd_model igb_vf_model = {
	.name = "igb-vf",
	.summary = "a virtual function of an Intel 82576",
	.create = igb_vf_create,
};
