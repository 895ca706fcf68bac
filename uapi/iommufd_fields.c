/* SPDX-License-Identifier: MIT */
/* What is in the structs of iommufd's ioctls, for traces. */
#include "uapi/fields.h"
#include "uapi/iommufd_fields.h"
#include "uiommufd/abi/iommufd.h"

static const struct uapi_name map_flags[] = {
	{IOMMU_IOAS_MAP_FIXED_IOVA, "FIXED_IOVA"},
	{IOMMU_IOAS_MAP_WRITEABLE, "WRITEABLE"},
	{IOMMU_IOAS_MAP_READABLE, "READABLE"},
	{0, NULL},
};

static const struct uapi_name option_ids[] = {
	{IOMMU_OPTION_RLIMIT_MODE, "RLIMIT_MODE"},
	{IOMMU_OPTION_HUGE_PAGES, "HUGE_PAGES"},
	{0, NULL},
};

static const struct uapi_name option_ops[] = {
	{IOMMU_OPTION_OP_SET, "SET"},
	{IOMMU_OPTION_OP_GET, "GET"},
	{0, NULL},
};

static const struct uapi_name vfio_ioas_ops[] = {
	{IOMMU_VFIO_IOAS_GET, "GET"},
	{IOMMU_VFIO_IOAS_SET, "SET"},
	{IOMMU_VFIO_IOAS_CLEAR, "CLEAR"},
	{0, NULL},
};

static const struct uapi_name hwpt_flags[] = {
	{IOMMU_HWPT_ALLOC_NEST_PARENT, "NEST_PARENT"},
	{IOMMU_HWPT_ALLOC_DIRTY_TRACKING, "DIRTY_TRACKING"},
	{IOMMU_HWPT_FAULT_ID_VALID, "FAULT_ID_VALID"},
	{IOMMU_HWPT_ALLOC_PASID, "PASID"},
	{0, NULL},
};

static const struct uapi_name hwpt_data_types[] = {
	{IOMMU_HWPT_DATA_NONE, "NONE"},
	{IOMMU_HWPT_DATA_VTD_S1, "VTD_S1"},
	{IOMMU_HWPT_DATA_ARM_SMMUV3, "ARM_SMMUV3"},
	{IOMMU_HWPT_DATA_AMD_GUEST, "AMD_GUEST"},
	{0, NULL},
};

static const struct uapi_name dirty_tracking_flags[] = {
	{IOMMU_HWPT_DIRTY_TRACKING_ENABLE, "ENABLE"},
	{0, NULL},
};

static const struct uapi_name dirty_bitmap_flags[] = {
	{IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, "NO_CLEAR"},
	{0, NULL},
};

static const struct uapi_name invalidate_types[] = {
	{IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, "VTD_S1"},
	{IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, "ARM_SMMUV3"},
	{0, NULL},
};

static const struct uapi_name hw_info_flags[] = {
	{IOMMU_HW_INFO_FLAG_INPUT_TYPE, "INPUT_TYPE"},
	{0, NULL},
};

static const struct uapi_name hw_info_types[] = {
	{IOMMU_HW_INFO_TYPE_NONE, "NONE"},
	{IOMMU_HW_INFO_TYPE_INTEL_VTD, "INTEL_VTD"},
	{IOMMU_HW_INFO_TYPE_ARM_SMMUV3, "ARM_SMMUV3"},
	{IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
	{IOMMU_HW_INFO_TYPE_AMD, "AMD"},
	{0, NULL},
};

static const struct uapi_name hw_capabilities[] = {
	{IOMMU_HW_CAP_DIRTY_TRACKING, "DIRTY_TRACKING"},
	{IOMMU_HW_CAP_PCI_PASID_EXEC, "PCI_PASID_EXEC"},
	{IOMMU_HW_CAP_PCI_PASID_PRIV, "PCI_PASID_PRIV"},
	{IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, "PCI_ATS_NOT_SUPPORTED"},
	{0, NULL},
};

static const struct uapi_name viommu_types[] = {
	{IOMMU_VIOMMU_TYPE_DEFAULT, "DEFAULT"},
	{IOMMU_VIOMMU_TYPE_ARM_SMMUV3, "ARM_SMMUV3"},
	{IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
	{0, NULL},
};

static const struct uapi_name veventq_types[] = {
	{IOMMU_VEVENTQ_TYPE_DEFAULT, "DEFAULT"},
	{IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, "ARM_SMMUV3"},
	{IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
	{0, NULL},
};

static const struct uapi_name hw_queue_types[] = {
	{IOMMU_HW_QUEUE_TYPE_DEFAULT, "DEFAULT"},
	{IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
	{0, NULL},
};

const struct uapi_field iommu_destroy_fields[] = {
	IN(iommu_destroy, id, DEC),
	END,
};

const struct uapi_field iommu_ioas_alloc_fields[] = {
	IN(iommu_ioas_alloc, flags, HEX),
	OUT(iommu_ioas_alloc, out_ioas_id, DEC),
	END,
};

const struct uapi_field iommu_ioas_allow_iovas_fields[] = {
	IN(iommu_ioas_allow_iovas, ioas_id, DEC),
	IN(iommu_ioas_allow_iovas, num_iovas, DEC),
	IN(iommu_ioas_allow_iovas, __reserved, PAD),
	IN(iommu_ioas_allow_iovas, allowed_iovas, PTR),
	END,
};

const struct uapi_field iommu_ioas_iova_ranges_fields[] = {
	IN(iommu_ioas_iova_ranges, ioas_id, DEC),
	IN(iommu_ioas_iova_ranges, num_iovas, DEC),
	IN(iommu_ioas_iova_ranges, __reserved, PAD),
	IN(iommu_ioas_iova_ranges, allowed_iovas, PTR),
	OUT(iommu_ioas_iova_ranges, num_iovas, DEC),
	OUT(iommu_ioas_iova_ranges, out_iova_alignment, HEX),
	END,
};

const struct uapi_field iommu_ioas_map_fields[] = {
	IN_NAMED(iommu_ioas_map, flags, FLAGS, map_flags),
	IN(iommu_ioas_map, ioas_id, DEC),
	IN(iommu_ioas_map, __reserved, PAD),
	IN(iommu_ioas_map, user_va, PTR),
	IN(iommu_ioas_map, length, HEX),
	IN(iommu_ioas_map, iova, HEX),
	OUT(iommu_ioas_map, iova, HEX),
	END,
};

const struct uapi_field iommu_ioas_map_file_fields[] = {
	IN_NAMED(iommu_ioas_map_file, flags, FLAGS, map_flags),
	IN(iommu_ioas_map_file, ioas_id, DEC),
	IN(iommu_ioas_map_file, fd, FD),
	IN(iommu_ioas_map_file, start, HEX),
	IN(iommu_ioas_map_file, length, HEX),
	IN(iommu_ioas_map_file, iova, HEX),
	OUT(iommu_ioas_map_file, iova, HEX),
	END,
};

const struct uapi_field iommu_ioas_copy_fields[] = {
	IN_NAMED(iommu_ioas_copy, flags, FLAGS, map_flags),
	IN(iommu_ioas_copy, dst_ioas_id, DEC),
	IN(iommu_ioas_copy, src_ioas_id, DEC),
	IN(iommu_ioas_copy, length, HEX),
	IN(iommu_ioas_copy, dst_iova, HEX),
	IN(iommu_ioas_copy, src_iova, HEX),
	OUT(iommu_ioas_copy, dst_iova, HEX),
	END,
};

const struct uapi_field iommu_ioas_unmap_fields[] = {
	IN(iommu_ioas_unmap, ioas_id, DEC),
	IN(iommu_ioas_unmap, iova, HEX),
	IN(iommu_ioas_unmap, length, HEX),
	OUT(iommu_ioas_unmap, length, HEX),
	END,
};

const struct uapi_field iommu_ioas_change_process_fields[] = {
	IN(iommu_ioas_change_process, __reserved, PAD),
	END,
};

const struct uapi_field iommu_ioas_noiommu_get_pa_fields[] = {
	IN(iommu_ioas_noiommu_get_pa, flags, HEX),
	IN(iommu_ioas_noiommu_get_pa, ioas_id, DEC),
	IN(iommu_ioas_noiommu_get_pa, __reserved, PAD),
	IN(iommu_ioas_noiommu_get_pa, iova, HEX),
	IN(iommu_ioas_noiommu_get_pa, length, HEX),
	OUT(iommu_ioas_noiommu_get_pa, length, HEX),
	OUT(iommu_ioas_noiommu_get_pa, out_phys, HEX),
	END,
};

const struct uapi_field iommu_option_fields[] = {
	IN_NAMED(iommu_option, option_id, ENUM, option_ids),
	IN_NAMED(iommu_option, op, ENUM, option_ops),
	IN(iommu_option, __reserved, PAD),
	IN(iommu_option, object_id, DEC),
	IN(iommu_option, val64, DEC),
	OUT(iommu_option, val64, DEC),
	END,
};

const struct uapi_field iommu_vfio_ioas_fields[] = {
	IN_NAMED(iommu_vfio_ioas, op, ENUM, vfio_ioas_ops),
	IN(iommu_vfio_ioas, ioas_id, DEC),
	IN(iommu_vfio_ioas, __reserved, PAD),
	OUT(iommu_vfio_ioas, ioas_id, DEC),
	END,
};

const struct uapi_field iommu_hwpt_alloc_fields[] = {
	IN_NAMED(iommu_hwpt_alloc, flags, FLAGS, hwpt_flags),
	IN(iommu_hwpt_alloc, dev_id, DEC),
	IN(iommu_hwpt_alloc, pt_id, DEC),
	IN(iommu_hwpt_alloc, __reserved, PAD),
	IN_NAMED(iommu_hwpt_alloc, data_type, ENUM, hwpt_data_types),
	IN(iommu_hwpt_alloc, data_len, DEC),
	IN(iommu_hwpt_alloc, data_uptr, PTR),
	IN(iommu_hwpt_alloc, fault_id, DEC),
	IN(iommu_hwpt_alloc, __reserved2, PAD),
	OUT(iommu_hwpt_alloc, out_hwpt_id, DEC),
	END,
};

const struct uapi_field iommu_hwpt_set_dirty_tracking_fields[] = {
	IN_NAMED(iommu_hwpt_set_dirty_tracking, flags, FLAGS, dirty_tracking_flags),
	IN(iommu_hwpt_set_dirty_tracking, hwpt_id, DEC),
	IN(iommu_hwpt_set_dirty_tracking, __reserved, PAD),
	END,
};

const struct uapi_field iommu_hwpt_get_dirty_bitmap_fields[] = {
	IN(iommu_hwpt_get_dirty_bitmap, hwpt_id, DEC),
	IN_NAMED(iommu_hwpt_get_dirty_bitmap, flags, FLAGS, dirty_bitmap_flags),
	IN(iommu_hwpt_get_dirty_bitmap, __reserved, PAD),
	IN(iommu_hwpt_get_dirty_bitmap, iova, HEX),
	IN(iommu_hwpt_get_dirty_bitmap, length, HEX),
	IN(iommu_hwpt_get_dirty_bitmap, page_size, HEX),
	IN(iommu_hwpt_get_dirty_bitmap, data, PTR),
	END,
};

const struct uapi_field iommu_hwpt_invalidate_fields[] = {
	IN(iommu_hwpt_invalidate, hwpt_id, DEC),
	IN(iommu_hwpt_invalidate, data_uptr, PTR),
	IN_NAMED(iommu_hwpt_invalidate, data_type, ENUM, invalidate_types),
	IN(iommu_hwpt_invalidate, entry_len, DEC),
	IN(iommu_hwpt_invalidate, entry_num, DEC),
	IN(iommu_hwpt_invalidate, __reserved, PAD),
	OUT(iommu_hwpt_invalidate, entry_num, DEC),
	END,
};

const struct uapi_field iommu_hw_info_fields[] = {
	IN_NAMED(iommu_hw_info, flags, FLAGS, hw_info_flags),
	IN(iommu_hw_info, dev_id, DEC),
	IN(iommu_hw_info, data_len, DEC),
	IN(iommu_hw_info, data_uptr, PTR),
	IN_NAMED(iommu_hw_info, in_data_type, ENUM, hw_info_types),
	IN(iommu_hw_info, __reserved[0], PAD),
	IN(iommu_hw_info, __reserved[1], PAD),
	IN(iommu_hw_info, __reserved[2], PAD),
	OUT(iommu_hw_info, data_len, DEC),
	OUT_NAMED(iommu_hw_info, out_data_type, ENUM, hw_info_types),
	OUT(iommu_hw_info, out_max_pasid_log2, DEC),
	OUT_NAMED(iommu_hw_info, out_capabilities, FLAGS, hw_capabilities),
	END,
};

const struct uapi_field iommu_fault_alloc_fields[] = {
	IN(iommu_fault_alloc, flags, HEX),
	OUT(iommu_fault_alloc, out_fault_id, DEC),
	OUT(iommu_fault_alloc, out_fault_fd, FD),
	END,
};

const struct uapi_field iommu_viommu_alloc_fields[] = {
	IN(iommu_viommu_alloc, flags, HEX),
	IN_NAMED(iommu_viommu_alloc, type, ENUM, viommu_types),
	IN(iommu_viommu_alloc, dev_id, DEC),
	IN(iommu_viommu_alloc, hwpt_id, DEC),
	IN(iommu_viommu_alloc, data_len, DEC),
	IN(iommu_viommu_alloc, __reserved, PAD),
	IN(iommu_viommu_alloc, data_uptr, PTR),
	OUT(iommu_viommu_alloc, out_viommu_id, DEC),
	END,
};

const struct uapi_field iommu_vdevice_alloc_fields[] = {
	IN(iommu_vdevice_alloc, viommu_id, DEC),
	IN(iommu_vdevice_alloc, dev_id, DEC),
	IN(iommu_vdevice_alloc, virt_id, HEX),
	OUT(iommu_vdevice_alloc, out_vdevice_id, DEC),
	END,
};

const struct uapi_field iommu_veventq_alloc_fields[] = {
	IN(iommu_veventq_alloc, flags, HEX),
	IN(iommu_veventq_alloc, viommu_id, DEC),
	IN_NAMED(iommu_veventq_alloc, type, ENUM, veventq_types),
	IN(iommu_veventq_alloc, veventq_depth, DEC),
	IN(iommu_veventq_alloc, __reserved, PAD),
	OUT(iommu_veventq_alloc, out_veventq_id, DEC),
	OUT(iommu_veventq_alloc, out_veventq_fd, FD),
	END,
};

const struct uapi_field iommu_hw_queue_alloc_fields[] = {
	IN(iommu_hw_queue_alloc, flags, HEX),
	IN(iommu_hw_queue_alloc, viommu_id, DEC),
	IN_NAMED(iommu_hw_queue_alloc, type, ENUM, hw_queue_types),
	IN(iommu_hw_queue_alloc, index, DEC),
	IN(iommu_hw_queue_alloc, nesting_parent_iova, HEX),
	IN(iommu_hw_queue_alloc, length, HEX),
	OUT(iommu_hw_queue_alloc, out_hw_queue_id, DEC),
	END,
};
