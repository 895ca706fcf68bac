/* SPDX-License-Identifier: MIT */
/*
 * Page tables, the same tests over every format: a random model test against an array
 * with one element for each page, the size of pages, holes, refusals, and a lack of
 * memory at every allocation.
 *
 * The toy format differs from real ones in all it can: other depth, other index width,
 * permissions that are denials, a bit that says "table" rather than "page".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/pt_inline.h"
#include "tests/core/test_port.h"

#define K         ((uint64_t)1024)
#define M         (K * K)
#define G         (K * M)
#define PAGE(spa) ((spa) / PORT_PAGE_SIZE)
#define SPA_BASE  (64 * G)
#define ALL_SIZES (~(uint64_t)0)

/* ---- the toy: 3 levels of 64 entries; 4 KiB, 256 KiB and 16 MiB pages -------------- */

#define TOY_PRESENT  ((uint64_t)1 << 0)
#define TOY_TABLE    ((uint64_t)1 << 1)
#define TOY_NO_READ  ((uint64_t)1 << 60)
#define TOY_NO_WRITE ((uint64_t)1 << 61)
#define TOY_MMIO     ((uint64_t)1 << 62)
#define TOY_ADDRESS  ((((uint64_t)1 << 52) - 1) & ~(uint64_t)4095)

static bool toy_present(uint64_t entry)
{
	return entry & TOY_PRESENT;
}

static bool toy_is_page(uint64_t entry, unsigned level)
{
	return !(entry & TOY_TABLE);
}

static uint64_t toy_address(uint64_t entry, unsigned level)
{
	return entry & TOY_ADDRESS;
}

static uint64_t toy_make_page(uint64_t spa, unsigned level, unsigned prot)
{
	return spa | TOY_PRESENT | (prot & PT_READ ? 0 : TOY_NO_READ) |
	       (prot & PT_WRITE ? 0 : TOY_NO_WRITE) | (prot & PT_MMIO ? TOY_MMIO : 0);
}

static uint64_t toy_make_table(uint64_t spa, unsigned level)
{
	return spa | TOY_PRESENT | TOY_TABLE;
}

static unsigned toy_prot(uint64_t entry)
{
	return (entry & TOY_NO_READ ? 0 : PT_READ) |
	       (entry & TOY_NO_WRITE ? 0 : PT_WRITE) | (entry & TOY_MMIO ? PT_MMIO : 0);
}

static const struct pt_format toy;

static bool toy_walk(const pt_entry *root, uint64_t iova, struct pt_translation *out)
{
	return pt_walk_format(&toy, root, iova, out);
}

static unsigned toy_fill(pt_entry *entries, unsigned n, uint64_t spa, unsigned level,
			 unsigned prot)
{
	return pt_fill_format(&toy, entries, n, spa, level, prot);
}

static const struct pt_format toy = {
	.name = "toy",
	.levels = 3,
	.page_shift = 12,
	.index_bits = 6,
	.iova_bits = 30,
	.page_sizes = 4 * K | 256 * K | 16 * M,
	.present = toy_present,
	.is_page = toy_is_page,
	.address = toy_address,
	.make_page = toy_make_page,
	.make_table = toy_make_table,
	.prot = toy_prot,
	.walk = toy_walk,
	.fill = toy_fill,
};

/* ---- the model -------------------------------------------------------------------- */

struct format_case {
	const struct pt_format *format;
	uint64_t base;  /* of the modelled part of the IOVA space */
	uint64_t bytes; /* of it */
	uint64_t big;   /* sizes of pages above 4 KiB */
	uint64_t huge;
	bool always_readable; /* what can be written can be read */
};

/* The modelled part lies across a boundary of the largest entries. */
static const struct format_case cases[] = {
	{&pt_vtd_s2, 512 * G - G, 3 * G, 2 * M, G, false},
	{&pt_vtd_s1, 512 * G - G, 3 * G, 2 * M, G, true},
	{&pt_amd_v1, 512 * G - G, 3 * G, 2 * M, G, false},
	{&toy, 0, G, 256 * K, 16 * M, false},
};

struct model_page {
	uint64_t spa; /* 0: not mapped */
	uint64_t size;
	unsigned prot;
};

struct area {
	uint64_t iova, length;
};

struct world {
	const struct format_case *c;
	struct pt pt;
	struct pt_gather gather;
	struct model_page *pages;
	size_t nr_pages;
	struct area areas[256];
	size_t nr_areas;
	struct test_random random;
	long live; /* allocations that are not ours */
};

static void world_init(struct world *w, const struct format_case *c, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->live = test_port_live();
	w->c = c;
	w->nr_pages = PAGE(c->bytes);
	w->pages = calloc(w->nr_pages, sizeof(*w->pages));
	w->random.state = seed;
	assert_non_null(w->pages);
	assert_int_equal(pt_init(&w->pt, c->format), 0);
}

static void gather_free(struct world *w)
{
	pt_gather_free(&w->gather);
	assert_null(w->gather.leaves);
	assert_null(w->gather.inner);
}

static void world_finish(struct world *w)
{
	gather_free(w);
	pt_finish(&w->pt);
	free(w->pages);
	assert_int_equal(test_port_live(), w->live);
	assert_int_equal(test_port_bugs(), 0);
}

static struct model_page *model_at(struct world *w, uint64_t iova)
{
	return &w->pages[PAGE(iova - w->c->base)];
}

static bool model_free(struct world *w, uint64_t iova, uint64_t length)
{
	for (uint64_t i = 0; i < PAGE(length); i++)
		if (model_at(w, iova)[i].spa)
			return false;
	return true;
}

/* The largest page of @sizes that may start here. */
static uint64_t expected_size(uint64_t sizes, uint64_t iova, uint64_t spa, uint64_t left)
{
	for (unsigned bit = 63; bit > 12; bit--) {
		uint64_t size = (uint64_t)1 << bit;

		if ((sizes & size) && ((iova | spa) & (size - 1)) == 0 && left >= size)
			return size;
	}
	return PORT_PAGE_SIZE;
}

static void model_map(struct world *w, uint64_t iova, uint64_t spa, uint64_t length,
		      unsigned prot, uint64_t sizes)
{
	uint64_t page_left = 0, size = 0;

	if (w->c->always_readable)
		prot |= PT_READ;
	for (uint64_t at = 0; at < length; at += PORT_PAGE_SIZE) {
		if (page_left == 0) {
			size = expected_size(sizes, iova + at, spa + at, length - at);
			page_left = size;
		}
		page_left -= PORT_PAGE_SIZE;
		*model_at(w, iova + at) = (struct model_page){spa + at, size, prot};
	}
	w->areas[w->nr_areas++] = (struct area){iova, length};
}

static void model_unmap(struct world *w, uint64_t iova, uint64_t length)
{
	size_t kept = 0;

	memset(model_at(w, iova), 0, PAGE(length) * sizeof(*w->pages));
	for (size_t i = 0; i < w->nr_areas; i++)
		if (w->areas[i].iova < iova || w->areas[i].iova >= iova + length)
			w->areas[kept++] = w->areas[i];
	w->nr_areas = kept;
}

static void check_page(struct world *w, uint64_t iova)
{
	const struct model_page *want = model_at(w, iova & ~(PORT_PAGE_SIZE - 1));
	struct pt_translation got;

	if (!pt_walk(&w->pt, iova, &got)) {
		assert_int_equal(want->spa, 0);
		return;
	}
	assert_int_equal(got.spa, want->spa + iova % PORT_PAGE_SIZE);
	assert_int_equal(got.prot, want->prot);
	assert_int_equal(got.page_bytes, want->size);
	assert_int_equal(got.page_iova, iova & ~(want->size - 1));
	/* All of the run is as it says. */
	assert_true(got.run_bytes >= got.page_bytes);
	for (uint64_t at = 0; at < got.run_bytes; at += want->size) {
		const struct model_page *p = model_at(w, got.page_iova + at);

		assert_int_equal(p->spa, got.spa - (iova - got.page_iova) + at);
		assert_int_equal(p->prot, want->prot);
	}
}

static void check_all(struct world *w)
{
	for (uint64_t i = 0; i < w->nr_pages; i++)
		check_page(w, w->c->base + i * PORT_PAGE_SIZE);
}

static void check_root_empty(struct world *w)
{
	const struct pt_format *f = w->pt.format;

	for (unsigned i = 0; i < 1u << f->index_bits; i++)
		assert_int_equal(atomic_load(&w->pt.root[i]), 0);
	gather_free(w);
	assert_int_equal(test_port_live(), w->live + 1);
}

/* ---- random operations ------------------------------------------------------------ */

static uint64_t random_align(struct world *w)
{
	switch (test_random_below(&w->random, 8)) {
	case 0:
		return w->c->huge;
	case 1:
	case 2:
	case 3:
		return w->c->big;
	case 4:
		/* A size in between, where the format has such. */
		return PORT_PAGE_SIZE << test_random_below(&w->random, 9);
	default:
		return PORT_PAGE_SIZE;
	}
}

static void random_map(struct world *w)
{
	uint64_t align = random_align(w);
	uint64_t length = align * (1 + test_random_below(&w->random, 3));
	uint64_t sizes = w->c->format->page_sizes;
	unsigned prot = 1 + test_random_below(&w->random, 7);
	uint64_t iova, spa;
	int rc;

	if (test_random_below(&w->random, 2))
		length += PORT_PAGE_SIZE * test_random_below(&w->random, 40);
	if (length > w->c->bytes || w->nr_areas == 256)
		return;
	iova = w->c->base + test_random_below(&w->random, w->c->bytes - length + 1);
	iova &= ~(align - 1);
	spa = SPA_BASE + test_random_below(&w->random, 64) * random_align(w);
	if (test_random_below(&w->random, 4) == 0)
		sizes = PORT_PAGE_SIZE | w->c->big;
	rc = pt_map(&w->pt, iova, spa, length, prot, sizes, &w->gather);
	if (!(prot & (PT_READ | PT_WRITE))) {
		assert_int_equal(rc, -EINVAL);
	} else if (!model_free(w, iova, length)) {
		assert_int_equal(rc, -EEXIST);
	} else {
		assert_int_equal(rc, 0);
		model_map(w, iova, spa, length, prot, sizes);
	}
}

/* One area, or a range around it that cuts no other. */
static void random_unmap(struct world *w)
{
	struct area a;
	uint64_t start, end, more_start, more_end;

	if (w->nr_areas == 0)
		return;
	a = w->areas[test_random_below(&w->random, w->nr_areas)];
	start = a.iova;
	end = a.iova + a.length;
	more_start = start - min_u64(start - w->c->base, random_align(w));
	more_end = min_u64(end + random_align(w), w->c->base + w->c->bytes);
	if (test_random_below(&w->random, 2)) {
		for (size_t i = 0; i < w->nr_areas; i++) {
			const struct area *b = &w->areas[i];

			if (b->iova < more_start && b->iova + b->length > more_start)
				more_start = b->iova + b->length;
			if (b->iova < more_end && b->iova + b->length > more_end)
				more_end = b->iova;
		}
		start = min_u64(start, more_start);
		end = max_u64(end, more_end);
	}
	assert_true(pt_unmap(&w->pt, start, end - start, &w->gather));
	model_unmap(w, start, end - start);
}

static void test_random_model(void **state)
{
	uint64_t seed = test_seed(0x7a11);

	print_message("seed %#llx\n", (unsigned long long)seed);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		world_init(&w, &cases[i], seed);
		for (unsigned step = 0; step < 3000; step++) {
			if (test_random_below(&w.random, 100) < 60)
				random_map(&w);
			else
				random_unmap(&w);
			for (unsigned n = 0; n < 20; n++)
				check_page(&w, w.c->base + test_random_below(&w.random,
									     w.c->bytes));
			if (step % 50 == 0)
				gather_free(&w);
			if (step % 1000 == 0)
				check_all(&w);
		}
		check_all(&w);
		while (w.nr_areas > 0)
			random_unmap(&w);
		check_root_empty(&w);
		world_finish(&w);
	}
}

/* ---- single facts ----------------------------------------------------------------- */

static uint64_t size_at(struct world *w, uint64_t iova)
{
	struct pt_translation tr;

	return pt_walk(&w->pt, iova, &tr) ? tr.page_bytes : 0;
}

static void test_page_sizes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct format_case *c = &cases[i];
		uint64_t all = c->format->page_sizes;
		uint64_t at = c->base;
		struct world w;

		world_init(&w, c, 0);
		/* From one page before a huge boundary to one page behind the next. */
		at += c->huge - PORT_PAGE_SIZE;
		assert_int_equal(pt_map(&w.pt, at, SPA_BASE + c->huge - PORT_PAGE_SIZE,
					c->huge + 2 * PORT_PAGE_SIZE, PT_READ, all,
					&w.gather),
				 0);
		assert_int_equal(size_at(&w, at - 1), 0);
		assert_int_equal(size_at(&w, at), PORT_PAGE_SIZE);
		assert_int_equal(size_at(&w, at + PORT_PAGE_SIZE), c->huge);
		assert_int_equal(size_at(&w, at + c->huge), c->huge);
		assert_int_equal(size_at(&w, at + PORT_PAGE_SIZE + c->huge),
				 PORT_PAGE_SIZE);
		assert_int_equal(size_at(&w, at + 2 * PORT_PAGE_SIZE + c->huge), 0);
		assert_true(pt_unmap(&w.pt, at, c->huge + 2 * PORT_PAGE_SIZE, &w.gather));
		check_root_empty(&w);

		/* The SPA's alignment limits the size, and so does the caller. */
		assert_int_equal(pt_map(&w.pt, c->base, SPA_BASE + c->big, c->huge,
					PT_READ, all, &w.gather),
				 0);
		assert_int_equal(size_at(&w, c->base), c->big);
		assert_true(pt_unmap(&w.pt, c->base, c->huge, &w.gather));
		assert_int_equal(pt_map(&w.pt, c->base, SPA_BASE, c->big, PT_READ,
					PORT_PAGE_SIZE, &w.gather),
				 0);
		assert_int_equal(size_at(&w, c->base), PORT_PAGE_SIZE);
		assert_true(pt_unmap(&w.pt, c->base, c->big, &w.gather));
		assert_int_equal(pt_map(&w.pt, c->base, SPA_BASE, c->huge, PT_READ,
					c->big, &w.gather),
				 0);
		assert_int_equal(size_at(&w, c->base), c->big);
		assert_true(pt_unmap(&w.pt, 0, UINT64_MAX, &w.gather));
		check_root_empty(&w);
		world_finish(&w);
	}
}

static void test_refusals(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct pt_format *f = cases[i].format;
		uint64_t end = (uint64_t)1 << f->iova_bits;
		uint64_t page = PORT_PAGE_SIZE;
		const struct {
			uint64_t iova, spa, length;
			unsigned prot;
			uint64_t sizes;
		} bad[] = {
			{0, SPA_BASE, 0, PT_READ, f->page_sizes},
			{1, SPA_BASE, page, PT_READ, f->page_sizes},
			{0, SPA_BASE + 1, page, PT_READ, f->page_sizes},
			{0, SPA_BASE, page + 1, PT_READ, f->page_sizes},
			{0, SPA_BASE, page, 0, f->page_sizes},
			{0, SPA_BASE, page, PT_MMIO, f->page_sizes},
			{0, SPA_BASE, page, PT_READ, 0},
			{0, SPA_BASE, page, PT_READ, ALL_SIZES},
			{0, SPA_BASE, page, PT_READ, cases[i].big},
			{end, SPA_BASE, page, PT_READ, f->page_sizes},
			{end - page, SPA_BASE, 2 * page, PT_READ, f->page_sizes},
			{0, (uint64_t)1 << 52, page, PT_READ, f->page_sizes},
			{0, ((uint64_t)1 << 52) - page, 2 * page, PT_READ, f->page_sizes},
			{0, SPA_BASE, 0 - page, PT_READ, f->page_sizes},
		};
		struct pt_translation tr;
		struct world w;

		world_init(&w, &cases[i], 0);
		for (size_t b = 0; b < ARRAY_LEN(bad); b++)
			assert_int_equal(pt_map(&w.pt, bad[b].iova, bad[b].spa,
						bad[b].length, bad[b].prot, bad[b].sizes,
						&w.gather),
					 -EINVAL);
		/* The last page there is; nothing beyond, and nothing wraps. */
		assert_int_equal(pt_map(&w.pt, end - page, SPA_BASE, page,
					PT_READ | PT_MMIO, f->page_sizes, &w.gather),
				 0);
		assert_true(pt_walk(&w.pt, end - 1, &tr));
		assert_int_equal(tr.spa, SPA_BASE + page - 1);
		assert_int_equal(tr.prot, PT_READ | PT_MMIO);
		assert_false(pt_walk(&w.pt, end, &tr));
		assert_false(pt_walk(&w.pt, UINT64_MAX, &tr));
		assert_false(pt_unmap(&w.pt, end, UINT64_MAX - end, &w.gather));
		assert_false(pt_unmap(&w.pt, 0, end - page, &w.gather));
		assert_false(pt_unmap(&w.pt, 0, 0, &w.gather));
		assert_true(pt_unmap(&w.pt, end - page, UINT64_MAX, &w.gather));
		check_root_empty(&w);
		world_finish(&w);
	}
}

/* A map that runs into another takes itself back and leaves the other alone. */
static void test_exists(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct format_case *c = &cases[i];
		uint64_t all = c->format->page_sizes;
		uint64_t obstacle = c->base + c->huge + 3 * c->big;
		struct pt_translation tr;
		struct world w;

		world_init(&w, c, 0);
		for (unsigned big = 0; big < 2; big++) {
			uint64_t length = big ? c->big : PORT_PAGE_SIZE;

			assert_int_equal(pt_map(&w.pt, obstacle, SPA_BASE, length,
						PT_READ | PT_WRITE, all, &w.gather),
					 0);
			assert_int_equal(pt_map(&w.pt, c->base + PORT_PAGE_SIZE,
						SPA_BASE + PORT_PAGE_SIZE, 2 * c->huge,
						PT_READ, all, &w.gather),
					 -EEXIST);
			/* One entry that would cover the other's table. */
			assert_int_equal(pt_map(&w.pt, c->base + c->huge, SPA_BASE,
						c->huge, PT_READ, all, &w.gather),
					 -EEXIST);
			assert_int_equal(size_at(&w, c->base + PORT_PAGE_SIZE), 0);
			assert_int_equal(size_at(&w, c->base + c->big), 0);
			assert_int_equal(size_at(&w, obstacle - 1), 0);
			assert_true(pt_walk(&w.pt, obstacle, &tr));
			assert_int_equal(tr.prot, PT_READ | PT_WRITE);
			assert_int_equal(size_at(&w, obstacle + length), 0);
			assert_true(pt_unmap(&w.pt, obstacle, length, &w.gather));
			check_root_empty(&w);
		}
		world_finish(&w);
	}
}

/* Walkers that are still in an unlinked table see old entries, never rubbish. */
static void test_unlinked_tables_stay_readable(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct format_case *c = &cases[i];
		const struct pt_format *f = c->format;
		struct world w;
		pt_entry *leaf;
		unsigned links = 0;

		world_init(&w, c, 0);
		assert_int_equal(pt_map(&w.pt, c->base, SPA_BASE, 3 * c->big, PT_READ,
					PORT_PAGE_SIZE, &w.gather),
				 0);
		assert_true(pt_unmap(&w.pt, c->base, 3 * c->big, &w.gather));
		for (leaf = w.gather.leaves; leaf; links++) {
			uint64_t first = atomic_load(&leaf[0]);

			assert_false(f->present(first));
			leaf = (pt_entry *)(uintptr_t)first;
		}
		assert_int_equal(links, 3);
		check_root_empty(&w);
		world_finish(&w);
	}
}

static void test_no_memory(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct format_case *c = &cases[i];
		uint64_t iova = c->base + c->huge - 3 * c->big - PORT_PAGE_SIZE;
		uint64_t length = 6 * c->big + 2 * PORT_PAGE_SIZE;
		uint64_t neighbour = iova - PORT_PAGE_SIZE;
		uint64_t sizes[] = {c->format->page_sizes, PORT_PAGE_SIZE};

		for (unsigned s = 0; s < 4; s++) {
			struct world w;
			long before, n;
			int rc = -ENOMEM;

			world_init(&w, c, 0);
			/* With and without something in the first table. */
			if (s >= 2)
				assert_int_equal(pt_map(&w.pt, neighbour, SPA_BASE,
							PORT_PAGE_SIZE, PT_READ,
							PORT_PAGE_SIZE, &w.gather),
						 0);
			before = test_port_live();
			for (n = 0; rc; n++) {
				test_port_fail_after(n);
				rc = pt_map(&w.pt, iova, SPA_BASE - PORT_PAGE_SIZE,
					    length, PT_READ, sizes[s % 2], &w.gather);
				test_port_fail_after(-1);
				if (rc == 0)
					break;
				assert_int_equal(rc, -ENOMEM);
				for (uint64_t at = 0; at < length; at += PORT_PAGE_SIZE)
					assert_int_equal(size_at(&w, iova + at), 0);
				gather_free(&w);
				assert_int_equal(test_port_live(), before);
			}
			assert_true(n >= 2);
			assert_true(pt_unmap(&w.pt, iova, length, &w.gather));
			gather_free(&w);
			assert_int_equal(test_port_live(), before);
			if (s >= 2)
				assert_true(pt_unmap(&w.pt, neighbour, PORT_PAGE_SIZE,
						     &w.gather));
			check_root_empty(&w);
			world_finish(&w);
		}
	}
}

/* What is left mapped at the end is freed with the table. */
static void test_finish_mapped(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		world_init(&w, &cases[i], 0);
		assert_int_equal(pt_map(&w.pt, cases[i].base + PORT_PAGE_SIZE, SPA_BASE,
					2 * cases[i].huge, PT_READ,
					cases[i].format->page_sizes, &w.gather),
				 0);
		world_finish(&w);
	}
}

/* The bits of VT-d's specification. */
static void test_vtd_bits(void **state)
{
	const struct pt_format *f = &pt_vtd_s2;

	assert_int_equal(f->make_page(0x123000, 0, PT_READ), 0x123001);
	assert_int_equal(f->make_page(0x123000, 0, PT_WRITE), 0x123002);
	assert_int_equal(f->make_page(2 * M, 1, PT_READ | PT_WRITE), 2 * M | 0x83);
	assert_int_equal(f->make_page(G, 2, PT_READ | PT_WRITE), G | 0x83);
	assert_int_equal(f->make_page(0x123000, 0, 7), 0x123043);
	assert_int_equal(f->make_table(0x7f0000001000, 1), 0x7f0000001003);
	/* Accessed, dirty and the ignored high bits are no part of the address. */
	assert_int_equal(f->address(0xfff0000000123000 | 0x303, 0), 0x123000);
	assert_int_equal(f->prot(0xfff0000000123000 | 0x303), 3);
	assert_false(f->present(0x123000));
}

static void test_vtd_first_stage_bits(void **state)
{
	const struct pt_format *f = &pt_vtd_s1;

	assert_int_equal(f->make_page(0x123000, 0, PT_READ), 0x123025);
	assert_int_equal(f->make_page(2 * M, 1, PT_READ | PT_WRITE), 2 * M | 0xe7);
	assert_int_equal(f->make_table(0x7f0000001000, 1), 0x7f0000001027);
	assert_int_equal(f->address((uint64_t)1 << 63 | 0x123fff, 0), 0x123000);
	assert_int_equal(f->prot(0x123000 | 0x3), PT_READ | PT_WRITE);
	assert_int_equal(f->prot(0x123000 | 0x1), PT_READ);
}

/* Those of AMD's, with the examples of its table of page sizes. */
static void test_amd_bits(void **state)
{
	const uint64_t ir = (uint64_t)1 << 61, iw = (uint64_t)1 << 62,
		       fc = (uint64_t)1 << 60;
	const struct pt_format *f = &pt_amd_v1;
	const struct {
		unsigned level, order;
		uint64_t address, size_bits;
	} sized[] = {
		{0, 1, 0x2000, 0},
		{0, 2, 0x4000, 0x1000},
		{0, 8, M, 0x7f000},
		{1, 1, 4 * M, 0x1ff000},
		{1, 8, 512 * M, 0xffff000},
		{2, 2, 4 * G, 0x7ffff000},
		{2, 8, 256 * G, 0x1ffffff000},
	};

	assert_int_equal(f->make_page(0x123000, 0, PT_READ), 0x123001 | ir | fc);
	assert_int_equal(f->make_page(2 * M, 1, PT_WRITE), 2 * M | 1 | iw | fc);
	assert_int_equal(f->make_table(0x7f0000001000, 3), 0x7f0000001601 | ir | iw);
	assert_false(f->is_page(0x7f0000001601, 3));
	assert_true(f->is_page(2 * M | 1, 1) && f->is_page(2 * M | 0xe01, 1));
	for (size_t i = 0; i < ARRAY_LEN(sized); i++) {
		unsigned level = sized[i].level, order = sized[i].order;
		uint64_t part = (uint64_t)4096 << (9 * level);
		uint64_t want = sized[i].address | sized[i].size_bits | 0xe01 | ir | fc;

		/* The same from each of its parts. */
		for (unsigned k = 0; k < 1u << order; k++) {
			uint64_t e =
				f->make_page(sized[i].address + k * part, level, PT_READ);

			assert_int_equal(f->join(e, level, order), want);
		}
		assert_int_equal(f->order(want, level), order);
		assert_int_equal(f->address(want, level), sized[i].address);
	}
	assert_int_equal(f->order(2 * M | 1, 1), 0);
	assert_int_equal(f->dirty, 1 << 6);
	assert_false(f->page_sizes & 512 * G);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_model),
		cmocka_unit_test(test_page_sizes),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_exists),
		cmocka_unit_test(test_unlinked_tables_stay_readable),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_finish_mapped),
		cmocka_unit_test(test_vtd_bits),
		cmocka_unit_test(test_vtd_first_stage_bits),
		cmocka_unit_test(test_amd_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
