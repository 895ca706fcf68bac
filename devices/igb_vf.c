/* SPDX-License-Identifier: MIT */
/*
 * A virtual function of the 82576. It has its interrupts, and knows whether the link is
 * up; the mailbox keeps what is written to it. Its queues are not there: enabling one
 * does not stick, so a driver finds that out.
 *
 * Registers are 32 bits wide, at the offsets that they have in the physical function.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/igb.h"
#include "devices/models.h"

#define BAR_REGS    0
#define BAR_MSIX    3
#define REGS_BYTES  0x4000u
#define MSIX_BYTES  0x4000u
#define MSIX_PBA    0x2000u
#define VECTORS     3u
#define VECTOR_BITS ((1u << VECTORS) - 1)
#define MAILBOX_TO  0x0800u
#define MAILBOX_END 0x0840u

struct igb_vf {
	struct uiommufd_device *dev;
	struct igb *pf;
	pthread_mutex_t lock; /* before the physical function's, and interrupts' */
	uint32_t eicr, eims, eiac, eiam;
	uint32_t ivar, ivar_misc;
	uint32_t eitr[VECTORS];
	uint32_t mailbox[(MAILBOX_END - MAILBOX_TO) / 4];
};

/* With the lock held. */
static void deliver(struct igb_vf *vf, uint32_t bits)
{
	bits &= vf->eicr & vf->eims;
	vf->eicr &= ~(bits & vf->eiac);
	vf->eims &= ~(bits & vf->eiam);
	for (unsigned v = 0; v < VECTORS; v++)
		if (bits >> v & 1)
			uiommufd_irq(vf->dev, v);
}

static uint32_t read_reg(struct igb_vf *vf, uint64_t offset)
{
	uint32_t value;

	if (offset == IGB_STATUS)
		return igb_link_status(vf->pf);
	if (offset >= MAILBOX_TO && offset < MAILBOX_END)
		return vf->mailbox[(offset - MAILBOX_TO) / 4];
	if (offset >= IGB_EITR && offset < IGB_EITR + 4 * VECTORS)
		return vf->eitr[(offset - IGB_EITR) / 4];
	switch (offset) {
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

static void write_reg(struct igb_vf *vf, uint64_t offset, uint32_t value)
{
	uint32_t bits = value & VECTOR_BITS;

	if (offset >= MAILBOX_TO && offset < MAILBOX_END)
		vf->mailbox[(offset - MAILBOX_TO) / 4] = value;
	if (offset >= IGB_EITR && offset < IGB_EITR + 4 * VECTORS)
		vf->eitr[(offset - IGB_EITR) / 4] = value;
	switch (offset) {
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
	pthread_mutex_lock(&vf->lock);
	value = read_reg(vf, offset & ~UINT64_C(3));
	if (size == 8)
		value |= (uint64_t)read_reg(vf, offset + 4) << 32;
	pthread_mutex_unlock(&vf->lock);
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
	pthread_mutex_lock(&vf->lock);
	write_reg(vf, offset, (uint32_t)value);
	if (size == 8)
		write_reg(vf, offset + 4, (uint32_t)(value >> 32));
	pthread_mutex_unlock(&vf->lock);
}

static void vf_reset(void *model, enum uiommufd_reset kind)
{
	struct igb_vf *vf = model;

	(void)kind;
	pthread_mutex_lock(&vf->lock);
	vf->eicr = vf->eims = vf->eiac = vf->eiam = 0;
	vf->ivar = vf->ivar_misc = 0;
	memset(vf->eitr, 0, sizeof(vf->eitr));
	memset(vf->mailbox, 0, sizeof(vf->mailbox));
	pthread_mutex_unlock(&vf->lock);
}

static void vf_destroy(void *model)
{
	struct igb_vf *vf = model;

	pthread_mutex_destroy(&vf->lock);
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
	.msix_vectors = VECTORS,
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
	if (n || !pf)
		return -EINVAL;
	vf = calloc(1, sizeof(*vf));
	if (!vf)
		return -ENOMEM;
	vf->dev = dev;
	vf->pf = pf;
	pthread_mutex_init(&vf->lock, NULL);
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
