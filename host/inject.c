/* SPDX-License-Identifier: MIT */
/*
 * See inject.h. The order matters: the thread is told to stop while it waits for our
 * answer, which is a wait that only its death ends
 * (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV); so it stops before it is back in its program.
 * Its signals are blocked meanwhile.
 */
#include "host/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/call.h"

#ifdef __x86_64__

#define SYSCALL_BYTES   2 /* of the instruction */
#define KERNEL_SIGSET   8 /* bytes of the kernel's sigset_t */
#define SYSCALL_STOP    (SIGTRAP | 0x80)
#define SIGNALS_BLOCKED UINT64_MAX

/* ---- waiting -------------------------------------------------------------------- */

static pid_t parent_of(pid_t tid)
{
	char path[32], line[128];
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	fclose(f);
	return parent;
}

/* The next stop. -ESRCH: it is dead; the main thread learns how, if that is for it. */
static int wait_stop(pid_t tid, int *status)
{
	siginfo_t si = {0};

	while (waitid(P_PID, (id_t)tid, &si, WEXITED | WSTOPPED | WNOWAIT | __WALL))
		if (errno != EINTR)
			return -ESRCH;
	if (si.si_code == CLD_TRAPPED || si.si_code == CLD_STOPPED)
		return waitpid(tid, status, __WALL) == tid ? 0 : -ESRCH;
	if (parent_of(tid) != getpid())
		waitpid(tid, status, __WALL);
	return -ESRCH;
}

/* ---- the thread ----------------------------------------------------------------- */

struct held {
	pid_t tid;
	struct user_regs_struct regs; /* as they are to be */
	uint64_t mask;                /* of its signals */
};

static int seize(pid_t tid)
{
	if (ptrace(PTRACE_SEIZE, tid, 0, (unsigned long)PTRACE_O_TRACESYSGOOD))
		return -errno;
	return ptrace(PTRACE_INTERRUPT, tid, 0, 0) ? -errno : 0;
}

static int hold(struct held *h)
{
	const uint64_t all = SIGNALS_BLOCKED;
	int status, err = wait_stop(h->tid, &status);

	if (err)
		return err;
	if (ptrace(PTRACE_GETREGS, h->tid, 0, &h->regs) ||
	    ptrace(PTRACE_GETSIGMASK, h->tid, KERNEL_SIGSET, &h->mask) ||
	    ptrace(PTRACE_SETSIGMASK, h->tid, KERNEL_SIGSET, &all))
		return -errno;
	return 0;
}

static void let_go(struct held *h)
{
	ptrace(PTRACE_SETREGS, h->tid, 0, &h->regs);
	ptrace(PTRACE_SETSIGMASK, h->tid, KERNEL_SIGSET, &h->mask);
	ptrace(PTRACE_DETACH, h->tid, 0, 0);
}

/* SIGSTOP cannot be blocked: passed on it stops the thread when that is let go. */
static int signal_of(int status)
{
	bool is_event = status >> 16;

	return is_event || WSTOPSIG(status) == SYSCALL_STOP ? 0 : WSTOPSIG(status);
}

/* Two stops at its ends; job control may stop it in between, and does so afterwards. */
static int go_through(pid_t tid)
{
	int status = 0, err = 0;

	for (int stops = 0, sig = 0; !err && stops < 2; sig = signal_of(status)) {
		if (ptrace(PTRACE_SYSCALL, tid, 0, (unsigned long)sig))
			return -errno;
		err = wait_stop(tid, &status);
		stops += !err && WSTOPSIG(status) == SYSCALL_STOP;
	}
	return err;
}

/* What the call answers is in *@result. An error: the thread is dead. */
static int make_call(struct held *h, long nr, const uint64_t args[6], long *result)
{
	struct user_regs_struct regs = h->regs;
	int err;

	regs.rip -= SYSCALL_BYTES;
	regs.rax = (unsigned long long)nr;
	regs.orig_rax = (unsigned long long)-1; /* not one to be restarted */
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	if (ptrace(PTRACE_SETREGS, h->tid, 0, &regs))
		return -errno;
	err = go_through(h->tid);
	if (!err && ptrace(PTRACE_GETREGS, h->tid, 0, &regs))
		err = -errno;
	*result = (long)regs.rax;
	return err;
}

static int make_calls(struct held *h, const struct injection *in, int fd)
{
	uint64_t args[6], close_args[6] = {(uint64_t)fd};
	long result, ignored;
	int err;

	memcpy(args, in->args, sizeof(args));
	args[in->fd_arg] = (uint64_t)fd;
	err = make_call(h, in->nr, args, &result);
	if (!err)
		err = make_call(h, SYS_close, close_args, &ignored);
	h->regs.rax = (unsigned long long)result;
	return err;
}

static int lend(struct call *c, int fd)
{
	struct seccomp_notif_addfd add = {
		.id = c->id, .srcfd = (__u32)fd, .newfd_flags = O_CLOEXEC};
	int n = ioctl(c->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

	return n < 0 ? -errno : n;
}

static void answer(struct call *c, int error)
{
	struct seccomp_notif_resp resp = {.id = c->id, .error = error};

	/* Fails when it was killed meanwhile. */
	ioctl(c->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

/* Does a call that we have received end by our answer only? Since Linux 5.19. */
static bool waits_for_us(void)
{
	unsigned major, minor;
	struct utsname u;

	return !uname(&u) && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 19));
}

long inject_call(struct call *c, const struct injection *in)
{
	struct held h = {.tid = c->tid};
	int fd;

	if (!waits_for_us() || !call_alive(c) || seize(c->tid))
		return CALL_PROCEED;
	fd = lend(c, in->fd);
	answer(c, fd < 0 ? fd : 0);
	if (!hold(&h)) {
		if (fd < 0 || !make_calls(&h, in, fd))
			let_go(&h);
	}
	/* Who waited for children meanwhile has left something. */
	kill(getpid(), SIGCHLD);
	return CALL_ANSWERED;
}

#else

long inject_call(struct call *c, const struct injection *in)
{
	return CALL_PROCEED;
}

#endif
