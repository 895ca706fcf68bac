/* SPDX-License-Identifier: MIT */
/*
 * Inside of a range map: how a node lies in memory, and the search in one.
 *
 * With a million ranges the two lowest levels do not fit in the CPU's caches, and what a
 * lookup costs is how often it waits for memory. So nodes are aligned to cache lines and
 * packed into large pages (port_alloc_node()), what a search needs is at a node's
 * beginning, and it is prefetched, all at once, as soon as the node's address is known: a
 * whole leaf, and of an inner node the half with starts and children. No branch of the
 * search depends on the key or on how full a node is, and so none is mispredicted.
 *
 * A node's entries are in parallel arrays, of which the first n places are in use. The
 * starts of those that are not are UINT64_MAX.
 */
#ifndef CORE_RANGE_NODE_H
#define CORE_RANGE_NODE_H

#include "core/range_map.h"

#define LEAF_MAX  19u
#define INNER_MAX 31u
#define LEAF_MIN  (LEAF_MAX / 3)
#define INNER_MIN (INNER_MAX / 3)
/* What appending leaves in a node. */
#define LEAF_FILL  (LEAF_MAX * 9 / 10)
#define INNER_FILL (INNER_MAX * 9 / 10)

/* What both kinds of node begin with; which kind it is follows from the height. */
struct range_node {
	unsigned n;
};

struct leaf {
	struct range_node node;
	uint64_t start[LEAF_MAX];
	uint64_t last[LEAF_MAX];
	void *value[LEAF_MAX];
	struct leaf *prev, *next;
};

struct inner {
	struct range_node node;
	uint64_t start[INNER_MAX];
	struct range_node *child[INNER_MAX];
	uint64_t last[INNER_MAX];
	uint64_t gap[INNER_MAX];
};

#define LEAF_BYTES     ((size_t)512)
#define INNER_BYTES    ((size_t)1024)
#define PREFETCH_BYTES 512

_Static_assert(sizeof(struct leaf) <= LEAF_BYTES && sizeof(struct inner) <= INNER_BYTES &&
		       offsetof(struct inner, last) <= PREFETCH_BYTES,
	       "nodes fit their blocks, and what is searched is prefetched");
_Static_assert(LEAF_MAX % 4 == 3 && INNER_MAX % 4 == 3, "count_le() stays inside");

static inline struct leaf *as_leaf(struct range_node *node)
{
	return container_of(node, struct leaf, node);
}

static inline struct inner *as_inner(struct range_node *node)
{
	return container_of(node, struct inner, node);
}

/*
 * How many of the @n ascending starts are <= @key: first in steps of four, then between
 * two steps. Compares all @max places.
 */
static inline __attribute__((always_inline)) unsigned
count_le(const uint64_t *v, unsigned n, unsigned max, uint64_t key)
{
	unsigned steps = 0, rest = 0;

	for (unsigned i = 3; i < max; i += 4)
		steps += v[i] <= key;
	v += 4 * steps;
	for (unsigned i = 0; i < 3; i++)
		rest += v[i] <= key;
	return min_u64(4 * steps + rest, n);
}

static inline unsigned leaf_count_le(const struct leaf *l, uint64_t key)
{
	return count_le(l->start, l->node.n, LEAF_MAX, key);
}

/* The child of @in whose subtree @key belongs to. */
static inline unsigned child_slot(const struct inner *in, uint64_t key)
{
	unsigned le = count_le(in->start, in->node.n, INNER_MAX, key);

	return le > 0 ? le - 1 : 0;
}

static inline void prefetch_node(const struct range_node *node)
{
	const char *p = (const char *)node;

	for (size_t i = 0; i < PREFETCH_BYTES; i += 64)
		__builtin_prefetch(p + i);
}

/* One level down towards @key: the slot of the child, which is on its way. */
static inline unsigned descend(const struct inner *in, uint64_t key)
{
	unsigned slot = child_slot(in, key);

	prefetch_node(in->child[slot]);
	/* For refresh(), should the child change. */
	__builtin_prefetch(&in->last[slot]);
	__builtin_prefetch(&in->gap[slot]);
	return slot;
}

#endif
