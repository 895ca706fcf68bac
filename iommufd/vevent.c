/* SPDX-License-Identifier: MIT */
/*
 * vEVENTQs: events of a vIOMMU, read by the client.
 *
 * An event is a header and data in the format of the queue's type. Headers are numbered;
 * an event that finds the queue full, or no memory, is lost, but counted: the queue then
 * ends with a header alone, of the last one lost, and when an event comes after that, the
 * gap in the numbers says it all and the lone header is taken out again.
 *
 * A vIOMMU has at most one queue of each type, in its list, under its queues_lock.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "iommufd/eventq.h"
#include "iommufd/viommu.h"

#define DEPTH_MAX (1u << 19) /* Linux 7.3's */

struct vevent {
	struct eventq_item item; /* data: `header` and what follows */
	struct iommufd_vevent_header header;
	unsigned char data[];
};

struct veventq {
	struct eventq q;
	struct iommufd_viommu *viommu; /* which it uses */
	struct list on_viommu;
	uint32_t type, depth;
	/* Under q.lock. */
	uint32_t nr_events; /* in the list, `lost` not counted */
	uint32_t sequence;  /* of the next event */
	struct vevent lost;
};

static struct veventq *veventq_of(struct eventq *q)
{
	return container_of(q, struct veventq, q);
}

static struct vevent *event_of(struct eventq_item *item)
{
	return container_of(item, struct vevent, item);
}

/* ---- events (under q.lock) ----------------------------------------------------------
 */

static void event_free(struct veventq *vq, struct vevent *e)
{
	if (e != &vq->lost)
		port_free(e);
}

static void add(struct veventq *vq, struct vevent *e)
{
	if (!list_empty(&vq->lost.item.link))
		eventq_remove(&vq->q, &vq->lost.item);
	e->header.sequence = vq->sequence;
	vq->sequence = (vq->sequence + 1) & INT_MAX;
	eventq_add(&vq->q, &e->item);
	eventq_push(&vq->q);
}

static struct vevent *event_new(const void *data, size_t n)
{
	struct vevent *e = port_alloc(sizeof(*e) + n);

	if (!e)
		return NULL;
	list_init(&e->item.link);
	e->item.data = &e->header;
	e->item.bytes = sizeof(e->header) + n;
	memcpy(e->data, data, n);
	return e;
}

static struct veventq *find(struct iommufd_viommu *v, uint32_t type)
{
	list_for_each (it, &v->queues) {
		struct veventq *vq = list_entry(it, struct veventq, on_viommu);

		if (vq->type == type)
			return vq;
	}
	return NULL;
}

static int report(struct veventq *vq, const void *data, size_t n)
{
	struct vevent *e = event_new(data, n);
	int err = e ? 0 : -ENOMEM;

	port_mutex_lock(&vq->q.lock);
	eventq_settle(&vq->q);
	if (e && vq->nr_events == vq->depth) {
		port_free(e);
		e = NULL;
	}
	if (e)
		vq->nr_events++;
	add(vq, e ? e : &vq->lost);
	port_mutex_unlock(&vq->q.lock);
	return err;
}

int iommufd_viommu_report_event(struct iommufd_viommu *v, uint32_t type, const void *data,
				size_t n)
{
	struct veventq *vq;
	int err = -EOPNOTSUPP;

	if (PORT_BUG_ON(!n))
		return -EINVAL;
	port_rwlock_read_lock(&v->queues_lock);
	vq = find(v, type);
	if (vq)
		err = report(vq, data, n);
	port_rwlock_read_unlock(&v->queues_lock);
	return err;
}

/* ---- reading ------------------------------------------------------------------------
 */

static void vevent_show(struct eventq *q, struct eventq_item *item)
{
}

static void vevent_taken(struct eventq *q, struct eventq_item *item)
{
	struct veventq *vq = veventq_of(q);
	struct vevent *e = event_of(item);

	if (e != &vq->lost)
		vq->nr_events--;
	event_free(vq, e);
}

/*
 * Reading `lost` is reading a copy of it: it may be needed anew meanwhile. It is only
 * ever the first when it is the only one.
 */
static int read_lost(struct veventq *vq, struct client *c, uint64_t va)
{
	struct vevent copy = {.header = vq->lost.header};
	int err;

	list_remove(&vq->lost.item.link);
	copy.item.data = &copy.header;
	copy.item.bytes = sizeof(copy.header);
	list_init(&copy.item.link);
	err = eventq_copy(&vq->q, c, va, &copy.item);
	if (err && list_empty(&vq->q.items))
		eventq_add(&vq->q, &vq->lost.item);
	return err;
}

static int read_event(struct veventq *vq, struct client *c, uint64_t va,
		      struct eventq_item *item)
{
	int err = eventq_copy(&vq->q, c, va, item);

	if (err)
		list_insert_before(vq->q.items.next, &item->link);
	else
		vevent_taken(&vq->q, item);
	return err;
}

static ssize_t read_events(struct veventq *vq, struct client *c, uint64_t va, size_t n)
{
	struct eventq_item *item;
	size_t done = 0;

	while ((item = eventq_first(&vq->q))) {
		size_t bytes = item->bytes;
		int err;

		if (bytes > n - done)
			err = -EINVAL;
		else if (item == &vq->lost.item)
			err = read_lost(vq, c, va + done);
		else
			err = read_event(vq, c, va + done, item);
		if (err)
			return done ? (ssize_t)done : err;
		done += bytes;
	}
	return (ssize_t)done;
}

static ssize_t vevent_read(struct vfile *file, struct client *c, int fd, uint64_t va,
			   size_t n)
{
	struct eventq *q = eventq_of(file);
	ssize_t done;

	if (n < sizeof(struct iommufd_vevent_header))
		return -EINVAL;
	eventq_read_begin(q, fd);
	done = read_events(veventq_of(q), c, va, n);
	eventq_read_end(q);
	return done;
}

static ssize_t vevent_write(struct vfile *file, struct client *c, uint64_t va, size_t n)
{
	return -EINVAL;
}

static const struct eventq_ops vevent_ops = {
	.file =
		{
			.name = "iommufd-viommu-event",
			.read = vevent_read,
			.write = vevent_write,
			.ready = eventq_ready,
			.release = eventq_release,
		},
	.show = vevent_show,
	.taken = vevent_taken,
};

/* ---- the object ---------------------------------------------------------------------
 */

/* viommu->queues_lock is held for writing. */
static void leave(struct iommufd_ctx *ctx, struct veventq *vq)
{
	list_remove(&vq->on_viommu);
	list_for_each_safe (it, &vq->q.items) {
		list_remove(it);
		event_free(vq, event_of(list_entry(it, struct eventq_item, link)));
	}
	object_unuse(ctx, &vq->viommu->obj, 1);
}

void veventq_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct veventq *vq = (struct veventq *)obj;

	if (!vq->viommu)
		return; /* init failed */
	port_rwlock_write_lock(&vq->viommu->queues_lock);
	leave(ctx, vq);
	port_rwlock_write_unlock(&vq->viommu->queues_lock);
	eventq_finish(&vq->q);
}

static int create(struct iommufd_viommu *v, const struct iommu_veventq_alloc *cmd,
		  struct veventq **out)
{
	struct veventq *vq;
	int err = object_alloc(v->ctx, sizeof(*vq), OBJECT_VEVENTQ, (void **)&vq);

	if (err)
		return err;
	err = eventq_init(&vq->q, v->ctx, &vevent_ops);
	if (err) {
		object_abort(v->ctx, &vq->q.obj);
		return err;
	}
	vq->type = cmd->type;
	vq->depth = cmd->veventq_depth;
	vq->lost.header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	vq->lost.item.data = &vq->lost.header;
	vq->lost.item.bytes = sizeof(vq->lost.header);
	list_init(&vq->lost.item.link);
	vq->viommu = v;
	object_use(v->ctx, &v->obj, 1);
	list_init(&vq->on_viommu);
	*out = vq;
	return 0;
}

/* A descriptor cannot be taken back, so see first whether the client can be told. */
static int install(struct uapi_call *call, struct veventq *vq)
{
	struct iommu_veventq_alloc *cmd = (void *)call->data;
	int fd;

	cmd->out_veventq_id = vq->q.obj.id;
	fd = uapi_respond(call, sizeof(*cmd));
	if (fd) {
		vfile_put(&vq->q.file);
		return fd;
	}
	fd = eventq_install(&vq->q, call->client);
	if (fd < 0)
		return fd;
	cmd->out_veventq_fd = (uint32_t)fd;
	uapi_respond_done(call, sizeof(*cmd));
	return 0;
}

/* viommu->queues_lock keeps others from making a second of the type. */
static int alloc_locked(struct uapi_call *call, struct iommufd_viommu *v,
			struct veventq **failed)
{
	struct iommu_veventq_alloc *cmd = (void *)call->data;
	struct veventq *vq;
	int err;

	if (find(v, cmd->type))
		return -EEXIST;
	err = create(v, cmd, &vq);
	if (err)
		return err;
	err = install(call, vq);
	if (err) {
		*failed = vq;
		return err;
	}
	list_append(&v->queues, &vq->on_viommu);
	object_publish(v->ctx, &vq->q.obj);
	return 0;
}

long iommufd_veventq_alloc(struct uapi_call *call)
{
	struct iommu_veventq_alloc *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct veventq *failed = NULL;
	struct iommufd_viommu *v;
	int err;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > DEPTH_MAX)
		return -EINVAL;
	v = viommu_get(ctx, cmd->viommu_id);
	if (!v)
		return -ENOENT;
	port_rwlock_write_lock(&v->queues_lock);
	err = alloc_locked(call, v, &failed);
	port_rwlock_write_unlock(&v->queues_lock);
	if (failed)
		object_abort(ctx, &failed->q.obj);
	object_put(ctx, &v->obj);
	return err;
}
