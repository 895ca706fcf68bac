/* SPDX-License-Identifier: MIT */
/* See call.h. Also the table of notified system calls, from which filter.c is made. */
#include "host/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/port.h"
#include "host/host.h"
#include "host/process.h"
#include "machine/files.h"
#include "machine/machine.h"
#include "machine/memory.h"
#include "port/fault_inject.h"

/* clang-format off */
const struct call_entry call_table[] = {
	{SYS_ioctl, CALL_IOCTL_TYPE, 1, serve_ioctl},
	{SYS_mmap, CALL_MARKED_OFFSET, 5, serve_mmap, ALSO_QUEUE_FD, 4},
	{SYS_read, CALL_QUEUE_FD, 0, serve_read, ALSO_STDIN | ALSO_ANY},
	{SYS_write, CALL_QUEUE_FD, 0, serve_write, ALSO_STDOUT | ALSO_LOW_FD | ALSO_ANY},
	{SYS_readv, CALL_QUEUE_FD, 0, serve_readv},
	{SYS_writev, CALL_QUEUE_FD, 0, serve_writev, ALSO_STDOUT},
	{SYS_pread64, CALL_MARKED_OFFSET, 3, serve_pread, ALSO_QUEUE_FD | ALSO_ANY, 0},
	{SYS_pwrite64, CALL_MARKED_OFFSET, 3, serve_pwrite, ALSO_QUEUE_FD | ALSO_ANY, 0},
	{SYS_preadv, CALL_MARKED_OFFSET, 3, serve_preadv},
	{SYS_pwritev, CALL_MARKED_OFFSET, 3, serve_pwritev},
	{SYS_preadv2, CALL_MARKED_OFFSET, 3, serve_preadv},
	{SYS_pwritev2, CALL_MARKED_OFFSET, 3, serve_pwritev},
	{SYS_ftruncate, CALL_ALWAYS, 0, serve_ftruncate},
	{SYS_fallocate, CALL_ALWAYS, 0, serve_fallocate},
	{SYS_dup, CALL_QUEUE_FD, 0, serve_dup},
	{SYS_fcntl, CALL_QUEUE_FD, 0, serve_fcntl, ALSO_GETFL},
	{SYS_execve, CALL_ALWAYS, 0, serve_exec},
	{SYS_execveat, CALL_ALWAYS, 0, serve_exec},
#ifdef SYS_open /* what newer architectures have only the *at() form of */
	{SYS_open, CALL_ALWAYS, 0, serve_open},
	{SYS_creat, CALL_ALWAYS, 0, serve_creat},
	{SYS_stat, CALL_ALWAYS, 0, serve_stat},
	{SYS_lstat, CALL_ALWAYS, 0, serve_lstat},
	{SYS_access, CALL_ALWAYS, 0, serve_access},
	{SYS_readlink, CALL_ALWAYS, 0, serve_readlink},
#endif
	{SYS_openat, CALL_ALWAYS, 0, serve_openat},
	{SYS_openat2, CALL_ALWAYS, 0, serve_openat2},
	{SYS_fstat, CALL_ALWAYS, 0, serve_fstat},
	{SYS_newfstatat, CALL_ALWAYS, 0, serve_newfstatat},
	{SYS_statx, CALL_ALWAYS, 0, serve_statx},
	{SYS_faccessat, CALL_ALWAYS, 0, serve_faccessat},
	{SYS_faccessat2, CALL_ALWAYS, 0, serve_faccessat},
	{SYS_readlinkat, CALL_ALWAYS, 0, serve_readlinkat},
	{SYS_chdir, CALL_ALWAYS, 0, serve_chdir},
	{SYS_getcwd, CALL_ALWAYS, 0, serve_getcwd},
	{SYS_getxattr, CALL_ALWAYS, 0, serve_xattr},
	{SYS_lgetxattr, CALL_ALWAYS, 0, serve_xattr},
	{SYS_listxattr, CALL_ALWAYS, 0, serve_xattr},
	{SYS_llistxattr, CALL_ALWAYS, 0, serve_xattr},
};
/* clang-format on */
const size_t call_table_entries = ARRAY_LEN(call_table);

bool call_alive(const struct call *c)
{
	return !ioctl(c->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &c->id);
}

/* ---- memory ------------------------------------------------------------------- */

enum direction {
	FROM_CLIENT,
	TO_CLIENT,
};

/* Where process_vm_readv() is not to be had (old containers), /proc does the same. */
static ssize_t copy_by_proc(pid_t tid, void *ours, uint64_t va, size_t n,
			    enum direction dir)
{
	char path[32];
	ssize_t done;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	done = dir == FROM_CLIENT ? pread(fd, ours, n, (off_t)va)
				  : pwrite(fd, ours, n, (off_t)va);
	err = errno;
	close(fd);
	errno = err;
	return done;
}

/* How many bytes were copied, from the front; 0: none could be. */
static size_t copy_some(struct call *c, void *ours, uint64_t va, size_t n,
			enum direction dir)
{
	struct iovec local = {ours, n};
	struct iovec remote = {(void *)(uintptr_t)va, n};
	ssize_t done = dir == FROM_CLIENT
			       ? process_vm_readv(c->tid, &local, 1, &remote, 1, 0)
			       : process_vm_writev(c->tid, &local, 1, &remote, 1, 0);

	if (done < 0 && (errno == ENOSYS || errno == EPERM))
		done = copy_by_proc(c->tid, ours, va, n, dir);
	return done < 0 ? 0 : (size_t)done;
}

/* Read [va, va + n) and what follows in its page; false: it does not fit. */
static bool read_ahead(struct call *c, uint64_t va, size_t n)
{
	size_t want = PORT_PAGE_SIZE - (va & (PORT_PAGE_SIZE - 1));

	want = want < CALL_AHEAD ? want : CALL_AHEAD;
	if (n > want)
		return false;
	c->ahead_bytes = 0;
	if (copy_some(c, c->ahead, va, want, FROM_CLIENT) != want || !call_alive(c))
		return false;
	c->ahead_va = va;
	c->ahead_bytes = want;
	return true;
}

static bool was_read(const struct call *c, uint64_t va, size_t n)
{
	return va >= c->ahead_va && va - c->ahead_va <= c->ahead_bytes &&
	       n <= c->ahead_bytes - (va - c->ahead_va);
}

int call_copy_in(struct call *c, void *dst, uint64_t va, size_t n)
{
	if (!n)
		return 0;
	if (was_read(c, va, n) || read_ahead(c, va, n)) {
		memcpy(dst, c->ahead + (va - c->ahead_va), n);
		return 0;
	}
	if (copy_some(c, dst, va, n, FROM_CLIENT) != n || !call_alive(c))
		return -EFAULT;
	return 0;
}

int call_copy_out(struct call *c, uint64_t va, const void *src, size_t n)
{
	if (!n)
		return 0;
	c->ahead_bytes = 0;
	if (!call_alive(c) || copy_some(c, (void *)(uintptr_t)src, va, n, TO_CLIENT) != n)
		return -EFAULT;
	return 0;
}

int call_copy_path(struct call *c, uint64_t va, char *path, size_t cap)
{
	size_t have = 0;

	/* Page by page: the string may end just before memory that cannot be read. */
	while (have < cap) {
		size_t want = PORT_PAGE_SIZE - ((va + have) & (PORT_PAGE_SIZE - 1));
		size_t got;

		want = want < cap - have ? want : cap - have;
		got = copy_some(c, path + have, va + have, want, FROM_CLIENT);
		if (!got)
			return -EFAULT;
		if (memchr(path + have, '\0', got))
			return call_alive(c) ? 0 : -EFAULT;
		have += got;
	}
	return -ENAMETOOLONG;
}

/* ---- descriptors -------------------------------------------------------------- */

int call_process(struct call *c, struct process **out)
{
	int err = 0;

	if (!c->process)
		err = process_of_call(c->host->processes, c, &c->process);
	*out = c->process;
	return err;
}

static int get_fd_of_process(struct call *c, int fd)
{
	struct process *p;
	int err = call_process(c, &p);

	return err ? err : process_get_fd(p, fd);
}

int call_get_fd(struct call *c, int fd)
{
	int ours;

	if (fd < 0)
		return -EBADF;
	ours = get_fd_of_process(c, fd);
	if (ours == -ESRCH) {
		/* Who we remembered under this number is dead; the caller is another. */
		process_put(c->process);
		c->process = NULL;
		ours = get_fd_of_process(c, fd);
	}
	/* The first thread, by which the process is known, may have ended. */
	if ((ours == -EBADF || ours == -ESRCH) && c->process &&
	    process_id(c->process) != c->tid)
		ours = process_get_thread_fd(c->tid, fd);
	if (ours == -EPERM && process_warn_once(c->host->processes))
		complain("process %d does not let itself be looked into (see uiommufd "
			 "doctor): its calls go to the kernel",
			 (int)c->tid);
	return ours;
}

struct vfile *call_get_vfile(struct call *c, int fd, int *ours)
{
	struct files *files = c->host->machine->files;
	struct vfile *f;
	int dup;

	if (!files_count(files))
		return NULL;
	dup = call_get_fd(c, fd);
	if (dup < 0)
		return NULL;
	f = files_lookup(files, dup);
	if (f && ours)
		*ours = dup;
	else
		close(dup);
	return f;
}

long call_install(struct call *c, int fd, bool cloexec)
{
	struct seccomp_notif_addfd add = {
		.id = c->id,
		.srcfd = (__u32)fd,
		.newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	int n = ioctl(c->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	int err = -errno;

	close(fd);
	return n < 0 ? err : n;
}

/* Another thread of the client may take the number just now, but numbers are given out
 * from the lowest. */
static int free_queue_fd(const struct call *c, int from)
{
	char path[48];

	for (int fd = from; fd < QUEUE_FD_FIRST + QUEUE_FDS; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)c->tid, fd);
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) &&
		    errno == ENOENT)
			return fd;
	}
	return -EMFILE;
}

/* -errno: there is no such number for the client. */
static int install_queue_from(struct call *c, int fd, int from, bool cloexec)
{
	struct seccomp_notif_addfd add = {
		.id = c->id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (__u32)fd,
		.newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	int n = free_queue_fd(c, from);

	if (n < 0)
		return n;
	add.newfd = (__u32)n;
	/* It may be beyond the client's limit. */
	n = ioctl(c->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	return n < 0 ? -errno : n;
}

long call_install_queue(struct call *c, int fd, bool cloexec)
{
	int n = install_queue_from(c, fd, QUEUE_FD_FIRST, cloexec);

	if (n < 0)
		return call_install(c, fd, cloexec);
	close(fd);
	return n;
}

long call_duplicate(struct call *c, int fd, uint64_t min, bool cloexec)
{
	int from = min > QUEUE_FD_FIRST ? (int)min_u64(min, INT_MAX) : QUEUE_FD_FIRST;
	int n = install_queue_from(c, fd, from, cloexec);

	return n < 0 ? CALL_PROCEED : n;
}

/* ---- the client's face to the rest -------------------------------------------- */

static struct call *call_of(struct client *client)
{
	return container_of(client, struct call, client);
}

static int client_op_copy_in(struct client *client, void *dst, uint64_t va, size_t n)
{
	if (port_fail_now(PORT_FAIL_COPY))
		return -EFAULT;
	return call_copy_in(call_of(client), dst, va, n);
}

static int client_op_copy_out(struct client *client, uint64_t va, const void *src,
			      size_t n)
{
	if (port_fail_now(PORT_FAIL_COPY))
		return -EFAULT;
	return call_copy_out(call_of(client), va, src, n);
}

static int client_op_get_fd(struct client *client, int fd)
{
	int ours;

	if (port_fail_now(PORT_FAIL_FD))
		return -EMFILE;
	ours = call_get_fd(call_of(client), fd);
	/* A caller that is gone has no descriptors; nobody sees this answer. */
	return ours == -ESRCH ? -EBADF : ours;
}

static int client_op_install(struct client *client, struct vfile *f, int open_flags)
{
	int fd = files_open(client->machine->files, f, open_flags);

	if (fd < 0)
		return fd;
	if (f->ops->read)
		return (int)call_install_queue(call_of(client), fd,
					       open_flags & O_CLOEXEC);
	return (int)call_install(call_of(client), fd, open_flags & O_CLOEXEC);
}

static int client_op_user_memory(struct client *client, uint64_t va, uint64_t length,
				 struct mem_source **out)
{
	struct call *c = call_of(client);
	struct memory_space *space;
	struct process *p;
	int err = call_process(c, &p);

	if (!err)
		err = process_space(p, c, &space);
	if (err)
		return err == -ENOMEM ? err : -EFAULT;
	err = memory_user_source(client->machine->memory, space, va, out);
	memory_space_put(space);
	return err;
}

static int client_op_vma(struct client *client, uint64_t va, struct client_vma *out)
{
	struct call *c = call_of(client);
	struct memory_space *space;
	struct process *p;
	int err = call_process(c, &p);

	if (!err)
		err = process_space(p, c, &space);
	if (err)
		return err == -ENOMEM ? err : -EFAULT;
	err = memory_space_vma(client->machine, space, va, out);
	memory_space_put(space);
	return err;
}

#define CAP_SYS_RESOURCE_BIT 24

static bool client_op_privileged(struct client *client)
{
	unsigned long long effective = 0;
	char path[32], line[128];
	FILE *f;

	if (client->machine->privileged)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)call_of(client)->tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	fclose(f);
	return effective >> CAP_SYS_RESOURCE_BIT & 1;
}

/* The real uid of a thread; that of its files in /proc, most often, tells it at once. */
static bool uid_of(pid_t tid, uint32_t *uid)
{
	char path[32], line[128];
	struct stat st;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d", (int)tid);
	if (stat(path, &st))
		return false;
	*uid = st.st_uid;
	if (st.st_uid == getuid())
		return true;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "Uid: %u", uid) == 1;
	fclose(f);
	return found;
}

static bool client_op_owner(struct client *client, struct client_owner *out)
{
	struct call *c = call_of(client);
	struct process *p;

	if (call_process(c, &p) || !uid_of(c->tid, &out->uid))
		return false;
	out->pid = process_id(p);
	out->id = process_serial(p);
	out->may_lock = client_may_lock(c->tid);
	return true;
}

static void client_op_must_not_fail(struct client *client, bool begins)
{
	port_fail_exempt(begins ? PORT_FAIL_COPY : 0);
}

static const struct client_ops call_client_ops = {
	.copy_in = client_op_copy_in,
	.copy_out = client_op_copy_out,
	.get_fd = client_op_get_fd,
	.install = client_op_install,
	.user_memory = client_op_user_memory,
	.vma = client_op_vma,
	.privileged = client_op_privileged,
	.owner = client_op_owner,
	.must_not_fail = client_op_must_not_fail,
};

void call_init(struct call *c, struct host *host, int listener,
	       const struct seccomp_notif *req)
{
	c->client.ops = &call_client_ops;
	c->client.machine = host->machine;
	c->client.trace = host->machine->trace;
	c->client.pid = (int)req->pid;
	c->host = host;
	c->listener = listener;
	c->id = req->id;
	c->tid = (pid_t)req->pid;
	c->nr = req->data.nr;
	c->args = req->data.args;
	c->process = NULL;
	c->dmabuf = false;
	c->ahead_va = 0;
	c->ahead_bytes = 0;
}

void call_finish(struct call *c)
{
	process_put(c->process);
	c->process = NULL;
}
