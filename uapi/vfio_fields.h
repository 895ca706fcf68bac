/* SPDX-License-Identifier: MIT */
/*
 * Field lists of VFIO's structs, named for the struct: what uapi_entry.fields of the
 * VFIO tables points to.
 *
 * An entry's size must cover its list. Two calls answer beyond their minimum when argsz
 * allows: VFIO_DEVICE_GET_INFO (min 16, size 24) and VFIO_IOMMU_GET_INFO (16, 24). BIND
 * follows the rule UAPI_SIZED (min 16, size 24), as it does in Linux.
 */
#ifndef UAPI_VFIO_FIELDS_H
#define UAPI_VFIO_FIELDS_H

#include "uapi/table.h"

extern const struct uapi_field vfio_group_status_fields[];

extern const struct uapi_field vfio_device_info_fields[];
extern const struct uapi_field vfio_region_info_fields[];
extern const struct uapi_field vfio_irq_info_fields[];
extern const struct uapi_field vfio_irq_set_fields[];
extern const struct uapi_field vfio_device_ioeventfd_fields[];
extern const struct uapi_field vfio_device_feature_fields[];
extern const struct uapi_field vfio_device_bind_iommufd_fields[];
extern const struct uapi_field vfio_device_attach_iommufd_pt_fields[];
extern const struct uapi_field vfio_device_detach_iommufd_pt_fields[];
extern const struct uapi_field vfio_pci_hot_reset_info_fields[];
extern const struct uapi_field vfio_pci_hot_reset_fields[];
extern const struct uapi_field vfio_precopy_info_fields[];

extern const struct uapi_field vfio_iommu_type1_info_fields[];
extern const struct uapi_field vfio_iommu_type1_dma_map_fields[];
extern const struct uapi_field vfio_iommu_type1_dma_unmap_fields[];
extern const struct uapi_field vfio_iommu_type1_dirty_bitmap_fields[];

#endif
