/* SPDX-License-Identifier: MIT */
/*
 * A child process to try things out on: it installs a filter with a listener, hands that
 * over, and makes a call that is notified. While it waits for the answer, everything that
 * the supervisor does to a client can be done to it.
 */
#ifndef HOST_PATIENT_H
#define HOST_PATIENT_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct patient {
	pid_t pid;
	int listener;
	bool killable; /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV was accepted */
	__u64 id;      /* of its call */
	/* Memory that it has at the same address as we: private, and shared. */
	uint64_t *private_memory;
	uint64_t *shared_memory;
	int shared_fd;
};

/* What failed is said in *@what. 0 or -errno; patient_finish() in any case. */
int patient_start(struct patient *p, const char **what);
/* Answer its call; it exits with 0 if the result was @value. */
int patient_answer(struct patient *p, int value);
void patient_finish(struct patient *p);

#endif
