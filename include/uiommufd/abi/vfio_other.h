/* SPDX-License-Identifier: MIT */
/*
 * VFIO's numbers and structs for hardware that is not simulated here (s390 channels and
 * crypto, POWER's sPAPR IOMMU and EEH, graphics planes, NVLink) and interfaces that
 * Linux has given up. Programs that know them must still compile. Part of vfio.h.
 */
#ifndef UIOMMUFD_ABI_VFIO_OTHER_H
#define UIOMMUFD_ABI_VFIO_OTHER_H

#include "uiommufd/abi/vfio.h"

#ifdef UIOMMUFD_ABI_VFIO_IS_OURS

/* ---- s390 ----------------------------------------------------------------------- */

/* Capabilities of VFIO_DEVICE_GET_INFO. */
#define VFIO_DEVICE_INFO_CAP_ZPCI_BASE  1
#define VFIO_DEVICE_INFO_CAP_ZPCI_GROUP 2
#define VFIO_DEVICE_INFO_CAP_ZPCI_UTIL  3
#define VFIO_DEVICE_INFO_CAP_ZPCI_PFIP  4

enum {
	VFIO_CCW_CONFIG_REGION_INDEX = 0,
	VFIO_CCW_NUM_REGIONS = 1,
};

enum {
	VFIO_CCW_IO_IRQ_INDEX = 0,
	VFIO_CCW_CRW_IRQ_INDEX = 1,
	VFIO_CCW_REQ_IRQ_INDEX = 2,
	VFIO_CCW_NUM_IRQS = 3,
};

enum {
	VFIO_AP_REQ_IRQ_INDEX = 0,
	VFIO_AP_CFG_CHG_IRQ_INDEX = 1,
	VFIO_AP_NUM_IRQS = 2,
};

/* ---- types of device-specific regions ------------------------------------------- */

#define VFIO_REGION_TYPE_PCI_VENDOR_TYPE         (1 << 31) /* with the vendor id below */
#define VFIO_REGION_TYPE_PCI_VENDOR_MASK         (0xffff)
#define VFIO_REGION_TYPE_GFX                     (1)
#define VFIO_REGION_TYPE_CCW                     (2)
#define VFIO_REGION_TYPE_MIGRATION_DEPRECATED    (3)

#define VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION   (1) /* vendor 8086 */
#define VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG   (2)
#define VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG    (3)

#define VFIO_REGION_SUBTYPE_NVIDIA_NVLINK2_RAM   (1) /* vendor 10de */
#define VFIO_REGION_SUBTYPE_IBM_NVLINK2_ATSD     (1) /* vendor 1014 */

#define VFIO_REGION_SUBTYPE_GFX_EDID             (1)

#define VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD        (1)
#define VFIO_REGION_SUBTYPE_CCW_SCHIB            (2)
#define VFIO_REGION_SUBTYPE_CCW_CRW              (3)

#define VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED (1)

/* The start of an EDID region. Link down, write blob and size, link up. */
#define VFIO_DEVICE_GFX_LINK_STATE_UP   1
#define VFIO_DEVICE_GFX_LINK_STATE_DOWN 2

struct vfio_region_gfx_edid {
	uint32_t edid_offset; /* of the blob, from the region's start */
	uint32_t edid_max_size;
	uint32_t edid_size;
	uint32_t max_xres; /* 0: any */
	uint32_t max_yres;
	uint32_t link_state; /* VFIO_DEVICE_GFX_LINK_STATE_* */
};

struct vfio_region_info_cap_nvlink2_ssatgt {
	struct vfio_info_cap_header header;
	uiommufd_u64 tgt;
};

struct vfio_region_info_cap_nvlink2_lnkspd {
	struct vfio_info_cap_header header;
	uint32_t link_speed;
	uint32_t __pad;
};

#define VFIO_REGION_INFO_CAP_NVLINK2_SSATGT 4
#define VFIO_REGION_INFO_CAP_NVLINK2_LNKSPD 5

/* ---- migration, version 1 ------------------------------------------------------- */

#define VFIO_DEVICE_STATE_V1_STOP     (0)
#define VFIO_DEVICE_STATE_V1_RUNNING  (1 << 0)
#define VFIO_DEVICE_STATE_V1_SAVING   (1 << 1)
#define VFIO_DEVICE_STATE_V1_RESUMING (1 << 2)
#define VFIO_DEVICE_STATE_MASK                                                           \
	(VFIO_DEVICE_STATE_V1_RUNNING | VFIO_DEVICE_STATE_V1_SAVING |                    \
	 VFIO_DEVICE_STATE_V1_RESUMING)

/* Resuming goes with nothing else; together with saving it means an error. */
#define VFIO_DEVICE_STATE_VALID(state)                                                   \
	(!((state)&VFIO_DEVICE_STATE_V1_RESUMING) ||                                     \
	 ((state)&VFIO_DEVICE_STATE_MASK) == VFIO_DEVICE_STATE_V1_RESUMING)
#define VFIO_DEVICE_STATE_IS_ERROR(state)                                                \
	(((state)&VFIO_DEVICE_STATE_MASK) == VFIO_DEVICE_STATE_SET_ERROR(0))
#define VFIO_DEVICE_STATE_SET_ERROR(state)                                               \
	(((state) & ~VFIO_DEVICE_STATE_MASK) | VFIO_DEVICE_STATE_V1_SAVING |             \
	 VFIO_DEVICE_STATE_V1_RESUMING)

struct vfio_device_migration_info {
	uint32_t device_state; /* VFIO_DEVICE_STATE_V1_* */
	uint32_t reserved;
	uiommufd_u64 pending_bytes;
	uiommufd_u64 data_offset;
	uiommufd_u64 data_size;
};

/* ---- graphics planes of mediated devices ---------------------------------------- */

#define VFIO_GFX_PLANE_TYPE_PROBE  (1 << 0)
#define VFIO_GFX_PLANE_TYPE_DMABUF (1 << 1)
#define VFIO_GFX_PLANE_TYPE_REGION (1 << 2)

struct vfio_device_gfx_plane_info {
	uint32_t argsz;
	uint32_t flags;          /* VFIO_GFX_PLANE_TYPE_* */
	uint32_t drm_plane_type; /* in; the rest is out */
	uint32_t drm_format;
	uiommufd_u64 drm_format_mod;
	uint32_t width;
	uint32_t height;
	uint32_t stride;
	uint32_t size; /* bytes */
	uint32_t x_pos;
	uint32_t y_pos;
	uint32_t x_hot; /* UINT32_MAX: none */
	uint32_t y_hot;
	union {
		uint32_t region_index;
		uint32_t dmabuf_id;
	};
	uint32_t reserved;
};

#define VFIO_DEVICE_QUERY_GFX_PLANE _IO(VFIO_TYPE, VFIO_BASE + 14)
/* The argument points to a dmabuf_id. Result: a new fd. */
#define VFIO_DEVICE_GET_GFX_DMABUF _IO(VFIO_TYPE, VFIO_BASE + 15)

/* ---- sPAPR ---------------------------------------------------------------------- */

#define VFIO_IOMMU_SPAPR_INFO_DDW (1 << 0) /* ddw is valid */

struct vfio_iommu_spapr_tce_ddw_info {
	uint64_t pgsizes; /* a bit for each page size */
	uint32_t max_dynamic_windows_supported;
	uint32_t levels;
};

struct vfio_iommu_spapr_tce_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_IOMMU_SPAPR_INFO_* */
	uint32_t dma32_window_start;
	uint32_t dma32_window_size; /* bytes */
	struct vfio_iommu_spapr_tce_ddw_info ddw;
};

struct vfio_iommu_spapr_register_memory {
	uint32_t argsz;
	uint32_t flags;
	uint64_t vaddr;
	uint64_t size; /* bytes */
};

struct vfio_iommu_spapr_tce_create {
	uint32_t argsz;
	uint32_t flags;
	uint32_t page_shift;
	uint32_t __resv1;
	uint64_t window_size; /* bytes */
	uint32_t levels;
	uint32_t __resv2;
	uint64_t start_addr; /* out */
};

struct vfio_iommu_spapr_tce_remove {
	uint32_t argsz;
	uint32_t flags;
	uint64_t start_addr;
};

#define VFIO_IOMMU_SPAPR_TCE_GET_INFO      _IO(VFIO_TYPE, VFIO_BASE + 12)
#define VFIO_IOMMU_SPAPR_REGISTER_MEMORY   _IO(VFIO_TYPE, VFIO_BASE + 17)
#define VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_IOMMU_SPAPR_TCE_CREATE        _IO(VFIO_TYPE, VFIO_BASE + 19)
#define VFIO_IOMMU_SPAPR_TCE_REMOVE        _IO(VFIO_TYPE, VFIO_BASE + 20)

struct vfio_eeh_pe_err {
	uint32_t type;
	uint32_t func;
	uint64_t addr;
	uint64_t mask;
};

struct vfio_eeh_pe_op {
	uint32_t argsz;
	uint32_t flags;
	uint32_t op; /* VFIO_EEH_PE_* */
	union {
		struct vfio_eeh_pe_err err;
	};
};

#define VFIO_EEH_PE_OP                _IO(VFIO_TYPE, VFIO_BASE + 21)

#define VFIO_EEH_PE_DISABLE           0
#define VFIO_EEH_PE_ENABLE            1
#define VFIO_EEH_PE_UNFREEZE_IO       2
#define VFIO_EEH_PE_UNFREEZE_DMA      3
#define VFIO_EEH_PE_GET_STATE         4 /* result: VFIO_EEH_PE_STATE_* */
#define VFIO_EEH_PE_RESET_DEACTIVATE  5
#define VFIO_EEH_PE_RESET_HOT         6
#define VFIO_EEH_PE_RESET_FUNDAMENTAL 7
#define VFIO_EEH_PE_CONFIGURE         8
#define VFIO_EEH_PE_INJECT_ERR        9

#define VFIO_EEH_PE_STATE_NORMAL      0
#define VFIO_EEH_PE_STATE_RESET       1
#define VFIO_EEH_PE_STATE_STOPPED     2 /* no DMA, no access */
#define VFIO_EEH_PE_STATE_STOPPED_DMA 4
#define VFIO_EEH_PE_STATE_UNAVAIL     5

#endif /* UIOMMUFD_ABI_VFIO_IS_OURS */
#endif
