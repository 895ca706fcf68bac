/* SPDX-License-Identifier: MIT */
/*
 * IOMMU page tables: a generic radix walker over a format.
 *
 * Writers (map, unmap) are serialised by the caller (the domain's lock). Readers
 * (pt_walk) take no lock: entries are 64-bit atomics, an entry that points at a table
 * is published after the table is filled in, and a table that was unlinked is freed
 * only after a grace period (see struct pt_gather).
 *
 * What one pt_map() call mapped is unmapped by one pt_unmap() call over the same range
 * or a larger one that contains it whole: an entry is never split. Unmapping a hole is
 * harmless. pt_unmap() allocates nothing and cannot fail.
 *
 * A table page whose last entry was cleared is unlinked and gathered, so an address
 * space that is empty again holds only its root.
 */
#ifndef CORE_PT_H
#define CORE_PT_H

#include "core/port.h"

#define PT_READ  1u
#define PT_WRITE 2u
#define PT_MMIO  4u /* uncached device memory: carried into the entry */

typedef _Atomic uint64_t pt_entry;

struct pt_translation {
	uint64_t spa;        /* of the IOVA asked for */
	uint64_t page_iova;  /* start of the page that holds it */
	uint64_t page_bytes; /* size of that page */
	/*
	 * From the start of the page on, so many bytes of IOVA are contiguous in SPA and
	 * alike in permissions: page_bytes or more, as far as it was free to look.
	 */
	uint64_t run_bytes;
	unsigned prot;
};

/*
 * One hardware format: a short file of pure functions over entries (pt_vtd_s2.c).
 * Level 0 is the lowest table. Every table is one page. An entry whose low 12 bits are
 * zero is not present, in every format.
 */
struct pt_format {
	const char *name;
	unsigned levels;     /* of tables, the root included */
	unsigned page_shift; /* one entry of level 0 maps 2^page_shift bytes */
	unsigned index_bits; /* of IOVA that one level decodes; at most 9 */
	unsigned iova_bits;  /* the aperture is [0, 2^iova_bits - 1] */
	/* Bit n: a page of 2^n bytes, which is one entry of some level, or, where the
	 * format can join entries, a power of two of neighbours. */
	uint64_t page_sizes;
	bool (*present)(uint64_t entry);
	/* Is a present entry at @level a page (else a table)? */
	bool (*is_page)(uint64_t entry, unsigned level);
	/* The SPA of a page or table entry. */
	uint64_t (*address)(uint64_t entry, unsigned level);
	uint64_t (*make_page)(uint64_t spa, unsigned level, unsigned prot);
	/* An entry at @level for a table one level below. */
	uint64_t (*make_table)(uint64_t spa, unsigned level);
	unsigned (*prot)(uint64_t entry);
	/*
	 * Joined entries: mark an entry at @level as one of 2^@order neighbours that make
	 * up one page, and read the mark; 0: a page of its own. NULL: there are none.
	 */
	uint64_t (*join)(uint64_t entry, unsigned level, unsigned order);
	unsigned (*order)(uint64_t entry, unsigned level);
	/* Each of them is the same and has the address of the whole page; else each has
	 * its own. */
	bool joined_alike;
	/* The bit that a write by a device sets in a page's entry. 0: there is none. */
	uint64_t dirty;
	/*
	 * The inner loops for this format: those of core/pt_inline.h with the functions
	 * above inlined.
	 *
	 * pt_walk(): every access of every device that misses its IOTLB goes through it.
	 */
	bool (*walk)(const pt_entry *root, uint64_t iova, struct pt_translation *out);
	/*
	 * Make @n pages from @spa on, up to the first entry that is present; how many?
	 * NULL where pages are joined.
	 */
	unsigned (*fill)(pt_entry *entries, unsigned n, uint64_t spa, unsigned level,
			 unsigned prot);
};

/* Intel VT-d second stage, 4 levels, 48 bits; 4 KiB, 2 MiB, 1 GiB. VT-d spec 9.8. */
extern const struct pt_format pt_vtd_s2;
/* Intel VT-d first stage, the same shape; VT-d spec 9.7. */
extern const struct pt_format pt_vtd_s1;
/* AMD version 1, 4 levels, 48 bits; any power of two but 512 GiB. AMD IOMMU spec 2.2.3.
 */
extern const struct pt_format pt_amd_v1;

/*
 * Table pages live in our own process; what the format stores as a table's "SPA" is
 * its host address, which fits the 52-bit field on every machine we run on.
 */
struct pt {
	const struct pt_format *format;
	pt_entry *root;
	/* For writers: the lowest table that an unmap used last, so that another one
	 * close by needs no walk. */
	struct pt_near {
		pt_entry *leaf; /* NULL: none */
		uint16_t *live; /* how many entries it has */
		uint64_t span;  /* which table it is: IOVA by its reach */
	} near;
};

/* Tables that were unlinked and wait for the grace period. {0} is empty. */
struct pt_gather {
	void *leaves; /* level 0: a chain through the pages themselves */
	void *inner;  /* above: a chain beside the pages */
};

int pt_init(struct pt *pt, const struct pt_format *format);
/* Frees everything at once: the caller has drained all walkers. */
void pt_finish(struct pt *pt);

/*
 * Map [iova, iova + length) to [spa, spa + length), all page-aligned, with the largest
 * pages that both addresses, the length and @page_sizes (a subset of the format's)
 * allow. -EINVAL: misaligned, empty, beyond the aperture or the SPA space, no
 * permission in @prot. -ENOMEM: nothing of the range is left mapped. -EEXIST:
 * something was mapped there, and still is; nothing else is left mapped.
 *
 * Devices may have seen what a failing map has had to take back. Its tables are put
 * into @gather, and a wait is due before the memory is let go, as after an unmap.
 */
int pt_map(struct pt *pt, uint64_t iova, uint64_t spa, uint64_t length, unsigned prot,
	   uint64_t page_sizes, struct pt_gather *gather);
/* Have the CPU fetch the entry for @iova, which is about to be written. */
void pt_prefetch(const struct pt *pt, uint64_t iova);
/* Returns whether anything was mapped there. */
bool pt_unmap(struct pt *pt, uint64_t iova, uint64_t length, struct pt_gather *gather);
/* The same for many ranges. */
struct pt_span {
	uint64_t iova, length;
};
bool pt_unmap_spans(struct pt *pt, const struct pt_span *v, size_t n,
		    struct pt_gather *gather);

/*
 * Dirty bits. A page is dirty when any of its entries is. Reading tells of each dirty
 * page that touches [iova, iova + length), from its first byte on, and clears it unless
 * @keep; true: something was cleared, so cached translations must go before the next
 * write can be seen. Under the writers' lock. Setting is lock-free, in a DMA
 * section or under that lock; false: not mapped.
 */
bool pt_read_dirty(struct pt *pt, uint64_t iova, uint64_t length, bool keep,
		   void (*dirty)(void *arg, uint64_t iova, uint64_t bytes), void *arg);
bool pt_set_dirty(struct pt *pt, uint64_t iova);

/* Free what was gathered; the caller has waited for a grace period. */
void pt_gather_free(struct pt_gather *gather);

/* Lock-free; inside a DMA section or under the writers' lock. False: not mapped. */
static inline bool pt_walk(const struct pt *pt, uint64_t iova, struct pt_translation *out)
{
	return pt->format->walk(pt->root, iova, out);
}

/* ---- listing ------------------------------------------------------------------- */

#define PT_MAX_LEVELS 6
#define PT_LIST_LOOKS 4096

struct pt_listed {
	uint64_t iova;
	unsigned level;                  /* of the page's entry */
	uint64_t entries[PT_MAX_LEVELS]; /* on the way to it, by level; else 0 */
};

/*
 * Up to @n pages that are mapped at *@from or above, in order; *@from moves on behind
 * what was looked at, and *@more says whether there is more to look at, for another call.
 * Takes a bounded time. In a DMA section, or under the writers' lock.
 */
unsigned pt_list(const struct pt *pt, uint64_t *from, struct pt_listed *out, unsigned n,
		 bool *more);

#endif
