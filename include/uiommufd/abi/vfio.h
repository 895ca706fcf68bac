/* SPDX-License-Identifier: MIT */
/*
 * The ioctl interface of VFIO as of Linux 7.3: containers, groups, devices, regions and
 * interrupts here; PCI in vfio_pci.h, containers' DMA maps in vfio_type1.h, device
 * features in vfio_feature.h and what this project does not serve in vfio_other.h. All
 * of them come with this header.
 *
 * Structs start with argsz, the bytes the caller has room for: too few for the fields a
 * call needs is EINVAL. Unknown flags are EINVAL, unknown calls ENOTTY. Before a device
 * opened by its own node is bound to an iommufd, all it answers is EINVAL.
 *
 * A program that wants the kernel's header as well includes it before this one, which
 * then steps aside.
 */
#ifndef UIOMMUFD_ABI_VFIO_H
#define UIOMMUFD_ABI_VFIO_H

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC system_header /* structs that end in [], as the kernel's: C, but no C++ */
#endif

#if !defined(_UAPIVFIO_H) && !defined(VFIO_API_VERSION)
#define UIOMMUFD_ABI_VFIO_IS_OURS

#include "uiommufd/abi/types.h"

#define VFIO_API_VERSION 0

#define VFIO_TYPE        (';')
#define VFIO_BASE        100

/*
 * Calls that return variable data append capabilities to their struct: a chain of these
 * headers, offsets from the start of the struct, 0 ends it. When they do not fit, argsz
 * says what is needed and the offset of the first is 0; that is no error.
 */
struct vfio_info_cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next;
};

/* ---- containers: /dev/vfio/vfio ------------------------------------------------- */

/* Types of IOMMU for SET_IOMMU, and abilities, both for CHECK_EXTENSION. */
#define VFIO_TYPE1_IOMMU                    1
#define VFIO_SPAPR_TCE_IOMMU                2
#define VFIO_TYPE1v2_IOMMU                  3 /* unmaps whole maps only */
#define VFIO_DMA_CC_IOMMU                   4 /* DMA is cache coherent, even no-snoop */
#define VFIO_EEH                            5
#define __VFIO_RESERVED_TYPE1_NESTING_IOMMU 6
#define VFIO_SPAPR_TCE_v2_IOMMU             7
#define VFIO_NOIOMMU_IOMMU                  8
#define VFIO_UNMAP_ALL                      9  /* has VFIO_DMA_UNMAP_FLAG_ALL */
#define VFIO_UPDATE_VADDR                   10 /* has the two FLAG_VADDR */

#define VFIO_GET_API_VERSION                _IO(VFIO_TYPE, VFIO_BASE + 0)
/* The argument is the extension. Result: 0 no, positive yes. */
#define VFIO_CHECK_EXTENSION _IO(VFIO_TYPE, VFIO_BASE + 1)
/* The argument is the type. EINVAL: no group yet, or set before. ENODEV: unknown type. */
#define VFIO_SET_IOMMU _IO(VFIO_TYPE, VFIO_BASE + 2)

/* ---- groups: /dev/vfio/N -------------------------------------------------------- */

#define VFIO_GROUP_FLAGS_VIABLE        (1 << 0) /* all its devices are ours to use */
#define VFIO_GROUP_FLAGS_CONTAINER_SET (1 << 1)

struct vfio_group_status {
	uint32_t argsz;
	uint32_t flags; /* VFIO_GROUP_FLAGS_* */
};

#define VFIO_GROUP_GET_STATUS _IO(VFIO_TYPE, VFIO_BASE + 3)
/* The argument points to an int: the container's fd, or an iommufd. EINVAL: has one. */
#define VFIO_GROUP_SET_CONTAINER _IO(VFIO_TYPE, VFIO_BASE + 4)
/* EBUSY: a device of the group is open. */
#define VFIO_GROUP_UNSET_CONTAINER _IO(VFIO_TYPE, VFIO_BASE + 5)
/* The argument is the device's name, for PCI its address. Result: a new fd. */
#define VFIO_GROUP_GET_DEVICE_FD _IO(VFIO_TYPE, VFIO_BASE + 6)

/* ---- devices -------------------------------------------------------------------- */

#define VFIO_DEVICE_FLAGS_RESET    (1 << 0) /* VFIO_DEVICE_RESET works */
#define VFIO_DEVICE_FLAGS_PCI      (1 << 1)
#define VFIO_DEVICE_FLAGS_PLATFORM (1 << 2)
#define VFIO_DEVICE_FLAGS_AMBA     (1 << 3)
#define VFIO_DEVICE_FLAGS_CCW      (1 << 4)
#define VFIO_DEVICE_FLAGS_AP       (1 << 5)
#define VFIO_DEVICE_FLAGS_FSL_MC   (1 << 6)
#define VFIO_DEVICE_FLAGS_CAPS     (1 << 7) /* cap_offset is valid */
#define VFIO_DEVICE_FLAGS_CDX      (1 << 8)

struct vfio_device_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DEVICE_FLAGS_* */
	uint32_t num_regions;
	uint32_t num_irqs;
	uint32_t cap_offset;
	uint32_t pad;
};

#define VFIO_DEVICE_GET_INFO _IO(VFIO_TYPE, VFIO_BASE + 7)

/* Names that mediated devices give in sysfs. */
#define VFIO_DEVICE_API_PCI_STRING      "vfio-pci"
#define VFIO_DEVICE_API_PLATFORM_STRING "vfio-platform"
#define VFIO_DEVICE_API_AMBA_STRING     "vfio-amba"
#define VFIO_DEVICE_API_CCW_STRING      "vfio-ccw"
#define VFIO_DEVICE_API_AP_STRING       "vfio-ap"

/* EINVAL: the device has no way to be reset. */
#define VFIO_DEVICE_RESET _IO(VFIO_TYPE, VFIO_BASE + 11)

/* Binds an opened device node to an iommufd; its fd is all that DMA needs from then on.
 */
#define VFIO_DEVICE_BIND_FLAG_TOKEN (1 << 0) /* token_uuid_ptr is given */

struct vfio_device_bind_iommufd {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DEVICE_BIND_FLAG_* */
	int32_t iommufd;
	uint32_t out_devid;          /* its id in the iommufd */
	uiommufd_u64 token_uuid_ptr; /* 16 bytes: the VF token of its physical function */
};

/* EBADF: no such fd. EBADFD: no iommufd. EINVAL: bound already. EBUSY: group path in use.
 */
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)

#define VFIO_DEVICE_ATTACH_PASID (1 << 0) /* pasid is given */

/* A device that is attached moves over in one step. */
struct vfio_device_attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DEVICE_ATTACH_* */
	uint32_t pt_id; /* in: an IOAS or a hwpt; out: the hwpt, or the IOAS given */
	uint32_t pasid;
};

#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)

#define VFIO_DEVICE_DETACH_PASID      (1 << 0) /* pasid is given */

/* From then on all its DMA is blocked. No error when it is not attached. */
struct vfio_device_detach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DEVICE_DETACH_* */
	uint32_t pasid;
};

#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)

/* ---- regions: what read, write and mmap of the device's fd reach ---------------- */

#define VFIO_REGION_INFO_FLAG_READ  (1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE (1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP  (1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS  (1 << 3) /* cap_offset is valid */

struct vfio_region_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_REGION_INFO_FLAG_* */
	uint32_t index; /* in */
	uint32_t cap_offset;
	uiommufd_u64 size;   /* bytes; 0: the device has none of this index */
	uiommufd_u64 offset; /* where it starts in the device's fd */
};

#define VFIO_DEVICE_GET_REGION_INFO _IO(VFIO_TYPE, VFIO_BASE + 8)

/* Capability: only these parts can be mapped. */
#define VFIO_REGION_INFO_CAP_SPARSE_MMAP 1

struct vfio_region_sparse_mmap_area {
	uiommufd_u64 offset; /* from the region's start */
	uiommufd_u64 size;
};

struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	uint32_t nr_areas;
	uint32_t reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

/* Capability: what a region beyond the fixed ones is. */
#define VFIO_REGION_INFO_CAP_TYPE 2

struct vfio_region_info_cap_type {
	struct vfio_info_cap_header header;
	uint32_t type;    /* VFIO_REGION_TYPE_* */
	uint32_t subtype; /* VFIO_REGION_SUBTYPE_*, by type */
};

/* Capability: the pages of the MSI-X table can be mapped with the rest of the BAR. */
#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE 3

/* ---- interrupts ----------------------------------------------------------------- */

#define VFIO_IRQ_INFO_EVENTFD    (1 << 0)
#define VFIO_IRQ_INFO_MASKABLE   (1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED (1 << 2) /* masks itself at each interrupt */
#define VFIO_IRQ_INFO_NORESIZE   (1 << 3) /* its number is fixed while enabled */

struct vfio_irq_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_IRQ_INFO_* */
	uint32_t index; /* in */
	uint32_t count; /* 0: the device has none of this index */
};

#define VFIO_DEVICE_GET_IRQ_INFO _IO(VFIO_TYPE, VFIO_BASE + 9)

/* Just one DATA and one ACTION. */
#define VFIO_IRQ_SET_DATA_NONE      (1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL      (1 << 1) /* one u8 each: act when it is not 0 */
#define VFIO_IRQ_SET_DATA_EVENTFD   (1 << 2) /* one s32 each; -1: take it away */
#define VFIO_IRQ_SET_ACTION_MASK    (1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK  (1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER (1 << 5)
#define VFIO_IRQ_SET_DATA_TYPE_MASK                                                      \
	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define VFIO_IRQ_SET_ACTION_TYPE_MASK                                                    \
	(VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK |                         \
	 VFIO_IRQ_SET_ACTION_TRIGGER)

/*
 * Act on [start, start + count) of an index. TRIGGER with EVENTFD enables it; TRIGGER
 * with NONE and count 0 disables it, with BOOL or NONE else it fires.
 */
struct vfio_irq_set {
	uint32_t argsz;
	uint32_t flags; /* VFIO_IRQ_SET_* */
	uint32_t index;
	uint32_t start;
	uint32_t count;
	uint8_t data[];
};

#define VFIO_DEVICE_SET_IRQS _IO(VFIO_TYPE, VFIO_BASE + 10)

/* Have a write done whenever an eventfd is signalled. */
#define VFIO_DEVICE_IOEVENTFD_8         (1 << 0) /* its width in bits */
#define VFIO_DEVICE_IOEVENTFD_16        (1 << 1)
#define VFIO_DEVICE_IOEVENTFD_32        (1 << 2)
#define VFIO_DEVICE_IOEVENTFD_64        (1 << 3)
#define VFIO_DEVICE_IOEVENTFD_SIZE_MASK (0xf)

struct vfio_device_ioeventfd {
	uint32_t argsz;
	uint32_t flags;      /* one of VFIO_DEVICE_IOEVENTFD_* */
	uiommufd_u64 offset; /* in the device's fd */
	uiommufd_u64 data;
	int32_t fd; /* -1: no longer */
	uint32_t reserved;
};

#define VFIO_DEVICE_IOEVENTFD _IO(VFIO_TYPE, VFIO_BASE + 16)

#include "uiommufd/abi/vfio_pci.h"
#include "uiommufd/abi/vfio_feature.h"
#include "uiommufd/abi/vfio_type1.h"
#include "uiommufd/abi/vfio_other.h"

#endif /* the kernel's header was here first */
#endif
