/* SPDX-License-Identifier: MIT */
/* See space.h. Has no state but two descriptors, so it needs no lock. */
#include "host/space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/port.h"
#include "machine/memory.h"
#include "machine/vma.h"
#include "uapi/vfile.h"

struct space {
	struct memory_space base;
	pid_t tgid;
	int mem, maps;
};

static int space_read(struct memory_space *s, uint64_t va, void *dst, size_t n)
{
	struct space *space = container_of(s, struct space, base);

	for (size_t done = 0; done < n;) {
		ssize_t got = pread(space->mem, (char *)dst + done, n - done,
				    (off_t)(va + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EFAULT;
		done += (size_t)got;
	}
	return 0;
}

static int space_write(struct memory_space *s, uint64_t va, const void *src, size_t n)
{
	struct space *space = container_of(s, struct space, base);

	for (size_t done = 0; done < n;) {
		ssize_t put = pwrite(space->mem, (const char *)src + done, n - done,
				     (off_t)(va + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return -EFAULT;
		done += (size_t)put;
	}
	return 0;
}

/* Our descriptor of the memory file behind @v; -1: reach it through the process. */
static int memory_file(const struct space *space, const struct vma *v)
{
	int fd = vma_open_file(space->tgid, v);
	struct statfs fs;

	if (fd < 0)
		return -1;
	if (!fstatfs(fd, &fs) &&
	    (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC))
		return fd;
	close(fd);
	return -1;
}

static int space_vma(struct memory_space *s, uint64_t va, struct memory_vma *out)
{
	struct space *space = container_of(s, struct space, base);
	struct vma v;
	int err = vma_query(space->maps, va, &v);

	if (err)
		return err;
	*out = (struct memory_vma){
		.last = v.last,
		.readable = v.readable,
		.writable = v.writable,
		.fd = -1,
	};
	if (!v.shared || !v.ino)
		return 0;
	out->file_offset = v.file_offset + (va - v.start);
	/* Only our placeholders are large enough to have such offsets. */
	out->device = out->file_offset & VFILE_MARK;
	out->dev = v.dev;
	out->ino = v.ino;
	if (!out->device)
		out->fd = memory_file(space, &v);
	return 0;
}

static void space_put(struct memory_space *s)
{
	struct space *space = container_of(s, struct space, base);

	close(space->mem);
	close(space->maps);
	free(space);
}

static const struct memory_space_ops space_ops = {
	.read = space_read,
	.write = space_write,
	.vma = space_vma,
	.put = space_put,
};

static int open_proc(pid_t tid, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ESRCH : -errno;
}

int space_create(pid_t tgid, pid_t tid, struct memory_space **out)
{
	struct space *space = calloc(1, sizeof(*space));
	int err;

	if (!space)
		return -ENOMEM;
	space->mem = open_proc(tid, "mem", O_RDWR);
	if (space->mem < 0) {
		err = space->mem;
		goto fail;
	}
	space->maps = open_proc(tid, "maps", O_RDONLY);
	if (space->maps < 0) {
		err = space->maps;
		close(space->mem);
		goto fail;
	}
	space->base.ops = &space_ops;
	space->base.refs = 1;
	space->tgid = tgid;
	*out = &space->base;
	return 0;

fail:
	free(space);
	return err;
}
