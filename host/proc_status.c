/* SPDX-License-Identifier: MIT */
/* See proc_status.h. */
#include "host/proc_status.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/port.h"
#include "host/call.h"
#include "host/host.h"
#include "host/process.h"
#include "machine/accounting.h"
#include "machine/machine.h"

/* A process or thread number at @s, or a word for it; what follows it, or NULL. */
static const char *number_at(const char *s, int *n)
{
	char *end;
	long value;

	if (*s < '0' || *s > '9')
		return NULL;
	value = strtol(s, &end, 10);
	if (value <= 0 || value > INT32_MAX)
		return NULL;
	*n = (int)value;
	return end;
}

static int own_id(struct call *c)
{
	struct process *p;

	return call_process(c, &p) ? 0 : process_id(p);
}

/* Whose status is it? 0: it is another kind of file. */
static int process_of_path(struct call *c, const char *path)
{
	const char *rest = NULL;
	int pid = 0, tid;

	if (strncmp(path, "/proc/", 6))
		return 0;
	path += 6;
	if (!strncmp(path, "self/", 5))
		rest = path + 4;
	else if (!strncmp(path, "thread-self/", 12))
		rest = path + 11;
	else
		rest = number_at(path, &pid);
	if (!rest)
		return 0;
	if (!strncmp(rest, "/task/", 6)) {
		rest = number_at(rest + 6, &tid);
		if (!rest)
			return 0;
	}
	if (strcmp(rest, "/status"))
		return 0;
	return pid ? pid : own_id(c);
}

static void add_kib(char *line, size_t cap, const char *name, uint64_t pages)
{
	unsigned long long kib = pages * (PORT_PAGE_SIZE / 1024);
	size_t n = strlen(name);

	if (!strncmp(line, name, n))
		snprintf(line, cap, "%s\t%8llu kB\n", name,
			 strtoull(line + n, NULL, 10) + kib);
}

static int copy_patched(FILE *from, const struct accounting_process *add)
{
	int fd = memfd_create("status", MFD_CLOEXEC);
	/* The longest line names a CPU or two for each character. */
	char line[8192];

	if (fd < 0)
		return -ENOMEM;
	while (fgets(line, sizeof(line), from)) {
		size_t n;

		add_kib(line, sizeof(line), "VmLck:", add->locked);
		add_kib(line, sizeof(line), "VmPin:", add->pinned);
		n = strlen(line);
		if (write(fd, line, n) != (ssize_t)n) {
			close(fd);
			return -ENOMEM;
		}
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

long proc_status_open(struct call *c, const char *path)
{
	int pid = process_of_path(c, path), fd;
	struct accounting_process add;
	char ours[32];
	FILE *from;

	if (!pid)
		return CALL_PROCEED;
	accounting_of_process(c->host->machine->accounting, pid, &add);
	if (!add.pinned && !add.locked)
		return CALL_PROCEED;
	snprintf(ours, sizeof(ours), "/proc/%d/status", pid);
	from = fopen(ours, "re");
	if (!from)
		return CALL_PROCEED;
	fd = copy_patched(from, &add);
	fclose(from);
	return fd;
}
