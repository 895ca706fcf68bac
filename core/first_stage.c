/* SPDX-License-Identifier: MIT */
/*
 * Walking a guest's tables (first_stage.h).
 *
 * An entry is used as it was when it was loaded. To record its use it is replaced by
 * itself with more bits set, if it is still the same; else it is looked at anew, so a bit
 * is never set in what the guest has changed meanwhile. A guest that changes an entry
 * without end only keeps its own device from getting on; it gets some tries.
 *
 * Remote tables (the private memory of another process) cannot be read in a DMA section,
 * and not be updated atomically either: the bits are written over the bytes that hold
 * them, after a second look at the entry. What a guest's processor writes to these bytes
 * between the two is lost. VMMs share their guests' memory, and then it is direct.
 */
#include "core/first_stage.h"

#include "core/pt_vtd_s1.h"

#define TRIES 64

void first_stage_init(struct first_stage *fs, struct domain *parent, uint64_t root,
		      bool mark_ea)
{
	fs->path.domain = parent;
	fs->path.first = fs;
	fs->root = root & VTD_S1_ADDRESS;
	fs->mark_ea = mark_ea;
}

void first_stage_invalidate(struct first_stage *fs)
{
	dma_path_invalidate(&fs->path);
}

/* ---- an entry in the guest's memory --------------------------------------------------
 */

struct place {
	struct phys_window *window;
	uint64_t offset;
	bool writable;
};

/* What is found stays for as long as the caller's section, or count. */
static int locate(const struct first_stage *fs, uint64_t gpa, struct place *p)
{
	struct domain *d = fs->path.domain;
	struct pt_translation tr;
	bool found;

	port_dma_enter();
	found = pt_walk(&d->pt, gpa, &tr);
	p->window = found ? phys_find(d->phys, tr.spa) : NULL;
	port_dma_leave();
	if (!found)
		return DMA_FAULT_UNMAPPED;
	if (!(tr.prot & PT_READ))
		return DMA_FAULT_PERM;
	if (!p->window)
		return DMA_FAULT_ABORT;
	p->offset = tr.spa - p->window->base;
	p->writable = tr.prot & PT_WRITE;
	return FIRST_STAGE_OK;
}

static void *host_of(const struct place *p)
{
	return p->window->host ? (unsigned char *)p->window->host + p->offset : NULL;
}

static int load(const struct place *p, bool aside, uint64_t *entry)
{
	int err;

	if (p->window->host) {
		err = port_load64_guarded(host_of(p), entry);
	} else if (!aside) {
		return FIRST_STAGE_ASIDE;
	} else {
		port_dma_rest();
		err = p->window->ops->read(p->window, p->offset, entry, sizeof(*entry));
	}
	return err ? (int)DMA_FAULT_ABORT : FIRST_STAGE_OK;
}

/* *@seen: what is there now; @entry if it was there and has the bits now. */
static int update(const struct place *p, uint64_t entry, uint64_t bits, uint64_t *seen)
{
	uint64_t marked = entry | bits;
	int err;

	*seen = entry;
	if (p->window->host) {
		err = port_swap64_guarded(host_of(p), seen, marked);
	} else {
		port_dma_rest();
		err = p->window->ops->read(p->window, p->offset, seen, sizeof(*seen));
		/* No more than the bytes that they are in: EA is in the second. */
		if (!err && *seen == entry)
			err = p->window->ops->write(p->window, p->offset, &marked,
						    bits & VTD_S1_EA ? 2 : 1);
	}
	return err ? (int)DMA_FAULT_ABORT : FIRST_STAGE_OK;
}

/* The update is a write of the device's as any other. */
static int record(const struct first_stage *fs, uint64_t gpa, const struct place *p,
		  uint64_t entry, uint64_t bits, uint64_t *seen)
{
	struct domain *d = fs->path.domain;

	if (!p->writable)
		return DMA_FAULT_PERM;
	if (atomic_load_explicit(&d->dirty_on, memory_order_acquire))
		domain_set_dirty(d, gpa);
	return update(p, entry, bits, seen);
}

/* ---- a level --------------------------------------------------------------------------
 */

static unsigned shift_of(unsigned level)
{
	return VTD_S1_PAGE_SHIFT + level * VTD_S1_INDEX_BITS;
}

static bool is_page(uint64_t entry, unsigned level)
{
	return level == 0 || (level < VTD_S1_LEVELS - 1 && entry & VTD_S1_PS);
}

/* May it be used, and for this? */
static int check(uint64_t entry, unsigned level, bool write)
{
	if (!(entry & VTD_S1_P))
		return DMA_FAULT_UNMAPPED;
	/* Reserved: PS in the top table; and below a large page's address, but for the
	 * bit that is about its memory type. */
	if (level == VTD_S1_LEVELS - 1 && entry & VTD_S1_PS)
		return DMA_FAULT_UNMAPPED;
	if (level && is_page(entry, level) &&
	    entry & (((uint64_t)1 << shift_of(level)) - 1) & VTD_S1_ADDRESS &
		    ~((uint64_t)1 << 12))
		return DMA_FAULT_UNMAPPED;
	if (!(entry & VTD_S1_US) || (write && !(entry & VTD_S1_RW)))
		return DMA_FAULT_PERM;
	return FIRST_STAGE_OK;
}

static uint64_t marks(const struct first_stage *fs, uint64_t entry, unsigned level,
		      bool write)
{
	uint64_t bits = VTD_S1_A;

	if (fs->mark_ea)
		bits |= VTD_S1_EA;
	if (write && is_page(entry, level))
		bits |= VTD_S1_D;
	return bits;
}

/* *@entry: as it is after the use has been recorded. */
static int use_entry(const struct first_stage *fs, uint64_t gpa, unsigned level,
		     bool write, bool aside, uint64_t *entry)
{
	struct place p;
	uint64_t bits, seen;
	int rc = locate(fs, gpa, &p);

	if (!rc)
		rc = load(&p, aside, entry);
	for (int i = 0; !rc && i < TRIES; i++) {
		rc = check(*entry, level, write);
		if (rc)
			return rc;
		bits = marks(fs, *entry, level, write);
		if ((*entry & bits) == bits)
			return FIRST_STAGE_OK;
		rc = record(fs, gpa, &p, *entry, bits, &seen);
		if (!rc && seen == *entry)
			*entry |= bits;
		else if (!rc)
			*entry = seen;
	}
	return rc ? rc : (int)DMA_FAULT_ABORT;
}

/* ---- the walk -------------------------------------------------------------------------
 */

static bool is_canonical(uint64_t iova)
{
	uint64_t high = iova >> (VTD_S1_BITS - 1);

	return high == 0 || high == ~(uint64_t)0 >> (VTD_S1_BITS - 1);
}

int first_stage_walk(const struct first_stage *fs, uint64_t iova, bool write, bool aside,
		     struct first_stage_page *out)
{
	const uint64_t mask = ((uint64_t)1 << VTD_S1_INDEX_BITS) - 1;
	unsigned level = VTD_S1_LEVELS, prot = PT_READ | PT_WRITE;
	uint64_t table = fs->root, entry;

	if (!is_canonical(iova))
		return DMA_FAULT_UNMAPPED;
	do {
		uint64_t gpa = table + (iova >> shift_of(--level) & mask) * sizeof(entry);
		int rc = use_entry(fs, gpa, level, write, aside, &entry);

		if (rc)
			return rc;
		if (!(entry & VTD_S1_RW))
			prot &= ~PT_WRITE;
		table = entry & VTD_S1_ADDRESS;
	} while (!is_page(entry, level));

	out->page_bytes = (uint64_t)1 << shift_of(level);
	out->gpa = (table & ~(out->page_bytes - 1)) | (iova & (out->page_bytes - 1));
	/* A write that comes later by what is cached must have set the bit. */
	out->prot = entry & VTD_S1_D ? prot : prot & ~PT_WRITE;
	return FIRST_STAGE_OK;
}
