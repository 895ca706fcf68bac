/* SPDX-License-Identifier: MIT */
/*
 * The DMA path. domain.c has the unmapper's half of the argument; this is ours.
 *
 * Translation. The requester's epoch is loaded (acquire) before anything else that the
 * translation depends on: bus mastering, the domain, the page table. What is cached is
 * cached under that epoch, and a hit needs the epoch that is current at the hit. Whoever
 * takes something away (an unmap, a change of domain, bus mastering off) first stores
 * the new state, then bumps the epoch (release), then waits for a grace period. So an
 * entry under epoch E was made from state that was current at some moment after E began,
 * and everything that was taken away since has bumped the epoch past E, or is about to
 * and then waits for our section. A hit therefore has to check nothing but the epoch and
 * the range.
 *
 * Sections. A translation is used only in the section that made it, up to the next
 * quiesce; after one everything is translated anew. A copy in a section that its caller
 * opened cannot quiesce (port_dma_quiesce() does nothing in an inner section), so the
 * caller decides how long a revoke may wait for it. What may block is done outside of
 * sections, and in a burst (core/port.h) with the thread at rest.
 *
 * A change of domain is one step under the locks of both domains (taken in the order of
 * their addresses, the only place that holds two): move the requester from list to list,
 * store the pointer, bump the epoch. An unmap in the old domain comes before this step,
 * and bumps our epoch itself; or after it, and then no section that begins after the
 * unmap's grace period did can find an entry of the old domain. Likewise an unmap in the
 * new domain finds us on its list before we can cache anything of it. The old domain is
 * not touched any more once attach has waited, so it may be destroyed.
 *
 * Remote windows are never cached in the IOTLB: each piece is walked for, with the
 * domain whose table was walked at hand to be counted in. Under the count, outside any
 * section of ours, the window stays (the unmap waits for the count), and the domain
 * too, until it is counted out. The domain's remote_used is loaded before the walk; see
 * domain.c.
 *
 * IOTLB. Direct-mapped, by size classes: an entry sits where the start of its class'
 * page hashes to, so a 1 GiB page is one entry, hit by all of its addresses. Sizes in
 * between, and runs of small pages that the walk found contiguous, go to the next lower
 * class under the address that was asked for. The entries used last, one for reads and
 * one for writes, are tried first: streams never search.
 *
 * Nested translation. A path with a first stage is walked in two steps, and what they
 * have in common is cached as one entry. A guest's table in a remote window is walked
 * aside: the section is left with the domain's remote count held, as for a copy, and the
 * result kept in the channel under the epoch from before the walk. Back in a section it
 * counts for as long as that epoch does; so an invalidation, which bumps the epoch and
 * then waits for both, is never overtaken by what was read before it.
 *
 * Faults. Permissions are checked in the entry; DMA_FAULT_ABORT is a window that did
 * not answer: a direct copy that hit bad memory, or a remote op that failed. Then the
 * piece is repeated page by page, to name the first page that is bad exactly; not so
 * for remote device memory, where reading twice may have side effects.
 */
#include "core/dma.h"

#include "core/first_stage.h"

#define ENTRIES DMA_IOTLB_ENTRIES

_Static_assert((ENTRIES & (ENTRIES - 1)) == 0, "the IOTLB is indexed by a mask");

/* ---- requesters --------------------------------------------------------------- */

void dma_requester_init(struct dma_requester *r)
{
	memset(r, 0, sizeof(*r));
	atomic_init(&r->epoch, 1);
	list_init(&r->on_domain);
	port_mutex_init(&r->attach_lock);
}

void dma_requester_finish(struct dma_requester *r)
{
	dma_requester_attach(r, NULL);
	port_mutex_finish(&r->attach_lock);
}

static void lock_both(struct domain *a, struct domain *b)
{
	struct domain *first = (uintptr_t)a < (uintptr_t)b ? a : b;
	struct domain *second = first == a ? b : a;

	if (first)
		port_mutex_lock(&first->lock);
	if (second && second != first)
		port_mutex_lock(&second->lock);
}

static void unlock_both(struct domain *a, struct domain *b)
{
	if (a)
		port_mutex_unlock(&a->lock);
	if (b && b != a)
		port_mutex_unlock(&b->lock);
}

static bool remote_used(struct domain *d)
{
	return atomic_load_explicit(&d->remote_used, memory_order_acquire);
}

/*
 * Wait until no access of the past is in flight through @d, which cannot go away. A
 * remote copy among them has set remote_used in its section, so before the grace period
 * ends.
 */
static void drain(struct domain *d)
{
	port_rcu_synchronize();
	if (d && remote_used(d))
		domain_remote_drain(d);
}

static struct domain *domain_of(const struct dma_path *path)
{
	return path ? path->domain : NULL;
}

void dma_requester_attach_path(struct dma_requester *r, const struct dma_path *path)
{
	struct domain *from, *to = domain_of(path);
	const struct dma_path *old;

	port_mutex_lock(&r->attach_lock);
	old = atomic_load_explicit(&r->path, memory_order_relaxed);
	from = domain_of(old);
	if (old != path) {
		lock_both(from, to);
		list_remove(&r->on_domain);
		if (to)
			list_append(&to->requesters, &r->on_domain);
		atomic_store_explicit(&r->path, path, memory_order_release);
		dma_requester_invalidate(r);
		unlock_both(from, to);
		if (from)
			drain(from);
	}
	port_mutex_unlock(&r->attach_lock);
}

void dma_path_invalidate(const struct dma_path *path)
{
	struct domain *d = path->domain;

	port_mutex_lock(&d->lock);
	list_for_each (it, &d->requesters) {
		struct dma_requester *r = list_entry(it, struct dma_requester, on_domain);

		if (atomic_load_explicit(&r->path, memory_order_relaxed) == path)
			dma_requester_invalidate(r);
	}
	port_mutex_unlock(&d->lock);
	drain(d);
}

unsigned dma_requester_list(struct dma_requester *r, uint64_t *from,
			    struct pt_listed *out, unsigned n, bool *more, bool *attached)
{
	const struct dma_path *path;
	unsigned found = 0;

	*more = false;
	*attached = false;
	port_dma_enter();
	path = atomic_load_explicit(&r->path, memory_order_acquire);
	if (path) {
		*attached = true;
		found = pt_list(&path->domain->pt, from, out, n, more);
	}
	port_dma_leave();
	return found;
}

void dma_requester_set_master(struct dma_requester *r, bool on)
{
	port_mutex_lock(&r->attach_lock);
	atomic_store_explicit(&r->master, on, memory_order_release);
	if (!on) {
		dma_requester_invalidate(r);
		/* Under attach_lock no other domain can be in use any more. */
		drain(domain_of(atomic_load_explicit(&r->path, memory_order_relaxed)));
	}
	port_mutex_unlock(&r->attach_lock);
}

/* ---- translation -------------------------------------------------------------- */

/* For a target in a remote window: what to count in, and whether unmaps know already. */
struct remote {
	struct domain *domain;
	bool counted;
};

static const unsigned class_shift[] = {12, 21, 30};

static unsigned class_of(uint64_t bytes)
{
	unsigned class = ARRAY_LEN(class_shift) - 1;

	while (class > 0 && bytes >> class_shift[class] == 0)
		class --;
	return class;
}

static struct dma_iotlb_entry *slot(struct dma_channel *ch, uint64_t iova, unsigned class)
{
	uint64_t page = iova >> class_shift[class];

	/* Apart by class, so that entry 0 is not everybody's. */
	return &ch->iotlb[(page ^ page / ENTRIES ^ class * (ENTRIES / 3)) % ENTRIES];
}

static inline bool entry_hits(const struct dma_iotlb_entry *e, uint64_t epoch,
			      uint64_t iova)
{
	return e->epoch == epoch && iova - e->iova < e->bytes;
}

static inline bool permits(unsigned prot, bool write)
{
	return prot & (write ? PT_WRITE : PT_READ);
}

static inline void target_of(const struct dma_iotlb_entry *e, uint64_t iova,
			     struct dma_target *t)
{
	uint64_t into = iova - e->iova;

	t->window = e->window;
	t->offset = e->offset + into;
	t->bytes = e->bytes - into;
}

/* A counter that one thread writes and others may read. */
static inline void count_up(_Atomic uint64_t *counter)
{
	uint64_t n = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, n + 1, memory_order_relaxed);
}

void dma_channel_init(struct dma_channel *ch, struct dma_requester *r)
{
	memset(ch, 0, sizeof(*ch));
	ch->requester = r;
	ch->last[false] = ch->last[true] = &ch->iotlb[0];
}

/*
 * All of the page lies in the window: pages are made of runs, and a run never crosses
 * one. What is contiguous with it may go on into the next window.
 */
static inline void make_entry(struct dma_iotlb_entry *e, uint64_t epoch, uint64_t iova,
			      const struct pt_translation *tr, struct phys_window *w)
{
	uint64_t offset = tr->spa - w->base - (iova - tr->page_iova);

	e->epoch = epoch;
	e->iova = tr->page_iova;
	e->bytes = min_u64(tr->run_bytes, w->length - offset);
	e->window = w;
	e->offset = offset;
	e->prot = tr->prot;
}

/* Besides the reasons: leave the section for walk_aside(), and try again. */
#define TRANSLATE_ASIDE ((enum dma_fault_reason)FIRST_STAGE_ASIDE)

static enum dma_fault_reason walk_first(struct dma_channel *ch,
					const struct first_stage *fs, uint64_t epoch,
					uint64_t iova, bool write,
					struct first_stage_page *page)
{
	const struct dma_aside *a = &ch->aside[write];

	if (a->epoch != epoch || iova - a->iova >= a->bytes || !permits(a->prot, write))
		return (enum dma_fault_reason)first_stage_walk(fs, iova, write, false,
							       page);
	page->gpa = a->gpa + (iova - a->iova);
	page->page_bytes = a->bytes;
	page->prot = a->prot;
	return DMA_FAULT_NONE;
}

/* @tr is of @page's GPA; make it one of the IOVA: what the two have in common. */
static void nest(uint64_t iova, const struct first_stage_page *page,
		 struct pt_translation *tr)
{
	uint64_t into = page->gpa - tr->page_iova;

	tr->prot &= page->prot | PT_MMIO;
	if (tr->page_bytes > page->page_bytes) {
		tr->page_bytes = tr->run_bytes = page->page_bytes;
		tr->page_iova = iova & ~(page->page_bytes - 1);
		return;
	}
	tr->run_bytes =
		min_u64(tr->run_bytes,
			page->page_bytes - (tr->page_iova & (page->page_bytes - 1)));
	tr->page_iova = iova - into;
}

static enum dma_fault_reason walk(struct dma_channel *ch, uint64_t epoch, uint64_t iova,
				  bool write, struct dma_target *t, struct remote *remote)
{
	struct dma_requester *r = ch->requester;
	struct dma_iotlb_entry scratch, *e = &scratch;
	struct first_stage_page page = {.gpa = iova};
	enum dma_fault_reason reason;
	const struct dma_path *path;
	struct pt_translation tr;
	struct phys_window *w;
	struct domain *d;
	bool dirty_on;

	count_up(&ch->misses);
	if (!atomic_load_explicit(&r->master, memory_order_acquire))
		return DMA_FAULT_NO_MASTER;
	path = atomic_load_explicit(&r->path, memory_order_acquire);
	if (!path)
		return DMA_FAULT_BLOCKED;
	d = path->domain;
	remote->domain = d;
	remote->counted = remote_used(d);
	dirty_on = atomic_load_explicit(&d->dirty_on, memory_order_acquire);
	if (path->first) {
		reason = walk_first(ch, path->first, epoch, iova, write, &page);
		if (reason)
			return reason;
	}
	if (!pt_walk(&d->pt, page.gpa, &tr))
		return DMA_FAULT_UNMAPPED;
	if (!permits(tr.prot, write))
		return DMA_FAULT_PERM;
	if (path->first)
		nest(iova, &page, &tr);
	if (dirty_on && write) {
		/* A page that is being taken away needs no bit. */
		pt_set_dirty(&d->pt, page.gpa);
		tr.run_bytes = tr.page_bytes;
	}
	/* Where a write must set a bit, what a read leaves behind is of no use to it. */
	if (dirty_on && !write)
		tr.prot &= ~PT_WRITE;
	w = phys_find(d->phys, tr.spa);
	if (!w)
		return DMA_FAULT_ABORT;
	if (w->host) {
		unsigned class = class_of(tr.page_bytes);

		e = slot(ch, iova, class);
		ch->classes |= 1u << class;
		ch->last[write] = e;
	}
	make_entry(e, epoch, iova, &tr, w);
	target_of(e, iova, t);
	return DMA_FAULT_NONE;
}

/*
 * Inside a section, which it leaves meanwhile: walk a guest's table that lies in remote
 * memory, and keep the result for the next try. Whatever was translated before is dead.
 */
static enum dma_fault_reason walk_aside(struct dma_channel *ch, uint64_t iova, bool write)
{
	struct dma_requester *r = ch->requester;
	uint64_t epoch = atomic_load_explicit(&r->epoch, memory_order_acquire);
	const struct dma_path *path =
		atomic_load_explicit(&r->path, memory_order_acquire);
	struct first_stage_page page;
	unsigned phase;
	int rc;

	if (!path || !path->first)
		return DMA_FAULT_NONE;
	if (!remote_used(path->domain))
		domain_remote_enable(path->domain);
	phase = domain_remote_begin(path->domain);
	port_dma_leave();
	port_dma_rest();
	rc = first_stage_walk(path->first, iova, write, true, &page);
	domain_remote_end(path->domain, phase);
	port_dma_enter();
	if (!rc)
		ch->aside[write] = (struct dma_aside){
			.epoch = epoch,
			.iova = iova & ~(page.page_bytes - 1),
			.bytes = page.page_bytes,
			.gpa = page.gpa & ~(page.page_bytes - 1),
			.prot = page.prot,
		};
	return (enum dma_fault_reason)rc;
}

/* Not the entry used last; perhaps another, else walk. */
static __attribute__((noinline)) enum dma_fault_reason
search(struct dma_channel *ch, uint64_t epoch, uint64_t iova, bool write,
       struct dma_target *t, struct remote *remote)
{
	for (unsigned class = 0; class < ARRAY_LEN(class_shift); class ++) {
		struct dma_iotlb_entry *e = slot(ch, iova, class);

		/* One that does not permit it may be older than a dirty bit: ask again.
		 */
		if (!(ch->classes & 1u << class) || !entry_hits(e, epoch, iova) ||
		    !permits(e->prot, write))
			continue;
		count_up(&ch->hits);
		ch->last[write] = e;
		target_of(e, iova, t);
		return DMA_FAULT_NONE;
	}
	return walk(ch, epoch, iova, write, t, remote);
}

/* @remote is set where the target's window turns out to be remote. */
static inline enum dma_fault_reason translate(struct dma_channel *ch, uint64_t iova,
					      bool write, struct dma_target *t,
					      struct remote *remote)
{
	const struct dma_iotlb_entry *e = ch->last[write];
	uint64_t epoch =
		atomic_load_explicit(&ch->requester->epoch, memory_order_acquire);

	if (__builtin_expect(!entry_hits(e, epoch, iova) || !permits(e->prot, write), 0))
		return search(ch, epoch, iova, write, t, remote);
	count_up(&ch->hits);
	target_of(e, iova, t);
	return DMA_FAULT_NONE;
}

static int fail(struct dma_fault *f, enum dma_fault_reason reason, uint64_t iova,
		bool write)
{
	if (f)
		*f = (struct dma_fault){.reason = reason, .iova = iova, .write = write};
	return -EFAULT;
}

int dma_translate(struct dma_channel *ch, uint64_t iova, bool write,
		  struct dma_target *out, struct dma_fault *fault)
{
	struct remote remote;
	enum dma_fault_reason reason = translate(ch, iova, write, out, &remote);

	if (reason == TRANSLATE_ASIDE)
		reason = DMA_FAULT_ABORT;
	return reason ? fail(fault, reason, iova, write) : 0;
}

/* Outside any section of ours. */
static int report(struct dma_channel *ch, const struct dma_fault *f,
		  struct dma_fault *fault)
{
	struct dma_requester *r = ch->requester;

	if (f->reason == DMA_FAULT_NONE)
		return 0;
	atomic_fetch_add_explicit(&r->faults, 1, memory_order_relaxed);
	if (r->on_fault) {
		port_dma_rest();
		r->on_fault(r, f);
	}
	if (fault)
		*fault = *f;
	return -EFAULT;
}

/* ---- between IOVA and a buffer of ours ---------------------------------------- */

enum direction {
	TO_BUFFER,
	FROM_BUFFER,
	FROM_BYTE, /* every byte written is @byte */
};

struct transfer {
	enum direction dir;
	unsigned char *buffer;
	uint8_t byte;
};

/* One attempt at [offset, offset + n) of a window, @at being the place in the buffer. */
static int move(const struct transfer *x, struct phys_window *w, uint64_t offset,
		unsigned char *at, size_t n)
{
	unsigned char *host = w->host;

	switch (x->dir) {
	case TO_BUFFER:
		return host ? port_copy_guarded(at, host + offset, n)
			    : w->ops->read(w, offset, at, n);
	case FROM_BUFFER:
		return host ? port_copy_guarded(host + offset, at, n)
			    : w->ops->write(w, offset, at, n);
	default:
		return host ? port_fill_guarded(host + offset, x->byte, n)
			    : w->ops->write(w, offset, at, n);
	}
}

/* How much of it could be done before the first page that is bad. */
static size_t move_piece(const struct transfer *x, const struct dma_target *t,
			 unsigned char *at, size_t n)
{
	size_t done = 0;

	if (move(x, t->window, t->offset, at, n) == 0)
		return n;
	if (!t->window->host && t->window->kind == PHYS_MMIO)
		return 0;
	while (done < n) {
		uint64_t offset = t->offset + done;
		size_t step = min_u64(n - done, PORT_PAGE_SIZE - offset % PORT_PAGE_SIZE);

		if (move(x, t->window, offset, at + done, step))
			break;
		done += step;
	}
	return done;
}

/* Inside a section, which it leaves for the copy; see domain.c. */
static size_t move_remote(struct dma_channel *ch, const struct transfer *x,
			  const struct dma_target *t, struct domain *d, unsigned char *at,
			  size_t n)
{
	unsigned phase = domain_remote_begin(d);
	size_t done;

	port_dma_leave();
	port_dma_rest();
	if (x->dir == FROM_BYTE) {
		at = ch->bounce;
		memset(at, x->byte, n);
	}
	done = move_piece(x, t, at, n);
	domain_remote_end(d, phase);
	port_dma_enter();
	return done;
}

/* @f gets the fault, if any. Returns how many bytes are done. */
static uint64_t transfer(struct dma_channel *ch, const struct transfer *x, uint64_t iova,
			 uint64_t n, struct dma_fault *f)
{
	bool write = x->dir != TO_BUFFER;
	uint64_t budget = DMA_CHUNK_BYTES;
	uint64_t done = 0;
	struct remote remote;
	struct dma_target t;

	f->reason = DMA_FAULT_NONE;
	port_dma_enter();
	while (done < n) {
		unsigned char *at = x->buffer + done;
		uint64_t len, moved;

		/* IOVA ends at 2^64. */
		f->reason = iova + done < iova
				    ? DMA_FAULT_UNMAPPED
				    : translate(ch, iova + done, write, &t, &remote);
		if (f->reason == TRANSLATE_ASIDE) {
			f->reason = walk_aside(ch, iova + done, write);
			if (!f->reason)
				continue;
		}
		if (f->reason)
			break;
		len = min_u64(min_u64(n - done, t.bytes), budget);
		if (t.window->host) {
			moved = move_piece(x, &t, at, len);
			budget -= len;
		} else if (remote.counted) {
			if (x->dir == FROM_BYTE)
				len = min_u64(len, DMA_BOUNCE_BYTES);
			moved = move_remote(ch, x, &t, remote.domain, at, len);
			budget = DMA_CHUNK_BYTES;
		} else {
			domain_remote_enable(remote.domain);
			continue;
		}
		done += moved;
		if (moved < len) {
			f->reason = DMA_FAULT_ABORT;
			break;
		}
		if (budget == 0) {
			port_dma_quiesce();
			budget = DMA_CHUNK_BYTES;
		}
	}
	port_dma_leave();
	f->iova = iova + done;
	f->write = write;
	return done;
}

int dma_read(struct dma_channel *ch, uint64_t iova, void *dst, size_t n,
	     struct dma_fault *fault)
{
	struct transfer x = {.dir = TO_BUFFER, .buffer = dst};
	struct dma_fault f;

	transfer(ch, &x, iova, n, &f);
	return report(ch, &f, fault);
}

int dma_write(struct dma_channel *ch, uint64_t iova, const void *src, size_t n,
	      struct dma_fault *fault)
{
	struct transfer x = {.dir = FROM_BUFFER, .buffer = (void *)(uintptr_t)src};
	struct dma_fault f;

	transfer(ch, &x, iova, n, &f);
	return report(ch, &f, fault);
}

int dma_fill(struct dma_channel *ch, uint64_t dst, uint8_t byte, uint64_t n,
	     struct dma_fault *fault)
{
	struct transfer x = {.dir = FROM_BYTE, .buffer = ch->bounce, .byte = byte};
	struct dma_fault f;

	transfer(ch, &x, dst, n, &f);
	return report(ch, &f, fault);
}

/* ---- between two IOVAs -------------------------------------------------------- */

/*
 * The copy failed somewhere: repeat it in steps that cross no page on either side,
 * through the bounce buffer, to see which side it was. Returns the bytes done.
 */
static size_t copy_stepwise(struct dma_channel *ch, unsigned char *dst,
			    const unsigned char *src, size_t n, bool *write)
{
	size_t done = 0;

	while (done < n) {
		size_t dst_left =
			PORT_PAGE_SIZE - (uintptr_t)(dst + done) % PORT_PAGE_SIZE;
		size_t src_left =
			PORT_PAGE_SIZE - (uintptr_t)(src + done) % PORT_PAGE_SIZE;
		size_t step = min_u64(n - done, min_u64(dst_left, src_left));

		*write = false;
		if (port_copy_guarded(ch->bounce, src + done, step))
			break;
		*write = true;
		if (port_copy_guarded(dst + done, ch->bounce, step))
			break;
		done += step;
	}
	return done;
}

_Static_assert(DMA_BOUNCE_BYTES >= PORT_PAGE_SIZE, "a page can be bounced");

static uint64_t copy_direct(struct dma_channel *ch, const struct dma_target *dst,
			    const struct dma_target *src, size_t n, struct dma_fault *f)
{
	unsigned char *d = (unsigned char *)dst->window->host + dst->offset;
	const unsigned char *s = (unsigned char *)src->window->host + src->offset;
	size_t done;

	if (port_copy_guarded(d, s, n) == 0)
		return n;
	done = copy_stepwise(ch, d, s, n, &f->write);
	if (done < n)
		f->reason = DMA_FAULT_ABORT;
	return done;
}

/* Each side translates for itself. The fault that comes first in the stream counts. */
static uint64_t copy_bounced(struct dma_channel *ch, uint64_t dst, uint64_t src, size_t n,
			     struct dma_fault *f)
{
	struct transfer in = {.dir = TO_BUFFER, .buffer = ch->bounce};
	struct transfer out = {.dir = FROM_BUFFER, .buffer = ch->bounce};
	struct dma_fault write_fault;
	uint64_t got, done;

	got = transfer(ch, &in, src, min_u64(n, DMA_BOUNCE_BYTES), f);
	done = transfer(ch, &out, dst, got, &write_fault);
	if (write_fault.reason)
		*f = write_fault;
	return done;
}

static enum dma_fault_reason translate_both(struct dma_channel *ch, uint64_t dst,
					    uint64_t src, struct dma_target *to,
					    struct dma_target *from, bool *write)
{
	struct remote remote;
	enum dma_fault_reason reason = translate(ch, src, false, from, &remote);

	*write = false;
	if (reason)
		return reason;
	*write = true;
	return translate(ch, dst, true, to, &remote);
}

int dma_copy(struct dma_channel *ch, uint64_t dst, uint64_t src, uint64_t n,
	     struct dma_fault *fault)
{
	struct dma_fault f = {.reason = DMA_FAULT_NONE};
	uint64_t budget = DMA_CHUNK_BYTES;
	uint64_t done = 0;
	struct dma_target to, from;

	port_dma_enter();
	while (done < n && f.reason == DMA_FAULT_NONE) {
		uint64_t len;

		if (src + done < src || dst + done < dst) {
			f.write = src + done >= src;
			f.reason = DMA_FAULT_UNMAPPED;
			break;
		}
		f.reason =
			translate_both(ch, dst + done, src + done, &to, &from, &f.write);
		if (f.reason == TRANSLATE_ASIDE) {
			f.reason = walk_aside(ch, (f.write ? dst : src) + done, f.write);
			if (!f.reason)
				continue;
		}
		if (f.reason)
			break;
		len = min_u64(min_u64(n - done, budget), min_u64(to.bytes, from.bytes));
		if (to.window->host && from.window->host) {
			done += copy_direct(ch, &to, &from, len, &f);
			budget -= len;
		} else {
			port_dma_leave();
			done += copy_bounced(ch, dst + done, src + done, len, &f);
			port_dma_enter();
			budget = DMA_CHUNK_BYTES;
		}
		if (budget == 0) {
			port_dma_quiesce();
			budget = DMA_CHUNK_BYTES;
		}
	}
	port_dma_leave();
	f.iova = (f.write ? dst : src) + done;
	return report(ch, &f, fault);
}
