/* SPDX-License-Identifier: MIT */
/* Mock devices: made, bound and attached in one step; replaced; page requests; looked at.
 */
#include <errno.h>

#include "selftest/mock.h"

static void device_free(struct mock_device *dev)
{
	mock_device_finish(dev);
	port_free(dev);
}

static void device_destroy(void *priv)
{
	struct mock_device *dev = priv;

	iommufd_device_unbind(dev->dev);
	device_free(dev);
}

const struct iommufd_extra_ops mock_device_ops = {
	.destroy = device_destroy,
};

static int device_create(struct iommufd_ctx *ctx, uint32_t flags, uint32_t *pt_id,
			 uint32_t *dev_id, struct mock_device **out)
{
	const uint32_t known = MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID;
	struct mock_device *dev;
	int err;

	if (flags & ~known)
		return -EINVAL;
	dev = port_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	mock_device_init(dev, flags);
	err = iommufd_device_bind(ctx, &dev->info, &dev->dev, dev_id);
	if (err)
		goto fail;
	err = iommufd_device_attach(dev->dev, pt_id);
	if (err) {
		iommufd_device_unbind(dev->dev);
		goto fail;
	}
	*out = dev;
	return 0;
fail:
	device_free(dev);
	return err;
}

long mock_domain(struct uapi_call *call)
{
	struct iommu_test_cmd *cmd = mock_cmd(call);
	uint32_t pt_id = cmd->id, dev_id, id, flags = 0;
	struct iommufd_ctx *ctx = mock_ctx(call);
	struct iommufd_extra *x;
	struct mock_device *dev;
	int err;

	if (cmd->op == IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS)
		flags = cmd->mock_domain_flags.dev_flags;
	err = iommufd_extra_create(ctx, &mock_device_ops, &x, &id);
	if (err)
		return err;
	err = device_create(ctx, flags, &pt_id, &dev_id, &dev);
	if (err)
		goto abort;
	cmd->mock_domain.out_stdev_id = id;
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_idev_id = dev_id;
	err = mock_respond(call);
	if (err) {
		device_destroy(dev);
		goto abort;
	}
	iommufd_extra_publish(ctx, x, dev);
	return 0;
abort:
	iommufd_extra_abort(ctx, x);
	return err;
}

long mock_domain_replace(struct uapi_call *call)
{
	struct iommu_test_cmd *cmd = mock_cmd(call);
	struct iommufd_ctx *ctx = mock_ctx(call);
	struct iommufd_extra *x = iommufd_extra_get(ctx, cmd->id, &mock_device_ops);
	struct mock_device *dev;
	uint32_t pt_id = cmd->mock_domain_replace.pt_id;
	int err;

	if (!x)
		return -ENOENT;
	dev = iommufd_extra_priv(x);
	err = iommufd_device_attach(dev->dev, &pt_id);
	if (!err) {
		cmd->mock_domain_replace.pt_id = pt_id;
		err = mock_respond(call);
	}
	iommufd_extra_put(ctx, x);
	return err;
}

long mock_check_cache(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	uint32_t i = cmd->check_dev_cache.id;
	const struct iommufd_device_info *info;
	struct iommufd_ref ref;
	int err = iommufd_device_by_id(mock_ctx(call), cmd->id, &ref, &info);

	if (err)
		return err;
	if (info->iommu != &mock_iommu || i > MOCK_DEV_CACHE_ID_MAX ||
	    mock_device_of(info)->cache[i] != cmd->check_dev_cache.cache)
		err = -EINVAL;
	iommufd_ref_put(&ref);
	return err;
}

long mock_trigger_iopf(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	struct iommufd_page_request req = {
		.flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE,
		.pasid = cmd->trigger_iopf.pasid,
		.grpid = cmd->trigger_iopf.grpid,
		.perm = cmd->trigger_iopf.perm,
		.addr = cmd->trigger_iopf.addr,
	};
	const struct iommufd_device_info *info;
	struct iommufd_ref ref;
	int err = iommufd_device_by_id(mock_ctx(call), cmd->trigger_iopf.dev_id, &ref,
				       &info);

	if (err)
		return err;
	if (req.pasid != IOMMUFD_NO_PASID)
		req.flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
	/* What becomes of the request is not the trigger's to answer. */
	if (info->iommu == &mock_iommu)
		iommufd_report_page_request(info, &req);
	else
		err = -EINVAL;
	iommufd_ref_put(&ref);
	return err;
}
