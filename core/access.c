/* SPDX-License-Identifier: MIT */
/*
 * Accesses: being there, pinning, reading and writing (access.h).
 *
 * Pins are made with iova_lock held for reading, which keeps areas from becoming LEAVING
 * and lets an unmapper, who holds the write side, read the counts as they stand. Bytes
 * are copied with pages.lock held, as that keeps the runs.
 */
#include "core/access.h"

#include "core/ioas_priv.h"

#define PAGE_MASK (PORT_PAGE_SIZE - 1)

/* ---- being there ------------------------------------------------------------------- */

uint64_t accesses_alignment(const struct ioas *ioas)
{
	uint64_t alignment = 1;

	for (const struct list *it = ioas->accesses.next; it != &ioas->accesses;
	     it = it->next) {
		const struct ioas_access *a = list_entry((struct list *)(uintptr_t)it,
							 struct ioas_access, on_ioas);

		alignment = max_u64(alignment, a->alignment);
	}
	return alignment;
}

int ioas_add_access(struct ioas *ioas, struct ioas_access *a)
{
	int rc;

	ioas_lock_all(ioas);
	rc = ioas_check_alignment(ioas, a->alignment);
	if (!rc) {
		port_mutex_lock(&ioas->access_lock);
		a->serial = ++ioas->next_serial;
		list_append(&ioas->accesses, &a->on_ioas);
		port_mutex_unlock(&ioas->access_lock);
		ioas->alignment = max_u64(ioas->alignment, a->alignment);
	}
	ioas_unlock_all(ioas);
	return rc;
}

void ioas_remove_access(struct ioas *ioas, struct ioas_access *a)
{
	ioas_lock_all(ioas);
	port_mutex_lock(&ioas->access_lock);
	list_remove(&a->on_ioas);
	port_mutex_unlock(&ioas->access_lock);
	ioas->alignment = ioas_wanted_alignment(ioas);
	ioas_unlock_all(ioas);
}

/* The next access to ask, kept; the list may have changed since the one before. */
static struct ioas_access *next_access(struct ioas *ioas, uint64_t *serial)
{
	struct ioas_access *found = NULL;

	port_mutex_lock(&ioas->access_lock);
	list_for_each (it, &ioas->accesses) {
		struct ioas_access *a = list_entry(it, struct ioas_access, on_ioas);

		if (a->serial > *serial && a->ops && a->ops->get(a)) {
			found = a;
			*serial = a->serial;
			break;
		}
	}
	port_mutex_unlock(&ioas->access_lock);
	return found;
}

void accesses_unmap(struct ioas *ioas, uint64_t iova, uint64_t length)
{
	uint64_t serial = 0;
	struct ioas_access *a;

	while ((a = next_access(ioas, &serial)) != NULL) {
		a->ops->unmap(a, iova, length);
		a->ops->put(a);
	}
}

/* ---- a range, area by area -----------------------------------------------------------
 */

/* The part of [iova, last] that lies in one area. */
struct piece {
	struct ioas_area *area;
	uint64_t iova, last;
	uint64_t start; /* of it in the pages, bytes */
	bool more;      /* the range goes on in the next area */
};

/* The piece that begins at @iova; false: nothing is mapped there. */
static bool piece_at(const struct ioas *ioas, uint64_t iova, uint64_t last,
		     struct piece *out)
{
	struct ioas_area *a;
	struct range r;

	if (!range_map_first(&ioas->areas, iova, iova, &r))
		return false;
	a = r.value;
	if (area_state(a) != AREA_LIVE)
		return false;
	*out = (struct piece){
		.area = a,
		.iova = iova,
		.last = min_u64(last, a->last),
		.start = a->start + (iova - a->iova),
		.more = last > a->last,
	};
	return true;
}

static uint64_t piece_length(const struct piece *c)
{
	return c->last - c->iova + 1;
}

static int may_touch(const struct piece *c, unsigned prot)
{
	if (!(c->area->prot & prot))
		return -EPERM;
	if ((prot & IOAS_WRITE) && !c->area->pages->writable)
		return -EPERM;
	return c->area->pages->kind == PAGES_DMABUF ? -EINVAL : 0;
}

/* ---- pins ----------------------------------------------------------------------------
 */

/* The whole pages under a piece that begins with one, as far as there is memory. */
static uint64_t pinned_length(const struct piece *c)
{
	uint64_t whole = (piece_length(c) + PAGE_MASK) & ~PAGE_MASK;

	return min_u64(whole, c->area->pages->length - c->start);
}

static bool piece_aligned(const struct piece *c)
{
	uint64_t end = c->start + piece_length(c);

	return !(c->start & PAGE_MASK) && (!c->more || !(end & PAGE_MASK));
}

static int append_runs(struct run_list *runs, const struct run_list *more)
{
	for (size_t i = 0; i < more->n; i++) {
		int rc = run_list_add(runs, more->v[i], false);

		if (rc)
			return rc;
	}
	return 0;
}

static int pin_piece(const struct piece *c, bool lock, struct run_list *runs)
{
	struct ioas_area *a = c->area;
	struct pages *p = a->pages;
	struct pin *pin;
	int rc = -ENOMEM;

	port_mutex_lock(&p->lock);
	if (a->accesses == UINT32_MAX || (lock && a->locks == UINT16_MAX))
		goto unlock;
	rc = pages_pin(p, c->start, pinned_length(c), &pin);
	if (rc)
		goto unlock;
	rc = append_runs(runs, &pin->runs);
	if (rc) {
		pages_unpin(p, pin);
		goto unlock;
	}
	a->accesses++;
	a->locks += lock;
unlock:
	port_mutex_unlock(&p->lock);
	return rc;
}

static void unpin_piece(const struct piece *c, bool lock)
{
	struct ioas_area *a = c->area;
	struct pages *p = a->pages;
	struct pin *pin;

	port_mutex_lock(&p->lock);
	pin = pages_pinned(p, c->start, pinned_length(c));
	if (!PORT_BUG_ON(!pin || !a->accesses || (lock && !a->locks))) {
		a->locks -= lock;
		a->accesses--;
		pages_unpin(p, pin);
	}
	port_mutex_unlock(&p->lock);
}

/* All of [iova, last] is pinned. iova_lock is held. */
static void unpin_range(struct ioas *ioas, uint64_t iova, uint64_t last, bool lock)
{
	struct piece c;

	for (;; iova = c.last + 1) {
		if (PORT_BUG_ON(!piece_at(ioas, iova, last, &c)))
			return;
		unpin_piece(&c, lock);
		if (!c.more)
			return;
	}
}

static int pin_range(struct ioas *ioas, uint64_t iova, uint64_t last, unsigned prot,
		     bool lock, struct run_list *runs)
{
	uint64_t at = iova;
	struct piece c;
	int rc;

	for (;; at = c.last + 1) {
		rc = -ENOENT;
		if (!piece_at(ioas, at, last, &c))
			break;
		rc = -EINVAL;
		if (c.area->no_access || !piece_aligned(&c))
			break;
		rc = may_touch(&c, prot);
		if (!rc)
			rc = pin_piece(&c, lock, runs);
		if (rc)
			break;
		if (!c.more)
			return 0;
	}
	if (at > iova)
		unpin_range(ioas, iova, at - 1, lock);
	return rc;
}

static int check_words(uint64_t iova, uint64_t length)
{
	if (!length)
		return -EINVAL;
	return iova + (length - 1) < iova ? -EOVERFLOW : 0;
}

int ioas_pin(struct ioas *ioas, uint64_t iova, uint64_t length, unsigned prot, bool lock,
	     struct run_list *runs)
{
	int rc = check_words(iova, length);

	if (rc)
		return rc;
	port_rwlock_read_lock(&ioas->iova_lock);
	rc = pin_range(ioas, iova, iova + (length - 1), prot, lock, runs);
	port_rwlock_read_unlock(&ioas->iova_lock);
	return rc;
}

void ioas_unpin(struct ioas *ioas, uint64_t iova, uint64_t length, bool lock)
{
	if (PORT_BUG_ON(check_words(iova, length)))
		return;
	port_rwlock_read_lock(&ioas->iova_lock);
	unpin_range(ioas, iova, iova + (length - 1), lock);
	port_rwlock_read_unlock(&ioas->iova_lock);
}

/* ---- reading and writing --------------------------------------------------------------
 */

static int copy_window(struct phys_window *w, uint64_t offset, void *data, uint64_t n,
		       bool write)
{
	unsigned char *host = w->host;

	if (!host)
		return write ? w->ops->write(w, offset, data, n)
			     : w->ops->read(w, offset, data, n);
	return write ? port_copy_guarded(host + offset, data, n)
		     : port_copy_guarded(data, host + offset, n);
}

static int copy_runs(struct phys *phys, const struct run_list *runs, uint64_t skip,
		     unsigned char *data, uint64_t n, bool write)
{
	for (size_t i = 0; i < runs->n && n; i++) {
		const struct run *run = &runs->v[i];
		struct phys_window *w;
		uint64_t part;
		int rc;

		if (skip >= run->length) {
			skip -= run->length;
			continue;
		}
		part = min_u64(run->length - skip, n);
		/* The pin keeps the window. */
		w = phys_find(phys, run->spa + skip);
		if (!w)
			return -EFAULT;
		rc = copy_window(w, run->spa + skip - w->base, data, part, write);
		if (rc)
			return rc;
		data += part;
		n -= part;
		skip = 0;
	}
	return n ? -EINVAL : 0;
}

/* pages.lock is held. */
static int rw_locked(struct pages *p, struct phys *phys, uint64_t start, void *data,
		     uint64_t n, bool write)
{
	struct pin *pin = pin_tree_cover(p->pins, start, n);
	struct run_list runs = {0};
	int rc;

	if (pin)
		return copy_runs(phys, &pin->runs, start - pin->start, data, n, write);
	rc = p->source->ops->pin(p->source, start, n, write, &runs);
	if (!rc) {
		rc = copy_runs(phys, &runs, 0, data, n, write);
		p->source->ops->unpin(p->source, start, n);
	}
	run_list_finish(&runs);
	return rc;
}

static int rw_range(struct ioas *ioas, struct phys *phys, uint64_t iova, uint64_t last,
		    unsigned char *data, bool write)
{
	struct piece c;

	for (;; iova = c.last + 1) {
		int rc;

		if (!piece_at(ioas, iova, last, &c))
			return -ENOENT;
		if (c.area->no_access)
			return -EINVAL;
		rc = may_touch(&c, write ? IOAS_WRITE : IOAS_READ);
		if (rc)
			return rc;
		port_mutex_lock(&c.area->pages->lock);
		rc = rw_locked(c.area->pages, phys, c.start, data, piece_length(&c),
			       write);
		port_mutex_unlock(&c.area->pages->lock);
		if (rc || !c.more)
			return rc;
		data += piece_length(&c);
	}
}

int ioas_rw(struct ioas *ioas, struct phys *phys, uint64_t iova, void *data,
	    uint64_t length, bool write)
{
	int rc = check_words(iova, length);

	if (rc)
		return rc;
	port_rwlock_read_lock(&ioas->iova_lock);
	rc = rw_range(ioas, phys, iova, iova + (length - 1), data, write);
	port_rwlock_read_unlock(&ioas->iova_lock);
	return rc;
}
