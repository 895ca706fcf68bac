/* SPDX-License-Identifier: MIT */
/*
 * Make the n-th thing that can fail do so, for tests of what happens then:
 *
 *	for (unsigned long n = 1;; n++) {
 *		port_fail_nth(n);
 *		rc = something();
 *		if (!port_fail_nth_stop())
 *			break;		// it needs fewer than n allocations
 *		assert(rc == -ENOMEM);
 *	}
 *
 * The count is the calling thread's own. It is always compiled in: a point pays one load
 * of a thread-local variable for it.
 */
#ifndef PORT_FAULT_INJECT_H
#define PORT_FAULT_INJECT_H

#include <stdbool.h>

/* The kinds of points, and what is the answer where one fails. */
enum port_fail_point {
	PORT_FAIL_ALLOC = 1, /* memory of ours: -ENOMEM */
	PORT_FAIL_FD = 2,    /* a descriptor of ours: -EMFILE */
	PORT_FAIL_COPY = 4,  /* from or to a client's memory: -EFAULT */
};
#define PORT_FAIL_ALL (PORT_FAIL_ALLOC | PORT_FAIL_FD | PORT_FAIL_COPY)

/* Of this thread's allocations from now on, the @n-th fails, once. 0: none does. */
void port_fail_nth(unsigned long n);
/* The same of points of these @kinds together. */
void port_fail_nth_of(unsigned kinds, unsigned long n);

/* Nothing fails any more. Had anything failed since port_fail_nth()? */
bool port_fail_nth_stop(void);
/* How many more points until one fails; 0: it has, or none will. */
unsigned long port_fail_nth_left(void);

/*
 * From now on points of these @kinds do not count in this thread. Answers which did not
 * until now, to be put back.
 */
unsigned port_fail_exempt(unsigned kinds);

/* A point: must this one fail? */
bool port_fail_now(enum port_fail_point kind);

#endif
