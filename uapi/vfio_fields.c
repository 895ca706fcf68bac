/* SPDX-License-Identifier: MIT */
/* What is in the structs of VFIO's ioctls, for traces. */
#include "uapi/fields.h"
#include "uapi/vfio_fields.h"
#include "uiommufd/abi/vfio.h"

static const struct uapi_name group_flags[] = {
	{VFIO_GROUP_FLAGS_VIABLE, "VIABLE"},
	{VFIO_GROUP_FLAGS_CONTAINER_SET, "CONTAINER_SET"},
	{0, NULL},
};

static const struct uapi_name device_flags[] = {
	{VFIO_DEVICE_FLAGS_RESET, "RESET"},
	{VFIO_DEVICE_FLAGS_PCI, "PCI"},
	{VFIO_DEVICE_FLAGS_CAPS, "CAPS"},
	{0, NULL},
};

static const struct uapi_name region_flags[] = {
	{VFIO_REGION_INFO_FLAG_READ, "READ"},
	{VFIO_REGION_INFO_FLAG_WRITE, "WRITE"},
	{VFIO_REGION_INFO_FLAG_MMAP, "MMAP"},
	{VFIO_REGION_INFO_FLAG_CAPS, "CAPS"},
	{0, NULL},
};

static const struct uapi_name regions[] = {
	{VFIO_PCI_BAR0_REGION_INDEX, "BAR0"}, {VFIO_PCI_BAR1_REGION_INDEX, "BAR1"},
	{VFIO_PCI_BAR2_REGION_INDEX, "BAR2"}, {VFIO_PCI_BAR3_REGION_INDEX, "BAR3"},
	{VFIO_PCI_BAR4_REGION_INDEX, "BAR4"}, {VFIO_PCI_BAR5_REGION_INDEX, "BAR5"},
	{VFIO_PCI_ROM_REGION_INDEX, "ROM"},   {VFIO_PCI_CONFIG_REGION_INDEX, "CONFIG"},
	{VFIO_PCI_VGA_REGION_INDEX, "VGA"},   {0, NULL},
};

static const struct uapi_name irqs[] = {
	{VFIO_PCI_INTX_IRQ_INDEX, "INTX"}, {VFIO_PCI_MSI_IRQ_INDEX, "MSI"},
	{VFIO_PCI_MSIX_IRQ_INDEX, "MSIX"}, {VFIO_PCI_ERR_IRQ_INDEX, "ERR"},
	{VFIO_PCI_REQ_IRQ_INDEX, "REQ"},   {0, NULL},
};

static const struct uapi_name irq_info_flags[] = {
	{VFIO_IRQ_INFO_EVENTFD, "EVENTFD"},
	{VFIO_IRQ_INFO_MASKABLE, "MASKABLE"},
	{VFIO_IRQ_INFO_AUTOMASKED, "AUTOMASKED"},
	{VFIO_IRQ_INFO_NORESIZE, "NORESIZE"},
	{0, NULL},
};

static const struct uapi_name irq_set_flags[] = {
	{VFIO_IRQ_SET_DATA_NONE, "DATA_NONE"},
	{VFIO_IRQ_SET_DATA_BOOL, "DATA_BOOL"},
	{VFIO_IRQ_SET_DATA_EVENTFD, "DATA_EVENTFD"},
	{VFIO_IRQ_SET_ACTION_MASK, "ACTION_MASK"},
	{VFIO_IRQ_SET_ACTION_UNMASK, "ACTION_UNMASK"},
	{VFIO_IRQ_SET_ACTION_TRIGGER, "ACTION_TRIGGER"},
	{0, NULL},
};

static const struct uapi_name ioeventfd_flags[] = {
	{VFIO_DEVICE_IOEVENTFD_8, "8"},
	{VFIO_DEVICE_IOEVENTFD_16, "16"},
	{VFIO_DEVICE_IOEVENTFD_32, "32"},
	{VFIO_DEVICE_IOEVENTFD_64, "64"},
	{0, NULL},
};

/* The upper half of the flags; the lower is the feature's number. */
static const struct uapi_name feature_methods[] = {
	{VFIO_DEVICE_FEATURE_PROBE >> 16, "PROBE"},
	{VFIO_DEVICE_FEATURE_GET >> 16, "GET"},
	{VFIO_DEVICE_FEATURE_SET >> 16, "SET"},
	{0, NULL},
};

static const struct uapi_name features[] = {
	{VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, "PCI_VF_TOKEN"},
	{VFIO_DEVICE_FEATURE_MIGRATION, "MIGRATION"},
	{VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, "MIG_DEVICE_STATE"},
	{VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, "LOW_POWER_ENTRY"},
	{VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, "LOW_POWER_ENTRY_WITH_WAKEUP"},
	{VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, "LOW_POWER_EXIT"},
	{VFIO_DEVICE_FEATURE_DMA_LOGGING_START, "DMA_LOGGING_START"},
	{VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, "DMA_LOGGING_STOP"},
	{VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, "DMA_LOGGING_REPORT"},
	{VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, "MIG_DATA_SIZE"},
	{VFIO_DEVICE_FEATURE_BUS_MASTER, "BUS_MASTER"},
	{VFIO_DEVICE_FEATURE_DMA_BUF, "DMA_BUF"},
	{VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, "MIG_PRECOPY_INFOv2"},
	{VFIO_DEVICE_FEATURE_ZPCI_ERROR, "ZPCI_ERROR"},
	{0, NULL},
};

static const struct uapi_name bind_flags[] = {
	{VFIO_DEVICE_BIND_FLAG_TOKEN, "TOKEN"},
	{0, NULL},
};

static const struct uapi_name attach_flags[] = {
	{VFIO_DEVICE_ATTACH_PASID, "PASID"},
	{0, NULL},
};

static const struct uapi_name hot_reset_flags[] = {
	{VFIO_PCI_HOT_RESET_FLAG_DEV_ID, "DEV_ID"},
	{VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, "DEV_ID_OWNED"},
	{0, NULL},
};

static const struct uapi_name precopy_flags[] = {
	{VFIO_PRECOPY_INFO_REINIT, "REINIT"},
	{0, NULL},
};

static const struct uapi_name iommu_info_flags[] = {
	{VFIO_IOMMU_INFO_PGSIZES, "PGSIZES"},
	{VFIO_IOMMU_INFO_CAPS, "CAPS"},
	{0, NULL},
};

static const struct uapi_name map_flags[] = {
	{VFIO_DMA_MAP_FLAG_READ, "READ"},
	{VFIO_DMA_MAP_FLAG_WRITE, "WRITE"},
	{VFIO_DMA_MAP_FLAG_VADDR, "VADDR"},
	{0, NULL},
};

static const struct uapi_name unmap_flags[] = {
	{VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, "GET_DIRTY_BITMAP"},
	{VFIO_DMA_UNMAP_FLAG_ALL, "ALL"},
	{VFIO_DMA_UNMAP_FLAG_VADDR, "VADDR"},
	{0, NULL},
};

static const struct uapi_name dirty_flags[] = {
	{VFIO_IOMMU_DIRTY_PAGES_FLAG_START, "START"},
	{VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, "STOP"},
	{VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, "GET_BITMAP"},
	{0, NULL},
};

const struct uapi_field vfio_group_status_fields[] = {
	OUT_NAMED(vfio_group_status, flags, FLAGS, group_flags),
	END,
};

const struct uapi_field vfio_device_info_fields[] = {
	OUT(vfio_device_info, argsz, DEC),
	OUT_NAMED(vfio_device_info, flags, FLAGS, device_flags),
	OUT(vfio_device_info, num_regions, DEC),
	OUT(vfio_device_info, num_irqs, DEC),
	OUT(vfio_device_info, cap_offset, DEC),
	END,
};

const struct uapi_field vfio_region_info_fields[] = {
	IN_NAMED(vfio_region_info, index, ENUM, regions),
	OUT(vfio_region_info, argsz, DEC),
	OUT_NAMED(vfio_region_info, flags, FLAGS, region_flags),
	OUT(vfio_region_info, cap_offset, DEC),
	OUT(vfio_region_info, size, HEX),
	OUT(vfio_region_info, offset, HEX),
	END,
};

const struct uapi_field vfio_irq_info_fields[] = {
	IN_NAMED(vfio_irq_info, index, ENUM, irqs),
	OUT_NAMED(vfio_irq_info, flags, FLAGS, irq_info_flags),
	OUT(vfio_irq_info, count, DEC),
	END,
};

const struct uapi_field vfio_irq_set_fields[] = {
	IN_NAMED(vfio_irq_set, flags, FLAGS, irq_set_flags),
	IN_NAMED(vfio_irq_set, index, ENUM, irqs),
	IN(vfio_irq_set, start, DEC),
	IN(vfio_irq_set, count, DEC),
	END,
};

const struct uapi_field vfio_device_ioeventfd_fields[] = {
	IN_NAMED(vfio_device_ioeventfd, flags, FLAGS, ioeventfd_flags),
	IN(vfio_device_ioeventfd, offset, HEX),
	IN(vfio_device_ioeventfd, data, HEX),
	IN(vfio_device_ioeventfd, fd, FD),
	END,
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_HALF  0
#define HIGH_HALF 2
#else
#define LOW_HALF  2
#define HIGH_HALF 0
#endif

const struct uapi_field vfio_device_feature_fields[] = {
	{
		.name = "flags",
		.offset = offsetof(struct vfio_device_feature, flags) + HIGH_HALF,
		.size = 2,
		.kind = UAPI_FLAGS,
		.names = feature_methods,
	},
	{
		.name = "feature",
		.offset = offsetof(struct vfio_device_feature, flags) + LOW_HALF,
		.size = 2,
		.kind = UAPI_ENUM,
		.names = features,
	},
	END,
};

const struct uapi_field vfio_device_bind_iommufd_fields[] = {
	IN_NAMED(vfio_device_bind_iommufd, flags, FLAGS, bind_flags),
	IN(vfio_device_bind_iommufd, iommufd, FD),
	IN(vfio_device_bind_iommufd, token_uuid_ptr, PTR),
	OUT(vfio_device_bind_iommufd, out_devid, DEC),
	END,
};

const struct uapi_field vfio_device_attach_iommufd_pt_fields[] = {
	IN_NAMED(vfio_device_attach_iommufd_pt, flags, FLAGS, attach_flags),
	IN(vfio_device_attach_iommufd_pt, pt_id, DEC),
	OUT(vfio_device_attach_iommufd_pt, pt_id, DEC),
	END,
};

const struct uapi_field vfio_device_detach_iommufd_pt_fields[] = {
	IN_NAMED(vfio_device_detach_iommufd_pt, flags, FLAGS, attach_flags),
	END,
};

const struct uapi_field vfio_pci_hot_reset_info_fields[] = {
	OUT(vfio_pci_hot_reset_info, argsz, DEC),
	OUT_NAMED(vfio_pci_hot_reset_info, flags, FLAGS, hot_reset_flags),
	OUT(vfio_pci_hot_reset_info, count, DEC),
	END,
};

const struct uapi_field vfio_pci_hot_reset_fields[] = {
	IN(vfio_pci_hot_reset, flags, HEX),
	IN(vfio_pci_hot_reset, count, DEC),
	END,
};

const struct uapi_field vfio_precopy_info_fields[] = {
	OUT_NAMED(vfio_precopy_info, flags, FLAGS, precopy_flags),
	OUT(vfio_precopy_info, initial_bytes, DEC),
	OUT(vfio_precopy_info, dirty_bytes, DEC),
	END,
};

const struct uapi_field vfio_iommu_type1_info_fields[] = {
	OUT(vfio_iommu_type1_info, argsz, DEC),
	OUT_NAMED(vfio_iommu_type1_info, flags, FLAGS, iommu_info_flags),
	OUT(vfio_iommu_type1_info, iova_pgsizes, HEX),
	END,
};

const struct uapi_field vfio_iommu_type1_dma_map_fields[] = {
	IN_NAMED(vfio_iommu_type1_dma_map, flags, FLAGS, map_flags),
	IN(vfio_iommu_type1_dma_map, vaddr, PTR),
	IN(vfio_iommu_type1_dma_map, iova, HEX),
	IN(vfio_iommu_type1_dma_map, size, HEX),
	END,
};

const struct uapi_field vfio_iommu_type1_dma_unmap_fields[] = {
	IN_NAMED(vfio_iommu_type1_dma_unmap, flags, FLAGS, unmap_flags),
	IN(vfio_iommu_type1_dma_unmap, iova, HEX),
	IN(vfio_iommu_type1_dma_unmap, size, HEX),
	OUT(vfio_iommu_type1_dma_unmap, size, HEX),
	END,
};

const struct uapi_field vfio_iommu_type1_dirty_bitmap_fields[] = {
	IN_NAMED(vfio_iommu_type1_dirty_bitmap, flags, FLAGS, dirty_flags),
	END,
};
