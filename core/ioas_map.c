/* SPDX-License-Identifier: MIT */
/*
 * Map and copy: areas come into being in three steps.
 *
 *  1. The IOVA range is checked or chosen and taken, all areas of the call together,
 *     in one hold of iova_lock. From then on nobody else can map there, and an unmap
 *     that meets the areas answers -EBUSY.
 *  2. The domains are filled, without iova_lock: resolving client memory may be slow.
 *  3. The areas are published, by one store each.
 * A failure undoes what was done; the IOVAs are given back when nothing can reach the
 * memory through them any more.
 *
 * domains_lock is held for reading throughout, so the domains do not change under it.
 */
#include "core/ioas_priv.h"

/* The areas that one call makes. They lie side by side. */
struct batch {
	struct ioas_area **v;
	size_t n;
	uint64_t length;
};

/* iova_lock is held for writing. */
static void give_back(struct ioas *ioas, struct batch *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		range_map_remove(&ioas->areas, b->v[i]->iova);
}

/* ---- step 1 --------------------------------------------------------------- */

static int check_fixed(const struct ioas *ioas, uint64_t iova, uint64_t length)
{
	uint64_t last = iova + (length - 1);

	if (iova & (ioas->alignment - 1))
		return -EINVAL;
	if (last < iova)
		return -EOVERFLOW;
	if (!ranges_open(ioas, iova, last))
		return -EINVAL;
	return 0;
}

static int check_areas(const struct ioas *ioas, const struct batch *b, unsigned prot)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct ioas_area *a = b->v[i];

		if ((prot & IOAS_WRITE) && !a->pages->writable)
			return -EPERM;
		if (area_address(a) & (ioas->alignment - 1))
			return -EINVAL;
	}
	return 0;
}

/* -EEXIST: something is there. */
static int insert(struct ioas *ioas, struct ioas_area *a, uint64_t iova, unsigned prot)
{
	/* Until here a->iova counted from 0. */
	a->last += iova;
	a->iova += iova;
	a->ioas = ioas;
	a->prot = prot;
	return range_map_insert(&ioas->areas, a->iova, a->last, a);
}

/*
 * With many areas both the map and the page tables are larger than the CPU's caches.
 * Then entries of the tables are fetched while the insert waits for the map.
 */
#define MANY_AREAS 10000u

static void prefetch(const struct ioas *ioas, uint64_t iova)
{
	if (ioas->areas.count < MANY_AREAS)
		return;
	range_map_prefetch(&ioas->areas, iova);
	for (size_t i = 0; i < ioas->nr_domains; i++)
		domain_prefetch(ioas->domains[i], iova);
}

static int take_locked(struct ioas *ioas, struct batch *b, unsigned prot, bool fixed,
		       uint64_t *iova)
{
	struct range r;
	int rc;

	if (!b->length || (b->length & (ioas->alignment - 1)))
		return -EINVAL;
	if (fixed)
		rc = check_fixed(ioas, *iova, b->length);
	else
		rc = ranges_choose(ioas, area_address(b->v[0]), b->length, iova);
	if (rc)
		return rc;
	rc = check_areas(ioas, b, prot);
	/* What is in the way counts before that; else the insert sees it by itself. */
	if (rc && fixed &&
	    range_map_first(&ioas->areas, *iova, *iova + (b->length - 1), &r))
		return -EEXIST;
	if (rc)
		return rc;
	prefetch(ioas, *iova);
	for (size_t i = 0; i < b->n; i++) {
		rc = insert(ioas, b->v[i], *iova, prot);
		if (rc) {
			give_back(ioas, b, i);
			return rc;
		}
	}
	return 0;
}

static int take(struct ioas *ioas, struct batch *b, unsigned prot, bool fixed,
		uint64_t *iova)
{
	int rc;

	port_rwlock_write_lock(&ioas->iova_lock);
	rc = take_locked(ioas, b, prot, fixed, iova);
	port_rwlock_write_unlock(&ioas->iova_lock);
	return rc;
}

/* ---- step 2 --------------------------------------------------------------- */

/* Undo the filling of the first @n areas. */
static void unfill(struct ioas *ioas, struct batch *b, size_t n)
{
	struct domain_gather gather = {0};
	struct unmap_batch batch;

	batch.n = 0;
	for (size_t i = 0; i < n; i++) {
		area_hide(b->v[i]);
		unmap_batch_add(&batch, b->v[i], &gather);
	}
	unmap_batch_flush(&batch, ioas, &gather);
	gather.any = ioas->nr_domains != 0;
	domain_gather_finish(&gather);
	for (size_t i = 0; i < n; i++) {
		area_drained(b->v[i]);
		area_unpin(b->v[i]);
	}
}

static int fill(struct ioas *ioas, struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		int rc = area_fill(b->v[i]);

		if (rc) {
			unfill(ioas, b, i);
			return rc;
		}
	}
	return 0;
}

/* On failure the areas are as before, and the caller's to destroy. */
static int map_batch(struct ioas *ioas, struct batch *b, unsigned prot, bool fixed,
		     uint64_t *iova)
{
	uint64_t at = *iova;
	int rc;

	port_rwlock_read_lock(&ioas->domains_lock);
	rc = take(ioas, b, prot, fixed, &at);
	if (rc)
		goto unlock;
	rc = fill(ioas, b);
	if (rc) {
		port_rwlock_write_lock(&ioas->iova_lock);
		give_back(ioas, b, b->n);
		port_rwlock_write_unlock(&ioas->iova_lock);
		goto unlock;
	}
	/* From the store on an area belongs to whoever unmaps it. */
	for (size_t i = 0; i < b->n; i++)
		area_set_state(b->v[i], AREA_LIVE);
	*iova = at;
unlock:
	port_rwlock_read_unlock(&ioas->domains_lock);
	return rc;
}

/* ---- map ------------------------------------------------------------------ */

int ioas_map(struct ioas *ioas, struct pages *pages, uint64_t start, uint64_t length,
	     unsigned prot, bool fixed, uint64_t *iova)
{
	struct ioas_area *a;
	struct batch b = {.v = &a, .n = 1, .length = length};
	int rc;

	if (length && (start >= pages->length || length > pages->length - start))
		return -EINVAL;
	a = area_create(pages, start);
	if (!a)
		return -ENOMEM;
	a->last = length - 1;
	rc = map_batch(ioas, &b, prot, fixed, iova);
	if (rc)
		area_destroy(a);
	return rc;
}

/* ---- copy ----------------------------------------------------------------- */

/* How many areas cover [iova, last] without a hole? 0: they do not. */
static size_t count_pieces(const struct ioas *src, uint64_t iova, uint64_t last)
{
	struct range_iter it;
	struct range r;
	size_t n = 0;

	for (bool ok = range_iter_first(&it, &src->areas, iova, last, &r); ok;
	     ok = range_iter_next(&it, &r)) {
		/* An area that is not LIVE is a hole. */
		if (r.start > iova || area_state(r.value) != AREA_LIVE)
			return 0;
		n++;
		if (r.last >= last)
			return n;
		iova = r.last + 1;
	}
	return 0;
}

static void batch_destroy(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		area_destroy(b->v[i]);
	port_free(b->v);
}

/* The pieces of [iova, last], as areas whose IOVAs count from 0. */
static int collect_pieces(struct ioas *src, uint64_t iova, uint64_t last, struct batch *b)
{
	size_t n = count_pieces(src, iova, last);
	struct range_iter it;
	struct range r;

	if (!n)
		return -ENOENT;
	b->v = port_alloc(n * sizeof(*b->v));
	if (!b->v)
		return -ENOMEM;
	range_iter_first(&it, &src->areas, iova, last, &r);
	while (b->n < n) {
		const struct ioas_area *from = r.value;
		uint64_t first = max_u64(iova, from->iova);
		struct ioas_area *a =
			area_create(from->pages, from->start + (first - from->iova));

		if (!a)
			return -ENOMEM;
		a->iova = first - iova;
		a->last = min_u64(last, from->last) - iova;
		b->v[b->n++] = a;
		range_iter_next(&it, &r);
	}
	return 0;
}

int ioas_copy(struct ioas *dst, struct ioas *src, uint64_t src_iova, uint64_t length,
	      unsigned prot, bool fixed, uint64_t *dst_iova)
{
	uint64_t last = src_iova + (length - 1);
	struct batch b = {.length = length};
	int rc;

	if (!length)
		return -EINVAL;
	if (last < src_iova)
		return -EOVERFLOW;
	port_rwlock_read_lock(&src->iova_lock);
	rc = collect_pieces(src, src_iova, last, &b);
	port_rwlock_read_unlock(&src->iova_lock);
	if (!rc)
		rc = map_batch(dst, &b, prot, fixed, dst_iova);
	if (rc)
		batch_destroy(&b);
	else
		port_free(b.v);
	return rc;
}
