/* SPDX-License-Identifier: MIT */
/*
 * An access of a traced thread to registers behind a mapping, done in the thread's place.
 *
 * The thread is in the signal-delivery-stop of the signal that the access raised.
 */
#ifndef HOST_MMIO_FAULT_H
#define HOST_MMIO_FAULT_H

#include <stdbool.h>
#include <sys/types.h>

struct host;

/* What is kept of a thread between two accesses; @maps starts as -1. */
struct tracee {
	pid_t tid;
	int maps; /* its /proc/TID/maps; -1 */
};

void tracee_finish(struct tracee *t);

/*
 * Answers the signal that the thread is to get: 0 if the access has been done, @sig if
 * the signal is none of ours, or what the access leads to.
 */
int mmio_fault_serve(struct host *host, struct tracee *t, int sig);

#endif
