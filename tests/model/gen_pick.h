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

/* ---- random numbers ---------------------------------------------------------- */

uint64_t rnd(struct gen *g);
uint64_t below(struct gen *g, uint64_t n);
bool chance(struct gen *g, unsigned one_in);

/* ---- what there is ----------------------------------------------------------- */

/* The context of a call; NULL: it names none that is open. */
struct ref_ctx *pick_ctx(struct gen *g, struct op *op);
bool is_type(const struct ref_obj *o, unsigned types);
/*
 * Address spaces in odd slots are mostly for mock devices: with areas where those of them
 * can translate. The others are mostly for the machine's devices.
 */
bool is_low(uint64_t slot);
/* A slot with an object of one of the types; now and then any. */
uint64_t pick_slot(struct gen *g, struct ref_ctx *ctx, unsigned types);
uint64_t pick_ioas(struct gen *g, struct ref_ctx *ctx, bool low);
/* An address space with something in it, if there is one. */
uint64_t pick_full(struct gen *g, struct ref_ctx *ctx);
/* A page table that tracks dirty pages, if there is one. */
uint64_t pick_tracker(struct gen *g, struct ref_ctx *ctx);
/* For what is made: one whose object is gone, if there is one. */
uint64_t free_slot(struct gen *g);
struct ref_ioas *ioas_in(struct gen *g, struct ref_ctx *ctx, uint64_t slot);
/* The address space that a page table shows. */
struct ref_ioas *ioas_behind(struct gen *g, struct ref_ctx *ctx, uint64_t slot);
uint64_t pick_buf(struct gen *g);
/* An open that is bound, if one is. */
uint64_t pick_dev(struct gen *g);
/* A device that can do DMA, if one can. */
unsigned pick_master(struct gen *g);
const struct ref_ioas *ioas_of_dev(const struct ref_dev *d);

/* ---- numbers ----------------------------------------------------------------- */

uint64_t odd_number(struct gen *g);
/* Small offsets that are no multiple of a page. */
uint64_t crumb(struct gen *g);
/* Where the mock's page tables begin, most often. */
uint64_t low_iova(struct gen *g);
uint64_t some_iova(struct gen *g);
uint64_t some_length(struct gen *g);
/* One of such memory, if it is soon found. */
const struct ref_area *some_area(struct gen *g, const struct ref_ioas *ioas,
				 unsigned kinds);
/* A range that has to do with areas, most often. */
void some_range(struct gen *g, const struct ref_ioas *ioas, unsigned kinds,
		uint64_t *iova, uint64_t *length);
/* Where a map may go: often beside an area. */
uint64_t map_iova(struct gen *g, const struct ref_ioas *ioas, uint64_t slot);
uint64_t map_flags(struct gen *g);

#endif
