/* SPDX-License-Identifier: MIT */
/*
 * Dirty bits: against a model over two formats, one of them with joined pages; by DMA;
 * and that no write is lost while a device writes and another thread reads and clears.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "selftest/mock.h"
#include "tests/core/dma_world.h"

/* ---- the model: what each granule of 2 KiB belongs to ---------------------------------
 */

#define GRANULE          ((uint64_t)2 * K)
#define BASE             ((uint64_t)16 * M)
#define GRANULES         4096 /* modelled from BASE on */
#define AREAS            64
#define SPA              ((uint64_t)64 * G)
#define GRANULE_OF(iova) (((iova)-BASE) / GRANULE)

struct cell {
	uint64_t page, bytes; /* 0 bytes: not mapped */
	bool dirty;
};

struct model {
	struct phys *phys;
	struct domain *d;
	uint64_t state; /* of the random numbers */
	struct cell cells[GRANULES];
	struct {
		uint64_t iova, length;
	} areas[AREAS];
	unsigned nr_areas;
	/* The reading that goes on. */
	bool told[GRANULES];
};

static uint64_t below(struct model *m, uint64_t n)
{
	uint64_t z = m->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % n;
}

/* Pages are as large as fits, from the first byte on. */
static void model_map(struct model *m, uint64_t iova, uint64_t spa, uint64_t length)
{
	while (length) {
		uint64_t bytes = (uint64_t)1 << 40;

		while (!(m->d->page_sizes & bytes) || (iova | spa) & (bytes - 1) ||
		       bytes > length)
			bytes /= 2;
		for (uint64_t at = iova; at < iova + bytes; at += GRANULE)
			m->cells[GRANULE_OF(at)] =
				(struct cell){.page = iova, .bytes = bytes};
		iova += bytes;
		spa += bytes;
		length -= bytes;
	}
}

static void do_map(struct model *m)
{
	uint64_t unit = domain_min_page(m->d);
	uint64_t length = unit * (1 + below(m, 1ull << below(m, 10)));
	uint64_t iova = BASE + unit * below(m, GRANULES * GRANULE / unit);
	struct run run = {.spa = SPA + unit * below(m, 2048), .length = length};
	struct run_list runs = {.v = &run, .n = 1};

	if (m->nr_areas == AREAS || iova + length > BASE + GRANULES * GRANULE)
		return;
	for (uint64_t at = iova; at < iova + length; at += GRANULE)
		if (m->cells[GRANULE_OF(at)].bytes)
			return;
	assert_int_equal(
		domain_map(m->d, iova, &runs, 0, length, PT_READ | PT_WRITE, true), 0);
	model_map(m, iova, run.spa, length);
	m->areas[m->nr_areas].iova = iova;
	m->areas[m->nr_areas++].length = length;
}

static void do_unmap(struct model *m)
{
	unsigned i;

	if (!m->nr_areas)
		return;
	i = (unsigned)below(m, m->nr_areas);
	unmap(m->d, m->areas[i].iova, m->areas[i].length);
	for (uint64_t at = 0; at < m->areas[i].length; at += GRANULE)
		m->cells[GRANULE_OF(m->areas[i].iova + at)] = (struct cell){0};
	m->areas[i] = m->areas[--m->nr_areas];
}

static void do_set(struct model *m)
{
	uint64_t iova = BASE + below(m, GRANULES * GRANULE);
	const struct cell *c = &m->cells[GRANULE_OF(iova)];

	assert_int_equal(domain_set_dirty(m->d, iova), c->bytes != 0);
	for (uint64_t at = 0; at < c->bytes; at += GRANULE)
		m->cells[GRANULE_OF(c->page + at)].dirty = true;
}

static void tell(void *arg, uint64_t iova, uint64_t bytes)
{
	struct model *m = arg;
	const struct cell *c = &m->cells[GRANULE_OF(iova)];

	assert_int_equal(iova, c->page);
	assert_int_equal(bytes, c->bytes);
	assert_false(m->told[GRANULE_OF(iova)]);
	m->told[GRANULE_OF(iova)] = true;
}

static void do_read(struct model *m)
{
	uint64_t first = below(m, GRANULES), n = 1 + below(m, GRANULES - first);
	uint64_t iova = BASE + first * GRANULE, last = iova + n * GRANULE - 1;
	bool keep = below(m, 2);

	memset(m->told, 0, sizeof(m->told));
	domain_read_dirty(m->d, iova, n * GRANULE, keep, tell, m);
	for (unsigned i = 0; i < GRANULES; i++) {
		struct cell *c = &m->cells[i];
		bool touched = c->bytes && c->page <= last && c->page + c->bytes > iova;
		bool start = c->bytes && c->page == BASE + i * GRANULE;

		assert_int_equal(m->told[i], start && touched && c->dirty);
		if (touched && !keep)
			c->dirty = false;
	}
}

static void run_model(const struct pt_format *format, uint64_t page_sizes, uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->state = seed;
	assert_int_equal(phys_create(&m->phys), 0);
	assert_int_equal(domain_create(m->phys, format, page_sizes, &m->d), 0);
	for (unsigned step = 0; step < 4000; step++) {
		switch (below(m, 8)) {
		case 0:
			do_unmap(m);
			break;
		case 1:
		case 2:
			do_map(m);
			break;
		case 3:
			do_read(m);
			break;
		default:
			do_set(m);
		}
	}
	while (m->nr_areas)
		do_unmap(m);
	domain_destroy(m->d);
	phys_destroy(m->phys);
	free(m);
}

static void test_model(void **state)
{
	const char *given = getenv("TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 1;

	printf("TEST_SEED=%#llx\n", (unsigned long long)seed);
	for (unsigned i = 0; i < 4; i++) {
		run_model(&mock_pt, 0, seed + i);
		run_model(&mock_pt, MOCK_HUGE_PAGE_SIZE | 4 * K, seed + i);
		run_model(&pt_vtd_s2, 0, seed + i);
		run_model(&pt_amd_v1, 0, seed + i);
	}
}

/* ---- a mock domain's own sizes and ends
 * ------------------------------------------------- */

static void test_joined_pages(void **state)
{
	struct run run = {.spa = SPA, .length = 64 * K};
	struct run_list runs = {.v = &run, .n = 1};
	struct pt_translation t;
	struct phys *phys;
	struct domain *d;

	assert_int_equal(phys_create(&phys), 0);
	assert_int_equal(domain_create(phys, &mock_pt, 0, &d), 0);
	domain_limit(d, MOCK_APERTURE_START, MOCK_APERTURE_LAST);
	assert_int_equal(domain_min_page(d), 2 * K);
	assert_int_equal(domain_map(d, BASE - 2 * K, &runs, 0, 2 * K, PT_READ, true),
			 -EINVAL);
	assert_int_equal(domain_map(d, MOCK_APERTURE_LAST - 2 * K + 1, &runs, 0, 4 * K,
				    PT_READ, true),
			 -EINVAL);
	/* An unaligned start: 2 KiB pages only, however long. */
	assert_int_equal(domain_map(d, BASE + 2 * K, &runs, 0, 64 * K, PT_READ, true), 0);
	for (uint64_t at = 0; at < 64 * K; at += K) {
		assert_true(domain_lookup(d, BASE + 2 * K + at, &t));
		assert_int_equal(t.spa, SPA + at);
		assert_int_equal(t.page_bytes, 2 * K);
	}
	assert_false(domain_lookup(d, BASE + 66 * K, &t));
	unmap(d, BASE + 2 * K, 64 * K);
	domain_destroy(d);
	phys_destroy(phys);
}

/* ---- by DMA
 * ------------------------------------------------------------------------------ */

static void count(void *arg, uint64_t iova, uint64_t bytes)
{
	uint64_t *v = arg;

	v[0]++;
	v[1] = iova;
}

/* How many dirty pages; the last one's IOVA in *@iova. */
static unsigned take_dirty(struct domain *d, uint64_t *iova)
{
	uint64_t v[2] = {0};

	domain_read_dirty(d, 0, G, false, count, v);
	*iova = v[1];
	return (unsigned)v[0];
}

static void dma_marks(enum window_type type)
{
	struct test_window ram;
	struct dma_world w;
	uint64_t at;
	char byte = 1;

	world_init(&w);
	window_init(&ram, w.phys, type, 64 * K);
	for (uint64_t i = 0; i < 64 * K; i += 4 * K)
		assert_int_equal(map(w.d, M + i, &ram, i, 4 * K, PT_READ | PT_WRITE), 0);
	/* What was cached before, for reading or writing, marks nothing as long as nobody
	 * asks, and everything from then on. */
	assert_int_equal(dma_write(&w.ch, M, &byte, 1, NULL), 0);
	assert_int_equal(take_dirty(w.d, &at), 0);
	domain_track_dirty(w.d, true);
	assert_int_equal(take_dirty(w.d, &at), 0);
	assert_int_equal(dma_read(&w.ch, M + 4 * K, &byte, 1, NULL), 0);
	assert_int_equal(take_dirty(w.d, &at), 0);
	assert_int_equal(dma_write(&w.ch, M + 4 * K, &byte, 1, NULL), 0);
	assert_int_equal(take_dirty(w.d, &at), 1);
	assert_int_equal(at, M + 4 * K);
	/* A bit that was cleared comes back with the next write. */
	assert_int_equal(dma_write(&w.ch, M + 4 * K, &byte, 1, NULL), 0);
	assert_int_equal(take_dirty(w.d, &at), 1);
	/* Neighbours in one run are marked one by one. */
	assert_int_equal(dma_fill(&w.ch, M + 8 * K - 1, 7, 2, NULL), 0);
	assert_int_equal(take_dirty(w.d, &at), 2);
	assert_int_equal(dma_copy(&w.ch, M, M + 32 * K, 12 * K, NULL), 0);
	assert_int_equal(take_dirty(w.d, &at), 3);
	domain_track_dirty(w.d, false);
	unmap(w.d, M, 64 * K);
	window_finish(&ram, w.phys);
	world_finish(&w);
}

static void test_dma(void **state)
{
	dma_marks(WINDOW_RAM);
	dma_marks(WINDOW_REMOTE);
}

/* ---- no write is lost
 * ---------------------------------------------------------------------- */

#define PAGES    ((uint64_t)64)
#define READINGS 2000

struct migration {
	struct dma_world w;
	struct test_window ram;
	unsigned char *copy;
	_Atomic bool stop;
};

static void *write_on(void *arg)
{
	struct migration *m = arg;

	for (uint64_t i = 1; !atomic_load(&m->stop); i++)
		dma_write(&m->w.ch, M + i * 7919 % PAGES * 4 * K + i % 500 * 8, &i,
			  sizeof(i), NULL);
	return NULL;
}

/* Races with the device by design: what it gets wrong is copied again. */
__attribute__((no_sanitize("thread"))) static void copy_page(void *arg, uint64_t iova,
							     uint64_t bytes)
{
	struct migration *m = arg;
	volatile const uint64_t *src = (void *)(m->ram.mem + (iova - M));
	uint64_t *dst = (void *)(m->copy + (iova - M));

	for (size_t i = 0; i < bytes / sizeof(*src); i++)
		dst[i] = src[i];
}

static void note_page(void *arg, uint64_t iova, uint64_t bytes)
{
	bool *dirty = arg;

	dirty[(iova - M) / (4 * K)] = true;
}

static void copy_dirty(struct migration *m)
{
	bool dirty[PAGES] = {false};

	domain_read_dirty(m->w.d, M, PAGES * 4 * K, false, note_page, dirty);
	for (uint64_t i = 0; i < PAGES; i++)
		if (dirty[i])
			copy_page(m, M + i * 4 * K, 4 * K);
}

static void test_no_write_lost(void **state)
{
	static struct migration m;
	pthread_t thread;

	world_init(&m.w);
	window_init(&m.ram, m.w.phys, WINDOW_RAM, PAGES * 4 * K);
	for (uint64_t i = 0; i < PAGES * 4 * K; i += 4 * K)
		assert_int_equal(map(m.w.d, M + i, &m.ram, i, 4 * K, PT_READ | PT_WRITE),
				 0);
	m.copy = calloc(PAGES, 4 * K);
	assert_non_null(m.copy);
	domain_track_dirty(m.w.d, true);
	assert_int_equal(pthread_create(&thread, NULL, write_on, &m), 0);
	for (unsigned i = 0; i < READINGS; i++)
		copy_dirty(&m);
	atomic_store(&m.stop, true);
	pthread_join(thread, NULL);
	copy_dirty(&m);
	assert_memory_equal(m.copy, m.ram.mem, PAGES * 4 * K);
	free(m.copy);
	unmap(m.w.d, M, PAGES * 4 * K);
	window_finish(&m.ram, m.w.phys);
	world_finish(&m.w);
}

/* A reading waits for the writes whose bits it takes to land. */
struct landing {
	struct dma_world w;
	_Atomic bool under_way, landed;
};

static void slow_access(struct test_window *t)
{
	struct landing *l = t->arg;

	atomic_store(&l->under_way, true);
	usleep(20000);
	atomic_store(&l->landed, true);
}

static void *write_once(void *arg)
{
	struct landing *l = arg;
	char byte = 1;

	dma_write(&l->w.ch, M, &byte, 1, NULL);
	return NULL;
}

static void test_reading_waits(void **state)
{
	static struct landing l;
	struct test_window remote;
	pthread_t thread;
	uint64_t at;

	world_init(&l.w);
	window_init(&remote, l.w.phys, WINDOW_REMOTE, 4 * K);
	assert_int_equal(map(l.w.d, M, &remote, 0, 4 * K, PT_READ | PT_WRITE), 0);
	domain_track_dirty(l.w.d, true);
	remote.in_access = slow_access;
	remote.arg = &l;
	assert_int_equal(pthread_create(&thread, NULL, write_once, &l), 0);
	while (!atomic_load(&l.under_way))
		port_yield();
	assert_int_equal(take_dirty(l.w.d, &at), 1);
	assert_true(atomic_load(&l.landed));
	pthread_join(thread, NULL);
	unmap(l.w.d, M, 4 * K);
	window_finish(&remote, l.w.phys);
	world_finish(&l.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_joined_pages),
		cmocka_unit_test(test_dma),
		cmocka_unit_test(test_no_write_lost),
		cmocka_unit_test(test_reading_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
