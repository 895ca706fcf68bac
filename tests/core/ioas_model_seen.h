/* SPDX-License-Identifier: MIT */
/*
 * What the IOAS' model test has seen: how often each kind of operation gave each result,
 * so that a run that does nothing worth while is noticed. Part of test_ioas_model.c.
 */
#ifndef TESTS_CORE_IOAS_MODEL_SEEN_H
#define TESTS_CORE_IOAS_MODEL_SEEN_H

#include "core/port.h"

enum kind { MAP, COPY, UNMAP, ADD, RESERVE, ALLOW, LARGE, NKINDS };
static const char *const kind_name[] = {"map",     "copy",  "unmap", "add domain",
					"reserve", "allow", "large"};
static unsigned long seen[NKINDS][128];

static void check_rc(enum kind kind, int rc, int expected)
{
	if (rc != expected)
		print_error("%s: %d, expected %d\n", kind_name[kind], rc, expected);
	assert_int_equal(rc, expected);
	seen[kind][-rc]++;
}

static void check_seen(unsigned long n)
{
	static const int errnos[NKINDS][8] = {
		[MAP] = {EPERM, EFAULT, EEXIST, EINVAL, ENOSPC, EOVERFLOW},
		[COPY] = {EPERM, ENOENT, EFAULT, EEXIST, EINVAL, ENOSPC},
		[UNMAP] = {ENOENT, EINVAL},
		[ADD] = {EFAULT, EADDRINUSE},
		[RESERVE] = {EADDRINUSE},
		[ALLOW] = {EADDRINUSE, EINVAL},
		[LARGE] = {EADDRINUSE, EINVAL},
	};

	for (unsigned k = 0; k < NKINDS; k++) {
		print_message("%s: ok %lu", kind_name[k], seen[k][0]);
		for (unsigned e = 1; e < 128; e++)
			if (seen[k][e])
				print_message(", %s %lu", strerror(e), seen[k][e]);
		print_message("\n");
		if (n < 100000)
			continue;
		assert_true(seen[k][0] >= n / 1000);
		for (unsigned i = 0; errnos[k][i]; i++)
			assert_true(seen[k][errnos[k][i]] > 0);
	}
}

#endif
