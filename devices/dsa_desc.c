/* SPDX-License-Identifier: MIT */
/*
 * A descriptor: what its bytes say, whose it is, and whether it is legal.
 *
 * Checked is what the queue was configured with, which does not change while the queue is
 * enabled, so no lock is needed; but for the permissions of interrupts, which may change
 * at any time.
 */
#include <endian.h>
#include <string.h>

#include "devices/dsa.h"

#define LIST_ALIGN   64
#define RECORD_ALIGN 32

/* A descriptor as it lies in memory. */
struct wire_desc {
	uint32_t owner; /* 19:0 PASID, 31 privileged */
	uint32_t flags; /* 23:0; the opcode in 31:24 */
	uint64_t record, src, dst;
	uint32_t size;
	uint16_t vector, reserved0;
	uint64_t dst2, reserved1[2];
};

_Static_assert(sizeof(struct wire_desc) == DSA_DESC_BYTES, "descriptor size");

#define OWNER_RESERVED UINT32_C(0x7ff00000)
#define OWNER_PRIV     UINT32_C(0x80000000)

struct dsa_owner dsa_owner(const struct dsa_wq *wq, const struct dsa_submission *s)
{
	uint64_t mode = wq->config[DSA_WQ_MODE];
	uint32_t own;

	if (!(mode & DSA_WQ_PASID_ENABLE))
		return (struct dsa_owner){0};
	if (mode & DSA_WQ_DEDICATED)
		return (struct dsa_owner){
			.tagged = true,
			.pasid = (uint32_t)(mode >> 8) & DSA_PASID_MASK,
			.priv = mode & DSA_WQ_PRIV,
		};
	memcpy(&own, s->bytes, sizeof(own));
	own = le32toh(own);
	return (struct dsa_owner){
		.tagged = true, .pasid = own & DSA_PASID_MASK, .priv = own & OWNER_PRIV};
}

struct dsa_desc dsa_decode(const struct dsa_submission *s)
{
	struct wire_desc w;
	struct dsa_desc d;
	bool second;

	memcpy(&w, s->bytes, sizeof(w));
	d = (struct dsa_desc){
		.opcode = (uint8_t)(le32toh(w.flags) >> 24),
		.flags = le32toh(w.flags) & 0xffffff,
		.record = le64toh(w.record),
		.src = le64toh(w.src),
		.dst = le64toh(w.dst),
		.size = le32toh(w.size),
		.vector = le16toh(w.vector),
		.dst2 = le64toh(w.dst2),
	};
	second = d.opcode == DSA_DUALCAST || d.opcode == DSA_COMPARE ||
		 d.opcode == DSA_COMPARE_PATTERN;
	d.reserved_set = le32toh(w.owner) & OWNER_RESERVED || w.reserved0 ||
			 w.reserved1[0] || w.reserved1[1] || (d.dst2 && !second);
	return d;
}

/* ---- flags ----------------------------------------------------------------------- */

/* A user's descriptor asks for interrupts only where users may. */
static bool may_want_interrupt(const struct dsa_engine *e, const struct dsa_job *job)
{
	return !job->owner.tagged || job->owner.priv ||
	       e->dsa->gencfg & DSA_USER_INTERRUPTS;
}

static uint32_t legal_flags(const struct dsa_engine *e, const struct dsa_job *job)
{
	bool block = job->wq->config[DSA_WQ_MODE] & DSA_WQ_BLOCK;
	uint32_t flags = DSA_FLAG_RECORD_VALID | DSA_FLAG_TRAFFIC_CLASS;
	uint32_t on_data = block ? DSA_FLAG_BLOCK : 0;

	if (may_want_interrupt(e, job))
		flags |= DSA_FLAG_INTERRUPT;
	if (job->desc.flags & DSA_FLAG_RECORD_VALID)
		flags |= DSA_FLAG_RECORD;
	if (job->in_batch)
		flags |= DSA_FLAG_FENCE;
	switch (job->desc.opcode) {
	case DSA_MEMMOVE:
	case DSA_FILL:
	case DSA_DUALCAST:
		return flags | on_data | DSA_FLAG_CACHE_CONTROL | DSA_FLAG_STRICT_ORDER |
		       DSA_FLAG_READBACK;
	case DSA_FLUSH:
		return flags | on_data | DSA_FLAG_CACHE_CONTROL;
	case DSA_COMPARE:
	case DSA_COMPARE_PATTERN:
		return flags | on_data | DSA_FLAG_CHECK_RESULT;
	default:
		return flags;
	}
}

/* What tells of a result, or that something is over, has to tell somebody. */
static uint32_t missing_flags(const struct dsa_desc *d)
{
	const uint32_t record = DSA_FLAG_RECORD_VALID | DSA_FLAG_RECORD;

	switch (d->opcode) {
	case DSA_COMPARE:
	case DSA_COMPARE_PATTERN:
		return record & ~d->flags;
	case DSA_DRAIN:
		return d->flags & (DSA_FLAG_RECORD | DSA_FLAG_INTERRUPT)
			       ? 0
			       : DSA_FLAG_RECORD;
	default:
		return 0;
	}
}

/* ---- the rest of what is legal --------------------------------------------------- */

static bool is_legal_opcode(const struct dsa_job *job)
{
	unsigned opcode = job->desc.opcode;

	if (opcode >= 64 || !(job->wq->config[DSA_WQ_OPS] >> opcode & 1))
		return false;
	return !job->in_batch || (opcode != DSA_BATCH && opcode != DSA_DRAIN);
}

static bool wraps(uint64_t start, uint32_t size)
{
	return start > UINT64_MAX - (size - 1);
}

/* Sizes and addresses of what moves or compares bytes. */
static enum dsa_status check_ranges(const struct dsa_job *job)
{
	const struct dsa_desc *d = &job->desc;
	unsigned order = job->wq->config[DSA_WQ_MODE] >> 32 & 31;
	bool reads = d->opcode != DSA_FILL && d->opcode != DSA_FLUSH;

	if (!d->size || d->size > UINT64_C(1) << order)
		return DSA_BAD_SIZE;
	if (reads && wraps(d->src, d->size))
		return DSA_BAD_SIZE;
	if (d->opcode != DSA_COMPARE_PATTERN && wraps(d->dst, d->size))
		return DSA_BAD_SIZE;
	if (d->opcode != DSA_DUALCAST)
		return DSA_OK;
	if (wraps(d->dst2, d->size))
		return DSA_BAD_SIZE;
	return (d->dst ^ d->dst2) & 0xfff ? DSA_BAD_DUALCAST : DSA_OK;
}

static enum dsa_status check_batch(const struct dsa_job *job)
{
	const struct dsa_desc *d = &job->desc;
	unsigned order = job->wq->config[DSA_WQ_MODE] >> 37 & 15;

	if (d->size < 2 || d->size > 1u << order)
		return DSA_BAD_COUNT;
	if (d->src % LIST_ALIGN)
		return DSA_BAD_LIST_ALIGN;
	return wraps(d->src, d->size * DSA_DESC_BYTES) ? DSA_BAD_COUNT : DSA_OK;
}

/* Is the vector one that the job may signal? If so it is the job's, unless told not to.
 */
static bool take_vector(const struct dsa_engine *e, struct dsa_job *job)
{
	struct dsa *dsa = e->dsa;
	uint64_t perm;

	if (job->desc.vector > dsa->wqs)
		return false;
	pthread_mutex_lock(&dsa->lock);
	perm = dsa->msix_perm[job->desc.vector];
	pthread_mutex_unlock(&dsa->lock);
	if (!(perm & DSA_PERM_PASID_ENABLE) == job->owner.tagged)
		return false;
	if (job->owner.tagged && perm >> DSA_PERM_PASID_SHIFT != job->owner.pasid)
		return false;
	if (!(perm & DSA_PERM_IGNORE))
		job->vector = job->desc.vector;
	return true;
}

struct dsa_result dsa_check(const struct dsa_engine *e, struct dsa_job *job)
{
	const struct dsa_desc *d = &job->desc;
	uint32_t bad = (d->flags & ~legal_flags(e, job)) | missing_flags(d);
	bool interrupt = d->flags & ~bad & DSA_FLAG_INTERRUPT;
	bool bad_vector = interrupt && !take_vector(e, job);
	struct dsa_result r = {.status = DSA_OK};

	if (d->flags & DSA_FLAG_RECORD_VALID && d->record % RECORD_ALIGN)
		r.status = DSA_RECORD_ALIGN;
	else if (!is_legal_opcode(job))
		r.status = DSA_BAD_OPCODE;
	else if (bad)
		r = (struct dsa_result){.status = DSA_BAD_FLAGS, .bad_flags = bad};
	else if (d->reserved_set)
		r.status = DSA_BAD_RESERVED;
	else if (bad_vector)
		r.status = DSA_BAD_INT_HANDLE;
	else if (d->opcode == DSA_BATCH)
		r.status = (uint8_t)check_batch(job);
	else if (d->opcode != DSA_NOOP && d->opcode != DSA_DRAIN)
		r.status = (uint8_t)check_ranges(job);
	return r;
}
