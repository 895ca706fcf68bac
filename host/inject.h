/* SPDX-License-Identifier: MIT */
/*
 * A system call that a client's thread makes itself in place of the one that we serve:
 * for what nobody can do to another process, such as changing its working directory.
 *
 * The thread is traced for that time: it is stopped on its way out of the call that is
 * served, sent into the other, and let go. Nothing of it is seen but the result, which is
 * that of the other call. A process that is traced already, by a debugger or by
 * tracer.h, cannot be had for this; nor one that does not let itself be looked into.
 *
 * Whatever stops is reported to every thread of ours that waits for children, so that
 * those leave stops alone (run.c). x86-64 only.
 */
#ifndef HOST_INJECT_H
#define HOST_INJECT_H

#include <stdint.h>

struct call;

/* The call @nr; argument @fd_arg becomes a descriptor of what @fd is for us. */
struct injection {
	long nr;
	uint64_t args[6];
	unsigned fd_arg;
	int fd; /* the caller's */
};

/*
 * CALL_ANSWERED: the client has its answer, or is dead. CALL_PROCEED: it cannot be done,
 * nothing has happened.
 */
long inject_call(struct call *c, const struct injection *in);

#endif
