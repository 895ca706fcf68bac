/* SPDX-License-Identifier: MIT */
/*
 * A private place for the view's files, gone when we are.
 *
 * With the right to mount it is a tmpfs that is attached nowhere: it is reached by its
 * descriptor alone, vanishes with it however we end, and the kernel names its files by
 * their path inside it, which is the path that clients know them by.
 *
 * Else it is a directory, on a tmpfs if there is one. It is locked as long as we live;
 * directories whose lock is free, left by a run that was killed, are removed by the next.
 */
#ifndef HOST_STORE_H
#define HOST_STORE_H

struct store {
	int fd;     /* its root directory; -1: none */
	char *path; /* NULL: attached nowhere */
};

int store_create(struct store *s);
void store_destroy(struct store *s);

#endif
