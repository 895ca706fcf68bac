/* SPDX-License-Identifier: MIT */
/*
 * Accesses: users of an IOAS that are not domains. They pin ranges and read and write.
 *
 * A pin is counted in each area that it touches and in the pages behind it, by exact
 * range (core/pin_tree.h); it neither needs a domain nor minds one coming or going. While
 * an area has pins it is not unmapped: the unmap asks all accesses to let go, without a
 * lock, and comes back (core/ioas_unmap.c). With @lock a pin is one that cannot be asked:
 * an unmap is -EBUSY until it goes by itself.
 *
 * Locks: pins take ioas.iova for reading, then pages.lock; being asked, none. Adding and
 * removing takes both outer locks for writing and does not wait for callbacks: @get says
 * whether the access is there to stay until @put, and it is called with a lock held, so
 * it takes only a leaf.
 */
#ifndef CORE_ACCESS_H
#define CORE_ACCESS_H

#include "core/ioas.h"

struct ioas_access;
struct ioas_access_ops {
	/* Keep it until put(); false: it is going away, so do not ask it. */
	bool (*get)(struct ioas_access *a);
	/*
	 * [iova, iova + length - 1] is going away; what this access has pinned there is
	 * unpinned when it returns. Called on the unmapper's thread, several at a time.
	 */
	void (*unmap)(struct ioas_access *a, uint64_t iova, uint64_t length);
	void (*put)(struct ioas_access *a);
};

/* The tie between an access and one IOAS; embedded in what the user has. */
struct ioas_access {
	const struct ioas_access_ops *ops; /* NULL: pins with @lock only */
	uint64_t alignment;                /* 1 or PORT_PAGE_SIZE: of all areas */
	/* The IOAS's. */
	struct list on_ioas;
	uint64_t serial;
};

/* -EADDRINUSE: an area is not aligned so. */
int ioas_add_access(struct ioas *ioas, struct ioas_access *a);
/* All its pins are gone. Calls of unmap() on other threads may not have ended. */
void ioas_remove_access(struct ioas *ioas, struct ioas_access *a);

/*
 * Pin the whole pages under [iova, iova + length - 1] and append their runs, area by
 * area. @prot: IOAS_READ or IOAS_WRITE. By areas in order, the first check wins: a hole
 * -ENOENT; being unmapped -EINVAL; an area but the first that begins, or but the last
 * that ends, inside a page, or an unaligned start -EINVAL; permission -EPERM; a dma-buf
 * -EINVAL; then what resolving answers, and -ENOMEM. On failure nothing is pinned.
 */
int ioas_pin(struct ioas *ioas, uint64_t iova, uint64_t length, unsigned prot, bool lock,
	     struct run_list *runs);
/* A range that was pinned, exactly, with the same @lock. */
void ioas_unpin(struct ioas *ioas, uint64_t iova, uint64_t length, bool lock);

/*
 * Copy between [iova, iova + length - 1] and @data, any alignment. Errors as for pins.
 * What no domain and no pin holds is resolved for the moment, uncounted.
 */
int ioas_rw(struct ioas *ioas, struct phys *phys, uint64_t iova, void *data,
	    uint64_t length, bool write);

#endif
