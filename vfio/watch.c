/* SPDX-License-Identifier: MIT */
/*
 * The watcher's thread (see watch.h). An event names its watch by a number that is never
 * used again, so one that has been removed meanwhile is not found.
 */
#include "vfio/watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/port.h"
#include "vfio/thread.h"

#define STOP 0 /* the number of the eventfd that ends the thread */

struct watch {
	struct list on_watcher;
	struct watcher *watcher;
	uint64_t id;
	int fd;
	void (*signalled)(void *arg);
	void *arg;
};

void watcher_init(struct watcher *w)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->idle, NULL);
	list_init(&w->all);
	w->next_id = STOP + 1;
}

/* Whether or not there is anything left to take. */
static void take(int fd)
{
	uint64_t count;
	struct iovec to = {&count, sizeof(count)};

	(void)!preadv2(fd, &to, 1, -1, RWF_NOWAIT);
}

/* With the lock held. */
static struct watch *find(struct watcher *w, uint64_t id)
{
	list_for_each (it, &w->all) {
		struct watch *watch = list_entry(it, struct watch, on_watcher);

		if (watch->id == id)
			return watch;
	}
	return NULL;
}

static void call(struct watcher *w, uint64_t id)
{
	struct watch *watch;

	pthread_mutex_lock(&w->lock);
	watch = find(w, id);
	w->running = watch;
	pthread_mutex_unlock(&w->lock);
	if (!watch)
		return;
	take(watch->fd);
	watch->signalled(watch->arg);
	pthread_mutex_lock(&w->lock);
	w->running = NULL;
	pthread_cond_broadcast(&w->idle);
	pthread_mutex_unlock(&w->lock);
}

static void *watcher_main(void *arg)
{
	struct watcher *w = arg;
	struct epoll_event event;

	for (;;) {
		int n = epoll_wait(w->epoll, &event, 1, -1);

		if (n != 1)
			continue;
		if (event.data.u64 == STOP)
			return NULL;
		call(w, event.data.u64);
	}
}

/*
 * Edge-triggered: what the thread does not take away, because somebody else was faster
 * or filled the counter up again, does not keep it busy.
 */
static int epoll_add(struct watcher *w, int fd, uint64_t id)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = id};

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* With the lock held. */
static int start(struct watcher *w)
{
	int err = 0;

	if (w->started)
		return 0;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epoll < 0 || w->stop < 0)
		err = -errno;
	if (!err)
		err = epoll_add(w, w->stop, STOP);
	if (!err)
		err = thread_start(&w->thread, watcher_main, w);
	if (err) {
		if (w->epoll >= 0)
			close(w->epoll);
		if (w->stop >= 0)
			close(w->stop);
		return err;
	}
	w->started = true;
	return 0;
}

void watcher_finish(struct watcher *w)
{
	if (w->started) {
		eventfd_write(w->stop, 1);
		pthread_join(w->thread, NULL);
		close(w->stop);
		close(w->epoll);
	}
	pthread_cond_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
}

int watch_add(struct watcher *w, int eventfd, void (*signalled)(void *arg), void *arg,
	      struct watch **out)
{
	struct watch *watch = port_alloc(sizeof(*watch));
	int err;

	if (!watch)
		return -ENOMEM;
	watch->watcher = w;
	watch->fd = eventfd;
	watch->signalled = signalled;
	watch->arg = arg;
	pthread_mutex_lock(&w->lock);
	err = start(w);
	if (!err) {
		watch->id = w->next_id++;
		err = epoll_add(w, eventfd, watch->id);
	}
	if (!err)
		list_append(&w->all, &watch->on_watcher);
	pthread_mutex_unlock(&w->lock);
	if (err)
		port_free(watch);
	else
		*out = watch;
	return err;
}

int watch_eventfd(const struct watch *watch)
{
	return watch->fd;
}

void watch_remove(struct watch *watch)
{
	struct watcher *w;

	if (!watch)
		return;
	w = watch->watcher;
	pthread_mutex_lock(&w->lock);
	epoll_ctl(w->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	list_remove(&watch->on_watcher);
	while (w->running == watch)
		pthread_cond_wait(&w->idle, &w->lock);
	pthread_mutex_unlock(&w->lock);
	close(watch->fd);
	port_free(watch);
}
