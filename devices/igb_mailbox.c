/* SPDX-License-Identifier: MIT */
/*
 * Mailboxes. Each virtual function shares 64 bytes with the physical one (VMBMEM), and a
 * pair of registers: VFMAILBOX on its side, PFMAILBOX on the other. Who wants to use the
 * memory takes it (VFU or PFU, if the other has not), and gives it back with the write
 * that tells the other: REQ and STS of a message, ACK of its receipt. The virtual
 * function is told by events in VFMAILBOX, which reading takes away, and the interrupt of
 * IVAR_MISC; the physical one by MBVFICR, and ICR.VMMB for those that MBVFIMR lets
 * through.
 *
 * Memory and owners are in the physical function's register file (PFMAILBOX), events are
 * the virtual function's. VFLRE remembers which of them were reset. While RSTI is up the
 * physical function is not ready for them; its driver ends that by CTRL_EXT.PFRSTD.
 *
 * What is in the messages is the drivers' affair. All of it with the lock held.
 */
#include <string.h>

#include "devices/igb.h"

#define REG(g, offset) (*igb_reg(g, offset))

#define MAILBOX_BYTES  64u
#define TAKEN_BY_READ  (VFMAILBOX_PFSTS | VFMAILBOX_PFACK | VFMAILBOX_RSTD)

static uint32_t *owner_of(struct igb *g, unsigned pool)
{
	return igb_reg(g, IGB_PFMAILBOX + 4 * pool);
}

/* Take or give back, if the other has not taken it. */
static void own(uint32_t *owner, uint32_t mine, uint32_t theirs, bool want)
{
	if (!want)
		*owner &= ~mine;
	else if (!(*owner & theirs))
		*owner |= mine;
}

/* ---- by the physical function ---------------------------------------------------- */

static void tell_vf(struct igb *g, unsigned pool, uint32_t value)
{
	struct igb_vf *vf = pool < IGB_VFS ? g->vfs[pool] : NULL;
	uint32_t events = (value & PFMAILBOX_STS ? VFMAILBOX_PFSTS : 0) |
			  (value & PFMAILBOX_ACK ? VFMAILBOX_PFACK : 0);

	if (!vf || !events)
		return;
	vf->events |= events;
	igb_vf_raise_mailbox(vf);
}

static void write_mailbox(struct igb *g, unsigned pool, uint32_t value)
{
	uint32_t *owner = owner_of(g, pool);

	if (value & PFMAILBOX_RVFU) {
		*owner &= ~MAILBOX_VFU;
		REG(g, IGB_MBVFICR) &= ~(MBVFICR_REQ(pool) | MBVFICR_ACK(pool));
	}
	own(owner, MAILBOX_PFU, MAILBOX_VFU, value & MAILBOX_PFU);
	tell_vf(g, pool, value);
}

bool igb_mailbox_write(struct igb *g, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case IGB_MBVFICR:
	case IGB_VFLRE:
		REG(g, offset) &= ~value;
		return true;
	}
	if (offset < IGB_PFMAILBOX || offset >= IGB_PFMAILBOX + 4 * IGB_POOLS)
		return false;
	write_mailbox(g, (offset - IGB_PFMAILBOX) / 4, value);
	return true;
}

static void tell_all(struct igb *g, uint32_t clear, uint32_t set)
{
	for (unsigned i = 0; i < IGB_VFS; i++)
		if (g->vfs[i])
			g->vfs[i]->events = (g->vfs[i]->events & ~clear) | set;
}

void igb_mailbox_pf_reset(struct igb *g)
{
	tell_all(g, TAKEN_BY_READ, VFMAILBOX_RSTI);
}

void igb_mailbox_pf_ready(struct igb *g)
{
	tell_all(g, VFMAILBOX_RSTI, VFMAILBOX_RSTD);
}

/* ---- by a virtual function ------------------------------------------------------- */

uint32_t igb_vf_mailbox_read(struct igb_vf *vf)
{
	uint32_t value = *owner_of(vf->pf, vf->index) | vf->events;

	vf->events &= ~TAKEN_BY_READ;
	return value;
}

void igb_vf_mailbox_write(struct igb_vf *vf, uint32_t value)
{
	struct igb *g = vf->pf;
	uint32_t causes = (value & VFMAILBOX_REQ ? MBVFICR_REQ(vf->index) : 0) |
			  (value & VFMAILBOX_ACK ? MBVFICR_ACK(vf->index) : 0);

	own(owner_of(g, vf->index), MAILBOX_VFU, MAILBOX_PFU, value & MAILBOX_VFU);
	REG(g, IGB_MBVFICR) |= causes;
	if (causes && REG(g, IGB_MBVFIMR) >> vf->index & 1)
		igb_raise(g, ICR_VMMB);
}

/* What one client has written there, the next one does not read. */
void igb_vf_mailbox_reset(struct igb_vf *vf)
{
	struct igb *g = vf->pf;

	memset(igb_reg(g, IGB_VMBMEM + MAILBOX_BYTES * vf->index), 0, MAILBOX_BYTES);
	*owner_of(g, vf->index) &= ~MAILBOX_VFU;
	vf->events &= ~TAKEN_BY_READ;
	REG(g, IGB_MBVFICR) &= ~(MBVFICR_REQ(vf->index) | MBVFICR_ACK(vf->index));
	REG(g, IGB_VFLRE) |= 1u << vf->index;
	igb_raise(g, ICR_VMMB);
}
