/* SPDX-License-Identifier: MIT */
/*
 * A guest's first stage over a parent: IOMMU_HWPT_DATA_VTD_S1 and its invalidation.
 *
 * As in Linux what the guest wants of its table is only looked at when a device is
 * attached, and an invalidation is a range of pages; here it takes everything that was
 * cached by way of the table, once for the whole array.
 */
#include "iommufd/vtd.h"

#include <errno.h>

#define WIDTH_4_LEVELS 48u

struct nested {
	struct iommufd_nested base;
	struct first_stage stage;
	struct iommu_hwpt_vtd_s1 config;
};

static struct nested *nested_of(struct iommufd_nested *n)
{
	return container_of(n, struct nested, base);
}

static int check_entry(const struct iommu_hwpt_vtd_s1_invalidate *inv)
{
	if (inv->flags & ~(uint32_t)IOMMU_VTD_INV_FLAGS_LEAF || inv->__reserved)
		return -EOPNOTSUPP;
	if (inv->addr % PORT_PAGE_SIZE || (inv->npages == UINT64_MAX && inv->addr))
		return -EINVAL;
	return 0;
}

static int invalidate(struct iommufd_nested *n, struct iommufd_user_array *array)
{
	const uint32_t type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1;
	struct iommu_hwpt_vtd_s1_invalidate inv;
	uint32_t done = 0;
	int err = array->type == type ? 0 : -EINVAL;

	while (!err && done < array->entry_num) {
		err = iommufd_user_array_in(array, type, done, sizeof(inv), &inv,
					    sizeof(inv));
		if (!err)
			err = check_entry(&inv);
		if (!err)
			done++;
	}
	array->entry_num = done;
	if (done)
		first_stage_invalidate(&nested_of(n)->stage);
	return err;
}

static void destroy(struct iommufd_nested *n)
{
	port_free(nested_of(n));
}

static const struct iommufd_nested_ops ops = {
	.invalidate = invalidate,
	.destroy = destroy,
};

int vtd_nested(const struct iommufd_device_info *dev, struct domain *parent,
	       uint32_t flags, const struct iommufd_user_data *data,
	       struct iommufd_nested **out)
{
	struct iommu_hwpt_vtd_s1 config;
	struct nested *n;
	int err;

	if (!vtd_unit_of(dev)->nesting || flags & ~(uint32_t)IOMMU_HWPT_ALLOC_PASID ||
	    data->type != IOMMU_HWPT_DATA_VTD_S1)
		return -EOPNOTSUPP;
	if (!vtd_is_parent(parent))
		return -EINVAL;
	err = iommufd_user_data_in(data, IOMMU_HWPT_DATA_VTD_S1, sizeof(config), &config,
				   sizeof(config));
	if (err)
		return err;
	n = port_alloc(sizeof(*n));
	if (!n)
		return -ENOMEM;
	first_stage_init(&n->stage, parent, config.pgtbl_addr,
			 config.flags & IOMMU_VTD_S1_EAFE);
	n->config = config;
	n->base.ops = &ops;
	n->base.path = &n->stage.path;
	*out = &n->base;
	return 0;
}

/* Supervisor requests and extended flags every unit with nesting has; 5 levels none. */
int vtd_nested_attach(struct iommufd_nested *n)
{
	if (nested_of(n)->config.addr_width != WIDTH_4_LEVELS)
		return -EINVAL;
	return 0;
}
