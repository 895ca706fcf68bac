/* SPDX-License-Identifier: MIT */
/*
 * See attr_file.h. A text is made anew by each read from its beginning, and what follows
 * is read from that, as sysfs does; `lock` guards it. Attributes' calls are made with
 * that lock held, so two reads by one open description take turns.
 */
#include "host/attr_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/port.h"
#include "host/call.h"
#include "host/view.h"
#include "host/view_attr.h"
#include "uapi/vfile.h"

struct attr_files {
	atomic_int live; /* opens that what they were at first does not do for */
};

struct attr_file {
	struct vfile f;
	struct attr_files *all;
	struct view_live *live;
	char *path;
	bool live_at_low; /* for writing, or of bytes */
	pthread_mutex_t lock;
	char text[VIEW_ATTR_BYTES];
	size_t length;
};

int attr_files_create(struct attr_files **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void attr_files_destroy(struct attr_files *a)
{
	free(a);
}

bool attr_file_in_use(const struct attr_files *a)
{
	return atomic_load(&a->live) > 0;
}

static struct attr_file *file_of(struct vfile *f)
{
	return container_of(f, struct attr_file, f);
}

/* ---- reading and writing ---------------------------------------------------------- */

/* With the lock held, and the attribute at work. */
static int make_text(struct attr_file *file)
{
	const struct view_attr *attr = file->live->attr;
	ssize_t n = attr->show(file->live->object, file->text, sizeof(file->text));

	file->length = n < 0 ? 0 : (size_t)n;
	return n < 0 ? (int)n : 0;
}

static ssize_t read_text(struct attr_file *file, uint64_t offset, void *dst, size_t n)
{
	int err = 0;

	pthread_mutex_lock(&file->lock);
	if (!offset)
		err = make_text(file);
	if (offset > file->length)
		offset = file->length;
	n = min_u64(n, file->length - offset);
	memcpy(dst, file->text + offset, n);
	pthread_mutex_unlock(&file->lock);
	return err ? err : (ssize_t)n;
}

static ssize_t read_at(struct attr_file *file, uint64_t offset, void *dst, size_t n)
{
	struct view_live *l = file->live;
	ssize_t done = view_live_begin(l);

	if (done)
		return done;
	if (l->attr->show)
		done = read_text(file, offset, dst, n);
	else
		done = l->attr->read ? l->attr->read(l->object, offset, dst, n) : -EIO;
	view_live_end(l);
	return done;
}

/* A text is written by each write as a whole, wherever the position is. */
static ssize_t write_at(struct attr_file *file, uint64_t offset, char *text, size_t n)
{
	struct view_live *l = file->live;
	ssize_t done = view_live_begin(l);

	if (done)
		return done;
	if (l->attr->store) {
		text[n] = '\0';
		done = n ? l->attr->store(l->object, text, n) : 0;
		done = done ? done : (ssize_t)n;
	} else {
		done = l->attr->write ? l->attr->write(l->object, offset, text, n) : -EIO;
	}
	view_live_end(l);
	return done;
}

static ssize_t read_to(struct attr_file *file, struct client *c, uint64_t va, size_t n,
		       uint64_t offset)
{
	char buf[VIEW_ATTR_BYTES];
	ssize_t done;
	int err;

	done = read_at(file, offset, buf, n < sizeof(buf) ? n : sizeof(buf));
	if (done <= 0)
		return done;
	err = client_copy_out(c, va, buf, (size_t)done);
	return err ? err : done;
}

static ssize_t write_from(struct attr_file *file, struct client *c, uint64_t va, size_t n,
			  uint64_t offset)
{
	char buf[VIEW_ATTR_BYTES + 1];
	int err;

	n = n < VIEW_ATTR_BYTES ? n : VIEW_ATTR_BYTES;
	err = client_copy_in(c, buf, va, n);
	return err ? err : write_at(file, offset, buf, n);
}

/* At the position, which moves. */
static ssize_t op_read(struct vfile *f, struct client *c, int fd, uint64_t va, size_t n)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t done = at < 0 ? -errno : read_to(file_of(f), c, va, n, (uint64_t)at);

	if (done > 0)
		lseek(fd, done, SEEK_CUR);
	return done;
}

ssize_t attr_file_write(struct vfile *f, int fd, char *text, size_t n)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t done = at < 0 ? -errno : write_at(file_of(f), (uint64_t)at, text, n);

	if (done > 0)
		lseek(fd, done, SEEK_CUR);
	return done;
}

ssize_t attr_file_transfer(struct call *c, struct vfile *f, bool write)
{
	uint64_t va = c->args[1], offset = c->args[3];
	size_t n = (size_t)c->args[2];

	if ((int64_t)offset < 0)
		return -EINVAL;
	return write ? write_from(file_of(f), &c->client, va, n, offset)
		     : read_to(file_of(f), &c->client, va, n, offset);
}

/* ---- the file --------------------------------------------------------------------- */

int attr_file_map(struct vfile *f, int fd, uint64_t offset, uint64_t length, uint64_t *at)
{
	struct view_live *l = file_of(f)->live;
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0)
		return -errno;
	r = view_live_begin(l);
	if (r)
		return r;
	r = l->attr->map ? l->attr->map(l->object, offset, length, flags, at) : -ENODEV;
	view_live_end(l);
	return r;
}

static void destroy(struct attr_file *file)
{
	view_live_put(file->live);
	pthread_mutex_destroy(&file->lock);
	if (file->f.storage_fd >= 0)
		close(file->f.storage_fd);
	free(file->path);
	free(file);
}

static void op_release(struct vfile *f)
{
	struct attr_file *file = file_of(f);

	if (file->live_at_low)
		atomic_fetch_sub(&file->all->live, 1);
	destroy(file);
}

static const struct vfile_ops attr_ops = {
	.name = "attribute",
	.read = op_read,
	.release = op_release,
};

/* What the attribute is now, as far as it can be read; a failure shows when it is. */
static int fill(struct attr_file *file, int fd, bool readable)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	char buf[VIEW_ATTR_BYTES];
	ssize_t n = readable ? read_at(file, 0, buf, sizeof(buf)) : 0;

	if (n > 0 && pwrite(fd, buf, (size_t)n, 0) != n)
		return -EIO;
	return fcntl(fd, F_ADD_SEALS, seals) ? -errno : 0;
}

static int make(struct attr_file *file, const struct view_node *n, int flags)
{
	int access = flags & O_ACCMODE;
	int fd = memfd_create("attribute", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	file->f.storage_fd = fd;
	file->live_at_low = access != O_RDONLY || n->live->attr->read;
	file->path = strdup(n->path);
	return file->path ? fill(file, fd, access != O_WRONLY) : -ENOMEM;
}

int attr_file_open(struct attr_files *a, const struct view_node *n, int flags,
		   struct vfile **out)
{
	struct attr_file *file = calloc(1, sizeof(*file));
	int err;

	if (!file)
		return -ENOMEM;
	vfile_init(&file->f, &attr_ops, -1, 0);
	pthread_mutex_init(&file->lock, NULL);
	file->all = a;
	file->live = n->live;
	view_live_get(n->live);
	err = make(file, n, flags);
	if (err) {
		destroy(file);
		return err;
	}
	if (file->live_at_low)
		atomic_fetch_add(&a->live, 1);
	*out = &file->f;
	return 0;
}

static int dump_to(struct view_live *l, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), err;
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");

	if (!out) {
		err = -errno;
		if (copy >= 0)
			close(copy);
		return err;
	}
	err = l->attr->dump(l->object, out);
	if (fclose(out) && !err)
		err = -errno;
	return err;
}

/* A new description of it, for reading from the beginning. */
static int reopen_to_read(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int attr_file_dump(const struct view_node *n)
{
	int err = view_live_begin(n->live), fd;

	if (err)
		return err;
	fd = memfd_create("attribute", MFD_CLOEXEC);
	err = fd < 0 ? -errno : dump_to(n->live, fd);
	view_live_end(n->live);
	if (!err)
		err = reopen_to_read(fd);
	if (fd >= 0)
		close(fd);
	return err;
}

const char *attr_file_path(const struct vfile *f)
{
	const struct attr_file *file;

	if (f->ops != &attr_ops)
		return NULL;
	file = container_of(f, const struct attr_file, f);
	return file->path;
}
