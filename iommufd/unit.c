/* SPDX-License-Identifier: MIT */
/* See unit.h. */
#include "iommufd/unit.h"

#include <errno.h>

#include "iommufd/private.h"

#define MSI_FIRST 0xfee00000u
#define MSI_LAST  0xfeefffffu
/* AMD's processors use these addresses between themselves (HyperTransport). */
#define HT_FIRST 0xfd00000000u
#define HT_LAST  0xffffffffffu

void iommufd_unit_defaults(struct iommufd_unit_config *config,
			   enum iommufd_unit_type type)
{
	*config = (struct iommufd_unit_config){
		.type = type,
		.snoop = type == IOMMUFD_UNIT_AMD,
		.width = IOMMUFD_UNIT_MAX_WIDTH,
	};
}

static const char *impossible(const struct iommufd_unit_config *c)
{
	if (c->width < IOMMUFD_UNIT_MIN_WIDTH || c->width > IOMMUFD_UNIT_MAX_WIDTH)
		return "a width from 31 to 48 bits is needed";
	if (c->pasid_bits > IOMMUFD_UNIT_MAX_PASID)
		return "PASIDs have 20 bits at most";
	if (c->nr_resv > IOMMUFD_UNIT_RESV)
		return "too many reserved ranges";
	if (c->sw_msi % PORT_PAGE_SIZE ||
	    c->sw_msi > (((uint64_t)1 << c->width) - IOMMUFD_UNIT_SW_MSI_SIZE))
		return "sw-msi needs the IOVA of a page with a MiB behind it";
	if (c->type == IOMMUFD_UNIT_VTD)
		return NULL;
	if (c->nesting || c->pasid_bits || c->page_requests)
		return "only VT-d has nesting, PASIDs and page requests here";
	return c->snoop ? NULL : "AMD's units always snoop";
}

/* Insert in order; false: it overlaps another, or is none. */
static bool add_resv(struct iommufd_unit *u, struct iommufd_resv r)
{
	size_t i = u->nr_resv;

	if (r.start > r.last)
		return false;
	while (i > 0 && u->resv[i - 1].start > r.start) {
		u->resv[i] = u->resv[i - 1];
		i--;
	}
	u->resv[i] = r;
	u->nr_resv++;
	return (i == 0 || u->resv[i - 1].last < r.start) &&
	       (i + 1 == u->nr_resv || r.last < u->resv[i + 1].start);
}

static bool add_all_resv(struct iommufd_unit *u)
{
	const struct iommufd_unit_config *c = &u->config;
	bool ok;

	if (c->sw_msi)
		ok = add_resv(u, (struct iommufd_resv){
					 .start = c->sw_msi,
					 .last = c->sw_msi + IOMMUFD_UNIT_SW_MSI_SIZE - 1,
					 .type = IOMMUFD_RESV_SW_MSI});
	else
		ok = add_resv(u, (struct iommufd_resv){.start = MSI_FIRST,
						       .last = MSI_LAST,
						       .type = IOMMUFD_RESV_MSI});
	if (c->type == IOMMUFD_UNIT_AMD)
		ok &= add_resv(u,
			       (struct iommufd_resv){.start = HT_FIRST, .last = HT_LAST});
	for (size_t i = 0; i < c->nr_resv; i++)
		ok &= add_resv(u, c->resv[i]);
	return ok;
}

int iommufd_unit_init(struct iommufd_unit *u, const struct iommufd_unit_config *config,
		      const char **why)
{
	*u = (struct iommufd_unit){.config = *config};
	*why = impossible(config);
	if (!*why && !add_all_resv(u))
		*why = "reserved ranges overlap, maybe with the one for interrupts";
	if (*why)
		return -EINVAL;
	if (config->type == IOMMUFD_UNIT_VTD)
		vtd_describe(u);
	else
		amd_describe(u);
	return 0;
}

static void connect_kind(const struct iommufd_unit *unit,
			 struct iommufd_device_info *info)
{
	if (unit->config.type == IOMMUFD_UNIT_VTD) {
		info->iommu = &iommufd_vtd;
		info->hw_info_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
		info->hw_info = &unit->hw.vtd;
		info->hw_info_bytes = sizeof(unit->hw.vtd);
	} else {
		info->iommu = &iommufd_amd;
		info->hw_info_type = IOMMU_HW_INFO_TYPE_AMD;
		info->hw_info = &unit->hw.amd;
		info->hw_info_bytes = sizeof(unit->hw.amd);
	}
}

void iommufd_unit_connect(const struct iommufd_unit *unit,
			  struct iommufd_device_info *info)
{
	const struct iommufd_unit_config *c;

	if (!unit)
		unit = &iommufd_plain_unit;
	c = &unit->config;
	info->unit = unit;
	connect_kind(unit, info);
	info->resv = unit->resv;
	info->nr_resv = unit->nr_resv;
	info->enforces_coherency = c->snoop;
	if (!c->page_requests)
		info->page_answer = NULL;
	if (info->max_pasid_log2 > c->pasid_bits)
		info->max_pasid_log2 = c->pasid_bits;
	/* A device that asks for pages has a translation cache (ATS), and nobody else. */
	info->hw_capabilities =
		info->page_answer ? 0 : IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	if (c->dirty)
		info->hw_capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
}

int iommufd_unit_paging(const struct iommufd_device_info *info, struct phys *phys,
			struct domain **out)
{
	return info->iommu->paging(info, phys, 0, NULL, out);
}

int iommufd_unit_check(const struct iommufd_device_info *info,
		       const struct iommufd_device_info *first, struct domain *d)
{
	const struct iommufd_translation to = {.domain = d};

	if (info->iommu != first->iommu)
		return -EINVAL;
	return info->iommu->attach(info, IOMMUFD_NO_PASID, &to, NULL);
}
