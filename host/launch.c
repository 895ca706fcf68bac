/* SPDX-License-Identifier: MIT */
/*
 * See launch.h.
 *
 * Between fork and exec the child makes system calls only: the parent has threads. It
 * reports over a socket that closes on exec: first the listener, or why there is none,
 * then, if it fails, why the exec did. Messages are sent before the filter can stop any
 * call that they need, and the exec is itself a notified call.
 */
#include "host/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* ---- what we were started with -------------------------------------------------- */

static int save_fds(struct inheritance *in)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int err = 0;

	if (!d)
		return -errno;
	while (!err && (e = readdir(d))) {
		int fd = atoi(e->d_name);
		int *v;

		if (fd < 3 || fd == dirfd(d))
			continue;
		v = realloc(in->fds, (in->nr_fds + 1) * sizeof(int));
		if (!v) {
			err = -ENOMEM;
			break;
		}
		in->fds = v;
		in->fds[in->nr_fds++] = fd;
	}
	closedir(d);
	return err;
}

/*
 * Descriptors 0 to 2 that are closed stay closed for the client, but no file of ours may
 * get these numbers: one might be written to as standard error.
 */
static int fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

int inheritance_save(struct inheritance *in)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL};
	struct rlimit more;
	int err;

	*in = (struct inheritance){0};
	err = fill_standard_fds();
	if (!err)
		err = save_fds(in);
	if (err)
		return err;
	pthread_sigmask(SIG_SETMASK, NULL, &in->mask);
	/* Were it ignored, children would end without telling how. */
	sigaction(SIGCHLD, &by_default, &in->child);
	getrlimit(RLIMIT_NOFILE, &in->nofile);
	/* We hold a few descriptors for each process of the client's. */
	more = in->nofile;
	more.rlim_cur = more.rlim_max;
	setrlimit(RLIMIT_NOFILE, &more);
	return 0;
}

void inheritance_release(struct inheritance *in)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/*
	 * Whoever is at the other end of a pipe or socket must see the client close it,
	 * not us keep it. Standard error stays: messages go there.
	 */
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	for (size_t i = 0; i < in->nr_fds; i++)
		close(in->fds[i]);
	free(in->fds);
	in->fds = NULL;
	in->nr_fds = 0;
}

/* ---- the child ------------------------------------------------------------------ */

void launch_send_fd(int sock, int number, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {&number, sizeof(number)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *h;

		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		h = CMSG_FIRSTHDR(&msg);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(int));
	}
	sendmsg(sock, &msg, MSG_NOSIGNAL);
}

/* Without new privileges only where the kernel insists. */
static int load_filter(unsigned long flags, const struct sock_fprog *filter)
{
	int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);

	if (fd < 0 && errno == EACCES && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);
	return fd;
}

int launch_install_filter(const struct sock_fprog *filter, bool *killable)
{
	/* It is no sandbox: the client's speculation need not be tamed for it. */
	unsigned long flags =
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	int fd = load_filter(flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, filter);

	/* Linux before 5.19: a signal may then interrupt a call that we are serving. */
	*killable = fd >= 0;
	if (fd < 0 && errno == EINVAL)
		fd = load_filter(flags, filter);
	return fd;
}

static _Noreturn void child_main(int sock, char *const argv[],
				 const struct sock_fprog *filter,
				 const struct inheritance *in)
{
	int listener, err;
	bool killable;

	setrlimit(RLIMIT_NOFILE, &in->nofile);
	listener = launch_install_filter(filter, &killable);
	launch_send_fd(sock, listener < 0 ? errno : 0, listener);
	if (listener < 0)
		_exit(EXIT_OURS);
	close(listener);
	sigaction(SIGCHLD, &in->child, NULL);
	sigprocmask(SIG_SETMASK, &in->mask, NULL);
	execvp(argv[0], argv);
	err = errno;
	launch_send_fd(sock, err, -1);
	_exit(err == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXEC);
}

/* ---- the parent ----------------------------------------------------------------- */

int launch_receive_fd(int sock, int *number, int *fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {number, sizeof(*number)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *h;
	ssize_t n;

	*fd = -1;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*number))
		return -EPIPE;
	h = CMSG_FIRSTHDR(&msg);
	if (h && h->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(h), sizeof(int));
	return 0;
}

int launch(char *const argv[], const struct sock_fprog *filter,
	   const struct inheritance *in, struct launched *out, const char **what)
{
	int sock[2], report, err;

	*what = "start the program";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		return -errno;
	out->pid = fork();
	if (out->pid < 0) {
		err = -errno;
		close(sock[0]);
		close(sock[1]);
		return err;
	}
	if (!out->pid)
		child_main(sock[1], argv, filter, in);
	close(sock[1]);
	out->report = sock[0];
	err = launch_receive_fd(sock[0], &report, &out->listener);
	if (!err && report) {
		*what = "install a seccomp filter with a listener (see uiommufd doctor)";
		err = -report;
	}
	if (!err && out->listener < 0)
		err = -EMFILE;
	if (!err)
		return 0;
	close(sock[0]);
	waitpid(out->pid, NULL, 0);
	return err;
}

int launch_result(struct launched *l)
{
	int fd, err;

	if (launch_receive_fd(l->report, &err, &fd))
		err = 0;
	close(l->report);
	l->report = -1;
	return err;
}
