/* SPDX-License-Identifier: MIT */
/*
 * One area: into the domains, out of them, and the cut that a revoke makes.
 *
 * A revoke must end every access, including those through entries that somebody else
 * has cleared but not drained yet. Three cases:
 *  - an unmap takes its areas off pages.areas before it clears, and counts them in
 *    pages.draining until it has drained: the revoke waits for the count;
 *  - removing a domain clears and drains with domset held: the revoke waits for domset;
 *  - undoing a failed fill drains with pages.lock held: the revoke waits for that.
 * None of them waits for a revoke in turn.
 */
#include "core/ioas_priv.h"

struct ioas_area *area_create(struct pages *p, uint64_t start)
{
	struct ioas_area *a = port_alloc(sizeof(*a));

	if (!a)
		return NULL;
	pages_get(p);
	a->pages = p;
	a->start = start;
	list_init(&a->link);
	return a;
}

void area_unpin(struct ioas_area *a)
{
	struct pages *p = a->pages;

	if (!a->pin)
		return;
	port_mutex_lock(&p->lock);
	pages_unpin(p, a->pin);
	port_mutex_unlock(&p->lock);
	a->pin = NULL;
}

void area_destroy(struct ioas_area *a)
{
	area_unpin(a);
	pages_put(a->pages);
	port_free(a);
}

/* ---- filling; pages.lock is held
 * ------------------------------------------------------- */

static int pin(struct ioas_area *a)
{
	if (a->pin)
		return 0;
	return pages_pin(a->pages, a->start, area_length(a), &a->pin);
}

static int map_into(struct ioas_area *a, struct domain *d)
{
	return domain_map(d, a->iova, &a->pin->runs, a->start - a->pin->start,
			  area_length(a), a->prot, !a->ioas->large_off);
}

static int fill_locked(struct ioas_area *a)
{
	struct ioas *ioas = a->ioas;
	struct domain_gather gather = {0};
	size_t done;
	int rc;

	if (!ioas->nr_domains || a->pages->revoked)
		return 0;
	rc = pin(a);
	if (rc)
		return rc;
	for (done = 0; done < ioas->nr_domains; done++) {
		rc = map_into(a, ioas->domains[done]);
		if (rc)
			break;
	}
	if (!rc)
		return 0;
	while (done--)
		domain_unmap(ioas->domains[done], a->iova, area_length(a), &gather);
	domain_gather_finish(&gather);
	pages_unpin(a->pages, a->pin);
	a->pin = NULL;
	return rc;
}

int area_fill(struct ioas_area *a)
{
	struct pages *p = a->pages;
	int rc;

	port_mutex_lock(&p->lock);
	rc = fill_locked(a);
	if (!rc && p->kind == PAGES_DMABUF)
		list_append(&p->areas, &a->link);
	port_mutex_unlock(&p->lock);
	return rc;
}

int area_fill_one(struct ioas_area *a, struct domain *d)
{
	struct pages *p = a->pages;
	int rc = 0;

	port_mutex_lock(&p->lock);
	if (!p->revoked) {
		rc = pin(a);
		if (!rc)
			rc = map_into(a, d);
	}
	port_mutex_unlock(&p->lock);
	return rc;
}

void area_hide(struct ioas_area *a)
{
	struct pages *p = a->pages;

	if (p->kind != PAGES_DMABUF)
		return;
	port_mutex_lock(&p->lock);
	list_remove(&a->link);
	atomic_fetch_add_explicit(&p->draining, 1, memory_order_relaxed);
	port_mutex_unlock(&p->lock);
}

void area_drained(struct ioas_area *a)
{
	if (a->pages->kind == PAGES_DMABUF)
		atomic_fetch_sub_explicit(&a->pages->draining, 1, memory_order_release);
}

/* ---- clearing ------------------------------------------------------------- */

void unmap_batch_flush(struct unmap_batch *b, const struct ioas *ioas,
		       struct domain_gather *gather)
{
	for (size_t i = 0; i < ioas->nr_domains && b->n; i++)
		domain_unmap_spans(ioas->domains[i], b->v, b->n, gather);
	b->n = 0;
}

void unmap_batch_add(struct unmap_batch *b, const struct ioas_area *a,
		     struct domain_gather *gather)
{
	struct pt_span *s = b->n ? &b->v[b->n - 1] : NULL;
	uint64_t length = area_length(a);

	if (s && a->iova - s->iova == s->length && s->length <= UINT64_MAX - length) {
		s->length += length;
		return;
	}
	if (b->n == UNMAP_BATCH)
		unmap_batch_flush(b, a->ioas, gather);
	b->v[b->n++] = (struct pt_span){a->iova, length};
}

static struct ioas_area *area_of(struct list *it)
{
	return list_entry(it, struct ioas_area, link);
}

/*
 * The gather must not refer to a domain that may be destroyed before it is finished, and
 * it does where copies to remote windows have to drain; then that happens here.
 */
void area_cut_end(struct area_cut *cut)
{
	struct ioas *ioas = cut->ioas;

	if (!ioas)
		return;
	unmap_batch_flush(&cut->batch, ioas, cut->gather);
	if (cut->gather->nr_remote)
		domain_gather_finish(cut->gather);
	port_mutex_unlock(&ioas->domset);
	cut->ioas = NULL;
}

void area_cut_add(struct area_cut *cut, struct list *areas)
{
	list_for_each (it, areas) {
		struct ioas_area *a = area_of(it);

		if (cut->ioas != a->ioas) {
			area_cut_end(cut);
			port_mutex_lock(&a->ioas->domset);
			cut->ioas = a->ioas;
		}
		unmap_batch_add(&cut->batch, a, cut->gather);
	}
}
