/* SPDX-License-Identifier: MIT */
/* Accesses, as the selftest has them: what they pin, read and write. */
#include "tests/model/ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "selftest/abi.h"
#include "uiommufd/abi/iommufd.h"

#define LENGTH_MAX MIB(16)

static struct ref_access **slot_of(struct ref *r, const struct op *op)
{
	return &r->access[op->slot % NACCESSES];
}

/* The access of a call, which an open iommufd has to carry. */
static struct ref_access *access_of(struct ref *r, const struct op *op,
				    struct outcome *out)
{
	struct ref_access *x = *slot_of(r, op);

	if (!x)
		out->ret = -EBADFD;
	return x;
}

/* ---- life -------------------------------------------------------------------- */

void ref_access_open(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_ctx *ctx = ref_open_ctx(r, op, out);
	bool pins = op->flags & MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES;
	uint32_t ioas = ref_slot(r, op->obj);
	struct ref_access *x;

	if (!ctx)
		return;
	if ((uint32_t)op->flags & ~(uint32_t)MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		out->ret = -EOPNOTSUPP;
	else if (!ref_obj(ctx, ioas, IOAS))
		out->ret = -ENOENT;
	else
		out->ret = ref_check_alignment(r, ctx, ioas, pins ? PAGE : 1);
	if (out->ret)
		return;
	x = calloc(1, sizeof(*x));
	*x = (struct ref_access){.pins = pins, .ctx = ctx, .ioas = ioas};
	x->id = ref_obj_alloc(ctx, ACCESS);
	ctx->obj[x->id].users = 1;
	ctx->obj[ioas].users++;
	ctx->holders++;
	*slot_of(r, op) = x;
}

void ref_access_close(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_access *x = *slot_of(r, op);

	if (!x) {
		out->ret = -EBADF;
		return;
	}
	x->ctx->obj[x->ioas].users--;
	ref_obj_free(x->ctx, x->id);
	x->ctx->holders--;
	ref_ctx_release(r, x->ctx);
	free(x->pin);
	free(x);
	*slot_of(r, op) = NULL;
}

void ref_access_replace(struct ref *r, const struct op *op, struct outcome *out)
{
	uint32_t ioas = ref_slot(r, op->pt);
	struct ref_access *x;

	if (!ref_open_ctx(r, op, out))
		return;
	x = access_of(r, op, out);
	if (!x)
		return;
	if (!ref_obj(x->ctx, ioas, IOAS)) {
		out->ret = -ENOENT;
		return;
	}
	if (ioas == x->ioas)
		return;
	out->ret = ref_check_alignment(r, x->ctx, ioas, x->pins ? PAGE : 1);
	if (out->ret)
		return;
	x->nr_pins = 0;
	x->ctx->obj[x->ioas].users--;
	x->ctx->obj[ioas].users++;
	x->ioas = ioas;
}

void ref_let_go(struct ref *r, struct ref_ctx *ctx, uint32_t ioas, uint64_t iova,
		uint64_t last)
{
	for (unsigned i = 0; i < NACCESSES; i++) {
		struct ref_access *x = r->access[i];
		size_t kept = 0;

		if (!x || x->ctx != ctx || x->ioas != ioas)
			continue;
		for (size_t k = 0; k < x->nr_pins; k++) {
			const struct ref_pin *p = &x->pin[k];

			if (p->iova > last || p->iova + (p->length - 1) < iova)
				x->pin[kept++] = *p;
		}
		x->nr_pins = kept;
	}
}

/* ---- a range, area by area --------------------------------------------------- */

struct piece {
	const struct ref_area *area;
	uint64_t iova, last, start; /* start: in its memory */
	bool more;
};

static bool piece_at(const struct ref_ioas *ioas, uint64_t iova, uint64_t last,
		     struct piece *p)
{
	const struct ref_area *a = ref_area_at(ioas, iova);

	if (!a)
		return false;
	*p = (struct piece){
		.area = a,
		.iova = iova,
		.last = a->last < last ? a->last : last,
		.start = a->memory.start + (iova - a->iova),
		.more = last > a->last,
	};
	return true;
}

static int may_touch(const struct piece *p, bool write)
{
	const struct ref_area *a = p->area;

	if (!(a->prot & (write ? IOMMU_IOAS_MAP_WRITEABLE : IOMMU_IOAS_MAP_READABLE)))
		return -EPERM;
	if (write && !a->memory.writable)
		return -EPERM;
	return a->memory.kind == MEMORY_BUF ? -EINVAL : 0;
}

static int check_words(uint64_t iova, uint64_t length)
{
	if (!length)
		return -EINVAL;
	return iova + (length - 1) < iova ? -EOVERFLOW : 0;
}

/* ---- pins -------------------------------------------------------------------- */

static int pin(const struct ref_ioas *ioas, uint64_t iova, uint64_t last, bool write)
{
	struct piece p;

	for (;; iova = p.last + 1) {
		uint64_t end;
		int err;

		if (!piece_at(ioas, iova, last, &p))
			return -ENOENT;
		end = p.start + (p.last - p.iova + 1);
		if (p.start % PAGE || (p.more && end % PAGE))
			return -EINVAL;
		err = may_touch(&p, write);
		if (!err)
			err = ref_pinnable(&p.area->memory, p.start, end - 1);
		if (err || !p.more)
			return err;
	}
}

void ref_pin(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_access *x;

	if (!ref_open_ctx(r, op, out))
		return;
	if (op->length > LENGTH_MAX) {
		out->ret = -ENOMEM;
		return;
	}
	if ((uint32_t)op->flags & ~(uint32_t)MOCK_FLAGS_ACCESS_WRITE) {
		out->ret = -EOPNOTSUPP;
		return;
	}
	x = access_of(r, op, out);
	if (!x)
		return;
	if (!x->pins)
		out->ret = -EOPNOTSUPP;
	else
		out->ret = check_words(op->iova, op->length);
	if (!out->ret)
		out->ret = pin(x->ctx->obj[x->ioas].ioas, op->iova,
			       op->iova + (op->length - 1), op->flags);
	if (out->ret)
		return;
	x->pin = ref_grow(x->pin, x->nr_pins, sizeof(x->pin[0]));
	x->pin[x->nr_pins++] = (struct ref_pin){x->next_pin, op->iova, op->length};
	tell(out, x->next_pin++);
}

void ref_unpin(struct ref *r, const struct op *op, struct outcome *out)
{
	struct ref_access *x;

	if (!ref_open_ctx(r, op, out))
		return;
	x = access_of(r, op, out);
	if (!x)
		return;
	out->ret = -ENOENT;
	for (size_t i = 0; i < x->nr_pins && out->ret; i++) {
		if (x->pin[i].id != (uint32_t)op->value)
			continue;
		x->nr_pins--;
		memmove(&x->pin[i], &x->pin[i + 1], (x->nr_pins - i) * sizeof(x->pin[0]));
		out->ret = 0;
	}
}

/* ---- reading and writing ----------------------------------------------------- */

static int rw_piece(struct ref *r, const struct piece *p, uint8_t *bytes, bool write)
{
	const struct ref_memory *m = &p->area->memory;
	uint64_t n = p->last - p->iova + 1, part;
	int err = may_touch(p, write);

	if (!err && m->kind == MEMORY_CLIENT)
		err = ref_client_access(p->start, n, write);
	else if (!err)
		err = ref_pinnable(m, p->start, p->start + n - 1);
	for (uint64_t at = 0; at < n && !err; at += part) {
		uint8_t *memory = ref_byte(r, p->area, p->iova + at);

		part = PAGE - (p->start + at) % PAGE;
		part = part < n - at ? part : n - at;
		if (write)
			memcpy(memory, bytes + at, part);
		else
			memcpy(bytes + at, memory, part);
	}
	return err;
}

void ref_rw(struct ref *r, const struct op *op, struct outcome *out)
{
	bool write = op->flags & MOCK_ACCESS_RW_WRITE;
	uint64_t n = op->length < WRITE_MAX ? op->length : WRITE_MAX;
	uint64_t last = op->iova + (n - 1);
	uint8_t bytes[WRITE_MAX];
	const struct ref_ioas *ioas;
	struct ref_access *x;
	struct piece p;

	if (!ref_open_ctx(r, op, out))
		return;
	if (op->length > LENGTH_MAX) {
		out->ret = -ENOMEM;
		return;
	}
	if ((uint32_t)op->flags & ~(uint32_t)MOCK_ACCESS_RW_WRITE) {
		out->ret = -EOPNOTSUPP;
		return;
	}
	x = access_of(r, op, out);
	if (!x)
		return;
	out->ret = check_words(op->iova, n);
	if (out->ret)
		return;
	world_pattern(op->value, bytes, n);
	ioas = x->ctx->obj[x->ioas].ioas;
	for (uint64_t at = op->iova; !out->ret; at = p.last + 1) {
		if (!piece_at(ioas, at, last, &p)) {
			out->ret = -ENOENT;
			break;
		}
		out->ret = rw_piece(r, &p, bytes + (at - op->iova), write);
		if (!p.more)
			break;
	}
	if (!out->ret && !write)
		tell(out, world_sum(bytes, n));
}
