/* SPDX-License-Identifier: MIT */
/*
 * HW_QUEUEs: queues in the guest's memory that the IOMMU hardware reads by itself, by
 * physical address. So the memory is pinned for as long as the queue lives, by an access
 * that cannot be asked to let go (unmapping it is EBUSY), and must be contiguous.
 */
#include <errno.h>

#include "iommufd/access.h"
#include "iommufd/viommu.h"

struct iommufd_hw_queue {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu; /* which it uses */
	struct iommufd_access *access;
	uint64_t pinned, pinned_bytes; /* whole pages; 0 bytes: nothing */
	bool ready;                    /* the IOMMU has accepted it */
	void *priv;
};

void hw_queue_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_hw_queue *q = (struct iommufd_hw_queue *)obj;
	const struct iommufd_viommu_ops *ops = q->viommu->ops;

	if (q->ready && ops->hw_queue_finish)
		ops->hw_queue_finish(q->viommu->priv, q->priv);
	if (q->pinned_bytes)
		iommufd_access_unpin_pages(q->access, q->pinned, q->pinned_bytes);
	iommufd_access_destroy(q->access);
	object_unuse(ctx, &q->viommu->obj, 1);
}

int iommufd_hw_queue_depend(struct iommufd_hw_queue *q, struct iommufd_hw_queue *on)
{
	if (q == on || q->viommu != on->viommu)
		return -EINVAL;
	object_use(q->viommu->ctx, &on->obj, 1);
	return 0;
}

void iommufd_hw_queue_undepend(struct iommufd_hw_queue *q, struct iommufd_hw_queue *on)
{
	if (!PORT_BUG_ON(q == on || q->viommu != on->viommu))
		object_unuse(q->viommu->ctx, &on->obj, 1);
}

/* ---- the memory ---------------------------------------------------------------------
 */

static bool contiguous(const struct run_list *runs)
{
	for (size_t i = 1; i < runs->n; i++)
		if (runs->v[i].spa != runs->v[i - 1].spa + runs->v[i - 1].length)
			return false;
	return true;
}

/* The pages are the queue's to unpin, also on failure. */
static int pin(struct iommufd_hw_queue *q, uint64_t iova, uint64_t length, uint64_t *spa)
{
	uint64_t first = iova & ~(PORT_PAGE_SIZE - 1), bytes;
	struct run_list runs = {0};
	int err;

	if (__builtin_add_overflow(iova - first, length, &bytes) ||
	    __builtin_add_overflow(bytes, PORT_PAGE_SIZE - 1, &bytes))
		return -ERANGE;
	bytes &= ~(PORT_PAGE_SIZE - 1);
	err = access_create_internal(q->viommu->ctx, q->viommu->hwpt->ioas, &q->access);
	if (err) {
		q->access = NULL;
		return err;
	}
	err = iommufd_access_pin_pages(q->access, first, bytes, IOMMUFD_ACCESS_READ,
				       &runs);
	if (!err) {
		q->pinned = first;
		q->pinned_bytes = bytes;
		*spa = runs.v[0].spa + (iova - first);
		err = contiguous(&runs) ? 0 : -EFAULT;
	}
	run_list_finish(&runs);
	return err;
}

/* ---- the object ---------------------------------------------------------------------
 */

static int init(struct iommufd_hw_queue *q, const struct iommu_hw_queue_alloc *cmd)
{
	uint64_t spa;
	int err = pin(q, cmd->nesting_parent_iova, cmd->length, &spa);

	if (!err)
		err = q->viommu->ops->hw_queue_init(q->viommu->priv, q, cmd->type,
						    cmd->index, cmd->nesting_parent_iova,
						    cmd->length, spa, &q->priv);
	q->ready = !err;
	return err;
}

static int alloc_on(struct uapi_call *call, struct iommufd_viommu *v)
{
	struct iommu_hw_queue_alloc *cmd = (void *)call->data;
	struct iommufd_hw_queue *q;
	int err;

	if (!v->ops->has_hw_queue || !v->ops->hw_queue_init ||
	    !v->ops->has_hw_queue(v->priv, cmd->type))
		return -EOPNOTSUPP;
	err = object_alloc(v->ctx, sizeof(*q), OBJECT_HW_QUEUE, (void **)&q);
	if (err)
		return err;
	q->viommu = v;
	object_use(v->ctx, &v->obj, 1);
	err = init(q, cmd);
	cmd->out_hw_queue_id = q->obj.id;
	if (!err)
		err = uapi_respond(call, sizeof(*cmd));
	if (err)
		object_abort(v->ctx, &q->obj);
	else
		object_publish(v->ctx, &q->obj);
	return err;
}

long iommufd_hw_queue_alloc(struct uapi_call *call)
{
	struct iommu_hw_queue_alloc *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_viommu *v;
	uint64_t last;
	int err;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->nesting_parent_iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	v = viommu_get(ctx, cmd->viommu_id);
	if (!v)
		return -ENOENT;
	err = alloc_on(call, v);
	object_put(ctx, &v->obj);
	return err;
}
