/* SPDX-License-Identifier: MIT */
/*
 * The table of iommufd's ioctls, in the order of their numbers. The minimum size is that
 * of the first kernel that had the call; the size, what Linux 7.3 knows.
 */
#include <errno.h>

#include "iommufd/private.h"
#include "uapi/iommufd_fields.h"

#define END_OF(type, member)                                                             \
	(offsetof(struct type, member) + sizeof(((struct type *)NULL)->member))

/* The rest: more members of the entry. */
#define CALL(cmd_, type, last, handler_, ...)                                            \
	{                                                                                \
		.cmd = (cmd_), .name = #cmd_, .rule = UAPI_SIZED,                        \
		.min_size = END_OF(type, last), .size = sizeof(struct type),             \
		.handler = (handler_), .fields = type##_fields, __VA_ARGS__              \
	}

/* Needs a device that works without an IOMMU, which there is none of. */
static long noiommu_get_pa(struct uapi_call *call)
{
	return -EOPNOTSUPP;
}

static long destroy(struct uapi_call *call)
{
	struct iommu_destroy *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_object *v = object_get(ctx, cmd->id, OBJECT_VIOMMU);

	if (v) {
		bool mapped =
			viommu_mapped_by((struct iommufd_viommu *)v, call->client->pid);

		object_put(ctx, v);
		if (mapped)
			return -EBUSY;
	}
	return object_destroy(call_ctx(call), cmd->id);
}

static const struct uapi_entry entries[] = {
	CALL(IOMMU_DESTROY, iommu_destroy, id, destroy, .takes_away = true),
	CALL(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id, iommufd_ioas_alloc),
	CALL(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas,
	     iommufd_ioas_allow_iovas),
	CALL(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova, iommufd_ioas_copy),
	CALL(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment,
	     iommufd_ioas_iova_ranges),
	CALL(IOMMU_IOAS_MAP, iommu_ioas_map, iova, iommufd_ioas_map),
	CALL(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length, iommufd_ioas_unmap,
	     .takes_away = true),
	CALL(IOMMU_OPTION, iommu_option, val64, iommufd_option),
	CALL(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved, iommufd_vfio_ioas),
	CALL(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved, iommufd_hwpt_alloc),
	CALL(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved, iommufd_get_hw_info),
	CALL(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved,
	     iommufd_hwpt_set_dirty_tracking),
	CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data,
	     iommufd_hwpt_get_dirty_bitmap),
	CALL(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved,
	     iommufd_hwpt_invalidate),
	CALL(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd,
	     iommufd_fault_alloc),
	CALL(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova, iommufd_ioas_map_file),
	CALL(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id, iommufd_viommu_alloc),
	CALL(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id, iommufd_vdevice_alloc),
	CALL(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved,
	     iommufd_ioas_change_process),
	CALL(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd,
	     iommufd_veventq_alloc),
	CALL(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length, iommufd_hw_queue_alloc),
	CALL(IOMMU_IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, out_phys,
	     noiommu_get_pa),
};

const struct uapi_table iommufd_table = {
	.family = "iommufd",
	.entries = entries,
	.n = ARRAY_LEN(entries),
};
