/* SPDX-License-Identifier: MIT */
/*
 * Accesses: users of an IOAS that are neither a device nor a page table, but code of
 * ours (a mediated device, the selftest). An access is an object of a context with an
 * id; the code that made it is its one user, so IOMMU_DESTROY answers -EBUSY.
 *
 * An access is attached to at most one IOAS at a time. Through it its owner
 *  - pins ranges: gets the runs of memory behind them, which stay where they are until
 *    it unpins them, domains or no domains, whatever the client does to its mappings;
 *  - reads and writes any bytes (rw) without pinning.
 * Memory of dma-bufs can be had neither way (-EINVAL).
 *
 * Unmap. When IOVAs that are pinned are unmapped, unmap() of every access of the IOAS is
 * called, with no lock of ours held. When it returns, this access has unpinned whatever
 * it had pinned in the range: then the memory goes, else it is called again, and the
 * client's unmap fails with -EDEADLK after 100 rounds. New pins and rw of an area that
 * is being unmapped are -EINVAL. From inside unmap() unpin may be called; attach,
 * replace, detach and destroy of this access may not. It may run on several threads at
 * a time, and as soon as the first pin succeeds, even before that call has returned.
 *
 * Calls on one access may come from any thread; attach, replace, detach and destroy are
 * serialised by the owner against each other.
 */
#ifndef IOMMUFD_ACCESS_H
#define IOMMUFD_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/phys.h"

struct iommufd_access;
struct iommufd_ctx;

struct iommufd_access_ops {
	/*
	 * Will it pin? Then areas of the IOAS must be aligned to pages as long as it is
	 * attached, and @unmap is there. Else only rw is allowed.
	 */
	bool needs_pin_pages;
	/* See above. [iova, iova + length - 1]; all of it is (0, UINT64_MAX). May be
	 * NULL. */
	void (*unmap)(void *data, uint64_t iova, uint64_t length);
};

enum {
	IOMMUFD_ACCESS_READ = 0,
	IOMMUFD_ACCESS_WRITE = 1 << 0,
	/* rw: called by a thread that is not the client's. Both ways are one here. */
	IOMMUFD_ACCESS_KTHREAD = 1 << 1,
	/* rw: for the selftest: not through the client's own mapping. Likewise. */
	IOMMUFD_ACCESS_SLOW_PATH = 1 << 2,
};

/* @ops and @data outlive the access. Holds a reference to the context. -ENOMEM. */
int iommufd_access_create(struct iommufd_ctx *ctx, const struct iommufd_access_ops *ops,
			  void *data, struct iommufd_access **out, uint32_t *id);
/*
 * Detaches if need be (unmap() is called for everything), waits for unmap() calls on
 * other threads; none is made afterwards. Nothing is pinned any more when it returns.
 * Takes NULL.
 */
void iommufd_access_destroy(struct iommufd_access *a);

/*
 * -ENOENT: no such IOAS; -EINVAL: attached already; -EADDRINUSE: an area is not aligned
 * as this access needs it; -ENOMEM; -EBUSY: races with a detach.
 */
int iommufd_access_attach(struct iommufd_access *a, uint32_t ioas_id);
/*
 * To another IOAS (the same: nothing happens); unmap() is called for everything in
 * between, and pins meanwhile are -ENOENT. On failure all is as before. -ENOENT: not
 * attached, or as attach.
 */
int iommufd_access_replace(struct iommufd_access *a, uint32_t ioas_id);
void iommufd_access_detach(struct iommufd_access *a);

/*
 * Pin the whole pages under [iova, iova + length): appends their runs to @runs, page by
 * page in order, the last page whole as far as the memory goes. @flags: READ or WRITE.
 * The range may span areas that touch. First check wins: length 0 -EINVAL, wrap
 * -EOVERFLOW, not attached -ENOENT; by areas in order: a hole -ENOENT (also at the end);
 * being unmapped, or not aligned to pages in memory -EINVAL; permission -EPERM; a dma-buf
 * -EINVAL; memory that cannot be had -EFAULT ...; -ENOMEM. On failure nothing is pinned;
 * @runs may have grown and is the caller's to finish.
 */
int iommufd_access_pin_pages(struct iommufd_access *a, uint64_t iova, uint64_t length,
			     unsigned flags, struct run_list *runs);
/* Exactly a range that was pinned; ranges pinned twice are unpinned twice. */
void iommufd_access_unpin_pages(struct iommufd_access *a, uint64_t iova, uint64_t length);

/*
 * Copy @length bytes between [iova, ...) and @data. Any alignment. Errors as above but
 * for alignment; a part may have been copied when it fails.
 */
int iommufd_access_rw(struct iommufd_access *a, uint64_t iova, void *data, size_t length,
		      unsigned flags);

#endif
