/* SPDX-License-Identifier: MIT */
/*
 * An engine: takes descriptors from the queues of its group, has them checked and
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

struct wire_record {
	uint8_t status, result, fault_info, reserved0;
	uint32_t completed;
	uint64_t address;
	uint32_t bad_flags, reserved1[3];
};

_Static_assert(sizeof(struct wire_record) == 32, "completion record size");

/* ---- telling how it went --------------------------------------------------------- */

static void report(struct dsa_engine *e, const struct dsa_job *job,
		   const struct dsa_result *r)
{
	const struct dsa_error error = {
		.code = r->status & 0x7f,
		.write = r->status & DSA_STATUS_WRITE,
		.job = job,
		.wq = (int)job->wq->index,
		.bad_flags = r->bad_flags,
		.address = r->address,
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

/* Neither an error nor a fault: told in a record only if one is requested. */
static bool is_ordinary(uint8_t status)
{
	return status == DSA_OK || status == DSA_OK_PREDICATE ||
	       status == DSA_BATCH_FAILED;
}

/* A descriptor whose record cannot be written is dropped: no interrupt, either. */
static void complete(struct dsa_engine *e, const struct dsa_job *job,
		     const struct dsa_result *r)
{
	const struct dsa_desc *d = &job->desc;
	const struct dsa_result no_record = {
		.status = DSA_RECORD_FAULT | DSA_STATUS_WRITE,
		.address = d->record,
	};

	if (!r->status)
		return;
	if (r->status == DSA_RECORD_ALIGN) {
		report(e, job, r);
		return;
	}
	if (!(d->flags & DSA_FLAG_RECORD_VALID)) {
		if (!is_ordinary(r->status))
			report(e, job, r);
	} else if (d->flags & DSA_FLAG_RECORD || !is_ordinary(r->status)) {
		if (write_record(e, d->record, r)) {
			report(e, job, &no_record);
			return;
		}
	}
	if (job->vector >= 0)
		uiommufd_irq(e->dsa->dev, (unsigned)job->vector);
}

/* ---- execution ------------------------------------------------------------------- */

/*
 * Shall accesses ask for the pages that they find missing? Those to lists and records
 * always do, those to data if the descriptor says so; none of a queue without ATS.
 */
static void ask_for_pages(struct dsa_engine *e, bool on)
{
	e->asks = on && e->dsa->pri && !(e->wq->config[DSA_WQ_MODE] & DSA_WQ_NO_ATS);
	uiommufd_channel_ask(e->dma, e->asks);
}

static struct dsa_result execute(struct dsa_engine *e, struct dsa_job *job)
{
	struct dsa_result r = dsa_check(e, job);

	if (r.status != DSA_OK)
		return r;
	ask_for_pages(e, job->desc.flags & DSA_FLAG_BLOCK);
	r = dsa_execute(e, &job->desc);
	ask_for_pages(e, true);
	return r;
}

static struct dsa_result execute_batch(struct dsa_engine *e, struct dsa_job *batch)
{
	struct dsa_result r = dsa_check(e, batch);
	uint32_t count = batch->desc.size;

	for (uint32_t i = 0; r.status == DSA_OK || r.status == DSA_BATCH_FAILED; i++) {
		struct dsa_job job = {.wq = batch->wq,
				      .owner = batch->owner,
				      .in_batch = true,
				      .batch_index = i,
				      .vector = -1};
		struct dsa_submission s;
		struct uiommufd_fault fault;
		struct dsa_result one;

		r.completed = i;
		if (i == count)
			break;
		if (atomic_load(&e->abort))
			return (struct dsa_result){0};
		if (uiommufd_dma_read(e->dma, batch->desc.src + i * DSA_DESC_BYTES,
				      s.bytes, sizeof(s.bytes), &fault)) {
			r.status = DSA_BATCH_FAULT;
			r.address = fault.iova;
			break;
		}
		job.desc = dsa_decode(&s);
		if (job.desc.flags & DSA_FLAG_FENCE && r.status != DSA_OK)
			break;
		one = execute(e, &job);
		if (one.status != DSA_OK)
			r.status = DSA_BATCH_FAILED;
		complete(e, &job, &one);
	}
	return r;
}

/* ---- the worker ------------------------------------------------------------------ */

static void run_job(struct dsa_engine *e, const struct dsa_submission *s)
{
	struct dsa_job job = {
		.desc = dsa_decode(s), .wq = e->wq, .owner = e->owner, .vector = -1};
	struct dsa_result r = {.status = DSA_READ_ERROR};

	e->dma = ports_get(&e->ports, e->owner.pasid);
	if (!e->dma) {
		report(e, &job, &r); /* no memory for it: nothing can be accessed */
		return;
	}
	ask_for_pages(e, true);
	r = job.desc.opcode == DSA_BATCH ? execute_batch(e, &job) : execute(e, &job);
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
