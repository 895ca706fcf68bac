/* SPDX-License-Identifier: MIT */
/*
 * A port of core/ on which two calls meet in every moment there is: two threads, in
 * a manner of speaking, of which one runs at a time, and which change places before a
 * lock is taken, after it is given back, and around a grace period, where they are told
 * to; and where one has to wait.
 *
 * A test executable compiles core/ with it, in place of a port with real locks. What two
 * threads do between two such steps is not interleaved: that is for the sanitizers.
 */
#ifndef TESTS_CORE_STEPS_H
#define TESTS_CORE_STEPS_H

#include <stdbool.h>

/* What happens around the two calls; each may be NULL. */
struct steps_watch {
	/* At each step, whoever makes it. Takes no lock. */
	void (*step)(void *arg);
	/* A grace period: all sections that are open end. */
	void (*sections_end)(void *arg);
	/* Somebody waits for others' work to end. Has any? Else it is the other call's.
	 */
	bool (*wait)(void *arg);
	void *arg;
};

struct steps_call {
	void (*run)(void *arg);
	void *arg;
	/* It gives way to the other at this step of its own; 0: before the first. */
	unsigned gives_way_at;
	/* Out: how many steps it made. */
	unsigned steps;
};

/*
 * Both calls, to their ends; the first begins. When they wait for each other, the process
 * says so and ends.
 */
void steps_run(struct steps_call *first, struct steps_call *second,
	       const struct steps_watch *watch);

/* One more step, wherever the test finds a place for it. */
void steps_step(void);

/* Let the next @n allocations succeed and every later one fail; negative: none fails. */
void steps_fail_after(long n);
/* Broken invariants, and locks used wrongly, since the start. */
unsigned steps_bugs(void);
/* Allocations not yet freed. */
long steps_live(void);

#endif
