/* SPDX-License-Identifier: MIT */
/*
 * The copy engine's engine: fetches descriptors, checks them, moves bytes, writes
 * completion records.
 *
 * Runs in the worker. A step is one piece of work: it looks at the state (under the
 * lock), begins a descriptor if none is active, moves at most a piece of it, and when
 * that was the last one completes it. Between steps the engine can be stopped, between
 * runs also paused, so neither waits for more than a piece.
 *
 * All of a run is one burst, but for bytes that stay inside the VRAM. The lock is held
 * for a few instructions by anybody, so it may be waited for in a burst.
 *
 * CONSUMER advances only in retire(). A job that fails or is stopped is dropped; a
 * retry fetches it again.
 */
#include <endian.h>
#include <string.h>

#include "devices/copy_engine.h"

#define PIECE_BYTES (UINT64_C(1) << 20)
#define RUN_STEPS   64

enum {
	OP_NOP = 1,
	OP_COPY = 2,
	OP_FILL = 3,
};

enum {
	FLAG_SRC_VRAM = 1 << 0,
	FLAG_DST_VRAM = 1 << 1,
	FLAG_COMPLETION = 1 << 2,
	FLAG_INTERRUPT = 1 << 3,
	FLAG_PASID = 1 << 4,
	FLAGS_KNOWN = 31,
};

/* A descriptor as it lies in memory. */
struct wire_desc {
	uint8_t opcode, vector;
	uint16_t flags;
	uint32_t pasid;
	uint64_t src, dst, length;
	uint64_t completion, value;
	uint64_t reserved1[2];
};

_Static_assert(sizeof(struct wire_desc) == COPY_ENGINE_DESC_BYTES, "descriptor size");

#define COMPLETION_ALIGN 16

/* What went wrong: the error registers but for the index. */
struct failure {
	uint32_t error; /* 0: nothing */
	uint64_t addr;
};

static struct failure decode_failure(enum copy_engine_code code, uint64_t addr)
{
	return (struct failure){code | CE_STAGE_DECODE << 8, addr};
}

static struct failure dma_failure(enum copy_engine_stage stage,
				  const struct uiommufd_fault *fault)
{
	uint32_t write = fault->write ? CE_ERROR_WRITE : 0;

	return (struct failure){(uint32_t)fault->reason | stage << 8 | write,
				fault->iova};
}

/* ---- fetch and decode ------------------------------------------------------------ */

static struct failure fetch(struct copy_engine *ce, uint64_t iova,
			    struct copy_engine_desc *desc)
{
	struct uiommufd_fault fault;
	struct wire_desc wire;

	if (uiommufd_dma_read(ce->ports.plain, iova, &wire, sizeof(wire), &fault))
		return dma_failure(CE_STAGE_FETCH, &fault);
	*desc = (struct copy_engine_desc){
		.opcode = wire.opcode,
		.vector = wire.vector,
		.flags = le16toh(wire.flags),
		.src = le64toh(wire.src),
		.dst = le64toh(wire.dst),
		.length = le64toh(wire.length),
		.completion = le64toh(wire.completion),
		.value = le64toh(wire.value),
		.pasid = le32toh(wire.pasid),
		.reserved_set = wire.reserved1[0] || wire.reserved1[1],
	};
	return (struct failure){0};
}

static uint16_t legal_flags(uint8_t opcode)
{
	switch (opcode) {
	case OP_COPY:
		return FLAGS_KNOWN;
	case OP_FILL:
		return FLAGS_KNOWN & ~FLAG_SRC_VRAM;
	default:
		return FLAG_COMPLETION | FLAG_INTERRUPT | FLAG_PASID;
	}
}

static bool range_fits(const struct copy_engine *ce, uint64_t start, uint64_t length,
		       bool vram)
{
	if (vram)
		return length <= ce->vram_size && start <= ce->vram_size - length;
	return !length || start <= UINT64_MAX - (length - 1);
}

static struct failure check(const struct copy_engine *ce,
			    const struct copy_engine_desc *d)
{
	if (d->opcode != OP_NOP && d->opcode != OP_COPY && d->opcode != OP_FILL)
		return decode_failure(CE_BAD_OPCODE, 0);
	if (d->flags & ~legal_flags(d->opcode))
		return decode_failure(CE_BAD_FLAGS, 0);
	/* Without the flag the PASID is a reserved field; bits above its width always
	 * are. */
	if (d->reserved_set || d->pasid >> COPY_ENGINE_PASID_BITS ||
	    (d->pasid && !(d->flags & FLAG_PASID)))
		return decode_failure(CE_BAD_RESERVED, 0);
	if (d->vector >= COPY_ENGINE_VECTORS)
		return decode_failure(CE_BAD_VECTOR, 0);
	if (d->flags & FLAG_COMPLETION && d->completion % COMPLETION_ALIGN)
		return decode_failure(CE_BAD_COMPLETION, 0);
	if (d->opcode == OP_COPY &&
	    !range_fits(ce, d->src, d->length, d->flags & FLAG_SRC_VRAM))
		return decode_failure(CE_BAD_RANGE, d->src);
	if (d->opcode != OP_NOP &&
	    !range_fits(ce, d->dst, d->length, d->flags & FLAG_DST_VRAM))
		return decode_failure(CE_BAD_RANGE, d->dst);
	return (struct failure){0};
}

/* The port for the job's data and completion record. NULL: no memory, or no such PASID.
 */
static struct uiommufd_channel *port_for(struct copy_engine *ce,
					 const struct copy_engine_desc *d)
{
	uint32_t pasid = d->flags & FLAG_PASID ? d->pasid : 0;

	return pasid >> COPY_ENGINE_PASID_BITS ? NULL : ports_get(&ce->ports, pasid);
}

/* ---- moving bytes ---------------------------------------------------------------- */

/*
 * Each moves @n bytes at @at from the job's start. On a fault @*moved is how many of
 * them had been written before.
 */
static struct failure move_done(int err, const struct uiommufd_fault *fault, uint64_t src,
				uint64_t dst, uint64_t n, uint64_t *moved)
{
	uint64_t before;

	if (!err) {
		*moved = n;
		return (struct failure){0};
	}
	before = fault->iova - (fault->write ? dst : src);
	*moved = before < n ? before : n;
	return dma_failure(fault->write ? CE_STAGE_DESTINATION : CE_STAGE_SOURCE, fault);
}

/* Inside the device: nobody who takes other memory away has to wait for it. */
static void copy_vram(struct copy_engine *ce, uint64_t dst, uint64_t src, uint64_t n)
{
	uiommufd_burst_end();
	memmove(ce->vram + dst, ce->vram + src, n);
	uiommufd_burst_begin();
}

static struct failure copy_piece(struct copy_engine *ce, const struct copy_engine_desc *d,
				 uint64_t at, uint64_t n, uint64_t *moved)
{
	struct uiommufd_fault fault = {0};
	uint64_t src = d->src + at, dst = d->dst + at;
	bool src_vram = d->flags & FLAG_SRC_VRAM, dst_vram = d->flags & FLAG_DST_VRAM;
	int err = 0;

	if (src_vram && dst_vram)
		copy_vram(ce, dst, src, n);
	else if (dst_vram)
		err = uiommufd_dma_read(ce->job.port, src, ce->vram + dst, n, &fault);
	else if (src_vram)
		err = uiommufd_dma_write(ce->job.port, dst, ce->vram + src, n, &fault);
	else
		err = uiommufd_dma_copy(ce->job.port, dst, src, n, &fault);
	return move_done(err, &fault, src, dst, n, moved);
}

/* @at is a multiple of 8, since pieces are: the pattern always starts anew. */
static struct failure fill_piece(struct copy_engine *ce, const struct copy_engine_desc *d,
				 uint64_t at, uint64_t n, uint64_t *moved)
{
	struct uiommufd_fault fault = {0};
	uint64_t dst = d->dst + at;
	int err = 0;

	if (d->flags & FLAG_DST_VRAM) {
		n = n < PATTERN_BYTES ? n : PATTERN_BYTES;
		memcpy(ce->vram + dst, pattern_bytes(&ce->pattern, d->src), n);
	} else {
		err = pattern_fill(&ce->pattern, ce->job.port, dst, d->src, n, &fault);
	}
	return move_done(err, &fault, 0, dst, n, moved);
}

/* Moves the next piece of the job. */
static struct failure move(struct copy_engine *ce, uint64_t *moved)
{
	struct copy_engine_job *job = &ce->job;
	const struct copy_engine_desc *d = &job->desc;
	uint64_t n = d->opcode == OP_NOP ? 0 : d->length - job->done;
	struct failure failure = {0};

	*moved = 0;
	if (n > PIECE_BYTES)
		n = PIECE_BYTES;
	if (n && d->opcode == OP_COPY)
		failure = copy_piece(ce, d, job->done, n, moved);
	else if (n)
		failure = fill_piece(ce, d, job->done, n, moved);
	job->done += *moved;
	return failure;
}

static bool is_done(const struct copy_engine_job *job)
{
	return job->desc.opcode == OP_NOP || job->done == job->desc.length;
}

/* ---- the end of a descriptor ----------------------------------------------------- */

/*
 * The status goes first and the value last, so that who polls for the value finds the
 * status (and the data) in place.
 */
static struct failure write_completion(struct copy_engine *ce, uint32_t status)
{
	const struct copy_engine_desc *d = &ce->job.desc;
	uint32_t second[2] = {htole32(status), htole32(ce->job.index)};
	uint64_t first = htole64(d->value);
	struct uiommufd_fault fault;

	__sync_synchronize();
	if (uiommufd_dma_write(ce->job.port, d->completion + 8, second, sizeof(second),
			       &fault))
		return dma_failure(CE_STAGE_COMPLETION, &fault);
	__sync_synchronize();
	if (uiommufd_dma_write(ce->job.port, d->completion, &first, sizeof(first),
			       &fault))
		return dma_failure(CE_STAGE_COMPLETION, &fault);
	return (struct failure){0};
}

static void retire(struct copy_engine *ce)
{
	const struct copy_engine_desc *d = &ce->job.desc;
	struct copy_engine_effects fx = {0};

	ce->job.active = false;
	pthread_mutex_lock(&ce->lock);
	ce->regs.consumer++;
	if (d->flags & FLAG_INTERRUPT)
		copy_engine_raise(ce, CE_COMPLETED, d->vector, &fx);
	pthread_mutex_unlock(&ce->lock);
	copy_engine_apply(ce, &fx);
}

/* @fetched: the job's descriptor is there, and may ask for a completion record. */
static void halt(struct copy_engine *ce, struct failure failure, bool fetched)
{
	const struct copy_engine_desc *d = &ce->job.desc;
	struct copy_engine_effects fx = {0};
	struct copy_engine_regs *r = &ce->regs;

	if (fetched && ce->job.port && d->flags & FLAG_COMPLETION &&
	    d->completion % COMPLETION_ALIGN == 0)
		(void)write_completion(ce, failure.error);

	ce->job.active = false;
	pthread_mutex_lock(&ce->lock);
	if (r->state == CE_READY) {
		r->state = CE_HALTED;
		r->error = failure.error;
		r->error_index = ce->job.index;
		r->error_addr = failure.addr;
		copy_engine_raise(ce, CE_ERROR, r->int_vector, &fx);
	}
	pthread_mutex_unlock(&ce->lock);
	copy_engine_apply(ce, &fx);
}

/* ---- steps ----------------------------------------------------------------------- */

/* Lock held, state STOPPING. */
static void finish_stop(struct copy_engine *ce, struct copy_engine_effects *fx)
{
	struct copy_engine_regs *r = &ce->regs;

	ce->job.active = false;
	r->state = CE_DISABLED;
	if (r->reset_wanted)
		copy_engine_reset_regs(ce);
	else
		copy_engine_raise(ce, CE_STOPPED, r->int_vector, fx);
}

/* Is there work? @iova: where the next descriptor lies, if none is active. */
static bool begin_step(struct copy_engine *ce, uint64_t *iova)
{
	struct copy_engine_effects fx = {0};
	struct copy_engine_regs *r = &ce->regs;
	bool work = false;

	pthread_mutex_lock(&ce->lock);
	if (r->state == CE_STOPPING)
		finish_stop(ce, &fx);
	else if (r->state == CE_READY)
		work = ce->job.active || r->consumer != r->producer;
	if (work && !ce->job.active) {
		ce->job.index = r->consumer;
		*iova = r->ring_base + (uint64_t)(r->consumer & (r->ring_size - 1)) *
					       COPY_ENGINE_DESC_BYTES;
	}
	pthread_mutex_unlock(&ce->lock);
	copy_engine_apply(ce, &fx);
	return work;
}

static bool begin_job(struct copy_engine *ce, uint64_t iova)
{
	struct copy_engine_job *job = &ce->job;
	struct failure failure = fetch(ce, iova, &job->desc);
	bool fetched = !failure.error;

	job->port = fetched ? port_for(ce, &job->desc) : NULL;
	if (fetched)
		failure = check(ce, &job->desc);
	if (fetched && !failure.error && !job->port)
		failure = decode_failure(CE_BROKEN, 0);
	if (failure.error) {
		halt(ce, failure, fetched);
		return false;
	}
	job->done = 0;
	job->active = true;
	return true;
}

static void count_bytes(struct copy_engine *ce, uint64_t moved)
{
	if (!moved)
		return;
	pthread_mutex_lock(&ce->lock);
	ce->regs.bytes += moved;
	pthread_mutex_unlock(&ce->lock);
}

static bool step(struct copy_engine *ce, uint64_t *moved)
{
	struct failure failure;
	uint64_t iova = 0;

	if (!begin_step(ce, &iova))
		return false;
	if (!ce->job.active && !begin_job(ce, iova))
		return false;

	failure = move(ce, moved);
	count_bytes(ce, *moved);
	if (!failure.error && !is_done(&ce->job))
		return true;
	if (!failure.error && ce->job.desc.flags & FLAG_COMPLETION) {
		failure = write_completion(ce, 0);
		if (failure.error) {
			halt(ce, failure, false);
			return false;
		}
	}
	if (failure.error) {
		halt(ce, failure, true);
		return false;
	}
	retire(ce);
	return true;
}

bool copy_engine_run(void *arg)
{
	struct copy_engine *ce = arg;
	uint64_t bytes = 0;

	uiommufd_burst_begin();
	for (unsigned i = 0; i < RUN_STEPS && bytes < PIECE_BYTES; i++) {
		uint64_t moved = 0;

		if (!step(ce, &moved))
			return false;
		bytes += moved;
	}
	return true;
}
