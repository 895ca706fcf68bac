/* SPDX-License-Identifier: MIT */
/*
 * An IO address space: areas in an ordered map of IOVA ranges, reserved and allowed
 * ranges, and the domains that hold a copy of all of it.
 *
 * Locks, outermost first:
 *   ioas.domains  (rw) who is attached: read to map and unmap, write to add or remove
 *                 a domain;
 *   ioas.iova     (rw) the maps of areas, reserved and allowed ranges;
 *   reservation -> pages.lock -> ioas.domset -> domain.lock.
 * domset guards the array of domains for revoke, which comes from below the
 * reservation lock and may not take the two outer ones.
 *
 * Invariant: every live area is mapped in every domain of the array, except areas of
 * revoked pages, which are mapped in none. During add and remove a domain in the array
 * may hold only some areas; unmapping a hole is harmless, so revoke needs no more.
 *
 * Ranges are inclusive [iova, last]. Lengths are bytes and never 0. Unmap, remove and
 * destroy allocate nothing and cannot fail for want of memory.
 */
#ifndef CORE_IOAS_H
#define CORE_IOAS_H

#include "core/domain.h"
#include "core/pages.h"
#include "core/range_map.h"

#define IOAS_READ  PT_READ
#define IOAS_WRITE PT_WRITE

struct ioas;

struct iova_range {
	uint64_t start, last; /* inclusive */
};

int ioas_create(struct ioas **out);
/* Unmaps everything; no domain is attached. Takes NULL. */
void ioas_destroy(struct ioas *ioas);

/*
 * Map [start, start + length) of @pages with @prot (IOAS_READ | IOAS_WRITE). @fixed:
 * at *@iova; else an IOVA is chosen and stored there: never 0, as aligned as length and
 * the memory's own address allow, up to 2 MiB, inside the allowed ranges if there are
 * any. The area holds its own reference to @pages.
 *
 * First check wins (Linux 7.3): length 0 or unaligned -EINVAL; fixed: iova unaligned
 * -EINVAL, wrap -EOVERFLOW, touches a reserved range -EINVAL, touches an area -EEXIST;
 * chosen: huge length -EOVERFLOW, cannot be aligned -EINVAL, no room -ENOSPC; then
 * write without permission -EPERM, start's offset in its page unaligned -EINVAL; then
 * what resolving the memory and filling the domains answers.
 */
int ioas_map(struct ioas *ioas, struct pages *pages, uint64_t start, uint64_t length,
	     unsigned prot, bool fixed, uint64_t *iova);

/*
 * Map what [src_iova, src_iova + length) of @src holds into @dst (may be the same).
 * The source range must be covered without holes (-ENOENT); it may cover parts of
 * areas. length 0 -EINVAL, wrap -EOVERFLOW. Either all is mapped or nothing.
 */
int ioas_copy(struct ioas *dst, struct ioas *src, uint64_t src_iova, uint64_t length,
	      unsigned prot, bool fixed, uint64_t *dst_iova);

/*
 * Unmap all areas inside [iova, iova + length - 1]; *@unmapped gets the bytes. -EINVAL:
 * length 0; -EOVERFLOW: wraps; -ENOENT: an area sticks out, or there is none; -EBUSY: an
 * area is being mapped or unmapped, or an access has locked it; -EDEADLK: an access does
 * not let go (access.h). Areas go in order: those before the one that makes it fail are
 * gone, and counted, as in Linux. When it returns no device can reach what was unmapped.
 */
int ioas_unmap(struct ioas *ioas, uint64_t iova, uint64_t length, uint64_t *unmapped);
/* The same, but nothing to unmap is fine. */
int ioas_unmap_any(struct ioas *ioas, uint64_t iova, uint64_t length, uint64_t *unmapped);
/* Everything; an empty IOAS is fine. */
int ioas_unmap_all(struct ioas *ioas, uint64_t *unmapped);

/*
 * Cut the area that goes on beyond @at so that it ends there and another one begins, if
 * there is such an area. For type1 compatibility. -EBUSY: being mapped or unmapped;
 * -EOPNOTSUPP: of a dma-buf; -EINVAL: not where the alignment allows it, accesses have it
 * pinned, or a domain may hold it in large pages; -ENOMEM.
 */
int ioas_cut(struct ioas *ioas, uint64_t at);

/*
 * Attach a domain and fill it with every area. -EEXIST: it is attached already; -EINVAL:
 * its smallest page is larger than the CPU's; -EADDRINUSE: an area or an allowed range
 * lies outside the domain's aperture, or an area breaks its alignment; -ENOMEM, or what
 * resolving answers (-EFAULT ...). On failure the domain is empty again.
 */
int ioas_add_domain(struct ioas *ioas, struct domain *d);
/* Cannot fail; @d is empty afterwards. */
void ioas_remove_domain(struct ioas *ioas, struct domain *d);

/*
 * Keep [start, last] free of areas on behalf of @owner. -EADDRINUSE: an area or an
 * allowed range is there. Reservations of several owners may overlap.
 */
int ioas_reserve(struct ioas *ioas, uint64_t start, uint64_t last, const void *owner);
/* Drop all reservations of @owner. */
void ioas_unreserve(struct ioas *ioas, const void *owner);

/*
 * Replace the allowed ranges (sorted or not). Overlap among them or start >= last:
 * -EINVAL; overlap with a reserved range: -EADDRINUSE; -ENOMEM.
 */
int ioas_allow(struct ioas *ioas, const struct iova_range *v, size_t n);

/*
 * The ranges that are not reserved, in order: stores up to @cap into @v, the total in
 * *@n, and the alignment that maps must keep. Answers a consistent snapshot.
 */
void ioas_ranges(struct ioas *ioas, struct iova_range *v, size_t cap, size_t *n,
		 uint64_t *alignment);

/*
 * IOMMU_OPTION_HUGE_PAGES. Turned off: -EINVAL while domains hold areas; -EADDRINUSE: an
 * area is not aligned to pages, which then is asked for even without a domain.
 */
int ioas_set_large_pages(struct ioas *ioas, bool on);
bool ioas_large_pages(struct ioas *ioas);

/* The page sizes that all domains have in common; all ones without any. */
uint64_t ioas_page_sizes(struct ioas *ioas);

/*
 * Let nothing be mapped, unmapped, pinned or attached until ioas_thaw(). Of several
 * IOASes the caller freezes one at a time in an order that all callers share.
 */
void ioas_freeze(struct ioas *ioas);
void ioas_thaw(struct ioas *ioas);
/*
 * Call @visit for the pages of each area, in order, several times for pages that several
 * areas share. Ends at the first result that is not 0. -EBUSY: an area is just being
 * mapped or unmapped.
 */
int ioas_frozen_visit(struct ioas *ioas, int (*visit)(struct pages *p, void *arg),
		      void *arg);

/* Are all areas of kind PAGES_FILE? (IOAS_CHANGE_PROCESS) */
bool ioas_only_files(struct ioas *ioas);

/* How many bytes from @iova to @last are mapped without a hole, from @iova on. */
uint64_t ioas_covered(struct ioas *ioas, uint64_t iova, uint64_t last);

/* For tests and statistics. */
size_t ioas_area_count(struct ioas *ioas);

#endif
