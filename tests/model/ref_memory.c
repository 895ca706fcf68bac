/* SPDX-License-Identifier: MIT */
/* Memory by name: which bytes there are, which can be pinned, and revoke. */
#include "tests/model/ref.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the program's memory ---------------------------------------------------- */

static bool client_page(uint64_t at, bool write)
{
	if (at < CLIENT_RO)
		return true;
	if (at < CLIENT_HOLE)
		return !write;
	return at >= CLIENT_SHARED && at < CLIENT_END;
}

uint8_t *ref_client_byte(struct ref *r, uint64_t at)
{
	if (at >= CLIENT_SHARED)
		return r->memory[REGION_FILES] + (at - CLIENT_SHARED);
	return r->memory[REGION_CLIENT] + at;
}

int ref_client_access(uint64_t start, uint64_t length, bool write)
{
	for (uint64_t at = start / PAGE * PAGE; at < start + length; at += PAGE)
		if (!client_page(at, write))
			return -EFAULT;
	return 0;
}

/* ---- memory of areas --------------------------------------------------------- */

static uint8_t *buf_byte(struct ref *r, const struct ref_buf *b, uint64_t at)
{
	return b->test ? b->bytes + at : r->memory[REGION_BARS + b->dev] + b->offset + at;
}

uint8_t *ref_byte(struct ref *r, const struct ref_area *a, uint64_t iova)
{
	uint64_t at = a->memory.start + (iova - a->iova);

	switch (a->memory.kind) {
	case MEMORY_CLIENT:
		return ref_client_byte(r, at);
	case MEMORY_FILE:
		return r->memory[REGION_FILES + FILE_INDEX(a->memory.index)] + at;
	default:
		return buf_byte(r, &r->buf[a->memory.index], at);
	}
}

/* Whole pages are pinned. A file's must lie in it to their ends. */
int ref_pinnable(const struct ref_memory *m, uint64_t start, uint64_t last)
{
	uint64_t end;

	if (m->kind == MEMORY_BUF)
		return 0;
	if (m->kind == MEMORY_CLIENT)
		return ref_client_access(start, last - start + 1, m->writable);
	if (FILE_KIND(m->index) != FILE_MEM)
		return -EINVAL;
	end = last / PAGE * PAGE + PAGE;
	return end && end <= file_bytes[FILE_INDEX(m->index)] ? 0 : -EINVAL;
}

uint64_t ref_address(const struct ref_memory *m)
{
	/* The program's memory lies somewhere, as aligned as 4 MiB. */
	return m->kind == MEMORY_CLIENT && m->start < CLIENT_RAW ? MIB(1 << 20) + m->start
								 : m->start;
}

static void forget_dirty(struct ref_ctx *ctx, uint32_t ioas_id, const struct ref_area *a)
{
	for (uint32_t id = 1; id < ctx->top; id++)
		if (ctx->obj[id].type == HWPT && ctx->obj[id].ioas_id == ioas_id)
			ref_dirty_forget(&ctx->obj[id], a->iova, a->last);
}

void ref_revoke(struct ref *r, struct ref_buf *b)
{
	unsigned index = (unsigned)(b - r->buf);

	b->revoked = true;
	for (size_t c = 0; c < r->nr_ctx; c++) {
		struct ref_ctx *ctx = r->all_ctx[c];

		for (uint32_t id = 1; id < ctx->top; id++) {
			struct ref_ioas *ioas = ctx->obj[id].ioas;

			for (size_t i = 0; ioas && i < ioas->nr_areas; i++) {
				struct ref_memory *m = &ioas->areas[i].memory;

				if (m->kind != MEMORY_BUF || m->index != index)
					continue;
				m->revoked = true;
				forget_dirty(ctx, id, &ioas->areas[i]);
			}
		}
	}
}

/* ---- pins -------------------------------------------------------------------- */

/* Those that have the page, each once. */
struct pinners {
	const uint8_t *page;
	unsigned *v;
	size_t n;
};

/* [iova, last] of the area is pinned: whole pages. */
static void add_pinner(struct ref *r, struct pinners *p, const struct ref_area *a,
		       uint64_t iova, uint64_t last)
{
	uint64_t n = last - iova + 1, into;
	bool has = false;

	if (a->memory.kind == MEMORY_BUF)
		return;
	for (uint64_t at = 0; at < n; at += PAGE - into) {
		into = (a->memory.start + (iova - a->iova) + at) % PAGE;
		has |= ref_byte(r, a, iova + at) - into == p->page;
	}
	for (size_t i = 0; has && i < p->n; i++)
		has = p->v[i] != a->memory.pages;
	if (!has)
		return;
	p->v = ref_grow(p->v, p->n, sizeof(p->v[0]));
	p->v[p->n++] = a->memory.pages;
}

static void add_access(struct ref *r, struct pinners *p, const struct ref_access *x)
{
	const struct ref_ioas *ioas = x->ctx->obj[x->ioas].ioas;

	for (size_t i = 0; i < x->nr_pins; i++) {
		uint64_t first = x->pin[i].iova, last = first + (x->pin[i].length - 1);

		for (size_t k = 0; k < ioas->nr_areas; k++) {
			const struct ref_area *a = &ioas->areas[k];
			uint64_t from = a->iova > first ? a->iova : first;
			uint64_t to = a->last < last ? a->last : last;

			if (from <= to)
				add_pinner(r, p, a, from, to);
		}
	}
}

unsigned ref_count_pins(struct ref *r, uint64_t at)
{
	struct pinners p = {.page = ref_client_byte(r, at / PAGE * PAGE)};

	for (size_t c = 0; c < r->nr_ctx; c++) {
		struct ref_ctx *ctx = r->all_ctx[c];

		for (uint32_t id = 1; id < ctx->top; id++) {
			const struct ref_ioas *ioas = ctx->obj[id].ioas;

			if (!ioas || !ref_has_domain(ctx, id))
				continue;
			for (size_t i = 0; i < ioas->nr_areas; i++)
				add_pinner(r, &p, &ioas->areas[i], ioas->areas[i].iova,
					   ioas->areas[i].last);
		}
	}
	for (unsigned i = 0; i < NACCESSES; i++)
		if (r->access[i])
			add_access(r, &p, r->access[i]);
	free(p.v);
	return (unsigned)p.n;
}

void ref_check_pins(struct ref *r, const struct op *op, struct outcome *out)
{
	if (!ref_open_ctx(r, op, out))
		return;
	if ((op->start | op->length) % PAGE) {
		out->ret = -EINVAL;
		return;
	}
	for (uint64_t at = 0; at < op->length && !out->ret; at += PAGE) {
		out->ret = ref_client_access(op->start + at, 1, false);
		if (!out->ret && ref_count_pins(r, op->start + at) != op->value)
			out->ret = -EIO;
	}
}
