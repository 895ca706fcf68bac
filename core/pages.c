/* SPDX-License-Identifier: MIT */
/*
 * pages: memory behind areas, pinned by range and counted; the dma-buf importer.
 *
 * pages.lock is taken with the reservation lock held when a revoke comes down, so with
 * pages.lock held nobody may take a reservation lock: attaching and detaching happen
 * at creation and at the last put, without it.
 *
 * A revoke marks the pages first and cuts afterwards, in one hold of the lock; filling
 * a domain looks at the mark and maps in one hold of it. So either the fill sees the
 * mark or the cut sees the entries. It does so for many pages of a buffer together, with
 * the locks of all of them held, so that it asks each domain once. Only a revoke holds
 * more than one, and takes them in the buffer's order, with the reservation lock held.
 */
#include "core/pages_priv.h"
#include "core/ioas_priv.h"

/* ---- pins ----------------------------------------------------------------- */

/* The account's share of a change; @pages may be 0. */
static int charge(struct pages *p, uint64_t pages)
{
	int rc;

	if (p->account && pages) {
		rc = p->account->ops->charge(p->account, pages);
		if (rc)
			return rc;
	}
	p->npinned += pages;
	return 0;
}

static void uncharge_one(struct pin_account *account, uint64_t pages)
{
	if (account && pages)
		account->ops->uncharge(account, pages);
}

static void uncharge(struct pages *p, uint64_t pages)
{
	p->npinned -= pages;
	uncharge_one(p->account, pages);
	uncharge_one(p->next_account, pages);
}

/* A single run moves into the pin: most pins have one, and a million of them count. */
static void pin_compact(struct pin *pin)
{
	if (pin->runs.n != 1)
		return;
	pin->single = pin->runs.v[0];
	run_list_finish(&pin->runs);
	pin->runs = (struct run_list){.v = &pin->single, .n = 1, .cap = 1};
}

static void pin_drop_runs(struct pin *pin)
{
	if (pin->runs.v != &pin->single)
		run_list_finish(&pin->runs);
	pin->runs = (struct run_list){0};
}

static void pin_let_go(struct pages *p, struct pin *pin)
{
	pin_drop_runs(pin);
	p->source->ops->unpin(p->source, pin->start, pin->length);
}

static int pin_resolve(struct pages *p, struct pin *pin)
{
	int rc = p->source->ops->pin(p->source, pin->start, pin->length, p->writable,
				     &pin->runs);

	if (rc) {
		pin_drop_runs(pin);
		return rc;
	}
	/* The memory first, then the limit: Linux's order of errors. */
	rc = charge(p, pin_tree_uncovered(p->pins, pin->start, pin->length));
	if (rc) {
		pin_let_go(p, pin);
		return rc;
	}
	pin_compact(pin);
	return 0;
}

static struct pin *pin_alloc(struct pages *p)
{
	return p->first.users ? port_alloc(sizeof(struct pin)) : &p->first;
}

static void pin_free(struct pages *p, struct pin *pin)
{
	if (pin != &p->first)
		port_free(pin);
}

struct pin *pages_pinned(struct pages *p, uint64_t start, uint64_t length)
{
	if (p->kind == PAGES_DMABUF)
		return &p->first;
	return pin_tree_find(p->pins, start, length);
}

int pages_pin(struct pages *p, uint64_t start, uint64_t length, struct pin **out)
{
	struct pin *pin = pages_pinned(p, start, length);
	int rc;

	if (!pin) {
		pin = pin_alloc(p);
		if (!pin)
			return -ENOMEM;
		pin->start = start;
		pin->length = length;
		rc = pin_resolve(p, pin);
		if (rc) {
			pin_free(p, pin);
			return rc;
		}
		pin_tree_insert(&p->pins, pin);
	}
	pin->users++;
	*out = pin;
	return 0;
}

void pages_unpin(struct pages *p, struct pin *pin)
{
	if (--pin->users)
		return;
	pin_tree_remove(&p->pins, pin);
	pin_let_go(p, pin);
	uncharge(p, pin_tree_uncovered(p->pins, pin->start, pin->length));
	pin_free(p, pin);
}

/* ---- whose they are ------------------------------------------------------- */

void pages_set_account(struct pages *p, struct pin_account *account)
{
	p->account = account;
}

struct pin_account *pages_account(struct pages *p)
{
	return p->account;
}

int pages_charge_next(struct pages *p, struct pin_account *next)
{
	int rc = 0;

	port_mutex_lock(&p->lock);
	if (p->account && !p->next_account && !next->ops->same(p->account, next)) {
		if (p->npinned)
			rc = next->ops->charge(next, p->npinned);
		if (!rc) {
			next->ops->get(next);
			p->next_account = next;
		}
	}
	port_mutex_unlock(&p->lock);
	return rc;
}

void pages_settle(struct pages *p, bool keep)
{
	struct pin_account *gone;

	port_mutex_lock(&p->lock);
	gone = p->next_account;
	if (gone) {
		if (keep) {
			gone = p->account;
			p->account = p->next_account;
		}
		p->next_account = NULL;
		uncharge_one(gone, p->npinned);
	}
	port_mutex_unlock(&p->lock);
	if (gone)
		gone->ops->put(gone);
}

/* ---- life ----------------------------------------------------------------- */

static void pages_init(struct pages *p, enum pages_kind kind, uint64_t length,
		       bool writable)
{
	port_mutex_init(&p->lock);
	atomic_init(&p->refs, 1);
	p->kind = kind;
	p->writable = writable;
	p->length = length;
	list_init(&p->areas);
}

int pages_create(struct mem_source *source, uint64_t length, bool writable,
		 struct pages **out)
{
	struct pages *p;
	int rc = -EINVAL;

	/* Rounding the end up to a page must not overflow. */
	if (!length || length > UINT64_MAX - PORT_PAGE_SIZE)
		goto fail;
	rc = -ENOMEM;
	p = port_alloc(sizeof(*p));
	if (!p)
		goto fail;
	pages_init(p, source->is_file ? PAGES_FILE : PAGES_USER, length, writable);
	p->address = source->address;
	p->source = source;
	*out = p;
	return 0;
fail:
	source->ops->destroy(source);
	return rc;
}

void pages_get(struct pages *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

enum pages_kind pages_kind(const struct pages *p)
{
	return p->kind;
}

uint64_t pages_length(const struct pages *p)
{
	return p->length;
}

/* ---- dma-buf -------------------------------------------------------------- */

struct pages_dmabuf {
	struct pages pages;
	struct dmabuf_attachment attachment;
	bool multi_range;
};

/* Joining runs stays off, or two ranges of one buffer could pass for one. */
int runs_slice(const struct run_list *all, uint64_t start, uint64_t length,
	       struct run_list *out)
{
	for (size_t i = 0; i < all->n && length; i++) {
		struct run run = all->v[i];
		int rc;

		if (start >= run.length) {
			start -= run.length;
			continue;
		}
		run.spa += start;
		run.length = min_u64(run.length - start, length);
		start = 0;
		length -= run.length;
		rc = run_list_add(out, run, false);
		if (rc)
			return rc;
	}
	/* An exporter whose runs are shorter than its buffer. */
	return length ? -EINVAL : 0;
}

static int map_runs(struct dmabuf_attachment *a)
{
	struct pages_dmabuf *pd = a->priv;
	struct pages *p = &pd->pages;
	struct run_list all = {0};
	int rc;

	rc = dmabuf_map_phys(a, &all);
	if (!rc && all.n != 1 && !pd->multi_range)
		rc = -EOPNOTSUPP;
	if (!rc)
		rc = runs_slice(&all, p->address, p->length, &p->first.runs);
	run_list_finish(&all);
	if (rc) {
		pin_drop_runs(&p->first);
		return rc;
	}
	p->first.length = p->length;
	p->first.users = 1;
	pin_compact(&p->first);
	return 0;
}

static struct pages *pages_of(const struct dmabuf_attachment *a)
{
	return &((struct pages_dmabuf *)a->priv)->pages;
}

static void invalidate(struct dmabuf_attachment *const *v, size_t n,
		       struct domain_gather *gather)
{
	struct area_cut cut = {.gather = gather};
	uint32_t live = 0;

	_Static_assert(DMABUF_INVALIDATE <= 32, "a bit for each");
	for (size_t i = 0; i < n; i++) {
		struct pages *p = pages_of(v[i]);

		port_mutex_lock(&p->lock);
		live |= (uint32_t)!p->revoked << i;
		p->revoked = true;
	}
	for (size_t i = 0; i < n; i++)
		if (live & (uint32_t)1 << i)
			area_cut_add(&cut, &pages_of(v[i])->areas);
	area_cut_end(&cut);
	for (size_t i = 0; i < n; i++)
		port_mutex_unlock(&pages_of(v[i])->lock);
	/*
	 * Areas that an unmap took off the list are not ours to wait for by @gather: what
	 * cleared them waits. The count only falls now, since nothing maps revoked pages.
	 */
	for (size_t i = 0; i < n; i++)
		while (atomic_load_explicit(&pages_of(v[i])->draining,
					    memory_order_acquire))
			port_yield();
}

static const enum dmabuf_interconnect interconnects[] = {DMABUF_IC_PHYS};

static const struct dmabuf_importer_ops importer = {
	.interconnects = interconnects,
	.nr_interconnects = ARRAY_LEN(interconnects),
	.contract = DMABUF_REVOCABLE,
	.invalidate = invalidate,
};

int pages_create_dmabuf(struct dmabuf *buf, uint64_t start, uint64_t length,
			bool writable, bool multi_range, struct pages **out)
{
	struct pages_dmabuf *pd;
	int rc;

	if (!length || start >= buf->size || length > buf->size - start)
		return -EINVAL;
	pd = port_alloc(sizeof(*pd));
	if (!pd)
		return -ENOMEM;
	pages_init(&pd->pages, PAGES_DMABUF, length, writable);
	pd->pages.address = start;
	pd->multi_range = multi_range;
	rc = dmabuf_attach(buf, &pd->attachment, &importer, pd, map_runs);
	if (rc) {
		port_mutex_finish(&pd->pages.lock);
		port_free(pd);
		return rc;
	}
	*out = &pd->pages;
	return 0;
}

/* ---- the end -------------------------------------------------------------- */

void pages_put(struct pages *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	PORT_BUG_ON(!list_empty(&p->areas));
	if (p->kind == PAGES_DMABUF) {
		dmabuf_detach(&container_of(p, struct pages_dmabuf, pages)->attachment);
		pin_drop_runs(&p->first);
	} else {
		PORT_BUG_ON(p->pins || p->npinned);
		p->source->ops->destroy(p->source);
	}
	if (p->account)
		p->account->ops->put(p->account);
	port_mutex_finish(&p->lock);
	port_free(p);
}
