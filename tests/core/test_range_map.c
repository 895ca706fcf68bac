/* SPDX-License-Identifier: MIT */
/*
 * range_map: single cases at the edges, and a random test against a model.
 *
 * The model is a small universe of UNITS cells, each free or owned by a range. A
 * placement lays the universe over the 64-bit numbers: at 0, right below 2^64, or
 * stretched so that it covers all of them. Whatever the map answers is compared with
 * what walking over the cells one by one gives, and the tree's shape is checked.
 *
 * range_map.c is included so that the shape can be seen.
 */
#include "core/range_map.c" /* NOLINT(bugprone-suspicious-include) */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/core/test_port.h"

#define MAX UINT64_MAX

/* ---- the tree's own invariants ------------------------------------------------ */

struct shape {
	const struct range_map *map;
	struct leaf *prev; /* the leaf visited before */
	size_t ranges;
	size_t nodes;
};

static struct summary check_node(struct shape *s, struct range_node *node, unsigned level,
				 bool edge)
{
	bool root = node == s->map->root;

	s->nodes++;
	for (unsigned i = node->n; i < node_max(level); i++)
		assert_true(node_starts(level, node)[i] == UINT64_MAX);
	assert_in_range(node->n,
			root   ? (level ? 2 : 1)
			: edge ? 1
			       : node_min(level),
			node_max(level));
	if (level == 0) {
		struct leaf *l = as_leaf(node);

		assert_ptr_equal(l->prev, s->prev);
		if (s->prev)
			assert_ptr_equal(s->prev->next, l);
		s->prev = l;
		s->ranges += node->n;
		for (unsigned i = 0; i < node->n; i++) {
			assert_true(l->start[i] <= l->last[i]);
			assert_non_null(l->value[i]);
			if (i > 0)
				assert_true(l->last[i - 1] < l->start[i]);
		}
		return leaf_summary(l);
	}
	for (unsigned i = 0; i < node->n; i++) {
		struct inner *in = as_inner(node);
		struct summary c =
			check_node(s, in->child[i], level - 1, edge && i + 1 == node->n);

		assert_int_equal(in->start[i], c.start);
		assert_int_equal(in->last[i], c.last);
		assert_int_equal(in->gap[i], c.gap);
		if (i > 0)
			assert_true(in->last[i - 1] < in->start[i]);
	}
	return inner_summary(as_inner(node));
}

static void check_shape(const struct range_map *m)
{
	struct shape s = {.map = m};

	if (!m->root) {
		assert_int_equal(m->count, 0);
		assert_int_equal(m->height, 0);
		return;
	}
	check_node(&s, m->root, m->height - 1, true);
	assert_null(s.prev->next);
	assert_int_equal(s.ranges, m->count);
}

/* ---- single cases ------------------------------------------------------------- */

static int mark;

static bool gap(const struct range_map *m, uint64_t lo, uint64_t last, uint64_t length,
		uint64_t align, uint64_t *start)
{
	return range_map_find_gap(m, lo, last, length, align, 0, start);
}

static void test_empty(void **state)
{
	struct range_map m;
	struct range r;
	struct range_iter it;
	uint64_t at;

	range_map_init(&m);
	assert_false(range_map_first(&m, 0, MAX, &r));
	assert_false(range_iter_first(&it, &m, 0, MAX, &r));
	assert_false(range_iter_next(&it, &r));
	assert_null(range_map_remove(&m, 0));
	assert_true(gap(&m, 0, MAX, MAX, 1, &at));
	assert_int_equal(at, 0);
	assert_true(range_map_find_gap(&m, 5, MAX, 16, 16, 3, &at));
	assert_int_equal(at, 19);
	assert_false(gap(&m, 0, MAX, 0, 1, &at));
	assert_false(gap(&m, 1, 0, 1, 1, &at));
	assert_false(gap(&m, MAX, MAX, 2, 1, &at));
	assert_true(gap(&m, MAX, MAX, 1, 1, &at));
	assert_int_equal(at, MAX);
	range_map_finish(&m);
	assert_int_equal(test_port_live(), 0);
}

static void test_whole_space(void **state)
{
	struct range_map m;
	struct range r;
	uint64_t at;

	range_map_init(&m);
	assert_int_equal(range_map_insert(&m, 0, MAX, &mark), 0);
	assert_int_equal(range_map_insert(&m, 0, 0, &mark), -EEXIST);
	assert_int_equal(range_map_insert(&m, MAX, MAX, &mark), -EEXIST);
	assert_int_equal(range_map_insert(&m, 0, MAX, &mark), -EEXIST);
	assert_false(gap(&m, 0, MAX, 1, 1, &at));
	assert_true(range_map_first(&m, MAX, MAX, &r));
	assert_int_equal(r.start, 0);
	assert_int_equal(r.last, MAX);
	assert_ptr_equal(r.value, &mark);
	assert_null(range_map_remove(&m, 1));
	assert_ptr_equal(range_map_remove(&m, 0), &mark);
	assert_int_equal(m.count, 0);
	assert_int_equal(test_port_live(), 0);
}

static void test_edges(void **state)
{
	struct range_map m;
	struct range r;
	struct range_iter it;
	uint64_t at;

	range_map_init(&m);
	assert_int_equal(range_map_insert(&m, 2, 1, &mark), -EINVAL);
	assert_int_equal(range_map_insert(&m, 2, 2, NULL), -EINVAL);
	assert_int_equal(range_map_insert(&m, MAX, MAX, &mark), 0);
	assert_int_equal(range_map_insert(&m, 0, 0, &mark), 0);
	/* All that is left between them is one gap of 2^64 - 2. */
	assert_true(gap(&m, 0, MAX, MAX - 1, 1, &at));
	assert_int_equal(at, 1);
	assert_false(gap(&m, 0, MAX, MAX, 1, &at));
	assert_false(gap(&m, 0, MAX, MAX - 1, 2, &at));
	/* Rounding up to the alignment would wrap. */
	assert_false(gap(&m, MAX - 3, MAX, 1, (uint64_t)1 << 63, &at));
	assert_true(range_map_find_gap(&m, 0, MAX, 1, (uint64_t)1 << 63,
				       ((uint64_t)1 << 63) - 1, &at));
	assert_int_equal(at, ((uint64_t)1 << 63) - 1);
	assert_int_equal(range_map_insert(&m, 1, MAX - 1, &mark), 0);
	assert_false(gap(&m, 0, MAX, 1, 1, &at));

	assert_true(range_iter_first(&it, &m, 0, MAX, &r));
	assert_int_equal(r.last, 0);
	assert_true(range_iter_next(&it, &r));
	assert_int_equal(r.last, MAX - 1);
	assert_true(range_iter_next(&it, &r));
	assert_int_equal(r.start, MAX);
	assert_false(range_iter_next(&it, &r));
	assert_false(range_map_first(&m, 1, 0, &r));
	range_map_finish(&m);
	assert_int_equal(test_port_live(), 0);
}

static size_t count_nodes(const struct range_map *m)
{
	struct shape s = {.map = m};

	check_node(&s, m->root, m->height - 1, true);
	return s.nodes;
}

/* Ascending inserts leave leaves behind that are nearly full, for the sake of memory; and
 * one more range for a while, anywhere, splits none. */
static void test_ascending_is_dense(void **state)
{
	struct range_map m;
	size_t n = 20000, nodes;

	range_map_init(&m);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(range_map_insert(&m, i * 4, i * 4 + 1, &mark), 0);
	check_shape(&m);
	nodes = count_nodes(&m);
	assert_true(nodes <= n / LEAF_FILL + n / LEAF_FILL / (INNER_FILL - 1) + 8);
	for (uint64_t i = 0; i + 1 < n; i++) {
		assert_int_equal(range_map_insert(&m, i * 4 + 2, i * 4 + 2, &mark), 0);
		assert_ptr_equal(range_map_remove(&m, i * 4 + 2), &mark);
	}
	assert_int_equal(count_nodes(&m), nodes);
	for (uint64_t i = 0; i < n; i++)
		assert_ptr_equal(range_map_remove(&m, i * 4), &mark);
	assert_int_equal(test_port_live(), 0);
}

static void test_descending(void **state)
{
	struct range_map m;
	uint64_t at;

	range_map_init(&m);
	for (uint64_t i = 5000; i > 0; i--)
		assert_int_equal(range_map_insert(&m, i * 4, i * 4 + 1, &mark), 0);
	check_shape(&m);
	assert_true(gap(&m, 4, MAX, 3, 1, &at));
	assert_int_equal(at, 20002);
	for (uint64_t i = 5000; i > 0; i--)
		assert_ptr_equal(range_map_remove(&m, i * 4), &mark);
	check_shape(&m);
	assert_int_equal(test_port_live(), 0);
}

/* ---- the model ---------------------------------------------------------------- */

#define UNITS 1504u /* a multiple of every alignment tried */

struct placement {
	const char *name;
	uint64_t base;
	unsigned shift; /* a cell is 2^shift numbers */
};

struct model {
	struct placement at;
	struct range_map map;
	unsigned owner[UNITS]; /* 0: free, else the first cell of the range, plus one */
	char value[UNITS];     /* addresses to store, one for each first cell */
	struct test_random rnd;
};

static uint64_t first_of(const struct model *w, unsigned cell)
{
	return w->at.base + ((uint64_t)cell << w->at.shift);
}

static uint64_t last_of(const struct model *w, unsigned cell)
{
	return first_of(w, cell) + (((uint64_t)1 << w->at.shift) - 1);
}

static unsigned below(struct model *w, unsigned n)
{
	return (unsigned)test_random_below(&w->rnd, n);
}

/* The cell after the range that owns @cell. */
static unsigned end_of(const struct model *w, unsigned cell)
{
	unsigned owner = w->owner[cell];

	while (cell < UNITS && w->owner[cell] == owner)
		cell++;
	return cell;
}

static void check_range(const struct model *w, unsigned cell, const struct range *r)
{
	unsigned first = w->owner[cell] - 1;

	assert_int_equal(r->start, first_of(w, first));
	assert_int_equal(r->last, last_of(w, end_of(w, cell) - 1));
	assert_ptr_equal(r->value, &w->value[first]);
}

static void check_iteration(struct model *w, unsigned a, unsigned b)
{
	struct range_iter it;
	struct range r;
	bool more = range_iter_first(&it, &w->map, first_of(w, a), last_of(w, b), &r);

	for (unsigned cell = a; cell <= b; cell++) {
		if (!w->owner[cell])
			continue;
		assert_true(more);
		check_range(w, cell, &r);
		cell = end_of(w, cell) - 1;
		more = range_iter_next(&it, &r);
	}
	assert_false(more);
}

/* Try with 0, 1, 2 ... allocations allowed: nothing may change until it works. */
static void insert_at_last(struct model *w, uint64_t start, uint64_t last, void *value)
{
	for (long n = 0;; n++) {
		long live = test_port_live();
		struct range_map before = w->map;
		int rc;

		test_port_fail_after(n);
		rc = range_map_insert(&w->map, start, last, value);
		test_port_fail_after(-1);
		if (rc == 0)
			return;
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(test_port_live(), live);
		assert_memory_equal(&w->map, &before, sizeof(before));
		check_shape(&w->map);
		check_iteration(w, 0, UNITS - 1);
	}
}

static void op_insert(struct model *w, unsigned max_cells)
{
	unsigned a = below(w, UNITS), n = 1 + below(w, max_cells);
	bool taken = false;

	n = n < UNITS - a ? n : UNITS - a;
	for (unsigned i = 0; i < n; i++)
		taken |= w->owner[a + i] != 0;
	if (taken) {
		assert_int_equal(range_map_insert(&w->map, first_of(w, a),
						  last_of(w, a + n - 1), &w->value[a]),
				 -EEXIST);
		return;
	}
	insert_at_last(w, first_of(w, a), last_of(w, a + n - 1), &w->value[a]);
	for (unsigned i = 0; i < n; i++)
		w->owner[a + i] = a + 1;
}

static void op_remove(struct model *w)
{
	unsigned cell = below(w, UNITS), end;
	void *value;

	test_port_fail_after(0);
	value = range_map_remove(&w->map, first_of(w, cell));
	test_port_fail_after(-1);
	if (w->owner[cell] != cell + 1) {
		assert_null(value);
		return;
	}
	assert_ptr_equal(value, &w->value[cell]);
	end = end_of(w, cell);
	for (; cell < end; cell++)
		w->owner[cell] = 0;
}

static void op_split(struct model *w)
{
	unsigned cell = below(w, UNITS), end = end_of(w, cell), first;
	int rc = -ENOMEM;

	if (!w->owner[cell] || end == cell + 1) {
		assert_int_equal(range_map_split(&w->map, last_of(w, cell), w, w),
				 -EINVAL);
		return;
	}
	first = w->owner[cell] - 1;
	for (long n = 0; rc; n++) {
		test_port_fail_after(n);
		rc = range_map_split(&w->map, last_of(w, cell), &w->value[first],
				     &w->value[cell + 1]);
		test_port_fail_after(-1);
		if (rc) {
			assert_int_equal(rc, -ENOMEM);
			check_iteration(w, 0, UNITS - 1);
		}
	}
	for (unsigned i = cell + 1; i < end; i++)
		w->owner[i] = cell + 2;
}

static void op_lookup(struct model *w)
{
	unsigned a = below(w, UNITS), b = a + below(w, UNITS - a);
	unsigned cell = a;
	struct range r;
	bool found = range_map_first(&w->map, first_of(w, a), last_of(w, b), &r);

	while (cell <= b && !w->owner[cell])
		cell++;
	assert_int_equal(found, cell <= b);
	if (found)
		check_range(w, cell, &r);
	check_iteration(w, a, b);
}

/* In cells; the placement's base is a multiple of every alignment used. */
static bool brute_gap(const struct model *w, unsigned lo, unsigned last, unsigned n,
		      unsigned align, unsigned offset, unsigned *start)
{
	for (unsigned s = lo; s <= last && last - s >= n - 1; s++) {
		unsigned i = 0;

		if (s % align != offset)
			continue;
		while (i < n && !w->owner[s + i])
			i++;
		if (i == n) {
			*start = s;
			return true;
		}
	}
	return false;
}

static void op_gap(struct model *w)
{
	unsigned lo = below(w, UNITS), last = lo + below(w, UNITS - lo);
	unsigned n = 1 + below(w, below(w, 8) ? 12 : UNITS);
	unsigned align = 1u << below(w, 5), offset = below(w, align);
	unsigned want = 0;
	uint64_t got = 0;
	bool found;

	if (!below(w, 2)) {
		lo = 0;
		last = UNITS - 1;
	}
	found = range_map_find_gap(
		&w->map, first_of(w, lo), last_of(w, last), (uint64_t)n << w->at.shift,
		(uint64_t)align << w->at.shift, (uint64_t)offset << w->at.shift, &got);
	assert_int_equal(found, brute_gap(w, lo, last, n, align, offset, &want));
	if (found)
		assert_int_equal(got, first_of(w, want));
}

/* Fill the universe, keep it busy, empty it; over and over. */
static void run_model(const struct placement *at, uint64_t seed)
{
	struct model *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->at = *at;
	w->rnd.state = seed;
	print_message("placement %s, seed %#llx\n", at->name, (unsigned long long)seed);
	range_map_init(&w->map);
	for (unsigned step = 0; step < 24000; step++) {
		unsigned inserts = (step / 4000) % 2 ? 1 : 6;
		unsigned max_cells = step < 12000 ? 2 : 6;
		unsigned op = below(w, 10);

		if (op < inserts)
			op_insert(w, max_cells);
		else if (op < 7)
			op_remove(w);
		else if (op < 8 && below(w, 3) == 0)
			op_split(w);
		else if (op < 8)
			op_lookup(w);
		else
			op_gap(w);
		if (step % 16 == 0)
			check_shape(&w->map);
	}
	check_iteration(w, 0, UNITS - 1);
	for (unsigned cell = 0; cell < UNITS; cell++)
		if (w->owner[cell] == cell + 1)
			assert_ptr_equal(range_map_remove(&w->map, first_of(w, cell)),
					 &w->value[cell]);
	check_shape(&w->map);
	assert_int_equal(w->map.count, 0);
	assert_int_equal(test_port_live(), 0);
	free(w);
}

static void test_model(void **state)
{
	static const struct placement at[] = {
		{"from 0", 0, 0},
		{"up to 2^64 - 1", 0 - (uint64_t)UNITS, 0},
		{"pages", (uint64_t)1 << 32, 12},
		/* 1504 cells of 2^53 from the top down leave a rest at 0. */
		{"the whole space", 0 - ((uint64_t)UNITS << 53), 53},
	};

	for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
		struct placement p = at[i];

		run_model(&p, test_seed(0x5eed0001) + i);
	}
}

/* Enough for four levels; too many for the model's cells. */
static void test_large(void **state)
{
	struct test_random rnd = {test_seed(0x5eed0002)};
	uint64_t n = 60000, present = 0;
	struct range_map m;
	unsigned char *in = calloc(1, n);

	assert_non_null(in);
	range_map_init(&m);
	for (unsigned step = 0; step < 400000; step++) {
		uint64_t i = test_random_below(&rnd, n);
		bool add = test_random_below(&rnd, 16) < (step < 200000 ? 12 : 3);

		if (add) {
			int rc = range_map_insert(&m, i * 16, i * 16 + i % 15, &in[i]);

			assert_int_equal(rc, in[i] ? -EEXIST : 0);
			present += !in[i];
			in[i] = 1;
		} else {
			assert_ptr_equal(range_map_remove(&m, i * 16),
					 in[i] ? &in[i] : NULL);
			present -= in[i];
			in[i] = 0;
		}
		if (step % 20000 == 0)
			check_shape(&m);
	}
	assert_int_equal(m.count, present);
	check_shape(&m);
	range_map_finish(&m);
	assert_int_equal(test_port_live(), 0);
	free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_whole_space),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_ascending_is_dense),
		cmocka_unit_test(test_descending),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
