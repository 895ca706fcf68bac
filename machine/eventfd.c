/* SPDX-License-Identifier: MIT */
/*
 * Clients' eventfds, of which we hold duplicates.
 *
 * A duplicate keeps the eventfd open, so that its clients have closed it does not show by
 * itself. The kernel numbers eventfds, though, and tells of each descriptor which one it
 * is (/proc/PID/fdinfo): whoever must know looks through the processes. That takes
 * milliseconds, and no lock should be held meanwhile.
 *
 * Not found are the descriptors of processes that we may not look into, and those of a
 * thread that has a table of its own; a duplicate that we were given for another purpose
 * counts as somebody's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uapi/client.h"

#define NUMBER "eventfd-id:"
#define LINK   "anon_inode:[eventfd]"

static bool is_eventfd(int dir, const char *name)
{
	char link[sizeof(LINK) + 1];
	ssize_t n = readlinkat(dir, name, link, sizeof(link) - 1);

	link[n < 0 ? 0 : n] = '\0';
	return !strcmp(link, LINK);
}

int client_get_eventfd(struct client *c, int fd)
{
	int ours = c->ops->get_fd(c, fd);
	char path[32];

	if (ours < 0)
		return ours;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ours);
	if (!is_eventfd(AT_FDCWD, path)) {
		close(ours);
		return -EINVAL;
	}
	return ours;
}

/* @pid: a directory of /proc. */
static int number_of(const char *pid, const char *fd)
{
	char path[48], text[512];
	const char *at;
	ssize_t n;
	int file;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, fd);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	n = read(file, text, sizeof(text) - 1);
	close(file);
	text[n < 0 ? 0 : n] = '\0';
	at = strstr(text, NUMBER);
	return at ? atoi(at + strlen(NUMBER)) : -1;
}

int client_eventfd_number(int ours)
{
	char fd[16];

	snprintf(fd, sizeof(fd), "%d", ours);
	return number_of("self", fd);
}

/* @except: a descriptor that does not count; -1: all do. */
static bool process_has(const char *pid, int number, int except)
{
	char path[32];
	bool found = false;
	struct dirent *e;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	fds = opendir(path);
	while (fds && !found && (e = readdir(fds)))
		found = is_eventfd(dirfd(fds), e->d_name) && atoi(e->d_name) != except &&
			number_of(pid, e->d_name) == number;
	if (fds)
		closedir(fds);
	return found;
}

bool client_eventfd_in_use(int number, int ours)
{
	DIR *processes = opendir("/proc");
	bool found = !processes || number < 0;
	struct dirent *e;

	while (!found && (e = readdir(processes))) {
		int pid = atoi(e->d_name);

		if (pid > 0)
			found = process_has(e->d_name, number,
					    pid == getpid() ? ours : -1);
	}
	if (processes)
		closedir(processes);
	return found;
}
