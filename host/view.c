/* SPDX-License-Identifier: MIT */
/*
 * See view.h. Files of the store are reached from its root directory without following
 * links, so nothing a client puts there leads us elsewhere.
 *
 * `lock` (rw) guards the tree; what changes it changes the store with it. Nothing else is
 * locked inside, but for attributes' leaf locks. A removed attribute is waited for
 * outside.
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
#include "host/view_attr.h"

#define MAX_LINKS  40 /* as Linux */
#define PAGE_BYTES 4096

struct view {
	struct port_rwlock lock; /* of the tree; store files change under it, too */
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
		view_live_put(n->live);
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

/* Mode bits are the node's, whatever our umask is. */
static int make_in_store(struct view *v, struct view_node *n)
{
	const char *path = in_store(n);
	int fd;

	if (n->parent->listed) /* there may be one of the host's */
		unlinkat(v->store.fd, path, 0);
	if (n->kind == VIEW_LINK)
		return symlinkat(n->target, v->store.fd, path) ? -errno : 0;
	if (n->kind == VIEW_DIR) {
		if (mkdirat(v->store.fd, path, n->mode))
			return -errno;
	} else {
		fd = openat(v->store.fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			    0600);
		if (fd < 0)
			return -errno;
		close(fd);
	}
	return fchmodat(v->store.fd, path, n->mode, 0) ? -errno : 0;
}

static void remove_in_store(struct view *v, const struct view_node *n)
{
	for (const struct view_node *c = n->children; c; c = c->next)
		remove_in_store(v, c);
	unlinkat(v->store.fd, in_store(n), n->kind == VIEW_DIR ? AT_REMOVEDIR : 0);
}

/* The directory [path, end), made with its parents. @owned: of ours alone. */
static int make_dirs(struct view *v, const char *path, const char *end, bool owned,
		     struct view_node **out)
{
	struct view_node *dir = v->root, *next;
	int err;

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
			next->mode = 0755;
			next->merged = dir->merged && host_has_dir(next->path);
			err = make_in_store(v, next);
			if (err)
				return err;
		}
		if (owned && !stop)
			next->merged = false;
		dir = next;
		path += len;
	}
	*out = dir;
	return 0;
}

static int add_dir(struct view *v, const char *path, bool owned)
{
	struct view_node *dir;
	int err;

	port_rwlock_write_lock(&v->lock);
	err = make_dirs(v, path, path + strlen(path), owned, &dir);
	port_rwlock_write_unlock(&v->lock);
	return err;
}

int view_add_dir(struct view *v, const char *path)
{
	return add_dir(v, path, false);
}

int view_own_dir(struct view *v, const char *path)
{
	return add_dir(v, path, true);
}

/* With the lock held. Takes out what add_child() has put in. */
static void drop_first_child(struct view_node *dir)
{
	struct view_node *n = dir->children;

	dir->children = n->next;
	n->next = NULL;
	free_tree(n);
}

/* What a leaf is, besides its path. */
struct leaf {
	enum view_kind kind;
	mode_t mode;
	const char *target;
	dev_t rdev;
	const struct view_attr *attr;
	void *object;
};

static int fill_leaf(struct view_node *n, const struct leaf *leaf)
{
	n->mode = leaf->mode;
	n->rdev = leaf->rdev;
	if (leaf->target)
		n->target = strdup(leaf->target);
	if (leaf->attr)
		n->live = view_live_create(leaf->attr, leaf->object);
	return (leaf->target && !n->target) || (leaf->attr && !n->live) ? -ENOMEM : 0;
}

/* With the lock held. */
static int add_leaf(struct view *v, const char *path, const struct leaf *leaf,
		    struct view_node **out)
{
	const char *name = strrchr(path, '/') + 1;
	struct view_node *dir, *n;
	int err = make_dirs(v, path, name - 1, false, &dir);

	if (err)
		return err;
	if (child(dir, name, strlen(name)))
		return -EEXIST;
	n = add_child(dir, name, strlen(name), leaf->kind);
	if (!n)
		return -ENOMEM;
	err = fill_leaf(n, leaf);
	if (!err)
		err = make_in_store(v, n);
	if (err)
		drop_first_child(dir);
	else
		*out = n;
	return err;
}

static int add_locked(struct view *v, const char *path, const struct leaf *leaf)
{
	struct view_node *n;
	int err;

	port_rwlock_write_lock(&v->lock);
	err = add_leaf(v, path, leaf, &n);
	port_rwlock_write_unlock(&v->lock);
	return err;
}

static int write_in_store(struct view *v, const struct view_node *n, const char *text,
			  size_t size)
{
	int fd = openat(v->store.fd, in_store(n), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t done;
	int err = 0;

	if (fd < 0)
		return -errno;
	done = pwrite(fd, text, size, 0);
	if (done != (ssize_t)size)
		err = done < 0 ? -errno : -EIO;
	close(fd);
	return err;
}

/* A file is written before its mode may forbid that. */
static int add_file(struct view *v, const char *path, const char *text, mode_t mode)
{
	const struct leaf leaf = {.kind = VIEW_FILE, .mode = 0644};
	struct view_node *n;
	int err;

	port_rwlock_write_lock(&v->lock);
	err = add_leaf(v, path, &leaf, &n);
	if (!err)
		err = write_in_store(v, n, text, strlen(text));
	if (!err) {
		n->mode = mode;
		err = fchmodat(v->store.fd, in_store(n), mode, 0) ? -errno : 0;
	}
	port_rwlock_write_unlock(&v->lock);
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
	err = add_file(v, path, text, 0444);
	free(text);
	return err;
}

int view_add_knob(struct view *v, const char *path, const char *text)
{
	return add_file(v, path, text, 0644);
}

int view_add_link(struct view *v, const char *path, const char *target)
{
	const struct leaf leaf = {.kind = VIEW_LINK, .mode = 0777, .target = target};

	return add_locked(v, path, &leaf);
}

int view_add_device(struct view *v, const char *path, dev_t rdev)
{
	const struct leaf leaf = {.kind = VIEW_DEVICE, .mode = 0666, .rdev = rdev};

	return add_locked(v, path, &leaf);
}

int view_add_attr(struct view *v, const char *path, const struct view_attr *attr,
		  void *object)
{
	const struct leaf leaf = {
		.kind = VIEW_ATTR, .mode = attr->mode, .attr = attr, .object = object};

	return add_locked(v, path, &leaf);
}

static struct view_node *find(const struct view *v, const char *path)
{
	struct view_node *n = v->root;

	while (n && *path) {
		size_t len = strcspn(++path, "/");

		n = child(n, path, len);
		path += len;
	}
	return n;
}

static void wait_removed(struct view_node *n)
{
	for (; n; n = n->next) {
		wait_removed(n->children);
		if (n->live)
			view_live_remove(n->live);
	}
}

void view_remove(struct view *v, const char *path)
{
	struct view_node *n, **at;

	port_rwlock_write_lock(&v->lock);
	n = find(v, path);
	if (n) {
		for (at = &n->parent->children; *at != n;)
			at = &(*at)->next;
		*at = n->next;
		n->next = NULL;
		remove_in_store(v, n);
	}
	port_rwlock_write_unlock(&v->lock);
	wait_removed(n);
	free_tree(n);
}

bool view_leave(struct view *v, const char *path)
{
	const struct view_node *n;
	bool left;

	port_rwlock_read_lock(&v->lock);
	n = find(v, path);
	left = n && n->live && view_live_leave(n->live);
	port_rwlock_read_unlock(&v->lock);
	return left;
}

bool view_has(struct view *v, const char *path)
{
	bool has;

	port_rwlock_read_lock(&v->lock);
	has = find(v, path);
	port_rwlock_read_unlock(&v->lock);
	return has;
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

static int list_dir(struct view *v, const char *path)
{
	struct view_node *dir;
	struct dirent *e;
	int err = make_dirs(v, path, path + strlen(path), false, &dir);
	DIR *d;

	if (err || !dir->merged || dir->listed)
		return err;
	d = opendir(path);
	if (!d)
		return 0;
	while (!err && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			err = list_entry_of_host(v, dir, e->d_name);
	dir->listed = true;
	closedir(d);
	return err;
}

int view_list_dir(struct view *v, const char *path)
{
	int err;

	port_rwlock_write_lock(&v->lock);
	err = list_dir(v, path);
	port_rwlock_write_unlock(&v->lock);
	return err;
}

/* ---- making and removing ------------------------------------------------------ */

int view_create(struct view **out)
{
	struct view *v = calloc(1, sizeof(*v));
	int err = -ENOMEM;

	if (!v)
		return -ENOMEM;
	v->store.fd = -1;
	port_rwlock_init(&v->lock);
	v->root = calloc(1, sizeof(*v->root));
	if (!v->root)
		goto fail;
	v->root->kind = VIEW_DIR;
	v->root->mode = 0755;
	v->root->merged = true;
	v->root->path = strdup("/");
	if (!v->root->path)
		goto fail;
	err = store_create(&v->store);
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
	port_rwlock_finish(&v->lock);
	free(v);
}

void view_read_begin(struct view *v)
{
	port_rwlock_read_lock(&v->lock);
}

void view_read_end(struct view *v)
{
	port_rwlock_read_unlock(&v->lock);
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

bool view_holds(const struct view *v, const char *link)
{
	struct stat there, ours;
	char buf[PATH_MAX];
	ssize_t n;

	/* A mount of its own has no name, and a directory no device of its own. */
	if (!v->store.path)
		return !stat(link, &there) && !fstat(v->store.fd, &ours) &&
		       there.st_dev == ours.st_dev;
	n = readlink(link, buf, sizeof(buf) - 1);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	return view_path_of(v, buf) != NULL;
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

int view_open(const struct view *v, const struct view_node *n, int flags)
{
	return open_in_store(v, n, flags);
}

static bool in_sysfs(const struct view_node *n)
{
	return !strncmp(n->path, "/sys/", 5);
}

/* What stat(2) says of the size of a node that is not as large as its file. */
static uint64_t shown_size(const struct view_node *n)
{
	struct view_live *l = n->live;
	uint64_t size = PAGE_BYTES;

	if (l && l->attr->size && !view_live_begin(l)) {
		size = l->attr->size(l->object);
		view_live_end(l);
	}
	return size;
}

int view_stat(const struct view *v, const struct view_node *n, struct stat *st)
{
	if (fstatat(v->store.fd, in_store(n), st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (n->kind == VIEW_DEVICE) {
		st->st_mode = S_IFCHR | n->mode;
		st->st_rdev = n->rdev;
		st->st_size = 0;
		st->st_blocks = 0;
	} else if (S_ISREG(st->st_mode) && in_sysfs(n)) {
		st->st_mode = S_IFREG | n->mode;
		st->st_size = (off_t)shown_size(n);
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
		stx->stx_mode = (uint16_t)(S_IFCHR | n->mode);
		stx->stx_rdev_major = major(n->rdev);
		stx->stx_rdev_minor = minor(n->rdev);
		stx->stx_size = 0;
		stx->stx_blocks = 0;
	} else if (S_ISREG(stx->stx_mode) && in_sysfs(n)) {
		stx->stx_mode = (uint16_t)(S_IFREG | n->mode);
		stx->stx_size = shown_size(n);
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

/* The owner of the view is as good as root, but sysfs keeps root to the modes, too. */
int view_may_open(const struct view_node *n, int flags)
{
	int access = flags & O_ACCMODE;

	if ((n->kind != VIEW_FILE && n->kind != VIEW_ATTR) || (flags & O_PATH))
		return 0;
	if (access != O_WRONLY && !(n->mode & 0444))
		return -EACCES;
	if (access != O_RDONLY && !(n->mode & 0222))
		return -EACCES;
	return 0;
}
