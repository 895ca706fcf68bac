/* SPDX-License-Identifier: MIT */
/*
 * Sweeps over the points of a call (uiommufd_fail_nth): each fails once, nothing is left
 * of the call then, and the same call succeeds.
 */
#ifndef TESTS_MACHINE_SWEEP_H
#define TESTS_MACHINE_SWEEP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct sweep {
	const char *name;
	long (*call)(void); /* >= 0 or -errno */
	void (*undo)(void); /* what a success has made; NULL: nothing */
	/* What a failure may leave behind, as in Linux; NULL: nothing. */
	void (*after_failure)(void);
	unsigned least; /* points it must have */
};

/* @next_id: the number that a new object would get. */
void sweep_all(const struct sweep *s, size_t n, uint32_t (*next_id)(void));

/* @takes_away succeeds whichever point is to fail, for it passes none. */
void no_point(const char *name, long (*prepare)(void), long (*takes_away)(void));

#endif
