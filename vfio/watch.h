/* SPDX-License-Identifier: MIT */
/*
 * Eventfds of clients that we listen to: one that unmasks INTx, one for each ioeventfd.
 *
 * A device has one watcher; its thread is started with the first watch. When an eventfd
 * is signalled, its counter is taken, and the function is called by the thread with no
 * lock held. Signals that come faster than calls return are one call, as an eventfd's
 * reader sees them. Reading never blocks, whatever others do with the eventfd.
 *
 * The watcher's lock is a leaf. watch_remove() waits for a call that is under way, so it
 * must not be called with a lock held that the function takes.
 */
#ifndef VFIO_WATCH_H
#define VFIO_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

struct watch;

struct watcher {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* `running` has changed */
	struct list all;
	uint64_t next_id;
	struct watch *running; /* whose function is being called */
	bool started;
	int epoll, stop; /* while started */
	pthread_t thread;
};

void watcher_init(struct watcher *w);
/* Nothing is watched any more. */
void watcher_finish(struct watcher *w);
/*
 * @eventfd is ours, and taken over on success. If it is signalled already, that counts.
 * -ENOMEM, -EMFILE, -EAGAIN.
 */
int watch_add(struct watcher *w, int eventfd, void (*signalled)(void *arg), void *arg,
	      struct watch **out);
/* The eventfd, which stays the watch's. */
int watch_eventfd(const struct watch *watch);
/* When it returns the function is not running and will not be. Takes NULL. */
void watch_remove(struct watch *watch);

#endif
