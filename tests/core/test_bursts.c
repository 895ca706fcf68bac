/* SPDX-License-Identifier: MIT */
/*
 * Devices in a burst: whoever takes memory away does not wait for them while they are
 * slow outside of their sections, and for a chunk only where they are inside for long.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "port/port.h"
#include "tests/core/dma_world.h"

#define RW (PT_READ | PT_WRITE)

/* ---- outside of sections ------------------------------------------------------------
 */

/* A device in a burst that is held up somewhere outside of its sections. */
struct slow {
	struct dma_world w;
	struct test_window ram, remote;
	bool fault;
	_Atomic int in, go;
};

static void hold_up(struct slow *s)
{
	atomic_store(&s->in, 1);
	while (!atomic_load(&s->go))
		port_yield();
}

static void slow_access(struct test_window *t)
{
	hold_up(t->arg);
}

static void slow_to_hear(struct dma_requester *r, const struct dma_fault *f)
{
	hold_up(container_of(r, struct slow, w.r));
}

static void *run_slow(void *arg)
{
	struct slow *s = arg;
	unsigned char byte;

	port_dma_burst_begin();
	assert_int_equal(dma_read(&s->w.ch, 0, &byte, 1, NULL), 0);
	assert_int_equal(dma_read(&s->w.ch, s->fault ? G : 2 * M, &byte, 1, NULL),
			 s->fault ? -EFAULT : 0);
	assert_int_equal(dma_read(&s->w.ch, 0, &byte, 1, NULL), 0);
	port_dma_burst_end();
	return NULL;
}

/* Nobody who takes something else away waits for it. */
static void test_slow_in_a_burst(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct slow s = {.fault = i == 1};
		pthread_t thread;

		world_init(&s.w);
		s.w.r.on_fault = slow_to_hear;
		window_init(&s.ram, s.w.phys, WINDOW_RAM, 2 * M);
		window_init(&s.remote, s.w.phys, WINDOW_REMOTE, 2 * M);
		s.remote.in_access = slow_access;
		s.remote.arg = &s;
		assert_int_equal(map(s.w.d, 0, &s.ram, 0, 2 * M, RW), 0);
		assert_int_equal(map(s.w.d, 2 * M, &s.remote, 0, 2 * M, RW), 0);
		assert_int_equal(pthread_create(&thread, NULL, run_slow, &s), 0);
		while (!atomic_load(&s.in))
			port_yield();
		port_rcu_synchronize();
		atomic_store(&s.go, 1);
		assert_int_equal(pthread_join(thread, NULL), 0);
		unmap(s.w.d, 0, 4 * M);
		window_finish(&s.ram, s.w.phys);
		window_finish(&s.remote, s.w.phys);
		world_finish(&s.w);
	}
}

/* ---- in a long transfer -------------------------------------------------------------
 */

#define ENDLESS (512 * G) /* many seconds */

struct endless {
	struct dma_world w;
	struct test_window t;
	bool copy;
	_Atomic int begun;
	int rc;
	struct dma_fault fault;
};

static void *run_endless(void *arg)
{
	struct endless *e = arg;

	port_dma_burst_begin();
	assert_int_equal(dma_fill(&e->w.ch, 0, 1, 1, NULL), 0);
	atomic_store(&e->begun, 1);
	if (e->copy)
		e->rc = dma_copy(&e->w.ch, 0, 2 * ENDLESS, ENDLESS, &e->fault);
	else
		e->rc = dma_fill(&e->w.ch, 0, 1, ENDLESS, &e->fault);
	port_dma_burst_end();
	return NULL;
}

/* The same 2 MiB again and again. */
static void map_endless(struct endless *e, uint64_t iova, uint64_t offset)
{
	static struct run v[512];
	struct run_list runs = {.v = v, .n = ARRAY_LEN(v), .cap = ARRAY_LEN(v)};

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		v[i] = (struct run){e->t.w.base + offset, 2 * M, false};
	for (uint64_t at = 0; at < ENDLESS; at += G)
		assert_int_equal(domain_map(e->w.d, iova + at, &runs, 0, G, RW, true), 0);
}

/* Who waits for a device waits for a chunk, not for all that it has to do. */
static void test_long_in_a_burst(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct endless e = {.copy = i == 1};
		pthread_t thread;

		world_init(&e.w);
		window_init(&e.t, e.w.phys, WINDOW_RAM, 4 * M);
		map_endless(&e, 0, 0);
		map_endless(&e, 2 * ENDLESS, 2 * M);
		assert_int_equal(pthread_create(&thread, NULL, run_endless, &e), 0);
		while (!atomic_load(&e.begun))
			port_yield();
		for (unsigned k = 0; k < 10; k++)
			port_rcu_synchronize();
		/* Still at work: this ends it. */
		unmap(e.w.d, 0, UINT64_MAX);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(e.rc, -EFAULT);
		assert_int_equal(e.fault.reason, DMA_FAULT_UNMAPPED);
		window_finish(&e.t, e.w.phys);
		world_finish(&e.w);
	}
}

static int no_bugs(void **state)
{
	return port_bug_count() == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_in_a_burst),
		cmocka_unit_test(test_long_in_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, no_bugs);
}
