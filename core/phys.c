/* SPDX-License-Identifier: MIT */
/*
 * The SPA space: which window holds which granule of 1 GiB.
 *
 * Two views of the same windows:
 *  - `used`, a range_map of granule numbers, says what is taken; phys.lock guards it.
 *    Granule 0 is never given out, so that SPA 0 is never valid.
 *  - a two-level table of 2048 x 2048 window pointers, one for each granule, is what
 *    phys_find() reads without a lock. Entries are written under the lock.
 *
 * Second-level tables are made when first needed and kept until the space is destroyed:
 * readers may be in them at any time. Granules are given out lowest first, so there are
 * no more tables than the most windows ever present needed.
 *
 * A window leaves the table first; its granules become free again only after the grace
 * period, so no reader sees two windows of one SPA in one DMA section.
 */
#include "core/phys.h"

#include "core/range_map.h"

#define GRANULE      ((uint64_t)1 << PHYS_GRANULE_SHIFT)
#define GRANULE_BITS (PHYS_SPA_BITS - PHYS_GRANULE_SHIFT)
#define TABLE_BITS   (GRANULE_BITS / 2)
#define TABLE_SIZE   ((size_t)1 << TABLE_BITS)

_Static_assert(TABLE_BITS * 2 == GRANULE_BITS, "two equal levels");

struct phys_table {
	_Atomic(struct phys_window *) window[TABLE_SIZE];
};

struct phys {
	struct port_mutex lock;
	struct range_map used; /* granules, values are windows; under lock */
	_Atomic(struct phys_table *) table[TABLE_SIZE];
};

int phys_create(struct phys **out)
{
	struct phys *phys = port_alloc(sizeof(*phys));

	if (!phys)
		return -ENOMEM;
	port_mutex_init(&phys->lock);
	range_map_init(&phys->used);
	*out = phys;
	return 0;
}

void phys_destroy(struct phys *phys)
{
	if (!phys)
		return;
	PORT_BUG_ON(phys->used.count != 0);
	range_map_finish(&phys->used);
	for (size_t i = 0; i < TABLE_SIZE; i++)
		port_free(atomic_load(&phys->table[i]));
	port_mutex_finish(&phys->lock);
	port_free(phys);
}

static bool window_valid(const struct phys_window *w)
{
	if (w->length == 0 || w->length % PORT_PAGE_SIZE != 0)
		return false;
	if (w->length > ((uint64_t)1 << PHYS_SPA_BITS))
		return false;
	return w->host || (w->ops && w->ops->read && w->ops->write);
}

static uint64_t granules(const struct phys_window *w)
{
	return (w->length + GRANULE - 1) >> PHYS_GRANULE_SHIFT;
}

/* Have second-level tables for [first, last]. Some may be left made when one fails. */
static int make_tables(struct phys *phys, uint64_t first, uint64_t last)
{
	for (uint64_t i = first >> TABLE_BITS; i <= last >> TABLE_BITS; i++) {
		struct phys_table *t;

		if (atomic_load_explicit(&phys->table[i], memory_order_relaxed))
			continue;
		t = port_alloc(sizeof(*t));
		if (!t)
			return -ENOMEM;
		atomic_store_explicit(&phys->table[i], t, memory_order_release);
	}
	return 0;
}

/* @w NULL: clear. The tables are there. */
static void set_granules(struct phys *phys, uint64_t first, uint64_t last,
			 struct phys_window *w)
{
	for (uint64_t g = first; g <= last; g++) {
		struct phys_table *t = atomic_load_explicit(&phys->table[g >> TABLE_BITS],
							    memory_order_relaxed);

		atomic_store_explicit(&t->window[g % TABLE_SIZE], w,
				      memory_order_release);
	}
}

static int add_locked(struct phys *phys, struct phys_window *w)
{
	uint64_t space_last = ((uint64_t)1 << GRANULE_BITS) - 1;
	uint64_t first, last;
	int rc;

	if (!range_map_find_gap(&phys->used, 1, space_last, granules(w), 1, 0, &first))
		return -ENOMEM;
	last = first + granules(w) - 1;
	rc = make_tables(phys, first, last);
	if (rc)
		return rc;
	rc = range_map_insert(&phys->used, first, last, w);
	if (rc)
		return rc;
	w->base = first << PHYS_GRANULE_SHIFT;
	set_granules(phys, first, last, w);
	return 0;
}

int phys_add(struct phys *phys, struct phys_window *w)
{
	int rc;

	if (!window_valid(w))
		return -EINVAL;
	port_mutex_lock(&phys->lock);
	rc = add_locked(phys, w);
	port_mutex_unlock(&phys->lock);
	return rc;
}

void phys_remove(struct phys *phys, struct phys_window *w)
{
	uint64_t first = w->base >> PHYS_GRANULE_SHIFT;
	struct range r;
	bool known;

	port_mutex_lock(&phys->lock);
	known = range_map_first(&phys->used, first, first, &r) && r.value == w;
	if (known)
		set_granules(phys, r.start, r.last, NULL);
	port_mutex_unlock(&phys->lock);
	if (PORT_BUG_ON(!known))
		return;

	/* The granules stay taken meanwhile. Not under the lock: others need not wait. */
	port_rcu_synchronize();

	port_mutex_lock(&phys->lock);
	range_map_remove(&phys->used, first);
	port_mutex_unlock(&phys->lock);
}

struct phys_window *phys_find(const struct phys *phys, uint64_t spa)
{
	uint64_t g = spa >> PHYS_GRANULE_SHIFT;
	const struct phys_table *t;
	struct phys_window *w;

	if (g >> GRANULE_BITS)
		return NULL;
	t = atomic_load_explicit(&phys->table[g >> TABLE_BITS], memory_order_acquire);
	if (!t)
		return NULL;
	w = atomic_load_explicit(&t->window[g % TABLE_SIZE], memory_order_acquire);
	if (!w || spa - w->base >= w->length)
		return NULL;
	return w;
}

/* ---- runs ------------------------------------------------------------------------ */

static int run_list_grow(struct run_list *l)
{
	size_t cap = l->cap ? l->cap * 2 : 4;
	struct run *v;

	if (cap > SIZE_MAX / sizeof(*v))
		return -ENOMEM;
	v = port_alloc(cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	if (l->n)
		memcpy(v, l->v, l->n * sizeof(*v));
	port_free(l->v);
	l->v = v;
	l->cap = cap;
	return 0;
}

int run_list_add(struct run_list *l, struct run run, bool may_join)
{
	struct run *prev = l->n ? &l->v[l->n - 1] : NULL;
	int rc;

	if (PORT_BUG_ON(run.length == 0))
		return -EINVAL;
	if (may_join && prev && prev->spa + prev->length == run.spa &&
	    prev->mmio == run.mmio) {
		prev->length += run.length;
		return 0;
	}
	if (l->n == l->cap) {
		rc = run_list_grow(l);
		if (rc)
			return rc;
	}
	l->v[l->n++] = run;
	return 0;
}

void run_list_finish(struct run_list *l)
{
	port_free(l->v);
	*l = (struct run_list){0};
}
