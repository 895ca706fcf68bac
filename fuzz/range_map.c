/* SPDX-License-Identifier: MIT */
/*
 * The range map against an array: CELLS cells, each nobody's or a range's, laid over the
 * 64-bit numbers at their low end, at their high end, or over all of them. Whatever the
 * map answers is what a walk over the cells gives.
 */
#include "core/range_map.h"

#include <string.h>

#include "fuzz/input.h"
#include "tests/core/test_port.h"

#define CELLS 4096u

struct world {
	struct range_map map;
	uint64_t base, unit; /* cell i is [base + i * unit, base + (i + 1) * unit - 1] */
	uint16_t first[CELLS];  /* of the cell's range, plus 1; 0: the cell is free */
	uint16_t length[CELLS]; /* in cells, at a range's first cell */
};

static char values[CELLS]; /* the value of a range is the place of its first cell */

static uint64_t start_of(const struct world *w, unsigned cell)
{
	return w->base + cell * w->unit;
}

static uint64_t last_of(const struct world *w, unsigned cell)
{
	return start_of(w, cell) + (w->unit - 1);
}

static void own(struct world *w, unsigned cell, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		w->first[cell + i] = (uint16_t)(cell + 1);
	w->length[cell] = (uint16_t)n;
}

static void disown(struct world *w, unsigned cell)
{
	memset(&w->first[cell], 0, w->length[cell] * sizeof(w->first[0]));
}

/* The lowest range that touches cells [a, b]: its first cell, or CELLS. */
static unsigned lowest(const struct world *w, unsigned a, unsigned b)
{
	for (unsigned i = a; i <= b; i++)
		if (w->first[i])
			return w->first[i] - 1u;
	return CELLS;
}

static bool is_range(const struct world *w, const struct range *r, unsigned cell)
{
	return r->start == start_of(w, cell) &&
	       r->last == last_of(w, cell + w->length[cell] - 1) &&
	       r->value == &values[cell];
}

static void insert(struct world *w, unsigned cell, unsigned n)
{
	int err;

	if (n > CELLS - cell)
		n = CELLS - cell;
	err = range_map_insert(&w->map, start_of(w, cell), last_of(w, cell + n - 1),
			       &values[cell]);
	if (lowest(w, cell, cell + n - 1) != CELLS) {
		CHECK(err == -EEXIST);
	} else if (err) {
		CHECK(err == -ENOMEM);
	} else {
		own(w, cell, n);
	}
}

static void remove_at(struct world *w, unsigned cell)
{
	void *value = range_map_remove(&w->map, start_of(w, cell));

	if (w->first[cell] != cell + 1) {
		CHECK(!value);
		return;
	}
	CHECK(value == &values[cell]);
	disown(w, cell);
}

/* Many at once, so that the tree gets levels within a few bytes of input. */
static void insert_row(struct world *w, struct input *in)
{
	unsigned cell = take_below(in, CELLS), step = 1 + take_below(in, 4);

	for (unsigned n = take(in) * 4u; n && cell < CELLS; n--, cell += step)
		insert(w, cell, 1 + n % step);
}

static void remove_row(struct world *w, struct input *in)
{
	unsigned cell = take_below(in, CELLS), step = 1 + take_below(in, 4);

	for (unsigned n = take(in) * 4u; n && cell < CELLS; n--, cell += step)
		remove_at(w, cell);
}

static void split(struct world *w, unsigned cell)
{
	unsigned first = w->first[cell] ? w->first[cell] - 1u : 0, n = w->length[first];
	bool inside = w->first[cell] && cell < first + n - 1;
	int err = range_map_split(&w->map, last_of(w, cell), &values[first],
				  &values[(cell + 1) % CELLS]);

	if (!inside) {
		CHECK(err == -EINVAL);
	} else if (err) {
		CHECK(err == -ENOMEM);
	} else {
		own(w, cell + 1, first + n - cell - 1);
		w->length[first] = (uint16_t)(cell - first + 1);
	}
}

/* All ranges that touch cells [a, b], one after the other. */
static void look(const struct world *w, unsigned a, unsigned b)
{
	struct range_iter it;
	struct range r;
	bool any = range_map_first(&w->map, start_of(w, a), last_of(w, b), &r);
	unsigned cell = lowest(w, a, b);

	CHECK(any == (cell != CELLS));
	CHECK(!any || is_range(w, &r, cell));
	for (any = range_iter_first(&it, &w->map, start_of(w, a), last_of(w, b), &r); any;
	     any = range_iter_next(&it, &r)) {
		CHECK(cell != CELLS && is_range(w, &r, cell));
		a = cell + w->length[cell];
		cell = a <= b ? lowest(w, a, b) : CELLS;
	}
	CHECK(cell == CELLS);
}

static unsigned gap_by_hand(const struct world *w, unsigned a, unsigned b, unsigned n,
			    unsigned align, unsigned offset)
{
	for (unsigned cell = a; cell <= b && n <= b - cell + 1; cell++)
		if (cell % align == offset && lowest(w, cell, cell + n - 1) == CELLS)
			return cell;
	return CELLS;
}

static void find_gap(const struct world *w, struct input *in, unsigned a, unsigned b)
{
	unsigned n = 1 + take_below(in, 64), align = 1u << take_below(in, 9);
	unsigned offset = take(in) % align, cell = gap_by_hand(w, a, b, n, align, offset);
	uint64_t start = 0;
	bool found =
		range_map_find_gap(&w->map, start_of(w, a), last_of(w, b), n * w->unit,
				   align * w->unit, offset * w->unit, &start);

	CHECK(found == (cell != CELLS));
	CHECK(!found || start == start_of(w, cell));
}

static void step(struct world *w, struct input *in)
{
	unsigned op = take_below(in, 9), a = take_below(in, CELLS), b;

	switch (op) {
	case 0:
	case 1:
		insert(w, a, 1 + take(in));
		return;
	case 2:
		remove_at(w, w->first[a] ? w->first[a] - 1u : a);
		return;
	case 3:
		insert_row(w, in);
		return;
	case 4:
		remove_row(w, in);
		return;
	case 5:
		split(w, a);
		return;
	case 6:
		test_port_fail_after(take(in) % 8);
		insert(w, a, 1);
		split(w, take_below(in, CELLS));
		test_port_fail_after(-1);
		return;
	}
	b = take_below(in, CELLS);
	if (op == 7)
		look(w, a < b ? a : b, a < b ? b : a);
	else
		find_gap(w, in, a < b ? a : b, a < b ? b : a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	static struct world w; /* large for a stack */

	memset(&w, 0, sizeof(w));
	range_map_init(&w.map);
	switch (take(&in) % 3) {
	case 0:
		w.unit = 4096;
		break;
	case 1: /* up to the last number */
		w.unit = 1;
		w.base = 0 - (uint64_t)CELLS;
		break;
	case 2: /* from 0 to the last number */
		w.unit = UINT64_MAX / CELLS + 1;
		break;
	}
	while (!input_done(&in))
		step(&w, &in);
	look(&w, 0, CELLS - 1);
	range_map_finish(&w.map);
	CHECK(test_port_live() == 0);
	CHECK(test_port_bugs() == 0);
	return 0;
}
