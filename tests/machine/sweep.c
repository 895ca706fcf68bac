/* SPDX-License-Identifier: MIT */
/* See sweep.h. */
#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "uiommufd/uiommufd.h"

/* ---- what can be counted -------------------------------------------------------- */

struct counts {
	unsigned fds, mappings;
	uint32_t next_id;
};

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Windows over the memory file are mappings of it besides ours. */
static unsigned count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:") != NULL;
	fclose(f);
	return n;
}

static struct counts count(uint32_t (*next_id)(void))
{
	return (struct counts){count_fds(), count_mappings(), next_id()};
}

static void same(struct counts before, struct counts now, const char *name,
		 unsigned long n)
{

	if (now.fds != before.fds || now.mappings != before.mappings ||
	    now.next_id != before.next_id)
		fail_msg("%s, point %lu: %u descriptors were %u, %u mappings were %u, "
			 "next object %u was %u",
			 name, n, now.fds, before.fds, now.mappings, before.mappings,
			 now.next_id, before.next_id);
}

/* ---- sweeps --------------------------------------------------------------------- */

static bool is_fault(long r)
{
	return r == -ENOMEM || r == -EMFILE || r == -EFAULT || r == -EBADFD;
}

static void sweep(const struct sweep *s, uint32_t (*next_id)(void))
{
	struct counts before = count(next_id);
	unsigned long n, left;

	for (n = 1;; n++) {
		long r;

		uiommufd_fail_nth(n);
		r = s->call();
		left = uiommufd_fail_nth(0);
		if (left ? r < 0 : !is_fault(r))
			fail_msg("%s, point %lu: %ld", s->name, n, r);
		if (left)
			break;
		if (s->after_failure)
			s->after_failure();
		same(before, count(next_id), s->name, n);
		r = s->call();
		if (r < 0)
			fail_msg("%s, after the fault at point %lu: %ld", s->name, n, r);
		if (s->undo)
			s->undo();
		same(before, count(next_id), s->name, n);
	}
	if (s->undo)
		s->undo();
	same(before, count(next_id), s->name, n);
	if (n - 1 < s->least)
		fail_msg("%s has only %lu points", s->name, n - 1);
	print_message("%s: %lu points\n", s->name, n - 1);
}

void sweep_all(const struct sweep *s, size_t n, uint32_t (*next_id)(void))
{
	for (size_t i = 0; i < n; i++)
		sweep(&s[i], next_id);
}

void no_point(const char *name, long (*prepare)(void), long (*takes_away)(void))
{
	for (unsigned long n = 1; n <= 8; n++) {
		unsigned long left;
		long r;

		if (prepare)
			assert_true(prepare() >= 0);
		uiommufd_fail_nth(n);
		r = takes_away();
		left = uiommufd_fail_nth(0);
		if (r < 0 || left != n)
			fail_msg("%s: %ld, after %lu points", name, r, n - left);
	}
}
