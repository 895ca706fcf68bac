/* SPDX-License-Identifier: MIT */
/* What a device reaches: for each page the area that its address lies in. */
#include "tests/model/ref.h"

#include <errno.h>
#include <string.h>

#include "uiommufd/abi/iommufd.h"
#include "uiommufd/device.h"

/* Where a device's address leads: *@bytes bytes at *@at. Or why not. */
static enum uiommufd_fault_reason translate(struct ref *r, const struct ref_dev *d,
					    uint64_t iova, bool write, uint8_t **at,
					    uint64_t *bytes)
{
	const unsigned need = write ? IOMMU_IOAS_MAP_WRITEABLE : IOMMU_IOAS_MAP_READABLE;
	const struct ref_obj *hwpt;
	const struct ref_area *a;

	if (!d->ctx || d->power || d->low_power || !(d->command & COMMAND_MASTER))
		return UIOMMUFD_FAULT_NO_MASTER;
	if (!d->group->hwpt)
		return UIOMMUFD_FAULT_BLOCKED;
	hwpt = &d->ctx->obj[d->group->hwpt];
	a = ref_area_at(d->ctx->obj[hwpt->ioas_id].ioas, iova);
	if (!a || a->memory.revoked)
		return UIOMMUFD_FAULT_UNMAPPED;
	if (!(a->prot & need))
		return UIOMMUFD_FAULT_PERM;
	*at = ref_byte(r, a, iova);
	*bytes = PAGE - iova % PAGE;
	if (*bytes > a->last - iova + 1)
		*bytes = a->last - iova + 1;
	return UIOMMUFD_FAULT_NONE;
}

/* Of a device that has just reached something. */
static struct ref_obj *hwpt_of(struct ref *r, const struct op *op)
{
	const struct ref_dev *d = &r->dev[op->dev % NDEVS];

	return &d->ctx->obj[d->group->hwpt];
}

/* One stretch of a transfer that lies in one page on each side. */
struct step {
	enum uiommufd_fault_reason reason;
	bool write; /* what failed */
	uint8_t *to, *from;
	uint64_t bytes;
};

static struct step step_at(struct ref *r, const struct op *op, uint64_t done, uint64_t n)
{
	const struct ref_dev *d = &r->dev[op->dev % NDEVS];
	bool reads = op->kind == OP_DMA_READ || op->kind == OP_DMA_COPY;
	uint64_t from = (op->kind == OP_DMA_COPY ? op->iova2 : op->iova) + done;
	uint64_t to = op->iova + done, bytes;
	struct step s = {.bytes = n - done};

	if (reads) {
		s.reason = from < done ? UIOMMUFD_FAULT_UNMAPPED
				       : translate(r, d, from, false, &s.from, &bytes);
		if (s.reason)
			return s;
		s.bytes = bytes < s.bytes ? bytes : s.bytes;
	}
	if (op->kind != OP_DMA_READ) {
		s.write = true;
		s.reason = to < done ? UIOMMUFD_FAULT_UNMAPPED
				     : translate(r, d, to, true, &s.to, &bytes);
		if (s.reason)
			return s;
		s.bytes = bytes < s.bytes ? bytes : s.bytes;
	}
	return s;
}

static uint64_t length_of(const struct op *op)
{
	return op->length < WRITE_MAX ? op->length : WRITE_MAX;
}

bool ref_is_undefined(struct ref *r, const struct op *op)
{
	uint64_t done = 0, n = length_of(op);

	if (op->kind != OP_DMA_COPY)
		return false;
	/* A copy whose halves touch the same page of memory anywhere is not looked into.
	 */
	while (done < n) {
		struct step s = step_at(r, op, done, n);

		if (s.reason)
			return false;
		for (uint64_t other = 0; other < n;) {
			struct step t = step_at(r, op, other, n);

			if (t.reason)
				break;
			if (s.to < t.from + t.bytes && t.from < s.to + s.bytes)
				return true;
			other += t.bytes;
		}
		done += s.bytes;
	}
	return false;
}

void ref_dma(struct ref *r, const struct op *op, struct outcome *out)
{
	uint8_t bytes[WRITE_MAX];
	uint64_t done = 0, n = length_of(op);
	struct step s = {.reason = UIOMMUFD_FAULT_NONE};

	if (op->kind == OP_DMA_WRITE)
		world_pattern(op->value, bytes, n);
	else
		memset(bytes, (int)(op->value & 0xff), n);
	while (done < n) {
		s = step_at(r, op, done, n);
		if (s.reason)
			break;
		if (op->kind == OP_DMA_READ)
			memcpy(bytes + done, s.from, s.bytes);
		else if (op->kind == OP_DMA_COPY)
			memcpy(s.to, s.from, s.bytes);
		else
			memcpy(s.to, bytes + done, s.bytes);
		if (op->kind != OP_DMA_READ)
			ref_dirty_write(hwpt_of(r, op), op->iova + done);
		done += s.bytes;
	}
	if (s.reason) {
		out->ret = -EFAULT;
		tell(out, s.reason);
		tell(out,
		     (s.write || op->kind != OP_DMA_COPY ? op->iova : op->iova2) + done);
		tell(out, s.write);
	}
	if (op->kind == OP_DMA_READ)
		tell(out, world_sum(bytes, done));
}

void ref_look(struct ref *r, const struct op *op, struct outcome *out)
{
	uint64_t n = op->count < 64 ? op->count : 64;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t iova = op->iova + i * PAGE + op->value % PAGE, bytes;
		uint8_t *at = NULL;
		enum uiommufd_fault_reason reason =
			translate(r, &r->dev[op->dev % NDEVS], iova, false, &at, &bytes);

		tell(out, reason ? (uint64_t)reason << 8 : *at);
	}
}
