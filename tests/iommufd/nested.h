/* SPDX-License-Identifier: MIT */
/* A guest over a VT-d parent: its memory, tables in it, and the calls for nested hwpts.
 */
#ifndef TESTS_IOMMUFD_NESTED_H
#define TESTS_IOMMUFD_NESTED_H

#include "fixture.h"

#define GUEST_BYTES ((uint64_t)8 << 20)
#define GUEST_ROOT  ((uint64_t)4 << 20) /* GPA of the top table; others follow */
#define GUEST_RW    ((uint64_t)7)       /* P, RW, US */

/* A device behind a unit with nesting, an IOAS that is the guest's memory from 0 on. */
struct guest {
	struct fixture *fx;
	struct fake_device d;
	uint32_t ioas, parent;
	int fd;
	unsigned char *mem;
	uint64_t next_table;
};

void guest_begin(struct guest *g, struct fixture *fx,
		 const struct iommufd_unit_config *unit); /* NULL: nesting, no more */
void guest_end(struct guest *g);
/* In the guest's tables: a page of 4 KiB. */
void guest_map(struct guest *g, uint64_t iova, uint64_t gpa, uint64_t bits);

struct nest_args {
	uint32_t flags, pt; /* 0: the parent */
	uint32_t type, len; /* 0: as they should be */
	uint64_t s1_flags;
	uint32_t width; /* 0: 48 */
	uint32_t fault;
};
long nest(struct guest *g, struct nest_args a, uint32_t *id);
/* Everything: npages UINT64_MAX. */
long guest_invalidate(struct guest *g, uint32_t hwpt);

#endif
