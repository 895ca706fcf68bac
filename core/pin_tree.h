/* SPDX-License-Identifier: MIT */
/*
 * The pins of one pages object: an interval tree, so that finding a pin, and counting
 * the pages that a pin alone holds, is fast however many accesses pin however little.
 *
 * A pin is one resolved range of the memory and how many areas and accesses use just
 * that range. Pins overlap freely. A page counts as pinned once, however many pins touch
 * it; a page that a pin covers in part is pinned whole. So what a pin adds is what
 * pin_tree_uncovered() says before it goes in, and again after it has come out.
 *
 * Nothing here allocates. pages.lock guards all of it.
 */
#ifndef CORE_PIN_TREE_H
#define CORE_PIN_TREE_H

#include "core/phys.h"

struct pin {
	struct pin *left, *right;
	uint64_t reach;         /* the highest last byte in this subtree */
	uint64_t start, length; /* bytes of the pages; the key */
	size_t users;           /* 0: this pin is free, and in no tree */
	struct run_list runs;   /* of exactly those bytes */
	struct run single;      /* what runs.v points at when there is but one */
};

static inline uint64_t pin_last(const struct pin *pin)
{
	return pin->start + (pin->length - 1);
}

/* The pin of exactly this range, or NULL. */
struct pin *pin_tree_find(struct pin *root, uint64_t start, uint64_t length);
/* A pin that covers the range, or NULL. */
struct pin *pin_tree_cover(struct pin *root, uint64_t start, uint64_t length);
/* @pin's range is set, and no pin of the tree has the same. */
void pin_tree_insert(struct pin **root, struct pin *pin);
void pin_tree_remove(struct pin **root, struct pin *pin);
/* How many of the pages that [start, start + length) touches does no pin touch? */
uint64_t pin_tree_uncovered(const struct pin *root, uint64_t start, uint64_t length);

#endif
