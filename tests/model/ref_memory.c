/* SPDX-License-Identifier: MIT */
/* Memory by name: which bytes there are, which can be pinned, and revoke. */
#include "tests/model/ref.h"

#include <errno.h>

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
