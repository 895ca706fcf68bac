/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_VFIO_IOAS: which IOAS stands in for a type1 container.
 *
 * Being chosen is no use of the IOAS: it can be destroyed, and is then chosen no more
 * (object.c, take_out). ctx.lock guards the choice.
 */
#include <errno.h>

#include "iommufd/private.h"

int iommufd_compat_ioas_id(struct iommufd_ctx *ctx, uint32_t *id)
{
	int err = 0;

	pthread_mutex_lock(&ctx->lock);
	if (ctx->vfio_ioas)
		*id = ctx->vfio_ioas->id;
	else
		err = -ENODEV;
	pthread_mutex_unlock(&ctx->lock);
	return err;
}

static void choose(struct iommufd_ctx *ctx, struct iommufd_object *ioas)
{
	pthread_mutex_lock(&ctx->lock);
	ctx->vfio_ioas = ioas;
	pthread_mutex_unlock(&ctx->lock);
}

int iommufd_compat_ioas_create(struct iommufd_ctx *ctx)
{
	struct iommufd_ioas *ioas;
	bool chosen = false;
	int err = ioas_object_create(ctx, &ioas);

	if (err)
		return err;
	pthread_mutex_lock(&ctx->lock);
	if (!ctx->vfio_ioas) {
		ctx->vfio_ioas = &ioas->obj;
		chosen = true;
	}
	pthread_mutex_unlock(&ctx->lock);
	/* From now on it is as if the client had made it. */
	if (chosen)
		object_publish(ctx, &ioas->obj);
	else
		object_abort(ctx, &ioas->obj);
	return 0;
}

long iommufd_vfio_ioas(struct uapi_call *call)
{
	struct iommu_vfio_ioas *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas;
	int err;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		err = iommufd_compat_ioas_id(ctx, &cmd->ioas_id);
		return err ? err : uapi_respond(call, sizeof(*cmd));
	case IOMMU_VFIO_IOAS_SET:
		ioas = ioas_get(ctx, cmd->ioas_id);
		if (!ioas)
			return -ENOENT;
		choose(ctx, &ioas->obj);
		object_put(ctx, &ioas->obj);
		return 0;
	case IOMMU_VFIO_IOAS_CLEAR:
		choose(ctx, NULL);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}
