/* SPDX-License-Identifier: MIT */
/*
 * See process.h.
 *
 * Address spaces. A process keeps one memory_space for all its maps until it calls
 * execve(2), of which the filter tells us before it happens. An exec may fail, and other
 * threads run on meanwhile, so from then on each call gets a space of its own, which is
 * always right and merely shares nothing, until it is known how the exec ended: the
 * thread that made it has made another call, or is no more (a successful exec gives its
 * thread the process's own number).
 *
 * Locks: table.lock, a leaf; process.lock guards @space and @exec_tid and is held over
 * opening files in /proc.
 */
#include "host/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/list.h"
#include "core/port.h"
#include "host/call.h"
#include "host/space.h"
#include "machine/memory.h"

#define BUCKETS      256
#define THREAD_CACHE 1024

/* More than one exec is under way: never trust a remembered space again. */
#define EXEC_MANY ((pid_t)-1)

/* pidfd_open(2) on a thread, Linux 6.9; the value is O_EXCL. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

struct process {
	struct list on_bucket;
	pid_t tgid;
	uint32_t serial; /* tells it from another with the same tgid */
	int pidfd;
	_Atomic unsigned refs;
	atomic_bool dead; /* its number may stand for somebody else */
	pthread_mutex_t lock;
	struct memory_space *space;
	pid_t exec_tid; /* the thread that called execve(2); 0: none */
};

struct thread_entry {
	pid_t tid, tgid;
};

struct process_table {
	pthread_mutex_t lock;
	int epoll;
	uint32_t next_serial;
	size_t count;
	atomic_bool warned;
	struct list buckets[BUCKETS];
	struct thread_entry threads[THREAD_CACHE];
};

int process_table_create(struct process_table **out)
{
	struct process_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll < 0) {
		int err = -errno;

		free(t);
		return err;
	}
	pthread_mutex_init(&t->lock, NULL);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&t->buckets[i]);
	*out = t;
	return 0;
}

static struct list *bucket(struct process_table *t, pid_t tgid)
{
	return &t->buckets[(unsigned)tgid % BUCKETS];
}

static struct process *find(struct process_table *t, pid_t tgid)
{
	list_for_each (it, bucket(t, tgid)) {
		struct process *p = list_entry(it, struct process, on_bucket);

		if (p->tgid == tgid && !p->dead)
			return p;
	}
	return NULL;
}

static void unlink_process(struct process_table *t, struct process *p)
{
	list_remove(&p->on_bucket);
	t->count--;
}

void process_table_destroy(struct process_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		list_for_each_safe (it, &t->buckets[i]) {
			struct process *p = list_entry(it, struct process, on_bucket);

			unlink_process(t, p);
			process_put(p);
		}
	}
	close(t->epoll);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int process_table_fd(const struct process_table *t)
{
	return t->epoll;
}

static void end_process(struct process_table *t, pid_t tgid, uint32_t serial)
{
	struct process *found = NULL;

	pthread_mutex_lock(&t->lock);
	list_for_each (it, bucket(t, tgid)) {
		struct process *p = list_entry(it, struct process, on_bucket);

		if (p->tgid == tgid && p->serial == serial) {
			found = p;
			unlink_process(t, p);
			break;
		}
	}
	pthread_mutex_unlock(&t->lock);
	if (!found)
		return;
	epoll_ctl(t->epoll, EPOLL_CTL_DEL, found->pidfd, NULL);
	process_put(found);
}

void process_table_event(struct process_table *t)
{
	struct epoll_event ev[16];
	int n = epoll_wait(t->epoll, ev, ARRAY_LEN(ev), 0);

	for (int i = 0; i < n; i++)
		end_process(t, (pid_t)(ev[i].data.u64 >> 32), (uint32_t)ev[i].data.u64);
}

size_t process_table_count(struct process_table *t)
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	n = t->count;
	pthread_mutex_unlock(&t->lock);
	return n;
}

void process_put(struct process *p)
{
	if (!p || --p->refs)
		return;
	memory_space_put(p->space);
	close(p->pidfd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

pid_t process_id(const struct process *p)
{
	return p->tgid;
}

/* ---- finding ------------------------------------------------------------------ */

static bool is_thread_of(pid_t tgid, pid_t tid)
{
	return !syscall(SYS_tgkill, tgid, tid, 0) || errno != ESRCH;
}

static struct process *find_remembered(struct process_table *t, pid_t tid)
{
	const struct thread_entry *e = &t->threads[(unsigned)tid % THREAD_CACHE];
	struct process *p;

	pthread_mutex_lock(&t->lock);
	p = find(t, tid);
	if (!p && e->tid == tid && is_thread_of(e->tgid, tid))
		p = find(t, e->tgid);
	if (p)
		p->refs++;
	pthread_mutex_unlock(&t->lock);
	return p;
}

static pid_t read_tgid(pid_t tid)
{
	char path[32], line[128];
	int tgid = -ESRCH;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = fopen(path, "re");
	if (!f)
		return errno == EMFILE ? -EMFILE : -ESRCH;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	fclose(f);
	return tgid;
}

static int create(pid_t tgid, struct process **out)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->pidfd = (int)syscall(SYS_pidfd_open, tgid, 0);
	if (p->pidfd < 0) {
		int err = -errno;

		free(p);
		return err;
	}
	p->tgid = tgid;
	p->refs = 1;
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return 0;
}

/* Puts @p into the table, or, if another thread was faster, drops it for theirs. */
static struct process *enter(struct process_table *t, struct process *p, pid_t tid)
{
	struct process *old;
	struct epoll_event ev = {.events = EPOLLIN};

	pthread_mutex_lock(&t->lock);
	t->threads[(unsigned)tid % THREAD_CACHE] = (struct thread_entry){tid, p->tgid};
	old = find(t, p->tgid);
	if (old) {
		old->refs++;
		pthread_mutex_unlock(&t->lock);
		process_put(p);
		return old;
	}
	p->serial = t->next_serial++;
	ev.data.u64 = (uint64_t)(uint32_t)p->tgid << 32 | p->serial;
	/* Without a watch it is not remembered: the caller's reference is all it has. */
	if (!epoll_ctl(t->epoll, EPOLL_CTL_ADD, p->pidfd, &ev)) {
		list_append(bucket(t, p->tgid), &p->on_bucket);
		p->refs++;
		t->count++;
	}
	pthread_mutex_unlock(&t->lock);
	return p;
}

int process_of_call(struct process_table *t, struct call *c, struct process **out)
{
	struct process *p = find_remembered(t, c->tid);
	pid_t tgid;
	int err;

	*out = p;
	if (p)
		return 0;
	tgid = read_tgid(c->tid);
	if (tgid < 0)
		return tgid;
	err = create(tgid, &p);
	if (err)
		return err;
	/* The caller still waits, so all this was about it and nobody else. */
	if (!call_alive(c)) {
		process_put(p);
		return -ESRCH;
	}
	*out = enter(t, p, c->tid);
	return 0;
}

static bool has_ended(const struct process *p)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

uint64_t process_serial(const struct process *p)
{
	return p->serial;
}

int process_get_fd(struct process *p, int fd)
{
	int ours = (int)syscall(SYS_pidfd_getfd, p->pidfd, fd, 0);
	int err = -errno;

	if (ours >= 0)
		return ours;
	/* Also the answer when only the first thread has ended. */
	if (err == -ESRCH && has_ended(p))
		p->dead = true;
	return err;
}

int process_get_thread_fd(pid_t tid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	int ours;

	if (pidfd < 0)
		return -EBADF;
	ours = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	return ours < 0 ? -EBADF : ours;
}

/* ---- address spaces ----------------------------------------------------------- */

void process_execs(struct process_table *t, pid_t tid)
{
	struct process *p = NULL;
	pid_t tgid;

	if (!process_table_count(t))
		return;
	tgid = read_tgid(tid);
	if (tgid < 0)
		return;
	pthread_mutex_lock(&t->lock);
	p = find(t, tgid);
	if (p)
		p->refs++;
	pthread_mutex_unlock(&t->lock);
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->exec_tid = p->exec_tid && p->exec_tid != tid ? EXEC_MANY : tid;
	memory_space_put(p->space);
	p->space = NULL;
	pthread_mutex_unlock(&p->lock);
	process_put(p);
}

/* Is it known by now how the exec ended? */
static bool exec_settled(const struct process *p, pid_t caller)
{
	if (!p->exec_tid || p->exec_tid == caller)
		return true;
	if (p->exec_tid == EXEC_MANY || p->exec_tid == p->tgid)
		return false;
	return !is_thread_of(p->tgid, p->exec_tid);
}

int process_space(struct process *p, struct call *c, struct memory_space **out)
{
	bool settled;
	int err = 0;

	pthread_mutex_lock(&p->lock);
	settled = exec_settled(p, c->tid);
	if (settled)
		p->exec_tid = 0;
	if (p->space) {
		*out = p->space;
		memory_space_get(*out);
		goto out;
	}
	err = space_create(p->tgid, c->tid, out);
	if (err)
		goto out;
	if (!call_alive(c)) {
		memory_space_put(*out);
		err = -ESRCH;
	} else if (settled) {
		p->space = *out;
		memory_space_get(*out);
	}
out:
	pthread_mutex_unlock(&p->lock);
	return err;
}

bool process_warn_once(struct process_table *t)
{
	return !atomic_exchange(&t->warned, true);
}
