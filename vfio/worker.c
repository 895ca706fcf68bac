/* SPDX-License-Identifier: MIT */
/*
 * A device's own thread: uiommufd_worker_*.
 *
 * `pending` says that `run` is wanted; a kick sets it, the thread takes it before it
 * calls `run`. `running` is set around `run`; `pauses` counts those who want it not to
 * be called. The two make a handshake: the thread sets `running`, then looks at
 * `pauses`; a pauser raises `pauses`, then looks at `running`. All of it is sequentially
 * consistent, so at least one of them sees the other. The same holds for `pending` and
 * `asleep` between the kicker and the thread about to sleep.
 *
 * `run` is called with no lock held. The lock guards nothing but the two waits; kick
 * takes it only if the thread sleeps.
 *
 * Bursts (core/port.h) are for `run` only, and end with it at the latest: a worker that
 * spins, sleeps, or is paused is not waited for by anybody who takes memory away.
 *
 * Before it sleeps the thread watches `pending` for a while, since waking it costs more
 * than most jobs take: the more often a kick came in that time lately, the longer.
 * With one CPU it does not.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/port.h"
#include "uiommufd/device.h"
#include "vfio/thread.h"
#include "vfio/worker.h"

/* Rounds of looking at `pending`, some 10 ns each. */
#define SPIN_MIN 32
#define SPIN_MAX 4096

struct uiommufd_worker {
	struct uiommufd_device *dev;
	struct list on_device;
	bool (*run)(void *arg);
	void *arg;
	atomic_bool pending;
	atomic_bool running;
	atomic_bool asleep;
	atomic_bool stop;
	atomic_uint pauses;
	pthread_mutex_t lock;
	pthread_cond_t wake;     /* the thread waits for a kick, a resume or the end */
	pthread_cond_t quiet;    /* pausers wait for `running` to fall */
	unsigned spin, spin_max; /* the thread's own */
	pthread_t thread;
};

/* Is this thread in a worker's `run`? */
static _Thread_local bool in_run;

/* Is there anything for the thread to do? @again: `run` asked for another call. */
static bool wanted(struct uiommufd_worker *w, bool again)
{
	if (atomic_load(&w->stop))
		return true;
	return !atomic_load(&w->pauses) && (again || atomic_load(&w->pending));
}

static void wake_thread(struct uiommufd_worker *w)
{
	if (!atomic_load(&w->asleep))
		return;
	pthread_mutex_lock(&w->lock);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

static void tell_pausers(struct uiommufd_worker *w)
{
	pthread_mutex_lock(&w->lock);
	pthread_cond_broadcast(&w->quiet);
	pthread_mutex_unlock(&w->lock);
}

static void wait_for_work(struct uiommufd_worker *w, bool again)
{
	for (unsigned i = 0; i < w->spin && !atomic_load(&w->pauses); i++) {
		if (wanted(w, again)) {
			if (w->spin * 2 <= w->spin_max)
				w->spin *= 2;
			return;
		}
		cpu_relax();
	}
	if (w->spin / 2 >= SPIN_MIN)
		w->spin /= 2;

	pthread_mutex_lock(&w->lock);
	atomic_store(&w->asleep, true);
	while (!wanted(w, again))
		pthread_cond_wait(&w->wake, &w->lock);
	atomic_store(&w->asleep, false);
	pthread_mutex_unlock(&w->lock);
}

static bool call_run(struct uiommufd_worker *w)
{
	bool again;

	in_run = true;
	again = w->run(w->arg);
	in_run = false;
	port_dma_burst_end();
	return again;
}

/* Calls `run` unless paused; answers whether another call is due. */
static bool run_once(struct uiommufd_worker *w, bool again)
{
	atomic_store(&w->running, true);
	if (!atomic_load(&w->pauses)) {
		atomic_store(&w->pending, false);
		again = call_run(w);
	}
	atomic_store(&w->running, false);
	if (atomic_load(&w->pauses))
		tell_pausers(w);
	return again;
}

static void *worker_main(void *arg)
{
	struct uiommufd_worker *w = arg;
	bool again = false;

	for (;;) {
		if (!wanted(w, again))
			wait_for_work(w, again);
		if (atomic_load(&w->stop))
			return NULL;
		again = run_once(w, again);
	}
}

static void worker_free(struct uiommufd_worker *w)
{
	pthread_cond_destroy(&w->quiet);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int uiommufd_worker_create(struct uiommufd_device *dev, bool (*run)(void *arg), void *arg,
			   struct uiommufd_worker **out)
{
	struct uiommufd_worker *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->dev = dev;
	w->run = run;
	w->arg = arg;
	w->spin_max = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPIN_MAX : 0;
	w->spin = w->spin_max ? SPIN_MIN : 0;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	pthread_cond_init(&w->quiet, NULL);

	err = thread_start(&w->thread, worker_main, w);
	if (err) {
		worker_free(w);
		return err;
	}
	worker_enlist(dev, &w->on_device);
	*out = w;
	return 0;
}

struct uiommufd_worker *worker_of(struct list *on_device)
{
	return list_entry(on_device, struct uiommufd_worker, on_device);
}

void uiommufd_worker_kick(struct uiommufd_worker *w)
{
	/* A kick that is still pending covers this one: the thread has yet to look. */
	if (!atomic_exchange(&w->pending, true))
		wake_thread(w);
}

void uiommufd_worker_pause(struct uiommufd_worker *w)
{
	port_dma_rest();
	atomic_fetch_add(&w->pauses, 1);
	if (!atomic_load(&w->running))
		return;
	pthread_mutex_lock(&w->lock);
	while (atomic_load(&w->running))
		pthread_cond_wait(&w->quiet, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

void uiommufd_worker_resume(struct uiommufd_worker *w)
{
	if (atomic_fetch_sub(&w->pauses, 1) == 1)
		wake_thread(w);
}

void uiommufd_worker_destroy(struct uiommufd_worker *w)
{
	if (!w)
		return;
	port_dma_rest();
	worker_delist(w->dev, &w->on_device);
	atomic_store(&w->stop, true);
	wake_thread(w);
	pthread_join(w->thread, NULL);
	worker_free(w);
}

void uiommufd_burst_begin(void)
{
	if (in_run)
		port_dma_burst_begin();
}

void uiommufd_burst_end(void)
{
	if (in_run)
		port_dma_burst_end();
}
