/* SPDX-License-Identifier: MIT */
/*
 * The test port. RCU: each thread that opens a section takes one of MAX_THREADS slots
 * for good; its counter is odd inside a section and grows at every quiesce. A grace
 * period waits for each odd counter to change.
 */
#include "tests/core/test_port.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/port.h"

#define MAX_THREADS 64u

static _Atomic long allowed = -1;
static _Atomic long live;
static _Atomic unsigned bugs;

static _Atomic unsigned slots_used;
static _Atomic uint64_t section[MAX_THREADS];
static _Thread_local unsigned my_slot; /* plus one; 0: none yet */
static _Thread_local unsigned nesting;

void test_port_fail_after(long n)
{
	atomic_store(&allowed, n);
}

long test_port_live(void)
{
	return atomic_load(&live);
}

unsigned test_port_bugs(void)
{
	return atomic_load(&bugs);
}

/* May one more allocation succeed? */
static bool allow(void)
{
	long n = atomic_load(&allowed);

	do {
		if (n < 0)
			return true;
		if (n == 0)
			return false;
	} while (!atomic_compare_exchange_weak(&allowed, &n, n - 1));
	return true;
}

static void *count(void *p)
{
	if (p)
		atomic_fetch_add(&live, 1);
	return p;
}

void *port_alloc(size_t size)
{
	return allow() ? count(calloc(1, size)) : NULL;
}

void port_free(void *p)
{
	if (p)
		atomic_fetch_sub(&live, 1);
	free(p);
}

static void *alloc_pages(size_t n)
{
	void *p = allow() ? aligned_alloc(PORT_PAGE_SIZE, n * PORT_PAGE_SIZE) : NULL;

	if (p)
		memset(p, 0, n * PORT_PAGE_SIZE);
	return count(p);
}

void *port_alloc_page(void)
{
	return alloc_pages(1);
}

void *port_alloc_page_pair(void)
{
	return alloc_pages(2);
}

void port_free_page(void *p)
{
	port_free(p);
}

void port_free_page_pair(void *p)
{
	port_free(p);
}

void *port_alloc_node(size_t size)
{
	void *p = allow() ? aligned_alloc(size, size) : NULL;

	if (p)
		memset(p, 0, size);
	return count(p);
}

void port_free_node(void *p, size_t size)
{
	port_free(p);
}

/* ---- locks ------------------------------------------------------------------ */

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct port_mutex), "it fits");
_Static_assert(sizeof(pthread_rwlock_t) <= sizeof(struct port_rwlock), "it fits");

static pthread_mutex_t *mutex(struct port_mutex *m)
{
	return (pthread_mutex_t *)(void *)m->opaque;
}

static pthread_rwlock_t *rwlock(struct port_rwlock *l)
{
	return (pthread_rwlock_t *)(void *)l->opaque;
}

void port_mutex_init(struct port_mutex *m)
{
	pthread_mutex_init(mutex(m), NULL);
}

void port_mutex_finish(struct port_mutex *m)
{
	pthread_mutex_destroy(mutex(m));
}

void port_mutex_lock(struct port_mutex *m)
{
	pthread_mutex_lock(mutex(m));
}

void port_mutex_unlock(struct port_mutex *m)
{
	pthread_mutex_unlock(mutex(m));
}

void port_rwlock_init(struct port_rwlock *l)
{
	pthread_rwlock_init(rwlock(l), NULL);
}

void port_rwlock_finish(struct port_rwlock *l)
{
	pthread_rwlock_destroy(rwlock(l));
}

void port_rwlock_read_lock(struct port_rwlock *l)
{
	pthread_rwlock_rdlock(rwlock(l));
}

void port_rwlock_read_unlock(struct port_rwlock *l)
{
	pthread_rwlock_unlock(rwlock(l));
}

void port_rwlock_write_lock(struct port_rwlock *l)
{
	pthread_rwlock_wrlock(rwlock(l));
}

void port_rwlock_write_unlock(struct port_rwlock *l)
{
	pthread_rwlock_unlock(rwlock(l));
}

/* ---- RCU -------------------------------------------------------------------- */

static _Atomic uint64_t *my_section(void)
{
	if (my_slot == 0) {
		my_slot = atomic_fetch_add(&slots_used, 1) + 1;
		if (my_slot > MAX_THREADS) {
			fprintf(stderr, "test port: too many threads\n");
			exit(1);
		}
	}
	return &section[my_slot - 1];
}

void port_dma_enter(void)
{
	if (nesting++ == 0)
		atomic_fetch_add(my_section(), 1);
}

void port_dma_leave(void)
{
	if (--nesting == 0)
		atomic_fetch_add(my_section(), 1);
}

void port_dma_quiesce(void)
{
	atomic_fetch_add(my_section(), 2);
}

/* Sections cost little enough here. */
void port_dma_burst_begin(void)
{
}

void port_dma_burst_end(void)
{
}

void port_dma_rest(void)
{
}

void port_rcu_synchronize(void)
{
	unsigned n = atomic_load(&slots_used);

	for (unsigned i = 0; i < n; i++) {
		uint64_t seen = atomic_load(&section[i]);

		if (seen % 2 == 0 || i + 1 == my_slot)
			continue;
		while (atomic_load(&section[i]) == seen)
			sched_yield();
	}
}

/* ---- the rest --------------------------------------------------------------- */

int port_copy_guarded(void *dst, const void *src, size_t n)
{
	memmove(dst, src, n);
	return 0;
}

int port_fill_guarded(void *dst, int byte, size_t n)
{
	memset(dst, byte, n);
	return 0;
}

int port_load64_guarded(const void *src, uint64_t *value)
{
	*value = __atomic_load_n((const uint64_t *)src, __ATOMIC_ACQUIRE);
	return 0;
}

int port_swap64_guarded(void *dst, uint64_t *expected, uint64_t desired)
{
	__atomic_compare_exchange_n((uint64_t *)dst, expected, desired, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return 0;
}

void port_yield(void)
{
	sched_yield();
}

void port_bug(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, what);
	atomic_fetch_add(&bugs, 1);
}

uint64_t test_seed(uint64_t fallback)
{
	const char *s = getenv("TEST_SEED");

	return s ? strtoull(s, NULL, 0) : fallback;
}

uint64_t test_random(struct test_random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t test_random_below(struct test_random *r, uint64_t n)
{
	return test_random(r) % n;
}
