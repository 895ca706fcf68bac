/* SPDX-License-Identifier: MIT */
/* GET_HW_INFO: what the IOMMU in front of a device can do. */
#include <errno.h>

#include "iommufd/private.h"

static int clear_out(struct client *c, uint64_t va, uint64_t n)
{
	static const unsigned char zeros[4096];

	while (n) {
		size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
		int err = client_copy_out(c, va, zeros, part);

		if (err)
			return err;
		va += part;
		n -= part;
	}
	return 0;
}

/* The data as far as there is room, zeros in the rest of the room. */
static int data_out(struct client *c, const struct iommufd_device_info *info, uint64_t va,
		    size_t room)
{
	size_t n = info->hw_info_bytes < room ? info->hw_info_bytes : room;
	int err = n ? client_copy_out(c, va, info->hw_info, n) : 0;

	return err ? err : clear_out(c, va + n, room - n);
}

/* A driver that has data takes its own type and the default; one that has none, all. */
static bool type_known(const struct iommufd_device_info *info, uint32_t type)
{
	return info->hw_info_type == IOMMU_HW_INFO_TYPE_NONE ||
	       type == IOMMU_HW_INFO_TYPE_DEFAULT || type == info->hw_info_type;
}

static int answer(struct uapi_call *call, const struct iommufd_device_info *info)
{
	struct iommu_hw_info *cmd = (void *)call->data;
	int err;

	if (cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE &&
	    !type_known(info, cmd->in_data_type))
		return -EOPNOTSUPP;
	err = data_out(call->client, info, cmd->data_uptr, cmd->data_len);
	if (err)
		return err;
	cmd->data_len = (uint32_t)info->hw_info_bytes;
	cmd->out_data_type = info->hw_info_type;
	cmd->out_capabilities = info->hw_capabilities;
	cmd->out_max_pasid_log2 = info->max_pasid_log2;
	return uapi_respond(call, sizeof(*cmd));
}

long iommufd_get_hw_info(struct uapi_call *call)
{
	struct iommu_hw_info *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_device *dev;
	int err;

	if (cmd->flags & ~(uint32_t)IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		return -EOPNOTSUPP;
	if (cmd->__reserved[0] || cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;
	dev = device_get(ctx, cmd->dev_id);
	if (!dev)
		return -ENOENT;
	err = answer(call, &dev->info);
	object_put(ctx, &dev->obj);
	return err;
}
