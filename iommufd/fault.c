/* SPDX-License-Identifier: MIT */
/*
 * Fault queues: page requests of devices, read by the client, which answers them.
 *
 * Requests are collected per device until the last of their group comes (device.partial,
 * under group.lock); the group then waits in the queue of the hwpt that the device, or
 * its PASID, is attached to, is read as a whole, and from then on waits in `asked`, by
 * its cookie, for the answer. A group is answered exactly once: by the client, or INVALID
 * when the device leaves the hwpt. So no group outlives its device's attachment.
 *
 * group.lock is held over reporting and over every change of an attachment, so what is
 * reported goes to the hwpt that is attached, or is refused.
 */
#include <errno.h>

#include "iommufd/eventq.h"

struct request_group {
	struct eventq_item item; /* data: `v` */
	struct iommufd_device *dev;
	uint32_t attached_pasid; /* by which the device is attached to the hwpt */
	struct iommufd_page_request last;
	uint32_t cookie; /* 0: none yet */
	uint32_t n;
	struct iommu_hwpt_pgfault v[];
};

struct iommufd_fault {
	struct eventq q;
	struct list asked; /* request_group.item.link, by cookie; under q.lock */
};

struct partial {
	struct list link;
	struct iommufd_page_request req;
};

static struct iommufd_fault *fault_of(struct eventq *q)
{
	return container_of(q, struct iommufd_fault, q);
}

static struct request_group *group_of(struct eventq_item *item)
{
	return container_of(item, struct request_group, item);
}

/* ---- answers ------------------------------------------------------------------------
 */

/* The group is in no list any more. */
static void answer(struct request_group *r, enum iommufd_page_answer code)
{
	const struct iommufd_iommu *iommu = iommu_of(r->dev);

	iommu->page_answer(&r->dev->info, &r->last, code);
	port_free(r);
}

static struct request_group *find_asked(struct iommufd_fault *f, uint32_t cookie)
{
	list_for_each (it, &f->asked) {
		struct request_group *r =
			group_of(list_entry(it, struct eventq_item, link));

		if (r->cookie == cookie)
			return r;
	}
	return NULL;
}

static int client_answers(struct iommufd_fault *f,
			  const struct iommu_hwpt_page_response *resp)
{
	struct request_group *r;

	if (resp->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    resp->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	port_mutex_lock(&f->q.lock);
	eventq_settle(&f->q);
	r = find_asked(f, resp->cookie);
	if (r) {
		list_remove(&r->item.link);
		answer(r, (enum iommufd_page_answer)resp->code);
	}
	port_mutex_unlock(&f->q.lock);
	return r ? 0 : -EINVAL;
}

static ssize_t fault_write(struct vfile *file, struct client *c, uint64_t va, size_t n)
{
	struct iommufd_fault *f = fault_of(eventq_of(file));
	struct iommu_hwpt_page_response resp;
	size_t done;

	if (n % sizeof(resp))
		return -ESPIPE;
	for (done = 0; done < n; done += sizeof(resp)) {
		int err = client_copy_in(c, &resp, va + done, sizeof(resp));

		if (!err)
			err = client_answers(f, &resp);
		if (err)
			return done ? (ssize_t)done : err;
	}
	return (ssize_t)done;
}

/* What Linux would refuse has no effect; the client cannot be told. */
static void fault_written(struct eventq *q, const void *data, size_t n)
{
	const struct iommu_hwpt_page_response *v = data;

	if (n % sizeof(*v))
		return;
	for (size_t i = 0; i < n / sizeof(*v); i++)
		if (client_answers(fault_of(q), &v[i]))
			return;
}

/* ---- reading ------------------------------------------------------------------------
 */

/* The lowest cookie that is free, from 1 on: Linux's choice. */
static void fault_show(struct eventq *q, struct eventq_item *item)
{
	struct request_group *r = group_of(item);
	uint32_t cookie = 1;

	if (r->cookie)
		return;
	list_for_each (it, &fault_of(q)->asked) {
		if (group_of(list_entry(it, struct eventq_item, link))->cookie != cookie)
			break;
		cookie++;
	}
	r->cookie = cookie;
	for (uint32_t i = 0; i < r->n; i++)
		r->v[i].cookie = cookie;
}

static void fault_taken(struct eventq *q, struct eventq_item *item)
{
	struct list *pos = &fault_of(q)->asked;

	list_for_each (it, &fault_of(q)->asked) {
		if (group_of(list_entry(it, struct eventq_item, link))->cookie >
		    group_of(item)->cookie) {
			pos = it;
			break;
		}
	}
	list_insert_before(pos, &item->link);
}

/* As many whole groups as there is room for. */
static ssize_t read_groups(struct eventq *q, struct client *c, uint64_t va, size_t n)
{
	struct eventq_item *item;
	size_t done = 0;

	while ((item = eventq_first(q))) {
		int err = item->bytes > n - done ? -EINVAL
						 : eventq_copy(q, c, va + done, item);

		if (err == -EFAULT)
			list_insert_before(q->items.next, &item->link);
		if (err)
			return done ? (ssize_t)done : err;
		fault_taken(q, item);
		done += item->bytes;
	}
	return (ssize_t)done;
}

static ssize_t fault_read(struct vfile *file, struct client *c, int fd, uint64_t va,
			  size_t n)
{
	struct eventq *q = eventq_of(file);
	ssize_t done;

	if (n % sizeof(struct iommu_hwpt_pgfault))
		return -ESPIPE;
	eventq_read_begin(q, fd);
	done = read_groups(q, c, va, n);
	eventq_read_end(q);
	return done;
}

/* ---- the object ---------------------------------------------------------------------
 */

static const struct eventq_ops fault_ops = {
	.file =
		{
			.name = "iommufd-pgfault",
			.read = fault_read,
			.write = fault_write,
			.ready = eventq_ready,
			.release = eventq_release,
		},
	.show = fault_show,
	.taken = fault_taken,
	.written = fault_written,
};

void fault_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	struct iommufd_fault *f = (struct iommufd_fault *)obj;

	/* No hwpt uses it, so nothing is waiting. */
	PORT_BUG_ON(f->q.opened && !list_empty(&f->asked));
	eventq_finish(&f->q);
}

static int install(struct uapi_call *call, struct iommufd_fault *f)
{
	struct iommu_fault_alloc *cmd = (void *)call->data;
	int fd;

	list_init(&f->asked);
	cmd->out_fault_id = f->q.obj.id;
	/* A descriptor cannot be taken back from the client, so see first whether it can
	 * be told. */
	fd = uapi_respond(call, sizeof(*cmd));
	if (fd) {
		vfile_put(&f->q.file);
		return fd;
	}
	fd = eventq_install(&f->q, call->client);
	if (fd < 0)
		return fd;
	cmd->out_fault_fd = (uint32_t)fd;
	object_publish(call_ctx(call), &f->q.obj);
	uapi_respond_done(call, sizeof(*cmd));
	return 0;
}

long iommufd_fault_alloc(struct uapi_call *call)
{
	struct iommu_fault_alloc *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_fault *f;
	int err;

	if (cmd->flags)
		return -EOPNOTSUPP;
	err = object_alloc(ctx, sizeof(*f), OBJECT_FAULT, (void **)&f);
	if (err)
		return err;
	err = eventq_init(&f->q, ctx, &fault_ops);
	if (!err)
		err = install(call, f);
	if (err)
		object_abort(ctx, &f->q.obj);
	return err;
}

int fault_connect(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt, uint32_t id)
{
	struct iommufd_object *obj = object_get(ctx, id, OBJECT_FAULT);

	if (!obj)
		return -ENOENT;
	object_use(ctx, obj, 1);
	object_put(ctx, obj);
	hwpt->fault = (struct iommufd_fault *)obj;
	return 0;
}

void fault_disconnect(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt)
{
	if (hwpt->fault)
		object_unuse(ctx, &hwpt->fault->q.obj, 1);
}

/* ---- leaving ------------------------------------------------------------------------
 */

static bool concerns(const struct request_group *r, const struct iommufd_group *g,
		     const struct iommufd_device *dev, uint32_t pasid)
{
	return r->dev->group == g && (!dev || r->dev == dev) &&
	       (pasid == FAULTS_OF_ANY_PASID || r->attached_pasid == pasid);
}

static void drop_partial(struct iommufd_device *dev)
{
	list_for_each_safe (it, &dev->partial) {
		list_remove(it);
		port_free(list_entry(it, struct partial, link));
	}
}

/* Under q.serve and q.lock. */
static void withdraw_from(struct eventq *q, struct list *list,
			  const struct iommufd_group *g, const struct iommufd_device *dev,
			  uint32_t pasid)
{
	list_for_each_safe (it, list) {
		struct request_group *r =
			group_of(list_entry(it, struct eventq_item, link));

		if (!concerns(r, g, dev, pasid))
			continue;
		eventq_remove(q, &r->item);
		answer(r, IOMMUFD_ANSWER_INVALID);
	}
}

void fault_withdraw(struct iommufd_hwpt *hwpt, const struct iommufd_group *g,
		    const struct iommufd_device *dev, uint32_t pasid)
{
	struct iommufd_fault *f = hwpt ? hwpt->fault : NULL;

	if (!f)
		return;
	list_for_each (it, &g->members) {
		struct iommufd_device *m =
			list_entry(it, struct iommufd_device, on_group);

		if (!dev || m == dev)
			drop_partial(m);
	}
	port_mutex_lock(&f->q.serve);
	port_mutex_lock(&f->q.lock);
	eventq_settle(&f->q);
	withdraw_from(&f->q, &f->q.items, g, dev, pasid);
	withdraw_from(&f->q, &f->asked, g, dev, pasid);
	eventq_push(&f->q);
	port_mutex_unlock(&f->q.lock);
	port_mutex_unlock(&f->q.serve);
}

/* ---- reporting (under group.lock) ---------------------------------------------------
 */

static struct iommufd_hwpt *hwpt_for(struct iommufd_device *dev,
				     const struct iommufd_page_request *req,
				     uint32_t *pasid)
{
	struct iommufd_hwpt *hwpt = dev->group->hwpt;

	*pasid = IOMMUFD_NO_PASID;
	if (req->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID) {
		struct iommufd_hwpt *own = pasid_hwpt(dev->group, req->pasid);

		if (own) {
			*pasid = req->pasid;
			return own->fault ? own : NULL;
		}
		if (!iommu_of(dev)->guest_pasid_table || !hwpt || !hwpt->nested)
			return NULL;
	}
	return hwpt && hwpt->fault ? hwpt : NULL;
}

static int keep_partial(struct iommufd_device *dev,
			const struct iommufd_page_request *req)
{
	struct partial *p = port_alloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->req = *req;
	list_append(&dev->partial, &p->link);
	return 0;
}

static void compose(struct request_group *r, const struct iommufd_page_request *req)
{
	r->v[r->n++] = (struct iommu_hwpt_pgfault){
		.flags = req->flags,
		.dev_id = r->dev->obj.id,
		.pasid = req->pasid,
		.grpid = req->grpid,
		.perm = req->perm,
		.addr = req->addr,
	};
}

/* The last of a group and those before it, in order. They leave the device, whether or
 * not there is memory for the group. */
static struct request_group *make_group(struct iommufd_device *dev, uint32_t pasid,
					const struct iommufd_page_request *last)
{
	struct request_group *r;
	size_t n = 1;

	list_for_each (it, &dev->partial)
		n += list_entry(it, struct partial, link)->req.grpid == last->grpid;
	r = port_alloc(sizeof(*r) + n * sizeof(r->v[0]));
	if (r) {
		r->dev = dev;
		r->attached_pasid = pasid;
		r->last = *last;
		r->item.data = r->v;
		r->item.bytes = n * sizeof(r->v[0]);
		list_init(&r->item.link);
	}
	list_for_each_safe (it, &dev->partial) {
		struct partial *p = list_entry(it, struct partial, link);

		if (p->req.grpid != last->grpid)
			continue;
		if (r)
			compose(r, &p->req);
		list_remove(it);
		port_free(p);
	}
	if (r)
		compose(r, last);
	return r;
}

static int report(struct iommufd_device *dev, const struct iommufd_page_request *req)
{
	uint32_t pasid;
	struct iommufd_hwpt *hwpt = hwpt_for(dev, req, &pasid);
	struct request_group *r;
	struct eventq *q;

	if (!hwpt)
		return -EINVAL;
	if (!(req->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
		return keep_partial(dev, req);
	q = &hwpt->fault->q;
	r = make_group(dev, pasid, req);
	if (!r) {
		iommu_of(dev)->page_answer(&dev->info, req, IOMMUFD_ANSWER_FAILURE);
		return 0;
	}
	port_mutex_lock(&q->lock);
	eventq_add(q, &r->item);
	eventq_push(q);
	port_mutex_unlock(&q->lock);
	return 0;
}

int iommufd_device_request_page(struct iommufd_device *dev,
				const struct iommufd_page_request *req)
{
	return iommufd_report_page_request(&dev->info, req);
}

int iommufd_report_page_request(const struct iommufd_device_info *info,
				const struct iommufd_page_request *req)
{
	struct iommufd_device *dev = container_of(info, struct iommufd_device, info);
	const struct iommufd_iommu *iommu = iommu_of(dev);
	int err;

	port_mutex_lock(&dev->group->lock);
	err = report(dev, req);
	if (err == -EINVAL && iommu->page_answer)
		iommu->page_answer(info, req, IOMMUFD_ANSWER_INVALID);
	port_mutex_unlock(&dev->group->lock);
	return err;
}
