/* SPDX-License-Identifier: MIT */
/*
 * See notify.h.
 *
 * A thread waiting in SECCOMP_IOCTL_NOTIF_RECV cannot be told to stop except by a
 * signal (Linux before 6.11 does not even wake it when the last client has gone), so
 * notify_destroy() sends one to each until all have ended: a signal that comes between
 * the look at `stop` and the ioctl is lost, hence again and again.
 *
 * `lock` guards the list of threads; the counters are atomics.
 */
#include "host/notify.h"

#include <errno.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/port.h"
#include "host/call.h"
#include "host/host.h"
#include "machine/files.h"
#include "machine/machine.h"

/* Linux 6.6; bookworm's headers do not know them. */
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

#define WAKE_SIGNAL SIGURG
#define STACK_BYTES ((size_t)256 * 1024)
#define MAX_NR      512

struct notify {
	struct host *host;
	int listener;
	struct seccomp_notif_sizes sizes;
	atomic_bool stop;
	atomic_int idle; /* threads waiting for a call */
	atomic_int alive;
	pthread_mutex_t lock;
	pthread_t threads[NOTIFY_MAX_THREADS];
	int nr_threads;
	/* By system call number, 1 + the index in call_table. */
	unsigned char serve[MAX_NR];
};

static const struct call_entry *entry_of(const struct notify *n, int nr)
{
	unsigned i = nr >= 0 && nr < MAX_NR ? n->serve[nr] : 0;

	return i ? &call_table[i - 1] : NULL;
}

static void answer(struct notify *n, struct seccomp_notif_resp *resp, __u64 id,
		   long result)
{
	memset(resp, 0, n->sizes.seccomp_notif_resp);
	resp->id = id;
	if (result == CALL_PROCEED)
		resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (result < 0)
		resp->error = (__s32)result;
	else
		resp->val = result;
	/* Fails when the client was killed meanwhile; then nobody waits. */
	ioctl(n->listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
}

static void serve(struct notify *n, const struct seccomp_notif *req,
		  struct seccomp_notif_resp *resp)
{
	const struct call_entry *e = entry_of(n, req->data.nr);
	long result = CALL_PROCEED;
	struct call c;

	call_init(&c, n->host, n->listener, req);
	if (e)
		result = e->serve(&c);
	answer(n, resp, req->id, result);
	call_finish(&c);
}

static bool hung_up(const struct notify *n)
{
	struct pollfd p = {.fd = n->listener};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void add_thread(struct notify *n);

static void receive(struct notify *n, struct seccomp_notif *req,
		    struct seccomp_notif_resp *resp)
{
	while (!n->stop) {
		memset(req, 0, n->sizes.seccomp_notif);
		if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_RECV, req)) {
			/* ENOENT: the caller was killed first, or there are none left. */
			if (errno == EINTR || (errno == ENOENT && !hung_up(n)))
				continue;
			return;
		}
		if (atomic_fetch_sub(&n->idle, 1) == 1)
			add_thread(n);
		serve(n, req, resp);
		atomic_fetch_add(&n->idle, 1);
	}
}

static void *thread_main(void *arg)
{
	struct notify *n = arg;
	struct seccomp_notif *req = calloc(1, n->sizes.seccomp_notif);
	struct seccomp_notif_resp *resp = calloc(1, n->sizes.seccomp_notif_resp);

	if (req && resp)
		receive(n, req, resp);
	free(req);
	free(resp);
	atomic_fetch_sub(&n->idle, 1);
	atomic_fetch_sub(&n->alive, 1);
	return NULL;
}

/* Lock held. */
static int start_thread(struct notify *n)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	atomic_fetch_add(&n->idle, 1);
	atomic_fetch_add(&n->alive, 1);
	err = pthread_create(&n->threads[n->nr_threads], &attr, thread_main, n);
	pthread_attr_destroy(&attr);
	if (err) {
		atomic_fetch_sub(&n->idle, 1);
		atomic_fetch_sub(&n->alive, 1);
		return -err;
	}
	n->nr_threads++;
	return 0;
}

/* The last idle thread goes to work. Without a new one, calls wait for it: no harm. */
static void add_thread(struct notify *n)
{
	pthread_mutex_lock(&n->lock);
	if (!n->stop && n->nr_threads < NOTIFY_MAX_THREADS)
		start_thread(n);
	pthread_mutex_unlock(&n->lock);
}

static void woken(int sig)
{
}

int notify_create(struct host *host, int listener, struct notify **out)
{
	struct sigaction sa = {.sa_handler = woken};
	struct notify *n = calloc(1, sizeof(*n));
	int err = -ENOMEM;

	if (!n)
		goto fail;
	n->host = host;
	n->listener = listener;
	pthread_mutex_init(&n->lock, NULL);
	for (size_t i = 0; i < call_table_entries; i++)
		n->serve[call_table[i].nr] = (unsigned char)(i + 1);
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &n->sizes)) {
		err = -errno;
		goto fail;
	}
	/* What newer kernels add must not shrink what we use. */
	if (n->sizes.seccomp_notif < sizeof(struct seccomp_notif))
		n->sizes.seccomp_notif = sizeof(struct seccomp_notif);
	if (n->sizes.seccomp_notif_resp < sizeof(struct seccomp_notif_resp))
		n->sizes.seccomp_notif_resp = sizeof(struct seccomp_notif_resp);
	/* Halves the round trip where the kernel has it. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
	      (unsigned long)SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	sigaction(WAKE_SIGNAL, &sa, NULL);
	pthread_mutex_lock(&n->lock);
	err = start_thread(n);
	pthread_mutex_unlock(&n->lock);
	if (err)
		goto fail;
	*out = n;
	return 0;

fail:
	close(listener);
	free(n);
	return err;
}

void notify_destroy(struct notify *n)
{
	if (!n)
		return;
	/* Under the lock, so that no thread is added behind our back. */
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_mutex_unlock(&n->lock);
	while (n->alive) {
		for (int i = 0; i < n->nr_threads; i++)
			pthread_kill(n->threads[i], WAKE_SIGNAL);
		if (n->alive)
			usleep(1000);
	}
	for (int i = 0; i < n->nr_threads; i++)
		pthread_join(n->threads[i], NULL);
	close(n->listener);
	pthread_mutex_destroy(&n->lock);
	free(n);
}
