/* SPDX-License-Identifier: MIT */
/*
 * B+-tree of disjoint inclusive ranges.
 *
 * A leaf holds up to LEAF_MAX ranges and is linked to its neighbours. An inner node
 * holds, for each child, the exact bounds of the ranges below it (first start, last last)
 * and the largest gap between two neighbouring ranges below it. The gap between two
 * children follows from their bounds, so every summary is computed from one node alone.
 * Gaps are counts of free numbers; between two ranges at most 2^64 - 2 are free, so a
 * count always fits.
 *
 * Shape: no node is empty. Every node has at least *_MIN entries, except the root and
 * the nodes on the right edge. Appending to a full node moves only a tenth of it to the
 * next one, so that ascending inserts leave nodes behind that are nearly full, but where
 * what comes and goes among them later need not split a node at once. Hence the height is
 * at most log_LEAF_MIN of the count, far below MAX_HEIGHT.
 *
 * Insert finds out how many nodes will split and allocates them all before it changes
 * anything. Remove merges with a sibling or evens out with it, and needs no memory.
 */
#include "core/range_node.h"

#define MAX_HEIGHT 16u

/* What a parent keeps about a child. */
struct summary {
	uint64_t start, last, gap;
};

/* The way from the root to a leaf. Step 0 is the leaf's level. */
struct path {
	struct {
		struct range_node *node;
		unsigned slot; /* inner: the child taken; leaf: a position */
	} step[MAX_HEIGHT];
};

/* ---- summaries ------------------------------------------------------------------ */

static struct summary leaf_summary(const struct leaf *l)
{
	unsigned n = l->node.n;
	struct summary s = {l->start[0], l->last[n - 1], 0};

	for (unsigned i = 0; i + 1 < n; i++)
		s.gap = max_u64(s.gap, l->start[i + 1] - l->last[i] - 1);
	return s;
}

static struct summary inner_summary(const struct inner *in)
{
	unsigned n = in->node.n;
	struct summary s = {in->start[0], in->last[n - 1], in->gap[n - 1]};

	for (unsigned i = 0; i + 1 < n; i++) {
		s.gap = max_u64(s.gap, in->gap[i]);
		s.gap = max_u64(s.gap, in->start[i + 1] - in->last[i] - 1);
	}
	return s;
}

/* @level 0 is a leaf. */
static struct summary summarise(struct range_node *node, unsigned level)
{
	return level == 0 ? leaf_summary(as_leaf(node)) : inner_summary(as_inner(node));
}

/* Bring the entry of child @slot, itself at @level, up to date. False: it was. */
static bool refresh(struct inner *parent, unsigned slot, unsigned level)
{
	struct summary s = summarise(parent->child[slot], level);

	if (parent->start[slot] == s.start && parent->last[slot] == s.last &&
	    parent->gap[slot] == s.gap)
		return false;
	parent->start[slot] = s.start;
	parent->last[slot] = s.last;
	parent->gap[slot] = s.gap;
	return true;
}

/* The node of @path at @level has changed: refresh its ancestors as far as it shows. */
static void refresh_up(const struct range_map *m, const struct path *path, unsigned level)
{
	for (; level + 1 < m->height; level++)
		if (!refresh(as_inner(path->step[level + 1].node),
			     path->step[level + 1].slot, level))
			return;
}

/* ---- entries of nodes ----------------------------------------------------------- */

/* Copy @n entries; the two places may be in one node and overlap. */
static void leaf_move(struct leaf *to, unsigned to_at, struct leaf *from,
		      unsigned from_at, unsigned n)
{
	memmove(&to->start[to_at], &from->start[from_at], n * sizeof(from->start[0]));
	memmove(&to->last[to_at], &from->last[from_at], n * sizeof(from->last[0]));
	memmove(&to->value[to_at], &from->value[from_at], n * sizeof(from->value[0]));
}

static void inner_move(struct inner *to, unsigned to_at, struct inner *from,
		       unsigned from_at, unsigned n)
{
	memmove(&to->start[to_at], &from->start[from_at], n * sizeof(from->start[0]));
	memmove(&to->last[to_at], &from->last[from_at], n * sizeof(from->last[0]));
	memmove(&to->gap[to_at], &from->gap[from_at], n * sizeof(from->gap[0]));
	memmove(&to->child[to_at], &from->child[from_at], n * sizeof(from->child[0]));
}

static void node_move(unsigned level, struct range_node *to, unsigned to_at,
		      struct range_node *from, unsigned from_at, unsigned n)
{
	if (level == 0)
		leaf_move(as_leaf(to), to_at, as_leaf(from), from_at, n);
	else
		inner_move(as_inner(to), to_at, as_inner(from), from_at, n);
}

static uint64_t *node_starts(unsigned level, struct range_node *node)
{
	return level == 0 ? as_leaf(node)->start : as_inner(node)->start;
}

/* Keep the first @n entries. */
static void node_cut(unsigned level, struct range_node *node, unsigned n)
{
	uint64_t *start = node_starts(level, node);

	while (node->n > n)
		start[--node->n] = UINT64_MAX;
}

/* Make room for one entry at @at; the node is not full. */
static void node_open(unsigned level, struct range_node *node, unsigned at)
{
	node_move(level, node, at + 1, node, at, node->n - at);
	node->n++;
}

/* Drop the entry at @at. */
static void node_close(unsigned level, struct range_node *node, unsigned at)
{
	node_move(level, node, at, node, at + 1, node->n - 1 - at);
	node_cut(level, node, node->n - 1);
}

static unsigned node_max(unsigned level)
{
	return level == 0 ? LEAF_MAX : INNER_MAX;
}

static unsigned node_fill(unsigned level)
{
	return level == 0 ? LEAF_FILL : INNER_FILL;
}

static unsigned node_min(unsigned level)
{
	return level == 0 ? LEAF_MIN : INNER_MIN;
}

static struct range_node *node_alloc(unsigned level)
{
	struct range_node *node = port_alloc_node(level == 0 ? LEAF_BYTES : INNER_BYTES);

	if (node)
		memset(node_starts(level, node), 0xff,
		       node_max(level) * sizeof(uint64_t));
	return node;
}

static void node_free(unsigned level, struct range_node *node)
{
	port_free_node(node, level == 0 ? LEAF_BYTES : INNER_BYTES);
}

static void link_after(struct leaf *l, struct leaf *new)
{
	new->prev = l;
	new->next = l->next;
	if (l->next)
		l->next->prev = new;
	l->next = new;
}

static void unlink_leaf(struct leaf *l)
{
	if (l->prev)
		l->prev->next = l->next;
	if (l->next)
		l->next->prev = l->prev;
}

/* ---- lookup ---------------------------------------------------------------------- */

/* The leaf that @key belongs to; the map is not empty. */
static struct leaf *find_leaf(const struct range_map *m, uint64_t key)
{
	struct range_node *node = m->root;

	for (unsigned level = m->height - 1; level > 0; level--) {
		struct inner *in = as_inner(node);

		node = in->child[descend(in, key)];
	}
	return as_leaf(node);
}

void range_map_prefetch(const struct range_map *m, uint64_t key)
{
	if (m->root)
		prefetch_node(&find_leaf(m, key)->node);
}

/* As find_leaf(), and note the way; the leaf's slot is the number of starts <= @key. */
static struct leaf *find_path(const struct range_map *m, uint64_t key, struct path *path)
{
	struct range_node *node = m->root;

	for (unsigned level = m->height - 1; level > 0; level--) {
		struct inner *in = as_inner(node);
		unsigned slot = descend(in, key);

		path->step[level].node = node;
		path->step[level].slot = slot;
		node = in->child[slot];
	}
	path->step[0].node = node;
	path->step[0].slot = leaf_count_le(as_leaf(node), key);
	return as_leaf(node);
}

/* What is at (leaf, slot), if it begins by @last. A slot may be one past the end. */
static bool iter_at(struct range_iter *it, struct leaf *l, unsigned slot,
		    struct range *out)
{
	if (slot == l->node.n) {
		l = l->next;
		slot = 0;
		if (!l)
			return false;
		if (l->next)
			__builtin_prefetch(l->next);
	}
	if (l->start[slot] > it->last)
		return false;
	it->leaf = &l->node;
	it->slot = slot;
	*out = (struct range){l->start[slot], l->last[slot], l->value[slot]};
	return true;
}

bool range_iter_first(struct range_iter *it, const struct range_map *m, uint64_t start,
		      uint64_t last, struct range *out)
{
	struct leaf *l;
	unsigned slot;

	*it = (struct range_iter){.map = m, .last = last};
	if (!m->root || start > last)
		return false;
	l = find_leaf(m, start);
	slot = leaf_count_le(l, start);
	if (slot > 0 && l->last[slot - 1] >= start)
		slot--;
	return iter_at(it, l, slot, out);
}

bool range_iter_next(struct range_iter *it, struct range *out)
{
	struct leaf *l;

	if (!it->leaf)
		return false;
	l = as_leaf(it->leaf);
	/* Do not fetch the next leaf to find that out. */
	if (l->last[it->slot] >= it->last)
		return false;
	return iter_at(it, l, it->slot + 1, out);
}

bool range_map_first(const struct range_map *m, uint64_t start, uint64_t last,
		     struct range *out)
{
	struct range_iter it;

	return range_iter_first(&it, m, start, last, out);
}

/* ---- insert ---------------------------------------------------------------------- */

/* Does [start, last] touch a range? @path leads to where @start belongs. */
static bool overlaps(const struct range_map *m, const struct path *path, uint64_t start,
		     uint64_t last)
{
	const struct leaf *l = as_leaf(path->step[0].node);
	unsigned slot = path->step[0].slot;

	if (slot > 0 && l->last[slot - 1] >= start)
		return true;
	if (slot < l->node.n)
		return l->start[slot] <= last;
	/* The next leaf's bounds are in the lowest ancestor that has a next child. */
	for (unsigned level = 1; level < m->height; level++) {
		const struct inner *in = as_inner(path->step[level].node);

		if (path->step[level].slot + 1 < in->node.n)
			return in->start[path->step[level].slot + 1] <= last;
	}
	return false;
}

/*
 * How many nodes have to split, from the leaf up, for one more range. Equal to the
 * height: the root splits too, and there will be a new one above it.
 */
static unsigned count_splits(const struct range_map *m, const struct path *path)
{
	unsigned level = 0;

	while (level < m->height && path->step[level].node->n == node_max(level))
		level++;
	return level;
}

/* The new nodes for an insert, by level; all or none. */
static int alloc_splits(const struct range_map *m, unsigned splits,
			struct range_node **fresh)
{
	unsigned n = splits == m->height ? splits + 1 : splits;

	for (unsigned level = 0; level < n; level++) {
		fresh[level] = node_alloc(level);
		if (fresh[level])
			continue;
		while (level-- > 0)
			node_free(level, fresh[level]);
		return -ENOMEM;
	}
	return 0;
}

/*
 * Open a place for one entry at @at of the full @node, moving its upper part into the
 * empty @right: the upper half, or a tenth when @append. Stores which of the two has the
 * place; returns the place.
 */
static unsigned split(unsigned level, struct range_node *node, struct range_node *right,
		      unsigned at, bool append, struct range_node **target)
{
	unsigned keep = append ? node_fill(level) : node->n / 2;

	node_move(level, right, 0, node, keep, node->n - keep);
	right->n = node->n - keep;
	node_cut(level, node, keep);
	if (level == 0)
		link_after(as_leaf(node), as_leaf(right));
	*target = at < keep || (at == keep && !append) ? node : right;
	at -= *target == right ? keep : 0;
	node_open(level, *target, at);
	return at;
}

/* Put a root above the present one. */
static void grow(struct range_map *m, struct path *path, struct range_node *root)
{
	struct inner *in = as_inner(root);

	in->node.n = 1;
	in->child[0] = m->root;
	path->step[m->height].node = root;
	path->step[m->height].slot = 0;
	m->root = root;
	m->height++;
}

/* Is the node of @path at @level the last of its level? */
static bool on_right_edge(const struct range_map *m, const struct path *path,
			  unsigned level)
{
	while (++level < m->height)
		if (path->step[level].slot + 1 < path->step[level].node->n)
			return false;
	return true;
}

/* Fill the place @at, just opened: @r in a leaf, @child in an inner node. */
static void fill(unsigned level, struct range_node *node, unsigned at,
		 const struct range *r, struct range_node *child)
{
	if (level == 0) {
		as_leaf(node)->start[at] = r->start;
		as_leaf(node)->last[at] = r->last;
		as_leaf(node)->value[at] = r->value;
		return;
	}
	as_inner(node)->child[at] = child;
	refresh(as_inner(node), at, level - 1);
}

/* Put @r where @path leads. @fresh holds the @splits nodes (and root) this takes. */
static void insert_at(struct range_map *m, struct path *path, const struct range *r,
		      struct range_node **fresh, unsigned splits)
{
	struct range_node *child = NULL;
	unsigned at = path->step[0].slot;
	unsigned level;

	for (level = 0; level < splits; level++) {
		struct range_node *node = path->step[level].node, *target;
		bool append = at == node->n && on_right_edge(m, path, level);

		at = split(level, node, fresh[level], at, append, &target);
		fill(level, target, at, r, child);
		child = fresh[level];
		if (level + 1 == m->height)
			grow(m, path, fresh[level + 1]);
		refresh(as_inner(path->step[level + 1].node), path->step[level + 1].slot,
			level);
		at = path->step[level + 1].slot + 1;
	}
	node_open(level, path->step[level].node, at);
	fill(level, path->step[level].node, at, r, child);
	refresh_up(m, path, level);
}

static int insert_root(struct range_map *m, const struct range *r)
{
	struct range_node *root = node_alloc(0);

	if (!root)
		return -ENOMEM;
	root->n = 1;
	fill(0, root, 0, r, NULL);
	m->root = root;
	m->height = 1;
	m->count = 1;
	return 0;
}

int range_map_insert(struct range_map *m, uint64_t start, uint64_t last, void *value)
{
	struct range r = {start, last, value};
	struct range_node *fresh[MAX_HEIGHT];
	struct path path;
	unsigned splits;
	int rc;

	if (start > last || !value)
		return -EINVAL;
	if (!m->root)
		return insert_root(m, &r);
	find_path(m, start, &path);
	if (overlaps(m, &path, start, last))
		return -EEXIST;
	splits = count_splits(m, &path);
	rc = alloc_splits(m, splits, fresh);
	if (rc)
		return rc;
	insert_at(m, &path, &r, fresh, splits);
	m->count++;
	return 0;
}

int range_map_split(struct range_map *m, uint64_t at, void *left, void *right)
{
	struct range_node *fresh[MAX_HEIGHT];
	struct path path;
	unsigned splits, slot;
	struct leaf *l;
	struct range r;
	int rc;

	if (!m->root || !left || !right)
		return -EINVAL;
	l = find_path(m, at, &path);
	slot = path.step[0].slot;
	if (slot == 0 || l->last[slot - 1] <= at)
		return -EINVAL;
	splits = count_splits(m, &path);
	rc = alloc_splits(m, splits, fresh);
	if (rc)
		return rc;
	/* Where @at belongs at + 1 belongs, too: nothing starts in between. */
	r = (struct range){at + 1, l->last[slot - 1], right};
	l->last[slot - 1] = at;
	l->value[slot - 1] = left;
	insert_at(m, &path, &r, fresh, splits);
	m->count++;
	return 0;
}

/* ---- remove ---------------------------------------------------------------------- */

/* Move entries between two neighbours so that @left has @want of them. */
static void even_out(unsigned level, struct range_node *left, struct range_node *right,
		     unsigned want)
{
	unsigned n;

	if (left->n < want) {
		n = want - left->n;
		node_move(level, left, left->n, right, 0, n);
		node_move(level, right, 0, right, n, right->n - n);
		node_cut(level, right, right->n - n);
		left->n = want;
	} else {
		n = left->n - want;
		node_move(level, right, n, right, 0, right->n);
		node_move(level, right, 0, left, want, n);
		right->n += n;
		node_cut(level, left, want);
	}
}

/* Free the empty child @slot, itself at @level, and forget it. */
static void drop_child(struct inner *parent, unsigned slot, unsigned level)
{
	struct range_node *child = parent->child[slot];

	if (level == 0)
		unlink_leaf(as_leaf(child));
	node_free(level, child);
	node_close(level + 1, &parent->node, slot);
}

/*
 * Child @slot of @parent, at @level, has too few entries: merge it with a sibling, or
 * share with it if the two would nearly fill one node, which would soon split again.
 */
static void mend(struct inner *parent, unsigned slot, unsigned level)
{
	struct range_node *left, *right;
	unsigned sum;

	if (parent->child[slot]->n == 0) {
		drop_child(parent, slot, level);
		return;
	}
	/* Alone on the right edge: nobody to share with, and it may stay thin there. */
	if (parent->node.n == 1) {
		refresh(parent, slot, level);
		return;
	}
	if (slot > 0)
		slot--;
	left = parent->child[slot];
	right = parent->child[slot + 1];
	sum = left->n + right->n;
	if (sum <= node_max(level) * 3 / 4) {
		even_out(level, left, right, sum);
		drop_child(parent, slot + 1, level);
	} else {
		even_out(level, left, right, sum / 2);
		refresh(parent, slot + 1, level);
	}
	refresh(parent, slot, level);
}

/* Take away roots that have one child or none. */
static void shrink(struct range_map *m)
{
	while (m->root->n <= (m->height > 1 ? 1u : 0u)) {
		struct range_node *root = m->root;

		m->root = m->height > 1 ? as_inner(root)->child[0] : NULL;
		m->height--;
		node_free(m->height, root);
		if (!m->root)
			return;
	}
}

void *range_map_remove(struct range_map *m, uint64_t start)
{
	struct path path;
	struct leaf *l;
	unsigned slot, level;
	void *value;

	if (!m->root)
		return NULL;
	l = find_path(m, start, &path);
	slot = path.step[0].slot;
	if (slot == 0 || l->start[slot - 1] != start)
		return NULL;
	value = l->value[slot - 1];
	node_close(0, &l->node, slot - 1);
	for (level = 0; level + 1 < m->height; level++) {
		if (path.step[level].node->n >= node_min(level))
			break;
		mend(as_inner(path.step[level + 1].node), path.step[level + 1].slot,
		     level);
	}
	refresh_up(m, &path, level);
	shrink(m);
	m->count--;
	return value;
}

/* ---- gap search ------------------------------------------------------------------ */

struct gap_query {
	uint64_t lo, last; /* where to look, inclusive */
	uint64_t length, align, offset;
	uint64_t start; /* the answer */
};

/* Does it fit between two ranges, where all of [lo, last] is free? */
static bool fits(struct gap_query *q, uint64_t lo, uint64_t last)
{
	uint64_t start;

	lo = max_u64(lo, q->lo);
	last = min_u64(last, q->last);
	if (lo > last)
		return false;
	start = lo + ((q->offset - lo) & (q->align - 1));
	if (start < lo || start > last || last - start < q->length - 1)
		return false;
	q->start = start;
	return true;
}

/* Between two neighbours, the upper of which ends at @below and begins at @above. */
static bool fits_between(struct gap_query *q, uint64_t below, uint64_t above)
{
	return above - below - 1 >= q->length && fits(q, below + 1, above - 1);
}

static bool leaf_gap(struct gap_query *q, const struct leaf *l)
{
	for (unsigned i = 0; i + 1 < l->node.n && l->last[i] < q->last; i++)
		if (fits_between(q, l->last[i], l->start[i + 1]))
			return true;
	return false;
}

/*
 * The gaps strictly inside @node. Only children that touch [lo, last] and have a gap
 * that is long enough are entered; of those at most two (where lo and last are) can
 * disappoint a search without alignment.
 */
static bool node_gap(struct gap_query *q, struct range_node *node, unsigned level)
{
	const struct inner *in;

	if (level == 0)
		return leaf_gap(q, as_leaf(node));
	in = as_inner(node);
	for (unsigned i = child_slot(in, q->lo); i < in->node.n; i++) {
		if (in->start[i] > q->last)
			return false;
		if (in->gap[i] >= q->length && in->last[i] > q->lo &&
		    node_gap(q, in->child[i], level - 1))
			return true;
		if (i + 1 < in->node.n && fits_between(q, in->last[i], in->start[i + 1]))
			return true;
	}
	return false;
}

/* First start and last last of a map that is not empty. */
static void bounds(const struct range_map *m, uint64_t *start, uint64_t *last)
{
	if (m->height == 1) {
		*start = as_leaf(m->root)->start[0];
		*last = as_leaf(m->root)->last[m->root->n - 1];
	} else {
		*start = as_inner(m->root)->start[0];
		*last = as_inner(m->root)->last[m->root->n - 1];
	}
}

bool range_map_find_gap(const struct range_map *m, uint64_t lo, uint64_t last,
			uint64_t length, uint64_t align, uint64_t offset, uint64_t *start)
{
	struct gap_query q = {lo, last, length, align, offset, 0};
	uint64_t min = 0, max = 0;
	bool found;

	if (lo > last || length == 0)
		return false;
	if (!m->root) {
		found = fits(&q, lo, last);
	} else {
		bounds(m, &min, &max);
		found = (min > 0 && fits(&q, 0, min - 1)) ||
			node_gap(&q, m->root, m->height - 1) ||
			(max < UINT64_MAX && fits(&q, max + 1, UINT64_MAX));
	}
	if (found)
		*start = q.start;
	return found;
}

/* ---- life ------------------------------------------------------------------------ */

void range_map_init(struct range_map *m)
{
	*m = (struct range_map){0};
}

static void free_tree(struct range_node *node, unsigned level)
{
	if (level > 0)
		for (unsigned i = 0; i < node->n; i++)
			free_tree(as_inner(node)->child[i], level - 1);
	node_free(level, node);
}

void range_map_finish(struct range_map *m)
{
	if (m->root)
		free_tree(m->root, m->height - 1);
	range_map_init(m);
}
