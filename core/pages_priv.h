/* SPDX-License-Identifier: MIT */
/*
 * Inside of pages: only pages.c and the IOAS look here.
 *
 * A pin is one resolved range of the memory and who uses it. An area of an IOAS that
 * has domains holds one pin, however many domains there are; so would an access. A
 * range inside one that is pinned already shares that pin; else it gets its own, so
 * ranges of different pins may overlap and the source is asked for both. The first pin
 * lives in the pages themselves: nearly all pages are needed whole, once.
 *
 * The pin of a dma-buf covers the slice from creation to the end, and is only counted.
 */
#ifndef CORE_PAGES_PRIV_H
#define CORE_PAGES_PRIV_H

#include "core/pages.h"

struct pin {
	struct pin *next;
	uint64_t start, length; /* bytes of the pages */
	size_t users;           /* 0: this pin is free */
	struct run_list runs;   /* of exactly those bytes */
	struct run single;      /* what runs.v points at when there is but one */
};

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
	struct pin first;
};

/* With lock held. The range lies inside the pages, which are not revoked. */
int pages_pin(struct pages *p, uint64_t start, uint64_t length, struct pin **out);
/* With lock held, after every domain that had the range has drained. Cannot fail. */
void pages_unpin(struct pages *p, struct pin *pin);

#endif
