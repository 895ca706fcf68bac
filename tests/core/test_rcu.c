/* SPDX-License-Identifier: MIT */
/*
 * The hosted port: DMA sections and grace periods, and locks. What must not happen is
 * given a moment in which to happen; what must happen is waited for without limit.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/port.h"

static void a_moment(void)
{
	usleep(3000);
}

static void wait_for(_Atomic int *flag)
{
	while (!atomic_load(flag))
		port_yield();
}

static pthread_t start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
	return thread;
}

static void join(pthread_t thread)
{
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- sections -----------------------------------------------------------------------
 */

struct section {
	bool burst;
	unsigned nested;      /* inner sections */
	bool inner_leaves;    /* the inner ones end before the moment */
	bool inner_quiesces;  /* a quiesce in an inner one */
	_Atomic int in, over; /* the section is open; is about to end */
};

static void *hold_section(void *arg)
{
	struct section *s = arg;

	if (s->burst) {
		port_dma_burst_begin();
		port_dma_enter();
		port_dma_leave();
	}
	port_dma_enter();
	for (unsigned i = 0; i < s->nested; i++)
		port_dma_enter();
	if (s->inner_leaves)
		for (unsigned i = 0; i < s->nested; i++)
			port_dma_leave();
	atomic_store(&s->in, 1);
	if (s->inner_quiesces) {
		a_moment(); /* somebody waits by now */
		port_dma_quiesce();
	}
	a_moment();
	atomic_store(&s->over, 1);
	if (!s->inner_leaves)
		for (unsigned i = 0; i < s->nested; i++)
			port_dma_leave();
	port_dma_leave();
	port_dma_burst_end();
	return NULL;
}

static void test_waits_for_section(void **state)
{
	struct section kinds[] = {
		{.nested = 0},
		{.nested = 1},
		{.nested = 3},
		{.nested = 2, .inner_leaves = true},
		{.nested = 2, .inner_quiesces = true},
		{.burst = true},
		{.burst = true, .nested = 2, .inner_leaves = true},
		{.burst = true, .nested = 2, .inner_quiesces = true},
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct section *s = &kinds[i];
		pthread_t thread = start(hold_section, s);

		wait_for(&s->in);
		port_rcu_synchronize();
		assert_int_equal(atomic_load(&s->over), 1);
		join(thread);
	}
}

struct loop {
	_Atomic int running, stop;
	_Atomic unsigned long rounds;
};

static void *quiesce_loop(void *arg)
{
	struct loop *l = arg;

	port_dma_enter();
	atomic_store(&l->running, 1);
	while (!atomic_load(&l->stop)) {
		port_dma_quiesce();
		atomic_fetch_add(&l->rounds, 1);
	}
	port_dma_leave();
	return NULL;
}

/* A section that quiesces never holds up anybody for long. */
static void test_quiesce_is_enough(void **state)
{
	struct loop l = {0};
	pthread_t thread = start(quiesce_loop, &l);

	wait_for(&l.running);
	for (int i = 0; i < 100; i++)
		port_rcu_synchronize();
	atomic_store(&l.stop, 1);
	join(thread);
}

static void *section_loop(void *arg)
{
	struct loop *l = arg;

	port_dma_burst_begin();
	port_dma_burst_begin();
	while (!atomic_load(&l->stop)) {
		port_dma_enter();
		port_dma_leave();
		atomic_store(&l->running, 1);
	}
	port_dma_burst_end();
	return NULL;
}

/* Nor does a burst whose sections follow one another. */
static void test_burst_goes_on(void **state)
{
	struct loop l = {0};
	pthread_t thread = start(section_loop, &l);

	wait_for(&l.running);
	for (int i = 0; i < 100; i++)
		port_rcu_synchronize();
	atomic_store(&l.stop, 1);
	join(thread);
}

enum rest { RESTS, ENDS, NEVER_BEGAN, LEAVES_FOR_GOOD };

struct resting {
	struct loop loop;
	enum rest how;
};

static void *rest_after_section(void *arg)
{
	struct resting *r = arg;

	if (r->how == NEVER_BEGAN)
		port_dma_burst_end();
	else
		port_dma_burst_begin();
	port_dma_enter();
	port_dma_rest(); /* means nothing in a section */
	port_dma_leave();
	if (r->how == RESTS)
		port_dma_rest();
	else if (r->how == ENDS)
		port_dma_burst_end();
	else if (r->how == LEAVES_FOR_GOOD)
		return NULL;
	atomic_store(&r->loop.running, 1);
	wait_for(&r->loop.stop);
	/* After a rest sections protect as before. */
	port_dma_enter();
	atomic_store(&r->loop.running, 2);
	a_moment();
	atomic_store(&r->loop.running, 3);
	port_dma_leave();
	port_dma_burst_end();
	return NULL;
}

/* A thread at rest is not waited for, though its burst goes on; nor one that has gone. */
static void test_rest(void **state)
{
	static const enum rest all[] = {RESTS, ENDS, NEVER_BEGAN, LEAVES_FOR_GOOD};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct resting r = {.how = all[i]};
		pthread_t thread = start(rest_after_section, &r);

		if (r.how == LEAVES_FOR_GOOD) {
			join(thread);
			port_rcu_synchronize();
			continue;
		}
		wait_for(&r.loop.running);
		port_rcu_synchronize();
		atomic_store(&r.loop.stop, 1);
		while (atomic_load(&r.loop.running) < 2)
			port_yield();
		port_rcu_synchronize();
		assert_int_equal(atomic_load(&r.loop.running), 3);
		join(thread);
	}
}

static void *synchronize_once(void *arg)
{
	port_rcu_synchronize();
	return NULL;
}

/* A thread that waits for a grace period in a burst does not hold up another's. */
static void test_synchronize_in_burst(void **state)
{
	port_dma_burst_begin();
	port_dma_enter();
	port_dma_leave();
	port_rcu_synchronize();
	port_dma_rest();
	join(start(synchronize_once, NULL));
	port_dma_burst_end();
}

/* In the caller's own section it does not wait for itself, and still for others. */
static void test_synchronize_in_section(void **state)
{
	struct section s = {0};
	pthread_t thread;

	port_dma_enter();
	port_rcu_synchronize();
	port_dma_enter();
	port_rcu_synchronize();
	port_dma_leave();
	port_dma_leave();

	thread = start(hold_section, &s);
	wait_for(&s.in);
	port_dma_enter();
	port_rcu_synchronize();
	assert_int_equal(atomic_load(&s.over), 1);
	port_dma_leave();
	join(thread);
	/* Online again or not: nobody waits for us now. */
	port_rcu_synchronize();
}

static void *idle_after_section(void *arg)
{
	struct loop *l = arg;

	port_dma_enter();
	port_dma_leave();
	atomic_store(&l->running, 1);
	wait_for(&l->stop);
	return NULL;
}

static void test_idle_threads_do_not_matter(void **state)
{
	struct loop l = {0};
	pthread_t thread = start(idle_after_section, &l);

	wait_for(&l.running);
	port_rcu_synchronize();
	atomic_store(&l.stop, 1);
	join(thread);
}

/* Threads that have exited are not waited for, nor looked at. */
static void test_threads_exit(void **state)
{
	for (int i = 0; i < 50; i++) {
		struct loop l = {.stop = 1};

		join(start(idle_after_section, &l));
		port_rcu_synchronize();
	}
}

static pthread_key_t late_key;

static void late_destructor(void *unused)
{
	port_dma_enter();
	port_dma_leave();
}

static void *exit_late(void *unused)
{
	pthread_setspecific(late_key, &late_key);
	port_dma_enter();
	port_dma_leave();
	return NULL;
}

/* A section in a thread's own destructor, after ours has run. */
static void test_section_in_destructor(void **state)
{
	port_dma_enter(); /* our key is there before */
	port_dma_leave();
	assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
	for (int i = 0; i < 10; i++) {
		join(start(exit_late, NULL));
		port_rcu_synchronize();
	}
	pthread_key_delete(late_key);
}

/* What is published before synchronize is seen by sections that start after it, and
 * what a section has read is not freed before it ends: all sections, all the time. */
struct shared {
	_Atomic(int *) value;
	_Atomic int stop, readers;
	_Atomic int bad;
};

static void *read_values(void *arg)
{
	struct shared *s = arg;

	/* Some in a burst, which never rests. */
	if (atomic_fetch_add(&s->readers, 1) > 0)
		port_dma_burst_begin();
	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		int *v;

		port_dma_enter();
		for (int i = 0; i < 50; i++) {
			v = atomic_load_explicit(&s->value, memory_order_acquire);
			if (*v != 1)
				atomic_store(&s->bad, 1);
		}
		port_dma_leave();
	}
	port_dma_burst_end();
	return NULL;
}

static void test_use_after_free(void **state)
{
	struct shared s = {.stop = 0};
	pthread_t threads[3];
	int *v = port_alloc(sizeof(*v));

	*v = 1;
	atomic_store(&s.value, v);
	for (int i = 0; i < 3; i++)
		threads[i] = start(read_values, &s);
	for (int i = 0; i < 300; i++) {
		int *old = atomic_load(&s.value);

		v = port_alloc(sizeof(*v));
		*v = 1;
		atomic_store_explicit(&s.value, v, memory_order_release);
		port_rcu_synchronize();
		*old = 0;
		port_free(old);
	}
	atomic_store(&s.stop, 1);
	for (int i = 0; i < 3; i++)
		join(threads[i]);
	assert_int_equal(atomic_load(&s.bad), 0);
	port_free(atomic_load(&s.value));
}

/* ---- locks --------------------------------------------------------------------------
 */

struct locked {
	struct port_mutex mutex;
	struct port_rwlock rwlock;
	_Atomic int stop, readers;
	long count;
};

static void *count_up(void *arg)
{
	struct locked *l = arg;

	for (int i = 0; i < 10000; i++) {
		port_mutex_lock(&l->mutex);
		l->count++;
		port_mutex_unlock(&l->mutex);
		port_rwlock_write_lock(&l->rwlock);
		l->count += 2;
		port_rwlock_write_unlock(&l->rwlock);
		port_mutex_lock(&l->mutex);
		port_mutex_unlock(&l->mutex);
	}
	return NULL;
}

static void *read_overlapping(void *arg)
{
	struct locked *l = arg;

	while (!atomic_load(&l->stop)) {
		port_rwlock_read_lock(&l->rwlock);
		atomic_fetch_add(&l->readers, 1);
		usleep(200);
		port_rwlock_read_unlock(&l->rwlock);
	}
	return NULL;
}

static void test_locks(void **state)
{
	struct locked l = {0};
	pthread_t threads[4];

	port_mutex_init(&l.mutex);
	port_rwlock_init(&l.rwlock);
	join(start(count_up, &l));
	assert_int_equal(l.count, 30000);

	/* The lock is never free of readers by itself; a writer gets it all the same. */
	for (int i = 0; i < 4; i++)
		threads[i] = start(read_overlapping, &l);
	while (atomic_load(&l.readers) < 4)
		port_yield();
	for (int i = 0; i < 5; i++) {
		port_rwlock_write_lock(&l.rwlock);
		port_rwlock_write_unlock(&l.rwlock);
	}
	atomic_store(&l.stop, 1);
	for (int i = 0; i < 4; i++)
		join(threads[i]);
	port_rwlock_finish(&l.rwlock);
	port_mutex_finish(&l.mutex);
}

static int no_bugs(void **state)
{
	return port_bug_count() == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_for_section),
		cmocka_unit_test(test_quiesce_is_enough),
		cmocka_unit_test(test_burst_goes_on),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_synchronize_in_burst),
		cmocka_unit_test(test_synchronize_in_section),
		cmocka_unit_test(test_idle_threads_do_not_matter),
		cmocka_unit_test(test_threads_exit),
		cmocka_unit_test(test_section_in_destructor),
		cmocka_unit_test(test_use_after_free),
		cmocka_unit_test(test_locks),
	};

	return cmocka_run_group_tests(tests, NULL, no_bugs);
}
