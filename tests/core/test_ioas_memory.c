/* SPDX-License-Identifier: MIT */
/*
 * The IOAS in want of memory: every allocation of a call fails once, nothing is left of
 * the call, and the same call then succeeds; what takes away allocates nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "tests/core/ioas_env.h"
#include "tests/core/test_port.h"

struct step {
	const char *name;
	int (*run)(struct env *e, struct ioas *other, struct domain *d2);
};

static int do_map(struct env *e, struct ioas *other, struct domain *d2)
{
	struct pages *p;
	uint64_t iova = 0x40201000;
	int rc = pages_create_dmabuf(e->bar, 0, 0x2000, true, false, &p);

	if (rc)
		return rc;
	rc = ioas_map(e->ioas, p, 0, 0x2000, RW, true, &iova);
	pages_put(p);
	return rc;
}

static int do_copy(struct env *e, struct ioas *other, struct domain *d2)
{
	uint64_t iova = 0x7fffe000; /* across tables */

	return ioas_copy(e->ioas, other, 0x10000, 0x6000, RW, true, &iova);
}

static int do_add(struct env *e, struct ioas *other, struct domain *d2)
{
	return ioas_add_domain(e->ioas, d2);
}

static int do_add_first(struct env *e, struct ioas *other, struct domain *d2)
{
	return ioas_add_domain(other, d2);
}

static int do_reserve(struct env *e, struct ioas *other, struct domain *d2)
{
	int rc = 0;

	for (unsigned i = 0; i < 4 && !rc; i++)
		rc = ioas_reserve(e->ioas, 0x5000000000, 0x5000000fff, &do_reserve);
	if (rc)
		ioas_unreserve(e->ioas, &do_reserve);
	return rc;
}

static int do_allow(struct env *e, struct ioas *other, struct domain *d2)
{
	struct iova_range r[] = {{0x600000, 0x700000}, {0x100000, 0x200000}};

	return ioas_allow(e->ioas, r, 2);
}

static void every_allocation_fails_once(void **state)
{
	static const struct step steps[] = {
		{"map", do_map},         {"copy", do_copy},
		{"add domain", do_add},  {"add first domain", do_add_first},
		{"reserve", do_reserve}, {"allow", do_allow},
	};
	struct env e = env_make(true);
	struct domain *d2 = fake_domain(false), *d3 = fake_domain(true);
	struct ioas *other;

	assert_int_equal(ioas_create(&other), 0);
	assert_int_equal(ioas_add_domain(e.ioas, d3), 0);
	assert_int_equal(map(other, fake_pages(RAM, 0x3000), 0x10000), 0x10000);
	assert_int_equal(map(other, buffer_pages(e.bar, 0, 0x1000), 0x13000), 0x13000);
	assert_int_equal(map(other, fake_pages(RAM, 0x2000), 0x14000), 0x14000);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(map(e.ioas, fake_pages(RAM, 0x1000), i << 22), i << 22);
	for (unsigned s = 0; s < ARRAY_LEN(steps); s++) {
		int rc = -ENOMEM;
		long n;

		for (n = 0; rc; n++) {
			long live = test_port_live(), pinned = fakes.pins;
			size_t areas = ioas_area_count(e.ioas);

			assert_true(n < 1000);
			test_port_fail_after(n);
			rc = steps[s].run(&e, other, d2);
			test_port_fail_after(-1);
			if (!rc)
				break;
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(ioas_area_count(e.ioas), areas);
			assert_int_equal(fakes.pins, pinned);
			/* Page tables and arrays that have grown may stay. */
			assert_true(test_port_live() <= live + 2);
			if (steps[s].run == do_add || steps[s].run == do_add_first)
				assert_true(spa_at(d2, 0, NULL) == NOWHERE);
		}
		print_message("%s: %ld allocations\n", steps[s].name, n);
		if (steps[s].run == do_add)
			ioas_remove_domain(e.ioas, d2);
	}
	ioas_unreserve(e.ioas, &do_reserve);
	ioas_remove_domain(other, d2);
	ioas_destroy(other);
	ioas_remove_domain(e.ioas, d3);
	domain_destroy(d2);
	domain_destroy(d3);
	env_end(&e);
}

/* From the moment there is no memory at all, everything can still be taken away. */
static void taking_away_needs_no_memory(void **state)
{
	struct env e = env_make(true);
	struct domain *d2 = fake_domain(false);
	struct dmabuf *second;
	struct ioas *other;
	struct fake_buffer b = {.spa = 2 * BAR, .range = 0x10000, .n = 1};
	struct dmabuf_revocation r = {0};
	uint64_t iova;

	assert_int_equal(fake_buffer(&b, false, &second), 0);
	assert_int_equal(ioas_create(&other), 0);
	assert_int_equal(ioas_add_domain(other, d2), 0);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(map_bar(&e, 0, 0x10000, i << 24), i << 24);
		assert_int_equal(map(other, fake_pages(RAM, 0x3000), i << 24), i << 24);
		iova = (uint64_t)i << 24 | 0x100000;
		assert_int_equal(
			ioas_copy(other, e.ioas, i << 24, 0x4000, RW, true, &iova), 0);
	}
	assert_int_equal(map(other, buffer_pages(second, 0, 0x4000), NOWHERE), 0x4000);

	test_port_fail_after(0);
	assert_int_equal(unmap(e.ioas, 0, 0x10000), 0x10000);
	assert_int_equal(unmap(other, 0, (uint64_t)100 << 24), 100 * 0x7000 + 0x4000);
	assert_int_equal(unmap(other, (100 << 24) + 0x2000, 0x200000), -ENOENT);
	dmabuf_revocation_add(&r, e.bar);
	dmabuf_orphan(second, &r);
	dmabuf_revocation_finish(&r);
	for (uint64_t i = 100; i < 200; i++)
		assert_true(spa_at(d2, i << 24 | 0x100000, NULL) == NOWHERE);
	assert_int_equal(spa_at(d2, (uint64_t)150 << 24, NULL), RAM);
	dmabuf_restore(e.bar);
	env_detach(&e);
	assert_int_equal(unmap_all(e.ioas), 199 * 0x10000);
	ioas_remove_domain(other, d2);
	ioas_destroy(other);
	dmabuf_put(second);
	domain_destroy(d2);
	env_end(&e);
	test_port_fail_after(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_allocation_fails_once, fixture_setup),
		cmocka_unit_test_setup(taking_away_needs_no_memory, fixture_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
