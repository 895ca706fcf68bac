/* SPDX-License-Identifier: MIT */
/*
 * The IOAS itself, and the domains that join and leave it.
 *
 * A domain joins with both outer locks held for writing, so every area is LIVE and
 * stays. It enters the array before the first area is mapped in it: a revoke that
 * comes between two areas then finds the domain, and the areas that come after it find
 * the mark of the revoke. It leaves the array after it was cleared and has drained,
 * in one hold of domset, which makes a revoke wait for that drain.
 */
#include "core/ioas_priv.h"

int ioas_create(struct ioas **out)
{
	struct ioas *ioas = port_alloc(sizeof(*ioas));

	if (!ioas)
		return -ENOMEM;
	port_rwlock_init(&ioas->domains_lock);
	port_rwlock_init(&ioas->iova_lock);
	port_mutex_init(&ioas->domset);
	port_mutex_init(&ioas->access_lock);
	range_map_init(&ioas->areas);
	list_init(&ioas->accesses);
	ioas->alignment = 1;
	*out = ioas;
	return 0;
}

void ioas_destroy(struct ioas *ioas)
{
	uint64_t unmapped;

	if (!ioas)
		return;
	PORT_BUG_ON(ioas->nr_domains || !list_empty(&ioas->accesses));
	PORT_BUG_ON(ioas_unmap_all(ioas, &unmapped));
	range_map_finish(&ioas->areas);
	ranges_finish(ioas);
	port_free(ioas->domains);
	port_mutex_finish(&ioas->access_lock);
	port_mutex_finish(&ioas->domset);
	port_rwlock_finish(&ioas->iova_lock);
	port_rwlock_finish(&ioas->domains_lock);
	port_free(ioas);
}

void ioas_lock_all(struct ioas *ioas)
{
	port_rwlock_write_lock(&ioas->domains_lock);
	port_rwlock_write_lock(&ioas->iova_lock);
}

void ioas_unlock_all(struct ioas *ioas)
{
	port_rwlock_write_unlock(&ioas->iova_lock);
	port_rwlock_write_unlock(&ioas->domains_lock);
}

/* ---- alignment ------------------------------------------------------------ */

int ioas_check_alignment(struct ioas *ioas, uint64_t alignment)
{
	uint64_t mask = alignment - 1;
	struct range_iter it;
	struct range r;

	if (alignment <= ioas->alignment)
		return 0;
	for (bool ok = range_iter_first(&it, &ioas->areas, 0, UINT64_MAX, &r); ok;
	     ok = range_iter_next(&it, &r)) {
		const struct ioas_area *a = r.value;

		if ((a->iova | area_length(a) | area_address(a)) & mask)
			return -EADDRINUSE;
	}
	return 0;
}

uint64_t ioas_wanted_alignment(const struct ioas *ioas)
{
	uint64_t alignment = accesses_alignment(ioas);

	if (ioas->large_off)
		alignment = max_u64(alignment, PORT_PAGE_SIZE);
	for (size_t i = 0; i < ioas->nr_domains; i++)
		alignment = max_u64(alignment, domain_min_page(ioas->domains[i]));
	return alignment;
}

/* ---- adding a domain ------------------------------------------------------ */

static int push_domain(struct ioas *ioas, struct domain *d)
{
	struct domain **old = NULL, **v = ioas->domains;
	size_t cap = ioas->cap_domains;

	if (ioas->nr_domains == cap) {
		cap = cap ? 2 * cap : 4;
		v = port_alloc(cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		old = ioas->domains;
		if (ioas->nr_domains)
			memcpy(v, old, ioas->nr_domains * sizeof(*v));
	}
	port_mutex_lock(&ioas->domset);
	v[ioas->nr_domains++] = d;
	ioas->domains = v;
	ioas->cap_domains = cap;
	port_mutex_unlock(&ioas->domset);
	port_free(old);
	return 0;
}

static int fill_domain(struct ioas *ioas, struct domain *d)
{
	struct range_iter it;
	struct range r;

	for (bool ok = range_iter_first(&it, &ioas->areas, 0, UINT64_MAX, &r); ok;
	     ok = range_iter_next(&it, &r)) {
		int rc = area_fill_one(r.value, d);

		if (rc)
			return rc;
	}
	return 0;
}

static void unpin_all(struct ioas *ioas)
{
	struct range_iter it;
	struct range r;

	for (bool ok = range_iter_first(&it, &ioas->areas, 0, UINT64_MAX, &r); ok;
	     ok = range_iter_next(&it, &r))
		area_unpin(r.value);
}

/*
 * Clear all of @d, drain, take it out of the array. With this order inside one hold of
 * domset a revoke finds @d with nothing in flight, or finds it not at all.
 */
static void empty_domain(struct ioas *ioas, struct domain *d)
{
	struct domain_gather gather = {0};
	uint64_t half = d->aperture_last / 2 + 1;
	size_t i = 0;

	port_mutex_lock(&ioas->domset);
	/* In halves: a length cannot say 2^64. */
	domain_unmap(d, 0, half, &gather);
	if (d->aperture_last >= half)
		domain_unmap(d, half, d->aperture_last - half + 1, &gather);
	/* A revoke may have cleared entries here and not have waited yet. */
	gather.any = true;
	domain_gather_finish(&gather);
	while (ioas->domains[i] != d)
		i++;
	ioas->domains[i] = ioas->domains[--ioas->nr_domains];
	port_mutex_unlock(&ioas->domset);
	if (!ioas->nr_domains)
		unpin_all(ioas);
}

static bool has_domain(const struct ioas *ioas, const struct domain *d)
{
	for (size_t i = 0; i < ioas->nr_domains; i++)
		if (ioas->domains[i] == d)
			return true;
	return false;
}

static int add_domain_locked(struct ioas *ioas, struct domain *d)
{
	uint64_t alignment = max_u64(domain_min_page(d), ioas->alignment);
	int rc;

	if (has_domain(ioas, d))
		return -EEXIST;
	/* Client memory is contiguous by pages only. */
	if (alignment > PORT_PAGE_SIZE)
		return -EINVAL;
	rc = ioas_check_alignment(ioas, alignment);
	if (rc)
		return rc;
	if (d->aperture_first)
		rc = ranges_reserve(ioas, 0, d->aperture_first - 1, d);
	if (!rc && d->aperture_last != UINT64_MAX)
		rc = ranges_reserve(ioas, d->aperture_last + 1, UINT64_MAX, d);
	if (!rc)
		rc = push_domain(ioas, d);
	if (rc)
		goto fail;
	rc = fill_domain(ioas, d);
	if (rc) {
		empty_domain(ioas, d);
		goto fail;
	}
	ioas->alignment = alignment;
	return 0;
fail:
	ranges_unreserve(ioas, d);
	return rc;
}

int ioas_add_domain(struct ioas *ioas, struct domain *d)
{
	int rc;

	ioas_lock_all(ioas);
	rc = add_domain_locked(ioas, d);
	ioas_unlock_all(ioas);
	return rc;
}

void ioas_remove_domain(struct ioas *ioas, struct domain *d)
{
	ioas_lock_all(ioas);
	if (!PORT_BUG_ON(!has_domain(ioas, d))) {
		empty_domain(ioas, d);
		ranges_unreserve(ioas, d);
		ioas->alignment = ioas_wanted_alignment(ioas);
	}
	ioas_unlock_all(ioas);
}

/* ---- options and statistics ----------------------------------------------- */

static int large_off_locked(struct ioas *ioas)
{
	int rc;

	if (ioas->large_off)
		return 0;
	/* What is mapped may be in large pages already. */
	if (ioas->nr_domains && ioas->areas.count)
		return -EINVAL;
	rc = ioas_check_alignment(ioas, PORT_PAGE_SIZE);
	if (rc)
		return rc;
	ioas->large_off = true;
	ioas->alignment = ioas_wanted_alignment(ioas);
	return 0;
}

int ioas_set_large_pages(struct ioas *ioas, bool on)
{
	int rc = 0;

	ioas_lock_all(ioas);
	if (on) {
		ioas->large_off = false;
		ioas->alignment = ioas_wanted_alignment(ioas);
	} else {
		rc = large_off_locked(ioas);
	}
	ioas_unlock_all(ioas);
	return rc;
}

bool ioas_large_pages(struct ioas *ioas)
{
	bool on;

	port_rwlock_read_lock(&ioas->iova_lock);
	on = !ioas->large_off;
	port_rwlock_read_unlock(&ioas->iova_lock);
	return on;
}

uint64_t ioas_page_sizes(struct ioas *ioas)
{
	uint64_t sizes = UINT64_MAX;

	port_rwlock_read_lock(&ioas->domains_lock);
	for (size_t i = 0; i < ioas->nr_domains; i++)
		sizes &= ioas->domains[i]->page_sizes;
	port_rwlock_read_unlock(&ioas->domains_lock);
	return sizes;
}

/* ---- standing still ------------------------------------------------------- */

void ioas_freeze(struct ioas *ioas)
{
	port_rwlock_write_lock(&ioas->iova_lock);
}

void ioas_thaw(struct ioas *ioas)
{
	port_rwlock_write_unlock(&ioas->iova_lock);
}

int ioas_frozen_visit(struct ioas *ioas, int (*visit)(struct pages *p, void *arg),
		      void *arg)
{
	struct range_iter it;
	struct range r;

	for (bool ok = range_iter_first(&it, &ioas->areas, 0, UINT64_MAX, &r); ok;
	     ok = range_iter_next(&it, &r)) {
		struct ioas_area *a = r.value;
		int rc = area_state(a) == AREA_LIVE ? visit(a->pages, arg) : -EBUSY;

		if (rc)
			return rc;
	}
	return 0;
}

bool ioas_only_files(struct ioas *ioas)
{
	struct range_iter it;
	struct range r;
	bool ok;

	port_rwlock_read_lock(&ioas->iova_lock);
	for (ok = range_iter_first(&it, &ioas->areas, 0, UINT64_MAX, &r); ok;
	     ok = range_iter_next(&it, &r)) {
		const struct ioas_area *a = r.value;

		if (pages_kind(a->pages) != PAGES_FILE)
			break;
	}
	port_rwlock_read_unlock(&ioas->iova_lock);
	return !ok;
}

uint64_t ioas_covered(struct ioas *ioas, uint64_t iova, uint64_t last)
{
	uint64_t next = iova;
	struct range_iter it;
	struct range r;

	port_rwlock_read_lock(&ioas->iova_lock);
	for (bool ok = range_iter_first(&it, &ioas->areas, iova, last, &r);
	     ok && r.start <= next && next - 1 != last; ok = range_iter_next(&it, &r))
		next = min_u64(r.last, last) + 1;
	port_rwlock_read_unlock(&ioas->iova_lock);
	return next - iova;
}

size_t ioas_area_count(struct ioas *ioas)
{
	size_t n;

	port_rwlock_read_lock(&ioas->iova_lock);
	n = ioas->areas.count;
	port_rwlock_read_unlock(&ioas->iova_lock);
	return n;
}
