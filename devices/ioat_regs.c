/* SPDX-License-Identifier: MIT */
/*
 * A channel's registers, and how writes to them move it from state to state.
 *
 * HALTED, SUSPENDED, IDLE and ARMED change at once. In ACTIVE the worker owns the next
 * step: SUSPEND and RESET are noted, and take effect between two descriptors.
 */
#include "devices/ioat.h"

/* Words of a channel's registers. */
enum {
	WORD_CONTROL = 0x00, /* CHANCTRL, DMACOMP, CHANCMD, DMACOUNT */
	WORD_STATUS = 0x08,
	WORD_CHAIN = 0x10,
	WORD_COMPLETION = 0x18,
	WORD_CURRENT = 0x20,
	WORD_ERROR = 0x28, /* CHANERR, CHANERRMASK */
	WORD_DCA = 0x30,
};

/* Bytes in WORD_CONTROL. */
enum {
	AT_CHANCTRL = 0,
	AT_DMACOMP = 2,
	AT_CHANCMD = 4,
	AT_DMACOUNT = 6,
};

#define DMACOMP_VALUE   0x0002 /* registers are laid out as in version 2 */
#define COMPLETION_MASK (~UINT64_C(7))
#define CHAIN_MASK      (~UINT64_C(63))
#define DCA_MASK        UINT64_C(0x1ffff)

void ioat_channel_reset(struct ioat_channel *ch)
{
	ch->regs = (struct ioat_channel_regs){.state = IOAT_HALTED};
	ch->ioat->attention &= ~(1u << ch->index);
}

uint64_t ioat_channel_status(uint64_t completed, enum ioat_state state)
{
	return (completed & CHAIN_MASK) | state;
}

void ioat_raise(struct ioat_channel *ch, struct ioat_effects *fx)
{
	struct ioat *ioat = ch->ioat;

	ioat->attention |= 1u << ch->index;
	fx->intx = true;
	if (ch->regs.int_disabled) {
		ch->regs.int_missed = true;
		return;
	}
	if (ioat->intrctrl & IOAT_INT_MSIX)
		fx->irqs |= 1u << ch->index;
	else if (ioat->intrctrl & IOAT_INT_MASTER)
		fx->irqs |= 1u;
	else
		return;
	ch->regs.int_disabled = true;
}

/* ---- reading --------------------------------------------------------------------- */

static uint64_t read_control(const struct ioat_channel_regs *r)
{
	uint64_t control = r->control | (r->int_disabled ? IOAT_CTRL_INT_DISABLE : 0);
	uint64_t command = (r->suspend_wanted ? IOAT_CMD_SUSPEND : 0) |
			   (r->reset_wanted ? IOAT_CMD_RESET : 0);

	return control | (uint64_t)DMACOMP_VALUE << AT_DMACOMP * 8 |
	       command << AT_CHANCMD * 8 | (uint64_t)r->count << AT_DMACOUNT * 8;
}

uint64_t ioat_channel_read(const struct ioat_channel *ch, uint64_t offset)
{
	const struct ioat_channel_regs *r = &ch->regs;

	switch (offset) {
	case WORD_CONTROL:
		return read_control(r);
	case WORD_STATUS:
		return ioat_channel_status(r->completed, r->state);
	case WORD_CHAIN:
		return r->chain;
	case WORD_COMPLETION:
		return r->completion;
	case WORD_CURRENT:
		return r->current;
	case WORD_ERROR:
		return r->error | (uint64_t)r->error_mask << 32;
	case WORD_DCA:
		return r->dca;
	default:
		return 0;
	}
}

/* ---- writing --------------------------------------------------------------------- */

static void write_chanctrl(struct ioat_channel *ch, uint16_t value,
			   struct ioat_effects *fx)
{
	struct ioat_channel_regs *r = &ch->regs;

	r->control = value & IOAT_CTRL_KEPT;
	if (!(value & IOAT_CTRL_INT_DISABLE))
		return;
	r->int_disabled = false;
	if (r->int_missed) {
		r->int_missed = false;
		ioat_raise(ch, fx);
	}
}

static void write_chancmd(struct ioat_channel *ch, uint8_t value, struct ioat_effects *fx)
{
	struct ioat_channel_regs *r = &ch->regs;
	bool active = r->state == IOAT_ACTIVE;

	if (value & IOAT_CMD_RESET) {
		if (active)
			r->reset_wanted = true;
		else
			ioat_channel_reset(ch);
	} else if (value & IOAT_CMD_SUSPEND) {
		if (active)
			r->suspend_wanted = true;
		else if (r->state != IOAT_HALTED)
			r->state = IOAT_SUSPENDED;
	}
	if (active)
		fx->kicks |= 1u << ch->index;
}

static void write_dmacount(struct ioat_channel *ch, uint16_t value,
			   struct ioat_effects *fx)
{
	struct ioat_channel_regs *r = &ch->regs;

	if (r->state == IOAT_HALTED)
		return;
	r->count = value;
	if (r->count == r->done)
		return;
	if (!ch->worker) {
		r->state = IOAT_HALTED;
		r->error |= IOAT_ERR_UNAFFILIATED;
		return;
	}
	r->state = IOAT_ACTIVE;
	fx->kicks |= 1u << ch->index;
}

/* A new chain: the counters begin anew. Errors must have been cleared before. */
static void write_chain(struct ioat_channel *ch, const struct reg_access *a)
{
	struct ioat_channel_regs *r = &ch->regs;

	if (r->state == IOAT_ACTIVE)
		return;
	reg_store(&r->chain, a, UINT64_MAX);
	if (r->error)
		return;
	r->next = r->chain;
	r->count = r->done = 0;
	r->completed = 0;
	r->begun = false;
	r->state = IOAT_ARMED;
}

static void write_error(struct ioat_channel_regs *r, const struct reg_access *a)
{
	r->error &= ~(uint32_t)a->value;
	r->error_mask = (uint32_t)reg_field(a, 4, 4, r->error_mask);
}

static void write_control(struct ioat_channel *ch, const struct reg_access *a,
			  struct ioat_effects *fx)
{
	struct ioat_channel_regs *r = &ch->regs;

	if (reg_covers(a, AT_CHANCTRL, 2))
		write_chanctrl(ch, (uint16_t)reg_field(a, AT_CHANCTRL, 2, r->control),
			       fx);
	if (reg_covers(a, AT_CHANCMD, 1))
		write_chancmd(ch, (uint8_t)reg_field(a, AT_CHANCMD, 1, 0), fx);
	if (reg_covers(a, AT_DMACOUNT, 2))
		write_dmacount(ch, (uint16_t)reg_field(a, AT_DMACOUNT, 2, r->count), fx);
}

void ioat_channel_write(struct ioat_channel *ch, const struct reg_access *a,
			struct ioat_effects *fx)
{
	switch (a->offset) {
	case WORD_CONTROL:
		write_control(ch, a, fx);
		break;
	case WORD_CHAIN:
		write_chain(ch, a);
		break;
	case WORD_COMPLETION:
		reg_store(&ch->regs.completion, a, COMPLETION_MASK);
		break;
	case WORD_ERROR:
		write_error(&ch->regs, a);
		break;
	case WORD_DCA:
		reg_store(&ch->regs.dca, a, DCA_MASK);
		break;
	default:
		break;
	}
}
