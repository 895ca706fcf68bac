/* SPDX-License-Identifier: MIT */
/*
 * The simulated IOMMU: VT-d as far as this project implements it: second stage, 4 levels,
 * 48 bits, pages of 4 KiB, 2 MiB and 1 GiB; queued invalidation and interrupt remapping;
 * no nesting, no PASIDs, no ATS. A unit may be one with dirty bits, which VT-d has in
 * scalable mode. The register fields are those of the VT-d specification, 11.4.2 and
 * 11.4.3.
 */
#include <errno.h>

#include "iommufd/private.h"

#define CAP_ND_64K      ((uint64_t)6 << 0)   /* 2^16 domain ids */
#define CAP_SAGAW_48    ((uint64_t)4 << 8)   /* 4-level tables */
#define CAP_MGAW_48     ((uint64_t)47 << 16) /* guest addresses of 48 bits */
#define CAP_FRO         ((uint64_t)0x22 << 24)
#define CAP_SLLPS_2M_1G ((uint64_t)3 << 34)
#define CAP_PSI         ((uint64_t)1 << 39) /* page-selective invalidation */
#define CAP_MAMV        ((uint64_t)18 << 48)
#define CAP_DRAIN       ((uint64_t)3 << 54) /* of writes and reads */

#define ECAP_C          ((uint64_t)1 << 0) /* coherent table walks */
#define ECAP_QI         ((uint64_t)1 << 1)
#define ECAP_IR         ((uint64_t)1 << 3)
#define ECAP_EIM        ((uint64_t)1 << 4)
#define ECAP_PT         ((uint64_t)1 << 6)
#define ECAP_SC         ((uint64_t)1 << 7) /* snoop control */
#define ECAP_IRO        ((uint64_t)0xf << 8)
#define ECAP_MHMV       ((uint64_t)0xf << 20)
#define ECAP_SMTS       ((uint64_t)1 << 43) /* scalable mode */
#define ECAP_SLADS      ((uint64_t)1 << 45) /* dirty bits in the second stage */
#define ECAP_SLTS       ((uint64_t)1 << 46) /* second stage in scalable mode */

#define CAP                                                                              \
	(CAP_ND_64K | CAP_SAGAW_48 | CAP_MGAW_48 | CAP_FRO | CAP_SLLPS_2M_1G | CAP_PSI | \
	 CAP_MAMV | CAP_DRAIN)
#define ECAP                                                                             \
	(ECAP_C | ECAP_QI | ECAP_IR | ECAP_EIM | ECAP_PT | ECAP_SC | ECAP_IRO | ECAP_MHMV)

static const struct iommu_hw_info_vtd vtd = {
	.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17, /* Linux sets it for any VT-d */
	.cap_reg = CAP,
	.ecap_reg = ECAP,
};

static const struct iommu_hw_info_vtd vtd_dirty = {
	.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17,
	.cap_reg = CAP,
	.ecap_reg = ECAP | ECAP_SMTS | ECAP_SLADS | ECAP_SLTS,
};

void iommufd_vtd_hw_info(struct iommufd_device_info *info)
{
	info->iommu = &iommufd_vtd;
	info->hw_info_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	info->hw_info = &vtd;
	info->hw_info_bytes = sizeof(vtd);
	info->hw_capabilities = IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
}

void iommufd_vtd_track_dirty(struct iommufd_device_info *info)
{
	info->hw_info = &vtd_dirty;
	info->hw_capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
}

/* The PASID flag is taken as Linux takes it there; there are just none to attach. */
static int vtd_paging(const struct iommufd_device_info *dev, struct phys *phys,
		      uint32_t flags, const struct iommufd_user_data *data,
		      struct domain **out)
{
	const uint32_t known = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	int err;

	if (flags & ~known || data)
		return -EOPNOTSUPP;
	/* That the unit has dirty bits if they are wanted, iommufd has seen to. */
	err = domain_create(phys, &pt_vtd_s2, 0, out);
	if (!err)
		(*out)->tracks_dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	return err;
}

/* Where writes must leave a trace, only devices behind a unit that leaves one will do. */
static int vtd_attach(const struct iommufd_device_info *dev, uint32_t pasid,
		      const struct iommufd_translation *to,
		      const struct iommufd_translation *from)
{
	return to && to->domain->tracks_dirty &&
			       !(dev->hw_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING)
		       ? -EINVAL
		       : 0;
}

/* Linux has the operation for every unit, and it looks for scalable mode. */
static int vtd_nested(const struct iommufd_device_info *dev, uint32_t flags,
		      const struct iommufd_user_data *data, struct iommufd_nested **out)
{
	return -EOPNOTSUPP;
}

const struct iommufd_iommu iommufd_vtd = {
	.name = "vtd",
	.paging = vtd_paging,
	.nested = vtd_nested,
	.attach = vtd_attach,
};
