/* SPDX-License-Identifier: MIT */
/*
 * An IOMMU unit of the machine: which kind it is and what it can do. Devices behind it
 * (iommufd_device_info.unit) are told apart by it where their abilities matter: several
 * units of one kind share a driver, as on Linux, so a page table made for a device behind
 * one may serve a device behind another, if that unit can do all that the table needs.
 *
 * Constant once made.
 */
#ifndef IOMMUFD_UNIT_H
#define IOMMUFD_UNIT_H

#include "iommufd/iommufd.h"
#include "uiommufd/abi/iommufd.h"

enum iommufd_unit_type {
	IOMMUFD_UNIT_VTD, /* Intel VT-d */
	IOMMUFD_UNIT_AMD, /* AMD-Vi, page tables of version 1 */
};

#define IOMMUFD_UNIT_MIN_WIDTH   31
#define IOMMUFD_UNIT_MAX_WIDTH   48
#define IOMMUFD_UNIT_MAX_PASID   20 /* bits; PCIe's */
#define IOMMUFD_UNIT_RESV        8
#define IOMMUFD_UNIT_SW_MSI_SIZE ((uint64_t)1 << 20)

/* What can be chosen. */
struct iommufd_unit_config {
	enum iommufd_unit_type type;
	bool dirty;   /* records writes of devices in its page tables */
	bool nesting; /* VT-d: a guest's own first stage; second stages can be its parents
		       */
	bool snoop;   /* can force DMA to be coherent, whatever the device says */
	bool page_requests;  /* VT-d: takes page requests of devices that make them */
	unsigned pasid_bits; /* VT-d: 0: no PASIDs */
	unsigned width;      /* of IOVAs, bits */
	/* Messages go to pages that are mapped at this IOVA, as behind an Arm SMMU,
	 * rather than to x86's window, which then is memory like any other. 0: they do
	 * not. */
	uint64_t sw_msi;
	/* Besides those that the kind of unit has. */
	struct iommufd_resv resv[IOMMUFD_UNIT_RESV];
	size_t nr_resv;
};

struct iommufd_unit {
	struct iommufd_unit_config config;
	/* In order of address, with what the kind of unit has; no two overlap. */
	struct iommufd_resv resv[IOMMUFD_UNIT_RESV + 3];
	size_t nr_resv;
	union {
		struct iommu_hw_info_vtd vtd;
		struct iommu_hw_info_amd amd;
	} hw;
};

/* The defaults of its type: everything that can be is off; 48 bits. */
void iommufd_unit_defaults(struct iommufd_unit_config *config,
			   enum iommufd_unit_type type);
/* -EINVAL: @config is not possible; *@why says so. */
int iommufd_unit_init(struct iommufd_unit *u, const struct iommufd_unit_config *config,
		      const char **why);

/* vtd.c, amd.c: fill in hw. */
void vtd_describe(struct iommufd_unit *u);
void amd_describe(struct iommufd_unit *u);

/* The unit of devices that name none: VT-d with its defaults. */
extern const struct iommufd_unit iommufd_plain_unit;

#endif
