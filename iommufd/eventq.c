/* SPDX-License-Identifier: MIT */
/* See eventq.h. */
#include "iommufd/eventq.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The longest native write that is looked at: 512 answers. What is beyond is lost. */
#define WRITE_MAX 4096
#define EMPTY_MAX 16

int eventq_init(struct eventq *q, struct iommufd_ctx *ctx, const struct eventq_ops *ops)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	/* Ours only ever tries. The client's blocks, unless it says otherwise. */
	fcntl(ends[0], F_SETFL, O_RDWR | O_NONBLOCK);
	q->ctx = ctx;
	q->ops = ops;
	vfile_init(&q->file, &ops->file, -1, 0);
	q->file.ends[0] = ends[0];
	q->file.ends[1] = ends[1];
	port_mutex_init(&q->serve);
	port_mutex_init(&q->lock);
	list_init(&q->items);
	object_use(ctx, &q->obj, 1);
	vfile_get(&ctx->file);
	q->opened = true;
	return 0;
}

int eventq_install(struct eventq *q, struct client *c)
{
	int fd = c->ops->install(c, &q->file, O_RDWR | O_CLOEXEC);

	vfile_put(&q->file);
	return fd;
}

void eventq_finish(struct eventq *q)
{
	if (!q->opened)
		return;
	PORT_BUG_ON(!list_empty(&q->items));
	port_mutex_finish(&q->lock);
	port_mutex_finish(&q->serve);
}

void eventq_release(struct vfile *f)
{
	struct eventq *q = eventq_of(f);
	struct iommufd_ctx *ctx = q->ctx;

	port_mutex_lock(&q->lock);
	close(f->ends[0]);
	if (f->ends[1] >= 0)
		close(f->ends[1]);
	f->ends[0] = f->ends[1] = -1;
	q->in_socket = false;
	q->shown = NULL;
	port_mutex_unlock(&q->lock);
	/* The object may be destroyed from here on. */
	object_unuse(ctx, &q->obj, 1);
	vfile_put(&ctx->file);
}

/* ---- the list and the socket (under lock) ----------------------------------------- */

/* Has the client read what was put into its end? */
static bool socket_empty(const struct eventq *q)
{
	int bytes = 0;

	return !ioctl(q->file.ends[0], SIOCOUTQ, &bytes) && bytes == 0;
}

/* The packet has been read natively. */
static void consumed(struct eventq *q)
{
	struct eventq_item *item = q->shown;

	q->in_socket = false;
	q->shown = NULL;
	if (!item)
		return;
	list_remove(&item->link);
	q->ops->taken(q, item);
}

void eventq_settle(struct eventq *q)
{
	if (q->in_socket && socket_empty(q))
		consumed(q);
}

void eventq_push(struct eventq *q)
{
	struct eventq_item *item;

	eventq_settle(q);
	item = eventq_first(q);
	if (!item || q->in_socket || q->serving || q->file.ends[0] < 0)
		return;
	q->ops->show(q, item);
	if (send(q->file.ends[0], item->data, item->bytes, MSG_DONTWAIT | MSG_NOSIGNAL) <
	    0)
		return;
	q->in_socket = true;
	q->shown = item;
}

void eventq_add(struct eventq *q, struct eventq_item *item)
{
	list_append(&q->items, &item->link);
}

void eventq_remove(struct eventq *q, struct eventq_item *item)
{
	list_remove(&item->link);
	if (q->shown == item)
		q->shown = NULL;
}

struct eventq_item *eventq_first(struct eventq *q)
{
	if (list_empty(&q->items))
		return NULL;
	return list_entry(q->items.next, struct eventq_item, link);
}

/* ---- reading ------------------------------------------------------------------------
 */

void eventq_read_begin(struct eventq *q, int fd)
{
	char byte;

	port_mutex_lock(&q->serve);
	port_mutex_lock(&q->lock);
	eventq_settle(q);
	/* If another thread of the client is faster, natively, it has the item. */
	if (q->in_socket && recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) < 0)
		consumed(q);
	q->in_socket = false;
	q->shown = NULL;
	q->serving = true;
}

int eventq_copy(struct eventq *q, struct client *c, uint64_t va, struct eventq_item *item)
{
	int err;

	list_remove(&item->link);
	q->ops->show(q, item);
	port_mutex_unlock(&q->lock);
	err = client_copy_out(c, va, item->data, item->bytes);
	port_mutex_lock(&q->lock);
	return err;
}

void eventq_read_end(struct eventq *q)
{
	q->serving = false;
	eventq_push(q);
	port_mutex_unlock(&q->lock);
	port_mutex_unlock(&q->serve);
}

void eventq_ready(struct vfile *f)
{
	struct eventq *q = eventq_of(f);
	_Alignas(8) char buf[WRITE_MAX];
	int empty = 0;
	ssize_t n;

	port_mutex_lock(&q->lock);
	eventq_push(q);
	port_mutex_unlock(&q->lock);
	/* An empty packet looks like the end. */
	while (empty < EMPTY_MAX &&
	       (n = recv(f->ends[0], buf, sizeof(buf), MSG_DONTWAIT)) >= 0) {
		empty += !n;
		if (n && q->ops->written)
			q->ops->written(q, buf, (size_t)n);
	}
}
