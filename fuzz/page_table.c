/* SPDX-License-Identifier: MIT */
/*
 * Page tables of every format against a list of what was mapped: pages of all sizes,
 * refusals, a lack of memory, dirty bits. After each step walks at the edges of what is
 * and was mapped, and at a place that the input chooses, find what the list says.
 */
#include "core/pt.h"

#include "fuzz/input.h"
#include "tests/core/test_port.h"

#define PAGE     ((uint64_t)PORT_PAGE_SIZE)
#define MAPS     48
#define DIRTY    16
#define SPA_LAST (((uint64_t)1 << 52) - 1)

static const struct pt_format *const formats[] = {&pt_vtd_s2, &pt_amd_v1};

struct map {
	uint64_t iova, spa, length;
	unsigned prot;
};

struct world {
	struct pt pt;
	struct map maps[MAPS]; /* disjoint, in no order */
	unsigned n;
	uint64_t dirty[DIRTY]; /* IOVAs of pages that were set */
	unsigned nr_dirty;
};

static uint64_t aperture_last(const struct world *w)
{
	return UINT64_MAX >> (64 - w->pt.format->iova_bits);
}

static struct map *map_at(struct world *w, uint64_t iova)
{
	for (unsigned i = 0; i < w->n; i++)
		if (iova >= w->maps[i].iova && iova - w->maps[i].iova < w->maps[i].length)
			return &w->maps[i];
	return NULL;
}

static bool overlaps(struct world *w, uint64_t iova, uint64_t length)
{
	for (unsigned i = 0; i < w->n; i++)
		if (iova <= w->maps[i].iova + w->maps[i].length - 1 &&
		    w->maps[i].iova <= iova + length - 1)
			return true;
	return false;
}

static void walk(struct world *w, uint64_t iova)
{
	struct map *m = map_at(w, iova);
	struct pt_translation t;
	uint64_t into;

	if (iova > aperture_last(w))
		return;
	CHECK(pt_walk(&w->pt, iova, &t) == !!m);
	if (!m)
		return;
	into = iova - m->iova;
	CHECK(t.spa == m->spa + into);
	CHECK(t.prot == m->prot);
	/* The page is a power of two, aligned on both sides, and part of the mapping. */
	CHECK(!(t.page_bytes & (t.page_bytes - 1)) && t.page_bytes >= PAGE);
	CHECK(t.page_iova == (iova & ~(t.page_bytes - 1)));
	CHECK(t.page_iova >= m->iova);
	CHECK(t.page_iova - m->iova + t.page_bytes <= m->length);
	CHECK(!((m->spa + (t.page_iova - m->iova)) & (t.page_bytes - 1)));
	CHECK(t.run_bytes >= t.page_bytes);
}

/* Around both ends of a range, inside and outside. */
static void walk_edges(struct world *w, uint64_t iova, uint64_t length)
{
	walk(w, iova);
	walk(w, iova + length - 1);
	walk(w, iova + length / 2);
	if (iova)
		walk(w, iova - 1);
	if (iova + length)
		walk(w, iova + length);
}

/* A number of pages: small, or about a power of two. */
static uint64_t pages(struct input *in)
{
	uint8_t c = take(in);

	if (c < 0x80)
		return c;
	return ((uint64_t)1 << (c & 0x1f)) + take(in) - 128;
}

/* An address: near what is mapped, or anywhere. */
static uint64_t address(struct world *w, struct input *in)
{
	uint8_t c = take(in);
	uint64_t base = 0;

	if (c < 0xc0)
		base = (uint64_t)(c & 0xf) << (12 + 9 * (c >> 4 & 3));
	else if (w->n)
		base = w->maps[c % w->n].iova + (c & 1 ? w->maps[c % w->n].length : 0);
	return base + pages(in) * PAGE;
}

static bool valid(const struct world *w, const struct map *m)
{
	return m->length && m->prot & (PT_READ | PT_WRITE) &&
	       !((m->iova | m->spa | m->length) & (PAGE - 1)) &&
	       m->iova <= aperture_last(w) &&
	       m->length - 1 <= aperture_last(w) - m->iova && m->spa <= SPA_LAST &&
	       m->length - 1 <= SPA_LAST - m->spa;
}

/* Mapping it would take more entries than a step should. */
static bool too_many(const struct map *m)
{
	uint64_t together = m->iova ^ m->spa;

	if (m->length > 4096 * PAGE && together & ((1 << 21) - 1))
		return true;
	return m->length >> 21 > 4096 && together & ((1 << 30) - 1);
}

static void map(struct world *w, struct input *in, bool failing)
{
	struct pt_gather gather = {0};
	struct map m = {.iova = address(w, in)};
	uint8_t how = take(in);
	uint64_t sizes = w->pt.format->page_sizes;
	int err;

	m.length = pages(in) * PAGE;
	m.spa = how & 8 ? m.iova + pages(in) * PAGE : pages(in) * PAGE;
	m.prot = how & 7;
	if (how & 16) /* not aligned */
		m.iova += take(in);
	if (how & 32)
		m.spa += take(in);
	if (how & 64) /* only the smallest pages */
		sizes &= ~sizes + 1;
	if (w->n == MAPS || m.length > (uint64_t)1 << 46 || too_many(&m) ||
	    (how & 64 && m.length > 4096 * PAGE))
		return;
	if (failing)
		test_port_fail_after(take(in) % 5);
	err = pt_map(&w->pt, m.iova, m.spa, m.length, m.prot, sizes, &gather);
	test_port_fail_after(-1);
	pt_gather_free(&gather);
	if (!valid(w, &m)) {
		CHECK(err == -EINVAL);
		return;
	}
	if (err == -ENOMEM)
		CHECK(failing);
	else
		CHECK(err == (overlaps(w, m.iova, m.length) ? -EEXIST : 0));
	if (!err)
		w->maps[w->n++] = m;
	walk_edges(w, m.iova, m.length);
}

static void forget_dirty(struct world *w, uint64_t iova, uint64_t length)
{
	for (unsigned i = w->nr_dirty; i--;)
		if (w->dirty[i] - iova < length)
			w->dirty[i] = w->dirty[--w->nr_dirty];
}

/* A mapping, whole, and the hole around it, up to the neighbours. */
static void unmap(struct world *w, struct input *in)
{
	struct pt_gather gather = {0};
	struct map m;
	unsigned i;
	uint64_t before, after;

	if (!w->n)
		return;
	i = take_below(in, w->n);
	m = w->maps[i];
	before = take(in) * PAGE;
	after = take(in) * PAGE;
	w->maps[i] = w->maps[--w->n];
	while (before && (before > m.iova || overlaps(w, m.iova - before, before)))
		before -= PAGE;
	while (after && (m.iova + m.length + after - 1 > aperture_last(w) ||
			 overlaps(w, m.iova + m.length, after)))
		after -= PAGE;
	test_port_fail_after(0);
	CHECK(pt_unmap(&w->pt, m.iova - before, before + m.length + after, &gather));
	test_port_fail_after(-1);
	pt_gather_free(&gather);
	forget_dirty(w, m.iova, m.length);
	walk_edges(w, m.iova, m.length);
}

static void unmap_hole(struct world *w, struct input *in)
{
	struct pt_gather gather = {0};
	uint64_t iova = address(w, in) & ~(PAGE - 1), length = PAGE * (1 + take(in));

	if (iova > aperture_last(w) || length - 1 > aperture_last(w) - iova ||
	    overlaps(w, iova, length))
		return;
	CHECK(!pt_unmap(&w->pt, iova, length, &gather));
	pt_gather_free(&gather);
}

static void set_dirty(struct world *w, struct input *in)
{
	uint64_t iova = address(w, in);
	bool done;

	if (!w->pt.format->dirty || iova > aperture_last(w) || w->nr_dirty == DIRTY)
		return;
	done = pt_set_dirty(&w->pt, iova);
	CHECK(done == !!map_at(w, iova));
	if (done)
		w->dirty[w->nr_dirty++] = iova;
}

struct reading {
	struct world *w;
	bool seen[DIRTY];
};

/* Each page that is told holds a byte that was written, and all of it is mapped. */
static void told(void *arg, uint64_t iova, uint64_t bytes)
{
	struct reading *r = arg;
	bool any = false;

	CHECK(map_at(r->w, iova) && map_at(r->w, iova) == map_at(r->w, iova + bytes - 1));
	for (unsigned i = 0; i < r->w->nr_dirty; i++)
		if (r->w->dirty[i] - iova < bytes)
			any = r->seen[i] = true;
	CHECK(any);
}

static void read_dirty(struct world *w, struct input *in)
{
	struct reading r = {w, {false}};
	bool keep = take(in) & 1, cleared;

	if (!w->pt.format->dirty)
		return;
	cleared = pt_read_dirty(&w->pt, 0, aperture_last(w), keep, told, &r);
	for (unsigned i = 0; i < w->nr_dirty; i++)
		CHECK(r.seen[i]);
	CHECK(cleared == (!keep && w->nr_dirty));
	if (!keep)
		w->nr_dirty = 0;
}

static void step(struct world *w, struct input *in)
{
	switch (take(in) % 8) {
	case 0:
	case 1:
	case 2:
		map(w, in, false);
		return;
	case 3:
		map(w, in, true);
		return;
	case 4:
		unmap(w, in);
		return;
	case 5:
		unmap_hole(w, in);
		return;
	case 6:
		set_dirty(w, in);
		return;
	case 7:
		read_dirty(w, in);
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct world w = {0};
	const struct pt_format *format =
		formats[take_below(&in, sizeof(formats) / sizeof(formats[0]))];

	CHECK(pt_init(&w.pt, format) == 0);
	while (!input_done(&in)) {
		step(&w, &in);
		walk(&w, address(&w, &in) | (take(&in) & 0xfff));
	}
	for (unsigned i = 0; i < w.n; i++)
		walk_edges(&w, w.maps[i].iova, w.maps[i].length);
	pt_finish(&w.pt);
	CHECK(test_port_live() == 0);
	CHECK(test_port_bugs() == 0);
	return 0;
}
