/* SPDX-License-Identifier: MIT */
/*
 * See tracer.h.
 *
 * The thread waits for children and does what each stop asks for. It keeps an entry for
 * each thread that has accessed registers, found by its number, until the thread ends or
 * its program is replaced; both are reported to it before the number can mean anything
 * else. The entries are the thread's own; `lock` guards how the first process ended.
 *
 * Waiting in the kernel and being woken costs more than serving an access does, and
 * accesses come in bunches: after one the thread looks for the next for a while without
 * sleeping, if there is another CPU for the client to run on.
 */
#include "host/tracer.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/list.h"
#include "core/port.h"
#include "host/host.h"
#include "host/mmio_fault.h"

#define BUCKETS 256
#define SPIN_NS 50000

#define OPTIONS                                                                          \
	(PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |                \
	 PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT)

struct entry {
	struct list on_bucket;
	struct tracee tracee;
};

struct tracer {
	struct host *host;
	pid_t first;
	int event;
	bool may_spin;
	pthread_t thread;
	bool joined; /* the creator's own */
	sem_t started;
	int error; /* of the start; set before `started` */

	pthread_mutex_t lock;
	bool ended;
	int status;

	struct list buckets[BUCKETS];
};

/* ---- threads ---------------------------------------------------------------------- */

static struct list *bucket(struct tracer *t, pid_t tid)
{
	return &t->buckets[(unsigned)tid % BUCKETS];
}

static struct entry *find(struct tracer *t, pid_t tid)
{
	list_for_each (it, bucket(t, tid)) {
		struct entry *e = list_entry(it, struct entry, on_bucket);

		if (e->tracee.tid == tid)
			return e;
	}
	return NULL;
}

static struct entry *find_or_add(struct tracer *t, pid_t tid)
{
	struct entry *e = find(t, tid);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->tracee = (struct tracee){.tid = tid, .maps = -1};
	list_append(bucket(t, tid), &e->on_bucket);
	return e;
}

static void forget(struct tracer *t, pid_t tid)
{
	struct entry *e = find(t, tid);

	if (!e)
		return;
	list_remove(&e->on_bucket);
	tracee_finish(&e->tracee);
	free(e);
}

/* ---- stops ------------------------------------------------------------------------ */

static void thread_ended(struct tracer *t, pid_t tid, int status)
{
	const uint64_t one = 1;

	forget(t, tid);
	if (tid != t->first)
		return;
	pthread_mutex_lock(&t->lock);
	if (!t->ended) {
		t->ended = true;
		t->status = status;
	}
	pthread_mutex_unlock(&t->lock);
	/* Room for 2^64 - 2 of them. */
	if (write(t->event, &one, sizeof(one)) < 0)
		return;
}

/* A program is replaced: by the thread whose number was @former, now @tid. */
static void program_replaced(struct tracer *t, pid_t tid)
{
	unsigned long former;

	if (!ptrace(PTRACE_GETEVENTMSG, tid, 0, &former))
		forget(t, (pid_t)former);
	forget(t, tid);
}

static bool is_stop_signal(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* A signal is about to be delivered: which one is to be? */
static int signal_for(struct tracer *t, pid_t tid, int sig)
{
	struct entry *e;

	if (sig != SIGBUS && sig != SIGILL && sig != SIGSEGV)
		return sig;
	e = find_or_add(t, tid);
	return e ? mmio_fault_serve(t->host, &e->tracee, sig) : sig;
}

/* True: it was an access to registers. */
static bool thread_stopped(struct tracer *t, pid_t tid, int status)
{
	int event = status >> 16, sig = WSTOPSIG(status), deliver = 0;

	/* The whole process stops, by job control: it does so until it is continued. */
	if (event == PTRACE_EVENT_STOP && is_stop_signal(sig)) {
		ptrace(PTRACE_LISTEN, tid, 0, 0);
		return false;
	}
	/*
	 * From its end on it has to be there for its parent's wait alone: one that a
	 * pidfd told of the end asks with WNOHANG, and believes the answer.
	 */
	if (event == PTRACE_EVENT_EXIT && tid != t->first) {
		forget(t, tid);
		ptrace(PTRACE_DETACH, tid, 0, 0);
		return false;
	}
	if (event == PTRACE_EVENT_EXEC)
		program_replaced(t, tid);
	if (!event)
		deliver = signal_for(t, tid, sig);
	/* Fails if it has been killed; then its end will be reported. */
	ptrace(PTRACE_CONT, tid, 0, (unsigned long)deliver);
	return !event && !deliver;
}

/* ---- waiting ---------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* As waitpid(2); without sleeping for a while if @busy. */
static pid_t wait_for_child(bool busy, int *status)
{
	uint64_t until = busy ? now_ns() + SPIN_NS : 0;
	pid_t tid = 0;

	while (busy && !tid) {
		tid = waitpid(-1, status, __WALL | WNOHANG);
		busy = now_ns() < until;
	}
	while (!tid || (tid < 0 && errno == EINTR))
		tid = waitpid(-1, status, __WALL);
	return tid;
}

static void trace(struct tracer *t)
{
	bool busy = false;
	int status;
	pid_t tid;

	while ((tid = wait_for_child(busy && t->may_spin, &status)) > 0) {
		busy = false;
		if (WIFSTOPPED(status))
			busy = thread_stopped(t, tid, status);
		else
			thread_ended(t, tid, status);
	}
}

static void *tracer_main(void *arg)
{
	struct tracer *t = arg;

	if (ptrace(PTRACE_SEIZE, t->first, 0, (unsigned long)OPTIONS))
		t->error = -errno;
	sem_post(&t->started);
	if (!t->error)
		trace(t);
	return NULL;
}

/* ----------------------------------------------------------------------------------- */

static void release(struct tracer *t)
{
	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe (it, &t->buckets[i])
			forget(t, list_entry(it, struct entry, on_bucket)->tracee.tid);
	if (t->event >= 0)
		close(t->event);
	sem_destroy(&t->started);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static int start(struct tracer *t)
{
	int err;

	t->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->event < 0)
		return -errno;
	err = -pthread_create(&t->thread, NULL, tracer_main, t);
	if (err)
		return err;
	while (sem_wait(&t->started) && errno == EINTR)
		;
	if (t->error)
		pthread_join(t->thread, NULL);
	return t->error;
}

int tracer_create(struct host *host, pid_t pid, struct tracer **out)
{
	/* Or each stop would wake the main thread. */
	const struct sigaction ends_only = {.sa_handler = SIG_DFL,
					    .sa_flags = SA_NOCLDSTOP};
	struct tracer *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->host = host;
	t->first = pid;
	t->event = -1;
	t->may_spin = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	sem_init(&t->started, 0, 0);
	pthread_mutex_init(&t->lock, NULL);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&t->buckets[i]);
	sigaction(SIGCHLD, &ends_only, NULL);
	err = start(t);
	if (err) {
		release(t);
		return err;
	}
	*out = t;
	return 0;
}

int tracer_fd(const struct tracer *t)
{
	return t->event;
}

bool tracer_has_ended(struct tracer *t, int *status)
{
	bool ended;

	pthread_mutex_lock(&t->lock);
	ended = t->ended;
	*status = t->status;
	pthread_mutex_unlock(&t->lock);
	return ended;
}

void tracer_wait(struct tracer *t)
{
	if (!t->joined)
		pthread_join(t->thread, NULL);
	t->joined = true;
}

void tracer_destroy(struct tracer *t)
{
	if (!t)
		return;
	tracer_wait(t);
	release(t);
}
