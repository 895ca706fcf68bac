/* SPDX-License-Identifier: MIT */
/*
 * Nested DMA is over when somebody has been told so. Devices write without a pause
 * through a guest's table while it is changed under them: the guest points a page
 * elsewhere and invalidates, the parent unmaps the memory behind it, or the devices are
 * taken off. When that returns, what they wrote to is filled with a sentinel, and has to
 * keep it.
 *
 * Once with the guest's tables in memory that is reached directly, once in that of
 * another process, where each walk leaves its section in the middle.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/first_stage.h"
#include "port/port.h"
#include "tests/core/dma_world.h"

#define PAGE    ((uint64_t)4096)
#define PAGES   8u
#define DEVICES 2u
#define IOVA    ((uint64_t)0x40000000)
#define TABLES  G /* GPA of the tables; the data is at 0 */
#define RWU     ((uint64_t)7)

struct device {
	struct dma_requester r;
	struct dma_channel *ch;
	pthread_t thread;
	struct world *w;
	unsigned number;
	_Atomic uint64_t tried, done; /* accesses; those that went through */
};

struct world {
	struct phys *phys;
	struct domain *d;
	struct first_stage fs;
	struct test_window data, tables;
	struct device devices[DEVICES];
	_Atomic bool stop;
	uint64_t random;
	unsigned now[PAGES]; /* which of the two pages of data each IOVA page is */
};

static uint64_t roll(struct world *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * 0x2545f4914f6cdd1d >> 11;
}

static void *write_always(void *arg)
{
	struct device *dev = arg;
	unsigned char bytes[256];
	uint64_t k = dev->number;

	memset(bytes, 0x10 + (int)dev->number, sizeof(bytes));
	while (!atomic_load(&dev->w->stop)) {
		uint64_t page = k++ % PAGES, to = (k * 64) % (PAGE - sizeof(bytes));
		int err;

		if (k % 3)
			err = dma_write(dev->ch, IOVA + page * PAGE + to, bytes,
					sizeof(bytes), NULL);
		else
			err = dma_copy(dev->ch, IOVA + page * PAGE + to,
				       IOVA + (k % PAGES) * PAGE, 64, NULL);
		atomic_fetch_add(&dev->tried, 1);
		if (!err)
			atomic_fetch_add(&dev->done, 1);
	}
	return NULL;
}

/* ---- what happens to them
 * --------------------------------------------------------------
 */

static uint64_t gpa_of(unsigned page, unsigned which)
{
	return (page * 2 + which) * PAGE;
}

static _Atomic uint64_t *leaf(struct world *w, unsigned page)
{
	return (_Atomic uint64_t *)(void *)(w->tables.mem + 3 * PAGE) + page;
}

static void point(struct world *w, unsigned page, unsigned which)
{
	w->now[page] = which;
	atomic_store(leaf(w, page), gpa_of(page, which) | RWU);
}

static void stays(struct world *w, uint64_t gpa)
{
	unsigned char *at = w->data.mem + gpa;

	memset(at, 0xee, PAGE);
	for (unsigned i = 0; i < 3; i++)
		sched_yield();
	for (unsigned i = 0; i < PAGE; i++)
		if (at[i] != 0xee)
			fail_msg("GPA %#llx: byte %u was written afterwards",
				 (unsigned long long)gpa, i);
}

static void guest_moves(struct world *w, unsigned page)
{
	unsigned old = w->now[page];

	point(w, page, !old);
	first_stage_invalidate(&w->fs);
	stays(w, gpa_of(page, old));
}

static void parent_unmaps(struct world *w, unsigned page)
{
	uint64_t gpa = gpa_of(page, w->now[page]);

	unmap(w->d, gpa, PAGE);
	stays(w, gpa);
	assert_int_equal(map(w->d, gpa, &w->data, gpa, PAGE, PT_READ | PT_WRITE), 0);
}

/* The tables themselves. */
static void tables_go(struct world *w)
{
	unmap(w->d, TABLES, 4 * PAGE);
	for (unsigned i = 0; i < PAGES; i++)
		stays(w, gpa_of(i, w->now[i]));
	assert_int_equal(map(w->d, TABLES, &w->tables, 0, 4 * PAGE, PT_READ | PT_WRITE),
			 0);
}

static void all_leave(struct world *w)
{
	for (unsigned i = 0; i < DEVICES; i++)
		dma_requester_attach(&w->devices[i].r, NULL);
	for (unsigned i = 0; i < PAGES; i++)
		stays(w, gpa_of(i, w->now[i]));
	for (unsigned i = 0; i < DEVICES; i++)
		dma_requester_attach_path(&w->devices[i].r, &w->fs.path);
}

/* ---- the world
 * ------------------------------------------------------------------------- */

static void begin(struct world *w, enum window_type tables)
{
	uint64_t *table;

	assert_int_equal(phys_create(&w->phys), 0);
	assert_int_equal(domain_create(w->phys, &pt_vtd_s2, 0, &w->d), 0);
	window_init(&w->data, w->phys, WINDOW_RAM, 2 * PAGES * PAGE);
	window_init(&w->tables, w->phys, tables, 4 * PAGE);
	/* A page each: they come and go one by one. */
	for (unsigned i = 0; i < 2 * PAGES; i++)
		assert_int_equal(
			map(w->d, i * PAGE, &w->data, i * PAGE, PAGE, PT_READ | PT_WRITE),
			0);
	assert_int_equal(map(w->d, TABLES, &w->tables, 0, 4 * PAGE, PT_READ | PT_WRITE),
			 0);
	table = (void *)w->tables.mem;
	table[IOVA >> 39 & 511] = (TABLES + PAGE) | RWU;
	table[512 + (IOVA >> 30 & 511)] = (TABLES + 2 * PAGE) | RWU;
	table[1024 + (IOVA >> 21 & 511)] = (TABLES + 3 * PAGE) | RWU;
	for (unsigned i = 0; i < PAGES; i++)
		point(w, i, 0);
	first_stage_init(&w->fs, w->d, TABLES, false);
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device *dev = &w->devices[i];

		dev->w = w;
		dev->number = i;
		dev->ch = malloc(sizeof(*dev->ch));
		assert_non_null(dev->ch);
		dma_requester_init(&dev->r);
		dma_requester_set_master(&dev->r, true);
		dma_requester_attach_path(&dev->r, &w->fs.path);
		dma_channel_init(dev->ch, &dev->r);
		assert_int_equal(pthread_create(&dev->thread, NULL, write_always, dev),
				 0);
	}
}

static void end(struct world *w)
{
	atomic_store(&w->stop, true);
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device *dev = &w->devices[i];

		pthread_join(dev->thread, NULL);
		assert_true(dev->done > 0);
		dma_requester_finish(&dev->r);
		free(dev->ch);
	}
	unmap(w->d, 0, 2 * PAGES * PAGE);
	unmap(w->d, TABLES, 4 * PAGE);
	window_finish(&w->data, w->phys);
	window_finish(&w->tables, w->phys);
	domain_destroy(w->d);
	phys_destroy(w->phys);
}

/* Each device has got on since the last time, however busy this machine is. */
static void let_run(struct world *w)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device *dev = &w->devices[i];
		uint64_t before = atomic_load(&dev->tried);

		while (atomic_load(&dev->tried) < before + 1)
			sched_yield();
	}
}

static void drain(enum window_type tables)
{
	const char *given = getenv("STRESS_ROUNDS"), *seed = getenv("TEST_SEED");
	unsigned long rounds = given ? strtoul(given, NULL, 0) : 60;
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->random = seed ? strtoull(seed, NULL, 0) : 0x57a6e1;
	printf("TEST_SEED=%#llx\n", (unsigned long long)w->random);
	begin(w, tables);
	for (unsigned long i = 0; i < rounds; i++) {
		unsigned page = roll(w) % PAGES;

		let_run(w);
		switch (roll(w) % 8) {
		case 0:
			all_leave(w);
			break;
		case 1:
			tables_go(w);
			break;
		case 2:
		case 3:
		case 4:
			parent_unmaps(w, page);
			break;
		default:
			guest_moves(w, page);
			break;
		}
	}
	end(w);
	free(w);
}

static void test_tables_at_hand(void **state)
{
	drain(WINDOW_RAM);
}

static void test_tables_elsewhere(void **state)
{
	drain(WINDOW_REMOTE);
}

static int no_bugs(void **state)
{
	return port_bug_count() != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_at_hand),
		cmocka_unit_test(test_tables_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, no_bugs);
}
