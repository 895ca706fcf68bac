/* SPDX-License-Identifier: MIT */
/*
 * range_map with up to a million ranges, beside glibc's tsearch(), a red-black tree of
 * separately allocated nodes: the usual way to keep such a map. Lookups and removals are
 * in random order; gap searches find nothing, the case that makes other maps visit
 * every hole.
 */
#include <malloc.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/harness.h"
#include "core/range_map.h"
#include "port/port.h"

#define SPACING 0x10000u /* a range of 4 KiB to 32 KiB every 64 KiB, like IOVAs */

struct state {
	size_t n;
	struct range *ranges; /* in ascending order */
	uint32_t *order;      /* a random permutation */
	struct range_map map;
	void *tree;
	size_t at;
};

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static bool state_init(struct state *s, size_t n)
{
	uint64_t x = 88172645463325252u;

	*s = (struct state){.n = n};
	s->ranges = calloc(n, sizeof(*s->ranges));
	s->order = calloc(n, sizeof(*s->order));
	if (!s->ranges || !s->order)
		return false;
	range_map_init(&s->map);
	for (size_t i = 0; i < n; i++) {
		uint64_t start = (i + 1) * SPACING;

		s->ranges[i].start = start;
		s->ranges[i].last = start + 0x1000 * (1 + next_random(&x) % 8) - 1;
		s->ranges[i].value = &s->ranges[i];
		s->order[i] = (uint32_t)i;
	}
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = next_random(&x) % (i + 1);
		uint32_t t = s->order[i];

		s->order[i] = s->order[j];
		s->order[j] = t;
	}
	return true;
}

/* The next range in random order. */
static struct range *pick(struct state *s)
{
	struct range *r = &s->ranges[s->order[s->at]];

	s->at = s->at + 1 < s->n ? s->at + 1 : 0;
	return r;
}

/* Where it starts, without reading the range itself: the map's misses are measured. */
static uint64_t pick_start(struct state *s)
{
	uint64_t start = ((uint64_t)s->order[s->at] + 1) * SPACING;

	s->at = s->at + 1 < s->n ? s->at + 1 : 0;
	return start;
}

/* ---- ours --------------------------------------------------------------------- */

static void empty(void *arg)
{
	struct state *s = arg;

	range_map_finish(&s->map);
	s->at = 0;
}

static void insert_ascending(void *arg, uint64_t n)
{
	struct state *s = arg;

	for (uint64_t i = 0; i < n; i++)
		range_map_insert(&s->map, s->ranges[i].start, s->ranges[i].last,
				 &s->ranges[i]);
}

static void insert_random(void *arg, uint64_t n)
{
	struct state *s = arg;

	for (uint64_t i = 0; i < n; i++) {
		struct range *r = pick(s);

		range_map_insert(&s->map, r->start, r->last, r);
	}
}

static void fill(void *arg)
{
	struct state *s = arg;

	empty(s);
	insert_random(s, s->n);
	s->at = 0;
}

static void remove_random(void *arg, uint64_t n)
{
	struct state *s = arg;

	for (uint64_t i = 0; i < n; i++)
		range_map_remove(&s->map, pick_start(s));
}

/* One goes, one comes: what a busy client does. The count stays. */
static void replace(void *arg, uint64_t n)
{
	struct state *s = arg;

	for (uint64_t i = 0; i < n; i++) {
		struct range *r = pick(s);

		range_map_remove(&s->map, r->start);
		range_map_insert(&s->map, r->start, r->last, r);
	}
}

static void lookup(void *arg, uint64_t n)
{
	struct state *s = arg;
	struct range r;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t key = pick_start(s) + 0x800;

		bench_use(range_map_first(&s->map, key, key, &r));
		bench_use((uintptr_t)r.value);
	}
}

static void lookup_hot(void *arg, uint64_t n)
{
	struct state *s = arg;
	uint64_t key = s->ranges[s->n / 2].start + 0x800;
	struct range r;

	for (uint64_t i = 0; i < n; i++) {
		bench_use(range_map_first(&s->map, key, key, &r));
		bench_use((uintptr_t)r.value);
	}
}

static void iterate(void *arg, uint64_t n)
{
	struct state *s = arg;
	struct range_iter it;
	struct range r;
	bool more = range_iter_first(&it, &s->map, 0, UINT64_MAX, &r);

	for (uint64_t i = 0; i < n; i++) {
		if (!more)
			more = range_iter_first(&it, &s->map, 0, UINT64_MAX, &r);
		bench_use(r.start);
		more = range_iter_next(&it, &r);
	}
}

/* Up to the last range: no hole there is larger than 60 KiB. */
static void gap_none(void *arg, uint64_t n)
{
	struct state *s = arg;
	uint64_t at, last = s->ranges[s->n - 1].last;

	for (uint64_t i = 0; i < n; i++)
		bench_use(range_map_find_gap(&s->map, SPACING, last, SPACING, SPACING, 0,
					     &at));
}

/* From a random place on. */
static void gap_none_from(void *arg, uint64_t n)
{
	struct state *s = arg;
	uint64_t at, last = s->ranges[s->n - 1].last;

	for (uint64_t i = 0; i < n; i++)
		bench_use(range_map_find_gap(&s->map, pick_start(s), last, SPACING,
					     SPACING, 0, &at));
}

/* ---- tsearch ------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->last < y->start)
		return -1;
	return x->start > y->last;
}

static void keep(void *node)
{
}

static void tree_empty(void *arg)
{
	struct state *s = arg;

	tdestroy(s->tree, keep);
	s->tree = NULL;
	s->at = 0;
}

static void tree_insert(void *arg, uint64_t n)
{
	struct state *s = arg;

	for (uint64_t i = 0; i < n; i++)
		tsearch(pick(s), &s->tree, compare);
}

static void tree_fill(void *arg)
{
	struct state *s = arg;

	tree_empty(s);
	tree_insert(s, s->n);
	s->at = 0;
}

static void tree_remove(void *arg, uint64_t n)
{
	struct state *s = arg;

	for (uint64_t i = 0; i < n; i++)
		tdelete(pick(s), &s->tree, compare);
}

static void tree_lookup(void *arg, uint64_t n)
{
	struct state *s = arg;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t key = pick_start(s) + 0x800;
		struct range probe = {key, key, NULL};

		bench_use((uintptr_t)tfind(&probe, &s->tree, compare));
	}
}

struct tree_walk {
	uint64_t end, found;
};

static void tree_visit(const void *node, VISIT order, void *closure)
{
	const struct range *r = *(struct range *const *)node;
	struct tree_walk *w = closure;

	if (order != postorder && order != leaf)
		return;
	w->found += r->start - w->end >= SPACING;
	w->end = r->last + 1;
}

static void tree_gap_none(void *arg, uint64_t n)
{
	struct state *s = arg;

	for (uint64_t i = 0; i < n; i++) {
		struct tree_walk w = {SPACING, 0};

		twalk_r(s->tree, tree_visit, &w);
		bench_use(w.found);
	}
}

/* ---- the program -------------------------------------------------------------- */

static size_t bytes_in_use(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd + port_pool_bytes();
}

static void memory(struct bench *b, struct state *s, const char *name,
		   void (*make)(void *), void (*drop)(void *))
{
	size_t before, after;

	drop(s);
	before = bytes_in_use();
	make(s);
	after = bytes_in_use();
	bench_value(b, name, "B", (double)(after - before) / (double)s->n);
	drop(s);
}

static void make_ascending(void *arg)
{
	insert_ascending(arg, ((struct state *)arg)->n);
}

static void run_size(struct bench *b, size_t n)
{
	struct state s;
	char title[64];

	if (!state_init(&s, n)) {
		fprintf(stderr, "out of memory\n");
		return;
	}
	snprintf(title, sizeof(title), "%zu ranges", n);
	bench_section(b, title);
	bench_run_case(b, &(struct bench_case){"insert, ascending", insert_ascending, &s,
					       n, empty, 0});
	bench_compare(
		b, &(struct bench_case){"insert, random", insert_random, &s, n, empty, 0},
		&(struct bench_case){"tsearch, random", tree_insert, &s, n, tree_empty,
				     0});
	bench_compare(
		b, &(struct bench_case){"remove, random", remove_random, &s, n, fill, 0},
		&(struct bench_case){"tdelete, random", tree_remove, &s, n, tree_fill,
				     0});
	fill(&s);
	tree_fill(&s);
	bench_compare(b, &(struct bench_case){"lookup, random", lookup, &s, 0, NULL, 0},
		      &(struct bench_case){"tfind, random", tree_lookup, &s, 0, NULL, 0});
	bench_run(b, "lookup, one range again and again", lookup_hot, &s, 0);
	bench_run(b, "next range in order", iterate, &s, 0);
	bench_run(b, "remove and insert again, random", replace, &s, 0);
	bench_compare(b,
		      &(struct bench_case){"gap search, all too small", gap_none, &s, 0,
					   NULL, 0},
		      &(struct bench_case){"walk of the tree, all too small",
					   tree_gap_none, &s, 0, NULL, 0});
	bench_run(b, "gap search from a random place, all too small", gap_none_from, &s,
		  0);
	tree_empty(&s);
	memory(b, &s, "memory per range, ascending inserts", make_ascending, empty);
	memory(b, &s, "memory per range, random inserts", fill, empty);
	memory(b, &s, "memory per range, tsearch, without the range", tree_fill,
	       tree_empty);
	free(s.ranges);
	free(s.order);
}

int main(int argc, char **argv)
{
	struct bench *b = bench_create("range_map", argc, argv);

	if (!b)
		return 2;
	run_size(b, 1000);
	run_size(b, 100000);
	if (!bench_quick(b))
		run_size(b, 1000000);
	return bench_finish(b);
}
