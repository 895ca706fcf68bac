/* SPDX-License-Identifier: MIT */
/*
 * The worker of the device API: kicks are not lost, pauses hold, signals stay out, and a
 * burst does not outlive the run that began it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "core/port.h"
#include "uiommufd/device.h"

#define KICKS  20000
#define PAUSES 20000

/* Takes one of `todo` at each call. */
struct jobs {
	struct uiommufd_worker *worker;
	atomic_ulong todo, done, calls;
	atomic_bool inside, broken;
	unsigned long plain; /* written by run only; read when it is quiet */
};

static bool take_one(void *arg)
{
	struct jobs *j = arg;

	atomic_store(&j->inside, true);
	atomic_fetch_add(&j->calls, 1);
	j->plain++;
	if (atomic_load(&j->todo)) {
		atomic_fetch_sub(&j->todo, 1);
		atomic_fetch_add(&j->done, 1);
	}
	atomic_store(&j->inside, false);
	return atomic_load(&j->todo) != 0;
}

static void wait_for(atomic_ulong *value, unsigned long target)
{
	while (atomic_load(value) < target)
		sched_yield();
}

static void start(struct jobs *j)
{
	*j = (struct jobs){0};
	assert_int_equal(uiommufd_worker_create(NULL, take_one, j, &j->worker), 0);
}

static void test_every_kick_is_seen(void **state)
{
	struct jobs j;

	start(&j);
	for (unsigned long i = 1; i <= 3000; i++) {
		atomic_fetch_add(&j.todo, 1);
		uiommufd_worker_kick(j.worker);
		if (i % 7 == 0)
			wait_for(&j.done, i); /* lets it fall asleep now and then */
	}
	wait_for(&j.done, 3000);
	uiommufd_worker_destroy(j.worker);
}

static void test_true_means_again(void **state)
{
	struct jobs j;

	start(&j);
	atomic_store(&j.todo, 1000);
	uiommufd_worker_kick(j.worker);
	wait_for(&j.done, 1000);
	uiommufd_worker_destroy(j.worker);
	assert_true(atomic_load(&j.calls) >= 1000);
}

static void test_pause_holds(void **state)
{
	struct jobs j;

	start(&j);
	for (unsigned i = 0; i < 300; i++) {
		unsigned long calls;

		atomic_fetch_add(&j.todo, 50);
		uiommufd_worker_kick(j.worker);
		uiommufd_worker_pause(j.worker);
		uiommufd_worker_pause(j.worker);
		assert_false(atomic_load(&j.inside));
		calls = j.plain;
		uiommufd_worker_kick(j.worker);
		uiommufd_worker_resume(j.worker);
		for (unsigned k = 0; k < 20; k++)
			sched_yield();
		assert_int_equal(j.plain, calls);
		uiommufd_worker_resume(j.worker);
	}
	wait_for(&j.done, 300 * 50); /* work that was left is done after the resume */
	uiommufd_worker_destroy(j.worker);
}

static void test_kick_while_paused_is_kept(void **state)
{
	struct jobs j;

	start(&j);
	uiommufd_worker_pause(j.worker);
	atomic_store(&j.todo, 1);
	uiommufd_worker_kick(j.worker);
	uiommufd_worker_resume(j.worker);
	wait_for(&j.done, 1);
	uiommufd_worker_destroy(j.worker);
}

static void *kicker(void *arg)
{
	struct jobs *j = arg;

	for (unsigned i = 0; i < KICKS; i++) {
		atomic_fetch_add(&j->todo, 1);
		uiommufd_worker_kick(j->worker);
	}
	return NULL;
}

static void *pauser(void *arg)
{
	struct jobs *j = arg;

	for (unsigned i = 0; i < PAUSES; i++) {
		uiommufd_worker_pause(j->worker);
		if (atomic_load(&j->inside))
			atomic_store(&j->broken, true);
		j->plain++; /* a data race if run could be running */
		uiommufd_worker_resume(j->worker);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	pthread_t threads[3];
	struct jobs j;

	start(&j);
	pthread_create(&threads[0], NULL, kicker, &j);
	pthread_create(&threads[1], NULL, kicker, &j);
	pthread_create(&threads[2], NULL, pauser, &j);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	wait_for(&j.done, 2 * KICKS);
	uiommufd_worker_destroy(j.worker);
	assert_false(atomic_load(&j.broken));
	assert_int_equal(j.plain, atomic_load(&j.calls) + PAUSES);
}

static void test_destroy_at_any_time(void **state)
{
	struct jobs j;

	uiommufd_worker_destroy(NULL);
	for (unsigned i = 0; i < 200; i++) {
		start(&j);
		atomic_store(&j.todo, i % 3);
		if (i % 2)
			uiommufd_worker_kick(j.worker);
		if (i % 5 == 0)
			uiommufd_worker_pause(j.worker);
		uiommufd_worker_destroy(j.worker);
	}
}

struct mask {
	sigset_t set;
	atomic_ulong seen;
};

static bool look_at_mask(void *arg)
{
	struct mask *m = arg;

	pthread_sigmask(SIG_BLOCK, NULL, &m->set);
	atomic_store(&m->seen, 1);
	return false;
}

static void test_signals_are_blocked(void **state)
{
	struct uiommufd_worker *w;
	struct mask m = {0};
	sigset_t mine;

	assert_int_equal(uiommufd_worker_create(NULL, look_at_mask, &m, &w), 0);
	uiommufd_worker_kick(w);
	wait_for(&m.seen, 1);
	uiommufd_worker_destroy(w);
	assert_int_equal(sigismember(&m.set, SIGTERM), 1);
	assert_int_equal(sigismember(&m.set, SIGALRM), 1);
	assert_int_equal(sigismember(&m.set, SIGBUS), 0);
	assert_int_equal(sigismember(&m.set, SIGSEGV), 0);
	pthread_sigmask(SIG_BLOCK, NULL, &mine);
	assert_int_equal(sigismember(&mine, SIGTERM), 0);
}

struct burster {
	struct uiommufd_worker *worker;
	atomic_ulong runs, may_go, over;
	bool linger, ends;
};

/* DMA in a burst, which need not be ended. */
static bool burst(void *arg)
{
	struct burster *b = arg;

	uiommufd_burst_begin();
	port_dma_enter();
	port_dma_leave();
	if (b->ends)
		uiommufd_burst_end();
	atomic_fetch_add(&b->runs, 1);
	if (b->linger)
		wait_for(&b->may_go, 1);
	return false;
}

static void *synchronize(void *arg)
{
	port_rcu_synchronize();
	atomic_store((atomic_ulong *)arg, 1);
	return NULL;
}

static void test_idle_after_a_burst(void **state)
{
	struct burster b = {0};

	assert_int_equal(uiommufd_worker_create(NULL, burst, &b, &b.worker), 0);
	for (unsigned long i = 1; i <= 200; i++) {
		uiommufd_worker_kick(b.worker);
		wait_for(&b.runs, i);
		if (i % 2)
			uiommufd_worker_pause(b.worker);
		/* Else spinning, asleep, or just about to be. */
		port_rcu_synchronize();
		if (i % 2)
			uiommufd_worker_resume(b.worker);
	}
	uiommufd_worker_destroy(b.worker);
}

/* Whoever has ended its burst can take its time. */
static void test_end_of_burst(void **state)
{
	struct burster b = {.linger = true, .ends = true};

	assert_int_equal(uiommufd_worker_create(NULL, burst, &b, &b.worker), 0);
	uiommufd_worker_kick(b.worker);
	wait_for(&b.runs, 1);
	port_rcu_synchronize();
	atomic_store(&b.may_go, 1);
	uiommufd_worker_destroy(b.worker);
}

/* Waiting for another worker is not for the middle of a burst. */
static bool pause_other(void *arg)
{
	struct burster *b = arg;

	uiommufd_burst_begin();
	port_dma_enter();
	port_dma_leave();
	atomic_fetch_add(&b->over, 1);
	uiommufd_worker_pause(b->worker);
	uiommufd_worker_resume(b->worker);
	atomic_fetch_add(&b->over, 1);
	return false;
}

static void test_pause_in_a_burst(void **state)
{
	struct burster b = {.linger = true, .ends = true};
	struct uiommufd_worker *second;

	assert_int_equal(uiommufd_worker_create(NULL, burst, &b, &b.worker), 0);
	assert_int_equal(uiommufd_worker_create(NULL, pause_other, &b, &second), 0);
	uiommufd_worker_kick(b.worker);
	wait_for(&b.runs, 1);
	uiommufd_worker_kick(second);
	wait_for(&b.over, 1);
	port_rcu_synchronize();
	atomic_store(&b.may_go, 1);
	wait_for(&b.over, 2);
	uiommufd_worker_destroy(second);
	uiommufd_worker_destroy(b.worker);
}

/* Elsewhere the two mean nothing, so nothing can be forgotten. */
static void test_burst_outside_of_run(void **state)
{
	atomic_ulong done = 0;
	pthread_t thread;

	uiommufd_burst_begin();
	port_dma_enter();
	port_dma_leave();
	assert_int_equal(pthread_create(&thread, NULL, synchronize, &done), 0);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&done), 1);
	uiommufd_burst_end();
}

static void test_parse_size(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t bytes;
	} cases[] = {
		{"0", 0, 0},
		{"4096", 0, 4096},
		{"64K", 0, 65536},
		{"64k", 0, 65536},
		{"16M", 0, UINT64_C(16) << 20},
		{"1G", 0, UINT64_C(1) << 30},
		{"2t", 0, UINT64_C(2) << 40},
		{"18446744073709551615", 0, UINT64_MAX},
		{"16777215T", 0, UINT64_C(16777215) << 40},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"16777216T", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"1X", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1.5M", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = 0;

		assert_int_equal(uiommufd_parse_size(cases[i].text, &bytes),
				 cases[i].err);
		assert_true(bytes == cases[i].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kick_is_seen),
		cmocka_unit_test(test_true_means_again),
		cmocka_unit_test(test_pause_holds),
		cmocka_unit_test(test_kick_while_paused_is_kept),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_destroy_at_any_time),
		cmocka_unit_test(test_signals_are_blocked),
		cmocka_unit_test(test_idle_after_a_burst),
		cmocka_unit_test(test_end_of_burst),
		cmocka_unit_test(test_pause_in_a_burst),
		cmocka_unit_test(test_burst_outside_of_run),
		cmocka_unit_test(test_parse_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
