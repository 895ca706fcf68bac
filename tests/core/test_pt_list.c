/* SPDX-License-Identifier: MIT */
/*
 * Listing a page table: a random set of mappings comes out whole and in order, in pieces
 * of any size, and an empty table and one with a page at its very end do so in a bounded
 * number of calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/pt.h"
#include "tests/core/test_port.h"

#define K     ((uint64_t)1024)
#define M     (K * K)
#define G     (K * M)
#define MAPS  200
#define PAGES 4096

static const struct pt_format *const formats[] = {&pt_vtd_s2, &pt_vtd_s1};

/* All of it; fails when a call makes no progress. */
static unsigned list_all(const struct pt *pt, struct pt_listed *out, unsigned piece)
{
	uint64_t from = 0, before;
	unsigned n = 0;
	bool more = true;

	while (more) {
		before = from;
		n += pt_list(pt, &from, out + n, piece, &more);
		assert_true(from > before);
		assert_true(n + piece <= PAGES + 64);
	}
	return n;
}

static void check_page(const struct pt_format *f, const struct pt_listed *p)
{
	uint64_t entry = p->entries[p->level];

	assert_true(f->present(entry) && f->is_page(entry, p->level));
	for (unsigned level = p->level + 1; level < f->levels; level++)
		assert_true(f->present(p->entries[level]) &&
			    !f->is_page(p->entries[level], level));
	for (unsigned level = 0; level < p->level; level++)
		assert_int_equal(p->entries[level], 0);
}

static void test_any(void **state)
{
	static struct pt_listed all[PAGES + 64], pieces[PAGES + 64];
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		const struct pt_format *f = formats[i];
		struct pt_gather gather = {0};
		uint64_t mapped = 0, listed = 0;
		unsigned n, m;
		struct pt pt;

		assert_int_equal(pt_init(&pt, f), 0);
		for (int k = 0; k < MAPS; k++) {
			uint64_t size = rand() % 3 ? 4 * K * (1 + (unsigned)rand() % 16)
						   : (rand() % 2 ? 2 * M : G);
			uint64_t iova = ((uint64_t)rand() << 20 ^ (uint64_t)rand()) %
					((uint64_t)1 << f->iova_bits);

			iova &= ~((size >= G ? G : size >= 2 * M ? 2 * M : 4 * K) - 1);
			if (iova + size > (uint64_t)1 << f->iova_bits)
				continue;
			if (!pt_map(&pt, iova, 64 * G, size, PT_READ | PT_WRITE,
				    f->page_sizes, &gather))
				mapped += size;
		}
		n = list_all(&pt, all, 64);
		m = list_all(&pt, pieces, 1 + (unsigned)rand() % 7);
		assert_int_equal(n, m);
		for (unsigned k = 0; k < n; k++) {
			check_page(f, &all[k]);
			assert_int_equal(all[k].iova, pieces[k].iova);
			if (k)
				assert_true(all[k].iova > all[k - 1].iova);
			listed += (uint64_t)4096 << (9 * all[k].level);
		}
		assert_int_equal(listed, mapped);
		pt_gather_free(&gather);
		pt_finish(&pt);
	}
}

static void test_edges(void **state)
{
	static struct pt_listed out[64];
	const uint64_t last = ((uint64_t)1 << pt_vtd_s2.iova_bits) - 4 * K;
	struct pt_gather gather = {0};
	struct pt pt;

	assert_int_equal(pt_init(&pt, &pt_vtd_s2), 0);
	assert_int_equal(list_all(&pt, out, 1), 0);
	assert_int_equal(
		pt_map(&pt, last, 64 * G, 4 * K, PT_READ, pt_vtd_s2.page_sizes, &gather),
		0);
	assert_int_equal(list_all(&pt, out, 1), 1);
	assert_int_equal(out[0].iova, last);
	assert_int_equal(out[0].level, 0);
	pt_unmap(&pt, last, 4 * K, &gather);
	assert_int_equal(list_all(&pt, out, 1), 0);
	pt_gather_free(&gather);
	pt_finish(&pt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
