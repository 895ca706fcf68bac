/* SPDX-License-Identifier: MIT */
/*
 * Domains: mapping parts of run lists, refusals and lack of memory, what gathers wait
 * for and what they do not, and changes of domain.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/fault_inject.h"
#include "port/port.h"
#include "tests/core/dma_world.h"

#define RW   (PT_READ | PT_WRITE)
#define PAGE PORT_PAGE_SIZE

static uint64_t page_at(struct domain *d, uint64_t iova)
{
	struct pt_translation tr;

	return domain_lookup(d, iova, &tr) ? tr.page_bytes : 0;
}

static void check_at(struct domain *d, uint64_t iova, uint64_t spa, unsigned prot)
{
	struct pt_translation tr;

	assert_true(domain_lookup(d, iova, &tr));
	assert_int_equal(tr.spa, spa);
	assert_int_equal(tr.prot, prot);
}

/* ---- creation -----------------------------------------------------------------------
 */

static void test_create(void **state)
{
	uint64_t all = pt_vtd_s2.page_sizes;
	struct phys *phys;
	struct domain *d;

	assert_int_equal(phys_create(&phys), 0);
	assert_int_equal(domain_create(phys, &pt_vtd_s2, 1, &d), -EINVAL);
	assert_int_equal(domain_create(phys, &pt_vtd_s2, all | 8 * K, &d), -EINVAL);
	for (unsigned long n = 1;; n++) {
		int rc;

		port_fail_nth(n);
		rc = domain_create(phys, &pt_vtd_s2, 0, &d);
		if (!port_fail_nth_stop())
			break;
		assert_int_equal(rc, -ENOMEM);
	}
	assert_int_equal(domain_min_page(d), PAGE);
	assert_int_equal(d->page_sizes, all);
	assert_int_equal(d->aperture_last, ((uint64_t)1 << 48) - 1);
	domain_destroy(d);
	assert_int_equal(domain_create(phys, &pt_vtd_s2, 2 * M | G, &d), 0);
	assert_int_equal(domain_min_page(d), 2 * M);
	domain_destroy(d);
	domain_destroy(NULL);
	phys_destroy(phys);
}

/* ---- mapping ------------------------------------------------------------------------
 */

static void test_parts_of_runs(void **state)
{
	struct run v[] = {
		{64 * G, 3 * PAGE, false},
		{80 * G, 4 * M, true},
		{96 * G, PAGE, false},
	};
	struct run_list runs = {.v = v, .n = 3, .cap = 3};
	struct dma_world w;

	world_init(&w);
	/* From inside the first run to the end of the last. */
	assert_int_equal(domain_map(w.d, 2 * M - PAGE, &runs, 2 * PAGE, 2 * PAGE + 4 * M,
				    PT_READ, true),
			 0);
	check_at(w.d, 2 * M - PAGE, 64 * G + 2 * PAGE, PT_READ);
	check_at(w.d, 2 * M, 80 * G, PT_READ | PT_MMIO);
	check_at(w.d, 6 * M - 1, 80 * G + 4 * M - 1, PT_READ | PT_MMIO);
	check_at(w.d, 6 * M, 96 * G, PT_READ);
	/* An entry, a large page, a hole in a table, no table, beyond the aperture. */
	for (unsigned i = 0; i < 5; i++)
		domain_prefetch(w.d, (uint64_t[]){2 * M - PAGE, 2 * M, 0, 512 * G,
						  UINT64_MAX}[i]);
	check_at(w.d, 6 * M, 96 * G, PT_READ);
	assert_int_equal(page_at(w.d, 2 * M), 2 * M);
	assert_int_equal(page_at(w.d, 2 * M - PAGE - 1), 0);
	assert_int_equal(page_at(w.d, 6 * M + PAGE), 0);
	unmap(w.d, 0, G);
	/* A part of one run, not the first, with small pages only. */
	assert_int_equal(
		domain_map(w.d, 8 * M, &runs, 3 * PAGE + 2 * M, 2 * M, RW, false), 0);
	check_at(w.d, 8 * M, 80 * G + 2 * M, RW | PT_MMIO);
	assert_int_equal(page_at(w.d, 8 * M), PAGE);
	assert_int_equal(page_at(w.d, 10 * M), 0);
	unmap(w.d, 8 * M, 2 * M);
	assert_int_equal(page_at(w.d, 8 * M), 0);
	world_finish(&w);
}

static void test_map_refusals(void **state)
{
	struct run v[] = {{64 * G, 2 * PAGE, false}, {80 * G + 512, PAGE, false}};
	struct run_list runs = {.v = v, .n = 2, .cap = 2};
	uint64_t end = (uint64_t)1 << 48;
	struct dma_world w;

	world_init(&w);
	assert_int_equal(domain_map(w.d, 0, &runs, 0, 0, RW, true), -EINVAL);
	assert_int_equal(domain_map(w.d, 512, &runs, 0, PAGE, RW, true), -EINVAL);
	assert_int_equal(domain_map(w.d, 0, &runs, 512, PAGE, RW, true), -EINVAL);
	assert_int_equal(domain_map(w.d, 0, &runs, 0, PAGE + 512, RW, true), -EINVAL);
	assert_int_equal(domain_map(w.d, 0, &runs, 0, PAGE, 0, true), -EINVAL);
	assert_int_equal(domain_map(w.d, 0, &runs, 0, PAGE, PT_MMIO, true), -EINVAL);
	assert_int_equal(domain_map(w.d, end, &runs, 0, PAGE, RW, true), -EINVAL);
	assert_int_equal(domain_map(w.d, end - PAGE, &runs, 0, 2 * PAGE, RW, true),
			 -EINVAL);
	assert_int_equal(domain_map(w.d, 0 - PAGE, &runs, 0, 2 * PAGE, RW, true),
			 -EINVAL);
	/* The second run is bad; the list is too short. */
	assert_int_equal(domain_map(w.d, 0, &runs, 0, 3 * PAGE, RW, true), -EINVAL);
	runs.n = 1;
	assert_int_equal(domain_map(w.d, 0, &runs, 0, 3 * PAGE, RW, true), -EINVAL);
	assert_int_equal(domain_map(w.d, 0, &runs, 2 * PAGE, PAGE, RW, true), -EINVAL);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(page_at(w.d, i * PAGE), 0);
	/* In the way. */
	assert_int_equal(domain_map(w.d, PAGE, &runs, 0, PAGE, PT_READ, true), 0);
	assert_int_equal(domain_map(w.d, 0, &runs, 0, 2 * PAGE, RW, true), -EEXIST);
	assert_int_equal(page_at(w.d, 0), 0);
	check_at(w.d, PAGE, 64 * G, PT_READ);
	/* The last page. */
	assert_int_equal(domain_map(w.d, end - PAGE, &runs, 0, PAGE, RW, true), 0);
	check_at(w.d, end - 1, 64 * G + PAGE - 1, RW);
	unmap(w.d, 0, UINT64_MAX);
	assert_int_equal(page_at(w.d, end - PAGE), 0);
	world_finish(&w);
}

static void test_map_no_memory(void **state)
{
	struct run v[] = {
		{64 * G, PAGE, false}, {80 * G, 6 * M, true}, {96 * G, 3 * M, false}};
	struct run_list runs = {.v = v, .n = 3, .cap = 3};
	uint64_t length = PAGE + 9 * M;
	uint64_t iova = 4 * G - 3 * M;
	struct dma_world w;
	unsigned long n;
	int rc;

	world_init(&w);
	for (n = 1;; n++) {
		uint64_t epoch = atomic_load(&w.r.epoch);

		port_fail_nth(n);
		rc = domain_map(w.d, iova, &runs, 0, length, RW, true);
		if (!port_fail_nth_stop())
			break;
		assert_int_equal(rc, -ENOMEM);
		for (uint64_t at = 0; at < length; at += PAGE)
			assert_int_equal(page_at(w.d, iova + at), 0);
		/* Devices may have seen some of it. */
		assert_true(atomic_load(&w.r.epoch) > epoch);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 5);
	unmap(w.d, iova, length);
	world_finish(&w);
}

/* ---- gathers ------------------------------------------------------------------------
 */

static void test_empty_gather(void **state)
{
	struct domain_gather g = {0};
	struct dma_world w;
	uint64_t epoch;

	world_init(&w);
	epoch = atomic_load(&w.r.epoch);
	domain_gather_finish(&g);
	domain_unmap(w.d, 0, UINT64_MAX, &g);
	assert_false(g.any);
	assert_int_equal(atomic_load(&w.r.epoch), epoch);
	domain_gather_finish(&g);
	world_finish(&w);
}

/* A device that is in a section, with a translation at hand. */
struct held {
	struct dma_world w;
	struct test_window t;
	bool burst;
	_Atomic int in, finishing, over;
};

static void *hold_translation(void *arg)
{
	struct held *h = arg;
	struct pt_translation tr;
	struct dma_target target;
	unsigned char *byte;

	if (h->burst) {
		port_dma_burst_begin();
		assert_int_equal(dma_write(&h->w.ch, PAGE, "x", 1, NULL), 0);
	}
	port_dma_enter();
	assert_int_equal(dma_translate(&h->w.ch, PAGE, true, &target, NULL), 0);
	atomic_store(&h->in, 1);
	while (!atomic_load(&h->finishing))
		port_yield();
	usleep(3000); /* a moment in which it could return too early */
	/* What was found is still good, and the tables may still be walked. */
	byte = (unsigned char *)target.window->host + target.offset;
	*byte = 1;
	pt_walk(&h->w.d->pt, PAGE, &tr);
	atomic_store(&h->over, 1);
	port_dma_leave();
	port_dma_burst_end();
	return NULL;
}

/* The grace period: nothing is let go while a device may be using it. */
static void test_gather_waits_for_section(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct held h = {.burst = i == 1};
		struct domain_gather g = {0};
		pthread_t thread;

		world_init(&h.w);
		window_init(&h.t, h.w.phys, WINDOW_RAM, 2 * M);
		assert_int_equal(map(h.w.d, PAGE, &h.t, PAGE, PAGE, RW), 0);
		assert_int_equal(pthread_create(&thread, NULL, hold_translation, &h), 0);
		while (!atomic_load(&h.in))
			port_yield();
		domain_unmap(h.w.d, PAGE, PAGE, &g);
		assert_int_equal(atomic_load(&h.over), 0);
		atomic_store(&h.finishing, 1);
		domain_gather_finish(&g);
		assert_int_equal(atomic_load(&h.over), 1);
		assert_int_equal(pthread_join(thread, NULL), 0);
		window_finish(&h.t, h.w.phys);
		world_finish(&h.w);
	}
}

/* A read of a remote window, held up until @go. */
struct remote_reader {
	struct dma_world w;
	struct test_window t;
	pthread_t thread;
	unsigned delay_us;
	_Atomic int in, go, done;
};

static void hold_up(struct test_window *t)
{
	struct remote_reader *rr = t->arg;

	atomic_store(&rr->in, 1);
	while (!atomic_load(&rr->go))
		port_yield();
	usleep(2000 + rr->delay_us);
	atomic_store(&rr->done, 1);
}

static void *read_remote(void *arg)
{
	struct remote_reader *rr = arg;
	unsigned char byte;

	assert_int_equal(dma_read(&rr->w.ch, 0, &byte, 1, NULL), 0);
	return NULL;
}

static void reader_start(struct remote_reader *rr)
{
	memset(rr, 0, sizeof(*rr));
	world_init(&rr->w);
	window_init(&rr->t, rr->w.phys, WINDOW_REMOTE, 2 * M);
	rr->t.in_access = hold_up;
	rr->t.arg = rr;
	assert_int_equal(map(rr->w.d, 0, &rr->t, 0, 2 * M, RW), 0);
	assert_int_equal(pthread_create(&rr->thread, NULL, read_remote, rr), 0);
	while (!atomic_load(&rr->in))
		port_yield();
}

static void reader_finish(struct remote_reader *rr)
{
	assert_int_equal(pthread_join(rr->thread, NULL), 0);
	window_finish(&rr->t, rr->w.phys);
	world_finish(&rr->w);
}

#define READERS (2 * DOMAIN_GATHER_REMOTE + 1)

/* One gather over more domains than it has room for waits for all their remote copies. */
static void test_gather_waits_for_remote(void **state)
{
	for (unsigned n = 1; n <= READERS; n += DOMAIN_GATHER_REMOTE) {
		struct domain_gather g = {0};
		struct remote_reader *readers = calloc(n, sizeof(*readers));

		assert_non_null(readers);
		for (unsigned i = 0; i < n; i++)
			reader_start(&readers[i]);
		/* Each is held up longer than those before it. */
		for (unsigned i = 0; i < n; i++) {
			readers[i].delay_us = 3000 * i;
			atomic_store(&readers[i].go, 1);
		}
		for (unsigned i = 0; i < n; i++) {
			domain_unmap(readers[i].w.d, 0, 2 * M, &g);
			domain_unmap(readers[i].w.d, 0, 2 * M, &g);
		}
		domain_gather_finish(&g);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(atomic_load(&readers[i].done), 1);
		for (unsigned i = 0; i < n; i++)
			reader_finish(&readers[i]);
		free(readers);
	}
}

/* Two gathers at once over one domain both wait. */
static void *unmap_second(void *arg)
{
	struct remote_reader *rr = arg;

	unmap(rr->w.d, M, M);
	return (void *)(intptr_t)atomic_load(&rr->done);
}

static void test_concurrent_gathers(void **state)
{
	struct domain_gather g = {0};
	struct remote_reader rr;
	pthread_t thread;
	void *seen;

	/* Two areas of one window; the reader reads the first. */
	memset(&rr, 0, sizeof(rr));
	world_init(&rr.w);
	window_init(&rr.t, rr.w.phys, WINDOW_REMOTE, 2 * M);
	rr.t.in_access = hold_up;
	rr.t.arg = &rr;
	assert_int_equal(map(rr.w.d, 0, &rr.t, 0, M, RW), 0);
	assert_int_equal(map(rr.w.d, M, &rr.t, M, M, RW), 0);
	assert_int_equal(pthread_create(&rr.thread, NULL, read_remote, &rr), 0);
	while (!atomic_load(&rr.in))
		port_yield();
	assert_int_equal(pthread_create(&thread, NULL, unmap_second, &rr), 0);
	domain_unmap(rr.w.d, 0, M, &g);
	atomic_store(&rr.go, 1);
	domain_gather_finish(&g);
	assert_int_equal(atomic_load(&rr.done), 1);
	assert_int_equal(pthread_join(thread, &seen), 0);
	assert_int_equal((intptr_t)seen, 1);
	reader_finish(&rr);
}

/* A domain without remote copies does not wait for those of another. */
static void test_others_do_not_pay(void **state)
{
	struct remote_reader rr;
	struct test_window t;
	struct dma_world w;

	reader_start(&rr);
	world_init(&w);
	window_init(&t, w.phys, WINDOW_RAM, 2 * M);
	assert_int_equal(map(w.d, 0, &t, 0, 2 * M, RW), 0);
	unmap(w.d, 0, 2 * M);
	/* The other's reader is still held up: had we waited, it would be for ever. */
	assert_int_equal(atomic_load(&rr.done), 0);
	atomic_store(&rr.go, 1);
	reader_finish(&rr);
	window_finish(&t, w.phys);
	world_finish(&w);
}

/* ---- who is attached ----------------------------------------------------------------
 */

/* Detaching and turning bus mastering off wait for remote copies, too. */
static void test_detach_waits_for_remote(void **state)
{
	for (unsigned how = 0; how < 3; how++) {
		struct domain *other = NULL;
		struct remote_reader rr;

		reader_start(&rr);
		atomic_store(&rr.go, 1);
		switch (how) {
		case 0:
			dma_requester_attach(&rr.w.r, NULL);
			break;
		case 1:
			assert_int_equal(domain_create(rr.w.phys, &pt_vtd_s2, 0, &other),
					 0);
			dma_requester_attach(&rr.w.r, other);
			break;
		default:
			dma_requester_set_master(&rr.w.r, false);
		}
		assert_int_equal(atomic_load(&rr.done), 1);
		dma_requester_attach(&rr.w.r, NULL);
		domain_destroy(other);
		reader_finish(&rr);
	}
}

static void check_reads(struct dma_world *w, enum dma_fault_reason want, unsigned value)
{
	struct dma_fault f = {0};
	unsigned char byte = 0;
	int rc = dma_read(&w->ch, 0, &byte, 1, &f);

	assert_int_equal(rc, want ? -EFAULT : 0);
	assert_int_equal(f.reason, want);
	assert_int_equal(byte, value);
}

static void test_attach(void **state)
{
	struct test_window a, b;
	struct domain *other;
	struct dma_world w;

	world_init(&w);
	assert_int_equal(domain_create(w.phys, &pt_vtd_s2, 0, &other), 0);
	window_init(&a, w.phys, WINDOW_RAM, 2 * M);
	window_init(&b, w.phys, WINDOW_RAM, 2 * M);
	a.mem[0] = 1;
	b.mem[0] = 2;
	assert_int_equal(map(w.d, 0, &a, 0, 2 * M, RW), 0);
	assert_int_equal(map(other, 0, &b, 0, 2 * M, RW), 0);
	check_reads(&w, DMA_FAULT_NONE, 1);
	dma_requester_attach(&w.r, w.d);
	check_reads(&w, DMA_FAULT_NONE, 1);
	dma_requester_attach(&w.r, other);
	check_reads(&w, DMA_FAULT_NONE, 2);
	assert_true(list_empty(&w.d->requesters));
	assert_false(list_empty(&other->requesters));
	/* An unmap in the domain that we left is none of our business; in ours it is. */
	unmap(w.d, 0, 2 * M);
	check_reads(&w, DMA_FAULT_NONE, 2);
	unmap(other, 0, 2 * M);
	check_reads(&w, DMA_FAULT_UNMAPPED, 0);
	assert_int_equal(map(other, 0, &b, 0, 2 * M, RW), 0);
	check_reads(&w, DMA_FAULT_NONE, 2);
	dma_requester_set_master(&w.r, false);
	check_reads(&w, DMA_FAULT_NO_MASTER, 0);
	dma_requester_attach(&w.r, NULL);
	check_reads(&w, DMA_FAULT_NO_MASTER, 0);
	dma_requester_set_master(&w.r, true);
	check_reads(&w, DMA_FAULT_BLOCKED, 0);
	domain_destroy(other);
	dma_requester_attach(&w.r, w.d);
	check_reads(&w, DMA_FAULT_UNMAPPED, 0);
	window_finish(&a, w.phys);
	window_finish(&b, w.phys);
	world_finish(&w);
}

static int no_bugs(void **state)
{
	return port_bug_count() == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_parts_of_runs),
		cmocka_unit_test(test_map_refusals),
		cmocka_unit_test(test_map_no_memory),
		cmocka_unit_test(test_empty_gather),
		cmocka_unit_test(test_gather_waits_for_section),
		cmocka_unit_test(test_gather_waits_for_remote),
		cmocka_unit_test(test_concurrent_gathers),
		cmocka_unit_test(test_others_do_not_pay),
		cmocka_unit_test(test_detach_waits_for_remote),
		cmocka_unit_test(test_attach),
	};

	return cmocka_run_group_tests(tests, NULL, no_bugs);
}
