/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_FEATURE: one call for what only some devices have, dma-bufs and migration
 * among it. Part of vfio.h.
 */
#ifndef UIOMMUFD_ABI_VFIO_FEATURE_H
#define UIOMMUFD_ABI_VFIO_FEATURE_H

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC system_header /* structs that end in [], as the kernel's: C, but no C++ */
#endif

#include "uiommufd/abi/vfio.h"

#ifdef UIOMMUFD_ABI_VFIO_IS_OURS

#define VFIO_DEVICE_FEATURE_MASK  (0xffff)  /* the feature's number */
#define VFIO_DEVICE_FEATURE_GET   (1 << 16) /* the device writes data */
#define VFIO_DEVICE_FEATURE_SET   (1 << 17) /* the device reads data */
#define VFIO_DEVICE_FEATURE_PROBE (1 << 18) /* only ask whether it could */

/* GET or SET, or PROBE with none, one or both. ENOTTY: the device has no such feature. */
struct vfio_device_feature {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DEVICE_FEATURE_* */
	uint8_t data[];
};

#define VFIO_DEVICE_FEATURE _IO(VFIO_TYPE, VFIO_BASE + 17)

/* The features. What data is stands at each struct. */
#define VFIO_DEVICE_FEATURE_PCI_VF_TOKEN                (0) /* SET 16 bytes, of a PF */
#define VFIO_DEVICE_FEATURE_MIGRATION                   1   /* GET */
#define VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE            2   /* GET, SET */
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY             3   /* SET, no data */
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP 4   /* SET */
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT              5   /* SET, no data */
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_START           6   /* SET */
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP            7   /* SET, no data */
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT          8   /* GET */
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE               9   /* GET */
#define VFIO_DEVICE_FEATURE_BUS_MASTER                  10  /* SET, CDX only */
#define VFIO_DEVICE_FEATURE_DMA_BUF                     11  /* GET */
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2          12  /* SET, no data */
#define VFIO_DEVICE_FEATURE_ZPCI_ERROR                  13  /* GET, s390 only */

/* ---- DMA_BUF: part of a BAR as a dma-buf; the call's result is its fd ----------- */

struct vfio_region_dma_range {
	uint64_t offset; /* from the region's start; page aligned */
	uint64_t length;
};

/*
 * The ranges make up the buffer, one after the other. ENODEV: no such BAR. EINVAL: a
 * range that is empty, unaligned or outside.
 */
struct vfio_device_feature_dma_buf {
	uint32_t region_index;
	uint32_t open_flags; /* O_RDWR, O_CLOEXEC */
	uint32_t flags;      /* 0 */
	uint32_t nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};

/* ---- power ---------------------------------------------------------------------- */

/* The eventfd is signalled when an access wakes the device up. */
struct vfio_device_low_power_entry_with_wakeup {
	int32_t wakeup_eventfd;
	uint32_t reserved;
};

#define VFIO_DEVICE_FEATURE_CLEAR_MASTER 0 /* no DMA */
#define VFIO_DEVICE_FEATURE_SET_MASTER   1

struct vfio_device_feature_bus_master {
	uint32_t op;
};

/* ---- migration ------------------------------------------------------------------ */

#define VFIO_MIGRATION_STOP_COPY (1 << 0) /* always */
#define VFIO_MIGRATION_P2P       (1 << 1) /* has the two P2P states */
#define VFIO_MIGRATION_PRE_COPY  (1 << 2) /* has the PRE_COPY states */

struct vfio_device_feature_migration {
	uiommufd_u64 flags; /* VFIO_MIGRATION_* */
};

enum vfio_device_mig_state {
	VFIO_DEVICE_STATE_ERROR = 0, /* only a reset leads out */
	VFIO_DEVICE_STATE_STOP = 1,  /* nothing changes */
	VFIO_DEVICE_STATE_RUNNING = 2,
	VFIO_DEVICE_STATE_STOP_COPY = 3,   /* stopped; its state can be read */
	VFIO_DEVICE_STATE_RESUMING = 4,    /* stopped; its state can be written */
	VFIO_DEVICE_STATE_RUNNING_P2P = 5, /* starts no DMA to other devices */
	VFIO_DEVICE_STATE_PRE_COPY = 6,    /* runs while its state is read */
	VFIO_DEVICE_STATE_PRE_COPY_P2P = 7,
	VFIO_DEVICE_STATE_NR = 8,
};

struct vfio_device_feature_mig_state {
	uint32_t device_state; /* enum vfio_device_mig_state */
	int32_t data_fd;       /* out: for the device's state, or -1 */
};

/* What is left to read from the data fd in a PRE_COPY state; EINVAL in any other. */
#define VFIO_PRECOPY_INFO_REINIT (1 << 0) /* there are new initial bytes */

struct vfio_precopy_info {
	uint32_t argsz;
	uint32_t flags; /* out, with MIG_PRECOPY_INFOv2: VFIO_PRECOPY_INFO_* */
	uiommufd_u64 initial_bytes;
	uiommufd_u64 dirty_bytes;
};

#define VFIO_MIG_GET_PRECOPY_INFO _IO(VFIO_TYPE, VFIO_BASE + 21)

struct vfio_device_feature_mig_data_size {
	uiommufd_u64 stop_copy_length; /* an estimate, in bytes */
};

/* ---- the device keeps a log of what it writes ----------------------------------- */

struct vfio_device_feature_dma_logging_control {
	uiommufd_u64 page_size; /* wished for; out: used */
	uint32_t num_ranges;
	uint32_t __reserved;
	uiommufd_u64 ranges; /* struct vfio_device_feature_dma_logging_range[] */
};

struct vfio_device_feature_dma_logging_range {
	uiommufd_u64 iova;
	uiommufd_u64 length;
};

struct vfio_device_feature_dma_logging_report {
	uiommufd_u64 iova;
	uiommufd_u64 length;
	uiommufd_u64 page_size; /* bytes for each bit */
	uiommufd_u64 bitmap;    /* u64[]; bits are set, never cleared */
};

/* s390: a copy of the platform's error record. ENOMSG: there is none. */
struct vfio_device_feature_zpci_err {
	uiommufd_u64 data;
};

#endif /* UIOMMUFD_ABI_VFIO_IS_OURS */
#endif
