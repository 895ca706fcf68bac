/* SPDX-License-Identifier: MIT */
/* The gate (see gate.h): a mutual exclusion that some of those who wait can leave. */
#include "vfio/gate.h"

#include <errno.h>
#include <time.h>

int gate_init(struct gate *g)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr))
		return -ENOMEM;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, &attr);
	pthread_condattr_destroy(&attr);
	g->busy = false;
	g->shut = true;
	return 0;
}

void gate_finish(struct gate *g)
{
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
}

static void take(struct gate *g)
{
	g->busy = true;
	g->owner = pthread_self();
}

void gate_enter(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	while (g->busy)
		pthread_cond_wait(&g->changed, &g->lock);
	take(g);
	pthread_mutex_unlock(&g->lock);
}

static struct timespec deadline(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += GATE_TIMEOUT_MS % 1000 * 1000000L;
	t.tv_sec += GATE_TIMEOUT_MS / 1000 + t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	return t;
}

/* With the lock held. */
static bool wait_for_turn(struct gate *g)
{
	struct timespec until;

	if (g->shut)
		return false;
	if (!g->busy)
		return true;
	if (pthread_equal(g->owner, pthread_self()))
		return false;
	until = deadline();
	while (g->busy && !g->shut) {
		if (pthread_cond_timedwait(&g->changed, &g->lock, &until) == ETIMEDOUT)
			break;
	}
	return !g->busy && !g->shut;
}

bool gate_enter_peer(struct gate *g)
{
	bool entered;

	pthread_mutex_lock(&g->lock);
	entered = wait_for_turn(g);
	if (entered)
		take(g);
	pthread_mutex_unlock(&g->lock);
	return entered;
}

void gate_leave(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->busy = false;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

void gate_shut(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->shut = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

void gate_open(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->shut = false;
	pthread_mutex_unlock(&g->lock);
}
