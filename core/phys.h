/* SPDX-License-Identifier: MIT */
/*
 * The simulated system physical address space.
 *
 * An SPA is 52 bits wide (VT-d's widest host address width). The space is a set of
 * windows, each a contiguous piece of memory of one origin: a client's file, 1 TiB of
 * a client's private address space, a device's BAR. A window starts on a 1 GiB
 * boundary, so that offsets inside it keep their alignment and large pages fit.
 *
 * The user of a window embeds struct phys_window, fills in the public members and adds
 * it; the space gives it a base. A window is either
 *  - direct: @host points at @length bytes mapped in our process, or
 *  - remote: @host is NULL and every access goes through @ops, which may block.
 *
 * phys_find() is lock-free and is called by device threads inside a DMA section.
 * phys_remove() therefore waits for a grace period, and its caller guarantees that no
 * page table refers to the window any more. Adding and removing take the space's lock,
 * which is a leaf but for the allocator.
 */
#ifndef CORE_PHYS_H
#define CORE_PHYS_H

#include "core/port.h"

#define PHYS_SPA_BITS      52
#define PHYS_GRANULE_SHIFT 30

enum phys_kind {
	PHYS_RAM,
	PHYS_MMIO,
};

struct phys_window;

/* Access to a remote window. @offset and @n stay inside the window. 0 or -errno. */
struct phys_window_ops {
	int (*read)(struct phys_window *w, uint64_t offset, void *dst, size_t n);
	int (*write)(struct phys_window *w, uint64_t offset, const void *src, size_t n);
};

struct phys_window {
	/* Set by the user before phys_add(), constant afterwards. */
	uint64_t length; /* bytes, > 0, a multiple of PORT_PAGE_SIZE */
	enum phys_kind kind;
	void *host;                        /* direct: first byte; remote: NULL */
	const struct phys_window_ops *ops; /* remote only */
	/* Set by phys_add(). */
	uint64_t base; /* SPA of the first byte, a multiple of 1 GiB */
};

struct phys;

int phys_create(struct phys **out);
/* All windows have been removed. Takes NULL. */
void phys_destroy(struct phys *phys);

/* -ENOMEM (memory or address space), -EINVAL (a bad window). */
int phys_add(struct phys *phys, struct phys_window *w);
/* Cannot fail. When it returns no DMA section can find @w. */
void phys_remove(struct phys *phys, struct phys_window *w);

/* The window that holds @spa (checked against its length), or NULL. Lock-free. */
struct phys_window *phys_find(const struct phys *phys, uint64_t spa);

/* ---- runs ------------------------------------------------------------------- */

/*
 * A run is a contiguous piece of one window: what `pages` hands to a domain. A run
 * never crosses a window.
 */
struct run {
	uint64_t spa;
	uint64_t length; /* bytes, > 0 */
	bool mmio;
};

/* A growable array of runs; {0} is an empty one. */
struct run_list {
	struct run *v;
	size_t n, cap;
};

/* Appends; joins with the last run where contiguous, alike and in one window's reach
 * (@may_join). -ENOMEM leaves the list as it was. */
int run_list_add(struct run_list *l, struct run run, bool may_join);
void run_list_finish(struct run_list *l);

#endif
