/* SPDX-License-Identifier: MIT */
/*
 * What tests of the IOAS map: a fake memory source and a fake dma-buf exporter, whose
 * bytes have known SPAs. There are no windows; tests look translations up.
 */
#ifndef TESTS_CORE_IOAS_FIXTURE_H
#define TESTS_CORE_IOAS_FIXTURE_H

#include "core/ioas.h"

#define PAGE ((uint64_t)4096)

/* Counts over all fakes; all must be 0 in the end. */
struct fake_counts {
	long sources, pins, buffers;
};
extern struct fake_counts fakes;

struct fake_memory {
	uint64_t spa;      /* of its first byte; the offset in the page is address' */
	uint64_t address;  /* VA or file offset of that byte */
	uint64_t run;      /* runs end at multiples of this SPA; 0: one run */
	uint64_t bad_from; /* pins that reach this offset fail ... */
	int bad_errno;     /* ... with this; 0: none fails */
	bool is_file;
};
/* NULL: no memory. */
struct mem_source *fake_source(const struct fake_memory *m);

/* A buffer of @n ranges of @range bytes each; range i starts at spa + i * stride. */
struct fake_buffer {
	uint64_t spa, range, stride;
	unsigned n;
	unsigned interconnects, contracts; /* 0: phys, revocable */
	int map_errno;
};
int fake_buffer(const struct fake_buffer *b, bool revoked, struct dmabuf **out);

/* A VT-d second-stage domain of 4 KiB pages only, or of all sizes. */
struct domain *fake_domain(bool all_sizes);

/* SPA and permissions of @iova in @d; UINT64_MAX: not mapped. */
uint64_t spa_at(struct domain *d, uint64_t iova, unsigned *prot);

/* Pages of fake memory, or of a buffer; asserts success. */
struct pages *fake_pages(uint64_t spa, uint64_t length);
struct pages *buffer_pages(struct dmabuf *buf, uint64_t start, uint64_t length);

/* Setup of each test: what an earlier one left over after it failed does not count. */
int fixture_setup(void **state);
/* Nothing is left over from the test, and no invariant was broken. */
void assert_clean(void);

#endif
