/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU: page tables that begin in the middle of nowhere, nested ones whose
 * first stage is four numbers, and devices that can be told to lack things.
 */
#include <errno.h>

#include "selftest/mock.h"

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

struct mock_device *mock_device_of(const struct iommufd_device_info *info)
{
	/* The context has a copy of the description; the requester is the device's own.
	 */
	return container_of(info->requester, struct mock_device, requester);
}

/* ---- page tables ------------------------------------------------------------------ */

static int mock_paging(const struct iommufd_device_info *dev, struct phys *phys,
		       uint32_t flags, const struct iommufd_user_data *data,
		       struct domain **out)
{
	struct iommu_hwpt_selftest want = {.pagetable_type = MOCK_IOMMUPT_DEFAULT};
	uint64_t page_sizes = 0;
	struct domain *d;
	int err;

	if (data && data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	if (data) {
		err = iommufd_user_data_in(data, IOMMU_HWPT_DATA_SELFTEST,
					   END_OF(struct iommu_hwpt_selftest, iotlb),
					   &want, sizeof(want));
		if (err)
			return err;
	}
	if (want.pagetable_type > MOCK_IOMMUPT_HUGE)
		return -EOPNOTSUPP;
	if (want.pagetable_type == MOCK_IOMMUPT_HUGE)
		page_sizes = MOCK_HUGE_PAGE_SIZE | PORT_PAGE_SIZE;
	err = domain_create(phys, &mock_pt, page_sizes, &d);
	if (err)
		return err;
	if (want.pagetable_type == MOCK_IOMMUPT_DEFAULT)
		domain_limit(d, MOCK_APERTURE_START, MOCK_APERTURE_LAST);
	d->tracks_dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	*out = d;
	return 0;
}

/* ---- nested -------------------------------------------------------------------------
 */

static int invalidate_one(struct mock_nested *n,
			  const struct iommu_hwpt_invalidate_selftest *inv)
{
	if (inv->flags & ~(uint32_t)IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->iotlb_id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		if (inv->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL || i == inv->iotlb_id)
			n->iotlb[i] = 0;
	return 0;
}

static int nested_invalidate(struct iommufd_nested *nested,
			     struct iommufd_user_array *array)
{
	struct mock_nested *n = mock_nested_of(nested);
	struct iommu_hwpt_invalidate_selftest inv;
	uint32_t done;
	int err = 0;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_SELFTEST)
		err = -EINVAL;
	for (done = 0; !err && done < array->entry_num; done++) {
		err = iommufd_user_array_in(
			array, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, done,
			END_OF(struct iommu_hwpt_invalidate_selftest, iotlb_id), &inv,
			sizeof(inv));
		if (!err)
			err = invalidate_one(n, &inv);
		if (err)
			break;
	}
	array->entry_num = done;
	return err;
}

static void nested_destroy(struct iommufd_nested *nested)
{
	port_free(mock_nested_of(nested));
}

static const struct iommufd_nested_ops nested_ops = {
	.invalidate = nested_invalidate,
	.destroy = nested_destroy,
};

struct mock_nested *mock_nested_of(struct iommufd_nested *nested)
{
	return nested->ops == &nested_ops ? container_of(nested, struct mock_nested, base)
					  : NULL;
}

int mock_nested_create(struct mock_viommu *viommu, uint32_t flags,
		       const struct iommufd_user_data *data, struct iommufd_nested **out)
{
	struct iommu_hwpt_selftest want;
	struct mock_nested *n;
	int err;

	if (flags & ~(uint32_t)IOMMU_HWPT_ALLOC_PASID)
		return -EOPNOTSUPP;
	if (data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	err = iommufd_user_data_in(data, IOMMU_HWPT_DATA_SELFTEST,
				   END_OF(struct iommu_hwpt_selftest, iotlb), &want,
				   sizeof(want));
	if (err)
		return err;
	n = port_alloc(sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->base.ops = &nested_ops;
	n->viommu = viommu;
	for (unsigned i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		n->iotlb[i] = want.iotlb;
	*out = &n->base;
	return 0;
}

static int mock_nest(const struct iommufd_device_info *dev, struct domain *parent,
		     uint32_t flags, const struct iommufd_user_data *data,
		     struct iommufd_nested **out)
{
	return mock_nested_create(NULL, flags, data, out);
}

/* ---- attaching ----------------------------------------------------------------------
 */

/* So that a test sees what becomes of the device when an attach fails. */
static int fail_every_second(struct mock_device *dev, bool blocking)
{
	bool fails = dev->pasid_fails;

	dev->pasid_fails = !blocking && !fails;
	return fails && !blocking ? -ENOMEM : 0;
}

static struct mock_pasid *find_pasid(struct mock_device *dev, uint32_t pasid)
{
	list_for_each (it, &dev->pasids) {
		struct mock_pasid *p = list_entry(it, struct mock_pasid, on_device);

		if (p->pasid == pasid)
			return p;
	}
	return NULL;
}

/* Under the lock. Leaving cannot fail, for what it needs is there. */
static int record_pasid(struct mock_device *dev, uint32_t pasid,
			const struct iommufd_translation *to)
{
	struct mock_pasid *p = find_pasid(dev, pasid);

	if (to && !p) {
		p = port_alloc(sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->pasid = pasid;
		list_append(&dev->pasids, &p->on_device);
	}
	if (to) {
		p->to = *to;
	} else if (p) {
		list_remove(&p->on_device);
		port_free(p);
	}
	return 0;
}

bool mock_device_pasid(struct mock_device *dev, uint32_t pasid,
		       struct iommufd_translation *out)
{
	struct mock_pasid *p;

	port_mutex_lock(&dev->lock);
	p = find_pasid(dev, pasid);
	if (p)
		*out = p->to;
	port_mutex_unlock(&dev->lock);
	return p;
}

static int attach_pasid(struct mock_device *dev, uint32_t pasid,
			const struct iommufd_translation *to)
{
	int err = 0;

	if (pasid == IOMMU_TEST_PASID_RESERVED)
		err = fail_every_second(dev, !to);
	return err ? err : record_pasid(dev, pasid, to);
}

/* The device itself; behind a vIOMMU it needs an id of its own there. */
static int attach_device(struct mock_device *dev, const struct iommufd_device_info *info,
			 const struct iommufd_translation *to)
{
	struct mock_nested *n = to && to->nested ? mock_nested_of(to->nested) : NULL;
	struct mock_viommu *viommu = n ? n->viommu : NULL;
	uint64_t virt_id = 0;
	int err;

	if (to && !to->nested && to->domain->tracks_dirty &&
	    dev->flags & MOCK_FLAGS_DEVICE_NO_DIRTY)
		return -EINVAL;
	err = viommu ? mock_viommu_virt_id(viommu, info, &virt_id) : 0;
	if (err)
		return err;
	if (viommu != dev->viommu) {
		dev->viommu = viommu;
		dev->virt_id = virt_id;
	}
	return 0;
}

static int mock_attach(const struct iommufd_device_info *info, uint32_t pasid,
		       const struct iommufd_translation *to,
		       const struct iommufd_translation *from)
{
	struct mock_device *dev = mock_device_of(info);
	int err;

	port_mutex_lock(&dev->lock);
	if (pasid == IOMMUFD_NO_PASID)
		err = attach_device(dev, info, to);
	else
		err = attach_pasid(dev, pasid, to);
	port_mutex_unlock(&dev->lock);
	return err;
}

/* A mock device does not wait for what it asked for. */
static void mock_page_answer(const struct iommufd_device_info *dev,
			     const struct iommufd_page_request *last,
			     enum iommufd_page_answer answer)
{
}

const struct iommufd_iommu mock_iommu = {
	.name = "mock",
	.paging = mock_paging,
	.nested = mock_nest,
	.attach = mock_attach,
	.page_answer = mock_page_answer,
	.guest_pasid_table = true,
	.has_viommu = mock_has_viommu,
	.viommu = mock_viommu_create,
};

void mock_device_finish(struct mock_device *dev)
{
	PORT_BUG_ON(!list_empty(&dev->pasids));
	port_mutex_finish(&dev->lock);
	dma_requester_finish(&dev->requester);
}

void mock_device_init(struct mock_device *dev, uint32_t flags)
{
	static const struct iommu_test_hw_info hw_info = {
		.test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL,
	};

	dma_requester_init(&dev->requester);
	port_mutex_init(&dev->lock);
	list_init(&dev->pasids);
	dev->flags = flags;
	for (unsigned i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		dev->cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;
	dev->info = (struct iommufd_device_info){
		.requester = &dev->requester,
		.group = dev,
		.hw_info_type = IOMMU_HW_INFO_TYPE_SELFTEST,
		.hw_info = &hw_info,
		.hw_info_bytes = sizeof(hw_info),
		.hw_capabilities = flags & MOCK_FLAGS_DEVICE_NO_DIRTY
					   ? 0
					   : IOMMU_HW_CAP_DIRTY_TRACKING,
		.max_pasid_log2 = flags & MOCK_FLAGS_DEVICE_PASID ? MOCK_PASID_WIDTH : 0,
		.iommu = &mock_iommu,
		.inside_context = true,
	};
}
