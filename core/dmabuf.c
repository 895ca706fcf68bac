/* SPDX-License-Identifier: MIT */
/*
 * dma-buf: attach with negotiation, and revocation in one wait.
 *
 * resv makes three things one step against each other: a revoke, the check of it at
 * attach together with taking the runs, and the entry in the list of attachments. So
 * an importer either sees the buffer revoked, or is in the list when the revoke walks
 * it.
 *
 * A revocation clears while it walks and waits only in dmabuf_revocation_finish(),
 * without resv. Between the two the memory may still be reached: the exporter does not
 * touch it before finish() has returned.
 */
#include "core/dmabuf.h"

int dmabuf_create(const struct dmabuf_exporter_ops *ops, void *priv, uint64_t size,
		  bool revoked, struct dmabuf **out)
{
	struct dmabuf *buf = port_alloc(sizeof(*buf));

	if (!buf)
		return -ENOMEM;
	buf->ops = ops;
	buf->priv = priv;
	buf->size = size;
	buf->revoked = revoked;
	atomic_init(&buf->refs, 1);
	port_mutex_init(&buf->resv);
	list_init(&buf->attachments);
	*out = buf;
	return 0;
}

void dmabuf_get(struct dmabuf *buf)
{
	atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);
}

void dmabuf_put(struct dmabuf *buf)
{
	if (!buf)
		return;
	if (atomic_fetch_sub_explicit(&buf->refs, 1, memory_order_acq_rel) != 1)
		return;
	/* Attachments hold references, so there is none left. */
	PORT_BUG_ON(!list_empty(&buf->attachments));
	if (buf->ops->release)
		buf->ops->release(buf);
	port_mutex_finish(&buf->resv);
	port_free(buf);
}

/* ---- attaching ------------------------------------------------------------ */

static enum dmabuf_interconnect negotiate(const struct dmabuf_exporter_ops *exporter,
					  const struct dmabuf_importer_ops *importer)
{
	for (unsigned i = 0; i < importer->nr_interconnects; i++) {
		enum dmabuf_interconnect ic = importer->interconnects[i];

		if (ic != DMABUF_IC_NONE && (exporter->interconnects & (1u << ic)))
			return ic;
	}
	return DMABUF_IC_NONE;
}

static int attach_locked(struct dmabuf *buf, struct dmabuf_attachment *a,
			 int (*map)(struct dmabuf_attachment *a))
{
	int rc;

	if (buf->revoked)
		return -ENODEV;
	a->interconnect = negotiate(buf->ops, a->ops);
	if (a->interconnect == DMABUF_IC_NONE)
		return -EOPNOTSUPP;
	if (!(buf->ops->contracts & (1u << a->ops->contract)))
		return -EOPNOTSUPP;
	rc = map ? map(a) : 0;
	if (rc)
		return rc;
	list_append(&buf->attachments, &a->on_buf);
	return 0;
}

int dmabuf_attach(struct dmabuf *buf, struct dmabuf_attachment *a,
		  const struct dmabuf_importer_ops *ops, void *priv,
		  int (*map)(struct dmabuf_attachment *a))
{
	int rc;

	a->buf = buf;
	a->ops = ops;
	a->priv = priv;
	list_init(&a->on_buf);
	dmabuf_get(buf);
	port_mutex_lock(&buf->resv);
	rc = attach_locked(buf, a, map);
	port_mutex_unlock(&buf->resv);
	if (rc) {
		a->buf = NULL;
		dmabuf_put(buf);
	}
	return rc;
}

void dmabuf_detach(struct dmabuf_attachment *a)
{
	struct dmabuf *buf = a->buf;

	port_mutex_lock(&buf->resv);
	list_remove(&a->on_buf);
	port_mutex_unlock(&buf->resv);
	a->buf = NULL;
	dmabuf_put(buf);
}

int dmabuf_map_phys(struct dmabuf_attachment *a, struct run_list *runs)
{
	struct dmabuf *buf = a->buf;

	if (PORT_BUG_ON(a->interconnect != DMABUF_IC_PHYS) || !buf->ops->map_phys)
		return -EOPNOTSUPP;
	if (buf->revoked)
		return -ENODEV;
	return buf->ops->map_phys(buf, runs);
}

/* ---- revocation ----------------------------------------------------------- */

bool dmabuf_is_revoked(struct dmabuf *buf)
{
	bool revoked;

	port_mutex_lock(&buf->resv);
	revoked = buf->revoked;
	port_mutex_unlock(&buf->resv);
	return revoked;
}

/* Neighbours of one kind of importer are told together: that costs them less. */
static void revoke_locked(struct dmabuf *buf, struct dmabuf_revocation *r)
{
	struct dmabuf_attachment *v[DMABUF_INVALIDATE];
	size_t n = 0;

	if (buf->revoked)
		return;
	buf->revoked = true;
	list_for_each (it, &buf->attachments) {
		struct dmabuf_attachment *a =
			list_entry(it, struct dmabuf_attachment, on_buf);

		if (n == DMABUF_INVALIDATE || (n && a->ops != v[0]->ops)) {
			v[0]->ops->invalidate(v, n, &r->gather);
			n = 0;
		}
		v[n++] = a;
	}
	if (n)
		v[0]->ops->invalidate(v, n, &r->gather);
}

void dmabuf_revocation_add(struct dmabuf_revocation *r, struct dmabuf *buf)
{
	port_mutex_lock(&buf->resv);
	revoke_locked(buf, r);
	port_mutex_unlock(&buf->resv);
}

void dmabuf_revocation_finish(struct dmabuf_revocation *r)
{
	domain_gather_finish(&r->gather);
}

void dmabuf_revoke(struct dmabuf *buf)
{
	struct dmabuf_revocation r = {0};

	dmabuf_revocation_add(&r, buf);
	dmabuf_revocation_finish(&r);
}

void dmabuf_restore(struct dmabuf *buf)
{
	port_mutex_lock(&buf->resv);
	if (!buf->orphaned)
		buf->revoked = false;
	port_mutex_unlock(&buf->resv);
}

void dmabuf_orphan(struct dmabuf *buf, struct dmabuf_revocation *r)
{
	port_mutex_lock(&buf->resv);
	revoke_locked(buf, r);
	buf->orphaned = true;
	port_mutex_unlock(&buf->resv);
}
