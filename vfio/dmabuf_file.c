/* SPDX-License-Identifier: MIT */
/*
 * A dma-buf as a client holds it: a virtual file with a reference to the buffer.
 *
 * What Linux does with reads, seeks and mmaps of such a file falls to the placeholder
 * (machine/files.c); here are its own ioctls. Nothing depends on whether the buffer is
 * revoked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vfio/device.h"

/* linux/dma-buf.h */
struct dma_buf_sync {
	uint64_t flags;
};
#define DMA_BUF_SYNC_RW    (1u | 2u)
#define DMA_BUF_SYNC_END   4u
#define DMA_BUF_SYNC_VALID (DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END)
#define DMA_BUF_NAME_LEN   32
#define DMA_BUF_IOCTL_SYNC _IOW('b', 0, struct dma_buf_sync)
/* Two numbers for one call: its size was once 4, once 8. */
#define DMA_BUF_SET_NAME_A _IOW('b', 1, uint32_t)
#define DMA_BUF_SET_NAME_B _IOW('b', 1, uint64_t)

struct dmabuf_file {
	struct vfile f;
	struct dmabuf *buf;
	struct port_mutex lock;      /* a leaf */
	char name[DMA_BUF_NAME_LEN]; /* lock: as the client calls it; at first "" */
};

/* Its memory is the device's and coherent with the CPU: there is nothing to do. */
static long sync_ioctl(struct client *c, uint64_t arg)
{
	struct dma_buf_sync sync;
	int err = client_copy_in(c, &sync, arg, sizeof(sync));

	if (err)
		return err;
	if (sync.flags & ~(uint64_t)DMA_BUF_SYNC_VALID || !(sync.flags & DMA_BUF_SYNC_RW))
		return -EINVAL;
	return 0;
}

/* -EINVAL: too long. */
static int copy_name(struct client *c, uint64_t va, char name[DMA_BUF_NAME_LEN])
{
	for (unsigned i = 0; i < DMA_BUF_NAME_LEN; i++) {
		int err = client_copy_in(c, &name[i], va + i, 1);

		if (err)
			return err;
		if (!name[i])
			return 0;
	}
	return -EINVAL;
}

static long set_name_ioctl(struct dmabuf_file *file, struct client *c, uint64_t arg)
{
	char name[DMA_BUF_NAME_LEN];
	int err = copy_name(c, arg, name);

	if (err)
		return err;
	port_mutex_lock(&file->lock);
	strcpy(file->name, name);
	port_mutex_unlock(&file->lock);
	return 0;
}

static void dmabuf_file_link_text(struct vfile *f, char *buf, size_t cap)
{
	struct dmabuf_file *file = container_of(f, struct dmabuf_file, f);

	port_mutex_lock(&file->lock);
	snprintf(buf, cap, "/%s:%s", f->ops->name, file->name);
	port_mutex_unlock(&file->lock);
}

static long dmabuf_file_ioctl(struct vfile *f, struct client *c, uint32_t cmd,
			      uint64_t arg)
{
	switch (cmd) {
	case DMA_BUF_IOCTL_SYNC:
		return sync_ioctl(c, arg);
	case DMA_BUF_SET_NAME_A:
	case DMA_BUF_SET_NAME_B:
		return set_name_ioctl(container_of(f, struct dmabuf_file, f), c, arg);
	default:
		return -ENOTTY;
	}
}

static struct dmabuf *dmabuf_file_dmabuf(struct vfile *f)
{
	struct dmabuf *buf = container_of(f, struct dmabuf_file, f)->buf;

	dmabuf_get(buf);
	return buf;
}

static void dmabuf_file_release(struct vfile *f)
{
	struct dmabuf_file *file = container_of(f, struct dmabuf_file, f);

	dmabuf_put(file->buf);
	port_mutex_finish(&file->lock);
	port_free(file);
}

static const struct vfile_ops dmabuf_file_ops = {
	.name = "dmabuf",
	.ioctl = dmabuf_file_ioctl,
	.dmabuf = dmabuf_file_dmabuf,
	.link_text = dmabuf_file_link_text,
	.release = dmabuf_file_release,
};

int dmabuf_file_create(struct dmabuf *buf, struct vfile **out)
{
	struct dmabuf_file *file = port_alloc(sizeof(*file));

	if (!file) {
		dmabuf_put(buf);
		return -ENOMEM;
	}
	vfile_init(&file->f, &dmabuf_file_ops, -1, buf->size);
	file->buf = buf;
	port_mutex_init(&file->lock);
	*out = &file->f;
	return 0;
}

struct dmabuf *vfio_dmabuf_of(struct vfile *f)
{
	return f->ops == &dmabuf_file_ops ? dmabuf_file_dmabuf(f) : NULL;
}
