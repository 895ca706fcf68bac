/* SPDX-License-Identifier: MIT */
/*
 * Domains: mapping, unmapping, and the proof that unmapped memory is left alone.
 *
 * How an unmap makes sure (dma.c has the other half):
 *
 *   unmapper					device thread, in a DMA section
 *   U1 clear the entries			D1 load the requester's epoch (acquire)
 *   U2 bump each requester's epoch (release)	D2 use an IOTLB entry of that epoch, or
 *   U3 wait for a grace period			   walk (acquire), keep under that epoch
 *   U4 the memory may go away			D3 access the memory
 *
 * A section that was open when U3 began is waited for, whatever it has seen. A section
 * that begins later sees all that came before U3: its D1 loads the bumped epoch, so no
 * IOTLB entry that was filled before U1 matches in D2, and a walk finds the entries
 * cleared. What about an entry that such a section finds in the IOTLB under the bumped
 * epoch? It was made by a D1 that had loaded the bumped epoch, so that walk came after
 * U1 as well. An entry filled from the old PTE always carries an older epoch, however
 * late it is stored, for D1 comes before the walk.
 *
 * The list of requesters is complete in U2: a requester enters and leaves it under the
 * lock that U1 and U2 hold, in one step with its change of domain (dma.c).
 *
 * Remote copies. A copy to a window without a host pointer may block (it asks another
 * process), so it may not sit in a section. The device thread counts it in the domain
 * inside the section that translated, leaves the section, copies, and counts it out.
 * The unmapper waits, after U3, for the count to drain: every copy that used the old
 * entries has been counted in by then. Copies that start later must not prolong the
 * wait, so there are two counters: new copies go to counter[phase]; the drain waits for
 * the counter not in use, flips the phase, and waits for the other. A copy that loaded
 * the phase just before a flip may still enter the counter that is being waited for; that
 * is at most one for each device thread and flip, and it only makes the wait longer.
 *
 * Only domains that use it pay for it: the first remote copy of a domain sets
 * remote_used under the domain's lock, and unmaps look at it under that lock. Either the
 * unmap sees the flag, or its clearing came before the flag was set; dma.c loads the
 * flag before it walks, so a copy that sees the flag set does not get what an unmap
 * cleared before.
 *
 * No grace period is waited for under domain.lock, so a DMA section may take it.
 */
#include "core/domain.h"

#include "core/dma.h"

int domain_create(struct phys *phys, const struct pt_format *format, uint64_t page_sizes,
		  struct domain **out)
{
	struct domain *d;

	if (page_sizes == 0)
		page_sizes = format->page_sizes;
	if (page_sizes & ~format->page_sizes)
		return -EINVAL;
	d = port_alloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	if (pt_init(&d->pt, format)) {
		port_free(d);
		return -ENOMEM;
	}
	d->path.domain = d;
	d->phys = phys;
	d->page_sizes = page_sizes;
	d->aperture_last = ~(uint64_t)0 >> (64 - format->iova_bits);
	port_mutex_init(&d->lock);
	port_mutex_init(&d->remote_lock);
	list_init(&d->requesters);
	*out = d;
	return 0;
}

void domain_destroy(struct domain *d)
{
	if (!d)
		return;
	PORT_BUG_ON(!list_empty(&d->requesters));
	pt_finish(&d->pt);
	port_mutex_finish(&d->remote_lock);
	port_mutex_finish(&d->lock);
	port_free(d);
}

void domain_limit(struct domain *d, uint64_t first, uint64_t last)
{
	d->aperture_first = max_u64(d->aperture_first, first);
	d->aperture_last = min_u64(d->aperture_last, last);
}

uint64_t domain_min_page(const struct domain *d)
{
	return d->page_sizes & -d->page_sizes;
}

bool domain_lookup(struct domain *d, uint64_t iova, struct pt_translation *out)
{
	bool found;

	port_dma_enter();
	found = pt_walk(&d->pt, iova, out);
	port_dma_leave();
	return found;
}

/* ---- remote copies ------------------------------------------------------------ */

void domain_remote_enable(struct domain *d)
{
	port_mutex_lock(&d->lock);
	atomic_store_explicit(&d->remote_used, true, memory_order_release);
	port_mutex_unlock(&d->lock);
}

unsigned domain_remote_begin(struct domain *d)
{
	unsigned phase = atomic_load(&d->remote_phase);

	atomic_fetch_add(&d->remote[phase], 1);
	return phase;
}

void domain_remote_end(struct domain *d, unsigned phase)
{
	/* The domain may be gone as soon as this is seen. */
	atomic_fetch_sub(&d->remote[phase], 1);
}

static void wait_for_none(_Atomic uint64_t *count)
{
	while (atomic_load(count) > 0)
		port_yield();
}

void domain_remote_drain(struct domain *d)
{
	unsigned phase;

	port_mutex_lock(&d->remote_lock);
	phase = atomic_load(&d->remote_phase);
	wait_for_none(&d->remote[!phase]);
	atomic_store(&d->remote_phase, !phase);
	wait_for_none(&d->remote[phase]);
	port_mutex_unlock(&d->remote_lock);
}

/* ---- unmap ---------------------------------------------------------------------- */

static bool gather_has_remote(const struct domain_gather *g, const struct domain *d)
{
	for (unsigned i = 0; i < g->nr_remote; i++)
		if (g->remote[i] == d)
			return true;
	return false;
}

/* U2 of the head comment; under the domain's lock. */
static void invalidate_locked(struct domain *d)
{
	list_for_each (it, &d->requesters)
		dma_requester_invalidate(list_entry(it, struct dma_requester, on_domain));
}

/*
 * Have the gather wait for the domain's remote copies, under the domain's lock. False:
 * there is no room; the caller drains it after finishing the gather.
 */
static bool gather_remote(struct domain *d, struct domain_gather *g)
{
	if (!atomic_load_explicit(&d->remote_used, memory_order_relaxed) ||
	    gather_has_remote(g, d))
		return true;
	if (g->nr_remote == DOMAIN_GATHER_REMOTE)
		return false;
	g->remote[g->nr_remote++] = d;
	return true;
}

void domain_unmap_spans(struct domain *d, const struct pt_span *v, size_t n,
			struct domain_gather *gather)
{
	bool fits = true;

	port_mutex_lock(&d->lock);
	if (pt_unmap_spans(&d->pt, v, n, &gather->tables)) {
		gather->any = true;
		invalidate_locked(d);
		fits = gather_remote(d, gather);
	}
	port_mutex_unlock(&d->lock);
	if (fits)
		return;
	domain_gather_finish(gather);
	domain_remote_drain(d);
}

void domain_unmap(struct domain *d, uint64_t iova, uint64_t length,
		  struct domain_gather *gather)
{
	domain_unmap_spans(d, &(struct pt_span){iova, length}, 1, gather);
}

void domain_gather_finish(struct domain_gather *gather)
{
	if (!gather->any)
		return;
	port_rcu_synchronize();
	for (unsigned i = 0; i < gather->nr_remote; i++)
		domain_remote_drain(gather->remote[i]);
	pt_gather_free(&gather->tables);
	gather->nr_remote = 0;
	gather->any = false;
}

/* ---- map ------------------------------------------------------------------------ */

/* Maps runs until @length is used up; *@done is what is mapped, also on failure. */
static int map_locked(struct domain *d, uint64_t iova, const struct run_list *runs,
		      uint64_t offset, uint64_t length, unsigned prot, bool large,
		      uint64_t *done, struct pt_gather *undo)
{
	/* Small pages are those that a page of the CPU's holds. */
	uint64_t page_sizes =
		large ? d->page_sizes : d->page_sizes & (2 * PORT_PAGE_SIZE - 1);

	for (size_t i = 0; i < runs->n && *done < length; i++) {
		const struct run *run = &runs->v[i];
		uint64_t part;
		int rc;

		if (offset >= run->length) {
			offset -= run->length;
			continue;
		}
		part = min_u64(run->length - offset, length - *done);
		rc = pt_map(&d->pt, iova + *done, run->spa + offset, part,
			    run->mmio ? prot | PT_MMIO : prot, page_sizes, undo);
		if (rc)
			return rc;
		*done += part;
		offset = 0;
	}
	return *done == length ? 0 : -EINVAL;
}

int domain_map(struct domain *d, uint64_t iova, const struct run_list *runs,
	       uint64_t offset, uint64_t length, unsigned prot, bool large)
{
	struct domain_gather undo = {0};
	uint64_t done = 0;
	int rc;

	if (length == 0 || iova < d->aperture_first || iova > d->aperture_last ||
	    length - 1 > d->aperture_last - iova)
		return -EINVAL;
	prot &= PT_READ | PT_WRITE;
	if (d->write_only_maps && !(prot & PT_WRITE))
		return -EINVAL;
	port_mutex_lock(&d->lock);
	rc = map_locked(d, iova, runs, offset, length, prot, large, &done, &undo.tables);
	if (rc) {
		/* Devices may have used and cached a part of it already. */
		pt_unmap(&d->pt, iova, done, &undo.tables);
		undo.any = true;
		invalidate_locked(d);
		gather_remote(d, &undo);
	}
	port_mutex_unlock(&d->lock);
	domain_gather_finish(&undo);
	return rc;
}

void domain_prefetch(struct domain *d, uint64_t iova)
{
	port_mutex_lock(&d->lock);
	pt_prefetch(&d->pt, iova);
	port_mutex_unlock(&d->lock);
}

/* ---- dirty bits -------------------------------------------------------------------- */

static void ignore_dirty(void *arg, uint64_t iova, uint64_t bytes)
{
}

/* Under the lock. A write through a cached translation would not set the bit anew, and
 * one whose bit was read just now may not have landed: that is waited for. */
static void invalidate_writes(struct domain *d, struct domain_gather *wait)
{
	invalidate_locked(d);
	gather_remote(d, wait);
	wait->any = true;
}

void domain_read_dirty(struct domain *d, uint64_t iova, uint64_t length, bool keep,
		       void (*dirty)(void *arg, uint64_t iova, uint64_t bytes), void *arg)
{
	struct domain_gather wait = {0};

	port_mutex_lock(&d->lock);
	if (pt_read_dirty(&d->pt, iova, length, keep, dirty, arg))
		invalidate_writes(d, &wait);
	port_mutex_unlock(&d->lock);
	domain_gather_finish(&wait);
}

void domain_track_dirty(struct domain *d, bool on)
{
	struct domain_gather wait = {0};

	port_mutex_lock(&d->lock);
	atomic_store_explicit(&d->dirty_on, on, memory_order_release);
	if (on) {
		/* No translation that was cached without setting a bit stays in use. */
		pt_read_dirty(&d->pt, 0, d->aperture_last, false, ignore_dirty, NULL);
		invalidate_writes(d, &wait);
	}
	port_mutex_unlock(&d->lock);
	domain_gather_finish(&wait);
}

bool domain_set_dirty(struct domain *d, uint64_t iova)
{
	bool found;

	port_dma_enter();
	found = pt_set_dirty(&d->pt, iova);
	port_dma_leave();
	return found;
}
