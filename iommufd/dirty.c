/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking: from a page table's dirty bits to a client's bitmap.
 *
 * Page tables whose hardware records none answer -EOPNOTSUPP, after the arguments have
 * been checked; GET_HW_INFO says so, too. The bitmap is read, added to and written back
 * piece by piece; it is read first, so that no bit is taken from the page table for a
 * piece that cannot be reached.
 */
#include <errno.h>
#include <string.h>

#include "iommufd/private.h"

long iommufd_hwpt_set_dirty_tracking(struct uapi_call *call)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_hwpt *hwpt;
	int err = 0;

	if (cmd->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	hwpt = hwpt_get(ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	if (hwpt->domain->tracks_dirty)
		domain_track_dirty(hwpt->domain,
				   cmd->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE);
	else
		err = -EOPNOTSUPP;
	object_put(ctx, &hwpt->obj);
	return err;
}

/* Are both ends of [iova, last] on a multiple of @unit, a power of two? */
static bool aligned(uint64_t iova, uint64_t last, uint64_t unit)
{
	return !(iova & (unit - 1)) && !((last + 1) & (unit - 1));
}

static int check_range(const struct iommu_hwpt_get_dirty_bitmap *cmd, uint64_t alignment)
{
	uint64_t last;

	if (!cmd->length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	if (!aligned(cmd->iova, last, alignment) || !cmd->page_size ||
	    !aligned(cmd->iova, last, cmd->page_size))
		return -EINVAL;
	return 0;
}

/* A part of the bitmap: bit 0 is that of @iova. */
struct piece {
	uint64_t iova, last;
	unsigned shift; /* log2 of the bytes a bit stands for */
	bool any;
	/* Up to here, inclusive, an entry reaches that was dirty, which has been cleared
	 * and may lie in the next pieces, too. 0: none. */
	uint64_t reach;
	unsigned char bits[4096];
};

static void set_bits(void *arg, uint64_t iova, uint64_t bytes)
{
	struct piece *p = arg;
	uint64_t first = (max_u64(iova, p->iova) - p->iova) >> p->shift;
	uint64_t last = (min_u64(iova + (bytes - 1), p->last) - p->iova) >> p->shift;

	for (uint64_t i = first; i <= last; i++)
		p->bits[i / 8] |= (unsigned char)(1u << i % 8);
	p->any = true;
	p->reach = max_u64(p->reach, iova + (bytes - 1));
}

/* @covered bytes from the first IOVA on. */
static int read_bitmap(struct client *c, struct domain *d,
		       const struct iommu_hwpt_get_dirty_bitmap *cmd, uint64_t covered)
{
	struct piece p = {.shift = (unsigned)__builtin_ctzll(cmd->page_size)};
	bool keep = cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
	uint64_t done = 0, bytes, n;
	int err = 0;

	while (!err && done < covered) {
		bytes = covered - done;
		if (bytes >> p.shift > 8 * sizeof(p.bits))
			bytes = (uint64_t)(8 * sizeof(p.bits)) << p.shift;
		n = (((bytes - 1) >> p.shift) + 8) / 8;
		p.iova = cmd->iova + done;
		p.last = p.iova + (bytes - 1);
		p.any = false;
		err = client_copy_in(c, p.bits, cmd->data + (done >> p.shift) / 8,
				     (size_t)n);
		if (err)
			break;
		if (p.reach && p.reach >= p.iova)
			set_bits(&p, p.iova, p.reach - p.iova + 1);
		domain_read_dirty(d, p.iova, bytes, keep, set_bits, &p);
		if (p.any)
			err = client_copy_out(c, cmd->data + (done >> p.shift) / 8,
					      p.bits, (size_t)n);
		done += bytes;
	}
	return err;
}

long iommufd_hwpt_get_dirty_bitmap(struct uapi_call *call)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_hwpt *hwpt;
	int err;

	if (cmd->flags & ~(uint32_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR ||
	    cmd->__reserved)
		return -EOPNOTSUPP;
	hwpt = hwpt_get(ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	err = check_range(cmd, ioas_alignment(hwpt->ioas->ioas));
	if (!err && !hwpt->domain->tracks_dirty)
		err = -EOPNOTSUPP;
	/* Linux answers 0 also when it comes to a hole or cannot write the bitmap. */
	if (!err)
		read_bitmap(call->client, hwpt->domain, cmd,
			    ioas_covered(hwpt->ioas->ioas, cmd->iova,
					 cmd->iova + (cmd->length - 1)));
	object_put(ctx, &hwpt->obj);
	return err;
}
