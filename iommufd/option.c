/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_OPTION: one context-wide option and one for each IOAS.
 *
 * RLIMIT_MODE decides whether pinned memory counts by user or by process (account.c), for
 * all that is mapped later; so it can be set only while there is nothing.
 */
#include <errno.h>

#include "iommufd/private.h"

static int set_rlimit_mode(struct iommufd_ctx *ctx, uint64_t value)
{
	int err = 0;

	pthread_mutex_lock(&ctx->lock);
	if (!objects_empty(ctx))
		err = -EBUSY;
	else if (value > 1)
		err = -EINVAL;
	else
		ctx->rlimit_per_process = value;
	pthread_mutex_unlock(&ctx->lock);
	return err;
}

static int rlimit_mode(struct uapi_call *call, struct iommu_option *cmd)
{
	struct iommufd_ctx *ctx = call_ctx(call);

	if (cmd->object_id)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case IOMMU_OPTION_OP_GET:
		pthread_mutex_lock(&ctx->lock);
		cmd->val64 = ctx->rlimit_per_process;
		pthread_mutex_unlock(&ctx->lock);
		return 0;
	case IOMMU_OPTION_OP_SET:
		if (!call->client->ops->privileged(call->client))
			return -EPERM;
		return set_rlimit_mode(ctx, cmd->val64);
	default:
		return -EOPNOTSUPP;
	}
}

static int huge_pages_of(struct ioas *ioas, struct iommu_option *cmd)
{
	switch (cmd->op) {
	case IOMMU_OPTION_OP_GET:
		cmd->val64 = ioas_large_pages(ioas);
		return 0;
	case IOMMU_OPTION_OP_SET:
		if (cmd->val64 > 1)
			return -EINVAL;
		return ioas_set_large_pages(ioas, cmd->val64);
	default:
		return -EOPNOTSUPP;
	}
}

static int huge_pages(struct uapi_call *call, struct iommu_option *cmd)
{
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas = ioas_get(ctx, cmd->object_id);
	int err;

	if (!ioas)
		return -ENOENT;
	err = huge_pages_of(ioas->ioas, cmd);
	object_put(ctx, &ioas->obj);
	return err;
}

long iommufd_option(struct uapi_call *call)
{
	struct iommu_option *cmd = (void *)call->data;
	int err;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	switch (cmd->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		err = rlimit_mode(call, cmd);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		err = huge_pages(call, cmd);
		break;
	default:
		return -EOPNOTSUPP;
	}
	return err ? err : uapi_respond(call, sizeof(*cmd));
}
