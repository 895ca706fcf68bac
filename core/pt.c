/* SPDX-License-Identifier: MIT */
/*
 * Building and taking down page tables of any format.
 *
 * Counts. To unlink a table when its last entry goes, we must know how many it has. A
 * table page is the hardware's and has no room for that, so every table above level 0
 * is allocated with a side structure right behind its page, and the side structure
 * counts the entries of each child. A lowest table, and nearly all tables are lowest
 * ones, is a bare page, and its count lies in its parent's side, which was just passed.
 *
 * Invariant: between calls, side->live[i] is the number of present entries of the table
 * that entry i points at; 0 if it points at none. No table but the root is empty.
 *
 * Publishing. A new table is filled in, with all that is below it, while nobody else
 * can reach it, and then linked by one release store. A map that fails half-way links
 * what it has made so far and then takes it back as an unmap does, for parts of it may
 * have been visible; a table that has got no entry at all was never linked and is freed
 * at once.
 *
 * Unlinking. Where an unmap covers the whole span of a table, one store unlinks it with
 * everything below, and the entries inside are not even looked at: walkers that are in
 * it go on to see the old translations, which is what the grace period after an unmap is
 * for. Gathered lowest tables are chained through their own first entry; a walker may
 * see the link there. It is the address of a page, so its low 12 bits are zero, and that
 * is "not present" in every format.
 */
#include "core/pt_inline.h"

struct side {
	struct side *next; /* in a gather */
	uint16_t live[PORT_PAGE_SIZE / sizeof(pt_entry)];
};

static uint64_t entry_load(const pt_entry *e)
{
	/* Writers are serialised; they see their own stores. */
	return atomic_load_explicit(e, memory_order_relaxed);
}

static void entry_store(pt_entry *e, uint64_t value)
{
	atomic_store_explicit(e, value, memory_order_release);
}

static struct side *side_of(pt_entry *table)
{
	return (struct side *)(void *)((char *)table + PORT_PAGE_SIZE);
}

static pt_entry *table_of_side(struct side *side)
{
	return (pt_entry *)(void *)((char *)side - PORT_PAGE_SIZE);
}

/* ---- tables ------------------------------------------------------------------- */

_Static_assert(sizeof(struct side) <= PORT_PAGE_SIZE, "a table's side is one page");

static pt_entry *table_alloc(unsigned level)
{
	return level == 0 ? port_alloc_page() : port_alloc_page_pair();
}

static void table_free(pt_entry *table, unsigned level)
{
	if (level == 0)
		port_free_page(table);
	else
		port_free_page_pair(table);
}

static pt_entry *child_of(const struct pt_format *f, uint64_t entry, unsigned level)
{
	return pt_table_of(f, entry, level);
}

/* Is there a table below? */
static bool is_table(const struct pt_format *f, uint64_t entry, unsigned level)
{
	return level > 0 && f->present(entry) && !f->is_page(entry, level);
}

int pt_init(struct pt *pt, const struct pt_format *format)
{
	pt->format = format;
	pt->near.leaf = NULL;
	pt->root = table_alloc(format->levels - 1);
	return pt->root ? 0 : -ENOMEM;
}

static void free_tree(const struct pt_format *f, pt_entry *table, unsigned level)
{
	for (unsigned i = 0; level > 0 && i < 1u << f->index_bits; i++) {
		uint64_t entry = entry_load(&table[i]);

		if (is_table(f, entry, level))
			free_tree(f, child_of(f, entry, level), level - 1);
	}
	table_free(table, level);
}

void pt_finish(struct pt *pt)
{
	if (pt->root)
		free_tree(pt->format, pt->root, pt->format->levels - 1);
	pt->root = NULL;
}

/* ---- gathering ---------------------------------------------------------------- */

static void gather_table(struct pt_gather *g, pt_entry *table, unsigned level)
{
	if (level == 0) {
		atomic_store_explicit(table, (uintptr_t)g->leaves, memory_order_relaxed);
		g->leaves = table;
	} else {
		side_of(table)->next = g->inner;
		g->inner = side_of(table);
	}
}

static void gather_tree(const struct pt_format *f, struct pt_gather *g, pt_entry *table,
			unsigned level)
{
	for (unsigned i = 0; level > 0 && i < 1u << f->index_bits; i++) {
		uint64_t entry = entry_load(&table[i]);

		if (is_table(f, entry, level))
			gather_tree(f, g, child_of(f, entry, level), level - 1);
	}
	gather_table(g, table, level);
}

void pt_gather_free(struct pt_gather *gather)
{
	while (gather->leaves) {
		pt_entry *table = gather->leaves;

		gather->leaves = (void *)(uintptr_t)entry_load(table);
		port_free_page(table);
	}
	while (gather->inner) {
		struct side *side = gather->inner;

		gather->inner = side->next;
		table_free(table_of_side(side), 1);
	}
}

/* ---- map ------------------------------------------------------------------------ */

/* What is still to be mapped. */
struct map_cursor {
	const struct pt_format *format;
	uint64_t iova, spa, left;
	uint64_t page_sizes;
	unsigned prot;
};

static bool size_fits(const struct map_cursor *c, uint64_t bytes)
{
	return (c->page_sizes & bytes) && ((c->iova | c->spa) & (bytes - 1)) == 0 &&
	       c->left >= bytes;
}

/* Does a page of this level fit here? @order: the largest does, joined of 2^order. */
static bool page_fits(const struct map_cursor *c, unsigned level, unsigned *order)
{
	uint64_t bytes = (uint64_t)1 << pt_level_shift(c->format, level);

	*order = c->format->join ? c->format->index_bits - 1 : 0;
	while (!size_fits(c, bytes << *order))
		if ((*order)-- == 0)
			return false;
	return true;
}

/* One page, joined of 2^@order entries: the next may be larger. */
static int map_joined(struct map_cursor *c, pt_entry *entries, unsigned level,
		      unsigned order, unsigned *added)
{
	const struct pt_format *f = c->format;
	uint64_t bytes = (uint64_t)1 << pt_level_shift(f, level);

	for (unsigned i = 0; i < 1u << order; i++) {
		uint64_t entry = f->make_page(c->spa, level, c->prot);

		if (f->present(entry_load(&entries[i])))
			return -EEXIST;
		entry_store(&entries[i], order ? f->join(entry, level, order) : entry);
		++*added;
		c->iova += bytes;
		c->spa += bytes;
		c->left -= bytes;
	}
	return 0;
}

static int map_pages(struct map_cursor *c, pt_entry *table, unsigned level,
		     unsigned order, unsigned *added)
{
	const struct pt_format *f = c->format;
	unsigned shift = pt_level_shift(f, level);
	unsigned i = pt_level_index(f, level, c->iova);
	unsigned n = min_u64((1u << f->index_bits) - i, c->left >> shift);
	unsigned made;
	uint64_t bytes;

	if (f->join)
		return map_joined(c, &table[i], level, order, added);
	made = f->fill(&table[i], n, c->spa, level, c->prot);
	bytes = (uint64_t)made << shift;
	*added += made;
	c->iova += bytes;
	c->spa += bytes;
	c->left -= bytes;
	return made == n ? 0 : -EEXIST;
}

/* Map as much as lies below @table; @added: how many entries of it are new. */
static int map_table(struct map_cursor *c, pt_entry *table, unsigned level,
		     unsigned *added);

static int map_child(struct map_cursor *c, pt_entry *table, unsigned level, unsigned i,
		     unsigned *added)
{
	const struct pt_format *f = c->format;
	uint64_t entry = entry_load(&table[i]);
	unsigned child_added = 0;
	pt_entry *child;
	int rc;

	if (f->present(entry)) {
		if (f->is_page(entry, level))
			return -EEXIST;
		child = child_of(f, entry, level);
		rc = map_table(c, child, level - 1, &child_added);
		side_of(table)->live[i] += child_added;
		return rc;
	}
	child = table_alloc(level - 1);
	if (!child)
		return -ENOMEM;
	rc = map_table(c, child, level - 1, &child_added);
	if (child_added == 0) {
		table_free(child, level - 1);
		return rc;
	}
	side_of(table)->live[i] = child_added;
	entry_store(&table[i], f->make_table((uintptr_t)child, level));
	++*added;
	return rc;
}

static int map_table(struct map_cursor *c, pt_entry *table, unsigned level,
		     unsigned *added)
{
	const struct pt_format *f = c->format;
	unsigned i = pt_level_index(f, level, c->iova);
	unsigned order;
	int rc = 0;

	/* At level 0 a page always fits: pt_map() has checked the alignment. */
	while (c->left > 0 && rc == 0) {
		if (page_fits(c, level, &order))
			rc = map_pages(c, table, level, order, added);
		else
			rc = map_child(c, table, level, i, added);
		i = pt_level_index(f, level, c->iova);
		if (i == 0)
			break; /* past the last entry */
	}
	return rc;
}

static bool map_valid(const struct map_cursor *c)
{
	const struct pt_format *f = c->format;
	uint64_t smallest = c->page_sizes & -c->page_sizes;
	uint64_t aperture_last = ~(uint64_t)0 >> (64 - f->iova_bits);
	uint64_t spa_last = ((uint64_t)1 << 52) - 1;

	if (smallest == 0 || (c->page_sizes & ~f->page_sizes) || c->left == 0)
		return false;
	if ((c->iova | c->spa | c->left) & (smallest - 1))
		return false;
	if (c->iova > aperture_last || c->left - 1 > aperture_last - c->iova)
		return false;
	if (c->spa > spa_last || c->left - 1 > spa_last - c->spa)
		return false;
	return c->prot & (PT_READ | PT_WRITE);
}

int pt_map(struct pt *pt, uint64_t iova, uint64_t spa, uint64_t length, unsigned prot,
	   uint64_t page_sizes, struct pt_gather *gather)
{
	struct map_cursor c = {
		.format = pt->format,
		.iova = iova,
		.spa = spa,
		.left = length,
		.page_sizes = page_sizes,
		.prot = prot,
	};
	unsigned added = 0;
	int rc;

	if (!map_valid(&c))
		return -EINVAL;
	rc = map_table(&c, pt->root, pt->format->levels - 1, &added);
	if (rc && c.iova > iova)
		pt_unmap(pt, iova, c.iova - iova, gather);
	return rc;
}

void pt_prefetch(const struct pt *pt, uint64_t iova)
{
	const struct pt_format *f = pt->format;
	const pt_entry *table = pt->root;

	for (unsigned level = f->levels - 1; level > 0; level--) {
		uint64_t entry = entry_load(&table[pt_level_index(f, level, iova)]);

		if (!is_table(f, entry, level))
			return;
		table = child_of(f, entry, level);
	}
	__builtin_prefetch((const void *)&table[pt_level_index(f, 0, iova)], 1);
}

/* ---- unmap ---------------------------------------------------------------------- */

struct unmap {
	struct pt *pt;
	const struct pt_format *format;
	struct pt_gather *gather;
	bool any;
};

/* Clears [iova, last], which lies below @table; returns how many of its entries went. */
static unsigned unmap_table(struct unmap *u, pt_entry *table, unsigned level,
			    uint64_t iova, uint64_t last);

/* One entry that is present. Is it gone now? [lo, hi] lies in its span. */
static bool unmap_entry(struct unmap *u, pt_entry *table, unsigned level, unsigned i,
			uint64_t lo, uint64_t hi)
{
	const struct pt_format *f = u->format;
	uint64_t entry = entry_load(&table[i]);
	bool whole = hi - lo == ((uint64_t)1 << pt_level_shift(f, level)) - 1;
	uint16_t *live;
	pt_entry *child;

	if (!is_table(f, entry, level)) {
		/* Should the caller cut a page all the same: no access is left over. */
		PORT_BUG_ON(!whole);
		entry_store(&table[i], 0);
		u->any = true;
		return true;
	}
	child = child_of(f, entry, level);
	live = &side_of(table)->live[i];
	if (whole) {
		entry_store(&table[i], 0);
		*live = 0;
		gather_tree(f, u->gather, child, level - 1);
		u->pt->near.leaf = NULL;
		u->any = true;
		return true;
	}
	*live -= unmap_table(u, child, level - 1, lo, hi);
	if (*live > 0) {
		if (level == 1)
			u->pt->near =
				(struct pt_near){child, live, lo >> pt_level_shift(f, 1)};
		return false;
	}
	entry_store(&table[i], 0);
	gather_table(u->gather, child, level - 1);
	u->pt->near.leaf = NULL;
	return true;
}

static unsigned unmap_table(struct unmap *u, pt_entry *table, unsigned level,
			    uint64_t iova, uint64_t last)
{
	const struct pt_format *f = u->format;
	uint64_t span = (uint64_t)1 << pt_level_shift(f, level);
	unsigned first_index = pt_level_index(f, level, iova);
	unsigned last_index = pt_level_index(f, level, last);
	unsigned cleared = 0;

	for (unsigned i = first_index; i <= last_index; i++) {
		uint64_t end = iova | (span - 1);
		uint64_t hi = min_u64(end, last);

		if (f->present(entry_load(&table[i])))
			cleared += unmap_entry(u, table, level, i, iova, hi);
		iova = end + 1;
	}
	return cleared;
}

/*
 * The short way: all of [iova, last] lies in the lowest table that was used last, and
 * something else stays in it. Writers can tell by 0 what is not present: nothing else
 * is ever stored in an entry that is not.
 */
static inline bool unmap_near(struct unmap *u, uint64_t iova, uint64_t last)
{
	const struct pt_format *f = u->format;
	const struct pt_near *near = &u->pt->near;
	unsigned page = pt_level_shift(f, 0), reach = pt_level_shift(f, 1), i, end, n = 0;
	pt_entry *leaf = near->leaf;

	if (!leaf || iova >> reach != near->span || last >> reach != near->span ||
	    ((iova | (last + 1)) & (((uint64_t)1 << page) - 1)))
		return false;
	i = pt_level_index(f, 0, iova);
	end = pt_level_index(f, 0, last) + 1;
	for (unsigned k = i; k < end; k++)
		n += entry_load(&leaf[k]) != 0;
	if (n == *near->live)
		return false;
	for (; i < end; i++)
		entry_store(&leaf[i], 0);
	*near->live -= n;
	u->any |= n > 0;
	return true;
}

bool pt_unmap_spans(struct pt *pt, const struct pt_span *v, size_t n,
		    struct pt_gather *gather)
{
	const struct pt_format *f = pt->format;
	struct unmap u = {.pt = pt, .format = f, .gather = gather};
	uint64_t aperture_last = ~(uint64_t)0 >> (64 - f->iova_bits);

	for (size_t i = 0; i < n; i++) {
		uint64_t iova = v[i].iova, last;

		if (v[i].length == 0 || iova > aperture_last)
			continue;
		last = iova + min_u64(v[i].length - 1, aperture_last - iova);
		if (!unmap_near(&u, iova, last))
			unmap_table(&u, pt->root, f->levels - 1, iova, last);
	}
	return u.any;
}

bool pt_unmap(struct pt *pt, uint64_t iova, uint64_t length, struct pt_gather *gather)
{
	return pt_unmap_spans(pt, &(struct pt_span){iova, length}, 1, gather);
}

/* ---- dirty bits ------------------------------------------------------------------ */

struct dirty_read {
	const struct pt_format *format;
	bool keep, cleared;
	void (*dirty)(void *arg, uint64_t iova, uint64_t bytes);
	void *arg;
};

/* Devices set bits at any time, so a bit is cleared by itself. */
static bool take_dirty(struct dirty_read *r, pt_entry *e)
{
	uint64_t bit = r->format->dirty;

	if (!(entry_load(e) & bit))
		return false;
	if (!r->keep)
		atomic_fetch_and_explicit(e, ~bit, memory_order_relaxed);
	return true;
}

/* The page that entry @i is of; returns how many entries it has, from its first on. */
static unsigned read_dirty_page(struct dirty_read *r, pt_entry *table, unsigned level,
				unsigned *i, uint64_t iova)
{
	const struct pt_format *f = r->format;
	unsigned shift = pt_level_shift(f, level);
	unsigned n = f->order ? 1u << f->order(entry_load(&table[*i]), level) : 1;
	uint64_t bytes = (uint64_t)n << shift;
	bool any = false;

	*i &= ~(n - 1);
	for (unsigned k = 0; k < n; k++)
		any |= take_dirty(r, &table[*i + k]);
	if (any) {
		r->cleared |= !r->keep;
		r->dirty(r->arg, iova & ~(bytes - 1), bytes);
	}
	return n;
}

/* [iova, last] lies below @table. */
static void read_dirty_table(struct dirty_read *r, pt_entry *table, unsigned level,
			     uint64_t iova, uint64_t last)
{
	const struct pt_format *f = r->format;
	unsigned shift = pt_level_shift(f, level);
	uint64_t base = iova >> shift >> f->index_bits << f->index_bits << shift;
	unsigned last_index = pt_level_index(f, level, last);

	for (unsigned i = pt_level_index(f, level, iova), n; i <= last_index; i += n) {
		uint64_t entry = entry_load(&table[i]);
		uint64_t lo = max_u64(iova, base + ((uint64_t)i << shift));
		uint64_t hi = min_u64(last, lo | (((uint64_t)1 << shift) - 1));

		n = 1;
		if (is_table(f, entry, level))
			read_dirty_table(r, child_of(f, entry, level), level - 1, lo, hi);
		else if (f->present(entry))
			n = read_dirty_page(r, table, level, &i, lo);
	}
}

bool pt_read_dirty(struct pt *pt, uint64_t iova, uint64_t length, bool keep,
		   void (*dirty)(void *arg, uint64_t iova, uint64_t bytes), void *arg)
{
	const struct pt_format *f = pt->format;
	uint64_t aperture_last = ~(uint64_t)0 >> (64 - f->iova_bits);
	struct dirty_read r = {.format = f, .keep = keep, .dirty = dirty, .arg = arg};
	uint64_t last;

	if (!f->dirty || length == 0 || iova > aperture_last)
		return false;
	last = length - 1 > aperture_last - iova ? aperture_last : iova + length - 1;
	read_dirty_table(&r, pt->root, f->levels - 1, iova, last);
	return r.cleared;
}

bool pt_set_dirty(struct pt *pt, uint64_t iova)
{
	const struct pt_format *f = pt->format;
	pt_entry *table = pt->root;

	if (f->iova_bits < 64 && iova >> f->iova_bits != 0)
		return false;
	for (unsigned level = f->levels - 1;; level--) {
		pt_entry *e = &table[pt_level_index(f, level, iova)];
		uint64_t entry = atomic_load_explicit(e, memory_order_acquire);

		/* Never a bit in an entry that an unmap has cleared meanwhile. */
		while (f->present(entry) && !is_table(f, entry, level))
			if (atomic_compare_exchange_weak_explicit(
				    e, &entry, entry | f->dirty, memory_order_acquire,
				    memory_order_acquire))
				return true;
		if (!f->present(entry))
			return false;
		table = child_of(f, entry, level);
	}
}
