/* SPDX-License-Identifier: MIT */
/*
 * An exporter of plain memory: one run that a test can revoke and restore.
 *
 * The buffer's memory is a window of the SPA space of its own. Revoke and restore of one
 * buffer are serialised by its lock, as core/dmabuf asks of exporters.
 */
#include <errno.h>
#include <fcntl.h>

#include "selftest/mock.h"

#define MAX_BYTES (512 * PORT_PAGE_SIZE)

struct mock_buffer {
	struct phys *phys;
	struct phys_window window;
	void *memory; /* the window's, with room to align it */
	struct port_mutex lock;
};

struct mock_buffer_file {
	struct vfile f;
	struct dmabuf *buf;
};

static void buffer_free(struct mock_buffer *b)
{
	port_mutex_finish(&b->lock);
	port_free(b->memory);
	port_free(b);
}

static int map_phys(struct dmabuf *buf, struct run_list *runs)
{
	const struct mock_buffer *b = buf->priv;
	struct run run = {.spa = b->window.base, .length = b->window.length};

	return run_list_add(runs, run, false);
}

static void release(struct dmabuf *buf)
{
	struct mock_buffer *b = buf->priv;

	phys_remove(b->phys, &b->window);
	buffer_free(b);
}

static const struct dmabuf_exporter_ops exporter = {
	.name = "selftest",
	.interconnects = 1u << DMABUF_IC_PHYS,
	.contracts = 1u << DMABUF_REVOCABLE | 1u << DMABUF_MOVABLE,
	.map_phys = map_phys,
	.release = release,
};

static int buffer_create(struct machine *m, uint64_t bytes, struct dmabuf **out)
{
	struct mock_buffer *b = port_alloc(sizeof(*b));
	int err = -ENOMEM;

	if (!b)
		return -ENOMEM;
	port_mutex_init(&b->lock);
	b->phys = m->phys;
	b->window.length = bytes;
	b->window.kind = PHYS_RAM;
	b->memory = port_alloc(bytes + PORT_PAGE_SIZE - 1);
	if (!b->memory)
		goto fail;
	b->window.host = (void *)(((uintptr_t)b->memory + PORT_PAGE_SIZE - 1) &
				  ~(uintptr_t)(PORT_PAGE_SIZE - 1));
	err = phys_add(m->phys, &b->window);
	if (err)
		goto fail;
	err = dmabuf_create(&exporter, b, bytes, false, out);
	if (!err)
		return 0;
	phys_remove(m->phys, &b->window);
fail:
	buffer_free(b);
	return err;
}

/* ---- its file ------------------------------------------------------------------------
 */

static struct dmabuf *file_dmabuf(struct vfile *f)
{
	struct dmabuf *buf = container_of(f, struct mock_buffer_file, f)->buf;

	dmabuf_get(buf);
	return buf;
}

static void file_release(struct vfile *f)
{
	struct mock_buffer_file *file = container_of(f, struct mock_buffer_file, f);

	dmabuf_put(file->buf);
	port_free(file);
}

static const struct vfile_ops file_ops = {
	.name = "dmabuf",
	.dmabuf = file_dmabuf,
	.release = file_release,
};

static int file_create(struct dmabuf *buf, struct vfile **out)
{
	struct mock_buffer_file *file = port_alloc(sizeof(*file));

	if (!file) {
		dmabuf_put(buf);
		return -ENOMEM;
	}
	vfile_init(&file->f, &file_ops, -1, buf->size);
	file->buf = buf;
	*out = &file->f;
	return 0;
}

/* ---- the operations -------------------------------------------------------------------
 */

/* Answers the descriptor, as the selftest means it. Linux 7.3 answers 0. */
long mock_dmabuf_get(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	uint64_t bytes = ((uint64_t)cmd->dmabuf_get.length + PORT_PAGE_SIZE - 1) &
			 ~(PORT_PAGE_SIZE - 1);
	struct client *c = call->client;
	struct dmabuf *buf;
	struct vfile *f;
	int err;

	if (!bytes || bytes > MAX_BYTES)
		return -EINVAL;
	err = buffer_create(c->machine, bytes, &buf);
	if (!err)
		err = file_create(buf, &f);
	if (err)
		return err;
	err = c->ops->install(
		c, f, (int)(cmd->dmabuf_get.open_flags & (O_CLOEXEC | O_ACCMODE)));
	vfile_put(f);
	return err;
}

static void set_revoked(struct dmabuf *buf, bool revoked)
{
	struct mock_buffer *b = buf->priv;

	port_mutex_lock(&b->lock);
	/* Linux tells importers of the change either way. */
	dmabuf_revoke(buf);
	if (!revoked)
		dmabuf_restore(buf);
	port_mutex_unlock(&b->lock);
}

long mock_dmabuf_revoke(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	struct dmabuf *buf;
	struct vfile *f;
	int err = client_get_vfile(call->client, cmd->dmabuf_revoke.dmabuf_fd, &f);

	if (err)
		return err;
	buf = f && f->ops->dmabuf ? f->ops->dmabuf(f) : NULL;
	if (!buf)
		err = -EINVAL;
	else if (buf->ops != &exporter)
		err = -EOPNOTSUPP;
	else
		set_revoked(buf, cmd->dmabuf_revoke.revoked);
	dmabuf_put(buf);
	vfile_put(f);
	return err;
}
