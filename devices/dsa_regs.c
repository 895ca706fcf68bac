/* SPDX-License-Identifier: MIT */
/*
 * The registers of BAR0: capabilities, control, SWERR, and the tables of groups, work
 * queues and interrupt permissions.
 *
 * What a configuration register accepts depends on the state: groups and queue sizes are
 * read-only while the device is enabled, the rest of a queue's while the queue is.
 */
#include <string.h>

#include "devices/dsa.h"

/* Words. */
enum {
	REG_VERSION = 0x00,
	REG_GENCAP = 0x10,
	REG_WQCAP = 0x20,
	REG_GRPCAP = 0x30,
	REG_ENGCAP = 0x38,
	REG_OPCAP = 0x40,
	REG_OFFSETS = 0x60,
	REG_GENCFG = 0x80,
	REG_GENCTRL = 0x88,
	REG_GENSTS = 0x90,
	REG_INTCAUSE = 0x98,
	REG_CMD = 0xa0,
	REG_CMDSTS = 0xa8,
	REG_CMDCAP = 0xb0,
	REG_SWERR = 0xc0,
	REG_SWERR_END = 0xe0,
};

/* Tables; the offsets register counts in units of 256 bytes. */
enum {
	GROUPS_AT = 0x400,
	WQS_AT = 0x800,
	MSIX_PERM_AT = 0xc00,
	TABLES_END = 0xd00,
};

#define OFFSET_UNIT   0x100
#define GROUP_BYTES   64
#define WQ_BYTES      64
#define READ_BUFFERS  96

#define GENCFG_RW     UINT64_C(0x10ff) /* read buffer limit, user interrupts */
#define GENCTRL_RW    UINT64_C(0x3)
#define MSIX_PERM_RW  UINT64_C(0xfffff00c)
#define WQ_SIZE_RW    UINT64_C(0xffff)
#define WQ_THRESH_RW  UINT64_C(0xffff00000000)
#define CMDSTS_ACTIVE (UINT64_C(1) << 31)
#define SWERR_ACK     UINT64_C(3) /* valid, overflow */

/* What there is of a queue's mode and limits. */
#define WQ_MODE_RW UINT64_C(0x1ff3fffffff)

/* Commands that CMDCAP lists: from enable device to reset WQ, and those about PASIDs. */
#define CMDCAP_ALWAYS UINT64_C(0x7fe)
#define CMDCAP_PASID  UINT64_C(0x1800)

enum {
	STATE_DISABLED = 0,
	STATE_ENABLED = 1,
	STATE_DRAINING = 2, /* about to be disabled */
};

/* ---- capabilities ---------------------------------------------------------------- */

static uint64_t gencap(const struct dsa *dsa)
{
	return (uint64_t)dsa->pri |                  /* block on fault */
	       UINT64_C(1) << 1 |                    /* memmove of overlapping ranges */
	       UINT64_C(1) << 2 | UINT64_C(1) << 3 | /* cache control */
	       UINT64_C(1) << 4 |                    /* CMDCAP is there */
	       UINT64_C(1) << 8 |                    /* readback of destinations */
	       (uint64_t)dsa->xfer_order << 16 | (uint64_t)DSA_BATCH_ORDER << 21 |
	       UINT64_C(1) << 31; /* configurable */
}

static uint64_t wqcap(const struct dsa *dsa)
{
	return DSA_QUEUE_SIZE | (uint64_t)dsa->wqs << 16 |
	       UINT64_C(1) << 24 |          /* WQCFG has 64 bytes */
	       (uint64_t)dsa->pasid << 48 | /* shared queues */
	       UINT64_C(1) << 49 |          /* dedicated queues */
	       (uint64_t)dsa->pri << 50 |   /* ATS can be configured */
	       UINT64_C(1) << 51 |          /* priorities */
	       UINT64_C(1) << 52 |          /* occupancy can be read */
	       UINT64_C(1) << 54;           /* operations can be configured */
}

static uint64_t offsets(void)
{
	return GROUPS_AT / OFFSET_UNIT | (uint64_t)(WQS_AT / OFFSET_UNIT) << 16 |
	       (uint64_t)(MSIX_PERM_AT / OFFSET_UNIT) << 32;
}

/* ---- SWERR ----------------------------------------------------------------------- */

static uint64_t swerr_of_job(const struct dsa_job *job)
{
	return UINT64_C(1) << 2 | (uint64_t)job->in_batch << 4 |
	       (uint64_t)job->owner.priv << 6 | (uint64_t)job->desc.opcode << 32 |
	       (uint64_t)job->owner.pasid << 40;
}

void dsa_swerr(struct dsa *dsa, const struct dsa_error *e, struct dsa_effects *fx)
{
	const struct dsa_job *job = e->job;
	uint64_t *s = dsa->swerr;

	if (s[0] & 1) {
		s[0] |= 2; /* overflow */
		return;
	}
	s[0] = 1 | (uint64_t)e->write << 5 | (uint64_t)e->code << 8;
	if (e->wq >= 0)
		s[0] |= 1 << 3 | (uint64_t)e->wq << 16;
	if (job)
		s[0] |= swerr_of_job(job);
	s[1] = (job ? job->batch_index : 0) | (uint64_t)e->bad_flags << 32;
	s[2] = e->address;
	s[3] = 0;
	if (!(dsa->genctrl & DSA_ERROR_INT_ENABLE))
		return;
	dsa->intcause |= DSA_CAUSE_ERROR;
	fx->irqs |= 1u << DSA_VECTOR_MISC;
}

/* ---- tables ---------------------------------------------------------------------- */

static uint64_t read_wq(const struct dsa_wq *wq, unsigned word)
{
	uint64_t occupancy = wq->submitted - wq->taken;
	uint64_t state = wq->accepting ? STATE_ENABLED : STATE_DRAINING;

	if (word == DSA_WQ_STATE)
		return occupancy | (wq->enabled ? state : STATE_DISABLED) << 30;
	return wq->config[word];
}

static void write_wq(struct dsa *dsa, struct dsa_wq *wq, unsigned word,
		     const struct reg_access *a)
{
	if (word == DSA_WQ_SIZE)
		reg_store(&wq->config[word], a,
			  WQ_THRESH_RW | (dsa->enabled ? 0 : WQ_SIZE_RW));
	else if (wq->enabled)
		return;
	else if (word == DSA_WQ_MODE)
		reg_store(&wq->config[word], a, WQ_MODE_RW);
	else if (word == DSA_WQ_OPS)
		reg_store(&wq->config[word], a, DSA_OPCAP);
}

void dsa_wq_reset(struct dsa_wq *wq)
{
	uint64_t size = wq->config[DSA_WQ_SIZE] & WQ_SIZE_RW;

	memset(wq->config, 0, sizeof(wq->config));
	wq->config[DSA_WQ_SIZE] = size;
	wq->config[DSA_WQ_OPS] = DSA_OPCAP;
}

static uint64_t bits_below(unsigned n)
{
	return (UINT64_C(1) << n) - 1;
}

/* GRPWQCFG has 4 words, of which the first is enough; then GRPENGCFG, GRPFLAGS. */
enum {
	GROUP_WQS = 0,
	GROUP_ENGINES = 4,
	GROUP_FLAGS = 5,
};

static uint64_t read_group(const struct dsa_group *g, unsigned word)
{
	switch (word) {
	case GROUP_WQS:
		return g->wqs;
	case GROUP_ENGINES:
		return g->engines;
	case GROUP_FLAGS:
		return g->flags;
	default:
		return 0;
	}
}

static void write_group(const struct dsa *dsa, struct dsa_group *g, unsigned word,
			const struct reg_access *a)
{
	if (dsa->enabled)
		return;
	if (word == GROUP_WQS)
		reg_store(&g->wqs, a, bits_below(dsa->wqs));
	else if (word == GROUP_ENGINES)
		reg_store(&g->engines, a, bits_below(dsa->engines));
	else if (word == GROUP_FLAGS)
		reg_store(&g->flags, a, UINT64_MAX);
}

static uint64_t read_table(const struct dsa *dsa, uint64_t offset)
{
	uint64_t group = (offset - GROUPS_AT) / GROUP_BYTES;
	uint64_t wq = (offset - WQS_AT) / WQ_BYTES;
	uint64_t entry = (offset - MSIX_PERM_AT) / 8;

	if (group < dsa->groups)
		return read_group(&dsa->group[group], offset % GROUP_BYTES / 8);
	if (wq < dsa->wqs)
		return read_wq(&dsa->wq[wq], offset % WQ_BYTES / 8);
	return entry <= dsa->wqs ? dsa->msix_perm[entry] : 0;
}

static void write_table(struct dsa *dsa, const struct reg_access *a)
{
	uint64_t group = (a->offset - GROUPS_AT) / GROUP_BYTES;
	uint64_t wq = (a->offset - WQS_AT) / WQ_BYTES;
	uint64_t entry = (a->offset - MSIX_PERM_AT) / 8;

	if (group < dsa->groups)
		write_group(dsa, &dsa->group[group], a->offset % GROUP_BYTES / 8, a);
	else if (wq < dsa->wqs)
		write_wq(dsa, &dsa->wq[wq], a->offset % WQ_BYTES / 8, a);
	else if (entry <= dsa->wqs)
		reg_store(&dsa->msix_perm[entry], a, MSIX_PERM_RW);
}

static uint64_t gensts(const struct dsa *dsa)
{
	if (!dsa->enabled)
		return STATE_DISABLED;
	return dsa_command_disables_device(dsa) ? STATE_DRAINING : STATE_ENABLED;
}

/* ---- the rest -------------------------------------------------------------------- */

uint64_t dsa_regs_read(const struct dsa *dsa, uint64_t offset)
{
	if (offset >= GROUPS_AT && offset < TABLES_END)
		return read_table(dsa, offset);
	if (offset >= REG_SWERR && offset < REG_SWERR_END)
		return dsa->swerr[(offset - REG_SWERR) / 8];
	switch (offset) {
	case REG_VERSION:
		return 0x100;
	case REG_GENCAP:
		return gencap(dsa);
	case REG_WQCAP:
		return wqcap(dsa);
	case REG_GRPCAP:
		return dsa->groups | READ_BUFFERS << 8;
	case REG_ENGCAP:
		return dsa->engines;
	case REG_OPCAP:
		return DSA_OPCAP;
	case REG_OFFSETS:
		return offsets();
	case REG_GENCFG:
		return dsa->gencfg;
	case REG_GENCTRL:
		return dsa->genctrl;
	case REG_GENSTS:
		return gensts(dsa);
	case REG_INTCAUSE:
		return dsa->intcause;
	case REG_CMDSTS:
		return dsa->cmdsts | (dsa->command.active ? CMDSTS_ACTIVE : 0);
	case REG_CMDCAP:
		return CMDCAP_ALWAYS | (dsa->pasid ? CMDCAP_PASID : 0);
	default:
		return 0;
	}
}

void dsa_regs_write(struct dsa *dsa, const struct reg_access *a, struct dsa_effects *fx)
{
	if (a->offset >= GROUPS_AT && a->offset < TABLES_END) {
		write_table(dsa, a);
		return;
	}
	switch (a->offset) {
	case REG_GENCFG:
		if (!dsa->enabled)
			reg_store(&dsa->gencfg, a, GENCFG_RW);
		break;
	case REG_GENCTRL:
		reg_store(&dsa->genctrl, a, GENCTRL_RW);
		break;
	case REG_INTCAUSE:
		dsa->intcause &= ~(uint32_t)a->value;
		break;
	case REG_CMD:
		if (reg_covers(a, 0, 4))
			dsa_command_write(dsa, (uint32_t)a->value, fx);
		break;
	case REG_SWERR:
		dsa->swerr[0] &= ~(a->value & SWERR_ACK);
		break;
	default:
		break;
	}
}

void dsa_regs_reset(struct dsa *dsa)
{
	dsa->enabled = false;
	dsa->gencfg = dsa->genctrl = 0;
	dsa->intcause = 0;
	memset(dsa->msix_perm, 0, sizeof(dsa->msix_perm));
	memset(dsa->group, 0, sizeof(dsa->group));
	for (unsigned i = 0; i < dsa->engines; i++)
		dsa->engine[i].group = -1;
	for (unsigned i = 0; i < dsa->wqs; i++) {
		struct dsa_wq *wq = &dsa->wq[i];

		wq->enabled = wq->accepting = false;
		wq->group = -1;
		dsa_queue_drop(wq);
		wq->config[DSA_WQ_SIZE] = 0;
		dsa_wq_reset(wq);
	}
}
