/* SPDX-License-Identifier: MIT */
/*
 * Make the n-th allocation fail, for tests of the out-of-memory paths:
 *
 *	for (unsigned long n = 1;; n++) {
 *		port_fail_nth(n);
 *		rc = something();
 *		if (!port_fail_nth_stop())
 *			break;		// it needs fewer than n allocations
 *		assert(rc == -ENOMEM);
 *	}
 *
 * The count is the calling thread's own. It is always compiled in: an allocation pays
 * one load of a thread-local variable for it.
 */
#ifndef PORT_FAULT_INJECT_H
#define PORT_FAULT_INJECT_H

#include <stdbool.h>

/* Of this thread's allocations from now on, the @n-th fails, once. 0: none does. */
void port_fail_nth(unsigned long n);

/* No allocation fails any more. Had one failed since port_fail_nth()? */
bool port_fail_nth_stop(void);

/* For allocators of other rooms: must this allocation fail? */
bool port_fail_now(void);

#endif
