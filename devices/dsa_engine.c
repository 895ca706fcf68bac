/* SPDX-License-Identifier: MIT */
/*
 * An engine: takes descriptors from the queues of its group, checks them, has them
 * executed, and tells how it went.
 *
 * Runs in the engine's worker, one descriptor of a queue at a time, a batch from its
 * first to its last. The descriptors of a batch are executed one after the other, so a
 * fence only has to look whether one before it has failed. All of a run is one DMA burst:
 * the lock is held for a few instructions by anybody, so it may be waited for in there.
 *
 * Order: data, then the completion record, then the interrupt. Of the record the first 8
 * bytes, with the status, are written last.
 */
#include <endian.h>
#include <string.h>

#include "devices/dsa.h"

#define RUN_DESCRIPTORS 64
#define RECORD_ALIGN    32
#define LIST_ALIGN      64

/* A descriptor as it lies in memory. */
struct wire_desc {
	uint32_t pasid; /* 19:0 PASID, 31 privileged: both are the queue's to say here */
	uint32_t flags; /* 23:0; the opcode in 31:24 */
	uint64_t record, src, dst;
	uint32_t size;
	uint16_t vector, reserved0;
	uint64_t dst2, reserved1[2];
};

_Static_assert(sizeof(struct wire_desc) == DSA_DESC_BYTES, "descriptor size");

#define PASID_RESERVED UINT32_C(0x7ff00000)

struct wire_record {
	uint8_t status, result, fault_info, reserved0;
	uint32_t completed;
	uint64_t address;
	uint32_t bad_flags, reserved1[3];
};

_Static_assert(sizeof(struct wire_record) == 32, "completion record size");

/* A descriptor on its way. */
struct job {
	struct dsa_desc desc;
	int wq;
	bool in_batch;
	uint32_t batch_index;
};

/* ---- what is legal --------------------------------------------------------------- */

static struct dsa_desc decode(const struct dsa_submission *s)
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
	d.reserved_set = le32toh(w.pasid) & PASID_RESERVED || w.reserved0 ||
			 w.reserved1[0] || w.reserved1[1] || (d.dst2 && !second);
	return d;
}

static uint32_t legal_flags(const struct job *job)
{
	uint32_t flags =
		DSA_FLAG_RECORD_VALID | DSA_FLAG_INTERRUPT | DSA_FLAG_TRAFFIC_CLASS;

	if (job->desc.flags & DSA_FLAG_RECORD_VALID)
		flags |= DSA_FLAG_RECORD;
	if (job->in_batch)
		flags |= DSA_FLAG_FENCE;
	switch (job->desc.opcode) {
	case DSA_MEMMOVE:
	case DSA_FILL:
	case DSA_DUALCAST:
		return flags | DSA_FLAG_CACHE_CONTROL | DSA_FLAG_STRICT_ORDER |
		       DSA_FLAG_READBACK;
	case DSA_FLUSH:
		return flags | DSA_FLAG_CACHE_CONTROL;
	case DSA_COMPARE:
	case DSA_COMPARE_PATTERN:
		return flags | DSA_FLAG_CHECK_RESULT;
	default:
		return flags;
	}
}

static bool is_legal_opcode(const struct dsa_engine *e, const struct job *job)
{
	unsigned opcode = job->desc.opcode;

	if (opcode >= 64 || !(e->wq->config[DSA_WQ_OPS] >> opcode & 1))
		return false;
	return !job->in_batch || (opcode != DSA_BATCH && opcode != DSA_DRAIN);
}

static bool wraps(uint64_t start, uint32_t size)
{
	return start > UINT64_MAX - (size - 1);
}

/* Sizes and addresses of what moves or compares bytes. */
static enum dsa_status check_ranges(const struct dsa_engine *e, const struct dsa_desc *d)
{
	unsigned order = e->wq->config[DSA_WQ_MODE] >> 32 & 31;
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

static enum dsa_status check_batch(const struct dsa_engine *e, const struct dsa_desc *d)
{
	unsigned order = e->wq->config[DSA_WQ_MODE] >> 37 & 15;

	if (d->size < 2 || d->size > 1u << order)
		return DSA_BAD_COUNT;
	if (d->src % LIST_ALIGN)
		return DSA_BAD_LIST_ALIGN;
	return wraps(d->src, d->size * DSA_DESC_BYTES) ? DSA_BAD_COUNT : DSA_OK;
}

static struct dsa_result check(const struct dsa_engine *e, const struct job *job)
{
	const struct dsa_desc *d = &job->desc;
	uint32_t bad = d->flags & ~legal_flags(job);
	struct dsa_result r = {.status = DSA_OK};

	if (!is_legal_opcode(e, job))
		r.status = DSA_BAD_OPCODE;
	else if (bad)
		r = (struct dsa_result){.status = DSA_BAD_FLAGS, .bad_flags = bad};
	else if (d->reserved_set)
		r.status = DSA_BAD_RESERVED;
	else if (d->flags & DSA_FLAG_INTERRUPT && d->vector > e->dsa->wqs)
		r.status = DSA_BAD_INT_HANDLE;
	else if (d->opcode == DSA_BATCH)
		r.status = (uint8_t)check_batch(e, d);
	else if (d->opcode != DSA_NOOP && d->opcode != DSA_DRAIN)
		r.status = (uint8_t)check_ranges(e, d);
	return r;
}

/* ---- telling how it went --------------------------------------------------------- */

static void report(struct dsa_engine *e, const struct job *job, enum dsa_status code,
		   bool write, uint64_t address)
{
	const struct dsa_error error = {
		.code = code & 0x7f,
		.write = write,
		.in_batch = job->in_batch,
		.desc = &job->desc,
		.wq = job->wq,
		.batch_index = job->batch_index,
		.address = address,
	};
	struct dsa_effects fx = {0};

	pthread_mutex_lock(&e->dsa->lock);
	dsa_swerr(e->dsa, &error, &fx);
	pthread_mutex_unlock(&e->dsa->lock);
	dsa_apply(e->dsa, &fx);
}

static int write_record(struct dsa_engine *e, uint64_t iova, const struct dsa_result *r)
{
	struct wire_record record = {
		.status = r->status,
		.result = r->result,
		.completed = htole32(r->completed),
		.address = htole64(r->address),
		.bad_flags = htole32(r->bad_flags),
	};
	const uint8_t *bytes = (const uint8_t *)&record;
	struct uiommufd_fault fault;

	__sync_synchronize();
	if (uiommufd_dma_write(e->dma, iova + 8, bytes + 8, sizeof(record) - 8, &fault))
		return -1;
	__sync_synchronize();
	return uiommufd_dma_write(e->dma, iova, bytes, 8, &fault);
}

static void complete(struct dsa_engine *e, const struct job *job,
		     const struct dsa_result *r)
{
	const struct dsa_desc *d = &job->desc;

	if (!r->status)
		return;
	if (!(d->flags & DSA_FLAG_RECORD_VALID)) {
		if (r->status != DSA_OK && r->status != DSA_OK_PREDICATE)
			report(e, job, r->status, r->status & DSA_STATUS_WRITE,
			       r->address);
	} else if (d->record % RECORD_ALIGN) {
		report(e, job, DSA_RECORD_ALIGN, false, d->record);
	} else if (d->flags & DSA_FLAG_RECORD || r->status != DSA_OK) {
		if (write_record(e, d->record, r))
			report(e, job, DSA_RECORD_FAULT, true, d->record);
	}
	if (d->flags & DSA_FLAG_INTERRUPT && d->vector <= e->dsa->wqs)
		uiommufd_irq(e->dsa->dev, d->vector);
}

/* ---- batches --------------------------------------------------------------------- */

static struct dsa_result execute(struct dsa_engine *e, const struct job *job)
{
	struct dsa_result r = check(e, job);

	return r.status == DSA_OK ? dsa_execute(e, &job->desc) : r;
}

static struct dsa_result execute_batch(struct dsa_engine *e, const struct job *batch)
{
	struct dsa_result r = {.status = DSA_OK};
	uint32_t count = batch->desc.size;

	for (uint32_t i = 0; i < count; i++) {
		struct job job = {.wq = batch->wq, .in_batch = true, .batch_index = i};
		struct dsa_submission s;
		struct uiommufd_fault fault;
		struct dsa_result one;

		if (atomic_load(&e->abort))
			return (struct dsa_result){0};
		r.completed = i;
		if (uiommufd_dma_read(e->dma, batch->desc.src + i * DSA_DESC_BYTES,
				      s.bytes, sizeof(s.bytes), &fault)) {
			r.status = DSA_BATCH_FAULT;
			r.address = fault.iova;
			return r;
		}
		job.desc = decode(&s);
		if (job.desc.flags & DSA_FLAG_FENCE && r.status != DSA_OK)
			return r;
		one = execute(e, &job);
		if (one.status != DSA_OK)
			r.status = DSA_BATCH_FAILED;
		complete(e, &job, &one);
	}
	r.completed = count;
	return r;
}

/* ---- the worker ------------------------------------------------------------------ */

static void run_job(struct dsa_engine *e, const struct dsa_submission *s)
{
	struct job job = {.desc = decode(s), .wq = (int)e->wq->index};
	struct dsa_result r;

	if (job.desc.opcode != DSA_BATCH) {
		r = execute(e, &job);
	} else {
		r = check(e, &job);
		if (r.status == DSA_OK)
			r = execute_batch(e, &job);
	}
	complete(e, &job, &r);
}

static bool step(struct dsa_engine *e)
{
	struct dsa_effects fx = {0};
	struct dsa_submission s;
	bool taken;

	pthread_mutex_lock(&e->dsa->lock);
	taken = dsa_queue_take(e, &s);
	pthread_mutex_unlock(&e->dsa->lock);
	if (!taken)
		return false;

	run_job(e, &s);

	pthread_mutex_lock(&e->dsa->lock);
	dsa_queue_retire(e, &fx);
	pthread_mutex_unlock(&e->dsa->lock);
	dsa_apply(e->dsa, &fx);
	return true;
}

bool dsa_engine_run(void *arg)
{
	struct dsa_engine *e = arg;

	uiommufd_burst_begin();
	for (unsigned i = 0; i < RUN_DESCRIPTORS; i++)
		if (!step(e))
			return false;
	return true;
}
