/* SPDX-License-Identifier: MIT */
/*
 * What every kind of client has in common: telling what stands behind a descriptor.
 */
#include "uapi/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "machine/files.h"
#include "machine/machine.h"

int client_get_vfile(struct client *c, int fd, struct vfile **out)
{
	int ours = c->ops->get_fd(c, fd);

	if (ours < 0)
		return ours;
	*out = files_lookup(c->machine->files, ours);
	close(ours);
	return 0;
}

int client_get_eventfd(struct client *c, int fd)
{
	int ours = c->ops->get_fd(c, fd);
	char link[64], path[32];
	ssize_t n;

	if (ours < 0)
		return ours;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ours);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = '\0';
	if (strcmp(link, "anon_inode:[eventfd]")) {
		close(ours);
		return -EINVAL;
	}
	return ours;
}
