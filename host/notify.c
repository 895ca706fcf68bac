/* SPDX-License-Identifier: MIT */
/*
 * See notify.h.
 *
 * A thread receives (it waits in SECCOMP_IOCTL_NOTIF_RECV), serves, or is spare (it waits
 * on `wanted`). `receiving` counts the first; `spare` and `wake`, how many spare ones are
 * to begin, are under `lock`.
 *
 * The monitor sleeps on `work` while there are no calls; whoever receives one when it is
 * asleep wakes it.
 *
 * A thread waiting for a call cannot be told to stop except by a signal (Linux before
 * 6.11 does not even wake it when the last client has gone), so notify_destroy() sends
 * one to each until all have ended: a signal that comes between the look at `stop` and
 * the ioctl is lost, hence again and again.
 */
#include "host/notify.h"

#include <errno.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/port.h"
#include "host/call.h"
#include "host/filter.h"
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

/* So many ticks without a call, and the monitor goes to sleep. */
#define IDLE_TICKS 40

struct notify {
	struct host *host;
	int listener;
	struct seccomp_notif_sizes sizes;
	atomic_bool stop;
	atomic_int receiving;
	atomic_int alive; /* threads, the monitor not counted */
	atomic_uint calls;

	pthread_mutex_t lock;
	pthread_cond_t wanted;
	int spare, wake;
	pthread_t threads[NOTIFY_MAX_THREADS];
	int nr_threads;

	pthread_t monitor;
	atomic_bool monitor_asleep;
	sem_t work;

	atomic_bool met_other_abi;
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

static void explain_other_abi(struct notify *n, pid_t pid)
{
	if (!atomic_exchange(&n->met_other_abi, true))
		complain("process %d is a 32-bit program: it sees the host's /dev and "
			 "/sys, and is not served",
			 (int)pid);
}

static void serve(struct notify *n, const struct seccomp_notif *req,
		  struct seccomp_notif_resp *resp)
{
	const struct call_entry *e = entry_of(n, req->data.nr);
	long result = CALL_PROCEED;
	struct call c;

	if (!filter_is_native(req->data.arch)) {
		explain_other_abi(n, (pid_t)req->pid);
		answer(n, resp, req->id, CALL_PROCEED);
		return;
	}
	call_init(&c, n->host, n->listener, req);
	if (e)
		result = e->serve(&c);
	if (result != CALL_ANSWERED)
		answer(n, resp, req->id, result);
	call_finish(&c);
}

static bool hung_up(const struct notify *n)
{
	struct pollfd p = {.fd = n->listener};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* ---- threads -------------------------------------------------------------------- */

/* Wait until wanted; false: the end. */
static bool stand_by(struct notify *n)
{
	bool wanted;

	pthread_mutex_lock(&n->lock);
	n->spare++;
	while (!n->wake && !n->stop)
		pthread_cond_wait(&n->wanted, &n->lock);
	n->spare--;
	wanted = n->wake;
	if (wanted)
		n->wake--;
	pthread_mutex_unlock(&n->lock);
	return wanted && !n->stop;
}

/* Next call, served. False: stop receiving. */
static bool receive(struct notify *n, struct seccomp_notif *req,
		    struct seccomp_notif_resp *resp)
{
	memset(req, 0, n->sizes.seccomp_notif);
	atomic_fetch_add(&n->receiving, 1);
	if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_RECV, req)) {
		atomic_fetch_sub(&n->receiving, 1);
		/* ENOENT: the caller was killed first, or there are none left. */
		return errno == EINTR || (errno == ENOENT && !hung_up(n));
	}
	atomic_fetch_sub(&n->receiving, 1);
	atomic_fetch_add(&n->calls, 1);
	if (n->monitor_asleep && atomic_exchange(&n->monitor_asleep, false))
		sem_post(&n->work);
	serve(n, req, resp);
	return true;
}

static void *thread_main(void *arg)
{
	struct notify *n = arg;
	struct seccomp_notif *req = calloc(1, n->sizes.seccomp_notif);
	struct seccomp_notif_resp *resp = calloc(1, n->sizes.seccomp_notif_resp);
	bool go_on = req && resp;

	while (go_on && !n->stop) {
		go_on = receive(n, req, resp);
		if (go_on && n->receiving && !n->stop)
			go_on = stand_by(n);
	}
	free(req);
	free(resp);
	atomic_fetch_sub(&n->alive, 1);
	return NULL;
}

/* Lock held. Without a new one, calls wait for the others: slow, but no harm. */
static int start_thread(struct notify *n)
{
	pthread_attr_t attr;
	int err;

	if (n->nr_threads == NOTIFY_MAX_THREADS)
		return -EAGAIN;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	atomic_fetch_add(&n->alive, 1);
	err = pthread_create(&n->threads[n->nr_threads], &attr, thread_main, n);
	pthread_attr_destroy(&attr);
	if (err) {
		atomic_fetch_sub(&n->alive, 1);
		return -err;
	}
	n->nr_threads++;
	return 0;
}

/* A call waits that nobody receives. */
static void add_receiver(struct notify *n)
{
	pthread_mutex_lock(&n->lock);
	if (n->spare > n->wake) {
		n->wake++;
		pthread_cond_signal(&n->wanted);
	} else if (!n->stop) {
		start_thread(n);
	}
	pthread_mutex_unlock(&n->lock);
}

static bool call_waits(const struct notify *n)
{
	struct pollfd p = {.fd = n->listener, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

static void wait_for_work(struct notify *n)
{
	while (sem_wait(&n->work) && errno == EINTR)
		;
}

static void *monitor_main(void *arg)
{
	struct notify *n = arg;
	unsigned seen = 0, idle = 0;

	while (!n->stop) {
		unsigned calls = n->calls;

		if (n->receiving)
			idle = calls == seen ? idle + 1 : 0;
		else if (call_waits(n))
			add_receiver(n);
		seen = calls;
		if (idle < IDLE_TICKS) {
			usleep(NOTIFY_TICK_US);
			continue;
		}
		/*
		 * A call that came before we said that we sleep was not told to wake us.
		 * One that came after has done so, or will.
		 */
		n->monitor_asleep = true;
		if ((n->calls == seen && !n->stop) ||
		    !atomic_exchange(&n->monitor_asleep, false))
			wait_for_work(n);
		idle = 0;
	}
	return NULL;
}

static void woken(int sig)
{
}

static void stop_threads(struct notify *n)
{
	/* Under the lock, so that no thread is added behind our back. */
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_broadcast(&n->wanted);
	pthread_mutex_unlock(&n->lock);
	while (n->alive) {
		for (int i = 0; i < n->nr_threads; i++)
			pthread_kill(n->threads[i], WAKE_SIGNAL);
		if (n->alive)
			usleep(200);
	}
	for (int i = 0; i < n->nr_threads; i++)
		pthread_join(n->threads[i], NULL);
}

static void release(struct notify *n)
{
	close(n->listener);
	sem_destroy(&n->work);
	pthread_cond_destroy(&n->wanted);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

static int find_sizes(struct notify *n)
{
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &n->sizes))
		return -errno;
	/* What newer kernels add must not shrink what we use. */
	if (n->sizes.seccomp_notif < sizeof(struct seccomp_notif))
		n->sizes.seccomp_notif = sizeof(struct seccomp_notif);
	if (n->sizes.seccomp_notif_resp < sizeof(struct seccomp_notif_resp))
		n->sizes.seccomp_notif_resp = sizeof(struct seccomp_notif_resp);
	return 0;
}

static int start(struct notify *n)
{
	int err;

	pthread_mutex_lock(&n->lock);
	err = start_thread(n);
	pthread_mutex_unlock(&n->lock);
	if (err)
		return err;
	err = -pthread_create(&n->monitor, NULL, monitor_main, n);
	if (err)
		stop_threads(n);
	return err;
}

int notify_create(struct host *host, int listener, struct notify **out)
{
	struct sigaction sa = {.sa_handler = woken};
	struct notify *n = calloc(1, sizeof(*n));
	int err = -ENOMEM;

	if (!n) {
		close(listener);
		return err;
	}
	n->host = host;
	n->listener = listener;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->wanted, NULL);
	sem_init(&n->work, 0, 0);
	for (size_t i = 0; i < call_table_entries; i++)
		n->serve[call_table[i].nr] = (unsigned char)(i + 1);
	/* Halves the round trip where the kernel has it. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
	      (unsigned long)SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	sigaction(WAKE_SIGNAL, &sa, NULL);
	err = find_sizes(n);
	if (!err)
		err = start(n);
	if (err) {
		release(n);
		return err;
	}
	*out = n;
	return 0;
}

void notify_destroy(struct notify *n)
{
	if (!n)
		return;
	stop_threads(n);
	sem_post(&n->work);
	pthread_join(n->monitor, NULL);
	release(n);
}
