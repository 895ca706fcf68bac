/* SPDX-License-Identifier: MIT */
/*
 * Queues that a client reads: what fault queues (fault.c) and vIOMMUs' event queues
 * (vevent.c) have in common.
 *
 * The client holds one end of a socket pair (vfile.ends), we the other. poll(2) is the
 * kernel's: it finds the end readable because the first item of the queue lies in it, as
 * one packet. Reading goes one of two ways:
 *   caught    (vfile_ops.read) the packet is taken back and the queue served by Linux's
 *             rules: as many whole items as fit, EINVAL when the first does not, 0 when
 *             there is none;
 *   native    where a read(2) cannot be caught: the client gets the packet, whole; that
 *             it has shows by our end having nothing outstanding, and then the next item
 *             is put there.
 * Native reading differs from Linux: an empty queue blocks, or is EAGAIN; a read returns
 * one item; what a buffer is too small for is lost; an item that was withdrawn after it
 * had been put into the socket is still read.
 *
 * The file is a part of the object and uses it, as well as the context, until its last
 * close; the object may outlive the file.
 *
 * Locks: `serve` is held over a whole caught read, copies to the client included, and by
 * whoever withdraws items, so that none is half read then; `lock` (inner, a leaf) guards
 * the rest. Whoever adds items takes `lock` only, so a client that is slow to take them
 * does not hold up a device.
 */
#ifndef IOMMUFD_EVENTQ_H
#define IOMMUFD_EVENTQ_H

#include "iommufd/private.h"

struct eventq;

struct eventq_item {
	struct list link;
	size_t bytes;
	void *data; /* 8-byte aligned */
};

struct eventq_ops {
	struct vfile_ops file;
	/* Under lock. The item is about to be read: the last chance to fill in data. */
	void (*show)(struct eventq *q, struct eventq_item *item);
	/* Under lock. It has been read, and is not in the list any more. */
	void (*taken)(struct eventq *q, struct eventq_item *item);
	/* A native write; no locks held. May be NULL. */
	void (*written)(struct eventq *q, const void *data, size_t n);
};

struct eventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct vfile file;
	const struct eventq_ops *ops;
	struct port_mutex serve, lock;
	struct list items; /* eventq_item.link */
	/* A packet lies in the client's end: that of the first item, or, NULL, of none
	 * that is there any more. */
	bool in_socket;
	struct eventq_item *shown;
	bool serving; /* a caught read is at work: nothing is put into the socket */
	bool opened;  /* finish() has something to do */
};

/* On failure finish() need not be called. -ENOMEM, -EMFILE ... */
int eventq_init(struct eventq *q, struct iommufd_ctx *ctx, const struct eventq_ops *ops);
/*
 * Give the client the file; its number there. Once, after init, and whatever it answers
 * our own reference is gone.
 */
int eventq_install(struct eventq *q, struct client *c);
/* The file is closed, or was never installed; the list is empty. Takes what init has not
 * touched. */
void eventq_finish(struct eventq *q);

/* All under lock. */
void eventq_add(struct eventq *q, struct eventq_item *item);
void eventq_remove(struct eventq *q, struct eventq_item *item);
/* Notice what has been read natively. */
void eventq_settle(struct eventq *q);
/* And put the first item into the socket, where it is not, and may be. */
void eventq_push(struct eventq *q);

/*
 * A caught read in three steps. begin() takes both locks; then, per item, first() and
 * take() or leave it, with `lock` dropped for the copy by copy(); end() lets go.
 */
void eventq_read_begin(struct eventq *q, int fd);
struct eventq_item *eventq_first(struct eventq *q);
int eventq_copy(struct eventq *q, struct client *c, uint64_t va,
		struct eventq_item *item);
void eventq_read_end(struct eventq *q);

static inline struct eventq *eventq_of(struct vfile *f)
{
	return container_of(f, struct eventq, file);
}

/* vfile_ops.ready and .release of every queue. */
void eventq_ready(struct vfile *f);
void eventq_release(struct vfile *f);

#endif
