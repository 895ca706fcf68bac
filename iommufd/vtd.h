/* SPDX-License-Identifier: MIT */
/* What the two files of the VT-d driver share. */
#ifndef IOMMUFD_VTD_H
#define IOMMUFD_VTD_H

#include "core/first_stage.h"
#include "iommufd/driver.h"
#include "iommufd/unit.h"

const struct iommufd_unit_config *vtd_unit_of(const struct iommufd_device_info *dev);
/* Is it a page table that was made to be a parent? */
bool vtd_is_parent(const struct domain *d);

/* vtd_nested.c */
int vtd_nested(const struct iommufd_device_info *dev, struct domain *parent,
	       uint32_t flags, const struct iommufd_user_data *data,
	       struct iommufd_nested **out);
/* Can a unit with nesting do what the guest has asked for? 0, -EINVAL */
int vtd_nested_attach(struct iommufd_nested *n);

#endif
