/* SPDX-License-Identifier: MIT */
/*
 * Interrupts. There are two sets of causes: ICR, of the whole port, under IMS; and EICR,
 * under EIMS, which has a bit for each vector when MSI-X is in use (GPIE), and a bit for
 * each group of queues otherwise. IVAR says which EICR bit a queue raises, and IVAR_MISC
 * which one ICR does.
 *
 * With MSI-X each EICR bit that is raised while enabled is a message of its vector; the
 * bit is cleared then (EIAC) and masked (EIAM, GPIE.EIAME). Otherwise there is one
 * interrupt: the line follows the enabled causes, and MSI is sent for each new one.
 *
 * Messages are never held back: ITR and EITR keep their values and mean nothing.
 */
#include "devices/igb.h"

#define REG(g, offset) (*igb_reg(g, offset))

static bool multiple_msix(struct igb *g)
{
	return REG(g, IGB_GPIE) & GPIE_MULTIPLE_MSIX;
}

static void send_vectors(struct igb *g, uint32_t bits)
{
	for (unsigned v = 0; v < IGB_VECTORS; v++)
		if (bits >> v & 1)
			uiommufd_irq(g->dev, v);
	igb_count(g, IGB_IAC, (uint32_t)__builtin_popcount(bits));
}

/* EICR's bits @bits were raised, or enabled while they were up. */
static void deliver_extended(struct igb *g, uint32_t bits)
{
	bits &= REG(g, IGB_EICR) & REG(g, IGB_EIMS);
	if (!bits)
		return;
	if (!multiple_msix(g)) {
		uiommufd_irq(g->dev, 0);
		igb_count(g, IGB_IAC, 1);
		return;
	}
	REG(g, IGB_EICR) &= ~(bits & REG(g, IGB_EIAC));
	if (REG(g, IGB_GPIE) & GPIE_EIAME)
		REG(g, IGB_EIMS) &= ~(bits & REG(g, IGB_EIAM));
	send_vectors(g, bits);
}

static void raise_extended(struct igb *g, uint32_t bits)
{
	REG(g, IGB_EICR) |= bits;
	deliver_extended(g, bits);
}

/* The EICR bit that an entry of IVAR names. */
static uint32_t ivar_bit(uint32_t ivar, unsigned byte)
{
	uint32_t entry = ivar >> 8 * byte & 0xff;

	return entry & IVAR_VALID ? 1u << (entry & 0x1f) & EICR_VECTORS : 0;
}

/* Causes of ICR were raised, or enabled while they were up. */
static void deliver(struct igb *g, uint32_t causes)
{
	if (!(causes & REG(g, IGB_ICR) & REG(g, IGB_IMS)))
		return;
	if (multiple_msix(g)) {
		raise_extended(g, ivar_bit(REG(g, IGB_IVAR_MISC), 1));
	} else {
		uiommufd_irq(g->dev, 0);
		igb_count(g, IGB_IAC, 1);
	}
}

void igb_irq_update(struct igb *g)
{
	bool level = !multiple_msix(g) && (REG(g, IGB_ICR) & REG(g, IGB_IMS) ||
					   REG(g, IGB_EICR) & REG(g, IGB_EIMS));

	if (level != g->intx) {
		g->intx = level;
		uiommufd_intx(g->dev, level);
	}
}

void igb_raise(struct igb *g, uint32_t causes)
{
	REG(g, IGB_ICR) |= causes;
	deliver(g, causes);
	igb_irq_update(g);
}

/* IVAR holds queues n and n + 8 in register n: for each the receive queue, then transmit.
 */
void igb_raise_queue(struct igb *g, enum igb_direction direction, unsigned queue)
{
	uint32_t ivar = REG(g, IGB_IVAR + 4 * (queue & 7));
	struct igb_vf *vf = igb_queue_owner(g, queue);

	if (vf) {
		igb_vf_raise_queue(vf, direction, queue);
		return;
	}
	raise_extended(g, ivar_bit(ivar, (queue >> 3) * 2 + (direction == IGB_TX)));
	if (!multiple_msix(g))
		igb_raise(g, direction == IGB_TX ? ICR_TXDW : ICR_RXDW);
}

/* ---- registers ------------------------------------------------------------------- */

static uint32_t read_icr(struct igb *g)
{
	uint32_t active = REG(g, IGB_ICR) & REG(g, IGB_IMS);
	uint32_t value = REG(g, IGB_ICR) | (active ? ICR_INTA : 0);

	if (active)
		REG(g, IGB_IMS) &= ~REG(g, IGB_IAM);
	if (active || !REG(g, IGB_IMS) || REG(g, IGB_GPIE) & GPIE_NSICR)
		REG(g, IGB_ICR) = 0;
	return value;
}

static uint32_t read_eicr(struct igb *g)
{
	uint32_t value = REG(g, IGB_EICR);

	REG(g, IGB_EICR) = 0;
	if (!(REG(g, IGB_GPIE) & GPIE_EIAME))
		REG(g, IGB_EIMS) &= ~(value & REG(g, IGB_EIAM));
	return value;
}

uint32_t igb_irq_read(struct igb *g, uint32_t offset)
{
	uint32_t value;

	switch (offset) {
	case IGB_ICR:
		value = read_icr(g);
		break;
	case IGB_EICR:
		value = read_eicr(g);
		break;
	default: /* the write-only ones: ICS, IMC, EICS, EIMC */
		return 0;
	}
	igb_irq_update(g);
	return value;
}

static void write_eicr(struct igb *g, uint32_t value)
{
	REG(g, IGB_EICR) &= ~value;
	if (!(REG(g, IGB_GPIE) & GPIE_EIAME))
		REG(g, IGB_EIMS) &= ~(value & REG(g, IGB_EIAM));
}

bool igb_irq_write(struct igb *g, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case IGB_ICR:
		REG(g, IGB_ICR) &= ~value;
		break;
	case IGB_ICS:
		igb_raise(g, value & ~ICR_INTA);
		break;
	case IGB_IMS:
		value &= ~(REG(g, IGB_IMS) | ICR_INTA);
		REG(g, IGB_IMS) |= value;
		deliver(g, value);
		break;
	case IGB_IMC:
		REG(g, IGB_IMS) &= ~value;
		break;
	case IGB_EICR:
		write_eicr(g, value);
		break;
	case IGB_EICS:
		raise_extended(g, value & (EICR_VECTORS | EICR_OTHER));
		break;
	case IGB_EIMS:
		value &= (EICR_VECTORS | EICR_OTHER) & ~REG(g, IGB_EIMS);
		REG(g, IGB_EIMS) |= value;
		deliver_extended(g, value);
		break;
	case IGB_EIMC:
		REG(g, IGB_EIMS) &= ~value;
		break;
	default:
		return false;
	}
	igb_irq_update(g);
	return true;
}
