/* SPDX-License-Identifier: MIT */
/*
 * The DMA path: what a simulated device uses to reach memory.
 *
 * A requester is one source of DMA on the bus (a PCI function, or a PASID of one). It
 * translates through at most one path: a domain, perhaps with a guest's own table before
 * it (first_stage.h); without one every access faults, as behind an IOMMU that blocks.
 * A channel belongs to a requester and holds an IOTLB; it is used by one thread at a
 * time, so a device with several engines has several channels.
 *
 * Each access translates through the channel's IOTLB, else by a lock-free walk, and
 * copies, inside one DMA section (core/port.h), in chunks of at most
 * DMA_CHUNK_BYTES. IOTLB entries carry the requester's epoch; an unmap or a change of
 * domain bumps the epoch after it has cleared the entries, so a later translation
 * cannot hit what was taken away, and an earlier one is waited for.
 *
 * Copies to or from a remote window may block, so they leave the section and are
 * counted in the domain instead; the unmap waits for the count. What a window's ops
 * wait for must therefore never wait for an unmap or a revoke.
 *
 * An access that fails aborts: what was copied before the fault stays, the fault is
 * recorded in the requester and described to the caller. -EFAULT is the only error.
 */
#ifndef CORE_DMA_H
#define CORE_DMA_H

#include "core/domain.h"

#define DMA_CHUNK_BYTES   ((size_t)256 * 1024)
#define DMA_IOTLB_ENTRIES 64 /* a power of two */
/* What passes between two windows of which one is remote goes through a buffer. */
#define DMA_BOUNCE_BYTES ((size_t)16 * 1024)

enum dma_fault_reason {
	DMA_FAULT_NONE,
	DMA_FAULT_BLOCKED,   /* no domain attached */
	DMA_FAULT_NO_MASTER, /* bus mastering is off */
	DMA_FAULT_UNMAPPED,  /* no translation */
	DMA_FAULT_PERM,      /* translation without this permission */
	DMA_FAULT_ABORT,     /* the target did not answer: truncated file, dead client */
};

struct dma_fault {
	enum dma_fault_reason reason;
	uint64_t iova; /* first byte that could not be reached */
	bool write;
};

struct dma_requester {
	/* Written under domain locks by attach. */
	_Atomic(const struct dma_path *) path;
	_Atomic uint64_t epoch; /* bumped by every invalidation; never 0 */
	_Atomic bool master;    /* may start transactions at all (PCI BME) */
	struct list on_domain;
	struct port_mutex attach_lock; /* serialises attach, detach and set_master */
	_Atomic uint64_t faults;       /* how many so far */
	/* Told of each fault, on the device's thread, outside any DMA section of ours and
	 * at rest. Optional. */
	void (*on_fault)(struct dma_requester *r, const struct dma_fault *f);
};

/* Without a domain and with bus mastering off. */
void dma_requester_init(struct dma_requester *r);
/* Detaches. No channel is used any more. */
void dma_requester_finish(struct dma_requester *r);
/*
 * Translate through @path, or @domain alone, from now on (NULL: block). The change is
 * atomic for the device: an access sees the one path or the other. When it returns no
 * access through the former path is in flight. Cannot fail.
 */
void dma_requester_attach_path(struct dma_requester *r, const struct dma_path *path);
static inline void dma_requester_attach(struct dma_requester *r, struct domain *domain)
{
	dma_requester_attach_path(r, domain ? &domain->path : NULL);
}
/*
 * For all requesters that are attached to it: what they have cached is not used any more,
 * and nothing that used it is in flight when this returns.
 */
void dma_path_invalidate(const struct dma_path *path);
/*
 * pt_list() of the domain that it translates through, if it is *@attached to one.
 */
unsigned dma_requester_list(struct dma_requester *r, uint64_t *from,
			    struct pt_listed *out, unsigned n, bool *more,
			    bool *attached);
/* Turn bus mastering on or off; off waits until no access is in flight. */
void dma_requester_set_master(struct dma_requester *r, bool on);

/*
 * For the domain, under its lock: nothing that was cached so far may be used by a
 * translation that begins later.
 */
static inline void dma_requester_invalidate(struct dma_requester *r)
{
	atomic_fetch_add_explicit(&r->epoch, 1, memory_order_release);
}

/* A piece of a direct window; remote ones are not cached. */
struct dma_iotlb_entry {
	uint64_t epoch; /* of the requester before the walk; 0: empty */
	uint64_t iova;  /* first byte */
	uint64_t bytes;
	struct phys_window *window;
	uint64_t offset; /* of the first byte in the window */
	unsigned prot;
};

/* A page of a guest's table that could only be walked aside; see dma.c. */
struct dma_aside {
	uint64_t epoch; /* as that of an IOTLB entry */
	uint64_t iova, bytes;
	uint64_t gpa; /* of the first byte */
	unsigned prot;
};

struct dma_channel {
	struct dma_requester *requester;
	/* Entries of @iotlb: the ones that were used last, to read and to write. */
	struct dma_iotlb_entry *last[2];
	/* Which classes of sizes (dma.c) entries have been made of. */
	unsigned classes;
	_Atomic uint64_t hits, misses; /* written by the channel's thread only */
	struct dma_iotlb_entry iotlb[DMA_IOTLB_ENTRIES];
	struct dma_aside aside[2]; /* for reads, for writes */
	unsigned char bounce[DMA_BOUNCE_BYTES];
};

/* The channel stays where it is. */
void dma_channel_init(struct dma_channel *ch, struct dma_requester *r);

/*
 * Translate one IOVA for reading or writing. Only inside a DMA section, and the result
 * is dead after the section's end or a quiesce. On success up to @out->bytes from the
 * IOVA on are contiguous in @out->window. On failure *@fault (may be NULL) says why; it
 * is recorded nowhere else, since a section is no place to tell of faults. A guest's
 * table in remote memory cannot be walked here: DMA_FAULT_ABORT.
 */
struct dma_target {
	struct phys_window *window;
	uint64_t offset; /* in the window */
	uint64_t bytes;
};
int dma_translate(struct dma_channel *ch, uint64_t iova, bool write,
		  struct dma_target *out, struct dma_fault *fault);

/* Any length and alignment, 0 included. @fault may be NULL. 0 or -EFAULT. */
int dma_read(struct dma_channel *ch, uint64_t iova, void *dst, size_t n,
	     struct dma_fault *fault);
int dma_write(struct dma_channel *ch, uint64_t iova, const void *src, size_t n,
	      struct dma_fault *fault);
/*
 * Source and destination must not overlap. Both sides translate before either target is
 * asked, the source first: that decides which of two faults of one byte is seen.
 */
int dma_copy(struct dma_channel *ch, uint64_t dst, uint64_t src, uint64_t n,
	     struct dma_fault *fault);
int dma_fill(struct dma_channel *ch, uint64_t dst, uint8_t byte, uint64_t n,
	     struct dma_fault *fault);

#endif
