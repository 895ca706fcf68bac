/* SPDX-License-Identifier: MIT */
/*
 * A domain: one page table and the requesters (devices) that translate through it.
 *
 * domain_map() and domain_unmap() take the domain's lock, which is the innermost of
 * reservation -> pages -> domset -> domain. Unmap, attach and detach cannot fail.
 *
 * Taking memory away is two steps, so that many areas in many domains pay one wait:
 *  1. domain_unmap() clears the entries and invalidates the IOTLB of every requester
 *     (each requester's epoch is bumped after the clearing);
 *  2. domain_gather_finish() waits until no DMA section that could have seen the old
 *     entries is left, then frees the unlinked table pages.
 * After step 2, and not before, no device can reach the memory.
 */
#ifndef CORE_DOMAIN_H
#define CORE_DOMAIN_H

#include "core/list.h"
#include "core/phys.h"
#include "core/pt.h"

struct domain {
	struct phys *phys; /* outlives the domain */
	struct port_mutex lock;
	struct pt pt;           /* written under lock, walked without */
	uint64_t page_sizes;    /* in use: the format's, or fewer. Constant. */
	uint64_t aperture_last; /* inclusive. Constant. */
	struct list requesters; /* dma_requester.on_domain, under lock */
	/* Remote copies in flight, by phase; see domain.c. */
	_Atomic uint64_t remote[2];
	_Atomic unsigned remote_phase;
	struct port_mutex remote_lock;
};

/* {0} is an empty gather; nothing in it needs memory. */
struct domain_gather {
	struct pt_gather tables;
	bool any; /* something was cleared, so a wait is due */
	/* One domain whose remote copies must drain, or the flag that says several. */
	struct list remote_domains; /* used by domain.c; initialised on first use */
};

/* @page_sizes 0 means all of the format's. */
int domain_create(struct phys *phys, const struct pt_format *format, uint64_t page_sizes,
		  struct domain **out);
/* No requester is attached and nobody maps any more. Takes NULL. */
void domain_destroy(struct domain *d);

/* The smallest page, bytes: the alignment an IOAS must keep for this domain. */
uint64_t domain_min_page(const struct domain *d);

/*
 * Map the part [offset, offset + length) of the runs' concatenation at @iova.
 * @prot: PT_READ | PT_WRITE; MMIO runs get PT_MMIO by themselves. @large false: only
 * the smallest pages are used. -ENOMEM, -EINVAL (misaligned, beyond the aperture):
 * nothing is left mapped.
 */
int domain_map(struct domain *d, uint64_t iova, const struct run_list *runs,
	       uint64_t offset, uint64_t length, unsigned prot, bool large);
void domain_unmap(struct domain *d, uint64_t iova, uint64_t length,
		  struct domain_gather *gather);
/* May block for the longest DMA chunk. Leaves the gather empty. */
void domain_gather_finish(struct domain_gather *gather);

/* What is mapped at @iova; for tests, debugfs views and accesses. */
bool domain_lookup(struct domain *d, uint64_t iova, struct pt_translation *out);

#endif
