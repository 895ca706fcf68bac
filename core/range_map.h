/* SPDX-License-Identifier: MIT */
/*
 * An ordered map from disjoint inclusive ranges [start, last] of 64-bit numbers to
 * pointers: a B+-tree whose inner nodes keep the largest gap below each child, so that
 * the first gap of a wanted size is found in O(log n) with a million ranges present.
 *
 * Ranges never overlap (insert answers -EEXIST). @last is inclusive, so the whole
 * 64-bit space can be covered. The map does not own the values. It has no lock: the
 * user's lock excludes writers from everybody. Only insert allocates; removal cannot
 * fail.
 */
#ifndef CORE_RANGE_MAP_H
#define CORE_RANGE_MAP_H

#include "core/port.h"

struct range_map {
	struct range_node *root; /* NULL: empty */
	unsigned height;         /* levels below and including the root */
	size_t count;            /* ranges */
};

struct range {
	uint64_t start, last;
	void *value; /* never NULL */
};

void range_map_init(struct range_map *m);
/* Frees the nodes; the values are the caller's. Leaves an empty map. */
void range_map_finish(struct range_map *m);

/* -EEXIST: overlaps a range; -ENOMEM; -EINVAL: start > last. Unchanged on failure. */
int range_map_insert(struct range_map *m, uint64_t start, uint64_t last, void *value);
/* Removes the range that starts at @start; returns its value, or NULL if there is none.
 */
void *range_map_remove(struct range_map *m, uint64_t start);

/*
 * Cut the range that holds @at in two: [start, at] becomes @left's, [at + 1, last]
 * @right's. -EINVAL: no range goes on beyond @at; -ENOMEM. Unchanged on failure.
 */
int range_map_split(struct range_map *m, uint64_t at, void *left, void *right);

/* Have the CPU fetch what is around @key: insert and lookup there will not wait for it.
 */
void range_map_prefetch(const struct range_map *m, uint64_t key);

/* The lowest range that has a point in [start, last]. */
bool range_map_first(const struct range_map *m, uint64_t start, uint64_t last,
		     struct range *out);

/* Iterate in order over the ranges that touch [start, last], O(1) amortised a step.
 * The map must not change meanwhile, except through range_map_first() anew. */
struct range_iter {
	const struct range_map *map;
	struct range_node *leaf;
	unsigned slot;
	uint64_t last;
};
bool range_iter_first(struct range_iter *it, const struct range_map *m, uint64_t start,
		      uint64_t last, struct range *out);
bool range_iter_next(struct range_iter *it, struct range *out);

/*
 * The lowest @start in [lo, last] such that start % align == offset, all of
 * [start, start + length - 1] lies in [lo, last], and no range touches it.
 * @length > 0; @align a power of two; @offset < @align. False: there is none.
 */
bool range_map_find_gap(const struct range_map *m, uint64_t lo, uint64_t last,
			uint64_t length, uint64_t align, uint64_t offset,
			uint64_t *start);

#endif
