/* SPDX-License-Identifier: MIT */
/*
 * See local_client.h. Bad pointers answer -EFAULT instead of crashing the program:
 * copies go through the port's guarded copy, as DMA does.
 *
 * The memory space lives inside the client; sources keep it referenced, and
 * local_client_destroy() is called when none is left.
 */
#include "machine/local_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/port.h"
#include "machine/files.h"
#include "machine/machine.h"
#include "machine/memory.h"
#include "machine/vma.h"
#include "port/fault_inject.h"

struct local_client {
	struct client base;
	struct memory_space space;
	int maps_fd; /* /proc/self/maps */
};

static void *pointer(uint64_t va)
{
	return (void *)(uintptr_t)va;
}

static int local_copy_in(struct client *c, void *dst, uint64_t va, size_t n)
{
	if (port_fail_now(PORT_FAIL_COPY))
		return -EFAULT;
	return n ? port_copy_guarded(dst, pointer(va), n) : 0;
}

static int local_copy_out(struct client *c, uint64_t va, const void *src, size_t n)
{
	if (port_fail_now(PORT_FAIL_COPY))
		return -EFAULT;
	return n ? port_copy_guarded(pointer(va), src, n) : 0;
}

static int local_get_fd(struct client *c, int fd)
{
	int ours;

	if (port_fail_now(PORT_FAIL_FD))
		return -EMFILE;
	ours = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return ours < 0 ? -errno : ours;
}

static int local_install(struct client *c, struct vfile *f, int open_flags)
{
	int fd = files_open(c->machine->files, f, open_flags);

	if (fd >= 0 && !(open_flags & O_CLOEXEC))
		fcntl(fd, F_SETFD, 0);
	return fd;
}

static int local_user_memory(struct client *c, uint64_t va, uint64_t length,
			     struct mem_source **out)
{
	struct local_client *l = container_of(c, struct local_client, base);

	return memory_user_source(c->machine->memory, &l->space, va, out);
}

static int local_vma(struct client *c, uint64_t va, struct client_vma *out)
{
	struct local_client *l = container_of(c, struct local_client, base);

	return memory_space_vma(c->machine, &l->space, va, out);
}

static bool local_privileged(struct client *c)
{
	return geteuid() == 0;
}

static void local_must_not_fail(struct client *c, bool begins)
{
	port_fail_exempt(begins ? PORT_FAIL_COPY : 0);
}

static bool local_owner(struct client *c, struct client_owner *out)
{
	*out = (struct client_owner){
		.pid = getpid(),
		.uid = getuid(),
		.may_lock = client_may_lock(0),
	};
	return true;
}

static const struct client_ops local_ops = {
	.copy_in = local_copy_in,
	.copy_out = local_copy_out,
	.get_fd = local_get_fd,
	.install = local_install,
	.user_memory = local_user_memory,
	.vma = local_vma,
	.privileged = local_privileged,
	.must_not_fail = local_must_not_fail,
	.owner = local_owner,
};

static int local_space_read(struct memory_space *s, uint64_t va, void *dst, size_t n)
{
	return port_copy_guarded(dst, pointer(va), n);
}

static int local_space_write(struct memory_space *s, uint64_t va, const void *src,
			     size_t n)
{
	return port_copy_guarded(pointer(va), src, n);
}

/* A shared mapping of a memory file: find the file, and refuse our own BARs. */
static void local_space_file(struct local_client *l, const struct vma *v, uint64_t va,
			     struct memory_vma *out)
{
	struct vfile *f;

	out->file_offset = v->file_offset + (va - v->start);
	out->dev = v->dev;
	out->ino = v->ino;
	/* Only our placeholders are large enough to have such offsets. */
	out->device = out->file_offset & VFILE_MARK;
	if (out->device)
		return;
	out->fd = vma_open_file(getpid(), v);
	if (out->fd < 0)
		return;
	f = files_lookup(l->base.machine->files, out->fd);
	if (f) {
		vfile_put(f);
		out->device = true;
	}
}

static int local_space_vma(struct memory_space *s, uint64_t va, struct memory_vma *out)
{
	struct local_client *l = container_of(s, struct local_client, space);
	struct vma v;
	int err = vma_query(l->maps_fd, va, &v);

	if (err)
		return err;
	*out = (struct memory_vma){
		.last = v.last, .readable = v.readable, .writable = v.writable, .fd = -1};
	if (v.shared && v.ino)
		local_space_file(l, &v, va, out);
	return 0;
}

static void local_space_put(struct memory_space *s)
{
	struct local_client *l = container_of(s, struct local_client, space);

	close(l->maps_fd);
	free(l);
}

static const struct memory_space_ops local_space_ops = {
	.read = local_space_read,
	.write = local_space_write,
	.vma = local_space_vma,
	.put = local_space_put,
};

int local_client_create(struct machine *m, struct client **out)
{
	struct local_client *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (l->maps_fd < 0) {
		int err = -errno;

		free(l);
		return err;
	}
	l->base.ops = &local_ops;
	l->base.machine = m;
	l->base.trace = m->trace;
	l->base.pid = getpid();
	l->space.ops = &local_space_ops;
	l->space.refs = 1;
	l->space.own = true;
	*out = &l->base;
	return 0;
}

void local_client_destroy(struct client *c)
{
	if (c)
		memory_space_put(&container_of(c, struct local_client, base)->space);
}

int local_client_maps(const struct client *c)
{
	return container_of(c, const struct local_client, base)->maps_fd;
}
