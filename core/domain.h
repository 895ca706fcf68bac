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

struct domain;
struct first_stage;

/*
 * What a requester translates through: a domain, or a guest's own page table before it
 * (first_stage.h). Constant, and one pointer to whoever attaches it, so that a change of
 * both is one step.
 */
struct dma_path {
	struct domain *domain;
	const struct first_stage *first; /* NULL: the domain alone */
};

struct domain {
	struct dma_path path; /* to the domain itself */
	struct phys *phys;    /* outlives the domain */
	struct port_mutex lock;
	struct pt pt;        /* written under lock, walked without */
	uint64_t page_sizes; /* in use: the format's, or fewer. Constant. */
	/* Inclusive; constant once something may be mapped. */
	uint64_t aperture_first, aperture_last;
	/* Does the hardware record writes for this domain? Constant, like the aperture.
	 */
	bool tracks_dirty;
	bool write_only_maps; /* nothing can be mapped that may not be written. Constant. */
	/* Of the IOMMU that made it (iommufd/driver.h): what it has to remember.
	 * Constant. */
	uint32_t traits;
	_Atomic bool dirty_on;  /* and is anybody interested just now? */
	struct list requesters; /* dma_requester.on_domain, under lock */
	/* Has a remote copy ever been started? Set under lock, never cleared. */
	_Atomic bool remote_used;
	/* Remote copies in flight, by phase; see domain.c. */
	_Atomic unsigned remote_phase;
	_Atomic uint64_t remote[2];
	struct port_mutex remote_lock; /* serialises those who drain */
};

#define DOMAIN_GATHER_REMOTE 4

/*
 * What unmaps have taken away and nobody has waited for yet. {0} is an empty gather;
 * nothing in it needs memory. It belongs to one thread, may take in any number of
 * domains, and other gathers may be at work on the same domains. The domains outlive
 * it.
 */
struct domain_gather {
	struct pt_gather tables;
	bool any; /* something was cleared, so a wait is due */
	/* Those of the domains whose remote copies must drain, too. When one more comes
	 * than there is room for, the unmap that brings it finishes the gather so far. */
	unsigned nr_remote;
	struct domain *remote[DOMAIN_GATHER_REMOTE];
};

/* @page_sizes 0 means all of the format's. */
int domain_create(struct phys *phys, const struct pt_format *format, uint64_t page_sizes,
		  struct domain **out);
/* No requester is attached and nobody maps any more. Takes NULL. */
void domain_destroy(struct domain *d);

/* Before anything is mapped: use no more than [first, last] of the format's aperture. */
void domain_limit(struct domain *d, uint64_t first, uint64_t last);

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
/* Something is about to be mapped at @iova: lets the CPU wait for less then. */
void domain_prefetch(struct domain *d, uint64_t iova);
void domain_unmap(struct domain *d, uint64_t iova, uint64_t length,
		  struct domain_gather *gather);
/* The same for many ranges: one lock, one invalidation. */
void domain_unmap_spans(struct domain *d, const struct pt_span *v, size_t n,
			struct domain_gather *gather);
/* May block for the longest DMA chunk. Leaves the gather empty. */
void domain_gather_finish(struct domain_gather *gather);

/* What is mapped at @iova; for tests, debugfs views and accesses. Lock-free. */
bool domain_lookup(struct domain *d, uint64_t iova, struct pt_translation *out);

/*
 * Dirty tracking, for a domain that tracks_dirty. Turning it on forgets what was written
 * before. Reading is as pt_read_dirty(), and what a device writes after it shows in the
 * next reading. @dirty is called under the domain's lock.
 */
void domain_track_dirty(struct domain *d, bool on);
void domain_read_dirty(struct domain *d, uint64_t iova, uint64_t length, bool keep,
		       void (*dirty)(void *arg, uint64_t iova, uint64_t bytes),
		       void *arg);
/* As a device does that writes there. False: nothing is mapped there. */
bool domain_set_dirty(struct domain *d, uint64_t iova);

/* ---- for core/dma.c: remote copies; see domain.c ------------------------------- */

/* From now on unmaps wait for remote copies as well. Takes the domain's lock. */
void domain_remote_enable(struct domain *d);
/* Count a copy in, inside the DMA section that translated for it; and out again. */
unsigned domain_remote_begin(struct domain *d);
void domain_remote_end(struct domain *d, unsigned phase);
/* Wait for the copies that were begun before the call. Not inside a DMA section. */
void domain_remote_drain(struct domain *d);

#endif
