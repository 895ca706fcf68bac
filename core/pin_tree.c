/* SPDX-License-Identifier: MIT */
/*
 * A treap ordered by (start, length), each node knowing the furthest byte of its subtree.
 * Priorities are a hash of the node's address, which costs no memory and which a client
 * does not choose.
 */
#include "core/pin_tree.h"

static uint64_t priority(const struct pin *pin)
{
	uint64_t x = (uint64_t)(uintptr_t)pin * 0x9e3779b97f4a7c15u;

	return x ^ x >> 29;
}

static bool key_less(const struct pin *pin, uint64_t start, uint64_t length)
{
	return pin->start < start || (pin->start == start && pin->length < length);
}

static void refresh(struct pin *pin)
{
	pin->reach = pin_last(pin);
	if (pin->left)
		pin->reach = max_u64(pin->reach, pin->left->reach);
	if (pin->right)
		pin->reach = max_u64(pin->reach, pin->right->reach);
}

/* ---- change ------------------------------------------------------------------------ */

/* Into what is less than @key and what is not. */
static void split(struct pin *t, const struct pin *key, struct pin **less,
		  struct pin **rest)
{
	if (!t) {
		*less = *rest = NULL;
	} else if (key_less(t, key->start, key->length)) {
		*less = t;
		split(t->right, key, &t->right, rest);
		refresh(t);
	} else {
		*rest = t;
		split(t->left, key, less, &t->left);
		refresh(t);
	}
}

/* All of @a is less than all of @b. */
static struct pin *merge(struct pin *a, struct pin *b)
{
	if (!a || !b)
		return a ? a : b;
	if (priority(a) > priority(b)) {
		a->right = merge(a->right, b);
		refresh(a);
		return a;
	}
	b->left = merge(a, b->left);
	refresh(b);
	return b;
}

static struct pin *insert(struct pin *t, struct pin *pin)
{
	if (!t || priority(pin) > priority(t)) {
		split(t, pin, &pin->left, &pin->right);
		refresh(pin);
		return pin;
	}
	if (key_less(t, pin->start, pin->length))
		t->right = insert(t->right, pin);
	else
		t->left = insert(t->left, pin);
	refresh(t);
	return t;
}

static struct pin *remove(struct pin *t, struct pin *pin)
{
	if (PORT_BUG_ON(!t))
		return NULL;
	if (t == pin)
		return merge(t->left, t->right);
	if (key_less(t, pin->start, pin->length))
		t->right = remove(t->right, pin);
	else
		t->left = remove(t->left, pin);
	refresh(t);
	return t;
}

void pin_tree_insert(struct pin **root, struct pin *pin)
{
	*root = insert(*root, pin);
}

void pin_tree_remove(struct pin **root, struct pin *pin)
{
	*root = remove(*root, pin);
	pin->left = pin->right = NULL;
}

/* ---- look -------------------------------------------------------------------------- */

struct pin *pin_tree_find(struct pin *root, uint64_t start, uint64_t length)
{
	while (root && (root->start != start || root->length != length))
		root = key_less(root, start, length) ? root->right : root->left;
	return root;
}

/* Of the pins that start by @start, one with the furthest last byte. */
struct pin *pin_tree_cover(struct pin *root, uint64_t start, uint64_t length)
{
	uint64_t last = start + (length - 1);

	while (root && root->reach >= last) {
		/* All of the left subtree starts no later than this pin. */
		if (root->start <= start && pin_last(root) >= last)
			return root;
		if (root->left && root->left->reach >= last) {
			struct pin *found = pin_tree_cover(root->left, start, length);

			if (found)
				return found;
		}
		if (root->start > start)
			return NULL;
		root = root->right;
	}
	return NULL;
}

struct sweep {
	uint64_t next, last; /* pages still to be looked at */
	uint64_t uncovered;
};

static uint64_t page_of(uint64_t byte)
{
	return byte / PORT_PAGE_SIZE;
}

static void sweep(const struct pin *t, struct sweep *s)
{
	while (t && s->next <= s->last && page_of(t->reach) >= s->next) {
		uint64_t first = page_of(t->start);

		sweep(t->left, s);
		if (first > s->last)
			return;
		if (first > s->next) {
			s->uncovered += first - s->next;
			s->next = first;
		}
		s->next = max_u64(s->next, page_of(pin_last(t)) + 1);
		t = t->right;
	}
}

uint64_t pin_tree_uncovered(const struct pin *root, uint64_t start, uint64_t length)
{
	struct sweep s = {.next = page_of(start), .last = page_of(start + (length - 1))};

	sweep(root, &s);
	return s.next <= s.last ? s.uncovered + (s.last - s.next + 1) : s.uncovered;
}
