/* SPDX-License-Identifier: MIT */
/*
 * Listing what a page table maps, for debugging: a walk over all that is present, a piece
 * at a time, since nobody may stay in a DMA section for as long as a whole table takes.
 * Between two pieces the table may change; what is listed was there when it was.
 */
#include "core/pt.h"
#include "core/pt_inline.h"

/*
 * The page at @iova, or, where there is none, where to look next: false, and *@next is
 * past what is not present.
 */
static bool page_at(const struct pt *pt, uint64_t iova, struct pt_listed *out,
		    uint64_t *next)
{
	const struct pt_format *f = pt->format;
	const pt_entry *table = pt->root;

	*out = (struct pt_listed){0};
	for (unsigned level = f->levels; level-- > 0;) {
		uint64_t bytes = (uint64_t)1 << pt_level_shift(f, level);
		uint64_t entry = atomic_load_explicit(
			&table[pt_level_index(f, level, iova)], memory_order_acquire);

		*next = (iova & ~(bytes - 1)) + bytes;
		if (!f->present(entry))
			return false;
		out->entries[level] = entry;
		if (f->is_page(entry, level)) {
			out->iova = iova & ~(bytes - 1);
			out->level = level;
			return true;
		}
		table = pt_table_of(f, entry, level);
	}
	return false;
}

unsigned pt_list(const struct pt *pt, uint64_t *from, struct pt_listed *out, unsigned n,
		 bool *more)
{
	const uint64_t end = (uint64_t)1 << pt->format->iova_bits;
	unsigned looks = PT_LIST_LOOKS, found = 0;

	while (*from < end && found < n && looks-- > 0)
		if (page_at(pt, *from, &out[found], from))
			found++;
	*more = *from < end;
	return found;
}
