/* SPDX-License-Identifier: MIT */
/*
 * Inside of an IOAS: shared by core/ioas*.c, and by pages.c for the cut.
 *
 * The life of an area:
 *   PENDING  its IOVAs are taken (it is in ioas.areas) while the domains are filled;
 *   LIVE     filled in every domain;
 *   LEAVING  cleared from every domain, its IOVAs stay taken until the drain is over.
 * Only the thread that made an area PENDING or LEAVING may change or remove it, and
 * does so with ioas.domains_lock held for reading from the first change to the last: so
 * with the write side held every area is LIVE. The state is read under iova_lock, and
 * becomes LEAVING under its write side.
 *
 * A LIVE area that accesses have pinned does not become LEAVING. The unmapper marks it
 * no_access instead, so that no new pin comes, and asks the accesses to let go.
 */
#ifndef CORE_IOAS_PRIV_H
#define CORE_IOAS_PRIV_H

#include "core/access.h"
#include "core/ioas.h"
#include "core/pages_priv.h"

/* An IOVA that is chosen is aligned to this at most: what a huge page needs. */
#define IOAS_MAX_ALIGNMENT ((uint64_t)2 << 20)

enum area_state {
	AREA_PENDING,
	AREA_LIVE,
	AREA_LEAVING,
};

/* One of a million: 72 bytes. */
struct ioas_area {
	/* Inclusive; constant once in ioas.areas, but for a cut (ioas_split.c). */
	uint64_t iova, last;
	struct ioas *ioas;
	struct pages *pages; /* holds a reference */
	struct pin *pin;     /* under pages.lock; while the IOAS has domains */
	uint64_t start;      /* where it begins in the pages, bytes */
	/* Of a dma-buf: on pages.areas. While LEAVING: on the unmapper's list. */
	struct list link;
	uint8_t prot : 7; /* constant in ioas.areas */
	/* Being unmapped: no new accesses. Under iova_lock (write); never cleared. */
	uint8_t no_access : 1;
	_Atomic uint8_t state;
	/* Under pages.lock, with iova_lock held for reading. */
	uint16_t locks;    /* those of the accesses that refuse an unmap */
	uint32_t accesses; /* pins of accesses */
};

struct ioas_reservation {
	uint64_t start, last;
	const void *owner;
};

struct ioas {
	struct port_rwlock domains_lock;
	struct port_rwlock iova_lock;
	/* The array changes with domains_lock (write) and domset held, so either will do
	 * to read it. */
	struct port_mutex domset;
	struct domain **domains;
	size_t nr_domains, cap_domains;

	/* Under iova_lock; alignment and large_off also change under domains_lock only.
	 */
	struct range_map areas; /* to struct ioas_area */
	uint64_t alignment;     /* of IOVA, length and offset in the page; at most 4096 */
	bool large_off;
	/* Changes with both outer locks (write) and access_lock held. */
	struct list accesses; /* ioas_access.on_ioas, by serial */
	uint64_t next_serial;
	struct port_mutex access_lock;     /* a leaf but for ops.get */
	struct ioas_reservation *reserved; /* by start; may overlap */
	size_t nr_reserved, cap_reserved;
	struct iova_range *closed;  /* the union of reserved: disjoint, apart, in order */
	size_t nr_closed;           /* as much room as reserved has */
	struct iova_range *allowed; /* likewise; none: everything is allowed */
	size_t nr_allowed;
};

static inline uint64_t area_length(const struct ioas_area *a)
{
	return a->last - a->iova + 1;
}

static inline enum area_state area_state(struct ioas_area *a)
{
	return atomic_load_explicit(&a->state, memory_order_acquire);
}

static inline void area_set_state(struct ioas_area *a, enum area_state state)
{
	atomic_store_explicit(&a->state, state, memory_order_release);
}

/* ---- ioas_area.c: one area and its pages ---------------------------------- */

/* Takes a reference to @p. NULL: no memory. */
struct ioas_area *area_create(struct pages *p, uint64_t start);
/* Not in the map; unpins what is pinned, so its domains have drained. */
void area_destroy(struct ioas_area *a);
/* What it maps, in its own space: decides about alignment. */
static inline uint64_t area_address(const struct ioas_area *a)
{
	return a->pages->address + a->start;
}

/*
 * Map into all domains of the IOAS and let a revoke find it. domains_lock is held. On
 * failure nothing is mapped, and everything has drained.
 */
int area_fill(struct ioas_area *a);
/* The same for one domain more. @d is in the array already. On failure nothing of this
 * area is mapped in it. */
int area_fill_one(struct ioas_area *a, struct domain *d);
/*
 * Hide from revokes, which wait for the drain of this area from now on:
 * area_drained() must follow, soon, and no lock may be waited for in between that a
 * revoke's caller can hold. The area may still be mapped.
 */
void area_hide(struct ioas_area *a);
void area_drained(struct ioas_area *a);
/* The IOAS has lost its last domain, which has drained. */
void area_unpin(struct ioas_area *a);

/*
 * What is to be unmapped from all domains of an IOAS, collected so that neighbours go
 * as one range and each domain is asked rarely. n 0 is an empty batch. The domains do
 * not change while it is in use.
 */
#define UNMAP_BATCH 64
struct unmap_batch {
	struct pt_span v[UNMAP_BATCH];
	size_t n;
};
void unmap_batch_add(struct unmap_batch *b, const struct ioas_area *a,
		     struct domain_gather *gather);
void unmap_batch_flush(struct unmap_batch *b, const struct ioas *ioas,
		       struct domain_gather *gather);

/*
 * The revoke: clear areas from all domains of their IOAS. Of any number of pages, whose
 * locks are all held from before the first add until after the end. {.gather} begins one.
 */
struct area_cut {
	struct domain_gather *gather;
	struct ioas *ioas; /* whose areas are in the batch, domset held; NULL: none */
	struct unmap_batch batch;
};
void area_cut_add(struct area_cut *cut, struct list *areas); /* pages.areas */
void area_cut_end(struct area_cut *cut);

/* ---- access.c ------------------------------------------------------------- */

/* The alignment that the accesses ask for; at least 1. iova_lock is held. */
uint64_t accesses_alignment(const struct ioas *ioas);
/* Ask all accesses to let go of [iova, iova + length - 1]. No lock is held. */
void accesses_unmap(struct ioas *ioas, uint64_t iova, uint64_t length);

/* ---- ioas.c: both outer locks, for writing -------------------------------- */

void ioas_lock_all(struct ioas *ioas);
void ioas_unlock_all(struct ioas *ioas);
/* With both held: -EADDRINUSE when an area is not aligned so. */
int ioas_check_alignment(struct ioas *ioas, uint64_t alignment);
/* What domains, accesses and the option ask for. */
uint64_t ioas_wanted_alignment(const struct ioas *ioas);

/* ---- ioas_ranges.c: what IOVAs there are; iova_lock is held --------------- */

/* Is [start, last] clear of reservations? */
bool ranges_open(const struct ioas *ioas, uint64_t start, uint64_t last);
/* reserve and unreserve with the write side held. */
int ranges_reserve(struct ioas *ioas, uint64_t start, uint64_t last, const void *owner);
void ranges_unreserve(struct ioas *ioas, const void *owner);
/* Choose an IOVA for @length bytes of memory at @address. */
int ranges_choose(const struct ioas *ioas, uint64_t address, uint64_t length,
		  uint64_t *iova);
void ranges_finish(struct ioas *ioas);

#endif
