/* SPDX-License-Identifier: MIT */
/*
 * See view.h. Nothing here needs a lock: the tree is constant once made. Files of the
 * store are reached from its root directory without following links, so nothing a
 * client puts there leads us elsewhere.
 */
#include "host/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/port.h"
#include "host/store.h"
#include "vfio/pci_device.h"

#define MAX_LINKS    40 /* as Linux */
#define CONFIG_BYTES 4096

struct view {
	struct view_node *root;
	struct store store;
};

/* ---- the tree ----------------------------------------------------------------- */

static struct view_node *child(const struct view_node *dir, const char *name, size_t len)
{
	for (struct view_node *n = dir->children; n; n = n->next)
		if (!strncmp(n->name, name, len) && !n->name[len])
			return n;
	return NULL;
}

static void free_tree(struct view_node *n)
{
	while (n) {
		struct view_node *next = n->next;

		free_tree(n->children);
		free(n->name);
		free(n->path);
		free(n->target);
		free(n);
		n = next;
	}
}

static struct view_node *add_child(struct view_node *dir, const char *name, size_t len,
				   enum view_kind kind)
{
	struct view_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->kind = kind;
	n->parent = dir;
	n->name = strndup(name, len);
	if (!n->name ||
	    asprintf(&n->path, "%s/%s", dir->parent ? dir->path : "", n->name) < 0) {
		free(n->name);
		free(n);
		return NULL;
	}
	n->next = dir->children;
	dir->children = n;
	return n;
}

/* The path of a node's file from the store's root. */
static const char *in_store(const struct view_node *n)
{
	return n->path[1] ? n->path + 1 : ".";
}

static bool host_has_dir(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* The directory [path, end), made with its parents. @owned: of ours alone. */
static int make_dirs(struct view *v, const char *path, const char *end, bool owned,
		     struct view_node **out)
{
	struct view_node *dir = v->root, *next;

	while (path < end) {
		const char *stop = memchr(path + 1, '/', (size_t)(end - path - 1));
		size_t len;

		path++;
		len = (size_t)((stop ? stop : end) - path);
		next = child(dir, path, len);
		if (!next) {
			next = add_child(dir, path, len, VIEW_DIR);
			if (!next)
				return -ENOMEM;
			next->merged = dir->merged && host_has_dir(next->path);
			if (owned && !stop)
				next->merged = false;
			if (mkdirat(v->store.fd, in_store(next), 0755))
				return -errno;
		}
		dir = next;
		path += len;
	}
	*out = dir;
	return 0;
}

int view_add_dir(struct view *v, const char *path)
{
	struct view_node *dir;

	return make_dirs(v, path, path + strlen(path), false, &dir);
}

int view_own_dir(struct view *v, const char *path)
{
	struct view_node *dir;

	return make_dirs(v, path, path + strlen(path), true, &dir);
}

static int add_leaf(struct view *v, const char *path, enum view_kind kind,
		    struct view_node **out)
{
	const char *name = strrchr(path, '/') + 1;
	struct view_node *dir;
	int err = make_dirs(v, path, name - 1, false, &dir);

	if (err)
		return err;
	*out = add_child(dir, name, strlen(name), kind);
	return *out ? 0 : -ENOMEM;
}

static int write_file(int fd, const void *data, size_t n)
{
	ssize_t done = pwrite(fd, data, n, 0);

	if (done < 0)
		return -errno;
	return (size_t)done == n ? 0 : -EIO;
}

int view_add_file(struct view *v, const char *path, const void *data, size_t n)
{
	struct view_node *node;
	int err = add_leaf(v, path, VIEW_FILE, &node);
	int fd;

	if (err)
		return err;
	fd = openat(v->store.fd, in_store(node), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    0644);
	if (fd < 0)
		return -errno;
	err = write_file(fd, data, n);
	close(fd);
	return err;
}

int view_add_text(struct view *v, const char *path, const char *format, ...)
{
	char *text;
	va_list ap;
	int n, err;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	err = view_add_file(v, path, text, (size_t)n);
	free(text);
	return err;
}

int view_add_link(struct view *v, const char *path, const char *target)
{
	struct view_node *node;
	int err = add_leaf(v, path, VIEW_LINK, &node);

	if (err)
		return err;
	node->target = strdup(target);
	if (!node->target)
		return -ENOMEM;
	return symlinkat(target, v->store.fd, in_store(node)) ? -errno : 0;
}

int view_add_device(struct view *v, const char *path, dev_t rdev)
{
	struct view_node *node;
	int err = add_leaf(v, path, VIEW_DEVICE, &node);
	int fd;

	if (err)
		return err;
	node->rdev = rdev;
	fd = openat(v->store.fd, in_store(node), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    0666);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int view_add_config(struct view *v, const char *path, struct pci_device *dev)
{
	unsigned char bytes[CONFIG_BYTES];
	const struct view_node *node;
	int err;

	pci_device_config(dev, 0, bytes, sizeof(bytes));
	err = view_add_file(v, path, bytes, sizeof(bytes));
	if (!err)
		err = view_resolve(v, "/", path, false, &node);
	if (!err)
		((struct view_node *)node)->config = dev;
	return err;
}

/* A link in the store to an entry of the host, unless there is one of ours. */
static int list_entry_of_host(struct view *v, const struct view_node *dir,
			      const char *name)
{
	char from[PATH_MAX], path[PATH_MAX];

	if (child(dir, name, strlen(name)))
		return 0;
	if (snprintf(from, sizeof(from), "%s/%s", in_store(dir), name) >=
		    (int)sizeof(from) ||
	    snprintf(path, sizeof(path), "%s/%s", dir->path, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return symlinkat(path, v->store.fd, from) ? -errno : 0;
}

int view_list_dir(struct view *v, const char *path)
{
	struct view_node *dir;
	struct dirent *e;
	int err = make_dirs(v, path, path + strlen(path), false, &dir);
	DIR *d;

	if (err || !dir->merged)
		return err;
	d = opendir(path);
	if (!d)
		return 0;
	dir->listed = true;
	while (!err && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			err = list_entry_of_host(v, dir, e->d_name);
	closedir(d);
	return err;
}

/* ---- making and removing ------------------------------------------------------ */

int view_create(struct machine *m, struct view **out)
{
	struct view *v = calloc(1, sizeof(*v));
	mode_t mask;
	int err = -ENOMEM;

	if (!v)
		return -ENOMEM;
	v->store.fd = -1;
	v->root = calloc(1, sizeof(*v->root));
	if (!v->root)
		goto fail;
	v->root->kind = VIEW_DIR;
	v->root->merged = true;
	v->root->path = strdup("/");
	if (!v->root->path)
		goto fail;
	err = store_create(&v->store);
	if (err)
		goto fail;
	mask = umask(0);
	err = view_populate(v, m);
	umask(mask);
	if (err)
		goto fail;
	*out = v;
	return 0;

fail:
	view_destroy(v);
	return err;
}

void view_destroy(struct view *v)
{
	if (!v)
		return;
	store_destroy(&v->store);
	free_tree(v->root);
	free(v);
}

/* ---- resolving ---------------------------------------------------------------- */

struct walk {
	struct view_node *at;
	unsigned outside; /* components below @at that are the host's */
	unsigned links;
	bool follow_last;
};

static int walk_path(const struct view *v, struct walk *w, const char *path,
		     bool more_follows);

static int walk_name(const struct view *v, struct walk *w, const char *name, size_t len,
		     bool last, bool need_dir)
{
	struct view_node *n;

	if (len == 1 && name[0] == '.')
		return 0;
	if (len == 2 && !memcmp(name, "..", 2)) {
		if (w->outside)
			w->outside--;
		else if (w->at->parent)
			w->at = w->at->parent;
		return 0;
	}
	if (w->outside) {
		w->outside++;
		return 0;
	}
	n = child(w->at, name, len);
	if (!n) {
		if (!w->at->merged)
			return -ENOENT;
		w->outside = 1;
		return 0;
	}
	if (n->kind == VIEW_LINK && (!last || need_dir || w->follow_last)) {
		if (++w->links > MAX_LINKS)
			return -ELOOP;
		return walk_path(v, w, n->target, !last || need_dir);
	}
	w->at = n;
	if (n->kind != VIEW_DIR && (!last || need_dir))
		return -ENOTDIR;
	return 0;
}

static int walk_path(const struct view *v, struct walk *w, const char *path,
		     bool more_follows)
{
	if (path[0] == '/') {
		w->at = v->root;
		w->outside = 0;
	}
	for (;;) {
		const char *end, *rest;
		int err;

		path += strspn(path, "/");
		if (!*path)
			return 0;
		end = path + strcspn(path, "/");
		rest = end + strspn(end, "/");
		err = walk_name(v, w, path, (size_t)(end - path), !*rest && !more_follows,
				*end == '/');
		if (err)
			return err;
		path = rest;
	}
}

int view_resolve(const struct view *v, const char *base, const char *path, bool follow,
		 const struct view_node **out)
{
	struct walk w = {.at = v->root, .follow_last = true};
	int err = 0;

	if (path[0] != '/')
		err = walk_path(v, &w, base, true);
	w.follow_last = follow;
	if (!err)
		err = walk_path(v, &w, path, false);
	if (err)
		return err;
	if (w.outside)
		return VIEW_HOST;
	/* What only leads to ours is still the host's, unless the host has not got it. */
	if (w.at->merged && !w.at->listed)
		return VIEW_HOST;
	*out = w.at;
	return 0;
}

const char *view_path_of(const struct view *v, const char *path)
{
	size_t n = v->store.path ? strlen(v->store.path) : 0;

	if (n && strncmp(path, v->store.path, n))
		return NULL;
	path += n;
	if (!*path)
		return "/";
	return *path == '/' ? path : NULL;
}

static const struct view_node *find_device(const struct view_node *n, dev_t rdev)
{
	for (; n; n = n->next) {
		const struct view_node *below;

		if (n->kind == VIEW_DEVICE && n->rdev == rdev)
			return n;
		below = find_device(n->children, rdev);
		if (below)
			return below;
	}
	return NULL;
}

const struct view_node *view_device(const struct view *v, dev_t rdev)
{
	const struct view_node *dev = child(v->root, "dev", 3);

	return dev ? find_device(dev->children, rdev) : NULL;
}

/* ---- files of the store ------------------------------------------------------- */

static int open_in_store(const struct view *v, const struct view_node *n, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, v->store.fd, in_store(n), &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* Bring the store's copy of a configuration space up to date. */
static int refresh(const struct view *v, const struct view_node *n)
{
	unsigned char bytes[CONFIG_BYTES];
	int fd = open_in_store(v, n, O_WRONLY);
	int err;

	if (fd < 0)
		return fd;
	pci_device_config(n->config, 0, bytes, sizeof(bytes));
	err = write_file(fd, bytes, sizeof(bytes));
	close(fd);
	return err;
}

int view_open(const struct view *v, const struct view_node *n, int flags)
{
	if (n->config) {
		int err = refresh(v, n);

		if (err)
			return err;
	}
	return open_in_store(v, n, flags);
}

int view_stat(const struct view *v, const struct view_node *n, struct stat *st)
{
	if (fstatat(v->store.fd, in_store(n), st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (n->kind == VIEW_DEVICE) {
		st->st_mode = S_IFCHR | 0666;
		st->st_rdev = n->rdev;
		st->st_size = 0;
		st->st_blocks = 0;
	}
	return 0;
}

int view_statx(const struct view *v, const struct view_node *n, unsigned mask,
	       struct statx *stx)
{
	if (statx(v->store.fd, in_store(n), AT_SYMLINK_NOFOLLOW, mask, stx))
		return -errno;
	if (n->kind == VIEW_DEVICE) {
		stx->stx_mode = S_IFCHR | 0666;
		stx->stx_rdev_major = major(n->rdev);
		stx->stx_rdev_minor = minor(n->rdev);
		stx->stx_size = 0;
		stx->stx_blocks = 0;
	}
	return 0;
}

int view_access(const struct view *v, const struct view_node *n, int mode)
{
	if (mode & ~(R_OK | W_OK | X_OK))
		return -EINVAL;
	/* Everything can be read and written, as by root; only directories searched. */
	return (mode & X_OK) && n->kind != VIEW_DIR ? -EACCES : 0;
}
