/* SPDX-License-Identifier: MIT */
/*
 * A port of core/ for unit tests: malloc, pthread locks, a small RCU, and allocations
 * that can be told to fail. A test executable compiles the core files it tests together
 * with test_port.c instead of linking the engine, so the two ports never meet.
 */
#ifndef TESTS_CORE_TEST_PORT_H
#define TESTS_CORE_TEST_PORT_H

#include <stdint.h>

/*
 * Let the next @n allocations succeed and every later one fail. Negative: none fails.
 * Counts for all threads.
 */
void test_port_fail_after(long n);
/* Allocations not yet freed. */
long test_port_live(void);
/* Broken invariants reported since the start; a test that expects none checks 0. */
unsigned test_port_bugs(void);

/*
 * Random numbers for model-based tests: splitmix64. The seed is TEST_SEED from the
 * environment, else @fallback; print it, so that a failure can be repeated.
 */
struct test_random {
	uint64_t state;
};
uint64_t test_seed(uint64_t fallback);
uint64_t test_random(struct test_random *r);
/* In [0, n - 1]; n > 0. */
uint64_t test_random_below(struct test_random *r, uint64_t n);

#endif
