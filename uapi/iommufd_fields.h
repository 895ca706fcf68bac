/* SPDX-License-Identifier: MIT */
/*
 * Field lists of iommufd's structs, one for each ioctl, named for the struct: what
 * uapi_entry.fields of the iommufd table points to.
 */
#ifndef UAPI_IOMMUFD_FIELDS_H
#define UAPI_IOMMUFD_FIELDS_H

#include "uapi/table.h"

extern const struct uapi_field iommu_destroy_fields[];
extern const struct uapi_field iommu_fault_alloc_fields[];
extern const struct uapi_field iommu_hw_info_fields[];
extern const struct uapi_field iommu_hw_queue_alloc_fields[];
extern const struct uapi_field iommu_hwpt_alloc_fields[];
extern const struct uapi_field iommu_hwpt_get_dirty_bitmap_fields[];
extern const struct uapi_field iommu_hwpt_invalidate_fields[];
extern const struct uapi_field iommu_hwpt_set_dirty_tracking_fields[];
extern const struct uapi_field iommu_ioas_alloc_fields[];
extern const struct uapi_field iommu_ioas_allow_iovas_fields[];
extern const struct uapi_field iommu_ioas_change_process_fields[];
extern const struct uapi_field iommu_ioas_copy_fields[];
extern const struct uapi_field iommu_ioas_iova_ranges_fields[];
extern const struct uapi_field iommu_ioas_map_fields[];
extern const struct uapi_field iommu_ioas_map_file_fields[];
extern const struct uapi_field iommu_ioas_noiommu_get_pa_fields[];
extern const struct uapi_field iommu_ioas_unmap_fields[];
extern const struct uapi_field iommu_option_fields[];
extern const struct uapi_field iommu_vdevice_alloc_fields[];
extern const struct uapi_field iommu_veventq_alloc_fields[];
extern const struct uapi_field iommu_vfio_ioas_fields[];
extern const struct uapi_field iommu_viommu_alloc_fields[];

#endif
