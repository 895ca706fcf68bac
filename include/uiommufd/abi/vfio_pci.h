/* SPDX-License-Identifier: MIT */
/*
 * VFIO for PCI: the fixed numbers of regions and interrupts, and hot reset. Part of
 * vfio.h.
 */
#ifndef UIOMMUFD_ABI_VFIO_PCI_H
#define UIOMMUFD_ABI_VFIO_PCI_H

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC system_header /* structs that end in [], as the kernel's: C, but no C++ */
#endif

#include "uiommufd/abi/vfio.h"

#ifdef UIOMMUFD_ABI_VFIO_IS_OURS

enum {
	VFIO_PCI_BAR0_REGION_INDEX = 0,
	VFIO_PCI_BAR1_REGION_INDEX = 1,
	VFIO_PCI_BAR2_REGION_INDEX = 2,
	VFIO_PCI_BAR3_REGION_INDEX = 3,
	VFIO_PCI_BAR4_REGION_INDEX = 4,
	VFIO_PCI_BAR5_REGION_INDEX = 5,
	VFIO_PCI_ROM_REGION_INDEX = 6,
	VFIO_PCI_CONFIG_REGION_INDEX = 7,
	VFIO_PCI_VGA_REGION_INDEX =
		8,                /* legacy VGA ports and memory, at their addresses */
	VFIO_PCI_NUM_REGIONS = 9, /* the device's own regions start here */
};

enum {
	VFIO_PCI_INTX_IRQ_INDEX = 0,
	VFIO_PCI_MSI_IRQ_INDEX = 1,
	VFIO_PCI_MSIX_IRQ_INDEX = 2,
	VFIO_PCI_ERR_IRQ_INDEX = 3, /* the device reported an error */
	VFIO_PCI_REQ_IRQ_INDEX = 4, /* the host wants the device back */
	VFIO_PCI_NUM_IRQS = 5,
};

/* Capability of VFIO_DEVICE_GET_INFO: AtomicOps the root port completes, by width. */
#define VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP 5
#define VFIO_PCI_ATOMIC_COMP32               (1 << 0)
#define VFIO_PCI_ATOMIC_COMP64               (1 << 1)
#define VFIO_PCI_ATOMIC_COMP128              (1 << 2)

struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	uint32_t flags; /* VFIO_PCI_ATOMIC_COMP* */
	uint32_t reserved;
};

/* ---- hot reset: everything below one bus or slot at once ------------------------ */

#define VFIO_PCI_DEVID_OWNED     0    /* shares an owner's group */
#define VFIO_PCI_DEVID_NOT_OWNED (-1) /* stands in the way of the reset */

/* A function that the reset would hit as well. */
struct vfio_pci_dependent_device {
	union {
		uint32_t group_id;
		uint32_t devid; /* with FLAG_DEV_ID: its iommufd id, or as above */
	};
	uint16_t segment;
	uint8_t bus;
	uint8_t devfn; /* device << 3 | function */
};

#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID       (1 << 0) /* ids are iommufd ids */
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1) /* and the caller has them all */

struct vfio_pci_hot_reset_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_PCI_HOT_RESET_FLAG_* */
	uint32_t count;
	struct vfio_pci_dependent_device devices[];
};

/* ENOSPC: no room for all, count says how many. ENODEV: the device cannot. */
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO _IO(VFIO_TYPE, VFIO_BASE + 12)

/* With groups their fds prove that the caller may; with an iommufd there are none. */
struct vfio_pci_hot_reset {
	uint32_t argsz;
	uint32_t flags; /* 0 */
	uint32_t count;
	int32_t group_fds[];
};

#define VFIO_DEVICE_PCI_HOT_RESET _IO(VFIO_TYPE, VFIO_BASE + 13)

#endif /* UIOMMUFD_ABI_VFIO_IS_OURS */
#endif
