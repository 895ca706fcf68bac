/* SPDX-License-Identifier: MIT */
/*
 * The generator: one call after the other, chosen by random numbers and by what the
 * reference knows. It looks at nothing else, so a seed makes the same script wherever it
 * runs, also without a machine.
 *
 * Most calls are such as can succeed: they name what there is, and IOVAs near areas. Some
 * name something else, and some have words in them that no program would use.
 */
#ifndef TESTS_MODEL_GEN_H
#define TESTS_MODEL_GEN_H

#include "tests/model/ref.h"

struct gen {
	uint64_t state;
	struct ref *ref;
	size_t calls; /* so far */
};

void gen_start(struct gen *g, uint64_t seed, struct ref *ref);
void gen_next(struct gen *g, struct op *op);

#endif
