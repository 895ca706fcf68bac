/* SPDX-License-Identifier: MIT */
/*
 * The access object (access.h): which IOAS it is attached to. Pinning is core/access.c.
 *
 * Changing the IOAS: @ioas becomes NULL, so that no new pin comes; then the owner is told
 * to let go of everything, without a lock, while unpins still go to @ioas_unpin; then the
 * tie to the former IOAS ends. So during a replace there are two ties.
 *
 * Unmaps keep the object by its busy count, which the end of the object waits for. That
 * end comes after the detach, so that an unmap that meets pins finds somebody to ask.
 */
#include "iommufd/access.h"

#include <errno.h>

#include "core/access.h"
#include "iommufd/private.h"

struct tie {
	struct ioas_access link;
	struct iommufd_access *access;
};

struct iommufd_access {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	const struct iommufd_access_ops *ops; /* NULL: one of our own */
	void *data;
	struct port_mutex lock;
	/* Under lock; the same but while one is left. Each is used (object_use). */
	struct iommufd_ioas *ioas, *ioas_unpin;
	struct tie ties[2];
	unsigned current; /* the tie to ioas_unpin */
};

static struct iommufd_access *access_of(struct ioas_access *link)
{
	return container_of(link, struct tie, link)->access;
}

static bool link_get(struct ioas_access *link)
{
	struct iommufd_access *a = access_of(link);

	return object_try_get(a->ctx, &a->obj);
}

static void link_unmap(struct ioas_access *link, uint64_t iova, uint64_t length)
{
	struct iommufd_access *a = access_of(link);

	if (a->ops->unmap)
		a->ops->unmap(a->data, iova, length);
}

static void link_put(struct ioas_access *link)
{
	struct iommufd_access *a = access_of(link);

	object_put(a->ctx, &a->obj);
}

static const struct ioas_access_ops link_ops = {
	.get = link_get,
	.unmap = link_unmap,
	.put = link_put,
};

/* ---- life ----------------------------------------------------------------------------
 */

void access_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_access *a = (struct iommufd_access *)obj;

	port_mutex_finish(&a->lock);
}

static int create(struct iommufd_ctx *ctx, const struct iommufd_access_ops *ops,
		  void *data, struct iommufd_access **out)
{
	bool pins = !ops || ops->needs_pin_pages;
	struct iommufd_access *a;
	int err = object_alloc(ctx, sizeof(*a), OBJECT_ACCESS, (void **)&a);

	if (err)
		return err;
	a->ctx = ctx;
	a->ops = ops;
	a->data = data;
	port_mutex_init(&a->lock);
	for (size_t i = 0; i < ARRAY_LEN(a->ties); i++)
		a->ties[i] = (struct tie){
			.link = {.ops = ops ? &link_ops : NULL,
				 .alignment = pins ? PORT_PAGE_SIZE : 1},
			.access = a,
		};
	*out = a;
	return 0;
}

/* The maker is the one user until iommufd_access_destroy(). */
static void publish(struct iommufd_access *a)
{
	object_use(a->ctx, &a->obj, 1);
	object_publish(a->ctx, &a->obj);
}

int iommufd_access_create(struct iommufd_ctx *ctx, const struct iommufd_access_ops *ops,
			  void *data, struct iommufd_access **out, uint32_t *id)
{
	struct iommufd_access *a;
	int err = create(ctx, ops, data, &a);

	if (err)
		return err;
	vfile_get(&ctx->file);
	publish(a);
	*id = a->obj.id;
	*out = a;
	return 0;
}

/* ---- attaching ------------------------------------------------------------------------
 */

/* a->lock is held; it is dropped to ask the owner. */
static void leave(struct iommufd_access *a, struct iommufd_ioas *old)
{
	if (a->ops && a->ops->unmap) {
		port_mutex_unlock(&a->lock);
		a->ops->unmap(a->data, 0, UINT64_MAX);
		port_mutex_lock(&a->lock);
	}
	ioas_remove_access(old->ioas, &a->ties[a->current].link);
	object_unuse(a->ctx, &old->obj, 1);
}

/* a->lock is held, and the caller keeps @ioas (NULL: none). */
static int change(struct iommufd_access *a, struct iommufd_ioas *ioas)
{
	struct iommufd_ioas *old = a->ioas;
	unsigned next = !a->current;

	/* Another thread is just leaving. */
	if (old != a->ioas_unpin)
		return -EBUSY;
	if (old == ioas)
		return 0;
	a->ioas = NULL;
	if (ioas) {
		int err = ioas_add_access(ioas->ioas, &a->ties[next].link);

		if (err) {
			a->ioas = old;
			return err;
		}
		object_use(a->ctx, &ioas->obj, 1);
	}
	if (old)
		leave(a, old);
	a->ioas = a->ioas_unpin = ioas;
	a->current = next;
	return 0;
}

static int change_to_id(struct iommufd_access *a, uint32_t id)
{
	struct iommufd_ioas *ioas = ioas_get(a->ctx, id);
	int err;

	if (!ioas)
		return -ENOENT;
	err = change(a, ioas);
	object_put(a->ctx, &ioas->obj);
	return err;
}

int iommufd_access_attach(struct iommufd_access *a, uint32_t ioas_id)
{
	int err = -EINVAL;

	port_mutex_lock(&a->lock);
	if (!a->ioas)
		err = change_to_id(a, ioas_id);
	port_mutex_unlock(&a->lock);
	return err;
}

int iommufd_access_replace(struct iommufd_access *a, uint32_t ioas_id)
{
	int err = -ENOENT;

	port_mutex_lock(&a->lock);
	if (a->ioas)
		err = change_to_id(a, ioas_id);
	port_mutex_unlock(&a->lock);
	return err;
}

void iommufd_access_detach(struct iommufd_access *a)
{
	port_mutex_lock(&a->lock);
	PORT_BUG_ON(change(a, NULL));
	port_mutex_unlock(&a->lock);
}

void iommufd_access_destroy(struct iommufd_access *a)
{
	struct iommufd_ctx *ctx;
	bool internal;

	if (!a)
		return;
	ctx = a->ctx;
	internal = !a->ops;
	iommufd_access_detach(a);
	object_unuse_destroy(ctx, &a->obj);
	if (!internal)
		vfile_put(&ctx->file);
}

int access_create_internal(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
			   struct iommufd_access **out)
{
	struct iommufd_access *a;
	int err = create(ctx, NULL, NULL, &a);

	if (err)
		return err;
	port_mutex_lock(&a->lock);
	err = change(a, ioas);
	port_mutex_unlock(&a->lock);
	if (err) {
		object_abort(ctx, &a->obj);
		return err;
	}
	publish(a);
	*out = a;
	return 0;
}

/* ---- use ------------------------------------------------------------------------------
 */

static bool may_pin(const struct iommufd_access *a)
{
	return !a->ops || (a->ops->needs_pin_pages && a->ops->unmap);
}

/* What is wrong whatever it is attached to. */
static int check_words(uint64_t iova, uint64_t length)
{
	if (!length)
		return -EINVAL;
	return iova + (length - 1) < iova ? -EOVERFLOW : 0;
}

int iommufd_access_pin_pages(struct iommufd_access *a, uint64_t iova, uint64_t length,
			     unsigned flags, struct run_list *runs)
{
	unsigned prot = flags & IOMMUFD_ACCESS_WRITE ? IOAS_WRITE : IOAS_READ;
	int err = may_pin(a) ? check_words(iova, length) : -EINVAL;

	if (err)
		return err;
	port_mutex_lock(&a->lock);
	err = a->ioas ? ioas_pin(a->ioas->ioas, iova, length, prot, !a->ops, runs)
		      : -ENOENT;
	port_mutex_unlock(&a->lock);
	return err;
}

void iommufd_access_unpin_pages(struct iommufd_access *a, uint64_t iova, uint64_t length)
{
	port_mutex_lock(&a->lock);
	if (!PORT_BUG_ON(!a->ioas_unpin))
		ioas_unpin(a->ioas_unpin->ioas, iova, length, !a->ops);
	port_mutex_unlock(&a->lock);
}

int iommufd_access_rw(struct iommufd_access *a, uint64_t iova, void *data, size_t length,
		      unsigned flags)
{
	bool write = flags & IOMMUFD_ACCESS_WRITE;
	int err = check_words(iova, length);

	if (err)
		return err;
	port_mutex_lock(&a->lock);
	err = a->ioas ? ioas_rw(a->ioas->ioas, a->ctx->machine->phys, iova, data, length,
				write)
		      : -ENOENT;
	port_mutex_unlock(&a->lock);
	return err;
}
