/* SPDX-License-Identifier: MIT */
/*
 * The client's tracer: for machines with registers behind mappings that fault.
 *
 * Such a mapping lies beyond the end of its file. An access raises SIGBUS, which stops
 * the thread before the signal reaches it; the access is done in its place
 * (host/mmio_fault.h) and the thread goes on behind the instruction. Every thread and
 * child of the client is traced from its start. All other signals are passed on as they
 * are, and stopping and continuing work as without a tracer.
 *
 * A process has one tracer only, so a debugger (gdb, strace) can trace neither the client
 * nor be a client. A tracer is one thread, and whatever stops or ends is reported to it,
 * so it is also the one that waits for all children.
 */
#ifndef HOST_TRACER_H
#define HOST_TRACER_H

#include <stdbool.h>
#include <sys/types.h>

struct host;
struct tracer;

/*
 * Traces @pid, a child, from now on, and everything that it starts. -EPERM: it may not be
 * traced, or already is.
 */
int tracer_create(struct host *host, pid_t pid, struct tracer **out);
/* Readable when @pid has ended. */
int tracer_fd(const struct tracer *t);
/* Has it? Then *@status is as waitpid(2) has it. */
bool tracer_has_ended(struct tracer *t, int *status);
/* Waits until there is no child left. */
void tracer_wait(struct tracer *t);
/* The same, if need be. Takes NULL. */
void tracer_destroy(struct tracer *t);

#endif
