/* SPDX-License-Identifier: MIT */
/*
 * Nested translation: a guest's own page table, in the guest's memory, before a domain
 * that says where that memory is.
 *
 *	IOVA --first stage--> GPA --the parent domain--> SPA
 *
 * The format is VT-d's first stage: 4 levels, 48 bits, canonical addresses; pages of
 * 4 KiB, 2 MiB and 1 GiB. A device's requests have no privilege, so what is not marked
 *for such (U/S) they may not use; and what VT-d says of requests with privilege (SRE,
 *WPE) means nothing here.
 *
 * The tables are read through the parent like any other memory, at the time of each walk,
 * and as hardware does a walk records in them what it has used and written (A, D; EA
 *where the guest asks for it) by atomic updates, which are writes that the parent must
 *permit and that its dirty bits show. What comes out is cached in the devices' IOTLBs and
 *stays there until first_stage_invalidate() or a change of the parent: a guest that
 *forgets to invalidate finds that out, as on hardware.
 *
 * Whatever the guest writes there, a walk ends after four entries, and reaches nothing
 * that the parent does not hold.
 */
#ifndef CORE_FIRST_STAGE_H
#define CORE_FIRST_STAGE_H

#include "core/dma.h"

struct first_stage {
	struct dma_path path;
	uint64_t root; /* GPA of the top table */
	bool mark_ea;  /* EAFE */
};

/* Constant from now on; outlives every requester that is attached to its path. */
void first_stage_init(struct first_stage *fs, struct domain *parent, uint64_t root,
		      bool mark_ea);

/*
 * No translation that was made before is used from now on. When it returns no access by
 * one is in flight. Takes the parent's lock.
 */
void first_stage_invalidate(struct first_stage *fs);

struct first_stage_page {
	uint64_t gpa;        /* of the IOVA asked for */
	uint64_t page_bytes; /* of the page that holds it, aligned in both spaces */
	unsigned prot;       /* no PT_WRITE as long as a write must still be recorded */
};

/* For core/dma.c. */
enum first_stage_result {
	FIRST_STAGE_OK = DMA_FAULT_NONE,
	/* else an enum dma_fault_reason, or: */
	FIRST_STAGE_ASIDE = 100, /* a table lies in remote memory: walk aside */
};

/*
 * Inside a DMA section; or, @aside, outside of any, with the parent's remote count held
 * (domain_remote_begin()), and then it may block.
 */
int first_stage_walk(const struct first_stage *fs, uint64_t iova, bool write, bool aside,
		     struct first_stage_page *out);

#endif
