/* SPDX-License-Identifier: MIT */
/*
 * DMA maps of a VFIO container (type1), also served by an iommufd for the IOAS that
 * IOMMU_VFIO_IOAS names. Part of vfio.h.
 */
#ifndef UIOMMUFD_ABI_VFIO_TYPE1_H
#define UIOMMUFD_ABI_VFIO_TYPE1_H

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC system_header /* structs that end in [], as the kernel's: C, but no C++ */
#endif

#include "uiommufd/abi/vfio.h"

#ifdef UIOMMUFD_ABI_VFIO_IS_OURS

#define VFIO_IOMMU_INFO_PGSIZES (1 << 0) /* iova_pgsizes is valid */
#define VFIO_IOMMU_INFO_CAPS    (1 << 1) /* cap_offset is valid */

struct vfio_iommu_type1_info {
	uint32_t argsz;
	uint32_t flags;            /* VFIO_IOMMU_INFO_* */
	uiommufd_u64 iova_pgsizes; /* a bit for each page size */
	uint32_t cap_offset;
	uint32_t pad;
};

#define VFIO_IOMMU_GET_INFO _IO(VFIO_TYPE, VFIO_BASE + 12)

/* Capability: where IOVAs may be. */
#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1

struct vfio_iova_range {
	uint64_t start;
	uint64_t end; /* inclusive */
};

struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	uint32_t nr_iovas;
	uint32_t reserved;
	struct vfio_iova_range iova_ranges[];
};

/* Capability: dirty pages can be tracked. */
#define VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION 2

struct vfio_iommu_type1_info_cap_migration {
	struct vfio_info_cap_header header;
	uint32_t flags;
	uint64_t pgsize_bitmap;
	uint64_t max_dirty_bitmap_size; /* bytes */
};

/* Capability: how many more maps there may be. */
#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL 3

struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	uint32_t avail;
};

#define VFIO_DMA_MAP_FLAG_READ  (1 << 0) /* by devices */
#define VFIO_DMA_MAP_FLAG_WRITE (1 << 1) /* by devices */
#define VFIO_DMA_MAP_FLAG_VADDR (1 << 2) /* only tell where the memory is now */

/* EEXIST: the IOVAs are in use. ENOSPC: too many maps. */
struct vfio_iommu_type1_dma_map {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DMA_MAP_FLAG_* */
	uint64_t vaddr;
	uint64_t iova;
	uint64_t size; /* bytes */
};

#define VFIO_IOMMU_MAP_DMA _IO(VFIO_TYPE, VFIO_BASE + 13)

struct vfio_bitmap {
	uint64_t pgsize; /* bytes for each bit */
	uint64_t size;   /* bytes of @data */
	uint64_t *data;
};

#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP (1 << 0) /* data: struct vfio_bitmap */
#define VFIO_DMA_UNMAP_FLAG_ALL              (1 << 1) /* iova and size are 0 */
#define VFIO_DMA_UNMAP_FLAG_VADDR            (1 << 2) /* only forget where the memory is */

struct vfio_iommu_type1_dma_unmap {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DMA_UNMAP_FLAG_* */
	uint64_t iova;
	uint64_t size; /* bytes; out: how many were unmapped, which may be 0 */
	uint8_t data[];
};

#define VFIO_IOMMU_UNMAP_DMA _IO(VFIO_TYPE, VFIO_BASE + 14)

/* sPAPR only; no argument. */
#define VFIO_IOMMU_ENABLE  _IO(VFIO_TYPE, VFIO_BASE + 15)
#define VFIO_IOMMU_DISABLE _IO(VFIO_TYPE, VFIO_BASE + 16)

/* Just one of them. */
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_START      (1 << 0)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP       (1 << 1)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP (1 << 2) /* data: ..._dirty_bitmap_get */

struct vfio_iommu_type1_dirty_bitmap {
	uint32_t argsz;
	uint32_t flags; /* VFIO_IOMMU_DIRTY_PAGES_FLAG_* */
	uint8_t data[];
};

struct vfio_iommu_type1_dirty_bitmap_get {
	uint64_t iova;
	uint64_t size; /* bytes of IOVA */
	struct vfio_bitmap bitmap;
};

#define VFIO_IOMMU_DIRTY_PAGES _IO(VFIO_TYPE, VFIO_BASE + 17)

#endif /* UIOMMUFD_ABI_VFIO_IS_OURS */
#endif
