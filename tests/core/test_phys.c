/* SPDX-License-Identifier: MIT */
/*
 * phys: bases, limits, reuse, allocation failure, and lookups that race with removal.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/phys.h"
#include "tests/core/test_port.h"

#define GIB ((uint64_t)1 << 30)

static char memory[1];

static struct phys_window direct(uint64_t length)
{
	return (struct phys_window){.length = length, .kind = PHYS_RAM, .host = memory};
}

static int no_read(struct phys_window *w, uint64_t offset, void *dst, size_t n)
{
	return -EFAULT;
}

static int no_write(struct phys_window *w, uint64_t offset, const void *src, size_t n)
{
	return -EFAULT;
}

static struct phys *create(void)
{
	struct phys *phys;

	assert_int_equal(phys_create(&phys), 0);
	return phys;
}

static void test_bounds(void **state)
{
	struct phys *phys = create();
	struct phys_window a = direct(4096), b = direct(3 * GIB + 4096);

	assert_int_equal(phys_add(phys, &a), 0);
	assert_int_equal(phys_add(phys, &b), 0);
	assert_int_equal(a.base % GIB, 0);
	assert_int_equal(b.base % GIB, 0);
	assert_int_not_equal(a.base, 0);
	assert_null(phys_find(phys, 0));
	assert_null(phys_find(phys, a.base - 1));
	assert_ptr_equal(phys_find(phys, a.base), &a);
	assert_ptr_equal(phys_find(phys, a.base + 4095), &a);
	assert_null(phys_find(phys, a.base + 4096));
	for (uint64_t off = 0; off < b.length; off += GIB / 2)
		assert_ptr_equal(phys_find(phys, b.base + off), &b);
	assert_ptr_equal(phys_find(phys, b.base + b.length - 1), &b);
	assert_null(phys_find(phys, b.base + b.length));
	assert_null(phys_find(phys, (uint64_t)1 << 52));
	assert_null(phys_find(phys, a.base | (uint64_t)1 << 52));
	assert_null(phys_find(phys, UINT64_MAX));

	phys_remove(phys, &a);
	assert_null(phys_find(phys, a.base));
	assert_ptr_equal(phys_find(phys, b.base), &b);
	phys_remove(phys, &b);
	assert_null(phys_find(phys, b.base + 2 * GIB));
	phys_destroy(phys);
	assert_int_equal(test_port_live(), 0);
}

static void test_bad_windows(void **state)
{
	static const struct phys_window_ops half = {.read = no_read};
	static const struct phys_window_ops both = {no_read, no_write};
	struct phys *phys = create();
	struct phys_window w = direct(0);

	assert_int_equal(phys_add(phys, &w), -EINVAL);
	w.length = 4095;
	assert_int_equal(phys_add(phys, &w), -EINVAL);
	w.length = UINT64_MAX;
	assert_int_equal(phys_add(phys, &w), -EINVAL);
	w.length = 0 - (uint64_t)4096;
	assert_int_equal(phys_add(phys, &w), -EINVAL);
	w.length = ((uint64_t)1 << 52) + 4096;
	assert_int_equal(phys_add(phys, &w), -EINVAL);
	/* Valid, but granule 0 is not for giving out. */
	w.length = (uint64_t)1 << 52;
	assert_int_equal(phys_add(phys, &w), -ENOMEM);

	w.length = 4096;
	w.host = NULL;
	assert_int_equal(phys_add(phys, &w), -EINVAL);
	w.ops = &half;
	assert_int_equal(phys_add(phys, &w), -EINVAL);
	w.ops = &both;
	assert_int_equal(phys_add(phys, &w), 0);
	phys_remove(phys, &w);
	phys_destroy(phys);
	assert_int_equal(test_port_live(), 0);
}

static void test_reuse(void **state)
{
	struct phys *phys = create();
	struct phys_window w[8], big;
	uint64_t base;

	for (unsigned i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = direct(2 * GIB);
		assert_int_equal(phys_add(phys, &w[i]), 0);
	}
	base = w[3].base;
	phys_remove(phys, &w[3]);
	/* Too large for the hole, then just right. */
	big = direct(2 * GIB + 4096);
	assert_int_equal(phys_add(phys, &big), 0);
	assert_true(big.base > w[7].base);
	w[3] = direct(GIB + 4096);
	assert_int_equal(phys_add(phys, &w[3]), 0);
	assert_int_equal(w[3].base, base);
	/* A client that comes and goes does not use the space up. */
	for (unsigned i = 0; i < 3000; i++) {
		struct phys_window t = direct((uint64_t)2 << 40);

		assert_int_equal(phys_add(phys, &t), 0);
		phys_remove(phys, &t);
	}
	phys_remove(phys, &big);
	for (unsigned i = 0; i < ARRAY_LEN(w); i++)
		phys_remove(phys, &w[i]);
	phys_destroy(phys);
	assert_int_equal(test_port_live(), 0);
}

static void test_full(void **state)
{
	struct phys *phys = create();
	struct phys_window all = direct(((uint64_t)1 << 52) - GIB), one = direct(4096);

	assert_int_equal(phys_add(phys, &all), 0);
	assert_int_equal(phys_add(phys, &one), -ENOMEM);
	assert_ptr_equal(phys_find(phys, ((uint64_t)1 << 52) - 1), &all);
	phys_remove(phys, &all);
	assert_int_equal(phys_add(phys, &one), 0);
	phys_remove(phys, &one);
	phys_destroy(phys);
	assert_int_equal(test_port_live(), 0);
}

static void test_no_memory(void **state)
{
	struct phys_window w = direct((uint64_t)6 << 40);
	struct phys *phys;
	long n;

	for (n = 0;; n++) {
		int rc;

		test_port_fail_after(n);
		rc = phys_create(&phys);
		if (rc == 0)
			rc = phys_add(phys, &w);
		else
			phys = NULL;
		test_port_fail_after(-1);
		if (rc == 0)
			break;
		assert_int_equal(rc, -ENOMEM);
		if (phys)
			assert_null(phys_find(phys, GIB));
		phys_destroy(phys);
		assert_int_equal(test_port_live(), 0);
	}
	/* The space, four tables of 2 TiB, the record of what is used. */
	assert_int_equal(n, 1 + 4 + 1);
	test_port_fail_after(0);
	phys_remove(phys, &w);
	test_port_fail_after(-1);
	phys_destroy(phys);
	assert_int_equal(test_port_live(), 0);
}

static void test_wrong_remove(void **state)
{
	struct phys *phys = create();
	struct phys_window w = direct(4096), stranger = direct(4096);
	unsigned bugs = test_port_bugs();

	assert_int_equal(phys_add(phys, &w), 0);
	stranger.base = w.base;
	phys_remove(phys, &stranger);
	assert_int_equal(test_port_bugs(), bugs + 1);
	assert_ptr_equal(phys_find(phys, w.base), &w);
	phys_remove(phys, &w);
	phys_remove(phys, &w);
	assert_int_equal(test_port_bugs(), bugs + 2);
	phys_destroy(phys);
}

/* ---- readers race with removal ------------------------------------------------ */

struct race {
	struct phys *phys;
	_Atomic bool stop;
	_Atomic uint64_t found, dead;
};

/* A window that says whether it is still alive. */
struct live_window {
	struct phys_window w;
	_Atomic bool alive;
};

static void *reader(void *arg)
{
	struct race *race = arg;
	uint64_t g = 0;

	while (!atomic_load(&race->stop)) {
		struct phys_window *w;

		port_dma_enter();
		w = phys_find(race->phys, (1 + g++ % 4) << 30);
		if (w) {
			struct live_window *l = container_of(w, struct live_window, w);

			for (unsigned i = 0; i < 8; i++)
				if (!atomic_load(&l->alive))
					atomic_fetch_add(&race->dead, 1);
			atomic_fetch_add(&race->found, 1);
		}
		port_dma_leave();
	}
	return NULL;
}

static void test_race(void **state)
{
	struct race race = {.phys = create()};
	struct live_window *w;
	pthread_t t;
	unsigned rounds = 0;

	assert_int_equal(pthread_create(&t, NULL, reader, &race), 0);
	while (rounds++ < 2000 || (atomic_load(&race.found) < 100 && rounds < 10000000)) {
		w = calloc(1, sizeof(*w));
		assert_non_null(w);
		w->w = direct(2 * GIB);
		atomic_store(&w->alive, true);
		assert_int_equal(phys_add(race.phys, &w->w), 0);
		if (rounds % 64 == 0)
			port_yield();
		phys_remove(race.phys, &w->w);
		atomic_store(&w->alive, false);
		free(w);
	}
	atomic_store(&race.stop, true);
	pthread_join(t, NULL);
	assert_true(atomic_load(&race.found) > 0);
	assert_int_equal(atomic_load(&race.dead), 0);
	phys_destroy(race.phys);
	assert_int_equal(test_port_live(), 0);
}

/* ---- runs --------------------------------------------------------------------- */

static void test_runs(void **state)
{
	struct run_list l = {0};
	struct run r = {GIB, 4096, false};

	assert_int_equal(run_list_add(&l, r, true), 0);
	r.spa += 4096;
	assert_int_equal(run_list_add(&l, r, true), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].length, 8192);
	r.spa += 4096;
	assert_int_equal(run_list_add(&l, r, false), 0); /* contiguous, but not joined */
	assert_int_equal(l.n, 2);
	r.spa += 4096;
	r.mmio = true;
	assert_int_equal(run_list_add(&l, r, true), 0); /* another kind */
	assert_int_equal(l.n, 3);
	r.spa += 8192;
	assert_int_equal(run_list_add(&l, r, true), 0); /* a hole between */
	assert_int_equal(l.n, 4);

	assert_int_equal(l.cap, 4);
	test_port_fail_after(0);
	r.spa += 8192;
	assert_int_equal(run_list_add(&l, r, true), -ENOMEM);
	assert_int_equal(l.n, 4);
	r.spa -= 4096;
	assert_int_equal(run_list_add(&l, r, true), 0); /* joining needs no memory */
	test_port_fail_after(-1);
	assert_int_equal(l.n, 4);
	assert_int_equal(l.v[3].length, 8192);
	for (unsigned i = 0; i < 100; i++) {
		r.spa += 8192;
		assert_int_equal(run_list_add(&l, r, true), 0);
	}
	assert_int_equal(l.n, 104);
	assert_int_equal(l.v[0].spa, GIB);
	assert_int_equal(l.v[103].spa, r.spa);
	run_list_finish(&l);
	assert_null(l.v);
	assert_int_equal(test_port_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),    cmocka_unit_test(test_bad_windows),
		cmocka_unit_test(test_reuse),     cmocka_unit_test(test_full),
		cmocka_unit_test(test_no_memory), cmocka_unit_test(test_wrong_remove),
		cmocka_unit_test(test_race),      cmocka_unit_test(test_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
