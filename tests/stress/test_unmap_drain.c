/* SPDX-License-Identifier: MIT */
/*
 * Devices copy flat out into memory that is taken away from them again and again: by
 * unmapping it, by detaching them, by moving them to another domain, by turning bus
 * mastering off. Whenever that has returned, the memory is filled with a canary, or
 * made inaccessible, and nothing may touch it until it is given back.
 *
 * The devices: each has a requester and engines with a channel of their own. They copy,
 * fill and read, small and large, in bursts and without, and tolerate the faults that the
 * taking away explains; any other fault, DMA_FAULT_ABORT above all, fails the test.
 *
 * STRESS_ROUNDS says how often each way of taking away is tried.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/port.h"
#include "port/sanitizers.h"
#include "tests/core/dma_world.h"

#define DEVICES      2u
#define ENGINES      1u
#define RW           (PT_READ | PT_WRITE)
#define VICTIM_BYTES (1 * M)
/* Tables of its own on every level, so that they come and go with the mapping. */
#define VICTIM       (600 * G)
#define SOURCE       (4 * G)
#define SOURCE_BYTES (4 * M)
#define CANARY       0xc5

struct stress;

struct engine {
	struct stress *s;
	pthread_t thread;
	struct dma_channel ch;
	uint64_t random;
	_Atomic unsigned long copies;
	_Atomic unsigned long faults[DMA_FAULT_ABORT + 1];
	unsigned char buffer[8192];
};

struct stress {
	struct phys *phys;
	struct domain *d, *other;
	struct test_window victim, decoy, source;
	struct dma_requester devices[DEVICES];
	struct engine engines[DEVICES][ENGINES];
	_Atomic bool stop;
	bool remote;
	unsigned round;
};

static unsigned rounds = PORT_TSAN ? 20 : 80;

/* ---- the devices --------------------------------------------------------------------
 */

static uint64_t rnd(struct engine *e)
{
	e->random ^= e->random << 13;
	e->random ^= e->random >> 7;
	e->random ^= e->random << 17;
	return e->random;
}

static void one_access(struct engine *e, struct dma_fault *f)
{
	uint64_t r = rnd(e);
	uint64_t n = r % 64 ? 1 + (r >> 8) % 4096 : 1 + (r >> 8) % (VICTIM_BYTES / 2);
	uint64_t at = VICTIM + (r >> 32) % (VICTIM_BYTES - n);

	switch ((r >> 6) % 4) {
	case 0:
		dma_fill(&e->ch, at, r, n, f);
		break;
	case 1:
		dma_write(&e->ch, at, e->buffer, min_u64(n, sizeof(e->buffer)), f);
		break;
	case 2:
		dma_read(&e->ch, at, e->buffer, min_u64(n, sizeof(e->buffer)), f);
		break;
	default:
		dma_copy(&e->ch, at, SOURCE + at % SOURCE_BYTES / 2, n, f);
	}
}

static void *run_engine(void *arg)
{
	struct engine *e = arg;

	while (!atomic_load_explicit(&e->s->stop, memory_order_relaxed)) {
		struct dma_fault f = {.reason = DMA_FAULT_NONE};
		uint64_t r = rnd(e) >> 20;

		if (r % 128 == 0)
			port_dma_burst_begin();
		else if (r % 128 == 1)
			port_dma_burst_end();
		one_access(e, &f);
		atomic_fetch_add_explicit(&e->faults[f.reason], 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&e->copies, 1, memory_order_relaxed);
	}
	port_dma_burst_end();
	return NULL;
}

/* ---- taking away and giving back ----------------------------------------------------
 */

static void map_victim(struct stress *s)
{
	/* One area or four, so that one gather takes in several. */
	uint64_t part = s->round % 2 ? VICTIM_BYTES : VICTIM_BYTES / 4;

	for (uint64_t at = 0; at < VICTIM_BYTES; at += part)
		assert_int_equal(map(s->d, VICTIM + at, &s->victim, at, part, RW), 0);
}

static void by_unmap(struct stress *s)
{
	struct domain_gather g = {0};

	for (uint64_t at = 0; at < VICTIM_BYTES; at += VICTIM_BYTES / 4) {
		if (s->round % 2 == 0)
			domain_unmap(s->d, VICTIM + at, VICTIM_BYTES / 4, &g);
		else if (at == 0)
			domain_unmap(s->d, VICTIM, VICTIM_BYTES, &g);
	}
	domain_gather_finish(&g);
}

static void by_detach(struct stress *s)
{
	for (unsigned i = 0; i < DEVICES; i++)
		dma_requester_attach(&s->devices[i], NULL);
}

static void attach_again(struct stress *s)
{
	for (unsigned i = 0; i < DEVICES; i++)
		dma_requester_attach(&s->devices[i], s->d);
}

static void by_move(struct stress *s)
{
	for (unsigned i = 0; i < DEVICES; i++)
		dma_requester_attach(&s->devices[i], s->other);
}

static void by_master_off(struct stress *s)
{
	for (unsigned i = 0; i < DEVICES; i++)
		dma_requester_set_master(&s->devices[i], false);
}

static void master_on(struct stress *s)
{
	for (unsigned i = 0; i < DEVICES; i++)
		dma_requester_set_master(&s->devices[i], true);
}

static const struct way {
	const char *name;
	void (*take)(struct stress *s);
	void (*give)(struct stress *s);
	enum dma_fault_reason explained;
} ways[] = {
	{"unmap", by_unmap, map_victim, DMA_FAULT_UNMAPPED},
	{"detach", by_detach, attach_again, DMA_FAULT_BLOCKED},
	{"move", by_move, attach_again, DMA_FAULT_NONE},
	{"master off", by_master_off, master_on, DMA_FAULT_NO_MASTER},
};

/* ---- the test -----------------------------------------------------------------------
 */

static unsigned long total(struct stress *s, int reason)
{
	unsigned long n = 0;

	for (unsigned i = 0; i < DEVICES * ENGINES; i++) {
		struct engine *e = &s->engines[i / ENGINES][i % ENGINES];

		n += reason < 0 ? atomic_load(&e->copies)
				: atomic_load(&e->faults[reason]);
	}
	return n;
}

/* Sleeping, not yielding: who yields among busy threads comes last. */
static void let_them_copy(struct stress *s, unsigned long n)
{
	unsigned long before = total(s, -1);

	while (total(s, -1) - before < n)
		usleep(50);
}

/* Every access that is in flight now has ended and been counted. */
static void let_each_finish(struct stress *s)
{
	for (unsigned i = 0; i < DEVICES * ENGINES; i++) {
		struct engine *e = &s->engines[i / ENGINES][i % ENGINES];
		unsigned long before = atomic_load(&e->copies);

		while (atomic_load(&e->copies) - before < 2)
			usleep(50);
	}
}

/* Nobody may touch it now. */
static void check_quiet(struct stress *s)
{
	static unsigned char canary[VICTIM_BYTES];

	if (s->round % 4 == 3) {
		/* Not even read it: that would be a DMA_FAULT_ABORT. */
		assert_int_equal(mprotect(s->victim.mem, VICTIM_BYTES, PROT_NONE), 0);
		let_them_copy(s, 20);
		assert_int_equal(
			mprotect(s->victim.mem, VICTIM_BYTES, PROT_READ | PROT_WRITE), 0);
		return;
	}
	memset(canary, CANARY, sizeof(canary));
	memset(s->victim.mem, CANARY, VICTIM_BYTES);
	let_them_copy(s, 20);
	assert_memory_equal(s->victim.mem, canary, VICTIM_BYTES);
}

static void stress_init(struct stress *s, bool remote)
{
	memset(s, 0, sizeof(*s));
	s->remote = remote;
	assert_int_equal(phys_create(&s->phys), 0);
	assert_int_equal(domain_create(s->phys, &pt_vtd_s2, 0, &s->d), 0);
	assert_int_equal(domain_create(s->phys, &pt_vtd_s2, 0, &s->other), 0);
	window_init(&s->victim, s->phys, remote ? WINDOW_REMOTE : WINDOW_RAM,
		    VICTIM_BYTES);
	window_init(&s->decoy, s->phys, WINDOW_RAM, VICTIM_BYTES);
	window_init(&s->source, s->phys, WINDOW_RAM, SOURCE_BYTES);
	assert_int_equal(map(s->d, SOURCE, &s->source, 0, SOURCE_BYTES, PT_READ), 0);
	assert_int_equal(map(s->other, SOURCE, &s->source, 0, SOURCE_BYTES, PT_READ), 0);
	assert_int_equal(map(s->other, VICTIM, &s->decoy, 0, VICTIM_BYTES, RW), 0);
	map_victim(s);
	for (unsigned i = 0; i < DEVICES; i++) {
		dma_requester_init(&s->devices[i]);
		dma_requester_set_master(&s->devices[i], true);
		dma_requester_attach(&s->devices[i], s->d);
		for (unsigned j = 0; j < ENGINES; j++) {
			struct engine *e = &s->engines[i][j];

			e->s = s;
			e->random = 88172645463325252 + i * ENGINES + j;
			dma_channel_init(&e->ch, &s->devices[i]);
			assert_int_equal(pthread_create(&e->thread, NULL, run_engine, e),
					 0);
		}
	}
}

static void stress_finish(struct stress *s)
{
	atomic_store(&s->stop, true);
	for (unsigned i = 0; i < DEVICES; i++)
		for (unsigned j = 0; j < ENGINES; j++)
			assert_int_equal(pthread_join(s->engines[i][j].thread, NULL), 0);
	for (unsigned i = 0; i < DEVICES; i++)
		dma_requester_finish(&s->devices[i]);
	unmap(s->d, 0, UINT64_MAX);
	unmap(s->other, 0, UINT64_MAX);
	window_finish(&s->victim, s->phys);
	window_finish(&s->decoy, s->phys);
	window_finish(&s->source, s->phys);
	domain_destroy(s->d);
	domain_destroy(s->other);
	phys_destroy(s->phys);
}

static void run(struct stress *s, const struct way *way)
{
	unsigned long before[DMA_FAULT_ABORT + 1];
	unsigned long copies = total(s, -1);

	let_each_finish(s);
	for (int f = 0; f <= DMA_FAULT_ABORT; f++)
		before[f] = total(s, f);
	for (unsigned i = 0; i < rounds; i++) {
		let_them_copy(s, 20);
		way->take(s);
		check_quiet(s);
		s->round++;
		way->give(s);
	}
	let_each_finish(s);
	for (int f = 1; f <= DMA_FAULT_ABORT; f++) {
		unsigned long n = total(s, f) - before[f];

		if (f == (int)way->explained)
			assert_true(n > 0);
		else
			assert_int_equal(n, 0);
	}
	assert_true(total(s, DMA_FAULT_NONE) > before[DMA_FAULT_NONE]);
	print_message("%s%s: %u times, %lu copies\n", s->remote ? "remote, " : "",
		      way->name, rounds, total(s, -1) - copies);
}

static void stress(bool remote)
{
	struct stress *s = malloc(sizeof(*s));

	assert_non_null(s);
	assert_int_equal(port_guard_install(), 0);
	stress_init(s, remote);
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		run(s, &ways[i]);
	stress_finish(s);
	assert_int_equal(port_bug_count(), 0);
	free(s);
}

static void test_direct(void **state)
{
	stress(false);
}

static void test_remote(void **state)
{
	stress(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_remote),
	};

	if (getenv("STRESS_ROUNDS"))
		rounds = strtoul(getenv("STRESS_ROUNDS"), NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
