/* SPDX-License-Identifier: MIT */
/*
 * AMD's IOMMU as far as this project implements it: host page tables of version 1, 4
 * levels, which a unit may record writes in. DMA is always coherent. Without guests'
 * tables there are no PASIDs, no nesting and no page requests.
 *
 * The register fields are those of the AMD IOMMU specification, MMIO offset 0030h.
 */
#include <errno.h>

#include "iommufd/private.h"
#include "iommufd/unit.h"

#define EFR_PREFETCH ((uint64_t)1 << 0)
#define EFR_IA       ((uint64_t)1 << 6)  /* INVALIDATE_IOMMU_ALL */
#define EFR_HATS_4   ((uint64_t)0 << 10) /* tables of 4 levels */
#define EFR_HA       ((uint64_t)1 << 49) /* accessed bits */
#define EFR_HD       ((uint64_t)1 << 52) /* dirty bits */

void amd_describe(struct iommufd_unit *u)
{
	uint64_t efr = EFR_PREFETCH | EFR_IA | EFR_HATS_4;

	if (u->config.dirty)
		efr |= EFR_HA | EFR_HD;
	u->hw.amd = (struct iommu_hw_info_amd){.efr = efr};
}

static int amd_paging(const struct iommufd_device_info *dev, struct phys *phys,
		      uint32_t flags, const struct iommufd_user_data *data,
		      struct domain **out)
{
	unsigned width = dev->unit->config.width;
	int err;

	if (data || flags & ~(uint32_t)IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		return -EOPNOTSUPP;
	err = domain_create(phys, &pt_amd_v1, 0, out);
	if (err)
		return err;
	domain_limit(*out, 0, ((uint64_t)1 << width) - 1);
	(*out)->tracks_dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	return 0;
}

/* Of nested hwpts Linux has the operation, and it wants a vIOMMU. */
static int amd_attach(const struct iommufd_device_info *dev, uint32_t pasid,
		      const struct iommufd_translation *to,
		      const struct iommufd_translation *from)
{
	return to && to->domain->tracks_dirty && !dev->unit->config.dirty ? -EINVAL : 0;
}

const struct iommufd_iommu iommufd_amd = {
	.name = "amd",
	.paging = amd_paging,
	.attach = amd_attach,
};
