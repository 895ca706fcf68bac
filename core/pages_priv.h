/* SPDX-License-Identifier: MIT */
/*
 * Inside of pages: only pages.c and the IOAS look here.
 *
 * Memory is pinned by exact ranges (pin_tree.h): that of an area, as long as its IOAS has
 * domains, however many; and those of accesses. The first pin lives in the pages
 * themselves: nearly all pages are needed whole, once. The source is asked for each
 * range by itself.
 *
 * The pin of a dma-buf covers the slice from creation to the end, and is only counted.
 *
 * @npinned is how many pages are pinned, each counted once. The account knows them; while
 * pages change hands (pages_charge_next) the next account does, too.
 */
#ifndef CORE_PAGES_PRIV_H
#define CORE_PAGES_PRIV_H

#include "core/pages.h"
#include "core/pin_tree.h"

struct pages {
	struct port_mutex lock;
	_Atomic unsigned refs;
	/*
	 * Unmaps that have taken an area off the list and not drained yet. A revoke that
	 * finds no area must wait for them. Raised under lock.
	 */
	_Atomic unsigned draining;
	uint8_t kind; /* enum pages_kind; constant */
	bool writable;
	bool revoked;      /* under lock */
	uint64_t length;   /* constant */
	uint64_t address;  /* of the first byte in its own space: VA, file or buffer */
	struct list areas; /* of a dma-buf: ioas_area.link, under lock */
	struct mem_source *source; /* NULL for a dma-buf */
	struct pin *pins;          /* all that are in use, but of a dma-buf */
	struct pin first;
	uint64_t npinned;
	struct pin_account *account, *next_account; /* NULL: nobody counts */
};

/*
 * With lock held. The range lies inside the pages, which are not revoked. What resolving
 * answers, or -ENOMEM, also when the account refuses.
 */
int pages_pin(struct pages *p, uint64_t start, uint64_t length, struct pin **out);
/* With lock held, after every domain that had the range has drained. Cannot fail. */
void pages_unpin(struct pages *p, struct pin *pin);
/* The pin of exactly this range, which is pinned. With lock held. */
struct pin *pages_pinned(struct pages *p, uint64_t start, uint64_t length);

/* The part [start, start + length) of @all, appended to @out. -EINVAL: @all is shorter.
 */
int runs_slice(const struct run_list *all, uint64_t start, uint64_t length,
	       struct run_list *out);

#endif
