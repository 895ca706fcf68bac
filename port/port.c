/* SPDX-License-Identifier: MIT */
/*
 * The hosted port of core/port.h: allocation, locks and diagnostics on libc and
 * pthreads. page_pool.c has the table pages, rcu.c the DMA sections, guard.c the guarded
 * copies.
 *
 * The only state here that no object owns is what C itself has per thread or process:
 * the thread's countdown to a fault (fault_inject.h) and the count of reported bugs.
 *
 * Locks cannot fail: they are initialised with attributes that never allocate, and a
 * pthread error afterwards can only be misuse, which is reported as a bug.
 */
#include "port/port.h"
#include "port/fault_inject.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- allocation ------------------------------------------------------------- */

/* Points of these kinds until the one that fails; 0: none will. */
static _Thread_local unsigned long fail_countdown
	__attribute__((tls_model("initial-exec")));
static _Thread_local unsigned fail_kinds, fail_exempt;
static _Thread_local bool fail_happened;

void port_fail_nth_of(unsigned kinds, unsigned long n)
{
	fail_kinds = kinds;
	fail_countdown = n;
	fail_happened = false;
}

void port_fail_nth(unsigned long n)
{
	port_fail_nth_of(PORT_FAIL_ALLOC, n);
}

bool port_fail_nth_stop(void)
{
	bool happened = fail_happened;

	port_fail_nth(0);
	return happened;
}

unsigned long port_fail_nth_left(void)
{
	return fail_countdown;
}

unsigned port_fail_exempt(unsigned kinds)
{
	unsigned former = fail_exempt;

	fail_exempt = kinds;
	return former;
}

bool port_fail_now(enum port_fail_point kind)
{
	if (__builtin_expect(fail_countdown == 0, 1))
		return false;
	if (!(kind & fail_kinds & ~fail_exempt))
		return false;
	if (--fail_countdown > 0)
		return false;
	fail_happened = true;
	return true;
}

void *port_alloc(size_t size)
{
	if (port_fail_now(PORT_FAIL_ALLOC))
		return NULL;
	return calloc(1, size);
}

void port_free(void *p)
{
	free(p);
}

/* ---- locks -------------------------------------------------------------------- */

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct port_mutex) &&
		       _Alignof(pthread_mutex_t) <= _Alignof(struct port_mutex),
	       "pthread_mutex_t fits");
_Static_assert(sizeof(pthread_rwlock_t) <= sizeof(struct port_rwlock) &&
		       _Alignof(pthread_rwlock_t) <= _Alignof(struct port_rwlock),
	       "pthread_rwlock_t fits");

static pthread_mutex_t *mutex(struct port_mutex *m)
{
	return (pthread_mutex_t *)(void *)m->opaque;
}

static pthread_rwlock_t *rwlock(struct port_rwlock *l)
{
	return (pthread_rwlock_t *)(void *)l->opaque;
}

void port_mutex_init(struct port_mutex *m)
{
	PORT_BUG_ON(pthread_mutex_init(mutex(m), NULL) != 0);
}

void port_mutex_finish(struct port_mutex *m)
{
	PORT_BUG_ON(pthread_mutex_destroy(mutex(m)) != 0);
}

void port_mutex_lock(struct port_mutex *m)
{
	PORT_BUG_ON(pthread_mutex_lock(mutex(m)) != 0);
}

void port_mutex_unlock(struct port_mutex *m)
{
	PORT_BUG_ON(pthread_mutex_unlock(mutex(m)) != 0);
}

void port_rwlock_init(struct port_rwlock *l)
{
	pthread_rwlockattr_t attr;

	PORT_BUG_ON(pthread_rwlockattr_init(&attr) != 0);
#ifdef __GLIBC__
	/* glibc lets readers pass a waiting writer unless told otherwise. */
	pthread_rwlockattr_setkind_np(&attr,
				      PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
	PORT_BUG_ON(pthread_rwlock_init(rwlock(l), &attr) != 0);
	pthread_rwlockattr_destroy(&attr);
}

void port_rwlock_finish(struct port_rwlock *l)
{
	PORT_BUG_ON(pthread_rwlock_destroy(rwlock(l)) != 0);
}

void port_rwlock_read_lock(struct port_rwlock *l)
{
	PORT_BUG_ON(pthread_rwlock_rdlock(rwlock(l)) != 0);
}

void port_rwlock_read_unlock(struct port_rwlock *l)
{
	PORT_BUG_ON(pthread_rwlock_unlock(rwlock(l)) != 0);
}

void port_rwlock_write_lock(struct port_rwlock *l)
{
	PORT_BUG_ON(pthread_rwlock_wrlock(rwlock(l)) != 0);
}

void port_rwlock_write_unlock(struct port_rwlock *l)
{
	PORT_BUG_ON(pthread_rwlock_unlock(rwlock(l)) != 0);
}

void port_yield(void)
{
	sched_yield();
}

/* ---- diagnostics -------------------------------------------------------------- */

static _Atomic unsigned long bugs;

void port_bug(const char *file, int line, const char *what)
{
	atomic_fetch_add(&bugs, 1);
	fprintf(stderr, "uiommufd: bug at %s:%d: %s\n", file, line, what);
}

unsigned long port_bug_count(void)
{
	return atomic_load(&bugs);
}
