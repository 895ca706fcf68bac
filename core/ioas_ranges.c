/* SPDX-License-Identifier: MIT */
/*
 * Which IOVAs there are: reserved and allowed ranges, and the choice of an IOVA.
 *
 * Reservations belong to owners (a device, a domain's aperture) and may overlap, so
 * they are a plain array by start. What is asked of them is their union, kept beside
 * it as `closed`: disjoint ranges, in order, with open IOVAs between any two. There
 * are few of them. `closed` has room for as many ranges as there are reservations, so
 * it is made anew without allocating when an owner goes.
 *
 * Allowed ranges come from the client, any number of them; they are disjoint, kept in
 * order, joined where they touch. They never meet a reservation.
 *
 * All ends are inclusive.
 */
#include "core/ioas_priv.h"

/* ---- arrays of disjoint ranges, in order
 * ----------------------------------------------- */

/* The first range that ends at or after @point; @n if there is none. */
static size_t find_range(const struct iova_range *v, size_t n, uint64_t point)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (v[mid].last < point)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

static bool touches(const struct iova_range *v, size_t n, uint64_t start, uint64_t last)
{
	size_t i = find_range(v, n, start);

	return i < n && v[i].start <= last;
}

/* Append to ranges whose last one starts at or before @r; join where they touch. */
static size_t join(struct iova_range *v, size_t n, struct iova_range r)
{
	if (n && (v[n - 1].last == UINT64_MAX || r.start <= v[n - 1].last + 1)) {
		v[n - 1].last = max_u64(v[n - 1].last, r.last);
		return n;
	}
	v[n] = r;
	return n + 1;
}

/* ---- reserved ------------------------------------------------------------- */

bool ranges_open(const struct ioas *ioas, uint64_t start, uint64_t last)
{
	return !touches(ioas->closed, ioas->nr_closed, start, last);
}

static void remake_closed(struct ioas *ioas)
{
	ioas->nr_closed = 0;
	for (size_t i = 0; i < ioas->nr_reserved; i++) {
		const struct ioas_reservation *r = &ioas->reserved[i];

		ioas->nr_closed = join(ioas->closed, ioas->nr_closed,
				       (struct iova_range){r->start, r->last});
	}
}

static int grow_reserved(struct ioas *ioas)
{
	size_t cap = ioas->cap_reserved ? 2 * ioas->cap_reserved : 4;
	struct ioas_reservation *reserved;
	struct iova_range *closed;

	if (ioas->nr_reserved < ioas->cap_reserved)
		return 0;
	reserved = port_alloc(cap * sizeof(*reserved));
	closed = port_alloc(cap * sizeof(*closed));
	if (!reserved || !closed) {
		port_free(reserved);
		port_free(closed);
		return -ENOMEM;
	}
	if (ioas->nr_reserved) {
		memcpy(reserved, ioas->reserved, ioas->nr_reserved * sizeof(*reserved));
		memcpy(closed, ioas->closed, ioas->nr_closed * sizeof(*closed));
	}
	port_free(ioas->reserved);
	port_free(ioas->closed);
	ioas->reserved = reserved;
	ioas->closed = closed;
	ioas->cap_reserved = cap;
	return 0;
}

int ranges_reserve(struct ioas *ioas, uint64_t start, uint64_t last, const void *owner)
{
	struct range r;
	size_t i;
	int rc;

	if (range_map_first(&ioas->areas, start, last, &r) ||
	    touches(ioas->allowed, ioas->nr_allowed, start, last))
		return -EADDRINUSE;
	rc = grow_reserved(ioas);
	if (rc)
		return rc;
	for (i = ioas->nr_reserved++; i && ioas->reserved[i - 1].start > start; i--)
		ioas->reserved[i] = ioas->reserved[i - 1];
	ioas->reserved[i] = (struct ioas_reservation){start, last, owner};
	remake_closed(ioas);
	return 0;
}

void ranges_unreserve(struct ioas *ioas, const void *owner)
{
	size_t kept = 0;

	for (size_t i = 0; i < ioas->nr_reserved; i++)
		if (ioas->reserved[i].owner != owner)
			ioas->reserved[kept++] = ioas->reserved[i];
	ioas->nr_reserved = kept;
	remake_closed(ioas);
}

int ioas_reserve(struct ioas *ioas, uint64_t start, uint64_t last, const void *owner)
{
	int rc;

	if (start > last)
		return -EINVAL;
	port_rwlock_write_lock(&ioas->iova_lock);
	rc = ranges_reserve(ioas, start, last, owner);
	port_rwlock_write_unlock(&ioas->iova_lock);
	return rc;
}

void ioas_unreserve(struct ioas *ioas, const void *owner)
{
	port_rwlock_write_lock(&ioas->iova_lock);
	ranges_unreserve(ioas, owner);
	port_rwlock_write_unlock(&ioas->iova_lock);
}

void ioas_ranges(struct ioas *ioas, struct iova_range *v, size_t cap, size_t *n,
		 uint64_t *alignment)
{
	uint64_t open = 0; /* where the next open range starts */
	size_t i;

	*n = 0;
	port_rwlock_read_lock(&ioas->iova_lock);
	*alignment = ioas->alignment;
	for (i = 0; i < ioas->nr_closed; i++) {
		const struct iova_range *c = &ioas->closed[i];

		if (c->start > open) {
			if (*n < cap)
				v[*n] = (struct iova_range){open, c->start - 1};
			++*n;
		}
		if (c->last == UINT64_MAX)
			break;
		open = c->last + 1;
	}
	if (i == ioas->nr_closed) {
		if (*n < cap)
			v[*n] = (struct iova_range){open, UINT64_MAX};
		++*n;
	}
	port_rwlock_read_unlock(&ioas->iova_lock);
}

void ranges_finish(struct ioas *ioas)
{
	port_free(ioas->reserved);
	port_free(ioas->closed);
	port_free(ioas->allowed);
}

/* ---- allowed -------------------------------------------------------------- */

static bool sorted(const struct iova_range *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (v[i - 1].start > v[i].start)
			return false;
	return true;
}

static void sift_down(struct iova_range *v, size_t i, size_t n)
{
	for (;;) {
		size_t child = 2 * i + 1;
		struct iova_range tmp;

		if (child >= n)
			return;
		if (child + 1 < n && v[child + 1].start > v[child].start)
			child++;
		if (v[i].start >= v[child].start)
			return;
		tmp = v[i];
		v[i] = v[child];
		v[child] = tmp;
		i = child;
	}
}

/* Heap sort: the array is the client's, so the worst case counts. */
static void sort(struct iova_range *v, size_t n)
{
	if (sorted(v, n))
		return;
	for (size_t i = n / 2; i--;)
		sift_down(v, i, n);
	while (n-- > 1) {
		struct iova_range tmp = v[0];

		v[0] = v[n];
		v[n] = tmp;
		sift_down(v, 0, n);
	}
}

/* Sort, check, and join what touches; *@n becomes what is left. */
static int normalise(struct iova_range *v, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++)
		if (v[i].start >= v[i].last)
			return -EINVAL;
	sort(v, *n);
	for (size_t i = 1; i < *n; i++)
		if (v[i].start <= v[i - 1].last)
			return -EINVAL;
	for (size_t i = 0; i < *n; i++)
		kept = join(v, kept, v[i]);
	*n = kept;
	return 0;
}

static bool meets_closed(const struct ioas *ioas, const struct iova_range *v, size_t n)
{
	for (size_t i = 0; i < ioas->nr_closed; i++)
		if (touches(v, n, ioas->closed[i].start, ioas->closed[i].last))
			return true;
	return false;
}

int ioas_allow(struct ioas *ioas, const struct iova_range *v, size_t n)
{
	struct iova_range *allowed = NULL;
	int rc = 0;

	if (n) {
		if (n > SIZE_MAX / sizeof(*v))
			return -ENOMEM;
		allowed = port_alloc(n * sizeof(*v));
		if (!allowed)
			return -ENOMEM;
		memcpy(allowed, v, n * sizeof(*v));
		rc = normalise(allowed, &n);
	}
	port_rwlock_write_lock(&ioas->iova_lock);
	if (!rc && meets_closed(ioas, allowed, n))
		rc = -EADDRINUSE;
	if (!rc) {
		struct iova_range *old = ioas->allowed;

		ioas->allowed = allowed;
		ioas->nr_allowed = n;
		allowed = old;
	}
	port_rwlock_write_unlock(&ioas->iova_lock);
	port_free(allowed);
	return rc;
}

/* ---- the choice ----------------------------------------------------------- */

/*
 * Linux takes the first hole, in order, where the memory fits after the hole's start
 * was rounded up to the alignment and the memory's offset in its page was set in it.
 * Holes end at areas, at reservations, and at the ends of the allowed ranges.
 */
struct want {
	uint64_t bytes; /* that must fit; a hole of one byte is never taken */
	uint64_t alignment;
	uint64_t offset; /* in the page: bits that the IOVA must have */
};

static uint64_t round_up_pow2(uint64_t n)
{
	return n <= 1 ? 1 : (uint64_t)1 << (64 - __builtin_clzll(n - 1));
}

/* Move *@lo to the first place that will do. False: not inside [*@lo, last]. */
static bool fits(const struct want *w, uint64_t *lo, uint64_t last)
{
	uint64_t mask = w->alignment - 1;
	uint64_t at;

	if (*lo > UINT64_MAX - mask)
		return false;
	at = ((*lo + mask) & ~mask) | w->offset;
	if (at > last || last - at < w->bytes - 1)
		return false;
	*lo = at;
	return true;
}

/* Between areas; [lo, last] has no reservation. */
static bool choose_between(const struct ioas *ioas, const struct want *w, uint64_t lo,
			   uint64_t last, uint64_t *iova)
{
	struct range r;
	uint64_t at;

	while (range_map_find_gap(&ioas->areas, lo, last, w->bytes, w->alignment, 0,
				  &at)) {
		lo = at;
		if (!w->offset) {
			*iova = at;
			return true;
		}
		/* The offset moves the place up, perhaps too far for this hole. */
		if (fits(w, &at, last) &&
		    !range_map_first(&ioas->areas, lo, at + w->bytes - 1, &r)) {
			*iova = at;
			return true;
		}
		if (!range_map_first(&ioas->areas, lo, last, &r) || r.last >= last)
			return false;
		lo = r.last + 1;
	}
	return false;
}

/* Between reservations; [lo, last] is allowed. */
static bool choose_open(const struct ioas *ioas, const struct want *w, uint64_t lo,
			uint64_t last, uint64_t *iova)
{
	if (!fits(w, &lo, last))
		return false;
	for (size_t i = find_range(ioas->closed, ioas->nr_closed, lo);
	     i < ioas->nr_closed && ioas->closed[i].start <= last; i++) {
		const struct iova_range *c = &ioas->closed[i];

		if (c->start > lo && choose_between(ioas, w, lo, c->start - 1, iova))
			return true;
		if (c->last >= last)
			return false;
		lo = c->last + 1;
	}
	return choose_between(ioas, w, lo, last, iova);
}

/* IOVA 0 is never chosen, nor is the top page. */
#define CHOICE_FIRST PORT_PAGE_SIZE
#define CHOICE_LAST  (UINT64_MAX - PORT_PAGE_SIZE)

static bool choose(const struct ioas *ioas, const struct want *w, uint64_t *iova)
{
	if (!ioas->nr_allowed)
		return choose_open(ioas, w, CHOICE_FIRST, CHOICE_LAST, iova);
	for (size_t i = 0; i < ioas->nr_allowed; i++) {
		uint64_t lo = max_u64(ioas->allowed[i].start, CHOICE_FIRST);
		uint64_t last = min_u64(ioas->allowed[i].last, CHOICE_LAST);

		if (lo <= last && choose_open(ioas, w, lo, last, iova))
			return true;
	}
	return false;
}

int ranges_choose(const struct ioas *ioas, uint64_t address, uint64_t length,
		  uint64_t *iova)
{
	struct want w = {
		.bytes = max_u64(length, 2),
		.offset = address % PORT_PAGE_SIZE,
	};

	if (!length || length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	w.alignment = min_u64(round_up_pow2(length), IOAS_MAX_ALIGNMENT);
	if (address)
		w.alignment = min_u64(w.alignment, address & -address);
	if (w.alignment < ioas->alignment)
		return -EINVAL;
	return choose(ioas, &w, iova) ? 0 : -ENOSPC;
}
