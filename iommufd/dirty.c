/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking: the checks that Linux makes of the arguments, and then its answer for
 * page tables whose hardware does not record dirty bits. GET_HW_INFO says so, too.
 */
#include <errno.h>

#include "iommufd/private.h"

long iommufd_hwpt_set_dirty_tracking(struct uapi_call *call)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_hwpt *hwpt;

	if (cmd->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	hwpt = hwpt_get(ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	object_put(ctx, &hwpt->obj);
	return -EOPNOTSUPP;
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
	object_put(ctx, &hwpt->obj);
	return err ? err : -EOPNOTSUPP;
}
