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
 * mark or the cut sees the entries.
 */
#include "core/pages_priv.h"
#include "core/ioas_priv.h"

/* ---- pins --------------------------------------------------------------------- */

static bool pin_covers(const struct pin *pin, uint64_t start, uint64_t length)
{
	return pin->users && start >= pin->start && length <= pin->length &&
	       start - pin->start <= pin->length - length;
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

static int pin_resolve(struct pages *p, struct pin *pin, uint64_t start, uint64_t length)
{
	int rc = p->source->ops->pin(p->source, start, length, p->writable, &pin->runs);

	if (rc) {
		pin_drop_runs(pin);
		return rc;
	}
	pin->start = start;
	pin->length = length;
	pin->users = 1;
	pin_compact(pin);
	return 0;
}

int pages_pin(struct pages *p, uint64_t start, uint64_t length, struct pin **out)
{
	struct pin *pin;
	int rc;

	for (pin = &p->first; pin; pin = pin->next) {
		if (pin_covers(pin, start, length)) {
			pin->users++;
			*out = pin;
			return 0;
		}
	}
	if (PORT_BUG_ON(p->kind == PAGES_DMABUF))
		return -EINVAL;
	pin = &p->first;
	if (pin->users) {
		pin = port_alloc(sizeof(*pin));
		if (!pin)
			return -ENOMEM;
	}
	rc = pin_resolve(p, pin, start, length);
	if (rc) {
		if (pin != &p->first)
			port_free(pin);
		return rc;
	}
	if (pin != &p->first) {
		pin->next = p->first.next;
		p->first.next = pin;
	}
	*out = pin;
	return 0;
}

void pages_unpin(struct pages *p, struct pin *pin)
{
	struct pin **link = &p->first.next;

	if (--pin->users)
		return;
	pin_drop_runs(pin);
	p->source->ops->unpin(p->source, pin->start, pin->length);
	if (pin == &p->first)
		return;
	while (*link != pin)
		link = &(*link)->next;
	*link = pin->next;
	port_free(pin);
}

/* ---- life ----------------------------------------------------------------------- */

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

/* ---- dma-buf ------------------------------------------------------------------------
 */

struct pages_dmabuf {
	struct pages pages;
	struct dmabuf_attachment attachment;
	bool multi_range;
};

/*
 * Keep what [start, start + length) of the buffer's runs is. Joining runs stays off,
 * or two ranges of one buffer could pass for one.
 */
static int slice_runs(const struct run_list *all, uint64_t start, uint64_t length,
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
		rc = slice_runs(&all, p->address, p->length, &p->first.runs);
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

static void invalidate(struct dmabuf_attachment *a, struct domain_gather *gather)
{
	struct pages_dmabuf *pd = a->priv;
	struct pages *p = &pd->pages;

	port_mutex_lock(&p->lock);
	if (!p->revoked) {
		p->revoked = true;
		ioas_areas_cut(&p->areas, gather);
	}
	port_mutex_unlock(&p->lock);
	/*
	 * Areas that an unmap took off the list are not ours to wait for by @gather: what
	 * cleared them waits. The count only falls now, since nothing maps revoked pages.
	 */
	while (atomic_load_explicit(&p->draining, memory_order_acquire))
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

/* ---- the end ---------------------------------------------------------------------- */

void pages_put(struct pages *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	PORT_BUG_ON(!list_empty(&p->areas));
	if (p->kind == PAGES_DMABUF) {
		dmabuf_detach(&container_of(p, struct pages_dmabuf, pages)->attachment);
		pin_drop_runs(&p->first);
	} else {
		PORT_BUG_ON(p->first.users || p->first.next);
		p->source->ops->destroy(p->source);
	}
	port_mutex_finish(&p->lock);
	port_free(p);
}
