/* SPDX-License-Identifier: MIT */
/* PASIDs of mock devices: attached, replaced, detached, looked at. */
#include <errno.h>

#include "selftest/mock.h"

static int pasid_change(struct uapi_call *call,
			int (*change)(struct iommufd_device *dev, uint32_t pasid,
				      uint32_t *pt_id))
{
	struct iommu_test_cmd *cmd = mock_cmd(call);
	struct iommufd_ctx *ctx = mock_ctx(call);
	struct iommufd_extra *x = iommufd_extra_get(ctx, cmd->id, &mock_device_ops);
	struct mock_device *dev;
	int err;

	if (!x)
		return -ENOENT;
	dev = iommufd_extra_priv(x);
	err = change(dev->dev, cmd->pasid_attach.pasid, &cmd->pasid_attach.pt_id);
	if (!err)
		err = mock_respond(call);
	iommufd_extra_put(ctx, x);
	return err;
}

long mock_pasid_attach(struct uapi_call *call)
{
	return pasid_change(call, iommufd_pasid_attach);
}

long mock_pasid_replace(struct uapi_call *call)
{
	return pasid_change(call, iommufd_pasid_replace);
}

long mock_pasid_detach(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	struct iommufd_ctx *ctx = mock_ctx(call);
	struct iommufd_extra *x = iommufd_extra_get(ctx, cmd->id, &mock_device_ops);
	struct mock_device *dev;

	if (!x)
		return -ENOENT;
	dev = iommufd_extra_priv(x);
	iommufd_pasid_detach(dev->dev, cmd->pasid_detach.pasid);
	iommufd_extra_put(ctx, x);
	return 0;
}

/* Is it attached to hwpt @id? */
static int pasid_is_at(struct iommufd_ctx *ctx, bool attached,
		       const struct iommufd_translation *t, uint32_t id)
{
	struct iommufd_nested *nested = NULL;
	struct domain *domain = NULL;
	struct iommufd_ref ref;
	bool same;

	if (!id)
		return attached ? -EINVAL : 0;
	if (iommufd_nested_by_id(ctx, id, &ref, &nested) &&
	    iommufd_domain_by_id(ctx, id, &ref, &domain))
		return -ENOENT;
	same = attached && t->nested == nested && (nested || t->domain == domain);
	iommufd_ref_put(&ref);
	return same ? 0 : -EINVAL;
}

long mock_pasid_check(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	struct iommufd_ctx *ctx = mock_ctx(call);
	struct iommufd_extra *x = iommufd_extra_get(ctx, cmd->id, &mock_device_ops);
	struct iommufd_translation t;
	bool attached;
	int err;

	if (!x)
		return -ENOENT;
	attached = mock_device_pasid(iommufd_extra_priv(x), cmd->pasid_check.pasid, &t);
	err = pasid_is_at(ctx, attached, &t, cmd->pasid_check.hwpt_id);
	iommufd_extra_put(ctx, x);
	return err;
}
