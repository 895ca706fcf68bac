/* SPDX-License-Identifier: MIT */
/*
 * What tests of domains and DMA share: windows of each kind over plain memory, and an
 * IOMMU-less machine of one domain, one requester and one channel.
 */
#ifndef TESTS_CORE_DMA_WORLD_H
#define TESTS_CORE_DMA_WORLD_H

#include "core/dma.h"

#define K ((uint64_t)1024)
#define M (K * K)
#define G (K * M)

enum window_type {
	WINDOW_RAM,         /* a shared mapping of a memory file, 2 MiB-aligned */
	WINDOW_MMIO,        /* the same, device memory */
	WINDOW_REMOTE,      /* RAM of another process, as it were */
	WINDOW_REMOTE_MMIO, /* registers */
	WINDOW_TYPES,
};

struct test_window {
	struct phys_window w;
	unsigned char *mem; /* the bytes, also of a remote window */
	int fd;
	/* Remote: accesses that reach this offset or one behind it fail. */
	uint64_t bad_from;
	_Atomic unsigned calls;
	/* Called in each remote access, if set. */
	void (*in_access)(struct test_window *t);
	void *arg;
};

void window_init(struct test_window *t, struct phys *phys, enum window_type type,
		 uint64_t length);
void window_finish(struct test_window *t, struct phys *phys);
/* Cut the window's file down to @length. */
void window_truncate(struct test_window *t, uint64_t length);

struct dma_world {
	struct phys *phys;
	struct domain *d;
	struct dma_requester r;
	struct dma_channel ch;
};

/* Attached, and a bus master. */
void world_init(struct dma_world *w);
void world_finish(struct dma_world *w);

/* One run; 0 or the error of domain_map(). */
int map(struct domain *d, uint64_t iova, const struct test_window *t, uint64_t offset,
	uint64_t length, unsigned prot);
/* Unmap, and wait. */
void unmap(struct domain *d, uint64_t iova, uint64_t length);

#endif
