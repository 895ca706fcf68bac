/* SPDX-License-Identifier: MIT */
/*
 * The ioctl interface of /dev/iommu as of Linux 7.3.
 *
 * Every struct starts with its own size, filled in by the caller: a shorter one is an
 * older one and its missing fields read as zero; a longer one is accepted as long as
 * what we do not know is zero. Fields called out_* are results; reserved ones must be 0.
 *
 * Errors all calls share:
 *   ENOTTY      no such ioctl
 *   E2BIG       a longer struct with something in its tail
 *   EOPNOTSUPP  an unknown flag or type, or a reserved field that is not 0
 *   EINVAL      a struct too short, or a value that makes no sense
 *   ENOENT      no object of that id (EINVAL where it is one of another type)
 *   EOVERFLOW   start + length does not fit
 *   EFAULT      a pointer that cannot be used
 *   ENOMEM      no memory, or RLIMIT_MEMLOCK would be exceeded
 *
 * A program that wants the kernel's header as well includes it before this one, which
 * then steps aside.
 */
#ifndef UIOMMUFD_ABI_IOMMUFD_H
#define UIOMMUFD_ABI_IOMMUFD_H

#if !defined(_UAPI_IOMMUFD_H) && !defined(IOMMUFD_TYPE)

#include "uiommufd/abi/types.h"

#define IOMMUFD_TYPE (';')

enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
	IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA = 0x95,
};

#define IOMMU_DESTROY          _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)
#define IOMMU_IOAS_ALLOC       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)
#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)
#define IOMMU_IOAS_COPY        _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)
#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)
#define IOMMU_IOAS_MAP         _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)
#define IOMMU_IOAS_UNMAP       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)
#define IOMMU_OPTION           _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)
#define IOMMU_VFIO_IOAS        _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)
#define IOMMU_HWPT_ALLOC       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)
#define IOMMU_GET_HW_INFO      _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)
#define IOMMU_HWPT_SET_DIRTY_TRACKING                                                    \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)
#define IOMMU_HWPT_GET_DIRTY_BITMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)
#define IOMMU_HWPT_INVALIDATE       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)
#define IOMMU_FAULT_QUEUE_ALLOC     _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)
#define IOMMU_IOAS_MAP_FILE         _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)
#define IOMMU_VIOMMU_ALLOC          _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)
#define IOMMU_VDEVICE_ALLOC         _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)
#define IOMMU_IOAS_CHANGE_PROCESS   _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)
#define IOMMU_VEVENTQ_ALLOC         _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)
#define IOMMU_HW_QUEUE_ALLOC        _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)
#define IOMMU_IOAS_NOIOMMU_GET_PA   _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA)

/* ---- objects and options -------------------------------------------------------- */

/* Ends any object by its id. EBUSY while another object or a device uses it. */
struct iommu_destroy {
	uint32_t size;
	uint32_t id;
};

enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0, /* 0: account per user, 1: per process; object 0 */
	IOMMU_OPTION_HUGE_PAGES = 1,  /* 0: map by single pages; object: an IOAS */
};

enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

/* EPERM: RLIMIT_MODE without CAP_SYS_RESOURCE. EBUSY: too late to change it. */
struct iommu_option {
	uint32_t size;
	uint32_t option_id;
	uint16_t op;
	uint16_t __reserved;
	uint32_t object_id;
	uiommufd_u64 val64; /* in for SET, out for GET */
};

enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/* Which IOAS the type1 calls on this file work on. ENODEV: GET, and there is none. */
struct iommu_vfio_ioas {
	uint32_t size;
	uint32_t ioas_id; /* in for SET, out for GET */
	uint16_t op;
	uint16_t __reserved;
};

/* ---- IO address spaces ---------------------------------------------------------- */

struct iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t out_ioas_id;
};

/* Both ends inclusive. */
struct iommu_iova_range {
	uiommufd_u64 start;
	uiommufd_u64 last;
};

/*
 * Where the attached devices let IOVAs be. @num_iovas: room in the array, then the
 * number of ranges there are; EMSGSIZE, with the number stored, when they do not fit.
 * IOVAs and lengths of maps are multiples of @out_iova_alignment (bytes).
 */
struct iommu_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	uiommufd_u64 allowed_iovas; /* struct iommu_iova_range[] */
	uiommufd_u64 out_iova_alignment;
};

/*
 * Ranges that must stay usable: a device that reserves part of one cannot be attached,
 * and IOVAs are picked only inside them. Replaces the list there was. EADDRINUSE: a
 * range is reserved already.
 */
struct iommu_ioas_allow_iovas {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	uiommufd_u64 allowed_iovas; /* struct iommu_iova_range[] */
};

enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0, /* else one is picked and returned */
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,  /* by devices */
	IOMMU_IOAS_MAP_READABLE = 1 << 2,   /* by devices */
};

/* EEXIST: the IOVAs are in use. ENOSPC: no room for the length anywhere. */
struct iommu_ioas_map {
	uint32_t size;
	uint32_t flags; /* enum iommufd_ioas_map_flags */
	uint32_t ioas_id;
	uint32_t __reserved;
	uiommufd_u64 user_va;
	uiommufd_u64 length;
	uiommufd_u64 iova; /* in with FIXED_IOVA, and out */
};

/*
 * The same for [start, start + length) of a memfd or of a VFIO device's dma-buf. EBADF:
 * no such fd. ENODEV: the dma-buf is revoked. EOPNOTSUPP: a dma-buf that cannot be
 * mapped.
 */
struct iommu_ioas_map_file {
	uint32_t size;
	uint32_t flags; /* enum iommufd_ioas_map_flags */
	uint32_t ioas_id;
	int32_t fd;
	uiommufd_u64 start;
	uiommufd_u64 length;
	uiommufd_u64 iova; /* in with FIXED_IOVA, and out */
};

/*
 * Map in one IOAS what is mapped in another; the memory is shared, not pinned again.
 * ENOENT: a hole in the source. EPERM: writeable from a source that is not.
 */
struct iommu_ioas_copy {
	uint32_t size;
	uint32_t flags; /* enum iommufd_ioas_map_flags */
	uint32_t dst_ioas_id;
	uint32_t src_ioas_id;
	uiommufd_u64 length;
	uiommufd_u64 dst_iova; /* in with FIXED_IOVA, and out */
	uiommufd_u64 src_iova;
};

/* Whole maps only; 0 and UINT64_MAX: everything. ENOENT: part of one, or nothing. */
struct iommu_ioas_unmap {
	uint32_t size;
	uint32_t ioas_id;
	uiommufd_u64 iova;
	uiommufd_u64 length; /* out: bytes unmapped */
};

/*
 * Charge all pinned memory to the calling process from now on, for handing a device to
 * a new process. EINVAL unless every map was made by IOMMU_IOAS_MAP_FILE of a memfd.
 */
struct iommu_ioas_change_process {
	uint32_t size;
	uint32_t __reserved;
};

/*
 * Where in physical memory an IOVA leads, for devices without an IOMMU. @length: at most
 * so many bytes; out: how many of them are contiguous.
 */
struct iommu_ioas_noiommu_get_pa {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t ioas_id;
	uint32_t __reserved;
	uiommufd_u64 iova;
	uiommufd_u64 length;
	uiommufd_u64 out_phys;
};

/* ---- page tables (hwpt) --------------------------------------------------------- */

enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,    /* can carry nested ones */
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1, /* refuse devices without it */
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,       /* fault_id is given */
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,          /* can be attached to a PASID */
};

enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,  /* supervisor requests */
	IOMMU_VTD_S1_EAFE = 1 << 1, /* extended accessed flag */
	IOMMU_VTD_S1_WPE = 1 << 2,  /* write protection holds for supervisors too */
};

struct iommu_hwpt_vtd_s1 {
	uiommufd_u64 flags; /* enum iommu_hwpt_vtd_s1_flags */
	uiommufd_u64 pgtbl_addr;
	uint32_t addr_width; /* bits */
	uint32_t __reserved;
};

/* Words 0 and 1 of the guest's stream table entry. EIO: a field that is not allowed. */
struct iommu_hwpt_arm_smmuv3 {
	uiommufd_le64 ste[2];
};

/* The guest's device table entry. */
struct iommu_hwpt_amd_guest {
	uiommufd_u64 dte[4];
};

/*
 * @pt_id: an IOAS, for a page table that holds its maps (data type NONE); a nest parent
 * or a vIOMMU, for one that the guest writes (any other data type).
 */
struct iommu_hwpt_alloc {
	uint32_t size;
	uint32_t flags; /* enum iommufd_hwpt_alloc_flags */
	uint32_t dev_id;
	uint32_t pt_id;
	uint32_t out_hwpt_id;
	uint32_t __reserved;
	uint32_t data_type; /* enum iommu_hwpt_data_type */
	uint32_t data_len;
	uiommufd_u64 data_uptr;
	uint32_t fault_id; /* with FAULT_ID_VALID */
	uint32_t __reserved2;
};

enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

struct iommu_hwpt_set_dirty_tracking {
	uint32_t size;
	uint32_t flags; /* enum iommufd_hwpt_set_dirty_tracking_flags; 0: off */
	uint32_t hwpt_id;
	uint32_t __reserved;
};

enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1, /* an unmap follows: leave the bits */
};

/* Bit n of @data is set when a device wrote to page n from @iova on. */
struct iommu_hwpt_get_dirty_bitmap {
	uint32_t size;
	uint32_t hwpt_id;
	uint32_t flags; /* enum iommufd_hwpt_get_dirty_bitmap_flags */
	uint32_t __reserved;
	uiommufd_u64 iova;
	uiommufd_u64 length;
	uiommufd_u64 page_size; /* bytes for each bit */
	uiommufd_u64 data;      /* u64[]; bits are set, never cleared */
};

enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0, /* the levels above are unchanged */
};

/* @addr 0 with @npages UINT64_MAX: everything. */
struct iommu_hwpt_vtd_s1_invalidate {
	uiommufd_u64 addr;   /* 4 KiB aligned */
	uiommufd_u64 npages; /* of 4 KiB */
	uint32_t flags;      /* enum iommu_hwpt_vtd_s1_invalidate_flags */
	uint32_t __reserved;
};

/* A command as in the SMMU's command queue. EIO: one that is not allowed. */
struct iommu_viommu_arm_smmuv3_invalidate {
	uiommufd_le64 cmd[2];
};

/* No entries: only asks whether @data_type is known. */
struct iommu_hwpt_invalidate {
	uint32_t size;
	uint32_t hwpt_id; /* a nested hwpt, or a vIOMMU */
	uiommufd_u64 data_uptr;
	uint32_t data_type; /* enum iommu_hwpt_invalidate_data_type */
	uint32_t entry_len; /* bytes of each */
	uint32_t entry_num; /* out: how many were carried out */
	uint32_t __reserved;
};

/* ---- what a device's IOMMU can do ----------------------------------------------- */

enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0, /* in_data_type is given */
};

enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/* A buffer that is longer than the data is filled up with zeros; a shorter one cuts. */
struct iommu_hw_info {
	uint32_t size;
	uint32_t flags; /* enum iommufd_hw_info_flags */
	uint32_t dev_id;
	uint32_t data_len; /* in: the buffer's length; out: the data's */
	uiommufd_u64 data_uptr;
	union {
		uint32_t in_data_type;  /* enum iommu_hw_info_type */
		uint32_t out_data_type; /* the same */
	};
	uint8_t out_max_pasid_log2; /* 0: no PASIDs */
	uint8_t __reserved[3];
	uiommufd_u64 out_capabilities; /* enum iommufd_hw_capabilities */
};

enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0, /* no read-only maps in parents */
};

/* Raw registers; the VT-d specification explains them. */
struct iommu_hw_info_vtd {
	uint32_t flags; /* enum iommu_hw_info_vtd_flags */
	uint32_t __reserved;
	uiommufd_u64 cap_reg;
	uiommufd_u64 ecap_reg;
};

enum iommu_hw_info_arm_smmuv3_flags {
	/* Each invalidation must be given twice. */
	IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI = 1 << 0,
};

/* Raw registers; the SMMUv3 specification explains them. */
struct iommu_hw_info_arm_smmuv3 {
	uint32_t flags; /* enum iommu_hw_info_arm_smmuv3_flags */
	uint32_t __reserved;
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

struct iommu_hw_info_tegra241_cmdqv {
	uint32_t flags; /* 0 */
	uint8_t version;
	uint8_t log2vcmdqs; /* virtual command queues */
	uint8_t log2vsids;  /* stream ids that can be replaced */
	uint8_t __reserved;
};

/* Raw extended-feature registers; the AMD IOMMU specification explains them. */
struct iommu_hw_info_amd {
	uiommufd_u64 efr;
	uiommufd_u64 efr2;
};

/* ---- faults that the user handles ----------------------------------------------- */

/* Faults are read from the fd, answers written to it, whole structs at a time. */
struct iommu_fault_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t out_fault_id;
	uint32_t out_fault_fd;
};

enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = (1 << 0),
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = (1 << 1), /* last of its group: answer this one */
};

enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = (1 << 0),
	IOMMU_PGFAULT_PERM_WRITE = (1 << 1),
	IOMMU_PGFAULT_PERM_EXEC = (1 << 2),
	IOMMU_PGFAULT_PERM_PRIV = (1 << 3),
};

struct iommu_hwpt_pgfault {
	uint32_t flags; /* enum iommu_hwpt_pgfault_flags */
	uint32_t dev_id;
	uint32_t pasid;
	uint32_t grpid; /* page request group */
	uint32_t perm;  /* enum iommu_hwpt_pgfault_perm */
	uint32_t __reserved;
	uiommufd_u64 addr;
	uint32_t length; /* a hint, in bytes; 0: none */
	uint32_t cookie; /* goes back in the answer */
};

enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0, /* mapped: try again */
	IOMMUFD_PAGE_RESP_INVALID = 1, /* abort the access */
};

struct iommu_hwpt_page_response {
	uint32_t cookie;
	uint32_t code; /* enum iommufd_page_response_code */
};

/* ---- virtual IOMMUs ------------------------------------------------------------- */

enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/* The part of the queue hardware that a guest may map, by mmap of the iommufd. */
struct iommu_viommu_tegra241_cmdqv {
	uiommufd_u64 out_vintf_mmap_offset;
	uiommufd_u64 out_vintf_mmap_length;
};

/* A slice of the IOMMU behind @dev_id for one virtual machine. */
struct iommu_viommu_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t type;  /* enum iommu_viommu_type */
	uint32_t dev_id;
	uint32_t hwpt_id; /* a nest parent */
	uint32_t out_viommu_id;
	uint32_t data_len;
	uint32_t __reserved;
	uiommufd_u64 data_uptr;
};

/* The device as the guest's IOMMU knows it. EEXIST: it has one, or @virt_id is taken. */
struct iommu_vdevice_alloc {
	uint32_t size;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t out_vdevice_id;
	uiommufd_u64 virt_id; /* the guest's stream id, device id or requester id */
};

enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = (1U << 0),
};

/* Comes before each event that is read. A gap in @sequence: so many were lost. */
struct iommufd_vevent_header {
	uint32_t flags;    /* enum iommu_veventq_flag */
	uint32_t sequence; /* 0 follows INT32_MAX */
};

enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

/* An event record as the SMMU writes it, with the guest's stream id. */
struct iommu_vevent_arm_smmuv3 {
	uiommufd_le64 evt[4];
};

/* One bit for each logical queue in error. */
struct iommu_vevent_tegra241_cmdqv {
	uiommufd_le64 lvcmdq_err_map[2];
};

/* EEXIST: the vIOMMU has a queue of this type. */
struct iommu_veventq_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t viommu_id;
	uint32_t type;          /* enum iommu_veventq_type */
	uint32_t veventq_depth; /* events that are kept */
	uint32_t out_veventq_id;
	uint32_t out_veventq_fd;
	uint32_t __reserved;
};

enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/* A queue in the guest's memory that the IOMMU hardware reads by itself. */
struct iommu_hw_queue_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t viommu_id;
	uint32_t type;  /* enum iommu_hw_queue_type */
	uint32_t index; /* another for each queue of a type */
	uint32_t out_hw_queue_id;
	uiommufd_u64 nesting_parent_iova;
	uiommufd_u64 length;
};

#endif /* the kernel's header was here first */
#endif
