/* SPDX-License-Identifier: MIT */
/*
 * Cutting an area in two, for clients of type1 that unmap the middle of what they mapped.
 *
 * The lower half stays the area that it was; the upper half becomes a new one. The
 * domains hold the same translations as before, which is why the cut is refused where a
 * large page might straddle it. Each half pins its own range before the whole is let go,
 * so nothing moves and the account never sees less or more.
 *
 * domains_lock is held for reading and iova_lock for writing; the area is LIVE, so
 * nobody but us touches it. An area of a dma-buf, which a revoke could touch, is refused.
 */
#include "core/ioas_priv.h"

static int may_cut(const struct ioas *ioas, struct ioas_area *a, uint64_t at)
{
	uint64_t byte = a->start + (at - a->iova) + 1;

	if (area_state(a) != AREA_LIVE || a->no_access)
		return -EBUSY;
	if (a->pages->kind == PAGES_DMABUF)
		return -EOPNOTSUPP;
	if (((at + 1) | byte) & (ioas->alignment - 1))
		return -EINVAL;
	return 0;
}

/* Pins for the two halves, if the whole has one. pages.lock is held. */
static int pin_halves(struct ioas_area *a, struct ioas_area *upper, struct pin **lower)
{
	struct pages *p = a->pages;
	int rc;

	*lower = NULL;
	if (!a->pin)
		return 0;
	rc = pages_pin(p, a->start, area_length(a) - area_length(upper), lower);
	if (rc)
		return rc;
	rc = pages_pin(p, upper->start, area_length(upper), &upper->pin);
	if (rc) {
		upper->pin = NULL;
		pages_unpin(p, *lower);
	}
	return rc;
}

/* pages.lock is held. */
static int split_locked(struct ioas *ioas, struct ioas_area *a, struct ioas_area *upper)
{
	struct pin *lower;
	int rc;

	/* Which half an access has pinned is not known. */
	if (a->accesses)
		return -EINVAL;
	if (ioas->nr_domains && !ioas->large_off)
		return -EINVAL;
	rc = pin_halves(a, upper, &lower);
	if (rc)
		return rc;
	rc = range_map_split(&ioas->areas, upper->iova - 1, a, upper);
	if (rc) {
		if (lower) {
			pages_unpin(a->pages, lower);
			pages_unpin(a->pages, upper->pin);
			upper->pin = NULL;
		}
		return rc;
	}
	if (a->pin)
		pages_unpin(a->pages, a->pin);
	a->pin = lower;
	a->last = upper->iova - 1;
	return 0;
}

static int split(struct ioas *ioas, struct ioas_area *a, uint64_t at)
{
	struct ioas_area *upper;
	int rc = may_cut(ioas, a, at);

	if (rc)
		return rc;
	upper = area_create(a->pages, a->start + (at - a->iova) + 1);
	if (!upper)
		return -ENOMEM;
	upper->iova = at + 1;
	upper->last = a->last;
	upper->ioas = ioas;
	upper->prot = a->prot;
	area_set_state(upper, AREA_LIVE);
	port_mutex_lock(&a->pages->lock);
	rc = split_locked(ioas, a, upper);
	port_mutex_unlock(&a->pages->lock);
	if (rc)
		area_destroy(upper);
	return rc;
}

int ioas_cut(struct ioas *ioas, uint64_t at)
{
	struct range r;
	int rc = 0;

	port_rwlock_read_lock(&ioas->domains_lock);
	port_rwlock_write_lock(&ioas->iova_lock);
	/* Linux lets an area be that would leave a single byte below. */
	if (range_map_first(&ioas->areas, at, at, &r) && r.start != at && r.last != at)
		rc = split(ioas, r.value, at);
	port_rwlock_write_unlock(&ioas->iova_lock);
	port_rwlock_read_unlock(&ioas->domains_lock);
	return rc;
}
