/* SPDX-License-Identifier: MIT */
/*
 * Unmap: any number of areas with one drain, without allocating, without failing.
 *
 *  1. With iova_lock held, each area in the range becomes LEAVING and is cleared from
 *     the domains. Its IOVAs stay taken.
 *  2. One wait for the drain, without iova_lock.
 *  3. The IOVAs are given back, the memory is unpinned.
 * As in Linux the areas go in order, and an area that cannot go ends the walk: those
 * before it are unmapped all the same, and the call answers the error.
 *
 * An area that accesses have pinned interrupts the walk, too. Without any lock the
 * accesses are asked to let go of it, then the walk goes on from there. An access that
 * does not let go is asked a hundred times.
 */
#include "core/ioas_priv.h"

#define MAX_TRIES 100

struct walk {
	uint64_t start, last; /* what is still to be unmapped */
	uint64_t unmapped;    /* bytes so far */
	/* Where a pinned area stopped this round: [start, pinned_last]. */
	bool pinned;
	uint64_t pinned_last;
};

static struct ioas_area *area_of(struct list *it)
{
	return list_entry(it, struct ioas_area, link);
}

static int may_leave(struct ioas_area *a, uint64_t start, uint64_t last)
{
	/* Another thread is mapping or unmapping it right now. */
	if (area_state(a) != AREA_LIVE)
		return -EBUSY;
	if (a->locks)
		return -EBUSY;
	if (a->iova < start || a->last > last)
		return -ENOENT;
	return 0;
}

/* Step 1. */
static int clear_areas(struct ioas *ioas, struct walk *w, struct list *leaving,
		       struct domain_gather *gather)
{
	struct unmap_batch batch;
	struct range_iter it;
	struct range r;
	int rc = 0;

	batch.n = 0;
	for (bool ok = range_iter_first(&it, &ioas->areas, w->start, w->last, &r); ok;
	     ok = range_iter_next(&it, &r)) {
		struct ioas_area *a = r.value;

		rc = may_leave(a, w->start, w->last);
		if (rc)
			break;
		/* Accesses pin under the read side, so the count stands. */
		if (a->accesses) {
			a->no_access = true;
			w->pinned = true;
			w->start = a->iova;
			w->pinned_last = a->last;
			break;
		}
		area_set_state(a, AREA_LEAVING);
		area_hide(a);
		list_append(leaving, &a->link);
		unmap_batch_add(&batch, a, gather);
	}
	unmap_batch_flush(&batch, ioas, gather);
	/* A revoke may have cleared areas before us and not have waited yet. */
	gather->any = ioas->nr_domains && !list_empty(leaving);
	return rc;
}

/* Step 2. A revoke waits for area_drained(), so no lock is taken before it. */
static void drain(struct list *leaving, struct domain_gather *gather)
{
	domain_gather_finish(gather);
	list_for_each (it, leaving)
		area_drained(area_of(it));
}

/* As far as it goes without asking anybody. */
static int unmap_round(struct ioas *ioas, struct walk *w)
{
	struct domain_gather gather = {0};
	struct list leaving;
	int rc;

	w->pinned = false;
	list_init(&leaving);
	port_rwlock_read_lock(&ioas->domains_lock);
	port_rwlock_write_lock(&ioas->iova_lock);
	rc = clear_areas(ioas, w, &leaving, &gather);
	if (gather.any) {
		port_rwlock_write_unlock(&ioas->iova_lock);
		drain(&leaving, &gather);
		port_rwlock_write_lock(&ioas->iova_lock);
	} else {
		drain(&leaving, &gather);
	}
	list_for_each (it, &leaving) {
		struct ioas_area *a = area_of(it);

		w->unmapped += area_length(a);
		range_map_remove(&ioas->areas, a->iova);
	}
	port_rwlock_write_unlock(&ioas->iova_lock);
	port_rwlock_read_unlock(&ioas->domains_lock);
	list_for_each_safe (it, &leaving)
		area_destroy(area_of(it));
	return rc;
}

static int unmap_range(struct ioas *ioas, uint64_t start, uint64_t last,
		       uint64_t *unmapped)
{
	struct walk w = {.start = start, .last = last};
	unsigned tries = 0;
	int rc;

	for (;;) {
		uint64_t before = w.start;

		rc = unmap_round(ioas, &w);
		if (rc || !w.pinned)
			break;
		if (w.start != before)
			tries = 0;
		accesses_unmap(ioas, w.start, w.pinned_last - w.start + 1);
		if (++tries > MAX_TRIES) {
			rc = -EDEADLK;
			break;
		}
	}
	*unmapped = w.unmapped;
	return rc;
}

int ioas_unmap_any(struct ioas *ioas, uint64_t iova, uint64_t length, uint64_t *unmapped)
{
	uint64_t last = iova + (length - 1);

	*unmapped = 0;
	if (!length)
		return -EINVAL;
	if (last < iova)
		return -EOVERFLOW;
	return unmap_range(ioas, iova, last, unmapped);
}

int ioas_unmap(struct ioas *ioas, uint64_t iova, uint64_t length, uint64_t *unmapped)
{
	int rc = ioas_unmap_any(ioas, iova, length, unmapped);

	if (!rc && !*unmapped)
		return -ENOENT;
	return rc;
}

int ioas_unmap_all(struct ioas *ioas, uint64_t *unmapped)
{
	return unmap_range(ioas, 0, UINT64_MAX, unmapped);
}
