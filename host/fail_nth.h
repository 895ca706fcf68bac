/* SPDX-License-Identifier: MIT */
/*
 * Fault injection for clients, with --selftest: /proc/PID/fail-nth, as Linux has it where
 * it was built for that. A thread whose file has been written N fails at the N-th point
 * of its calls from then on (port/fault_inject.h); the file says how many points are
 * left, and 0 when it has failed.
 *
 * Only points in what serves an ioctl or an open of a device count. A kernel also counts
 * what its other system calls allocate.
 */
#ifndef HOST_FAIL_NTH_H
#define HOST_FAIL_NTH_H

#include <stdbool.h>
#include <sys/types.h>

struct call;
struct fail_nth;
struct vfile;
struct view;

/* Also puts the knobs that Linux has for it into @view's debugfs. */
int fail_nth_create(struct view *view, struct fail_nth **out);
/* Takes NULL. */
void fail_nth_destroy(struct fail_nth *t);

/* Whose file is @path, relative to @base? 0: it is not such a file. */
pid_t fail_nth_of_path(struct call *c, const char *base, const char *path);
/* An open of the file. -ENOENT: there is no such thread; -ENOMEM. */
int fail_nth_open(struct fail_nth *t, pid_t tid, struct vfile **out);
/* May some descriptor be one of such a file? */
bool fail_nth_in_use(const struct fail_nth *t);

/* Around what serves a call: its thread's count is that of the caller. */
struct fail_nth_count {
	bool counts;
	unsigned writes; /* to the file, until the call */
};
struct fail_nth_count fail_nth_begin(struct call *c);
void fail_nth_end(struct call *c, struct fail_nth_count n);

#endif
