/* SPDX-License-Identifier: MIT */
/*
 * The inner loops, to be instantiated once for each format: called with a constant @f,
 * the compiler inlines the format's functions.
 *
 * The walk takes no lock. Every entry is loaded once, with acquire, before anything
 * below it: whoever sees a pointer to a table sees the table filled in.
 *
 * At a smallest page the walk also looks at the following entries in the same cache line,
 * which it has just fetched: where they continue the page (SPA contiguous, same
 * permissions), run_bytes says so, and a copy through many small pages translates less
 * often. Each of them was valid at a moment after the walk began, which is all that a
 * translation ever means.
 */
#ifndef CORE_PT_INLINE_H
#define CORE_PT_INLINE_H

#include "core/pt.h"

#define PT_LINE_ENTRIES (64 / sizeof(pt_entry))

static inline unsigned pt_level_shift(const struct pt_format *f, unsigned level)
{
	return f->page_shift + level * f->index_bits;
}

static inline unsigned pt_level_index(const struct pt_format *f, unsigned level,
				      uint64_t iova)
{
	return (iova >> pt_level_shift(f, level)) & ((1u << f->index_bits) - 1);
}

static inline pt_entry *pt_table_of(const struct pt_format *f, uint64_t entry,
				    unsigned level)
{
	return (pt_entry *)(uintptr_t)f->address(entry, level);
}

/* How many bytes from the page at @index of a lowest table on are contiguous. */
static inline __attribute__((always_inline)) uint64_t
pt_walk_run(const struct pt_format *f, const pt_entry *table, unsigned index,
	    uint64_t entry)
{
	uint64_t spa = f->address(entry, 0);
	unsigned prot = f->prot(entry);
	const uint64_t page = (uint64_t)1 << f->page_shift;
	uint64_t bytes = page;

	while (++index % PT_LINE_ENTRIES != 0) {
		entry = atomic_load_explicit(&table[index], memory_order_acquire);
		if (!f->present(entry) || f->prot(entry) != prot ||
		    f->address(entry, 0) != spa + bytes)
			break;
		bytes += page;
	}
	return bytes;
}

static inline __attribute__((always_inline)) bool
pt_walk_format(const struct pt_format *f, const pt_entry *root, uint64_t iova,
	       struct pt_translation *out)
{
	const pt_entry *table = root;
	unsigned level = f->levels - 1;
	unsigned index, shift;
	uint64_t entry;

	if (f->iova_bits < 64 && iova >> f->iova_bits != 0)
		return false;
	for (;; level--) {
		index = pt_level_index(f, level, iova);
		entry = atomic_load_explicit(&table[index], memory_order_acquire);
		if (!f->present(entry))
			return false;
		if (level == 0 || f->is_page(entry, level))
			break;
		table = pt_table_of(f, entry, level);
	}

	shift = pt_level_shift(f, level);
	if (f->joined_alike)
		shift += f->order(entry, level);
	out->page_bytes = (uint64_t)1 << shift;
	out->page_iova = iova & ~(out->page_bytes - 1);
	out->spa = f->address(entry, level) + (iova - out->page_iova);
	out->prot = f->prot(entry);
	out->run_bytes = shift > f->page_shift ? out->page_bytes
					       : pt_walk_run(f, table, index, entry);
	return true;
}

/* Writers only. */
static inline __attribute__((always_inline)) unsigned
pt_fill_format(const struct pt_format *f, pt_entry *entries, unsigned n, uint64_t spa,
	       unsigned level, unsigned prot)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (f->present(atomic_load_explicit(&entries[i], memory_order_relaxed)))
			break;
		atomic_store_explicit(&entries[i], f->make_page(spa, level, prot),
				      memory_order_release);
		spa += (uint64_t)1 << pt_level_shift(f, level);
	}
	return i;
}

#endif
