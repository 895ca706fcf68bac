/* SPDX-License-Identifier: MIT */
/*
 * CMD: one command at a time. What can be done at once is; a command that has to wait
 * notes in `until` which descriptors it waits for, and dsa_command_progress() ends it.
 *
 * Drain waits for what was submitted before it. Disable also stops accepting. Abort and
 * reset drop what is queued, and have the engines abandon what they execute, without a
 * completion record. Those about a PASID wait for all queues, which is more than they
 * need to, and drop and abandon what is the PASID's.
 */
#include "devices/dsa.h"

enum {
	CMD_ENABLE_DEVICE = 1,
	CMD_DISABLE_DEVICE = 2,
	CMD_DRAIN_ALL = 3,
	CMD_ABORT_ALL = 4,
	CMD_RESET_DEVICE = 5,
	CMD_ENABLE_WQ = 6,
	CMD_DISABLE_WQ = 7,
	CMD_DRAIN_WQ = 8,
	CMD_ABORT_WQ = 9,
	CMD_RESET_WQ = 10,
	CMD_DRAIN_PASID = 11,
	CMD_ABORT_PASID = 12,
};

/* CMDSTS, bits 7:0 */
enum {
	ERR_NONE = 0x00,
	ERR_BAD_COMMAND = 0x01,
	ERR_BAD_WQ = 0x02,
	ERR_HARDWARE = 0x03,
	ERR_DEVICE_ENABLED = 0x10,
	ERR_TOTAL_SIZE = 0x14,
	ERR_GROUP = 0x15,         /* has queues but no engine, or engines but no queue */
	ERR_GROUP_WQS = 0x16,     /* a queue is in two, or has no size, or is in none */
	ERR_GROUP_ENGINES = 0x17, /* an engine is in two groups */
	ERR_DEVICE_DISABLED = 0x20,
	ERR_WQ_ENABLED = 0x21,
	ERR_WQ_SIZE = 0x22,
	ERR_WQ_PRIORITY = 0x23,
	ERR_WQ_MODE = 0x24,
	ERR_WQ_BLOCK = 0x25,
	ERR_WQ_PASID = 0x26,
	ERR_WQ_BATCH = 0x27,
	ERR_WQ_XFER = 0x28,
	ERR_WQ_NO_ATS = 0x2c,
	ERR_WQ_NO_PRS = 0x2e,
	ERR_NOT_ENABLED = 0x31,
	ERR_WQ_NOT_ENABLED = 0x32,
};

#define WQ_PRIORITY   (UINT64_C(15) << 4)
#define CMD_INTERRUPT (1u << 31)

static unsigned wq_size(const struct dsa_wq *wq)
{
	return (unsigned)(wq->config[DSA_WQ_SIZE] & 0xffff);
}

static unsigned all_wqs(const struct dsa *dsa)
{
	return (1u << dsa->wqs) - 1;
}

static void end(struct dsa *dsa, uint32_t error, struct dsa_effects *fx)
{
	dsa->cmdsts = error;
	dsa->command.active = false;
	if (!dsa->command.interrupt)
		return;
	dsa->intcause |= DSA_CAUSE_COMMAND;
	fx->irqs |= 1u << DSA_VECTOR_MISC;
}

/* ---- enabling -------------------------------------------------------------------- */

static uint32_t check_groups(const struct dsa *dsa)
{
	uint64_t wqs = 0, engines = 0, active = 0;

	for (unsigned i = 0; i < dsa->wqs; i++)
		active |= (uint64_t)(wq_size(&dsa->wq[i]) != 0) << i;
	for (unsigned i = 0; i < dsa->groups; i++) {
		const struct dsa_group *g = &dsa->group[i];

		if (!g->wqs != !g->engines)
			return ERR_GROUP;
		if (g->wqs & wqs)
			return ERR_GROUP_WQS;
		if (g->engines & engines)
			return ERR_GROUP_ENGINES;
		wqs |= g->wqs;
		engines |= g->engines;
	}
	return wqs == active ? ERR_NONE : ERR_GROUP_WQS;
}

/* The group that queue or engine @index is in; -1: none. */
static int group_of(const struct dsa *dsa, unsigned index, bool engine)
{
	for (unsigned g = 0; g < dsa->groups; g++) {
		uint64_t members = engine ? dsa->group[g].engines : dsa->group[g].wqs;

		if (members >> index & 1)
			return (int)g;
	}
	return -1;
}

static uint32_t enable_device(struct dsa *dsa)
{
	unsigned total = 0;
	uint32_t error;

	if (dsa->enabled)
		return ERR_DEVICE_ENABLED;
	for (unsigned i = 0; i < dsa->wqs; i++)
		total += wq_size(&dsa->wq[i]);
	if (total > DSA_QUEUE_SIZE)
		return ERR_TOTAL_SIZE;
	error = check_groups(dsa);
	if (error)
		return error;
	for (unsigned i = 0; i < dsa->engines; i++)
		if (!dsa->engine[i].worker)
			return ERR_HARDWARE;

	for (unsigned i = 0; i < dsa->wqs; i++)
		dsa->wq[i].group = group_of(dsa, i, false);
	for (unsigned i = 0; i < dsa->engines; i++)
		dsa->engine[i].group = group_of(dsa, i, true);
	dsa->enabled = true;
	return ERR_NONE;
}

/* A shared queue's descriptors have PASIDs; others may, if the device does. */
static uint32_t check_mode(const struct dsa *dsa, uint64_t mode)
{
	if (!(mode & DSA_WQ_DEDICATED) && !dsa->pasid)
		return ERR_WQ_MODE;
	if (mode & DSA_WQ_BLOCK && !dsa->pri)
		return ERR_WQ_BLOCK;
	if (mode & DSA_WQ_PASID_ENABLE ? !dsa->pasid : !(mode & DSA_WQ_DEDICATED))
		return ERR_WQ_PASID;
	if (mode & DSA_WQ_NO_ATS && !dsa->pri)
		return ERR_WQ_NO_ATS;
	return mode & DSA_WQ_NO_PRS ? ERR_WQ_NO_PRS : ERR_NONE;
}

static uint32_t check_wq(const struct dsa *dsa, const struct dsa_wq *wq)
{
	uint64_t mode = wq->config[DSA_WQ_MODE];
	unsigned batch = mode >> 37 & 15;
	uint32_t error;

	if (!wq_size(wq))
		return ERR_WQ_SIZE;
	if (!(mode & WQ_PRIORITY))
		return ERR_WQ_PRIORITY;
	error = check_mode(dsa, mode);
	if (error)
		return error;
	if (!batch || batch > DSA_BATCH_ORDER)
		return ERR_WQ_BATCH;
	if ((mode >> 32 & 31) > dsa->xfer_order)
		return ERR_WQ_XFER;
	return ERR_NONE;
}

static uint32_t enable_wq(struct dsa *dsa, uint32_t index)
{
	struct dsa_wq *wq;
	uint32_t error;

	if (!dsa->enabled)
		return ERR_DEVICE_DISABLED;
	if (index >= dsa->wqs)
		return ERR_BAD_WQ;
	wq = &dsa->wq[index];
	if (wq->enabled)
		return ERR_WQ_ENABLED;
	error = check_wq(dsa, wq);
	if (error)
		return error;
	wq->enabled = wq->accepting = true;
	wq->credit = 0;
	return ERR_NONE;
}

/* ---- commands that wait ---------------------------------------------------------- */

static bool disables(unsigned code)
{
	return code == CMD_DISABLE_DEVICE || code == CMD_RESET_DEVICE ||
	       code == CMD_DISABLE_WQ || code == CMD_RESET_WQ;
}

static bool aborts(unsigned code)
{
	return code == CMD_ABORT_ALL || code == CMD_ABORT_WQ || code == CMD_ABORT_PASID ||
	       code == CMD_RESET_DEVICE || code == CMD_RESET_WQ;
}

/* @pasid: NULL: all of the queues' descriptors; else those of this one only. */
static void abort_work(struct dsa *dsa, uint32_t wqs, const uint32_t *pasid)
{
	for (unsigned i = 0; i < dsa->wqs; i++) {
		if (!(wqs >> i & 1))
			continue;
		if (pasid)
			dsa_queue_drop_pasid(&dsa->wq[i], *pasid);
		else
			dsa_queue_drop(&dsa->wq[i]);
	}
	for (unsigned i = 0; i < dsa->engines; i++) {
		struct dsa_engine *e = &dsa->engine[i];

		if (e->wq && wqs >> e->wq->index & 1 &&
		    (!pasid || (e->owner.tagged && e->owner.pasid == *pasid)))
			atomic_store(&e->abort, true);
	}
}

static void begin_wait(struct dsa *dsa, uint32_t wqs, uint32_t operand)
{
	struct dsa_command *c = &dsa->command;

	if (aborts(c->code))
		abort_work(dsa, wqs, c->code == CMD_ABORT_PASID ? &operand : NULL);
	c->wqs = wqs;
	for (unsigned i = 0; i < dsa->wqs; i++) {
		struct dsa_wq *wq = &dsa->wq[i];

		if (!(wqs >> i & 1))
			continue;
		if (disables(c->code))
			wq->accepting = false;
		c->until[i] = wq->submitted;
	}
}

static bool is_waiting(const struct dsa *dsa)
{
	const struct dsa_command *c = &dsa->command;

	for (unsigned i = 0; i < dsa->wqs; i++)
		if (c->wqs >> i & 1 && dsa->wq[i].taken < c->until[i])
			return true;
	for (unsigned i = 0; i < dsa->engines; i++) {
		const struct dsa_engine *e = &dsa->engine[i];

		if (e->wq && c->wqs >> e->wq->index & 1 &&
		    e->seq < c->until[e->wq->index])
			return true;
	}
	return false;
}

/* Everything that it waited for is done. */
static void finish(struct dsa *dsa)
{
	const struct dsa_command *c = &dsa->command;

	for (unsigned i = 0; i < dsa->wqs; i++) {
		if (!(c->wqs >> i & 1) || !disables(c->code))
			continue;
		dsa->wq[i].enabled = false;
		if (c->code == CMD_RESET_WQ)
			dsa_wq_reset(&dsa->wq[i]);
	}
	if (c->code == CMD_DISABLE_DEVICE)
		dsa->enabled = false;
	if (c->code == CMD_RESET_DEVICE)
		dsa_regs_reset(dsa);
}

bool dsa_command_disables_device(const struct dsa *dsa)
{
	const struct dsa_command *c = &dsa->command;

	return c->active &&
	       (c->code == CMD_DISABLE_DEVICE || c->code == CMD_RESET_DEVICE);
}

void dsa_command_progress(struct dsa *dsa, struct dsa_effects *fx)
{
	if (!dsa->command.active || is_waiting(dsa))
		return;
	finish(dsa);
	end(dsa, ERR_NONE, fx);
}

/* ---- dispatch -------------------------------------------------------------------- */

/* The operand of commands about queues: a mask of 16, and which 16 in bits 19:16. */
static uint32_t check_mask(const struct dsa *dsa, uint32_t operand, uint32_t *wqs)
{
	*wqs = operand & 0xffff;
	if (operand >> 16 || !*wqs || *wqs & ~all_wqs(dsa))
		return ERR_BAD_WQ;
	for (unsigned i = 0; i < dsa->wqs; i++)
		if (*wqs >> i & 1 && !dsa->wq[i].enabled)
			return ERR_WQ_NOT_ENABLED;
	return ERR_NONE;
}

/* What can be told at once about a command that waits; which queues it is about. */
static uint32_t check_waiting(const struct dsa *dsa, uint32_t operand, uint32_t *wqs)
{
	uint32_t error;

	*wqs = all_wqs(dsa);
	switch (dsa->command.code) {
	case CMD_DISABLE_DEVICE:
		return dsa->enabled ? ERR_NONE : ERR_NOT_ENABLED;
	case CMD_DRAIN_ALL:
	case CMD_ABORT_ALL:
	case CMD_RESET_DEVICE:
		return ERR_NONE;
	case CMD_DISABLE_WQ:
	case CMD_DRAIN_WQ:
	case CMD_ABORT_WQ:
		return check_mask(dsa, operand, wqs);
	case CMD_RESET_WQ: /* one that is disabled, too */
		error = check_mask(dsa, operand, wqs);
		return error == ERR_WQ_NOT_ENABLED ? ERR_NONE : error;
	case CMD_DRAIN_PASID:
	case CMD_ABORT_PASID:
		return dsa->pasid ? ERR_NONE : ERR_BAD_COMMAND;
	default:
		return ERR_BAD_COMMAND;
	}
}

void dsa_command_write(struct dsa *dsa, uint32_t value, struct dsa_effects *fx)
{
	const struct dsa_error ignored = {.code = DSA_COMMAND_ACTIVE, .wq = -1};
	struct dsa_command *c = &dsa->command;
	uint32_t operand = value & 0xfffff;
	uint32_t error, wqs;

	if (c->active) {
		dsa_swerr(dsa, &ignored, fx);
		return;
	}
	c->code = value >> 20 & 0x1f;
	c->interrupt = value & CMD_INTERRUPT;
	if (c->code == CMD_ENABLE_DEVICE) {
		end(dsa, enable_device(dsa), fx);
		return;
	}
	if (c->code == CMD_ENABLE_WQ) {
		end(dsa, enable_wq(dsa, operand), fx);
		return;
	}
	error = check_waiting(dsa, operand, &wqs);
	if (error) {
		end(dsa, error, fx);
		return;
	}
	c->active = true;
	begin_wait(dsa, wqs, operand);
	dsa_command_progress(dsa, fx);
}
