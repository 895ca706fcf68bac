/* SPDX-License-Identifier: MIT */
/*
 * Placeholders (see files.h).
 *
 * A node is one memory file; it has one or more opens, each an open description that
 * clients hold. We keep one description of our own for each node (`probe`): it carries
 * no lock, so asking it whether an open's lock byte is taken tells whether that open
 * still exists.
 *
 * The kernel queues the inotify event of a last close before it drops the description's
 * locks, both before the closing thread returns to its program. So an event whose lock
 * still stands is a close that another thread is in the middle of: the node stays
 * pending and is looked at again by every reap for a while. (Not for ever: a client may
 * close descriptions that it made itself, by opening /proc/self/fd/N, and those events
 * end nothing of ours.)
 *
 * A queue has a node with one open and no probe: our end of its socket pair is watched
 * through `epoll`, edge by edge: data, room again (the client has read), hang-up. The
 * epoll descriptor, which watches the inotify one as well, is what files_event_fd() is.
 *
 * Locks: `reap` (outer) serialises files_reap(), so that a caller that finds nothing to
 * do knows that what others reap has been released; `lock` guards the tables and is a
 * leaf. A vfile is put with `lock` dropped.
 */
#include "machine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/list.h"
#include "core/port.h"
#include "port/fault_inject.h"

/* Lock bytes lie above every region, where no other lock of a client would be. */
#define LOCK_BASE ((off_t)VFILE_STORAGE_BYTES + 1)
#define BUCKETS   256
/*
 * How long a close may be seen half done. The kernel takes microseconds, but the closing
 * thread may lose its CPU in the middle, for long where there are many of them.
 */
#define PENDING_NS 5000000000ull

struct open_file {
	struct list on_node;
	struct vfile *vfile;
	off_t lock_byte; /* 0: the description cannot hold a lock; its event is its end */
};

struct node {
	struct list by_ino, by_wd;
	dev_t dev;
	ino_t ino;
	int wd;                 /* -1: a queue */
	int probe;              /* of a queue: our end, which the vfile owns */
	uint64_t pending_until; /* ns; 0: no close is under way */
	off_t next_lock;
	struct list opens;
};

struct files {
	pthread_mutex_t reap, lock;
	int inotify, epoll;
	dev_t dev; /* all memory files are on one kernel-internal mount */
	size_t count;
	size_t nr_pending;
	struct list by_ino[BUCKETS], by_wd[BUCKETS];
};

static struct list *ino_bucket(struct files *files, ino_t ino)
{
	return &files->by_ino[ino % BUCKETS];
}

static struct list *wd_bucket(struct files *files, int wd)
{
	return &files->by_wd[(unsigned)wd % BUCKETS];
}

static int memory_file(const char *name, uint64_t size)
{
	int fd;

	if (port_fail_now(PORT_FAIL_FD))
		return -EMFILE;
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) || ftruncate(fd, (off_t)size)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int watch(struct files *files, int fd, uint32_t events, void *node)
{
	struct epoll_event ev = {.events = events, .data.ptr = node};

	return epoll_ctl(files->epoll, EPOLL_CTL_ADD, fd, &ev);
}

int files_create(struct files **out)
{
	struct files *files = calloc(1, sizeof(*files));
	struct stat st;
	int fd, err;

	if (!files)
		return -ENOMEM;
	files->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (files->inotify < 0) {
		err = -errno;
		goto fail_free;
	}
	files->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (files->epoll < 0 || watch(files, files->inotify, EPOLLIN, NULL)) {
		err = -errno;
		goto fail_inotify;
	}
	fd = memory_file("uiommufd", 0);
	if (fd < 0) {
		err = fd;
		goto fail_inotify;
	}
	err = fstat(fd, &st) ? -errno : 0;
	close(fd);
	if (err)
		goto fail_inotify;
	files->dev = st.st_dev;
	pthread_mutex_init(&files->reap, NULL);
	pthread_mutex_init(&files->lock, NULL);
	for (size_t i = 0; i < BUCKETS; i++) {
		list_init(&files->by_ino[i]);
		list_init(&files->by_wd[i]);
	}
	*out = files;
	return 0;

fail_inotify:
	if (files->epoll >= 0)
		close(files->epoll);
	close(files->inotify);
fail_free:
	free(files);
	return err;
}

static struct node *find_by_ino(struct files *files, dev_t dev, ino_t ino)
{
	list_for_each (it, ino_bucket(files, ino)) {
		struct node *n = list_entry(it, struct node, by_ino);

		if (n->ino == ino && n->dev == dev)
			return n;
	}
	return NULL;
}

static struct node *find_by_wd(struct files *files, int wd)
{
	list_for_each (it, wd_bucket(files, wd)) {
		struct node *n = list_entry(it, struct node, by_wd);

		if (n->wd == wd)
			return n;
	}
	return NULL;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void set_pending(struct files *files, struct node *n, uint64_t until)
{
	files->nr_pending += (until != 0) - (n->pending_until != 0);
	n->pending_until = until;
}

static void node_destroy(struct files *files, struct node *n)
{
	set_pending(files, n, 0);
	list_remove(&n->by_ino);
	if (n->wd < 0) {
		epoll_ctl(files->epoll, EPOLL_CTL_DEL, n->probe, NULL);
	} else {
		list_remove(&n->by_wd);
		inotify_rm_watch(files->inotify, n->wd);
		close(n->probe);
	}
	port_free(n);
}

/* A description of our own on the vfile's memory file. */
static int probe_fd(struct vfile *f)
{
	const char *name = f->label ? f->label : f->ops->name;
	int fd;

	if (f->storage_fd >= 0) {
		if (port_fail_now(PORT_FAIL_FD))
			return -EMFILE;
		fd = fcntl(f->storage_fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	fd = memory_file(name, f->size);
	/* Nothing a client writes there would mean anything, so it cannot. */
	if (fd >= 0 && fcntl(fd, F_ADD_SEALS,
			     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* Takes @probe over, also on failure. */
static int node_create(struct files *files, int probe, ino_t ino, struct node **out)
{
	struct node *n = port_alloc(sizeof(*n));
	char path[32];
	int err;

	if (!n) {
		close(probe);
		return -ENOMEM;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", probe);
	n->wd = inotify_add_watch(files->inotify, path, IN_CLOSE);
	if (n->wd < 0) {
		err = -errno;
		close(probe);
		port_free(n);
		return err;
	}
	n->dev = files->dev;
	n->ino = ino;
	n->probe = probe;
	list_init(&n->opens);
	list_append(ino_bucket(files, ino), &n->by_ino);
	list_append(wd_bucket(files, n->wd), &n->by_wd);
	*out = n;
	return 0;
}

static int node_for(struct files *files, struct vfile *f, struct node **out)
{
	struct stat st;
	int probe = probe_fd(f);

	if (probe < 0)
		return probe;
	if (fstat(probe, &st)) {
		int err = -errno;

		close(probe);
		return err;
	}
	*out = find_by_ino(files, files->dev, st.st_ino);
	if (*out) {
		close(probe);
		return 0;
	}
	return node_create(files, probe, st.st_ino, out);
}

static int set_lock(int fd, short type, off_t byte)
{
	struct flock lk = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lk) ? -errno : 0;
}

/* Does a description other than @fd's hold a lock on @byte? */
static bool locked_elsewhere(int fd, off_t byte)
{
	struct flock lk = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return !fcntl(fd, F_OFD_GETLK, &lk) && lk.l_type != F_UNLCK;
}

/* A new description of the node's file, locked on a byte of its own. */
static int open_description(struct node *n, struct open_file *o, int open_flags)
{
	int mode = open_flags & O_ACCMODE;
	char path[32];
	int fd, err;

	if (port_fail_now(PORT_FAIL_FD))
		return -EMFILE;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", n->probe);
	fd = open(path, (open_flags & (O_ACCMODE | O_NONBLOCK)) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Access mode 3 (neither) can hold no lock. */
	if (mode == O_ACCMODE)
		return fd;
	o->lock_byte = LOCK_BASE + n->next_lock;
	err = set_lock(fd, mode == O_RDONLY ? F_RDLCK : F_WRLCK, o->lock_byte);
	if (err) {
		close(fd);
		return err;
	}
	n->next_lock++;
	return fd;
}

/* Under files->lock. Nothing of @f's has changed on failure. */
static int queue_node(struct files *files, struct vfile *f, struct open_file *o)
{
	struct node *n = port_alloc(sizeof(*n));
	struct stat st;

	if (!n)
		return -ENOMEM;
	if (fstat(f->ends[1], &st) ||
	    watch(files, f->ends[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, n)) {
		int err = -errno;

		port_free(n);
		return err;
	}
	n->dev = st.st_dev;
	n->ino = st.st_ino;
	n->wd = -1;
	n->probe = f->ends[0];
	list_init(&n->opens);
	list_append(ino_bucket(files, n->ino), &n->by_ino);
	vfile_get(f);
	o->vfile = f;
	list_append(&n->opens, &o->on_node);
	files->count++;
	return 0;
}

static int open_queue(struct files *files, struct vfile *f, int open_flags)
{
	struct open_file *o = port_alloc(sizeof(*o));
	int fd = f->ends[1], err;

	if (!o)
		return -ENOMEM;
	if (open_flags & O_NONBLOCK)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	pthread_mutex_lock(&files->lock);
	err = queue_node(files, f, o);
	if (!err)
		f->ends[1] = -1;
	pthread_mutex_unlock(&files->lock);
	if (!err)
		return fd;
	port_free(o);
	return err;
}

int files_open(struct files *files, struct vfile *f, int open_flags)
{
	struct open_file *o;
	struct node *n;
	int fd;

	if (f->ends[0] >= 0)
		return f->ends[1] >= 0 ? open_queue(files, f, open_flags) : -EBUSY;
	o = port_alloc(sizeof(*o));
	if (!o)
		return -ENOMEM;
	pthread_mutex_lock(&files->lock);
	fd = node_for(files, f, &n);
	if (fd < 0)
		goto fail;
	fd = open_description(n, o, open_flags);
	if (fd < 0) {
		if (list_empty(&n->opens))
			node_destroy(files, n);
		goto fail;
	}
	vfile_get(f);
	o->vfile = f;
	list_append(&n->opens, &o->on_node);
	files->count++;
	pthread_mutex_unlock(&files->lock);
	return fd;

fail:
	pthread_mutex_unlock(&files->lock);
	port_free(o);
	return fd;
}

/* Which of the node's opens is @fd a descriptor of? */
static struct open_file *open_of(struct node *n, int fd)
{
	struct open_file *first = list_entry(n->opens.next, struct open_file, on_node);

	if (n->opens.next->next == &n->opens)
		return first;
	list_for_each (it, &n->opens) {
		struct open_file *o = list_entry(it, struct open_file, on_node);

		/* Its own description sees no conflict; a closed open shows to nobody. */
		if (!o->lock_byte || !locked_elsewhere(n->probe, o->lock_byte))
			continue;
		if (!locked_elsewhere(fd, o->lock_byte))
			return o;
	}
	return first;
}

struct vfile *files_lookup(struct files *files, int fd)
{
	struct vfile *f = NULL;
	struct node *n;
	struct stat st;

	if (fstat(fd, &st) || (st.st_dev != files->dev && !S_ISSOCK(st.st_mode)))
		return NULL;
	pthread_mutex_lock(&files->lock);
	n = find_by_ino(files, st.st_dev, st.st_ino);
	if (n && !list_empty(&n->opens)) {
		f = open_of(n, fd)->vfile;
		vfile_get(f);
	}
	pthread_mutex_unlock(&files->lock);
	return f;
}

static bool hung_up(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

struct vfile *files_find(struct files *files, dev_t dev, ino_t ino)
{
	struct vfile *f = NULL;
	struct node *n;

	if (dev != files->dev)
		return NULL;
	pthread_mutex_lock(&files->lock);
	n = find_by_ino(files, dev, ino);
	if (n && !list_empty(&n->opens)) {
		f = list_entry(n->opens.next, struct open_file, on_node)->vfile;
		vfile_get(f);
	}
	pthread_mutex_unlock(&files->lock);
	return f;
}

/* Move the node's closed opens to @dead; false when there were none. */
static bool collect_closed(struct files *files, struct node *n, struct list *dead)
{
	bool found = false;

	list_for_each_safe (it, &n->opens) {
		struct open_file *o = list_entry(it, struct open_file, on_node);

		if (n->wd < 0 ? !hung_up(n->probe)
			      : o->lock_byte && locked_elsewhere(n->probe, o->lock_byte))
			continue;
		list_remove(&o->on_node);
		list_append(dead, &o->on_node);
		files->count--;
		found = true;
	}
	return found;
}

/* A description of the node's file was closed, or is just being. */
static void node_event(struct files *files, struct node *n, struct list *dead)
{
	bool found = collect_closed(files, n, dead);

	/* Events merge, so this one may stand for a close still under way as well. */
	set_pending(files, n, now_ns() + PENDING_NS);
	if (found && list_empty(&n->opens))
		node_destroy(files, n);
}

static void collect_pending(struct files *files, bool all, struct list *dead)
{
	uint64_t now = now_ns();

	for (size_t i = 0; i < BUCKETS; i++) {
		list_for_each_safe (it, &files->by_ino[i]) {
			struct node *n = list_entry(it, struct node, by_ino);

			if (!n->pending_until && !all)
				continue;
			collect_closed(files, n, dead);
			if (n->pending_until < now)
				set_pending(files, n, 0);
			if (list_empty(&n->opens))
				node_destroy(files, n);
		}
	}
}

static void collect_events(struct files *files, struct list *dead)
{
	_Alignas(struct inotify_event) char buf[4096];
	bool overflow = false;
	struct node *node;
	ssize_t n;

	while ((n = read(files->inotify, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			struct inotify_event *ev = (void *)p;

			if (ev->mask & IN_Q_OVERFLOW)
				overflow = true;
			else if ((node = find_by_wd(files, ev->wd)))
				node_event(files, node, dead);
			p += sizeof(*ev) + ev->len;
		}
	}
	if (files->nr_pending || overflow)
		collect_pending(files, overflow, dead);
}

#define QUEUE_EVENTS 16

/*
 * What has happened to some queues, each with a reference, in @v; those that were closed
 * go to @dead as well, to be told first. True: there may be more. Under files->lock.
 */
static bool collect_queues(struct files *files, struct vfile **v, int *nr,
			   struct list *dead)
{
	struct epoll_event ev[QUEUE_EVENTS];
	int n = epoll_wait(files->epoll, ev, QUEUE_EVENTS, 0);

	*nr = 0;
	for (int i = 0; i < n; i++) {
		struct node *node = ev[i].data.ptr;
		struct vfile *f;

		if (!node)
			continue; /* inotify has been looked at */
		f = list_entry(node->opens.next, struct open_file, on_node)->vfile;
		vfile_get(f);
		v[(*nr)++] = f;
		if (collect_closed(files, node, dead))
			node_destroy(files, node);
	}
	return n == QUEUE_EVENTS;
}

static void reap_queues(struct files *files, struct list *dead)
{
	struct vfile *v[QUEUE_EVENTS];
	bool more = true;
	int n;

	while (more) {
		pthread_mutex_lock(&files->lock);
		more = collect_queues(files, v, &n, dead);
		pthread_mutex_unlock(&files->lock);
		for (int i = 0; i < n; i++) {
			if (v[i]->ops->ready)
				v[i]->ops->ready(v[i]);
			vfile_put(v[i]);
		}
	}
}

static void put_all(struct list *dead)
{
	list_for_each_safe (it, dead) {
		struct open_file *o = list_entry(it, struct open_file, on_node);

		vfile_put(o->vfile);
		port_free(o);
	}
}

bool files_reap(struct files *files)
{
	struct list dead;
	bool pending;

	list_init(&dead);
	pthread_mutex_lock(&files->reap);
	pthread_mutex_lock(&files->lock);
	collect_events(files, &dead);
	pending = files->nr_pending > 0;
	pthread_mutex_unlock(&files->lock);
	reap_queues(files, &dead);
	put_all(&dead);
	pthread_mutex_unlock(&files->reap);
	return pending;
}

int files_event_fd(const struct files *files)
{
	return files->epoll;
}

size_t files_count(struct files *files)
{
	size_t n;

	pthread_mutex_lock(&files->lock);
	n = files->count;
	pthread_mutex_unlock(&files->lock);
	return n;
}

int files_destroy(struct files *files)
{
	struct list dead;
	int left = 0;

	if (!files)
		return 0;
	files_reap(files);
	list_init(&dead);
	collect_pending(files, true, &dead);
	put_all(&dead);
	list_init(&dead);
	for (size_t i = 0; i < BUCKETS; i++) {
		list_for_each_safe (it, &files->by_ino[i]) {
			struct node *n = list_entry(it, struct node, by_ino);

			list_for_each_safe (o_it, &n->opens) {
				list_remove(o_it);
				list_append(&dead, o_it);
				left++;
			}
			node_destroy(files, n);
		}
	}
	put_all(&dead);
	close(files->epoll);
	close(files->inotify);
	pthread_mutex_destroy(&files->lock);
	pthread_mutex_destroy(&files->reap);
	free(files);
	return left;
}
