/* SPDX-License-Identifier: MIT */
/*
 * A channel's engine: fetches a descriptor, checks it, moves its bytes, writes the
 * completion, and goes to the next.
 *
 * Runs in the channel's worker, one descriptor a step. A descriptor moves at most 1 MiB,
 * so whoever wants the channel to stop waits no longer than that takes.
 *
 * Order: data, then CHANCMP's memory, then CHANSTS, then the interrupt.
 */
#include <endian.h>

#include "devices/ioat.h"

#define RUN_STEPS 64
#define RUN_BYTES (UINT64_C(1) << IOAT_XFER_ORDER)

/* Bits of a descriptor's control field; the others do not change what it does. */
enum {
	DESC_INTERRUPT = 1 << 0,
	DESC_COMPLETION = 1 << 3,
	DESC_NULL = 1 << 5,
};

enum {
	OP_COPY = 0,
	OP_FILL = 1,
};

/* A descriptor as it lies in memory. */
struct wire_desc {
	uint32_t size, control;
	uint64_t src, dst, next;
	uint64_t reserved[4];
};

_Static_assert(sizeof(struct wire_desc) == IOAT_DESC_BYTES, "descriptor size");

struct desc {
	uint32_t size, control;
	uint64_t src, dst, next;
};

/* ---- one descriptor: each answers the bits of CHANERR, 0 if all went well --------- */

/* Why an access was aborted: @address is for what was never reached. */
static uint32_t access_error(const struct uiommufd_fault *fault, uint32_t address)
{
	if (fault->reason != UIOMMUFD_FAULT_ABORT)
		return address;
	return fault->write ? IOAT_ERR_WRITE_DATA : IOAT_ERR_READ_DATA;
}

static uint32_t fetch(struct ioat_channel *ch, uint64_t iova, bool first,
		      struct desc *desc)
{
	struct uiommufd_fault fault;
	struct wire_desc wire;

	if (iova % IOAT_DESC_BYTES)
		return first ? IOAT_ERR_CHAIN : IOAT_ERR_NEXT_ALIGN;
	if (uiommufd_dma_read(ch->dma, iova, &wire, sizeof(wire), &fault))
		return access_error(&fault, first ? IOAT_ERR_CHAIN : IOAT_ERR_NEXT);
	*desc = (struct desc){
		.size = le32toh(wire.size),
		.control = le32toh(wire.control),
		.src = le64toh(wire.src),
		.dst = le64toh(wire.dst),
		.next = le64toh(wire.next),
	};
	return 0;
}

static unsigned opcode(const struct desc *d)
{
	return d->control >> 24;
}

static bool wraps(uint64_t start, uint32_t size)
{
	return start > UINT64_MAX - (size - 1);
}

static uint32_t check(const struct desc *d)
{
	if (opcode(d) != OP_COPY && opcode(d) != OP_FILL)
		return IOAT_ERR_CONTROL;
	if (!d->size || d->size > 1u << IOAT_XFER_ORDER)
		return IOAT_ERR_LENGTH;
	if (d->control & DESC_NULL)
		return 0;
	if (opcode(d) == OP_COPY && wraps(d->src, d->size))
		return IOAT_ERR_SOURCE;
	return wraps(d->dst, d->size) ? IOAT_ERR_DESTINATION : 0;
}

static uint32_t move(struct ioat_channel *ch, const struct desc *d)
{
	struct uiommufd_fault fault = {0};
	int err;

	if (d->control & DESC_NULL)
		return 0;
	if (opcode(d) == OP_COPY)
		err = uiommufd_dma_copy(ch->dma, d->dst, d->src, d->size, &fault);
	else
		err = pattern_fill(&ch->pattern, ch->dma, d->dst, d->src, d->size,
				   &fault);
	if (!err)
		return 0;
	return access_error(&fault, fault.write ? IOAT_ERR_DESTINATION : IOAT_ERR_SOURCE);
}

static uint32_t write_completion(struct ioat_channel *ch, uint64_t address,
				 uint64_t status)
{
	uint64_t wire = htole64(status);
	struct uiommufd_fault fault;

	__sync_synchronize();
	if (uiommufd_dma_write(ch->dma, address, &wire, sizeof(wire), &fault))
		return IOAT_ERR_COMPLETION;
	return 0;
}

/* ---- steps ----------------------------------------------------------------------- */

/* What a step knows of the registers, taken under the lock when it began. */
struct step {
	uint64_t iova; /* of the descriptor */
	bool first;    /* of the chain */
	uint64_t completion;
	uint64_t status; /* CHANSTS, if the descriptor completes */
};

/* Is there a descriptor to execute? */
static bool begin(struct ioat_channel *ch, struct step *s)
{
	struct ioat_channel_regs *r = &ch->regs;
	enum ioat_state after;
	bool work = false;

	pthread_mutex_lock(&ch->ioat->lock);
	if (r->reset_wanted) {
		ioat_channel_reset(ch);
	} else if (r->suspend_wanted) {
		r->suspend_wanted = false;
		r->state = IOAT_SUSPENDED;
	} else if (r->state == IOAT_ACTIVE) {
		work = r->done != r->count;
		if (!work)
			r->state = IOAT_IDLE;
	}
	if (work) {
		after = (uint16_t)(r->done + 1) == r->count ? IOAT_IDLE : IOAT_ACTIVE;
		*s = (struct step){
			.iova = r->next,
			.first = !r->begun,
			.completion = r->completion,
			.status = ioat_channel_status(r->next, after),
		};
		r->current = r->next;
		r->begun = true;
	}
	pthread_mutex_unlock(&ch->ioat->lock);
	return work;
}

static void retire(struct ioat_channel *ch, const struct step *s, const struct desc *d)
{
	struct ioat_channel_regs *r = &ch->regs;
	struct ioat_effects fx = {0};

	pthread_mutex_lock(&ch->ioat->lock);
	r->completed = s->iova;
	r->next = d->next;
	r->done++;
	if (r->done == r->count)
		r->state = IOAT_IDLE;
	if (d->control & DESC_INTERRUPT)
		ioat_raise(ch, &fx);
	pthread_mutex_unlock(&ch->ioat->lock);
	ioat_apply(ch->ioat, &fx);
}

static void halt(struct ioat_channel *ch, uint32_t error)
{
	struct ioat_channel_regs *r = &ch->regs;
	uint64_t status, completion = 0;
	struct ioat_effects fx = {0};

	pthread_mutex_lock(&ch->ioat->lock);
	status = ioat_channel_status(r->completed, IOAT_HALTED);
	if (r->control & IOAT_CTRL_ERR_COMPLETION)
		completion = r->completion;
	pthread_mutex_unlock(&ch->ioat->lock);

	if (completion && !(error & IOAT_ERR_COMPLETION))
		error |= write_completion(ch, completion, status);

	pthread_mutex_lock(&ch->ioat->lock);
	r->error |= error;
	ioat_note_error(ch->ioat, error);
	r->state = IOAT_HALTED;
	r->suspend_wanted = false;
	if (r->control & IOAT_CTRL_ERR_INT && error & ~r->error_mask)
		ioat_raise(ch, &fx);
	pthread_mutex_unlock(&ch->ioat->lock);
	ioat_apply(ch->ioat, &fx);
}

/* True if there may be more to do. */
static bool step(struct ioat_channel *ch, uint64_t *moved)
{
	struct desc d = {0};
	struct step s;
	uint32_t error;

	if (!begin(ch, &s))
		return false;
	error = fetch(ch, s.iova, s.first, &d);
	if (!error)
		error = check(&d);
	if (!error)
		error = move(ch, &d);
	if (!error && d.control & DESC_COMPLETION)
		error = write_completion(ch, s.completion, s.status);
	if (error)
		halt(ch, error);
	else
		retire(ch, &s, &d);
	*moved += d.size;
	return true;
}

bool ioat_channel_run(void *arg)
{
	struct ioat_channel *ch = arg;
	uint64_t moved = 0;

	uiommufd_burst_begin();
	for (unsigned i = 0; i < RUN_STEPS && moved < RUN_BYTES; i++)
		if (!step(ch, &moved))
			return false;
	return true;
}
