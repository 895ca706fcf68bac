/* SPDX-License-Identifier: MIT */
/*
 * Virtual IOMMUs and what hangs off them: the answers of Linux for hardware that has
 * none. No vIOMMU can be made, so every id of one is unknown; the checks that come
 * before the lookup are made all the same.
 */
#include <errno.h>

#include "iommufd/private.h"

/* Linux 7.3: far more than any batch; an entry is at most a page. */
#define INVALIDATE_MAX_ENTRIES   (1u << 19)
#define INVALIDATE_MAX_ENTRY_LEN 4096u

/* Linux 7.3's depth limit of event queues. */
#define VEVENTQ_MAX_DEPTH (1u << 19)

static int check_entries(const struct iommu_hwpt_invalidate *cmd)
{
	if (!cmd->entry_num)
		return 0;
	if (!cmd->data_uptr || !cmd->entry_len ||
	    cmd->entry_len > INVALIDATE_MAX_ENTRY_LEN ||
	    cmd->entry_num > INVALIDATE_MAX_ENTRIES)
		return -EINVAL;
	return 0;
}

static int invalidate(struct iommufd_ctx *ctx, const struct iommu_hwpt_invalidate *cmd)
{
	struct iommufd_object *pt;
	int err;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	err = check_entries(cmd);
	if (err)
		return err;
	pt = object_get(ctx, cmd->hwpt_id, OBJECT_ANY);
	if (!pt)
		return -ENOENT;
	object_put(ctx, pt);
	return -EINVAL; /* neither a nested hwpt nor a vIOMMU */
}

/* How many entries were done is written back on failure, too. */
long iommufd_hwpt_invalidate(struct uapi_call *call)
{
	struct iommu_hwpt_invalidate *cmd = (void *)call->data;
	int err = invalidate(call_ctx(call), cmd);

	cmd->entry_num = 0;
	return uapi_respond(call, sizeof(*cmd)) ? -EFAULT : err;
}

long iommufd_viommu_alloc(struct uapi_call *call)
{
	struct iommu_viommu_alloc *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_device *dev;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	dev = device_get(ctx, cmd->dev_id);
	if (!dev)
		return -ENOENT;
	object_put(ctx, &dev->obj);
	return -EOPNOTSUPP;
}

long iommufd_vdevice_alloc(struct uapi_call *call)
{
	return -ENOENT;
}

long iommufd_veventq_alloc(struct uapi_call *call)
{
	struct iommu_veventq_alloc *cmd = (void *)call->data;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > VEVENTQ_MAX_DEPTH)
		return -EINVAL;
	return -ENOENT;
}

long iommufd_hw_queue_alloc(struct uapi_call *call)
{
	struct iommu_hw_queue_alloc *cmd = (void *)call->data;
	uint64_t last;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->nesting_parent_iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	return -ENOENT;
}
