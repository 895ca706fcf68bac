/* SPDX-License-Identifier: MIT */
/* What the generator makes calls of: random numbers, names of what there is, ranges. */
#ifndef TESTS_MODEL_GEN_PICK_H
#define TESTS_MODEL_GEN_PICK_H

#include "tests/model/gen.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* Sets of types of objects, and of kinds of memory. */
#define T(type)       (1u << (type))
#define MEMORY_ANY    ~0u
#define MEMORY_PINNED (1u << MEMORY_CLIENT | 1u << MEMORY_FILE)

uint64_t rnd(struct gen *g);
uint64_t below(struct gen *g, uint64_t n);
bool chance(struct gen *g, unsigned one_in);
struct ref_ctx *pick_ctx(struct gen *g, struct op *op);
bool is_type(const struct ref_obj *o, unsigned types);
bool is_low(uint64_t slot);
uint64_t pick_slot(struct gen *g, struct ref_ctx *ctx, unsigned types);
uint64_t pick_ioas(struct gen *g, struct ref_ctx *ctx, bool low);
uint64_t pick_full(struct gen *g, struct ref_ctx *ctx);
uint64_t pick_tracker(struct gen *g, struct ref_ctx *ctx);
uint64_t free_slot(struct gen *g);
struct ref_ioas *ioas_in(struct gen *g, struct ref_ctx *ctx, uint64_t slot);
struct ref_ioas *ioas_behind(struct gen *g, struct ref_ctx *ctx, uint64_t slot);
uint64_t pick_buf(struct gen *g);
uint64_t pick_dev(struct gen *g);
unsigned pick_master(struct gen *g);
const struct ref_ioas *ioas_of_dev(const struct ref_dev *d);
uint64_t odd_number(struct gen *g);
uint64_t crumb(struct gen *g);
uint64_t low_iova(struct gen *g);
uint64_t some_iova(struct gen *g);
uint64_t some_length(struct gen *g);
const struct ref_area *some_area(struct gen *g, const struct ref_ioas *ioas,
				 unsigned kinds);
void some_range(struct gen *g, const struct ref_ioas *ioas, unsigned kinds,
		uint64_t *iova, uint64_t *length);
uint64_t map_iova(struct gen *g, const struct ref_ioas *ioas, uint64_t slot);
uint64_t map_flags(struct gen *g);

#endif
