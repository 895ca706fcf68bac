/* SPDX-License-Identifier: MIT */
/*
 * Starting the client: fork, filter, hand over the listener, exec.
 *
 * The client is in our process group and session, with the signal mask, limits and
 * descriptors that we were started with. It gets PR_SET_NO_NEW_PRIVS only where a filter
 * cannot be installed without it, that is for ordinary users: their setuid programs then
 * run without privileges. Root's keep working.
 */
#ifndef HOST_LAUNCH_H
#define HOST_LAUNCH_H

#include <linux/filter.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* What the command was started with, saved before it changes anything. */
struct inheritance {
	sigset_t mask;
	struct sigaction child; /* of SIGCHLD, which may have been ignored */
	struct rlimit nofile;
	int *fds; /* descriptors from 3 up, the client's business only */
	size_t nr_fds;
};

int inheritance_save(struct inheritance *in);
/* In the parent, when the client has its own: drop what is none of our business. */
void inheritance_release(struct inheritance *in);

struct launched {
	pid_t pid;
	int listener;
	int report; /* becomes readable when the exec has succeeded or failed */
};

/*
 * @argv ends with NULL. 0, or -errno with *@what set to the step that failed. The exec
 * itself is still to come, since it needs its calls served: see launch_result().
 */
int launch(char *const argv[], const struct sock_fprog *filter,
	   const struct inheritance *in, struct launched *out, const char **what);

/* Why the exec failed, positive errno; 0: it has succeeded. Waits for either. */
int launch_result(struct launched *l);

/* ---- pieces, for the doctor as well ------------------------------------------------ */

/*
 * In the child: the listener, or -1 with errno. *@killable: a call that we have received
 * is interrupted by fatal signals only. Makes system calls only.
 */
int launch_install_filter(const struct sock_fprog *filter, bool *killable);
/* A number and, unless negative, a descriptor over a socket. System calls only. */
void launch_send_fd(int sock, int number, int fd);
/* -EPIPE: the other end is gone. *@fd: -1 if none came along. */
int launch_receive_fd(int sock, int *number, int *fd);

#endif
