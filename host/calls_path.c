/* SPDX-License-Identifier: MIT */
/*
 * System calls that name a file. What leads to the machine's part of /dev and /sys is
 * answered here; everything else, and every argument we cannot read, is left to the
 * kernel, which then also gives the right error.
 *
 * Relative paths count from where /proc says the thread's working directory, or the
 * descriptor, is. A name of one of the client's own descriptors (/proc/self/fd/N) that
 * is a placeholder stands for the virtual file.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/attr_file.h"
#include "host/call.h"
#include "host/dmabuf_stat.h"
#include "host/fail_nth.h"
#include "host/host.h"
#include "host/inject.h"
#include "host/log.h"
#include "host/pci_bus.h"
#include "host/proc_status.h"
#include "host/process.h"
#include "host/view.h"
#include "host/view_attr.h"
#include "machine/files.h"
#include "machine/machine.h"

enum target_kind {
	TARGET_HOST,
	TARGET_NODE,
	TARGET_FD,    /* through /proc: the client's own descriptor @fd */
	TARGET_NTH,   /* the fail-nth file of thread @tid */
	TARGET_EMPTY, /* the empty path */
};

struct target {
	enum target_kind kind;
	int error; /* of the walk, which ends in our part: no node then */
	const struct view_node *node;
	int fd;
	pid_t tid;
	char path[PATH_MAX];
};

/* ---- where a path leads -------------------------------------------------------- */

/* The directory that relative paths count from, as a virtual or host path. */
static bool base_path(struct call *c, int dirfd, char *buf, size_t cap, const char **base)
{
	char link[64];
	ssize_t n;

	if (dirfd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/%d/cwd", (int)c->tid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)c->tid, dirfd);
	n = readlink(link, buf, cap - 1);
	if (n <= 0 || !call_alive(c))
		return false;
	buf[n] = '\0';
	*base = view_path_of(c->host->view, buf);
	if (!*base)
		*base = buf;
	return (*base)[0] == '/';
}

static bool is_own_id(struct call *c, long id)
{
	struct process *p;

	return id == c->tid || (!call_process(c, &p) && id == process_id(p));
}

/* "/proc/self/fd/3" and its like: which descriptor? -1: the path is something else. */
static int fd_of_path(struct call *c, const char *path)
{
	static const char *const fixed[] = {"/proc/self/fd/", "/proc/thread-self/fd/",
					    "/dev/fd/"};
	const char *digits = NULL;
	char *end;
	long n;

	if (strncmp(path, "/proc/", 6) && strncmp(path, "/dev/fd/", 8))
		return -1;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!strncmp(path, fixed[i], strlen(fixed[i])))
			digits = path + strlen(fixed[i]);
	if (!digits) {
		n = strtol(path + 6, &end, 10);
		if (n <= 0 || strncmp(end, "/fd/", 4) || !is_own_id(c, n))
			return -1;
		digits = end + 4;
	}
	if (*digits < '0' || *digits > '9')
		return -1;
	n = strtol(digits, &end, 10);
	return *end || n > INT_MAX ? -1 : (int)n;
}

static void look_up(struct call *c, const char *base, bool follow, struct target *t)
{
	int err = view_resolve(c->host->view, base, t->path, follow, &t->node);

	t->error = err < 0 ? err : 0;
	if (err <= 0) {
		t->kind = TARGET_NODE;
		return;
	}
	t->fd = fd_of_path(c, t->path);
	if (t->fd >= 0)
		t->kind = TARGET_FD;
	t->tid = fail_nth_of_path(c, base, t->path);
	if (t->tid)
		t->kind = TARGET_NTH;
}

/*
 * Where the client's path leads. The view stays as it is until target_end(): nothing in
 * between waits for the client, so its memory is not looked at.
 */
static void target_begin(struct call *c, int dirfd, uint64_t va, bool follow,
			 struct target *t)
{
	char buf[PATH_MAX + 64];
	const char *base = "/";
	bool known;

	t->kind = TARGET_HOST;
	t->error = 0;
	t->node = NULL;
	known = !call_copy_path(c, va, t->path, sizeof(t->path));
	if (known && (strstr(t->path, "msi_irqs") || strstr(t->path, "debug/iommu")))
		pci_live_refresh(c->host->pci);
	if (known && t->path[0] && t->path[0] != '/')
		known = base_path(c, dirfd, buf, sizeof(buf), &base);
	view_read_begin(c->host->view);
	if (known && t->path[0])
		look_up(c, base, follow, t);
	else if (known)
		t->kind = TARGET_EMPTY;
}

static void target_end(struct call *c)
{
	view_read_end(c->host->view);
}

/* What /proc says of the client's descriptor, if that is in the store: a virtual path. */
static const char *store_path(struct call *c, int fd, char *buf, size_t cap)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)c->tid, fd);
	n = readlink(link, buf, cap - 1);
	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	return view_path_of(c->host->view, buf);
}

static const struct view_node *node_of_store(struct call *c, int fd)
{
	char buf[PATH_MAX + 64];
	const char *path = store_path(c, fd, buf, sizeof(buf));
	const struct view_node *n;

	return path && !view_resolve(c->host->view, "/", path, false, &n) ? n : NULL;
}

/* ---- open ---------------------------------------------------------------------- */

static long install(struct call *c, int fd, int flags)
{
	return fd < 0 ? fd : call_install(c, fd, flags & O_CLOEXEC);
}

static int new_device_fd(struct call *c, const char *path, int flags)
{
	struct vfile *f;
	int fd = machine_open_node(c->host->machine, path, &f);

	if (fd)
		return fd;
	fd = files_open(c->host->machine->files, f, flags);
	vfile_put(f);
	return fd;
}

static long open_device(struct call *c, const char *path, int flags)
{
	struct fail_nth_count nth;
	int fd;

	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	nth = fail_nth_begin(c);
	fd = new_device_fd(c, path, flags);
	fail_nth_end(c, nth);
	return install(c, fd, flags);
}

static long open_nth(struct call *c, pid_t tid, int flags)
{
	struct vfile *f;
	int fd;

	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	fd = fail_nth_open(c->host->fail_nth, tid, &f);
	if (fd)
		return fd;
	fd = files_open(c->host->machine->files, f, flags);
	vfile_put(f);
	return install(c, fd, flags);
}

/* Its descriptor gets a number whose reads and writes are caught. */
static long open_attribute(struct call *c, const struct view_node *n, int flags)
{
	struct vfile *f;
	int fd;

	if (n->live->attr->dump)
		return install(c, attr_file_dump(n), flags);
	fd = attr_file_open(c->host->attr_files, n, flags, &f);
	if (fd)
		return fd;
	fd = files_open(c->host->machine->files, f, flags);
	vfile_put(f);
	return fd < 0 ? fd : call_install_queue(c, fd, flags & O_CLOEXEC);
}

static long open_node(struct call *c, const struct view_node *n, int flags)
{
	int err = view_may_open(n, flags);

	if (err)
		return err;
	if (!(flags & O_PATH) && (flags & O_CREAT)) {
		if (flags & O_EXCL)
			return -EEXIST;
		if (n->kind == VIEW_DIR)
			return -EISDIR;
	}
	if (n->kind == VIEW_DEVICE && !(flags & O_PATH))
		return open_device(c, n->path, flags);
	if (n->kind == VIEW_LINK)
		return -ELOOP;
	if (n->kind == VIEW_ATTR && !(flags & O_PATH))
		return flags & O_DIRECTORY ? -ENOTDIR : open_attribute(c, n, flags);
	/* sysfs files ignore truncation, and nothing is created in sysfs. */
	if ((flags & O_TMPFILE) == O_TMPFILE)
		return -EOPNOTSUPP;
	/* The kernel installs no O_PATH descriptor; one for reading does as well. */
	if (flags & O_PATH)
		flags &= O_CLOEXEC | O_DIRECTORY;
	flags &= ~(O_CREAT | O_EXCL | O_TRUNC);
	return install(c, view_open(c->host->view, n, flags), flags);
}

/* The node that the file is an open of: a device's or an attribute's; NULL: none. */
static const struct view_node *node_of_vfile(struct call *c, const struct vfile *f)
{
	const char *path = attr_file_path(f);
	const struct view_node *n;

	if (path)
		return view_resolve(c->host->view, "/", path, false, &n) ? NULL : n;
	return f->rdev ? view_device(c->host->view, f->rdev) : NULL;
}

/* A new open of the device behind one of the client's descriptors. */
static long reopen(struct call *c, int fd, int flags)
{
	struct vfile *f = call_get_vfile(c, fd, NULL);
	const struct view_node *n;

	if (f) {
		n = node_of_vfile(c, f);
		vfile_put(f);
		/* What is no node cannot be opened by name: a dma-buf. */
		return n ? open_node(c, n, flags) : -ENXIO;
	}
	n = node_of_store(c, fd);
	return n && n->kind == VIEW_DEVICE ? open_node(c, n, flags) : CALL_PROCEED;
}

/* The one kind of file outside our part of the tree that we have something to add to. */
static long open_status(struct call *c, const char *path, int flags)
{
	long fd = CALL_PROCEED;

	if ((flags & O_ACCMODE) == O_RDONLY && !(flags & (O_PATH | O_DIRECTORY)))
		fd = proc_status_open(c, path);
	return fd == CALL_PROCEED ? fd : install(c, (int)fd, flags);
}

static long do_open(struct call *c, int dirfd, uint64_t path, int flags)
{
	bool follow = !(flags & O_NOFOLLOW) &&
		      (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
	long r = CALL_PROCEED;
	struct target t;

	if (flags & O_DIRECTORY)
		pci_live_refresh(c->host->pci);
	target_begin(c, dirfd, path, follow, &t);
	if (t.error)
		r = t.error;
	else if (t.kind == TARGET_NODE)
		r = open_node(c, t.node, flags);
	else if (t.kind == TARGET_FD && follow)
		r = reopen(c, t.fd, flags);
	else if (t.kind == TARGET_NTH && !(flags & O_PATH))
		r = open_nth(c, t.tid, flags);
	target_end(c);
	if (t.kind == TARGET_HOST)
		r = open_status(c, t.path, flags);
	if (r != CALL_PROCEED)
		log_call(c, r, "open(\"%s\", %#x)", t.path, (unsigned)flags);
	return r;
}

long serve_open(struct call *c)
{
	return do_open(c, AT_FDCWD, c->args[0], (int)c->args[1]);
}

long serve_creat(struct call *c)
{
	return do_open(c, AT_FDCWD, c->args[0], O_CREAT | O_WRONLY | O_TRUNC);
}

long serve_openat(struct call *c)
{
	return do_open(c, (int)c->args[0], c->args[1], (int)c->args[2]);
}

long serve_openat2(struct call *c)
{
	struct open_how how;

	/* A later kernel's larger struct has nothing that matters here. */
	if (c->args[3] < sizeof(how) || call_copy_in(c, &how, c->args[2], sizeof(how)))
		return CALL_PROCEED;
	/* Confined lookups: in the store they are right; elsewhere none of ours. */
	if (how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return CALL_PROCEED;
	return do_open(c, (int)c->args[0], c->args[1], (int)how.flags);
}

/* ---- stat ---------------------------------------------------------------------- */

/* Stands for any fail-nth file. Its like in /proc has the same looks. */
static const struct view_node nth_node = {.kind = VIEW_FILE};
#define NTH_LIKE "/proc/self/comm"

static int stat_node(struct call *c, const struct view_node *n, struct stat *st)
{
	if (n == &nth_node)
		return stat(NTH_LIKE, st) ? -errno : 0;
	return view_stat(c->host->view, n, st);
}

static int statx_node(struct call *c, const struct view_node *n, unsigned mask,
		      struct statx *stx)
{
	if (n == &nth_node)
		return statx(AT_FDCWD, NTH_LIKE, 0, mask, stx) ? -errno : 0;
	return view_statx(c->host->view, n, mask, stx);
}

/* The node whose open the client's descriptor is, or NULL. */
static const struct view_node *node_of_fd(struct call *c, int fd)
{
	struct vfile *f = call_get_vfile(c, fd, NULL);
	const struct view_node *n;

	if (!f)
		return NULL;
	n = node_of_vfile(c, f);
	c->dmabuf = f->ops->dmabuf;
	vfile_put(f);
	return n;
}

/* The node that a stat-like call is about: 0, CALL_PROCEED or -errno. To be ended by
 * target_end() in any case. */
static long node_begin(struct call *c, int dirfd, uint64_t path, int at_flags,
		       const struct view_node **out)
{
	bool follow = !(at_flags & AT_SYMLINK_NOFOLLOW);
	struct target t = {.kind = TARGET_EMPTY};

	*out = NULL;
	if (!path && (at_flags & AT_EMPTY_PATH))
		view_read_begin(c->host->view);
	else
		target_begin(c, dirfd, path, follow, &t);
	if (t.error)
		return t.error;
	if (t.kind == TARGET_NODE)
		*out = t.node;
	else if (t.kind == TARGET_NTH)
		*out = &nth_node;
	else if (t.kind == TARGET_FD && follow)
		*out = node_of_fd(c, t.fd);
	else if (t.kind == TARGET_EMPTY && (at_flags & AT_EMPTY_PATH))
		*out = node_of_fd(c, dirfd);
	return *out ? 0 : CALL_PROCEED;
}

static long do_stat(struct call *c, int dirfd, uint64_t path, int at_flags, uint64_t out)
{
	const struct view_node *n;
	struct stat st;
	long r = node_begin(c, dirfd, path, at_flags, &n);

	if (!r)
		r = stat_node(c, n, &st);
	else if (r == CALL_PROCEED && c->dmabuf)
		r = dmabuf_stat(c, dirfd, &st);
	target_end(c);
	return r ? r : call_copy_out(c, out, &st, sizeof(st));
}

long serve_stat(struct call *c)
{
	return do_stat(c, AT_FDCWD, c->args[0], 0, c->args[1]);
}

long serve_lstat(struct call *c)
{
	return do_stat(c, AT_FDCWD, c->args[0], AT_SYMLINK_NOFOLLOW, c->args[1]);
}

long serve_fstat(struct call *c)
{
	return do_stat(c, (int)c->args[0], 0, AT_EMPTY_PATH, c->args[1]);
}

long serve_newfstatat(struct call *c)
{
	return do_stat(c, (int)c->args[0], c->args[1], (int)c->args[3], c->args[2]);
}

long serve_statx(struct call *c)
{
	const struct view_node *n;
	struct statx stx;
	long r = node_begin(c, (int)c->args[0], c->args[1], (int)c->args[2], &n);

	if (!r)
		r = statx_node(c, n, (unsigned)c->args[3], &stx);
	else if (r == CALL_PROCEED && c->dmabuf)
		r = dmabuf_statx(c, (int)c->args[0], (unsigned)c->args[3], &stx);
	target_end(c);
	return r ? r : call_copy_out(c, c->args[4], &stx, sizeof(stx));
}

/* ---- access, readlink, extended attributes ------------------------------------- */

static long do_access(struct call *c, int dirfd, uint64_t path, int mode, int at_flags)
{
	const struct view_node *n;
	long r = node_begin(c, dirfd, path, at_flags, &n);

	if (!r)
		r = view_access(c->host->view, n, mode);
	target_end(c);
	return r;
}

long serve_access(struct call *c)
{
	return do_access(c, AT_FDCWD, c->args[0], (int)c->args[1], 0);
}

long serve_faccessat(struct call *c)
{
	int at_flags = c->nr == SYS_faccessat2 ? (int)c->args[3] : 0;

	return do_access(c, (int)c->args[0], c->args[1], (int)c->args[2], at_flags);
}

static long answer_link(struct call *c, const char *text, uint64_t out, int size)
{
	size_t n = strlen(text);
	int err;

	if (size <= 0)
		return -EINVAL;
	n = n < (size_t)size ? n : (size_t)size;
	err = call_copy_out(c, out, text, n);
	return err ? err : (long)n;
}

/* What /proc/self/fd/N says of a placeholder, or of a file of the store. */
static long link_of_fd(struct call *c, int fd, char *text, size_t cap)
{
	struct vfile *f = call_get_vfile(c, fd, NULL);
	const struct view_node *node;
	char buf[PATH_MAX + 64];
	const char *path;

	if (!f) {
		path = store_path(c, fd, buf, sizeof(buf));
		if (path)
			snprintf(text, cap, "%s", path);
		return path ? 0 : CALL_PROCEED;
	}
	node = node_of_vfile(c, f);
	if (node)
		snprintf(text, cap, "%s", node->path);
	else if (f->ops->link_text)
		f->ops->link_text(f, text, cap);
	else
		snprintf(text, cap, "/%s:", f->ops->name);
	vfile_put(f);
	return 0;
}

static long do_readlink(struct call *c, int dirfd, uint64_t path, uint64_t out, int size)
{
	long r = CALL_PROCEED;
	char text[PATH_MAX];
	struct target t;

	target_begin(c, dirfd, path, false, &t);
	if (t.error)
		r = t.error;
	else if (t.kind == TARGET_FD)
		r = link_of_fd(c, t.fd, text, sizeof(text));
	else if (t.kind == TARGET_NODE)
		r = t.node->kind == VIEW_LINK ? 0 : -EINVAL;
	if (!r && t.kind == TARGET_NODE)
		snprintf(text, sizeof(text), "%s", t.node->target);
	target_end(c);
	return r ? r : answer_link(c, text, out, size);
}

long serve_readlink(struct call *c)
{
	return do_readlink(c, AT_FDCWD, c->args[0], c->args[1], (int)c->args[2]);
}

long serve_readlinkat(struct call *c)
{
	return do_readlink(c, (int)c->args[0], c->args[1], c->args[2], (int)c->args[3]);
}

/* The kernel calls a working directory in the store unreachable. */
long serve_getcwd(struct call *c)
{
	const struct view_node *n;
	char buf[PATH_MAX + 64], text[PATH_MAX];
	const char *path;
	size_t bytes;
	int err;

	if (!base_path(c, AT_FDCWD, buf, sizeof(buf), &path))
		return CALL_PROCEED;
	view_read_begin(c->host->view);
	err = view_resolve(c->host->view, "/", path, false, &n);
	if (!err)
		snprintf(text, sizeof(text), "%s", n->path);
	view_read_end(c->host->view);
	if (err)
		return CALL_PROCEED;
	bytes = strlen(text) + 1;
	if (bytes > c->args[1])
		return -ERANGE;
	err = call_copy_out(c, c->args[0], text, bytes);
	return err ? err : (long)bytes;
}

/*
 * From a directory of the store the kernel would follow names through the store: a path
 * that leads out of our part is put together here. Of a link of ours on the way, ".."
 * leads back to where the link is.
 */
static int open_outside(const char *base, const char *path)
{
	char all[2 * PATH_MAX + 64], clean[sizeof(all)] = "";
	char *rest = all, *name, *up;
	int fd;

	snprintf(all, sizeof(all), "%s/%s", path[0] == '/' ? "" : base, path);
	while ((name = strsep(&rest, "/"))) {
		if (!*name || !strcmp(name, "."))
			continue;
		if (strcmp(name, "..")) {
			snprintf(clean + strlen(clean), sizeof(clean) - strlen(clean),
				 "/%s", name);
			continue;
		}
		up = strrchr(clean, '/');
		if (up)
			*up = '\0';
	}
	fd = open(clean[0] ? clean : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The thread goes there itself, by a descriptor that it gets for this. */
static long go_to(struct call *c, int fd)
{
	const struct injection in = {.nr = SYS_fchdir, .fd = fd};
	long r = inject_call(c, &in);

	close(fd);
	return r;
}

/* A descriptor of ours to the directory; CALL_PROCEED: the kernel finds it by itself. */
static long open_to_go(struct call *c, const struct target *t)
{
	char link[64], buf[PATH_MAX + 64];
	const char *base;

	if (t->error)
		return t->error;
	if (t->kind == TARGET_NODE)
		return t->node->kind == VIEW_DIR
			       ? view_open(c->host->view, t->node, O_RDONLY | O_DIRECTORY)
			       : -ENOTDIR;
	snprintf(link, sizeof(link), "/proc/%d/cwd", (int)c->tid);
	if (t->kind != TARGET_HOST || !t->path[0] || t->path[0] == '/' ||
	    !view_holds(c->host->view, link) ||
	    !base_path(c, AT_FDCWD, buf, sizeof(buf), &base))
		return CALL_PROCEED;
	return open_outside(base, t->path);
}

long serve_chdir(struct call *c)
{
	struct target t;
	long r;

	target_begin(c, AT_FDCWD, c->args[0], true, &t);
	r = open_to_go(c, &t);
	target_end(c);
	return r < 0 ? r : go_to(c, (int)r);
}

/* None of ours has extended attributes. */
long serve_xattr(struct call *c)
{
	bool nofollow = c->nr == SYS_lgetxattr || c->nr == SYS_llistxattr;
	const struct view_node *n;
	long r = node_begin(c, AT_FDCWD, c->args[0], nofollow ? AT_SYMLINK_NOFOLLOW : 0,
			    &n);

	target_end(c);
	if (r)
		return r;
	return c->nr == SYS_listxattr || c->nr == SYS_llistxattr ? 0 : -EOPNOTSUPP;
}
