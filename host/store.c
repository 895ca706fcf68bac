/* SPDX-License-Identifier: MIT */
/* See store.h. */
#include "host/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PREFIX "uiommufd-"

/* ---- a mount of our own --------------------------------------------------------- */

static int detached_tmpfs(void)
{
	int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return -errno;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0755", 0) ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
		int err = -errno;

		close(fs);
		return err;
	}
	fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		fd = -errno;
	close(fs);
	return fd;
}

/* ---- a directory ---------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	/* What cannot be removed is left; the rest goes. */
	remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The directory, locked; -EWOULDBLOCK: somebody else has the lock. */
static int lock_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static void remove_if_stale(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return;
	fd = lock_directory(path);
	if (fd < 0)
		return;
	remove_tree(path);
	close(fd);
}

static void remove_stale(const char *in)
{
	DIR *d = opendir(in);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d))) {
		char *path;

		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) ||
		    strlen(e->d_name) != strlen(PREFIX) + 6)
			continue;
		if (asprintf(&path, "%s/%s", in, e->d_name) < 0)
			continue;
		remove_if_stale(path);
		free(path);
	}
	closedir(d);
}

/* -EAGAIN: another run took the new directory for a stale one. */
static int make_directory(struct store *s, const char *in)
{
	struct stat st;
	int err;

	if (asprintf(&s->path, "%s/" PREFIX "XXXXXX", in) < 0) {
		s->path = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(s->path)) {
		err = -errno;
		goto fail;
	}
	s->fd = lock_directory(s->path);
	if (s->fd >= 0 && !fstat(s->fd, &st) && st.st_nlink) {
		/* Clients with other user ids are to see what is in it. */
		fchmod(s->fd, 0755);
		return 0;
	}
	err = -EAGAIN;
	rmdir(s->path);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
fail:
	free(s->path);
	s->path = NULL;
	return err;
}

static int directory_in(struct store *s, const char *in)
{
	int err;

	if (!in || in[0] != '/')
		return -ENOENT;
	remove_stale(in);
	do
		err = make_directory(s, in);
	while (err == -EAGAIN);
	return err;
}

int store_create(struct store *s)
{
	const char *const places[] = {getenv("XDG_RUNTIME_DIR"), "/dev/shm",
				      getenv("TMPDIR"), "/tmp"};
	int err = -ENOENT;

	s->path = NULL;
	s->fd = detached_tmpfs();
	if (s->fd >= 0)
		return 0;
	s->fd = -1;
	for (size_t i = 0; err && i < sizeof(places) / sizeof(places[0]); i++)
		err = directory_in(s, places[i]);
	return err;
}

void store_destroy(struct store *s)
{
	if (s->path)
		remove_tree(s->path);
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	s->path = NULL;
	s->fd = -1;
}
