/* SPDX-License-Identifier: MIT */
/*
 * Intel VT-d as far as this project implements it: second stage, 4 levels, 48 bits or
 * fewer, pages of 4 KiB, 2 MiB and 1 GiB; queued invalidation and interrupt remapping. A
 * unit may have more (unit.h), and then it is in scalable mode: dirty bits in the second
 * stage, nested translation (vtd_nested.c), PASIDs, page requests. The register fields
 * are those of the VT-d specification, 11.4.2 and 11.4.3.
 *
 * A unit with nesting has first stages, and then Linux uses one for every page table that
 * can do without what only second stages have: parents and dirty bits.
 */
#include <errno.h>

#include "iommufd/private.h"
#include "iommufd/unit.h"
#include "iommufd/vtd.h"

#define CAP_ND_64K      ((uint64_t)6 << 0) /* 2^16 domain ids */
#define CAP_SAGAW_39    ((uint64_t)2 << 8) /* 3-level tables */
#define CAP_SAGAW_48    ((uint64_t)4 << 8) /* 4-level tables */
#define CAP_MGAW(bits)  ((uint64_t)((bits)-1) << 16)
#define CAP_FRO         ((uint64_t)0x22 << 24)
#define CAP_SLLPS_2M_1G ((uint64_t)3 << 34)
#define CAP_PSI         ((uint64_t)1 << 39) /* page-selective invalidation */
#define CAP_MAMV        ((uint64_t)18 << 48)
#define CAP_DRAIN       ((uint64_t)3 << 54) /* of writes and reads */
#define CAP_FL1GP       ((uint64_t)1 << 56) /* 1 GiB pages in first stages */

#define ECAP_C          ((uint64_t)1 << 0) /* coherent table walks */
#define ECAP_QI         ((uint64_t)1 << 1)
#define ECAP_DT         ((uint64_t)1 << 2) /* devices' own IOTLBs (ATS) */
#define ECAP_IR         ((uint64_t)1 << 3)
#define ECAP_EIM        ((uint64_t)1 << 4)
#define ECAP_PT         ((uint64_t)1 << 6)
#define ECAP_SC         ((uint64_t)1 << 7) /* snoop control */
#define ECAP_IRO        ((uint64_t)0xf << 8)
#define ECAP_MHMV       ((uint64_t)0xf << 20)
#define ECAP_NEST       ((uint64_t)1 << 26)
#define ECAP_PRS        ((uint64_t)1 << 29) /* page requests */
#define ECAP_SRS        ((uint64_t)1 << 31) /* supervisor requests */
#define ECAP_EAFS       ((uint64_t)1 << 34) /* extended accessed flags */
#define ECAP_PSS(bits)  ((uint64_t)((bits)-1) << 35)
#define ECAP_PASID      ((uint64_t)1 << 40)
#define ECAP_SMTS       ((uint64_t)1 << 43) /* scalable mode */
#define ECAP_SLADS      ((uint64_t)1 << 45) /* dirty bits in the second stage */
#define ECAP_SLTS       ((uint64_t)1 << 46) /* second stage in scalable mode */
#define ECAP_FLTS       ((uint64_t)1 << 47) /* first stage */
#define ECAP_SMPWC      ((uint64_t)1 << 48) /* coherent table walks in scalable mode */

#define CAP             (CAP_ND_64K | CAP_FRO | CAP_SLLPS_2M_1G | CAP_PSI | CAP_MAMV | CAP_DRAIN)
#define ECAP            (ECAP_C | ECAP_QI | ECAP_IR | ECAP_EIM | ECAP_PT | ECAP_IRO | ECAP_MHMV)

/* domain.traits; the width is in the bits above. */
enum {
	TRAIT_PARENT = 1 << 0,
	TRAIT_SNOOPS = 1 << 1,
	TRAIT_WIDTH_SHIFT = 8,
};

const struct iommufd_unit iommufd_plain_unit = {
	.config = {.type = IOMMUFD_UNIT_VTD, .width = IOMMUFD_UNIT_MAX_WIDTH},
	.resv = {{0xfee00000, 0xfeefffff, IOMMUFD_RESV_MSI}},
	.nr_resv = 1,
	.hw.vtd = {.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17,
		   .cap_reg = CAP | CAP_SAGAW_48 | CAP_MGAW(48),
		   .ecap_reg = ECAP},
};

static bool is_scalable(const struct iommufd_unit_config *c)
{
	return c->dirty || c->nesting || c->pasid_bits || c->page_requests;
}

void vtd_describe(struct iommufd_unit *u)
{
	const struct iommufd_unit_config *c = &u->config;
	uint64_t cap = CAP | CAP_MGAW(c->width), ecap = ECAP;

	cap |= c->width > 39 ? CAP_SAGAW_48 : CAP_SAGAW_39;
	if (c->snoop)
		ecap |= ECAP_SC;
	if (is_scalable(c))
		ecap |= ECAP_SMTS | ECAP_SLTS | ECAP_SMPWC;
	if (c->dirty)
		ecap |= ECAP_SLADS;
	if (c->nesting) {
		cap |= CAP_FL1GP;
		ecap |= ECAP_NEST | ECAP_FLTS | ECAP_SRS | ECAP_EAFS;
	}
	if (c->pasid_bits)
		ecap |= ECAP_PASID | ECAP_PSS(c->pasid_bits);
	if (c->page_requests)
		ecap |= ECAP_DT | ECAP_PRS;
	u->hw.vtd = (struct iommu_hw_info_vtd){
		/* Linux sets it for any VT-d. */
		.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17,
		.cap_reg = cap,
		.ecap_reg = ecap,
	};
}

const struct iommufd_unit_config *vtd_unit_of(const struct iommufd_device_info *dev)
{
	return dev->unit ? &dev->unit->config : &iommufd_plain_unit.config;
}

/* ---- page tables --------------------------------------------------------------------
 */

/* As much of the IOVA space as the unit has: of a first stage, the lower half. */
static void limit(struct domain *d, unsigned width)
{
	if (d->pt.format == &pt_vtd_s1)
		width--;
	domain_limit(d, 0, ((uint64_t)1 << width) - 1);
}

static int make(const struct iommufd_unit_config *unit, struct phys *phys,
		const struct pt_format *format, struct domain **out)
{
	int err = domain_create(phys, format, 0, out);

	if (err)
		return err;
	limit(*out, unit->width);
	(*out)->traits = unit->width << TRAIT_WIDTH_SHIFT;
	if (unit->snoop)
		(*out)->traits |= TRAIT_SNOOPS;
	return 0;
}

static int make_second_stage(const struct iommufd_unit_config *unit, struct phys *phys,
			     uint32_t flags, struct domain **out)
{
	int err;

	if (flags & IOMMU_HWPT_ALLOC_NEST_PARENT && !unit->nesting)
		return -EOPNOTSUPP;
	err = make(unit, phys, &pt_vtd_s2, out);
	if (err)
		return err;
	(*out)->tracks_dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	if (flags & IOMMU_HWPT_ALLOC_NEST_PARENT) {
		(*out)->traits |= TRAIT_PARENT;
		/* Linux's way around an erratum. */
		(*out)->write_only_maps = true;
	}
	return 0;
}

/* The PASID flag is taken as Linux takes it, whether there are any or not. */
static int vtd_paging(const struct iommufd_device_info *dev, struct phys *phys,
		      uint32_t flags, const struct iommufd_user_data *data,
		      struct domain **out)
{
	const uint32_t known = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			       IOMMU_HWPT_ALLOC_NEST_PARENT;
	const struct iommufd_unit_config *unit = vtd_unit_of(dev);

	if (data || flags & ~known)
		return -EOPNOTSUPP;
	if (unit->nesting && !(flags & ~(uint32_t)IOMMU_HWPT_ALLOC_PASID))
		return make(unit, phys, &pt_vtd_s1, out);
	/* That the unit has dirty bits if they are wanted, iommufd has seen to. */
	return make_second_stage(unit, phys, flags, out);
}

bool vtd_is_parent(const struct domain *d)
{
	return d->traits & TRAIT_PARENT;
}

/* Can devices behind the unit use the page table? */
static bool suits(const struct iommufd_unit_config *unit, const struct domain *d)
{
	if (d->pt.format == &pt_vtd_s1)
		return unit->nesting;
	if (d->tracks_dirty && !unit->dirty)
		return false;
	if (d->traits & TRAIT_PARENT && !unit->nesting)
		return false;
	if (d->traits & TRAIT_SNOOPS && !unit->snoop)
		return false;
	return unit->width >= d->traits >> TRAIT_WIDTH_SHIFT;
}

static int vtd_attach(const struct iommufd_device_info *dev, uint32_t pasid,
		      const struct iommufd_translation *to,
		      const struct iommufd_translation *from)
{
	const struct iommufd_unit_config *unit = vtd_unit_of(dev);

	if (!to)
		return 0;
	if (!suits(unit, to->domain))
		return -EINVAL;
	if (to->faults && !dev->page_answer)
		return -ENODEV;
	return to->nested ? vtd_nested_attach(to->nested) : 0;
}

static void vtd_page_answer(const struct iommufd_device_info *dev,
			    const struct iommufd_page_request *last,
			    enum iommufd_page_answer answer)
{
	if (dev->page_answer)
		dev->page_answer(dev, last, answer);
}

const struct iommufd_iommu iommufd_vtd = {
	.name = "vtd",
	.paging = vtd_paging,
	.nested = vtd_nested,
	.attach = vtd_attach,
	.page_answer = vtd_page_answer,
};
