/* SPDX-License-Identifier: MIT */
/*
 * Unmaps close to each other, which take the short way through a page table: random
 * maps and unmaps of few pages in few lowest tables, against an array. Whenever nothing
 * is mapped, only the root may be left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/pt.h"
#include "tests/core/test_port.h"

#define PAGE   ((uint64_t)4096)
#define TABLES 6u
#define SLOTS  8u /* pages used in each lowest table: few, so that it is often empty */

static uint64_t mapped[TABLES][SLOTS]; /* SPA, or 0 */

/* Three neighbours, and three far from each other. */
static uint64_t iova_of(unsigned table, unsigned slot)
{
	static const uint64_t at[TABLES] = {
		0, 2u << 20, 4u << 20, 1u << 30, (uint64_t)1 << 39, (uint64_t)255 << 39,
	};

	return at[table] + (slot < SLOTS / 2 ? slot : 512 - SLOTS + slot) * PAGE;
}

static void map_one(struct pt *pt, struct pt_gather *g, unsigned table, unsigned slot,
		    uint64_t spa)
{
	int rc = pt_map(pt, iova_of(table, slot), spa, PAGE, PT_READ, PAGE, g);

	assert_int_equal(rc, mapped[table][slot] ? -EEXIST : 0);
	if (!rc)
		mapped[table][slot] = spa;
}

/* From one slot to another: what is between them, or nothing, or all of the table. */
static void unmap_some(struct pt *pt, struct pt_gather *g, unsigned table, unsigned from,
		       unsigned to)
{
	uint64_t start = iova_of(table, from), any = 0;

	for (unsigned i = from; i <= to; i++) {
		any |= mapped[table][i];
		mapped[table][i] = 0;
	}
	assert_int_equal(pt_unmap(pt, start, iova_of(table, to) + PAGE - start, g),
			 any != 0);
}

static void check(const struct pt *pt, long empty)
{
	struct pt_translation t;
	uint64_t any = 0;

	for (unsigned i = 0; i < TABLES * SLOTS; i++) {
		uint64_t spa = mapped[i / SLOTS][i % SLOTS];
		bool found = pt_walk(pt, iova_of(i / SLOTS, i % SLOTS), &t);

		assert_int_equal(found, spa != 0);
		if (found)
			assert_int_equal(t.spa, spa);
		any |= spa;
	}
	if (!any)
		assert_int_equal(test_port_live(), empty);
}

static void close_to_each_other(void **state)
{
	struct test_random r = {.state = test_seed(0x9ea)};
	struct pt_gather g = {0};
	unsigned emptied = 0;
	struct pt pt;
	long empty;

	print_message("seed %#llx\n", (unsigned long long)r.state);
	assert_int_equal(pt_init(&pt, &pt_vtd_s2), 0);
	empty = test_port_live();
	for (unsigned i = 0; i < 200000; i++) {
		unsigned table = test_random_below(&r, TABLES);
		unsigned from = test_random_below(&r, SLOTS), to = from;

		if (test_random_below(&r, 4) == 0)
			to += test_random_below(&r, SLOTS - from);
		/* Times of growing and of shrinking. */
		if (test_random_below(&r, 8) < (i / 256 % 2 ? 1 : 5))
			map_one(&pt, &g, table, from, (1 + i) * PAGE);
		else
			unmap_some(&pt, &g, table, from, to);
		pt_gather_free(&g);
		check(&pt, empty);
		emptied += test_port_live() == empty;
	}
	assert_true(emptied > 100);
	pt_finish(&pt);
	assert_int_equal(test_port_bugs(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(close_to_each_other)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
